//! Building the index of a feed anew, in slices, beside everything else.

use hayloft_feed::{FeedType, IndexChange, rebuild_change};

use super::hook::derive_one;
use super::view::{Ground, state};
use crate::plan::Plan;
use crate::records::{IndexLogRecord, IndexState, IndexStateRecord, PackageRecord};
use crate::resolve::{FeedHandle, PackageHandle};
use crate::{Direction, FeedTypes, MetaRead, StoreError, rows, tables};

/// Rows that one commit removes.
const REMOVED: usize = 5_000;
/// Versions that one commit derives from; one package may have more.
const VERSIONS: u64 = 500;
/// Packages that one commit derives from.
const PACKAGES: usize = 500;

/// Does a part of the work on an index that is not complete; true if there is more.
pub(crate) fn build_step(
    plan: &mut Plan,
    types: &FeedTypes,
    feed: u32,
) -> Result<bool, StoreError> {
    let Some(handle) = FeedHandle::by_id(plan, types, feed)? else { return Ok(false) };
    let Some(feed_type) = handle.feed_type.clone() else { return Ok(false) };
    let state = state(plan, feed, feed_type.as_ref())?;
    let upto = match state.state {
        IndexState::Complete => return Ok(false),
        IndexState::Dirty => {
            if clear(plan, feed, feed_type.as_ref())? {
                let next = IndexState::Building(Vec::new());
                set(plan, feed, feed_type.tag(), feed_type.index_revision(), next)?;
            }
            return Ok(true);
        }
        IndexState::Building(upto) => upto,
    };
    let ground = Ground::of(plan, handle, feed_type.clone(), &[])?;
    let prefix = tables::feed(feed);
    let range = match upto.as_slice() {
        [] => tables::prefixed(&prefix),
        upto => tables::prefixed_after(&prefix, upto),
    };
    // A package whose row is damaged must not keep the index of the others from being complete.
    let page =
        rows::list::<PackageRecord>(plan, tables::PACKAGE, &range, Direction::Forward, PACKAGES)?;
    let mut names = Vec::new();
    let mut versions = 0;
    let mut last = page.last;
    for (key, record) in page.rows {
        versions += record.versions;
        let package = PackageHandle { key, record };
        names.extend(rows::left_out(package.package_name())?);
        if versions >= VERSIONS {
            last = Some(package.key);
            break;
        }
    }
    let more = last.is_some();
    let next = last.map_or(IndexState::Complete, IndexState::Building);
    for name in names {
        let found = rebuild_change(&ground.view_in_change(plan), name.key());
        let derived = match &found {
            Ok(None) => Ok(()),
            Ok(Some((head, versions))) => {
                let change = IndexChange::new(&name, None, Some(head), versions, plan.now());
                derive_one(plan, &ground, &change).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = derived {
            tracing::error!(error, package = name.spelled(), "a package is left out of its index");
        }
    }
    set(plan, feed, feed_type.tag(), feed_type.index_revision(), next)?;
    Ok(more)
}

fn set(
    plan: &mut Plan,
    feed: u32,
    tag: &str,
    revision: u32,
    state: IndexState,
) -> Result<(), StoreError> {
    let record =
        IndexStateRecord { tag: tag.to_owned(), revision, state, changed: plan.now().millis() };
    plan.put(tables::INDEX_STATE, tables::feed(feed), &record)
}

/// Notes that a feed without packages has a complete index.
pub(crate) fn begin(
    plan: &mut Plan,
    feed: u32,
    tag: &str,
    revision: u32,
) -> Result<(), StoreError> {
    set(plan, feed, tag, revision, IndexState::Complete)
}

/// Removes rows of a feed's index; true if none is left. What tells the history of the feed stays,
/// and so do subjects, whose revisions must never fall.
fn clear(plan: &mut Plan, feed: u32, feed_type: &dyn FeedType) -> Result<bool, StoreError> {
    let mut doomed = Vec::new();
    for table in
        [tables::INDEX, tables::INDEX_PART, tables::INDEX_LOG, tables::SEARCH_LOG, tables::SEARCH]
    {
        let prefix = tables::feed(feed);
        let mut range = tables::prefixed(&prefix);
        while doomed.len() < REMOVED {
            let page = plan.scan(table, range, Direction::Forward, REMOVED)?;
            let Some((last, _)) = page.last() else { break };
            range = tables::prefixed_after(&prefix, last);
            let full = page.len() == REMOVED;
            let goes = |key: &[u8]| {
                let own = key.get(prefix.len()..).unwrap_or_default();
                let of_type = match table {
                    tables::INDEX => own,
                    tables::INDEX_PART => own.get(..own.len().saturating_sub(2)).unwrap_or(own),
                    _ => return true,
                };
                !feed_type.is_history(of_type)
            };
            let keys = page.into_iter().map(|(key, _)| key).filter(|key| goes(key));
            doomed.extend(keys.map(|key| (table, key)));
            if !full {
                break;
            }
        }
    }
    let finished = doomed.len() < REMOVED;
    for (table, key) in doomed {
        plan.delete(table, key);
    }
    Ok(finished)
}

/// Removes lines of a log that no head names any more; true if more may be left.
pub(crate) fn drop_old_lines(plan: &mut Plan, feed: u32, log: &[u8]) -> Result<bool, StoreError> {
    let head: Option<IndexLogRecord> =
        rows::get(plan, tables::INDEX_LOG, &tables::index_log(feed, log))?;
    let prefix = tables::index_log(feed, log);
    let mut range = tables::prefixed_after(&prefix, &prefix);
    if let Some(head) = head {
        range.1 = std::ops::Bound::Excluded(tables::index_lines(feed, log, head.generation, 0));
    }
    let page = plan.scan(tables::INDEX_LOG, range, Direction::Forward, REMOVED)?;
    let more = page.len() == REMOVED;
    for (key, _) in page {
        plan.delete(tables::INDEX_LOG, key);
    }
    Ok(more)
}
