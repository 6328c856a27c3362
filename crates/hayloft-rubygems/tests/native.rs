//! What clients are answered, over a feed in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say why they skip"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use data_encoding::{BASE64, HEXLOWER};
use hayloft_feed::native::{
    Action, ActionKind, Change, Edit, FeedView as _, Field, Fields, ListingChange, Native, Outcome,
    Refusal, Request, StagedCard, UploadOrder,
};
use hayloft_feed::{Allow, FeedType, Version};
use hayloft_rubygems::RubyGems;
use hayloft_testkit::{MemoryFeed, digests, gem};
use md5::{Digest, Md5};
use rstest::rstest;
use serde_json::Value;
use sha2::Sha256;

fn feed() -> MemoryFeed {
    MemoryFeed::new(Arc::new(RubyGems), "gems")
}

fn push(feed: &mut MemoryFeed, name: &str, version: &str, platform: &str) -> Vec<u8> {
    let package = gem(name, version, platform);
    let bytes = package.build();
    feed.upload(&package.file_name(), &bytes);
    feed.step(1000);
    bytes
}

fn edit(feed: &mut MemoryFeed, name: &str, version: &str, change: fn(Version) -> Change) {
    let package = RubyGems.package_name("", name).unwrap();
    let version = RubyGems.version(version).unwrap();
    feed.edit(&Edit::new(package, vec![change(version)])).unwrap();
    feed.step(1000);
}

fn unlist(feed: &mut MemoryFeed, name: &str, version: &str) {
    edit(feed, name, version, |version| Change::List(version, ListingChange::Unlist));
}

fn text(feed: &mut MemoryFeed, path: &str) -> String {
    let got = feed.get(path);
    assert_eq!(got.status, 200, "{path}");
    assert_eq!(got.media_type, "text/plain; charset=utf-8");
    // What Bundler of either school holds an answer against.
    assert_eq!(got.tag.clone().unwrap(), HEXLOWER.encode(&Md5::digest(&got.body)), "{path}");
    let digest = format!("sha-256=:{}:", BASE64.encode(&Sha256::digest(&got.body)));
    assert!(got.headers.contains(&("Repr-Digest", digest)), "{:?}", got.headers);
    got.text()
}

/// Lines of `/versions` without their digests, which are held against the infos.
fn versions(feed: &mut MemoryFeed) -> Vec<String> {
    let all = text(feed, "/versions");
    let (header, lines) = all.split_once("---\n").unwrap();
    assert!(header.starts_with("created_at: "), "{header}");
    let mut last = std::collections::BTreeMap::new();
    let mut shown = Vec::new();
    for line in lines.lines() {
        let (rest, digest) = line.rsplit_once(' ').unwrap();
        last.insert(rest.split(' ').next().unwrap().to_owned(), digest.to_owned());
        shown.push(rest.to_owned());
    }
    for (name, digest) in last {
        let info = text(feed, &format!("/info/{name}"));
        assert_eq!(HEXLOWER.encode(&Md5::digest(info.as_bytes())), digest, "{name}");
    }
    shown
}

#[test]
fn an_empty_feed_has_an_index() {
    let mut feed = feed();
    assert_eq!(text(&mut feed, "/versions"), "created_at: 1970-01-01T00:00:00Z\n---\n");
    assert_eq!(feed.get("/names").text(), "---\n");
    assert_eq!(feed.get("/info/hay").status, 404);
    for path in ["", "/", "/specs.4.8.gz", "/latest_specs.4.8.gz", "/prerelease_specs.4.8.gz"] {
        assert_eq!(feed.get(path).status, 200, "{path}");
    }
}

#[test]
fn pushes_are_appended() {
    let mut feed = feed();
    let first = push(&mut feed, "hay", "1.0", "ruby");
    let start = text(&mut feed, "/versions");
    let info = text(&mut feed, "/info/hay");
    assert_eq!(
        info,
        format!(
            "---\n1.0 |checksum:{},created_at:2026-01-02T03:04:05Z\n",
            HEXLOWER.encode(&digests(&first).sha256)
        )
    );
    push(&mut feed, "Straw.x", "0.1", "java");
    push(&mut feed, "hay", "1.1.rc1", "ruby");
    push(&mut feed, "hay", "1.0", "x86_64-linux");
    assert!(text(&mut feed, "/versions").starts_with(&start));
    assert!(text(&mut feed, "/info/hay").starts_with(&info));
    assert_eq!(
        versions(&mut feed),
        ["hay 1.0", "Straw.x 0.1-java", "hay 1.1.rc1", "hay 1.0-x86_64-linux"]
    );
    assert_eq!(feed.get("/names").text(), "---\nStraw.x\nhay\n");
    feed.assert_rebuilds_equally();
}

#[test]
fn the_list_of_versions_is_begun_anew_once_a_month() {
    let mut feed = feed();
    for number in 0..400 {
        push(&mut feed, &format!("gem-{number:03}"), "1.0", "ruby");
    }
    push(&mut feed, "hay", "1.0", "ruby");
    push(&mut feed, "hay", "1.1", "java");
    push(&mut feed, "gone", "1.0", "ruby");
    unlist(&mut feed, "gone", "1.0");
    unlist(&mut feed, "gem-007", "1.0");
    let before = text(&mut feed, "/versions");
    assert_eq!(before.lines().count(), 2 + 405);
    let month = 30 * 24 * 60 * 60 * 1000;
    let tidied = |feed: &mut MemoryFeed| {
        feed.tidy();
        text(feed, "/versions")
    };
    // The feed says that it was made in 1970.
    let fresh = tidied(&mut feed);
    let numbers = versions(&mut feed);
    assert_eq!(numbers.len(), 400);
    assert!(numbers.contains(&"hay 1.0,1.1-java".to_owned()));
    assert!(numbers.iter().all(|line| !line.starts_with("gone ") && !line.contains("gem-007")));
    feed.assert_rebuilds_equally();
    feed.step(month + 1000);
    assert!(tidied(&mut feed) == fresh, "nothing came");
    push(&mut feed, "hay", "2.0", "ruby");
    assert!(tidied(&mut feed) != fresh);
    assert_eq!(versions(&mut feed).len(), 400);
    feed.step(1000);
    push(&mut feed, "hay", "2.1", "ruby");
    let appended = text(&mut feed, "/versions");
    feed.step(month - 10_000);
    assert!(tidied(&mut feed) == appended, "the month is not over");
    feed.step(20_000);
    let again = tidied(&mut feed);
    assert_eq!(versions(&mut feed).len(), 400);
    assert!(again != appended);
    feed.assert_rebuilds_equally();
}

#[test]
fn the_same_gem_again_changes_nothing() {
    let mut feed = feed();
    push(&mut feed, "hay", "1.0", "ruby");
    let before = text(&mut feed, "/versions");
    push(&mut feed, "hay", "1.0", "ruby");
    assert_eq!(text(&mut feed, "/versions"), before);
}

#[test]
fn what_is_yanked_or_blocked_leaves_the_index_and_may_come_back() {
    let mut feed = feed();
    push(&mut feed, "hay", "1.0", "ruby");
    push(&mut feed, "hay", "2.0", "ruby");
    push(&mut feed, "hay", "2.0", "java");
    unlist(&mut feed, "hay", "2.0");
    let info = text(&mut feed, "/info/hay");
    assert_eq!(info.lines().count(), 2, "{info}");
    edit(&mut feed, "hay", "1.0", |version| Change::Allow(version, Some(Allow::Never)));
    assert_eq!(text(&mut feed, "/info/hay"), "---\n");
    feed.assert_rebuilds_equally();
    edit(&mut feed, "hay", "2.0", |version| Change::List(version, ListingChange::List));
    assert_eq!(
        versions(&mut feed),
        [
            "hay 1.0",
            "hay 2.0",
            "hay 2.0-java",
            "hay -2.0,-2.0-java",
            "hay -1.0",
            "hay 2.0,2.0-java"
        ]
    );
    edit(&mut feed, "hay", "2.0", |version| {
        Change::Deprecate(version, Some(hayloft_feed::Deprecation::default()))
    });
    assert_eq!(versions(&mut feed).len(), 6);
    // The file of what is yanked stays, that of what is blocked does not.
    assert_eq!(feed.get("/quick/Marshal.4.8/hay-1.0.gemspec.rz").status, 403);
    edit(&mut feed, "hay", "2.0", |_| Change::RemoveAll);
    assert_eq!(versions(&mut feed).last().unwrap(), "hay -2.0,-2.0-java");
    assert_eq!(text(&mut feed, "/info/hay"), "---\n");
    feed.assert_rebuilds_equally();
    push(&mut feed, "hay", "3.0", "ruby");
    assert_eq!(versions(&mut feed).last().unwrap(), "hay 3.0");
    feed.assert_rebuilds_equally();
}

#[test]
fn a_gem_pushed_again_after_its_removal_has_one_line() {
    let mut feed = feed();
    push(&mut feed, "hay", "1.0", "ruby");
    push(&mut feed, "hay", "1.1", "ruby");
    edit(&mut feed, "hay", "1.0", |version| Change::Remove(version, None));
    let other = gem("hay", "1.0", "ruby").file("more.rb", "").build();
    feed.upload("hay-1.0.gem", &other);
    let info = text(&mut feed, "/info/hay");
    assert_eq!(info.matches("\n1.0 |").count(), 1, "{info}");
    assert!(info.contains(&HEXLOWER.encode(&digests(&other).sha256)));
    versions(&mut feed);
    feed.assert_rebuilds_equally();
}

#[test]
fn gems_are_served_under_all_spellings_of_their_platform() {
    let mut feed = feed();
    let plain = push(&mut feed, "hay-bale", "1.0", "ruby");
    let java = push(&mut feed, "hay-bale", "1.0", "jruby");
    for (path, bytes) in [
        ("/gems/hay-bale-1.0.gem", &plain),
        ("//gems/hay-bale-1.0-java.gem", &java),
        ("/gems/hay-bale-1.0-jruby.gem", &java),
    ] {
        let got = feed.get(path);
        assert_eq!((got.status, &got.body), (200, bytes), "{path}");
    }
    for path in ["/gems/hay-1.0.gem", "/gems/hay-bale-1.0-java1-java.gem", "/gems/hay-bale.gem"] {
        assert_eq!(feed.get(path).status, 404, "{path}");
    }
    assert_eq!(feed.get("/quick/Marshal.4.8/hay-bale-1.0-java.gemspec.rz").status, 200);
}

#[test]
fn a_version_that_is_elsewhere_spelled_is_the_same_gem() {
    let mut feed = feed();
    let bytes = push(&mut feed, "hay", "1.0.0", "ruby");
    assert_eq!(feed.get("/gems/hay-1.0.0.gem").body, bytes);
    assert_eq!(versions(&mut feed), ["hay 1.0.0"]);
}

fn ruby(script: &str, arguments: &[&Path]) -> Option<String> {
    let Ok(output) =
        Command::new("ruby").args(["-rrubygems", "-rzlib", "-e", script]).args(arguments).output()
    else {
        println!("skipped: no ruby on this machine");
        return None;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Some(String::from_utf8(output.stdout).unwrap())
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

const SPECS: &str =
    "p Marshal.load(Zlib::GzipReader.open(ARGV[0], &:read)).map { |n, v, p| [n, v.to_s, p] }";

#[test]
fn ruby_reads_the_lists_of_old() {
    let mut feed = feed();
    for (name, version, platform) in [
        ("straw", "1.10", "ruby"),
        ("hay", "2.0.rc1", "ruby"),
        ("hay", "1.9", "ruby"),
        ("hay", "1.10", "ruby"),
        ("hay", "1.10", "java"),
        ("hay", "1.8", "x86_64-linux"),
    ] {
        push(&mut feed, name, version, platform);
    }
    push(&mut feed, "hay", "3.0", "ruby");
    unlist(&mut feed, "hay", "3.0");
    let folder = tempfile::tempdir().unwrap();
    for (path, expected) in [
        (
            "/specs.4.8.gz",
            "[[\"hay\", \"1.8\", \"x86_64-linux\"], [\"hay\", \"1.9\", \"ruby\"], \
             [\"hay\", \"1.10\", \"java\"], [\"hay\", \"1.10\", \"ruby\"], [\"straw\", \"1.10\", \"ruby\"]]",
        ),
        (
            "/latest_specs.4.8.gz",
            "[[\"hay\", \"1.10\", \"java\"], [\"hay\", \"1.10\", \"ruby\"], \
             [\"hay\", \"1.8\", \"x86_64-linux\"], [\"straw\", \"1.10\", \"ruby\"]]",
        ),
        ("/prerelease_specs.4.8.gz", "[[\"hay\", \"2.0.rc1\", \"ruby\"]]"),
    ] {
        let file = written(folder.path(), "specs.gz", &feed.get(path).body);
        let Some(printed) = ruby(SPECS, &[&file]) else { return };
        assert_eq!(printed.trim(), expected, "{path}");
    }
}

#[test]
fn ruby_reads_the_answers_of_the_old_api() {
    let mut feed = feed();
    push(&mut feed, "hay", "1.0", "java");
    let asked = feed.get("/api/v1/dependencies");
    assert_eq!((asked.status, asked.body.len()), (200, 0));
    let folder = tempfile::tempdir().unwrap();
    let body = feed.get("/api/v1/dependencies?gems=hay,unknown,..%2Fx").body;
    let file = written(folder.path(), "dependencies", &body);
    let script = "p Marshal.load(File.binread(ARGV[0]))";
    let Some(printed) = ruby(script, &[&file]) else { return };
    assert_eq!(
        printed.trim(),
        "[{:name=>\"hay\", :number=>\"1.0\", :platform=>\"java\", :dependencies=>[]}]"
    );
    let json = feed.get("/api/v1/dependencies.json?gems=hay").text();
    assert_eq!(json, r#"[{"dependencies":[],"name":"hay","number":"1.0","platform":"java"}]"#);
}

fn mini_feed() -> Option<PathBuf> {
    let folder = std::env::var_os("HAYLOFT_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus")),
        PathBuf::from,
    );
    let folder = folder.join("rubygems/mini-feed");
    if !folder.exists() {
        println!("skipped: no corpus at {}", folder.display());
        return None;
    }
    Some(folder)
}

/// Compares two specifications as `gem` compares them, and what it does not compare.
const SAME_SPECIFICATION: &str = r"
ours, theirs = ARGV.map { |path| Marshal.load(Zlib::Inflate.inflate(File.binread(path))) }
fields = %i[name version original_platform summary description homepage authors email
  licenses metadata required_ruby_version required_rubygems_version rubygems_version date]
differing = fields.reject { |field| ours.send(field) == theirs.send(field) }
needs = [ours, theirs].map { |s| s.dependencies.map { |d| [d.name, d.requirement, d.type] }.sort_by(&:first) }
differing << :dependencies if needs[0] != needs[1]
differing << :platform if ours.platform.to_s != theirs.platform.to_s
p differing
";

#[test]
fn documents_are_those_of_the_golden_feed() {
    let Some(folder) = mini_feed() else { return };
    let mut feed = feed();
    let mut names = Vec::new();
    for file in [
        "alpha-1.0.0",
        "alpha-1.1.0.rc1",
        "alpha-1.2.0",
        "beta-0.1.0",
        "beta-0.2.0-x86_64-linux",
        "Gamma.x-0.3.0-java",
    ] {
        let bytes = std::fs::read(folder.join(format!("gems/{file}.gem"))).unwrap();
        feed.upload(&format!("{file}.gem"), &bytes);
        feed.step(1000);
        assert_eq!(feed.get(&format!("/gems/{file}.gem")).body, bytes);
        names.push(file);
    }
    for name in ["alpha", "beta", "Gamma.x"] {
        let golden = std::fs::read_to_string(folder.join("info").join(name)).unwrap();
        let ours: String = text(&mut feed, &format!("/info/{name}"))
            .lines()
            .map(|line| line.split(",created_at:").next().unwrap().to_owned() + "\n")
            .collect();
        assert_eq!(ours, golden);
    }
    // A file that was just made has a line for each gem, and other digests: of infos without times.
    let golden = std::fs::read_to_string(folder.join("versions")).unwrap();
    let (_, lines) = golden.split_once("---\n").unwrap();
    let mut theirs: Vec<(&str, &str)> = Vec::new();
    for line in lines.lines() {
        let mut parts = line.split(' ');
        let (name, numbers) = (parts.next().unwrap(), parts.next().unwrap());
        theirs.extend(numbers.split(',').map(|number| (name, number)));
    }
    let ours = versions(&mut feed);
    let mut ours: Vec<_> = ours.iter().map(|line| line.split_once(' ').unwrap()).collect();
    ours.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
    let golden = std::fs::read_to_string(folder.join("names")).unwrap();
    assert_eq!(feed.get("/names").text(), golden);
    let work = tempfile::tempdir().unwrap();
    // `gem generate_index` has one latest for a name, the public registry one for each platform.
    for list in ["specs.4.8.gz", "prerelease_specs.4.8.gz"] {
        let file = written(work.path(), list, &feed.get(&format!("/{list}")).body);
        let Some(ours) = ruby(&SPECS.replace("] }", "] }.sort"), &[&file]) else { return };
        let theirs = ruby(&SPECS.replace("] }", "] }.sort"), &[&folder.join(list)]).unwrap();
        assert_eq!(ours, theirs, "{list}");
    }
    for name in names {
        let golden = folder.join(format!("quick/Marshal.4.8/{name}.gemspec.rz"));
        let ours = feed.get(&format!("/quick/Marshal.4.8/{name}.gemspec.rz"));
        let file = written(work.path(), "quick.rz", &ours.body);
        let printed = ruby(SAME_SPECIFICATION, &[&file, &golden]).unwrap();
        assert_eq!(printed.trim(), "[]", "{name}");
    }
    feed.assert_rebuilds_equally();
}

/// Newer releases load specifications under an allow-list.
#[test]
fn ruby_reads_every_specification_of_the_corpus() {
    let Some(folder) = mini_feed() else { return };
    let work = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let Ok(found) = hayloft_testkit::inspect(&RubyGems, &bytes, None, &[]) else { continue };
        let name = format!("{} {}.rz", found.identity.package.name(), files.len());
        files.push(written(work.path(), &name, &found.fragments[1].bytes));
    }
    assert!(files.len() > 20);
    let script = "ARGV.each { |path| spec = Marshal.load(Zlib::Inflate.inflate(File.binread(path)))\n\
        raise path unless spec.name == File.basename(path).split(' ').first\n\
        spec.date; spec.runtime_dependencies.each(&:requirement); spec.full_name }\nputs ARGV.size";
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let Some(printed) = ruby(script, &paths) else { return };
    assert_eq!(printed.trim(), files.len().to_string());
}

#[test]
fn bots_read_json() {
    let mut feed = feed();
    push(&mut feed, "hay", "1.0", "ruby");
    push(&mut feed, "hay", "1.1", "java");
    push(&mut feed, "hay", "2.0.rc1", "ruby");
    let json = |feed: &mut MemoryFeed, path: &str| -> Value {
        let got = feed.get(path);
        assert_eq!(got.status, 200, "{path}");
        serde_json::from_slice(&got.body).unwrap()
    };
    let package = json(&mut feed, "/api/v1/gems/hay.json");
    assert_eq!(package["version"], "1.1");
    assert_eq!(package["gem_uri"], "http://host/rubygems/gems/gems/hay-1.1-java.gem");
    let all = json(&mut feed, "/api/v1/versions/hay.json");
    let numbers: Vec<_> =
        all.as_array().unwrap().iter().map(|v| v["number"].as_str().unwrap()).collect();
    assert_eq!(numbers, ["2.0.rc1", "1.1", "1.0"]);
    assert_eq!(json(&mut feed, "/api/v1/versions/hay/latest.json")["version"], "1.1");
    assert_eq!(json(&mut feed, "/api/v1/versions/straw/latest.json")["version"], "unknown");
    assert_eq!(json(&mut feed, "/api/v1/search.json?query=ha")[0]["name"], "hay");
    assert_eq!(json(&mut feed, "/api/v1/search.json?query=straw").to_string(), "[]");
    assert_eq!(feed.get("/api/v1/gems/straw.json").status, 404);
    assert_eq!(feed.get("/api/v1/gems/hay/owners.yaml").text(), "--- []\n");
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    let field = |(name, value): &(&str, &str)| Field {
        path: vec![(*name).to_owned()],
        value: (*value).to_owned(),
    };
    Fields(pairs.iter().map(field).collect())
}

const URL: &str = "http://host/rubygems/gems";

fn decide(
    feed: &MemoryFeed,
    method: &str,
    path: &str,
    pairs: &[(&str, &str)],
    headers: &[(String, String)],
) -> Result<Action, Refusal> {
    let request = Request::get(path, URL).method(method).headers(headers);
    assert!(RubyGems.route(&request)?.is_some());
    let staged = StagedCard::new(3, digests(b"gem"), None);
    RubyGems.decide(feed, &request, &fields(pairs), (method == "POST").then_some(&staged))
}

#[test]
fn a_push_is_worded_as_gem_prints_it() {
    let mut feed = feed();
    let Ok(Action::Upload(order)) = decide(&feed, "POST", "//api/v1/gems", &[], &[]) else {
        panic!("an upload")
    };
    let package = gem("hay", "1.0", "java");
    let bytes = package.build();
    let request = Request::get("/api/v1/gems", URL).method("POST");
    for expected in
        ["Successfully registered gem: hay (1.0-java)", "Gem was already pushed: hay (1.0-java)"]
    {
        let outcome = feed.store(&order, &bytes).unwrap();
        let action = Action::Upload(order.clone());
        let reply = RubyGems.answer(&request, &action, &outcome);
        assert_eq!(
            (reply.status, String::from_utf8(reply.body).unwrap()),
            (200, expected.to_owned())
        );
    }
    let other = gem("hay", "1.0", "java").file("more.rb", "").build();
    let conflict = feed.store(&UploadOrder::default(), &other).unwrap_err();
    let reply = RubyGems.refuse(&request, &conflict);
    assert_eq!(reply.status, 409);
    assert!(reply.body.starts_with(b"Repushing of gem versions is not allowed."));
    let reply = RubyGems.refuse(&request, &Refusal::UnknownKey);
    assert_eq!(reply.status, 401);
}

#[test]
fn a_yank_follows_the_feed_and_names_the_platform() {
    let mut feed = feed();
    push(&mut feed, "hay", "1.0", "ruby");
    push(&mut feed, "hay", "2.0", "ruby");
    push(&mut feed, "hay", "2.0", "java");
    let yank = |feed: &MemoryFeed, pairs: &[(&str, &str)]| {
        decide(feed, "DELETE", "/api/v1/gems/yank", pairs, &[])
    };
    let one = [("gem_name", "hay"), ("version", "1.0")];
    let Ok(Action::Edit(order)) = yank(&feed, &one) else { panic!("an edit") };
    assert_eq!(order.kind(), ActionKind::Delete);
    let outcome = feed.edit(&order).unwrap();
    let request = Request::get("/api/v1/gems/yank", URL).method("DELETE");
    let reply = RubyGems.answer(&request, &Action::Edit(order), &outcome);
    assert_eq!(String::from_utf8(reply.body).unwrap(), "Successfully deleted gem: hay (1.0)");
    assert_eq!(versions(&mut feed).last().unwrap(), "hay -1.0");
    // The other platform of a version stays.
    let java = [("gem_name", "hay"), ("version", "2.0"), ("platform", "jruby")];
    let Ok(Action::Edit(order)) = yank(&feed, &java) else { panic!("an edit") };
    let outcome = feed.edit(&order).unwrap();
    assert!(matches!(outcome, Outcome::Edited { .. }));
    let info = text(&mut feed, "/info/hay");
    assert!(info.contains("\n2.0 |") && !info.contains("2.0-java"), "{info}");
    assert_eq!(versions(&mut feed).last().unwrap(), "hay -2.0-java");
    let unyank = |pairs: &[(&str, &str)]| decide(&feed, "PUT", "/api/v1/gems/unyank", pairs, &[]);
    assert!(matches!(unyank(&java), Err(Refusal::NotFound(_))));
    assert!(unyank(&java[..2]).is_ok());
    let missing: [&[(&str, &str)]; 4] = [
        &[("gem_name", "hay"), ("version", "9")],
        &[("gem_name", "straw"), ("version", "1.0")],
        &[("gem_name", "hay"), ("version", "1.0"), ("platform", "java")],
        &[("gem_name", "../hay"), ("version", "1.0")],
    ];
    for pairs in missing {
        let refusal = yank(&feed, pairs).unwrap_err();
        assert!(matches!(refusal, Refusal::NotFound(_)), "{pairs:?}: {refusal:?}");
    }
    assert!(matches!(yank(&feed, &[("version", "1.0")]), Err(Refusal::Invalid(_))));
    let Ok(Action::Edit(order)) = decide(&feed, "PUT", "/api/v1/gems/unyank", &one, &[]) else {
        panic!("an edit")
    };
    assert_eq!(order.kind(), ActionKind::SetStatus);
    feed.edit(&order).unwrap();
    assert_eq!(versions(&mut feed).last().unwrap(), "hay 1.0");
    feed.assert_rebuilds_equally();
}

#[test]
fn signing_in_gives_the_key_back() {
    let feed = feed();
    let header = |value: String| [("authorization".to_owned(), value)];
    let basic = header(format!("Basic {}", BASE64.encode(b"api:the:key")));
    for method in ["GET", "POST", "PUT"] {
        let action = decide(&feed, method, "/api/v1/api_key", &[("name", "x")], &basic);
        let Ok(Action::LogIn { key, user }) = action else { panic!("{action:?}") };
        assert_eq!((key.as_str(), user.as_deref()), ("the:key", Some("api")));
    }
    let none = decide(&feed, "GET", "/api/v1/api_key", &[], &[]);
    assert!(matches!(none, Err(Refusal::NoCredential)));
    let bare = header("the-key".to_owned());
    let request = Request::get("/api/v1/gems", URL).headers(&bare);
    assert_eq!(RubyGems.credential(&request).as_deref(), Some("the-key"));
    let request = Request::get("/", URL).headers(&basic);
    assert_eq!(RubyGems.credential(&request), None);
}

#[test]
fn every_sample_and_every_path_is_answered() {
    let mut feed = feed();
    push(&mut feed, "hay", "1.0", "ruby");
    push(&mut feed, "hay", "1.0", "java");
    for sample in RubyGems.samples() {
        let (path, query) = sample.path.split_once('?').unwrap_or((&sample.path, ""));
        let request = Request::get(path, URL).method(sample.method).query(query);
        let routed = RubyGems.route(&request).unwrap();
        assert_eq!(routed.map(|intake| intake.least), sample.action, "{sample:?}");
        if sample.action.is_none() {
            assert_eq!(feed.get(&sample.path).status, 200, "{sample:?}");
        }
    }
    let mut paths = Vec::new();
    let name = RubyGems.package_name("", "hay").unwrap();
    let head = feed.package(name.key()).unwrap().unwrap();
    RubyGems.paths(&feed, None, &mut |path| paths.push(path.to_owned())).unwrap();
    RubyGems.paths(&feed, Some(&head), &mut |path| paths.push(path.to_owned())).unwrap();
    assert_eq!(paths.len(), 10);
    for path in paths {
        assert_eq!(feed.get(&path).status, 200, "{path}");
    }
}

#[rstest]
#[case("/info/..%2fversions")]
#[case("/info/%00")]
#[case("/info/-")]
#[case("/gems/..%2f..%2fetc.gem")]
#[case("/gems/hay-1.0-..%2f.gem")]
#[case("/quick/Marshal.4.8/hay-1.0%0a.gemspec.rz")]
#[case("/api/v1/gems/%ff.json")]
#[case("/api/v1/versions/.json")]
fn hostile_paths_are_not_found(#[case] path: &str) {
    let mut feed = feed();
    push(&mut feed, "hay", "1.0", "ruby");
    assert_eq!(feed.get(path).status, 404);
    let long = path.replace("hay", &"hay-1".repeat(20_000));
    assert_eq!(feed.get(&long).status, 404);
}
