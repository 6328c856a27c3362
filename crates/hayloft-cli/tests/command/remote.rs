//! The same commands against a server on a socket.

use std::net::SocketAddr;

use fs_err as fs;
use hayloft_http::App;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::bench::Bench;

/// The store of a bench, behind a socket until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Server {
    pub(crate) fn over(bench: &Bench) -> Self {
        let store = hayloft::open(bench.path("hayloft-data")).unwrap();
        let router = hayloft_http::router(App::builder(store).build());
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().nest("/prefix", router);
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/prefix", self.address)
    }
}

#[test]
fn a_server_answers_as_a_store_does() {
    let bench = Bench::with_feeds();
    let create = ["apikeys", "create", "system", "--apis=feeds", "--name=release team"];
    let key = bench.ok(&create);
    let key = key.trim();
    let server = Server::over(&bench);
    let url = server.url();
    let remote = Bench::new().always(&["--source", &url, "--api-key", key]);

    let bytes = remote.upload("dev", "initrode/tools", "1.0.0-rc.1");
    let one = ["--feed=dev", "--package=initrode/tools", "--version=1.0.0-rc.1"];
    let about = |words: &[&str]| remote.ok(&[&["packages"], words, &one].concat());
    about(&["repackage", "--new-version=1.0.0", "--to-feed=prod"]);
    assert_eq!(
        remote.run(&[&["packages", "download", "--stdout"][..], &one].concat()).bytes,
        bytes
    );
    assert!(about(&["metadata"]).contains(" by release team\n"));
    assert_eq!(remote.ok(&["packages", "list", "--feed=prod"]), "initrode/tools 1.0.0\n");
    assert_eq!(
        remote.fails(&["packages", "list", "--feed=none"]),
        "Server responded with NotFound (404): Feed none not found."
    );
    let package = hayloft_testkit::upack("", "big", "1.0.0").payload(1_000_000).build();
    let upload = ["packages", "upload", "--feed=dev", "--stdin"];
    assert_eq!(remote.run_with(&upload, &package).status, 0);
    let said = remote.ok(&["health"]);
    assert!(said.starts_with(&format!("Checking {url}...all OK\n")), "{said}");
}

#[test]
fn a_named_source_brings_its_key_and_feed() {
    let bench = Bench::with_feeds();
    let create = ["apikeys", "create", "feed", "--feed=dev", "--permissions=view"];
    let key = bench.ok(&create);
    bench.upload("dev", "a", "1.0.0");
    let server = Server::over(&bench);
    let url = format!("--url={}", server.url());
    let remote = Bench::new();
    let key = format!("--api-key={}", key.trim());
    remote.ok(&["sources", "add", "--name=work", &url, &key, "--feed=dev"]);
    let work = "--source=WORK";
    assert_eq!(remote.ok(&["packages", "list", work]), "a 1.0.0\n");
    assert!(remote.ok(&["sources", "test"]).starts_with("[work] Successfully contacted ProGet "));
    let delete = ["packages", "delete", work, "--package=a", "--version=1.0.0"];
    assert_eq!(
        remote.fails(&delete),
        "Server responded with Forbidden (403): The specified API key does not have the proper \
         permissions to perform this action."
    );
    let said = remote.fails(&["packages", "list", work, "--api-key=wrong"]);
    assert!(said.starts_with("Server responded with Forbidden (403)"), "{said}");
    assert!(fs::metadata(remote.path("hayloft-data")).is_err(), "no store is made");
}

/// The server has one sentence for all of them.
#[test]
fn wrong_weak_and_missing_keys_are_told_apart() {
    let bench = Bench::with_feeds();
    bench.upload("dev", "a", "1.0.0");
    let weak = bench.ok(&["apikeys", "create", "feed", "--feed=dev", "--permissions=view"]);
    let server = Server::over(&bench);
    let url = server.url();
    let hints = |key: &[&str]| {
        let words = ["packages", "delete", "dev", "a@1.0.0", "--source", &url];
        Bench::new().hints(&[&words[..], key].concat())
    };
    let weak = hints(&["--api-key", weak.trim()]);
    assert!(weak.starts_with("the key is known, but may not do this"), "{weak}");
    let wrong = hints(&["--api-key=wrong"]);
    assert!(wrong.starts_with("the server does not know this key"), "{wrong}");
    let missing = hints(&[]);
    assert!(missing.starts_with("no key was sent: "), "{missing}");
    // Lists are empty for strangers, which is no failure.
    let listed = |key: &[&str]| {
        let run = Bench::new().run(&[&["feeds", "list", "--source", &url][..], key].concat());
        assert_eq!((run.status, run.bytes.len()), (0, 0), "{run:?}");
        run.errors
    };
    assert!(listed(&["--api-key=wrong"]).starts_with("the server does not know this key"));
    assert!(listed(&[]).starts_with("no key was sent: "));
    let unseen = Bench::new().hints(&["packages", "list", "dex", "--source", &url]);
    assert_eq!(unseen, missing);
}

#[test]
fn health_tells_the_release_of_hayloft() {
    let bench = Bench::with_feeds();
    let server = Server::over(&bench);
    let remote = Bench::new();
    let url = server.url();
    let release = concat!("Hayloft: ", env!("CARGO_PKG_VERSION"), "\n");
    assert!(remote.ok(&["health", "--source", &url]).contains(release));
    remote.ok(&["sources", "add", &url, "work"]);
    let said = remote.ok(&["sources", "test", "work"]);
    let expected = concat!("[work] It is Hayloft ", env!("CARGO_PKG_VERSION"), ".\n");
    assert!(said.starts_with("[work] Successfully contacted ProGet "), "{said}");
    assert!(said.ends_with(expected), "{said}");
}

#[test]
fn what_is_wrong_with_a_connection_is_told_in_words() {
    let bench = Bench::new();
    let plain = crate::fake::Fake::always(200, "", "[]");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = taken.local_addr().unwrap();
    drop(taken);
    for (url, hint) in [
        (format!("http://{closed}"), "nothing listens there"),
        ("unix:no-socket".to_owned(), "nothing listens there"),
        (plain.url().replace("http:", "https:"), "does its URL begin with http://?"),
        ("http://no-such-host.invalid".to_owned(), "no computer of this name"),
    ] {
        let hints = bench.hints(&["feeds", "list", "--source", &url]);
        assert!(hints.contains(hint), "{url}: {hints}");
    }
}
