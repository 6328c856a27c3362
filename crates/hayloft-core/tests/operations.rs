//! Operations where several meet, and where names change.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

#[path = "engine/plain.rs"]
mod plain;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use hayloft_core::{
    Actor, AuditQuery, Background, BlobKey, BlobRead, BlobStore, DeleteError, Extent, FeedDraft,
    FeedError, FeedTypes, Finding, Fs, LocalBlobs, OpenOptions, Parts, PromoteError,
    PromoteRequest, Promotion, PromotionQuery, Put, RealFs, RedbOptions, RedbStore, RepackageError,
    RepackageRequest, Repair, SelectError, Selector, StagedFile, Store, Stored, UploadError,
    UploadRequest, Uploaded, VerifyLevel,
};
use hayloft_feed::{
    FeedType, FeedTypeError, Identity, Inspected, Limits, PackageName, Qualifiers, Repackage,
    Repackaged, Stability, Upload, Version,
};
use plain::{Plain, package};

/// Names fold by case, and `1.0` is `1`.
#[derive(Debug)]
struct Folding;

impl FeedType for Folding {
    fn tag(&self) -> &'static str {
        "folding"
    }

    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        let folded = Plain.package_name(group, &name.to_ascii_lowercase())?;
        Ok(PackageName::new(group, name, folded.key().clone()))
    }

    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        let short = Plain.version(text.strip_suffix(".0").unwrap_or(text))?;
        Ok(Version::new(text, short.text(), short.sort_key().clone(), Stability::Stable))
    }

    fn qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        Plain.qualifiers(asked)
    }

    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        let mut inspected = Plain.inspect(upload, limits)?;
        let Identity { package, version, qualifiers } = inspected.identity;
        inspected.identity = Identity {
            package: self.package_name("", package.name())?,
            version: self.version(version.text())?,
            qualifiers,
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

fn options() -> OpenOptions {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    options
}

struct Place {
    store: Store,
    _directory: tempfile::TempDir,
}

fn place(tag: &str) -> Place {
    let directory = tempfile::tempdir().unwrap();
    let types = FeedTypes::none().with(Plain).with(Folding);
    let store = Store::open(directory.path(), types, options()).unwrap();
    for feed in ["main", "next"] {
        store.create_feed(FeedDraft::new(feed, tag), &actor()).unwrap();
    }
    Place { store, _directory: directory }
}

fn actor() -> Actor {
    Actor::named("tester")
}

fn upload(store: &Store, name: &str, version: &str, content: u64) -> Result<Uploaded, UploadError> {
    let bytes = package(name, version, content, 20_000);
    store.upload("main", &UploadRequest::default(), &mut bytes.as_slice(), &actor())
}

/// Runs the same at the same time in several threads.
fn race<T: Send>(run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    const RUNNERS: u64 = 4;
    let barrier = Barrier::new(usize::try_from(RUNNERS).unwrap());
    std::thread::scope(|scope| {
        let runners: Vec<_> = (0..RUNNERS)
            .map(|number| {
                let (barrier, run) = (&barrier, &run);
                scope.spawn(move || {
                    barrier.wait();
                    run(number)
                })
            })
            .collect();
        runners.into_iter().map(|runner| runner.join().unwrap()).collect()
    })
}

/// Nothing is left of what lost a race either.
fn is_clean(store: &Store) {
    let mut findings: Vec<Finding> = Vec::new();
    let mut report = |finding: &Finding| findings.push(finding.clone());
    store.verify(VerifyLevel::Deep, Repair::No, &mut report).unwrap();
    assert_eq!(findings, []);
}

#[test]
fn of_several_repackagings_to_the_same_version_one_succeeds() {
    let place = place("plain");
    let store = &place.store;
    upload(store, "a", "1", 1).unwrap();
    for round in 10..14 {
        let request = RepackageRequest::new(Selector::ungrouped("a", "1"), round.to_string());
        let ended = race(|_| store.repackage("main", &request, &actor()));
        let (done, refused): (Vec<_>, Vec<_>) = ended.into_iter().partition(Result::is_ok);
        assert_eq!(done.len(), 1);
        for error in refused.into_iter().map(Result::unwrap_err) {
            assert!(matches!(error, RepackageError::Exists { .. }), "{error:?}");
        }
    }
    let query = PromotionQuery::default();
    assert_eq!(store.repackagings(&query).unwrap().count(), 4);
    is_clean(store);
}

#[test]
fn of_several_uploads_of_a_version_one_is_stored() {
    let place = place("plain");
    let store = &place.store;
    for version in ["1", "2", "3"] {
        let ended = race(|content| upload(store, "a", version, content));
        let (done, refused): (Vec<_>, Vec<_>) = ended.into_iter().partition(Result::is_ok);
        assert_eq!(done.len(), 1);
        assert_eq!(done.into_iter().next().unwrap().unwrap().stored, Stored::Created);
        for error in refused.into_iter().map(Result::unwrap_err) {
            assert!(matches!(error, UploadError::Conflict { .. }), "{error:?}");
        }
    }
    let ended = race(|_| upload(store, "same", "1", 7).unwrap().stored);
    let count = |stored| ended.iter().filter(|found| **found == stored).count();
    assert_eq!((count(Stored::Created), count(Stored::Unchanged)), (1, 3));
    assert_eq!(store.feed_stats("main").unwrap().files, 4);
    is_clean(store);
}

#[test]
fn of_several_feeds_of_a_name_one_is_made() {
    let place = place("plain");
    let ended = race(|number| {
        let name = if number % 2 == 0 { "New" } else { "nEW" };
        place.store.create_feed(FeedDraft::new(name, "plain"), &actor())
    });
    let (done, refused): (Vec<_>, Vec<_>) = ended.into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), refused.len()), (1, 3));
    for error in refused.into_iter().map(Result::unwrap_err) {
        assert!(matches!(error, FeedError::Exists(_)), "{error:?}");
    }
}

#[test]
fn promoting_meets_deleting_without_a_half_of_either() {
    let place = place("plain");
    let store = &place.store;
    for round in 0..6 {
        let version = round.to_string();
        upload(store, "a", &version, 1).unwrap();
        let selector = Selector::ungrouped("a", &version);
        let ended = race(|number| match number {
            0 => match store.delete_version("main", &selector, &actor()) {
                Ok(_) => true,
                Err(DeleteError::Select(SelectError::NotFound { .. })) => false,
                Err(error) => panic!("{error:?}"),
            },
            _ => match store.promote(
                "main",
                &PromoteRequest::new(selector.clone(), "next"),
                &actor(),
            ) {
                Ok(_) => true,
                Err(PromoteError::Select(SelectError::NotFound { .. })) => false,
                Err(error) => panic!("{error:?}"),
            },
        });
        assert!(ended[0]);
        let promoted = ended[1..].contains(&true);
        assert_eq!(store.file("next", &selector).is_ok(), promoted);
    }
    is_clean(store);
}

fn promotions(store: &Store, change: impl FnOnce(&mut PromotionQuery)) -> usize {
    let mut query = PromotionQuery::default();
    change(&mut query);
    store.promotions(&query).unwrap().map(Result::unwrap).count()
}

#[test]
fn promotions_are_found_by_the_rules_of_their_type() {
    let place = place("folding");
    let store = &place.store;
    upload(store, "Spelled", "1.0", 1).unwrap();
    let request = PromoteRequest::new(Selector::ungrouped("SPELLED", "1"), "next");
    store.promote("main", &request, &actor()).unwrap();
    for name in ["Spelled", "spelled", "SPELLED"] {
        assert_eq!(promotions(store, |query| query.name = Some(name.to_owned())), 1, "{name}");
    }
    assert_eq!(promotions(store, |query| query.name = Some("other".to_owned())), 0);
    for version in ["1", "1.0"] {
        let found = promotions(store, |query| query.version = Some(version.to_owned()));
        assert_eq!(found, 1, "{version}");
    }
    for version in ["2", "1.0.1", "no version"] {
        let found = promotions(store, |query| query.version = Some(version.to_owned()));
        assert_eq!(found, 0, "{version}");
    }
}

#[test]
fn promotions_are_listed_by_version_in_the_order_of_their_packages() {
    let place = place("plain");
    let store = &place.store;
    let versions = [("b", "1"), ("a", "2"), ("a", "1")];
    for (number, (name, version)) in (1..).zip(versions) {
        upload(store, name, version, number).unwrap();
    }
    for (name, version) in versions.into_iter().chain([("a", "2"), ("b", "1"), ("a", "2")]) {
        let request = PromoteRequest::new(Selector::ungrouped(name, version), "next");
        store.promote("main", &request, &actor()).unwrap();
    }
    let listed = |query: &PromotionQuery| -> Vec<(String, String, Vec<u64>)> {
        let versions = store.promoted_versions(query).unwrap().map(Result::unwrap);
        let told = versions.map(|version| {
            let first = version[0].clone();
            let alike =
                |other: &Promotion| (&other.name, &other.version) == (&first.name, &first.version);
            assert!(version.iter().all(alike), "{version:?}");
            let ids = version.iter().map(|promotion| promotion.id).collect();
            (first.name, first.version, ids)
        });
        told.collect()
    };
    let version =
        |name: &str, version: &str, ids: &[u64]| (name.into(), version.into(), ids.to_vec());
    let all = [version("a", "2", &[2, 4, 6]), version("a", "1", &[3]), version("b", "1", &[1, 5])];
    assert_eq!(listed(&PromotionQuery::default()), all);
    let mut query = PromotionQuery::default();
    for name in ["A", "a"] {
        query.name = Some(name.to_owned());
        assert_eq!(listed(&query), all[..2], "{name}");
    }
    query.version = Some("1".to_owned());
    assert_eq!(listed(&query), all[1..2]);
    query = PromotionQuery { from_feed: Some("next".to_owned()), ..PromotionQuery::default() };
    assert_eq!(listed(&query), []);
}

#[test]
fn promotions_are_found_by_any_name_of_their_feeds() {
    let place = place("plain");
    let store = &place.store;
    upload(store, "a", "1", 1).unwrap();
    let request = PromoteRequest::new(Selector::ungrouped("a", "1"), "next");
    store.promote("main", &request, &actor()).unwrap();
    let rename = |draft: &mut FeedDraft| {
        draft.alternates = vec![std::mem::replace(&mut draft.name, "Production".to_owned())];
        Ok(())
    };
    store.update_feed("NEXT", rename, &actor()).unwrap();
    for name in ["next", "production", "Next"] {
        assert_eq!(promotions(store, |query| query.to_feed = Some(name.to_owned())), 1, "{name}");
        assert_eq!(promotions(store, |query| query.from_feed = Some(name.to_owned())), 0);
        assert_eq!(store.feed(name).unwrap().name, "Production");
    }
    store.delete_feed("next", &actor()).unwrap();
    assert_eq!(promotions(store, |query| query.to_feed = Some("next".to_owned())), 1);
    assert_eq!(promotions(store, |query| query.to_feed = Some("other".to_owned())), 0);
}

#[test]
fn the_feed_that_packages_go_to_keeps_its_place_under_a_new_name() {
    let place = place("plain");
    let store = &place.store;
    store.create_feed(FeedDraft::new("other", "plain"), &actor()).unwrap();
    let next = store.feed("next").unwrap().id;
    let pipeline = move |draft: &mut FeedDraft| {
        draft.settings.promote_to = Some(next);
        Ok(())
    };
    store.update_feed("main", pipeline, &actor()).unwrap();
    let rename = |draft: &mut FeedDraft| {
        "prod".clone_into(&mut draft.name);
        Ok(())
    };
    store.update_feed("next", rename, &actor()).unwrap();
    upload(store, "a", "1", 1).unwrap();
    let promote = |to: &str| {
        store.promote("main", &PromoteRequest::new(Selector::ungrouped("a", "1"), to), &actor())
    };
    promote("prod").unwrap();
    let error = promote("other").unwrap_err();
    assert!(matches!(error, PromoteError::Pipeline { allowed, .. } if allowed == "prod"));
    // Another feed that takes the name is not where packages go.
    store.create_feed(FeedDraft::new("next", "plain"), &actor()).unwrap();
    assert!(matches!(promote("next").unwrap_err(), PromoteError::Pipeline { .. }));
    store.delete_feed("prod", &actor()).unwrap();
    store.create_feed(FeedDraft::new("prod", "plain"), &actor()).unwrap();
    store.run_maintenance().unwrap();
    let error = promote("prod").unwrap_err();
    assert!(
        matches!(&error, PromoteError::Pipeline { allowed, .. } if allowed.contains("deleted"))
    );
    let repackage = RepackageRequest {
        to_feed: Some("prod".to_owned()),
        ..RepackageRequest::new(Selector::ungrouped("a", "1"), "2")
    };
    let error = store.repackage("main", &repackage, &actor()).unwrap_err();
    assert!(matches!(error, RepackageError::Pipeline { .. }));
    // What is bound to a feed that is gone may stay so, but nothing new is bound to it.
    let describe = |draft: &mut FeedDraft| {
        draft.settings.description = Some("described".to_owned());
        Ok(())
    };
    store.update_feed("main", describe, &actor()).unwrap();
    let error = store.update_feed("other", pipeline, &actor()).unwrap_err();
    assert!(matches!(error, FeedError::Setting { setting: "promote_to", .. }));
}

#[test]
fn a_refused_rename_leaves_all_names_as_they_were() {
    let place = place("plain");
    let store = &place.store;
    let take = |draft: &mut FeedDraft| {
        draft.alternates = vec!["fresh".to_owned(), "NEXT".to_owned()];
        "renamed".clone_into(&mut draft.name);
        Ok(())
    };
    let error = store.update_feed("main", take, &actor()).unwrap_err();
    assert!(matches!(error, FeedError::Exists(name) if name == "NEXT"));
    assert_eq!(store.feed("main").unwrap().alternates, Vec::<String>::new());
    for name in ["fresh", "renamed"] {
        assert!(store.feed(name).is_err());
    }
    is_clean(store);
}

#[test]
fn downloads_survive_replacing_and_go_with_their_file() {
    let place = place("plain");
    let store = &place.store;
    let old = upload(store, "a", "1", 1).unwrap().file;
    let other = upload(store, "a", "2", 1).unwrap().file;
    let counts = || {
        let file = store.file("main", &Selector::ungrouped("a", "1"));
        file.map(|file| (file.file_downloads, file.version_downloads, file.package_downloads)).ok()
    };
    for _ in 0..3 {
        store.count_download(old.id).unwrap();
    }
    store.count_download(other.id).unwrap();
    assert_eq!(counts(), Some((3, 3, 4)));
    store.run_maintenance().unwrap();
    store.count_download(old.id).unwrap();
    assert_eq!(counts(), Some((4, 4, 5)));
    let request =
        UploadRequest { overwrite: hayloft_core::Overwrite::Replace, ..UploadRequest::default() };
    let bytes = package("a", "1", 2, 10);
    let replaced = store.upload("main", &request, &mut bytes.as_slice(), &actor()).unwrap();
    assert_eq!(replaced.stored, Stored::Replaced);
    assert_eq!(counts(), Some((4, 4, 5)));
    let deleted = store.delete_version("main", &Selector::ungrouped("a", "2"), &actor()).unwrap();
    assert_eq!(deleted.extent, Extent::Version);
    assert_eq!(counts(), Some((4, 4, 4)));
    // The numbers of what is gone count nothing.
    store.count_download(other.id).unwrap();
    store.run_maintenance().unwrap();
    assert_eq!(counts(), Some((4, 4, 4)));
    store.delete_version("main", &Selector::ungrouped("a", "1"), &actor()).unwrap();
    upload(store, "a", "1", 1).unwrap();
    assert_eq!(counts(), Some((0, 0, 0)));
    is_clean(store);
}

#[test]
fn the_audit_log_is_one_chain_over_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let mut chains = Vec::new();
    for round in 0..3 {
        let types = FeedTypes::none().with(Plain);
        let store = Store::open(directory.path(), types, options()).unwrap();
        store.create_feed(FeedDraft::new(format!("feed{round}"), "plain"), &actor()).unwrap();
        let rows = store.audit_log(&AuditQuery::default()).unwrap();
        let rows: Vec<_> = rows.map(Result::unwrap).collect();
        assert_eq!(rows.len(), round + 1);
        assert_eq!(rows[1..].iter().map(|row| row.chain).collect::<Vec<_>>(), chains);
        chains = rows.iter().map(|row| row.chain).collect();
        is_clean(&store);
        store.close().unwrap();
    }
}

/// Does not find a content for so many times.
#[derive(Debug)]
struct Fleeting {
    blobs: LocalBlobs,
    missing: Arc<AtomicU64>,
}

impl BlobStore for Fleeting {
    fn put(&self, key: &BlobKey, staged: &StagedFile) -> io::Result<Put> {
        self.blobs.put(key, staged)
    }

    fn open(&self, key: &BlobKey) -> io::Result<Box<dyn BlobRead>> {
        let take = |left: u64| left.checked_sub(1);
        if self.missing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.blobs.open(key)
    }

    fn size(&self, key: &BlobKey) -> io::Result<Option<u64>> {
        self.blobs.size(key)
    }

    fn delete(&self, key: &BlobKey) -> io::Result<()> {
        self.blobs.delete(key)
    }

    fn set_aside(&self, key: &BlobKey, target: &Path) -> io::Result<()> {
        self.blobs.set_aside(key, target)
    }

    fn list(&self, shard: u8) -> io::Result<Vec<BlobKey>> {
        self.blobs.list(shard)
    }

    fn strange(&self) -> io::Result<Vec<PathBuf>> {
        self.blobs.strange()
    }
}

#[test]
fn a_content_that_came_back_while_it_was_opened_is_not_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Arc::new(AtomicU64::new(0));
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let types = FeedTypes::none().with(Plain);
    let store = Store::open_with(&fs, directory.path(), types, options(), |root, _| {
        let meta = RedbStore::create(&fs, &root.join("meta.redb"), &RedbOptions::default());
        let blobs = LocalBlobs::create(&fs, &root.join("blobs")).unwrap();
        Ok(Parts {
            fs: fs.clone(),
            meta: Arc::new(meta.unwrap()),
            blobs: Arc::new(Fleeting { blobs, missing: missing.clone() }),
        })
    })
    .unwrap();
    store.create_feed(FeedDraft::new("main", "plain"), &actor()).unwrap();
    upload(&store, "a", "1", 1).unwrap();
    let read = || store.download("main", &Selector::ungrouped("a", "1"));
    missing.store(1, Ordering::SeqCst);
    let mut bytes = Vec::new();
    io::copy(&mut read().unwrap(), &mut bytes).unwrap();
    assert_eq!(bytes, package("a", "1", 1, 20_000));
    missing.store(2, Ordering::SeqCst);
    assert!(matches!(read().unwrap_err(), SelectError::Store(_)));
    // Marked now, until it is sent again.
    assert!(read().is_err());
    upload(&store, "a", "1", 1).unwrap();
    read().unwrap();
    is_clean(&store);
}
