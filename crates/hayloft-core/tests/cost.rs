//! What an operation reads and writes does not grow with what the store holds.
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
#[path = "engine/remote.rs"]
mod remote;

use std::collections::BTreeSet;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hayloft_core::sim::SimFs;
use hayloft_core::{
    Actor, AuditQuery, Background, Batch, CommitError, Direction, FeedDraft, FeedTypes, Fs,
    KeyGrant, KeyRange, LatestQuery, Listing, LocalBlobs, MetaError, MetaRead, MetaStore, MetaTurn,
    OpenOptions, Opened, Overwrite, Parts, PromoteRequest, Promotion, PromotionQuery, RealFs,
    RedbOptions, RedbStore, RepackageRequest, Repair, Row, Selector, StatusChange, Store, Table,
    Timestamp, UploadRequest, VerifyLevel, VersionsQuery, Want, Wanted,
};
use hayloft_feed::FeedType;
use hayloft_feed::native::{Action as NativeAction, Body, Change, Edit, ListingChange, Request};

use operations::operations;
use plain::{Plain, package};
use remote::{Cost, Flights, Remote};

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
        let listing = Some(Listing::Unlisted);
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
    measure("history", &mut || assert!(store.feed_stats("main").unwrap().files > 0));
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

/// How the cost of an operation grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Growth {
    /// Not at all; at most so many round trips.
    Flat { flights: u64 },
    /// It shows or checks everything: writes nothing, and takes so many round trips, and so many
    /// more for each thousand rows that it reads.
    Whole { flights: u64, per_thousand: u64 },
}

const ONE: Growth = Growth::Flat { flights: 1 };
/// A rehearsal, and the turn's three.
const CHANGE: Growth = Growth::Flat { flights: 6 };
/// Nothing is asked of the engine.
const FREE: Growth = Growth::Flat { flights: 0 };
/// A page or two of each table; that of a large store is held against its versions, too.
const VERIFY: Growth = Growth::Whole { flights: 70, per_thousand: 6 };
const PAGES: Growth = Growth::Whole { flights: 14, per_thousand: 4 };

type Found = Vec<(&'static str, Growth, Cost)>;

/// What every operation costs in a store whose engine is far away and that holds so many versions:
/// half of one package, half of packages of their own. What stands before a colon is the name of
/// the operation.
#[expect(clippy::too_many_lines, reason = "a table of every operation there is")]
fn table(versions: u64) -> Found {
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
    for feed in ["main", "next", "doomed"] {
        store.create_feed(FeedDraft::new(feed, "plain"), &actor).unwrap();
    }
    let store = &store;
    std::thread::scope(|scope| {
        // Uploaders that meet share commits.
        for lane in 0..16 {
            scope.spawn(move || {
                for number in (1..=versions / 2).filter(|number| number % 16 == lane) {
                    upload(store, "busy", number, 10);
                    upload(store, &format!("other{number}"), 1, 10);
                }
            });
        }
    });
    let busy = |version: u64| Selector::ungrouped("busy", version.to_string());
    let name = Plain.package_name("", "busy").unwrap();
    let plain = |version: u64| Plain.version(&version.to_string()).unwrap();
    for file in store.versions("main", &VersionsQuery::new().name("busy")).unwrap() {
        store.count_download(file.unwrap().id).unwrap();
    }
    store.run_maintenance().unwrap();
    let file = store.file("main", &busy(1)).unwrap();
    let feed = store.feed("main").unwrap();
    let listed = |listing| StatusChange { listing: Some(listing), ..StatusChange::default() };
    let half = (versions / 2) as usize;

    let mut found = Found::new();
    let mut measure = |name, growth, operation: &mut dyn FnMut()| {
        if std::env::var_os("HAYLOFT_FLIGHTS").is_some() {
            eprintln!("== {name}");
        }
        let before = flights.cost();
        operation();
        found.push((name, growth, flights.cost().since(before)));
    };
    measure("opened", FREE, &mut || assert_eq!(store.opened(), Opened::Created));
    measure("directory", FREE, &mut || assert_eq!(store.directory(), directory.path()));
    measure("types", FREE, &mut || drop(store.types().clone()));
    measure("options", FREE, &mut || assert_eq!(store.options().free_space_floor, 0));
    measure("id", FREE, &mut || assert_ne!(store.id(), [0; 16]));
    measure("timeline", FREE, &mut || assert_ne!(store.timeline(), [0; 16]));
    measure("metrics", FREE, &mut || assert!(store.metrics().commits > 0));
    measure("now", FREE, &mut || assert!(store.now() > Timestamp::default()));
    measure("check_space", FREE, &mut || store.check_space().unwrap());
    measure("feed_type", FREE, &mut || assert!(store.feed_type(&feed).is_some()));
    measure("key_digest", FREE, &mut || assert_eq!(store.key_digest("a"), store.key_digest("a")));
    measure("stage", FREE, &mut || drop(store.stage(None).unwrap()));
    measure("count_download", ONE, &mut || store.count_download(file.id).unwrap());

    measure("feeds", ONE, &mut || assert_eq!(store.feeds().unwrap().len(), 3));
    measure("feed", ONE, &mut || drop(store.feed("main").unwrap()));
    measure("feed_by_id", ONE, &mut || assert!(store.feed_by_id(feed.id).unwrap().is_some()));
    measure("feed_revision", ONE, &mut || assert!(store.feed_revision("main").unwrap() > 0));
    measure("feed_stats", ONE, &mut || assert!(store.feed_stats("main").unwrap().files > 0));
    measure("facets", Growth::Flat { flights: 2 }, &mut || drop(store.facets("main").unwrap()));
    measure("keys", ONE, &mut || assert!(store.keys().unwrap().is_empty()));
    measure("find_key", ONE, &mut || assert!(store.find_key("hl_none").unwrap().is_none()));
    measure("find_key_quickly", ONE, &mut || drop(store.find_key_quickly("hl_none").unwrap()));
    measure("find_key_by_digest", ONE, &mut || {
        assert!(store.find_key_by_digest(&store.key_digest("hl_none")).unwrap().is_none());
    });
    measure("setting", ONE, &mut || assert!(store.setting("colour").unwrap().is_none()));
    measure("setting_at_hand", ONE, &mut || {
        // Where others write to the engine, nothing is at hand.
        assert!(store.setting_at_hand("colour").is_none_or(|found| found.unwrap().is_none()));
    });
    measure("settings", ONE, &mut || assert!(store.settings().unwrap().is_empty()));

    measure("file", ONE, &mut || drop(store.file("main", &busy(1)).unwrap()));
    measure("file: that is not there", ONE, &mut || {
        store.file("main", &busy(99_999)).unwrap_err();
    });
    measure("files", Growth::Flat { flights: 1 }, &mut || {
        assert_eq!(store.files("main", &busy(1)).unwrap().len(), 1);
    });
    measure("package", ONE, &mut || drop(store.package("main", "", "busy").unwrap()));
    measure("read_purl", ONE, &mut || {
        store.read_purl("main", &file.purl, Wanted::Latest).unwrap();
    });
    measure("manifest", Growth::Flat { flights: 3 }, &mut || {
        assert!(store.manifest(file.id).unwrap().is_some());
    });
    measure("native: of a type without a protocol", Growth::Flat { flights: 3 }, &mut || {
        let request = Request::get("/", "http://localhost");
        store.native("main", &request, |_, _| ()).unwrap_err();
    });
    measure("native_content", Growth::Flat { flights: 8 }, &mut || {
        drop(store.native_content(feed.id, Body::File(file.id)).unwrap());
    });
    measure("write_native", Growth::Flat { flights: 8 }, &mut || {
        store.write_native(feed.id, Body::File(file.id), &mut std::io::sink()).unwrap();
    });
    measure("document", Growth::Flat { flights: 3 }, &mut || {
        assert!(store.document(file.id, "head").unwrap().is_some());
    });
    measure("download", Growth::Flat { flights: 2 }, &mut || {
        drop(store.download("main", &busy(2)).unwrap());
    });
    measure("download_file", Growth::Flat { flights: 8 }, &mut || {
        drop(store.download_file(file.id).unwrap());
    });
    measure("file_with_content", Growth::Flat { flights: 6 }, &mut || {
        assert!(store.file_with_content(feed.id, &file.digests.sha256).unwrap().is_some());
    });
    measure("find_by_hash", Growth::Flat { flights: 11 }, &mut || {
        assert_eq!(store.find_by_hash(None, &file.digests.sha256_hex()).unwrap().len(), 1);
    });
    measure("history", Growth::Flat { flights: 3 }, &mut || {
        drop(store.history("main", &busy(5)).unwrap());
    });
    measure("promotions", Growth::Flat { flights: 2 }, &mut || {
        assert_eq!(store.promotions(&PromotionQuery::default()).unwrap().count(), 0);
    });
    measure("repackagings", Growth::Flat { flights: 2 }, &mut || {
        assert_eq!(store.repackagings(&PromotionQuery::default()).unwrap().count(), 0);
    });
    measure("promoted_versions", Growth::Flat { flights: 4 }, &mut || {
        assert_eq!(store.promoted_versions(&PromotionQuery::default()).unwrap().count(), 0);
    });
    measure("native_view", Growth::Flat { flights: 3 }, &mut || {
        drop(store.native_view("main").unwrap());
    });
    measure("index_row", ONE, &mut || {
        assert!(store.index_row(feed.id, b"none").unwrap().is_none());
    });
    measure("read_index_log", ONE, &mut || {
        let mut visit = |_: &[u8]| ControlFlow::Continue(());
        store.read_index_log(feed.id, b"none", 0, 0..1, &mut visit).unwrap_err();
    });
    measure("refresh", Growth::Flat { flights: 6 }, &mut || {
        store.refresh("main", b"none").unwrap();
    });

    measure("latest: of one package", Growth::Flat { flights: 3 }, &mut || {
        let query = LatestQuery::new().name("busy");
        assert_eq!(store.latest("main", &query).unwrap().count(), 1);
    });
    measure("latest", PAGES, &mut || {
        assert_eq!(store.latest("main", &LatestQuery::new()).unwrap().count(), half + 1);
    });
    measure("packages", PAGES, &mut || {
        assert_eq!(store.packages("main", None).unwrap().count(), half + 1);
    });
    let first = store.package("main", "", "busy").unwrap();
    measure("packages_after", PAGES, &mut || {
        assert_eq!(store.packages_after("main", None, &first).unwrap().count(), half);
    });
    measure("versions: one", Growth::Flat { flights: 3 }, &mut || {
        let query = VersionsQuery::new().name("busy").version("1");
        assert_eq!(store.versions("main", &query).unwrap().count(), 1);
    });
    measure("versions", PAGES, &mut || {
        let query = VersionsQuery::new().name("busy");
        assert_eq!(store.versions("main", &query).unwrap().count(), half);
    });
    measure("versions: with manifests", PAGES, &mut || {
        let query = VersionsQuery::new().name("busy").with_manifests();
        assert_eq!(store.versions("main", &query).unwrap().count(), half);
    });
    measure("versions: of the feed", PAGES, &mut || {
        assert_eq!(store.versions("main", &VersionsQuery::new()).unwrap().count(), half * 2);
    });
    measure("audit_log", PAGES, &mut || {
        assert!(store.audit_log(&AuditQuery::default()).unwrap().count() > half);
    });
    measure("audit_page", PAGES, &mut || {
        assert_eq!(store.audit_page(&AuditQuery::default(), 3).unwrap().rows.len(), 3);
    });
    measure("check_audit_log", PAGES, &mut || {
        assert_eq!(store.check_audit_log(None).unwrap().fault_count, 0);
    });
    measure("verify", VERIFY, &mut || {
        assert!(store.verify(VerifyLevel::Fast, Repair::No, &mut |_| ()).unwrap().is_clean());
    });
    measure("verify_watched", VERIFY, &mut || {
        let mut quiet = |_: &_| ();
        let go_on = |_| ControlFlow::Continue(());
        store.verify_watched(VerifyLevel::Fast, Repair::No, &mut quiet, &go_on).unwrap();
    });
    store.run_maintenance().unwrap();
    // As many for many feeds as for one.
    measure("run_maintenance", Growth::Whole { flights: 5, per_thousand: 4 }, &mut || {
        store.run_maintenance().unwrap();
    });

    measure("upload", CHANGE, &mut || upload(store, "busy", 20_000, 10));
    measure("upload: of a file", CHANGE, &mut || upload(store, "busy", 20_001, 30_000));
    measure("upload: again", CHANGE, &mut || upload(store, "busy", 20_000, 10));
    measure("upload: of a new package", CHANGE, &mut || upload(store, "new", 1, 10));
    measure("upload_staged", CHANGE, &mut || {
        let mut staging = store.stage(None).unwrap();
        staging.write_all(&package("busy", "20002", 20_002, 10)).unwrap();
        let staged = staging.finish().unwrap();
        store.upload_staged("main", &UploadRequest::default(), staged, &actor).unwrap();
    });
    measure("set_status", CHANGE, &mut || {
        store.set_status("main", &busy(1), &listed(Listing::Unlisted), &actor).unwrap();
    });
    measure("set_status_many", CHANGE, &mut || {
        let change = vec![(busy(1), listed(Listing::Listed))];
        store.set_status_many("main", change, |_| Ok(()), &actor).unwrap();
    });
    measure("set_tag", Growth::Flat { flights: 6 }, &mut || {
        store.set_tag("main", "t", &busy(1), &actor).unwrap();
    });
    measure("remove_tag", Growth::Flat { flights: 6 }, &mut || {
        store.remove_tag("main", "", "busy", "t", &actor).unwrap();
    });
    measure("edit", Growth::Flat { flights: 6 }, &mut || {
        let change = Change::List(plain(1), ListingChange::Unlist);
        store.edit("main", &Edit::new(name.clone(), vec![change]), &actor).unwrap();
    });
    measure("act", Growth::Flat { flights: 6 }, &mut || {
        let edit = Edit::new(name.clone(), vec![Change::List(plain(1), ListingChange::List)]);
        let action = NativeAction::Edit(edit);
        store.act("main", &action, None, Overwrite::Refuse, &actor).unwrap();
    });
    measure("promote", CHANGE, &mut || {
        store.promote("main", &PromoteRequest::new(busy(1), "next"), &actor).unwrap();
    });
    measure("repackage", CHANGE, &mut || {
        store.repackage("main", &RepackageRequest::new(busy(1), "30000"), &actor).unwrap();
    });
    measure("repackage_watched", CHANGE, &mut || {
        let request = RepackageRequest::new(busy(1), "30001");
        let go_on = |_| ControlFlow::Continue(());
        store.repackage_watched("main", &request, &actor, &go_on).unwrap();
    });
    measure("adopt_promotions", Growth::Flat { flights: 9 }, &mut || {
        let promotion = Promotion::new("plain", "", "busy");
        assert_eq!(store.adopt_promotions("main", &[promotion], &actor).unwrap(), 1);
    });
    measure("delete_version: the highest", Growth::Flat { flights: 6 }, &mut || {
        store.delete_version("main", &busy(30_001), &actor).unwrap();
    });
    measure("delete_version", Growth::Flat { flights: 6 }, &mut || {
        store.delete_version("main", &busy(1), &actor).unwrap();
    });
    measure("delete_file", Growth::Flat { flights: 6 }, &mut || {
        store.delete_file("main", &busy(2), &actor).unwrap();
    });

    measure("create_feed", CHANGE, &mut || {
        store.create_feed(FeedDraft::new("another", "plain"), &actor).unwrap();
    });
    measure("update_feed", Growth::Flat { flights: 9 }, &mut || {
        let change = |draft: &mut FeedDraft| {
            draft.alternates = vec!["other".to_owned()];
            Ok(())
        };
        store.update_feed("another", change, &actor).unwrap();
    });
    measure("delete_feed", Growth::Flat { flights: 7 }, &mut || {
        store.delete_feed("main", &actor).unwrap();
    });
    let mut key = None;
    measure("create_key", CHANGE, &mut || {
        key = Some(store.create_key(KeyGrant::default(), None, &actor).unwrap().0.id);
    });
    measure("delete_key", CHANGE, &mut || store.delete_key(key.unwrap(), &actor).unwrap());
    measure("set_setting", CHANGE, &mut || {
        store.set_setting("colour", Some("blue"), &actor).unwrap();
    });
    measure("feed_secret: of a feed that has none", Growth::Flat { flights: 6 }, &mut || {
        store.feed_secret("main").unwrap_err();
    });
    measure(
        "replace_feed_secret: of a feed that has none",
        Growth::Flat { flights: 6 },
        &mut || {
            store.replace_feed_secret("main", b"key", &actor).unwrap_err();
        },
    );
    measure("begin_timeline", CHANGE, &mut || store.begin_timeline().unwrap());
    measure("close", FREE, &mut || store.close().unwrap());
    found
}

#[test]
fn no_operation_costs_more_in_a_large_store_than_in_a_small_one() {
    // Numbers and names take some more bytes the larger they are.
    const SLACK: u64 = 256;
    // A publish rewrites a page of each, or more.
    const TREES: u64 = 9;
    const VERSIONS: u64 = 10_000;
    let (small, large) = (table(10), table(VERSIONS));
    let mut wrong = Vec::new();
    for ((name, growth, small), (_, _, large)) in small.into_iter().zip(large) {
        if std::env::var_os("HAYLOFT_COSTS").is_some() {
            eprintln!("{name}: {large:?}, small {small:?}");
        }
        let fits = match growth {
            Growth::Flat { flights } => {
                let flat = Cost { bytes: 0, ..large } == Cost { bytes: 0, ..small };
                flat && large.flights <= flights && large.bytes <= small.bytes + SLACK
            }
            Growth::Whole { flights, per_thousand } => {
                let most = |read: u64| flights + read * per_thousand / 1_000;
                large.flights <= most(large.read)
                    && small.flights <= most(small.read)
                    && (large.written, large.bytes, large.trees) == (0, 0, 0)
            }
        };
        let is_costly = match name {
            "verify" | "verify_watched" => large.flights > VERSIONS / 10,
            _ => name.starts_with("upload") && large.trees > TREES,
        };
        if !fits || is_costly {
            wrong.push(format!("{name}: {growth:?}\n  small {small:?}\n  large {large:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_operation_of_a_store_has_its_costs_in_the_table() {
    let measured = table(10)
        .into_iter()
        .map(|(name, ..)| name.split(':').next().unwrap().to_owned())
        .collect::<BTreeSet<_>>();
    assert_eq!(measured, operations());
}
