//! The shop as people see it: pages made here, of what the other services say.
//!
//! ```text
//! GET  /?q=teapot       the catalogue, or what the search finds in it
//! GET  /product/{id}
//! GET  /cart            POST /cart/add, POST /cart/change
//! GET  /checkout        POST /checkout
//! GET  /thanks?order=
//! GET  /picture/{name}  GET /style.css
//! ```
//!
//! A service that does not answer takes its own part of a page along and no more.

mod assets;
mod pages;
mod services;
mod session;
mod visit;

use gust_sdk::{Error, Method, Query, Request, Response, StatusCode, handler, init};
use serde::Deserialize;
use visit::Visit;

/// The style sheet's name is made of what is in it, once.
#[init]
fn ready() {
    assets::ready();
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
    added: String,
    order: u64,
}

#[handler]
fn shop(method: Method, query: Option<Query<Asked>>, request: Request) -> Result<Response, Error> {
    let asked = query.map(|query| query.0).unwrap_or_default();
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method.as_str(), segments.as_slice()) {
        ("GET" | "HEAD", ["style.css"]) => Ok(assets::style(request.headers())),
        ("GET" | "HEAD", ["picture", name]) => assets::picture(name, request.headers()),
        _ => Ok(answer(&method, &segments, &asked, &Visit::of(&request)?, request.body())),
    }
}

fn answer(method: &Method, segments: &[&str], asked: &Asked, visit: &Visit, body: &[u8]) -> Response {
    match (method.as_str(), segments) {
        ("GET" | "HEAD", [""]) => pages::catalogue::catalogue(visit, asked.q.trim()),
        ("GET" | "HEAD", ["product", id]) => pages::catalogue::product(visit, id),
        ("GET" | "HEAD", ["cart"]) => pages::cart::cart(visit, &asked.added, None),
        ("GET" | "HEAD", ["checkout"]) => pages::checkout::empty(visit),
        ("GET" | "HEAD", ["thanks"]) => pages::checkout::thanks(visit, asked.order),
        ("POST", ["cart", "add" | "change"] | ["checkout"]) if !visit.may_post(body) => visit.note(
            StatusCode::FORBIDDEN,
            "That form was not ours",
            "It came from another site, or from a page that is too old. Nothing was changed.",
        ),
        ("POST", ["cart", "add"]) => pages::cart::add(visit, body),
        ("POST", ["cart", "change"]) => pages::cart::change(visit, body),
        ("POST", ["checkout"]) => pages::checkout::buy(visit, body),
        _ => visit.note(
            StatusCode::NOT_FOUND,
            "There is nothing here",
            "What you were looking for may be in the catalogue.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use gust_sdk::{Bytes, http};

    use super::*;

    fn ask(method: &str, path: &str, cookie: &str, body: &str) -> Response {
        let request = http::Request::builder().method(method).uri(path).header("cookie", cookie);
        let request = request.header("x-forwarded-prefix", "/shop").body(Bytes::from(body.to_owned())).unwrap();
        shop(request.method().clone(), None, request).unwrap()
    }

    fn text(response: &Response) -> &str {
        std::str::from_utf8(response.body()).unwrap()
    }

    #[test]
    fn without_the_other_services_there_is_a_page_that_says_so() {
        for path in ["/", "/product/mug", "/cart", "/checkout", "/thanks"] {
            let page = ask("GET", path, "", "");
            assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert!(text(&page).contains("</html>") && text(&page).contains("href=\"/shop/\""), "{path}");
        }
        assert_eq!(ask("GET", "/nothing", "", "").status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_form_from_elsewhere_changes_nothing() {
        let session = "ab".repeat(16);
        let cookie = format!("shop={session}");
        for (cookie, body) in
            [("", "product=mug&quantity=1"), (&cookie, "token=&product=mug"), (&cookie, "token=0&product=mug")]
        {
            assert_eq!(ask("POST", "/cart/add", cookie, body).status(), StatusCode::FORBIDDEN);
        }
        let ours = format!("product=mug&quantity=1&token={}", session::token(&session));
        assert_eq!(ask("POST", "/cart/add", &cookie, &ours).status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn who_has_no_session_gets_one() {
        let first = ask("GET", "/", "", "");
        let cookie = first.headers()["set-cookie"].to_str().unwrap();
        assert!(cookie.contains("; HttpOnly; SameSite=Lax") && cookie.contains("Path=/shop"), "{cookie}");
        let again = ask("GET", "/", cookie.split(';').next().unwrap(), "");
        assert!(again.headers().get("set-cookie").is_none());
    }

    #[test]
    fn pictures_and_the_style_are_kept_by_browsers() {
        gust_sdk::blob::container("pictures").unwrap().put("mug.svg", "<svg/>").unwrap();
        for path in ["/picture/mug.svg", "/style.css"] {
            let first = ask("GET", path, "", "");
            assert_eq!(first.status(), StatusCode::OK, "{path}");
            assert!(first.headers()["cache-control"].to_str().unwrap().contains("max-age"));
            let tag = first.headers()["etag"].to_str().unwrap();
            let request = http::Request::get(path).header("if-none-match", tag).body(Bytes::new()).unwrap();
            assert_eq!(shop(Method::GET, None, request).unwrap().status(), StatusCode::NOT_MODIFIED);
        }
        for path in ["/picture/none.svg", "/picture/..%2Fmug.svg", "/picture/mug.html"] {
            let request = http::Request::get(path).body(Bytes::new()).unwrap();
            assert_eq!(shop(Method::GET, None, request).unwrap_err().status(), StatusCode::NOT_FOUND);
        }
    }
}
