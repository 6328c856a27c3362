use std::collections::HashSet;
use std::fmt::{Display, Write as _};
use std::net::IpAddr;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Version};
use axum::response::IntoResponse;

use crate::access::{METRICS, Visitor};
use crate::client::peer;
use crate::process;
use crate::traffic::{BUCKETS, Kind};
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
    let by_address = !visitor.may_be_known() && is_of_a_monitor_here(&parts);
    let of_call = app.clone();
    let text = app
        .run(visitor, move |session| {
            if !by_address {
                METRICS.demand(session)?;
            }
            exposition(&of_call)
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
    let near = peer(&parts.extensions).is_some_and(|peer| peer.is_loopback());
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
#[derive(Debug, Default)]
struct Exposition(String);

impl Exposition {
    /// Begins a metric; its samples follow.
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// `labels` are as they are written.
    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            labels => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.sample(name, "", value);
    }
}

/// Never a label for a package: there may be millions.
fn exposition(app: &App) -> Result<String, ApiError> {
    let mut all = Exposition::default();
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    all.head("hayloft_build_info", "gauge", "What runs; always 1.");
    all.sample("hayloft_build_info", &version, 1);
    let store = app.store().metrics();
    for (name, help, value) in [
        ("hayloft_commits_total", "Durable commits.", store.commits),
        ("hayloft_changes_total", "Changes in commits.", store.changes),
        ("hayloft_files_stored_total", "Package files stored.", store.files_stored),
        ("hayloft_blobs_published_total", "Contents made durable as files.", store.blobs_published),
        ("hayloft_blobs_collected_total", "Contents removed as garbage.", store.blobs_collected),
        ("hayloft_blobs_scrubbed_total", "Contents read to find rot.", store.blobs_scrubbed),
        ("hayloft_downloads_total", "Downloads counted.", store.downloads),
    ] {
        all.single(name, "counter", help, value);
    }
    let largest = store.largest_batch;
    all.single("hayloft_largest_batch", "gauge", "Most changes in one commit.", largest);
    all.single(
        "hayloft_oldest_snapshot_milliseconds",
        "gauge",
        "For how long the oldest view of rows has been held.",
        store.log.oldest_snapshot,
    );
    let ready = u8::from(app.unready().is_none());
    all.single("hayloft_ready", "gauge", "1 if /readyz says yes.", ready);
    if let Some(expires) = app.certificate_expiry() {
        all.single(
            "hayloft_tls_certificate_expiry_timestamp_seconds",
            "gauge",
            "When the certificate of the server ends.",
            expires.millis() / 1_000,
        );
    }
    of_traffic(&mut all, app)?;
    let start = seconds(app.traffic().start().millis(), 1_000);
    let about = "When the program began.";
    all.single("process_start_time_seconds", "gauge", about, start);
    for (name, help, value) in process::figures() {
        all.single(name, "gauge", help, value);
    }
    Ok(all.0)
}

fn of_traffic(all: &mut Exposition, app: &App) -> Result<(), ApiError> {
    let traffic = app.traffic();
    let counts = traffic.counts();
    all.single("hayloft_sent_bytes_total", "counter", "Bytes of answers.", counts.bytes);
    all.single("hayloft_running_requests", "gauge", "Requests being answered.", counts.running);
    all.single("hayloft_running_uploads", "gauge", "Uploads being received.", counts.uploads);
    all.head("hayloft_requests_total", "counter", "Requests answered, by class of status.");
    for (class, count) in (1..).zip(counts.classes) {
        all.sample("hayloft_requests_total", &format!("status=\"{class}xx\""), count);
    }
    let name = "hayloft_request_duration_seconds";
    all.head(name, "histogram", "Time from a request's head to the end of its answer.");
    for kind in Kind::ALL {
        let (spread, kind) = (traffic.spread(kind), kind.as_str());
        for (end, count) in BUCKETS.iter().zip(spread.up_to) {
            let end = seconds(i64::try_from(*end).unwrap_or(i64::MAX), 1_000);
            let labels = format!("kind=\"{kind}\",le=\"{end}\"");
            all.sample(&format!("{name}_bucket"), &labels, count);
        }
        let labels = format!("kind=\"{kind}\"");
        all.sample(&format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), spread.all);
        let sum = seconds(i64::try_from(spread.micros).unwrap_or(i64::MAX), 1_000_000);
        all.sample(&format!("{name}_sum"), &labels, sum);
        all.sample(&format!("{name}_count"), &labels, spread.all);
    }
    let names: HashSet<String> = app.store().feeds()?.into_iter().map(|feed| feed.name).collect();
    let feeds = traffic.of_feeds(|name| names.contains(name));
    all.single("hayloft_feeds", "gauge", "Feeds that there are.", names.len());
    all.head("hayloft_feed_requests_total", "counter", "Requests answered for each feed.");
    for (feed, counts) in &feeds {
        for (kind, classes) in Kind::ALL.into_iter().zip(counts.requests) {
            for (class, count) in (1..).zip(classes).filter(|(_, count)| *count > 0) {
                let (feed, kind) = (label(feed), kind.as_str());
                let labels = format!("feed=\"{feed}\",kind=\"{kind}\",status=\"{class}xx\"");
                all.sample("hayloft_feed_requests_total", &labels, count);
            }
        }
    }
    all.head("hayloft_feed_sent_bytes_total", "counter", "Bytes of answers for each feed.");
    for (feed, counts) in &feeds {
        let labels = format!("feed=\"{}\"", label(feed));
        all.sample("hayloft_feed_sent_bytes_total", &labels, counts.bytes);
    }
    Ok(())
}

/// A number of parts of a second as a decimal number, without rounding.
fn seconds(parts: i64, of: i64) -> String {
    let digits = of.ilog10() as usize;
    let text = format!("{}.{:0digits$}", parts / of, parts % of);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_decimal_numbers() {
        assert_eq!(seconds(5, 1_000), "0.005");
        assert_eq!(seconds(60_000, 1_000), "60");
        assert_eq!(seconds(2_500, 1_000), "2.5");
        assert_eq!(seconds(61_003_000, 1_000_000), "61.003");
        assert_eq!(seconds(0, 1_000), "0");
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(label("a\"b\\c"), "a\\\"b\\\\c");
    }
}
