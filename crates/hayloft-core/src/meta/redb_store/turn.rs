//! A turn on a redb file: a snapshot, and the way to write after it.

use super::RedbStore;
use super::read::RedbRead;
use crate::meta::{
    Batch, CommitError, Direction, KeyRange, MetaError, MetaRead, MetaTurn, Row, Table, Visit,
};

/// No one else can write, so the newest snapshot stays the newest until the commit; what the batch
/// expects is checked all the same.
pub(super) struct RedbTurn<'a> {
    store: &'a RedbStore,
    read: RedbRead,
}

impl<'a> RedbTurn<'a> {
    pub(super) fn new(store: &'a RedbStore, read: RedbRead) -> Self {
        Self { store, read }
    }
}

impl MetaRead for RedbTurn<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        self.read.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, MetaError> {
        self.read.scan(table, range, direction, limit)
    }

    fn visit(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
        visit: Visit<'_>,
    ) -> Result<(), MetaError> {
        self.read.visit(table, range, direction, limit, visit)
    }
}

impl MetaTurn for RedbTurn<'_> {
    fn commit(self: Box<Self>, batch: Batch) -> Result<(), CommitError> {
        let Self { store, read } = *self;
        // An open snapshot would keep the pages that the commit frees.
        drop(read);
        store.commit(&batch)
    }
}
