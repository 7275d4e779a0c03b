//! Properties: a router finds what a naive matcher does, has conflicts where two routes are equal for some request, and
//! no text whatever upsets it.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{super::*, build, reference::*};

const HOSTS: [&str; 5] = ["a.test", "b.a.test", "*.a.test", "*.test", "*.b.a.test"];
const LITERALS: [&str; 5] = ["a", "b", "ab", "a.b", "%C3%A9"];
const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "PUT"];
const ASKED_HOSTS: [&str; 11] = [
    "a.test",
    "b.a.test",
    "c.a.test",
    "c.b.a.test",
    "B.A.Test:80",
    "test",
    "a.test.",
    ".a.test",
    "c..a.test",
    "x.y",
    "",
];
const ASKED_SEGMENTS: [&str; 18] = [
    "a", "b", "ab", "a.b", "%C3%A9", "c", "", "%61", "%c3%a9", "é", "a%2Eb", "%zz", ".", "%2e.", "a%2fb", "b%00",
    "a\\b", "..a",
];

/// A pattern of a few segments, most of them alike.
fn pattern() -> impl Strategy<Value = String> {
    let segment = prop_oneof![3 => select(&LITERALS[..]).prop_map(str::to_owned), 1 => "\\{[xy]"];
    let last = prop_oneof![3 => Just(None), 1 => Just(Some("")), 1 => Just(Some("{r...}"))];
    (vec(segment, 0..4), last).prop_map(|(segments, last)| {
        // Names differ from place to place.
        let named = |(at, text): (usize, String)| if text.starts_with('{') { format!("{text}{at}}}") } else { text };
        let segments = segments.into_iter().enumerate().map(named);
        let mut all: Vec<String> = segments.chain(last.map(str::to_owned)).collect();
        if all.is_empty() {
            all.push(String::new());
        }
        format!("/{}", all.join("/"))
    })
}

fn route() -> impl Strategy<Value = RouteSpec> {
    let methods = proptest::sample::subsequence(METHODS.to_vec(), 0..3);
    (option::of(select(&HOSTS[..])), pattern(), methods).prop_map(|(host, path, methods)| RouteSpec {
        host: host.map(str::to_owned),
        path,
        methods: methods.into_iter().map(str::to_owned).collect(),
        ..RouteSpec::default()
    })
}

fn asked_path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![6 => select(&ASKED_SEGMENTS[..7]), 1 => select(&ASKED_SEGMENTS[7..])];
    vec(segment, 1..5).prop_map(|segments| format!("/{}", segments.join("/")))
}

fn request() -> impl Strategy<Value = (&'static str, String, &'static str)> {
    (select(&ASKED_HOSTS[..]), asked_path(), select(&METHODS[..]))
}

/// All requests that matter to patterns of two segments.
fn requests() -> Vec<(&'static str, String, &'static str)> {
    let segments = ["a", "b", "ab", "a.b", "%C3%A9", "c", ""];
    let one = segments.iter().map(|segment| format!("/{segment}"));
    let two = segments.iter().flat_map(|first| segments.map(|second| format!("/{first}/{second}")));
    let paths: Vec<String> = one.chain(two).collect();
    let hosts = ["a.test", "b.a.test", "c.a.test", "c.b.a.test", "x.test", "x.y"];
    let places = hosts.iter().flat_map(|host| paths.iter().map(|path| (*host, path.clone())));
    places.flat_map(|(host, path)| METHODS.map(|method| (host, path.clone(), method))).collect()
}

fn short_route() -> impl Strategy<Value = RouteSpec> {
    route().prop_filter("more than two segments", |spec| spec.path.matches('/').count() <= 2)
}

/// The routes, without those that are in conflict with an earlier one.
fn without_conflicts(routes: Vec<RouteSpec>) -> Vec<RouteSpec> {
    let mut kept: Vec<RouteSpec> = Vec::new();
    for route in routes {
        kept.push(route);
        if build(&kept).is_err() {
            kept.pop();
        }
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_router_finds_what_the_reference_does(routes in vec(route(), 1..16), asked in vec(request(), 16)) {
        let routes = without_conflicts(routes);
        let router = build(&routes).unwrap();
        for (host, path, method) in asked {
            prop_assert_eq!(
                found(&router, host, &path, method),
                expected(&routes, host, &path, method),
                "{} {}{} of {:?}", method, host, path, router.routes()
            );
        }
    }

    #[test]
    fn a_host_is_claimed_where_a_route_of_its_own_can_be_found(routes in vec(route(), 1..6), host in select(&ASKED_HOSTS[..])) {
        let routes = without_conflicts(routes.into_iter().filter(|route| route.host.is_some()).collect());
        let everywhere: Vec<RouteSpec> =
            routes.iter().map(|route| RouteSpec { path: "/{all...}".to_owned(), methods: Vec::new(), ..route.clone() }).collect();
        let router = build(&without_conflicts(everywhere)).unwrap();
        prop_assert_eq!(router.claims_host(host), matches!(found(&router, host, "/x", "GET"), Expected::Found(..)));
        prop_assert_eq!(build(&routes).unwrap().claims_host(host), router.claims_host(host));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn two_routes_are_in_conflict_where_they_are_equal_for_a_request(a in short_route(), b in short_route(), alike in 0..4) {
        // Two at random seldom have the same path.
        let b = match alike {
            0 => b,
            1 => RouteSpec { path: a.path.replace('x', "y"), ..b },
            _ => RouteSpec { path: a.path.replace('x', "y"), host: a.host.clone(), ..b },
        };
        let equal = requests().into_iter().find(|(host, path, method)| are_equal_for(&a, &b, host, path, method));
        let conflict = build(&[a, b]).err();
        prop_assert_eq!(conflict.is_some(), equal.is_some(), "{:?} {:?}", conflict, equal);
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        host in option::of("\\PC{0,20}|[a*.:\\-\\[]{0,12}"),
        path in "\\PC{0,30}|(/|a|\\{|\\}|x|\\.|%|2|f|F|\\\\|é){0,24}",
        methods in vec("\\PC{0,8}|[A-Z]{1,4}", 0..3),
        to in "\\PC{0,20}|(https?://|/|\\{x\\}|\\{x\\.\\.\\.\\}|#|\\?|a|:|@|\\{|\\}){0,8}",
        asked_host in "\\PC{0,20}|[a.:\\[\\]0-9]{0,12}",
        asked_path in "\\PC{0,30}|(/|a|%|2|f|\\.|\\\\|é){0,24}",
    ) {
        let redirect = Some(RedirectSpec { to, status: 308 });
        let respond = Some(RespondSpec { content_type: path.clone(), ..RespondSpec::default() });
        for spec in [
            RouteSpec { host: host.clone(), path: path.clone(), methods, redirect, respond: None },
            RouteSpec { host, path, methods: Vec::new(), redirect: None, respond },
        ] {
            if let Ok(routes) = check_all(&[spec]) {
                let router = Router::new(routes.into_iter().map(|route| (route, ())).collect()).unwrap();
                let _ = (router.claims_host(&asked_host), router.find(&asked_host, &asked_path, &http::Method::GET));
            }
        }
    }

    #[test]
    fn a_redirect_stays_where_it_is_sent(
        to in "(https://h\\.test(:81)?|http://h\\.test)?(/|/\\{x\\}|/\\{r\\.\\.\\.\\}|\\?|#|a|\\{x\\}){0,6}",
        x in "(a|/|\\.|:|@|%2[05]|é|//evil\\.test){1,4}",
        rest in "(a|/|\\.|:|@|é|//evil\\.test){0,6}",
        query in option::of("[a=&?/é]{0,8}"),
    ) {
        let spec = RouteSpec {
            path: "/{x}/{r...}".to_owned(),
            redirect: Some(RedirectSpec { to: to.clone(), status: 302 }),
            ..RouteSpec::default()
        };
        let Ok(route) = Route::new(1, &spec) else { return Ok(()) };
        let Action::Redirect(redirect) = route.action() else { panic!("it redirects") };
        let location = redirect.location(&[&x, &rest], query.as_deref());
        prop_assert!(http::HeaderValue::from_str(&location).is_ok_and(|value| value.to_str().is_ok()), "{location}");
        let authority = |text: &str| Some(text.split_once("://")?.1.split(['/', '?', '#']).next()?.to_owned());
        match authority(&to) {
            Some(written) => prop_assert_eq!(Some(written), authority(&location), "{}", location),
            None => prop_assert!(location.starts_with('/') && !location.starts_with("//"), "{}", location),
        }
    }
}
