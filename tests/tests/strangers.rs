//! A thousand clients that hold on to a server: whoever asks for its health is answered.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests panic to fail and report what they saw"
)]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use hayloft_testkit::{npm_tgz, streamed_upack};
use hayloft_tests::{Request, Server};
use rstest::rstest;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

const STRANGERS: usize = 1_000;
const MEBIBYTE: u64 = 1 << 20;
/// More than the buffers of sockets take.
const LARGE: u32 = 24 << 20;

fn directory() -> (TempDir, PathBuf) {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = directory.path().join("store");
    (directory, store)
}

/// Where strangers come from.
#[derive(Debug, Clone, Copy)]
enum From {
    /// One address, that of the monitor too.
    One,
    /// A hundred.
    Many,
}

impl From {
    fn address(self, number: usize) -> IpAddr {
        match self {
            Self::One => [127, 0, 0, 1].into(),
            Self::Many => [127, 0, 1, u8::try_from(number % 100).unwrap()].into(),
        }
    }
}

/// Connects from an address of this machine.
fn connect(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// What a stranger does.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Silent,
    HalfHead,
    /// Sends a body byte by byte although it was refused.
    RefusedBody,
    /// Sends JSON byte by byte, before anybody can know whether it has a key.
    SlowText,
    /// One byte of a small body for an endpoint that only keys open.
    SmallText,
    UnreadDownload,
}

impl Kind {
    fn begins_with(self) -> String {
        let body = "Host: h\r\nContent-Length: 900000\r\n\r\n{";
        match self {
            Self::Silent => String::new(),
            Self::HalfHead => "GET /health HTTP/1.1\r\nHost: h\r\nX-Slow: ".to_owned(),
            Self::RefusedBody => format!("PUT /nuget/dev/v3/package HTTP/1.1\r\n{body}"),
            Self::SlowText => format!("POST /api/promotions/promote HTTP/1.1\r\n{body}"),
            Self::SmallText => "POST /api/management/feeds/create HTTP/1.1\r\nHost: h\r\n\
                 Content-Length: 1000\r\n\r\n{"
                .to_owned(),
            Self::UnreadDownload => {
                "GET /api/packages/dev/download?name=large&version=1.0.0 HTTP/1.1\r\nHost: h\r\n\r\n"
                    .to_owned()
            }
        }
    }

    fn goes_on(self) -> bool {
        matches!(self, Self::HalfHead | Self::RefusedBody | Self::SlowText | Self::SmallText)
    }
}

/// Asks for the health; how long that took.
fn health(server: &Server, from: IpAddr) -> Duration {
    let started = Instant::now();
    let mut stream = connect(from, server.address);
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    started.elapsed()
}

fn enough_files(wanted: usize) -> bool {
    let limits = fs_err::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let allowed: usize = line.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX);
    if allowed < 2 * wanted {
        println!("skipped: this process may open {allowed} files only");
    }
    allowed >= 2 * wanted
}

/// More than the server has places, in all and for each address.
const HORDE: usize = 2_200;

/// What a client with a key does all the time, also with a body.
fn work(server: &Server, from: IpAddr, number: usize) {
    let get = Request::get("/api/management/feeds/list");
    let body = format!(r#"{{"name":"feed{number}","feedType":"universal"}}"#);
    let post = Request::post("/api/management/feeds/create").json(&body);
    for request in [get, post] {
        let wire = request.key(&server.key).bytes(server.address);
        let mut stream = connect(from, server.address);
        stream.write_all(&wire).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 200");
    }
}

#[rstest]
fn whoever_has_a_key_is_served_whatever_strangers_do(
    #[values(
        Kind::Silent,
        Kind::HalfHead,
        Kind::RefusedBody,
        Kind::SlowText,
        Kind::SmallText,
        Kind::UnreadDownload
    )]
    kind: Kind,
) {
    if !enough_files(HORDE) {
        return;
    }
    let (_directory, store) = directory();
    // Nothing ends by itself while the test runs.
    let patience = ["--stall-timeout=600", "--text-timeout=600", "--head-timeout=600"];
    let server = Server::start_with(&store, &patience);
    server.create_feed("dev", "universal");
    let target = "/api/settings/set?name=anonymous.access&value=read";
    server.send(Request::post(target)).expect(200);
    if matches!(kind, Kind::UnreadDownload) {
        let mut package = Vec::new();
        streamed_upack("large", "1.0.0", LARGE).read_to_end(&mut package).unwrap();
        server.upload("dev", package);
    }
    let mut strangers: Vec<TcpStream> = Vec::new();
    for number in 0..HORDE {
        let mut stream = connect(From::Many.address(number), server.address);
        let _ = stream.write_all(kind.begins_with().as_bytes());
        strangers.push(stream);
        // Of an address that has strangers, and of one that has none.
        if number % 550 == 549 {
            work(&server, [127, 0, 1, 7].into(), number);
            work(&server, [127, 0, 0, 1].into(), HORDE + number);
        }
    }
    for round in 2..6 {
        if kind.goes_on() {
            for stream in &mut strangers {
                let _ = stream.write_all(b" ");
            }
        }
        work(&server, [127, 0, 0, 1].into(), round * HORDE);
    }
    drop(strangers);
}

#[rstest]
fn health_is_told_whatever_strangers_do(
    #[values(
        Kind::Silent,
        Kind::HalfHead,
        Kind::RefusedBody,
        Kind::SlowText,
        Kind::UnreadDownload
    )]
    kind: Kind,
    #[values(From::One, From::Many)] from: From,
) {
    if !enough_files(STRANGERS) {
        return;
    }
    let (_directory, store) = directory();
    let server = Server::start_with(&store, &["--stall-timeout=10", "--text-timeout=10"]);
    server.create_feed("dev", "universal");
    let target = "/api/settings/set?name=anonymous.access&value=read";
    server.send(Request::post(target)).expect(200);
    if matches!(kind, Kind::UnreadDownload) {
        let mut package = Vec::new();
        streamed_upack("large", "1.0.0", LARGE).read_to_end(&mut package).unwrap();
        server.upload("dev", package);
    }
    let monitor: IpAddr = [127, 0, 0, 1].into();
    health(&server, monitor);
    let process = server.process();
    process.forget_peak();
    let idle = process.memory();

    let mut strangers: Vec<TcpStream> = (0..STRANGERS)
        .map(|number| {
            let mut stream = connect(from.address(number), server.address);
            // It may have had to make room already.
            let _ = stream.write_all(kind.begins_with().as_bytes());
            stream
        })
        .collect();
    let mut slowest = Duration::ZERO;
    let mut asked = 0;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(6) {
        slowest = slowest.max(health(&server, monitor));
        asked += 1;
        if kind.goes_on() {
            for stream in &mut strangers {
                let _ = stream.write_all(b" ");
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
    let grown = process.peak().saturating_sub(idle) / MEBIBYTE;
    println!("{kind:?} from {from:?}: {asked} times healthy, in {slowest:?} at most, {grown} MiB");
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    // The budget of files on their way, and what a connection has in any case.
    let most = 64 + 96 * u64::try_from(STRANGERS).unwrap() / 1024;
    assert!(grown < most, "{grown} MiB");

    // Nobody has gone away by himself, yet in the end there is a place for everybody.
    let started = Instant::now();
    loop {
        let answer = Request::get("/api/management/feeds/list").key(&server.key);
        if answer.try_send(server.address).is_ok_and(|answer| answer.status == 200) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "there is no place for a client");
    }
    drop(strangers);
}

/// Documents as large as manifests make them, which nobody takes: what is held of them follows the
/// budgets of the server, not their size.
#[test]
fn large_documents_that_nobody_takes_stay_within_the_budgets() {
    const VERSIONS: usize = 60;
    const READERS: usize = 12;
    let (_directory, store) = directory();
    let server = Server::start(&store);
    server.create_feed("js", "npm");
    let target = "/api/settings/set?name=anonymous.access&value=read";
    server.send(Request::post(target)).expect(200);
    for version in 0..VERSIONS {
        let word = format!("{version:08}");
        let package = npm_tgz("wide", &format!("1.0.{version}"))
            .field("wide", &format!("\"{}\"", word.repeat(900_000 / word.len())));
        server.upload("js", package.build());
    }
    let process = server.process();
    process.forget_peak();
    let before = process.memory();
    let unread: Vec<TcpStream> = (0..READERS)
        .map(|_| {
            let mut stream = connect([127, 0, 0, 1].into(), server.address);
            stream.write_all(b"GET /npm/js/wide HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            stream
        })
        .collect();
    // Until each has the beginning of its answer.
    for mut stream in &unread {
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(String::from_utf8_lossy(&start), "HTTP/1.1 200");
    }
    let grown = process.peak().saturating_sub(before) / MEBIBYTE;
    println!("{READERS} unread documents of {} MB: {grown} MiB", VERSIONS * 900_000 / 1_000_000);
    // What is sent, what is kept, one render, and what the allocator keeps of each.
    assert!(grown < 64 + 32 + 64, "{grown} MiB");
    drop(unread);
}

/// Sends a package at a pace; the status of the answer.
fn upload_slowly(server: &Server, size: u32, bytes_in_a_second: f64) -> u16 {
    let mut package = Vec::new();
    streamed_upack("large", "1.0.0", size).read_to_end(&mut package).unwrap();
    let request = Request::put("/api/packages/dev/upload", package).key(&server.key);
    let wire = request.bytes(server.address);
    let mut stream = connect([127, 0, 0, 1].into(), server.address);
    let started = Instant::now();
    for (number, chunk) in wire.chunks(1 << 18).enumerate() {
        let due = f64::from(u32::try_from(number).unwrap() << 18) / bytes_in_a_second;
        thread::sleep(Duration::from_secs_f64(due).saturating_sub(started.elapsed()));
        if stream.write_all(chunk).is_err() {
            break;
        }
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer, also to who is too slow");
    println!("{size} bytes in {:?}", started.elapsed());
    String::from_utf8_lossy(&answer[9..]).parse().unwrap()
}

#[test]
fn a_large_upload_may_take_its_time_if_it_keeps_to_the_least_rate() {
    let (_directory, store) = directory();
    // A second of patience and a mebibyte in each, to have not to wait long.
    let options = ["--stall-timeout=1", "--least-rate=1048576", "--text-timeout=1"];
    let server = Server::start_with(&store, &options);
    server.create_feed("dev", "universal");
    assert_eq!(upload_slowly(&server, 220 << 20, f64::from(30 << 20)), 200);
    assert_eq!(upload_slowly(&server, 8 << 20, f64::from(1 << 19)), 408);
}
