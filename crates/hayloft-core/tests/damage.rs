//! A damaged row, of whatever table, is named and stops nothing else: the store opens, lists what
//! is sound, takes changes, works in the background; what is damaged can be deleted and mended.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

#[path = "engine/plain.rs"]
mod plain;
#[path = "engine/remote.rs"]
#[allow(dead_code, reason = "what it counts is for the tests of costs")]
mod remote;
#[path = "engine/shelf.rs"]
mod shelf;
#[path = "engine/temporary.rs"]
mod temporary;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use hayloft_core::{
    Actor, Allow, AuditQuery, Background, Batch, Direction, FeedDraft, FeedTypes, Files, Finding,
    Fs, KeyGrant, LatestQuery, LocalBlobs, Manifests, ManualClock, MetaStore, OpenOptions, Parts,
    PromoteRequest, PromotionQuery, RealFs, RedbOptions, RedbStore, RepackageRequest, Repair,
    Selector, StatusChange, Store, Table, Timestamp, UploadRequest, VerifyLevel, VersionsQuery,
};
use hayloft_feed::FeedType as _;
use hayloft_feed::native::{Change, Edit};
use plain::{Plain, package};
use remote::Remote;
use shelf::SHELF;
use temporary::directory;

/// The day on which everything happens, and one long after it.
const TODAY: i64 = 1_800_000_000_000;
const LATER: i64 = TODAY + 30 * 24 * 60 * 60 * 1000;

/// Every table, and how many kinds of rows are planted in it.
const TABLES: [&str; 35] = [
    "api_key-1",
    "api_key_hash-1",
    "audit-1",
    "blob-1",
    "blob_data-1",
    "by_hash-1",
    "dl-1",
    "facet-1",
    "feed-1",
    "feed_name-1",
    "frag-1",
    "group-1",
    "hist_pkg-1",
    "idx-1",
    "idx_log-1",
    "idx_part-1",
    "idx_state-1",
    "job-1",
    "meta-1",
    "pkg-1",
    "pkg_case-1",
    "promo-1",
    "repack-1",
    "repack_files-1",
    "search-1",
    "search_log-1",
    "secret-1",
    "setting-1",
    "stale-1",
    "stat-1",
    "status-1",
    "subject-1",
    "ver-1",
    "ver_files-1",
    "vid-1",
];

struct Sample(tempfile::TempDir);

fn open_at(directory: &Path, now: i64) -> Store {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    options.cache = 4 << 20;
    options.clock = Arc::new(ManualClock::new(Timestamp::from_millis(now)));
    Store::open(directory, FeedTypes::none().with(SHELF), options).unwrap()
}

fn me() -> Actor {
    Actor::named("tester")
}

fn upload(store: &Store, feed: &str, name: &str, version: &str, distro: Option<u64>, len: usize) {
    let mut request = UploadRequest::default();
    request.hints.extend(distro.map(|distro| ("distro".to_owned(), format!("d{distro}"))));
    let bytes = package(name, version, distro.unwrap_or_default(), len);
    store.upload(feed, &request, &mut bytes.as_slice(), &me()).unwrap();
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

impl Sample {
    fn new() -> Self {
        static MADE: LazyLock<Sample> = LazyLock::new(Sample::make);
        let sample = Self(directory());
        copy(MADE.path(), sample.path());
        sample
    }

    /// A store with rows of each kind, of the damaged kind and of others.
    fn make() -> Self {
        let sample = Self(directory());
        let store = sample.open();
        for name in ["bad", "good", "next"] {
            let mut draft = FeedDraft::new(name, "plain");
            draft.alternates = vec![format!("{name}-too")];
            store.create_feed(draft, &me()).unwrap();
        }
        for feed in ["bad", "good"] {
            upload(&store, feed, "Alpha", "1", None, 100);
            upload(&store, feed, "Alpha", "2", None, 300_000);
            upload(&store, feed, "beta", "1", Some(0), 9_000);
            // Its row in the index takes several.
            upload(&store, feed, "wide", "123456789", None, 10);
            let alpha = |version: &str| Selector::ungrouped("Alpha", version);
            store.promote(feed, &PromoteRequest::new(alpha("1"), "next"), &me()).unwrap();
            store.repackage(feed, &RepackageRequest::new(alpha("2"), "3"), &me()).unwrap();
            let allow = Some(Some(Allow::Never));
            let change = StatusChange { allow, ..StatusChange::default() };
            store.set_status(feed, &alpha("1"), &change, &me()).unwrap();
            store.set_tag(feed, "tag", &alpha("2"), &me()).unwrap();
            store.create_key(KeyGrant::default(), None, &me()).unwrap();
            store.set_setting(feed, Some("value"), &me()).unwrap();
            let file = store.file(feed, &alpha("2")).unwrap();
            store.count_download(file.id).unwrap();
        }
        for number in 0..101 {
            upload(&store, "bad", "many", "1", Some(number), 10);
        }
        let many = Selector::ungrouped("many", "1");
        store.repackage("bad", &RepackageRequest::new(many, "2"), &me()).unwrap();
        store.run_maintenance().unwrap();
        store.refresh("bad", b"signed").unwrap();
        // Left for later: words that are not folded, a subject that is stale, two jobs.
        upload(&store, "bad", "gone", "1", None, 50_000);
        store.delete_version("bad", &Selector::ungrouped("gone", "1"), &me()).unwrap();
        upload(&store, "good", "gone", "1", None, 60_000);
        store.delete_version("good", &Selector::ungrouped("gone", "1"), &me()).unwrap();
        store.close().unwrap();
        sample
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn open(&self) -> Store {
        open_at(self.path(), TODAY)
    }

    fn meta(&self) -> RedbStore {
        let fs: Arc<dyn Fs> = Arc::new(RealFs);
        RedbStore::open(&fs, &self.path().join("meta.redb"), &RedbOptions::default()).unwrap()
    }

    fn rows(&self, table: &'static str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let all = (Bound::Unbounded, Bound::Unbounded);
        let read = self.meta();
        read.snapshot(&[]).unwrap().scan(Table(table), all, Direction::Forward, 100_000).unwrap()
    }

    fn put(&self, table: &'static str, key: Vec<u8>, value: Vec<u8>) {
        let put = vec![(Table(table), key, value)];
        self.meta().commit(&Batch { put, ..Batch::default() }).unwrap();
    }

    /// Keys of one row of each kind that a table holds: kinds differ in the first byte of the value.
    fn kinds(&self, table: &'static str) -> Vec<Vec<u8>> {
        let mut kinds = BTreeMap::new();
        for (key, value) in self.rows(table) {
            // Parts have no kind, and rows of the store itself are each their own.
            let kind = match table {
                "meta-1" => key.clone(),
                "blob_data-1" => Vec::new(),
                _ => value[..1].to_vec(),
            };
            kinds.entry(kind).or_insert(key);
        }
        kinds.into_values().collect()
    }

    /// Flips a bit of a row; the codec's own tests know of every bit and of every cut.
    fn damage(&self, table: &'static str, key: &[u8]) {
        let (_, mut value) = self.rows(table).into_iter().find(|(found, _)| found == key).unwrap();
        let middle = value.len() / 2;
        value[middle] ^= 4;
        self.put(table, key.to_vec(), value);
    }
}

/// Every row that is damaged: one of each kind of each table.
fn planted() -> Vec<(&'static str, Vec<u8>)> {
    let sample = Sample::new();
    let mut all = Vec::new();
    for table in TABLES {
        let kinds = sample.kinds(table);
        assert!(!kinds.is_empty(), "{table} holds nothing");
        all.extend(kinds.into_iter().map(|key| (table, key)));
    }
    all
}

fn shown(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}

/// Reads all lists; none fails, and what is in the sound feed is all there.
fn lists(store: &Store) {
    store.feeds().unwrap();
    store.keys().unwrap();
    store.settings().unwrap();
    for feed in store.feeds().unwrap() {
        let name = &feed.name;
        for package in store.packages(name, None).unwrap() {
            package.unwrap();
        }
        for manifests in [Manifests::Omitted, Manifests::Included] {
            let query = VersionsQuery { manifests, files: Files::All, ..VersionsQuery::default() };
            store.versions(name, &query).unwrap().for_each(|file| drop(file.unwrap()));
            let query = LatestQuery { manifests, ..LatestQuery::default() };
            store.latest(name, &query).unwrap().for_each(|file| drop(file.unwrap()));
        }
        store.facets(name).unwrap();
    }
    store.audit_log(&AuditQuery::default()).unwrap().for_each(|row| drop(row.unwrap()));
    let query = PromotionQuery::default();
    store.promotions(&query).unwrap().for_each(|row| drop(row.unwrap()));
    store.repackagings(&query).unwrap().for_each(|row| drop(row.unwrap()));
    store.promoted_versions(&query).unwrap().for_each(|row| drop(row.unwrap()));
}

/// Changes that have nothing to do with what is damaged.
fn changes(store: &Store, round: u64) {
    let name = format!("fresh{round}");
    let mut draft = FeedDraft::new(&name, "plain");
    draft.alternates = vec![format!("also-{name}")];
    store.create_feed(draft, &me()).unwrap();
    let feed = name.as_str();
    upload(store, feed, "Package", "1", Some(round), 300 + usize::try_from(round).unwrap());
    upload(store, feed, "Package", "2", None, 30_000 + usize::try_from(round).unwrap());
    let selector = Selector::ungrouped("Package", "2");
    store.repackage(feed, &RepackageRequest::new(selector.clone(), "3"), &me()).unwrap();
    let allow = StatusChange { allow: Some(Some(Allow::Never)), ..StatusChange::default() };
    store.set_status(feed, &selector, &allow, &me()).unwrap();
    store.set_tag(feed, "tag", &selector, &me()).unwrap();
    store.count_download(store.file(feed, &selector).unwrap().id).unwrap();
    store.create_key(KeyGrant::default(), None, &me()).unwrap();
    store.set_setting(&name, Some("v"), &me()).unwrap();
    store.delete_version(feed, &selector, &me()).unwrap();
    store.run_maintenance().unwrap();
    let query = VersionsQuery::default();
    assert_eq!(store.versions(feed, &query).unwrap().map(Result::unwrap).count(), 2);
    for file in store.versions(feed, &query).unwrap() {
        let file = file.unwrap();
        let selector =
            Selector::ungrouped("Package", &file.version).with_qualifiers(file.qualifiers.clone());
        let mut download = store.download(feed, &selector).unwrap();
        assert_eq!(std::io::copy(&mut download, &mut std::io::sink()).unwrap(), file.size);
    }
}

fn verify(store: &Store, level: VerifyLevel, repair: Repair) -> Vec<Finding> {
    let mut findings = Vec::new();
    store.verify(level, repair, &mut |finding| findings.push(finding.clone())).unwrap();
    findings
}

/// Plants each row, and collects what does not hold.
fn each(check: fn(&Sample, &str)) {
    let mut failed = Vec::new();
    for (table, key) in planted() {
        let sample = Sample::new();
        sample.damage(table, &key);
        let what = format!("{table} {}", shown(&key));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            check(&sample, &what);
        }));
        if let Err(panic) = outcome {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            failed.push(format!("{what}: {}", text.unwrap_or_default()));
        }
    }
    assert!(failed.is_empty(), "{} of them:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn no_table_is_left_out() {
    // Read with the engine itself, so that a new table has to be listed here.
    let sample = Sample::new();
    let database = redb::Database::open(sample.path().join("meta.redb")).unwrap();
    let mut found: Vec<String> = redb::ReadableDatabase::begin_read(&database)
        .unwrap()
        .list_tables()
        .unwrap()
        .map(|table| redb::TableHandle::name(&table).to_owned())
        .collect();
    found.sort();
    // That of the log, which no reader sees: tests of the log damage it.
    found.retain(|table| table != "log-1");
    assert_eq!(found, TABLES);
}

#[test]
fn no_kind_of_row_is_left_out() {
    // Read in the source, so that a new kind of record has to be in the sample.
    let source = include_str!("../src/records.rs");
    let (_, list) = source.split_once("\nrecords! {").unwrap();
    let (list, _) = list.split_once("\n}").unwrap();
    let known: BTreeMap<u8, &str> = list
        .split(',')
        .filter_map(|line| line.trim().split_once(" => "))
        .map(|(kind, name)| (kind.parse().unwrap(), name))
        .collect();
    assert!(known.len() > 35, "{known:?}");
    let sample = Sample::new();
    let mut missing = known;
    for table in TABLES.into_iter().filter(|table| *table != "blob_data-1") {
        for (_, value) in sample.rows(table) {
            missing.remove(&value[0]);
        }
    }
    assert!(missing.is_empty(), "no row of {missing:?} is planted");
}

#[test]
fn a_store_with_a_damaged_row_opens_lists_takes_changes_and_works_in_the_background() {
    each(|sample, _| {
        let store = sample.open();
        lists(&store);
        changes(&store, 1);
        lists(&store);
        store.run_maintenance().unwrap();
        store.close().unwrap();
        let store = open_at(sample.path(), LATER);
        store.run_maintenance().unwrap();
        lists(&store);
        changes(&store, 2);
    });
}

/// Every file that is listed, with its manifest and the digest of its content.
fn listing(store: &Store) -> Vec<String> {
    let mut lines = Vec::new();
    for feed in store.feeds().unwrap() {
        let query = VersionsQuery {
            manifests: Manifests::Included,
            files: Files::All,
            ..VersionsQuery::default()
        };
        for file in store.versions(&feed.name, &query).unwrap() {
            let file = file.unwrap();
            lines.push(format!(
                "{} {:?} {} {} {} {:?} {:?} {:?} {:?}",
                feed.name,
                feed.alternates,
                file.name,
                file.version,
                file.qualifiers,
                file.file_name,
                file.digests.sha256,
                file.manifest,
                file.documents,
            ));
        }
    }
    lines
}

#[test]
fn what_is_damaged_is_named_and_mended() {
    static SOUND: LazyLock<Vec<String>> = LazyLock::new(|| listing(&Sample::new().open()));
    each(|sample, what| {
        let store = sample.open();
        let found = verify(&store, VerifyLevel::Normal, Repair::No);
        let mended = verify(&store, VerifyLevel::Normal, Repair::Derived);
        if what.starts_with("meta-1") {
            // The store cannot be opened before they are in order.
            assert!(found.is_empty() && mended.is_empty(), "{found:?} {mended:?}");
            let row = store.audit_log(&AuditQuery::default()).unwrap().next().unwrap().unwrap();
            let name = what.split(' ').nth(1).unwrap();
            assert_eq!((row.action.as_str(), row.actor.as_str()), ("repair", "SYSTEM"));
            assert_eq!(row.details, format!(r#"{{"rows":["{name}"]}}"#));
        } else if what.starts_with("blob_data-1") {
            // No other row tells what a content was; whoever has it can send it again.
            assert_eq!((found.len(), mended.len()), (1, 1));
            upload(&store, "bad", "Alpha", "1", None, 100);
        } else {
            assert!(!found.is_empty(), "{what} was not found");
            assert!(mended.iter().all(|finding| finding.repaired), "{mended:#?}");
        }
        assert_eq!(listing(&store), *SOUND);
        let rest = verify(&store, VerifyLevel::Normal, Repair::No);
        assert_eq!(rest, [], "after {mended:#?}");
        lists(&store);
        changes(&store, 1);
        store.close().unwrap();
        let store = open_at(sample.path(), LATER);
        store.run_maintenance().unwrap();
        changes(&store, 2);
        assert_eq!(verify(&store, VerifyLevel::Deep, Repair::No), []);
    });
}

#[test]
fn an_engine_that_is_asked_for_pages_ahead_shows_the_same_damage() {
    let sample = Sample::new();
    // Those of the store itself are mended before anything is read.
    for (table, key) in planted().into_iter().filter(|(table, _)| *table != "meta-1") {
        sample.damage(table, &key);
    }
    for level in [VerifyLevel::Fast, VerifyLevel::Deep] {
        let store = sample.open();
        let found = verify(&store, level, Repair::No);
        store.close().unwrap();
        assert!(found.len() > 30, "{found:#?}");
        let fs: Arc<dyn Fs> = Arc::new(RealFs);
        let mut options = OpenOptions::default();
        options.background = Background::Caller;
        options.free_space_floor = 0;
        let types = FeedTypes::none().with(SHELF);
        let store = Store::open_with(&fs, sample.path(), types, options, |root, _| {
            Ok(Parts {
                fs: fs.clone(),
                meta: Arc::new(Remote { meta: sample.meta(), flights: Arc::default() }),
                blobs: Arc::new(LocalBlobs::open(&fs, &root.join("blobs")).unwrap()),
            })
        });
        let store = store.unwrap();
        assert_eq!(verify(&store, level, Repair::No), found);
        store.close().unwrap();
    }
}

#[test]
fn what_is_damaged_can_be_deleted() {
    each(|sample, what| {
        let store = sample.open();
        for name in ["bad", "good", "next"] {
            // By whichever name the feed is still found.
            let deleted = [name.to_owned(), format!("{name}-too")]
                .iter()
                .any(|name| store.delete_feed(name, &me()).is_ok());
            let gone = store.feeds().unwrap().iter().all(|feed| feed.name != name);
            assert!(deleted || gone, "{name} cannot be deleted");
        }
        for key in 1..=2 {
            store.delete_key(key, &me()).unwrap();
        }
        for name in ["bad", "good"] {
            store.set_setting(name, None, &me()).unwrap();
        }
        store.run_maintenance().unwrap();
        assert!(store.keys().unwrap().is_empty() && store.settings().unwrap().is_empty());
        store.close().unwrap();
        let store = open_at(sample.path(), LATER);
        store.run_maintenance().unwrap();
        verify(&store, VerifyLevel::Fast, Repair::Derived);
        let later = LATER + 30 * 24 * 60 * 60 * 1000;
        store.close().unwrap();
        let store = open_at(sample.path(), later);
        store.run_maintenance().unwrap();
        assert_eq!(verify(&store, VerifyLevel::Deep, Repair::No), []);
        store.close().unwrap();
        // Nothing of the packages is left but what is kept for ever.
        for table in [
            "pkg-1",
            "ver-1",
            "ver_files-1",
            "vid-1",
            "frag-1",
            "status-1",
            "blob-1",
            "blob_data-1",
            "by_hash-1",
            "dl-1",
            "facet-1",
            "stat-1",
            "pkg_case-1",
            "feed-1",
            "feed_name-1",
            "idx-1",
            "idx_part-1",
            "idx_log-1",
            "search-1",
            "search_log-1",
            "secret-1",
            "stale-1",
            "subject-1",
            "idx_state-1",
            "job-1",
            "api_key-1",
            "api_key_hash-1",
        ] {
            assert_eq!(sample.rows(table).len(), 0, "{table} after {what}");
        }
    });
}

/// Changes a bit of each row's key, whose checksum then fits no more.
fn rot_keys(sample: &Sample, rows: &[(&'static str, Vec<u8>)]) {
    for (table, key) in rows {
        let (_, value) = sample.rows(table).into_iter().find(|(found, _)| found == key).unwrap();
        let delete = vec![(Table(table), key.clone())];
        sample.meta().commit(&Batch { delete, ..Batch::default() }).unwrap();
        let mut rotten = key.clone();
        *rotten.last_mut().unwrap() ^= 4;
        sample.put(table, rotten, value);
    }
}

#[test]
fn keys_that_rotted_and_keys_of_no_form_stop_nobody() {
    let sample = Sample::new();
    // Those of the store itself are not looked for under other keys.
    let rows: Vec<_> = planted().into_iter().filter(|(table, _)| *table != "meta-1").collect();
    rot_keys(&sample, &rows);
    for (table, key) in &rows {
        for strange in [vec![0], vec![1, 2], key[1..].to_vec(), [key, &[255; 40][..]].concat()] {
            sample.put(table, strange, b"what is this".to_vec());
        }
    }
    let store = sample.open();
    lists(&store);
    changes(&store, 1);
    let found = verify(&store, VerifyLevel::Normal, Repair::No);
    // What is summed up is told by its feed, the parts of a content have no row of their own.
    let not_by_row = ["meta-1", "blob_data-1", "stat-1", "facet-1"];
    for table in TABLES.into_iter().filter(|table| !not_by_row.contains(table)) {
        let row = format!("of `{table}`");
        assert!(found.iter().any(|finding| finding.text.contains(&row)), "{row} in {found:#?}");
    }
    verify(&store, VerifyLevel::Normal, Repair::Derived);
    lists(&store);
    changes(&store, 2);
    store.close().unwrap();
    let store = open_at(sample.path(), LATER);
    store.run_maintenance().unwrap();
    lists(&store);
}

#[test]
fn names_and_digests_that_lead_nowhere_are_taken_away() {
    let sample = Sample::new();
    let sound = listing(&sample.open());
    let rows: Vec<_> = planted()
        .into_iter()
        .filter(|(table, _)| ["feed_name-1", "api_key_hash-1"].contains(table))
        .collect();
    rot_keys(&sample, &rows);
    let store = sample.open();
    let mended = verify(&store, VerifyLevel::Fast, Repair::Derived);
    assert!(mended.len() >= 2 * rows.len(), "{mended:#?}");
    assert!(mended.iter().all(|finding| finding.repaired), "{mended:#?}");
    assert_eq!(verify(&store, VerifyLevel::Normal, Repair::No), []);
    assert_eq!(listing(&store), sound);
}

#[test]
fn removing_all_versions_goes_past_damage_in_one_commit() {
    let sample = Sample::new();
    let store = sample.open();
    for number in 0..450 {
        upload(&store, "good", "Alpha", &format!("1{number:03}"), None, 1);
    }
    store.close().unwrap();
    let rows = sample.rows("ver-1");
    let damaged = rows.iter().rfind(|(key, _)| key.ends_with(b"1200")).unwrap();
    sample.damage("ver-1", &damaged.0);

    let store = sample.open();
    let version = store.file("good", &Selector::ungrouped("Alpha", "1001")).unwrap();
    let head = store.packages("good", None).unwrap().map(Result::unwrap);
    assert!(head.into_iter().any(|package| package.name == version.name));
    let name = Plain.package_name("", "Alpha").unwrap();
    let edit = Edit::new(name, vec![Change::RemoveAll]);
    let before = store.metrics().commits;
    let edited = store.edit("good", &edit, &me()).unwrap();
    assert_eq!((edited.changed, edited.revision), (true, None));
    assert_eq!(store.metrics().commits, before + 1);
    let mut left = store.packages("good", None).unwrap().map(Result::unwrap);
    assert!(!left.any(|package| package.name == version.name));
    store.close().unwrap();
    assert!(!sample.rows("ver-1").iter().any(|(key, _)| *key == damaged.0));
}
