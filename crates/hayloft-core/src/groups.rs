//! Hashes of the groups of a content: any range of it is held against its BLAKE3 by reading no more
//! than the groups that the range touches.
//!
//! A BLAKE3 is the root of a tree over 1,024-byte chunks. The values at the nodes above 256 KiB each
//! are kept when a content comes, and lie in rows beside it; those of a content of one group are its
//! digest itself.

use std::sync::Arc;

use blake3::hazmat::{self, HasherExt, Mode};

use crate::plan::Plan;
use crate::records::GroupsRecord;
use crate::{BlobKey, MetaRead, StoreError, rows, tables};

/// Bytes of a group.
pub(crate) const GROUP: u64 = 256 << 10;
/// Groups whose hashes lie in one row, which with its key fills a page of 4,096 bytes.
const PER_ROW: usize = 124;

pub(crate) type GroupHash = [u8; 32];

/// The hashes of a content's groups; none for a content of a single group.
pub(crate) type Groups = Arc<Vec<GroupHash>>;

/// BLAKE3 of bytes as they come, and of each of their groups.
#[derive(Debug, Default)]
pub(crate) struct GroupHasher {
    done: Vec<GroupHash>,
    current: Box<blake3::Hasher>,
    filled: u64,
}

impl GroupHasher {
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // A group ends when the next begins: a single one is hashed as the root.
            if self.filled == GROUP {
                self.end_group();
            }
            let room = usize::try_from(GROUP - self.filled).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.current.update(now);
            self.filled += now.len() as u64;
            bytes = rest;
        }
    }

    fn end_group(&mut self) {
        self.done.push(self.current.finalize_non_root());
        *self.current = blake3::Hasher::new();
        self.current.set_input_offset(self.done.len() as u64 * GROUP);
        self.filled = 0;
    }

    /// The BLAKE3 of all bytes, and the hashes of their groups.
    pub(crate) fn finish(mut self) -> ([u8; 32], Groups) {
        if self.done.is_empty() {
            return (self.current.finalize().into(), Groups::default());
        }
        self.end_group();
        (root(&self.done), Arc::new(self.done))
    }
}

/// The BLAKE3 that the hashes of two or more groups come to.
pub(crate) fn root(groups: &[GroupHash]) -> [u8; 32] {
    let (left, right) = halves(groups);
    hazmat::merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash).into()
}

fn subtree(groups: &[GroupHash]) -> GroupHash {
    match groups {
        [] => GroupHash::default(),
        [only] => *only,
        _ => {
            let (left, right) = halves(groups);
            hazmat::merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
        }
    }
}

/// The left part of a tree has as many leaves as fit into a power of two and leave some over.
fn halves(groups: &[GroupHash]) -> (&[GroupHash], &[GroupHash]) {
    let left = groups.len().div_ceil(2).next_power_of_two();
    groups.split_at_checked(left).unwrap_or((groups, &[]))
}

/// Hashes the bytes of a group.
pub(crate) fn hasher(group: u64) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(group * GROUP);
    hasher
}

/// The hash of a group whose bytes were hashed.
pub(crate) fn of_group(hasher: &blake3::Hasher) -> GroupHash {
    hasher.finalize_non_root()
}

/// How many groups a content has whose hashes are kept.
pub(crate) fn count(size: u64) -> u64 {
    if size <= GROUP { 0 } else { size.div_ceil(GROUP) }
}

/// How many rows hold the hashes of a content of so many bytes.
pub(crate) fn rows_of(size: u64) -> u32 {
    u32::try_from(count(size).div_ceil(PER_ROW as u64)).unwrap_or(u32::MAX)
}

/// The row that holds the hash of a group, and its place in there.
pub(crate) fn place(group: u64) -> (u32, usize) {
    let row = u32::try_from(group / PER_ROW as u64).unwrap_or(u32::MAX);
    (row, usize::try_from(group % PER_ROW as u64).unwrap_or_default())
}

/// Bytes of rows that hold these.
pub(crate) fn weight(groups: &[GroupHash]) -> usize {
    groups.len().saturating_mul(33)
}

/// Writes the hashes of a content.
pub(crate) fn put(plan: &mut Plan, blob: &BlobKey, groups: &[GroupHash]) -> Result<(), StoreError> {
    for (row, part) in (0..).zip(groups.chunks(PER_ROW)) {
        plan.put(tables::GROUPS, tables::groups(blob, row), &GroupsRecord(part.to_vec()))?;
    }
    Ok(())
}

/// Removes the hashes of a content of so many bytes.
pub(crate) fn delete(plan: &mut Plan, blob: &BlobKey, size: u64) {
    for row in 0..rows_of(size) {
        plan.delete(tables::GROUPS, tables::groups(blob, row));
    }
}

/// The hashes in one row; `None` if they are not there, or cannot be read.
pub(crate) fn row(
    read: &dyn MetaRead,
    blob: &BlobKey,
    row: u32,
) -> Result<Option<Vec<GroupHash>>, StoreError> {
    let found = rows::get::<GroupsRecord>(read, tables::GROUPS, &tables::groups(blob, row));
    Ok(rows::left_out(found)?.flatten().map(|GroupsRecord(groups)| groups))
}

/// True if the hashes of a content of so many bytes are there and come to its digest.
pub(crate) fn are_right(
    read: &dyn MetaRead,
    blob: &BlobKey,
    size: u64,
) -> Result<bool, StoreError> {
    let mut all = Vec::new();
    for number in 0..rows_of(size) {
        let Some(part) = row(read, blob, number)? else { return Ok(false) };
        all.extend(part);
    }
    let fits = all.len() as u64 == count(size);
    Ok(fits && (all.is_empty() || root(&all) == blob.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: usize = 256 << 10;

    fn bytes(length: usize) -> Vec<u8> {
        (0..=250).cycle().take(length).collect()
    }

    fn hashed(bytes: &[u8], piece: usize) -> ([u8; 32], Groups) {
        let mut hasher = GroupHasher::default();
        bytes.chunks(piece).for_each(|piece| hasher.update(piece));
        hasher.finish()
    }

    fn of(group: u64, bytes: &[u8]) -> GroupHash {
        of_group(hasher(group).update(bytes))
    }

    #[test]
    fn groups_come_to_the_digest_of_the_whole_whatever_pieces_they_come_in() {
        let group = WHOLE;
        let lengths = [0, 1, 1_024, group - 1, group, group + 1, 2 * group, 2 * group + 1]
            .into_iter()
            .chain((3..10).map(|groups| groups * group - 5));
        for length in lengths {
            let bytes = bytes(length);
            for piece in [group, 100_000] {
                let (digest, groups) = hashed(&bytes, piece);
                assert_eq!(digest, *blake3::hash(&bytes).as_bytes(), "{length} by {piece}");
                assert_eq!(groups.len() as u64, count(length as u64), "{length}");
                for (at, (expected, group)) in groups.iter().zip(bytes.chunks(group)).enumerate() {
                    assert_eq!(*expected, of(at as u64, group), "group {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn a_changed_or_moved_group_has_another_hash() {
        let (_, groups) = hashed(&bytes(3 * WHOLE), 1 << 20);
        let mut changed = bytes(WHOLE);
        assert_eq!(of(0, &changed), groups[0]);
        assert_ne!(of(1, &changed), groups[0]);
        changed[77] ^= 1;
        assert_ne!(of(0, &changed), groups[0]);
    }
}
