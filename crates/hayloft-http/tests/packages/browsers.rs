//! What a browser may not do for pages of others.

use hayloft::{Actor, KeyGrant};
use hayloft_http::{ENDPOINTS, RequestLimits};
use rstest::rstest;

use crate::nuget;
use crate::server::Server;

const OTHER: (&str, &str) = ("origin", "https://evil.example");

#[test]
fn no_endpoint_changes_anything_for_a_page_of_another_site() {
    let server = nuget(&["1.0.0"]);
    let mut asked = 0;
    for endpoint in ENDPOINTS {
        for method in endpoint.methods.iter().filter(|method| **method != "GET") {
            let path = endpoint.path.replace("{feed}", "nu1").replace("{file}", "a");
            let path = format!("{path}?name=A&version=1.0.0");
            for headers in [
                &[OTHER][..],
                &[OTHER, ("sec-fetch-site", "cross-site")],
                &[("sec-fetch-site", "cross-site")],
                &[("sec-fetch-site", "same-site")],
                &[("origin", "null")],
                &[OTHER, ("authorization", "Basic ZXZhOnNlY3JldA==")],
                &[OTHER, ("authorization", "Basic YXBpOnNlY3JldA==")],
                &[OTHER, ("content-type", "application/x-www-form-urlencoded")],
            ] {
                asked += 1;
                let answer = server.send(method, &path, headers, b"{}");
                answer.refused(403, &["a page of another site"]);
            }
        }
    }
    assert!(asked > 100, "{asked}");
    assert_eq!(server.get("/api/packages/nu1/versions").json().as_array().unwrap().len(), 1);
}

#[rstest]
#[case::no_browser(&[], 200)]
#[case::its_own_page(&[("origin", "http://HOST"), ("sec-fetch-site", "same-origin")], 200)]
#[case::its_own_page_in_an_old_browser(&[("origin", "http://HOST")], 200)]
#[case::a_person(&[("sec-fetch-site", "none")], 200)]
#[case::a_key(&[OTHER, ("x-apikey", "k")], 200)]
#[case::a_bearer(&[OTHER, ("authorization", "Bearer k")], 200)]
#[case::a_proxy(&[("origin", "https://feeds.example"), ("x-forwarded-host", "feeds.example")], 200)]
#[case::another_port(&[("origin", "http://127.0.0.1:1")], 403)]
fn changes_are_made_for(#[case] headers: &[(&str, &str)], #[case] status: u16) {
    let server = nuget(&["1.0.0"]);
    let host = server.address.to_string();
    let own: Vec<(&str, String)> =
        headers.iter().map(|(name, value)| (*name, value.replace("HOST", &host))).collect();
    let own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let path = "/api/packages/nu1/status?name=A&version=1.0.0";
    assert_eq!(server.send("POST", path, &own, br#"{"listed":false}"#).status, status);
}

#[rstest]
#[case::plain("")]
#[case::as_if_through_a_proxy("X-Forwarded-For: 192.0.2.1\r\nVia: 1.1 x\r\n")]
#[case::as_if_for_another_host("X-Forwarded-Host: 127.0.0.1:8624\r\n")]
fn a_foreign_name_of_this_machine_is_not_believed_until_it_is_set(#[case] more: &str) {
    let server = nuget(&["1.0.0"]);
    let ask = || {
        let request = format!(
            "POST /api/packages/nu1/audit?name=A&version=1.0.0 HTTP/1.1\r\n\
             Host: rebound.example:8624\r\nOrigin: http://rebound.example:8624\r\n\
             Content-Length: 0\r\nConnection: close\r\n{more}\r\n"
        );
        server.raw(request.as_bytes())
    };
    assert!(ask().starts_with("HTTP/1.1 403"), "{}", ask());
    let url = Some("http://rebound.example:8624/feeds");
    server.store.set_setting("web.base-url", url, &Actor::system()).unwrap();
    assert!(ask().starts_with("HTTP/1.1 200"), "{}", ask());
}

#[test]
fn reading_is_no_change() {
    let server = nuget(&["1.0.0"]);
    let list = server.send("GET", "/api/packages/nu1/versions", &[OTHER], b"");
    list.done();
    assert!(!list.headers.contains_key("access-control-allow-origin"));
}

#[rstest]
fn metrics_are_not_for_who_comes_through_a_proxy(
    #[values(
        "x-forwarded-for",
        "x-forwarded-proto",
        "forwarded",
        "via",
        "x-real-ip",
        "x-client-ip",
        "cf-connecting-ip",
        "cf-ray",
        "cdn-loop",
        "true-client-ip",
        "fastly-client-ip",
        "x-envoy-external-address",
        "x-original-forwarded-for",
        "x-original-host",
        "x-original-url",
        "x-proxyuser-ip",
        "x-azure-clientip",
        "x-amzn-trace-id",
        "x-request-id",
        "traceparent",
        "x-made-up",
        "referer",
        "origin",
        "cookie",
        "sec-fetch-site",
        "accept-language"
    )]
    header: &str,
) {
    let server = Server::start_with(|app| app.limits(RequestLimits::default()));
    let monitor = [("user-agent", "Prometheus/2"), ("accept", "*/*"), ("accept-encoding", "gzip")];
    server.send("GET", "/metrics", &monitor, b"").done();
    // No page of another site can ask at all, once there is an origin.
    let seen = server.send("GET", "/metrics", &[(header, "192.0.2.1")], b"");
    seen.refused(403, &["permissions"]);
    let grant = KeyGrant {
        kind: "system".to_owned(),
        system_apis: vec!["full-control".to_owned()],
        ..KeyGrant::default()
    };
    let (_, key) = server.store.create_key(grant, None, &Actor::system()).unwrap();
    let headers = [(header, "192.0.2.1"), ("x-apikey", key.reveal())];
    server.send("GET", "/metrics", &headers, b"").done();
}

#[rstest]
#[case::this_machine("GET /metrics HTTP/1.1\r\nHost: localhost:8624\r\n", "200")]
#[case::by_address("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:8624\r\n", "200")]
#[case::by_the_other_address("GET /metrics HTTP/1.1\r\nHost: [::1]:8624\r\n", "200")]
#[case::a_public_name("GET /metrics HTTP/1.1\r\nHost: feeds.example\r\n", "403")]
#[case::a_name_that_begins_alike(
    "GET /metrics HTTP/1.1\r\nHost: localhost.evil.example\r\n",
    "403"
)]
#[case::another_address("GET /metrics HTTP/1.1\r\nHost: 192.0.2.1:8624\r\n", "403")]
#[case::two_names("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: feeds.example\r\n", "400")]
#[case::no_name("GET /metrics HTTP/1.1\r\n", "403")]
#[case::as_nginx_asks("GET /metrics HTTP/1.0\r\nHost: 127.0.0.1:8624\r\n", "403")]
#[case::as_a_proxy_is_asked(
    "GET http://feeds.example/metrics HTTP/1.1\r\nHost: localhost\r\n",
    "403"
)]
fn metrics_are_for_monitors_that_name_this_machine(#[case] head: &str, #[case] status: &str) {
    let server = Server::start_with(|app| app.limits(RequestLimits::default()));
    let answer = server.raw(format!("{head}Connection: close\r\n\r\n").as_bytes());
    let version = answer.split(' ').next().unwrap_or_default();
    assert!(answer.starts_with(&format!("{version} {status}")), "{answer}");
}
