//! The shop, as people use it: in a browser, and by hand where a browser would be too well-behaved.

use std::{fs, thread};

use serde_json::Value;
use ureq::{Agent, http::Request};

use crate::{
    browser::Browser,
    fixture::{Answer, Host, PATIENCE, component, project, send, until},
};

/// The longest that compiling the search may take, in milliseconds: it brings a JavaScript engine along.
const COMPILE_MS_MAX: &str = "1200000";

/// A program that traps whatever it is asked.
const BROKEN: &str = "(module (memory (export \"memory\") 1) (func (export \"_start\") unreachable))";

/// A host with the shop; its search is deployed where a test wants it.
fn opened() -> Host {
    let host = Host::start_with(&[("GUST_COMPILE_MS_MAX", COMPILE_MS_MAX)]);
    for (function, directory) in
        [("shop-products", "products"), ("shop-cart", "cart"), ("shop-checkout", "checkout"), ("shop", "front")]
    {
        let answer = host.deploy_as(function, function, &manifest(directory));
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    for picture in fs::read_dir(project("functions/shop/products/pictures")).unwrap() {
        let put = host.gust(&["blob", "put", "pictures", picture.unwrap().path().to_str().unwrap()]);
        assert!(put.status.success(), "{put:?}");
    }
    host
}

fn manifest(directory: &str) -> String {
    fs::read_to_string(project(&format!("functions/shop/{directory}/gust.toml"))).unwrap()
}

/// Deploys a function that always fails in the place of another one.
fn break_it(host: &Host, function: &str) {
    let broken = wat::parse_str(BROKEN).unwrap();
    let manifest = format!("name = \"{function}\"\naccess = \"private\"\ncgi = true\n");
    let answer = host.deploy_bytes(function, &broken, &manifest);
    assert!([200, 201].contains(&answer.status), "{answer:?}");
}

/// Somebody who keeps a cookie and fills in forms, with no regard for what a page allows.
struct Visitor<'a> {
    host: &'a Host,
    agent: Agent,
    cookie: String,
    token: String,
}

impl<'a> Visitor<'a> {
    fn new(host: &'a Host) -> Self {
        let agent = Agent::config_builder().http_status_as_error(false).max_redirects(0);
        let agent = agent.timeout_global(Some(PATIENCE)).build().new_agent();
        let mut visitor = Self { host, agent, cookie: String::new(), token: String::new() };
        let first = visitor.get("/product/mug");
        visitor.cookie = first.header("set-cookie").split(';').next().unwrap().to_owned();
        visitor.token = hidden(visitor.get("/product/mug").text(), "token");
        visitor
    }

    fn get(&self, path: &str) -> Answer {
        let request = Request::get(format!("http://{}/shop{path}", self.host.data)).header("cookie", &self.cookie);
        send(&self.agent, request.body(()).unwrap())
    }

    fn post(&self, path: &str, fields: &str) -> Answer {
        self.post_from("same-origin", path, &format!("{fields}&token={}", self.token))
    }

    fn post_from(&self, site: &str, path: &str, fields: &str) -> Answer {
        let request = Request::post(format!("http://{}/shop{path}", self.host.data)).header("cookie", &self.cookie);
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").header("sec-fetch-site", site);
        send(&self.agent, request.body(fields).unwrap())
    }

    fn add(&self, product: &str) {
        let added = self.post("/cart/add", &format!("product={product}&quantity=1"));
        assert_eq!(added.status, 303, "{}", added.text());
    }

    /// The fields of the checkout, as they are to be sent.
    fn filled(&self) -> String {
        let page = self.get("/checkout");
        let (key, seen) = (hidden(page.text(), "key"), hidden(page.text(), "seen_cents"));
        format!("key={key}&seen_cents={seen}&name=Ada&email=ada%40example.com&address=1+Hill")
    }
}

/// A hidden field's value.
fn hidden(page: &str, name: &str) -> String {
    let field = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&field).unwrap_or_else(|| panic!("no {name} in {page}"));
    rest.split('"').next().unwrap().to_owned()
}

fn left(host: &Host, product: &str) -> u64 {
    let kept: Value = serde_json::from_slice(&host.gust(&["kv", "get", "stock", product]).stdout).unwrap();
    kept["left"].as_u64().unwrap()
}

#[test]
fn somebody_buys_in_a_browser_and_goes_on_where_the_search_is_broken() {
    let Some(browser) = Browser::start() else { return };
    let host = opened();
    let shop = format!("http://{}/shop/", host.data);
    browser.open(&shop);
    browser.see("h1", "Things that are used every day");
    assert_eq!(browser.count(".card img"), 8);
    searches(&host, &browser);
    buys(&browser, &shop, "teapot", "1001");
    break_it(&host, "shop-search");
    browser.open(&shop);
    browser.fill("#q", "umbrella");
    browser.click(".search button");
    browser.see(".notice", "The search is having a rest");
    assert_eq!(browser.count(".card"), 8);
    buys(&browser, &shop, "umbrella", "1002");
}

fn searches(host: &Host, browser: &Browser) {
    let search = project("target/languages/shop-search.wasm");
    if !search.exists() {
        eprintln!("==> searching skipped: shop-search is not here; cargo xtask languages makes it, where Node is");
        return;
    }
    // By the command, which waits for as long as compiling takes.
    let manifest = project("functions/shop/search/gust.toml");
    let deployed = host.gust(&["deploy", search.to_str().unwrap(), "--manifest", manifest.to_str().unwrap()]);
    assert!(deployed.status.success(), "{deployed:?}");
    for typed in ["teapot", "taepot"] {
        let is_found = || browser.text("h1") == format!("Like “{typed}”");
        browser.fill("#q", typed);
        browser.click(".search button");
        until("the search was asked", || is_found() || browser.text(".notice").contains("rest"));
        // A machine that tests may be too busy for the first answer to be in time.
        until("it answers", || {
            is_found() || {
                browser.open(&format!("http://{}/shop/?q={typed}", host.data));
                false
            }
        });
        assert_eq!((browser.count(".card"), browser.text(".card .name")), (1, "Harbour teapot".to_owned()));
    }
}

/// From the catalogue to the order's number.
fn buys(browser: &Browser, shop: &str, product: &str, number: &str) {
    browser.open(shop);
    browser.click(&format!(".card a[href$='/product/{product}']"));
    browser.see("form.add label", "How many");
    browser.fill("#quantity", "2");
    browser.click("form.add button");
    browser.see(".notice.good", "is in your cart");
    assert!(browser.text(".to-cart").contains('2'), "the head says how much is in it");
    browser.click(".onward .button");
    browser.see("h1", "Checkout");
    browser.fill("#name", "Ada");
    browser.fill("#email", "nonsense");
    browser.fill("#address", "1 Hill");
    browser.click(".fields button");
    browser.see("#email-wrong", "looks like");
    browser.fill("#email", "ada@example.com");
    browser.click(".fields button");
    browser.see("#order", number);
    assert!(!browser.text(".to-cart").contains('2'), "the cart is empty");
}

#[test]
fn a_double_click_buys_once() {
    let host = opened();
    let visitor = Visitor::new(&host);
    // There is one bell.
    visitor.add("bell");
    let fields = visitor.filled();
    let answers: Vec<Answer> = thread::scope(|scope| {
        let clicks: Vec<_> = (0..8).map(|_| scope.spawn(|| visitor.post("/checkout", &fields))).collect();
        clicks.into_iter().map(|click| click.join().unwrap()).collect()
    });
    let thanks = answers[0].header("location").to_owned();
    for answer in &answers {
        assert_eq!((answer.status, answer.header("location")), (303, thanks.as_str()), "{}", answer.text());
    }
    let page = visitor.get(thanks.strip_prefix("/shop").unwrap());
    assert!(page.status == 200 && page.text().contains("1 × Bicycle bell"), "{}", page.text());
    assert_eq!(left(&host, "bell"), 0);
    assert!(visitor.get("/cart").text().contains("nothing in it"));
    let other = Visitor::new(&host);
    assert_eq!(other.get(thanks.strip_prefix("/shop").unwrap()).status, 404, "an order is its buyer's");
    other.add("bell");
    other.add("mug");
    let refused = other.post("/checkout", &other.filled());
    assert!(refused.status == 422 && refused.text().contains("Bicycle bell is sold out"), "{}", refused.text());
    assert_eq!((left(&host, "bell"), left(&host, "mug")), (0, 60), "what was taken for it came back");
    for arguments in [&["kv", "rm", "stock", "mug"][..], &["kv", "set", "stock", "bell", "12"]] {
        let done = host.gust(arguments);
        assert!(done.status.success(), "{done:?}");
    }
    assert_eq!(other.post("/checkout", &other.filled()).status, 303, "the shelf was filled by hand");
    assert_eq!(left(&host, "bell"), 11);
}

#[test]
fn two_tabs_do_not_lose_each_others_items() {
    let host = opened();
    let visitor = Visitor::new(&host);
    thread::scope(|scope| {
        for product in ["mug", "lamp"] {
            let visitor = &visitor;
            scope.spawn(move || (0..8).for_each(|_| visitor.add(product)));
        }
    });
    let page = visitor.get("/cart");
    assert_eq!(page.text().matches("name=\"quantity\" value=\"8\"").count(), 2, "{}", page.text());
    let too_many = visitor.post("/cart/add", "product=mug&quantity=13");
    assert!(too_many.status == 422 && too_many.text().contains("at most 20"), "{}", too_many.text());
    assert_eq!(visitor.post("/cart/change", "product=mug&quantity=0").status, 303);
    assert_eq!(visitor.get("/cart").text().matches("class=\"quiet\"").count(), 1);
}

#[test]
fn a_form_of_another_site_is_refused() {
    let host = opened();
    let visitor = Visitor::new(&host);
    let (bell, other) = ("product=bell&quantity=1", Visitor::new(&host).token);
    let refused = [
        visitor.post_from("cross-site", "/cart/add", &format!("{bell}&token={}", visitor.token)),
        visitor.post_from("same-origin", "/cart/add", bell),
        visitor.post_from("same-origin", "/cart/add", &format!("{bell}&token={other}")),
        visitor.post_from("same-origin", "/checkout", &visitor.token),
    ];
    for answer in refused {
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
    assert!(visitor.get("/cart").text().contains("nothing in it"));
    for service in ["shop-products", "shop-cart", "shop-checkout"] {
        assert_eq!(host.get(&format!("/{service}/")).status, 404, "{service} is for the shop alone");
    }
}

#[test]
fn a_service_that_breaks_takes_its_own_part_along() {
    let host = opened();
    let visitor = Visitor::new(&host);
    visitor.add("mug");
    let fields = visitor.filled();
    break_it(&host, "shop-checkout");
    let unanswered = visitor.post("/checkout", &fields);
    assert_eq!(unanswered.status, 503);
    assert_eq!(hidden(unanswered.text(), "key"), fields[4..36], "the form keeps its key");
    break_it(&host, "shop-cart");
    for path in ["/", "/?q=mug", "/product/mug"] {
        let page = visitor.get(path);
        assert_eq!(page.status, 200, "{path}");
        assert!(page.text().contains("The cart is out of order") && page.text().contains("Morning mug"), "{path}");
    }
    assert_eq!(visitor.get("/cart").status, 503);
    let cart = fs::read(component("shop-cart")).unwrap();
    assert!([200, 201].contains(&host.deploy_bytes("shop-cart", &cart, &manifest("cart")).status));
    assert!(visitor.get("/cart").text().contains("Morning mug"), "nothing is lost");
    break_it(&host, "shop-products");
    let closed = visitor.get("/");
    assert!(closed.status == 503 && closed.text().contains("</html>"), "{}", closed.text());
    let picture = visitor.get("/picture/mug.svg");
    assert_eq!((picture.status, picture.header("content-type")), (200, "image/svg+xml"));
}
