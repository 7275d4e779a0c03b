//! The smallest function: greets by name. It shows a handler with one extractor and its test.

use std::borrow::Cow;

use gust_sdk::{Query, handler};
use serde::Deserialize;

/// What the query may say.
#[derive(Deserialize)]
struct Whom {
    #[serde(default = "everyone")]
    name: Cow<'static, str>,
}

fn everyone() -> Cow<'static, str> {
    Cow::Borrowed("world")
}

/// `GET /hello?name=Ada`
#[handler]
fn hello(Query(whom): Query<Whom>) -> String {
    format!("Hello, {}!", whom.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greets_by_name_and_everyone() {
        assert_eq!(hello(Query(Whom { name: "Ada".into() })), "Hello, Ada!");
        assert_eq!(hello(Query(Whom { name: everyone() })), "Hello, world!");
    }
}
