//! A change that has to be tried again keeps nothing of its first try.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

#[path = "engine/operations.rs"]
mod operations;
#[path = "engine/plain.rs"]
mod plain;
#[path = "engine/shelf.rs"]
mod shelf;
#[path = "engine/temporary.rs"]
mod temporary;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hayloft_core::{
    Actor, Background, Batch, CommitError, FeedDraft, FeedTypes, Fs, KeyGrant, Listing, LocalBlobs,
    ManualClock, MetaError, MetaRead, MetaStore, MetaTurn, OpenOptions, Opened, Overwrite,
    PackageFile, Parts, PromoteRequest, Promotion, ReadThrough, RealFs, RedbOptions, RedbStore,
    RepackageRequest, Repair, Selector, StatusChange, Store, Stored, Timestamp, UploadRequest,
    Uploaded, VerifyLevel, Want,
};
use hayloft_feed::FeedType as _;
use hayloft_feed::native::{Action as NativeAction, Change, Edit, ListingChange};
use operations::operations;
use plain::{Plain, package};
use temporary::directory;

type Hook = Box<dyn FnOnce() + Send>;

/// Runs a hook once a snapshot was taken, before its first row is read.
#[derive(Clone, Default)]
struct Hooks {
    waiting: Arc<Mutex<Vec<Option<Hook>>>>,
    turns: Arc<AtomicUsize>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Hooks")
    }
}

impl Hooks {
    /// Runs `hook` after the snapshot that comes after so many others.
    fn after(&self, others: usize, hook: impl FnOnce() + Send + 'static) {
        let mut hooks: Vec<Option<Hook>> = (0..others).map(|_| None).collect();
        hooks.push(Some(Box::new(hook)));
        *self.waiting.lock().unwrap() = hooks;
        self.turns.store(0, Ordering::SeqCst);
    }

    fn run(&self) {
        let hook = {
            let mut hooks = self.waiting.lock().unwrap();
            if hooks.is_empty() { None } else { hooks.remove(0) }
        };
        if let Some(hook) = hook {
            hook();
        }
    }

    /// True if a change came between and the operation was planned twice: a turn for that change, and
    /// one for each try.
    fn made_a_retry(&self) -> bool {
        self.waiting.lock().unwrap().is_empty() && self.turns.load(Ordering::SeqCst) == 3
    }
}

#[derive(Debug)]
struct Hooked {
    meta: RedbStore,
    hooks: Hooks,
}

impl MetaStore for Hooked {
    fn snapshot(&self, wants: &[Want]) -> Result<Box<dyn MetaRead>, MetaError> {
        let snapshot = self.meta.snapshot(wants)?;
        self.hooks.run();
        Ok(snapshot)
    }

    fn turn(&self, wants: &[Want]) -> Result<Box<dyn MetaTurn + '_>, MetaError> {
        self.hooks.turns.fetch_add(1, Ordering::SeqCst);
        self.meta.turn(wants)
    }

    fn must_reopen(&self) -> bool {
        self.meta.must_reopen()
    }
}

fn open(directory: &Path, inline_limit: u64, hooks: &Hooks) -> Store {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    options.inline_limit = inline_limit;
    options.clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let types = FeedTypes::none().with(Plain);
    Store::open_with(&fs, directory, types, options, |root, opened| {
        let (path, options) = (root.join("meta.redb"), RedbOptions::default());
        let (meta, blobs) = match opened {
            Opened::Created => (
                RedbStore::create(&fs, &path, &options),
                LocalBlobs::create(&fs, &root.join("blobs")),
            ),
            Opened::Existing => {
                (RedbStore::open(&fs, &path, &options), LocalBlobs::open(&fs, &root.join("blobs")))
            }
        };
        Ok(Parts {
            fs: fs.clone(),
            meta: Arc::new(Hooked { meta: meta.unwrap(), hooks: hooks.clone() }),
            blobs: Arc::new(blobs.unwrap()),
        })
    })
    .unwrap()
}

fn upload(store: &Store, distro: &str, version: &str) -> Uploaded {
    let request = UploadRequest {
        hints: BTreeMap::from([("distro".to_owned(), distro.to_owned())]),
        ..UploadRequest::default()
    };
    let bytes = package("a", version, 1, 100);
    store.upload("main", &request, &mut bytes.as_slice(), &Actor::api()).unwrap()
}

fn is_clean(store: &Store) {
    let mut found = Vec::new();
    store
        .verify(VerifyLevel::Normal, Repair::No, &mut |finding| found.push(finding.text.clone()))
        .unwrap();
    assert!(found.is_empty(), "{found:#?}");
}

/// A store that holds a content in a row, opened again so that the next copy comes in a file.
fn with_content_in_a_row(directory: &Path, hooks: &Hooks, prepare: impl FnOnce(&Store)) -> Store {
    let store = open(directory, 16_000, hooks);
    for feed in ["main", "next"] {
        store.create_feed(FeedDraft::new(feed, "plain"), &Actor::api()).unwrap();
    }
    prepare(&store);
    store.close().unwrap();
    drop(store);
    open(directory, 0, hooks)
}

#[test]
fn an_upload_whose_content_went_away_meanwhile_is_counted_once() {
    let directory = tempfile::tempdir().unwrap();
    let hooks = Hooks::default();
    let store = with_content_in_a_row(directory.path(), &hooks, |store| {
        upload(store, "one", "1");
    });
    // The upload looks up the feed, then the content; then its only user goes.
    let other = store.clone();
    hooks.after(2, move || {
        other.delete_version("main", &Selector::ungrouped("a", "1"), &Actor::api()).unwrap();
    });
    let uploaded = upload(&store, "two", "1");
    assert!(hooks.made_a_retry());
    assert_eq!(uploaded.stored, Stored::Created);
    let stats = store.feed_stats("main").unwrap();
    assert_eq!((stats.packages, stats.versions, stats.files), (1, 1, 1));
    is_clean(&store);
    // The number that the first try took was given again.
    assert_eq!(uploaded.file.id.version, 2);
}

#[test]
fn a_repackaging_whose_content_went_away_meanwhile_is_counted_once() {
    let directory = tempfile::tempdir().unwrap();
    let hooks = Hooks::default();
    let repackage = |store: &Store, to: &str| {
        let mut request = RepackageRequest::new(Selector::ungrouped("a", "1"), "2");
        request.to_feed = Some(to.to_owned());
        store.repackage("main", &request, &Actor::api()).unwrap()
    };
    let store = with_content_in_a_row(directory.path(), &hooks, |store| {
        upload(store, "one", "1");
        repackage(store, "main");
    });
    let other = store.clone();
    // Three snapshots come before the one in which the content is looked for.
    hooks.after(3, move || {
        other.delete_version("main", &Selector::ungrouped("a", "2"), &Actor::api()).unwrap();
    });
    let outcome = repackage(&store, "next");
    assert!(hooks.made_a_retry());
    let stats = store.feed_stats("next").unwrap();
    assert_eq!((stats.packages, stats.versions, stats.files), (1, 1, 1));
    is_clean(&store);
    assert_eq!(outcome.id, 2);
    assert_eq!(outcome.files[0].id.version, 3);
}

#[test]
fn a_change_inside_a_change_is_refused_and_does_not_hang() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), 0, &Hooks::default());
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    upload(&store, "one", "1");
    let refused = Arc::new(Mutex::new(Vec::new()));
    let (inner, seen) = (store.clone(), refused.clone());
    let all_changes = move || {
        let actor = Actor::api();
        let bytes = package("b", "1", 1, 100);
        let upload = UploadRequest::default();
        let changes = [
            inner.set_setting("a", Some("b"), &actor).unwrap_err().to_string(),
            inner.delete_feed("main", &actor).unwrap_err().to_string(),
            inner.upload("main", &upload, &mut bytes.as_slice(), &actor).unwrap_err().to_string(),
            inner.run_maintenance().unwrap_err().to_string(),
            inner.close().unwrap_err().to_string(),
        ];
        // Reading is no change.
        assert_eq!(inner.feeds().unwrap().len(), 1);
        seen.lock().unwrap().extend(changes);
    };
    let in_feed = all_changes.clone();
    let change = move |draft: &mut FeedDraft| {
        in_feed();
        draft.settings.description = Some("changed".to_owned());
        Ok(())
    };
    let feed = store.update_feed("main", change, &Actor::api()).unwrap();
    assert_eq!(feed.settings.description.as_deref(), Some("changed"));
    let listing = Some(hayloft_core::Listing::Unlisted);
    let change = StatusChange { listing, ..StatusChange::default() };
    let changes = vec![(Selector::ungrouped("a", "1"), change)];
    let check = move |_: &[PackageFile]| {
        all_changes();
        Ok(())
    };
    assert!(store.set_status_many("main", changes, check, &Actor::api()).unwrap()[0].changed);
    let refused = refused.lock().unwrap();
    assert_eq!(refused.len(), 10);
    for text in refused.iter() {
        assert_eq!(text, "the store cannot be changed from inside a change of it");
    }
}

/// An engine that others write to: while it is told so, every commit comes too late once.
#[derive(Debug)]
struct Losing {
    meta: RedbStore,
    is_late: Arc<AtomicBool>,
    conflicts: Arc<AtomicUsize>,
}

struct LosingTurn<'a> {
    below: Box<dyn MetaTurn + 'a>,
    engine: &'a Losing,
}

impl MetaStore for Losing {
    fn snapshot(&self, wants: &[Want]) -> Result<Box<dyn MetaRead>, MetaError> {
        self.meta.snapshot(wants)
    }

    fn turn(&self, wants: &[Want]) -> Result<Box<dyn MetaTurn + '_>, MetaError> {
        Ok(Box::new(LosingTurn { below: self.meta.turn(wants)?, engine: self }))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn must_reopen(&self) -> bool {
        self.meta.must_reopen()
    }
}

impl ReadThrough for LosingTurn<'_> {
    fn below(&self) -> &dyn MetaRead {
        self.below.as_ref()
    }
}

impl MetaTurn for LosingTurn<'_> {
    fn commit(self: Box<Self>, batch: Batch) -> Result<(), CommitError> {
        let Losing { is_late, conflicts, .. } = self.engine;
        if is_late.load(Ordering::SeqCst) && conflicts.fetch_add(1, Ordering::SeqCst) % 2 == 0 {
            return Err(CommitError::Conflict);
        }
        self.below.commit(batch)
    }
}

/// A change, and the tables whose values are random, of which only keys are compared.
struct Retried {
    name: &'static str,
    run: fn(&Store),
    random: &'static [&'static str],
}

macro_rules! retried {
    ($($name:ident [$($random:literal)*] $run:expr,)+) => {
        [$(Retried { name: stringify!($name), run: $run, random: &[$($random),*] }),+]
    };
}

fn me() -> Actor {
    Actor::named("tester")
}

fn a(version: u64) -> Selector {
    Selector::ungrouped("a", version.to_string())
}

fn unlisted() -> StatusChange {
    StatusChange { listing: Some(Listing::Unlisted), ..StatusChange::default() }
}

/// Every operation that changes rows.
fn changes() -> Vec<Retried> {
    Vec::from(retried! {
        upload [] |store| drop(upload(store, "one", "7")),
        upload_staged [] |store| {
            let mut staging = store.stage(None).unwrap();
            staging.write_all(&package("a", "8", 8, 40_000)).unwrap();
            let staged = staging.finish().unwrap();
            store.upload_staged("main", &UploadRequest::default(), staged, &me()).unwrap();
        },
        set_status [] |store| drop(store.set_status("main", &a(1), &unlisted(), &me()).unwrap()),
        set_status_many [] |store| {
            let all = vec![(a(1), unlisted()), (a(2), unlisted())];
            store.set_status_many("main", all, |_| Ok(()), &me()).unwrap();
        },
        set_tag [] |store| drop(store.set_tag("main", "t", &a(1), &me()).unwrap()),
        remove_tag [] |store| drop(store.remove_tag("main", "", "a", "old", &me()).unwrap()),
        edit [] |store| {
            let name = Plain.package_name("", "a").unwrap();
            let edit = Edit::new(name, vec![Change::RemoveAll]);
            store.edit("main", &edit, &me()).unwrap();
        },
        act [] |store| {
            let name = Plain.package_name("", "a").unwrap();
            let version = Plain.version("1").unwrap();
            let unlist = Change::List(version, ListingChange::Unlist);
            let action = NativeAction::Edit(Edit::new(name, vec![unlist]));
            store.act("main", &action, None, Overwrite::Refuse, &me()).unwrap();
        },
        promote [] |store| {
            store.promote("main", &PromoteRequest::new(a(1), "next"), &me()).unwrap();
        },
        repackage [] |store| {
            store.repackage("main", &RepackageRequest::new(a(1), "9"), &me()).unwrap();
        },
        repackage_watched [] |store| {
            let go_on = |_| ControlFlow::Continue(());
            let request = RepackageRequest::new(a(2), "9");
            store.repackage_watched("main", &request, &me(), &go_on).unwrap();
        },
        adopt_promotions [] |store| {
            let promotion = Promotion::new("plain", "", "a");
            assert_eq!(store.adopt_promotions("main", &[promotion], &me()).unwrap(), 1);
        },
        delete_version [] |store| drop(store.delete_version("main", &a(2), &me()).unwrap()),
        delete_file [] |store| drop(store.delete_file("main", &a(1), &me()).unwrap()),
        create_feed [] |store| {
            store.create_feed(FeedDraft::new("more", "plain"), &me()).unwrap();
        },
        update_feed [] |store| {
            let change = |draft: &mut FeedDraft| {
                draft.alternates = vec!["other".to_owned()];
                Ok(())
            };
            store.update_feed("main", change, &me()).unwrap();
        },
        delete_feed [] |store| {
            store.delete_feed("main", &me()).unwrap();
            store.run_maintenance().unwrap();
        },
        create_key [] |store| {
            store.create_key(KeyGrant::default(), Some("a-chosen-text-of-a-key"), &me()).unwrap();
        },
        delete_key [] |store| store.delete_key(1, &me()).unwrap(),
        set_setting [] |store| store.set_setting("colour", Some("blue"), &me()).unwrap(),
        count_download [] |store| {
            store.count_download(store.file("main", &a(1)).unwrap().id).unwrap();
            store.run_maintenance().unwrap();
        },
        run_maintenance [] |store| store.run_maintenance().unwrap(),
        refresh ["secret-1" "idx-1"] |store| store.refresh("main", b"signed").unwrap(),
        begin_timeline ["meta-1"] |store| store.begin_timeline().unwrap(),
    })
}

/// Operations that change nothing, or what they are tried with here refuses them: the type has no
/// key to be shown, and nothing is to be mended.
const OTHERS: &[&str] = &[
    "audit_log",
    "audit_page",
    "check_audit_log",
    "check_space",
    "close",
    "directory",
    "document",
    "download",
    "download_file",
    "facets",
    "feed",
    "feed_by_id",
    "feed_revision",
    "feed_secret",
    "feed_stats",
    "feed_type",
    "feeds",
    "file",
    "file_with_content",
    "files",
    "find_by_hash",
    "find_key",
    "find_key_by_digest",
    "find_key_quickly",
    "history",
    "id",
    "index_row",
    "key_digest",
    "keys",
    "latest",
    "manifest",
    "metrics",
    "native",
    "native_content",
    "native_view",
    "now",
    "opened",
    "options",
    "package",
    "packages",
    "packages_after",
    "promoted_versions",
    "promotions",
    "read_index_log",
    "read_purl",
    "repackagings",
    "replace_feed_secret",
    "setting",
    "setting_at_hand",
    "settings",
    "stage",
    "timeline",
    "types",
    "verify",
    "verify_watched",
    "versions",
    "write_native",
];

#[test]
fn every_operation_that_changes_rows_is_tried_twice() {
    let listed = changes().iter().map(|change| change.name.to_owned()).collect::<Vec<_>>();
    let others = OTHERS.iter().map(|name| (*name).to_owned());
    let listed: BTreeSet<String> = listed.into_iter().chain(others).collect();
    assert_eq!(listed, operations());
}

/// Opens a store on an engine that comes too late while it is told so.
fn open_late(directory: &Path, is_late: &Arc<AtomicBool>, conflicts: &Arc<AtomicUsize>) -> Store {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    options.inline_limit = 16_000;
    options.clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let types = FeedTypes::none().with(shelf::SHELF);
    Store::open_with(&fs, directory, types, options, |root, opened| {
        let (path, options) = (root.join("meta.redb"), RedbOptions::default());
        let blobs = root.join("blobs");
        let (meta, blobs) = match opened {
            Opened::Created => {
                (RedbStore::create(&fs, &path, &options), LocalBlobs::create(&fs, &blobs))
            }
            Opened::Existing => {
                (RedbStore::open(&fs, &path, &options), LocalBlobs::open(&fs, &blobs))
            }
        };
        let meta =
            Losing { meta: meta.unwrap(), is_late: is_late.clone(), conflicts: conflicts.clone() };
        Ok(Parts { fs: fs.clone(), meta: Arc::new(meta), blobs: Arc::new(blobs.unwrap()) })
    })
    .unwrap()
}

/// All files below a directory.
fn files(directory: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path);
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    // It may hold no file.
    std::fs::create_dir_all(to.join("blobs")).unwrap();
    for path in files(from) {
        let to = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&path, to).unwrap();
    }
}

/// All rows and contents that a change leaves behind; values of some tables do not count.
fn left_by(change: &Retried, base: &Path, is_late: bool) -> (BTreeSet<String>, usize) {
    let directory = directory();
    let place = directory.path().join("store");
    copy(base, &place);
    let (late, conflicts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let store = open_late(&place, &late, &conflicts);
    late.store(is_late, Ordering::SeqCst);
    (change.run)(&store);
    late.store(false, Ordering::SeqCst);
    is_clean(&store);
    store.close().unwrap();
    drop(store);
    let blobs = files(&place.join("blobs"));
    let mut left: BTreeSet<String> =
        blobs.iter().map(|path| path.strip_prefix(&place).unwrap().display().to_string()).collect();
    let database = redb::Database::open(place.join("meta.redb")).unwrap();
    let read = redb::ReadableDatabase::begin_read(&database).unwrap();
    for table in read.list_tables().unwrap() {
        let name = redb::TableHandle::name(&table).to_owned();
        let definition: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new(&name);
        let rows = read.open_table(definition).unwrap();
        for row in redb::ReadableTable::iter(&rows).unwrap() {
            let (key, value) = row.unwrap();
            let is_random = change.random.contains(&name.as_str());
            let value = if is_random { &[] } else { value.value() };
            let (key, value) = (key.value().escape_ascii(), value.escape_ascii());
            left.insert(format!("{name} {key} {value}"));
        }
    }
    (left, conflicts.load(Ordering::SeqCst))
}

#[test]
fn what_was_tried_twice_leaves_what_once_leaves() {
    let base = directory();
    let store = open_late(base.path(), &Arc::default(), &Arc::default());
    for feed in ["main", "next"] {
        store.create_feed(FeedDraft::new(feed, "plain"), &me()).unwrap();
    }
    for version in ["1", "2"] {
        upload(&store, "one", version);
    }
    store.set_tag("main", "old", &a(1), &me()).unwrap();
    store.create_key(KeyGrant::default(), None, &me()).unwrap();
    store.close().unwrap();
    drop(store);
    let mut wrong = Vec::new();
    for change in changes() {
        let (once, none) = left_by(&change, base.path(), false);
        let (twice, conflicts) = left_by(&change, base.path(), true);
        assert_eq!(none, 0);
        assert!(conflicts >= 2 && conflicts % 2 == 0, "{}: {conflicts} commits", change.name);
        let less: Vec<&String> = once.difference(&twice).collect();
        let more: Vec<&String> = twice.difference(&once).collect();
        if !(less.is_empty() && more.is_empty()) {
            wrong.push(format!("{}: without {less:#?}, with {more:#?}", change.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
