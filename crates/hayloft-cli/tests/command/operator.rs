//! What operators need: the audit log, socket files, proxies, monitors.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};

use fs_err as fs;
use serde_json::Value;

use crate::bench::Bench;
use crate::fake::Fake;
use crate::serve::{Serving, key};

/// Sends GET to a socket file and reads to the end.
fn get(bench: &Bench, path: &str, headers: &str) -> String {
    let mut stream = UnixStream::connect(bench.path("socket")).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    answer(stream)
}

/// All that comes until the server closes the connection.
fn answer(mut stream: UnixStream) -> String {
    let mut bytes = Vec::new();
    std::io::copy(&mut stream, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn monitors_are_told_before_a_server_ends() {
    let bench = Bench::new();
    let options = ["--address=unix:socket", "--shutdown-delay=600"];
    let (serving, _) = Serving::told(&bench, &options);
    assert!(get(&bench, "/readyz", "").starts_with("HTTP/1.1 200 "));
    serving.terminate();
    let mut said = String::new();
    for _ in 0..1_000 {
        said = get(&bench, "/readyz", "");
        if said.starts_with("HTTP/1.1 503 ") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(said.starts_with("HTTP/1.1 503 ") && said.ends_with("draining"), "{said}");
    assert!(get(&bench, "/livez", "").starts_with("HTTP/1.1 200 "));
    assert_eq!(serving.stop().0, 0);
}

#[test]
fn a_socket_file_is_served_below_a_base_path_behind_a_proxy() {
    let bench = Bench::new();
    // What a server left that was killed.
    drop(UnixListener::bind(bench.path("socket")).unwrap());
    let options = ["--address=unix:socket", "--base-path=/packages", "--trusted-proxies=unix"];
    let (serving, told) = Serving::told(&bench, &options);
    let url = told["url"].as_str().unwrap();
    assert!(url.starts_with("unix:/") && url.ends_with("/socket:/packages"), "{url}");
    bench.ok(&["health", "--source", url]);
    let about = fs::symlink_metadata(bench.path("socket")).unwrap();
    assert!(about.file_type().is_socket() && about.permissions().mode() & 0o777 == 0o660);
    assert!(get(&bench, "/packages/health", "").starts_with("HTTP/1.1 200 "));
    assert!(get(&bench, "/health", "").starts_with("HTTP/1.1 404 "));
    let proxied = "X-Forwarded-Proto: https\r\nX-Forwarded-Host: p.example\r\n";
    let index = format!("{proxied}X-ApiKey: {}\r\n", key(&bench));
    let create = r#"{"name":"dev","feedType":"nuget"}"#;
    let mut stream = UnixStream::connect(bench.path("socket")).unwrap();
    let head = format!(
        "POST /packages/api/management/feeds/create HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n{index}\r\n{create}",
        create.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let answer = answer(stream);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let index = get(&bench, "/packages/nuget/dev/v3/index.json", &index);
    assert!(index.contains("https://p.example/packages/nuget/dev/"), "{index}");
    let other = bench.fails(&["serve", "--address=unix:socket", "--store=other"]);
    assert!(other.contains("it is in use"), "{other}");
    assert_eq!(serving.stop().0, 0);
    assert!(!bench.path("socket").exists());
    fs::write(bench.path("socket"), "no socket").unwrap();
    let refused = bench.fails(&["serve", "--address=unix:socket"]);
    assert!(refused.contains("there is a file that is no socket"), "{refused}");
}

#[test]
fn commands_reach_a_server_behind_a_socket_file() {
    let bench = Bench::new();
    let options = ["--address=unix:socket", "--log-format=json", "--log=info"];
    let (serving, _) = Serving::told(&bench, &options);
    let key = key(&bench);
    let place = ["--source=unix:socket", "--api-key", &key];
    bench.ok(&[&["feeds", "create", "dev", "universal"][..], &place].concat());
    assert_eq!(bench.ok(&[&["feeds", "list"][..], &place].concat()), "dev (universal)\n");
    let (status, log) = serving.stop();
    assert_eq!(status, 0);
    let lines: Vec<Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let created = lines.iter().find(|line| line["path"] == "/api/management/feeds/create");
    let created = created.unwrap_or_else(|| panic!("{log}"));
    assert_eq!((&created["actor"], &created["status"]), (&"admin".into(), &200.into()));
}

#[test]
fn the_audit_log_is_listed_exported_and_checked() {
    let bench = Bench::with_feeds();
    bench.upload("dev", "group/tools", "1.0.0");
    bench.ok(&["packages", "promote", "dev", "group/tools@1.0.0", "prod"]);
    let listed = bench.ok(&["audit", "list", "--package=group/tools"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("4 "), "{listed}");
    assert!(lines[0].ends_with(" tester promote dev→prod group/tools@1.0.0"), "{listed}");
    assert!(lines[1].ends_with(" tester upload dev group/tools@1.0.0"), "{listed}");
    let page = bench.json(&["audit", "list", "--count=3"]);
    assert_eq!((page["entries"].as_array().unwrap().len(), &page["next"]), (3, &2.into()));
    let rest = bench.json(&["audit", "list", "--before=2"]);
    assert_eq!(
        (&rest["entries"][0]["action"], &rest["next"]),
        (&"feed-create".into(), &Value::Null)
    );
    let table = bench.ok(&["audit", "list", "--format=table"]);
    assert!(table.starts_with("ID  WHEN"), "{table}");
    let exported = bench.ok(&["audit", "export", "--after=1"]);
    let ids: Vec<u64> = exported
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, [2, 3, 4]);
    let checked = bench.ok(&["audit", "verify", "--quiet"]);
    let anchor = checked.trim();
    assert!(anchor.starts_with("4:") && anchor.len() == 66, "{checked}");
    bench.upload("dev", "tools", "1.0.0");
    let told = bench.ok(&["audit", "verify", "--anchor", anchor]);
    assert!(told.contains("is whole: 5 entries"), "{told}");
    let other = bench.run(&["audit", "verify", &format!("--anchor=4:{}", "0".repeat(64))]);
    assert_eq!(other.status, 1, "{other:?}");
    assert_eq!(bench.run(&["audit", "verify", "--store=nowhere"]).status, 2);
}

#[test]
fn a_doctor_tells_what_is_wrong_and_what_to_do() {
    let bench = Bench::new();
    let (serving, told) = Serving::told(&bench, &[]);
    let url = told["url"].as_str().unwrap().to_owned();
    let key = key(&bench);
    for (name, feed_type) in [("dev", "npm"), ("deb", "debian")] {
        bench.ok(&["feeds", "create", name, feed_type, "--source", &url, "--api-key", &key]);
    }
    let place = ["--source", &url, "--api-key", &key];
    fs::write(bench.path("hay.tgz"), hayloft_testkit::npm_tgz("hay", "1.0.0").build()).unwrap();
    bench.ok(&[&["packages", "upload", "dev", "hay.tgz"][..], &place].concat());
    bench.ok(&[&["use", "dev", "--client=npm"][..], &place].concat());
    let told = bench.json(&[&["doctor"][..], &place].concat());
    assert_eq!(told["healthy"], true, "{told}");
    let text = told.to_string();
    for part in [
        "Hayloft 0.",
        "requests are welcome",
        "it may administer, manage feeds, see 2 feeds",
        "dev: answers npm clients",
        "deb: answers debian clients",
        "npm uses dev",
        "as the server's",
        "dev: hay 1.0.0 came as the server has it",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // A client that asks in the wrong place, or by the wrong scheme.
    let file = bench.path("home/.npmrc");
    let right = fs::read_to_string(&file).unwrap();
    fs::write(&file, right.replace("/npm/dev/", "/npm/dve/")).unwrap();
    let said = bench.run(&[&["doctor"][..], &place].concat());
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.text().contains("BAD  client: npm asks for http://127.0.0.1"), "{said:?}");
    assert!(said.text().contains("/npm/dve in ") && !said.text().contains(&key), "{said:?}");
    fs::write(&file, right.replace("http://", "https://")).unwrap();
    let said = bench.run(&[&["doctor"][..], &place].concat());
    assert!(said.text().contains("asks for dev by https in "), "{said:?}");
    fs::write(&file, right).unwrap();
    let wrong = bench.run(&["doctor", &url, "--api-key=hl_wrong_key_of_nobody"]);
    assert_eq!(wrong.status, 1);
    assert!(wrong.text().contains("BAD  key: the server does not know it"), "{wrong:?}");
    let path = bench.run(&["doctor", &format!("{url}/elsewhere")]);
    assert!(path.status == 1 && path.text().contains("no such server"), "{path:?}");
    assert_eq!(serving.stop().0, 0);
    let gone = bench.run(&["doctor", &url]);
    assert!(gone.status == 1 && gone.text().contains("is the server running"), "{gone:?}");
    assert!(bench.misused(&["doctor"]).contains("no server is named"));
}

/// Between the doctor and its server stands something that changes what is downloaded.
#[test]
fn a_doctor_finds_what_changes_files_on_their_way() {
    let bench = Bench::new();
    let (serving, told) = Serving::told(&bench, &[]);
    let url = told["url"].as_str().unwrap().to_owned();
    let key = key(&bench);
    let place = ["--source", &url, "--api-key", &key];
    bench.ok(&[&["feeds", "create", "dev", "npm"][..], &place].concat());
    fs::write(bench.path("hay.tgz"), hayloft_testkit::npm_tgz("hay", "1.0.0").build()).unwrap();
    bench.ok(&[&["packages", "upload", "dev", "hay.tgz"][..], &place].concat());
    let host = url.trim_start_matches("http://").to_owned();
    for (keep, finding) in [(usize::MAX, "came with the SHA-256 "), (10, "did not come whole")] {
        let host = host.clone();
        let between = Fake::new(move |head, out| {
            let mut server = TcpStream::connect(&host)?;
            server.write_all(head.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes())?;
            let mut answer = Vec::new();
            std::io::copy(&mut server, &mut answer)?;
            if head.starts_with("GET /api/packages/dev/download?") {
                let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
                answer.truncate(keep.saturating_add(end).min(answer.len()));
                *answer.last_mut().unwrap() ^= 1;
            }
            out.write_all(&answer)
        });
        let said = bench.run(&["doctor", &between.url(), "--api-key", &key]);
        assert_eq!(said.status, 1, "{said:?}");
        let bad = said.text();
        let bad: Vec<&str> = bad.lines().filter(|line| line.starts_with("BAD ")).collect();
        assert!(bad.len() == 1 && bad[0].starts_with("BAD  download: dev: hay 1.0.0 "), "{said:?}");
        assert!(bad[0].contains(finding), "{said:?}");
        assert!(said.text().contains("a proxy, a cache or a scanner"), "{said:?}");
    }
    assert_eq!(serving.stop().0, 0);
}

/// What is not in the table is no limit that an operator knows.
#[test]
fn every_limit_of_a_server_is_in_the_table_of_security() {
    let security = concat!(env!("CARGO_MANIFEST_DIR"), "/../../SECURITY.md");
    let security = fs::read_to_string(security).unwrap();
    let (_, table) = security.split_once("## Limits").unwrap();
    let shown = Bench::new().json(&["config", "show"]);
    let mut limits = 0;
    for (name, about) in shown.as_object().unwrap() {
        // Whatever is a number is a limit, or nothing but a limit has no value.
        let value = about["value"].as_str();
        let is_number = value.is_some_and(|value| value.parse::<u64>().is_ok());
        let is_limit = is_number && name != "socket-mode";
        if is_limit || ["max-upload", "key-threads"].contains(&name.as_str()) {
            limits += 1;
            assert!(table.contains(&format!("`{name}`")), "--{name} is not in SECURITY.md");
        }
    }
    assert!(limits > 20, "{limits}");
}
