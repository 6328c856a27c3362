//! The rows of the store itself: without them nothing can be read or written, so they are put in
//! order before anything else when a store is opened.

use crate::codec::{self, Record};
use crate::downloads::LOG_POSITION;
use crate::layout::FORMAT;
use crate::plan::COUNTERS;
use crate::records::{
    AuditRecord, CountersRecord, FormatRecord, LogPositionRecord, NumberRecord, SaltRecord,
    TotalsRecord,
};
use crate::scrub::SCRUBBED_ROW;
use crate::small::SMALL_ROW;
use crate::store::{EPOCH_ROW, FORMAT_ROW, SALT_COPY_ROW, SALT_ROW};
use crate::{Batch, Direction, Expect, MetaRead, MetaStore, StoreError, Table, rows, tables};

/// How far beyond the highest number that is found the next one lies: rows with higher ones may
/// have been there and be gone.
const MARGIN: u64 = 1 << 20;

/// What takes the place of rows that say nothing any more.
pub(crate) struct Fallback {
    pub(crate) store: [u8; 16],
    pub(crate) timeline: [u8; 16],
    /// The end of the log of downloads: better to miss some than to count them twice.
    pub(crate) position: LogPositionRecord,
}

/// Makes damaged rows anew; tells which.
pub(crate) fn mend(meta: &dyn MetaStore, fallback: &Fallback) -> Result<Vec<String>, StoreError> {
    let turn = meta.turn(&[])?;
    let read: &dyn MetaRead = turn.as_ref();
    let mut batch = Batch::default();
    let mut mended = Vec::new();
    if let Some(bad) = damaged::<CountersRecord>(read, COUNTERS)? {
        put(&mut batch, &mut mended, COUNTERS, bad, &counted(read)?)?;
    }
    if let Some(bad) = damaged::<NumberRecord>(read, SMALL_ROW)? {
        put(&mut batch, &mut mended, SMALL_ROW, bad, &NumberRecord(highest_revision(read)?))?;
    }
    if let Some(bad) = damaged::<NumberRecord>(read, EPOCH_ROW)? {
        put(&mut batch, &mut mended, EPOCH_ROW, bad, &NumberRecord(0))?;
    }
    if let Some(bad) = damaged::<NumberRecord>(read, SCRUBBED_ROW)? {
        // Nothing tells what was read: all of it is read again.
        put(&mut batch, &mut mended, SCRUBBED_ROW, bad, &NumberRecord(0))?;
    }
    if let Some(bad) = damaged::<LogPositionRecord>(read, LOG_POSITION)? {
        put(&mut batch, &mut mended, LOG_POSITION, bad, &fallback.position)?;
    }
    if let Some(bad) = damaged::<FormatRecord>(read, FORMAT_ROW)? {
        let format = FormatRecord {
            major: FORMAT,
            min_reader: FORMAT,
            min_writer: FORMAT,
            store: fallback.store,
            timeline: fallback.timeline,
        };
        put(&mut batch, &mut mended, FORMAT_ROW, bad, &format)?;
    }
    for (row, copy) in [(SALT_ROW, SALT_COPY_ROW), (SALT_COPY_ROW, SALT_ROW)] {
        let Some(bad) = damaged::<SaltRecord>(read, row)? else { continue };
        let other = rows::left_out(rows::get::<SaltRecord>(read, tables::META, copy))?.flatten();
        if let Some(salt) = other {
            put(&mut batch, &mut mended, row, bad, &salt)?;
        } else {
            // No API key can be told from any other text now: all have to be made anew.
            batch.expect.push((tables::META, row.to_vec(), Expect::Value(bad)));
            batch.delete.push((tables::META, row.to_vec()));
            mended.push(codec::shown(row));
        }
    }
    if mended.is_empty() {
        return Ok(mended);
    }
    tracing::error!(rows = ?mended, "rows of the store itself were damaged and are made anew");
    turn.commit(batch).map_err(|error| StoreError::NotStored(std::sync::Arc::new(error)))?;
    Ok(mended)
}

/// The bytes of a row that is damaged.
fn damaged<R: Record>(read: &dyn MetaRead, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    match rows::get::<R>(read, tables::META, key) {
        Err(StoreError::Damaged { .. }) => Ok(read.get(tables::META, key)?),
        Err(error) => Err(error),
        Ok(_) => Ok(None),
    }
}

fn put<R: Record>(
    batch: &mut Batch,
    mended: &mut Vec<String>,
    key: &[u8],
    bad: Vec<u8>,
    record: &R,
) -> Result<(), StoreError> {
    let value = codec::encode(tables::META, key, record)?;
    batch.expect.push((tables::META, key.to_vec(), Expect::Value(bad)));
    batch.put.push((tables::META, key.to_vec(), value));
    mended.push(codec::shown(key));
    Ok(())
}

/// Numbers that lie beyond all that were given out, as far as rows tell.
fn counted(read: &dyn MetaRead) -> Result<CountersRecord, StoreError> {
    let beyond = |number: u64| number.saturating_add(MARGIN);
    let versions = beyond(last_number(read, tables::VERSION_ID)?);
    let audit = last_number(read, tables::AUDIT)?;
    let row = rows::get::<AuditRecord>(read, tables::AUDIT, &tables::number(audit));
    let chain = rows::left_out(row)?.flatten().map_or([0; 32], |row| row.chain);
    let feed = last_key(read, tables::FEED)?.and_then(|key| tables::u32_at(&key, 0));
    Ok(CountersRecord {
        sequence: beyond(highest_revision(read)?),
        feed: feed.unwrap_or_default().saturating_add(1_000),
        // A package is numbered together with its first version.
        package: versions,
        version: versions,
        inline: beyond(last_number(read, tables::BLOB_DATA)?),
        // These rows are never removed.
        promotion: last_number(read, tables::PROMOTION)?,
        repackaging: last_number(read, tables::REPACKAGING)?,
        audit,
        key: beyond(last_number(read, tables::API_KEY)?),
        job: beyond(last_number(read, tables::JOB)?),
        chain,
    })
}

/// The number of the last commit that left one.
fn highest_revision(read: &dyn MetaRead) -> Result<u64, StoreError> {
    let mut highest = 0;
    let small = rows::get::<NumberRecord>(read, tables::META, SMALL_ROW);
    if let Some(Some(NumberRecord(small))) = rows::left_out(small)? {
        highest = small;
    }
    rows::each(read, tables::TOTALS, &[], |key, value| {
        let totals = codec::decode::<TotalsRecord>(tables::TOTALS, key, value);
        highest = highest.max(rows::left_out(totals)?.map_or(0, |totals| totals.revision));
        Ok(())
    })?;
    Ok(highest)
}

fn last_number(read: &dyn MetaRead, table: Table) -> Result<u64, StoreError> {
    Ok(last_key(read, table)?.and_then(|key| tables::u64_at(&key, 0)).unwrap_or_default())
}

fn last_key(read: &dyn MetaRead, table: Table) -> Result<Option<Vec<u8>>, StoreError> {
    let last = read.scan(table, tables::prefixed(&[]), Direction::Backward, 1)?;
    Ok(last.into_iter().next().map(|(key, _)| key))
}
