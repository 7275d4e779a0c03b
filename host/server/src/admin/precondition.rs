//! Entity tags: a change may say of which state it is meant to be one (RFC 9110, section 13.1.1).

use axum::response::{IntoResponseParts, ResponseParts};
use gust_core::{Code, Problem};
use http::{HeaderMap, HeaderValue, header};
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        RefOr, Required, Schema, Type,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::ObjectBuilder,
    },
};

/// What a change can fail with that may say of which state it is meant.
pub(super) const PROBLEMS: [Code; 2] = [Code::ApiMalformed, Code::ApiChanged];

/// The tag of a state, by its number.
pub(super) struct ETag(pub(super) u64);

impl IntoResponseParts for ETag {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        if let Ok(value) = HeaderValue::from_str(&format!("\"{}\"", self.0)) {
            parts.headers_mut().insert(header::ETAG, value);
        }
        Ok(parts)
    }
}

impl PartialSchema for ETag {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^\"[0-9]{1,20}\"$"));
        text.description(Some("The state, for If-Match.")).into()
    }
}

impl ToSchema for ETag {}

/// `If-Match`, as it is described.
pub(super) enum IfMatch {}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^(\"[0-9]{1,19}\"|\\*)$"));
        let header =
            ParameterBuilder::new().name("If-Match").parameter_in(ParameterIn::Header).required(Required::False);
        let told = "The ETag of the state that the change is meant for; of another one it is refused. `*` and none: any state.";
        vec![header.description(Some(told)).schema(Some(text)).build()]
    }
}

/// The state that `If-Match` names; none where the change is meant whatever the state is.
pub(super) fn wanted(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|text| text.parse().ok());
    let malformed = || Problem::new(Code::ApiMalformed, "If-Match is not an ETag that this host gave, as \"12\"");
    number.map(Some).ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_number_in_quotes() {
        let headers = |text: &'static str| HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(text))]);
        assert_eq!(wanted(&HeaderMap::new()), Ok(None));
        assert_eq!(wanted(&headers("*")), Ok(None));
        assert_eq!(wanted(&headers("\"12\"")), Ok(Some(12)));
        for bad in ["12", "\"x\"", "W/\"12\"", "\"1\", \"2\"", ""] {
            assert!(wanted(&headers(bad)).is_err(), "{bad}");
        }
    }
}
