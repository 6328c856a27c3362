//! What wrong keys cost: nothing, unless somebody chose a key that they might be.

use std::time::{Duration, Instant};

use crate::server::Server;
use hayloft::{Actor, KeyGrant, Store};
use hayloft_http::RequestLimits;

const CHOSEN: &str = "correct-horse-battery";

fn start(set: impl FnOnce(&mut RequestLimits)) -> Server {
    let mut limits = RequestLimits::default();
    limits.key_threads = 1;
    set(&mut limits);
    let server = Server::start_with(|app| app.limits(limits));
    server.feed("nu1", "nuget");
    server
}

fn admin(store: &Store, text: Option<&str>) -> String {
    let grant = KeyGrant {
        kind: "system".to_owned(),
        system_apis: vec!["full-control".to_owned()],
        ..KeyGrant::default()
    };
    store.create_key(grant, text, &Actor::system()).unwrap().1.reveal().to_owned()
}

fn status(server: &Server, headers: &[(&str, &str)]) -> u16 {
    server.send("GET", "/api/packages/nu1", headers, b"").status
}

fn wrong(number: u32) -> String {
    format!("wrong-key-number-{number}")
}

#[test]
fn a_chosen_key_works_in_every_form() {
    let server = start(|_| {});
    admin(&server.store, Some(CHOSEN));
    let generated = admin(&server.store, None);
    for (key, expected) in [
        (CHOSEN, 200),
        (generated.as_str(), 200),
        ("correct-horse-batterx", 403),
        (&format!("api:{CHOSEN}"), 200),
        (&format!("api:{generated}"), 200),
        (&format!("eva:{CHOSEN}"), 403),
    ] {
        for _ in 0..2 {
            assert_eq!(status(&server, &[("x-apikey", key)]), expected, "{key}");
        }
    }
    let basic = data_encoding::BASE64.encode(format!("api:{CHOSEN}").as_bytes());
    assert_eq!(status(&server, &[("authorization", &format!("Basic {basic}"))]), 200);
}

#[test]
fn wrong_keys_are_only_throttled_where_they_cost_something() {
    let server = start(|limits| {
        limits.wrong_keys = 3;
        limits.wrong_key_pause = Duration::from_secs(3_600);
    });
    let generated = admin(&server.store, None);
    for number in 0..20 {
        assert_eq!(status(&server, &[("x-apikey", &wrong(number))]), 403);
    }
    admin(&server.store, Some(CHOSEN));
    for _ in 0..20 {
        assert_eq!(status(&server, &[("x-apikey", CHOSEN)]), 200);
    }
    // Each is hashed once; how often it is sent does not matter then.
    for number in [0, 1, 2, 0, 1, 2] {
        assert_eq!(status(&server, &[("x-apikey", &wrong(number))]), 403);
    }
    for number in 3..6 {
        assert_eq!(status(&server, &[("x-apikey", &wrong(number))]), 429);
    }
    // Who shows what is known, or nothing that could be chosen, is not held up.
    assert_eq!(status(&server, &[("x-apikey", CHOSEN)]), 200);
    assert_eq!(status(&server, &[("x-apikey", &generated)]), 200);
    assert_eq!(status(&server, &[("x-apikey", &format!("hl_{}", "a".repeat(52)))]), 403);
    assert_eq!(status(&server, &[]), 403);
}

#[test]
fn reads_do_not_wait_for_wrong_keys() {
    let server = start(|limits| {
        limits.wrong_keys = u32::MAX;
        limits.key_queue = 1_000;
    });
    admin(&server.store, Some(CHOSEN));
    let generated = admin(&server.store, None);
    let read = || {
        let started = Instant::now();
        assert_eq!(status(&server, &[("x-apikey", &generated)]), 200);
        started.elapsed()
    };
    read();
    std::thread::scope(|scope| {
        // More than there are places for calls, each of many slow hashes.
        let attack: Vec<_> = (0..100_u32)
            .map(|thread| {
                let server = &server;
                scope.spawn(move || {
                    for number in 0..10 {
                        let key = wrong(thread * 1_000 + number);
                        assert_eq!(status(server, &[("x-apikey", &key)]), 403);
                    }
                })
            })
            .collect();
        let started = Instant::now();
        let mut reads = Vec::new();
        while !attack.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            reads.push(read());
        }
        reads.sort();
        let median = reads[reads.len() / 2];
        println!(
            "{} reads of {median:?} while 1,000 keys took {:?}",
            reads.len(),
            started.elapsed()
        );
        // All keys together take seconds, in a build without optimizations tens of them.
        assert!(median < started.elapsed() / 20, "{median:?}");
    });
}

#[test]
fn the_queue_of_wrong_keys_has_an_end() {
    let server = start(|limits| {
        limits.wrong_keys = u32::MAX;
        limits.key_queue = 0;
    });
    admin(&server.store, Some(CHOSEN));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|number| {
                let server = &server;
                scope.spawn(move || status(server, &[("x-apikey", &wrong(number))]))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(statuses.iter().all(|status| [403, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&403) && statuses.contains(&503), "{statuses:?}");
}
