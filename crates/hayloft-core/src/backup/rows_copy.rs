//! All rows of one metadata engine brought into another, in the order of their keys.

use std::path::Path;
use std::sync::Arc;

use crate::{
    Batch, Fs, MetaRead, OpenMetaError, RedbOptions, RedbStore, StoreError, Table, rows, tables,
};

/// What was copied.
pub(crate) struct Copied {
    /// Rows of each table that has some.
    pub(crate) tables: Vec<(String, u64)>,
    /// Over tables, keys and values.
    pub(crate) root: blake3::Hash,
}

impl Copied {
    pub(crate) fn rows(&self) -> u64 {
        self.tables.iter().map(|(_, rows)| rows).sum()
    }
}

/// Shows `sink` all rows of a snapshot.
pub(crate) fn copy_rows(
    source: &dyn MetaRead,
    mut sink: impl FnMut(Table, &[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<Copied, StoreError> {
    let mut copied = Vec::new();
    let mut root = blake3::Hasher::new();
    let feed = |root: &mut blake3::Hasher, bytes: &[u8]| {
        root.update(&(bytes.len() as u64).to_be_bytes());
        root.update(bytes);
    };
    for table in tables::ALL {
        let mut count = 0;
        rows::each(source, table, &[], |key, value| {
            for bytes in [table.0.as_bytes(), key, value] {
                feed(&mut root, bytes);
            }
            count += 1;
            sink(table, key, value)
        })?;
        if count > 0 {
            copied.push((table.0.to_owned(), count));
        }
    }
    Ok(Copied { tables: copied, root: root.finalize() })
}

/// A new metadata file that takes rows in large commits.
pub(crate) struct RedbSink {
    store: RedbStore,
    batch: Batch,
    bytes: usize,
}

/// Bytes of rows in one commit.
const FULL: usize = 8 << 20;

impl RedbSink {
    /// Makes the file, which must not be there.
    pub(crate) fn create(fs: &Arc<dyn Fs>, path: &Path) -> Result<Self, OpenMetaError> {
        let store = RedbStore::create(fs, path, &RedbOptions::default())?;
        Ok(Self { store, batch: Batch::default(), bytes: 0 })
    }

    pub(crate) fn put(
        &mut self,
        table: Table,
        key: &[u8],
        value: Vec<u8>,
    ) -> Result<(), StoreError> {
        self.bytes += key.len() + value.len();
        self.batch.put.push((table, key.to_vec(), value));
        if self.bytes >= FULL { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        self.store.commit(&batch).map_err(|error| StoreError::NotStored(Arc::new(error)))
    }

    /// Writes what is left and closes the file.
    pub(crate) fn finish(mut self) -> Result<(), StoreError> {
        self.commit()?;
        Ok(crate::MetaStore::close(&self.store)?)
    }
}
