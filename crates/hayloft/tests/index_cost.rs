//! What a publish costs does not grow with what its feed holds, native index included.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hayloft::engine::{
    Batch, CommitError, Direction, Fs, KeyRange, LocalBlobs, MetaError, MetaRead, MetaStore,
    MetaTurn, Parts, RealFs, RedbOptions, RedbStore, Row, Table, Want,
};
use hayloft::{Actor, Background, FeedDraft, OpenOptions, Store, UploadRequest};
use hayloft_testkit::{deb, gem, npm_tgz, nupkg, upack, wheel};

/// Rows read and rows written, and the bytes of the latter.
#[derive(Debug, Default)]
struct Counts {
    read: AtomicU64,
    written: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug)]
struct Counting(RedbStore, Arc<Counts>);

impl MetaStore for Counting {
    fn snapshot(&self, wants: &[Want]) -> Result<Box<dyn MetaRead>, MetaError> {
        Ok(Box::new(Read(self.0.snapshot(wants)?, self.1.clone())))
    }

    fn turn(&self, wants: &[Want]) -> Result<Box<dyn MetaTurn + '_>, MetaError> {
        Ok(Box::new(Read(self.0.turn(wants)?, self.1.clone())))
    }

    fn must_reopen(&self) -> bool {
        self.0.must_reopen()
    }
}

struct Read<R: ?Sized>(Box<R>, Arc<Counts>);

impl<R: MetaRead + ?Sized> MetaRead for Read<R> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        self.1.read.fetch_add(1, Ordering::Relaxed);
        self.0.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, MetaError> {
        let rows = self.0.scan(table, range, direction, limit)?;
        self.1.read.fetch_add(rows.len() as u64 + 1, Ordering::Relaxed);
        Ok(rows)
    }
}

impl MetaTurn for Read<dyn MetaTurn + '_> {
    fn commit(self: Box<Self>, batch: Batch) -> Result<(), CommitError> {
        let rows = batch.put.len() + batch.delete.len();
        self.1.written.fetch_add(rows as u64, Ordering::Relaxed);
        let bytes: usize = batch.put.iter().map(|(_, key, value)| key.len() + value.len()).sum();
        self.1.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.0.commit(batch)
    }
}

/// A package file of a type and what it is called.
fn package(feed_type: &str, name: &str, version: u64) -> (String, Vec<u8>) {
    let version = format!("1.{version}.0");
    let package = match feed_type {
        "nuget" => nupkg(name, &version),
        "npm" => npm_tgz(name, &version),
        "pypi" => wheel(name, &version),
        "debian" => deb(name, &version, "amd64"),
        "rubygems" => gem(name, &version, "ruby"),
        "universal" => upack("", name, &version),
        other => panic!("no package is made for {other}"),
    };
    (package.file_name(), package.build())
}

/// Rows read, rows written and hundreds of bytes of one more version, and of one more package, in a
/// feed that holds so many of both.
fn costs(feed_type: &str, size: u64) -> [[u64; 3]; 2] {
    let directory = tempfile::tempdir().unwrap();
    let counts = Arc::new(Counts::default());
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    let types = hayloft::feed_types();
    let store = Store::open_with(&fs, directory.path(), types, options, |root, _| {
        let meta = RedbStore::create(&fs, &root.join("meta.redb"), &RedbOptions::default());
        let blobs = LocalBlobs::create(&fs, &root.join("blobs"));
        Ok(Parts {
            fs: fs.clone(),
            meta: Arc::new(Counting(meta.unwrap(), counts.clone())),
            blobs: Arc::new(blobs.unwrap()),
        })
    })
    .unwrap();
    let me = Actor::named("tester");
    store.create_feed(FeedDraft::new("feed", feed_type), &me).unwrap();
    let publish = |name: &str, version: u64| {
        let (file_name, bytes) = package(feed_type, name, version);
        let hints = [("distribution", "stable"), ("component", "main")];
        let request = UploadRequest {
            file_name: Some(file_name),
            hints: hints.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..UploadRequest::default()
        };
        store.upload("feed", &request, &mut bytes.as_slice(), &me).unwrap();
    };
    for number in 100..100 + size {
        publish("busy", number);
        publish(&format!("other{number}"), 100);
    }
    store.run_maintenance().unwrap();
    [("busy", 900), ("other999", 100)].map(|(name, version)| {
        let all = [&counts.read, &counts.written, &counts.bytes];
        let before = all.map(|count| count.load(Ordering::Relaxed));
        publish(name, version);
        let [read, written, bytes] = all.map(|count| count.load(Ordering::Relaxed));
        // Texts of counters grow by a digit.
        [read - before[0], written - before[1], (bytes - before[2]).div_ceil(100)]
    })
}

#[test]
fn one_more_costs_the_same_in_a_small_feed_and_in_a_large_one() {
    let types = ["nuget", "npm", "pypi", "debian", "rubygems", "universal"];
    let of = |size| -> BTreeMap<_, _> {
        types.into_iter().map(|feed_type| (feed_type, costs(feed_type, size))).collect()
    };
    let (small, large) = (of(20), of(200));
    let mut grown = Vec::new();
    for feed_type in types {
        let both = small[feed_type].iter().zip(&large[feed_type]);
        for (what, (small, large)) in ["a version", "a package"].iter().zip(both) {
            println!("{feed_type}, {what}: {small:?}, {large:?} rows read, written, 100 bytes");
            if large[0] > small[0] + 2 || large[1] != small[1] || large[2] > small[2] + 1 {
                grown.push(format!("{feed_type}, {what}: {small:?}, then {large:?}"));
            }
        }
    }
    assert!(grown.is_empty(), "{grown:#?}");
}
