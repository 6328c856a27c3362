//! Metadata in one redb file.

mod read;
mod turn;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition, TableError, TransactionError, WriteTransaction,
};

use super::backend::FsBackend;
use super::{Batch, CommitError, Expect, MetaError, MetaRead, MetaStore, MetaTurn, Table, Want};
use crate::fs::Fs;

type Bytes = &'static [u8];
type RedbTable<'a> = redb::Table<'a, Bytes, Bytes>;
type Cause = Box<dyn Error + Send + Sync>;

/// Tells how far a repair has come, from 0 to 1.
pub type RepairProgress = Arc<dyn Fn(f64) + Send + Sync>;

/// Settings of a [`RedbStore`].
#[derive(Clone)]
pub struct RedbOptions {
    /// Memory for cached pages, in bytes.
    pub cache_bytes: usize,
    /// Called while a file that was not closed is repaired.
    pub on_repair: Option<RepairProgress>,
}

impl Default for RedbOptions {
    fn default() -> Self {
        Self { cache_bytes: 128 << 20, on_repair: None }
    }
}

impl fmt::Debug for RedbOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbOptions")
            .field("cache_bytes", &self.cache_bytes)
            .finish_non_exhaustive()
    }
}

/// The metadata file could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenMetaError {
    /// Another process, or this one, has it open.
    #[error("the metadata file `{}` is in use; stop the other process first", .0.display())]
    InUse(PathBuf),
    /// There is no such file, or it has no bytes; opening never makes one.
    #[error("the metadata file `{}` is missing or empty; restore it from a snapshot", .0.display())]
    Missing(PathBuf),
    /// The file could not be read or written.
    #[error("the metadata file `{}` could not be opened", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// The file is damaged or no metadata file.
    #[error("the metadata file `{}` is damaged; restore it from a snapshot", .0.display())]
    Damaged(PathBuf, #[source] Cause),
}

/// redb stopped with a panic instead of an error; damaged pages can make it do so.
#[derive(Debug, thiserror::Error)]
#[error("the metadata engine panicked: `{0}`")]
struct Panicked(String);

/// A failure made the engine refuse further work.
#[derive(Debug, thiserror::Error)]
#[error("an earlier failure closed the metadata file; open the store again")]
struct Closed;

/// Metadata in one redb file: all tables map bytes to bytes and are made when first written.
///
/// One commit at a time; snapshots never wait. A failure of the file, and any error out of redb's
/// own commit, closes the store for writing until it is opened anew, since what lies on the disk
/// is then known only after recovery.
pub struct RedbStore {
    /// `None` once closed.
    database: RwLock<Option<Database>>,
    path: PathBuf,
    options: RedbOptions,
    /// Held by the one commit that runs.
    writer: Mutex<()>,
    broken: Arc<AtomicBool>,
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore")
            .field("path", &self.path)
            .field("options", &self.options)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

impl RedbStore {
    /// Makes a new, empty file; it has its name, durably, only once it is complete.
    ///
    /// An incomplete file left by an earlier attempt is replaced; a complete one is kept and
    /// opened.
    pub fn create(
        fs: &Arc<dyn Fs>,
        path: &Path,
        options: &RedbOptions,
    ) -> Result<Self, OpenMetaError> {
        let at = |error| OpenMetaError::Io(path.to_owned(), error);
        if fs.file_len(path).map_err(at)?.is_none() {
            let mut draft = path.as_os_str().to_owned();
            draft.push(".new");
            let draft = PathBuf::from(draft);
            if fs.file_len(&draft).map_err(at)?.is_some() {
                fs.remove_file(&draft).map_err(at)?;
            }
            drop(fs.create(&draft).map_err(at)?);
            let made = Self::open_file(fs, &draft, options)?;
            made.close_file().map_err(|error| OpenMetaError::Damaged(path.to_owned(), error))?;
            fs.rename(&draft, path).map_err(at)?;
            if let Some(parent) = path.parent() {
                fs.sync_directory(parent).map_err(at)?;
            }
        }
        Self::open(fs, path, options)
    }

    /// Opens an existing file, recovering it if it was not closed.
    pub fn open(
        fs: &Arc<dyn Fs>,
        path: &Path,
        options: &RedbOptions,
    ) -> Result<Self, OpenMetaError> {
        match fs.file_len(path) {
            Ok(Some(1..)) => Self::open_file(fs, path, options),
            Ok(_) => Err(OpenMetaError::Missing(path.to_owned())),
            Err(error) => Err(OpenMetaError::Io(path.to_owned(), error)),
        }
    }

    fn open_file(
        fs: &Arc<dyn Fs>,
        path: &Path,
        options: &RedbOptions,
    ) -> Result<Self, OpenMetaError> {
        let opened = guarded(|| {
            let mut builder = Database::builder();
            builder.set_cache_size(options.cache_bytes);
            if let Some(progress) = options.on_repair.clone() {
                builder.set_repair_callback(move |session| progress(session.progress()));
            }
            // A real file goes through redb's own backend, which takes locks on it that other
            // redb processes see; any other through ours.
            if let Some(real) = fs.real_path(path) {
                return builder.create(real);
            }
            let file = fs.modify(path)?;
            builder.create_with_backend(FsBackend::new(fs.clone(), path.to_owned(), file))
        });
        let database = match opened {
            Ok(Ok(database)) => database,
            Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => {
                return Err(OpenMetaError::InUse(path.to_owned()));
            }
            Ok(Err(DatabaseError::Storage(StorageError::Io(error))))
                if error.kind() != io::ErrorKind::InvalidData =>
            {
                return Err(OpenMetaError::Io(path.to_owned(), error));
            }
            Ok(Err(error)) => return Err(OpenMetaError::Damaged(path.to_owned(), Box::new(error))),
            Err(panicked) => {
                return Err(OpenMetaError::Damaged(path.to_owned(), Box::new(panicked)));
            }
        };
        Ok(Self {
            database: RwLock::new(Some(database)),
            path: path.to_owned(),
            options: options.clone(),
            writer: Mutex::new(()),
            broken: Arc::new(AtomicBool::new(false)),
        })
    }

    /// Closes the file and tells if that failed. A commit under way is waited for.
    fn close_file(&self) -> Result<(), Cause> {
        let _last = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(database) = database else { return Ok(()) };
        match guarded(|| database.close()) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Box::new(error)),
            Err(panicked) => Err(Box::new(panicked)),
        }
    }

    fn database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Verifies the checksums of all pages; false if something was wrong and has been repaired.
    ///
    /// Reads the whole file, and needs the store for itself.
    pub fn check_integrity(&mut self) -> Result<bool, MetaError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let Some(opened) = database.as_mut() else {
            return Err(MetaError::Engine(Box::new(Closed)));
        };
        let checked = guarded(|| opened.check_integrity());
        drop(database);
        match checked {
            Ok(Ok(clean)) => Ok(clean),
            Ok(Err(error)) => Err(self.failed(Box::new(error))),
            Err(panicked) => Err(self.failed(Box::new(panicked))),
        }
    }

    fn failed(&self, cause: Cause) -> MetaError {
        self.broken.store(true, Ordering::Release);
        MetaError::Engine(cause)
    }

    /// Begins a transaction and applies the batch to it, up to but without the commit. Each commit
    /// saves what makes recovery quick, and with it undoes what the one before had saved: there is
    /// no doing it only now and then.
    fn apply(&self, database: &Database, batch: &Batch) -> Result<WriteTransaction, ApplyError> {
        let mut transaction = database.begin_write()?;
        transaction
            .set_durability(Durability::Immediate)
            .map_err(|error| ApplyError::Refused(Box::new(error)))?;
        transaction.set_quick_repair(true);
        match apply_rows(&transaction, batch) {
            Ok(()) => Ok(transaction),
            Err(error) => {
                // Nothing was committed; what the failed attempt allocated goes with it.
                if let Err(error) = transaction.abort() {
                    self.broken.store(true, Ordering::Release);
                    tracing::error!(%error, "a refused change could not be rolled back");
                }
                Err(error)
            }
        }
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        // Closing writes the state of the allocator, and redb may panic on pages that are damaged.
        if let Err(error) = self.close_file() {
            let path = self.path.display();
            tracing::error!(%error, %path, "the metadata file was not closed cleanly");
        }
    }
}

impl MetaStore for RedbStore {
    fn snapshot(&self, _wants: &[Want]) -> Result<Box<dyn MetaRead>, MetaError> {
        Ok(Box::new(self.read()?))
    }

    fn turn(&self, _wants: &[Want]) -> Result<Box<dyn MetaTurn + '_>, MetaError> {
        Ok(Box::new(turn::RedbTurn::new(self, self.read()?)))
    }

    fn must_reopen(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    fn close(&self) -> Result<(), MetaError> {
        self.close_file().map_err(|error| self.failed(error))
    }
}

impl RedbStore {
    fn read(&self) -> Result<read::RedbRead, MetaError> {
        let database = self.database();
        let Some(database) = database.as_ref() else {
            return Err(MetaError::Engine(Box::new(Closed)));
        };
        match guarded(|| database.begin_read()) {
            Ok(Ok(transaction)) => Ok(read::RedbRead::new(transaction, self.broken.clone())),
            Ok(Err(error)) => Err(self.failed(Box::new(error))),
            Err(panicked) => Err(self.failed(Box::new(panicked))),
        }
    }

    /// Applies a batch without reading first; durable when this returns `Ok`.
    pub fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        let _one_at_a_time = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let database = self.database();
        let Some(database) = database.as_ref().filter(|_| !self.must_reopen()) else {
            return Err(CommitError::Rejected(Box::new(Closed)));
        };
        let transaction = match guarded(|| self.apply(database, batch)) {
            Ok(Ok(transaction)) => transaction,
            Ok(Err(ApplyError::Conflict)) => return Err(CommitError::Conflict),
            Ok(Err(ApplyError::Refused(cause))) => return Err(CommitError::Rejected(cause)),
            Ok(Err(ApplyError::Engine(cause))) => {
                self.broken.store(true, Ordering::Release);
                return Err(CommitError::Rejected(cause));
            }
            Err(panicked) => {
                self.broken.store(true, Ordering::Release);
                return Err(CommitError::Rejected(Box::new(panicked)));
            }
        };
        // From here on an error says nothing about what is on the disk.
        let unknown: Cause = match guarded(|| transaction.commit()) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => Box::new(error),
            Err(panicked) => Box::new(panicked),
        };
        self.broken.store(true, Ordering::Release);
        Err(CommitError::Unknown(unknown))
    }
}

/// Why a batch was not brought to the commit.
enum ApplyError {
    Conflict,
    /// The batch asks for what cannot be; the file is as before and in order.
    Refused(Cause),
    /// The file or redb failed.
    Engine(Cause),
}

impl From<TransactionError> for ApplyError {
    fn from(error: TransactionError) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl From<StorageError> for ApplyError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::ValueTooLarge(_) => Self::Refused(Box::new(error)),
            _ => Self::Engine(Box::new(error)),
        }
    }
}

impl From<TableError> for ApplyError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Storage(error) => error.into(),
            _ => Self::Refused(Box::new(error)),
        }
    }
}

/// The tables of one write transaction; redb opens each only once.
struct Tables<'a> {
    transaction: &'a WriteTransaction,
    opened: BTreeMap<Table, RedbTable<'a>>,
}

impl<'a> Tables<'a> {
    fn open(&mut self, table: Table) -> Result<&mut RedbTable<'a>, ApplyError> {
        use std::collections::btree_map::Entry;
        match self.opened.entry(table) {
            Entry::Occupied(found) => Ok(found.into_mut()),
            Entry::Vacant(free) => Ok(free.insert(self.transaction.open_table(definition(table))?)),
        }
    }
}

fn apply_rows(transaction: &WriteTransaction, batch: &Batch) -> Result<(), ApplyError> {
    let mut tables = Tables { transaction, opened: BTreeMap::new() };
    for (table, key, expect) in &batch.expect {
        let row = tables.open(*table)?.get(key.as_slice())?;
        let holds = match (&row, expect) {
            (None, Expect::Absent) => true,
            (Some(row), Expect::Value(value)) => row.value() == value.as_slice(),
            _ => false,
        };
        if !holds {
            return Err(ApplyError::Conflict);
        }
    }
    for (table, key, value) in &batch.put {
        tables.open(*table)?.insert(key.as_slice(), value.as_slice())?;
    }
    for (table, key) in &batch.delete {
        tables.open(*table)?.remove(key.as_slice())?;
    }
    Ok(())
}

fn definition(table: Table) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(table.0)
}

/// Runs a call of redb and turns a panic into an error.
///
/// redb answers most damage with an error but panics on some, and a store must outlive a bad page.
/// Nothing of ours is left half done by that: after any panic the store is closed for writing.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Panicked(hayloft_feed::shorten(text))
    })
}
