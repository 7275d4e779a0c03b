//! One request of a visitor: where the shop is mounted, whose cart it is, and what every page has around it.

use gust_sdk::{Error, HeaderValue, Html, IntoResponse, Request, Response, StatusCode, header};
use maud::{DOCTYPE, Markup, html};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{assets, services, session};

/// Nothing is loaded, sent or framed but by and to the shop itself.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub struct Visit {
    /// What comes before the paths of the shop's own.
    prefix: String,
    pub session: String,
    /// Set where the browser had no session.
    cookie: Option<String>,
    is_cross_site: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Token {
    token: String,
}

impl Visit {
    pub fn of(request: &Request) -> Result<Self, Error> {
        let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let prefix = text("x-forwarded-prefix").trim_end_matches('/').to_owned();
        let known = session::of(request.headers());
        let session = known.clone().map_or_else(session::random, Ok)?;
        let is_https = request.uri().scheme_str() == Some("https");
        let path = if prefix.is_empty() { "/" } else { &prefix };
        let cookie = known.is_none().then(|| session::cookie(&session, path, is_https));
        Ok(Self { cookie, session, is_cross_site: text("sec-fetch-site") == "cross-site", prefix })
    }

    /// A link to a path of the shop.
    pub fn to(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// Whether a form came from a page of this visitor's.
    pub fn may_post(&self, body: &[u8]) -> bool {
        let sent: Token = form(body);
        self.cookie.is_none() && !self.is_cross_site && sent.token == session::token(&self.session)
    }

    /// A form's hidden field.
    pub fn token(&self) -> Markup {
        html! { input type="hidden" name="token" value=(session::token(&self.session)); }
    }

    /// The browser goes on to another page, so that loading that again sends no form again.
    pub fn redirect(&self, path: &str) -> Response {
        (StatusCode::SEE_OTHER, [(header::LOCATION, self.to(path))], "").into_response()
    }

    /// A page that only says something.
    pub fn note(&self, status: StatusCode, title: &str, text: &str) -> Response {
        let content = html! {
            section.plain { h1 { (title) } p { (text) } p { a.button href=(self.to("/")) { "To the catalogue" } } }
        };
        self.page(status, title, "", &content)
    }

    /// A whole page. Its head has the cart's size, where the cart says it.
    pub fn page(&self, status: StatusCode, title: &str, query: &str, content: &Markup) -> Response {
        let cart = services::cart(&self.session);
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · Harbour Street" }
                    link rel="stylesheet" href=(self.to(&assets::style_path()));
                    link rel="icon" href=(self.to("/picture/teapot.svg"));
                }
                body {
                    a.skip href="#main" { "To the content" }
                    header.top {
                        a.brand href=(self.to("/")) { "Harbour Street" }
                        form.search role="search" action=(self.to("/")) {
                            label.hidden for="q" { "Search the shop" }
                            input id="q" type="search" name="q" value=(query) placeholder="Teapot, light, rain…" maxlength="100";
                            button { "Search" }
                        }
                        a.to-cart href=(self.to("/cart")) {
                            "Cart"
                            @if let Ok(cart) = &cart {
                                @let count: u32 = cart.lines.iter().map(|line| line.quantity).sum();
                                @if count > 0 { " " span.count { (count) span.hidden { " in it" } } }
                            }
                        }
                    }
                    main id="main" {
                        @if cart.is_err() {
                            p.notice role="status" { "The cart is out of order for the moment. Do look around; what was in it is kept." }
                        }
                        (content)
                    }
                    footer { p { "An example of functions that work together. Nothing is charged, and nothing is sent." } }
                }
            }
        };
        self.finished(status, page)
    }

    fn finished(&self, status: StatusCode, page: Markup) -> Response {
        let mut response = (status, Html(page.into_string())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        if let Some(Ok(cookie)) = self.cookie.as_deref().map(HeaderValue::from_str) {
            headers.insert(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// A form's fields; what cannot be read is empty.
pub fn form<T: DeserializeOwned + Default>(body: &[u8]) -> T {
    serde_urlencoded::from_bytes(body).unwrap_or_default()
}
