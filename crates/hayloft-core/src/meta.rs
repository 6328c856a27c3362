//! Ordered bytes with atomic batches: all that the store asks of its metadata engine.

mod backend;
mod redb_store;

pub use redb_store::{OpenMetaError, RedbOptions, RedbStore, RepairProgress};

use std::fmt;
use std::ops::{Bound, ControlFlow};

use crate::{LogMetrics, Timestamp};

/// A table; its rows are ordered by key bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(pub &'static str);

/// One row as bytes.
pub type Row = (Vec<u8>, Vec<u8>);

/// Direction of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

/// A range of keys.
pub type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Is shown the key and the value of rows, and says whether to go on.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// Rows that are going to be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Want {
    /// One row.
    Row(Table, Vec<u8>),
    /// A scan with these arguments.
    Range(Table, KeyRange, Direction, usize),
}

/// What must hold for a batch to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// No such row.
    Absent,
    /// The row has exactly this value.
    Value(Vec<u8>),
}

/// Changes that become visible and durable together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Checked inside the commit, before anything is applied.
    pub expect: Vec<(Table, Vec<u8>, Expect)>,
    /// Rows to insert or replace.
    pub put: Vec<(Table, Vec<u8>, Vec<u8>)>,
    /// Rows to remove; a missing row is no error.
    pub delete: Vec<(Table, Vec<u8>)>,
    /// It makes room: an engine that keeps something back for a full disk takes it from there.
    pub frees: bool,
}

/// Reading metadata failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetaError {
    /// The engine reports damage or an I/O failure.
    #[error("the metadata could not be read")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A batch was not acknowledged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// An expectation did not hold; nothing was applied.
    #[error("another change came first")]
    Conflict,
    /// Too little space is free; nothing was applied, and nothing has failed.
    #[error("only {available} bytes are free, {needed} are needed")]
    NoSpace {
        /// Bytes free.
        available: u64,
        /// Bytes that have to be.
        needed: u64,
    },
    /// The engine failed before it began to commit; nothing was applied.
    #[error("the change was not written")]
    Rejected(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The commit failed and may or may not have happened; the store must be opened anew.
    #[error("it is unknown whether the change was written; open the store again")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A consistent view of all tables at one commit.
pub trait MetaRead: Send {
    /// One row.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError>;
    /// At most `limit` rows of a range; fewer mean that the range has no more.
    fn scan(
        &self,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, MetaError>;
    /// Shows what [`scan`](Self::scan) would give, key and value, until `visit` breaks off; an
    /// engine that has the rows in its own pages copies none of them.
    fn visit(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
        visit: Visit<'_>,
    ) -> Result<(), MetaError> {
        for (key, value) in self.scan(table, range.clone(), direction, limit)? {
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }
    /// Fetches at once what is going to be asked for: a hint, by which an engine that is far away
    /// saves round trips.
    fn prefetch(&self, wants: &[Want]) -> Result<(), MetaError> {
        let _ = wants;
        Ok(())
    }
}

/// A reader that shows what another shows.
pub trait ReadThrough: Send {
    /// The other.
    fn below(&self) -> &dyn MetaRead;
    /// One row, for a reader that comes to it in another way.
    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        self.below().get(table, key)
    }
}

impl<R: ReadThrough> MetaRead for R {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        self.row(table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, MetaError> {
        self.below().scan(table, range, direction, limit)
    }

    fn visit(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
        visit: Visit<'_>,
    ) -> Result<(), MetaError> {
        self.below().visit(table, range, direction, limit, visit)
    }

    fn prefetch(&self, wants: &[Want]) -> Result<(), MetaError> {
        self.below().prefetch(wants)
    }
}

/// A range as maps are asked for it.
pub(crate) fn borrowed(range: &KeyRange) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (range.0.as_ref().map(Vec::as_slice), range.1.as_ref().map(Vec::as_slice))
}

/// True for a range that no key can be in, which not every map takes.
pub(crate) fn is_empty(range: &KeyRange) -> bool {
    match range {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (
            Bound::Included(start) | Bound::Excluded(start),
            Bound::Included(end) | Bound::Excluded(end),
        ) => start >= end,
        _ => false,
    }
}

/// What [`MetaRead::scan`] gives, of an engine that shows rows without copies.
pub(crate) fn scan_by_visits(
    read: &impl MetaRead,
    table: Table,
    range: &KeyRange,
    direction: Direction,
    limit: usize,
) -> Result<Vec<Row>, MetaError> {
    /// Rows for which room is made before the first is read.
    const ROOM: usize = 256;
    let mut found = Vec::with_capacity(limit.min(ROOM));
    read.visit(table, range, direction, limit, &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// The newest state together with the right to write what comes after it; only one turn at a time
/// can be committed. Dropped without a commit it has changed nothing.
pub trait MetaTurn: MetaRead {
    /// The engine's own clock; `None` leaves time to the store.
    fn now(&self) -> Option<Timestamp> {
        None
    }
    /// Applies a batch and ends the turn; durable when this returns `Ok`.
    fn commit(self: Box<Self>, batch: Batch) -> Result<(), CommitError>;
    /// Ends the turn, and tells `done` what became of the batch: when it is durable and seen, or has
    /// failed, and after whatever was submitted before. An engine may return earlier; the next turn
    /// then shows what is under way. `done` is also how a caller without a batch learns that what
    /// its turn has shown will last.
    fn submit(self: Box<Self>, batch: Option<Batch>, done: Done) {
        done(match batch {
            Some(batch) => self.commit(batch),
            None => Ok(()),
        });
    }
}

/// Is told the outcome of a commit.
pub type Done = Box<dyn FnOnce(Result<(), CommitError>) + Send>;

/// The metadata engine.
pub trait MetaStore: fmt::Debug + Send + Sync + 'static {
    /// The state after the newest commit; never waits for a writer. What `wants` names is going to
    /// be asked for, as in [`MetaRead::prefetch`].
    fn snapshot(&self, wants: &[Want]) -> Result<Box<dyn MetaRead>, MetaError>;
    /// Begins a turn; waits while another process has one. `wants` as in
    /// [`snapshot`](Self::snapshot).
    fn turn(&self, wants: &[Want]) -> Result<Box<dyn MetaTurn + '_>, MetaError>;
    /// True if other processes may write too. Then a plan is tried on a snapshot first, so that a
    /// turn begins with what it is going to read, a turn that came too late is taken again, and no
    /// failure of a commit ends all writing.
    fn is_shared(&self) -> bool {
        false
    }
    /// True once a failure has made the engine refuse all further commits until it is opened anew.
    fn must_reopen(&self) -> bool;
    /// What a log in front of the engine did.
    fn log_metrics(&self) -> LogMetrics {
        LogMetrics::default()
    }
    /// Gives the engine's files free; all later calls fail. Snapshots that are still held may fail,
    /// too.
    fn close(&self) -> Result<(), MetaError> {
        Ok(())
    }
}
