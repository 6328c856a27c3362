//! A server with a store of its own, and the clients that tests need.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;

use hayloft::{Actor, FeedDraft, Store};
use hayloft_http::{App, AppBuilder, LocalUser};
use serde_json::Value;

/// Making one for each request would cost more than the requests.
static AGENT: LazyLock<ureq::Agent> =
    LazyLock::new(|| ureq::Agent::config_builder().http_status_as_error(false).build().into());

pub(crate) struct Server {
    pub(crate) store: Store,
    pub(crate) address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
    _directory: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Server {
    /// Everybody may do everything, as a user named `tester`.
    pub(crate) fn start() -> Self {
        Self::start_with(|app| app.gatekeeper(LocalUser::new("tester")))
    }

    pub(crate) fn start_with(set: impl FnOnce(AppBuilder) -> AppBuilder) -> Self {
        Self::with_types(hayloft::feed_types(), set)
    }

    /// With other feed types.
    pub(crate) fn with_types(
        types: hayloft::FeedTypes,
        set: impl FnOnce(AppBuilder) -> AppBuilder,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = hayloft::OpenOptions::default();
        let store = hayloft::Store::open(directory.path(), types, options).unwrap();
        Self::of(store, directory, set)
    }

    /// With a store that is open already.
    pub(crate) fn of(
        store: Store,
        directory: tempfile::TempDir,
        set: impl FnOnce(AppBuilder) -> AppBuilder,
    ) -> Self {
        let app = set(App::builder(store.clone())).build();
        Self::serving(store, directory, hayloft_http::router(app))
    }

    /// With routes around those of the store.
    pub(crate) fn serving(
        store: Store,
        directory: tempfile::TempDir,
        service: axum::Router,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let options = hayloft_http::ServeOptions::default();
        runtime.spawn(hayloft_http::serve(listener, service, options, std::future::pending()));
        Self { store, address, runtime: Some(runtime), _directory: directory }
    }

    pub(crate) fn feed(&self, name: &str, feed_type: &str) {
        self.store.create_feed(FeedDraft::new(name, feed_type), &Actor::system()).unwrap();
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let uri = format!("http://{}{path}", self.address);
        let mut request = ureq::http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let allowed = AGENT.configure_request(request.body(body).unwrap());
        let response = AGENT.run(allowed.allow_non_standard_methods(true).build()).unwrap();
        let (parts, mut body) = response.into_parts();
        let body = body.with_config().limit(1 << 30).read_to_vec().unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[], body.as_bytes())
    }

    /// Uploads a file as pgutil does it.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) -> Answer {
        self.send("PUT", path, &[], bytes)
    }

    /// Sends bytes as they are, which ask for the connection to be closed, and reads to the end.
    pub(crate) fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        // A server that gives up on a body may reset the connection after its answer.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Files that wait in staging.
    pub(crate) fn staged(&self) -> usize {
        let epochs = std::fs::read_dir(self.store.directory().join("tmp")).unwrap();
        epochs.map(|epoch| std::fs::read_dir(epoch.unwrap().path()).unwrap().count()).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    /// The answer is 200.
    #[track_caller]
    pub(crate) fn done(&self) {
        assert_eq!(self.status, 200, "{}", self.text());
    }

    /// The answer has this status, and its text has all these words.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, words: &[&str]) {
        let text = self.text();
        assert_eq!(self.status, status, "{text}");
        assert!(self.header("content-type").starts_with("text/plain"), "{text}");
        for word in words {
            assert!(text.contains(word), "`{word}` is not in: {text}");
        }
    }
}
