//! Snapshots of a redb file.

use std::cell::RefCell;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{ReadOnlyTable, ReadTransaction, StorageError, TableError};

use super::{Bytes, Cause, definition, guarded};
use crate::meta::{
    Direction, KeyRange, MetaError, MetaRead, Row, Table, Visit, borrowed, is_empty, scan_by_visits,
};

type Rows = ReadOnlyTable<Bytes, Bytes>;

/// One read transaction; its tables are opened when first asked for and kept.
pub(super) struct RedbRead {
    transaction: ReadTransaction,
    /// `None` for a table that no commit has written to yet. A handful, so a list is fastest.
    tables: RefCell<Vec<(Table, Option<Arc<Rows>>)>>,
    broken: Arc<AtomicBool>,
}

impl RedbRead {
    pub(super) fn new(transaction: ReadTransaction, broken: Arc<AtomicBool>) -> Self {
        Self { transaction, tables: RefCell::new(Vec::new()), broken }
    }

    /// A table, or `None` if nothing was ever written to it.
    fn table(&self, table: Table) -> Result<Option<Arc<Rows>>, MetaError> {
        let mut tables = self.tables.borrow_mut();
        if let Some((_, rows)) = tables.iter().find(|(known, _)| *known == table) {
            return Ok(rows.clone());
        }
        let opened = self.guarded(|| match self.transaction.open_table(definition(table)) {
            Ok(rows) => Ok(Some(Arc::new(rows))),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error),
        })?;
        tables.push((table, opened.clone()));
        Ok(opened)
    }

    /// Runs a call of redb; after a failure nothing more is written to the file.
    fn guarded<T, E>(&self, call: impl FnOnce() -> Result<T, E>) -> Result<T, MetaError>
    where
        E: Error + Send + Sync + 'static,
    {
        let cause: Cause = match guarded(call) {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => Box::new(error),
            Err(panicked) => Box::new(panicked),
        };
        self.broken.store(true, Ordering::Release);
        Err(MetaError::Engine(cause))
    }
}

impl MetaRead for RedbRead {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        let Some(rows) = self.table(table)? else { return Ok(None) };
        self.guarded(|| Ok::<_, StorageError>(rows.get(key)?.map(|row| row.value().to_vec())))
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
        let Some(rows) = self.table(table)? else { return Ok(()) };
        let range = borrowed(range);
        let mut rows = self.guarded(|| rows.range::<&[u8]>(range))?;
        for _ in 0..limit {
            let row = self.guarded(|| {
                let row = match direction {
                    Direction::Forward => rows.next(),
                    Direction::Backward => rows.next_back(),
                };
                row.transpose()
            })?;
            let Some((key, value)) = row else { break };
            // Only the engine is guarded: a visitor that panics says nothing about the file.
            let (key, value) =
                self.guarded(|| Ok::<_, StorageError>((key.value(), value.value())))?;
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}
