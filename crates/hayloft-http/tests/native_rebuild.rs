//! While the index of a feed is built anew, by the rules of a newer release of its type, clients are
//! told to come again, and what needs no index goes on.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic to fail"
)]

#[allow(dead_code, reason = "shared with tests that need more of it")]
#[path = "server/crates.rs"]
mod crates;
#[path = "../examples/cargo_feed.rs"]
#[allow(dead_code, unreachable_pub, clippy::pedantic, reason = "an example has a main of its own")]
mod example;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod server;

use example::Cargo;
use hayloft::feed_type::prelude::*;
use hayloft::{Actor, Background, FeedDraft, FeedTypes, OpenOptions, Store};
use hayloft_http::LocalUser;
use server::Server;

/// The same type in a release that derives other rows.
#[derive(Debug)]
struct Newer;

impl FeedType for Newer {
    fn tag(&self) -> &'static str {
        Cargo.tag()
    }
    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        Cargo.package_name(group, name)
    }
    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        Cargo.version(text)
    }
    fn file_name(&self, identity: &Identity) -> String {
        Cargo.file_name(identity)
    }
    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        Cargo.inspect(upload, limits)
    }
    fn repackage(
        &self,
        order: Repackage<'_>,
        limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        Cargo.repackage(order, limits)
    }
    fn index_revision(&self) -> u32 {
        Cargo.index_revision() + 1
    }
    fn native(&self) -> Option<&dyn Native> {
        Cargo.native()
    }
}

fn open(directory: &std::path::Path, types: FeedTypes) -> Store {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    Store::open(directory, types, options).unwrap()
}

#[test]
fn clients_are_told_to_come_again_while_an_index_is_built_anew() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), FeedTypes::none().with(Cargo));
    store.create_feed(FeedDraft::new("mine", "cargo"), &Actor::system()).unwrap();
    let bytes = crates::file("hay", "1.0.0", "");
    let request = hayloft::UploadRequest::default();
    store.upload("mine", &request, &mut bytes.as_slice(), &Actor::system()).unwrap();
    store.close().unwrap();
    drop(store);

    let store = open(directory.path(), FeedTypes::none().with(Newer));
    let server = Server::of(store, directory, |app| app.gatekeeper(LocalUser::new("tester")));
    let search = || server.get("/cargo/mine/api/v1/crates?q=hay");
    let answer = search();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.header("retry-after"), "5");
    assert!(answer.text().contains("being rebuilt"), "{}", answer.text());
    // A document of one package needs no row of the index, and the Packages API none at all.
    assert_eq!(server.get("/cargo/mine/index/3/h/hay").status, 200);
    assert_eq!(server.get("/cargo/mine/api/v1/crates/hay/1.0.0/download").status, 200);
    assert_eq!(server.get("/api/packages/mine/versions?name=hay").json()[0]["version"], "1.0.0");
    let more = crates::publish("loft", "1.0.0", "");
    let answer = server.put("/cargo/mine/api/v1/crates/new", &more.body);
    assert_eq!(answer.status, 200, "{}", answer.text());

    server.store.run_maintenance().unwrap();
    assert_eq!(search().json()["meta"]["total"], 1);
    assert_eq!(server.get("/cargo/mine/api/v1/crates?q=loft").json()["meta"]["total"], 1);
}
