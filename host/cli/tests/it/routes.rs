//! Routes: by host, path and method, redirects, static answers, and whose hosts are whose.

use serde_json::json;
use ureq::{Agent, http::Request};

use crate::fixture::{Answer, Host, send, until};

/// A request for a host. Redirects are answers here.
fn call(host: &Host, method: &str, authority: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).allow_non_standard_methods(true);
    let mut request =
        Request::builder().method(method).uri(format!("http://{}{path}", host.data)).header("host", authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(&config.build().new_agent(), request.body(&b""[..]).unwrap())
}

const ROUTED: &str = r#"
[[route]]
host = "pictures.example.com"
path = "/{what}"
[[route]]
host = "shop.example.com"
path = "/headers"
methods = ["GET"]
[[route]]
path = "/old/{rest...}"
redirect = { to = "/hostile/{rest...}" }
[[route]]
path = "/robots.txt"
respond = { body = "User-agent: *\nDisallow: /\n" }
"#;

#[test]
fn a_function_is_called_by_its_routes() {
    let host = Host::start();
    host.deploy_as("hostile", "hostile", "");
    host.deploy_as("routed", "hostile", ROUTED);
    let get = |authority: &str, path: &str| call(&host, "GET", authority, path, &[]);
    let pictures = get("pictures.example.com", "/headers");
    assert!(pictures.text().contains("\"x-route-param-what\": \"headers\""), "{}", pictures.text());
    let shop = call(
        &host,
        "GET",
        "shop.example.com:8080",
        "/headers",
        &[("x-route-param-id", "forged"), ("x-forwarded-prefix", "/x")],
    );
    assert_eq!(shop.status, 200);
    assert!(!shop.text().contains("forged") && !shop.text().contains("x-forwarded-prefix"), "{}", shop.text());
    let wrong = call(&host, "POST", "shop.example.com", "/headers", &[]);
    assert_eq!(
        (wrong.status, wrong.code().as_str(), wrong.header("allow")),
        (405, "route.method_not_allowed", "GET, HEAD")
    );
    assert_eq!(get("shop.example.com", "/hostile/state").status, 404, "that host is the route's alone");
    let moved = get("x", "/old/state?n=1");
    assert_eq!((moved.status, moved.header("location")), (308, "/hostile/state?n=1"));
    let fixed = get("x", "/robots.txt");
    assert_eq!((fixed.status, fixed.header("content-type")), (200, "text/plain; charset=utf-8"));
    assert!(fixed.text().starts_with("User-agent"));
    assert!(call(&host, "HEAD", "x", "/robots.txt", &[]).body.is_empty());
    assert_eq!(get("x", "/hostile/headers").status, 200, "names go on");
    let host = host.kill_and_restart();
    assert_eq!(call(&host, "GET", "x", "/robots.txt", &[]).status, 200);
}

#[test]
fn a_conflict_is_refused_and_names_both() {
    let host = Host::start();
    let first = "[[route]]\npath = \"/orders/{id}\"";
    assert_eq!(host.deploy_as("first", "hostile", first).status, 201);
    let refused = host.deploy_as("second", "hostile", "[[route]]\npath = \"/orders/{number}\"");
    assert_eq!((refused.status, refused.code().as_str()), (409, "route.conflict"));
    for named in ["/orders/{id}", "/orders/{number}", "the function first", "the function second"] {
        assert!(refused.text().contains(named), "{named}: {}", refused.text());
    }
    assert_eq!(host.get("/second/state").status, 404, "nothing was deployed");
    assert_eq!(host.deploy_as("second", "hostile", "[[route]]\npath = \"/orders/new\"").status, 201, "more specific");
    // What a rollback would bring into conflict is refused too.
    assert_eq!(host.deploy_as("first", "hostile", "").status, 201);
    assert_eq!(host.deploy_as("second", "hostile", "[[route]]\npath = \"/orders/{number}\"").status, 201);
    let back = host.gust(&["rollback", "first"]);
    assert!(String::from_utf8_lossy(&back.stderr).contains("route.conflict"), "{back:?}");
}

#[test]
fn what_a_function_is_called_by_is_no_others_route() {
    let host = Host::start();
    host.deploy_as("hello", "hello", "");
    let routed = |path: &str| host.deploy_as("routed", "hostile", &format!("[[route]]\npath = \"{path}\""));
    for path in ["/hello", "/hello/{x}", "/hello/{rest...}", "/~shop/hello"] {
        assert_eq!(routed(path).code(), "route.conflict", "{path}");
    }
    assert_eq!(routed("/{all...}").status, 201);
    assert_eq!(host.get("/hello").text(), "Hello, world!", "names go before what begins with a parameter");
    assert_eq!(routed("/routed/headers").status, 201, "its own");
    assert_eq!(routed("/orders/{id}").status, 201);
    let orders = host.deploy_as("orders", "hello", "");
    assert_eq!((orders.status, orders.code().as_str()), (409, "route.conflict"));
    assert!(orders.text().contains("/orders/{id} of routed"), "{}", orders.text());
    let elsewhere = "[[route]]\nhost = \"only.example.com\"\npath = \"/hello\"";
    assert_eq!(host.deploy_as("routed", "hostile", elsewhere).status, 201, "names are not served there");
    assert_eq!(host.deploy_as("orders", "hello", "").status, 201, "no route begins with it any more");
}

#[test]
fn a_private_functions_route_tells_nothing_of_it() {
    let host = Host::start();
    let door = "[[route]]\npath = \"/door\"\nmethods = [\"PUT\"]";
    let refused = host.deploy_as("hidden", "hello", &format!("access = \"private\"\n{door}"));
    assert_eq!((refused.status, refused.code().as_str()), (400, "manifest.invalid"), "a route would tell its methods");
    host.deploy_as("hidden", "hello", door);
    assert_eq!(host.get("/door").status, 405);
    assert_eq!(host.deploy_as("hidden", "hello", "access = \"private\"").status, 201);
    let detail = |path: &str| host.get(&format!("/{path}")).json()["detail"].as_str().unwrap().replace(path, "X");
    assert_eq!(detail("door"), detail("wall"), "nothing tells them apart");
}

#[test]
fn what_a_watched_deploy_would_go_back_to_is_taken_by_nobody() {
    let host = Host::start();
    let door = "[[route]]\npath = \"/door/{which}\"";
    host.deploy_as("first", "hello", door);
    host.deploy_as("first?errors_percent_max=10&requests_min=3&window_s=600", "hostile", "");
    let taken = host.deploy_as("second", "hello", "[[route]]\npath = \"/door/{other}\"");
    assert_eq!((taken.status, taken.code().as_str()), (409, "route.conflict"));
    assert!(taken.text().contains("first may go back to it"), "{}", taken.text());
    assert_eq!(host.deploy_as("door", "hello", "").code(), "route.conflict", "its routes begin with the name");
    until("it is taken back", || {
        host.get("/first/trap");
        host.info("first")["version"] == 1
    });
    assert_eq!(call(&host, "GET", "x", "/door/left", &[]).text(), "Hello, world!");
    // What is watched no longer holds nothing back.
    assert_eq!(host.deploy_as("first", "hostile", "").status, 200);
    assert_eq!(host.deploy_as("door", "hello", "").status, 201);
}

#[test]
fn a_function_that_may_go_back_to_routes_is_in_no_app_where_it_could_not() {
    let host = Host::start();
    assert!(host.gust(&["app", "set", "shop"]).status.success());
    host.deploy_as("first", "hello", "[[route]]\npath = \"/door\"");
    host.deploy_as("first?errors_percent_max=10&requests_min=3&window_s=600", "hostile", "");
    let bound = host.api("PUT", "/v1/apps/shop/functions/first", "application/json", b"{}");
    assert_eq!(bound.code(), "route.host", "the app has no hosts");
    until("it is taken back", || {
        host.get("/first/trap");
        host.info("first")["version"] == 1
    });
}

#[test]
fn an_apps_hosts_are_its_own() {
    let host = Host::start();
    let hosts = |app: &str, hosts: serde_json::Value| {
        host.api("PUT", &format!("/v1/apps/{app}"), "application/json", json!({"hosts": hosts}).to_string().as_bytes())
    };
    assert_eq!(hosts("shop", json!(["shop.example.com", "*.shop.example.com"])).status, 201);
    assert_eq!(hosts("other", json!(["shop.example.com"])).code(), "route.conflict");
    assert_eq!(hosts("bad", json!(["*"])).code(), "app.invalid");
    hosts("other", json!([]));
    host.deploy_as("hostile?app=shop", "hostile", "");
    host.deploy_as("hello", "hello", "");
    let get = |authority: &str, path: &str| call(&host, "GET", authority, path, &[]).status;
    assert_eq!(get("shop.example.com", "/hostile/headers"), 200);
    assert_eq!(get("eu.shop.example.com", "/hostile/headers"), 200);
    assert_eq!(get("shop.example.com", "/hello"), 404, "the default app's function is not there");
    assert_eq!((get("x", "/hello"), get("x", "/hostile/headers")), (200, 404));
    let route = |host: &str| format!("[[route]]\nhost = \"{host}\"\npath = \"/x\"");
    assert_eq!(host.deploy_as("thief", "hello", &route("shop.example.com")).code(), "route.host");
    assert_eq!(host.deploy_as("thief?app=other", "hello", &route("a.example.com")).code(), "route.host");
    assert_eq!(host.deploy_as("thief?app=other", "hello", "[[route]]\npath = \"/x\"").code(), "route.host");
    assert_eq!(host.deploy_as("honest?app=shop", "hello", "[[route]]\npath = \"/greeting\"").status, 201);
    host.deploy_as("everywhere", "hello", "[[route]]\npath = \"/where\"\nmethods = [\"GET\"]");
    let post = |authority: &str| call(&host, "POST", authority, "/where", &[]).status;
    assert_eq!((post("x"), post("shop.example.com")), (405, 404), "nor is it told which methods others have");
    assert_eq!((get("eu.shop.example.com", "/greeting"), get("x", "/greeting")), (200, 404));
}

#[test]
fn nobody_elses_routes_are_on_an_apps_host() {
    let host = Host::start();
    let app = |app: &str, hosts: &str| {
        host.api(
            "PUT",
            &format!("/v1/apps/{app}"),
            "application/json",
            json!({"hosts": [hosts]}).to_string().as_bytes(),
        )
    };
    app("shop", "shop.example.com");
    app("evil", "*.example.com");
    host.deploy_as("pay?app=shop", "hello", "");
    let route = |host: &str, path: &str| format!("[[route]]\n{host}path = \"{path}\"\n");
    let exact = "host = \"shop.example.com\"\n";
    assert_eq!(host.deploy_as("mitm?app=evil", "hostile", &route(exact, "/pay/{x...}")).code(), "route.host");
    let greedy = [route("", "/pay"), route("", "/pay/{x...}"), route("", "/{all...}")].concat();
    assert_eq!(host.deploy_as("mitm?app=evil", "hostile", &greedy).status, 201);
    let wide = [route("host = \"*.com\"\n", "/pay"), route("host = \"*.com\"\n", "/{all...}")].concat();
    assert_eq!(host.deploy_as("wide", "hostile", &wide).status, 201);
    let get = |authority: &str, path: &str| call(&host, "GET", authority, path, &[]);
    assert_eq!(get("shop.example.com", "/pay").text(), "Hello, world!");
    for path in ["/pay/state", "/other"] {
        assert!(!get("shop.example.com", path).text().contains("is not known"), "{path}: not the other app's");
    }
    assert_eq!(get("shop.example.com", "/other").code(), "function.not_found");
    assert!(get("a.example.com", "/other").text().contains("is not known"), "that host is the other app's");
}

#[test]
fn a_host_in_the_default_app_is_not_one_functions_to_take() {
    let host = Host::start();
    let document = json!({"name": "one", "scopes": ["deploy:function/one"]}).to_string();
    host.api("POST", "/v1/tokens", "application/json", document.as_bytes());
    host.deploy_as("one", "hello", "");
    let made = host.api("POST", "/v1/tokens", "application/json", document.replace("\"one\"", "\"two\"").as_bytes());
    let deploy = |manifest: &str| {
        let form = format!(
            "--b\r\ncontent-disposition: form-data; name=\"manifest\"\r\n\r\n{manifest}\r\n--b\r\n\
             content-disposition: form-data; name=\"component\"\r\n\r\n"
        );
        let component = std::fs::read(crate::fixture::component("hello")).unwrap();
        let body = [form.as_bytes(), &component, b"\r\n--b--\r\n"].concat();
        let token = made.json()["token"].as_str().unwrap().to_owned();
        let request = Request::put(format!("http://{}/v1/functions/one", host.admin))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "multipart/form-data; boundary=b");
        send(&crate::fixture::agent(), request.body(&*body).unwrap())
    };
    let refused = deploy("[[route]]\nhost = \"127.0.0.1\"\npath = \"/x\"");
    assert!(refused.code() == "auth.forbidden" && refused.text().contains("deploy:app/default"), "{}", refused.text());
    assert_eq!(deploy("[[route]]\npath = \"/x\"").status, 201);
}

#[test]
fn a_route_answers_nobody_who_names_two_hosts() {
    let host = Host::start();
    host.deploy_as("routed", "hello", "[[route]]\npath = \"/robots.txt\"\nrespond = { body = \"x\" }");
    let ask = |head: &str| host.raw(format!("GET /robots.txt HTTP/1.1\r\nconnection: close\r\n{head}\r\n").as_bytes());
    assert!(ask("host: a\r\n").starts_with("HTTP/1.1 200"));
    for head in ["host: a\r\nhost: b\r\n", "", "host: a b/c\r\n"] {
        assert!(ask(head).starts_with("HTTP/1.1 400"), "{head:?}");
    }
}
