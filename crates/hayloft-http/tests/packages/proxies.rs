//! What a proxy tells is believed of those that are trusted.

use hayloft::{Actor, AuditQuery, KeyGrant};
use hayloft_http::{LocalUser, ProxyHeader, RequestLimits, TrustedProxies};

use crate::server::Server;

const TOLD: &[(&str, &str)] = &[
    ("X-Forwarded-For", "203.0.113.9, 198.51.100.7"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "p.example"),
    ("X-Forwarded-Prefix", "/packages"),
];

fn behind(proxies: &str) -> Server {
    let proxies: TrustedProxies = proxies.parse().unwrap();
    let server =
        Server::start_with(|app| app.gatekeeper(LocalUser::new("tester")).trusted_proxies(proxies));
    server.feed("nu1", "nuget");
    server
}

/// URL in the service index, and the address in the audit row of an upload.
fn seen(server: &Server, headers: &[(&str, &str)]) -> (String, String) {
    let index = server.send("GET", "/nuget/nu1/v3/index.json", headers, b"").json();
    let resource = index["resources"][0]["@id"].as_str().unwrap();
    let (base, _) = resource.split_once("/nuget/nu1/").unwrap();
    let package = hayloft_testkit::nupkg("A", "1.0.0").build();
    server.send("PUT", "/api/packages/nu1/upload", headers, &package).done();
    let row = server.store.audit_log(&AuditQuery::default()).unwrap().next().unwrap().unwrap();
    (base.to_owned(), row.address.unwrap())
}

#[test]
fn urls_and_the_audit_log_have_what_a_trusted_proxy_tells() {
    let server = behind("127.0.0.0/8");
    let expected = ("https://p.example/packages".to_owned(), "198.51.100.7".to_owned());
    assert_eq!(seen(&server, TOLD), expected);
}

#[test]
fn a_stranger_who_tells_the_same_is_not_believed() {
    let server = behind("10.0.0.0/8");
    let expected = (format!("http://{}", server.address), "127.0.0.1".to_owned());
    assert_eq!(seen(&server, TOLD), expected);
}

#[test]
fn only_one_kind_of_header_is_believed() {
    let proxies: TrustedProxies = "127.0.0.1".parse().unwrap();
    let proxies = proxies.in_headers(ProxyHeader::Forwarded);
    let server =
        Server::start_with(|app| app.gatekeeper(LocalUser::new("tester")).trusted_proxies(proxies));
    server.feed("nu1", "nuget");
    let forwarded = ("Forwarded", "for=198.51.100.8;proto=https;host=f.example");
    let headers = [TOLD, &[forwarded]].concat();
    let expected = ("https://f.example".to_owned(), "198.51.100.8".to_owned());
    assert_eq!(seen(&server, &headers), expected);
}

#[test]
fn an_address_and_a_key_have_so_many_requests() {
    let mut limits = RequestLimits::default();
    // One, and the next an hour and more later.
    limits.address_rate = 1;
    limits.rate_burst = std::time::Duration::ZERO;
    let proxies: TrustedProxies = "127.0.0.1".parse().unwrap();
    let server = Server::start_with(|app| app.limits(limits).trusted_proxies(proxies));
    let ask =
        |from: &str| server.send("GET", "/api/openapi.json", &[("X-Forwarded-For", from)], b"");
    // A second may pass between two of them, hardly between all.
    let answers: Vec<_> = (0..20).map(|_| ask("198.51.100.1")).collect();
    answers[0].done();
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    refused.refused(429, &["too many requests", "send this one again in 1 s"]);
    assert_eq!(refused.header("retry-after"), "1");
    ask("198.51.100.2").done();
    for path in ["/health", "/livez", "/readyz"] {
        (0..20).for_each(|_| server.get(path).done());
    }
}

#[test]
fn a_key_has_so_many_requests() {
    let mut limits = RequestLimits::default();
    limits.key_rate = 1;
    limits.rate_burst = std::time::Duration::ZERO;
    let server = Server::start_with(|app| app.limits(limits));
    server.feed("nu1", "nuget");
    let key = || {
        let kind = "system".to_owned();
        let grant = KeyGrant { kind, system_apis: vec!["feeds".to_owned()], ..KeyGrant::default() };
        let (_, text) = server.store.create_key(grant, None, &Actor::system()).unwrap();
        text.reveal().to_owned()
    };
    let (one, other) = (key(), key());
    let ask = |key: &str| server.send("GET", "/api/packages/nu1", &[("X-ApiKey", key)], b"");
    let answers: Vec<_> = (0..20).map(|_| ask(&one)).collect();
    answers[0].done();
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.header("retry-after"), "1");
    ask(&other).done();
}
