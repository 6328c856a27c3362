use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Version};
use axum::response::IntoResponse;

use crate::access::{METRICS, Visitor};
use crate::{ApiError, App};

pub(super) fn routes() -> Router<App> {
    METRICS.mount(Router::new(), metrics)
}

/// For monitors on this machine without a credential, for others with the right to administer.
async fn metrics(
    State(app): State<App>,
    visitor: Visitor,
    parts: Parts,
) -> Result<impl IntoResponse, ApiError> {
    let by_address = !visitor.shows_credential() && is_of_a_monitor_here(&parts);
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

/// What monitors send. A proxy, a page in a browser, or whoever asks through one adds another header
/// sooner or later, and there are too many to name those.
const HEADERS: [&str; 9] = [
    "accept",
    "accept-encoding",
    "cache-control",
    "connection",
    "content-length",
    "host",
    "pragma",
    "user-agent",
    "x-prometheus-scrape-timeout-seconds",
];

/// True if a monitor on this machine asks this server itself. Behind a proxy on this machine every
/// request comes from near, but hardly one looks as if nothing had passed it on: nginx by default
/// asks in HTTP/1.0, others keep the name of the public host or tell of themselves.
fn is_of_a_monitor_here(parts: &Parts) -> bool {
    let near = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .is_some_and(|info| info.0.ip().to_canonical().is_loopback());
    let mut hosts = parts.headers.get_all(HOST).into_iter();
    let named = hosts.next().is_some_and(is_loopback) && hosts.next().is_none();
    near && named
        && parts.version >= Version::HTTP_11
        && parts.uri.authority().is_none()
        && parts.headers.keys().all(|name| HEADERS.contains(&name.as_str()))
}

fn is_loopback(host: &HeaderValue) -> bool {
    let host = host.to_str().unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
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
