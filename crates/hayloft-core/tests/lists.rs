//! Lists over several views, with what lies beside the rows of versions.
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
use std::path::Path;
use std::sync::Arc;

use hayloft_core::{
    Actor, Background, Batch, Direction, FeedDraft, FeedTypes, Fs, LatestQuery, Listing, Manifests,
    MetaStore, OpenOptions, PackageFile, RealFs, RedbOptions, RedbStore, Selector, StatusChange,
    Store, Table, UploadRequest, VersionsQuery,
};
use hayloft_feed::{
    FeedType, FeedTypeError, Identity, Inspected, Limits, PackageName, Qualifiers, Repackage,
    Repackaged, Upload, Version,
};
use plain::{Plain, package};

/// Manifests as long as the content.
#[derive(Debug)]
struct Wordy;

impl FeedType for Wordy {
    fn tag(&self) -> &'static str {
        "plain"
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
        let size = usize::try_from(upload.size).unwrap();
        let mut inspected = Plain.inspect(upload, limits)?;
        inspected.manifest = format!("\"{}\"", "m".repeat(size));
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

fn open(directory: &Path) -> Store {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    Store::open(directory, FeedTypes::none().with(Wordy), options).unwrap()
}

fn upload(store: &Store, name: &str, version: u64, len: usize) {
    let bytes = package(name, &version.to_string(), version, len);
    let request = UploadRequest::default();
    store.upload("main", &request, &mut bytes.as_slice(), &Actor::api()).unwrap();
}

fn listed(store: &Store, query: &VersionsQuery) -> Vec<PackageFile> {
    store.versions("main", query).unwrap().collect::<Result<_, _>>().unwrap()
}

fn shown(files: &[PackageFile]) -> Vec<String> {
    files.iter().map(|file| format!("{} {}", file.name, file.version)).collect()
}

/// Packages of 1, 3, 5 … versions, each version once, with some statuses and downloads.
fn fill(store: &Store, packages: u64, len: usize) -> Vec<String> {
    let mut expected = Vec::new();
    for number in 1..=packages {
        let name = format!("p{number:02}");
        for version in 1..2 * number {
            upload(store, &name, version, len);
            let selector = Selector::ungrouped(&name, version.to_string());
            if version.is_multiple_of(3) {
                let change =
                    StatusChange { listing: Some(Listing::Unlisted), ..StatusChange::default() };
                store.set_status("main", &selector, &change, &Actor::api()).unwrap();
            }
            if version.is_multiple_of(4) {
                store.count_download(store.file("main", &selector).unwrap().id).unwrap();
            }
        }
        if number.is_multiple_of(2) {
            store.run_maintenance().unwrap();
        }
        expected.extend((1..2 * number).rev().map(|version| format!("{name} {version}")));
    }
    expected
}

/// Each row of a list is what asking for its file alone gives.
fn agrees_with_single_files(store: &Store, files: &[PackageFile]) {
    for file in files {
        let selector = Selector::ungrouped(&file.name, &file.version);
        let mut alone = store.file("main", &selector).unwrap();
        alone.manifest = store.manifest(alone.id).unwrap().filter(|_| file.manifest.is_some());
        assert_eq!(*file, alone);
    }
}

#[test]
fn a_list_shows_of_each_file_what_its_card_shows() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    let expected = fill(&store, 9, 100);
    for manifests in [Manifests::Omitted, Manifests::Included] {
        let query = VersionsQuery { manifests, ..VersionsQuery::default() };
        let files = listed(&store, &query);
        assert_eq!(shown(&files), expected);
        assert!(files.iter().any(|file| file.file_downloads == 1 && file.package_downloads > 1));
        assert!(files.iter().any(|file| file.status.listing == Listing::Unlisted));
        agrees_with_single_files(&store, &files);
        let query = LatestQuery { manifests, ..LatestQuery::default() };
        let latest: Vec<_> = store.latest("main", &query).unwrap().map(Result::unwrap).collect();
        assert_eq!(latest.len(), 9);
        agrees_with_single_files(&store, &latest);
    }
}

#[test]
fn pages_that_are_cut_by_long_manifests_miss_and_repeat_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    // Some 200 KB each: a page holds about twenty.
    let expected = fill(&store, 8, 200_000);
    let query = VersionsQuery { manifests: Manifests::Included, ..VersionsQuery::default() };
    let files = listed(&store, &query);
    assert_eq!(shown(&files), expected);
    assert!(files.iter().all(|file| file.manifest.as_ref().unwrap().len() > 200_000));
    let latest = LatestQuery { manifests: Manifests::Included, ..LatestQuery::default() };
    assert_eq!(store.latest("main", &latest).unwrap().count(), 8);
}

#[test]
fn a_list_goes_on_over_many_pages_while_rows_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    for version in 1..=1_030 {
        upload(&store, "busy", version, 10);
    }
    upload(&store, "other", 1, 10);
    let mut seen = Vec::new();
    for file in store.versions("main", &VersionsQuery::default()).unwrap() {
        let file = file.unwrap();
        seen.push(format!("{} {}", file.name, file.version));
        match seen.len() {
            // Behind and before the place where the list is, in the package and after it.
            500 => upload(&store, "busy", 9_000, 10),
            501 => upload(&store, "late", 1, 10),
            502 => {
                let gone = Selector::ungrouped("busy", "7");
                store.delete_version("main", &gone, &Actor::api()).unwrap();
            }
            _ => {}
        }
    }
    let busy = (1..=1_030).rev().filter(|version| *version != 7);
    let busy = busy.map(|version| format!("busy {version}"));
    let expected: Vec<_> = busy.chain(["late 1".to_owned(), "other 1".to_owned()]).collect();
    assert_eq!(seen, expected);
}

/// Damages rows of a table of a closed store: those at these places.
fn damage(directory: &Path, table: &'static str, places: &[usize]) {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let path = directory.join("meta.redb");
    let meta = RedbStore::open(&fs, &path, &RedbOptions::default()).unwrap();
    let all = (Bound::Unbounded, Bound::Unbounded);
    let rows = meta.snapshot(&[]).unwrap().scan(Table(table), all, Direction::Forward, 1_000);
    let rows = rows.unwrap();
    let put = places.iter().map(|place| {
        let (key, mut value) = rows[*place].clone();
        let middle = value.len() / 2;
        value[middle] ^= 4;
        (Table(table), key, value)
    });
    meta.commit(&Batch { put: put.collect(), ..Batch::default() }).unwrap();
}

#[test]
fn a_damaged_row_is_left_out_of_lists_and_hides_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    store.create_feed(FeedDraft::new("main", "plain"), &Actor::api()).unwrap();
    let expected = fill(&store, 4, 100);
    store.close().unwrap();
    drop(store);
    // The versions `p01 1` and `p02 2`, the package `p03` and the status of `p02 3`.
    damage(directory.path(), "ver-1", &[0, 2]);
    damage(directory.path(), "pkg-1", &[2]);
    damage(directory.path(), "status-1", &[0]);
    damage(directory.path(), "dl-1", &[0]);
    damage(directory.path(), "frag-1", &[2]);
    let store = open(directory.path());
    let query = VersionsQuery { manifests: Manifests::Included, ..VersionsQuery::default() };
    let files = listed(&store, &query);
    let left: Vec<_> = expected
        .into_iter()
        .filter(|row| !row.starts_with("p03") && row != "p01 1" && row != "p02 2")
        .collect();
    assert_eq!(shown(&files), left);
    let status = |row: &str| {
        let at = left.iter().position(|shown| shown == row).unwrap();
        files[at].status.clone()
    };
    // What the status was is not known: the block that it may have been stands.
    assert!(status("p02 3").is_blocked());
    assert!(!status("p02 1").is_blocked());
    let packages: Vec<_> =
        store.packages("main", None).unwrap().map(|one| one.unwrap().name).collect();
    assert_eq!(packages, ["p01", "p02", "p04"]);
    let latest = store.latest("main", &LatestQuery::default()).unwrap().map(Result::unwrap);
    assert_eq!(shown(&latest.collect::<Vec<_>>()), ["p02 3", "p04 7"]);
}
