//! What browsers keep: pictures, from the blobs in `pictures`, and the style sheet.

use std::sync::LazyLock;

use gust_sdk::{Error, HeaderMap, IntoResponse, Response, StatusCode, blob, header};
use sha2::{Digest as _, Sha256};

use crate::session::hex;

const STYLE: &str = include_str!("../style.css");

/// A part of the style sheet's hash: it is in its address, so that a new one is seen at once.
static STYLE_TAG: LazyLock<String> = LazyLock::new(|| hex(Sha256::digest(STYLE).get(..8).unwrap_or_default()));

/// An SVG that is opened by itself runs nothing.
const PICTURE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

pub fn ready() {
    LazyLock::force(&STYLE_TAG);
}

pub fn style_path() -> String {
    format!("/style.css?{}", *STYLE_TAG)
}

pub fn style(asked: &HeaderMap) -> Response {
    kept(asked, &STYLE_TAG, "max-age=31536000, immutable", "text/css; charset=utf-8", || Ok(STYLE.into()))
        .unwrap_or_else(IntoResponse::into_response)
}

pub fn picture(name: &str, asked: &HeaderMap) -> Result<Response, Error> {
    let absent = || Error::new(StatusCode::NOT_FOUND, "there is no such picture");
    let is_plain =
        |stem: &str| stem.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !name.strip_suffix(".svg").is_some_and(is_plain) {
        return Err(absent());
    }
    let pictures = blob::container("pictures")?;
    let info = pictures.info(name)?.ok_or_else(absent)?;
    let tag = format!("{:x}-{:x}", info.created_unix_s, info.size);
    kept(asked, &tag, "public, max-age=3600", "image/svg+xml", || pictures.get(name)?.ok_or_else(absent))
}

/// Something with a tag, or 304 where the browser has it.
fn kept(
    asked: &HeaderMap,
    tag: &str,
    keep: &str,
    content_type: &str,
    content: impl FnOnce() -> Result<Vec<u8>, Error>,
) -> Result<Response, Error> {
    let tag = format!("\"{tag}\"");
    let headers = [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, keep)];
    if asked.get(header::IF_NONE_MATCH).is_some_and(|has| has.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, headers, StatusCode::NOT_MODIFIED).into_response());
    }
    let about = [
        (header::CONTENT_TYPE, content_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, PICTURE_POLICY),
    ];
    Ok((headers, (about, content()?)).into_response())
}
