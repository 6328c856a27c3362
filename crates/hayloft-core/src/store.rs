use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hayloft_feed::{Detail, FeedType};

use crate::downloads::{self, Downloads, LOG_POSITION};
use crate::file_rows::Context;
use crate::fs::OverlayFs;
use crate::hashing::Helpers;
use crate::inspections::Inspections;
use crate::layout::{FORMAT, Layout, OLDEST_FORMAT};
use crate::maintenance::Maintenance;
use crate::metrics::Meter;
use crate::operation::Entry;
use crate::own_rows::{self, Fallback};
use crate::pins::Pins;
use crate::plan::Plan;
use crate::records::{FormatRecord, LogPositionRecord, NumberRecord, SaltRecord};
use crate::scrub;
use crate::small::SmallTables;
use crate::space::Space;
use crate::staging::StagingArea;
use crate::writer::{Below, Writer, check_outside_plan};
use crate::{
    Action, Actor, BlobStore, Feed, FeedTypes, FileId, Fs, FsLock, LocalBlobs, LogError,
    LogOptions, LogPlaces, Logged, MetaRead, MetaStore, Metrics, OpenMetaError, OpenMode,
    OpenOptions, RealFs, RedbOptions, RedbStore, StoreError, Timestamp, Want, rows, tables,
};

pub(crate) const FORMAT_ROW: &[u8] = b"format";
pub(crate) const EPOCH_ROW: &[u8] = b"epoch";
pub(crate) const SALT_ROW: &[u8] = b"salt";
/// A second row of the same: without it all API keys are lost.
pub(crate) const SALT_COPY_ROW: &[u8] = b"salt-copy";

/// A directory that holds feeds; owned by one process at a time.
///
/// A cheap handle: clones share one store, from any thread. All methods block; a change has
/// reached the disk when its method returns `Ok`, and readers see whole changes only. A feed is
/// named by its name or an alternate name, without ASCII case.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    /// Shared by all clones: the last one to go closes the store, and waits until it is closed.
    _handles: Arc<Handles>,
}

impl fmt::Debug for Store {
    /// Short, and without what digests of keys are made with.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Store")
            .field("directory", &self.directory())
            .field("is_closed", &self.inner.is_closed())
            .finish_non_exhaustive()
    }
}

struct Handles(Arc<Inner>);

impl Drop for Handles {
    fn drop(&mut self) {
        if let Err(error) = self.0.close() {
            tracing::error!(%error, "the store was not closed cleanly");
        }
    }
}

pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) options: OpenOptions,
    opened: Opened,
    pub(crate) fs: Arc<dyn Fs>,
    /// `None` once closed, and while it could not be opened again.
    meta: RwLock<Option<Arc<dyn MetaStore>>>,
    /// Opens the metadata again after a failure; `None` where the caller made it.
    again: Option<Reopen>,
    /// True if other processes write to the metadata too.
    shared: bool,
    pub(crate) small: Arc<SmallTables>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) writer: Writer,
    pub(crate) context: Arc<Context>,
    pub(crate) staging: Arc<StagingArea>,
    pub(crate) pins: Arc<Pins>,
    /// Held for writing by a backup, for reading by collections.
    pub(crate) collecting: RwLock<()>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) inspections: Inspections,
    /// Mixed into the digests of API keys.
    pub(crate) salt: [u8; 32],
    id: [u8; 16],
    timeline: RwLock<[u8; 16]>,
    pub(crate) maintenance: Maintenance,
    pub(crate) refreshing: crate::operation::Refreshing,
    lock: Mutex<Option<Box<dyn FsLock>>>,
    closed: AtomicBool,
}

/// Opens the metadata of a store once more.
type Reopen = Box<dyn Fn() -> Result<Arc<dyn MetaStore>, OpenError> + Send + Sync>;

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no store, and none was to be made.
    #[error("`{}` holds no store", directory.display())]
    Missing {
        /// The directory.
        directory: std::path::PathBuf,
    },
    /// The directory has files of another kind.
    #[error(
        "`{}` is not empty and holds no store; name an empty or new directory",
        directory.display()
    )]
    NotAStore {
        /// The directory.
        directory: std::path::PathBuf,
    },
    /// Another process, or another handle of this one, owns it.
    #[error(
        "the store `{}` is in use by another process; stop it, or go through its server",
        directory.display()
    )]
    InUse {
        /// The directory.
        directory: std::path::PathBuf,
    },
    /// A newer release has written it.
    #[error(
        "the store has format {found}, this program knows formats up to {known}; \
         use a newer release"
    )]
    NewerFormat {
        /// Format of the store.
        found: u32,
        /// Newest format of this program.
        known: u32,
    },
    /// It was written before the first release, in a format that no release reads.
    #[error(
        "the store has format {found}, which was used before the first release; this program \
         knows formats from {known} on: make a new store and upload the packages again"
    )]
    OlderFormat {
        /// Format of the store.
        found: u32,
        /// Oldest format of this program.
        known: u32,
    },
    /// The store lies on a network file system, whose locks and flushes cannot be relied on.
    #[error("`{}` lies on a network file system ({kind}); use a local disk", directory.display())]
    Network {
        /// The directory.
        directory: std::path::PathBuf,
        /// Kind of file system.
        kind: String,
    },
    /// The metadata file could not be opened.
    #[error("the metadata could not be opened")]
    Meta(#[source] OpenMetaError),
    /// The log of the metadata could not be opened.
    #[error("the log `{}` could not be opened", path.display())]
    Log {
        /// The log.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: LogError,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes could be had")]
    Random(#[source] Detail),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether opening found a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It was there.
    Existing,
    /// It was made.
    Created,
}

/// What a store is made of: its files, its metadata and its contents.
#[derive(Debug)]
pub struct Parts {
    /// The directory's files.
    pub fs: Arc<dyn Fs>,
    /// Metadata.
    pub meta: Arc<dyn MetaStore>,
    /// Contents.
    pub blobs: Arc<dyn BlobStore>,
}

impl Store {
    /// Opens the store in `directory`, or makes one there.
    ///
    /// Costs milliseconds, also after a crash and whatever the store holds.
    pub fn open(
        directory: impl AsRef<Path>,
        types: FeedTypes,
        options: OpenOptions,
    ) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(RealFs), directory, types, options)
    }

    /// Opens a store on files other than the operating system's.
    pub fn open_on(
        fs: Arc<dyn Fs>,
        directory: impl AsRef<Path>,
        types: FeedTypes,
        options: OpenOptions,
    ) -> Result<Self, OpenError> {
        let fs: Arc<dyn Fs> = match options.mode {
            OpenMode::ReadWrite => fs,
            OpenMode::ReadOnly => Arc::new(OverlayFs::new(fs)),
        };
        let layout = Layout { root: directory.as_ref().to_owned() };
        let redb = RedbOptions { cache_bytes: options.cache, ..RedbOptions::default() };
        let (mut log, switches) = (options.log.clone(), options.switches());
        log.leaves_out_unknown = options.mode == OpenMode::ReadOnly;
        let below = fs.clone();
        let (again_fs, again_redb, again_log) = (fs.clone(), redb.clone(), log.clone());
        let again: Reopen = Box::new(move || {
            let meta = RedbStore::open(&again_fs, &layout.meta(), &again_redb)
                .map_err(in_use_or_meta(&layout.root))?;
            with_log(&again_fs, &layout, meta, &again_log)
        });
        let make = move |root: &Path, opened| {
            let layout = Layout { root: root.to_owned() };
            let root = layout.blobs();
            let meta = layout.meta();
            let (meta, blobs) = match opened {
                Opened::Created => {
                    (RedbStore::create(&fs, &meta, &redb), LocalBlobs::create(&fs, &root))
                }
                Opened::Existing => {
                    (RedbStore::open(&fs, &meta, &redb), LocalBlobs::open(&fs, &root))
                }
            };
            let meta = meta.map_err(in_use_or_meta(&layout.root))?;
            Ok(Parts {
                meta: with_log(&fs, &layout, meta, &log)?,
                blobs: Arc::new(blobs.map_err(StoreError::io("open", root))?.leaving_out(switches)),
                fs,
            })
        };
        Self::open_parts(&below, directory, types, options, make, Some(again))
    }

    /// Opens a store whose parts `make` provides, once the directory is locked.
    pub fn open_with(
        fs: &Arc<dyn Fs>,
        directory: impl AsRef<Path>,
        types: FeedTypes,
        options: OpenOptions,
        make: impl FnOnce(&Path, Opened) -> Result<Parts, OpenError>,
    ) -> Result<Self, OpenError> {
        Self::open_parts(fs, directory, types, options, make, None)
    }

    fn open_parts(
        fs: &Arc<dyn Fs>,
        directory: impl AsRef<Path>,
        types: FeedTypes,
        options: OpenOptions,
        make: impl FnOnce(&Path, Opened) -> Result<Parts, OpenError>,
        again: Option<Reopen>,
    ) -> Result<Self, OpenError> {
        let layout = Layout { root: directory.as_ref().to_owned() };
        let (opened, lock) = layout.enter(fs, options.create, options.mode)?;
        layout.make_directories(fs.as_ref())?;
        let parts = make(&layout.root, opened)?;
        let meter = Arc::new(Meter::default());
        let small = Arc::new(SmallTables::default());
        check_format(parts.meta.as_ref(), options.mode)?;
        let mended = own_rows::mend(
            parts.meta.as_ref(),
            &Fallback {
                store: random()?,
                timeline: random()?,
                position: downloads::end_of_log(parts.fs.as_ref(), &layout.root)?,
            },
        )?;
        let space = Arc::new(Space {
            fs: parts.fs.clone(),
            place: layout.root.clone(),
            floor: options.free_space_floor,
            read_only: AtomicBool::new(false),
        });
        let below = Below {
            meta: parts.meta.clone(),
            types: types.clone(),
            clock: options.clock.clone(),
            meter: meter.clone(),
            small: small.clone(),
            switches: options.switches(),
        };
        let writer = Writer::start(below, space.clone())?;
        let started = begin(&parts, &writer, &layout, opened, mended)?;
        let downloads =
            Arc::new(Downloads::open(parts.fs.clone(), &layout.root, &started.begun.position)?);
        let staging = Arc::new(StagingArea {
            fs: parts.fs.clone(),
            directory: started.staging,
            inline_limit: options.inline_limit.min(16 << 20),
            space: space.clone(),
            max_file_size: options.max_file_size,
            helpers: Helpers::of_machine(),
            next: AtomicU64::new(0),
        });
        if let Err(error) = downloads.flush(&writer) {
            // Nothing that a store could not be read without.
            tracing::warn!(%error, "download counts were not saved and are kept");
        }
        // What came so far was recovery.
        space.read_only.store(options.mode == OpenMode::ReadOnly, Ordering::Release);
        let inner = Arc::new(Inner {
            layout,
            opened,
            fs: parts.fs,
            shared: parts.meta.is_shared(),
            again,
            small,
            meta: RwLock::new(Some(parts.meta)),
            blobs: parts.blobs,
            writer,
            context: Arc::new(Context { types, downloads, mark: mark(started.begun.id) }),
            staging,
            pins: Arc::default(),
            collecting: RwLock::default(),
            meter,
            salt: started.begun.salt,
            id: started.begun.id,
            timeline: RwLock::new(started.begun.timeline),
            inspections: Inspections::new(&options),
            maintenance: Maintenance::default(),
            refreshing: crate::operation::Refreshing::default(),
            lock: Mutex::new(Some(lock)),
            closed: AtomicBool::new(false),
            options,
        });
        let store = Self { _handles: Arc::new(Handles(inner.clone())), inner };
        if store.inner.options.mode == OpenMode::ReadWrite {
            Maintenance::start(&store.inner)?;
        }
        Ok(store)
    }

    /// Whether opening found the store or made it.
    pub fn opened(&self) -> Opened {
        self.inner.opened
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.inner.layout.root
    }

    /// The feed types that this handle knows.
    pub fn types(&self) -> &FeedTypes {
        &self.inner.context.types
    }

    /// The options it was opened with.
    pub fn options(&self) -> &OpenOptions {
        &self.inner.options
    }

    /// Names this store, among all there are.
    pub fn id(&self) -> [u8; 16] {
        self.inner.id
    }

    /// Names the line of changes that the store is on: another one after it has gone back to an
    /// earlier state, so that nothing made before is taken for what is there now.
    pub fn timeline(&self) -> [u8; 16] {
        *self.inner.timeline.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a new line of changes: for whoever has put a backup in the place of a store.
    pub fn begin_timeline(&self) -> Result<(), OpenError> {
        let timeline = random()?;
        self.inner.writer.change::<(), StoreError>(512, move |plan| {
            let format: FormatRecord = rows::need(plan, tables::META, FORMAT_ROW)?;
            plan.put(tables::META, FORMAT_ROW.to_vec(), &FormatRecord { timeline, ..format })
        })?;
        *self.inner.timeline.write().unwrap_or_else(PoisonError::into_inner) = timeline;
        Ok(())
    }

    /// Saves download counters, ends the store's threads and gives the directory free. All other
    /// calls on any clone fail from now on. Dropping the last clone does the same, without telling
    /// of errors.
    pub fn close(&self) -> Result<(), StoreError> {
        self.inner.close()
    }

    /// Fails if too little of the disk is free for an upload, or nothing is written any more.
    pub fn check_space(&self) -> Result<(), StoreError> {
        drop(self.inner.snapshot()?);
        if self.inner.writer.is_stopped() {
            return Err(StoreError::Stopped);
        }
        self.inner.staging.space.check()
    }

    /// What the store did since it was opened.
    pub fn metrics(&self) -> Metrics {
        let meta = self.inner.meta.read().unwrap_or_else(PoisonError::into_inner);
        let log = meta.as_ref().map(|meta| meta.log_metrics()).unwrap_or_default();
        Metrics { log, ..self.inner.meter.read() }
    }

    /// Now, by the store's clock.
    pub fn now(&self) -> Timestamp {
        self.inner.options.clock.now()
    }

    /// The type of a feed, if this program knows it.
    pub fn feed_type(&self, feed: &Feed) -> Option<Arc<dyn FeedType>> {
        self.types().get(&feed.feed_type).cloned()
    }
}

impl Inner {
    /// The state after the newest commit.
    pub(crate) fn snapshot(&self) -> Result<Box<dyn MetaRead>, StoreError> {
        self.snapshot_with(&[])
    }

    /// The same, where `wants` is going to be asked for.
    pub(crate) fn snapshot_with(&self, wants: &[Want]) -> Result<Box<dyn MetaRead>, StoreError> {
        let meta = self.meta.read().unwrap_or_else(PoisonError::into_inner);
        let gone = || if self.is_closed() { StoreError::Closed } else { StoreError::Stopped };
        Ok(meta.as_ref().ok_or_else(gone)?.snapshot(wants)?)
    }

    /// Opens the metadata again after a failure that stopped all writing. What became of a commit
    /// whose outcome was unknown shows then.
    pub(crate) fn reopen(&self) -> Result<(), StoreError> {
        let Some(again) = &self.again else { return Err(StoreError::Stopped) };
        self.writer.leave();
        let mut meta = self.meta.write().unwrap_or_else(PoisonError::into_inner);
        if self.is_closed() {
            return Err(StoreError::Closed);
        }
        if let Some(old) = meta.take()
            && let Err(error) = old.close()
        {
            tracing::warn!(%error, "the metadata was not closed cleanly");
        }
        let opened = again().map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "opening again failed");
            StoreError::Stopped
        })?;
        let snapshot = opened.snapshot(&[])?;
        let position = rows::get(snapshot.as_ref(), tables::META, LOG_POSITION)?;
        drop(snapshot);
        if !self.options.switches().keep_small_rows() {
            self.small.forget();
        }
        self.blobs.reopen();
        let position = position.unwrap_or_default();
        self.context.downloads.reopened(&position, self.options.switches());
        *meta = Some(opened.clone());
        self.writer.enter(Below {
            meta: opened,
            types: self.context.types.clone(),
            clock: self.options.clock.clone(),
            meter: self.meter.clone(),
            small: self.small.clone(),
            switches: self.options.switches(),
        })?;
        drop(meta);
        tracing::info!("the store was opened again after a failure");
        Ok(())
    }

    /// A number of a file, if this store gave it out.
    pub(crate) fn own_file(&self, file: FileId) -> Result<FileId, StoreError> {
        match file.store() {
            0 => Ok(file),
            mark if mark == self.context.mark => Ok(file.of_store(0)),
            _ => Err(StoreError::Foreign { what: "number of a file" }),
        }
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.shared
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn close(&self) -> Result<(), StoreError> {
        check_outside_plan()?;
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.maintenance.stop();
        let flushed = if self.writer.is_stopped() || self.staging.space.is_read_only() {
            Ok(())
        } else {
            self.context.downloads.flush(&self.writer)
        };
        self.writer.close();
        // The files of staging go with the next open; what is being written there fails by itself.
        let meta = self.meta.write().unwrap_or_else(PoisonError::into_inner).take();
        let closed = meta.map_or(Ok(()), |meta| meta.close());
        if let Err(error) = closed {
            tracing::error!(%error, "the metadata was not closed cleanly");
        }
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
        flushed
    }
}

/// Tells numbers of files of this store from those of others.
fn mark([a, b, c, d, ..]: [u8; 16]) -> u32 {
    u32::from_be_bytes([a, b, c, d]).max(1)
}

/// The metadata file with its log, or alone if new commits are not to go there.
fn with_log(
    fs: &Arc<dyn Fs>,
    layout: &Layout,
    meta: RedbStore,
    options: &LogOptions,
) -> Result<Arc<dyn MetaStore>, OpenError> {
    let places =
        LogPlaces { log: layout.log(), meta: layout.meta(), quarantine: layout.quarantine() };
    let failed = |source| OpenError::Log { path: layout.log(), source };
    if options.is_used() {
        let tables = &tables::ALL;
        return Ok(Arc::new(
            Logged::open(fs, places, Box::new(meta), tables, options).map_err(failed)?,
        ));
    }
    Logged::give_up(fs, &places, &meta, &tables::ALL, options).map_err(failed)?;
    Ok(Arc::new(meta))
}

fn in_use_or_meta(root: &Path) -> impl FnOnce(OpenMetaError) -> OpenError {
    let directory = root.to_owned();
    |error| match error {
        OpenMetaError::InUse(_) => OpenError::InUse { directory },
        other => OpenError::Meta(other),
    }
}

/// What the first commit of a run gave.
struct Begun {
    epoch: u64,
    salt: [u8; 32],
    position: LogPositionRecord,
    id: [u8; 16],
    timeline: [u8; 16],
}

/// What the beginning of a run gave.
struct Started {
    begun: Begun,
    staging: std::path::PathBuf,
}

/// Refuses what other releases have written.
fn check_format(meta: &dyn MetaStore, mode: OpenMode) -> Result<(), OpenError> {
    let read = meta.snapshot(&[]).map_err(StoreError::from)?;
    let format = match rows::get(read.as_ref(), tables::META, FORMAT_ROW) {
        // What a damaged one said, the file of the same name still says.
        Err(StoreError::Damaged { .. }) => None,
        format => format?,
    };
    let Some(format): Option<FormatRecord> = format else { return Ok(()) };
    let needed = match mode {
        OpenMode::ReadWrite => format.min_writer,
        OpenMode::ReadOnly => format.min_reader,
    };
    if needed > FORMAT {
        return Err(OpenError::NewerFormat { found: format.major, known: FORMAT });
    }
    if format.major < OLDEST_FORMAT {
        return Err(OpenError::OlderFormat { found: format.major, known: OLDEST_FORMAT });
    }
    Ok(())
}

/// Begins a new epoch and, for a new store, declares it complete.
fn begin(
    parts: &Parts,
    writer: &Writer,
    layout: &Layout,
    opened: Opened,
    mended: Vec<String>,
) -> Result<Started, OpenError> {
    let fresh = Fresh { salt: random()?, store: random()?, timeline: random()? };
    let begun: Begun = writer
        .change_freeing(1_024, move |plan| begin_rows(plan, &fresh, &mended))
        .map_err(OpenError::Store)?;
    let staging = layout.epoch(begun.epoch);
    if opened == Opened::Created {
        layout.write_format(parts.fs.as_ref())?;
    }
    Ok(Started { begun, staging })
}

fn random<const N: usize>() -> Result<[u8; N], OpenError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| OpenError::Random(Box::new(error)))?;
    Ok(bytes)
}

/// What a new store is given.
struct Fresh {
    salt: [u8; 32],
    store: [u8; 16],
    timeline: [u8; 16],
}

fn begin_rows(plan: &mut Plan, fresh: &Fresh, mended: &[String]) -> Result<Begun, StoreError> {
    if !mended.is_empty() {
        let details = Some(serde_json::json!({ "rows": mended }));
        Entry { details, ..Entry::of(Action::Repair) }.write(plan, &Actor::system())?;
    }
    let format = if let Some(format) = plan.get(tables::META, FORMAT_ROW)? {
        format
    } else {
        let format = FormatRecord {
            major: FORMAT,
            min_reader: FORMAT,
            min_writer: FORMAT,
            store: fresh.store,
            timeline: fresh.timeline,
        };
        plan.put(tables::META, FORMAT_ROW.to_vec(), &format)?;
        format
    };
    let salt = if let Some(SaltRecord(salt)) = plan.get(tables::META, SALT_ROW)? {
        salt
    } else {
        plan.put(tables::META, SALT_ROW.to_vec(), &SaltRecord(fresh.salt))?;
        fresh.salt
    };
    if plan.get::<SaltRecord>(tables::META, SALT_COPY_ROW)? != Some(SaltRecord(salt)) {
        plan.put(tables::META, SALT_COPY_ROW.to_vec(), &SaltRecord(salt))?;
    }
    let NumberRecord(before) = plan.get(tables::META, EPOCH_ROW)?.unwrap_or(NumberRecord(0));
    let epoch = before + 1;
    plan.put(tables::META, EPOCH_ROW.to_vec(), &NumberRecord(epoch))?;
    scrub::begin(plan)?;
    let position = plan.get(tables::META, LOG_POSITION)?.unwrap_or_default();
    Ok(Begun { epoch, salt, position, id: format.store, timeline: format.timeline })
}
