use std::fmt::Write as _;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Extensions, HeaderMap};
use axum::response::IntoResponse;

use crate::access::{METRICS, Visitor, is_forwarded};
use crate::{ApiError, App};

pub(super) fn routes() -> Router<App> {
    METRICS.mount(Router::new(), metrics)
}

/// For monitors on this machine without a credential, for others with the right to administer.
async fn metrics(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<impl IntoResponse, ApiError> {
    let near = extensions
        .get::<ConnectInfo<SocketAddr>>()
        .is_some_and(|info| info.0.ip().to_canonical().is_loopback());
    // Behind a proxy on this machine every request comes from near.
    let by_address = near && !is_forwarded(&headers) && !visitor.shows_credential();
    let of_call = app.clone();
    let text = app
        .run(visitor, move |session| {
            if !by_address {
                METRICS.demand(session)?;
            }
            Ok(exposition(&of_call))
        })
        .await?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
}

/// Format: <https://prometheus.io/docs/instrumenting/exposition_formats/>
fn exposition(app: &App) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(
            text,
            "# HELP hayloft_{name} {help}\n# TYPE hayloft_{name} {kind}\nhayloft_{name} {value}"
        );
    };
    let store = app.store().metrics();
    for (name, help, value) in [
        ("commits_total", "Durable commits.", store.commits),
        ("changes_total", "Changes in commits.", store.changes),
        ("files_stored_total", "Package files stored.", store.files_stored),
        ("blobs_published_total", "Contents made durable as files.", store.blobs_published),
        ("blobs_collected_total", "Contents removed as garbage.", store.blobs_collected),
        ("downloads_total", "Downloads counted.", store.downloads),
    ] {
        metric(name, "counter", help, &value);
    }
    metric("largest_batch", "gauge", "Most changes in one commit.", &store.largest_batch);
    let traffic = app.traffic().counts();
    metric("sent_bytes_total", "counter", "Bytes of answers.", &traffic.bytes);
    metric("running_requests", "gauge", "Requests being answered.", &traffic.running);
    metric("running_uploads", "gauge", "Uploads being received.", &traffic.uploads);
    text.push_str("# HELP hayloft_requests_total Requests answered, by class of status.\n");
    text.push_str("# TYPE hayloft_requests_total counter\n");
    for (class, count) in (1..).zip(traffic.classes) {
        let _ = writeln!(text, "hayloft_requests_total{{status=\"{class}xx\"}} {count}");
    }
    text
}
