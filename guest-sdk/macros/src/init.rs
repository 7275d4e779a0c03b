//! `#[init]`: a function runs once before the first request.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn, spanned::Spanned as _};

use crate::{HANDLER, INIT, name};

/// The function, the name by which the handler finds it, and the export that calls it.
pub(crate) fn expand(attribute: TokenStream, item: TokenStream) -> Result<TokenStream, Error> {
    if !attribute.is_empty() {
        return Err(Error::new(attribute.span(), "#[init] takes no arguments"));
    }
    let function: ItemFn = syn::parse2(item)
        .map_err(|error| Error::new(error.span(), "#[init] goes on a function: `#[init] fn get_ready() { ... }`"))?;
    check(&function)?;
    let (own, init, marker) = (&function.sig.ident, name(INIT), name(HANDLER));
    Ok(quote! {
        #function

        #[doc(hidden)]
        const #init: ::core::option::Option<::gust_sdk::__private::Init> =
            ::core::option::Option::Some(|| ::gust_sdk::__private::into_ready(#own()));

        const _: () = {
            use self::#marker as _;

            #[cfg(target_arch = "wasm32")]
            mod component {
                pub struct Component;

                impl ::gust_sdk::__private::Ready for Component {
                    const INIT: ::core::option::Option<::gust_sdk::__private::Init> = super::#init;
                }

                type Initial = ::gust_sdk::__private::Initial<Component>;
                ::gust_sdk::__private::initial::export!(Initial with_types_in ::gust_sdk::__private::initial);
            }
        };
    })
}

fn check(function: &ItemFn) -> Result<(), Error> {
    let signature = &function.sig;
    if let Some(token) = &signature.asyncness {
        return Err(Error::new(token.span(), "an init is a plain function; take `async` away"));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new(signature.generics.span(), "an init has no generic parameters"));
    }
    if !signature.inputs.is_empty() {
        let what = "an init takes nothing: it runs before there is a request; settings are in the environment";
        return Err(Error::new(signature.inputs.span(), what));
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
                fn get_ready() -> Result<(), String> {
                    Ok(())
                }
            ),
        )
        .unwrap()
        .to_string();
        assert!(expanded.starts_with("fn get_ready () -> Result < () , String > { Ok (()) }"), "{expanded}");
        assert!(expanded.contains("into_ready (get_ready ())"), "{expanded}");
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
                    static S: u8 = 0;
                )
            )
            .contains("goes on a function")
        );
        assert!(
            error(
                quote!(),
                quote!(
                    async fn f() {}
                )
            )
            .contains("take `async` away")
        );
        assert!(
            error(
                quote!(),
                quote!(
                    fn f<T>() {}
                )
            )
            .contains("no generic parameters")
        );
        assert!(
            error(
                quote!(),
                quote!(
                    fn f(body: String) {}
                )
            )
            .contains("takes nothing")
        );
    }
}
