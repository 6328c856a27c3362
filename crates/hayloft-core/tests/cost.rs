//! What an operation reads and writes does not grow with what the store holds.
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
mod remote;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hayloft_core::sim::SimFs;
use hayloft_core::{
    Actor, Background, Batch, CommitError, Direction, FeedDraft, FeedTypes, Fs, KeyGrant, KeyRange,
    LatestQuery, LocalBlobs, Manifests, MetaError, MetaRead, MetaStore, MetaTurn, OpenOptions,
    Opened, Parts, PromoteRequest, RealFs, RedbOptions, RedbStore, RepackageRequest, Row, Selector,
    StatusChange, Store, Table, UploadRequest, VersionsQuery, Want,
};

use plain::{Plain, package};
use remote::{Flights, Remote};

/// Rows that were read or written.
#[derive(Debug, Default)]
struct Touched(AtomicU64);

#[derive(Debug)]
struct Counting {
    meta: RedbStore,
    touched: Arc<Touched>,
}

impl MetaStore for Counting {
    fn snapshot(&self, wants: &[Want]) -> Result<Box<dyn MetaRead>, MetaError> {
        let touched = self.touched.clone();
        Ok(Box::new(CountingRead { read: self.meta.snapshot(wants)?, touched }))
    }

    fn turn(&self, wants: &[Want]) -> Result<Box<dyn MetaTurn + '_>, MetaError> {
        let touched = self.touched.clone();
        Ok(Box::new(CountingRead { read: self.meta.turn(wants)?, touched }))
    }

    fn must_reopen(&self) -> bool {
        self.meta.must_reopen()
    }
}

struct CountingRead<R: ?Sized> {
    touched: Arc<Touched>,
    read: Box<R>,
}

impl<R: MetaRead + ?Sized> MetaRead for CountingRead<R> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        self.touched.0.fetch_add(1, Ordering::Relaxed);
        self.read.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, MetaError> {
        let rows = self.read.scan(table, range, direction, limit)?;
        self.touched.0.fetch_add(rows.len() as u64 + 1, Ordering::Relaxed);
        Ok(rows)
    }
}

impl MetaTurn for CountingRead<dyn MetaTurn + '_> {
    fn commit(self: Box<Self>, batch: Batch) -> Result<(), CommitError> {
        let rows = batch.put.len() + batch.delete.len();
        self.touched.0.fetch_add(rows as u64, Ordering::Relaxed);
        self.read.commit(batch)
    }
}

fn upload(store: &Store, name: &str, version: u64, len: usize) {
    let bytes = package(name, &version.to_string(), version, len);
    let request = UploadRequest::default();
    store.upload("main", &request, &mut bytes.as_slice(), &Actor::api()).unwrap();
}

/// Rows touched by each kind of operation in a store of so many packages and versions, with
/// downloads of each.
fn costs(size: u64) -> Vec<(&'static str, u64)> {
    let directory = tempfile::tempdir().unwrap();
    let touched = Arc::new(Touched::default());
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let types = FeedTypes::none().with(Plain);
    let store = Store::open_with(&fs, directory.path(), types, options, |root, opened| {
        assert_eq!(opened, Opened::Created);
        let meta = RedbStore::create(&fs, &root.join("meta.redb"), &RedbOptions::default());
        let blobs = LocalBlobs::create(&fs, &root.join("blobs"));
        Ok(Parts {
            fs: fs.clone(),
            meta: Arc::new(Counting { meta: meta.unwrap(), touched: touched.clone() }),
            blobs: Arc::new(blobs.unwrap()),
        })
    })
    .unwrap();
    let actor = Actor::api();
    for feed in ["main", "next"] {
        store.create_feed(FeedDraft::new(feed, "plain"), &actor).unwrap();
    }
    for number in 1..=size {
        upload(&store, "busy", number, 10);
        upload(&store, &format!("other{number}"), 1, 10);
    }
    for file in store.versions("main", &VersionsQuery::default()).unwrap() {
        store.count_download(file.unwrap().id).unwrap();
    }
    store.run_maintenance().unwrap();
    let busy = |version: u64| Selector::ungrouped("busy", version.to_string());
    let mut costs = Vec::new();
    let mut measure = |name, operation: &mut dyn FnMut()| {
        let before = touched.0.load(Ordering::Relaxed);
        operation();
        costs.push((name, touched.0.load(Ordering::Relaxed) - before));
    };
    let (_, text) = store.create_key(KeyGrant::default(), None, &actor).unwrap();
    store.set_setting("colour", Some("blue"), &actor).unwrap();
    measure("key", &mut || assert!(store.find_key(text.reveal()).unwrap().is_some()));
    measure("setting", &mut || assert!(store.setting("colour").unwrap().is_some()));
    measure("feed", &mut || drop(store.feed("main").unwrap()));
    measure("upload", &mut || upload(&store, "busy", 1_000, 10));
    measure("upload of a file", &mut || upload(&store, "busy", 1_001, 30_000));
    measure("new package", &mut || upload(&store, "new", 1, 10));
    measure("file", &mut || drop(store.file("main", &busy(1)).unwrap()));
    measure("file that is not there", &mut || {
        store.file("main", &busy(9_999)).unwrap_err();
    });
    measure("download", &mut || drop(store.download("main", &busy(2)).unwrap()));
    measure("status", &mut || {
        let listing = Some(hayloft_core::Listing::Unlisted);
        let change = StatusChange { listing, ..StatusChange::default() };
        store.set_status("main", &busy(1), &change, &actor).unwrap();
    });
    measure("tag", &mut || drop(store.set_tag("main", "t", &busy(1), &actor).unwrap()));
    measure("promote", &mut || {
        store.promote("main", &PromoteRequest::new(busy(1), "next"), &actor).unwrap();
    });
    measure("repackage", &mut || {
        store.repackage("main", &RepackageRequest::new(busy(1), "5000"), &actor).unwrap();
    });
    measure("latest of one", &mut || {
        let query = LatestQuery { name: Some("busy".to_owned()), ..LatestQuery::default() };
        assert_eq!(store.latest("main", &query).unwrap().count(), 1);
    });
    measure("one version", &mut || {
        let query = VersionsQuery {
            name: Some("busy".to_owned()),
            version: Some("1".to_owned()),
            ..VersionsQuery::default()
        };
        assert_eq!(store.versions("main", &query).unwrap().count(), 1);
    });
    measure("find by hash", &mut || {
        let digest = store.file("main", &busy(3)).unwrap().digests.sha256;
        let digest = data_encoding::HEXLOWER.encode(&digest);
        assert_eq!(store.find_by_hash(None, &digest).unwrap().len(), 1);
    });
    measure("history", &mut || drop(store.history("main", &busy(5)).unwrap()));
    measure("totals", &mut || assert!(store.feed_stats("main").unwrap().files > 0));
    measure("delete the highest", &mut || {
        store.delete_version("main", &busy(5_000), &actor).unwrap();
    });
    measure("list of one package", &mut || {
        let query = VersionsQuery { name: Some("new".to_owned()), ..VersionsQuery::default() };
        assert_eq!(store.versions("main", &query).unwrap().count(), 1);
    });
    costs
}

#[test]
fn operations_touch_as_many_rows_in_a_large_store_as_in_a_small_one() {
    let (small, large) = (costs(40), costs(160));
    for ((name, small), (_, large)) in small.into_iter().zip(large) {
        assert_eq!(large, small, "{name}");
        assert!(small > 0 || ["key", "setting", "feed"].contains(&name), "{name}");
        assert!(small == 0 || !["key", "setting", "feed"].contains(&name), "{name}");
    }
}

/// Round trips of each kind of operation, in a store whose engine is far away and that holds a
/// package of so many versions.
fn flights(versions: u64) -> Vec<(&'static str, u64)> {
    let directory = tempfile::tempdir().unwrap();
    let flights = Arc::new(Flights::default());
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    options.inline_limit = 0;
    let fs = SimFs::new(1).shared();
    let types = FeedTypes::none().with(Plain);
    let store = Store::open_with(&fs, directory.path(), types, options, |root, _| {
        let meta = RedbStore::create(&fs, &root.join("meta.redb"), &RedbOptions::default());
        let blobs = LocalBlobs::create(&fs, &root.join("blobs"));
        Ok(Parts {
            fs: fs.clone(),
            meta: Arc::new(Remote { meta: meta.unwrap(), flights: flights.clone() }),
            blobs: Arc::new(blobs.unwrap()),
        })
    })
    .unwrap();
    let actor = Actor::api();
    for feed in ["main", "next"] {
        store.create_feed(FeedDraft::new(feed, "plain"), &actor).unwrap();
    }
    for number in 1..=versions {
        upload(&store, "busy", number, 10);
    }
    let busy = |version: u64| Selector::ungrouped("busy", version.to_string());
    let of_busy = |manifests| VersionsQuery {
        name: Some("busy".to_owned()),
        manifests,
        ..VersionsQuery::default()
    };
    let mut found = Vec::new();
    let mut measure = |name, operation: &mut dyn FnMut()| {
        let before = flights.count();
        if std::env::var_os("HAYLOFT_FLIGHTS").is_some() {
            eprintln!("== {name}");
        }
        operation();
        found.push((name, flights.count() - before));
    };
    measure("versions", &mut || {
        let listed = store.versions("main", &of_busy(Manifests::Omitted)).unwrap().count();
        assert_eq!(listed as u64, versions);
    });
    measure("versions with manifests", &mut || {
        let listed = store.versions("main", &of_busy(Manifests::Included)).unwrap().count();
        assert_eq!(listed as u64, versions);
    });
    store.count_download(store.file("main", &busy(1)).unwrap().id).unwrap();
    store.run_maintenance().unwrap();
    // Counters, jobs, indexes of two feeds, and one look at the rows of a thousand contents.
    measure("maintenance", &mut || store.run_maintenance().unwrap());
    measure("versions once one was downloaded", &mut || {
        let listed = store.versions("main", &of_busy(Manifests::Omitted)).unwrap().count();
        assert_eq!(listed as u64, versions);
    });
    measure("key", &mut || assert!(store.find_key("hl_not-of-this-store").unwrap().is_none()));
    measure("card", &mut || drop(store.file("main", &busy(1)).unwrap()));
    measure("download", &mut || drop(store.download("main", &busy(2)).unwrap()));
    measure("upload", &mut || upload(&store, "busy", 20_000, 10));
    measure("upload of a new package", &mut || upload(&store, "new", 1, 10));
    measure("status", &mut || {
        let listing = Some(hayloft_core::Listing::Unlisted);
        let change = StatusChange { listing, ..StatusChange::default() };
        store.set_status("main", &busy(1), &change, &actor).unwrap();
    });
    measure("promote", &mut || {
        store.promote("main", &PromoteRequest::new(busy(1), "next"), &actor).unwrap();
    });
    measure("repackage", &mut || {
        store.repackage("main", &RepackageRequest::new(busy(1), "30000"), &actor).unwrap();
    });
    found
}

/// What each may take: a turn is three of them.
const MOST_FLIGHTS: [(&str, u64); 12] = [
    ("versions", 3),
    ("versions with manifests", 4),
    ("maintenance", 12),
    ("versions once one was downloaded", 3),
    ("key", 1),
    ("card", 1),
    ("download", 2),
    ("upload", 6),
    ("upload of a new package", 6),
    ("status", 6),
    ("promote", 6),
    ("repackage", 6),
];

#[test]
fn operations_take_as_many_round_trips_in_a_large_store_as_in_a_small_one() {
    let (small, large) = (flights(10), flights(1_000));
    for (((name, small), (_, large)), (limited, most)) in
        small.into_iter().zip(large).zip(MOST_FLIGHTS)
    {
        assert_eq!((large, limited), (small, name), "{name}");
        assert!(small <= most, "{name}: {small}");
    }
}
