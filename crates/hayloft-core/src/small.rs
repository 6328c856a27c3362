//! Feeds, API keys and settings in memory: few rows, which every request asks for.
//!
//! Where this process alone writes, the writer brings each commit in before it answers, so what
//! was changed is seen at once and no lookup reads a row. An engine that others write to is asked,
//! with the first rows of each snapshot, for the number of the last commit that changed one of
//! these tables; if it is another one, all is read again from that snapshot.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::codec::{self, Record};
use crate::records::{
    FeedNameRecord, FeedRecord, FeedState, KeyPlaceRecord, KeyRecord, NumberRecord, SettingRecord,
};
use crate::resolve::{FeedHandle, folded};
use crate::{
    Batch, FeedTypes, LookupError, MetaRead, NoSuchFeed, StoreError, Table, Want, rows, tables,
};

/// Key in `meta` of the number of the last commit that changed one of these tables.
pub(crate) const SMALL_ROW: &[u8] = b"small";

const TABLES: [Table; 5] =
    [tables::FEED, tables::FEED_NAME, tables::API_KEY, tables::API_KEY_HASH, tables::SETTING];

/// True for a table that is kept in memory.
pub(crate) fn is_small(table: Table) -> bool {
    TABLES.contains(&table)
}

/// The number of the last change, as a snapshot is asked for it.
pub(crate) fn number_wanted() -> Want {
    Want::Row(tables::META, SMALL_ROW.to_vec())
}

/// A row in memory; a bad one is the error of whoever asks for it, and of nobody else.
type Known<R> = Result<Arc<R>, Arc<StoreError>>;

/// The rows of the small tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Small {
    /// Number of the last change that is in here; `None` if nothing was read yet.
    number: Option<u64>,
    feeds: BTreeMap<u32, Known<FeedRecord>>,
    names: BTreeMap<Vec<u8>, u32>,
    keys: BTreeMap<u64, Known<KeyRecord>>,
    digests: BTreeMap<Vec<u8>, u64>,
    settings: BTreeMap<Vec<u8>, Known<SettingRecord>>,
}

impl Small {
    fn load(read: &dyn MetaRead) -> Result<Self, StoreError> {
        let mut small = Self { number: Some(number(read)?), ..Self::default() };
        for table in TABLES {
            rows::each(read, table, &[], |key, value| {
                small.put(table, key, value);
                Ok(())
            })?;
        }
        Ok(small)
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        match table {
            tables::FEED => {
                if let Some(id) = tables::u32_at(key, 0) {
                    self.feeds.insert(id, known(table, key, value));
                }
            }
            tables::API_KEY => {
                if let Some(id) = tables::u64_at(key, 0) {
                    self.keys.insert(id, known(table, key, value));
                }
            }
            tables::SETTING => {
                self.settings.insert(key.to_vec(), known(table, key, value));
            }
            tables::FEED_NAME => match known::<FeedNameRecord>(table, key, value) {
                Ok(place) => drop(self.names.insert(key.to_vec(), place.feed)),
                // The feeds themselves tell it, too; they are read before their names.
                Err(_) => match self.called(key) {
                    Some(id) => drop(self.names.insert(key.to_vec(), id)),
                    None => drop(self.names.remove(key)),
                },
            },
            tables::API_KEY_HASH => match known::<KeyPlaceRecord>(table, key, value) {
                Ok(place) => drop(self.digests.insert(key.to_vec(), place.0)),
                Err(_) => drop(self.digests.remove(key)),
            },
            _ => {}
        }
    }

    /// The live feed that has a name.
    fn called(&self, folded_name: &[u8]) -> Option<u32> {
        let is_called = |row: &Known<FeedRecord>| {
            row.as_ref().is_ok_and(|record| record.is_called(folded_name))
        };
        self.feeds.iter().find(|(_, row)| is_called(row)).map(|(id, _)| *id)
    }

    fn delete(&mut self, table: Table, key: &[u8]) {
        match table {
            tables::FEED => drop(tables::u32_at(key, 0).map(|id| self.feeds.remove(&id))),
            tables::API_KEY => drop(tables::u64_at(key, 0).map(|id| self.keys.remove(&id))),
            tables::SETTING => drop(self.settings.remove(key)),
            tables::FEED_NAME => drop(self.names.remove(key)),
            tables::API_KEY_HASH => drop(self.digests.remove(key)),
            _ => {}
        }
    }

    /// A live feed by name or alternate name.
    pub(crate) fn feed(&self, types: &FeedTypes, name: &str) -> Result<FeedHandle, LookupError> {
        let missing = || NoSuchFeed { name: name.to_owned() };
        let id = self.names.get(&folded(name)).ok_or_else(missing)?;
        Ok(self.feed_by_id(types, *id)?.ok_or_else(missing)?)
    }

    /// A live feed by number.
    pub(crate) fn feed_by_id(
        &self,
        types: &FeedTypes,
        id: u32,
    ) -> Result<Option<FeedHandle>, StoreError> {
        let Some(record) = found(self.feeds.get(&id))? else { return Ok(None) };
        let live = record.state == FeedState::Live;
        Ok(live.then(|| FeedHandle::of(types, id, FeedRecord::clone(&record))))
    }

    /// All live feeds whose rows can be read, by number.
    pub(crate) fn feeds(&self, types: &FeedTypes) -> impl Iterator<Item = FeedHandle> {
        let readable = self.feeds.iter().filter_map(|(id, row)| Some((*id, row.as_ref().ok()?)));
        readable
            .filter(|(_, record)| record.state == FeedState::Live)
            .map(|(id, record)| FeedHandle::of(types, id, FeedRecord::clone(record)))
    }

    /// The tags of all feeds, those on their way out included; `None` for a row that cannot be read.
    pub(crate) fn tags(&self) -> impl Iterator<Item = Option<&str>> {
        self.feeds.values().map(|row| row.as_ref().ok().map(|record| record.tag.as_str()))
    }

    /// The key whose text has this digest.
    pub(crate) fn key(
        &self,
        digest: &[u8; 32],
    ) -> Result<Option<(u64, Arc<KeyRecord>)>, StoreError> {
        let Some(id) = self.digests.get(digest.as_slice()) else { return Ok(None) };
        // `blake3::Hash` compares in constant time; the index alone would not.
        let same = |record: &Arc<KeyRecord>| {
            blake3::Hash::from_bytes(record.digest) == blake3::Hash::from_bytes(*digest)
        };
        Ok(found(self.keys.get(id))?.filter(same).map(|record| (*id, record)))
    }

    /// True if there is a key whose digest is this one or a later one.
    pub(crate) fn has_digest_from(&self, first: &[u8]) -> bool {
        self.digests.range(first.to_vec()..).next().is_some()
    }

    /// All keys whose rows can be read, by number.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (u64, &KeyRecord)> {
        self.keys.iter().filter_map(|(id, row)| Some((*id, row.as_ref().ok()?.as_ref())))
    }

    /// A setting by name.
    pub(crate) fn setting(&self, name: &str) -> Result<Option<Arc<SettingRecord>>, StoreError> {
        found(self.settings.get(name.as_bytes()))
    }

    /// All settings whose rows can be read, by name.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&[u8], &SettingRecord)> {
        self.settings.iter().filter_map(|(name, row)| Some((&**name, row.as_ref().ok()?.as_ref())))
    }
}

fn found<R>(row: Option<&Known<R>>) -> Result<Option<Arc<R>>, StoreError> {
    match row {
        None => Ok(None),
        Some(Ok(record)) => Ok(Some(record.clone())),
        Some(Err(error)) => Err(error.again()),
    }
}

fn known<R: Record>(table: Table, key: &[u8], value: &[u8]) -> Known<R> {
    codec::decode(table, key, value).map(Arc::new).map_err(|error| {
        tracing::error!(%error, "a row is left out");
        Arc::new(error)
    })
}

fn number(read: &dyn MetaRead) -> Result<u64, StoreError> {
    let row: Option<NumberRecord> = rows::get(read, tables::META, SMALL_ROW)?;
    Ok(row.map_or(0, |NumberRecord(number)| number))
}

/// The small tables as of the last commit or snapshot.
#[derive(Debug, Default)]
pub(crate) struct SmallTables(RwLock<Arc<Small>>);

impl SmallTables {
    /// The tables as they were last known.
    pub(crate) fn last(&self) -> Arc<Small> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All tables, if they are in memory and nobody changes them right now.
    pub(crate) fn at_hand(&self) -> Option<Arc<Small>> {
        let small = self.0.try_read().ok()?.clone();
        small.number.is_some().then_some(small)
    }

    /// Brings in a commit that has just been made.
    pub(crate) fn apply(&self, changed: &Changed) {
        let mut small = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if small.number.is_none() {
            // Whoever reads the tables will read this commit too.
            return;
        }
        let small = Arc::make_mut(&mut small);
        for (table, key, value) in &changed.rows {
            match value {
                Some(value) => small.put(*table, key, value),
                None => small.delete(*table, key),
            }
        }
    }

    /// Has everything read again: what a failed commit left is not known.
    pub(crate) fn forget(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    /// The tables, read by way of `snapshot` if that was not done yet; for an engine to which no one
    /// else writes.
    pub(crate) fn get(
        &self,
        snapshot: impl FnOnce() -> Result<Box<dyn MetaRead>, StoreError>,
    ) -> Result<Arc<Small>, StoreError> {
        let current = self.last();
        if current.number.is_some() {
            return Ok(current);
        }
        let mut small = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if small.number.is_none() {
            // Taken under the lock: a commit that this snapshot lacks is brought in after it.
            *small = Arc::new(Small::load(snapshot()?.as_ref())?);
        }
        Ok(small.clone())
    }

    /// The tables as they are in a snapshot.
    pub(crate) fn of(&self, read: &dyn MetaRead) -> Result<Arc<Small>, StoreError> {
        let number = Some(number(read)?);
        let current = self.last();
        if current.number == number {
            return Ok(current);
        }
        let loaded = Arc::new(Small::load(read)?);
        let mut small = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have a newer snapshot; which one is newer, numbers do not tell once an
        // engine has gone back to an earlier state.
        if small.number == current.number {
            *small = loaded.clone();
        }
        Ok(loaded)
    }
}

/// What a batch changes in the small tables; nothing of nearly all batches.
pub(crate) struct Changed {
    rows: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
}

impl Changed {
    pub(crate) fn of(batch: &Batch) -> Self {
        let put = batch.put.iter().filter(|(table, ..)| is_small(*table));
        let put = put.map(|(table, key, value)| (*table, key.clone(), Some(value.clone())));
        let deleted = batch.delete.iter().filter(|(table, _)| is_small(*table));
        Self { rows: put.chain(deleted.map(|(table, key)| (*table, key.clone(), None))).collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
