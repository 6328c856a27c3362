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

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use hayloft_core::{
    Actor, Background, EditError, FeedDraft, FeedTypes, ManualClock, OpenOptions, RepackageRequest,
    Selector, Store, Timestamp, UploadRequest,
};
use hayloft_feed::native::{
    Answer, Change, ClientSetup, Edit, FeedCard, FeedView, ListingChange, Native, Refresh,
    RefreshOrder, Request, Resource, SampleRequest, SearchQuery, ViewError, Want,
};
use hayloft_feed::{
    Deprecation, FeedType, FeedTypeError, Fragment, Identity, IndexChange, IndexError, IndexWriter,
    Inspected, Limits, PackageName, Qualifiers, Repackage, Repackaged, SearchRecord, Upload,
    Version, VersionChange,
};
use hayloft_testkit::MemoryFeed;
use proptest::prelude::*;

use plain::{Plain, package};

/// The plain type with an index: a row per package with its visible versions, a log of all that
/// happened, a log per package that is begun anew when something goes, and words to find it by.
#[derive(Debug, Clone, Copy)]
struct Shelf {
    revision: u32,
    /// Name of a package whose hook fails.
    fails: Option<&'static str>,
}

const SHELF: Shelf = Shelf { revision: 1, fails: None };

fn line(change: &VersionChange) -> Option<Vec<u8>> {
    let after = change.after.as_ref()?;
    let file = after.files.first()?;
    (after.status.is_listed() && !after.status.is_blocked())
        .then(|| after.fragment(file.id.number, 1).unwrap().to_vec())
}

impl FeedType for Shelf {
    fn tag(&self) -> &'static str {
        Plain.tag()
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
        let text = format!("{}\n", inspected.identity.version);
        inspected.fragments.push(Fragment { kind: 1, bytes: text.into_bytes() });
        // Takes more than one row.
        let noise = package("noise", "1", 7, 40_000);
        inspected.fragments.push(Fragment { kind: 2, bytes: noise });
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
    fn index_revision(&self) -> u32 {
        self.revision
    }
    fn native(&self) -> Option<&dyn Native> {
        Some(self)
    }
    fn normal_form(&self, log: &[u8], bytes: Vec<u8>) -> Vec<u8> {
        // The order of events differs when they are derived anew.
        if log == b"events" { Vec::new() } else { bytes }
    }
    fn index(
        &self,
        change: &IndexChange<'_>,
        view: &dyn FeedView,
        out: &mut dyn IndexWriter,
    ) -> Result<(), IndexError> {
        let name = change.name.name();
        if self.fails == Some(name) {
            let what = "as it was told to".to_owned();
            return Err(IndexError::Unexpected { package: name.to_owned(), what });
        }
        let log = format!("info/{name}").into_bytes();
        let mut lines = Vec::new();
        view.versions(change.name.key(), &Want::fragments(&[1]), &mut |entry| {
            if entry.status.is_listed() && !entry.status.is_blocked() {
                lines.extend_from_slice(entry.fragment(1).unwrap());
            }
            ControlFlow::Continue(())
        })?;
        for version in change.versions {
            let added = version.before.is_none().then(|| line(version)).flatten();
            match added {
                // Appending is enough while nothing comes before what is there.
                Some(line) if lines.ends_with(&line) => {
                    out.append(&log, &line)?;
                }
                _ => {
                    out.restart(&log)?;
                    out.append(&log, &lines)?;
                    break;
                }
            }
        }
        if change.before.is_none() != change.after.is_none() {
            out.bump(b"root")?;
        }
        let Some(head) = change.after else {
            out.remove(name.as_bytes())?;
            out.remove_log(&log)?;
            out.append(b"events", format!("{name} gone\n").as_bytes())?;
            return out.search(None);
        };
        out.append(b"events", format!("{name} {}\n", head.versions).as_bytes())?;
        // More than a row takes.
        out.put(name.as_bytes(), &lines.repeat(4_000))?;
        let terms = name.split('-').map(str::to_owned).chain([name.to_owned()]).collect();
        out.search(Some(&SearchRecord { terms, flags: u8::from(!lines.is_empty()) }))?;
        out.stale(b"signed")
    }
}

impl Native for Shelf {
    fn prefix(&self) -> &'static str {
        "shelf"
    }
    fn resolve<'a>(
        &'a self,
        view: &'a dyn FeedView,
        request: &'a Request<'a>,
    ) -> Result<Answer<'a>, ViewError> {
        if request.path == "/signed" && !request.refreshed {
            return Ok(Answer::Refresh(b"signed".to_vec()));
        }
        let Some(row) = view.row(request.path.trim_start_matches('/').as_bytes())? else {
            return Ok(Answer::not_found());
        };
        Ok(Answer::Resource(Resource::document(view.validator(1, &[]), "text/plain", move |out| {
            Ok(out.write_all(&row)?)
        })))
    }
    fn refresh(
        &self,
        view: &dyn FeedView,
        subject: &[u8],
        order: &RefreshOrder<'_>,
    ) -> Result<Option<Refresh>, ViewError> {
        assert_eq!(subject, b"signed");
        let mut signed = order.secret.map_or_else(|| order.seed.to_vec(), <[u8]>::to_vec);
        let secret = order.secret.is_none().then(|| order.seed.to_vec());
        view.rows(b"", None, &mut |key, _| {
            if key != b"signed" {
                signed.extend_from_slice(key);
            }
            ControlFlow::Continue(())
        })?;
        let before = view.row(b"signed")?;
        Ok(Some(Refresh {
            expect: Some((b"signed".to_vec(), before)),
            put: vec![(b"signed".to_vec(), signed)],
            bump: vec![b"signed".to_vec()],
            secret,
            ..Refresh::default()
        }))
    }
    fn samples(&self) -> Vec<SampleRequest> {
        vec![SampleRequest::read("/a")]
    }
    fn setup(&self, _: &FeedCard, _: &str, _: Option<&str>) -> Vec<ClientSetup> {
        Vec::new()
    }
}

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
        shelves.store.run_maintenance().unwrap();
        prop_assert_eq!(shelves.seen(), seen(&memory));
    }
}

#[test]
fn what_is_promoted_and_repackaged_is_in_the_index() {
    let shelves = Shelves::new(SHELF);
    shelves.store.create_feed(FeedDraft::new("next", "plain"), &me()).unwrap();
    shelves.upload("a", "1");
    let asked = RepackageRequest::new(Selector::exact("a", "1"), "2");
    shelves.store.repackage("feed", &asked, &me()).unwrap();
    let promote = hayloft_core::PromoteRequest::new(Selector::exact("a", "2"), "next");
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
fn a_hook_that_fails_lets_the_change_stand() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path(), Shelf { fails: Some("a"), ..SHELF });
    store.create_feed(FeedDraft::new("feed", "plain"), &me()).unwrap();
    let shelves = Shelves { store, clock: Arc::default(), _directory: None };
    shelves.upload("b-a", "1");
    shelves.upload("a", "1");
    assert!(shelves.store.download("feed", &Selector::exact("a", "1")).is_ok());
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
    let file = shelves.store.file("feed", &Selector::exact("a", "1")).unwrap();
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
