//! Rows of contents, their uses and what leads to them.

use super::run::{Look, Numbers, Run, Version, look, row};
use crate::blob_rows::{has_use, index_digests};
use crate::records::{BlobRecord, BlobState, JobRecord, Place};
use crate::tables::{self, HashKind};
use crate::{
    BlobKey, Direction, FindingCode, MetaRead, Repair, StoreError, blob_rows, codec, rows,
};

/// Inline contents read at a time: each may fill a row to the limit.
const INLINE_PAGE: usize = 64;

impl Run<'_> {
    /// Finds inline contents that no row names, before rows are looked for that name none.
    pub(super) fn find_inline_orphans(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        let mut named = Numbers::default();
        rows::each(read, tables::BLOB, &[], |key, value| {
            let record = codec::decode::<BlobRecord>(tables::BLOB, key, value);
            if let Ok(BlobRecord { place: Place::Inline(inline), .. }) = record {
                named.insert(inline);
            }
            Ok(())
        })?;
        let mut range = tables::prefixed(&[]);
        loop {
            let page = read.scan(tables::BLOB_DATA, range, Direction::Forward, INLINE_PAGE)?;
            for (key, bytes) in &page {
                self.summary.rows += 1;
                let number = tables::u64_at(key, 0).unwrap_or_default();
                if !named.contains(number) {
                    self.inline_orphans.insert(blake3::hash(bytes).into(), number);
                }
            }
            match page.last() {
                Some((key, _)) if page.len() == INLINE_PAGE => {
                    range = tables::prefixed_after(&[], key);
                }
                _ => return Ok(()),
            }
        }
    }

    /// Every content's state fits its uses, and its digests lead to it.
    pub(super) fn blob_rows(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        self.each(read, tables::BLOB, |run, key, record: BlobRecord| {
            let Ok(blob) = <[u8; 32]>::try_from(key) else {
                run.found(FindingCode::Row, row(tables::BLOB, key));
                return Ok(());
            };
            run.blob_state(read, blob, &record)?;
            for (kind, digest) in [
                (HashKind::Sha1, record.sha1.as_slice()),
                (HashKind::Sha256, record.sha256.as_slice()),
            ] {
                let index = tables::by_hash(kind, digest, &BlobKey(blob));
                if read.get(tables::BY_HASH, &index)?.is_some() {
                    continue;
                }
                let text = format!("content {} is not found by {kind:?}", codec::shown(&blob));
                run.found_mendable(FindingCode::HashIndex, text, move |plan| {
                    if let Some(row) = plan.get::<BlobRecord>(tables::BLOB, &blob)? {
                        index_digests(plan, &BlobKey(blob), &row.sha1, &row.sha256);
                    }
                    Ok(true)
                })?;
            }
            Ok(())
        })
    }

    fn blob_state(
        &mut self,
        read: &dyn MetaRead,
        blob: [u8; 32],
        record: &BlobRecord,
    ) -> Result<(), StoreError> {
        let used = has_use(read, &BlobKey(blob))?;
        let shown = codec::shown(&blob);
        match record.state {
            BlobState::Live if used || self.unused.contains(&blob) => Ok(()),
            BlobState::Live => {
                let text = format!("content {shown} counts as used, and nothing uses it");
                if self.unsure {
                    self.found(FindingCode::BlobState, text);
                    return Ok(());
                }
                if let Place::Inline(inline) = record.place
                    && self.repair == Repair::Derived
                    && let Some(bytes) = read.get(tables::BLOB_DATA, &tables::number(inline))?
                {
                    self.quarantine(&data_encoding::HEXLOWER.encode(&blob), &bytes)?;
                }
                self.found_mendable(FindingCode::BlobState, text, move |plan| {
                    if !has_use(plan, &BlobKey(blob))? {
                        blob_rows::retire(plan, &BlobKey(blob))?;
                    }
                    Ok(true)
                })
            }
            _ if used || self.unused.contains(&blob) => {
                if self.unused.contains(&blob) {
                    return Ok(());
                }
                let text = format!("content {shown} is used, and counts as garbage");
                self.found_mendable(FindingCode::BlobState, text, move |plan| {
                    let Some(mut row) = plan.get::<BlobRecord>(tables::BLOB, &blob)? else {
                        return Ok(false);
                    };
                    if row.state == BlobState::Deleting || !has_use(plan, &BlobKey(blob))? {
                        return Ok(false);
                    }
                    row.state = BlobState::Live;
                    plan.put(tables::BLOB, blob.to_vec(), &row)?;
                    Ok(true)
                })
            }
            _ if self.collecting.contains(&blob) => Ok(()),
            _ => {
                let text = format!("content {shown} is garbage, and nothing collects it");
                self.found_mendable(FindingCode::BlobState, text, move |plan| {
                    plan.job(&JobRecord::Collect { blob })?;
                    Ok(true)
                })
            }
        }
    }

    /// Every recorded use is that of a file.
    pub(super) fn blob_uses(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        self.each_key(read, tables::BLOB_USE, |run, key| {
            if is_use(run, read, key)? {
                return Ok(());
            }
            let text = format!("{} is the use of no file", row(tables::BLOB_USE, key));
            if run.unsure {
                run.found(FindingCode::BlobUse, text);
                return Ok(());
            }
            let key = key.to_vec();
            // Numbers of versions and files are never given again.
            run.found_mendable(FindingCode::BlobUse, text, move |plan| {
                plan.delete(tables::BLOB_USE, key.clone());
                let blob = key.first_chunk::<32>().copied().map(BlobKey);
                if let Some(blob) = blob
                    && !has_use(plan, &blob)?
                    && let Some(BlobRecord { state: BlobState::Live, place: Place::File, .. }) =
                        plan.get(tables::BLOB, &blob.0)?
                {
                    blob_rows::retire(plan, &blob)?;
                }
                Ok(true)
            })
        })
    }

    /// Every digest leads to a content that has it.
    pub(super) fn hash_index(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        self.each_key(read, tables::BY_HASH, |run, key| {
            let blob = key.last_chunk::<32>().copied().unwrap_or_default();
            if run.rowless.contains(&blob) || digest_leads(read, key, &blob)? {
                return Ok(());
            }
            let text = format!("{} leads nowhere", row(tables::BY_HASH, key));
            let key = key.to_vec();
            run.found_mendable(FindingCode::HashIndex, text, move |plan| {
                if !digest_leads(plan, &key, &blob)? {
                    plan.delete(tables::BY_HASH, key.clone());
                }
                Ok(true)
            })
        })
    }

    /// Reports inline contents that no row names, once some may have found theirs.
    pub(super) fn inline_leftovers(&mut self) -> Result<(), StoreError> {
        let leftovers = std::mem::take(&mut self.inline_orphans);
        // A row of a content that could not be read may be the one that names them.
        if !self.rowless.is_empty() {
            return Ok(());
        }
        for (blob, inline) in leftovers {
            let key = tables::number(inline);
            let Some(bytes) = self.store.inner.snapshot()?.get(tables::BLOB_DATA, &key)? else {
                continue;
            };
            if self.repair == Repair::Derived {
                self.quarantine(&data_encoding::HEXLOWER.encode(&blob), &bytes)?;
            }
            let text = format!("inline content {inline} belongs to nothing");
            self.found_mendable(FindingCode::BlobOrphan, text, move |plan| {
                plan.delete(tables::BLOB_DATA, key.clone());
                Ok(true)
            })?;
        }
        Ok(())
    }
}

fn is_use(run: &Run<'_>, read: &dyn MetaRead, key: &[u8]) -> Result<bool, StoreError> {
    let (Some((blob, _)), Some(version), Some(number), 44) = (
        key.split_first_chunk::<32>(),
        tables::u64_at(key, 32),
        tables::u32_at(key, 40),
        key.len(),
    ) else {
        return Ok(false);
    };
    Ok(match run.version(read, version)? {
        Version::None => false,
        Version::Unsure => true,
        Version::Found(record) => {
            record.files.iter().any(|file| file.number == number && file.digests.blake3 == *blob)
        }
    })
}

fn digest_leads(read: &dyn MetaRead, key: &[u8], blob: &[u8; 32]) -> Result<bool, StoreError> {
    Ok(match look::<BlobRecord>(read, tables::BLOB, blob)? {
        Look::Missing => false,
        Look::Bad | Look::Newer => true,
        Look::Good(record) => [
            tables::by_hash(HashKind::Sha1, &record.sha1, &BlobKey(*blob)),
            tables::by_hash(HashKind::Sha256, &record.sha256, &BlobKey(*blob)),
        ]
        .iter()
        .any(|index| index == key),
    })
}
