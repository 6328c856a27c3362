//! The log in front of the metadata engine: a commit is one record and one flush.
//!
//! A record costs the same whatever the store holds, where a commit of the engine below writes what
//! makes recovery quick, in proportion to its file. Rows since the last checkpoint lie in memory in
//! front of that engine; a checkpoint moves a whole generation of them into it, and opening replays
//! the rest.
//!
//! - `record.rs`, `file.rs`: what lies in the log.
//! - `replay.rs`: what of it counts when it is opened.
//! - `generation.rs`, `read.rs`: rows in memory, and a view of them over the engine below.
//! - `commit.rs`: the way of a batch into the log.
//! - `checkpoint.rs`: the way out of it.

mod checkpoint;
mod commit;
mod file;
mod generation;
#[cfg(feature = "sim")]
mod made_up;
mod mutations;
mod open;
mod options;
mod position;
mod read;
mod record;
mod replay;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

#[cfg(feature = "sim")]
pub(crate) use made_up::{ReadEntries, body_of, read_body, read_halves, record_of};
#[cfg(feature = "sim")]
pub use mutations::LogMutations;
pub use open::LogError;
pub use options::{Checkpoints, Commits, DamagedLog, LogOptions};

use crate::{
    Batch, CommitError, Done, Fs, LogMetrics, MetaError, MetaRead, MetaStore, MetaTurn,
    ReadThrough, Table, Want,
};
use file::Identity;
use generation::{Generation, Held};
use mutations::Switches;
use position::Position;
use read::{LoggedRead, Snapshots};

/// An earlier failure closed the log.
#[derive(Debug, thiserror::Error)]
#[error("an earlier failure closed the log; open the store again")]
struct Closed;

/// Where the files are.
#[derive(Debug, Clone)]
pub struct LogPlaces {
    /// The log.
    pub log: PathBuf,
    /// The file of the engine below.
    pub meta: PathBuf,
    /// Where a damaged log is put.
    pub quarantine: PathBuf,
}

/// A metadata engine with a log in front of it.
#[derive(Debug)]
pub struct Logged {
    shared: Arc<Shared>,
    /// Held from the check of a batch to its place in the log.
    turnstile: Mutex<()>,
    /// The way to the thread that appends; `None` once closed.
    orders: Mutex<Option<SyncSender<commit::Order>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the threads of a log share.
struct Shared {
    base: Box<dyn MetaStore>,
    fs: Arc<dyn Fs>,
    places: LogPlaces,
    tables: &'static [Table],
    options: LogOptions,
    switches: Switches,
    identity: Identity,
    /// Bytes of each half.
    half: u64,
    state: Mutex<State>,
    /// Whenever something in the state has changed that someone may wait for.
    changed: Condvar,
    /// True once a failure has ended all commits.
    broken: AtomicBool,
    held: Held,
    snapshots: Arc<Snapshots>,
    meter: LogMeter,
}

/// What a log did since it was opened.
#[derive(Debug, Default)]
struct LogMeter {
    records: AtomicU64,
    checkpoints: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Shared")
            .field("base", &self.base)
            .field("places", &self.places)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

/// Everything that changes, under one lock. No file is read, written or flushed under it.
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own")]
struct State {
    /// What the engine below holds.
    applied: Position,
    /// Takes the next record.
    active: Arc<Generation>,
    /// Where in its half that record begins.
    end: u64,
    /// The generation before, while the engine below does not hold it yet, and its last sequence.
    sealed: Option<(Arc<Generation>, u64)>,
    /// With `recycle_early`: those before, the oldest first.
    late: Vec<(Arc<Generation>, u64)>,
    /// Sequence of the last commit that readers see.
    published: u64,
    /// Sequence of the last commit that has its place, which the next one is planned on.
    newest: u64,
    /// A record that is not durable yet, or whose callers were not told.
    in_flight: bool,
    /// Why the sealed generation stays where it is.
    no_space: Option<NoSpace>,
    /// Someone waits for all generations to be taken in.
    wanted: bool,
    closing: bool,
    /// The thread that checkpoints has ended.
    unattended: bool,
    /// When the last record was appended.
    touched: std::time::Instant,
    /// When the next warning about memory is due.
    warned: Option<std::time::Instant>,
}

/// Too little space is free for a checkpoint.
#[derive(Debug, Clone, Copy)]
struct NoSpace {
    available: u64,
    needed: u64,
}

impl From<NoSpace> for CommitError {
    fn from(NoSpace { available, needed }: NoSpace) -> Self {
        Self::NoSpace { available, needed }
    }
}

impl State {
    /// The newest first.
    fn generations(&self) -> Vec<Arc<Generation>> {
        let before = self.sealed.iter().chain(self.late.iter().rev());
        std::iter::once(&self.active).chain(before.map(|(one, _)| one)).cloned().collect()
    }

    /// Ends the active generation and begins the next, in the other half.
    fn seal(&mut self, held: &Held) {
        let next = Arc::new(Generation::new(self.active.number + 1, held));
        let sealed = std::mem::replace(&mut self.active, next);
        self.sealed = Some((sealed, self.newest));
        self.end = 0;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Ends all commits; wakes whoever waits.
    fn fail(&self) {
        self.broken.store(true, Ordering::Release);
        drop(self.state());
        self.changed.notify_all();
    }

    /// A view up to a sequence that `of` takes from the state.
    fn read(&self, of: impl FnOnce(&State) -> u64) -> Result<LoggedRead, MetaError> {
        if self.switches.snapshot_in_two() {
            let base = self.base.snapshot(&[])?;
            let mut state = self.state();
            if state.sealed.is_none() && state.end > 0 && !state.in_flight {
                state.seal(&self.held);
            }
            drop(state);
            let _ = self.checkpoint();
            let state = self.state();
            let (generations, sequence) = (state.generations(), of(&state));
            return Ok(LoggedRead { base, generations, sequence, _ticket: self.snapshots.begin() });
        }
        // The engine below and the generations are taken at one moment: a checkpoint that ends
        // between would take rows out of the one view that the other does not have yet.
        let state = self.state();
        let base = self.base.snapshot(&[])?;
        let (generations, sequence) = (state.generations(), of(&state));
        drop(state);
        Ok(LoggedRead { base, generations, sequence, _ticket: self.snapshots.begin() })
    }

    /// Drops what the system keeps of a file after a flush of it has failed: the cache then shows
    /// what the medium does not have.
    fn forget(&self, path: &std::path::Path) {
        if let Err(error) = self.fs.forget_cached(path) {
            tracing::error!(
                %error,
                path = %path.display(),
                "a flush has failed, and what the system keeps of the file in memory cannot be \
                 dropped: restart the machine before the store is opened again"
            );
        }
    }
}

impl MetaStore for Logged {
    fn snapshot(&self, _wants: &[Want]) -> Result<Box<dyn MetaRead>, MetaError> {
        Ok(Box::new(self.shared.read(|state| state.published)?))
    }

    /// Shows what has its place in the log, durable or not: who plans on it is answered after it.
    fn turn(&self, _wants: &[Want]) -> Result<Box<dyn MetaTurn + '_>, MetaError> {
        let read = self.shared.read(|state| state.newest)?;
        Ok(Box::new(LoggedTurn { log: self, read }))
    }

    fn must_reopen(&self) -> bool {
        self.shared.is_broken()
    }

    fn log_metrics(&self) -> LogMetrics {
        LogMetrics {
            records: self.shared.meter.records.load(Ordering::Relaxed),
            checkpoints: self.shared.meter.checkpoints.load(Ordering::Relaxed),
            memory: self.shared.held.load(Ordering::Relaxed) as u64,
            oldest_snapshot: u64::try_from(self.shared.snapshots.oldest().as_millis())
                .unwrap_or(u64::MAX),
        }
    }

    fn close(&self) -> Result<(), MetaError> {
        self.end();
        Ok(())
    }
}

impl Logged {
    fn end(&self) {
        // The thread that appends ends with its last order.
        drop(self.orders.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.shared.state().closing = true;
        self.shared.changed.notify_all();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        if threads.is_empty() {
            return;
        }
        for thread in threads {
            // The last one to hold the log may be told of a commit by the thread that made it.
            if thread.thread().id() == std::thread::current().id() {
                continue;
            }
            if thread.join().is_err() {
                tracing::error!("a thread of the log ended by a panic");
            }
        }
        self.shared.last_checkpoint();
        let closed = self.shared.base.close();
        if self.shared.base.must_reopen() {
            self.shared.forget(&self.shared.places.meta);
        }
        // What failed to close is in the log still, or was taken in before.
        if let Err(error) = closed {
            tracing::error!(%error, "the metadata file was not closed cleanly");
        }
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        self.end();
    }
}

/// The newest state, and the way to write after it.
struct LoggedTurn<'a> {
    log: &'a Logged,
    read: LoggedRead,
}

impl ReadThrough for LoggedTurn<'_> {
    fn below(&self) -> &dyn MetaRead {
        &self.read
    }
}

impl MetaTurn for LoggedTurn<'_> {
    fn commit(self: Box<Self>, batch: Batch) -> Result<(), CommitError> {
        let (done, outcome) = std::sync::mpsc::sync_channel(1);
        let done = Box::new(move |result| {
            // Who asks waits below.
            let _ = done.send(result);
        });
        self.submit(Some(batch), done);
        outcome.recv().unwrap_or_else(|_| Err(CommitError::Unknown(Box::new(Closed))))
    }

    fn submit(self: Box<Self>, batch: Option<Batch>, done: Done) {
        let Self { log, read } = *self;
        // An open view would keep what the commit and checkpoints replace.
        drop(read);
        log.submit(batch, done);
    }
}
