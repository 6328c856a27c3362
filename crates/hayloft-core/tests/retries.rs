//! A change that has to be tried again keeps nothing of its first try.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

#[path = "engine/plain.rs"]
mod plain;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use hayloft_core::{
    Actor, Background, FeedDraft, FeedTypes, Fs, LocalBlobs, ManualClock, MetaError, MetaRead,
    MetaStore, MetaTurn, OpenOptions, Opened, PackageFile, Parts, RealFs, RedbOptions, RedbStore,
    RepackageRequest, Repair, Selector, StatusChange, Store, Stored, Timestamp, UploadRequest,
    Uploaded, VerifyLevel, Want,
};
use plain::{Plain, package};

type Hook = Box<dyn FnOnce() + Send>;

/// Runs a hook once a snapshot was taken, before its first row is read.
#[derive(Clone, Default)]
struct Hooks(Arc<Mutex<Vec<Option<Hook>>>>);

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
        *self.0.lock().unwrap() = hooks;
    }

    fn run(&self) {
        let hook = {
            let mut hooks = self.0.lock().unwrap();
            if hooks.is_empty() { None } else { hooks.remove(0) }
        };
        if let Some(hook) = hook {
            hook();
        }
    }

    fn are_done(&self) -> bool {
        self.0.lock().unwrap().is_empty()
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
    assert!(hooks.are_done());
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
    hooks.after(2, move || {
        other.delete_version("main", &Selector::ungrouped("a", "2"), &Actor::api()).unwrap();
    });
    let outcome = repackage(&store, "next");
    assert!(hooks.are_done());
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
