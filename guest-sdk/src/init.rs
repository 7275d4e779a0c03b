//! Getting ready once, before the first request.
//!
//! A host that knows `gust:function/init` calls it before anything else; on every other host the first request does. Either
//! way it runs once in an instance, and how that ended is kept.

use std::{fmt::Display, sync::OnceLock};

/// What gets a function ready, as the [`init`](macro@crate::init) attribute makes it.
pub type Init = fn() -> Result<(), String>;

/// What an init function may return: nothing, or a `Result` whose error can be shown.
#[diagnostic::on_unimplemented(
    message = "this function cannot be an init",
    note = "it returns nothing, or `Result<(), E>` where `E` implements `Display`"
)]
pub trait IntoReady {
    /// Whether it succeeded, or why not.
    fn into_ready(self) -> Result<(), String>;
}

impl IntoReady for () {
    fn into_ready(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: Display> IntoReady for Result<(), E> {
    fn into_ready(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

/// Whether it succeeded, or why not.
pub fn into_ready(returned: impl IntoReady) -> Result<(), String> {
    returned.into_ready()
}

/// Runs the component's init, where it has one that has not run; says why it failed.
#[cfg_attr(not(any(target_arch = "wasm32", test)), expect(dead_code, reason = "called by the exports"))]
pub(crate) fn ready(init: Option<Init>) -> Result<(), &'static str> {
    static ENDED: OnceLock<Result<(), String>> = OnceLock::new();
    let Some(init) = init else { return Ok(()) };
    ENDED.get_or_init(init).as_ref().copied().map_err(String::as_str)
}

/// What a module with a handler and without an init sees under the name that the attribute gives to one.
pub mod none {
    /// There is none.
    pub const __GUST_INIT: Option<super::Init> = None;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;
    use crate::Error;

    #[test]
    fn what_can_be_shown_is_told() {
        assert_eq!(into_ready(()), Ok(()));
        assert_eq!(into_ready(Err::<(), _>("no table")), Err("no table".to_owned()));
        assert_eq!(into_ready(Err::<(), _>(Error::failed("no key"))), Err("no key".to_owned()));
    }

    #[test]
    fn it_runs_once_and_how_it_ended_is_kept() {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        fn fails() -> Result<(), String> {
            Err(format!("run {}", RUNS.fetch_add(1, Relaxed)))
        }
        assert_eq!(ready(None), Ok(()));
        assert_eq!(ready(Some(fails)), Err("run 0"));
        assert_eq!(ready(Some(fails)), Err("run 0"));
    }
}
