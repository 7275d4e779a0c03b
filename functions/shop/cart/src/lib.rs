//! Carts, in a bucket whose values are gone after a week.
//!
//! ```text
//! GET  /{cart}          what is in it
//! POST /{cart}/lines    {"product", "quantity"}: so many more
//! PUT  /{cart}/lines    {"product", "quantity"}: so many; 0 removes it
//! POST /{cart}/bought   {"order", "lines"}: what an order bought leaves it, once
//! ```
//!
//! Every change compares and swaps, so that two tabs of a browser do not lose each other's.

use gust_sdk::{Bytes, Error, IntoResponse, Json, Method, PathRest, Response, StatusCode, handler, kv};
use serde::{Deserialize, Serialize};
use shop_api::{Cart, Line, OrderLines, QUANTITY_MAX, is_session};

/// Different products in one cart.
const LINES_MAX: usize = 50;

/// The longest id of a product.
const PRODUCT_BYTES_MAX: usize = 64;

#[derive(Default, Serialize, Deserialize)]
struct Kept {
    cart: Cart,
    /// The order that emptied it last.
    bought: Option<u64>,
}

#[handler]
fn cart(method: Method, PathRest(path): PathRest, body: Bytes) -> Result<Response, Error> {
    let (id, rest) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    if !is_session(id) {
        return Err(Error::new(StatusCode::NOT_FOUND, "a cart has 32 hexadecimal digits"));
    }
    match (method.as_str(), rest) {
        ("GET", "") => {
            let kept: Option<Kept> = kv::bucket("carts")?.get_json(id)?;
            Ok(Json(kept.unwrap_or_default().cart).into_response())
        }
        ("POST", "lines") => put(id, &line(&body)?, |before, quantity| before.saturating_add(quantity)),
        ("PUT", "lines") => put(id, &line(&body)?, |_, quantity| quantity),
        ("POST", "bought") => {
            let order: OrderLines = serde_json::from_slice(&body)?;
            change(id, |kept| bought(kept, &order))
        }
        _ => Err(Error::new(StatusCode::METHOD_NOT_ALLOWED, "there are GET, POST and PUT /lines, and POST /bought")),
    }
}

fn line(body: &[u8]) -> Result<Line, Error> {
    let line: Line = serde_json::from_slice(body)?;
    if line.product.is_empty() || line.product.len() > PRODUCT_BYTES_MAX {
        return Err(unfit("there is no such product"));
    }
    Ok(line)
}

fn unfit(text: impl Into<String>) -> Error {
    Error::new(StatusCode::UNPROCESSABLE_ENTITY, text)
}

/// Sets a line's quantity, made of the one before and the one that was said.
fn put(id: &str, line: &Line, quantity: impl Fn(u32, u32) -> u32) -> Result<Response, Error> {
    let mut refused = None;
    let answer = change(id, |kept| {
        let lines = &mut kept.cart.lines;
        let at = lines.iter().position(|other| other.product == line.product);
        let before = at.and_then(|at| lines.get(at)).map_or(0, |line| line.quantity);
        let after = quantity(before, line.quantity);
        refused = match at {
            _ if after > QUANTITY_MAX => Some(format!("at most {QUANTITY_MAX} of one product")),
            None if lines.len() >= LINES_MAX => Some(format!("at most {LINES_MAX} different products")),
            _ => None,
        };
        match at {
            _ if refused.is_some() => {}
            None => lines.push(Line { product: line.product.clone(), quantity: after }),
            Some(at) => lines[at].quantity = after,
        }
        lines.retain(|line| line.quantity > 0);
    });
    refused.map_or(answer, |text| Err(unfit(text)))
}

/// What came into the cart while it was bought stays there.
fn bought(kept: &mut Kept, order: &OrderLines) {
    if kept.bought.is_some_and(|before| before >= order.order) {
        return;
    }
    kept.bought = Some(order.order);
    for line in &mut kept.cart.lines {
        let bought = order.lines.iter().find(|bought| bought.product == line.product);
        line.quantity = line.quantity.saturating_sub(bought.map_or(0, |bought| bought.quantity));
    }
    kept.cart.lines.retain(|line| line.quantity > 0);
}

/// Changes a cart without losing anybody else's change, and answers with it.
fn change(id: &str, mut change: impl FnMut(&mut Kept)) -> Result<Response, Error> {
    let value = kv::bucket("carts")?.update(id, |old| {
        let mut kept: Kept = old.and_then(|old| serde_json::from_slice(&old).ok()).unwrap_or_default();
        change(&mut kept);
        serde_json::to_vec(&kept).unwrap_or_default()
    })?;
    Ok(Json(serde_json::from_slice::<Kept>(&value)?.cart).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00112233445566778899aabbccddeeff";

    fn ask(method: Method, rest: &str, body: &str) -> Result<Vec<(String, u32)>, Error> {
        let answer = cart(method, PathRest(format!("/{ID}{rest}")), Bytes::from(body.to_owned()))?;
        let cart: Cart = serde_json::from_slice(answer.body())?;
        Ok(cart.lines.into_iter().map(|line| (line.product, line.quantity)).collect())
    }

    fn line(product: &str, quantity: u32) -> String {
        format!(r#"{{"product":"{product}","quantity":{quantity}}}"#)
    }

    #[test]
    fn lines_are_added_changed_and_removed() {
        assert_eq!(ask(Method::GET, "", "").unwrap(), []);
        ask(Method::POST, "/lines", &line("mug", 2)).unwrap();
        ask(Method::POST, "/lines", &line("mug", 3)).unwrap();
        let both = ask(Method::POST, "/lines", &line("bell", 1)).unwrap();
        assert_eq!(both, [("mug".to_owned(), 5), ("bell".to_owned(), 1)]);
        assert_eq!(ask(Method::PUT, "/lines", &line("mug", 0)).unwrap(), [("bell".to_owned(), 1)]);
        assert_eq!(ask(Method::GET, "", "").unwrap(), [("bell".to_owned(), 1)]);
    }

    #[test]
    fn what_is_too_much_is_refused_and_changes_nothing() {
        ask(Method::POST, "/lines", &line("mug", QUANTITY_MAX)).unwrap();
        for (method, quantity) in [(Method::POST, 1), (Method::POST, u32::MAX), (Method::PUT, QUANTITY_MAX + 1)] {
            let refused = ask(method, "/lines", &line("mug", quantity)).unwrap_err();
            assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        }
        (1..LINES_MAX).for_each(|n| drop(ask(Method::POST, "/lines", &line(&n.to_string(), 1)).unwrap()));
        assert!(ask(Method::POST, "/lines", &line("more", 1)).unwrap_err().message().contains("different"));
        let lines = ask(Method::GET, "", "").unwrap();
        assert_eq!((lines.len(), lines[0].1), (LINES_MAX, QUANTITY_MAX));
        assert!(cart(Method::GET, PathRest("/..".to_owned()), Bytes::new()).is_err());
    }

    #[test]
    fn what_was_bought_leaves_once_and_what_came_since_stays() {
        ask(Method::POST, "/lines", &line("mug", 3)).unwrap();
        ask(Method::POST, "/lines", &line("bell", 1)).unwrap();
        let order = format!(r#"{{"order":7,"lines":[{},{}]}}"#, line("mug", 2), line("bell", 1));
        for _ in 0..2 {
            assert_eq!(ask(Method::POST, "/bought", &order).unwrap(), [("mug".to_owned(), 1)]);
        }
    }
}
