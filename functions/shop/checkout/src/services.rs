//! What a checkout asks of the other services.

use std::time::Duration;

use gust_sdk::{Error, Method, Response, StatusCode};
use shop_api::{Cart, OrderLines, Product, Short, ask, read};

/// The longest that an answer may take.
const WITHIN: Duration = Duration::from_secs(5);

/// The other services. Whatever changes something may be asked for again and is done once.
pub trait Services {
    fn cart(&self, id: &str) -> Result<Cart, Error>;
    fn products(&self) -> Result<Vec<Product>, Error>;
    /// Takes the lines from the stock, or says what there is not enough of.
    fn take(&self, order: &OrderLines) -> Result<Vec<Short>, Error>;
    fn give_back(&self, order: &OrderLines) -> Result<(), Error>;
    /// Takes the lines out of the cart.
    fn bought(&self, cart: &str, order: &OrderLines) -> Result<(), Error>;
}

/// The functions of the app.
pub struct Called;

impl Services for Called {
    fn cart(&self, id: &str) -> Result<Cart, Error> {
        read("shop-cart", &ask("shop-cart", Method::GET, &format!("/{id}"), "".into(), WITHIN)?)
    }

    fn products(&self) -> Result<Vec<Product>, Error> {
        read("shop-products", &ask("shop-products", Method::GET, "/", "".into(), WITHIN)?)
    }

    fn take(&self, order: &OrderLines) -> Result<Vec<Short>, Error> {
        let answer = post("shop-products", "/take", order)?;
        match answer.status() {
            StatusCode::CONFLICT => Ok(serde_json::from_slice(answer.body())?),
            _ => done("shop-products", &answer).map(|()| Vec::new()),
        }
    }

    fn give_back(&self, order: &OrderLines) -> Result<(), Error> {
        done("shop-products", &post("shop-products", "/give-back", order)?)
    }

    fn bought(&self, cart: &str, order: &OrderLines) -> Result<(), Error> {
        done("shop-cart", &post("shop-cart", &format!("/{cart}/bought"), order)?)
    }
}

fn post(service: &str, path: &str, order: &OrderLines) -> Result<Response, Error> {
    ask(service, Method::POST, path, serde_json::to_vec(order)?.into(), WITHIN)
}

fn done(service: &str, answer: &Response) -> Result<(), Error> {
    let status = answer.status();
    if status.is_success() { Ok(()) } else { Err(Error::failed(format!("{service} answered {status}"))) }
}
