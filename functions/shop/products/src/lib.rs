//! The shop's products and what is left of them. Nobody else touches the stock.
//!
//! ```text
//! GET  /            all products
//! GET  /{id}        one
//! POST /take        the lines of an order leave the stock, all of them or none (409 says which are short)
//! POST /give-back   the lines of an order come back
//! ```
//!
//! Both changes may be asked for again and are made once.

mod stock;

use std::sync::LazyLock;

use gust_sdk::{Bytes, Error, IntoResponse, Json, Method, PathRest, Response, StatusCode, handler, init};
use serde::Deserialize;
use shop_api::{OrderLines, Product, Short};

/// A product as `catalogue.json` has it. The search's index is made of the same file.
#[derive(Deserialize)]
struct Kept {
    id: String,
    name: String,
    about: String,
    price_cents: u64,
    alt: String,
    /// How many there are before the first is sold.
    stock: u32,
}

static CATALOGUE: LazyLock<Vec<Kept>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../catalogue.json")).unwrap_or_default());

#[init]
fn read_catalogue() -> Result<(), String> {
    if CATALOGUE.is_empty() { Err("catalogue.json cannot be read".to_owned()) } else { Ok(()) }
}

#[handler]
fn products(method: Method, PathRest(path): PathRest, body: Bytes) -> Result<Response, Error> {
    match (method.as_str(), path.trim_start_matches('/')) {
        ("GET", "") => {
            let all = CATALOGUE.iter().map(product).collect::<Result<Vec<_>, _>>()?;
            Ok(Json(all).into_response())
        }
        ("GET", id) => Ok(Json(product(kept(id)?)?).into_response()),
        ("POST", "take") => take(&serde_json::from_slice(&body)?),
        ("POST", "give-back") => give_back(&serde_json::from_slice(&body)?).map(IntoResponse::into_response),
        _ => Err(Error::new(StatusCode::METHOD_NOT_ALLOWED, "there are GET, POST /take and POST /give-back")),
    }
}

fn kept(id: &str) -> Result<&'static Kept, Error> {
    let found = CATALOGUE.iter().find(|kept| kept.id == id);
    found.ok_or_else(|| Error::new(StatusCode::NOT_FOUND, "there is no such product"))
}

fn product(kept: &Kept) -> Result<Product, Error> {
    Ok(Product {
        id: kept.id.clone(),
        name: kept.name.clone(),
        about: kept.about.clone(),
        price_cents: kept.price_cents,
        alt: kept.alt.clone(),
        left: stock::left(&kept.id, kept.stock)?,
    })
}

fn take(order: &OrderLines) -> Result<Response, Error> {
    let mut short = Vec::new();
    for line in &order.lines {
        let left = match kept(&line.product) {
            Ok(kept) => stock::take(&kept.id, kept.stock, order.order, line.quantity)?,
            Err(_) => Some(0),
        };
        short.extend(left.map(|left| Short { product: line.product.clone(), left }));
    }
    if short.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    give_back(order)?;
    Ok((StatusCode::CONFLICT, Json(short)).into_response())
}

fn give_back(order: &OrderLines) -> Result<(), Error> {
    let known = order.lines.iter().filter_map(|line| kept(&line.product).ok());
    known.into_iter().try_for_each(|kept| stock::give_back(&kept.id, kept.stock, order.order))
}

#[cfg(test)]
mod tests {
    use shop_api::Line;

    use super::*;

    fn post(path: &str, order: u64, lines: &[(&str, u32)]) -> Response {
        let line = |(product, quantity): &(&str, u32)| Line { product: (*product).to_owned(), quantity: *quantity };
        let order = OrderLines { order, lines: lines.iter().map(line).collect() };
        let body = Bytes::from(serde_json::to_vec(&order).unwrap());
        products(Method::POST, PathRest(path.to_owned()), body).unwrap()
    }

    fn left(id: &str) -> u32 {
        let answer = products(Method::GET, PathRest(format!("/{id}")), Bytes::new()).unwrap();
        serde_json::from_slice::<Product>(answer.body()).unwrap().left
    }

    #[test]
    fn the_catalogue_is_whole() {
        let answer = products(Method::GET, PathRest("/".to_owned()), Bytes::new()).unwrap();
        let all: Vec<Product> = serde_json::from_slice(answer.body()).unwrap();
        assert!(all.len() >= 8 && all.iter().all(|product| product.price_cents > 0 && product.left > 0));
        for product in all {
            let picture = format!("{}/pictures/{}.svg", env!("CARGO_MANIFEST_DIR"), product.id);
            assert!(std::fs::read_to_string(&picture).unwrap().starts_with("<svg"), "{picture}");
        }
        let unknown = products(Method::GET, PathRest("/nothing".to_owned()), Bytes::new());
        assert_eq!(unknown.unwrap_err().status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn an_order_takes_all_of_it_or_nothing_and_once() {
        let (mugs, bells) = (left("mug"), left("bell"));
        let too_many = post("/take", 1, &[("mug", 2), ("bell", bells + 1), ("nothing", 1)]);
        assert_eq!(too_many.status(), StatusCode::CONFLICT);
        let short: Vec<Short> = serde_json::from_slice(too_many.body()).unwrap();
        assert_eq!(short.iter().map(|short| short.left).collect::<Vec<_>>(), [bells, 0]);
        assert_eq!((left("mug"), left("bell")), (mugs, bells));
        for _ in 0..2 {
            assert_eq!(post("/take", 2, &[("mug", 2), ("bell", 1)]).status(), StatusCode::NO_CONTENT);
            assert_eq!((left("mug"), left("bell")), (mugs - 2, bells - 1));
        }
        for _ in 0..2 {
            assert_eq!(post("/give-back", 2, &[("mug", 2), ("bell", 1)]).status(), StatusCode::NO_CONTENT);
            assert_eq!((left("mug"), left("bell")), (mugs, bells));
        }
    }
}
