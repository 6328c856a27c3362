//! Snapshots of a redb file.

use std::cell::RefCell;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{ReadOnlyTable, ReadTransaction, StorageError, TableError};

use super::{Bytes, Cause, definition, guarded};
use crate::meta::{Direction, KeyRange, MetaError, MetaRead, Row, Table};

type Rows = ReadOnlyTable<Bytes, Bytes>;

/// One read transaction; its tables are opened when first asked for and kept.
pub(super) struct RedbRead {
    transaction: ReadTransaction,
    /// `None` for a table that no commit has written to yet. A handful, so a list is fastest.
    tables: RefCell<Vec<(Table, Option<Rows>)>>,
    broken: Arc<AtomicBool>,
}

impl RedbRead {
    pub(super) fn new(transaction: ReadTransaction, broken: Arc<AtomicBool>) -> Self {
        Self { transaction, tables: RefCell::new(Vec::new()), broken }
    }

    /// Runs `ask` on a table, or answers with the default if there is no such table.
    fn with_table<T: Default>(
        &self,
        table: Table,
        ask: impl FnOnce(&Rows) -> Result<T, StorageError>,
    ) -> Result<T, MetaError> {
        let answer = guarded(|| {
            let mut tables = self.tables.borrow_mut();
            let known = tables.iter().position(|(known, _)| *known == table);
            let at = if let Some(at) = known {
                at
            } else {
                let opened = match self.transaction.open_table(definition(table)) {
                    Ok(rows) => Some(rows),
                    Err(TableError::TableDoesNotExist(_)) => None,
                    Err(error) => return Err(Box::new(error) as Cause),
                };
                tables.push((table, opened));
                tables.len() - 1
            };
            match tables.get(at) {
                Some((_, Some(rows))) => ask(rows).map_err(|error| Box::new(error) as Cause),
                _ => Ok(T::default()),
            }
        });
        let cause = match answer {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(cause)) => cause,
            Err(panicked) => Box::new(panicked),
        };
        self.broken.store(true, Ordering::Release);
        Err(MetaError::Engine(cause))
    }
}

impl MetaRead for RedbRead {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        self.with_table(table, |rows| Ok(rows.get(key)?.map(|row| row.value().to_vec())))
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, MetaError> {
        /// Rows for which room is made before the first is read.
        const ROOM: usize = 256;
        if limit == 0 || is_empty(&range) {
            return Ok(Vec::new());
        }
        let range = (as_slice(&range.0), as_slice(&range.1));
        self.with_table(table, |rows| {
            let mut found = Vec::with_capacity(limit.min(ROOM));
            let mut rows = rows.range::<&[u8]>(range)?;
            while found.len() < limit {
                let row = match direction {
                    Direction::Forward => rows.next(),
                    Direction::Backward => rows.next_back(),
                };
                let Some(row) = row else { break };
                let (key, value) = row?;
                found.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(found)
        })
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

/// True for a range that no key can be in, which not every engine takes.
fn is_empty((start, end): &KeyRange) -> bool {
    match (start, end) {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start), Bound::Excluded(end))
        | (Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
        _ => false,
    }
}
