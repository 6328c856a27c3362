//! Which packages changed since a run: by the audit log, which tells each change once.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use hayloft_core::{Action, AuditQuery, Store, StoreError};

pub(crate) use super::ledger::Cursor;

/// The newest row.
pub(crate) fn newest(store: &Store) -> Result<Cursor, StoreError> {
    let row = store.audit_log(&AuditQuery::default())?.next().transpose()?;
    Ok(row.map_or_else(Cursor::default, |row| Cursor {
        id: row.id,
        chain: HEXLOWER.encode(&row.chain),
    }))
}

/// Groups and names of the packages of a feed that changed after a row, up to the newest one;
/// `None` if the log cannot tell, because it does not hold that row, or because more than packages
/// changed.
pub(crate) fn changed_since(
    store: &Store,
    feed: &str,
    cursor: &Cursor,
) -> Result<Option<BTreeSet<(String, String)>>, StoreError> {
    let mut found = BTreeSet::new();
    if cursor.id == 0 {
        return Ok(None);
    }
    for row in store.audit_log(&AuditQuery::default())? {
        let row = row?;
        if row.id <= cursor.id {
            let same = row.id == cursor.id && HEXLOWER.encode(&row.chain) == cursor.chain;
            return Ok(same.then_some(found));
        }
        if row.action == Action::Lost.as_str() {
            return Ok(None);
        }
        let named = |other: &str| other.eq_ignore_ascii_case(feed);
        let touched = named(&row.feed) || row.to_feed.as_deref().is_some_and(named);
        if row.action == Action::Repair.as_str() || (touched && row.name.is_empty()) {
            return Ok(None);
        }
        if touched {
            found.insert((row.group, row.name));
        }
    }
    Ok(None)
}
