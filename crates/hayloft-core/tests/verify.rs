//! Verification names every damage by its code, and mends what can be derived.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

#[path = "engine/plain.rs"]
mod plain;

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use hayloft_core::{
    Action, Actor, Allow, AuditQuery, Background, Batch, Direction, FeedDraft, FeedTypes, Finding,
    FindingCode, Fs, KeyGrant, MetaStore, OpenOptions, PromoteRequest, RealFs, RedbOptions,
    RedbStore, RepackageRequest, Repair, Selector, StatusChange, Store, Table, Timestamp,
    UploadRequest, VerifyLevel,
};
use hayloft_feed::{
    FeedType, FeedTypeError, Identity, Inspected, Limits, PackageName, Qualifiers, Repackage,
    Repackaged, Upload, Version,
};
use rstest::rstest;

use FindingCode as Code;
use plain::{Plain, package};

/// A closed store that holds something in every table.
struct Sample {
    directory: tempfile::TempDir,
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    options.cache = 4 << 20;
    options
}

fn upload(store: &Store, feed: &str, name: &str, version: &str, distro: Option<&str>, len: usize) {
    let mut request = UploadRequest::default();
    request.hints.extend(distro.map(|distro| ("distro".to_owned(), distro.to_owned())));
    let content = distro.map_or(0, |distro| distro.trim_start_matches('d').parse().unwrap());
    let bytes = package(name, version, content, len);
    store.upload(feed, &request, &mut bytes.as_slice(), &Actor::api()).unwrap();
}

impl Sample {
    fn new() -> Self {
        static MADE: LazyLock<Sample> = LazyLock::new(Sample::make);
        let sample = Self { directory: tempfile::tempdir().unwrap() };
        copy(MADE.path(), sample.path());
        sample
    }

    fn make() -> Self {
        let sample = Self { directory: tempfile::tempdir().unwrap() };
        let store = sample.open();
        let actor = Actor::api();
        let mut main = FeedDraft::new("main", "plain");
        main.alternates = vec!["first".to_owned()];
        store.create_feed(main, &actor).unwrap();
        store.create_feed(FeedDraft::new("next", "plain"), &actor).unwrap();
        upload(&store, "main", "Alpha", "1", None, 100);
        upload(&store, "main", "Alpha", "2", None, 40_000);
        for number in 0..101 {
            upload(&store, "main", "beta", "1", Some(&format!("d{number}")), 100);
        }
        upload(&store, "main", "gone", "1", None, 40_000);
        let alpha = |version: &str| Selector::ungrouped("Alpha", version);
        store.delete_version("main", &Selector::ungrouped("gone", "1"), &actor).unwrap();
        store.promote("main", &PromoteRequest::new(alpha("1"), "next"), &actor).unwrap();
        store.repackage("main", &RepackageRequest::new(alpha("2"), "3"), &actor).unwrap();
        let change = StatusChange { allow: Some(Some(Allow::Never)), ..StatusChange::default() };
        store.set_status("main", &alpha("1"), &change, &actor).unwrap();
        store.create_key(KeyGrant::default(), None, &actor).unwrap();
        store.set_setting("colour", Some("blue"), &actor).unwrap();
        let file = store.file("main", &alpha("2")).unwrap();
        store.count_download(file.id).unwrap();
        store.close().unwrap();
        sample
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn open(&self) -> Store {
        self.open_as(FeedTypes::none().with(Plain))
    }

    fn open_as(&self, types: FeedTypes) -> Store {
        Store::open(self.path(), types, options()).unwrap()
    }

    /// Changes rows of the closed store.
    fn change(&self, change: impl FnOnce(&RedbStore) -> Batch) {
        let fs: Arc<dyn Fs> = Arc::new(RealFs);
        let meta = RedbStore::open(&fs, &self.path().join("meta.redb"), &RedbOptions::default());
        let meta = meta.unwrap();
        let batch = change(&meta);
        meta.commit(&batch).unwrap();
    }

    /// All files that hold contents, the largest first.
    fn blobs(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for shard in std::fs::read_dir(self.path().join("blobs")).unwrap() {
            for file in std::fs::read_dir(shard.unwrap().path()).unwrap() {
                found.push(file.unwrap().path());
            }
        }
        found.sort_by_key(|path| std::cmp::Reverse(std::fs::metadata(path).unwrap().len()));
        found
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn verify(store: &Store, level: VerifyLevel, repair: Repair) -> Vec<Finding> {
    let mut findings = Vec::new();
    let summary =
        store.verify(level, repair, &mut |finding| findings.push(finding.clone())).unwrap();
    assert_eq!(summary.findings, findings.len() as u64);
    let repaired = findings.iter().filter(|finding| finding.repaired).count();
    assert_eq!(summary.repaired, repaired as u64);
    assert_eq!(summary.is_clean(), findings.iter().all(|finding| finding.repaired));
    assert!(summary.rows > 0);
    findings
}

fn codes(findings: &[Finding]) -> Vec<Code> {
    findings.iter().map(|finding| finding.code).collect()
}

/// Whether a repair puts right what is found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Clean,
    Stays,
}
use Then::{Clean, Stays};

/// Sees exactly `expected`, at all levels from `level` on; then repairs.
fn expect(sample: &Sample, level: VerifyLevel, expected: &[Code], then: Then) {
    let store = sample.open();
    for level in
        [level, VerifyLevel::Deep].into_iter().take(if level == VerifyLevel::Deep { 1 } else { 2 })
    {
        let found = verify(&store, level, Repair::No);
        assert_eq!(codes(&found), expected, "{level:?}: {found:#?}");
        assert!(found.iter().all(|finding| !finding.repaired), "{found:#?}");
    }
    let found = verify(&store, level, Repair::Derived);
    // What leads to a row that was taken away is found as well.
    let mut rest = codes(&found);
    for code in expected {
        let at = rest.iter().position(|found| found == code);
        rest.remove(at.unwrap_or_else(|| panic!("{code:?} in {found:#?}")));
    }
    assert!(rest.is_empty() || then == Clean, "{found:#?}");
    let again = verify(&store, VerifyLevel::Deep, Repair::No);
    match then {
        Clean => {
            assert!(found.iter().all(|finding| finding.repaired), "{found:#?}");
            assert_eq!(again, []);
        }
        Stays => assert_eq!(codes(&again), expected),
    }
}

/// The key of the first fragment of the first version of `Alpha`, but for its part.
fn fragment_of_alpha() -> Vec<u8> {
    let mut key = None;
    Sample::new().change(|meta| {
        key = Some(rows(meta, "frag-1").swap_remove(0).0);
        Batch::default()
    });
    let mut key = key.unwrap();
    assert!(key.starts_with(b"\0\0\0\x01\x01Alpha\0"));
    key.truncate(key.len() - 2);
    key
}

/// The same of a file that the version does not have.
fn fragment_of_another_file() -> Vec<u8> {
    let mut key = fragment_of_alpha();
    key.truncate(key.len() - 5);
    key.extend_from_slice(&[0, 0, 0, 9, 0, 0, 0]);
    key
}

/// All rows of a table.
fn rows(meta: &RedbStore, table: &'static str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let all = (Bound::Unbounded, Bound::Unbounded);
    let found = meta.snapshot(&[]).unwrap().scan(Table(table), all, Direction::Forward, 10_000);
    let found = found.unwrap();
    assert!(!found.is_empty(), "{table}");
    found
}

fn put(table: &'static str, key: Vec<u8>, value: Vec<u8>) -> Batch {
    Batch { put: vec![(Table(table), key, value)], ..Batch::default() }
}

fn delete(table: &'static str, key: Vec<u8>) -> Batch {
    Batch { delete: vec![(Table(table), key)], ..Batch::default() }
}

/// The content of a row, under the checksum that it has below `key`.
fn sealed(key: &[u8], content: &[u8]) -> Vec<u8> {
    let sum = crc32c::crc32c_append(crc32c::crc32c(key), content);
    [content, &sum.to_be_bytes()].concat()
}

/// The content of an entry of an index.
const ENTRY: &[u8] = &[73, 1];
/// Bytes of a moment in a record.
const MOMENT: usize = 9;

/// The content of a small counter.
fn counter(count: u8) -> [u8; 3] {
    [72, 1, 2 * count]
}

fn content(value: &[u8]) -> &[u8] {
    &value[..value.len() - 4]
}

#[rstest]
#[case::fast(VerifyLevel::Fast)]
#[case::normal(VerifyLevel::Normal)]
#[case::deep(VerifyLevel::Deep)]
fn a_sound_store_has_no_finding(#[case] level: VerifyLevel) {
    let sample = Sample::new();
    let store = sample.open();
    assert_eq!(verify(&store, level, Repair::No), []);
    assert_eq!(verify(&store, level, Repair::Derived), []);
    let summary = store.verify(level, Repair::No, &mut |_| {}).unwrap();
    assert!(summary.blobs > 100);
    assert_eq!(summary.bytes > 0, level > VerifyLevel::Fast);
}

#[rstest]
#[case::feed("feed-1", &[Code::Row], Clean)]
#[case::feed_name("feed_name-1", &[Code::Row], Clean)]
#[case::package("pkg-1", &[Code::Row], Clean)]
#[case::version("ver-1", &[Code::Row], Clean)]
#[case::further_files("ver_files-1", &[Code::Row], Clean)]
#[case::version_number("vid-1", &[Code::Row], Clean)]
#[case::fragment("frag-1", &[Code::Row], Clean)]
#[case::status("status-1", &[Code::Row], Clean)]
#[case::facet("facet-1", &[Code::Row], Clean)]
#[case::promotion("promo-1", &[Code::Row], Clean)]
#[case::repackaging("repack-1", &[Code::Row], Clean)]
#[case::audit("audit-1", &[Code::Row], Clean)]
#[case::key("api_key-1", &[Code::Row], Clean)]
#[case::key_digest("api_key_hash-1", &[Code::Row], Clean)]
#[case::setting("setting-1", &[Code::Row], Clean)]
// Who else was to collect the content?
#[case::job("job-1", &[Code::Row, Code::BlobState], Clean)]
fn a_flipped_bit_in_a_row_is_found(
    #[case] table: &'static str,
    #[case] expected: &[Code],
    #[case] then: Then,
) {
    let sample = Sample::new();
    sample.change(|meta| {
        let (key, mut value) = rows(meta, table).swap_remove(0);
        let middle = value.len() / 2;
        value[middle] ^= 4;
        put(table, key, value)
    });
    expect(&sample, VerifyLevel::Fast, expected, then);
}

#[test]
fn a_row_of_a_newer_release_is_found_and_left_alone() {
    for table in ["feed_name-1", "ver-1", "promo-1", "vid-1", "blob-1", "frag-1", "facet-1"] {
        let sample = Sample::new();
        sample.change(|meta| {
            let (key, value) = rows(meta, table).swap_remove(0);
            let mut content = content(&value).to_vec();
            content[1] = 200;
            let value = sealed(&key, &content);
            put(table, key, value)
        });
        expect(&sample, VerifyLevel::Fast, &[Code::NewerRow], Stays);
    }
}

#[rstest]
#[case::feed_name("feed_name-1", Code::FeedRow)]
#[case::number("vid-1", Code::VersionIndex)]
#[case::case("pkg_case-1", Code::CaseIndex)]
#[case::content("blob-1", Code::BlobRow)]
#[case::digest("by_hash-1", Code::HashIndex)]
#[case::facet("facet-1", Code::Facet)]
#[case::totals("stat-1", Code::FeedTotals)]
#[case::history("hist_pkg-1", Code::HistoryIndex)]
#[case::key_digest("api_key_hash-1", Code::KeyIndex)]
#[case::job("job-1", Code::BlobState)]
fn a_missing_derived_row_is_found_and_made_again(
    #[case] table: &'static str,
    #[case] expected: Code,
) {
    let count = {
        let sample = Sample::new();
        let mut count = 0;
        sample.change(|meta| {
            count = rows(meta, table).len();
            Batch::default()
        });
        count
    };
    for at in [0, count - 1] {
        let sample = Sample::new();
        let mut before = Vec::new();
        let mut skipped = false;
        sample.change(|meta| {
            before = rows(meta, table);
            // Garbage needs no row; uses are looked at elsewhere.
            skipped =
                table == "blob-1" && (before[at].0.len() > 32 || !is_used(meta, &before[at].0));
            if skipped { Batch::default() } else { delete(table, before[at].0.clone()) }
        });
        if skipped {
            continue;
        }
        expect(&sample, VerifyLevel::Fast, &[expected], Clean);
        if table != "job-1" && table != "blob-1" {
            sample.change(|meta| {
                let keys = |rows: Vec<(Vec<u8>, Vec<u8>)>| {
                    rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
                };
                assert_eq!(keys(rows(meta, table)), keys(before));
                Batch::default()
            });
        }
    }
}

#[test]
fn maintenance_keeps_a_content_whose_row_is_lost() {
    let sample = Sample::new();
    let file = sample.blobs().into_iter().find(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut lost = false;
        sample.change(|meta| {
            let is_its = |key: &[u8]| data_encoding::HEXLOWER.encode(key).ends_with(&name);
            let mut keys =
                rows(meta, "blob-1").into_iter().map(|(key, _)| key).filter(|key| key.len() == 32);
            match keys.find(|key| is_its(key) && is_used(meta, key)) {
                Some(key) => {
                    lost = true;
                    delete("blob-1", key)
                }
                None => Batch::default(),
            }
        });
        lost
    });
    let file = file.expect("a content that lies in a file and is used");
    let store = sample.open();
    store.run_maintenance().unwrap();
    assert!(file.exists());
    drop(store);
    expect(&sample, VerifyLevel::Fast, &[Code::BlobRow], Clean);
}

fn is_used(meta: &RedbStore, blob: &[u8]) -> bool {
    rows(meta, "blob-1").iter().any(|(key, _)| key.len() > 32 && key.starts_with(blob))
}

#[rstest]
#[case::version("ver-1", &[Code::VersionIndex, Code::BlobUse])]
#[case::further_files("ver_files-1", &[Code::Row])]
#[case::fragment("frag-1", &[Code::Fragment])]
#[case::promotion("promo-1", &[Code::HistoryIndex])]
#[case::audit("audit-1", &[Code::AuditChain])]
#[case::key("api_key-1", &[Code::KeyIndex])]
fn a_missing_row_that_nothing_tells_is_found(
    #[case] table: &'static str,
    #[case] expected: &[Code],
) {
    let sample = Sample::new();
    sample.change(|meta| delete(table, rows(meta, table).swap_remove(0).0));
    let store = sample.open();
    let found = codes(&verify(&store, VerifyLevel::Normal, Repair::No));
    for code in expected {
        assert!(found.contains(code), "{found:?}");
    }
    if table != "ver-1" {
        assert_eq!(found.len(), expected.len(), "{found:?}");
    }
}

#[rstest]
#[case::feed_name("feed_name-1", b"ghost".to_vec(), Code::FeedRow, Clean)]
#[case::number("vid-1", 9_999_u64.to_be_bytes().to_vec(), Code::VersionIndex, Clean)]
#[case::further_files("ver_files-1", [&9_999_u64.to_be_bytes()[..], &[0, 0]].concat(), Code::VersionIndex, Stays)]
#[case::fragment("frag-1", b"\0\0\0\x01\x01Alpha\0ghost\0\0\0\0\0\0\0\0".to_vec(), Code::Fragment, Clean)]
#[case::fragment_of_no_file("frag-1", fragment_of_another_file(), Code::Fragment, Clean)]
#[case::part("frag-1", [&fragment_of_alpha()[..], &[0, 9]].concat(), Code::Row, Clean)]
#[case::status("status-1", b"\0\0\0\x01\x01Alpha\0ghost".to_vec(), Code::Status, Clean)]
#[case::key_digest("api_key_hash-1", vec![7; 32], Code::KeyIndex, Clean)]
#[case::facet("facet-1", b"\0\0\0\x01colour\0red".to_vec(), Code::Facet, Clean)]
#[case::facet_of_no_feed("facet-1", b"\0\0\0\x63colour\0red".to_vec(), Code::FeedRow, Clean)]
fn a_record_that_belongs_to_nothing_is_found(
    #[case] table: &'static str,
    #[case] key: Vec<u8>,
    #[case] expected: Code,
    #[case] then: Then,
) {
    let sample = Sample::new();
    sample.change(|meta| {
        let (_, value) = rows(meta, table).swap_remove(0);
        let value = sealed(&key, content(&value));
        put(table, key, value)
    });
    expect(&sample, VerifyLevel::Fast, &[expected], then);
}

#[rstest]
#[case::case("pkg_case-1", b"\0\0\0\x01\x01x\0\x01X\0", Code::CaseIndex)]
#[case::digest("by_hash-1", &[1; 48], Code::HashIndex)]
#[case::history("hist_pkg-1", b"plain\0\x01x\0\x01\0\0\0\0\0\0\0\x01", Code::HistoryIndex)]
fn an_index_entry_that_leads_nowhere_is_found(
    #[case] table: &'static str,
    #[case] key: &[u8],
    #[case] expected: Code,
) {
    let sample = Sample::new();
    sample.change(|_| put(table, key.to_vec(), sealed(key, ENTRY)));
    expect(&sample, VerifyLevel::Fast, &[expected], Clean);
    let sample = Sample::new();
    sample.change(|meta| {
        let mut entries = rows(meta, table).into_iter();
        let (entry, _) = entries.rfind(|(_, value)| content(value) == ENTRY).unwrap();
        put(table, entry, b"x".to_vec())
    });
    expect(&sample, VerifyLevel::Fast, &[Code::Row], Clean);
    let sample = Sample::new();
    sample.change(|_| put(table, key.to_vec(), b"x".to_vec()));
    expect(&sample, VerifyLevel::Fast, &[Code::Row, expected], Clean);
}

#[test]
fn wrong_totals_are_counted_again() {
    let key = vec![0, 0, 0, 1];
    let totals = |values: &[u8]| sealed(&key, &[&[71, 1], values].concat());
    let right = {
        let sample = Sample::new();
        let mut right = Vec::new();
        sample.change(|meta| {
            right = content(&rows(meta, "stat-1").swap_remove(0).1)[2..].to_vec();
            Batch::default()
        });
        right
    };
    // Packages and versions are numbers of one byte, files one of one too.
    for field in 0..3 {
        let mut wrong = right.clone();
        wrong[field] ^= 2;
        let sample = Sample::new();
        sample.change(|_| put("stat-1", key.clone(), totals(&wrong)));
        expect(&sample, VerifyLevel::Fast, &[Code::FeedTotals], Clean);
    }
    let sample = Sample::new();
    sample.change(|_| put("stat-1", key.clone(), b"damaged".to_vec()));
    expect(&sample, VerifyLevel::Fast, &[Code::Row], Clean);
    let sample = Sample::new();
    let stray = vec![0, 0, 9, 9];
    sample.change(|_| put("stat-1", stray.clone(), sealed(&stray, &[71, 1, 0, 0, 0, 0, 0, 0])));
    expect(&sample, VerifyLevel::Fast, &[Code::FeedRow], Clean);
}

#[test]
fn a_use_that_is_of_no_file_or_cannot_be_read_is_found() {
    /// Kind, version, no qualifiers.
    const USE: &[u8] = &[51, 1, 0];
    let of_nothing = [5; 44];
    let sample = Sample::new();
    sample.change(|_| put("blob-1", of_nothing.to_vec(), sealed(&of_nothing, USE)));
    expect(&sample, VerifyLevel::Fast, &[Code::BlobUse], Clean);
    let sample = Sample::new();
    sample.change(|_| put("blob-1", of_nothing.to_vec(), b"x".to_vec()));
    expect(&sample, VerifyLevel::Fast, &[Code::Row], Clean);
    for (value, expected) in [(b"x".to_vec(), Code::Row), (vec![51, 1, 1, b'x'], Code::BlobUse)] {
        let sample = Sample::new();
        sample.change(|meta| {
            let mut keys = rows(meta, "blob-1").into_iter().map(|(key, _)| key);
            let key = keys.find(|key| key.len() == 44).unwrap();
            let value = if value.len() > 1 { sealed(&key, &value) } else { value.clone() };
            put("blob-1", key, value)
        });
        expect(&sample, VerifyLevel::Fast, &[expected], Clean);
    }
}

#[test]
fn a_use_that_is_missing_or_wrongly_counted_is_found() {
    let first_use = |meta: &RedbStore| {
        let mut keys = rows(meta, "blob-1").into_iter().map(|(key, _)| key);
        keys.find(|key| key.len() == 44).unwrap()
    };
    let sample = Sample::new();
    sample.change(|meta| delete("blob-1", first_use(meta)));
    expect(&sample, VerifyLevel::Fast, &[Code::BlobUse], Clean);
    let sample = Sample::new();
    sample.change(|meta| {
        let used = first_use(meta)[..32].to_vec();
        let (key, value) = rows(meta, "blob-1").into_iter().find(|(key, _)| *key == used).unwrap();
        let mut content = content(&value).to_vec();
        let count = content.len() - 2 * MOMENT - 1;
        content[count] += 1;
        let value = sealed(&key, &content);
        put("blob-1", key, value)
    });
    expect(&sample, VerifyLevel::Fast, &[Code::BlobUse], Clean);
}

#[test]
fn a_content_stays_as_long_as_its_count_or_a_row_says_that_it_is_used() {
    let sample = Sample::new();
    let blob = sample.blobs().remove(0);
    let name = blob.file_name().unwrap().to_str().unwrap().to_owned();
    sample.change(|meta| {
        let is_its = |key: &[u8]| {
            key.len() == 44 && data_encoding::HEXLOWER.encode(&key[..32]).ends_with(&name)
        };
        let mut keys = rows(meta, "blob-1").into_iter().map(|(key, _)| key);
        // The key of the use rots away, and that of another content's comes in its place.
        delete("blob-1", keys.find(|key| is_its(key)).unwrap())
    });
    let store = sample.open();
    let doomed = store
        .versions("main", &hayloft_core::VersionsQuery::default())
        .unwrap()
        .map(Result::unwrap)
        .find(|file| data_encoding::HEXLOWER.encode(&file.digests.blake3).ends_with(&name))
        .unwrap();
    let selector = Selector::ungrouped(&doomed.name, &doomed.version);
    store.delete_version("main", &selector, &Actor::api()).unwrap();
    let mut options = options();
    options.grace = 0;
    drop(store);
    let store = Store::open(sample.path(), FeedTypes::none().with(Plain), options).unwrap();
    store.run_maintenance().unwrap();
    assert!(blob.exists(), "its count still tells of a use");
    let found = verify(&store, VerifyLevel::Fast, Repair::Derived);
    assert_eq!(codes(&found), [Code::BlobState]);
    store.run_maintenance().unwrap();
    assert!(!blob.exists());
    assert_eq!(verify(&store, VerifyLevel::Deep, Repair::No), []);
}

#[test]
fn hashes_of_groups_go_with_the_damaged_row_of_a_content_that_nothing_uses() {
    let sample = Sample::new();
    let store = sample.open();
    upload(&store, "main", "large", "1", None, 600_000);
    store.delete_version("main", &Selector::ungrouped("large", "1"), &Actor::api()).unwrap();
    store.close().unwrap();
    sample.change(|meta| {
        let groups = rows(meta, "group-1").remove(0).0;
        put("blob-1", groups[..32].to_vec(), b"x".to_vec())
    });
    let store = sample.open();
    let found = verify(&store, VerifyLevel::Fast, Repair::Derived);
    assert!(codes(&found).contains(&Code::BlobGroups), "{found:#?}");
    assert!(found.iter().all(|finding| finding.repaired), "{found:#?}");
    assert_eq!(verify(&store, VerifyLevel::Deep, Repair::No), []);
}

#[test]
fn counts_of_downloads_belong_to_files() {
    let sample = Sample::new();
    let key = b"\0\0\0\x01\x01a\0\x01\0\0\0\0\0".to_vec();
    sample.change(|_| put("dl-1", key.clone(), sealed(&key, &counter(9))));
    expect(&sample, VerifyLevel::Fast, &[Code::Downloads], Clean);
    let sample = Sample::new();
    sample.change(|meta| put("dl-1", rows(meta, "dl-1").swap_remove(1).0, vec![1, 2, 3]));
    expect(&sample, VerifyLevel::Fast, &[Code::Row, Code::Downloads], Clean);
}

#[test]
fn sums_of_downloads_are_made_again() {
    let wrong = |meta: &RedbStore, value: Vec<u8>| {
        let sum = rows(meta, "dl-1").swap_remove(0).0;
        assert!(sum.ends_with(b"lpha\0"), "{sum:?}");
        put("dl-1", sum, value)
    };
    let sample = Sample::new();
    sample.change(|meta| wrong(meta, vec![1]));
    expect(&sample, VerifyLevel::Fast, &[Code::Row], Clean);
    sample.change(|meta| {
        let sum = rows(meta, "dl-1").swap_remove(0).0;
        wrong(meta, sealed(&sum, &counter(7)))
    });
    expect(&sample, VerifyLevel::Fast, &[Code::Downloads], Clean);
    sample.change(|meta| delete("dl-1", rows(meta, "dl-1").swap_remove(0).0));
    expect(&sample, VerifyLevel::Fast, &[Code::Downloads], Clean);
    let file = sample.open().file("main", &Selector::ungrouped("Alpha", "2")).unwrap();
    assert_eq!((file.file_downloads, file.package_downloads), (1, 1));
}

#[test]
fn a_package_that_counts_its_versions_wrongly_is_found() {
    let sample = Sample::new();
    sample.change(|meta| {
        let (key, value) = rows(meta, "pkg-1").swap_remove(0);
        let mut content = content(&value).to_vec();
        let at = content.windows(5).position(|word| word == b"Alpha").unwrap() + 5;
        assert_eq!(content[at], 3);
        content[at] = 7;
        let value = sealed(&key, &content);
        put("pkg-1", key, value)
    });
    expect(&sample, VerifyLevel::Fast, &[Code::PackagePointer], Clean);
}

#[test]
fn a_content_in_use_that_counts_as_garbage_is_found() {
    /// Header, length and digests come before the place; the state follows it.
    const PLACE: usize = 2 + 3 + 16 + 20 + 32 + 64;
    let sample = Sample::new();
    sample.change(|meta| {
        let used = |blob: &[u8]| is_used(meta, blob);
        let (key, value) = rows(meta, "blob-1")
            .into_iter()
            .find(|(key, value)| {
                key.len() == 32 && used(key) && value[2] == 251 && value[PLACE..][..2] == [0, 0]
            })
            .unwrap();
        let mut content = content(&value).to_vec();
        // Condemned at the moment zero.
        content[PLACE + 1] = 1;
        content.insert(PLACE + 2, 0);
        let value = sealed(&key, &content);
        put("blob-1", key, value)
    });
    expect(&sample, VerifyLevel::Fast, &[Code::BlobState], Clean);
}

#[test]
fn a_change_of_the_audit_log_is_found() {
    let last = Sample::new();
    last.change(|meta| delete("audit-1", rows(meta, "audit-1").pop().unwrap().0));
    expect(&last, VerifyLevel::Fast, &[Code::AuditChain], Stays);
    let middle = Sample::new();
    middle.change(|meta| delete("audit-1", rows(meta, "audit-1").swap_remove(3).0));
    expect(&middle, VerifyLevel::Fast, &[Code::AuditChain], Stays);
    let text = Sample::new();
    text.change(|meta| {
        let (key, value) = rows(meta, "audit-1").swap_remove(3);
        let mut content = content(&value).to_vec();
        let at = content.windows(3).position(|word| word == b"API").unwrap();
        content[at..at + 3].copy_from_slice(b"Eve");
        let value = sealed(&key, &content);
        put("audit-1", key, value)
    });
    expect(&text, VerifyLevel::Fast, &[Code::AuditChain], Stays);
    let check = text.open().check_audit_log(None).unwrap();
    assert_eq!(check.faults, ["row 4 does not follow from the one before"]);
    let check = middle.open().check_audit_log(None).unwrap();
    assert_eq!(check.faults, ["the rows after 3 and before 5 are missing"]);
}

#[test]
fn a_noted_chain_value_tells_a_log_that_was_written_anew() {
    let sample = Sample::new();
    let store = sample.open();
    let check = store.check_audit_log(None).unwrap();
    assert!(check.rows > 100 && check.last == check.rows && check.fault_count == 0);
    let noted = Some((check.last, check.chain));
    store.set_setting("colour", Some("red"), &Actor::api()).unwrap();
    assert_eq!(store.check_audit_log(noted).unwrap().faults, [""; 0]);
    // Whoever owns the store can chain everything anew, but not to the same value.
    let other = Some((check.last, [7; 32]));
    let fault = format!("row {} is not what it was when its chain value was noted", check.last);
    assert_eq!(store.check_audit_log(other).unwrap().faults, [fault]);
    assert_eq!(store.check_audit_log(Some((9_999, [7; 32]))).unwrap().fault_count, 1);
}

#[test]
fn pages_of_the_audit_log_go_on_where_they_ended() {
    let store = Sample::new().open();
    let all: Vec<u64> =
        store.audit_log(&AuditQuery::default()).unwrap().map(|row| row.unwrap().id).collect();
    assert!(all.is_sorted_by(|a, b| a > b));
    for forward in [false, true] {
        let mut query = AuditQuery { after: forward.then_some(0), ..AuditQuery::default() };
        let mut found = Vec::new();
        loop {
            let page = store.audit_page(&query, 7).unwrap();
            assert!(page.rows.len() <= 7);
            found.extend(page.rows.iter().map(|row| row.id));
            let Some(next) = page.next else { break };
            if forward {
                query.after = Some(next);
            } else {
                query.before = Some(next);
            }
        }
        if forward {
            found.reverse();
        }
        assert_eq!(found, all);
    }
    let of = |set: fn(&mut AuditQuery)| {
        let mut query = AuditQuery::default();
        set(&mut query);
        let page = store.audit_page(&query, 1_000).unwrap();
        page.rows.iter().map(|row| row.action.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of(|query| query.name = Some("GONE".into())), ["delete", "upload"]);
    assert_eq!(of(|query| query.feed = Some("next".into())), ["promote", "feed-create"]);
    assert_eq!(of(|query| query.action = Some(Action::Setting)), ["setting"]);
    assert_eq!(of(|query| query.actor = Some("nobody".into())), [""; 0]);
    assert_eq!(of(|query| query.until = Some(Timestamp::from_millis(0))), [""; 0]);
    assert_eq!(of(|query| query.since = Some(Timestamp::from_millis(0))).len(), all.len());
}

#[test]
fn an_inline_content_that_is_damaged_or_missing_is_found() {
    let flipped = Sample::new();
    flipped.change(|meta| {
        let (key, mut value) = rows(meta, "blob_data-1").swap_remove(0);
        value[20] ^= 1;
        put("blob_data-1", key, value)
    });
    expect(&flipped, VerifyLevel::Normal, &[Code::BlobDigest], Stays);
    let missing = Sample::new();
    missing.change(|meta| delete("blob_data-1", rows(meta, "blob_data-1").swap_remove(0).0));
    expect(&missing, VerifyLevel::Fast, &[Code::BlobMissing], Stays);
    let short = Sample::new();
    short.change(|meta| {
        put("blob_data-1", rows(meta, "blob_data-1").swap_remove(0).0, b"short".to_vec())
    });
    expect(&short, VerifyLevel::Fast, &[Code::BlobSize], Stays);
    let surplus = Sample::new();
    surplus.change(|_| {
        let key = [&9_999_u64.to_be_bytes()[..], &[0, 0]].concat();
        put("blob_data-1", key, b"x".to_vec())
    });
    expect(&surplus, VerifyLevel::Fast, &[Code::BlobOrphan], Clean);
    let kept = std::fs::read_dir(surplus.path().join("quarantine")).unwrap().next().unwrap();
    assert_eq!(std::fs::read(kept.unwrap().path()).unwrap(), b"x");
}

#[rstest]
#[case::missing(Code::BlobMissing, VerifyLevel::Fast)]
#[case::cut(Code::BlobSize, VerifyLevel::Fast)]
#[case::flipped(Code::BlobDigest, VerifyLevel::Normal)]
fn a_damaged_file_is_found_and_healed_by_sending_it_again(
    #[case] expected: Code,
    #[case] level: VerifyLevel,
) {
    let sample = Sample::new();
    let bytes = package("Alpha", "2", 0, 40_000);
    let blob =
        sample.blobs().into_iter().find(|path| std::fs::read(path).unwrap() == bytes).unwrap();
    let mut damaged = bytes.clone();
    damaged[30_000] ^= 1;
    std::fs::remove_file(&blob).unwrap();
    match expected {
        Code::BlobSize => std::fs::write(&blob, &bytes[..100]).unwrap(),
        Code::BlobDigest => std::fs::write(&blob, &damaged).unwrap(),
        _ => {}
    }
    expect(&sample, level, &[expected], Stays);
    let store = sample.open();
    assert!(store.download("main", &Selector::ungrouped("Alpha", "2")).is_err());
    let request = UploadRequest::default();
    store.upload("main", &request, &mut bytes.as_slice(), &Actor::api()).unwrap();
    assert_eq!(verify(&store, VerifyLevel::Deep, Repair::No), []);
    let mut read = Vec::new();
    let mut download = store.download("main", &Selector::ungrouped("Alpha", "2")).unwrap();
    std::io::copy(&mut download, &mut read).unwrap();
    assert_eq!(read, bytes);
}

#[test]
fn a_content_that_was_put_back_is_no_longer_marked() {
    let sample = Sample::new();
    let blob = sample.blobs().remove(0);
    let aside = sample.path().join("blobs").with_file_name("quarantine").join("aside");
    std::fs::rename(&blob, &aside).unwrap();
    expect(&sample, VerifyLevel::Fast, &[Code::BlobMissing], Stays);
    std::fs::rename(&aside, &blob).unwrap();
    expect(&sample, VerifyLevel::Normal, &[Code::BlobDigest], Clean);
}

#[test]
fn files_that_belong_to_nothing_are_found_and_moved_away() {
    let sample = Sample::new();
    let orphan = sample.path().join("blobs/ab").join("cd".repeat(31));
    std::fs::write(&orphan, b"orphan").unwrap();
    expect(&sample, VerifyLevel::Fast, &[Code::BlobOrphan], Clean);
    assert!(!orphan.exists());
    let places = ["blobs/README", "blobs/ab/README", "README"];
    for place in places {
        std::fs::write(sample.path().join(place), place).unwrap();
    }
    expect(&sample, VerifyLevel::Fast, &[Code::StrangeFile; 3], Clean);
    let mut kept: Vec<String> = std::fs::read_dir(sample.path().join("quarantine"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    kept.sort_unstable();
    assert_eq!(kept.len(), 3, "{kept:?}");
}

#[test]
fn nothing_is_taken_away_while_a_version_cannot_be_read() {
    let sample = Sample::new();
    sample.change(|meta| {
        let (key, mut value) = rows(meta, "ver-1").swap_remove(1);
        value[9] ^= 1;
        put("ver-1", key, value)
    });
    let counts = |sample: &Sample| {
        let mut counts = Vec::new();
        sample.change(|meta| {
            for table in ["blob-1", "vid-1", "frag-1", "by_hash-1", "dl-1"] {
                counts.push(rows(meta, table).len());
            }
            Batch::default()
        });
        counts
    };
    let before = counts(&sample);
    // Without its type nothing can be read out of a package file.
    let store = sample.open_as(FeedTypes::none());
    for level in [VerifyLevel::Fast, VerifyLevel::Deep] {
        assert_eq!(codes(&verify(&store, level, Repair::Derived)), [Code::Row]);
    }
    store.close().unwrap();
    drop(store);
    assert_eq!(counts(&sample), before);
    expect(&sample, VerifyLevel::Fast, &[Code::Row], Clean);
}

#[test]
fn verification_runs_beside_uploads_without_false_alarm() {
    let sample = Sample::new();
    let store = sample.open();
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            for version in 10..40 {
                let text = version.to_string();
                upload(&store, "main", "busy", &text, None, 20_000);
                if version % 3 == 0 {
                    let selector = Selector::ungrouped("busy", text);
                    store.delete_version("main", &selector, &Actor::api()).unwrap();
                }
                store.run_maintenance().unwrap();
            }
        });
        loop {
            let at_end = busy.is_finished();
            assert_eq!(verify(&store, VerifyLevel::Normal, Repair::Derived), []);
            if at_end {
                break;
            }
        }
    });
}

/// Reads another name out of each file than it did before.
#[derive(Debug)]
struct Misreading;

impl FeedType for Misreading {
    fn tag(&self) -> &'static str {
        Plain.tag()
    }

    fn remembered_qualifiers(&self) -> &'static [&'static str] {
        Plain.remembered_qualifiers()
    }

    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        Plain.package_name(group, name)
    }

    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        Plain.version(text)
    }

    fn qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        Plain.qualifiers(asked)
    }

    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        let mut inspected = Plain.inspect(upload, limits)?;
        inspected.identity = Identity {
            package: self.package_name("", &format!("{}x", inspected.identity.package.name()))?,
            ..inspected.identity
        };
        Ok(inspected)
    }

    fn repackage(
        &self,
        order: Repackage<'_>,
        limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        Plain.repackage(order, limits)
    }

    fn file_name(&self, identity: &Identity) -> String {
        Plain.file_name(identity)
    }
}

#[test]
fn a_type_that_reads_something_else_is_found_by_the_deepest_look() {
    let sample = Sample::new();
    let store = sample.open_as(FeedTypes::none().with(Misreading));
    assert_eq!(verify(&store, VerifyLevel::Normal, Repair::No), []);
    let found = verify(&store, VerifyLevel::Deep, Repair::No);
    assert_eq!(found.len(), 105, "{found:#?}");
    assert!(found.iter().all(|finding| finding.code == Code::Inspection));
}

#[test]
fn a_repair_leaves_a_row_in_the_audit_log() {
    let sample = Sample::new();
    sample.change(|meta| delete("hist_pkg-1", rows(meta, "hist_pkg-1").swap_remove(0).0));
    let store = sample.open();
    let found = verify(&store, VerifyLevel::Fast, Repair::Derived);
    assert!(found[0].to_string().starts_with("history-index: ") && found[0].repaired);
    let row = store.audit_log(&hayloft_core::AuditQuery::default()).unwrap().next().unwrap();
    let row = row.unwrap();
    assert_eq!((row.action.as_str(), row.actor.as_str()), ("repair", "SYSTEM"));
    assert_eq!(row.details, r#"{"findings":{"history-index":1}}"#);
}
