//! A row of each kind is damaged in a store, and the real server is started on it: it starts, lists
//! all that is sound, names in its log what is not, and deletes it; `hayloft verify` names it, and
//! with `--repair` puts the store right.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use hayloft::engine::{
    Batch, Direction, Fs, MetaStore as _, RealFs, RedbOptions, RedbStore, Table,
};
use hayloft::{
    Actor, Allow, Background, FeedDraft, KeyGrant, OpenOptions, PromoteRequest, RepackageRequest,
    Selector, StatusChange, Store, UploadRequest,
};
use hayloft_testkit::{Package, deb, gem, npm_tgz, upack, wheel};
use hayloft_tests::{Hayloft, Request, Server};
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

/// A kind of record in a table, as a row of which one is damaged.
#[derive(Debug)]
struct Kind {
    record: &'static str,
    table: &'static str,
    /// What makes one, in a feed that has no other damage.
    made_by: fn(&Store, &str),
    /// Where people meet the damage.
    told: Told,
    /// What its owner deletes to be rid of it.
    part_of: Thing,
}

/// Where a damaged row is named first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// In the log, when a server starts or answers lists.
    Log,
    /// By `hayloft verify`: no list reads it, or work in the background makes an end of it.
    Verify,
    /// Nowhere: it is made anew when the store is opened, which the audit log tells.
    Opening,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    /// `Alpha` 1.0.0 of its feed.
    Version,
    Feed,
    Key,
    Setting,
    /// Nothing: it is kept for ever, or is the store's own.
    Store,
}

macro_rules! kinds {
    ($($record:ident $table:literal $made_by:ident $told:ident $part_of:ident,)+) => {
        [$(Kind {
            record: stringify!($record),
            table: $table,
            made_by: $made_by,
            told: Told::$told,
            part_of: Thing::$part_of,
        }),+]
    };
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    Vec::from(kinds! {
        FeedRecord "feed-1" packages Log Feed,
        FeedNameRecord "feed_name-1" packages Log Feed,
        PackageRecord "pkg-1" packages Log Feed,
        EntryRecord "pkg_case-1" gems Verify Feed,
        VersionRecord "ver-1" packages Log Version,
        MoreFilesRecord "ver_files-1" wide Log Feed,
        VersionPlaceRecord "vid-1" packages Verify Version,
        StatusRecord "status-1" packages Log Version,
        FragmentRecord "frag-1" packages Verify Version,
        FragmentPartRecord "frag-1" packages Verify Feed,
        BlobRecord "blob-1" packages Verify Feed,
        UseRecord "blob-1" packages Verify Feed,
        GroupsRecord "group-1" packages Verify Feed,
        Part "blob_data-1" packages Verify Version,
        EntryRecord "by_hash-1" packages Verify Feed,
        PromotionRecord "promo-1" packages Log Store,
        RepackagingRecord "repack-1" packages Verify Store,
        MoreRepackagedRecord "repack_files-1" wide Verify Store,
        EntryRecord "hist_pkg-1" packages Verify Store,
        AuditRecord "audit-1" packages Log Store,
        CounterRecord "dl-1" packages Log Feed,
        TotalsRecord "stat-1" packages Verify Feed,
        FacetRecord "facet-1" debian Verify Feed,
        KeyRecord "api_key-1" key Log Key,
        KeyPlaceRecord "api_key_hash-1" key Log Key,
        SettingRecord "setting-1" setting Log Setting,
        IndexRowRecord "idx-1" packages Verify Feed,
        IndexPartRecord "idx_part-1" wordy Verify Feed,
        IndexStateRecord "idx_state-1" packages Log Feed,
        IndexLogRecord "idx_log-1" gems Verify Feed,
        IndexLinesRecord "idx_log-1" gems Verify Feed,
        SubjectRecord "subject-1" debian Verify Feed,
        SecretRecord "secret-1" debian Verify Feed,
        SearchPackageRecord "search-1" packages Verify Feed,
        SearchTermRecord "search-1" packages Verify Feed,
        SearchCountRecord "search-1" packages Verify Feed,
        CountersRecord "meta-1" nothing Opening Store,
        NumberRecord "meta-1" nothing Opening Store,
        FormatRecord "meta-1" nothing Opening Store,
        LogPositionRecord "meta-1" nothing Opening Store,
        SaltRecord "meta-1" nothing Opening Store,
        // What maintenance makes an end of.
        SearchChangeRecord "search_log-1" packages Verify Feed,
        SubjectRecord "stale-1" unsigned Verify Feed,
        JobRecord "job-1" gone Log Store,
    })
});
/// Tables whose rows go when maintenance runs.
const LEFT_FOR_LATER: [&str; 3] = ["search_log-1", "stale-1", "job-1"];

/// How many stores the kinds are spread over: each starts a server and lists everything.
const STORES: usize = 3;

fn me() -> Actor {
    Actor::named("tester")
}

fn feed(store: &Store, name: &str, tag: &str) {
    store.create_feed(FeedDraft::new(name, tag), &me()).unwrap();
}

fn upload(store: &Store, feed: &str, package: &Package) {
    upload_named(store, feed, &package.file_name(), &package.build());
}

fn upload_named(store: &Store, feed: &str, file_name: &str, mut package: &[u8]) {
    let request =
        UploadRequest { file_name: Some(file_name.to_owned()), ..UploadRequest::default() };
    store.upload(feed, &request, &mut package, &me()).unwrap();
}

fn alpha(version: &str) -> Selector {
    Selector::ungrouped("Alpha", version)
}

/// Makes contents of feeds differ.
fn number_in(name: &str) -> usize {
    name.trim_start_matches("kind").parse().unwrap()
}

fn first_alpha(feed: &str) -> Package {
    upack("", "Alpha", "1.0.0").payload(100 + number_in(feed))
}

/// What most kinds need: versions with contents in rows and in a file, all that can be done to
/// them, and a second package.
fn packages(store: &Store, name: &str) {
    feed(store, name, "universal");
    let other = number_in(name);
    upload(store, name, &first_alpha(name));
    let noise: String = (0..60_000_u32).map(noise).collect();
    let large = upack("", "Alpha", "2.0.0").field("noise", &format!("\"{noise}\""));
    upload(store, name, &large.payload(300_000 + other));
    upload(store, name, &upack("", "Beta", "1.0.0").payload(9_000 + other));
    let next = format!("{name}-next");
    feed(store, &next, "universal");
    store.promote(name, &PromoteRequest::new(alpha("2.0.0"), &next), &me()).unwrap();
    store.repackage(name, &RepackageRequest::new(alpha("2.0.0"), "3.0.0"), &me()).unwrap();
    let blocked = StatusChange { allow: Some(Some(Allow::Never)), ..StatusChange::default() };
    store.set_status(name, &alpha("1.0.0"), &blocked, &me()).unwrap();
    let file = store.file(name, &alpha("2.0.0")).unwrap();
    store.count_download(file.id).unwrap();
}

/// A character of a text that hardly becomes shorter by compression.
fn noise(number: u32) -> char {
    let mixed = number.wrapping_mul(0x9e37_79b9).rotate_left(7).wrapping_mul(0x85eb_ca6b);
    char::from_digit((mixed >> 13) % 36, 36).unwrap()
}

/// A version of more files than a row takes.
fn wide(store: &Store, name: &str) {
    feed(store, name, "pypi");
    for number in 0..101 {
        let file_name = format!("alpha-1.0-cp3{number}-none-any.whl");
        let bytes = wheel("alpha", "1.0").payload(10 + number).build();
        upload_named(store, name, &file_name, &bytes);
    }
    store
        .repackage(name, &RepackageRequest::new(Selector::ungrouped("alpha", "1.0"), "2.0"), &me())
        .unwrap();
}

fn gems(store: &Store, name: &str) {
    feed(store, name, "rubygems");
    for version in ["1.0.0", "2.0.0"] {
        upload(store, name, &gem("Alpha", version, "ruby"));
    }
}

/// An entry of an index that takes more than a row.
fn wordy(store: &Store, name: &str) {
    feed(store, name, "npm");
    let words = |length: usize| format!("\"{}\"", "\u{1f980}".repeat(length / 4));
    let keyword = words(100);
    let package = npm_tgz("alpha", "1.0.0")
        .field("description", &words(4_000))
        .field("keywords", &format!("[{}]", vec![keyword; 50].join(",")))
        .field("license", &words(4_000))
        .field("author", &words(4_000));
    upload(store, name, &package);
}

fn unsigned(store: &Store, name: &str) {
    feed(store, name, "debian");
    for version in ["1.0.0", "2.0.0"] {
        let package = deb("alpha", version, "amd64");
        let mut request =
            UploadRequest { file_name: Some(package.file_name()), ..UploadRequest::default() };
        request.hints.extend([("distro".to_owned(), "stable".to_owned())]);
        store.upload(name, &request, &mut package.build().as_slice(), &me()).unwrap();
    }
}

fn debian(store: &Store, name: &str) {
    unsigned(store, name);
    store.refresh(name, b"stable").unwrap();
}

fn key(store: &Store, name: &str) {
    let grant = KeyGrant { display_name: Some(name.to_owned()), ..KeyGrant::default() };
    store.create_key(grant, None, &me()).unwrap();
}

fn setting(store: &Store, _: &str) {
    store.set_setting("anonymous.access", Some("read"), &me()).unwrap();
}

/// Every store has it.
fn nothing(_: &Store, _: &str) {}

/// Work that is left for later.
fn gone(store: &Store, name: &str) {
    packages(store, name);
    store.delete_version(name, &alpha("3.0.0"), &me()).unwrap();
}

/// A store with a feed for each kind, and the row of that kind.
struct Sample {
    /// Its files by their paths; what is static would leave a directory behind.
    files: Vec<(PathBuf, Vec<u8>)>,
    /// In the order of the kinds.
    rows: Vec<Planted>,
}

#[derive(Debug)]
struct Planted {
    name: String,
    key: Vec<u8>,
}

const ADMIN_KEY: &str = "administrator-of-planted-rows";

/// In memory, where that can be had: a store is opened and closed for each kind.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

fn open(directory: &Path) -> Store {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    hayloft::open_with(directory, options).unwrap()
}

type Rows = BTreeMap<(&'static str, Vec<u8>), Vec<u8>>;

fn meta(store: &Path) -> RedbStore {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    RedbStore::open(&fs, &store.join("meta.redb"), &RedbOptions::default()).unwrap()
}

fn rows(store: &Path) -> Rows {
    let meta = meta(store);
    let read = meta.snapshot(&[]).unwrap();
    let all = || (Bound::Unbounded, Bound::Unbounded);
    let mut rows = Rows::new();
    for kind in KINDS.iter() {
        let found = read.scan(Table(kind.table), all(), Direction::Forward, 1 << 20).unwrap();
        rows.extend(found.into_iter().map(|(key, value)| ((kind.table, key), value)));
    }
    rows
}

/// Numbers of the records, by the source, so that a new one has to be in the table.
fn records() -> BTreeMap<String, u8> {
    let source = include_str!("../../crates/hayloft-core/src/records.rs");
    let (_, list) = source.split_once("\nrecords! {").unwrap();
    let (list, _) = list.split_once("\n}").unwrap();
    list.split(',')
        .filter_map(|line| line.trim().split_once(" => "))
        .map(|(number, name)| (name.to_owned(), number.parse().unwrap()))
        .collect()
}

impl Sample {
    fn make() -> Self {
        let directory = directory();
        let place = directory.path().join("store");
        let store = open(&place);
        let grant = KeyGrant {
            kind: "system".to_owned(),
            system_apis: vec!["full-control".to_owned()],
            ..KeyGrant::default()
        };
        store.create_key(grant, Some(ADMIN_KEY), &me()).unwrap();
        store.close().unwrap();
        let records = records();
        let mut planted = Vec::new();
        let mut before = rows(&place);
        for (number, kind) in KINDS.iter().enumerate() {
            let name = format!("kind{number}");
            let store = open(&place);
            (kind.made_by)(&store, &name);
            if !LEFT_FOR_LATER.contains(&kind.table) {
                store.run_maintenance().unwrap();
            }
            store.close().unwrap();
            let after = rows(&place);
            let wanted = records.get(kind.record);
            let row = after.iter().find(|((table, key), value)| {
                *table == kind.table
                    && wanted.is_none_or(|wanted| value[0] == *wanted)
                    && (kind.table == "meta-1" || !before.contains_key(&(*table, key.clone())))
            });
            let ((_, key), _) =
                row.unwrap_or_else(|| panic!("no {} in {}", kind.record, kind.table));
            planted.push(Planted { name, key: key.clone() });
            before = after;
        }
        let mut files = Vec::new();
        read_all(&place, Path::new(""), &mut files);
        Self { files, rows: planted }
    }
}

static SAMPLE: LazyLock<Sample> = LazyLock::new(Sample::make);

/// What the lists of the sample show before anything is damaged.
static SOUND: LazyLock<Lists> = LazyLock::new(|| {
    let damaged = Damaged::store(&[]);
    let (server, _) = damaged.serve();
    lists(&server)
});

/// A copy of the sample with some of its rows damaged.
struct Damaged {
    directory: TempDir,
    kinds: Vec<(&'static Kind, &'static Planted)>,
}

/// All files below a directory, by their paths in it.
fn read_all(root: &Path, below: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs_err::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            read_all(root, &path, files);
        } else {
            files.push((path, fs_err::read(entry.path()).unwrap()));
        }
    }
}

impl Damaged {
    fn store(kinds: &[usize]) -> Self {
        let sample = &*SAMPLE;
        let directory = directory();
        let place = directory.path().join("store");
        for (path, bytes) in &sample.files {
            let path = place.join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, bytes).unwrap();
        }
        let kinds: Vec<_> =
            kinds.iter().map(|&number| (&KINDS[number], &sample.rows[number])).collect();
        let found = rows(&place);
        let mut batch = Batch::default();
        for (kind, planted) in &kinds {
            let mut value = found
                .get(&(kind.table, planted.key.clone()))
                .unwrap_or_else(|| panic!("{} of {} is gone", kind.record, kind.table))
                .clone();
            let middle = value.len() / 2;
            value[middle] ^= 4;
            batch.put.push((Table(kind.table), planted.key.clone(), value));
        }
        meta(&place).commit(&batch).unwrap();
        Self { directory, kinds }
    }

    /// Every so manieth kind, from one of them on.
    fn part(first: usize) -> Self {
        Self::store(&(first..KINDS.len()).step_by(STORES).collect::<Vec<_>>())
    }

    fn told(&self, told: Told) -> impl Iterator<Item = &(&'static Kind, &'static Planted)> {
        self.kinds.iter().filter(move |(kind, _)| kind.told == told)
    }

    /// True for a list that shows something of what is damaged.
    fn concerns(&self, target: &str) -> bool {
        !target.starts_with("/api/packages/")
            || self.kinds.iter().any(|(_, planted)| {
                let mut parts = target.split(['/', '-']);
                parts.any(|part| part == planted.name)
            })
    }

    fn place(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// A server on it, and where its log is.
    fn serve(&self) -> (Server, PathBuf) {
        let log = self.directory.path().join("log");
        (Server::open(&self.place(), ADMIN_KEY, &log), log)
    }

    /// How `hayloft verify` ends, and what it finds.
    fn verify(&self, options: &[&str]) -> (Option<i32>, Vec<Value>) {
        let (code, findings, _) = self.verify_aloud(options);
        (code, findings)
    }

    /// The same with what it logs: it does what waits to be done before it looks.
    fn verify_aloud(&self, options: &[&str]) -> (Option<i32>, Vec<Value>, String) {
        let program = Hayloft::on_store(&self.place());
        let ran = program.run(["verify", "--json"].iter().chain(options));
        let told: Value =
            serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        (ran.code(), told["findings"].as_array().unwrap().clone(), ran.stderr)
    }
}

/// A row as messages name it, as far as they show all of it.
fn shown(kind: &Kind, planted: &Planted) -> (String, String) {
    let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let key = if planted.key.iter().all(printable) {
        String::from_utf8(planted.key.clone()).unwrap()
    } else {
        data_encoding::HEXLOWER.encode(&planted.key)
    };
    (format!("row {}", key.get(..40).unwrap_or(&key)), format!("of `{}`", kind.table))
}

fn names(text: &str, kind: &Kind, planted: &Planted) -> bool {
    let (row, table) = match kind.table {
        // What is summed up is told by its feed, what belongs to a content with it.
        "stat-1" | "facet-1" => (format!("of feed `{}`", planted.name), "does not fit".to_owned()),
        "group-1" => {
            let content = data_encoding::HEXLOWER.encode(&planted.key[..32]);
            (format!("content {content}"), "groups".to_owned())
        }
        "blob_data-1" => ("content".to_owned(), "digest".to_owned()),
        _ => shown(kind, planted),
    };
    text.lines().any(|line| line.contains(&row) && line.contains(&table))
}

impl Drop for Damaged {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs_err::read_to_string(self.directory.path().join("log"));
            eprintln!("the server's log:\n{}", log.unwrap_or_default());
        }
    }
}

type Lists = BTreeMap<String, Value>;

/// Everything that lists show; each is answered.
fn lists(server: &Server) -> Lists {
    let mut lists = Lists::new();
    let mut ask = |target: String| {
        let mut list = server.get(&target).json();
        forget_what_differs(&mut list);
        lists.insert(target, list);
    };
    for target in ["promotions/list", "api-keys/list", "settings/list", "audit?count=1000"] {
        ask(format!("/api/{target}"));
    }
    ask("/api/management/feeds/list".to_owned());
    for feed in server.list("/api/management/feeds/list") {
        let feed = feed["name"].as_str().unwrap();
        for list in ["versions", "latest"] {
            ask(format!("/api/packages/{feed}/{list}"));
        }
        ask(format!("/api/packages/{feed}"));
    }
    lists
}

fn forget_what_differs(list: &mut Value) {
    match list {
        Value::Array(entries) => entries.iter_mut().for_each(forget_what_differs),
        Value::Object(members) => {
            // The server has another port each time.
            members.retain(|name, _| {
                !name.to_lowercase().contains("downloads") && name != "endpointUrl"
            });
            members.values_mut().for_each(forget_what_differs);
        }
        _ => {}
    }
}

#[test]
fn no_kind_of_record_and_no_table_is_left_out() {
    let known: BTreeSet<String> = records().into_keys().chain(["Part".to_owned()]).collect();
    let planted: BTreeSet<String> = KINDS.iter().map(|kind| kind.record.to_owned()).collect();
    assert_eq!(planted, known);
    let source = include_str!("../../crates/hayloft-core/src/tables.rs");
    let tables: BTreeSet<&str> =
        source.split("= Table(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let planted: BTreeSet<&str> = KINDS.iter().map(|kind| kind.table).collect();
    assert_eq!(planted, tables);
}

#[rstest]
fn a_server_starts_lists_and_deletes_what_is_damaged(#[values(0, 1, 2)] part: usize) {
    let damaged = Damaged::part(part);
    let (server, log) = damaged.serve();
    let found = lists(&server);
    let log = fs_err::read_to_string(log).unwrap();
    for (kind, planted) in damaged.told(Told::Log) {
        assert!(names(&log, kind, planted), "{kind:?} {planted:?} is not named in\n{log}");
    }
    for (target, sound) in SOUND.iter().filter(|(target, _)| !damaged.concerns(target)) {
        assert_eq!(found.get(target), Some(sound), "{target}");
    }
    let lost = |target: &str, table: &str| {
        let entries = |lists: &Lists| lists[target].as_array().unwrap().len();
        let planted = damaged.kinds.iter().filter(|(kind, _)| kind.table == table).count();
        assert_eq!(entries(&found), entries(&SOUND) - planted, "{target}");
    };
    lost("/api/api-keys/list", "api_key-1");
    lost("/api/management/feeds/list", "feed-1");

    for (kind, planted) in &damaged.kinds {
        delete(&server, kind, planted);
    }
    let found = lists(&server);
    for (kind, Planted { name, .. }) in &damaged.kinds {
        let names = |target: &str| found[target].to_string().contains(&format!("\"{name}\""));
        let left = match kind.part_of {
            Thing::Feed => names("/api/management/feeds/list"),
            Thing::Key => names("/api/api-keys/list"),
            Thing::Version => found[&format!("/api/packages/{name}/versions")]
                .as_array()
                .unwrap()
                .iter()
                .any(|entry| entry["name"] == "Alpha" && entry["version"] == "1.0.0"),
            Thing::Setting | Thing::Store => false,
        };
        assert!(!left, "{kind:?} is still listed");
    }
    server.create_feed("fresh", "universal");
    let package = upack("", "fresh", "1.0.0").payload(50_000).build();
    server.upload("fresh", package.clone());
    let download = server.get("/api/packages/fresh/download?name=fresh&version=1.0.0");
    assert_eq!(download.body, package);
    drop(server);
    // What is kept for ever, or shared, is still to be mended.
    let (code, findings) = damaged.verify(&["--repair"]);
    assert_eq!(code, Some(0), "{findings:#?}");
    assert_eq!(damaged.verify(&[]), (Some(0), Vec::new()));
}

/// Deletes what a damaged row is a part of.
fn delete(server: &Server, kind: &Kind, Planted { name, key }: &Planted) {
    let feed = |name: &str| format!("/api/management/feeds/delete/{name}");
    let targets = match kind.part_of {
        Thing::Version => {
            vec![format!("/api/packages/{name}/delete?name=Alpha&version=1.0.0")]
        }
        // Contents are used by what was promoted, too.
        Thing::Feed if kind.made_by as usize == packages as fn(&Store, &str) as usize => {
            vec![feed(name), feed(&format!("{name}-next"))]
        }
        Thing::Feed => vec![feed(name)],
        Thing::Key => {
            let listed = server.list("/api/api-keys/list");
            let listed = listed.iter().find(|key| key["displayName"] == **name);
            let number = || u64::from_be_bytes(*key.first_chunk().unwrap());
            let id = listed.map_or_else(number, |key| key["id"].as_u64().unwrap());
            vec![format!("/api/api-keys/delete?id={id}")]
        }
        Thing::Setting => vec!["/api/settings/set?name=anonymous.access&value=".to_owned()],
        Thing::Store => Vec::new(),
    };
    for target in targets {
        server.send(Request::post(&target)).expect(200);
    }
}

#[rstest]
fn what_is_damaged_is_named_and_repaired(#[values(0, 1, 2)] part: usize) {
    let damaged = Damaged::part(part);
    let (code, findings, mut text) = damaged.verify_aloud(&[]);
    assert_eq!(code, Some(1));
    text.extend(findings.iter().map(|found| format!("{}\n", found["text"])));
    for (kind, planted) in damaged.told(Told::Verify) {
        assert!(names(&text, kind, planted), "{kind:?} {planted:?} is not named in\n{text}");
    }
    let (code, findings) = damaged.verify(&["--repair"]);
    let lost: Vec<&Value> = findings.iter().filter(|found| found["repaired"] == false).collect();
    let content = damaged.kinds.iter().find(|(kind, _)| kind.table == "blob_data-1");
    let (mut server, _) = damaged.serve();
    if let Some((_, planted)) = content {
        // No other row tells what it was: whoever has it sends it again.
        assert_eq!((code, lost.len()), (Some(1), 1), "{findings:#?}");
        assert_eq!(lost[0]["code"], "blob-digest");
        server.upload(&planted.name, first_alpha(&planted.name).build());
    } else {
        assert_eq!((code, lost.len()), (Some(0), 0), "{findings:#?}");
    }
    let found = lists(&server);
    for (target, sound) in &*SOUND {
        let found = found.get(target).unwrap_or_else(|| panic!("{target} is missing"));
        if !damaged.concerns(target) {
            assert_eq!(found, sound, "{target}");
        } else if target.ends_with("/versions") {
            assert_eq!(identities(found), identities(sound), "{target}");
        }
    }
    let audit = server.get("/api/audit?action=repair");
    let audit = audit.text();
    for (kind, planted) in damaged.told(Told::Opening) {
        let row = String::from_utf8(planted.key.clone()).unwrap();
        assert!(audit.contains(&format!("\"{row}\"")), "{kind:?} {row} is not in {audit}");
    }
    server.kill();
    assert_eq!(damaged.verify(&[]), (Some(0), Vec::new()));
}

/// What a repair brings back whatever was lost.
fn identities(versions: &Value) -> Vec<String> {
    let properties = ["name", "version", "qualifier", "size", "sha512"];
    let entries = versions.as_array().unwrap().iter();
    entries.map(|entry| properties.map(|name| entry[name].to_string()).join(" ")).collect()
}
