//! A component's init: what it may export to get ready before its first request.
//!
//! It runs in every instance that is made, right after instantiation, so an instance that is put back begins with what init
//! left, as a new one does. All instances of a function must come out alike for that, so during init random numbers come from
//! a seed that is the function's own.

use gust_core::{Code, Problem};
use wasmtime::{
    Store,
    component::{Component, ComponentExportIndex, Instance},
};

use crate::{failure, host::Host};

/// The interface, by the name that is shown.
pub(crate) const INTERFACE: &str = "gust:function/init";

/// The same with the version that the host calls.
const EXPORT: &str = "gust:function/init@0.1.0";

/// The interface's function.
const FUNCTION: &str = "init";

/// The init of a component, resolved once.
#[derive(Clone)]
pub(crate) struct Init(ComponentExportIndex);

impl Init {
    /// The one that this component has.
    pub(crate) fn of(component: &Component) -> Option<Self> {
        let interface = component.get_export_index(None, EXPORT)?;
        component.get_export_index(Some(&interface), FUNCTION).map(Self)
    }

    /// Runs it, in an instance that nothing was asked of.
    pub(crate) async fn run(&self, store: &mut Store<Host>, instance: &Instance) -> Result<(), Problem> {
        let init = instance.get_typed_func::<(), (Result<(), String>,)>(&mut *store, &self.0);
        let init = init.map_err(|error| failed(format!("its {INTERFACE} does not fit: {error:#}")))?;
        store.data_mut().begin_init();
        let returned = init.call_async(&mut *store, ()).await.map(|(returned,)| returned);
        match returned {
            Ok(Ok(())) => {
                store.data_mut().end_init();
                Ok(())
            }
            Ok(Err(text)) => {
                let text = failure::cut(text);
                store.data_mut().note(&text);
                Err(failed(text))
            }
            Err(error) => Err(store.data().failure(&error)),
        }
    }
}

fn failed(text: String) -> Problem {
    Problem::new(Code::GuestFailed, "its init failed, and its log has the cause").with_internal(text)
}
