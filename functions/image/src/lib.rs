//! Resizes pictures: JPEG, PNG and WebP in and out.
//!
//! The way of a picture is [`decode`] (its size checked first), [`geometry`] (what part of it goes where), [`resize`],
//! [`orientation`] and [`encode`]. Turning comes after resizing, when there is little left to turn.

pub mod decode;
pub mod encode;
pub mod geometry;
pub mod options;
pub mod orientation;
pub mod pixels;
pub mod resize;

use gust_sdk::{Bytes, Error, HeaderMap, IntoResponse, Method, Query, StatusCode, handler, header};
use options::{Format, Options};

/// What a call without a picture is told.
const USAGE: &str = "send a JPEG, PNG or WebP as the body of a POST: \
                     curl --data-binary @photo.jpg 'http://HOST/image?w=320' -o small.jpg";

/// `POST /image?w=320`
#[handler]
fn image(
    method: Method,
    headers: HeaderMap,
    options: Query<Options>,
    picture: Bytes,
) -> Result<impl IntoResponse, Error> {
    if method != Method::POST && method != Method::PUT {
        return Err(Error::new(StatusCode::METHOD_NOT_ALLOWED, USAGE));
    }
    if picture.is_empty() {
        return Err(Error::bad_request(USAGE));
    }
    let (format, small) = process(&picture, &options.0, &headers)?;
    let headers = [(header::CONTENT_TYPE, format.media_type()), (header::VARY, "accept")];
    Ok((headers, small))
}

/// The whole way of a picture.
pub fn process(picture: &[u8], options: &Options, headers: &HeaderMap) -> Result<(Format, Vec<u8>), Error> {
    options.check()?;
    let source = decode::Source::open(picture)?;
    let format = options.format(headers, source.format())?;
    let orientation = source.orientation();
    let plan = geometry::plan(source.size(), orientation.swaps_sides(), options);
    decode::must_be_bearable("the answer", plan.target)?;
    let decoded = source.decode(&plan)?;
    let resized = resize::resize(decoded, &plan)?;
    let upright = orientation.apply(resized);
    Ok((format, encode::encode(upright, format, options.quality)?))
}
