//! Any release opens the store of any earlier one, and refuses that of a later one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

#[path = "engine/plain.rs"]
mod plain;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use hayloft_core::{
    Actor, Allow, AuditQuery, Background, Batch, Deprecation, DeprecationChange, FeedDraft,
    FeedTypes, Files, Fs, KeyGrant, Listing, Manifests, ManualClock, MetaStore, OpenError,
    OpenOptions, Opened, PromoteRequest, PromotionQuery, RealFs, RedbOptions, RedbStore,
    RepackageRequest, Repair, Selector, StatusChange, Store, Table, Timestamp, UploadRequest,
    VerifyLevel, VersionsQuery,
};
use plain::{Plain, package};
use rstest::rstest;

const KEY: &str = "a-key-that-a-person-chose";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-v3")
}

fn open(directory: &Path) -> Result<Store, OpenError> {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    options.clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
    options.tool = String::from("hayloft/test");
    Store::open(directory, FeedTypes::none().with(Plain), options)
}

fn upload(store: &Store, name: &str, version: &str, distro: Option<&str>, len: usize) {
    let mut request = UploadRequest::default();
    request.hints.extend(distro.map(|distro| ("distro".to_owned(), distro.to_owned())));
    let bytes = package(name, version, 7, len);
    store.upload("main", &request, &mut bytes.as_slice(), &Actor::named("ann")).unwrap();
}

/// Does one of everything.
fn fill(store: &Store) {
    let actor =
        Actor { key_id: Some(1), address: Some("127.0.0.1".to_owned()), ..Actor::named("ann") };
    let mut main = FeedDraft::new("main", "plain");
    main.alternates = vec!["First".to_owned()];
    main.settings.description = Some("the first feed".to_owned());
    "{\"a\":1}".clone_into(&mut main.settings.other);
    store.create_feed(main, &actor).unwrap();
    store.create_feed(FeedDraft::new("next", "plain"), &actor).unwrap();
    store.create_feed(FeedDraft::new("gone", "plain"), &actor).unwrap();
    upload(store, "Alpha", "1", None, 100);
    upload(store, "Alpha", "2", None, 16_100);
    upload(store, "beta", "1.5", Some("stable"), 500);
    upload(store, "beta", "1.5", Some("testing"), 501);
    upload(store, "gamma", "1", None, 16_200);
    let alpha = |version: &str| Selector::ungrouped("Alpha", version);
    let change = StatusChange {
        listing: Some(Listing::Unlisted),
        allow: Some(Some(Allow::Always)),
        deprecation: Some(DeprecationChange::Set(Deprecation {
            reason: Some("old".to_owned()),
            details: Some("{\"instead\":\"2\"}".to_owned()),
        })),
    };
    store.set_status("main", &alpha("1"), &change, &actor).unwrap();
    let mut promote = PromoteRequest::new(alpha("1"), "next");
    promote.comments = Some("ready".to_owned());
    store.promote("main", &promote, &actor).unwrap();
    let mut repackage = RepackageRequest::new(alpha("2"), "3");
    repackage.comments = Some("released".to_owned());
    store.repackage("main", &repackage, &actor).unwrap();
    store.set_tag("main", "beta", &alpha("2"), &actor).unwrap();
    store.delete_version("main", &Selector::ungrouped("gamma", "1"), &actor).unwrap();
    store.delete_feed("gone", &actor).unwrap();
    let grant = KeyGrant {
        kind: "feed".to_owned(),
        display_name: Some("ci".to_owned()),
        package_permissions: vec!["view".to_owned(), "add".to_owned()],
        feed: Some(store.feed("main").unwrap().id),
        ..KeyGrant::default()
    };
    store.create_key(grant, Some(KEY), &actor).unwrap();
    store.set_setting("colour", Some("blue"), &actor).unwrap();
    for _ in 0..3 {
        store.count_download(store.file("main", &alpha("2")).unwrap().id).unwrap();
    }
}

/// What the store holds, a line for each thing; fields that later releases add are not in it.
fn seen(store: &Store) -> String {
    let mut out = String::new();
    for feed in store.feeds().unwrap() {
        let stats = store.feed_stats(&feed.name).unwrap();
        writeln!(
            out,
            "feed {} {} {:?} {} {} {:?} {:?} {:?} {:?} {} revision {}: {} {} {} {}",
            feed.id,
            feed.name,
            feed.alternates,
            feed.feed_type,
            feed.created,
            feed.settings.description,
            feed.settings.activity,
            feed.settings.overwriting,
            feed.settings.delete_mode,
            feed.settings.other,
            store.feed_revision(&feed.name).unwrap(),
            stats.packages,
            stats.versions,
            stats.files,
            stats.bytes
        )
        .unwrap();
        writeln!(out, "facets {:?}", store.facets(&feed.name).unwrap()).unwrap();
        for package in store.packages(&feed.name, None).unwrap() {
            let package = package.unwrap();
            let (latest, stable) = (&package.latest, &package.latest_stable);
            writeln!(
                out,
                "package {} {} {latest:?} {stable:?} {:?} {} {} {}",
                package.name,
                package.versions,
                package.tags,
                package.revision,
                package.created,
                package.changed
            )
            .unwrap();
        }
        see_files(store, &feed.name, &mut out);
    }
    for row in store.promotions(&PromotionQuery::default()).unwrap() {
        let row = row.unwrap();
        writeln!(
            out,
            "promotion {} {} {} {} {} {} {} {} {}",
            row.id,
            row.feed_type,
            row.from_feed,
            row.to_feed,
            row.name,
            row.version,
            row.date,
            row.user,
            row.comments
        )
        .unwrap();
    }
    for row in store.repackagings(&PromotionQuery::default()).unwrap() {
        let row = row.unwrap();
        let (from, to) = (&row.from_version, &row.to_version);
        writeln!(out, "repackaging {} {} {from} {to} {}", row.id, row.name, row.comments).unwrap();
        for file in row.files {
            let (from, to) = (hex(&file.from_sha256), hex(&file.to_sha256));
            writeln!(out, "  {} {from} {} {to}", file.from_name, file.to_name).unwrap();
        }
    }
    see_the_rest(store, &mut out);
    out
}

fn see_files(store: &Store, feed: &str, out: &mut String) {
    let query = VersionsQuery {
        manifests: Manifests::Included,
        files: Files::All,
        ..VersionsQuery::default()
    };
    for file in store.versions(feed, &query).unwrap() {
        let file = file.unwrap();
        let selector =
            Selector::ungrouped(&file.name, &file.version).with_qualifiers(file.qualifiers.clone());
        let mut download = store.download(feed, &selector).unwrap();
        let mut hasher = blake3::Hasher::new();
        io::copy(&mut download, &mut hasher).unwrap();
        assert_eq!(*hasher.finalize().as_bytes(), file.digests.blake3);
        let head = store.document(file.id, "head").unwrap();
        assert_eq!(head.unwrap(), file.name.as_bytes());
        writeln!(
            out,
            "file {:?} {} {} [{}] {} {:?} {} {} {} {:?} {} {:?} {} {} {} {:?} {:?}",
            file.id,
            file.name,
            file.version,
            file.qualifiers,
            file.file_name,
            file.role,
            file.size,
            file.published,
            file.published_by,
            file.status,
            file.status_changed,
            file.origin,
            file.file_downloads,
            file.version_downloads,
            file.package_downloads,
            file.manifest,
            file.documents
        )
        .unwrap();
        let digests = &file.digests;
        writeln!(out, "  {} {}", hex(&digests.md5), hex(&digests.sha1)).unwrap();
        writeln!(out, "  {} {}", hex(&digests.sha256), hex(&digests.sha512)).unwrap();
        let history = store.history(feed, &selector).unwrap();
        writeln!(
            out,
            "  history {} {} {}",
            serde_json::to_string(&history.embedded).unwrap(),
            history.promotions.len(),
            history.repackagings.len()
        )
        .unwrap();
    }
}

fn see_the_rest(store: &Store, out: &mut String) {
    for row in store.audit_log(&AuditQuery::default()).unwrap() {
        let row = row.unwrap();
        writeln!(
            out,
            "audit {} {} {} {:?} {:?} {} {} {:?} {} {} {:?} {:?} {:?} {:?} {} {}",
            row.id,
            row.at,
            row.actor,
            row.key_id,
            row.address,
            row.action,
            row.feed,
            row.to_feed,
            row.name,
            row.version,
            row.new_version,
            row.comments,
            row.old_sha256.map(|digest| hex(&digest)),
            row.new_sha256.map(|digest| hex(&digest)),
            row.details,
            hex(&row.chain)
        )
        .unwrap();
    }
    writeln!(out, "settings {:?}", store.settings().unwrap()).unwrap();
    for key in store.keys().unwrap() {
        let grant = &key.grant;
        let feed = (&grant.feed, &grant.display_name, &grant.package_permissions);
        writeln!(out, "key {} {} {feed:?} {}", key.id, grant.kind, key.created).unwrap();
    }
    writeln!(out, "found {:?}", store.find_key(KEY).unwrap().unwrap().id).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// Files of a directory, with their paths in it.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = PathBuf::from(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|file| name.join(file)));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

/// Copies the fixture to where a store may write. Its files are deflated; empty directories were
/// left out.
fn unpack() -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in files(&fixture().join("files")) {
        let packed = std::fs::File::open(fixture().join("files").join(&file)).unwrap();
        let target = to.path().join(&file);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        let mut out = std::fs::File::create(target).unwrap();
        io::copy(&mut DeflateDecoder::new(packed), &mut out).unwrap();
    }
    to
}

#[test]
#[ignore = "writes the fixture of a new format; never run again for a released one"]
fn write_the_fixture() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    fill(&store);
    std::fs::remove_dir_all(fixture()).unwrap_or_default();
    std::fs::create_dir_all(fixture()).unwrap();
    std::fs::write(fixture().join("seen.txt"), seen(&store)).unwrap();
    store.close().unwrap();
    for file in files(directory.path()) {
        if file == Path::new("LOCK") {
            continue;
        }
        let target = fixture().join("files").join(&file);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        let out = std::fs::File::create(target).unwrap();
        let mut out = DeflateEncoder::new(out, flate2::Compression::best());
        io::copy(&mut std::fs::File::open(directory.path().join(file)).unwrap(), &mut out).unwrap();
        out.finish().unwrap();
    }
}

#[test]
fn a_store_of_the_first_format_opens_and_holds_what_it_held() {
    let directory = unpack();
    let store = open(directory.path()).unwrap();
    assert_eq!(store.opened(), Opened::Existing);
    let expected = std::fs::read_to_string(fixture().join("seen.txt")).unwrap();
    let found = seen(&store);
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {}", number + 1);
    }
    assert_eq!(found.len(), expected.len());
    let mut findings = Vec::new();
    let mut report = |finding: &hayloft_core::Finding| findings.push(finding.clone());
    store.verify(VerifyLevel::Deep, Repair::No, &mut report).unwrap();
    assert_eq!(findings, []);
    // It can be written to, and what waited is done.
    upload(&store, "Alpha", "9", None, 50_000);
    store.run_maintenance().unwrap();
    let latest = store.package("main", "", "Alpha").unwrap().latest;
    assert_eq!(latest.as_deref(), Some("9"));
}

fn made() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).unwrap().close().unwrap();
    directory
}

/// The row of the format, as a release would write it that knows formats up to `known`.
fn format_row(known: u8) -> Vec<u8> {
    let mut value = vec![3, 1, known, known, known];
    value.extend_from_slice(&[6; 32]);
    let sum = crc32c::crc32c_append(crc32c::crc32c(b"format"), &value);
    value.extend_from_slice(&sum.to_be_bytes());
    value
}

fn put_format(directory: &Path, value: Vec<u8>) {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let meta = RedbStore::open(&fs, &directory.join("meta.redb"), &RedbOptions::default()).unwrap();
    let put = vec![(Table("meta-1"), b"format".to_vec(), value)];
    meta.commit(&Batch { put, ..Batch::default() }).unwrap();
}

#[test]
fn a_store_of_a_newer_format_is_refused_by_its_file() {
    let directory = made();
    std::fs::write(directory.path().join("FORMAT"), "hayloft 4\n").unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::NewerFormat { found: 4, known: 3 }));
    assert_eq!(
        error.to_string(),
        "the store has format 4, this program knows formats up to 3; use a newer release"
    );
}

#[test]
fn a_store_of_a_newer_format_is_refused_by_its_row() {
    let directory = made();
    put_format(directory.path(), format_row(3));
    open(directory.path()).unwrap().close().unwrap();
    put_format(directory.path(), format_row(4));
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::NewerFormat { found: 4, known: 3 }), "{error:?}");
    // What was refused was not touched.
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let path = directory.path().join("meta.redb");
    let meta = RedbStore::open(&fs, &path, &RedbOptions::default()).unwrap();
    let found = meta.snapshot(&[]).unwrap().get(Table("meta-1"), b"format").unwrap();
    assert_eq!(found, Some(format_row(4)));
}

#[rstest]
#[case::by_its_file(|directory: &Path| {
    std::fs::write(directory.join("FORMAT"), "hayloft 2\n").unwrap();
})]
#[case::by_its_row(|directory: &Path| put_format(directory, format_row(2)))]
fn a_store_of_a_format_from_before_the_first_release_is_refused_in_words(
    #[case] make_older: fn(&Path),
) {
    let directory = made();
    make_older(directory.path());
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::OlderFormat { found: 2, known: 3 }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the store has format 2, which was used before the first release; this program knows \
         formats from 3 on: make a new store and upload the packages again"
    );
}

#[test]
fn a_store_has_a_name_and_another_timeline_once_it_went_back() {
    let directory = made();
    let store = open(directory.path()).unwrap();
    let (id, before) = (store.id(), store.timeline());
    assert_ne!(id, before);
    store.begin_timeline().unwrap();
    let after = store.timeline();
    assert_ne!(after, before);
    store.close().unwrap();
    let store = open(directory.path()).unwrap();
    assert_eq!((store.id(), store.timeline()), (id, after));
}

#[test]
fn a_row_of_a_newer_release_is_refused_by_name() {
    let directory = made();
    let mut row = format_row(3);
    row[1] = 2;
    let content = row.len() - 4;
    let sum = crc32c::crc32c_append(crc32c::crc32c(b"format"), &row[..content]);
    row.splice(content.., sum.to_be_bytes());
    put_format(directory.path(), row);
    let error = open(directory.path()).unwrap_err();
    assert_eq!(error.to_string(), "row format of `meta-1` was written by a newer release");
}

#[rstest]
#[case::empty("")]
#[case::other("postgres 1\n")]
#[case::no_number("hayloft x\n")]
#[case::negative("hayloft -1\n")]
fn a_format_that_says_nothing_is_no_store(#[case] text: &str) {
    let directory = made();
    std::fs::write(directory.path().join("FORMAT"), text).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error:?}");
}
