//! The catalogue, what is found in it, and one product of it.

use gust_sdk::{Error, Response, StatusCode, log};
use maud::{Markup, html};
use shop_api::{Product, QUANTITY_MAX};

use super::{closed, price};
use crate::{services, visit::Visit};

/// Of how few there are left a page says so.
const FEW: u32 = 3;

pub fn catalogue(visit: &Visit, query: &str) -> Response {
    let all = match services::products() {
        Ok(all) => all,
        Err(error) => return closed(visit, "The shelves cannot be reached", &error),
    };
    let found = (!query.is_empty()).then(|| services::search(query));
    let content = match found {
        None => html! {
            section.hero { h1 { "Things that are used every day" } p { "Eight of them, made to be used for a long time." } }
            (shelf(visit, &all))
        },
        Some(Ok(ids)) => {
            let found: Vec<Product> =
                ids.iter().filter_map(|id| all.iter().find(|product| product.id == *id).cloned()).collect();
            html! {
                section.hero {
                    @if found.is_empty() { h1 { "Nothing is like “" (query) "”" } p { "This is all there is:" } }
                    @else { h1 { "Like “" (query) "”" } p { (found.len()) " found. " a href=(visit.to("/")) { "Show everything" } } }
                }
                (shelf(visit, if found.is_empty() { &all } else { &found }))
            }
        }
        Some(Err(error)) => unsearched(visit, &all, &error),
    };
    visit.page(StatusCode::OK, "Catalogue", query, &content)
}

/// The search does not answer well: the catalogue is there all the same.
fn unsearched(visit: &Visit, all: &[Product], error: &Error) -> Markup {
    log::warn(format_args!("the search: {error}"));
    html! {
        p.notice role="status" { "The search is having a rest, so here is everything that we have." }
        section.hero { h1 { "Things that are used every day" } }
        (shelf(visit, all))
    }
}

fn shelf(visit: &Visit, products: &[Product]) -> Markup {
    html! {
        ul.shelf {
            @for product in products {
                li.card {
                    a href=(visit.to(&format!("/product/{}", product.id))) {
                        (picture(visit, product, true))
                        span.name { (product.name) }
                    }
                    p.below { (price(product.price_cents)) (left(product)) }
                }
            }
        }
    }
}

fn picture(visit: &Visit, product: &Product, is_lazy: bool) -> Markup {
    let source = visit.to(&format!("/picture/{}.svg", product.id));
    html! { img src=(source) alt=(product.alt) width="400" height="300" loading=[is_lazy.then_some("lazy")]; }
}

fn left(product: &Product) -> Markup {
    html! {
        @if product.left == 0 { span.left { "Sold out" } }
        @else if product.left <= FEW { span.left { "Only " (product.left) " left" } }
    }
}

pub fn product(visit: &Visit, id: &str) -> Response {
    let product = match services::product(id) {
        Ok(Some(product)) => product,
        Ok(None) => {
            return visit.note(StatusCode::NOT_FOUND, "We do not have that", "It may be sold under another name.");
        }
        Err(error) => return closed(visit, "The shelves cannot be reached", &error),
    };
    let content = html! {
        nav.crumbs aria-label="Where this is" { a href=(visit.to("/")) { "Catalogue" } " / " (product.name) }
        article.product {
            (picture(visit, &product, false))
            div {
                h1 { (product.name) }
                p.below { (price(product.price_cents)) (left(&product)) }
                p { (product.about) }
                @if product.left > 0 { (add(visit, &product)) }
            }
        }
    };
    visit.page(StatusCode::OK, &product.name, "", &content)
}

fn add(visit: &Visit, product: &Product) -> Markup {
    html! {
        form.add method="post" action=(visit.to("/cart/add")) {
            (visit.token())
            input type="hidden" name="product" value=(product.id);
            label for="quantity" { "How many" }
            input id="quantity" type="number" name="quantity" value="1" min="1" max=(QUANTITY_MAX.min(product.left)) required;
            button.main { "Put into the cart" }
        }
    }
}

#[cfg(test)]
mod tests {
    use gust_sdk::{Bytes, http};

    use super::*;

    #[test]
    fn what_services_say_is_text_and_never_markup() {
        let visit = Visit::of(&http::Request::get("/").body(Bytes::new()).unwrap()).unwrap();
        let evil = "\"><script>alert(1)</script>".to_owned();
        let (id, name, about, alt) = (evil.clone(), evil.clone(), evil.clone(), evil);
        let page = shelf(&visit, &[Product { id, name, about, alt, price_cents: 5, left: 2 }]).into_string();
        assert!(!page.contains("<script") && page.contains("€0.05") && page.contains("Only 2 left"), "{page}");
    }
}
