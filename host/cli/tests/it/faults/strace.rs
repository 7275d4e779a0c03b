//! Faults at system calls, by strace: calls that fail, and calls that are known of while their thread still stands in them.
//!
//! strace counts calls for each thread by itself, and a host has several, so it cannot kill one at its Nth call. Here it holds
//! up each thread for a moment at the end of each call (`--inject=...:delay_exit=`), and in that moment the test may kill the
//! host.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::skipped;
use crate::fixture::Host;

/// All calls that change what is in a directory, or see to it that it lasts. Not every machine has those with a question mark.
const CHANGES: &str = "?open,openat,?creat,write,writev,pwrite64,pwritev,?pwritev2,?copy_file_range,?sendfile,ftruncate,\
                       truncate,fallocate,fsync,fdatasync,?sync_file_range,?rename,renameat,renameat2,?link,linkat,\
                       ?symlink,symlinkat,?unlink,unlinkat,?rmdir,?mkdir,mkdirat,?chmod,fchmod,fchmodat";

/// A strace that follows a host and its compilers. The host goes on when it is dropped.
pub struct Strace {
    child: Child,
    lines: BufReader<ChildStderr>,
    /// The beginnings of calls that have not ended.
    begun: HashMap<String, String>,
}

impl Strace {
    /// Lets calls fail: of `calls`, those that have to do with one of `paths`, or all where there are none. None, and a word
    /// about it, where there is no strace that may do so.
    pub fn failing(host: &Host, calls: &str, error: &str, paths: &[&str]) -> Option<Self> {
        let inject = format!("--inject={calls}:error={error}");
        let path = |path: &&str| host.dir.join(path).components().collect::<PathBuf>();
        let paths = paths.iter().map(path).map(|path| format!("--trace-path={}", path.display()));
        let arguments = ["--output=/dev/null".to_owned(), inject].into_iter().chain(paths);
        Self::attach(host, &arguments.collect::<Vec<_>>())
    }

    /// Follows the calls that change files, each of which takes so long: see [`Self::next_change`].
    pub fn watching(host: &Host, each: Duration) -> Option<Self> {
        let trace = format!("--trace={CHANGES}");
        let inject = format!("--inject={CHANGES}:delay_exit={}us", each.as_micros());
        Self::attach(host, &["--decode-fds=path".to_owned(), "--string-limit=0".to_owned(), trace, inject])
    }

    fn attach(host: &Host, arguments: &[String]) -> Option<Self> {
        let mut strace = Command::new("strace");
        strace.args(["--follow-forks", "--attach", &host.child.id().to_string()]).args(arguments);
        let Ok(mut child) = strace.stdin(Stdio::null()).stderr(Stdio::piped()).spawn() else {
            skipped("faults at system calls", "strace is not here (apt install strace)");
            return None;
        };
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        lines.read_line(&mut said).unwrap();
        let strace = Self { child, lines, begun: HashMap::new() };
        if said.contains(" attached") {
            return Some(strace);
        }
        skipped("faults at system calls", &format!("strace may not follow a process here ({})", said.trim()));
        None
    }

    /// Waits until the host, or a compiler of its, has changed something in `dir`, and says by which call. The thread that
    /// made it stands still for a moment. None when the host has ended.
    pub fn next_change(&mut self, dir: &str) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let Some((thread, said)) = line.strip_prefix("[pid").and_then(|rest| rest.trim_end().split_once("] "))
            else {
                continue;
            };
            if let Some(begun) = said.strip_suffix("<unfinished ...>") {
                self.begun.insert(thread.to_owned(), begun.to_owned());
            } else if let Some(call) = said.strip_suffix(" (DELAYED)") {
                let begun = if call.starts_with("<...") { self.begun.remove(thread) } else { None };
                let call = format!("{}{call}", begun.unwrap_or_default());
                if call.contains(dir) && is_change(&call) {
                    return Some(call);
                }
            }
        }
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            // It lets go of whom it follows. Where it has ended there is nothing to be done.
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// To open a file changes nothing unless it may be made or emptied; a call that failed changed nothing.
fn is_change(call: &str) -> bool {
    let opens = call.starts_with("open");
    (!opens || ["O_CREAT", "O_TRUNC"].iter().any(|flag| call.contains(flag))) && !call.contains(" = -1 ")
}
