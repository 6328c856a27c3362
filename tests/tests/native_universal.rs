//! curl, unzip and tar against a feed of universal packages of a running server, as scripts use it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use hayloft_testkit::upack;
use hayloft_tests::{Hayloft, Request, Server, has_program, run, sha1};
use serde_json::{Value, json};

struct Feed {
    server: Server,
    home: tempfile::TempDir,
}

impl Feed {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let server = Server::start(&home.path().join("store"));
        for feed in ["dev", "prod"] {
            server.create_feed(feed, "universal");
        }
        Self { server, home }
    }

    fn url(&self, rest: &str) -> String {
        format!("http://{}/upack/{rest}", self.server.address)
    }

    fn curl(&self, arguments: &[&str], url: &str) -> String {
        let key = format!("X-ApiKey: {}", self.server.key);
        run(Command::new("curl")
            .current_dir(self.home.path())
            .args(["--fail-with-body", "--silent", "--show-error", "-H", &key])
            .args(arguments)
            .arg(self.url(url)))
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.home.path().join(name);
        fs_err::write(&path, bytes).unwrap();
        path
    }

    fn json(&self, url: &str) -> Value {
        serde_json::from_str(&self.curl(&[], url)).unwrap()
    }

    fn post(&self, target: &str, body: &Value) {
        self.server.send(Request::new("POST", target).json(&body.to_string())).expect(200);
    }
}

fn text(folder: &Path, path: &str) -> String {
    fs_err::read_to_string(folder.join(path)).unwrap()
}

#[test]
fn packages_are_uploaded_listed_taken_apart_and_deleted() {
    if !["curl", "unzip", "tar"].into_iter().all(has_program) {
        return;
    }
    let feed = Feed::start();
    let bytes = upack("tools/ci", "loft", "1.0.0-rc.1")
        .file("package/bin/tool", b"tool".to_vec())
        .file("meta/notes.txt", b"notes".to_vec())
        .build();
    let file = feed.file("loft.upack", &bytes);
    let upload = ["-T", file.to_str().unwrap()];
    feed.curl(&upload, "dev/upload");
    feed.curl(&upload, "dev/upload/tools%2Fci/loft/1.0.0-rc.1");
    let binary = format!("@{}", file.display());
    feed.curl(&["-X", "POST", "--data-binary", &binary], "dev/upload");

    feed.post(
        "/api/repackaging/repackage",
        &json!({
            "feed": "dev", "group": "tools/ci", "name": "loft",
            "version": "1.0.0-rc.1", "newVersion": "1.0.0",
        }),
    );
    feed.post(
        "/api/promotions/promote",
        &json!({
            "groupName": "tools/ci", "packageName": "loft", "version": "1.0.0",
            "fromFeed": "dev", "toFeed": "prod",
        }),
    );
    let listed = feed.json("prod/versions?group=tools/ci&name=LOFT&includeFileList=true");
    assert_eq!(listed[0]["version"], "1.0.0");
    assert_eq!(listed[0]["repackageHistory"].as_array().unwrap().len(), 1);
    let names = listed[0]["fileList"].as_array().unwrap().iter().map(|file| &file["name"]);
    assert!(names.clone().any(|name| name == "package/bin/tool"));
    assert_eq!(feed.json("dev/packages")[0]["versions"], json!(["1.0.0", "1.0.0-rc.1"]));
    assert_eq!(feed.json("dev/search?term=loft").as_array().unwrap().len(), 1);
    assert_eq!(feed.json("dev/meta")["packageCount"], 1);

    let here = feed.home.path();
    feed.curl(&["-o", "got.upack"], "prod/download/tools/ci/loft?latest");
    let got = fs_err::read(here.join("got.upack")).unwrap();
    assert_eq!(listed[0]["sha1"], sha1(&got).as_str(), "the hash in lists is that of the file");
    feed.curl(&["-o", "content.zip"], "prod/download/tools/ci/loft/1.0.0?contentOnly=zip");
    run(Command::new("unzip").current_dir(here).args(["-q", "content.zip", "-d", "zip"]));
    assert_eq!(text(here, "zip/bin/tool"), "tool");
    assert!(!here.join("zip/upack.json").exists());
    feed.curl(&["-o", "content.tgz"], "prod/download/tools/ci/loft/1.0.0?contentOnly=tgz");
    fs_err::create_dir(here.join("tgz")).unwrap();
    run(Command::new("tar").current_dir(here).args(["-xzf", "content.tgz", "-C", "tgz"]));
    assert_eq!(text(here, "tgz/bin/tool"), "tool");
    let notes = "prod/download-file/tools/ci/loft?latest&path=meta%5Cnotes.txt";
    assert_eq!(feed.curl(&[], notes), "notes");
    let manifest = feed.json("prod/download-file/tools/ci/loft/1.0.0?path=upack.json");
    assert_eq!(manifest["version"], "1.0.0");

    let virtual_manifest =
        br#"{"name":"whole","version":"1.0.0","contents":["tools/ci/loft:1.0.0"]}"#;
    let whole = feed.file("whole.vpack", virtual_manifest);
    feed.curl(&["-T", whole.to_str().unwrap()], "prod/upload");
    feed.curl(&["-o", "whole.upack"], "prod/download/whole?latest");
    run(Command::new("unzip").current_dir(here).args(["-q", "whole.upack", "-d", "whole"]));
    assert_eq!(text(here, "whole/package/bin/tool"), "tool");
    assert_eq!(text(here, "whole/upack.json"), r#"{"name":"whole","version":"1.0.0"}"#);

    feed.curl(&["-X", "DELETE"], "dev/delete/tools/ci/loft/1.0.0");
    assert_eq!(feed.json("dev/versions?group=tools/ci&name=loft").as_array().unwrap().len(), 1);
    feed.curl(&["-o", "got.upack"], "prod/download/tools/ci/loft/1.0.0");
}

#[test]
fn what_is_wrong_is_said_in_plain_text() {
    let feed = Feed::start();
    let get = |target: &str| feed.server.send(Request::get(target));
    assert_eq!(get("/upack/dev/download/none/1.0.0").status, 404);
    assert_eq!(get("/upack/dev/download/none").status, 400);
    assert_eq!(get("/upack/dev/import").status, 404);
    let put = |target: &str, bytes: &[u8]| feed.server.send(Request::put(target, bytes));
    let refused = put("/upack/dev/upload", b"MZ");
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("neither a ZIP archive"), "{}", refused.text());
    let outside = upack("", "a", "1.0.0").file("package//etc/cron.d/x", b"x".to_vec()).build();
    let refused = put("/upack/dev/upload", &outside);
    assert!(refused.text().contains("package//etc/cron.d/x"), "{}", refused.text());
    assert_eq!(refused.status, 400);
    let bytes = upack("", "a", "1.0.0").build();
    assert_eq!(put("/upack/dev/upload/b/1.0.0", &bytes).status, 400);
    assert_eq!(put("/upack/dev/upload", &bytes).status, 200);
    let stranger = Request::put("/upack/dev/upload", bytes).send(feed.server.address);
    assert_eq!(stranger.status, 401);
}

#[test]
fn the_lines_that_are_printed_work() {
    if !has_program("curl") {
        return;
    }
    let feed = Feed::start();
    feed.file("PACKAGE.upack", &upack("", "PACKAGE", "1.0.0").build());
    let programs = feed.home.path().join("programs");
    fs_err::create_dir_all(&programs).unwrap();
    fs_err::os::unix::fs::symlink(Hayloft::path(), programs.join("pgutil")).unwrap();
    let shell = |lines: &str| {
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-ec", lines]).current_dir(feed.home.path()).env("PATH", path);
        run(shell.env("HOME", feed.home.path()).env_remove("XDG_CONFIG_HOME"))
    };
    shell(&feed.server.setup("dev", "curl"));
    let downloaded = fs_err::read(feed.home.path().join("PACKAGE-1.0.0.upack")).unwrap();
    assert_eq!(downloaded, upack("", "PACKAGE", "1.0.0").build());
    shell(&feed.server.setup("prod", "pgutil"));
    assert!(feed.home.path().join("FOLDER").is_dir());
}
