//! What monitors are told.

#![allow(clippy::float_cmp, reason = "samples are counts, which are exact")]

use std::collections::{BTreeMap, BTreeSet};

use crate::server::Server;

#[test]
fn a_server_lives_and_is_ready() {
    let server = Server::start_with(|app| app);
    for path in ["/livez", "/readyz", "/readyz/"] {
        assert_eq!(server.get(path).text(), "ok", "{path}");
    }
    server.store.close().unwrap();
    server.get("/readyz").refused(503, &["stopped"]);
    assert_eq!(server.get("/livez").text(), "ok");
}

#[test]
fn a_full_disk_wants_no_more_requests() {
    let mut options = hayloft::OpenOptions::default();
    options.free_space_floor = u64::MAX;
    let directory = tempfile::tempdir().unwrap();
    let store = hayloft::Store::open(directory.path(), hayloft::feed_types(), options).unwrap();
    let server = Server::of(store, directory, |app| app);
    server.get("/readyz").refused(503, &["disk full"]);
    assert_eq!(server.get("/livez").text(), "ok");
}

/// Samples by the metric that they belong to; checks that the text is what Prometheus reads.
fn parsed(text: &str) -> BTreeMap<String, Vec<(String, f64)>> {
    let mut metrics: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    let mut kinds = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            rest.split(' ').next().unwrap().clone_into(&mut current);
            assert!(metrics.insert(current.clone(), Vec::new()).is_none(), "{current} twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, current);
            kinds.insert(name.to_owned(), kind.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(seen.insert(series.to_owned()), "{series} twice");
            let name = series.split('{').next().unwrap();
            let base = match kinds[&current].as_str() {
                "histogram" => {
                    let parts = ["_bucket", "_sum", "_count"];
                    parts.iter().find_map(|part| name.strip_suffix(part)).unwrap()
                }
                "counter" => {
                    assert!(name.ends_with("_total"), "{name}");
                    name
                }
                _ => name,
            };
            assert_eq!(base, current, "samples follow their head");
            let value = value.parse().unwrap();
            metrics.get_mut(&current).unwrap().push((series.to_owned(), value));
        }
    }
    metrics
}

#[test]
fn metrics_are_named_as_prometheus_wants_and_have_no_package() {
    let server = Server::start_with(|app| app.gatekeeper(hayloft_http::LocalUser::new("tester")));
    server.feed("nu1", "nuget");
    server.feed("gone", "nuget");
    let package = hayloft_testkit::nupkg("Secret.Name", "1.0.0").build();
    server.put("/api/packages/nu1/upload", &package).done();
    server.get("/nuget/nu1/v3/index.json").done();
    server.get("/api/packages/nu1/metadata?name=missing&version=1").refused(404, &[]);
    server.get("/api/packages/gone").done();
    server.store.delete_feed("gone", &hayloft::Actor::system()).unwrap();
    let text = server.get("/metrics").text();
    assert!(!text.contains("Secret"), "{text}");
    let metrics = parsed(&text);
    let value = |name: &str, series: &str| {
        let samples = metrics.get(name).unwrap_or_else(|| panic!("{name} is not in {text}"));
        samples
            .iter()
            .find(|(each, _)| each == series)
            .unwrap_or_else(|| panic!("{series}: {text}"))
            .1
    };
    let of_feed = |kind: &str, status: &str| {
        let labels = format!("feed=\"nu1\",kind=\"{kind}\",status=\"{status}\"");
        value("hayloft_feed_requests_total", &format!("hayloft_feed_requests_total{{{labels}}}"))
    };
    assert_eq!([of_feed("write", "2xx"), of_feed("read", "2xx"), of_feed("read", "4xx")], [1.0; 3]);
    assert!(!text.contains("feed=\"gone\""), "{text}");
    let histogram = &metrics["hayloft_request_duration_seconds"];
    let reads: Vec<f64> = histogram
        .iter()
        .filter(|(series, _)| series.contains("_bucket{kind=\"read\""))
        .map(|(_, count)| *count)
        .collect();
    assert!(reads.is_sorted() && reads.last() == Some(&3.0), "{reads:?}");
    let build = format!("hayloft_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(value("hayloft_build_info", &build), 1.0);
    assert_eq!(value("hayloft_ready", "hayloft_ready"), 1.0);
    assert!(value("process_start_time_seconds", "process_start_time_seconds") > 1e9);
    if cfg!(target_os = "linux") {
        assert!(value("process_open_fds", "process_open_fds") > 3.0);
        // Some sandboxes do not tell.
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let memory = metrics.get("process_resident_memory_bytes");
        assert_eq!(memory.is_some(), status.contains("VmRSS:"));
        assert!(memory.is_none_or(|samples| samples[0].1 > 1e6), "{text}");
    }
}
