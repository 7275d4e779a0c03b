//! `#[handler]`: a function becomes the component's handler.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Error, ItemFn, spanned::Spanned as _};

use crate::{HANDLER, INIT, name};

/// The handler's function, and the exports that call it.
pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> Result<TokenStream, Error> {
    if !attribute.is_empty() {
        return Err(Error::new(attribute.span(), "#[handler] takes no arguments"));
    }
    let function: ItemFn = syn::parse2(item)
        .map_err(|error| Error::new(error.span(), "#[handler] goes on a function: `#[handler] fn hello() -> ...`"))?;
    check(&function)?;
    let (init, marker) = (name(INIT), name(HANDLER));
    let (checked, component) = match function.sig.asyncness {
        None => plain(&function.sig.ident),
        Some(_) => asynchronous(&function.sig.ident),
    };
    Ok(quote! {
        #function

        #[doc(hidden)]
        mod #marker {}
        #[doc(hidden)]
        use ::gust_sdk::__private::none::*;

        const _: () = {
            #[cfg(not(target_arch = "wasm32"))]
            const _: ::core::option::Option<::gust_sdk::__private::Init> = #init;
            #[cfg(not(target_arch = "wasm32"))]
            #[expect(dead_code, reason = "only checks that the function is a handler")]
            #checked

            #[cfg(target_arch = "wasm32")]
            mod component {
                pub struct Component;

                impl ::gust_sdk::__private::Ready for Component {
                    const INIT: ::core::option::Option<::gust_sdk::__private::Init> = super::#init;
                }

                #component
            }
        };
    })
}

/// What checks that a function is a handler, and its exports.
fn plain(handler: &Ident) -> (TokenStream, TokenStream) {
    let checked = quote! {
        fn is_a_handler(request: ::gust_sdk::Request) -> ::gust_sdk::Response {
            ::gust_sdk::__private::call(#handler, request)
        }
    };
    let component = quote! {
        impl ::gust_sdk::__private::Entry for Component {
            fn answer(request: ::gust_sdk::Request) -> ::gust_sdk::Response {
                ::gust_sdk::__private::call(super::#handler, request)
            }
        }

        type Typed = ::gust_sdk::__private::Typed<Component>;
        type WasiHttp = ::gust_sdk::__private::WasiHttp<Component>;
        ::gust_sdk::__private::typed::export!(Typed with_types_in ::gust_sdk::__private::typed);
        use ::gust_sdk::__private::wasip2;
        ::gust_sdk::__private::wasip2::http::proxy::export!(WasiHttp with_types_in ::gust_sdk::__private::wasip2);
    };
    (checked, component)
}

/// The same of one that is `async`.
fn asynchronous(handler: &Ident) -> (TokenStream, TokenStream) {
    let request = quote!(::gust_sdk::http::Request<::gust_sdk::streaming::Incoming>);
    let checked = quote! {
        async fn is_a_handler(request: #request) -> ::gust_sdk::Response {
            ::gust_sdk::__private::call_async(#handler, request).await
        }
    };
    let component = quote! {
        impl ::gust_sdk::__private::AsyncEntry for Component {
            async fn answer(request: #request) -> ::gust_sdk::Response {
                ::gust_sdk::__private::call_async(super::#handler, request).await
            }
        }

        type Service = ::gust_sdk::__private::Service<Component>;
        use ::gust_sdk::__private::wasip3;
        ::gust_sdk::__private::wasip3::http::service::export!(Service with_types_in ::gust_sdk::__private::wasip3);
    };
    (checked, component)
}

fn check(function: &ItemFn) -> Result<(), Error> {
    let signature = &function.sig;
    if !signature.generics.params.is_empty() {
        return Err(Error::new(signature.generics.span(), "a handler has no generic parameters"));
    }
    if let Some(receiver) = signature.receiver() {
        return Err(Error::new(receiver.span(), "a handler is a free function, without `self`"));
    }
    if signature.inputs.len() > 8 {
        return Err(Error::new(signature.inputs.span(), "a handler has at most 8 arguments"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(attribute: TokenStream, item: TokenStream) -> String {
        expand(attribute, item).unwrap_err().to_string()
    }

    #[test]
    fn the_function_stays_as_it_is() {
        let expanded = expand(
            quote!(),
            quote!(
                pub fn hello(name: String) -> String {
                    name
                }
            ),
        )
        .unwrap()
        .to_string();
        assert!(expanded.starts_with("pub fn hello (name : String) -> String { name }"), "{expanded}");
        assert!(expanded.contains("super :: hello"));
    }

    #[test]
    fn what_is_async_is_a_service() {
        let expanded = |item| expand(quote!(), item).unwrap().to_string();
        let asynchronous = expanded(quote!(
            async fn f() {}
        ));
        assert!(asynchronous.contains("AsyncEntry") && !asynchronous.contains("WasiHttp"), "{asynchronous}");
        let plain = expanded(quote!(
            fn f() {}
        ));
        assert!(plain.contains("WasiHttp") && !plain.contains("AsyncEntry"), "{plain}");
    }

    #[test]
    fn mistakes_are_told() {
        assert!(
            error(
                quote!(x),
                quote!(
                    fn f() {}
                )
            )
            .contains("takes no arguments")
        );
        assert!(
            error(
                quote!(),
                quote!(
                    struct S;
                )
            )
            .contains("goes on a function")
        );
        assert!(
            error(
                quote!(),
                quote!(
                    fn f<T>(t: T) {}
                )
            )
            .contains("no generic parameters")
        );
        assert!(
            error(
                quote!(),
                quote!(
                    fn f(&self) {}
                )
            )
            .contains("without `self`")
        );
    }
}
