//! The way of a batch into the log: checked, placed, flushed, seen, acknowledged.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use super::file::LogFile;
use super::options::Checkpoints;
use super::record::{self, Place};
use super::{Closed, Logged, Shared, State};
use crate::{Batch, CommitError, Done, Expect, MetaRead, Table};

/// Most bytes of a record.
const LARGEST: usize = 2 << 20;
/// Most values that a generation takes.
pub(super) const FULL_ROWS: usize = 32_768;

/// A record that has its place.
pub(super) struct Order {
    place: Place,
    at: u64,
    bytes: Vec<u8>,
    done: Done,
}

/// The batch asks for what the engine below would refuse.
#[derive(Debug, thiserror::Error)]
#[error("the table `{0}` is not known")]
struct UnknownTable(&'static str);

impl Logged {
    /// Brings a batch into the log behind all before it; `done` is told once it is durable and
    /// seen, or failed. Without a batch it is told once all before it are.
    pub(super) fn submit(&self, batch: Option<Batch>, done: Done) {
        let _one_at_a_time = self.turnstile.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = &self.shared;
        let mut state = shared.state();
        while state.in_flight {
            state = shared.wait(state);
        }
        drop(state);
        if shared.is_broken() {
            return done(Err(CommitError::Rejected(Box::new(Closed))));
        }
        let Some(batch) = batch else { return done(Ok(())) };
        if let Err(error) = shared.check(&batch) {
            return done(Err(error));
        }
        let body = record::body(&batch);
        let size = body.len().next_multiple_of(shared.switches.align());
        let rows = batch.put.len() + batch.delete.len();
        let largest = LARGEST.min(usize::try_from(shared.half).unwrap_or(LARGEST));
        if size > largest || rows > FULL_ROWS {
            return done(shared.commit_below(batch));
        }
        let mut state = match shared.make_room(size as u64, rows, batch.frees) {
            Ok(state) => state,
            Err(error) => return done(Err(error)),
        };
        let place = Place { generation: state.active.number, sequence: state.newest + 1 };
        let salt = shared.switches.salt(&shared.identity, place.generation);
        let bytes = record::finish(body, place, &salt, shared.switches.align());
        let at = state.end;
        state.active.insert(place.sequence, batch);
        state.end += bytes.len() as u64;
        state.newest = place.sequence;
        state.in_flight = true;
        if shared.switches.visible_before_sync() {
            state.published = place.sequence;
        }
        drop(state);
        let order = Order { place, at, bytes, done };
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let refused = match orders {
            None => Some(order),
            Some(orders) => orders.send(order).err().map(|error| error.0),
        };
        if let Some(order) = refused {
            shared.fail();
            (order.done)(Err(CommitError::Rejected(Box::new(Closed))));
            shared.land();
        }
    }
}

impl Shared {
    /// Refuses what could not be written, and what does not hold.
    fn check(&self, batch: &Batch) -> Result<(), CommitError> {
        let put = batch.put.iter().map(|(table, ..)| *table);
        let named = put.chain(batch.delete.iter().map(|(table, _)| *table));
        let mut seen: HashSet<Table> = HashSet::new();
        for table in named {
            if seen.insert(table) && !self.tables.contains(&table) {
                return Err(CommitError::Rejected(Box::new(UnknownTable(table.0))));
            }
        }
        if batch.expect.is_empty() {
            return Ok(());
        }
        let failed = |error| CommitError::Rejected(Box::new(error));
        let read = self.read(|state| state.newest).map_err(failed)?;
        for (table, key, expect) in &batch.expect {
            let found = read.get(*table, key).map_err(failed)?;
            let holds = match (&found, expect) {
                (None, Expect::Absent) => true,
                (Some(found), Expect::Value(value)) => found == value,
                _ => false,
            };
            if !holds {
                return Err(CommitError::Conflict);
            }
        }
        Ok(())
    }

    /// Finds room for a record of so many bytes and rows, in the other half if need be.
    fn make_room(
        &self,
        size: u64,
        rows: usize,
        frees: bool,
    ) -> Result<MutexGuard<'_, State>, CommitError> {
        let mut state = self.state();
        loop {
            if self.is_broken() {
                return Err(CommitError::Rejected(Box::new(Closed)));
            }
            // On a full disk, deletes are what can help: a part of the last half is left to them.
            let (most, most_rows) =
                if state.no_space.is_some() && !frees && !self.switches.skip_reserve() {
                    (self.half - self.half / 4, FULL_ROWS - FULL_ROWS / 4)
                } else {
                    (self.half, FULL_ROWS)
                };
            let fits = state.end + size <= most && state.active.count() + rows <= most_rows;
            let is_due = self.is_due(&state);
            if fits && !is_due {
                return Ok(state);
            }
            if state.sealed.is_none() && state.end > 0 {
                state.seal(&self.held);
                self.changed.notify_all();
                if self.options.checkpoints == Checkpoints::Caller {
                    drop(state);
                    // What cannot be done for want of space is tried again when both are full.
                    let _ = self.checkpoint();
                    state = self.state();
                }
                continue;
            }
            if fits {
                return Ok(state);
            }
            state = self.free_half(state)?;
        }
    }

    /// Waits until the sealed half may be written again.
    fn free_half<'s>(
        &'s self,
        state: MutexGuard<'s, State>,
    ) -> Result<MutexGuard<'s, State>, CommitError> {
        if self.options.checkpoints == Checkpoints::Caller {
            drop(state);
            self.checkpoint()?;
            return Ok(self.state());
        }
        if let Some(no_space) = state.no_space {
            return Err(no_space.into());
        }
        if state.unattended {
            return Err(CommitError::Rejected(Box::new(Closed)));
        }
        Ok(self.wait(state))
    }

    /// Commits to the engine below what is too large for a record. All that lies in the log goes
    /// there first, or a replay would bring it back on top.
    fn commit_below(&self, mut batch: Batch) -> Result<(), CommitError> {
        self.take_in_all()?;
        let bytes = |batch: &Batch| {
            let put = batch.put.iter().map(|(_, key, value)| key.len() + value.len());
            put.sum::<usize>()
        };
        self.check_space(bytes(&batch) as u64)?;
        self.state().applied.expect(&mut batch);
        let turn = self.base.turn(&[]).map_err(|error| CommitError::Rejected(Box::new(error)))?;
        let outcome = turn.commit(batch);
        if outcome.is_err() && self.base.must_reopen() {
            self.fail();
        }
        outcome
    }

    /// Ends the flight of a record.
    fn land(&self) {
        self.state().in_flight = false;
        self.changed.notify_all();
    }
}

/// Breaks the log if the thread that appends ends in the middle of something.
struct Attended<'a>(&'a Shared);

impl Drop for Attended<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail();
            self.0.land();
        }
    }
}

/// The thread that appends: one record, one flush, one after the other.
pub(super) fn run(shared: &Shared, mut file: LogFile, orders: &Receiver<Order>) {
    let _attended = Attended(shared);
    while let Ok(Order { place, at, bytes, done }) = orders.recv() {
        let written = if shared.is_broken() {
            None
        } else {
            Some(
                file.write(place.generation, at, &bytes)
                    .and_then(|()| if shared.switches.skip_sync() { Ok(()) } else { file.sync() }),
            )
        };
        match written {
            Some(Ok(())) => {
                let mut state = shared.state();
                state.published = place.sequence;
                state.touched = Instant::now();
                drop(state);
                shared.meter.records.fetch_add(1, Ordering::Relaxed);
                done(Ok(()));
                shared.land();
            }
            // The checkpoint before has failed: nothing of this record was written.
            None => {
                done(Err(CommitError::Rejected(Box::new(Closed))));
                shared.land();
            }
            Some(Err(error)) => {
                tracing::error!(%error, "a record was not written to the log");
                shared.fail();
                // Whoever opens the log next must see what the medium has.
                drop(file);
                shared.forget(&shared.places.log);
                done(Err(CommitError::Unknown(Box::new(error))));
                shared.land();
                // Whatever comes is refused before it gets here.
                return;
            }
        }
    }
}

/// Starts the thread that appends.
pub(super) fn start(
    shared: &Arc<Shared>,
    file: LogFile,
    orders: Receiver<Order>,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let shared = shared.clone();
    std::thread::Builder::new()
        .name("hayloft-log".to_owned())
        .spawn(move || run(&shared, file, &orders))
}
