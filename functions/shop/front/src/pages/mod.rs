//! The pages, and what several of them have.

pub mod cart;
pub mod catalogue;
pub mod checkout;

use gust_sdk::{Error, Response, StatusCode, log};
use maud::{Markup, html};

use crate::visit::Visit;

/// A price, as people write it.
fn price(cents: u64) -> Markup {
    html! { span.price { "€" (cents / 100) "." (format!("{:02}", cents % 100)) } }
}

/// Where a page cannot be without a service. Why is in the log.
fn closed(visit: &Visit, what: &str, error: &Error) -> Response {
    log::warn(format_args!("{what}: {error}"));
    let text = "We are looking for what is wrong. Please come back in a minute: nothing that you did is lost.";
    visit.note(StatusCode::SERVICE_UNAVAILABLE, what, text)
}
