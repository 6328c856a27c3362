//! Servers and packages that mean harm.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err as fs;
use rstest::rstest;

use crate::bench::{Bench, names};
use crate::fake::{Fake, answer};

/// A universal package with a file that is called like this. `name` is written over a harmless
/// one of its length, for the writers of packages refuse it.
fn package_with(name: &str) -> Vec<u8> {
    let harmless = format!("package/{}", "x".repeat(name.len() - "package/".len()));
    let package = hayloft_testkit::upack("", "evil", "1.0.0").file(&harmless, *b"owned").build();
    replaced(&package, harmless.as_bytes(), name.as_bytes())
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut count = 0;
    for at in 0..=bytes.len() - from.len() {
        if &bytes[at..at + from.len()] == from {
            bytes[at..at + to.len()].copy_from_slice(to);
            count += 1;
        }
    }
    assert!(count >= 1, "the name is in the archive");
    bytes
}

/// The same package with its file as a symbolic link, whose target is the file's content.
fn package_with_link() -> Vec<u8> {
    let mut package =
        hayloft_testkit::upack("", "evil", "1.0.0").file("package/link", *b"/etc").build();
    let entry = b"PK\x01\x02";
    let name = b"package/link";
    let at = (0..package.len() - 46)
        .find(|at| package[*at..].starts_with(entry) && package[at + 46..].starts_with(name))
        .unwrap();
    package[at + 5] = 3;
    package[at + 38..at + 42].copy_from_slice(&(0o120_777_u32 << 16).to_le_bytes());
    package
}

/// A feed with one version of the package `evil`.
fn feed_of(package: Vec<u8>) -> Fake {
    Fake::new(move |head, out| {
        if head.contains("/versions") {
            answer(out, 200, "", br#"[{"name":"evil","version":"1.0.0"}]"#)
        } else {
            answer(out, 200, "", &package)
        }
    })
}

const INSTALL: [&str; 5] =
    ["upack", "install", "--feed=f", "--package=evil", "--target=deep/down/target"];

#[rstest]
#[case::absolute_after_the_prefix("package//{bench}/outside")]
#[case::double_slash("package/a//b")]
#[case::up("package/../../../x")]
#[case::up_in_the_middle("package/a/../../../x")]
#[case::up_with_backslashes("package\\..\\..\\x")]
#[case::up_with_blanks("package/.. /x")]
#[case::up_with_more_dots("package/.../x")]
#[case::drive("package/C:/x")]
#[case::drive_relative("package/C:x")]
#[case::stream("package/ab:x")]
#[case::device("package/nul")]
#[case::device_with_extension("package/a/COM1.txt")]
#[case::trailing_dot("package/a.")]
#[case::trailing_blank("package/a /b")]
#[case::zero("package/a\0b")]
#[case::control("package/a\x1bb")]
fn names_that_lead_elsewhere_are_not_installed(#[case] name: &str) {
    let bench = Bench::new();
    let name = &name.replace("/{bench}", bench.path("").to_str().unwrap().trim_end_matches('/'));
    let fake = feed_of(package_with(name));
    fs::create_dir_all(bench.path("deep/down")).unwrap();
    let run = bench.run(&[&INSTALL[..], &["--source", &fake.url()]].concat());
    assert_ne!(run.status, 0, "{run:?}");
    let (name, _) = name.split_once(['\0', '\x1b', '\\']).unwrap_or((name, ""));
    assert!(run.errors.contains(name), "{run:?}");
    assert!(!run.errors.contains('\x1b'), "{run:?}");
    assert_eq!(names(&bench.path("deep/down")), [""; 0], "{run:?}");
    assert_eq!(names(&bench.path("deep")), ["down"]);
    assert_eq!(names(&bench.path("")), ["deep", "home"]);
    assert_eq!(bench.ok(&["upack", "list"]), "No packages have been registered.\n");
}

#[test]
fn nothing_of_the_old_version_goes_for_a_new_one_that_is_refused() {
    let bench = Bench::new();
    let good = hayloft_testkit::upack("", "evil", "1.0.0").file("package/mine", *b"1").build();
    let fake = feed_of(good);
    bench.ok(&[&INSTALL[..], &["--source", &fake.url()]].concat());
    let bad = hayloft_testkit::upack("", "evil", "1.0.1").file("package/xxxx", *b"2").build();
    let bad = replaced(&bad, b"package/xxxx", b"package/../x");
    let fake = Fake::new(move |head, out| {
        if head.contains("/versions") {
            answer(out, 200, "", br#"[{"name":"evil","version":"1.0.1"}]"#)
        } else {
            answer(out, 200, "", &bad)
        }
    });
    let update = ["upack", "update", "--feed=f", "--package=evil", "--source", &fake.url()];
    assert_ne!(bench.run(&update).status, 0);
    assert!(bench.path("deep/down/target/mine").exists());
    assert!(bench.ok(&["upack", "list"]).contains("Version: 1.0.0\n"));
}

#[test]
fn links_in_a_package_are_not_installed() {
    let bench = Bench::new();
    let fake = feed_of(package_with_link());
    let run = bench.run(&[&INSTALL[..], &["--source", &fake.url()]].concat());
    assert_ne!(run.status, 0, "{run:?}");
    assert!(run.errors.contains("package/link"), "{run:?}");
    assert!(!bench.path("deep").exists());
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_links_in_the_target() {
    use std::os::unix::fs::symlink;

    let bench = Bench::new();
    let package = hayloft_testkit::upack("", "evil", "1.0.0").file("package/a/b", *b"owned");
    let fake = feed_of(package.build());
    let url = fake.url();
    let install = [&INSTALL[..], &["--source", &url]].concat();
    fs::create_dir_all(bench.path("deep/down/target")).unwrap();
    fs::create_dir(bench.path("outside")).unwrap();
    symlink(bench.path("outside"), bench.path("deep/down/target/a")).unwrap();
    for options in [&[][..], &["--overwrite"]] {
        let run = bench.run(&[&install[..], options].concat());
        assert_ne!(run.status, 0, "{run:?}");
        assert!(run.errors.contains("is a link"), "{run:?}");
        assert_eq!(names(&bench.path("outside")), [""; 0]);
    }
    fs::remove_file(bench.path("deep/down/target/a")).unwrap();
    // A link that leads nowhere is in the way, too.
    fs::create_dir(bench.path("deep/down/target/a")).unwrap();
    symlink(bench.path("outside/new"), bench.path("deep/down/target/a/b")).unwrap();
    let run = bench.run(&install);
    assert_ne!(run.status, 0, "{run:?}");
    bench.ok(&[&install[..], &["--overwrite"]].concat());
    assert_eq!(names(&bench.path("outside")), [""; 0]);
    assert!(fs::symlink_metadata(bench.path("deep/down/target/a/b")).unwrap().is_file());
}

#[test]
fn files_that_are_directories_too_are_refused_before_anything_is_written() {
    let bench = Bench::new();
    let package = hayloft_testkit::upack("", "evil", "1.0.0")
        .file("package/a", *b"file")
        .file("package/a/b", *b"below it");
    let fake = feed_of(package.build());
    let run = bench.run(&[&INSTALL[..], &["--source", &fake.url()]].concat());
    assert_ne!(run.status, 0, "{run:?}");
    assert!(run.errors.contains("package/a"), "{run:?}");
    assert!(!bench.path("deep").exists());
}

#[rstest]
#[case::moved(301)]
#[case::found(302)]
#[case::other(303)]
#[case::temporary(307)]
#[case::permanent(308)]
fn keys_go_to_no_other_server(#[case] status: u16) {
    let thief = Fake::always(200, "", "[]");
    let fake = Fake::always(status, &format!("Location: {}/x\r\n", thief.url()), "");
    let bench = Bench::new();
    let url = fake.url();
    for credentials in [&["--api-key=s3cret"][..], &["--username=u", "--password=s3cret"]] {
        for command in [
            &["feeds", "list"][..],
            &["apikeys", "list"],
            &["packages", "download", "--feed=f", "--package=a", "--version=1", "--stdout"],
            &["settings", "set", "--name=a", "--value=b"],
        ] {
            let run = bench.run(&[command, &["--source", &url], credentials].concat());
            assert_ne!(run.status, 0, "{run:?}");
            assert!(run.errors.contains(&status.to_string()), "{run:?}");
            assert!(run.errors.contains(&format!("redirects to {}/x", thief.url())), "{run:?}");
            assert!(!run.errors.contains("s3cret"), "{run:?}");
        }
    }
    assert_eq!(thief.heads(), [""; 0]);
    assert!(fake.heads().iter().all(|head| head.to_ascii_lowercase().contains("s3cret")));
}

/// Clears the screen, sets a title, and in the other encoding of it; reverses the text.
const ESCAPES: &str = "a\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}2J\u{202e}b\rc\u{7f}";

fn is_harmless(text: &str) -> bool {
    !text.chars().any(|each| {
        (each.is_control() && !matches!(each, '\n' | '\t'))
            || matches!(each, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

#[test]
fn what_servers_say_does_not_control_the_terminal() {
    let quoted = serde_json::to_string(ESCAPES).unwrap();
    let key = format!(
        r#"[{{"id":1,"displayName":{quoted},"type":"feed","feed":{quoted},"logging":{quoted}}}]"#
    );
    let promotion = format!(
        r#"[{{"packageName":{quoted},"version":"1","promotions":[{{"fromFeed":"a","toFeed":"b",
            "date":"d","user":{quoted},"comments":{quoted},"id":1}}]}}]"#
    );
    let bench = Bench::new();
    for (status, body, command) in [
        (200, key.as_str(), &["apikeys", "list"][..]),
        (200, promotion.as_str(), &["promotions", "list"]),
        (500, ESCAPES, &["feeds", "list"]),
        (200, ESCAPES, &["feeds", "list"]),
        (200, ESCAPES, &["packages", "metadata", "--feed=f", "--package=a", "--version=1"]),
    ] {
        let fake = Fake::always(status, "", body);
        for json in [&[][..], &["--json"]] {
            let run = bench.run(&[command, &["--source", &fake.url()], json].concat());
            assert!(is_harmless(&run.text()), "{run:?}");
            assert!(is_harmless(&run.errors), "{run:?}");
            if run.status == 0 && !json.is_empty() {
                let said: serde_json::Value = serde_json::from_str(&run.text()).unwrap();
                let expected: serde_json::Value = serde_json::from_str(body).unwrap();
                assert_eq!(said, expected, "escapes keep the value");
            } else {
                assert!((run.text() + &run.errors).contains('a'), "{run:?}");
            }
        }
    }
}

#[test]
fn a_line_of_a_list_stays_one_line() {
    let key = r#"[{"id":1,"displayName":"x\n  Type: system","type":"feed","logging":"None"}]"#;
    let fake = Fake::always(200, "", key);
    let said = Bench::new().ok(&["apikeys", "list", "--source", &fake.url()]);
    assert!(!said.contains("\n  Type: system"), "{said}");
}

#[rstest]
#[case::list(&["feeds", "list"])]
#[case::list_as_json(&["feeds", "list", "--json"])]
#[case::value(&["feeds", "properties", "list", "--feed=f"])]
#[case::value_as_json(&["packages", "metadata", "--feed=f", "--package=a", "--version=1", "--json"])]
#[case::versions_to_install(&INSTALL)]
fn one_endless_element_is_given_up(#[case] command: &[&str]) {
    const MIB: u64 = 1 << 20;
    let sent = Arc::new(AtomicU64::new(0));
    let counted = sent.clone();
    let fake = Fake::new(move |head, out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
        let is_value = head.contains("/get/") || head.contains("/metadata");
        out.write_all(if is_value { b"{\"name\":\"" } else { b"[{\"name\":\"" })?;
        let chunk = vec![b'x'; 64 << 10];
        while counted.load(Ordering::Relaxed) < 256 * MIB {
            out.write_all(&chunk)?;
            counted.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    });
    let run = Bench::new().run(&[command, &["--source", &fake.url()]].concat());
    assert_ne!(run.status, 0, "{run:?}");
    assert!(run.errors.contains("is too large"), "{run:?}");
    // The rest is in the buffers of the connection.
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 40 * MIB, "{sent} bytes were taken");
}

#[test]
fn a_long_list_is_read_as_it_comes() {
    let fake = Fake::new(|_, out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[")?;
        let name = "x".repeat(1 << 20);
        for at in 0..8 {
            let comma = if at == 0 { "" } else { "," };
            write!(out, r#"{comma}{{"name":"{at}{name}","feedType":"npm","active":true}}"#)?;
        }
        out.write_all(b"]")
    });
    let said = Bench::new().ok(&["feeds", "list", "--source", &fake.url()]);
    assert_eq!(said.lines().count(), 8);
}

#[test]
fn a_download_to_a_device_leaves_the_device() {
    let fake = Fake::new(|head, out| {
        if head.contains("/download") {
            answer(out, 200, "", b"bytes")
        } else {
            answer(out, 200, "", br#"{"id":1,"name":"f","feedType":"npm","packageType":"npm"}"#)
        }
    });
    let bench = Bench::new();
    let fifo = bench.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || fs::read(fifo).unwrap()
    });
    let words = ["packages", "download", "--feed=f", "--package=a", "--version=1"];
    let url = fake.url();
    bench.ok(&[&words[..], &["--output-file=pipe", "--source", &url]].concat());
    assert!(!fs::symlink_metadata(&fifo).unwrap().is_file());
    assert_eq!(reader.join().unwrap(), b"bytes");
}
