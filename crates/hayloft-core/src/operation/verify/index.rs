//! Rows of native indexes.

use super::run::{Run, row};
use crate::codec::{self, Record};
use crate::records::{
    IndexLinesRecord, IndexLogRecord, IndexPartRecord, IndexRowRecord, IndexStateRecord,
    SearchChangeRecord, SearchCountRecord, SearchPackageRecord, SearchTermRecord, SecretRecord,
    SubjectRecord,
};
use crate::{FindingCode, MetaRead, Repair, StoreError, Table, VerifyLevel, index, rows, tables};

impl Run<'_> {
    /// Every row of an index can be read and belongs to a feed.
    pub(super) fn index_rows(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        for table in tables::OF_INDEX {
            self.each_bytes(read, table, |run, key, value| {
                if let Err(error) = decodes(table, key, value) {
                    run.unreadable(table, key, &error);
                    return Ok(());
                }
                let feed = tables::u32_at(key, 0).unwrap_or_default();
                if run.feeds.contains_key(&feed) {
                    return Ok(());
                }
                let text = format!("{} has no feed", row(table, key));
                let key = key.to_vec();
                run.found_mendable(FindingCode::FeedRow, text, move |plan| {
                    if MetaRead::get(plan, tables::FEED, &tables::feed(feed))?.is_none() {
                        plan.delete(table, key.clone());
                    }
                    Ok(true)
                })
            })?;
        }
        Ok(())
    }
}

impl Run<'_> {
    /// Every index is what its packages give. One that is not is built anew, if that is asked for.
    pub(super) fn native_indexes(&mut self) -> Result<(), StoreError> {
        let inner = &self.store.inner;
        // What is derived again needs a place to lie.
        if self.level == VerifyLevel::Fast || inner.staging.space.check_writable().is_err() {
            return Ok(());
        }
        let feeds: Vec<_> = self
            .feeds
            .iter()
            .filter(|(feed, _)| !self.deleting.contains(feed))
            .filter_map(|(feed, record)| Some((*feed, record.as_ref()?.name.clone())))
            .collect();
        for (feed, name) in feeds {
            let found = rows::left_out(index::differences(inner, feed))?.flatten();
            let Some(differences @ 1..) = found else { continue };
            let text = format!(
                "{differences} rows, logs or words of the index of feed `{name}` are not what its \
                 packages give"
            );
            let types = inner.context.types.clone();
            self.found_mendable(FindingCode::NativeIndex, text, move |plan| {
                index::make_dirty(plan, &types, feed)?;
                Ok(true)
            })?;
            self.mend()?;
            if self.repair == Repair::Derived {
                inner.run_index(feed)?;
            }
        }
        Ok(())
    }
}

/// Reads a row as what its key says it is.
pub(super) fn decodes(table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    fn is<R: Record>(table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        codec::decode::<R>(table, key, value).map(drop)
    }
    let rest = key.get(4..).unwrap_or_default();
    match table {
        tables::INDEX => is::<IndexRowRecord>(table, key, value),
        tables::INDEX_STATE => is::<IndexStateRecord>(table, key, value),
        tables::SUBJECT | tables::STALE => is::<SubjectRecord>(table, key, value),
        tables::SECRET => is::<SecretRecord>(table, key, value),
        tables::SEARCH_LOG => is::<SearchChangeRecord>(table, key, value),
        tables::INDEX_PART => is::<IndexPartRecord>(table, key, value),
        tables::INDEX_LOG if tables::is_index_log(key) => is::<IndexLogRecord>(table, key, value),
        tables::INDEX_LOG => is::<IndexLinesRecord>(table, key, value),
        _ => match rest.split_first() {
            Some((1, _)) => is::<SearchPackageRecord>(table, key, value),
            Some((2, term)) if ends_at_nul(term) => is::<SearchCountRecord>(table, key, value),
            _ => is::<SearchTermRecord>(table, key, value),
        },
    }
}

/// True for bytes of which the last, and no other, is NUL.
fn ends_at_nul(bytes: &[u8]) -> bool {
    bytes.split_last().is_some_and(|(last, rest)| *last == 0 && !rest.contains(&0))
}
