//! Schemas of what is text in the API's documents but not any text: names, digests, scopes. Written by hand, for no derive
//! knows what their parsers take.
//!
//! Patterns are ECMA-262's, without what other dialects of regular expressions have not.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{AdditionalProperties, Object, ObjectBuilder, OneOfBuilder, Type},
    },
};

use crate::{
    AliasName, AppName, Digest, FunctionName, StateName, TokenName, app::CONFIG_BYTES_MAX, name::NAME_BYTES_MAX,
    traffic::Sticky,
};

/// A name: a DNS label in lower case.
const NAME: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";

/// A name that is not digits alone: behind the digits that it may begin with, there is something else.
const ALIAS: &str = "^([0-9]{0,62}[a-z]([a-z0-9-]{0,61}[a-z0-9])?|[0-9]{1,61}-[a-z0-9-]{0,60}[a-z0-9])$";

/// What a header or a cookie may be called (RFC 9110, section 5.6.2).
const TOKEN: &str = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$";

/// What a token may do, as text: `ACTION:TARGET`. A stand-in for the type that reads it.
pub struct Scope;

/// What a setting of an app, a secret or a variable of the environment is called. A stand-in for a text.
pub struct SettingName;

/// The value of a setting or secret. A stand-in for a text.
pub struct SettingValue;

macro_rules! texts {
    ($($type:ident: $description:literal, $pattern:expr, $chars_max:expr;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                text($description, $pattern, $chars_max).into()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                stringify!($type).into()
            }
        }
    )*};
}

texts! {
    FunctionName: "A function's name.", NAME, NAME_BYTES_MAX;
    AppName: "An app's name.", NAME, NAME_BYTES_MAX;
    TokenName: "The name of a token or an issuer.", NAME, NAME_BYTES_MAX;
    StateName: "The name of a bucket or a container.", NAME, NAME_BYTES_MAX;
    AliasName: "An alias of a function: a name that is not digits alone.", ALIAS, NAME_BYTES_MAX;
    Digest: "A SHA-256 digest, in hexadecimal digits.", "^[0-9a-f]{64}$", 64;
    Scope: "What a token may do: read, deploy, invoke or admin, and on what.",
        "^(read|deploy|invoke|admin):(\\*|(app|function)/[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", 80;
    SettingName: "The name of a setting or secret.", "^[A-Za-z_][A-Za-z0-9_]{0,255}$", 256;
    SettingValue: "The value of a setting or secret, without NUL; at most 64 KiB as UTF-8.", "^[^\\u0000]*$", CONFIG_BYTES_MAX;
}

fn text(description: &str, pattern: &str, chars_max: usize) -> Object {
    let text = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    text.pattern(Some(pattern)).max_length(Some(chars_max)).build()
}

/// One key of two, and no other.
impl PartialSchema for Sticky {
    fn schema() -> RefOr<Schema> {
        let one = |key: &str, description: &str| {
            let closed = ObjectBuilder::new().schema_type(Type::Object).required(key);
            let closed = closed.property(key, text(description, TOKEN, 64));
            closed.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
        };
        let either = OneOfBuilder::new().description(Some("What of a request says which client it comes from."));
        let header = one("header", "The value of this header. Requests without it go by chance.");
        let cookie = one("cookie", "The value of this cookie. A client without it is given one.");
        either.item(header).item(cookie).into()
    }
}

impl ToSchema for Sticky {}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use proptest::{prelude::*, string::string_regex};

    use super::*;
    use crate::app::{check_key, check_value};

    /// Texts that a schema allows.
    fn allowed<T: PartialSchema>() -> impl Strategy<Value = String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        let pattern = schema["pattern"].as_str().unwrap().trim_matches(['^', '$']).to_owned();
        let chars_max = schema["maxLength"].as_u64().unwrap() as usize;
        let pattern = pattern.replace("\\u0000", "\\x00");
        string_regex(&pattern).unwrap().prop_filter("too long", move |text| text.chars().count() <= chars_max)
    }

    fn parses<T: FromStr>(text: &str) -> bool {
        text.parse::<T>().is_ok()
    }

    proptest! {
        #[test]
        fn what_a_schema_allows_is_taken(
            name in allowed::<FunctionName>(),
            alias in allowed::<AliasName>(),
            digest in allowed::<Digest>(),
            key in allowed::<SettingName>(),
            value in allowed::<SettingValue>(),
        ) {
            prop_assert!(parses::<FunctionName>(&name) && parses::<AppName>(&name) && parses::<TokenName>(&name), "{}", name);
            prop_assert!(parses::<AliasName>(&alias), "{}", alias);
            prop_assert!(parses::<Digest>(&digest));
            prop_assert!(check_key(&key).is_ok() && check_value(&key, &value).is_ok());
        }
    }

    #[test]
    fn sticky_is_one_key_of_two() {
        let schema = serde_json::to_value(Sticky::schema()).unwrap();
        let keys: Vec<_> = schema["oneOf"].as_array().unwrap().iter().map(|one| one["required"][0].clone()).collect();
        assert_eq!(keys, ["header", "cookie"]);
    }
}
