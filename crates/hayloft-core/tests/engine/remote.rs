//! An engine that is far away: whatever was not fetched ahead is a round trip of its own.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use hayloft_core::{
    Batch, CommitError, Direction, KeyRange, MetaError, MetaRead, MetaStore, MetaTurn, RedbStore,
    Row, Table, Want,
};

/// What was asked of the engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Round trips.
    pub(crate) flights: u64,
    /// Rows that were fetched, those that are not there included.
    pub(crate) read: u64,
    /// Tables that commits changed.
    pub(crate) trees: u64,
    /// Rows that commits put or deleted.
    pub(crate) written: u64,
    /// Bytes of their keys and values.
    pub(crate) bytes: u64,
}

impl Cost {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            flights: self.flights - before.flights,
            read: self.read - before.read,
            trees: self.trees - before.trees,
            written: self.written - before.written,
            bytes: self.bytes - before.bytes,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<Cost>);

impl Flights {
    pub(crate) fn cost(&self) -> Cost {
        *self.0.lock().unwrap()
    }

    fn add(&self, flights: u64, what: &str) {
        if std::env::var_os("HAYLOFT_FLIGHTS").is_some() {
            eprintln!("{flights} {what}");
        }
        self.0.lock().unwrap().flights += flights;
    }

    fn read(&self, rows: usize) {
        self.0.lock().unwrap().read += rows as u64;
    }

    fn commit(&self, batch: &Batch) {
        let mut trees = BTreeSet::new();
        let mut bytes = 0;
        for (table, key, value) in &batch.put {
            trees.insert(table.0);
            bytes += key.len() + value.len();
        }
        for (table, key) in &batch.delete {
            trees.insert(table.0);
            bytes += key.len();
        }
        let mut cost = self.0.lock().unwrap();
        cost.trees += trees.len() as u64;
        cost.written += (batch.put.len() + batch.delete.len()) as u64;
        cost.bytes += bytes as u64;
    }
}

#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) meta: RedbStore,
    pub(crate) flights: Arc<Flights>,
}

impl MetaStore for Remote {
    fn snapshot(&self, wants: &[Want]) -> Result<Box<dyn MetaRead>, MetaError> {
        // Beginning travels with the first read.
        let read = Far::new(self.meta.snapshot(&[])?, &self.flights);
        read.prefetch(wants)?;
        Ok(Box::new(read))
    }

    fn turn(&self, wants: &[Want]) -> Result<Box<dyn MetaTurn + '_>, MetaError> {
        let turn = Far::new(self.meta.turn(&[])?, &self.flights);
        turn.fetch(wants, "turn")?;
        Ok(Box::new(turn))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn must_reopen(&self) -> bool {
        self.meta.must_reopen()
    }
}

/// Rows that were fetched, `None` for those that are not there.
type Rows = HashMap<(Table, Vec<u8>), Option<Vec<u8>>>;

struct Far<R: ?Sized> {
    flights: Arc<Flights>,
    rows: RefCell<Rows>,
    ranges: RefCell<HashMap<Want, Vec<Row>>>,
    below: Box<R>,
}

impl<R: MetaRead + ?Sized> Far<R> {
    fn new(below: Box<R>, flights: &Arc<Flights>) -> Self {
        Self {
            flights: flights.clone(),
            rows: RefCell::default(),
            ranges: RefCell::default(),
            below,
        }
    }

    fn has(&self, want: &Want) -> bool {
        match want {
            Want::Row(table, key) => self.rows.borrow().contains_key(&(*table, key.clone())),
            range @ Want::Range(..) => self.ranges.borrow().contains_key(range),
        }
    }

    fn fetch(&self, wants: &[Want], why: &str) -> Result<(), MetaError> {
        self.flights.add(1, why);
        for want in wants {
            match want {
                Want::Row(table, key) => {
                    let row = self.below.get(*table, key)?;
                    self.flights.read(1);
                    self.rows.borrow_mut().insert((*table, key.clone()), row);
                }
                Want::Range(table, range, direction, limit) => {
                    let found = self.below.scan(*table, range.clone(), *direction, *limit)?;
                    self.flights.read(found.len());
                    let mut rows = self.rows.borrow_mut();
                    for (key, value) in &found {
                        rows.insert((*table, key.clone()), Some(value.clone()));
                    }
                    self.ranges.borrow_mut().insert(want.clone(), found);
                }
            }
        }
        Ok(())
    }
}

impl<R: MetaRead + ?Sized> MetaRead for Far<R> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        let want = Want::Row(table, key.to_vec());
        if !self.has(&want) {
            self.fetch(&[want], &format!("get {} {:?}", table.0, String::from_utf8_lossy(key)))?;
        }
        Ok(self.rows.borrow()[&(table, key.to_vec())].clone())
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, MetaError> {
        let want = Want::Range(table, range, direction, limit);
        if !self.has(&want) {
            self.fetch(std::slice::from_ref(&want), &format!("scan {}", table.0))?;
        }
        Ok(self.ranges.borrow()[&want].clone())
    }

    fn prefetch(&self, wants: &[Want]) -> Result<(), MetaError> {
        if wants.iter().all(|want| self.has(want)) {
            return Ok(());
        }
        self.fetch(wants, "prefetch")
    }
}

impl MetaTurn for Far<dyn MetaTurn + '_> {
    fn commit(self: Box<Self>, batch: Batch) -> Result<(), CommitError> {
        self.flights.add(2, "commit");
        self.flights.commit(&batch);
        self.below.commit(batch)
    }
}
