//! A turn on a redb file: a snapshot, and the way to write after it.

use super::RedbStore;
use super::read::RedbRead;
use crate::meta::{Batch, CommitError, MetaRead, MetaTurn, ReadThrough};

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

impl ReadThrough for RedbTurn<'_> {
    fn below(&self) -> &dyn MetaRead {
        &self.read
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
