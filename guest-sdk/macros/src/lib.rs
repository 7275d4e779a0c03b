//! The `#[handler]` and `#[init]` attributes of gust-sdk.
//!
//! The two find each other by names in the module where they stand. `#[handler]` brings in [`INIT`] by a glob, which says that
//! there is none, and which the one that `#[init]` defines goes before. `#[init]` refers to [`HANDLER`], so that one that
//! stands elsewhere, and which the handler would not find, does not compile.

mod handler;
mod init;

use proc_macro2::{Ident, Span};

/// The constant that has the module's init.
const INIT: &str = "__GUST_INIT";

/// What stands in the module that has the handler.
const HANDLER: &str = "__the_handler_and_its_init_stand_in_the_same_module";

/// Makes a function the handler of this component.
///
/// Its arguments are extractors and its result is a response; see the documentation of `gust_sdk`. The function stays as
/// it is, for tests to call. There is one handler in a component.
#[proc_macro_attribute]
pub fn handler(attribute: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    handler::expand(attribute.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a function run once, before the first request: for what takes long and is the same for all requests.
///
/// It takes nothing and returns nothing, or a `Result` whose error implements `Display`. It stands in the handler's module and
/// leaves what it made where the handler finds it, in a `static` with a `LazyLock` or a `OnceLock`.
///
/// ```ignore
/// static SQUARES: LazyLock<Vec<u64>> = LazyLock::new(|| (0..1000).map(|n| n * n).collect());
///
/// #[gust_sdk::init]
/// fn squares() {
///     LazyLock::force(&SQUARES);
/// }
/// ```
///
/// On gust every request begins with exactly what it left, and a function whose init fails is not deployed. On other hosts
/// the first request of an instance runs it. What it draws at random is the same for all requests, so it must not make
/// what only one of them may know.
#[proc_macro_attribute]
pub fn init(attribute: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    init::expand(attribute.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// A name that both attributes know.
fn name(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}
