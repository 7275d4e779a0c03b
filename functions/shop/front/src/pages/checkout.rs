//! Buying, and the thanks for it.

use gust_sdk::{Response, StatusCode, log};
use maud::{Markup, html};
use serde::Deserialize;
use shop_api::{Cart, Product, Purchase, Receipt, Wrong, is_session};

use super::{cart::total_cents, closed, price};
use crate::{
    services, session,
    visit::{Visit, form},
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Filled {
    key: String,
    seen_cents: u64,
    name: String,
    email: String,
    address: String,
}

/// A field of the form: its name, its label, and what browsers may fill in.
const FIELDS: [(&str, &str, &str); 3] =
    [("name", "Name", "name"), ("email", "E-mail", "email"), ("address", "Address", "street-address")];

pub fn empty(visit: &Visit) -> Response {
    match session::random() {
        Ok(key) => show(visit, StatusCode::OK, &Filled { key, ..Filled::default() }, &[]),
        Err(error) => closed(visit, "The checkout is closed", &error),
    }
}

pub fn buy(visit: &Visit, body: &[u8]) -> Response {
    let filled: Filled = form(body);
    if !is_session(&filled.key) {
        return visit.redirect("/checkout");
    }
    let purchase = Purchase {
        key: filled.key.clone(),
        cart: visit.session.clone(),
        name: filled.name.clone(),
        email: filled.email.clone(),
        address: filled.address.clone(),
        seen_cents: filled.seen_cents,
    };
    match services::buy(&purchase) {
        Ok(Ok(receipt)) => visit.redirect(&format!("/thanks?order={}", receipt.number)),
        // What was refused stays refused under its key.
        Ok(Err(wrong)) => match session::random() {
            Ok(key) => show(visit, StatusCode::UNPROCESSABLE_ENTITY, &Filled { key, ..filled }, &wrong),
            Err(error) => closed(visit, "The checkout is closed", &error),
        },
        // It may have been bought all the same: the form keeps its key, so that sending it again buys nothing twice.
        Err(error) => {
            log::warn(format_args!("the checkout: {error}"));
            let text =
                "The checkout did not answer. You can press “Buy” again: what was bought already is not bought twice.";
            let wrong = Wrong { field: "cart".to_owned(), text: text.to_owned() };
            show(visit, StatusCode::SERVICE_UNAVAILABLE, &filled, &[wrong])
        }
    }
}

fn show(visit: &Visit, status: StatusCode, filled: &Filled, wrong: &[Wrong]) -> Response {
    let cart = match services::cart(&visit.session) {
        Ok(cart) => cart,
        Err(error) => return closed(visit, "The cart cannot be reached", &error),
    };
    let products = match services::products() {
        Ok(products) => products,
        Err(error) => return closed(visit, "The shelves cannot be reached", &error),
    };
    if cart.lines.is_empty() && wrong.is_empty() {
        return visit.redirect("/cart");
    }
    let content = html! {
        h1 { "Checkout" }
        @if !wrong.is_empty() {
            div.notice.wrong role="alert" {
                p { "Nothing was bought yet:" }
                ul { @for wrong in wrong { li { @if wrong.field == "cart" { (wrong.text) } @else { a href={ "#" (wrong.field) } { (wrong.text) } } } } }
            }
        }
        div.checkout {
            (fields(visit, filled, wrong, total_cents(&cart, &products)))
            (summary(visit, &cart, &products))
        }
    };
    visit.page(status, "Checkout", "", &content)
}

fn fields(visit: &Visit, filled: &Filled, wrong: &[Wrong], seen_cents: u64) -> Markup {
    let of = |name: &str| match name {
        "name" => &filled.name,
        "email" => &filled.email,
        _ => &filled.address,
    };
    html! {
        form.fields method="post" action=(visit.to("/checkout")) novalidate {
            (visit.token())
            input type="hidden" name="key" value=(filled.key);
            input type="hidden" name="seen_cents" value=(seen_cents);
            @for (name, label, fill) in FIELDS {
                @let told = wrong.iter().find(|wrong| wrong.field == name);
                @let about = told.map(|_| format!("{name}-wrong"));
                label for=(name) { (label) }
                @if name == "address" {
                    textarea id=(name) name=(name) rows="3" autocomplete=(fill) required aria-invalid=[told.map(|_| "true")] aria-describedby=[&about] { (of(name)) }
                } @else {
                    input id=(name) name=(name) type=(if name == "email" { "email" } else { "text" }) autocomplete=(fill) value=(of(name)) required aria-invalid=[told.map(|_| "true")] aria-describedby=[&about];
                }
                @if let Some(told) = told { p.told id=[&about] { (told.text) } }
            }
            button.main { "Buy for " (price(seen_cents)) }
        }
    }
}

fn summary(visit: &Visit, cart: &Cart, products: &[Product]) -> Markup {
    let name = |id: &str| {
        products.iter().find(|product| product.id == id).map_or("Not sold any more", |product| &product.name).to_owned()
    };
    html! {
        aside.summary aria-labelledby="summary" {
            h2 id="summary" { "What you buy" }
            ul { @for line in &cart.lines { li { (line.quantity) " × " (name(&line.product)) } } }
            p.total { "Together " (price(total_cents(cart, products))) }
            p { a href=(visit.to("/cart")) { "Change the cart" } }
        }
    }
}

pub fn thanks(visit: &Visit, order: u64) -> Response {
    match services::receipt(&visit.session, order) {
        Ok(Some(receipt)) => visit.page(StatusCode::OK, "Thank you", "", &thanked(visit, &receipt)),
        Ok(None) => {
            visit.note(StatusCode::NOT_FOUND, "There is no such order", "Orders are shown to those who made them.")
        }
        Err(error) => closed(visit, "Your order cannot be shown now", &error),
    }
}

fn thanked(visit: &Visit, receipt: &Receipt) -> Markup {
    html! {
        section.thanks {
            h1 { "Thank you, " (receipt.name) }
            p { "Your order has the number " strong id="order" { (receipt.number) } "." }
            ul.bought {
                @for line in &receipt.lines {
                    li { span { (line.quantity) " × " (line.name) } (price(line.price_cents * u64::from(line.quantity))) }
                }
            }
            p.total { "Together " (price(receipt.total_cents)) }
            p { a.button href=(visit.to("/")) { "Back to the catalogue" } }
        }
    }
}
