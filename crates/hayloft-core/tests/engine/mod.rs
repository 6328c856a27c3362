//! What the tests of the whole engine share: a small feed type, operations and what can be seen.

mod operation;
mod plain;
mod view;

pub(crate) use operation::{Kind, Operation, Outcome};
pub(crate) use plain::{Plain, package};
pub(crate) use view::{View, garbage, view};

use std::path::PathBuf;
use std::sync::Arc;

use hayloft_core::sim::{SimFs, SimImage};
use hayloft_core::{
    Actor, Background, Checkpoints, FeedDraft, FeedTypes, ManualClock, OpenError, OpenOptions,
    Store, Timestamp,
};

pub(crate) const FEEDS: [&str; 2] = ["main", "next"];

/// A store on a simulated disk.
pub(crate) struct Engine {
    pub(crate) fs: SimFs,
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
}

pub(crate) fn directory() -> PathBuf {
    PathBuf::from("/store")
}

pub(crate) fn actor() -> Actor {
    Actor::named("tester")
}

/// How the store is opened in all runs of one test.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) inline_limit: u64,
    pub(crate) free_space_floor: u64,
    /// Bytes of a half of the log: a few pages, so that histories meet checkpoints.
    pub(crate) half: u64,
}

impl Setup {
    /// Files of more bytes lie beside the metadata.
    pub(crate) fn inline(inline_limit: u64) -> Self {
        Self { inline_limit, free_space_floor: 1 << 20, half: 32 << 10 }
    }

    pub(crate) fn options(self, clock: &Arc<ManualClock>) -> OpenOptions {
        let mut options = OpenOptions::default();
        options.inline_limit = self.inline_limit;
        options.free_space_floor = self.free_space_floor;
        options.cache = 4 << 20;
        options.background = Background::Caller;
        options.log.half = self.half;
        options.log.checkpoints = Checkpoints::Caller;
        options.log.spare = 0;
        options.clock = clock.clone();
        options
    }

    pub(crate) fn open(self, fs: &SimFs, clock: &Arc<ManualClock>) -> Result<Engine, OpenError> {
        let types = FeedTypes::none().with(Plain);
        let store = Store::open_on(fs.shared(), directory(), types, self.options(clock))?;
        Ok(Engine { fs: fs.clone(), store, clock: clock.clone() })
    }

    /// The disk after a store with two empty feeds was made and closed.
    pub(crate) fn base(self) -> SimImage {
        let fs = SimFs::new(0);
        let engine = self.open(&fs, &clock()).unwrap();
        for feed in FEEDS {
            engine.store.create_feed(FeedDraft::new(feed, "plain"), &actor()).unwrap();
        }
        engine.store.close().unwrap();
        drop(engine);
        fs.images().pop().unwrap()
    }
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)))
}

/// All blob files, as the digest in hex.
pub(crate) fn blob_files(fs: &SimFs) -> Vec<String> {
    let fs = fs.shared();
    let root = directory().join("blobs");
    let mut found = Vec::new();
    for shard in fs.list(&root).unwrap() {
        for file in fs.list(&root.join(&shard.name)).unwrap() {
            found.push(format!("{}{}", shard.name, file.name));
        }
    }
    found
}

/// Files of uploads that never ended.
pub(crate) fn staged_files(fs: &SimFs) -> Vec<PathBuf> {
    let fs = fs.shared();
    let root = directory().join("tmp");
    let mut found = Vec::new();
    for entry in fs.list(&root).unwrap() {
        let path = root.join(&entry.name);
        if entry.is_directory {
            found.extend(fs.list(&path).unwrap().iter().map(|file| path.join(&file.name)));
        } else {
            found.push(path);
        }
    }
    found
}
