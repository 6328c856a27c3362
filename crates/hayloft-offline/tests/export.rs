//! Exports of feeds of every type: complete, equal, incremental, and never a trap for readers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hayloft::{
    Actor, Allow, FeedDraft, ManualClock, OpenOptions, Overwrite, Selector, StatusChange, Store,
    Timestamp, UploadRequest,
};
use hayloft_offline::{
    Draft, ExportError, ExportOptions, ExportReport, Folder, FolderError, Target, TargetName,
    export,
};
use hayloft_testkit::{Package, deb, gem, npm_tgz, nupkg, upack, wheel};
use tempfile::TempDir;

const URL: &str = "http://127.0.0.1:8000/feed";

fn store(directory: &TempDir) -> Store {
    let mut options = OpenOptions::default();
    // One moment for all, so that two stores say the same.
    options.clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_750_000_000_000)));
    Store::open(directory.path().join("store"), hayloft::feed_types(), options).unwrap()
}

fn upload(store: &Store, feed: &str, package: &Package) {
    let mut request = UploadRequest {
        file_name: Some(package.file_name()),
        overwrite: Overwrite::Replace,
        ..UploadRequest::default()
    };
    for (name, value) in [("distribution", "stable"), ("component", "main")] {
        request.hints.insert(name.to_owned(), value.to_owned());
    }
    store.upload(feed, &request, &mut package.build().as_slice(), &Actor::api()).unwrap();
}

fn package(feed_type: &str, name: &str, version: &str) -> Package {
    match feed_type {
        "npm" => npm_tgz(name, version),
        "nuget" => nupkg(name, version),
        "pypi" => wheel(name, version),
        "rubygems" => gem(name, version, "ruby"),
        "debian" => deb(name, version, "amd64"),
        _ => upack("group", name, version),
    }
    .payload(20_000)
}

const TYPES: [&str; 6] = ["debian", "npm", "nuget", "pypi", "rubygems", "universal"];

/// A store with a feed of this type that is called as it is, of three packages.
fn filled(directory: &TempDir, feed_type: &str) -> Store {
    let store = store(directory);
    store.create_feed(FeedDraft::new(feed_type, feed_type), &Actor::api()).unwrap();
    for (name, version) in [("alpha", "1.0.0"), ("alpha", "1.1.0"), ("beta", "2.0.0")] {
        upload(&store, feed_type, &package(feed_type, name, version));
    }
    store
}

fn run(store: &Store, feed: &str, folder: &Path) -> ExportReport {
    let folder = Folder::open(folder).unwrap();
    export(store, feed, &folder, &ExportOptions::default().base_url(URL), &mut |_| {}).unwrap()
}

/// All files but records, with inode and time of change.
fn marks(folder: &Path) -> BTreeMap<String, (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs_err::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            if name == ".hayloft-export" {
                continue;
            }
            if path.is_dir() {
                waiting.push(path);
            } else {
                let about = fs_err::metadata(&path).unwrap();
                found.insert(name, (about.ino(), about.mtime(), about.mtime_nsec()));
            }
        }
    }
    found
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = marks(folder).into_keys();
    names.map(|name| (name.clone(), fs_err::read(folder.join(name)).unwrap())).collect()
}

fn is_incomplete(folder: &Path) -> bool {
    folder.join(".hayloft-export/incomplete").exists()
}

#[test]
fn every_type_is_exported_and_a_second_run_touches_nothing() {
    for feed_type in TYPES {
        let directory = tempfile::tempdir().unwrap();
        let store = filled(&directory, feed_type);
        let folder = directory.path().join("export");
        let first = run(&store, feed_type, &folder);
        assert!(first.full && first.written >= 4 && first.left_out.is_empty(), "{first:?}");
        assert!(!is_incomplete(&folder));
        let before = marks(&folder);
        let second = run(&store, feed_type, &folder);
        assert_eq!((second.written, second.removed), (0, 0), "{feed_type}");
        assert_eq!(marks(&folder), before, "{feed_type}");
        // A look at everything finds nothing to do, either.
        let options = ExportOptions::default().base_url(URL).check();
        let target = Folder::open(&folder).unwrap();
        let third = export(&store, feed_type, &target, &options, &mut |_| {}).unwrap();
        assert_eq!((third.written, third.removed), (0, 0), "{feed_type}");
        assert_eq!(marks(&folder), before, "{feed_type}");
    }
}

#[test]
fn a_later_run_touches_what_changed_and_equals_a_first_one() {
    for feed_type in TYPES {
        let directory = tempfile::tempdir().unwrap();
        let store = filled(&directory, feed_type);
        let folder = directory.path().join("export");
        run(&store, feed_type, &folder);
        let before = marks(&folder);
        upload(&store, feed_type, &package(feed_type, "gamma", "1.0.0"));
        upload(&store, feed_type, &package(feed_type, "beta", "2.1.0"));
        let report = run(&store, feed_type, &folder);
        assert!(!report.full, "{feed_type}");
        assert_eq!(report.packages, 2, "{feed_type}");
        let after = marks(&folder);
        for (name, mark) in &before {
            let of_feed = !name.contains("beta");
            let stays = name.contains("alpha") || (name.contains("2.0.0") && is_package(name));
            if of_feed && stays {
                assert_eq!(after.get(name), Some(mark), "{feed_type}: {name}");
            }
        }
        let fresh = directory.path().join("fresh");
        run(&store, feed_type, &fresh);
        let mut incremental = contents(&folder);
        // Indexes of earlier releases stay for those who are reading.
        incremental.retain(|name, _| !name.contains("/by-hash/") || fresh.join(name).exists());
        assert_eq!(incremental, contents(&fresh), "{feed_type}");
    }
}

fn is_package(name: &str) -> bool {
    [".nupkg", ".tgz", ".whl", ".gem", ".deb"].iter().any(|end| name.ends_with(end))
}

#[test]
fn what_is_gone_or_blocked_goes() {
    for feed_type in TYPES {
        let directory = tempfile::tempdir().unwrap();
        let store = filled(&directory, feed_type);
        let folder = directory.path().join("export");
        run(&store, feed_type, &folder);
        let group = if feed_type == "universal" { "group" } else { "" };
        let select = |name, version| Selector::grouped(group, name, version);
        store.delete_version(feed_type, &select("beta", "2.0.0"), &Actor::api()).unwrap();
        let block = StatusChange { allow: Some(Some(Allow::Never)), ..StatusChange::default() };
        store.set_status(feed_type, &select("alpha", "1.1.0"), &block, &Actor::api()).unwrap();
        let report = run(&store, feed_type, &folder);
        assert!(report.removed >= 2, "{feed_type} {report:?}");
        for (name, bytes) in contents(&folder) {
            if name.contains("/by-hash/") || name == "versions" {
                continue;
            }
            assert!(!name.contains("beta"), "{feed_type}: {name}");
            let tells = bytes.windows(5).any(|window| window == b"1.1.0");
            assert!(!tells && !name.contains("1.1.0"), "{feed_type}: {name}");
        }
        // And it comes back.
        let allow = StatusChange { allow: Some(None), ..StatusChange::default() };
        store.set_status(feed_type, &select("alpha", "1.1.0"), &allow, &Actor::api()).unwrap();
        run(&store, feed_type, &folder);
        let back = |name: &String| name.contains("1.1.0");
        assert!(marks(&folder).keys().any(back) || feed_type == "universal", "{feed_type}");
    }
}

/// Fails at one call, and from then on, as a process that is killed there does.
struct Faulty<'a> {
    folder: &'a Folder,
    left: AtomicU64,
    /// A reader's look after each change.
    look: Arc<dyn Fn()>,
}

impl Faulty<'_> {
    fn step(&self) -> io::Result<()> {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::other("killed here"));
        }
        Ok(())
    }
}

struct FaultyDraft {
    draft: Box<dyn Draft>,
    fails: bool,
    look: Arc<dyn Fn()>,
}

impl io::Write for FaultyDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.draft.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.draft.flush()
    }
}

impl Draft for FaultyDraft {
    fn publish(self: Box<Self>, name: &TargetName) -> io::Result<()> {
        if self.fails {
            return Err(io::Error::other("killed before it was published"));
        }
        self.draft.publish(name)?;
        (self.look)();
        Ok(())
    }
}

impl Target for Faulty<'_> {
    fn draft(&self) -> io::Result<Box<dyn Draft>> {
        let fails = self.step().is_err();
        let draft = self.folder.draft()?;
        Ok(Box::new(FaultyDraft { draft, fails, look: self.look.clone() }))
    }

    fn read(&self, name: &TargetName, limit: u64) -> io::Result<Option<Vec<u8>>> {
        self.folder.read(name, limit)
    }

    fn show(&self, name: &TargetName, visit: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        self.folder.show(name, visit)
    }

    fn length(&self, name: &TargetName) -> io::Result<Option<u64>> {
        self.folder.length(name)
    }

    fn remove(&self, name: &TargetName) -> io::Result<()> {
        self.step()?;
        self.folder.remove(name)?;
        (self.look)();
        Ok(())
    }

    fn list(&self, visit: &mut dyn FnMut(&TargetName) -> io::Result<()>) -> io::Result<()> {
        self.folder.list(visit)
    }

    fn settle(&self) -> io::Result<()> {
        self.step()?;
        self.folder.settle()
    }
}

/// What the documents of an npm feed name is there.
fn npm_is_whole(folder: &Path) {
    for (name, bytes) in contents(folder) {
        if !name.ends_with("index.json") {
            continue;
        }
        let packument = String::from_utf8(bytes).unwrap();
        for rest in packument.split(&format!("{URL}/")).skip(1) {
            let file = rest.split('"').next().unwrap();
            assert!(folder.join(file).exists(), "{name} names {file}");
        }
    }
}

#[test]
fn wherever_a_run_ends_readers_see_whole_documents_and_the_next_run_completes_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory, "npm");
    let settled = directory.path().join("settled");
    run(&store, "npm", &settled);
    let copy = |folder: &Path| {
        let _ = fs_err::remove_dir_all(folder);
        let mut copy = std::process::Command::new("cp");
        assert!(copy.arg("-a").arg(&settled).arg(folder).status().unwrap().success());
    };
    upload(&store, "npm", &package("npm", "gamma", "1.0.0"));
    upload(&store, "npm", &package("npm", "beta", "2.1.0"));
    store.delete_version("npm", &Selector::ungrouped("alpha", "1.0.0"), &Actor::api()).unwrap();
    let wanted = directory.path().join("wanted");
    run(&store, "npm", &wanted);
    let wanted = contents(&wanted);
    let options = ExportOptions::default().base_url(URL);
    let mut ended = 0;
    for first in [true, false] {
        for steps in 0.. {
            let folder = directory.path().join("cut");
            if first {
                let _ = fs_err::remove_dir_all(&folder);
            } else {
                copy(&folder);
            }
            let opened = Folder::open(&folder).unwrap();
            let looked = folder.clone();
            let look = Arc::new(move || npm_is_whole(&looked));
            let target = Faulty { folder: &opened, left: AtomicU64::new(steps), look };
            let ran = export(&store, "npm", &target, &options, &mut |_| {});
            drop(opened);
            npm_is_whole(&folder);
            if ran.is_ok() {
                assert_eq!(contents(&folder), wanted);
                break;
            }
            ended += 1;
            let untouched = contents(&folder) == contents(&settled);
            assert!(is_incomplete(&folder) || first || untouched || contents(&folder) == wanted);
            run(&store, "npm", &folder);
            assert_eq!(contents(&folder), wanted, "after {steps} steps");
            assert!(!is_incomplete(&folder));
        }
    }
    assert!(ended > 20, "{ended}");
}

#[test]
fn documents_with_addresses_need_one() {
    for (feed_type, needs) in
        [("npm", true), ("nuget", true), ("rubygems", false), ("debian", false)]
    {
        let directory = tempfile::tempdir().unwrap();
        let store = filled(&directory, feed_type);
        let target = Folder::open(directory.path().join("export")).unwrap();
        let ran = export(&store, feed_type, &target, &ExportOptions::default(), &mut |_| {});
        assert_eq!(matches!(ran, Err(ExportError::NeedsBaseUrl)), needs, "{feed_type} {ran:?}");
        assert_eq!(ran.is_ok(), !needs, "{feed_type}");
    }
}

#[test]
fn foreign_folders_other_feeds_and_second_writers_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory, "npm");
    let foreign = directory.path().join("foreign");
    fs_err::create_dir(&foreign).unwrap();
    fs_err::write(foreign.join("thesis.tex"), "").unwrap();
    assert!(matches!(Folder::open(&foreign), Err(FolderError::Foreign { .. })));
    let folder = directory.path().join("export");
    run(&store, "npm", &folder);
    let held = Folder::open(&folder).unwrap();
    assert!(matches!(Folder::open(&folder), Err(FolderError::InUse { .. })));
    store.create_feed(FeedDraft::new("second", "npm"), &Actor::api()).unwrap();
    let options = ExportOptions::default().base_url(URL);
    let ran = export(&store, "second", &held, &options, &mut |_| {});
    assert!(matches!(ran, Err(ExportError::OtherFeed { .. })), "{ran:?}");
    for url in ["ftp://x", "http://", "http://a b", "x"] {
        let options = ExportOptions::default().base_url(url);
        let ran = export(&store, "npm", &held, &options, &mut |_| {});
        assert!(matches!(ran, Err(ExportError::BaseUrl(_))), "{url}");
    }
}

#[test]
fn a_damaged_folder_is_mended_by_a_look_at_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory, "npm");
    let folder = directory.path().join("export");
    run(&store, "npm", &folder);
    let whole = contents(&folder);
    fs_err::write(folder.join("alpha/index.json"), "{}").unwrap();
    fs_err::remove_file(folder.join("beta/-/beta-2.0.0.tgz")).unwrap();
    fs_err::write(folder.join("stranger.txt"), "who knows").unwrap();
    // Another store of the same feed is another history: all is looked at, nothing is written twice.
    let options = ExportOptions::default().base_url(URL).check();
    let target = Folder::open(&folder).unwrap();
    let report = export(&store, "npm", &target, &options, &mut |_| {}).unwrap();
    assert_eq!((report.written, report.removed), (2, 1), "{report:?}");
    assert_eq!(contents(&folder), whole);
}

/// python's server and apt see that a file is another one by the second of its change.
#[test]
fn what_takes_a_files_place_is_a_second_younger() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(&directory, "npm");
    let folder = directory.path().join("www");
    run(&store, "npm", &folder);
    let files = || -> BTreeMap<String, (Vec<u8>, i64)> {
        let mut files = BTreeMap::new();
        let mut waiting = vec![folder.clone()];
        while let Some(path) = waiting.pop() {
            for entry in fs_err::read_dir(path).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    if !path.ends_with(".hayloft-export") {
                        waiting.push(path);
                    }
                } else {
                    let second = fs_err::metadata(&path).unwrap().mtime();
                    let content = fs_err::read(&path).unwrap();
                    files.insert(path.to_str().unwrap().to_owned(), (content, second));
                }
            }
        }
        files
    };
    let mut before = files();
    for version in ["1.2.0", "1.3.0", "1.4.0"] {
        upload(&store, "npm", &package("npm", "alpha", version));
        run(&store, "npm", &folder);
        let after = files();
        let mut replaced = 0;
        for (path, (content, second)) in &after {
            let Some((old, earlier)) = before.get(path) else { continue };
            if content != old {
                replaced += 1;
                assert!(second > earlier, "{path}: {earlier} then {second}");
            }
        }
        assert!(replaced > 0, "{version}: {:?}", after.keys());
        before = after;
    }
}
