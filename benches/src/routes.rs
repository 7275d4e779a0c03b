//! Finding the route of a request among ten thousand: routes of many hosts and of every host, literals, parameters and
//! rests, and requests that none takes. Without HTTP.

use std::{hint::black_box, sync::Arc, time::Instant};

use anyhow::{Result, ensure};
use gust_core::routing::{Lookup, ROUTES_MAX, Route, RouteSpec, Router};
use http::Method;

use crate::{
    record::{Record, Run},
    report::Table,
};

/// The stage's name.
pub const STAGE: &str = "routes";

/// What that is called among the records.
const BUILDING: &str = "building a router of all of them";

const BUILDING_ROUNDS: usize = 11;

/// Shops, each of which has ten routes.
const SHOPS: usize = 1000;

/// Requests of a kind in a round.
const REQUESTS: usize = 1000;

/// Requests of one kind, and what becomes of them.
struct Kind {
    name: &'static str,
    finds: &'static str,
    requests: Requests,
}

/// Hosts and paths one after the other, for a request that is to be routed has just been read.
#[derive(Default)]
struct Requests {
    text: String,
    /// Where each host ends, and each path.
    ends: Vec<(usize, usize)>,
}

impl Requests {
    /// Of so many shops in no order.
    fn new(shops: usize, request: impl Fn(usize) -> (String, String)) -> Self {
        let mut random = fastrand::Rng::with_seed(7);
        let mut requests = Self::default();
        for _ in 0..REQUESTS {
            let (host, path) = request(random.usize(..shops));
            requests.text += &host;
            let host_end = requests.text.len();
            requests.text += &path;
            requests.ends.push((host_end, requests.text.len()));
        }
        requests
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        begins.zip(&self.ends).map(|(begin, (host, path))| (&self.text[begin..*host], &self.text[*host..*path]))
    }
}

fn route(methods: &[&str], host: Option<String>, path: String) -> RouteSpec {
    let methods = methods.iter().map(|method| (*method).to_owned()).collect();
    RouteSpec { host, path, methods, ..RouteSpec::default() }
}

/// Ten routes of a shop: seven of its own host, one of its customers' and two of every host.
fn routes_of(shop: usize) -> Vec<RouteSpec> {
    let own = |methods: &[&str], path: &str| route(methods, Some(format!("shop-{shop}.example.com")), path.to_owned());
    let customers = Some(format!("*.customers-{shop}.example.org"));
    let mut routes: Vec<RouteSpec> = ["orders", "items", "users"]
        .iter()
        .flat_map(|what| {
            let list = format!("/api/v1/{what}");
            [own(&["GET", "POST"], &list), own(&[], &format!("{list}/{{id}}"))]
        })
        .collect();
    routes.push(own(&["GET"], "/static/{path...}"));
    routes.push(route(&[], customers, "/{kind}/{id}".to_owned()));
    routes.push(route(&["GET"], None, format!("/tool-{shop}/run")));
    routes.push(route(&["GET"], None, format!("/tool-{shop}/{{group}}/jobs/{{job}}")));
    routes
}

/// As many routes as a function may have, each of which leads on until the last segment of one path.
fn misleading() -> Vec<RouteSpec> {
    let segment = |bits: usize, at: u32| if bits >> at & 1 == 1 { format!("/{{p{at}}}") } else { "/a".to_owned() };
    let pattern = |bits| (0..ROUTES_MAX.ilog2()).map(|at| segment(bits, at)).collect::<String>() + "/end";
    (0..ROUTES_MAX).map(|bits| route(&[], Some("misleading.example.net".to_owned()), pattern(bits))).collect()
}

fn kinds(shops: usize) -> Vec<Kind> {
    let kind = |name, finds, host: fn(usize) -> String, path: fn(usize) -> String| Kind {
        name,
        finds,
        requests: Requests::new(shops, |shop| (host(shop), path(shop))),
    };
    let own: fn(usize) -> String = |shop| format!("shop-{shop}.example.com");
    let customers: fn(usize) -> String = |shop| format!("www.customers-{shop}.example.org");
    let any: fn(usize) -> String = |_| "127.0.0.1:3000".to_owned();
    vec![
        kind("a literal path, of a host", ROUTE, own, |_| "/api/v1/orders".to_owned()),
        kind("a parameter, of a host", ROUTE, own, |shop| format!("/api/v1/items/{shop:x}")),
        kind("an escaped parameter, of a host", ROUTE, own, |shop| format!("/api/v1/items/no%20{shop:x}")),
        kind("the rest, of a host", ROUTE, own, |shop| format!("/static/js/app-{shop}.min.js")),
        kind("two parameters, of a wildcard", ROUTE, customers, |shop| format!("/orders/{shop:x}")),
        kind("a literal path, of every host", ROUTE, any, |shop| format!("/tool-{shop}/run")),
        kind("two parameters, of every host", ROUTE, any, |shop| format!("/tool-{shop}/g/jobs/{shop:x}")),
        kind("a method that no route has", OTHER_METHODS, own, |_| "/static/app.css".to_owned()),
        kind("a path that no route has, of a host", NOTHING, own, |_| "/api/v2/orders".to_owned()),
        kind("a path that no route has, of every host", NOTHING, any, |shop| format!("/tool-{shop}/walk")),
        kind("a host that no route has", NOTHING, |shop| format!("shop-{shop}.example.net"), |_| "/orders".to_owned()),
        kind(MISLED, NOTHING, |_| "misleading.example.net".to_owned(), |_| "/a/a/a/a/a/a/begin".to_owned()),
    ]
}

const ROUTE: &str = "a route";
const OTHER_METHODS: &str = "routes for other methods";
const NOTHING: &str = "nothing";

/// The worst that one function can do.
const MISLED: &str = "a path that 64 routes have but for its end";

fn what_is_found(router: &Router<usize>, method: &Method, host: &str, path: &str) -> &'static str {
    match router.find(host, path, method) {
        Lookup::Found(found) => {
            black_box((found.value, found.values()));
            ROUTE
        }
        Lookup::MethodNotAllowed(..) => OTHER_METHODS,
        Lookup::Ambiguous => "an ambiguous path",
        Lookup::NotFound => NOTHING,
    }
}

fn method_of(kind: &Kind) -> Method {
    if kind.finds == OTHER_METHODS { Method::DELETE } else { Method::GET }
}

/// The routes of so many shops, and those that mislead.
fn routes(shops: usize) -> Result<Vec<(Arc<Route>, usize)>> {
    let specs = (0..shops).flat_map(routes_of).chain(misleading());
    let routes = specs.enumerate().map(|(at, spec)| Ok((Arc::new(Route::new(at + 1, &spec)?), at)));
    routes.collect()
}

/// Runs it, and shows what came of it.
pub fn run(quick: bool) -> Result<()> {
    let rounds = if quick { 11 } else { 101 };
    let (routes, kinds) = (routes(SHOPS)?, kinds(SHOPS));
    let how =
        format!("one thread, {} routes; medians of {rounds} rounds in turns of {REQUESTS} requests.", routes.len());
    let mut run = Run::new(STAGE, how, quick);
    let router = Router::new(routes.clone())?;
    check(&router, &kinds)?;
    for round in 0..rounds {
        for kind in &kinds {
            let figures = [("ns", ns_per_match(&router, kind))];
            run.records.push(Record::new(kind.name, None, &figures).in_round(round));
        }
    }
    for round in 0..BUILDING_ROUNDS {
        run.records.push(Record::new(BUILDING, None, &[("ms", building_ms(routes.clone())?)]).in_round(round));
    }
    run.save()?;
    show(&run)
}

/// Whether every request finds what it is there for.
fn check(router: &Router<usize>, kinds: &[Kind]) -> Result<()> {
    for kind in kinds {
        let method = method_of(kind);
        let is_so = |(host, path)| what_is_found(router, &method, host, path) == kind.finds;
        ensure!(kind.requests.iter().all(is_so), "{}: not every request finds {}", kind.name, kind.finds);
    }
    Ok(())
}

fn building_ms(routes: Vec<(Arc<Route>, usize)>) -> Result<f64> {
    let began = Instant::now();
    black_box(Router::new(routes)?);
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

fn ns_per_match(router: &Router<usize>, kind: &Kind) -> f64 {
    let (method, began) = (method_of(kind), Instant::now());
    for (host, path) in kind.requests.iter() {
        black_box(what_is_found(router, black_box(&method), black_box(host), black_box(path)));
    }
    began.elapsed().as_secs_f64() * 1e9 / REQUESTS as f64
}

/// Writes the table to `target/bench`.
pub fn show(run: &Run) -> Result<()> {
    let mut table = Table::new(&["a request for", "ns"]);
    for side in run.sides().into_iter().filter(|side| *side != BUILDING) {
        table.row(&[side.to_owned(), format!("{:.0}", run.median(side, None, "ns"))]);
    }
    table.note(format!("{BUILDING}: {:.1} ms.", run.median(BUILDING, None, "ms")));
    table.publish(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_finds_what_is_said() {
        let router = Router::new(routes(20).unwrap()).unwrap();
        assert_eq!(router.routes().len(), 20 * 10 + 64);
        check(&router, &kinds(20)).unwrap();
    }
}
