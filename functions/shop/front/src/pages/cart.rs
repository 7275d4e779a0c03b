//! The cart.

use gust_sdk::{Method, Response, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use shop_api::{Cart, Line, Product, QUANTITY_MAX};

use super::{closed, price};
use crate::{
    services,
    visit::{Visit, form},
};

/// A line of the cart with what is sold under its product's id.
struct Priced<'a> {
    line: &'a Line,
    product: Option<&'a Product>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Change {
    product: String,
    quantity: String,
}

impl Priced<'_> {
    fn cents(&self) -> u64 {
        self.product.map_or(0, |product| product.price_cents * u64::from(self.line.quantity))
    }
}

/// What a cart costs today.
pub fn total_cents(cart: &Cart, products: &[Product]) -> u64 {
    priced(cart, products).iter().map(Priced::cents).sum()
}

fn priced<'a>(cart: &'a Cart, products: &'a [Product]) -> Vec<Priced<'a>> {
    let with = |line: &'a Line| Priced { line, product: products.iter().find(|product| product.id == line.product) };
    cart.lines.iter().map(with).collect()
}

pub fn cart(visit: &Visit, added: &str, refused: Option<&str>) -> Response {
    let cart = match services::cart(&visit.session) {
        Ok(cart) => cart,
        Err(error) => return closed(visit, "The cart cannot be reached", &error),
    };
    let products = match services::products() {
        Ok(products) => products,
        Err(error) => return closed(visit, "The shelves cannot be reached", &error),
    };
    let added = products.iter().find(|product| product.id == added);
    let content = html! {
        h1 { "Your cart" }
        @if let Some(text) = refused { p.notice.wrong role="alert" { "That was not changed: " (text) "." } }
        @if let Some(product) = added { p.notice.good role="status" { (product.name) " is in your cart." } }
        @if cart.lines.is_empty() {
            section.plain { p { "There is nothing in it yet." } p { a.button href=(visit.to("/")) { "To the catalogue" } } }
        } @else {
            ul.lines { @for line in priced(&cart, &products) { (row(visit, &line)) } }
            p.total { "Together " (price(total_cents(&cart, &products))) }
            p.onward { a href=(visit.to("/")) { "Look for more" } a.button.main href=(visit.to("/checkout")) { "Go to checkout" } }
        }
    };
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    visit.page(status, "Cart", "", &content)
}

fn row(visit: &Visit, priced: &Priced) -> Markup {
    let id = &priced.line.product;
    let name = priced.product.map_or("Not sold any more", |product| &product.name);
    html! {
        li {
            img src=(visit.to(&format!("/picture/{id}.svg"))) alt="" width="96" height="72";
            a.name href=(visit.to(&format!("/product/{id}"))) { (name) }
            form method="post" action=(visit.to("/cart/change")) {
                (visit.token())
                input type="hidden" name="product" value=(id);
                label.hidden for=(format!("quantity-{id}")) { "How many of " (name) }
                input id=(format!("quantity-{id}")) type="number" name="quantity" value=(priced.line.quantity) min="0" max=(QUANTITY_MAX);
                button { "Change" span.hidden { " " (name) } }
            }
            form method="post" action=(visit.to("/cart/change")) {
                (visit.token())
                input type="hidden" name="product" value=(id);
                input type="hidden" name="quantity" value="0";
                button.quiet { "Remove" span.hidden { " " (name) } }
            }
            (price(priced.cents()))
        }
    }
}

pub fn add(visit: &Visit, body: &[u8]) -> Response {
    let change: Change = form(body);
    match services::product(&change.product) {
        Ok(Some(_)) => put(visit, Method::POST, &change, 1, &format!("/cart?added={}", change.product)),
        Ok(None) => visit.note(StatusCode::NOT_FOUND, "We do not have that", "Nothing was put into your cart."),
        Err(error) => closed(visit, "The shelves cannot be reached", &error),
    }
}

pub fn change(visit: &Visit, body: &[u8]) -> Response {
    put(visit, Method::PUT, &form(body), 0, "/cart")
}

fn put(visit: &Visit, method: Method, change: &Change, quantity_min: u32, onward: &str) -> Response {
    let quantity = change.quantity.trim().parse().ok().filter(|quantity| *quantity >= quantity_min);
    let Some(quantity) = quantity else {
        return cart(visit, "", Some(&format!("a number from {quantity_min} to {QUANTITY_MAX} is wanted")));
    };
    match services::put_line(&visit.session, method, &Line { product: change.product.clone(), quantity }) {
        Ok(Ok(())) => visit.redirect(onward),
        Ok(Err(text)) => cart(visit, "", Some(&text)),
        Err(error) => closed(visit, "The cart cannot be reached", &error),
    }
}
