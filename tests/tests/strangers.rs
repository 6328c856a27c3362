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

use hayloft_testkit::streamed_upack;
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
            Self::UnreadDownload => {
                "GET /api/packages/dev/download?name=large&version=1.0.0 HTTP/1.1\r\nHost: h\r\n\r\n"
                    .to_owned()
            }
        }
    }

    fn goes_on(self) -> bool {
        matches!(self, Self::HalfHead | Self::RefusedBody | Self::SlowText)
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

fn enough_files() -> bool {
    let limits = fs_err::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let allowed: usize = line.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX);
    if allowed < 2 * STRANGERS {
        println!("skipped: this process may open {allowed} files only");
    }
    allowed >= 2 * STRANGERS
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
    if !enough_files() {
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
    let most = 64 + 80 * u64::try_from(STRANGERS).unwrap() / 1024;
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
