//! A server that is killed, raced and lied to keeps whole packages and loses none that it
//! acknowledged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and report what they saw"
)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

use hayloft_testkit::{npm_tgz, upack};
use hayloft_tests::{Body, Hayloft, Request, Server, converse, sha256};
use tempfile::TempDir;

const ROUNDS: usize = 12;
const THREADS: usize = 4;
/// Bytes of a package: stored in a file of its own, where small ones lie in the tables.
const LARGE: usize = 60_000;

/// Feed, name and version to the SHA-256 of the content, which is `None` where only the server
/// knows it.
type Acknowledged = BTreeMap<(String, String, String), Option<String>>;

fn start() -> (TempDir, Server) {
    // On the disk that the build is on: the usual place of temporary files may lie in memory.
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let server = Server::start(&directory.path().join("store"));
    server.create_feed("dev", "universal");
    server.create_feed("prod", "universal");
    (directory, server)
}

fn package(name: &str, version: &str) -> Vec<u8> {
    let size = if name.ends_with(['0', '2', '4', '6', '8']) { LARGE } else { 500 };
    upack("kill", name, version).payload(size).build()
}

#[test]
fn whatever_is_killed_each_package_is_whole_or_absent() {
    let (directory, mut server) = start();
    let acknowledged = Mutex::new(Acknowledged::new());
    for round in 0..ROUNDS {
        // Later rounds die later.
        let enough = 3 + round * 2;
        let count = AtomicUsize::new(0);
        let dead = Barrier::new(2);
        thread::scope(|scope| {
            for worker in 0..THREADS {
                let (address, key) = (server.address, server.key.clone());
                let (acknowledged, count, dead) = (&acknowledged, &count, &dead);
                scope.spawn(move || {
                    let client = Client { address, key, acknowledged };
                    for step in 0.. {
                        let Some(answers) = client.release(&format!("r{round}w{worker}s{step}"))
                        else {
                            return;
                        };
                        let before = count.fetch_add(answers, Ordering::Relaxed);
                        if before < enough && before + answers >= enough {
                            dead.wait();
                        }
                    }
                });
            }
            dead.wait();
            server.kill();
        });
        let verified = Hayloft::on_store(&directory.path().join("store")).run(["verify"]);
        verified.success();
        server = server.restart();
        check(&server, &acknowledged.lock().unwrap());
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    let whole = check(&server, &acknowledged);
    println!("{ROUNDS} kills: {} acknowledged, {whole} whole", acknowledged.len());
    assert!(acknowledged.len() >= ROUNDS * 3);
    assert_eq!(staged(directory.path()), 0, "staging is swept");
}

/// Somebody who works until the server is gone.
struct Client<'a> {
    address: SocketAddr,
    key: String,
    acknowledged: &'a Mutex<Acknowledged>,
}

impl Client<'_> {
    /// Uploads a candidate, makes it a release and promotes that; `None` once the server is gone.
    fn release(&self, name: &str) -> Option<usize> {
        let bytes = package(name, "1.0.0-rc.1");
        self.send(Request::put("/api/packages/dev/upload", bytes.clone()))?;
        self.note("dev", name, "1.0.0-rc.1", Some(sha256(&bytes)));
        let repackage = format!(
            r#"{{"feed":"dev","group":"kill","name":"{name}","version":"1.0.0-rc.1","newVersion":"1.0.0"}}"#
        );
        self.send(Request::new("POST", "/api/repackaging/repackage").json(&repackage))?;
        self.note("dev", name, "1.0.0", None);
        let promote = format!(
            r#"{{"fromFeed":"dev","group":"kill","name":"{name}","version":"1.0.0","toFeed":"prod"}}"#
        );
        self.send(Request::new("POST", "/api/promotions/promote").json(&promote))?;
        self.note("prod", name, "1.0.0", None);
        Some(3)
    }

    fn send(&self, request: Request) -> Option<()> {
        let answer = request.key(&self.key).try_send(self.address).ok()?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Some(())
    }

    fn note(&self, feed: &str, name: &str, version: &str, digest: Option<String>) {
        let key = (feed.to_owned(), name.to_owned(), version.to_owned());
        self.acknowledged.lock().unwrap().insert(key, digest);
    }
}

/// Everything acknowledged is there, and all that is there is whole; gives how much that is.
fn check(server: &Server, acknowledged: &Acknowledged) -> usize {
    let mut whole = BTreeMap::new();
    for feed in ["dev", "prod"] {
        for entry in server.list(&format!("/api/packages/{feed}/versions")) {
            let text = |property: &str| entry[property].as_str().unwrap().to_owned();
            let (name, version, digest) = (text("name"), text("version"), text("sha256"));
            let query = format!("group=kill&name={name}&version={version}");
            let file = server.get(&format!("/api/packages/{feed}/download?{query}"));
            assert_eq!(sha256(&file.body), digest, "{feed} {name} {version}");
            if !version.contains('-') {
                // A release is in both feeds with one content, and tells where it is from.
                let history = server.get(&format!("/api/packages/{feed}/history?{query}"));
                assert!(history.text().contains("1.0.0-rc.1"), "{}", history.text());
            }
            whole.insert((feed.to_owned(), name, version), digest);
        }
    }
    for (key, expected) in acknowledged {
        let found = whole.get(key).unwrap_or_else(|| panic!("{key:?} is lost"));
        assert!(expected.as_ref().is_none_or(|expected| expected == found), "{key:?} changed");
        if key.0 == "prod" {
            let source = ("dev".to_owned(), key.1.clone(), key.2.clone());
            assert_eq!(Some(found), whole.get(&source), "{key:?}");
        }
    }
    whole.len()
}

/// Files that wait in the staging area of a server's store.
fn staged(directory: &Path) -> usize {
    let Ok(epochs) = fs_err::read_dir(directory.join("store/tmp")) else { return 0 };
    epochs.map(|epoch| fs_err::read_dir(epoch.unwrap().path()).unwrap().count()).sum()
}

#[test]
fn sixty_four_clients_at_once_lose_nothing() {
    const CLIENTS: usize = 64;
    const EACH: usize = 3;
    let (_directory, server) = start();
    server.create_feed("npm", "npm");
    let together = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (server, together) = (&server, &together);
            scope.spawn(move || {
                let packages: Vec<Vec<u8>> = (0..EACH)
                    .map(|number| npm_tgz(&format!("c{client}-{number}"), "1.0.0"))
                    // All write one more version of the same package, too.
                    .chain([npm_tgz("shared", &format!("1.{client}.0"))])
                    .map(|package| package.payload(3_000).build())
                    .collect();
                together.wait();
                for package in packages {
                    server.upload("npm", package);
                }
            });
        }
    });
    let listed = server.list("/api/packages/npm/versions");
    assert_eq!(listed.len(), CLIENTS * (EACH + 1));
    assert_eq!(server.list("/api/packages/npm/versions?name=shared").len(), CLIENTS);
    assert_eq!(server.list("/api/packages/npm/latest").len(), CLIENTS * EACH + 1);
    for entry in listed.iter().filter(|entry| entry["name"] == "shared") {
        let version = entry["version"].as_str().unwrap();
        let expected = npm_tgz("shared", version).payload(3_000).build();
        assert_eq!(entry["sha256"], sha256(&expected), "{version}");
    }
}

#[test]
fn of_two_equal_repackagings_one_wins() {
    let (_directory, server) = start();
    for round in 0..10 {
        let name = format!("race{round}");
        server.upload("dev", package(&name, "1.0.0-rc.1"));
        let body = format!(
            r#"{{"feed":"dev","group":"kill","name":"{name}","version":"1.0.0-rc.1","newVersion":"1.0.0"}}"#
        );
        let together = Barrier::new(2);
        let mut answers: Vec<_> = thread::scope(|scope| {
            let race = || {
                together.wait();
                server.send(Request::new("POST", "/api/repackaging/repackage").json(&body))
            };
            let racers = [scope.spawn(race), scope.spawn(race)];
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        answers.sort_by_key(|answer| answer.status);
        assert_eq!(answers[0].status, 200, "{}", answers[0].text());
        let text = answers[1].error(400);
        assert!(text.contains("exists") && text.contains(&name), "{text}");
        let listed = server.list(&format!("/api/packages/dev/versions?group=kill&name={name}"));
        assert_eq!(listed.len(), 2);
    }
}

#[test]
fn clients_that_hang_drop_lie_or_dawdle_leave_nothing_behind() {
    let (directory, server) = start();
    let bytes = package("whole", "1.0.0");
    let request = Request::put("/api/packages/dev/upload", bytes.clone()).key(&server.key);
    let wire = request.bytes(server.address);
    let body_at = wire.len() - bytes.len();
    let connect = || TcpStream::connect(server.address).unwrap();

    // Forty hang: before a byte, within the head, within the body.
    let mut hanging = Vec::new();
    for (number, cut) in [0, 20, body_at, body_at + 100].into_iter().cycle().take(40).enumerate() {
        let mut stream = connect();
        stream.write_all(&wire[..cut]).unwrap();
        if number % 2 == 1 {
            hanging.push(stream);
        }
    }
    // Others are served meanwhile, and one that sends byte for byte is as good as any.
    server.upload("dev", package("meanwhile", "1.0.0"));
    let slow = package("slow1", "1.0.0");
    let slow_wire = Request::put("/api/packages/dev/upload", slow).key(&server.key);
    let mut stream = connect();
    stream.set_nodelay(true).unwrap();
    for byte in slow_wire.bytes(server.address) {
        stream.write_all(&[byte]).unwrap();
    }
    let mut answer = Vec::new();
    std::io::copy(&mut stream.take(20_000), &mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    drop(hanging);

    let with_length = |length: usize| {
        let head = String::from_utf8(wire[..body_at].to_vec()).unwrap();
        let told = format!("Content-Length: {}", bytes.len());
        assert!(head.contains(&told));
        let head = head.replace(&told, &format!("Content-Length: {length}"));
        [head.into_bytes(), bytes.clone()].concat()
    };
    // Less than it sends: the package is cut off. More: the rest never comes.
    let short = converse(server.address, &with_length(bytes.len() - 1)).unwrap();
    short.error(400);
    let mut stream = connect();
    stream.write_all(&with_length(bytes.len() + 1)).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    drop(stream);
    // Refused at once; the server then waits in vain for the rest.
    let mut stream = connect();
    stream.write_all(&with_length(usize::MAX / 4)).unwrap();
    let mut status = [0; 13];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(status, *b"HTTP/1.1 413 ");
    drop(stream);
    // A chunk that ends before its end.
    let chunked = Request::new("PUT", "/api/packages/dev/upload").key(&server.key);
    let chunked = chunked.body(Body::Chunked(bytes.clone(), 1_000)).bytes(server.address);
    let mut stream = connect();
    stream.write_all(&chunked[..chunked.len() - 50]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    drop(stream);
    for broken in ["Content-Length: 3x", "Content-Length: -1", "Transfer-Encoding: chunky"] {
        let head =
            format!("PUT /api/packages/dev/upload HTTP/1.1\r\nHost: x\r\n{broken}\r\n\r\nabc");
        if let Ok(refused) = converse(server.address, head.as_bytes()) {
            assert!((400..600).contains(&refused.status), "{broken}: {refused:?}");
        }
    }

    // The server notices each end on its own; every request here gives it time to.
    for _ in 0..2_000 {
        if staged(directory.path()) == 0 {
            break;
        }
        server.get("/health");
    }
    assert_eq!(staged(directory.path()), 0);
    let listed = server.list("/api/packages/dev/versions");
    let names: Vec<_> = listed.iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["meanwhile", "slow1"]);
    server.upload("dev", bytes);
    drop(server);
    Hayloft::on_store(&directory.path().join("store")).ok(["verify"]);
}
