//! `PUT /v1/functions/{name}`: the component alone, or with its manifest as a form.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{FromRequest as _, Multipart, Request, State, multipart::Field},
    response::{IntoResponse as _, Response},
};
use futures_util::StreamExt as _;
use gust_core::{
    Code, FunctionName, Manifest, Problem, api::Deployed, component::Granted, manifest::MANIFEST_BYTES_MAX,
};
use gust_store::Staging;
use http::{HeaderMap, header};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, RefOr, Schema, SchemaFormat, Type,
        schema::{AdditionalProperties, ObjectBuilder},
    },
};

use super::{
    Admin,
    permission::{self, Call},
    precondition::{self, ETag, IfMatch},
    release::Options,
    reply::{Asked, Name, Named, Refusal, Who},
};
use crate::{binding::Choice, changes::no_function, deploy::Wishes, status, work::to_its_end};

/// Deploys a component: alone, or with its manifest as a form.
#[utoipa::path(
    put, path = "/v1/functions/{name}", operation_id = "deploy_function",
    params(("name" = FunctionName, Path, description = "The function"), Options, IfMatch),
    request_body(content((Component = "application/wasm"), (UploadForm = "multipart/form-data"))),
    responses(
        (status = 200, description = "The newest version is the same component with the same manifest", body = Deployed, headers(("etag" = inline(ETag)))),
        (status = 201, description = "The component is a new version", body = Deployed, headers(("etag" = inline(ETag))))
    )
)]
pub(super) async fn put(
    State(admin): State<Arc<Admin>>,
    Named(name): Name,
    Asked(options): Asked<Options>,
    Who(grant): Who,
    request: Request,
) -> Result<Response, Refusal> {
    let wishes = options.wishes(precondition::wanted(request.headers())?)?;
    let call = Call::of(&request);
    let kind = kind(request.headers())?;
    must_fit(request.headers(), admin.changes.config.upload_mib_max)?;
    let staging = admin.changes.stage().await?;
    let (staging, manifest) = match kind {
        Kind::Component => (receive(request.into_body(), staging).await?, Manifest::default()),
        Kind::Form => receive_form(bounded(request, admin.changes.config.upload_mib_max), staging).await?,
    };
    // What was let in before the upload arrived may be another app's by now, and its token revoked.
    call.map_or(Ok(()), |call| call.may_still())?;
    let app = admin.changes.app_for(&name, wishes.app.as_ref())?;
    permission::must_deploy(&grant, &name, &app.name)?;
    if app.name.is_default() && manifest.routes.iter().any(|route| route.host.is_some()) {
        // On such a host no function is called by its name any more.
        permission::must_deploy_to(&grant, &app.name)?;
    }
    let wishes = Wishes { app: Some(app.name.clone()), ..wishes };
    let (changes, owned, wanted) = (admin.changes.clone(), name.clone(), manifest.clone());
    let deployed =
        to_its_end(&admin.asked, async move { changes.deploy(owned, staging, manifest, wishes).await }).await?;
    let binding = admin.changes.function(&name)?;
    let mut function = admin.info(&grant, &binding).ok_or_else(|| no_function(&name))?;
    let granted = match binding.of_version(deployed.version) {
        Choice::Here(deployment) => deployment.terms.granted(),
        _ => Granted::from(&wanted),
    };
    function.component = admin.component(deployed.digest, &granted).await;
    let answer = Deployed {
        deployed: deployed.version,
        deployed_url: admin.url_of(&binding, Some(&deployed.version.to_string())),
        function,
    };
    Ok((status::deployed(deployed.is_new), ETag(binding.generation), Json(answer)).into_response())
}

/// A component, as it is described.
pub(super) enum Component {}

/// A form, as it is described.
pub(super) enum UploadForm {}

impl PartialSchema for Component {
    fn schema() -> RefOr<Schema> {
        let bytes =
            ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
        bytes.description(Some("A WebAssembly component.")).into()
    }
}

impl PartialSchema for UploadForm {
    fn schema() -> RefOr<Schema> {
        let manifest = ObjectBuilder::new().schema_type(Type::String).description(Some("The text of its gust.toml."));
        let manifest = manifest.format(Some(SchemaFormat::Custom("toml".to_owned())));
        let form = ObjectBuilder::new().schema_type(Type::Object).required("component");
        let form = form.property("component", Component::schema()).property("manifest", manifest);
        form.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false))).into()
    }
}

impl ToSchema for Component {}

impl ToSchema for UploadForm {}

enum Kind {
    Component,
    Form,
}

fn kind(headers: &HeaderMap) -> Result<Kind, Problem> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Problem::new(Code::UploadContentEncoding, "send the component as it is, without Content-Encoding"));
    }
    let stated = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match stated.split(';').next().unwrap_or_default().trim() {
        "application/wasm" => Ok(Kind::Component),
        "multipart/form-data" => Ok(Kind::Form),
        other => {
            let detail = format!("Content-Type is {other:?}; send application/wasm or multipart/form-data");
            Err(Problem::new(Code::UploadContentType, detail))
        }
    }
}

/// Refuses what is stated to be too large before any of it is sent.
fn must_fit(headers: &HeaderMap, upload_mib_max: u32) -> Result<(), Problem> {
    let bytes_max = (u64::from(upload_mib_max) << 20) + MANIFEST_BYTES_MAX as u64;
    let stated = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match stated {
        Some(bytes) if bytes > bytes_max => {
            let detail = format!("the upload has {bytes} bytes; this host takes {upload_mib_max} MiB (upload_mib_max)");
            Err(Problem::new(Code::UploadTooLarge, detail))
        }
        _ => Ok(()),
    }
}

/// A form holds its head and its parts' in memory, so all of it has an end.
fn bounded(request: Request, upload_mib_max: u32) -> Request {
    let bytes_max = (usize::try_from(upload_mib_max).unwrap_or(usize::MAX) << 20) + 2 * MANIFEST_BYTES_MAX;
    request.map(|body| Body::new(http_body_util::Limited::new(body, bytes_max)))
}

fn incomplete(error: impl std::fmt::Display) -> Problem {
    Problem::new(Code::UploadIncomplete, "the upload broke off; nothing was changed").with_internal(error.to_string())
}

async fn receive(body: Body, mut staging: Staging) -> Result<Staging, Problem> {
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        staging.write(&piece.map_err(incomplete)?)?;
    }
    Ok(staging)
}

async fn receive_form(request: Request, mut staging: Staging) -> Result<(Staging, Manifest), Problem> {
    let malformed = |error: &dyn std::fmt::Display| Problem::new(Code::ApiMalformed, format!("the form: {error}"));
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| malformed(&error))?;
    let (mut has_component, mut manifest) = (false, None);
    while let Some(mut field) = form.next_field().await.map_err(incomplete)? {
        match field.name().unwrap_or_default() {
            "component" if has_component => return Err(malformed(&"two parts are named component")),
            "component" => {
                has_component = true;
                while let Some(piece) = field.chunk().await.map_err(incomplete)? {
                    staging.write(&piece)?;
                }
            }
            "manifest" if manifest.is_some() => return Err(malformed(&"two parts are named manifest")),
            "manifest" => manifest = Some(Manifest::parse(&text(field).await?)?),
            other => {
                let shown: String = other.chars().take(64).collect();
                return Err(malformed(&format!("a part is named {shown:?}; there are component and manifest")));
            }
        }
    }
    if !has_component {
        return Err(Problem::new(Code::UploadIncomplete, "the form has no part named component"));
    }
    Ok((staging, manifest.unwrap_or_default()))
}

async fn text(mut field: Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(incomplete)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(Problem::new(Code::ManifestInvalid, format!("it is larger than {MANIFEST_BYTES_MAX} bytes")));
        }
    }
    String::from_utf8(bytes).map_err(|_| Problem::new(Code::ManifestInvalid, "it is not UTF-8 text"))
}
