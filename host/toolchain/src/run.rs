//! Running other programs: for a limited time, with errors that say what was run and what it said.

use std::{
    io::Read,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// A toolchain that is not there or cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No toolchain has the target.
    #[error(
        "no Rust toolchain here builds for wasm32-wasip2{}\n\
         with rustup:            rustup target add wasm32-wasip2\n\
         with Debian's packages: cargo xtask toolchain (in gust's sources)\n\
         or link one yourself:   rustup toolchain link gust-guest DIR", .0
    )]
    NoTarget(String),
    /// A program is not there.
    #[error("`{program}` cannot be run: {source}")]
    Start {
        /// Which one.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("`{command}` failed{}", if .said.is_empty() { String::new() } else { format!(": {said}") })]
    Failed {
        /// The command.
        command: String,
        /// The end of what it said.
        said: String,
    },
    /// A program took too long.
    #[error("`{command}` did not end within {} s", .within.as_secs())]
    TooLong {
        /// The command.
        command: String,
        /// The time it had.
        within: Duration,
    },
    /// Something else is missing or cannot be written.
    #[error("{0}")]
    Other(String),
}

impl Error {
    pub(crate) fn no_target(why: Option<Self>) -> Self {
        Self::NoTarget(why.map_or_else(String::new, |why| format!(" ({why})")))
    }
}

/// What a command writes to standard output, if it succeeds in time. A command that does not is killed.
pub fn output_within(command: &mut Command, within: Duration) -> Result<String, Error> {
    let shown = shown(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|source| Error::Start { program: command.get_program().to_string_lossy().into_owned(), source })?;
    let (sender, receiver) = mpsc::channel();
    let mut pipes: Vec<(bool, Box<dyn Read + Send>)> = Vec::new();
    pipes.extend(child.stdout.take().map(|pipe| (true, Box::new(pipe) as Box<dyn Read + Send>)));
    pipes.extend(child.stderr.take().map(|pipe| (false, Box::new(pipe) as Box<dyn Read + Send>)));
    for (is_output, mut pipe) in pipes {
        let sender = sender.clone();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes);
            let _ = sender.send((is_output, String::from_utf8_lossy(&bytes).into_owned()));
        });
    }
    drop(sender);
    let (mut output, mut said) = (String::new(), String::new());
    // Both pipes end when the program does.
    for _ in 0..2 {
        match receiver.recv_timeout(within) {
            Ok((true, text)) => output = text,
            Ok((false, text)) => said = text,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Error::TooLong { command: shown, within });
            }
        }
    }
    let succeeded = child.wait().is_ok_and(|status| status.success());
    let end: Vec<&str> = said.lines().rev().take(3).collect();
    let said = end.into_iter().rev().collect::<Vec<_>>().join("; ");
    if succeeded { Ok(output) } else { Err(Error::Failed { command: shown, said }) }
}

/// A command as one would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, within: Duration) -> Result<String, Error> {
        output_within(Command::new("sh").args(["-c", script]), within)
    }

    #[test]
    fn what_programs_say_and_why_they_fail_is_known() {
        let long = Duration::from_secs(60);
        assert_eq!(sh("echo hello", long).unwrap(), "hello\n");
        let error = sh("echo oh no >&2; exit 3", long).unwrap_err().to_string();
        assert!(error.ends_with("failed: oh no"), "{error}");
        assert!(matches!(sh("exec sleep 600", Duration::from_millis(50)), Err(Error::TooLong { .. })));
        let missing = output_within(&mut Command::new("no-such-program-here"), long);
        assert!(missing.unwrap_err().to_string().contains("no-such-program-here"));
    }
}
