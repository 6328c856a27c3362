//! A view of the engine below with the rows of the log on top.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::generation::{Generation, Overlay, Value};
use crate::merge::Merge;
use crate::meta::{is_empty, scan_by_visits};
use crate::{Direction, KeyRange, MetaError, MetaRead, Row, Table, Visit, Want};

/// Rows up to one commit. It holds the generations that were in memory when it was taken, so
/// nothing that a checkpoint does later changes what it shows.
pub(super) struct LoggedRead {
    pub(super) base: Box<dyn MetaRead>,
    /// The newest first.
    pub(super) generations: Vec<Arc<Generation>>,
    pub(super) sequence: u64,
    pub(super) _ticket: Ticket,
}

/// The views that are held, by the order in which they were taken.
#[derive(Debug, Default)]
pub(super) struct Snapshots(Mutex<(u64, BTreeMap<u64, Instant>)>);

impl Snapshots {
    pub(super) fn begin(self: &Arc<Self>) -> Ticket {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, begun) = &mut *held;
        *next += 1;
        begun.insert(*next, Instant::now());
        Ticket { number: *next, held: self.clone() }
    }

    /// How long the oldest has been held.
    pub(super) fn oldest(&self) -> Duration {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.1.values().next().map(Instant::elapsed).unwrap_or_default()
    }
}

/// Dropped with the view.
#[derive(Debug)]
pub(super) struct Ticket {
    number: u64,
    held: Arc<Snapshots>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.held.0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&self.number);
    }
}

impl LoggedRead {
    /// What the log made of a row; the outer `None` if nothing.
    fn logged(&self, table: Table, key: &[u8]) -> Option<Value> {
        self.generations.iter().find_map(|one| one.get(table, key, self.sequence))
    }
}

impl MetaRead for LoggedRead {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        match self.logged(table, key) {
            Some(value) => Ok(value.map(|value| value.to_vec())),
            None => self.base.get(table, key),
        }
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, MetaError> {
        scan_by_visits(self, table, &range, direction, limit)
    }

    /// Goes through the engine below once, in its own pages, and fits in what the log changed.
    fn visit(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
        visit: Visit<'_>,
    ) -> Result<(), MetaError> {
        if limit == 0 || is_empty(range) {
            return Ok(());
        }
        let generations = self.generations.iter().map(Arc::as_ref);
        let changed = Overlay::new(generations, table, range, direction, self.sequence, limit);
        let mut merge = Merge::new(changed, direction, limit);
        if merge.is_done() {
            return self.base.visit(table, range, direction, limit, visit);
        }
        let mut flow = ControlFlow::Continue(());
        self.base.visit(table, range, direction, usize::MAX, &mut |key, value| {
            flow = merge.stored(key, value, visit);
            flow
        })?;
        if flow.is_continue() {
            let _: ControlFlow<()> = merge.rest(visit);
        }
        Ok(())
    }

    fn prefetch(&self, wants: &[Want]) -> Result<(), MetaError> {
        self.base.prefetch(wants)
    }
}
