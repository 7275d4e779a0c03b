//! A secret that is in use: it is shown to nobody by mistake, and overwritten when it is dropped.

use std::fmt;

use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret's text. There is no way to write it but [`SecretValue::expose`].
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct SecretValue(String);

impl SecretValue {
    /// The text, for whom it is meant.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretValue {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_expose_shows_it() {
        let secret: SecretValue = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "SecretValue(..) Some(SecretValue(..))");
    }

    #[test]
    fn it_is_overwritten() {
        let mut secret = SecretValue::from("hunter2".to_owned());
        secret.zeroize();
        assert_eq!(secret.expose(), "");
        fn overwritten_on_drop<T: ZeroizeOnDrop>(_: &T) {}
        overwritten_on_drop(&secret);
    }
}
