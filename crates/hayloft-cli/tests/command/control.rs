//! Commands on a store that a server holds.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use fs_err as fs;

use crate::bench::Bench;
use crate::serve::Serving;

const STORE: &str = "--store=hayloft-data";

/// A server over a store with two versions in the feed `dev`.
fn served() -> (Bench, Serving) {
    let bench = Bench::with_feeds();
    bench.upload("dev", "tools", "1.0.0");
    bench.upload("dev", "tools", "1.1.0");
    let (serving, _) = Serving::told(&bench, &[]);
    (bench, serving)
}

#[test]
fn what_needs_the_store_itself_is_done_by_the_server_that_holds_it() {
    let (bench, serving) = served();
    let said = bench.ok(&["backup", "copy", STORE]);
    assert!(said.starts_with("Backing up into "), "{said}");
    bench.ok(&["restore", "copy", "second"]);
    assert_eq!(bench.json(&["verify", "--store=second", "--level=deep"])["clean"], true);

    let verified = bench.json(&["verify", STORE, "--level=deep", "--repair"]);
    assert_eq!((&verified["clean"], &verified["repaired"]), (&true.into(), &0.into()));
    let said = bench.ok(&["verify", STORE]);
    assert!(said.ends_with("The store is sound.\n"), "{said}");

    let exported = bench.json(&["export", "dev", "site", STORE, "--base-url=http://h/dev"]);
    assert_eq!(exported["packages"], 1, "{exported}");
    bench.ok(&["bundle", "create", "dev", "two.hayloft", STORE]);
    let applied = bench.json(&["bundle", "apply", "prod", "two.hayloft", STORE]);
    assert_eq!(applied["stored"], 2);
    let imported = bench.json(&["import", "prod", "site", STORE]);
    assert_eq!((&imported["stored"], &imported["unchanged"]), (&0.into(), &2.into()));

    // What goes through requests is for the server's address.
    assert!(bench.fails(&["packages", "list", "dev", STORE]).contains("in use"));
    let (status, errors) = serving.stop();
    assert_eq!(status, 0, "{errors}");
    assert!(!bench.path("hayloft-data/control").exists());
    assert_eq!(bench.json(&["packages", "versions", "prod", "tools"]).as_array().unwrap().len(), 2);
}

#[test]
fn failures_and_their_statuses_come_back() {
    let (bench, _serving) = served();
    fs::write(bench.path("hayloft-data/blobs/letter"), "x").unwrap();
    let run = bench.run(&["verify", STORE]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.text().contains("strange-file") && run.errors.contains("1 findings"), "{run:?}");
    let run = bench.run(&["bundle", "apply", "dev", "nowhere", STORE]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.errors.contains("nowhere") && run.text().starts_with("Applying "), "{run:?}");
    let run = bench.run(&["verify", STORE, "--level=thorough"]);
    assert_eq!(run.status, 2, "{run:?}");
    let run = bench.run(&["import", "dev", "x", STORE, "--workers=none"]);
    assert_eq!(run.status, 2, "{run:?}");
}

#[test]
fn names_of_files_begin_where_the_command_runs() {
    let (bench, _serving) = served();
    let inner = bench.path("inner");
    fs::create_dir(&inner).unwrap();
    let mut command = bench.command(&["backup", "copy", "--store=../hayloft-data"]);
    assert!(command.current_dir(&inner).output().unwrap().status.success());
    assert!(inner.join("copy/backup.json").is_file() && !bench.path("copy").exists());
}

#[test]
fn names_that_are_too_long_for_sockets_are_not() {
    let bench = Bench::new();
    let store = format!("--store={}/{}", "d".repeat(80), "e".repeat(80));
    bench.ok(&["feeds", "create", "dev", "universal", &store]);
    let (_serving, _) = Serving::told(&bench, &[&store]);
    assert_eq!(bench.json(&["verify", &store])["clean"], true);
}

/// What the server answers to a line at its socket.
fn answered(socket: &Path, line: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    // It may hang up before it has read all.
    let _ = stream.write_all(line.as_bytes());
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.take(100).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_socket_does_nothing_else() {
    let (bench, _serving) = served();
    let socket = bench.path("hayloft-data/control");
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let asked = |words: &str| {
        let look = r#"{"shape":"Plain","colored_out":false,"colored_errors":false}"#;
        format!(r#"{{"words":{words},"directory":"/","user":"eva","look":{look}}}"#) + "\n"
    };
    for words in [
        r#"["demo"]"#,
        r#"["serve"]"#,
        r#"["apikeys","list"]"#,
        r#"["feeds","delete","dev","--yes"]"#,
    ] {
        let answer = answered(&socket, &asked(words));
        assert!(answer.contains("does not do this for others"), "{words}: {answer}");
        assert!(answer.ends_with("\"Misused\""), "{words}: {answer}");
    }
    assert!(answered(&socket, &asked(r#"["verify","--level=x"]"#)).ends_with("\"Misused\""));
    for junk in ["", "\n", "{}\n", "GET / HTTP/1.1\r\n\r\n", &"[".repeat(2 << 20)] {
        assert_eq!(answered(&socket, junk), "");
    }
    assert_eq!(bench.json(&["verify", STORE])["clean"], true);
}
