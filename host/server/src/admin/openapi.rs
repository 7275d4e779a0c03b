//! The API described, as OpenAPI 3.1: `GET /openapi.json`. `docs/openapi.json` is the same, committed.
//!
//! Router and description are made of one table (`table.rs`), so that a call is in both or in neither. What only one call
//! can fail with stands beside it there; what follows from what a call takes (a token, a name, a query, a body) is added
//! here. Statuses come from the codes, as in the answers themselves.

use std::{collections::BTreeMap, sync::LazyLock};

use gust_core::{
    Code,
    api::ProblemDocument,
    schema::{Scope, SettingName},
};
use http::{StatusCode, header};
use utoipa::{
    OpenApi, PartialSchema,
    openapi::{
        Components, Content, Header, Ref, RefOr, Schema,
        header::HeaderBuilder,
        path::{Operation, ParameterIn},
        response::{Response, ResponseBuilder},
        schema::{AllOf, Object},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use super::{precondition, table};
use crate::status;

/// What the token is called in the description.
const TOKEN: &str = "token";

/// What any call can fail with that takes a token.
const GUARDED: [Code; 7] = [
    Code::AuthRequired,
    Code::AuthForbidden,
    Code::ApiWrongHost,
    Code::ApiForeignOrigin,
    Code::ApiContentType,
    Code::StoreFailed,
    Code::Internal,
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "gust: the admin API",
        description = "What is deployed on a gust host, changed and seen over HTTP. Changes are the same a second time, or \
                       take If-Match. Fields are only ever added. What goes wrong is told as problem+json (RFC 9457) with a \
                       stable code; docs/api.md has them all."
    ),
    components(schemas(ProblemDocument, Scope, SettingName)),
    tags(
        (name = "functions", description = "Functions, their versions, aliases and logs."),
        (name = "apps", description = "Apps: what functions have together."),
        (name = "tokens", description = "Who may call the API, and functions that take a key."),
        (name = "host", description = "The host itself.")
    )
)]
struct Description;

/// The description, as it is served.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    // It is made of texts and numbers, so it cannot fail to be written.
    let mut text = description().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
});

/// The description of this API, as OpenAPI 3.1.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "describe",
    responses((status = 200, description = "The description", body = Object, content_type = "application/json"))
)]
pub(super) async fn document() -> ([(header::HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

/// All calls, and what they take and answer.
fn description() -> utoipa::openapi::OpenApi {
    let mut description = Description::openapi();
    let mut components = description.components.take().unwrap_or_default();
    for call in table::open().described.into_iter().chain(table::guarded().described) {
        description.paths.add_path_operation(call.path, call.methods, call.operation);
        components.schemas.extend(call.schemas);
    }
    join(&mut components);
    let token = Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("A token of this host.")).build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token));
    description.components = Some(components);
    description
}

/// Adds to a call what it can fail with, and where it belongs.
pub(super) fn complete(
    operation: &mut Operation,
    path: &str,
    (takes_token, refuses_query): (bool, bool),
    own: &[Code],
) {
    operation.tags = Some(vec![tag(path).to_owned()]);
    let mut codes = implied(operation);
    if takes_token {
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(TOKEN, [])]);
        codes.extend(GUARDED);
    }
    if refuses_query {
        codes.push(Code::ApiMalformed);
    }
    codes.extend(own);
    let mut by_status = BTreeMap::<StatusCode, Vec<Code>>::new();
    for code in codes {
        let same_status = by_status.entry(status::of(code)).or_default();
        if !same_status.contains(&code) {
            same_status.push(code);
        }
    }
    let problems = by_status.iter().map(|(status, codes)| (status.as_str().to_owned(), problem(codes).into()));
    operation.responses.responses.extend(problems);
}

fn tag(path: &str) -> &str {
    path.strip_prefix("/v1/").map_or("host", |rest| rest.split('/').next().unwrap_or(rest))
}

/// What a call can fail with because of what it takes.
fn implied(operation: &Operation) -> Vec<Code> {
    let mut codes = Vec::new();
    for parameter in operation.parameters.iter().flatten() {
        match parameter.parameter_in {
            ParameterIn::Path => codes.push(Code::NameInvalid),
            ParameterIn::Header => codes.extend(precondition::PROBLEMS),
            ParameterIn::Query | ParameterIn::Cookie => codes.push(Code::ApiMalformed),
        }
    }
    if operation.request_body.is_some() {
        codes.push(Code::ApiMalformed);
    }
    codes
}

/// The answer of calls that fail with one of these codes.
fn problem(codes: &[Code]) -> Response {
    let told = codes.iter().map(|code| format!("`{}`: {}.", code.as_str(), code.title())).collect::<Vec<_>>();
    let document = Content::new(Some(Ref::from_schema_name("ProblemDocument")));
    let answer = ResponseBuilder::new().description(told.join(" ")).content("application/problem+json", document);
    let is_any = |says: fn(Code) -> bool| codes.iter().any(|code| says(*code));
    let answer = match is_any(|code| status::challenge(code).is_some()) {
        true => answer.header("www-authenticate", header::<String>("How to say who one is.")),
        false => answer,
    };
    match is_any(|code| status::retry_after_s(code).is_some()) {
        true => answer.header("retry-after", header::<u32>("When trying again may help, in seconds.")),
        false => answer,
    }
    .build()
}

fn header<T: PartialSchema>(description: &str) -> Header {
    HeaderBuilder::new().schema(T::schema()).description(Some(description)).build()
}

/// Makes one object of each that is composed of several. Those that take no other keys would otherwise refuse each other's.
fn join(components: &mut Components) {
    let composed = |schema: &RefOr<Schema>| match schema {
        RefOr::T(Schema::AllOf(all)) => Some(all.clone()),
        _ => None,
    };
    let all: Vec<_> = components.schemas.iter().filter_map(|(name, s)| Some((name.clone(), composed(s)?))).collect();
    for (name, all) in all {
        let joined = joined(&all, components);
        components.schemas.insert(name, joined.into());
    }
}

fn joined(all: &AllOf, components: &Components) -> Object {
    let mut whole = Object::with_type(utoipa::openapi::Type::Object);
    whole.description.clone_from(&all.description);
    for item in &all.items {
        let part = match item {
            RefOr::Ref(reference) => named(&reference.ref_location, components),
            RefOr::T(schema) => Some(schema),
        };
        let object = match part {
            Some(Schema::Object(object)) => object.clone(),
            Some(Schema::AllOf(all)) => joined(all, components),
            _ => continue,
        };
        whole.properties.extend(object.properties);
        whole.required.extend(object.required);
    }
    whole
}

fn named<'c>(location: &str, components: &'c Components) -> Option<&'c Schema> {
    match components.schemas.get(location.rsplit('/').next()?)? {
        RefOr::T(schema) => Some(schema),
        RefOr::Ref(reference) => named(&reference.ref_location, components),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::Method;
    use serde_json::Value;

    use super::{super::permission, *};

    fn document() -> Value {
        serde_json::from_str(&DOCUMENT).unwrap()
    }

    /// Every call: its path, its method, what is said of it.
    fn calls(document: &Value) -> Vec<(&str, &str, &Value)> {
        let paths = document["paths"].as_object().unwrap();
        paths
            .iter()
            .flat_map(|(path, item)| {
                item.as_object().unwrap().iter().map(move |(method, call)| (path.as_str(), method.as_str(), call))
            })
            .collect()
    }

    /// Every `$ref` below a value.
    fn references<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn what_is_referred_to_is_there_and_nothing_else() {
        let document = document();
        let mut wanted = BTreeSet::new();
        references(&document, &mut wanted);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let there: BTreeSet<String> = schemas.keys().map(|name| format!("#/components/schemas/{name}")).collect();
        assert_eq!(there.iter().map(String::as_str).collect::<BTreeSet<_>>(), wanted);
    }

    #[test]
    fn every_call_has_a_name_of_its_own_and_says_what_it_does() {
        let document = document();
        let calls = calls(&document);
        let names: BTreeSet<_> = calls.iter().map(|(.., call)| call["operationId"].as_str().unwrap()).collect();
        assert_eq!(names.len(), calls.len());
        for (path, method, call) in calls {
            assert!(call["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{method} {path}");
            assert!(
                call["responses"].as_object().unwrap().keys().any(|status| status.starts_with('2')),
                "{method} {path}"
            );
        }
    }

    #[test]
    fn a_call_takes_a_token_or_is_known_to_take_none() {
        let document = document();
        for (path, method, call) in calls(&document) {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            if matches!(path, "/healthz" | "/readyz" | "/openapi.json") {
                assert!(call["security"].is_null(), "{path}");
                continue;
            }
            assert_eq!(call["security"][0][TOKEN], Value::Array(Vec::new()), "{path}");
            assert!(permission::need(&method, path).is_some(), "{method} {path} is nobody's: see permission.rs");
        }
    }

    #[test]
    fn what_is_composed_takes_what_its_parts_take() {
        let schemas = &document()["components"]["schemas"];
        for (composed, keys) in [
            ("AppInfo", ["hosts", "revision"]),
            ("AliasInfo", ["targets", "url"]),
            ("Deployed", ["deployed", "aliases"]),
        ] {
            let schema = &schemas[composed];
            assert!(schema["additionalProperties"].is_null(), "{composed} takes no other keys");
            assert!(keys.iter().all(|key| schema["properties"][key].is_object()), "{schema}");
        }
    }
}
