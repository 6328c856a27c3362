use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use hayloft::{Actor, SettingError, Store, StoreError};

use crate::access::{HEALTH, HEALTH_JSON, LIVE, READY};
use crate::edge::API_VERSION;
use crate::parameters::Parameters;
use crate::wire::HealthInfo;
use crate::{ApiError, App};

/// How long a healthy store is taken for healthy: monitors and balancers ask many times a second,
/// and each look passes through the writer.
const FRESH: Duration = Duration::from_secs(1);

/// When the store was found healthy.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Option<Instant>>);

impl Health {
    fn is_fresh(&self) -> bool {
        self.lock().is_some_and(|found| found.elapsed() < FRESH)
    }

    fn found(&self, healthy: bool) {
        *self.lock() = healthy.then(Instant::now);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn routes() -> Router<App> {
    let router = HEALTH.mount(Router::new(), health);
    let router = HEALTH_JSON.mount(router, health_json);
    let router = LIVE.mount(router, live);
    READY.mount(router, ready)
}

/// Asks nothing else: a program that answers is not to be started anew because a disk is full.
async fn live() -> &'static str {
    "ok"
}

async fn ready(State(app): State<App>) -> Result<&'static str, ApiError> {
    let of_call = app.clone();
    match app.block_apart(move || of_call.unready()).await? {
        None => Ok("ok"),
        Some(reason) => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, reason)),
    }
}

/// JSON, for every client parses it; plain text for monitors that ask for it.
async fn health(
    State(app): State<App>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let as_text = match parameters.get(&["format"]) {
        Some(format) => format.eq_ignore_ascii_case("text"),
        None => accepts.trim().to_ascii_lowercase().starts_with("text/plain"),
    };
    let (status, info) = look(&app).await?;
    if !as_text {
        return Ok((status, Json(info)).into_response());
    }
    let text = if status.is_success() { "OK" } else { "Error" };
    Ok((status, text).into_response())
}

async fn health_json(State(app): State<App>, _: Parameters) -> Result<Response, ApiError> {
    let (status, info) = look(&app).await?;
    Ok((status, Json(info)).into_response())
}

async fn look(app: &App) -> Result<(StatusCode, HealthInfo), ApiError> {
    let trouble = if app.health().is_fresh() {
        None
    } else {
        let of_call = app.clone();
        let look = move || trouble(of_call.store());
        let trouble = app.block_apart(look).await?;
        app.health().found(trouble.is_none());
        trouble
    };
    let status = if trouble.is_none() { "OK" } else { "Error" };
    let info = HealthInfo {
        application_name: Some("ProGet".to_owned()),
        database_status: status.to_owned(),
        database_status_details: trouble,
        license_status: "OK".to_owned(),
        license_status_detail: None,
        service_status: "OK".to_owned(),
        service_status_detail: None,
        version_number: format!("{API_VERSION}.1"),
        release_number: API_VERSION.to_owned(),
        hayloft_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
    };
    let healthy = info.database_status_details.is_none();
    Ok((if healthy { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }, info))
}

/// What keeps the store from reading or writing; paths and causes are for the log alone.
fn trouble(store: &Store) -> Option<String> {
    // A change that changes nothing passes through the writer and costs no commit.
    let outcome = store.set_setting("health", None, &Actor::system());
    let error = match outcome {
        Ok(()) => return None,
        Err(SettingError::Store(error)) => error,
        Err(other) => return Some(other.to_string()),
    };
    tracing::error!(%error, "the store is not healthy");
    Some(match error {
        error @ (StoreError::Closed | StoreError::Stopped) => error.to_string(),
        _ => "the store cannot read its metadata".to_owned(),
    })
}
