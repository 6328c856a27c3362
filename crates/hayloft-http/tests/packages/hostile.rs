//! What every endpoint does with texts that are too long and values that are of no use: the table
//! of endpoints and the description of the API say what there is, so nothing can be left out.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hayloft::{Actor, KeyGrant};
use hayloft_http::{ENDPOINTS, Endpoint, Guard, RequestLimits};
use serde_json::{Value, json};

use crate::server::{Answer, Server};
use crate::{encoded, nuget};

/// Endpoints that take no text at all.
const WITHOUT_TEXTS: [&str; 8] = [
    "createConnector",
    "listFeeds",
    "listConnectors",
    "listApiKeys",
    "getOpenApiDocument",
    "getMetrics",
    "getLiveness",
    "getReadiness",
];

/// Where an endpoint takes a text.
#[derive(Debug, Clone)]
enum Place {
    Path(String),
    Query(String),
    /// A property of a JSON object; whether a form may carry it, too.
    Body(String, bool),
}

fn reference<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

fn places(document: &Value, endpoint: &Endpoint, method: &str) -> Vec<Place> {
    let operation = &document["paths"][endpoint.path][method.to_lowercase()];
    assert!(operation.is_object(), "{method} {} is not described", endpoint.path);
    let mut places = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap().to_owned();
        places.push(match parameter["in"].as_str().unwrap() {
            "path" => Place::Path(name),
            "query" => Place::Query(name),
            other => panic!("{other}"),
        });
    }
    let content = &operation["requestBody"]["content"];
    let schema = reference(document, &content["application/json"]["schema"]);
    for name in schema["properties"].as_object().into_iter().flat_map(|object| object.keys()) {
        let form = content["application/x-www-form-urlencoded"].is_object();
        places.push(Place::Body(name.clone(), form));
    }
    places
}

/// Sends the request with this value in one place and what is usual in the others.
fn send(
    server: &Server,
    endpoint: &Endpoint,
    method: &str,
    place: &Place,
    value: &Value,
    as_form: bool,
) -> Answer {
    let text = value.as_str().unwrap_or("x");
    let mut path = endpoint.path.to_owned();
    for (name, usual) in [("feed", "nu1"), ("file", "A.1.0.0.nupkg"), ("connector", "c")] {
        let chosen = matches!(place, Place::Path(place) if place == name);
        let part = if chosen { encoded(text) } else { usual.to_owned() };
        path = path.replace(&format!("{{{name}}}"), &part);
    }
    let mut query = vec![("name", "A".to_owned()), ("version", "1.0.0".to_owned())];
    if endpoint.path == "/api/storage" {
        query.push(("feed", "nu1".to_owned()));
    }
    if let Place::Query(name) = place {
        query.retain(|(known, _)| known != name);
        query.push((name, text.to_owned()));
    }
    let query: Vec<_> =
        query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let mut body = String::new();
    let mut headers = vec![];
    if let Place::Body(name, _) = place {
        headers.push(("content-type", "application/json"));
        let mut object = json!({
            "name": "A", "version": "1.0.0", "feed": "nu1", "fromFeed": "nu1", "toFeed": "nu2",
            "newVersion": "2.0.0", "feedType": "nuget", "type": "personal", "user": "u",
            "id": "disk", "properties": {},
        });
        if endpoint.id == "createFeed" {
            object["name"] = json!("new");
        }
        object[name] = value.clone();
        body = object.to_string();
        if as_form {
            headers = vec![("content-type", "application/x-www-form-urlencoded")];
            let object = object.as_object().unwrap();
            let pairs: Vec<_> = object
                .iter()
                .filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_str()?))))
                .collect();
            body = pairs.join("&");
        }
    }
    server.send(method, &format!("{path}?{}", query.join("&")), &headers, body.as_bytes())
}

/// Every answer is safe to show, whatever it is about.
#[track_caller]
fn is_tame(answer: &Answer, what: &str) {
    assert!(answer.status < 500, "{what}: {} {}", answer.status, answer.text());
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
    assert!(answer.header("content-security-policy").contains("sandbox"), "{what}");
    assert!(!answer.headers.contains_key("x-evil"), "{what}");
    if answer.status >= 400 {
        let text = answer.text();
        assert!(answer.header("content-type").starts_with("text/plain"), "{what}");
        assert!(text.chars().count() <= 1_001, "{what}: {} characters", text.chars().count());
        assert!(!text.contains(char::is_control), "{what}: {text:?}");
    }
}

fn each_place(visit: impl Fn(&Server, &Endpoint, &str, &Place)) {
    let document: Value = serde_json::from_str(&hayloft_http::openapi()).unwrap();
    for endpoint in ENDPOINTS {
        let server = nuget(&["1.0.0"]);
        server.feed("nu2", "nuget");
        let mut texts = 0;
        for method in endpoint.methods {
            for place in places(&document, endpoint, method) {
                texts += 1;
                visit(&server, endpoint, method, &place);
            }
        }
        assert_eq!(texts == 0, WITHOUT_TEXTS.contains(&endpoint.id), "{}", endpoint.id);
    }
}

#[test]
fn no_endpoint_takes_a_text_of_any_length() {
    each_place(|server, endpoint, method, place| {
        // A head has a limit of its own.
        let long = match place {
            Place::Body(..) => "x".repeat(900_000),
            _ => "x".repeat(20_000),
        };
        let forms: &[bool] = match place {
            Place::Body(_, true) => &[false, true],
            _ => &[false],
        };
        for as_form in forms {
            let what = format!("{method} {} {place:?}", endpoint.path);
            let answer = send(server, endpoint, method, place, &json!(long), *as_form);
            is_tame(&answer, &what);
            assert!((400..500).contains(&answer.status), "{what}: {}", answer.status);
            let nested = json!({"a": [long]});
            if let (Place::Body(..), false) = (place, as_form) {
                let answer = send(server, endpoint, method, place, &nested, false);
                is_tame(&answer, &what);
                assert!((400..500).contains(&answer.status), "{what}: {}", answer.status);
            }
        }
    });
}

#[test]
fn no_endpoint_fails_on_a_value_of_no_use() {
    let mut values: Vec<Value> = [
        "",
        " ",
        "\0",
        "a\0b",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "a\r\nX-Evil: 1",
        "%00",
        "%",
        "%2e%2e%2f",
        "\u{202e}abc",
        "\u{feff}",
        "💥",
        "-1",
        "99999999999999999999",
        "null",
        "{}",
        "[]",
        "latest",
        "pkg:",
        "pkg:nuget/A@1.0.0?a=b&a=c",
        "a=b&a=c",
        "*",
        "NaN",
        "2030-99-99",
        "<script>alert(1)</script>",
        "';--",
        "${x}",
        "\u{1b}[31m",
    ]
    .map(|text| json!(text))
    .to_vec();
    values.extend([
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1e308),
        json!([]),
        json!({}),
        json!([null]),
        json!([[[]]]),
        json!({"": {"": null}}),
        json!(["view", 1, {}]),
    ]);
    each_place(|server, endpoint, method, place| {
        for value in &values {
            if !value.is_string() && !matches!(place, Place::Body(..)) {
                continue;
            }
            let answer = send(server, endpoint, method, place, value, false);
            is_tame(&answer, &format!("{method} {} {place:?} {value}", endpoint.path));
        }
    });
}

#[test]
fn bodies_that_are_no_objects_are_refused_everywhere() {
    let long_text = format!("\"{}\"", "secret".repeat(100_000));
    let deep = format!("{{\"a\":{}", "[".repeat(300_000));
    let bodies: [&[u8]; 9] = [
        b"",
        b"null",
        b"[]",
        b"{\"a\":",
        b"{\"a\":1}}",
        b"{\"name\":\"\xff\"}",
        b"\xef\xbb\xbf",
        long_text.as_bytes(),
        deep.as_bytes(),
    ];
    let document: Value = serde_json::from_str(&hayloft_http::openapi()).unwrap();
    let mut endpoints = 0;
    for endpoint in ENDPOINTS {
        let body = |method: &str| {
            let operation = &document["paths"][endpoint.path][method.to_lowercase()];
            operation["requestBody"]["content"]["application/json"].is_object()
        };
        if !endpoint.methods.iter().any(|method| body(method)) {
            continue;
        }
        endpoints += 1;
        let server = nuget(&["1.0.0"]);
        let path = endpoint.path.replace("{feed}", "nu1") + "?name=A&version=1.0.0&feed=nu1";
        for (number, body) in bodies.iter().enumerate() {
            let headers = [("content-type", "application/json")];
            let answer = server.send(endpoint.methods[0], &path, &headers, body);
            let what = format!("{} body {number}", endpoint.id);
            is_tame(&answer, &what);
            assert!((400..500).contains(&answer.status), "{what}: {}", answer.status);
            assert!(answer.text().len() < 400, "{what}: {}", answer.text());
        }
        for kind in ["text/plain", "Text/Plain; charset=utf-8", "multipart/form-data; boundary=x"] {
            let answer = server.send(endpoint.methods[0], &path, &[("content-type", kind)], b"{}");
            answer.refused(415, &["application/json"]);
        }
    }
    assert!(endpoints >= 7, "{endpoints} take JSON");
}

#[test]
fn a_wrong_key_is_refused_before_the_body_at_every_endpoint() {
    let server = Server::start_with(|app| app.limits(RequestLimits::default()));
    server.feed("nu1", "nuget");
    let grant = KeyGrant {
        kind: "system".to_owned(),
        system_apis: vec!["full-control".to_owned()],
        ..KeyGrant::default()
    };
    let (key, text) = server.store.create_key(grant, None, &Actor::system()).unwrap();
    server.store.delete_key(key.id, &Actor::system()).unwrap();
    let mut asked = 0;
    for endpoint in ENDPOINTS.iter().filter(|endpoint| !matches!(endpoint.guard, Guard::Open)) {
        for method in endpoint.methods.iter().filter(|method| **method != "GET") {
            let path = endpoint.path.replace("{feed}", "nu1").replace("{file}", "a");
            let path = format!("{path}?name=A&version=1.0.0&feed=nu1&id=1");
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let key = text.reveal();
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: {}\r\nX-ApiKey: {key}\r\n\
                 Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n",
                server.address
            );
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = [0; 12];
            let read = stream.read_exact(&mut answer);
            assert!(read.is_ok(), "{method} {}: waits for a body", endpoint.path);
            let answer = String::from_utf8_lossy(&answer);
            assert!(
                answer.ends_with("401") || answer.ends_with("403"),
                "{method} {}: {answer}",
                endpoint.path
            );
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked}");
}
