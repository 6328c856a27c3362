//! Rows of contents: which there are, where they lie, and who uses them.

use std::sync::Arc;

use crate::codec;
use crate::plan::Plan;
use crate::records::{BlobRecord, BlobState, DigestsValue, Health, JobRecord, Place};
use crate::tables::{self, HashKind};
use crate::{BlobKey, Direction, MetaRead, StoreError, rows};

/// How the bytes of a content come with an operation.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// With it, for a row.
    Inline(Arc<Vec<u8>>),
    /// They are durable in a file, which is pinned.
    Published,
    /// Its row was seen; nothing was published.
    Present,
}

impl Source {
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Inline(bytes) => bytes.len(),
            Self::Published | Self::Present => 0,
        }
    }
}

/// The content went away after it was seen: publish it and plan again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// A file of a version, as it uses a content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    pub(crate) version: u64,
    pub(crate) file: u32,
}

/// Notes a use of a content, making its row if it is new.
pub(crate) fn use_blob(
    plan: &mut Plan,
    digests: &DigestsValue,
    size: u64,
    source: &Source,
    user: User,
) -> Result<Result<(), Gone>, StoreError> {
    let blob = digests.key();
    let record = match plan.get::<BlobRecord>(tables::BLOB, &blob.0)? {
        None => {
            let Some(place) = place(plan, source) else { return Ok(Err(Gone)) };
            index_digests(plan, &blob, &digests.sha1, &digests.sha256);
            BlobRecord {
                size,
                md5: digests.md5,
                sha1: digests.sha1,
                sha256: digests.sha256,
                sha512: digests.sha512,
                place,
                state: BlobState::Live,
                health: Health::Good,
                created: plan.now().millis(),
                verified: plan.now().millis(),
            }
        }
        Some(BlobRecord { state: BlobState::Deleting, .. }) => return Ok(Err(Gone)),
        Some(mut known) => {
            known.state = BlobState::Live;
            if known.health == Health::Damaged {
                heal(plan, &mut known, source);
            }
            known
        }
    };
    plan.put(tables::BLOB, blob.0.to_vec(), &record)?;
    plan.put_bytes(tables::BLOB_USE, tables::blob_use(&blob, user.version, user.file), Vec::new());
    Ok(Ok(()))
}

fn place(plan: &mut Plan, source: &Source) -> Option<Place> {
    match source {
        Source::Inline(bytes) => {
            plan.counters().inline += 1;
            let inline = plan.counters().inline;
            plan.put_bytes(tables::BLOB_DATA, tables::number(inline), bytes.to_vec());
            Some(Place::Inline(inline))
        }
        Source::Published => Some(Place::File),
        Source::Present => None,
    }
}

/// Puts good bytes in the place of damaged ones.
fn heal(plan: &mut Plan, known: &mut BlobRecord, source: &Source) {
    let Some(place) = place(plan, source) else { return };
    if let Place::Inline(old) = known.place {
        plan.delete(tables::BLOB_DATA, tables::number(old));
    }
    known.place = place;
    known.health = Health::Good;
    known.verified = plan.now().millis();
}

pub(crate) fn index_digests(plan: &mut Plan, blob: &BlobKey, sha1: &[u8], sha256: &[u8]) {
    for (kind, digest) in [(HashKind::Sha1, sha1), (HashKind::Sha256, sha256)] {
        plan.put_bytes(tables::BY_HASH, tables::by_hash(kind, digest, blob), Vec::new());
    }
}

/// Takes back a use of a content. With the last one a row's bytes go at once, a file is condemned.
pub(crate) fn release_blob(plan: &mut Plan, blob: &BlobKey, user: User) -> Result<(), StoreError> {
    plan.delete(tables::BLOB_USE, tables::blob_use(blob, user.version, user.file));
    if has_use(plan, blob)? {
        return Ok(());
    }
    retire(plan, blob)
}

/// What becomes of a content without a use.
pub(crate) fn retire(plan: &mut Plan, blob: &BlobKey) -> Result<(), StoreError> {
    let Some(mut record) = plan.get::<BlobRecord>(tables::BLOB, &blob.0)? else {
        return Ok(());
    };
    match record.place {
        Place::Inline(inline) => {
            plan.delete(tables::BLOB_DATA, tables::number(inline));
            remove_blob(plan, blob, &record);
        }
        Place::File => {
            record.state = BlobState::Condemned(plan.now().millis());
            plan.put(tables::BLOB, blob.0.to_vec(), &record)?;
            plan.job(&JobRecord::Collect { blob: blob.0 })?;
        }
    }
    Ok(())
}

/// Removes the row of a content and what leads to it.
pub(crate) fn remove_blob(plan: &mut Plan, blob: &BlobKey, record: &BlobRecord) {
    plan.delete(tables::BLOB, blob.0.to_vec());
    for (kind, digest) in
        [(HashKind::Sha1, record.sha1.as_slice()), (HashKind::Sha256, record.sha256.as_slice())]
    {
        plan.delete(tables::BY_HASH, tables::by_hash(kind, digest, blob));
    }
}

/// True if any file has this content.
pub(crate) fn has_use(read: &dyn MetaRead, blob: &BlobKey) -> Result<bool, StoreError> {
    let range = tables::prefixed(&blob.0);
    Ok(!read.scan(tables::BLOB_USE, range, Direction::Forward, 1)?.is_empty())
}

/// The row of a content that a file's row names.
pub(crate) fn of_file(
    read: &dyn MetaRead,
    digests: &DigestsValue,
) -> Result<BlobRecord, StoreError> {
    rows::get(read, tables::BLOB, &digests.blake3)?
        .ok_or_else(|| StoreError::damaged(format!("content {}", codec::shown(&digests.blake3))))
}

/// Makes the row of a content that files use anew; its bytes lie in `inline` or in a file. Without
/// good bytes it is marked, so that sending them again heals it.
pub(crate) fn rebuild(
    plan: &mut Plan,
    digests: &DigestsValue,
    size: u64,
    inline: Option<u64>,
    healthy: bool,
) -> Result<(), StoreError> {
    let blob = digests.key();
    let readable = matches!(rows::get::<BlobRecord>(plan, tables::BLOB, &blob.0), Ok(Some(_)));
    if readable {
        return Ok(());
    }
    let record = BlobRecord {
        size,
        md5: digests.md5,
        sha1: digests.sha1,
        sha256: digests.sha256,
        sha512: digests.sha512,
        place: inline.map_or(Place::File, Place::Inline),
        state: BlobState::Live,
        health: if healthy { Health::Good } else { Health::Damaged },
        created: plan.now().millis(),
        verified: plan.now().millis(),
    };
    plan.put(tables::BLOB, blob.0.to_vec(), &record)?;
    index_digests(plan, &blob, &digests.sha1, &digests.sha256);
    Ok(())
}
