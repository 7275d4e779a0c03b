//! What the pages ask of the other services.

use std::time::Duration;

use gust_sdk::{Bytes, Error, Method, StatusCode};
use serde::Deserialize;
use shop_api::{Cart, Line, Product, Purchase, Receipt, Wrong, ask, read};

/// The longest that an answer may take, where a page cannot be without it.
const WITHIN: Duration = Duration::from_secs(10);

/// The longest that the search may take: the whole catalogue is soon looked through.
const SEARCH_WITHIN: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
struct Found {
    found: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    id: String,
}

pub fn products() -> Result<Vec<Product>, Error> {
    get("shop-products", "/")
}

/// A product; none where there is no such one.
pub fn product(id: &str) -> Result<Option<Product>, Error> {
    Ok(products()?.into_iter().find(|product| product.id == id))
}

/// The ids of what is found, the best first.
pub fn search(text: &str) -> Result<Vec<String>, Error> {
    let path = format!("/?{}", serde_urlencoded::to_string([("q", text)])?);
    let answer = ask("shop-search", Method::GET, &path, Bytes::new(), SEARCH_WITHIN)?;
    let found: Found = read("shop-search", &answer)?;
    Ok(found.found.into_iter().map(|hit| hit.id).collect())
}

pub fn cart(session: &str) -> Result<Cart, Error> {
    get("shop-cart", &format!("/{session}"))
}

/// Puts a line into the cart (`POST`) or changes it (`PUT`). The text says why it may not be.
pub fn put_line(session: &str, method: Method, line: &Line) -> Result<Result<(), String>, Error> {
    let answer = ask("shop-cart", method, &format!("/{session}/lines"), serde_json::to_vec(line)?.into(), WITHIN)?;
    if answer.status() == StatusCode::UNPROCESSABLE_ENTITY {
        let problem: serde_json::Value = serde_json::from_slice(answer.body())?;
        return Ok(Err(problem["detail"].as_str().unwrap_or("that is not possible").to_owned()));
    }
    read::<Cart>("shop-cart", &answer).map(|_| Ok(()))
}

/// Buys the cart, or says what is wrong.
pub fn buy(purchase: &Purchase) -> Result<Result<Receipt, Vec<Wrong>>, Error> {
    let answer = ask("shop-checkout", Method::POST, "/", serde_json::to_vec(purchase)?.into(), WITHIN)?;
    if answer.status() == StatusCode::UNPROCESSABLE_ENTITY {
        return Ok(Err(serde_json::from_slice(answer.body())?));
    }
    read("shop-checkout", &answer).map(Ok)
}

/// What an order of this session bought.
pub fn receipt(session: &str, order: u64) -> Result<Option<Receipt>, Error> {
    let answer = ask("shop-checkout", Method::GET, &format!("/{order}?cart={session}"), Bytes::new(), WITHIN)?;
    if answer.status() == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    read("shop-checkout", &answer).map(Some)
}

fn get<T: serde::de::DeserializeOwned>(service: &str, path: &str) -> Result<T, Error> {
    read(service, &ask(service, Method::GET, path, Bytes::new(), WITHIN)?)
}
