//! Files on their way in and out.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use hayloft_testkit::{deb, nupkg, sdist, wheel};
use rstest::rstest;
use serde_json::json;

use crate::server::Server;
use crate::{listed, nuget, row};

#[test]
fn a_debian_upload_needs_a_distribution_until_there_is_only_one() {
    let server = Server::start();
    server.feed("deb1", "debian");
    let put = |query: &str, version: &str| {
        server.put(&format!("/api/packages/deb1/upload{query}"), &deb("aa", version, "all").build())
    };
    put("", "1").refused(400, &["distribution"]);
    put("?distro=main&component=contrib", "1").done();
    put("/", "2").done();
    let rows = server.get("/api/packages/deb1/versions").json();
    assert_eq!(rows[0]["qualifier"], "arch=all&component=main&distro=main");
    assert_eq!(rows[1]["qualifier"], "arch=all&component=contrib&distro=main");
}

#[test]
fn python_file_names_come_from_the_path_or_the_metadata() {
    let server = Server::start();
    server.feed("py1", "pypi");
    let (binary, source) = (wheel("django", "5.0.6"), sdist("django", "5.0.6"));
    server.put("/api/packages/py1/upload", &binary.build()).done();
    server.put("/api/packages/py1/upload/other-1.0.tar.gz", &source.build()).refused(400, &[]);
    server.put(&format!("/api/packages/py1/upload/{}", source.file_name()), &source.build()).done();
    let query = "name=Django&version=5.0.6&qualifier=file%3Ddjango-5.0.6.tar.gz";
    assert_eq!(server.get(&format!("/api/packages/py1/download?{query}")).body, source.build());
    let alias = "name=Django&version=5.0.6.0&filename=django-5.0.6-py3-none-any.whl";
    assert_eq!(server.get(&format!("/api/packages/py1/download?{alias}")).body, binary.build());
}

#[test]
fn uploads_come_in_every_published_way() {
    let server = nuget(&[]);
    let package = |version: &str| nupkg("A", version).build();
    server.send("POST", "/api/packages/nu1/upload/", &[], &package("1.0.0")).done();
    server.put("/api/packages/nu1/upload/whatever.bin", &package("2.0.0")).done();
    let bytes = package("3.0.0");
    let mut request = format!(
        "PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\n{:x}\r\n",
        bytes.len()
    )
    .into_bytes();
    request.extend_from_slice(&bytes);
    request.extend_from_slice(b"\r\n0\r\n\r\n");
    assert!(server.raw(&request).starts_with("HTTP/1.1 200"));
    let mut request = format!(
        "PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        package("4.0.0").len()
    )
    .into_bytes();
    request.extend_from_slice(&package("4.0.0"));
    assert!(server.raw(&request).starts_with("HTTP/1.1 200"));
    assert_eq!(
        listed(&server.get("/api/packages/nu1/versions")),
        ["4.0.0", "3.0.0", "2.0.0", "1.0.0"]
    );
}

#[test]
fn multipart_bodies_and_damaged_packages_are_refused_and_leave_nothing() {
    let server = nuget(&[]);
    let multipart = [("content-type", "multipart/form-data; boundary=x")];
    server
        .send("PUT", "/api/packages/nu1/upload", &multipart, b"--x--")
        .refused(400, &["send the raw file"]);
    server.put("/api/packages/nu1/upload", b"no package").refused(400, &["not accepted"]);
    server.put("/api/packages/nu1/upload", b"").refused(400, &["not accepted"]);
    server.put("/api/packages/nope/upload", b"x").refused(404, &["Feed nope not found."]);
    assert_eq!(server.get("/api/packages/nu1/versions").text(), "[]");
    assert_eq!(server.staged(), 0);
}

#[test]
fn equal_bytes_change_nothing_and_other_bytes_keep_the_counts() {
    let server = nuget(&["1.0.0"]);
    server.get("/api/packages/nu1/download?name=A&version=1.0.0").done();
    let before = row(&server);
    assert_eq!((&before["downloads"], &before["totalDownloads"]), (&json!(1), &json!(1)));
    server.put("/api/packages/nu1/upload", &nupkg("A", "1.0.0").build()).done();
    assert_eq!(row(&server), before);
    server.put("/api/packages/nu1/upload", &nupkg("A", "1.0.0").payload(40_000).build()).done();
    let after = row(&server);
    assert_ne!(after["sha256"], before["sha256"]);
    assert_eq!(after["downloads"], 1);
}

#[rstest]
#[case::middle("bytes=2-4", 206, "bytes 2-4/10", "234")]
#[case::end("bytes=-3", 206, "bytes 7-9/10", "789")]
#[case::rest("bytes=8-", 206, "bytes 8-9/10", "89")]
#[case::nothing("bytes=10-", 416, "bytes */10", "")]
#[case::several("bytes=0-1,4-5", 200, "", "0123456789")]
fn one_range_of_a_file_can_be_had(
    #[case] range: &str,
    #[case] status: u16,
    #[case] content_range: &str,
    #[case] expected: &str,
) {
    let (server, bytes) = with_payload();
    // The ten bytes of the table lie far into the file.
    let place = |text: &str| -> String {
        let mut out = String::new();
        let mut digits = text.chars().peekable();
        while let Some(letter) = digits.next() {
            let mut number = letter.to_string();
            while letter.is_ascii_digit() && digits.peek().is_some_and(char::is_ascii_digit) {
                number.extend(digits.next());
            }
            out += &number
                .parse::<usize>()
                .map_or(number.clone(), |at| (at + bytes.len() - 10).to_string());
        }
        out
    };
    let range = if range.starts_with("bytes=-") { range.to_owned() } else { place(range) };
    let answer = server.send("GET", PAYLOAD, &[("range", &range)], b"");
    assert_eq!(answer.status, status, "{range}");
    if !content_range.is_empty() {
        let shown =
            if status == 416 { format!("bytes */{}", bytes.len()) } else { place(content_range) };
        assert_eq!(answer.header("content-range"), shown);
    }
    let tail = &bytes[bytes.len() - 10..];
    let wanted: Vec<u8> = match status {
        200 => bytes.clone(),
        _ => expected.bytes().map(|digit| tail[usize::from(digit - b'0')]).collect(),
    };
    assert_eq!(answer.body, wanted);
    let counted = u64::from(status == 200);
    assert_eq!(row(&server)["downloads"], counted, "only whole files count");
}

const PAYLOAD: &str = "/api/packages/nu1/download?name=A&version=1.0.0";

/// A package larger than a few chunks.
fn with_payload() -> (Server, Vec<u8>) {
    let server = nuget(&[]);
    let bytes = nupkg("A", "1.0.0").payload(1_200_000).build();
    server.put("/api/packages/nu1/upload", &bytes).done();
    (server, bytes)
}

#[test]
fn caches_and_resumed_downloads_are_served_by_validators() {
    let (server, bytes) = with_payload();
    let head = server.send("HEAD", PAYLOAD, &[], b"");
    head.done();
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), bytes.len().to_string());
    assert_eq!(head.header("accept-ranges"), "bytes");
    assert_eq!(head.header("content-type"), "application/octet-stream");
    let (tag, date) = (head.header("etag"), head.header("last-modified"));
    assert!(tag.starts_with('"') && date.ends_with(" GMT"), "{tag} {date}");

    let weak = format!("\"x\", W/{tag}");
    for known in [tag, "*", &weak] {
        let answer = server.send("GET", PAYLOAD, &[("if-none-match", known)], b"");
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{known}");
        assert_eq!(answer.header("etag"), tag);
    }
    let resume = |validator: &str| {
        let headers = [("range", "bytes=1000000-"), ("if-range", validator)];
        server.send("GET", PAYLOAD, &headers, b"")
    };
    for same in [tag, date] {
        let answer = resume(same);
        assert_eq!((answer.status, answer.body.as_slice()), (206, &bytes[1_000_000..]));
    }
    assert_eq!(row(&server)["downloads"], 0);
    let answer = resume("\"other\"");
    assert_eq!((answer.status, answer.body.len()), (200, bytes.len()));
    assert_eq!(row(&server)["downloads"], 1);
}

/// Waits for something that happens by itself, at most ten seconds.
fn eventually(what: &str, done: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never happened: {what}");
}

#[test]
fn an_upload_that_is_cut_off_leaves_nothing() {
    let server = nuget(&[]);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head =
        "PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![7; 2_000_000]).unwrap();
    eventually("bytes are staged", || server.staged() == 1);
    drop(stream);
    eventually("staging is empty", || server.staged() == 0);
    assert_eq!(server.get("/api/packages/nu1/versions").text(), "[]");

    let mut stream = TcpStream::connect(server.address).unwrap();
    let short = "PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nabc";
    stream.write_all(short.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_client_that_goes_silent_is_given_up_on() {
    let server = Server::start_with(|app| {
        app.gatekeeper(hayloft_http::LocalUser::new("tester"))
            .idle(Duration::from_millis(50))
            .calls(1)
    });
    server.feed("nu1", "nuget");
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head =
        "PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\nabc";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(server.staged(), 0);
}

#[test]
fn slow_clients_do_not_take_the_place_of_others() {
    let server =
        Server::start_with(|app| app.gatekeeper(hayloft_http::LocalUser::new("tester")).calls(1));
    server.feed("nu1", "nuget");
    let bytes = nupkg("A", "1.0.0").payload(20_000_000).build();
    server.put("/api/packages/nu1/upload", &bytes).done();
    // One client reads nothing of a file that no socket buffer holds, one sends half a file.
    let mut reader = TcpStream::connect(server.address).unwrap();
    let request = format!("GET {PAYLOAD} HTTP/1.1\r\nHost: x\r\n\r\n");
    reader.write_all(request.as_bytes()).unwrap();
    let mut first = [0; 12];
    reader.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let mut writer = TcpStream::connect(server.address).unwrap();
    let head = "PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nabc";
    writer.write_all(head.as_bytes()).unwrap();
    assert_eq!(server.get(PAYLOAD).body, bytes);
    server.put("/api/packages/nu1/upload", &nupkg("A", "2.0.0").build()).done();
    let mut rest = Vec::new();
    reader.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut buffer = vec![0; 65_536];
    while !rest.ends_with(&bytes[bytes.len() - 64..]) {
        let read = reader.read(&mut buffer).unwrap();
        assert!(read > 0, "the download ended early");
        rest.extend_from_slice(&buffer[..read]);
    }
    assert!(rest.ends_with(&bytes));
}

#[test]
fn uploads_beyond_the_limit_are_refused_before_and_while_they_come() {
    let server = Server::start_with(|app| {
        app.gatekeeper(hayloft_http::LocalUser::new("tester"))
            .max_upload(100_000)
            .idle(Duration::from_millis(500))
    });
    server.feed("nu1", "nuget");
    let large = nupkg("A", "1.0.0").payload(200_000).build();
    server.put("/api/packages/nu1/upload", &large).refused(413, &["100000"]);
    let declared = "PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\n\
        Content-Length: 99999999999\r\nConnection: close\r\n\r\n";
    assert!(server.raw(declared.as_bytes()).starts_with("HTTP/1.1 413"));
    let mut chunked = b"PUT /api/packages/nu1/upload HTTP/1.1\r\nHost: x\r\n\
        Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n30d40\r\n"
        .to_vec();
    chunked.extend_from_slice(&vec![1; 200_000]);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    assert!(server.raw(&chunked).starts_with("HTTP/1.1 413"));
    server.put("/api/packages/nu1/upload", &nupkg("A", "1.0.0").payload(50_000).build()).done();
    assert_eq!(server.staged(), 0);
}

/// Sends all of a request before it looks at the answer, and gives the status line.
fn stubborn(server: &Server, head: &str, length: usize) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(stream, "{head}\r\nHost: x\r\nContent-Length: {length}\r\n\r\n").unwrap();
    stream.write_all(&vec![b'a'; length]).expect("the server takes the body");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("the answer can be read");
    String::from_utf8_lossy(&answer).into_owned()
}

#[rstest]
#[case::no_such_feed("PUT /api/packages/nope/upload HTTP/1.1", "404")]
#[case::multipart("PUT /api/packages/nu1/upload HTTP/1.1\r\nContent-Type: multipart/mixed", "400")]
#[case::too_large("PUT /api/packages/nu1/upload HTTP/1.1", "413")]
#[case::no_path("PUT /api/nothing HTTP/1.1", "404")]
#[case::no_method("PUT /api/promotions/promote HTTP/1.1", "405")]
#[case::too_much_text("POST /api/promotions/promote HTTP/1.1", "413")]
#[case::too_much_json("POST /api/management/feeds/create HTTP/1.1", "413")]
#[case::push("PUT /nuget/nope/v3/package/ HTTP/1.1", "404")]
#[case::push_without_parts(
    "PUT /nuget/nu1/v3/package/ HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b",
    "400"
)]
fn refusals_reach_clients_that_send_everything_first(#[case] head: &str, #[case] status: &str) {
    let server = Server::start_with(|app| {
        app.gatekeeper(hayloft_http::LocalUser::new("tester")).max_upload(1_000_000)
    });
    server.feed("nu1", "nuget");
    // More than the buffers of both sockets hold.
    assert_eq!(stubborn(&server, head, 20_000_000), format!("HTTP/1.1 {status}"));
    assert_eq!(server.staged(), 0);
}

#[test]
fn who_waits_to_be_asked_for_a_body_is_refused_without_it() {
    let server = nuget(&[]);
    let ask = |feed: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let head = format!(
            "PUT /api/packages/{feed}/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\
             Expect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    assert_eq!(ask("nope"), "HTTP/1.1 404");
    assert_eq!(ask("nu1"), "HTTP/1.1 100");
}
