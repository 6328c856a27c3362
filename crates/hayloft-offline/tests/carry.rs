//! Packages carried from store to store: by bundles, and by imports of folders.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hayloft::{
    Actor, Deprecation, DeprecationChange, FeedDraft, Listing, ManualClock, OpenOptions,
    PromoteRequest, PromotionQuery, Selector, StatusChange, Store, Timestamp, UploadRequest,
};
use hayloft_offline::{
    ApplyOptions, BundleError, BundleOptions, ExportOptions, Fate, Folder, ImportOptions,
    ImportReport, apply, create, export, import, inspect,
};
use hayloft_testkit::{Package, deb, gem, npm_tgz, nupkg, sdist, snupkg, upack, wheel};

const TYPES: [&str; 6] = ["debian", "npm", "nuget", "pypi", "rubygems", "universal"];

fn store(folder: &Path) -> Store {
    let mut options = OpenOptions::default();
    // One moment for all, so that two stores say the same.
    options.clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_750_000_000_000)));
    Store::open(folder, hayloft::feed_types(), options).unwrap()
}

fn packages(feed_type: &str) -> Vec<Package> {
    let all = match feed_type {
        "npm" => vec![npm_tgz("alpha", "1.0.0"), npm_tgz("@hay/beta", "2.0.0")],
        "nuget" => vec![nupkg("Alpha", "1.0.0"), nupkg("Beta", "2.0.0"), snupkg("Alpha", "1.0.0")],
        "pypi" => vec![wheel("alpha", "1.0.0"), sdist("alpha", "1.0.0"), wheel("beta", "2.0.0")],
        "rubygems" => vec![gem("alpha", "1.0.0", "ruby"), gem("beta", "2.0.0", "java")],
        "debian" => vec![deb("alpha", "1.0.0", "amd64"), deb("beta", "2.0.0", "all")],
        _ => vec![upack("hay", "alpha", "1.0.0"), upack("", "beta", "2.0.0")],
    };
    let filled = |package: Package| {
        // Packages of symbols hold nothing else.
        if package.file_name().ends_with(".snupkg") { package } else { package.payload(20_000) }
    };
    all.into_iter().map(filled).collect()
}

fn upload(store: &Store, feed: &str, package: &Package) {
    let mut request =
        UploadRequest { file_name: Some(package.file_name()), ..UploadRequest::default() };
    for (name, value) in [("distribution", "stable"), ("component", "main")] {
        request.hints.insert(name.to_owned(), value.to_owned());
    }
    store.upload(feed, &request, &mut package.build().as_slice(), &Actor::api()).unwrap();
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs_err::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                if name != ".hayloft-export" {
                    waiting.push(path);
                }
            } else {
                found.insert(name, fs_err::read(&path).unwrap());
            }
        }
    }
    found
}

fn exported(store: &Store, feed: &str, folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let options = ExportOptions::default().base_url("https://packages.example.com/feed");
    export(store, feed, &Folder::open(folder).unwrap(), &options, &mut |_| {}).unwrap();
    contents(folder)
}

fn deprecated(reason: &str) -> StatusChange {
    let deprecation = Deprecation { reason: Some(reason.to_owned()), details: None };
    StatusChange {
        deprecation: Some(DeprecationChange::Set(deprecation)),
        ..StatusChange::default()
    }
}

#[test]
fn an_export_of_what_a_bundle_brought_is_the_same() {
    for feed_type in TYPES {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let from = store(&at("from"));
        for feed in ["dev", "feed"] {
            from.create_feed(FeedDraft::new(feed, feed_type), &Actor::api()).unwrap();
        }
        for package in packages(feed_type) {
            upload(&from, "dev", &package);
        }
        let mut versions = Vec::new();
        for file in from.versions("dev", &hayloft::VersionsQuery::default()).unwrap() {
            let mut source = Selector::from(&file.unwrap());
            source.qualifiers = hayloft::Qualifiers::none();
            if !versions.contains(&source) {
                versions.push(source);
            }
        }
        for source in versions {
            let request = PromoteRequest::new(source, "feed");
            from.promote("dev", &request, &Actor::named("eva")).unwrap();
        }
        let beta = from.packages("feed", None).unwrap().map(Result::unwrap);
        let beta = { beta }.find(|package| package.name.eq_ignore_ascii_case("beta")).unwrap();
        let beta = Selector::grouped(&beta.group, &beta.name, "2.0.0");
        let mut change = deprecated("use alpha");
        change.listing = Some(Listing::Unlisted);
        from.set_status("feed", &beta, &change, &Actor::api()).unwrap();
        let bundle = at("a.hayloft");
        let made = create(&from, "feed", &bundle, &BundleOptions::default()).unwrap();
        assert!(made.promotions >= 2, "{feed_type}");
        let again = at("b.hayloft");
        create(&from, "feed", &again, &BundleOptions::default()).unwrap();
        assert_eq!(fs_err::read(&bundle).unwrap(), fs_err::read(&again).unwrap(), "{feed_type}");
        assert_eq!(inspect(&bundle, None).unwrap(), made);

        let to = store(&at("to"));
        to.create_feed(FeedDraft::new("feed", feed_type), &Actor::api()).unwrap();
        let options = ApplyOptions::default();
        let applied = apply(&to, "feed", &bundle, &options, &Actor::api()).unwrap();
        assert_eq!(applied.stored, made.files, "{feed_type} {applied:?} {made:?}");
        assert_eq!(applied.promotions, made.promotions, "{feed_type}");
        let log = |store: &Store| store.audit_log(&hayloft::AuditQuery::default()).unwrap().count();
        let rows = log(&to);
        let second = apply(&to, "feed", &bundle, &options, &Actor::api()).unwrap();
        assert_eq!((second.stored, second.statuses, second.tags, second.promotions), (0, 0, 0, 0));
        assert_eq!(log(&to), rows, "{feed_type}: applied again, it changes nothing");
        let promotions = |store: &Store| {
            let query =
                PromotionQuery { to_feed: Some("feed".to_owned()), ..PromotionQuery::default() };
            let all = store.promotions(&query).unwrap().map(Result::unwrap);
            all.map(|one| (one.name, one.version, one.user, one.date)).collect::<Vec<_>>()
        };
        assert_eq!(promotions(&to).len(), promotions(&from).len(), "{feed_type}");

        let mut here = exported(&from, "feed", &at("here"));
        let mut there = exported(&to, "feed", &at("there"));
        // Each store signs with a key of its own.
        for tree in [&mut here, &mut there] {
            tree.retain(|name, _| {
                !name.starts_with("keys/")
                    && !name.ends_with("InRelease")
                    && !name.ends_with("Release.gpg")
            });
        }
        let names = |tree: &BTreeMap<String, Vec<u8>>| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&here), names(&there), "{feed_type}");
        for (name, bytes) in here {
            let mut lines = [&bytes, &there[&name]]
                .map(|bytes| bytes.split(|byte| *byte == b'\n').collect::<Vec<_>>());
            if name == "versions" {
                // A log: packages stand in the order in which they came.
                for lines in &mut lines {
                    lines.sort_unstable();
                }
            }
            assert!(lines[0] == lines[1], "{feed_type}: {name}");
        }
    }
}

#[test]
fn a_bundle_that_follows_another_holds_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let from = store(&at("from"));
    from.create_feed(FeedDraft::new("feed", "npm"), &Actor::api()).unwrap();
    for package in packages("npm") {
        upload(&from, "feed", &package);
    }
    let first = at("first");
    create(&from, "feed", &first, &BundleOptions::default()).unwrap();
    upload(&from, "feed", &npm_tgz("alpha", "1.1.0"));
    let mut options = BundleOptions::default();
    options.since = Some(first.clone());
    let second = at("second");
    let made = create(&from, "feed", &second, &options).unwrap();
    assert_eq!((made.files, made.blobs), (2, 1));

    let to = store(&at("to"));
    to.create_feed(FeedDraft::new("feed", "npm"), &Actor::api()).unwrap();
    let run = |bundle: &Path| apply(&to, "feed", bundle, &ApplyOptions::default(), &Actor::api());
    let early = run(&second);
    assert!(matches!(early, Err(BundleError::Missing { .. })), "{early:?}");
    assert_eq!(to.packages("feed", None).unwrap().count(), 0);
    run(&first).unwrap();
    assert_eq!(run(&second).unwrap().stored, 1);
    assert_eq!(to.package("feed", "", "alpha").unwrap().tags["latest"], "1.1.0");

    to.create_feed(FeedDraft::new("other", "pypi"), &Actor::api()).unwrap();
    let wrong = apply(&to, "other", &first, &ApplyOptions::default(), &Actor::api());
    assert!(matches!(wrong, Err(BundleError::OtherType { .. })), "{wrong:?}");
    // A bundle of another history is nothing to follow.
    options.since = Some(first);
    let unrelated = create(&to, "feed", &at("third"), &options);
    assert!(matches!(unrelated, Err(BundleError::Unrelated { .. })), "{unrelated:?}");
    assert!(!at("third").exists());
}

#[test]
fn a_damaged_bundle_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let from = store(&at("from"));
    from.create_feed(FeedDraft::new("feed", "universal"), &Actor::api()).unwrap();
    upload(&from, "feed", &upack("", "alpha", "1.0.0").payload(3_000));
    upload(&from, "feed", &upack("", "beta", "1.0.0").payload(3_000));
    let bundle = at("bundle");
    create(&from, "feed", &bundle, &BundleOptions::default()).unwrap();
    let whole = fs_err::read(&bundle).unwrap();
    let to = store(&at("to"));
    to.create_feed(FeedDraft::new("feed", "universal"), &Actor::api()).unwrap();
    let damaged = at("damaged");
    let mut tried = 0;
    for place in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x20;
        fs_err::write(&damaged, &bytes).unwrap();
        let applied = apply(&to, "feed", &damaged, &ApplyOptions::default(), &Actor::api());
        if applied.is_ok() {
            // Padding and modes of a tar archive mean nothing, and nothing is stored twice.
            assert!(to.packages("feed", None).unwrap().count() <= 2);
            continue;
        }
        tried += 1;
    }
    for length in (0..whole.len()).step_by(511) {
        fs_err::write(&damaged, &whole[..length]).unwrap();
        let fresh = inspect(&damaged, None);
        assert!(fresh.is_err() || length + 1024 >= whole.len(), "{length}: {fresh:?}");
    }
    assert!(tried > 20, "{tried}");
}

fn imported(
    store: &Store,
    feed: &str,
    paths: &[PathBuf],
    options: &ImportOptions,
) -> (ImportReport, Vec<String>) {
    let refusals = Mutex::new(Vec::new());
    let report = import(store, feed, paths, options, &Actor::api(), &|path, fate| {
        if let Fate::Refused(reason) = fate {
            refusals.lock().unwrap().push(format!("{}: {reason}", path.display()));
        }
    });
    (report.unwrap(), refusals.into_inner().unwrap())
}

#[test]
fn an_export_is_imported_with_what_its_documents_say() {
    for feed_type in TYPES {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let from = store(&at("from"));
        from.create_feed(FeedDraft::new("feed", feed_type), &Actor::api()).unwrap();
        for package in packages(feed_type) {
            upload(&from, "feed", &package);
        }
        exported(&from, "feed", &at("export"));
        let to = store(&at("to"));
        to.create_feed(FeedDraft::new("feed", feed_type), &Actor::api()).unwrap();
        let paths = [at("export")];
        let mut options = ImportOptions::default();
        options.dry_run = true;
        let (report, refusals) = imported(&to, "feed", &paths, &options);
        let files = packages(feed_type).len() as u64;
        assert!(
            report.stored == files && refusals.is_empty(),
            "{feed_type} {report:?} {refusals:?}"
        );
        assert_eq!(to.packages("feed", None).unwrap().count(), 0);
        options.dry_run = false;
        let (report, refusals) = imported(&to, "feed", &paths, &options);
        assert_eq!((report.stored, refusals.as_slice()), (files, &[][..]), "{feed_type}");
        let (report, _) = imported(&to, "feed", &paths, &options);
        assert_eq!((report.stored, report.unchanged), (0, files), "{feed_type}");
        let digests = |store: &Store| {
            let files = hayloft::Files::All;
            let query = hayloft::VersionsQuery { files, ..hayloft::VersionsQuery::default() };
            let files = store.versions("feed", &query).unwrap().map(Result::unwrap);
            // Files of one version stand in the order in which they came.
            files
                .map(|file| (file.purl.to_string(), file.digests.sha256))
                .collect::<BTreeMap<_, _>>()
        };
        assert_eq!(digests(&from), digests(&to), "{feed_type}");
    }
}

#[test]
fn tags_and_deprecations_come_from_the_documents_of_a_registry() {
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join("storage/@hay/beta");
    fs_err::create_dir_all(&storage).unwrap();
    for version in ["1.0.0", "2.0.0-rc.1"] {
        let package = npm_tgz("@hay/beta", version);
        fs_err::write(storage.join(format!("beta-{version}.tgz")), package.build()).unwrap();
    }
    let document = serde_json::json!({
        "name": "@hay/beta",
        "dist-tags": { "latest": "1.0.0", "next": "2.0.0-rc.1", "gone": "0.0.1" },
        "versions": { "1.0.0": { "deprecated": "use 2" }, "2.0.0-rc.1": { "deprecated": false } },
        "_attachments": {},
    });
    fs_err::write(storage.join("package.json"), document.to_string()).unwrap();
    fs_err::write(storage.join("broken-1.0.0.tgz"), "no archive").unwrap();
    fs_err::write(folder.path().join("storage/.verdaccio-db.json"), "{}").unwrap();
    let store = store(&folder.path().join("store"));
    store.create_feed(FeedDraft::new("feed", "npm"), &Actor::api()).unwrap();
    let paths = [folder.path().join("storage")];
    let (report, refusals) = imported(&store, "feed", &paths, &ImportOptions::default());
    assert_eq!((report.stored, report.tags, report.deprecated, report.refused), (2, 2, 1, 1));
    assert!(refusals[0].contains("broken-1.0.0.tgz"), "{refusals:?}");
    let package = store.package("feed", "@hay", "beta").unwrap();
    assert_eq!(package.tags["next"], "2.0.0-rc.1");
    let file = store.file("feed", &Selector::grouped("@hay", "beta", "1.0.0")).unwrap();
    assert_eq!(file.status.deprecated.unwrap().reason.unwrap(), "use 2");
}
