//! The Packages API over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

#[path = "../server/listed.rs"]
mod listed;
#[path = "../server/mod.rs"]
mod server;

mod access;
mod audit_log;
mod browsers;
mod cached;
mod chosen_keys;
mod files;
mod hostile;
mod lists;
mod management;
mod monitors;
mod naming;
mod openapi;
mod proxies;
mod releases;
mod rights;
mod status;

use hayloft_testkit::nupkg;
use serde_json::Value;
use server::{Answer, Server};

/// Percent-encodes a query value.
fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A feed `nu1` with these versions of the package `A`.
fn nuget(versions: &[&str]) -> Server {
    let server = Server::start();
    server.feed("nu1", "nuget");
    for version in versions {
        server.put("/api/packages/nu1/upload", &nupkg("A", version).build()).done();
    }
    server
}

fn listed(answer: &Answer) -> Vec<String> {
    let rows = answer.json();
    let version = |row: &Value| row["version"].as_str().unwrap().to_owned();
    rows.as_array().unwrap().iter().map(version).collect()
}

/// What the list says about the only version of `A`.
fn row(server: &Server) -> Value {
    server.get("/api/packages/nu1/versions?name=A").json()[0].take()
}
