//! A program around the router: its own pages, its own way to know people, its own rights.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic to fail"
)]

#[path = "../examples/embedded_server.rs"]
#[allow(dead_code, unreachable_pub, reason = "an example has a main of its own")]
mod program;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod server;

use hayloft::{Actor, FeedDraft};
use server::Server;

#[test]
fn an_outer_layer_says_who_asks_and_the_programs_rights_decide() {
    let directory = tempfile::tempdir().unwrap();
    let store = hayloft::open(directory.path()).unwrap();
    store.create_feed(FeedDraft::new("tools", "universal"), &Actor::system()).unwrap();
    let server = Server::serving(store.clone(), directory, program::program(store));
    let alice = ("authorization", "Session a1");
    let bob = ("authorization", "Session b2");
    let stranger = ("authorization", "Session c3");
    let package = hayloft_testkit::upack("", "hay", "1.0.0").build();
    let put = |headers: &[(&str, &str)]| {
        let path = "/packages/api/packages/tools/upload/hay-1.0.0.upack";
        server.send("PUT", path, headers, &package).status
    };
    assert_eq!(put(&[]), 403);
    assert_eq!(put(&[stranger]), 403);
    assert_eq!(put(&[bob]), 403);
    assert_eq!(put(&[alice]), 200);
    let list = "/packages/api/packages/tools/versions?name=hay";
    assert_eq!(server.send("GET", list, &[], b"").status, 403);
    let listed = server.send("GET", list, &[bob], b"");
    let listed: serde_json::Value = serde_json::from_slice(&listed.body).unwrap();
    assert_eq!(listed[0]["publishedBy"], "alice", "{listed}");
    // What a caller of the outer layer gets is for nobody else's cache.
    let native = "/packages/upack/tools/packages";
    let answer = server.send("GET", native, &[bob], b"");
    assert_eq!(answer.status, 200);
    let cached = answer.headers.get("cache-control").unwrap().to_str().unwrap();
    assert!(!cached.contains("public"), "{cached}");
    // Without a caller a native client is asked for a credential, with one it is told no.
    assert_eq!(server.send("GET", native, &[], b"").status, 401);

    let got = server.send("GET", "/tools/hay", &[bob], b"");
    assert_eq!((got.status, got.body), (200, package.clone()));
    let part = server.send("GET", "/tools/hay", &[bob, ("range", "bytes=0-3")], b"");
    assert_eq!((part.status, &part.body[..]), (206, &package[..4]));
    assert_eq!(server.send("GET", "/tools/hay", &[], b"").status, 403);
    assert_eq!(server.get("/").status, 200);
}
