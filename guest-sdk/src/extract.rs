//! What a handler may ask for.
//!
//! Arguments are made from the request in order. Whatever takes the body (its type implements [`FromRequest`] only) comes
//! last; everything else implements [`FromRequestParts`]. `Option<T>` and `Result<T, Error>` make an argument optional.
//! What cannot be made is answered for the handler, with a status and a text that say what was wrong.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, header, request::Parts};
use serde::de::DeserializeOwned;

use crate::{Error, Request};

/// Made from a request's head.
pub trait FromRequestParts: Sized {
    /// Makes it, or says what is wrong with the request.
    fn from_request_parts(parts: &mut Parts) -> Result<Self, Error>;
}

/// Made from a whole request. `Via` only keeps the two ways of implementing it apart.
pub trait FromRequest<Via = WholeRequest>: Sized {
    /// Makes it, or says what is wrong with the request.
    fn from_request(request: Request) -> Result<Self, Error>;
}

/// Marks what takes the body.
pub enum WholeRequest {}

/// Marks what needs the head only.
pub enum HeadOnly {}

impl<T: FromRequestParts> FromRequest<HeadOnly> for T {
    fn from_request(request: Request) -> Result<Self, Error> {
        T::from_request_parts(&mut request.into_parts().0)
    }
}

/// The query, read into a type with named fields: `?w=320&h=200`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<T>(pub T);

/// The path below the function's own mount point, percent-decoded, beginning with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathRest(pub String);

/// A JSON body. As a response, a JSON body too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// A form's fields: a body of `application/x-www-form-urlencoded`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form<T>(pub T);

impl FromRequestParts for Method {
    fn from_request_parts(parts: &mut Parts) -> Result<Self, Error> {
        Ok(parts.method.clone())
    }
}

impl FromRequestParts for Uri {
    fn from_request_parts(parts: &mut Parts) -> Result<Self, Error> {
        Ok(parts.uri.clone())
    }
}

impl FromRequestParts for HeaderMap {
    fn from_request_parts(parts: &mut Parts) -> Result<Self, Error> {
        Ok(parts.headers.clone())
    }
}

impl<T: DeserializeOwned> FromRequestParts for Query<T> {
    fn from_request_parts(parts: &mut Parts) -> Result<Self, Error> {
        let query = parts.uri.query().unwrap_or_default();
        serde_urlencoded::from_str(query).map(Query).map_err(|error| Error::bad_request(format!("the query: {error}")))
    }
}

impl FromRequestParts for PathRest {
    fn from_request_parts(parts: &mut Parts) -> Result<Self, Error> {
        let invalid = |_| Error::bad_request("the path is not UTF-8 when decoded");
        decode(parts.uri.path()).map(PathRest).map_err(invalid)
    }
}

/// Percent-decodes (RFC 3986, section 2.1). A `%` that begins no escape stands for itself.
fn decode(text: &str) -> Result<String, std::string::FromUtf8Error> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(out)
}

impl<T: FromRequestParts> FromRequestParts for Option<T> {
    fn from_request_parts(parts: &mut Parts) -> Result<Self, Error> {
        Ok(T::from_request_parts(parts).ok())
    }
}

impl<T: FromRequestParts> FromRequestParts for Result<T, Error> {
    fn from_request_parts(parts: &mut Parts) -> Result<Self, Error> {
        Ok(T::from_request_parts(parts))
    }
}

impl FromRequest for Request {
    fn from_request(request: Request) -> Result<Self, Error> {
        Ok(request)
    }
}

impl FromRequest for Bytes {
    fn from_request(request: Request) -> Result<Self, Error> {
        Ok(request.into_body())
    }
}

impl FromRequest for Vec<u8> {
    fn from_request(request: Request) -> Result<Self, Error> {
        Ok(request.into_body().into())
    }
}

impl FromRequest for String {
    fn from_request(request: Request) -> Result<Self, Error> {
        let invalid = |_| Error::bad_request("the body is not UTF-8 text");
        String::from_utf8(request.into_body().into()).map_err(invalid)
    }
}

impl<T: DeserializeOwned> FromRequest for Json<T> {
    fn from_request(request: Request) -> Result<Self, Error> {
        must_be_of_type(request.headers(), "application/json", "+json")?;
        let invalid = |error: serde_json::Error| {
            let status = if error.is_data() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
            Error::new(status, format!("the JSON body: {error}"))
        };
        serde_json::from_slice(request.body()).map(Json).map_err(invalid)
    }
}

impl<T: DeserializeOwned> FromRequest for Form<T> {
    fn from_request(request: Request) -> Result<Self, Error> {
        must_be_of_type(request.headers(), "application/x-www-form-urlencoded", "")?;
        let invalid = |error| Error::bad_request(format!("the form: {error}"));
        serde_urlencoded::from_bytes(request.body()).map(Form).map_err(invalid)
    }
}

impl<T: FromRequest> FromRequest for Option<T> {
    fn from_request(request: Request) -> Result<Self, Error> {
        Ok(T::from_request(request).ok())
    }
}

impl<T: FromRequest> FromRequest for Result<T, Error> {
    fn from_request(request: Request) -> Result<Self, Error> {
        Ok(T::from_request(request))
    }
}

fn must_be_of_type(headers: &HeaderMap, wanted: &str, suffix: &str) -> Result<(), Error> {
    let stated = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = stated.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == wanted || (!suffix.is_empty() && kind.starts_with("application/") && kind.ends_with(suffix)) {
        return Ok(());
    }
    let detail = format!("Content-Type is {stated:?}; this wants {wanted}");
    Err(Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Size {
        w: u32,
    }

    fn request(target: &str, content_type: &str, body: &'static str) -> Request {
        let builder = http::Request::post(target).header(header::CONTENT_TYPE, content_type);
        builder.body(Bytes::from_static(body.as_bytes())).unwrap()
    }

    #[test]
    fn queries_are_read_or_their_mistake_is_told() {
        let query = |target| <Query<Size> as FromRequest<HeadOnly>>::from_request(request(target, "", ""));
        assert_eq!(query("/?w=3&other=x").unwrap(), Query(Size { w: 3 }));
        let error = query("/?w=x").unwrap_err();
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        assert!(error.message().contains("invalid digit"), "{error:?}");
        assert!(query("/").unwrap_err().message().contains("missing field `w`"));
    }

    #[test]
    fn json_is_read_or_its_mistake_is_told() {
        let json = |kind, body| Json::<Size>::from_request(request("/", kind, body));
        assert_eq!(json("application/json; charset=utf-8", r#"{"w":3}"#).unwrap(), Json(Size { w: 3 }));
        assert!(json("application/problem+json", r#"{"w":3}"#).is_ok());
        assert_eq!(json("text/plain", r#"{"w":3}"#).unwrap_err().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(json("application/json", r#"{"w":"#).unwrap_err().status(), StatusCode::BAD_REQUEST);
        let error = json("application/json", r#"{"w":"x"}"#).unwrap_err();
        assert_eq!(error.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(error.message().contains("line 1 column 8"), "{error:?}");
        assert_eq!(Option::<Json<Size>>::from_request(request("/", "", "")).unwrap(), None);
    }

    #[test]
    fn paths_are_decoded() {
        for (path, decoded) in [("/", "/"), ("/a%20b/%C3%A9", "/a b/é"), ("/100%", "/100%"), ("/%zz", "/%zz")] {
            assert_eq!(decode(path).unwrap(), decoded);
        }
        assert!(decode("/%ff").is_err());
    }

    #[test]
    fn forms_are_read() {
        let kind = "application/x-www-form-urlencoded";
        assert_eq!(Form::<Size>::from_request(request("/", kind, "w=4")).unwrap(), Form(Size { w: 4 }));
    }
}
