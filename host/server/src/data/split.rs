//! Which of an alias's two versions a request meets: by chance, or what the client sends.

use gust_core::traffic::{Sticky, share_of};
use http::{HeaderMap, HeaderValue, header};

use crate::binding::Aliased;

/// A request's share of a split, from 0 to 99. A client that is to be kept by a cookie which it does not have yet is given one.
pub(super) fn share(aliased: &Aliased, headers: &HeaderMap, gives: &mut Option<HeaderValue>) -> u8 {
    match &aliased.sticky {
        None => by_chance(),
        Some(Sticky::Header(name)) => headers.get(name).map_or_else(by_chance, |value| share_of(value.as_bytes())),
        Some(Sticky::Cookie(name)) => match cookie(headers, name) {
            Some(value) => share_of(value.as_bytes()),
            None => {
                let value = format!("{:016x}", fastrand::u64(..));
                let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax");
                *gives = HeaderValue::from_str(&cookie).ok();
                share_of(value.as_bytes())
            }
        },
    }
}

/// A share by chance.
pub(super) fn by_chance() -> u8 {
    fastrand::u8(..100)
}

/// The value of a cookie (RFC 6265, section 5.4).
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; visitor=x=y;b=2"));
        headers.append(header::COOKIE, HeaderValue::from_static("late=3"));
        assert_eq!((cookie(&headers, "visitor"), cookie(&headers, "late")), (Some("x=y"), Some("3")));
        assert_eq!(cookie(&headers, "isitor"), None);
    }
}
