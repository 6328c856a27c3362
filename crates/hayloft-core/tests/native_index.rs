//! What a feed type derives for its native index: held against a feed in memory, through folding,
//! building anew and crashes of the type.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

#[path = "engine/plain.rs"]
mod plain;
#[path = "engine/shelf.rs"]
mod shelf;

use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::Arc;

use hayloft_core::{
    Actor, Background, Batch, Direction, EditError, FeedDraft, FeedTypes, Fs, ManualClock,
    MetaStore, OpenOptions, RealFs, RedbOptions, RedbStore, RepackageRequest, Repair, Selector,
    Store, Table, Timestamp, UploadRequest, VerifyLevel,
};
use hayloft_feed::native::{Change, Edit, FeedView, ListingChange, SearchQuery, ViewError, Want};
use hayloft_feed::{Deprecation, FeedType};
use hayloft_testkit::MemoryFeed;
use proptest::prelude::*;

use plain::{Plain, package};
use shelf::{SHELF, Shelf};

fn me() -> Actor {
    Actor::named("tester")
}

struct Shelves {
    store: Store,
    clock: Arc<ManualClock>,
    _directory: Option<tempfile::TempDir>,
}

fn open(directory: &Path, shelf: Shelf) -> (Store, Arc<ManualClock>) {
    let mut options = OpenOptions::default();
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_767_323_045_000)));
    options.background = Background::Caller;
    options.clock = clock.clone();
    (Store::open(directory, FeedTypes::none().with(shelf), options).unwrap(), clock)
}

impl Shelves {
    fn new(shelf: Shelf) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (store, clock) = open(directory.path(), shelf);
        store.create_feed(FeedDraft::new("feed", "plain"), &me()).unwrap();
        Self { store, clock, _directory: Some(directory) }
    }

    fn upload(&self, name: &str, version: &str) {
        let bytes = package(name, version, 7, 100);
        let request = UploadRequest::default();
        self.store.upload("feed", &request, &mut bytes.as_slice(), &me()).unwrap();
    }

    fn edit(&self, name: &str, changes: Vec<Change>) -> Result<hayloft_core::Edited, EditError> {
        let edit = Edit::new(Plain.package_name("", name).unwrap(), changes);
        self.store.edit("feed", &edit, &me())
    }

    /// Codes of what verify finds.
    fn found(&self, repair: Repair) -> Vec<String> {
        let mut found = Vec::new();
        let mut report =
            |finding: &hayloft_core::Finding| found.push(finding.code.as_str().to_owned());
        self.store.verify(VerifyLevel::Normal, repair, &mut report).unwrap();
        found
    }

    fn seen(&self) -> Seen {
        seen(&self.store.native_view("feed").unwrap().view())
    }
}

/// MD5 and SHA-256 of a log.
type Digests = ([u8; 16], [u8; 32]);

/// All that can be read of an index.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    logs: Vec<(String, Option<Digests>, Vec<u8>)>,
    found: Vec<(u64, Vec<String>)>,
    versions: Vec<String>,
}

const NAMES: [&str; 4] = ["a", "a-b", "b-a", "json-tool"];

fn seen(view: &dyn FeedView) -> Seen {
    let mut rows = Vec::new();
    view.rows(b"", None, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })
    .unwrap();
    for (key, value) in &rows {
        assert_eq!(view.row(key).unwrap().as_ref(), Some(value));
    }
    let logs = NAMES.map(|name| format!("info/{name}")).into_iter().chain(["events".to_owned()]);
    let logs = logs
        .map(|name| {
            let mut bytes = Vec::new();
            view.read_log(name.as_bytes(), &mut |part| {
                bytes.extend_from_slice(part);
                ControlFlow::Continue(())
            })
            .unwrap();
            let head = view.log(name.as_bytes()).unwrap();
            (name, head.map(|head| (head.md5, head.sha256)), bytes)
        })
        .collect();
    let found = [&["a"][..], &["b"], &["js"], &["a", "b"], &["tool", "json-"], &["none"], &[]]
        .into_iter()
        .flat_map(|words| [(words, 0), (words, 1)])
        .map(|(words, flags)| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let page = view.search(&SearchQuery::new(&words, 10).flags(flags)).unwrap();
            let names = page.packages.iter().map(|head| head.name.name().to_owned());
            (page.total, names.collect())
        })
        .collect();
    let mut versions = Vec::new();
    view.packages(None, &mut |head| {
        versions.push(format!("{} {}", head.name.name(), head.versions));
        view.versions(head.name.key(), &Want::everything(), &mut |entry| {
            let fragments: Vec<_> =
                entry.fragments.iter().map(|found| (found.kind, found.bytes.len())).collect();
            let files: Vec<_> = entry.files.iter().map(|file| &file.file_name).collect();
            versions.push(format!("{} {:?} {fragments:?} {files:?}", entry.text, entry.status));
            ControlFlow::Continue(())
        })
        .unwrap();
        ControlFlow::Continue(())
    })
    .unwrap();
    Seen { rows, logs, found, versions }
}

#[derive(Debug, Clone)]
enum Step {
    Upload(usize, u8),
    List(usize, u8, bool),
    Remove(usize, u8),
    RemoveAll(usize),
    Fold,
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    prop_oneof![
        4 => (name.clone(), 1..5_u8).prop_map(|(name, version)| Step::Upload(name, version)),
        2 => (name.clone(), 1..5_u8, any::<bool>())
            .prop_map(|(name, version, listed)| Step::List(name, version, listed)),
        1 => (name.clone(), 1..5_u8).prop_map(|(name, version)| Step::Remove(name, version)),
        1 => name.prop_map(Step::RemoveAll),
        1 => Just(Step::Fold),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn a_store_derives_what_a_feed_in_memory_does(steps in proptest::collection::vec(step(), 1..24)) {
        let shelves = Shelves::new(SHELF);
        let mut memory = MemoryFeed::new(Arc::new(SHELF), "feed");
        for step in steps {
            let version = |version: u8| Plain.version(&version.to_string()).unwrap();
            let (name, changes) = match step {
                Step::Upload(name, version) => {
                    shelves.upload(NAMES[name], &version.to_string());
                    memory.upload("x", &package(NAMES[name], &version.to_string(), 7, 100));
                    continue;
                }
                Step::Fold => {
                    shelves.store.run_maintenance().unwrap();
                    continue;
                }
                Step::List(name, at, listed) => {
                    let change = if listed { ListingChange::List } else { ListingChange::Unlist };
                    (name, vec![Change::List(version(at), change)])
                }
                Step::Remove(name, at) => (name, vec![Change::Remove(version(at), None)]),
                Step::RemoveAll(name) => (name, vec![Change::RemoveAll]),
            };
            let edit = Edit::new(Plain.package_name("", NAMES[name]).unwrap(), changes.clone());
            let expected = memory.edit(&edit);
            let got = shelves.edit(NAMES[name], changes);
            prop_assert_eq!(got.is_ok(), expected.is_ok(), "{:?} {:?}", got, expected);
        }
        memory.assert_rebuilds_equally();
        prop_assert_eq!(shelves.seen(), seen(&memory));
        // Folded or not, it is what is derived again.
        prop_assert_eq!(shelves.found(Repair::No), Vec::<String>::new());
        shelves.store.run_maintenance().unwrap();
        prop_assert_eq!(shelves.seen(), seen(&memory));
        prop_assert_eq!(shelves.found(Repair::No), Vec::<String>::new());
    }
}

/// Whether the row of a key is to go.
type Goes<'a> = &'a dyn Fn(&[u8]) -> bool;

/// Takes away the first such row of a table.
fn take(directory: &Path, table: &'static str, goes: Goes<'_>) {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let meta = RedbStore::open(&fs, &directory.join("meta.redb"), &RedbOptions::default()).unwrap();
    let all = (Bound::Unbounded, Bound::Unbounded);
    let rows = meta.snapshot(&[]).unwrap().scan(Table(table), all, Direction::Forward, 1_000);
    let row = rows.unwrap().into_iter().find(|(key, _)| goes(key));
    let (key, _) = row.unwrap_or_else(|| panic!("no such row in {table}"));
    let delete = vec![(Table(table), key)];
    meta.commit(&Batch { delete, ..Batch::default() }).unwrap();
}

#[test]
fn verify_finds_what_is_missing_in_an_index_and_builds_it_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), SHELF);
    store.create_feed(FeedDraft::new("feed", "plain"), &me()).unwrap();
    let mut shelves = Shelves { store, clock: Arc::default(), _directory: None };
    for name in NAMES {
        shelves.upload(name, "1");
        shelves.upload(name, "2");
        // More than a row holds.
        shelves.upload(name, "3");
    }
    shelves.store.run_maintenance().unwrap();
    // A word ends at the first NUL, the key of a package's name in another.
    let words = |key: &[u8], nuls: usize| {
        key[4] == 2 && key[5] != 0 && key[5..].split(|byte| *byte == 0).count() == nuls + 1
    };
    let (counts, is_term) = (|key: &[u8]| words(key, 1), |key: &[u8]| words(key, 2));
    let losses: [(&'static str, Goes<'_>); 7] = [
        ("idx-1", &|_| true),
        ("idx_part-1", &|_| true),
        // The head of a log: four bytes of the feed, two of its length, the name.
        ("idx_log-1", &|key| key.len() == 6 + usize::from(key[5]) && key[6..].starts_with(b"info")),
        ("search_log-1", &|_| true),
        ("search-1", &|key| key[4] == 1),
        ("search-1", &is_term),
        ("search-1", &counts),
    ];
    for (number, (table, goes)) in losses.into_iter().enumerate() {
        // Something that is not folded yet.
        shelves.upload(&format!("late{number}"), "1");
        let Seen { rows, found, versions, .. } = shelves.seen();
        shelves.store.close().unwrap();
        drop(shelves);
        take(directory.path(), table, goes);
        let (store, _) = open(directory.path(), SHELF);
        shelves = Shelves { store, clock: Arc::default(), _directory: None };
        let told = shelves.found(Repair::No);
        assert!(told.contains(&"native-index".to_owned()), "{table}: {told:?}");
        assert!(shelves.found(Repair::Derived).contains(&"native-index".to_owned()));
        assert_eq!(shelves.found(Repair::No), Vec::<String>::new(), "{table}");
        let after = shelves.seen();
        assert_eq!((after.rows, after.found, after.versions), (rows, found, versions), "{table}");
    }
}

#[test]
fn what_is_promoted_and_repackaged_is_in_the_index() {
    let shelves = Shelves::new(SHELF);
    shelves.store.create_feed(FeedDraft::new("next", "plain"), &me()).unwrap();
    shelves.upload("a", "1");
    let asked = RepackageRequest::new(Selector::ungrouped("a", "1"), "2");
    shelves.store.repackage("feed", &asked, &me()).unwrap();
    let promote = hayloft_core::PromoteRequest::new(Selector::ungrouped("a", "2"), "next");
    shelves.store.promote("feed", &promote, &me()).unwrap();
    let row = |feed: &str| {
        let native = shelves.store.native_view(feed).unwrap();
        let view = native.view();
        view.row(b"a").unwrap()
    };
    assert_eq!(row("feed").unwrap(), b"1\n2\n".repeat(4_000));
    assert_eq!(row("next").unwrap(), b"2\n".repeat(4_000));
}

#[test]
fn an_index_of_other_rules_is_built_anew_and_says_so_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), SHELF);
    store.create_feed(FeedDraft::new("feed", "plain"), &me()).unwrap();
    let shelves = Shelves { store, clock: Arc::default(), _directory: None };
    for name in NAMES {
        for version in ["2", "10", "1"] {
            shelves.upload(name, version);
        }
    }
    shelves
        .edit("a", vec![Change::List(Plain.version("2").unwrap(), ListingChange::Unlist)])
        .unwrap();
    shelves.store.run_maintenance().unwrap();
    let Seen { rows, found, versions, .. } = shelves.seen();
    drop(shelves);

    let (store, _) = open(directory.path(), Shelf { revision: 2, ..SHELF });
    let shelves = Shelves { store, clock: Arc::default(), _directory: None };
    let view = shelves.store.native_view("feed").unwrap();
    assert!(matches!(view.view().row(b"a"), Err(ViewError::Rebuilding { .. })));
    // What needs no row of the index goes on.
    let key = Plain.package_name("", "a").unwrap();
    assert_eq!(view.view().package(key.key()).unwrap().unwrap().versions, 3);
    drop(view);
    // A change meanwhile is in it, too.
    shelves.upload("a", "11");
    shelves.edit("a", vec![Change::Remove(Plain.version("11").unwrap(), None)]).unwrap();
    shelves.store.run_maintenance().unwrap();
    let after = shelves.seen();
    assert_eq!((after.rows, after.found, after.versions), (rows, found, versions));
}

#[test]
fn maintenance_lets_a_type_begin_its_logs_anew() {
    let shelves = Shelves::new(Shelf { tidies: true, ..SHELF });
    let events = || {
        let view = shelves.store.native_view("feed").unwrap();
        let mut bytes = Vec::new();
        view.view()
            .read_log(b"events", &mut |part| {
                bytes.extend_from_slice(part);
                ControlFlow::Continue(())
            })
            .unwrap();
        let head = view.view().log(b"events").unwrap().unwrap();
        (head.generation, String::from_utf8(bytes).unwrap())
    };
    shelves.upload("a", "1");
    shelves.store.run_maintenance().unwrap();
    let (first, text) = events();
    assert_eq!(text, "a 1\n");
    // Who reads goes on with what there was.
    let reader = shelves.store.native_view("feed").unwrap();
    for version in ["2", "3", "4", "5", "6"] {
        shelves.upload("a", version);
    }
    shelves.store.run_maintenance().unwrap();
    let (second, tidied) = events();
    let now = shelves.store.now().millis();
    assert_eq!(tidied, format!("tidied at {now}\n"));
    assert!(second > first);
    let mut bytes = Vec::new();
    reader
        .view()
        .read_log(b"events", &mut |part| {
            bytes.extend_from_slice(part);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(bytes, b"a 1\n");
    shelves.upload("b", "1");
    assert_eq!(events(), (second, format!("{tidied}b 1\n")));
}

#[test]
fn a_hook_that_fails_lets_the_change_stand() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), Shelf { fails: Some("a"), ..SHELF });
    store.create_feed(FeedDraft::new("feed", "plain"), &me()).unwrap();
    let shelves = Shelves { store, clock: Arc::default(), _directory: None };
    shelves.upload("b-a", "1");
    shelves.upload("a", "1");
    assert!(shelves.store.download("feed", &Selector::ungrouped("a", "1")).is_ok());
    let view = shelves.store.native_view("feed").unwrap();
    assert!(matches!(view.view().row(b"b-a"), Err(ViewError::Rebuilding { .. })));
    drop((view, shelves));
    let (store, _) = open(directory.path(), SHELF);
    store.run_maintenance().unwrap();
    let view = store.native_view("feed").unwrap();
    assert!(view.view().row(b"b-a").unwrap().is_some());
    assert!(view.view().row(b"a").unwrap().is_some());
}

#[test]
fn a_change_of_a_package_that_someone_else_changed_first_is_a_conflict() {
    let shelves = Shelves::new(SHELF);
    shelves.upload("a", "1");
    let name = Plain.package_name("", "a").unwrap();
    let revision = {
        let view = shelves.store.native_view("feed").unwrap();
        let head = view.view().package(name.key()).unwrap().unwrap();
        head.revision
    };
    let version = Plain.version("1").unwrap();
    let deprecate = |text: &str| {
        let deprecation = Deprecation { reason: Some(text.to_owned()), details: None };
        vec![
            Change::Deprecate(version.clone(), Some(deprecation)),
            Change::SetTag("old".to_owned(), version.clone()),
        ]
    };
    let edit = |text| Edit::new(name.clone(), deprecate(text)).expect(Some(revision));
    let done = shelves.store.edit("feed", &edit("first"), &me()).unwrap();
    assert!(done.changed && done.revision > Some(revision));
    let error = shelves.store.edit("feed", &edit("second"), &me()).unwrap_err();
    assert!(matches!(error, EditError::Conflict { .. }), "{error:?}");
    let file = shelves.store.file("feed", &Selector::ungrouped("a", "1")).unwrap();
    assert_eq!(file.status.deprecated.unwrap().reason.as_deref(), Some("first"));
    // All or nothing.
    let changes = vec![
        Change::SetTag("new".to_owned(), version.clone()),
        Change::Remove(Plain.version("9").unwrap(), None),
    ];
    assert!(matches!(shelves.edit("a", changes), Err(EditError::Select(_))));
    let tags = shelves.store.package("feed", "", "a").unwrap().tags;
    assert_eq!(tags.keys().collect::<Vec<_>>(), ["old"]);
}

#[test]
fn a_refresh_keeps_its_secret_and_is_asked_for_again_after_a_change() {
    let shelves = Shelves::new(SHELF);
    shelves.upload("a", "1");
    let signed = || {
        shelves.store.refresh("feed", b"signed").unwrap();
        let native = shelves.store.native_view("feed").unwrap();
        let view = native.view();
        view.row(b"signed").unwrap().unwrap()
    };
    let first = signed();
    assert_eq!(&first[32..], b"a");
    shelves.upload("b-a", "1");
    let second = signed();
    assert_eq!(second[..32], first[..32]);
    assert_eq!(&second[32..], b"ab-a");
    assert!(!format!("{:?}", shelves.store).contains(&format!("{:?}", &first[..8])));
}

#[test]
fn lines_that_were_left_behind_go_once_nobody_reads_them() {
    let shelves = Shelves::new(SHELF);
    for version in ["1", "2", "3"] {
        shelves.upload("a", version);
    }
    let feed = shelves.store.native_view("feed").unwrap();
    let before = feed.view().log(b"info/a").unwrap().unwrap();
    let number = feed.feed();
    drop(feed);
    shelves.edit("a", vec![Change::Remove(Plain.version("1").unwrap(), None)]).unwrap();
    let read = || {
        let mut bytes = Vec::new();
        let span = 0..before.length;
        let log = b"info/a";
        let mut take = |part: &[u8]| {
            bytes.extend_from_slice(part);
            ControlFlow::Continue(())
        };
        let done = shelves.store.read_index_log(number, log, before.generation, span, &mut take);
        done.map(|()| bytes)
    };
    assert_eq!(read().unwrap(), b"1\n2\n3\n");
    shelves.clock.step(9 * 60 * 1000);
    shelves.store.run_maintenance().unwrap();
    assert_eq!(read().unwrap(), b"1\n2\n3\n");
    shelves.clock.step(2 * 60 * 1000);
    shelves.store.run_maintenance().unwrap();
    assert!(read().is_err());
    assert_eq!(shelves.seen().logs[0].2, b"2\n3\n");
}

#[test]
fn versions_are_shown_from_one_to_another() {
    let shelves = Shelves::new(SHELF);
    for version in 0..20 {
        shelves.upload("a", &version.to_string());
    }
    shelves.upload("a-b", "3");
    let key = |version: &str| Plain.version(version).unwrap().sort_key().as_bytes().to_vec();
    let name = Plain.package_name("", "a").unwrap();
    let native = shelves.store.native_view("feed").unwrap();
    let shown = |want: &Want<'_>| {
        let mut shown = Vec::new();
        native
            .view()
            .versions(name.key(), want, &mut |entry| {
                shown.push(entry.text.to_owned());
                ControlFlow::Continue(())
            })
            .unwrap();
        shown
    };
    let (five, seven, high) = (key("5"), key("7"), key("18"));
    assert_eq!(shown(&Want::nothing().between(&five, &seven)), ["5", "6", "7"]);
    assert_eq!(shown(&Want::nothing().between(&seven, &seven)), ["7"]);
    assert!(shown(&Want::nothing().between(&seven, &five)).is_empty());
    assert_eq!(shown(&Want::nothing().starting_at(&high)), ["18", "19"]);
    assert_eq!(shown(&Want::nothing()).len(), 20);
    let downwards = shown(&Want::nothing().newest_first());
    assert!(downwards.is_sorted_by_key(|version| -version.parse::<i32>().unwrap()));
    assert_eq!(downwards.len(), 20);
    assert_eq!(shown(&Want::nothing().between(&five, &seven).newest_first()), ["7", "6", "5"]);
}
