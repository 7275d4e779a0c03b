//! What the shop's services say to each other, and how one asks another.
//!
//! Each service is deployed by itself, so these types are promises between versions: what is added later has a default.

use std::time::Duration;

use gust_sdk::{Bytes, Error, Method, Response, StatusCode, Timeouts, header, http::Request, send_within};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The most of one product in a cart.
pub const QUANTITY_MAX: u32 = 20;

/// A product, with what is left of it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub id: String,
    pub name: String,
    pub about: String,
    pub price_cents: u64,
    /// What its picture shows, for those who do not see it.
    pub alt: String,
    pub left: u32,
}

/// So many of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub product: String,
    pub quantity: u32,
}

/// What somebody wants to buy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cart {
    pub lines: Vec<Line>,
}

/// Lines of an order: to be taken from the stock, to be given back to it, or to leave a cart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrderLines {
    pub order: u64,
    pub lines: Vec<Line>,
}

/// A product of which there is not enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Short {
    pub product: String,
    pub left: u32,
}

/// A filled-in form. Whoever sends the same `key` for the same cart again gets the same order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Purchase {
    pub key: String,
    pub cart: String,
    pub name: String,
    pub email: String,
    pub address: String,
    /// The total that the buyer saw.
    pub seen_cents: u64,
}

/// Something that is wrong with a purchase: at a field of the form, or at the `cart`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrong {
    pub field: String,
    pub text: String,
}

/// A line of an order, at the price of its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bought {
    pub product: String,
    pub name: String,
    pub quantity: u32,
    pub price_cents: u64,
}

/// What was bought, as the buyer is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub number: u64,
    pub name: String,
    pub lines: Vec<Bought>,
    pub total_cents: u64,
}

/// Asks a service of the shop. Its answer may have any status.
pub fn ask(service: &str, method: Method, path: &str, body: Bytes, within: Duration) -> Result<Response, Error> {
    let request = Request::builder().method(method).uri(format!("http://{service}.gust.internal{path}"));
    let request = request.header(header::CONTENT_TYPE, "application/json").body(body)?;
    let timeouts = Timeouts { first_byte: Some(within), between_bytes: Some(within), ..Timeouts::default() };
    send_within(timeouts, request)
}

/// What an answer says, where it is 200.
pub fn read<T: DeserializeOwned>(service: &str, answer: &Response) -> Result<T, Error> {
    if answer.status() != StatusCode::OK {
        return Err(Error::failed(format!("{service} answered {}", answer.status())));
    }
    Ok(serde_json::from_slice(answer.body())?)
}

/// Whether a text is what a session is named by: 32 hexadecimal digits.
pub fn is_session(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_drawn_names_a_session() {
        assert!(is_session(&"0f".repeat(16)));
        for text in ["", "0f", &"0F".repeat(16), &"0g".repeat(16), &"0f".repeat(17), "../../../../../../../../../../.."]
        {
            assert!(!is_session(text), "{text}");
        }
    }

    #[test]
    fn an_answer_counts_where_it_is_200() {
        let answer = |status: u16, body: &'static str| {
            gust_sdk::http::Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap()
        };
        assert_eq!(read::<Cart>("x", &answer(200, r#"{"lines":[]}"#)).unwrap(), Cart::default());
        assert!(read::<Cart>("x", &answer(500, r#"{"lines":[]}"#)).unwrap_err().message().contains("x answered 500"));
        assert!(read::<Cart>("x", &answer(200, "<html>")).is_err());
    }
}
