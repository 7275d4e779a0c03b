//! Who visits: a cookie with a random name of a cart, and a token for the forms of whoever has it.

use gust_sdk::{Error, HeaderMap, header};
use sha2::{Digest as _, Sha256};
use shop_api::is_session;

const COOKIE: &str = "shop";

/// As long as a cart lives.
const MAX_AGE_S: u32 = 7 * 86_400;

/// 128 random bits, in hexadecimal digits.
pub fn random() -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::failed(format!("there is no randomness: {error}")))?;
    Ok(hex(&bytes))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The session that a request names.
pub fn of(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == COOKIE && is_session(value)).map(|(_, value)| value.to_owned())
}

/// The header that gives a browser its session.
pub fn cookie(session: &str, path: &str, is_https: bool) -> String {
    let secure = if is_https { "; Secure" } else { "" };
    format!("{COOKIE}={session}; Path={path}; Max-Age={MAX_AGE_S}; HttpOnly; SameSite=Lax{secure}")
}

/// What the forms of a session carry. Another site knows no session, for no script reads its cookie, and so no token.
pub fn token(session: &str) -> String {
    hex(&Sha256::digest(format!("a form of {session}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let session = random().unwrap();
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, format!("a=b; shop=x; shop={session}; c").parse().unwrap());
        assert_eq!(of(&headers), Some(session.clone()));
        assert_ne!(random().unwrap(), session);
        assert_ne!(token(&session), token(&random().unwrap()));
        assert!(!token(&session).contains(&session));
        assert!(cookie(&session, "/", true).ends_with("; Secure") && !cookie(&session, "/", false).contains("Secure"));
    }
}
