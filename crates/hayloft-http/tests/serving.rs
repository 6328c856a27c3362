#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

//! Connections: TLS, limits, slow clients, shutdown.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use hayloft::{Actor, FeedDraft, Selector, Store};
use hayloft_http::{App, LocalUser, ServeOptions, router, serve};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Bytes of an answer that the buffers of two sockets do not take.
const LARGE: usize = 64 << 20;

struct Serving {
    store: Store,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    /// Ready when `serve` has returned.
    ended: std::sync::mpsc::Receiver<()>,
    _runtime: tokio::runtime::Runtime,
    _directory: tempfile::TempDir,
}

fn start(options: ServeOptions) -> Serving {
    let directory = tempfile::tempdir().unwrap();
    let store = hayloft::open(directory.path()).unwrap();
    let draft = FeedDraft::new("apps", "universal");
    store.create_feed(draft, &Actor::system()).unwrap();
    let app = App::builder(store.clone()).gatekeeper(LocalUser::new("tester")).build();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let (end, ended) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let stopped = async { stopped.await.unwrap_or_default() };
        let mounted = router(app.clone());
        let router = router(app)
            .nest("/mounted/here", mounted)
            .route("/large", axum::routing::get(|| async { vec![0; LARGE] }));
        serve(listener, router, options, stopped).await;
        end.send(()).unwrap_or_default();
    });
    Serving { store, address, stop: Some(stop), ended, _runtime: runtime, _directory: directory }
}

impl Serving {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        // So that a failing test ends.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

/// Reads one answer whose body has a declared length.
fn answer(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    format!("{head}{}", String::from_utf8(body).unwrap())
}

const HEALTH: &[u8] = b"GET /health?format=text HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn a_connection_serves_several_requests() {
    let serving = start(ServeOptions::default());
    let mut stream = serving.connect();
    for _ in 0..3 {
        stream.write_all(HEALTH).unwrap();
        let text = answer(&mut stream);
        assert!(text.starts_with("http/1.1 200") && text.ends_with("OK"), "{text}");
    }
}

#[test]
fn routes_work_below_a_path_of_another_server() {
    let serving = start(ServeOptions::default());
    for (mount, slash) in [("", ""), ("/mounted/here", ""), ("/mounted/here", "/")] {
        let mut stream = serving.connect();
        let path = format!("{mount}/api/management/feeds/get/apps{slash}");
        let request = format!("GET {path}?a=b HTTP/1.1\r\nHost: feeds.test:8624\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let text = answer(&mut stream);
        let url = format!("\"endpointUrl\":\"http://feeds.test:8624{mount}/upack/apps/\"");
        assert!(text.contains(&url), "{url} is not in {text}");
        assert!(text.contains("x-proget-version: 25.0.10"), "{text}");
    }
    let mut stream = serving.connect();
    stream.write_all(b"GET /mounted/here/none HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let text = answer(&mut stream);
    assert!(text.starts_with("http/1.1 404") && text.ends_with("There is nothing at this path."));
}

#[test]
fn a_connection_outlives_a_body_that_nobody_reads() {
    let serving = start(ServeOptions::default());
    let mut stream = serving.connect();
    let body = vec![b' '; 4 << 20];
    for path in ["/nowhere", "/api/management/connectors/create", "/api/packages/apps/audit"] {
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).unwrap();
        // The answer is there before the body.
        let text = answer(&mut stream);
        assert!(text.starts_with("http/1.1 40"), "{text}");
        stream.write_all(&body).unwrap();
    }
}

#[test]
fn tls_clients_are_served() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut options = ServeOptions::default();
    options.tls = Some(Arc::new(config));
    let serving = start(options);

    let certificate = ureq::tls::Certificate::from_der(made.cert.der().as_ref()).to_owned();
    let roots = ureq::tls::RootCerts::new_with_certs(&[certificate]);
    let tls = ureq::tls::TlsConfig::builder().root_certs(roots).build();
    let agent: ureq::Agent = ureq::Agent::config_builder().tls_config(tls).build().into();
    let base = format!("https://localhost:{}", serving.address.port());
    let mut health = agent.get(format!("{base}/health")).call().unwrap();
    assert!(health.body_mut().read_to_string().unwrap().contains("\"databaseStatus\":\"OK\""));
    assert_eq!(health.headers()["x-proget-version"], "25.0.10");
}

#[test]
fn a_client_that_never_begins_tls_is_cut_off() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut options = ServeOptions::default();
    options.tls = Some(Arc::new(config));
    options.handshake_timeout = Duration::from_millis(50);
    let serving = start(options);
    assert!(is_closed(&mut serving.connect()));
}

#[test]
fn plain_http_where_tls_is_spoken_gets_an_answer_in_words() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let mut options = ServeOptions::default();
    options.tls = Some(Arc::new(config));
    let serving = start(options);
    let url = format!("http://{}/health", serving.address);
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.get(&url).call().unwrap();
    assert_eq!(answer.status(), 400);
    let text = answer.body_mut().read_to_string().unwrap();
    assert!(text.contains("begins with https://"), "{text}");
    // Also after more than is read.
    let mut stream = serving.connect();
    stream.write_all(b"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 30000\r\n\r\n").unwrap();
    stream.write_all(&vec![b'x'; 30_000]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut said = Vec::new();
    std::io::copy(&mut stream, &mut said).unwrap();
    assert!(said.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn requests_behind_a_proxy_are_counted_by_their_client() {
    let mut options = ServeOptions::default();
    options.max_connections_per_address = 1;
    options.trusted_proxies = "127.0.0.1".parse().unwrap();
    let serving = start(options);
    let ask = |from: &str| {
        let mut stream = serving.connect();
        let head = format!("GET /large HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {from}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        (stream, String::from_utf8(status.to_vec()).unwrap())
    };
    // Its client does not take the answer, so it goes on.
    let (first, status) = ask("198.51.100.1");
    assert_eq!(status, "HTTP/1.1 200");
    assert_eq!(ask("198.51.100.1").1, "HTTP/1.1 429");
    assert_eq!(ask("198.51.100.2").1, "HTTP/1.1 200");
    drop(first);
    let again = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        ask("198.51.100.1").1 == "HTTP/1.1 200"
    });
    assert!(again, "the place of a client that has gone is free again");
}

#[test]
fn a_client_that_sends_half_a_head_is_cut_off() {
    let mut options = ServeOptions::default();
    options.head_timeout = Duration::from_millis(50);
    let serving = start(options);
    let mut stream = serving.connect();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: h\r\nX-Slow: ").unwrap();
    assert!(is_closed(&mut stream));
    let mut idle = serving.connect();
    assert!(is_closed(&mut idle));
}

/// The server closes the connection without an answer of success.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    match std::io::copy(stream, &mut rest) {
        Ok(_) => !rest.starts_with(b"HTTP/1.1 2"),
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_client_that_reads_nothing_is_cut_off() {
    let mut options = ServeOptions::default();
    options.write_timeout = Duration::from_millis(50);
    let mut serving = start(options);
    let mut stream = serving.connect();
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    // The shutdown waits for running answers, so it ends only because this one was given up.
    serving.stop();
    serving.ended.recv_timeout(Duration::from_secs(50)).unwrap();
    let mut rest = Vec::new();
    let _ = std::io::copy(&mut stream, &mut rest);
    assert!(rest.len() < LARGE, "all of it arrived");
}

/// Begins an upload that goes on until it is given seven more bytes.
fn begin_upload(serving: &Serving) -> TcpStream {
    // More than is kept in memory of an upload.
    const BEGUN: usize = 2_000_000;
    let mut stream = serving.connect();
    let length = BEGUN + 7;
    let head = format!(
        "PUT /api/packages/apps/upload HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![b'x'; BEGUN]).unwrap();
    stream
}

/// Waits until the server works on an upload, without a connection that could take its place.
fn begun(serving: &Serving) {
    let staged = |epoch: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_dir(epoch.unwrap().path()).unwrap().count()
    };
    let epochs = || std::fs::read_dir(serving.store.directory().join("tmp")).unwrap();
    let started = std::time::Instant::now();
    while epochs().map(staged).sum::<usize>() == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "the upload does not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
}

const FEEDS: &[u8] = b"GET /api/management/feeds/list HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn further_clients_wait_for_a_place() {
    let mut options = ServeOptions::default();
    options.max_connections = 2;
    options.place_timeout = Duration::from_secs(50);
    let serving = start(options);
    let mut first = begin_upload(&serving);
    begun(&serving);
    let _second = begin_upload(&serving);
    std::thread::sleep(Duration::from_millis(200));
    let mut third = serving.connect();
    third.write_all(FEEDS).unwrap();
    // Health is told at once, how often ever one asks.
    for _ in 0..20 {
        let mut monitor = serving.connect();
        monitor.write_all(HEALTH).unwrap();
        let text = answer(&mut monitor);
        assert!(text.starts_with("http/1.1 200") && text.contains("connection: close"), "{text}");
    }
    third.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(third.read(&mut [0]).is_err(), "it does not wait");
    third.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    first.write_all(b"1234567").unwrap();
    assert!(answer(&mut first).starts_with("http/1.1 400"));
    let text = answer(&mut third);
    assert!(text.starts_with("http/1.1 200") && !text.contains("connection: close"), "{text}");
}

#[test]
fn who_waits_too_long_for_a_place_is_refused() {
    let mut options = ServeOptions::default();
    options.max_connections = 1;
    options.place_timeout = Duration::from_millis(50);
    let serving = start(options);
    let _first = begin_upload(&serving);
    begun(&serving);
    let mut second = serving.connect();
    second.write_all(FEEDS).unwrap();
    let text = answer(&mut second);
    assert!(text.starts_with("http/1.1 503") && text.contains("too many"), "{text}");
    assert!(text.contains("retry-after: 2"), "{text}");
    assert!(is_closed(&mut second));
}

#[test]
fn who_rests_makes_room_for_who_does_not() {
    let mut options = ServeOptions::default();
    options.max_connections = 4;
    let serving = start(options);
    let mut upload = begin_upload(&serving);
    begun(&serving);
    let mut idle = serving.connect();
    idle.write_all(FEEDS).unwrap();
    answer(&mut idle);
    let mut silent: Vec<TcpStream> = (0..100).map(|_| serving.connect()).collect();
    let mut half = serving.connect();
    half.write_all(b"GET /health HTTP/1.1\r\nHost: h\r\n").unwrap();
    let mut last = serving.connect();
    last.write_all(FEEDS).unwrap();
    let text = answer(&mut last);
    assert!(text.starts_with("http/1.1 200") && !text.contains("connection: close"), "{text}");
    assert!(silent.iter_mut().take(98).all(is_closed), "they rested for longest");
    idle.write_all(FEEDS).unwrap();
    assert!(answer(&mut idle).starts_with("http/1.1 200"), "who was known goes last");
    half.write_all(b"\r\n").unwrap();
    assert!(answer(&mut half).starts_with("http/1.1 200"), "it was among the last");
    upload.write_all(b"1234567").unwrap();
    assert!(answer(&mut upload).starts_with("http/1.1 400"), "it was at work");
}

#[test]
fn an_address_has_so_many_places_and_the_reserve() {
    let mut options = ServeOptions::default();
    options.max_connections_per_address = 1;
    options.place_timeout = Duration::from_millis(50);
    let serving = start(options);
    let _upload = begin_upload(&serving);
    begun(&serving);
    let mut other = serving.connect();
    other.write_all(FEEDS).unwrap();
    assert!(answer(&mut other).starts_with("http/1.1 503"));
    let mut monitor = serving.connect();
    monitor.write_all(HEALTH).unwrap();
    assert!(answer(&mut monitor).starts_with("http/1.1 200"));
    for path in ["/upack/apps/health", "/api/packages/apps/livez", "/mounted/here/health"] {
        let mut pretender = serving.connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        pretender.write_all(request.as_bytes()).unwrap();
        assert!(answer(&mut pretender).starts_with("http/1.1 503"), "{path}");
    }
}

#[test]
fn the_reserve_is_there_below_the_path_of_the_routes() {
    let mut options = ServeOptions::default();
    options.max_connections_per_address = 1;
    options.place_timeout = Duration::from_millis(50);
    options.mounted_at = "/mounted/here".to_owned();
    let serving = start(options);
    let _upload = begin_upload(&serving);
    begun(&serving);
    for (path, expected) in [("/mounted/here/health", "200"), ("/health", "503")] {
        let mut monitor = serving.connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        monitor.write_all(request.as_bytes()).unwrap();
        assert!(answer(&mut monitor).starts_with(&format!("http/1.1 {expected}")), "{path}");
    }
}

#[test]
fn a_request_has_one_host() {
    let serving = start(ServeOptions::default());
    let mut stream = serving.connect();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").unwrap();
    assert!(answer(&mut stream).starts_with("http/1.1 400"));
}

#[test]
fn a_connection_without_requests_is_closed_in_time() {
    let mut options = ServeOptions::default();
    options.head_timeout = Duration::from_secs(50);
    options.idle_timeout = Duration::from_millis(50);
    let serving = start(options);
    for request in [FEEDS, HEALTH] {
        let mut idle = serving.connect();
        // Until the first request the other limit counts.
        std::thread::sleep(Duration::from_millis(200));
        idle.write_all(request).unwrap();
        assert!(answer(&mut idle).starts_with("http/1.1 200"));
        assert!(is_closed(&mut idle));
    }
    let mut large = serving.connect();
    large.write_all(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    // An answer on its way is not the end of a request.
    std::thread::sleep(Duration::from_millis(200));
    let mut whole = vec![0; LARGE];
    large.read_exact(&mut whole).unwrap();
}

#[test]
fn a_trickle_is_cut_off_and_a_slow_line_is_not() {
    let mut options = ServeOptions::default();
    options.write_timeout = Duration::from_secs(1);
    options.least_rate = 1 << 20;
    let serving = start(options);
    let ask = || {
        let mut stream = serving.connect();
        stream.write_all(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        stream
    };
    let mut slow = ask();
    let mut buffer = vec![0; 1 << 20];
    let started = std::time::Instant::now();
    let mut taken = 0;
    while taken < LARGE {
        let read = slow.read(&mut buffer).unwrap();
        assert!(read > 0, "cut off after {taken} bytes");
        taken += read;
        // About 16 MiB in a second: four seconds in all.
        std::thread::sleep(Duration::from_nanos(60 * u64::try_from(read).unwrap()));
    }
    assert!(started.elapsed() > Duration::from_secs(3), "{:?}", started.elapsed());

    let mut trickle = ask();
    let mut byte = [0; 4096];
    let started = std::time::Instant::now();
    let mut taken = 0;
    while started.elapsed() < Duration::from_secs(20) {
        match trickle.read(&mut byte) {
            Ok(0) | Err(_) => break,
            Ok(read) => taken += read,
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(taken < LARGE / 8, "{taken} bytes arrived in {:?}", started.elapsed());
}

#[test]
fn a_shutdown_lets_a_running_upload_finish() {
    let mut serving = start(ServeOptions::default());
    let package = hayloft_testkit::upack("", "tools", "1.0.0").payload(1 << 20).build();
    let (half, rest) = package.split_at(package.len() / 2);
    let mut upload = serving.connect();
    let head = format!(
        "PUT /api/packages/apps/upload HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
        package.len()
    );
    upload.write_all(head.as_bytes()).unwrap();
    upload.write_all(half).unwrap();
    // The upload runs before the shutdown begins.
    let mut other = serving.connect();
    loop {
        other.write_all(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        if answer(&mut other).contains("hayloft_running_uploads 1\n") {
            break;
        }
    }
    serving.stop();
    // An idle connection is closed; that is how a client sees that the shutdown has begun.
    assert!(is_closed(&mut other));
    assert!(serving.ended.try_recv().is_err(), "it did not wait");
    upload.write_all(rest).unwrap();
    let text = answer(&mut upload);
    assert!(text.starts_with("http/1.1 200"), "{text}");
    serving.ended.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(TcpStream::connect(serving.address).is_err(), "still listening");
    let stored = serving.store.download("apps", &Selector::ungrouped("tools", "1.0.0")).unwrap();
    assert_eq!(stored.file().size, u64::try_from(package.len()).unwrap());
}

#[test]
fn a_shutdown_does_not_wait_for_ever() {
    let mut options = ServeOptions::default();
    options.drain = Duration::from_millis(50);
    let mut serving = start(options);
    let mut upload = serving.connect();
    upload
        .write_all(
            b"PUT /api/packages/apps/upload HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nPK",
        )
        .unwrap();
    serving.stop();
    serving.ended.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(is_closed(&mut upload));
}
