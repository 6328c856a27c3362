//! Typed reading of rows, the same for snapshots and for plans.

use std::ops::{Bound, ControlFlow};

use crate::codec::{self, Record};
use crate::plan::COUNTERS;
use crate::records::{
    AuditRecord, CounterRecord, CountersRecord, MoreFilesRecord, TotalsRecord, VersionRecord,
};
use crate::tables;
use crate::{Direction, KeyRange, MetaRead, StoreError, Table};

/// One row.
pub(crate) fn get<R: Record>(
    read: &dyn MetaRead,
    table: Table,
    key: &[u8],
) -> Result<Option<R>, StoreError> {
    read.get(table, key)?.map(|value| codec::decode(table, key, &value)).transpose()
}

/// One row that another row promises.
pub(crate) fn need<R: Record>(
    read: &dyn MetaRead,
    table: Table,
    key: &[u8],
) -> Result<R, StoreError> {
    get(read, table, key)?.ok_or_else(|| {
        StoreError::damaged(format!("row {} of `{}` is missing: it", codec::shown(key), table.0))
    })
}

/// At most `limit` rows of a range.
pub(crate) fn scan<R: Record>(
    read: &dyn MetaRead,
    table: Table,
    range: KeyRange,
    direction: Direction,
    limit: usize,
) -> Result<Vec<(Vec<u8>, R)>, StoreError> {
    read.scan(table, range, direction, limit)?
        .into_iter()
        .map(|(key, value)| {
            let record = codec::decode(table, &key, &value)?;
            Ok((key, record))
        })
        .collect()
}

/// Some rows of a list.
pub(crate) struct Page<R> {
    /// Those that can be read.
    pub(crate) rows: Vec<(Vec<u8>, R)>,
    /// The last key there was, read or not; `None` at the end of the range.
    pub(crate) last: Option<Vec<u8>>,
}

/// At most `limit` rows of a range, for a list: one that is damaged or of a newer release is named
/// in the log and left out, so that it does not hide the others.
pub(crate) fn list<R: Record>(
    read: &dyn MetaRead,
    table: Table,
    range: &KeyRange,
    direction: Direction,
    limit: usize,
) -> Result<Page<R>, StoreError> {
    let mut page = Page { rows: Vec::new(), last: None };
    let mut seen = 0;
    visit_some(read, table, range, direction, limit, |key, value| {
        seen += 1;
        if seen == limit {
            page.last = Some(key.to_vec());
        }
        if let Some(record) = left_out(codec::decode(table, key, value))? {
            page.rows.push((key.to_vec(), record));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(page)
}

/// `None` for what is left out, with a word in the log, because its rows cannot be read.
pub(crate) fn left_out<T>(found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    readable(found.inspect_err(|error| tracing::error!(%error, "left out")))
}

/// A counter; a missing one is zero.
pub(crate) fn counter(read: &dyn MetaRead, table: Table, key: &[u8]) -> Result<i64, StoreError> {
    match read.get(table, key)? {
        None => Ok(0),
        Some(value) => counter_value(table, key, &value),
    }
}

/// The value of a counter row.
pub(crate) fn counter_value(table: Table, key: &[u8], value: &[u8]) -> Result<i64, StoreError> {
    codec::decode(table, key, value).map(|CounterRecord(count)| count)
}

/// The totals of a feed.
pub(crate) fn totals(read: &dyn MetaRead, feed: u32) -> Result<TotalsRecord, StoreError> {
    get(read, tables::TOTALS, &tables::feed(feed)).map(Option::unwrap_or_default)
}

/// The totals of a feed, for who shows the feed or tells its states apart. Of damaged ones nothing
/// is known but that they are no newer than the last change of the store.
pub(crate) fn totals_to_show(read: &dyn MetaRead, feed: u32) -> Result<TotalsRecord, StoreError> {
    if let Some(totals) = left_out(totals(read, feed))? {
        return Ok(totals);
    }
    let counters: CountersRecord = get(read, tables::META, COUNTERS)?.unwrap_or_default();
    let last = get::<AuditRecord>(read, tables::AUDIT, &tables::number(counters.audit));
    let changed = left_out(last)?.flatten().map_or(0, |last| last.at);
    Ok(TotalsRecord { revision: counters.sequence, changed, ..TotalsRecord::default() })
}

/// Rows of a table that has few.
pub(crate) fn count(read: &dyn MetaRead, table: Table) -> Result<usize, StoreError> {
    let mut count = 0;
    each(read, table, &[], |_, _| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// `None` for a row that cannot be read; other errors stay errors.
pub(crate) fn readable<T>(found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::Damaged { .. } | StoreError::Newer { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Calls `visit` for all keys that begin with `prefix`, a page at a time.
pub(crate) fn each(
    read: &dyn MetaRead,
    table: Table,
    prefix: &[u8],
    visit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    each_in(read, table, tables::prefixed(prefix), visit)
}

/// Rows that [`each_in`] asks for at a time.
pub(crate) const PAGE: usize = 1_000;

/// The same of a table whose rows may be large.
pub(crate) const LARGE_PAGE: usize = 128;

/// Calls `visit` for all keys of a range in ascending order, a page at a time.
pub(crate) fn each_in(
    read: &dyn MetaRead,
    table: Table,
    mut range: KeyRange,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    loop {
        let mut last = None;
        let mut rows = 0;
        visit_some(read, table, &range, Direction::Forward, PAGE, |key, value| {
            visit(key, value)?;
            rows += 1;
            if rows == PAGE {
                last = Some(key.to_vec());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        match last {
            Some(key) => range.0 = Bound::Excluded(key),
            None => return Ok(()),
        }
    }
}

/// Calls `visit` for at most `limit` rows of a range, until it breaks off or fails.
pub(crate) fn visit_some(
    read: &dyn MetaRead,
    table: Table,
    range: &KeyRange,
    direction: Direction,
    limit: usize,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    read.visit(table, range, direction, limit, &mut |key, value| {
        visit(key, value).unwrap_or_else(|error| {
            outcome = Err(error);
            ControlFlow::Break(())
        })
    })?;
    outcome
}

/// A version with all its files, those in further rows included.
pub(crate) fn version(
    read: &dyn MetaRead,
    key: &[u8],
) -> Result<Option<VersionRecord>, StoreError> {
    let Some(record) = get(read, tables::VERSION, key)? else { return Ok(None) };
    Ok(Some(completed(read, record)?))
}

/// A version as its row holds it, completed by the files in further rows.
pub(crate) fn completed(
    read: &dyn MetaRead,
    mut record: VersionRecord,
) -> Result<VersionRecord, StoreError> {
    for part in 0..record.more {
        let key = tables::part(record.version, part);
        let MoreFilesRecord(files) = need(read, tables::VERSION_FILES, &key)?;
        record.files.extend(files);
    }
    Ok(record)
}
