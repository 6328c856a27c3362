//! The rows of one generation of the log, in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use crate::merge::comes_first;
use crate::meta::{borrowed, is_empty};
use crate::{Batch, Direction, KeyRange, Table};

/// What a row costs beside its key and value.
const ROW: usize = 128;
/// Rows copied while the map is locked.
pub(super) const COPIED: usize = 256;

/// What became of a row; `None` if it was deleted.
pub(super) type Value = Option<Arc<[u8]>>;

/// A value, and the sequence of the commit that wrote it.
type Written = (u64, Value);

type Rows = BTreeMap<Vec<u8>, Vec<Written>>;

/// Bytes of all generations that are in memory, those that only snapshots still hold included.
pub(super) type Held = Arc<AtomicUsize>;

/// Every value that the commits of a generation gave to rows. A view takes those up to a sequence.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) begun: Instant,
    tables: RwLock<BTreeMap<Table, Rows>>,
    count: AtomicUsize,
    bytes: AtomicUsize,
    held: Held,
}

impl Drop for Generation {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}

impl Generation {
    pub(super) fn new(number: u64, held: &Held) -> Self {
        Self {
            number,
            begun: Instant::now(),
            tables: RwLock::default(),
            count: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            held: held.clone(),
        }
    }

    /// Of what was read from the log.
    pub(super) fn replayed(number: u64, held: &Held, mut rows: Vec<Replayed>) -> Self {
        // Stable: values of one row stay in the order of their commits.
        rows.sort_by(|a, b| (a.table, &a.key).cmp(&(b.table, &b.key)));
        let generation = Self::new(number, held);
        let mut tables = Vec::<(Table, Vec<(Vec<u8>, Vec<Written>)>)>::new();
        for Replayed { table, key, sequence, value } in rows {
            generation.note(key.len() + value.as_ref().map_or(0, |value| value.len()));
            if tables.last().is_none_or(|(last, _)| *last != table) {
                tables.push((table, Vec::new()));
            }
            let Some((_, rows)) = tables.last_mut() else { continue };
            match rows.last_mut() {
                Some((last, written)) if *last == key => written.push((sequence, value)),
                _ => rows.push((key, vec![(sequence, value)])),
            }
        }
        *generation.write() =
            tables.into_iter().map(|(table, rows)| (table, rows.into_iter().collect())).collect();
        generation
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<Table, Rows>> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Table, Rows>> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, bytes: usize) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes + ROW, Ordering::Relaxed);
        self.held.fetch_add(bytes + ROW, Ordering::Relaxed);
    }

    /// How many values it holds.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Bytes of memory, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Takes in a commit.
    pub(super) fn insert(&self, sequence: u64, batch: Batch) {
        let mut tables = self.write();
        let mut set = |table: Table, key: Vec<u8>, value: Value| {
            self.note(key.len() + value.as_ref().map_or(0, |value| value.len()));
            let written = tables.entry(table).or_default().entry(key).or_default();
            written.push((sequence, value));
        };
        for (table, key, value) in batch.put {
            set(table, key, Some(value.into()));
        }
        for (table, key) in batch.delete {
            set(table, key, None);
        }
    }

    /// What became of a row up to a sequence; the outer `None` if nothing did.
    pub(super) fn get(&self, table: Table, key: &[u8], sequence: u64) -> Option<Value> {
        visible(self.read().get(&table)?.get(key)?, sequence).cloned()
    }

    /// Rows of a range that have changes, at most `limit` and [`COPIED`], with what they became up
    /// to a sequence, if anything; true if there may be more.
    pub(super) fn changed(
        &self,
        table: Table,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
        sequence: u64,
        limit: usize,
        mut found: impl FnMut(&[u8], Option<&Value>),
    ) -> bool {
        let tables = self.read();
        let Some(rows) = tables.get(&table) else { return false };
        let mut rows = rows.range::<[u8], _>(range);
        for looked in 0..COPIED {
            if looked >= limit {
                return true;
            }
            let row = match direction {
                Direction::Forward => rows.next(),
                Direction::Backward => rows.next_back(),
            };
            let Some((key, written)) = row else { return false };
            found(key, visible(written, sequence));
        }
        true
    }

    /// The newest value of each row, as a batch.
    pub(super) fn newest(&self) -> Batch {
        let mut batch = Batch::default();
        for (table, rows) in self.read().iter() {
            for (key, written) in rows {
                match written.last() {
                    Some((_, Some(value))) => batch.put.push((*table, key.clone(), value.to_vec())),
                    Some((_, None)) => batch.delete.push((*table, key.clone())),
                    None => {}
                }
            }
        }
        batch
    }
}

/// A row that was read from the log.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) table: Table,
    pub(super) key: Vec<u8>,
    pub(super) sequence: u64,
    pub(super) value: Value,
}

/// What a view up to a sequence sees of a row.
fn visible(written: &[Written], sequence: u64) -> Option<&Value> {
    written.iter().rev().find(|(at, _)| *at <= sequence).map(|(_, value)| value)
}

/// Rows that a view sees in its generations, in the order of a scan; copied piece by piece.
pub(super) struct Overlay<'a> {
    layers: Vec<Layer<'a>>,
    direction: Direction,
}

/// One generation on its way through a range.
struct Layer<'a> {
    generation: &'a Generation,
    table: Table,
    range: KeyRange,
    direction: Direction,
    sequence: u64,
    piece: usize,
    more: bool,
    copied: std::collections::VecDeque<(Vec<u8>, Value)>,
}

impl Layer<'_> {
    fn fill(&mut self) {
        while self.copied.is_empty() && self.more {
            if is_empty(&self.range) {
                self.more = false;
                return;
            }
            let mut last = None;
            let copied = &mut self.copied;
            let (table, direction, sequence) = (self.table, self.direction, self.sequence);
            self.more = self.generation.changed(
                table,
                borrowed(&self.range),
                direction,
                sequence,
                self.piece,
                |key, value| {
                    last = Some(key.to_vec());
                    if let Some(value) = value {
                        copied.push_back((key.to_vec(), value.clone()));
                    }
                },
            );
            self.piece = (self.piece * 2).min(COPIED);
            if let Some(last) = last {
                match self.direction {
                    Direction::Forward => self.range.0 = Bound::Excluded(last),
                    Direction::Backward => self.range.1 = Bound::Excluded(last),
                }
            }
        }
    }
}

impl<'a> Overlay<'a> {
    /// `generations` begin with the newest.
    pub(super) fn new(
        generations: impl Iterator<Item = &'a Generation>,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        sequence: u64,
        limit: usize,
    ) -> Self {
        let piece = limit.saturating_add(1).clamp(8, COPIED);
        let layer = |generation| Layer {
            generation,
            table,
            range: range.clone(),
            direction,
            sequence,
            piece,
            more: true,
            copied: std::collections::VecDeque::new(),
        };
        Self { layers: generations.map(layer).collect(), direction }
    }
}

impl Iterator for Overlay<'_> {
    type Item = (Vec<u8>, Value);

    fn next(&mut self) -> Option<Self::Item> {
        let mut first: Option<&(Vec<u8>, Value)> = None;
        for layer in &mut self.layers {
            layer.fill();
            let Some(next) = layer.copied.front() else { continue };
            // Of equal keys the newest generation's counts.
            if first.is_none_or(|first| comes_first(self.direction, &next.0, &first.0)) {
                first = Some(next);
            }
        }
        let (key, value) = first.cloned()?;
        for layer in &mut self.layers {
            if layer.copied.front().is_some_and(|(next, _)| *next == key) {
                layer.copied.pop_front();
            }
        }
        Some((key, value))
    }
}
