//! Rows of contents: which there are, where they lie, and who uses them.

use std::sync::Arc;

use crate::codec;
use crate::groups::{self, Groups};
use crate::plan::Plan;
use crate::records::{BlobRecord, BlobState, DigestsValue, Health, JobRecord, Place, UseRecord};
use crate::{BlobKey, Direction, MetaRead, StoreError, Want, inline_rows, rows, tables};

/// How the bytes of a content come with an operation.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// With it, for a row.
    Inline(Arc<Vec<u8>>),
    /// They are durable in a file, which is pinned; with the hashes of their groups.
    Published(Groups),
    /// Its row was seen; nothing was published.
    Present,
}

impl Source {
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Inline(bytes) => bytes.len(),
            Self::Published(groups) => groups::weight(groups),
            Self::Present => 0,
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
    qualifiers: &str,
) -> Result<Result<(), Gone>, StoreError> {
    let blob = digests.key();
    // A row that is damaged is made anew with what came along.
    let mut record = match rows::left_out(plan.get::<BlobRecord>(tables::BLOB, &blob.0))?.flatten()
    {
        None => {
            let Some(place) = place(plan, &blob, source)? else { return Ok(Err(Gone)) };
            plan.put_entry(tables::BY_HASH, tables::by_hash(&digests.sha256, &blob))?;
            BlobRecord {
                size,
                md5: digests.md5,
                sha1: digests.sha1,
                sha256: digests.sha256,
                sha512: digests.sha512,
                place,
                state: BlobState::Live,
                health: Health::Good,
                // Uses whose content's row was lost count too.
                uses: uses(plan, &blob)?,
                created: plan.now().millis(),
                verified: plan.now().millis(),
            }
        }
        Some(BlobRecord { state: BlobState::Deleting, .. }) => return Ok(Err(Gone)),
        Some(mut known) => {
            known.state = BlobState::Live;
            if known.health == Health::Damaged {
                heal(plan, &blob, &mut known, source)?;
            }
            known
        }
    };
    let usage = tables::blob_use(&blob, user.version, user.file);
    let known = if plan.is_of_batch(user.version) {
        plan.has_written(tables::BLOB, &usage)
    } else {
        MetaRead::get(plan, tables::BLOB, &usage)?.is_some()
    };
    if !known {
        record.uses += 1;
    }
    plan.put(tables::BLOB, usage, &UseRecord { qualifiers: qualifiers.to_owned() })?;
    plan.put(tables::BLOB, blob.0.to_vec(), &record)?;
    Ok(Ok(()))
}

fn place(plan: &mut Plan, blob: &BlobKey, source: &Source) -> Result<Option<Place>, StoreError> {
    Ok(match source {
        Source::Inline(bytes) => {
            plan.counters().inline += 1;
            let inline = plan.counters().inline;
            inline_rows::put(plan, inline, bytes)?;
            Some(Place::Inline(inline))
        }
        Source::Published(groups) => {
            groups::put(plan, blob, groups)?;
            Some(Place::File)
        }
        Source::Present => None,
    })
}

/// Puts good bytes in the place of damaged ones.
fn heal(
    plan: &mut Plan,
    blob: &BlobKey,
    known: &mut BlobRecord,
    source: &Source,
) -> Result<(), StoreError> {
    let Some(place) = place(plan, blob, source)? else { return Ok(()) };
    if let Place::Inline(old) = known.place {
        inline_rows::delete(plan, old)?;
    }
    known.place = place;
    known.health = Health::Good;
    known.verified = plan.now().millis();
    Ok(())
}

/// Takes back a use of a content. With the last one a row's bytes go at once, a file is condemned.
/// A content whose row cannot be read stays for verification to judge.
pub(crate) fn release_blob(plan: &mut Plan, blob: &BlobKey, user: User) -> Result<(), StoreError> {
    let usage = tables::blob_use(blob, user.version, user.file);
    let counted = MetaRead::get(plan, tables::BLOB, &usage)?.is_some();
    plan.delete(tables::BLOB, usage);
    let mut record = match plan.get::<BlobRecord>(tables::BLOB, &blob.0) {
        Ok(Some(record)) => record,
        Ok(None) | Err(StoreError::Damaged { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    record.uses = record.uses.saturating_sub(u64::from(counted));
    retire_or_keep(plan, blob, record)
}

/// What becomes of a content that has perhaps lost its last use. Its row is written.
pub(crate) fn retire_or_keep(
    plan: &mut Plan,
    blob: &BlobKey,
    mut record: BlobRecord,
) -> Result<(), StoreError> {
    let trusted = plan.switches.trust_use_counts() && record.uses == 0;
    if !trusted && is_used(plan, blob, &record)? {
        return plan.put(tables::BLOB, blob.0.to_vec(), &record);
    }
    match record.place {
        Place::Inline(inline) => {
            inline_rows::delete(plan, inline)?;
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
    if record.place == Place::File {
        groups::delete(plan, blob, record.size);
    }
    plan.delete(tables::BY_HASH, tables::by_hash(&record.sha256, blob));
}

/// True unless both the count and the rows say that nothing uses a content: a key that rotted must
/// not cost the bytes of a package.
pub(crate) fn is_used(
    read: &dyn MetaRead,
    blob: &BlobKey,
    record: &BlobRecord,
) -> Result<bool, StoreError> {
    Ok(record.uses > 0 || has_use(read, blob)?)
}

/// True if a row says that a file has this content.
pub(crate) fn has_use(read: &dyn MetaRead, blob: &BlobKey) -> Result<bool, StoreError> {
    Ok(!read.scan(tables::BLOB, tables::blob_uses(blob), Direction::Forward, 1)?.is_empty())
}

/// What [`has_use`] is going to read in a plan that has just removed a use.
pub(crate) fn other_use_wanted(blob: &BlobKey) -> Want {
    Want::Range(tables::BLOB, tables::blob_uses(blob), Direction::Forward, 2)
}

/// What [`uses`] is going to read.
pub(crate) fn uses_wanted(blob: &BlobKey) -> Want {
    Want::Range(tables::BLOB, tables::prefixed(&blob.0), Direction::Forward, rows::PAGE)
}

/// Rows that say that a file has this content.
pub(crate) fn uses(read: &dyn MetaRead, blob: &BlobKey) -> Result<u64, StoreError> {
    let mut uses = 0;
    rows::each(read, tables::BLOB, &blob.0, |key, _| {
        uses += u64::from(!tables::is_blob(key));
        Ok(())
    })?;
    Ok(uses)
}

/// Calls `visit` with version and file number of each use of a content.
pub(crate) fn each_use(
    read: &dyn MetaRead,
    blob: &BlobKey,
    mut visit: impl FnMut(u64, u32) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    rows::each(read, tables::BLOB, &blob.0, |key, _| {
        match (tables::u64_at(key, 32), tables::u32_at(key, 40)) {
            (Some(version), Some(file)) => visit(version, file),
            _ => Ok(()),
        }
    })
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
        uses: uses(plan, &blob)?,
        created: plan.now().millis(),
        verified: plan.now().millis(),
    };
    plan.put(tables::BLOB, blob.0.to_vec(), &record)?;
    plan.put_entry(tables::BY_HASH, tables::by_hash(&digests.sha256, &blob))
}
