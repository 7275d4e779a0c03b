//! Routes as they are written, and what a router makes of them: cases here, and properties beside a naive matcher.

mod properties;
mod reference;

use std::sync::Arc;

use http::Method;

use super::*;

/// A route as `GET,POST shop.example.com/orders/{id}`, methods and host left out where there are none.
fn spec(text: &str) -> RouteSpec {
    let (methods, place) = text.split_once(' ').map_or((None, text), |(methods, place)| (Some(methods), place));
    let (host, path) = place.split_at(place.find('/').unwrap());
    RouteSpec {
        host: (!host.is_empty()).then(|| host.to_owned()),
        path: path.to_owned(),
        methods: methods.map_or(Vec::new(), |methods| methods.split(',').map(str::to_owned).collect()),
        ..RouteSpec::default()
    }
}

fn build(specs: &[RouteSpec]) -> Result<Router<usize>, Conflict> {
    let route = |(at, spec)| (Arc::new(Route::new(at + 1, spec).unwrap()), at);
    Router::new(specs.iter().enumerate().map(route).collect())
}

fn router(routes: &[&str]) -> Router<usize> {
    build(&routes.iter().map(|text| spec(text)).collect::<Vec<_>>()).unwrap()
}

/// What a router has for a request `GET shop.example.com/orders/7`, in a line.
fn found(router: &Router<usize>, request: &str) -> String {
    let (method, place) = request.split_once(' ').unwrap();
    let (host, path) = place.split_at(place.find('/').unwrap());
    match router.find(host, path, &method.parse().unwrap()) {
        Lookup::Found(found) => {
            let params: Vec<String> = found.params().map(|(name, value)| format!(" {name}={value}")).collect();
            format!("{}{}", found.route, params.concat())
        }
        Lookup::MethodNotAllowed(allow, _) => format!("only {allow}"),
        Lookup::Ambiguous => "ambiguous".to_owned(),
        Lookup::NotFound => "nothing".to_owned(),
    }
}

fn finds(routes: &[&str], expected: &[(&str, &str)]) {
    let router = router(routes);
    for (request, expected) in expected {
        assert_eq!(found(&router, request), *expected, "{request}");
    }
}

#[test]
fn the_most_specific_path_takes_the_request() {
    finds(
        &["/a", "/a/", "/a/{x}", "/a/{rest...}", "/a/b/c", "/{x}/b/d", "/a/{x}/d/e"],
        &[
            ("GET /a", "/a"),
            ("GET /a/", "/a/"),
            ("GET /a/b", "/a/{x} x=b"),
            ("GET /a/b/", "/a/{rest...} rest=b/"),
            ("GET /a/b/c", "/a/b/c"),
            // Nothing below /a/b, so back to what takes less.
            ("GET /a/b/d", "/a/{rest...} rest=b/d"),
            ("GET /z/b/d", "/{x}/b/d x=z"),
            ("GET /a/b/d/e", "/a/{x}/d/e x=b"),
            ("GET /a/b/d/f", "/a/{rest...} rest=b/d/f"),
            ("GET /a//b", "/a/{rest...} rest=/b"),
            ("GET //a", "nothing"),
            ("GET /", "nothing"),
            ("GET /A", "nothing"),
        ],
    );
}

#[test]
fn the_rest_may_be_empty_and_a_parameter_may_not() {
    finds(
        &["/files/{rest...}", "/one/{x}"],
        &[
            ("GET /files", "/files/{rest...} rest="),
            ("GET /files/", "/files/{rest...} rest="),
            ("GET /files/a/b", "/files/{rest...} rest=a/b"),
            ("GET /filesystem", "nothing"),
            ("GET /one", "nothing"),
            ("GET /one/", "nothing"),
            ("GET /one/%20", "/one/{x} x=%20"),
        ],
    );
    finds(&["/{all...}"], &[("GET /", "/{all...} all="), ("GET /x/", "/{all...} all=x/")]);
    assert!(matches!(router(&["/{all...}"]).find("", "*", &Method::OPTIONS), Lookup::NotFound));
}

#[test]
fn the_most_specific_host_comes_first_and_others_after_it() {
    finds(
        &["/{all...}", "*.example.com/a", "*.b.example.com/a", "a.b.example.com/a/{x}", "example.com/b"],
        &[
            ("GET a.b.example.com/a/1", "a.b.example.com/a/{x} x=1"),
            ("GET a.b.example.com/a", "*.b.example.com/a"),
            ("GET A.B.Example.COM:8080/a", "*.b.example.com/a"),
            ("GET x.y.example.com/a", "*.example.com/a"),
            ("GET b.example.com/a", "*.example.com/a"),
            ("GET example.com/a", "/{all...} all=a"),
            ("GET example.com./b", "example.com/b"),
            ("GET .example.com/a", "/{all...} all=a"),
            ("GET notexample.com/b", "/{all...} all=b"),
            ("GET a.b.example.com/c", "/{all...} all=c"),
            ("GET /c", "/{all...} all=c"),
        ],
    );
    let router = router(&["/a", "*.example.com/a", "shop.example.org/a"]);
    for claimed in ["x.example.com", "a.b.EXAMPLE.com:80", "shop.example.org", "Shop.Example.Org."] {
        assert!(router.claims_host(claimed), "{claimed}");
    }
    for free in ["", "example.com", ".example.com", "example.org", "x.shop.example.org", "localhost:3000", "[::1]:80"] {
        assert!(!router.claims_host(free), "{free}");
    }
}

#[test]
fn whoever_has_the_path_has_it_for_all_methods() {
    finds(
        &["GET /a", "POST,PUT /a", "/b", "GET /b", "HEAD /b", "GET /{x}", "GET h.test/a", "DELETE /{x...}"],
        &[
            ("GET /a", "GET /a"),
            ("HEAD /a", "GET /a"),
            ("PUT /a", "POST,PUT /a"),
            ("DELETE /a", "only GET, POST, PUT, HEAD"),
            ("POST h.test/a", "only GET, HEAD"),
            ("GET /b", "GET /b"),
            ("HEAD /b", "HEAD /b"),
            ("BREW /b", "/b"),
            ("POST /c", "only GET, HEAD"),
            ("GET /c/d", "only DELETE"),
        ],
    );
    finds(&["HEAD,GET /a"], &[("HEAD /a", "HEAD,GET /a"), ("POST /a", "only HEAD, GET")]);
    finds(&["HEAD /a"], &[("GET /a", "only HEAD")]);
}

#[test]
fn a_path_reaches_no_other_route_by_how_it_is_written() {
    finds(
        &["/admin", "/admin/{x}", "/caf%C3%A9", "/%25/a", "/{x}", "/{x}/{y}", "/v.1/x", "/.well-known/x"],
        &[
            ("GET /admin", "/admin"),
            ("GET /%61dmin", "ambiguous"),
            ("GET /%61dmin/1", "ambiguous"),
            ("GET /admin/%31", "/admin/{x} x=%31"),
            ("GET /x/../admin", "ambiguous"),
            ("GET /./admin", "ambiguous"),
            ("GET /%2e/admin", "ambiguous"),
            ("GET /admin/.%2E", "ambiguous"),
            ("GET /admin%2f1", "ambiguous"),
            ("GET /x%5Cy", "ambiguous"),
            ("GET /x\\y", "ambiguous"),
            ("GET /admin%00", "ambiguous"),
            ("GET /%2561dmin", "/{x} x=%2561dmin"),
            ("GET /caf%C3%A9", "/caf%C3%A9"),
            ("GET /caf%c3%a9", "ambiguous"),
            ("GET /café", "ambiguous"),
            ("GET /caf%c3%a8", "/{x} x=caf%c3%a8"),
            ("GET /%25/a", "/%25/a"),
            ("GET /%/a", "ambiguous"),
            ("GET /%zz", "/{x} x=%zz"),
            ("GET /Admin", "/{x} x=Admin"),
            ("GET /v.1/x", "/v.1/x"),
            ("GET /v%2e1/x", "ambiguous"),
            ("GET /.well-known/x", "/.well-known/x"),
            ("GET /...", "/{x} x=..."),
            // As sent it is /{x}/{y}, and so it is by what it means.
            ("GET /a%64min/x", "ambiguous"),
            ("GET /b%64min/x", "/{x}/{y} x=b%64min y=x"),
        ],
    );
}

#[test]
fn long_paths_are_matched_and_not_in_endless_time() {
    // At every segment a literal and a parameter lead on, and all of them end with what the path does not have.
    let pattern = |param: usize| {
        let segment = |at| if at == param { "/{x}".to_owned() } else { "/a".to_owned() };
        (0..SEGMENTS_MAX - 1).map(segment).collect::<String>() + "/end"
    };
    let every =
        |bits: u32| (0..8).map(move |at| if bits >> at & 1 == 1 { format!("/{{p{at}}}") } else { "/a".to_owned() });
    let patterns = (0..SEGMENTS_MAX).map(pattern).chain((0..256).map(|bits| every(bits).collect::<String>() + "/end"));
    let patterns: Vec<String> = patterns.collect();
    let router = router(&patterns.iter().map(String::as_str).collect::<Vec<_>>());
    let long = "/a".repeat(SEGMENTS_MAX - 1);
    assert!(matches!(router.find("", &format!("{long}/x"), &Method::GET), Lookup::NotFound));
    assert!(matches!(router.find("", &format!("{long}/end/end"), &Method::GET), Lookup::NotFound));
    assert!(matches!(router.find("", &"/a".repeat(30_000), &Method::GET), Lookup::NotFound));
    assert!(matches!(router.find("", &format!("/{}", "%61".repeat(20_000)), &Method::GET), Lookup::NotFound));
    let whole = format!("{long}/end");
    assert!(matches!(router.find("", &whole, &Method::GET), Lookup::Found(found) if found.values().is_empty()));
}

#[test]
fn routes_that_take_the_same_requests_are_in_conflict() {
    let conflict = |routes: &[&str]| {
        let specs: Vec<RouteSpec> = routes.iter().map(|text| spec(text)).collect();
        build(&specs).err().map(|conflict| (conflict.first, conflict.second, conflict.to_string()))
    };
    for fine in [
        &["GET /a/{x}", "POST /a/{y}"][..],
        &["GET /a", "/a"],
        &["GET /a", "HEAD /a"],
        &["/a/{x}", "/a/{x...}", "/a/b", "/a/", "/a"],
        &["/a", "h.test/a", "*.h.test/a"],
    ] {
        assert_eq!(conflict(fine), None);
    }
    let same = "take the same requests";
    for (routes, first, second, says) in [
        (&["/b", "/a/{x}", "/a/{y}"][..], 1, 2, format!("/a/{{x}} and /a/{{y}} {same}; change")),
        (&["GET,PUT H.test/a", "PUT h.TEST/a"], 0, 1, format!("GET,PUT h.test/a and PUT h.test/a {same} (PUT)")),
        (&["*.h.test/{x...}", "*.h.test/{y...}"], 0, 1, same.to_owned()),
    ] {
        let found = conflict(routes).unwrap();
        assert_eq!((found.0, found.1), (first, second));
        assert!(found.2.contains(&says), "{}", found.2);
    }
}

#[test]
fn a_functions_routes_are_checked_each_and_together() {
    let error = |specs: &[RouteSpec]| check_all(specs).unwrap_err().to_string();
    assert_eq!(check_all(&[spec("/a"), spec("GET h.test/b")]).unwrap()[1].to_string(), "GET h.test/b");
    let first = error(&[spec("/a"), spec("/b/{")]);
    assert!(first.starts_with("route 2 (\"/b/{\"): the segment \"{\" has braces"), "{first}");
    let both = error(&[spec("GET /a/{x}"), spec("/b"), spec("GET /a/{y}")]);
    assert!(both.starts_with("routes 1 and 3: GET /a/{x} and GET /a/{y} take the same requests (GET)"), "{both}");
    let many: Vec<RouteSpec> = (0..=ROUTES_MAX).map(|n| spec(&format!("/{n}"))).collect();
    assert!(check_all(&many[1..]).is_ok());
    assert!(error(&many).contains("65 routes; a function has at most 64"));
    let redirect = Some(RedirectSpec { to: "/b".to_owned(), status: 308 });
    let two = RouteSpec { redirect: redirect.clone(), respond: Some(RespondSpec::default()), ..spec("/a") };
    assert!(error(&[two]).contains("both redirect and respond"));
    let routes = check_all(&[RouteSpec { redirect, ..spec("/a") }, spec("/b")]).unwrap();
    assert!(matches!(routes[0].action(), Action::Redirect(redirect) if redirect.location(&[], None) == "/b"));
    assert_eq!(routes[1].action(), &Action::Call);
}

#[test]
fn the_documents_examples_are_so() {
    let document = include_str!("../../../../../docs/routes.md");
    let blocks = |language| {
        let blocks = document.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
        blocks.filter(move |(of, _)| *of == language).map(|(_, text)| text)
    };
    assert_eq!(blocks("toml").map(|manifest| crate::Manifest::parse(manifest).unwrap().routes.len()).sum::<usize>(), 7);
    let error =
        crate::Manifest::parse("[[route]]\npath = \"/\"\n[[route]]\npath = \"/old/{page\"").unwrap_err().to_string();
    assert!(blocks("").any(|block| block.trim_end() == error), "{error}");
}
