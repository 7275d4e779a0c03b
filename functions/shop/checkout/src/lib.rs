//! Makes orders of carts: `POST /` with a purchase, `GET /{number}?cart=` for what was bought.
//!
//! What is wrong with a purchase is answered with 422 and the fields; else it is an order, and the same purchase again is the same
//! order: see [`order`].

mod order;
mod services;
mod wrong;

use gust_sdk::{Bytes, Error, IntoResponse, Json, Method, PathRest, Query, Response, StatusCode, handler};
use order::Outcome;
use serde::Deserialize;
use services::Called;

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    cart: String,
}

#[handler]
fn checkout(
    method: Method,
    PathRest(path): PathRest,
    Query(asked): Query<Asked>,
    body: Bytes,
) -> Result<Response, Error> {
    match (method.as_str(), path.trim_start_matches('/')) {
        ("POST", "") => Ok(match order::buy(&serde_json::from_slice(&body)?, &Called)? {
            Outcome::Bought(receipt) => Json(receipt).into_response(),
            Outcome::Refused(wrong) => (StatusCode::UNPROCESSABLE_ENTITY, Json(wrong)).into_response(),
        }),
        ("GET", number) => {
            let receipt = number.parse().ok().map(|number| order::receipt(number, &asked.cart)).transpose()?.flatten();
            receipt
                .map(|receipt| Json(receipt).into_response())
                .ok_or_else(|| Error::new(StatusCode::NOT_FOUND, "there is no such order"))
        }
        _ => Err(Error::new(StatusCode::METHOD_NOT_ALLOWED, "there are POST / and GET /{number}")),
    }
}
