//! `gust:function/init`: what gets a function ready, for hosts that ask for it.

use super::{Initial, Ready};
use crate::init;

mod bindings {
    // A world with nothing else, for every component has the handler's already.
    wit_bindgen::generate!({
        path: "wit",
        inline: "package gust:sdk; world initial { export gust:function/init@0.1.0; }",
        world: "gust:sdk/initial",
        pub_export_macro: true,
        default_bindings_module: "gust_sdk::__private::initial",
    });
}

pub use bindings::{export, exports};

impl<R: Ready> bindings::exports::gust::function::init::Guest for Initial<R> {
    fn init() -> Result<(), String> {
        init::ready(R::INIT).map_err(str::to_owned)
    }
}
