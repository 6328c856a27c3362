//! Documents of native clients that come from the cache are those that would be rendered.

use std::io::Read;

use flate2::read::GzDecoder;
use hayloft_http::RequestLimits;
use hayloft_testkit::nupkg;
use rstest::rstest;

use crate::server::Server;

const INDEX: &str = "/nuget/nu1/v3/registration/a/index.json";

fn start(cache: usize) -> Server {
    let mut limits = RequestLimits::default();
    limits.cache_memory = cache;
    let server = Server::start_with(|app| {
        app.gatekeeper(hayloft_http::LocalUser::new("tester")).limits(limits)
    });
    server.feed("nu1", "nuget");
    for number in 0..30 {
        upload(&server, number);
    }
    server
}

fn upload(server: &Server, number: u32) {
    let version = format!("1.0.{number}");
    server.put("/api/packages/nu1/upload", &nupkg("A", &version).build()).done();
}

/// Tag and text of the document, packed or not.
fn document(server: &Server, encoding: &str) -> (String, Vec<u8>) {
    let answer = server.send("GET", INDEX, &[("accept-encoding", encoding)], b"");
    answer.done();
    let packed = answer.headers.get("content-encoding").is_some();
    assert_eq!(packed, encoding == "gzip");
    let mut text = answer.body.clone();
    // The client of the tests may have unpacked it.
    if packed && text.starts_with(&[0x1f, 0x8b]) {
        text.clear();
        GzDecoder::new(answer.body.as_slice()).read_to_end(&mut text).unwrap();
    }
    (answer.header("etag").to_owned(), text)
}

#[rstest]
#[case::with_a_cache(32 << 20)]
#[case::without(0)]
fn what_is_kept_is_what_is_rendered(#[case] cache: usize) {
    let server = start(cache);
    let (tag, plain) = document(&server, "identity");
    let (packed_tag, packed) = document(&server, "gzip");
    assert_eq!(plain, packed);
    assert_ne!(tag, packed_tag);
    for _ in 0..3 {
        assert_eq!(document(&server, "identity"), (tag.clone(), plain.clone()));
        assert_eq!(document(&server, "gzip"), (packed_tag.clone(), plain.clone()));
    }
    let same = server.send("GET", INDEX, &[("if-none-match", &tag)], b"");
    assert_eq!(same.status, 304);
    let head = server.send("HEAD", INDEX, &[("accept-encoding", "identity")], b"");
    assert_eq!(head.header("content-length"), plain.len().to_string());
    let part = [("range", "bytes=5-9"), ("accept-encoding", "gzip")];
    let part = server.send("GET", INDEX, &part, b"");
    assert_eq!((part.status, part.body.as_slice()), (206, &plain[5..10]));

    upload(&server, 99);
    let (new_tag, new) = document(&server, "identity");
    assert_ne!(new_tag, tag);
    assert!(String::from_utf8(new.clone()).unwrap().contains("1.0.99"));
    assert_eq!(document(&server, "gzip").1, new);
}

#[test]
fn many_at_once_get_the_same() {
    let server = start(32 << 20);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..40)
            .map(|number| {
                let (server, encoding) = (&server, ["gzip", "identity"][number % 2]);
                scope.spawn(move || document(server, encoding).1)
            })
            .collect();
        let mut texts: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        texts.dedup();
        assert_eq!(texts.len(), 1);
    });
}

#[test]
fn a_cached_document_is_only_for_who_may_see_it() {
    use hayloft::{Actor, KeyGrant};

    let server = Server::start_with(|app| app);
    server.feed("nu1", "nuget");
    let grant = KeyGrant {
        kind: "system".to_owned(),
        system_apis: vec!["feeds".to_owned()],
        ..KeyGrant::default()
    };
    let (_, key) = server.store.create_key(grant, None, &Actor::system()).unwrap();
    let key = [("x-apikey", key.reveal())];
    server.send("PUT", "/api/packages/nu1/upload", &key, &nupkg("A", "1.0.0").build()).done();
    server.send("GET", INDEX, &key, b"").done();
    assert_eq!(server.get(INDEX).status, 401);
    assert_eq!(server.send("GET", INDEX, &[("x-apikey", "wrong")], b"").status, 403);
}
