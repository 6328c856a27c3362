//! What a request costs that changes something through a type's own protocol does not grow with
//! what its feed holds: neither rows, index and logs and search included, nor trees, nor round
//! trips.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests panic to fail"
)]

#[path = "server/crates.rs"]
mod crates;
#[path = "../examples/cargo_feed.rs"]
#[allow(dead_code, unreachable_pub, clippy::pedantic, reason = "an example has a main of its own")]
mod example;
#[path = "../../hayloft-core/tests/engine/remote.rs"]
mod remote;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hayloft::engine::{LocalBlobs, MetaStore, Opened, Parts, RedbOptions, RedbStore};
use hayloft::feed_type::native::{ActionKind, SampleRequest};
use hayloft::feed_type::{Allow, Deprecation};
use hayloft::{
    Actor, Background, DeprecationChange, FeedDraft, Listing, OpenOptions, Repair, Selector,
    StatusChange, Store, UploadRequest, VerifyLevel,
};
use hayloft_core::sim::SimFs;
use hayloft_http::LocalUser;
use hayloft_testkit::{Package, deb, gem, npm_tgz, nupkg, upack, wheel};
use remote::{Cost, Flights, Remote};
use server::Server;

/// Uploaders that fill a feed together, and share commits.
const LANES: u64 = 16;

/// The package that the samples of a type are about, and its version.
fn sample(tag: &str) -> (&'static str, &'static str) {
    match tag {
        "npm" | "debian" | "universal" => ("sample", "1.0.0"),
        "pypi" | "rubygems" => ("hay", "1.0"),
        "nuget" | "cargo" => ("a", "1.0.0"),
        other => panic!("say here what package the samples of {other} are about"),
    }
}

fn package(tag: &str, name: &str, version: &str) -> Option<Package> {
    Some(match tag {
        "nuget" => nupkg(name, version),
        "npm" => npm_tgz(name, version),
        "pypi" => wheel(name, version),
        "debian" => deb(name, version, "amd64"),
        "rubygems" => gem(name, version, "ruby"),
        "universal" => upack("", name, version),
        _ => return None,
    })
}

/// What a client of the type sends to publish.
fn publish(tag: &str, name: &str, version: &str) -> SampleRequest {
    package(tag, name, version)
        .map_or_else(|| crates::publish(name, version, ""), |package| package.publish())
}

/// So many versions: half of the package that the samples are about, half of packages of their own.
fn fill(store: &Store, tag: &str, versions: u64) {
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || {
                for number in (1..=versions / 2).filter(|number| number % LANES == lane) {
                    upload(store, tag, sample(tag).0, &format!("2.{number}.0"));
                    upload(store, tag, &format!("other{number}"), "1.0.0");
                }
            });
        }
    });
    store.run_maintenance().unwrap();
}

fn upload(store: &Store, tag: &str, name: &str, version: &str) {
    let (file_name, bytes) = match package(tag, name, version) {
        Some(package) => (package.file_name(), package.build()),
        None => (format!("{name}-{version}.crate"), crates::file(name, version, "")),
    };
    let hints = [("distribution", "stable"), ("component", "main")];
    let request = UploadRequest {
        file_name: Some(file_name),
        hints: hints.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..UploadRequest::default()
    };
    store.upload("mine", &request, &mut bytes.as_slice(), &Actor::system()).unwrap();
}

/// A feed of a type in a store whose engine is far away, and a server before it.
struct Fixture {
    server: Server,
    flights: Arc<Flights>,
    tag: &'static str,
    prefix: &'static str,
}

impl Fixture {
    fn new(tag: &'static str, versions: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let flights = Arc::new(Flights::default());
        let mut options = OpenOptions::default();
        options.background = Background::Caller;
        options.free_space_floor = 0;
        let fs = SimFs::new(1).shared();
        let types = hayloft::feed_types().with(example::Cargo);
        let open = |is_far: bool| {
            Store::open_with(
                &fs,
                directory.path(),
                types.clone(),
                options.clone(),
                |root, opened| {
                    let (meta, blobs) = (root.join("meta.redb"), root.join("blobs"));
                    let redb = RedbOptions::default();
                    let (meta, blobs) = match opened {
                        Opened::Created => {
                            (RedbStore::create(&fs, &meta, &redb), LocalBlobs::create(&fs, &blobs))
                        }
                        Opened::Existing => {
                            (RedbStore::open(&fs, &meta, &redb), LocalBlobs::open(&fs, &blobs))
                        }
                    };
                    let (meta, blobs) = (meta.unwrap(), Arc::new(blobs.unwrap()));
                    let flights = flights.clone();
                    let meta: Arc<dyn MetaStore> =
                        if is_far { Arc::new(Remote { meta, flights }) } else { Arc::new(meta) };
                    Ok(Parts { fs: fs.clone(), meta, blobs })
                },
            )
            .unwrap()
        };
        let store = open(false);
        store.create_feed(FeedDraft::new("mine", tag), &Actor::system()).unwrap();
        fill(&store, tag, versions);
        store.close().unwrap();
        drop(store);
        let store = open(true);
        let feed_type = store.types().get(tag).unwrap().clone();
        let prefix = feed_type.native().unwrap().prefix();
        let server = Server::of(store, directory, |app| app.gatekeeper(LocalUser::new("tester")));
        Self { server, flights, tag, prefix }
    }

    fn send(&self, sample: &SampleRequest) -> u16 {
        let path = format!("/{}/mine{}", self.prefix, sample.path);
        let mut headers = sample.headers.clone();
        headers.extend(sample.media_type.map(|media_type| ("content-type", media_type)));
        self.server.send(sample.method, &path, &headers, &sample.body).status
    }

    fn publish(&self, name: &str, version: &str) {
        let status = self.send(&publish(self.tag, name, version));
        // NuGet's clients are told that it is there already.
        assert!(status < 300 || status == 409, "{}: {name} {version}: {status}", self.tag);
    }

    fn measured(&self, operation: impl FnOnce()) -> Cost {
        // What folds in the background stands in no request's way.
        self.server.store.run_maintenance().unwrap();
        let before = self.flights.cost();
        operation();
        self.flights.cost().since(before)
    }

    fn versions(&self) -> u64 {
        let found = self.server.store.package("mine", "", sample(self.tag).0);
        found.map_or(0, |package| package.versions)
    }

    /// The requests of the type's samples that change something, and what each costs; those that
    /// are about all versions are left out.
    fn samples(&self, found: &mut Vec<(String, Cost)>) {
        let store = &self.server.store;
        let samples = store.types().get(self.tag).unwrap().native().unwrap().samples();
        let (name, version) = sample(self.tag);
        for sample in samples {
            let changes =
                sample.action.filter(|kind| !matches!(kind, ActionKind::Ask | ActionKind::Upload));
            let all = sample.path.starts_with(&format!("/{name}/-rev/"));
            if changes.is_none() || all {
                continue;
            }
            // What a sample before has hidden or removed.
            self.publish(name, version);
            let before = self.versions();
            let mut status = 0;
            let cost = self.measured(|| status = self.send(&sample));
            assert!(self.versions() + 1 >= before, "{} removes more than one", sample.path);
            found.push((format!("{} {} ({status})", sample.method, sample.path), cost));
        }
    }

    fn costs(&self) -> Vec<(String, Cost)> {
        let (name, version) = sample(self.tag);
        let store = &self.server.store;
        let me = Actor::system();
        let mut found = Vec::new();
        let one = Selector::ungrouped(name, version);
        let mut add = |what: &str, cost: Cost| found.push((what.to_owned(), cost));
        add("publish: the lowest", self.measured(|| self.publish(name, version)));
        add("publish: the highest", self.measured(|| self.publish(name, "3.0.0")));
        add("publish: between", self.measured(|| self.publish(name, "2.3.1")));
        add("publish: of a new package", self.measured(|| self.publish("fresh", "1.0.0")));
        let listed = |listing| StatusChange { listing: Some(listing), ..StatusChange::default() };
        let deprecation = Deprecation { reason: Some("old".to_owned()), ..Deprecation::default() };
        let changes = [
            ("unlist", listed(Listing::Unlisted)),
            ("list", listed(Listing::Listed)),
            ("block", StatusChange { allow: Some(Some(Allow::Never)), ..StatusChange::default() }),
            ("allow", StatusChange { allow: Some(None), ..StatusChange::default() }),
            (
                "deprecate",
                StatusChange {
                    deprecation: Some(DeprecationChange::Set(deprecation)),
                    ..StatusChange::default()
                },
            ),
        ];
        for (what, change) in changes {
            let set = || {
                store.set_status("mine", &one, &change, &me).unwrap();
            };
            add(what, self.measured(set));
        }
        self.samples(&mut found);
        self.publish(name, version);
        for (what, version) in [("delete: the highest", "3.0.0"), ("delete: the lowest", version)] {
            let one = Selector::ungrouped(name, version);
            let cost = self.measured(|| drop(store.delete_version("mine", &one, &me).unwrap()));
            found.push((what.to_owned(), cost));
        }
        found
    }
}

/// How costs of a request may differ in a feed of many versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Growth {
    None,
    /// The versions of the package are read again and shown anew, as its format has it.
    OfPackage,
}

impl Growth {
    fn of(tag: &str, what: &str) -> Self {
        // What a compact index says of a gem is one file that clients hold a digest of.
        let hides =
            ["unlist", "block", "DELETE", "delete"].iter().any(|word| what.starts_with(word));
        if tag == "rubygems" && hides { Self::OfPackage } else { Self::None }
    }

    fn allows(self, small: Cost, large: Cost, versions: u64) -> bool {
        // Numbers and names take some more bytes the larger they are.
        const SLACK: u64 = 400;
        match self {
            Self::None => {
                let flat = Cost { bytes: 0, ..large } == Cost { bytes: 0, ..small };
                flat && large.bytes <= small.bytes + SLACK
            }
            Self::OfPackage => {
                let (rows, bytes) = (10 * versions, 200 * versions);
                large.trees == small.trees
                    && large.read <= small.read + rows
                    && large.bytes <= bytes
            }
        }
    }
}

fn grown(tag: &'static str, versions: u64) -> Vec<String> {
    let few = Fixture::new(tag, 10);
    let small: BTreeMap<_, _> = few.costs().into_iter().collect();
    // After all that, the index is what would be derived anew.
    let mut findings = Vec::new();
    let mut report = |finding: &hayloft::Finding| findings.push(finding.to_string());
    few.server.store.verify(VerifyLevel::Normal, Repair::No, &mut report).unwrap();
    assert_eq!(findings, Vec::<String>::new(), "{tag}");
    let mut grown = Vec::new();
    for (what, large) in Fixture::new(tag, versions).costs() {
        let small = small[&what];
        println!("{tag}: {what}: {large:?}");
        if !Growth::of(tag, &what).allows(small, large, versions) {
            grown.push(format!("{tag}: {what}\n  small {small:?}\n  large {large:?}"));
        }
    }
    grown
}

#[test]
fn requests_of_native_clients_cost_the_same_in_a_large_feed_as_in_a_small_one() {
    let types = hayloft::feed_types().with(example::Cargo);
    let tags: Vec<&'static str> = types.iter().map(|each| each.tag()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some(tag) = tags.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.extend(grown(tag, 10_000));
        }
        found
    };
    let grown: Vec<String> = std::thread::scope(|scope| {
        let lanes = [scope.spawn(work), scope.spawn(work)];
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    assert!(grown.is_empty(), "{}", grown.join("\n"));
}
