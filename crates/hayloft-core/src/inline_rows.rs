//! Contents that lie in the metadata: parts of just under a page of the engine, as one row of ten
//! thousand bytes would take sixteen.

use crate::plan::Plan;
use crate::{Direction, MetaRead, StoreError, Want, rows, tables};

/// Bytes of a part: with its key and redb's own bytes it fills a page of 4,096.
const PART: usize = 4_060;
/// Parts read at a time.
const PAGE: usize = 128;

/// Writes a content under a number of its own.
pub(crate) fn put(plan: &mut Plan, inline: u64, bytes: &[u8]) -> Result<(), StoreError> {
    let mut number = 0_u16;
    for part in bytes.chunks(PART) {
        plan.put_bytes(tables::BLOB_DATA, tables::part(inline, number), part.to_vec());
        number = number.checked_add(1).ok_or_else(|| {
            StoreError::damaged(format!("the number of parts of content {inline}"))
        })?;
    }
    Ok(())
}

/// What [`read`] begins with.
pub(crate) fn wanted(inline: u64) -> Want {
    let range = tables::prefixed(&tables::number(inline));
    Want::Range(tables::BLOB_DATA, range, Direction::Forward, PAGE)
}

/// The bytes of a content that is said to have `size` of them, unchecked; at most one part more
/// than that is read.
pub(crate) fn read(read: &dyn MetaRead, inline: u64, size: u64) -> Result<Vec<u8>, StoreError> {
    let expected = usize::try_from(size).unwrap_or(usize::MAX);
    let prefix = tables::number(inline);
    let mut range = tables::prefixed(&prefix);
    let mut bytes = Vec::new();
    loop {
        let page = read.scan(tables::BLOB_DATA, range, Direction::Forward, PAGE)?;
        for (_, part) in &page {
            bytes.extend_from_slice(part);
        }
        match page.last() {
            Some((key, _)) if page.len() == PAGE && bytes.len() <= expected => {
                range = tables::prefixed_after(&prefix, key);
            }
            _ => return Ok(bytes),
        }
    }
}

/// Removes a content, however many parts it has.
pub(crate) fn delete(plan: &mut Plan, inline: u64) -> Result<(), StoreError> {
    let mut keys = Vec::new();
    rows::each(plan, tables::BLOB_DATA, &tables::number(inline), |key, _| {
        keys.push(key.to_vec());
        Ok(())
    })?;
    for key in keys {
        plan.delete(tables::BLOB_DATA, key);
    }
    Ok(())
}
