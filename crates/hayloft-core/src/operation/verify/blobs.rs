//! Rows of contents, their uses and what leads to them.

use super::run::{Look, Numbers, Run, Version, look, row};
use crate::blob_rows::has_use;
use crate::records::{BlobRecord, BlobState, JobRecord, Place};
use crate::{
    BlobKey, Direction, FindingCode, MetaRead, Repair, StoreError, blob_rows, codec, inline_rows,
    rows, tables,
};

/// Parts of inline contents read at a time.
const INLINE_PAGE: usize = 128;
/// Most bytes of an inline content, by the options of a store.
const INLINE_MOST: u64 = 16 << 20;

impl Run<'_> {
    /// Finds inline contents that no row names, before rows are looked for that name none.
    pub(super) fn find_inline_orphans(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        let mut named = Numbers::default();
        rows::each(read, tables::BLOB, &[], |key, value| {
            if !tables::is_blob(key) {
                return Ok(());
            }
            let record = codec::decode::<BlobRecord>(tables::BLOB, key, value);
            if let Ok(BlobRecord { place: Place::Inline(inline), .. }) = record {
                named.insert(inline);
            }
            Ok(())
        })?;
        // The content under way.
        let mut current: Option<(u64, blake3::Hasher)> = None;
        let mut range = tables::prefixed(&[]);
        loop {
            let page = read.scan(tables::BLOB_DATA, range, Direction::Forward, INLINE_PAGE)?;
            for (key, bytes) in &page {
                self.summary.rows += 1;
                let number = tables::u64_at(key, 0).unwrap_or_default();
                if current.as_ref().is_some_and(|(last, _)| *last != number) {
                    self.note_inline_orphan(current.take());
                }
                if !named.contains(number) {
                    let (_, hasher) =
                        current.get_or_insert_with(|| (number, blake3::Hasher::new()));
                    hasher.update(bytes);
                }
            }
            match page.last() {
                Some((key, _)) if page.len() == INLINE_PAGE => {
                    range = tables::prefixed_after(&[], key);
                }
                _ => break,
            }
        }
        self.note_inline_orphan(current);
        Ok(())
    }

    fn note_inline_orphan(&mut self, found: Option<(u64, blake3::Hasher)>) {
        if let Some((number, hasher)) = found {
            self.inline_orphans.insert(hasher.finalize().into(), number);
        }
    }

    /// Every content's state fits its uses, and its digests lead to it.
    pub(super) fn blob_rows(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        self.each_bytes(read, tables::BLOB, |run, key, value| {
            // What is neither a content nor a use is told with the uses.
            let Ok(blob) = <[u8; 32]>::try_from(key) else { return Ok(()) };
            let record: BlobRecord = match codec::decode(tables::BLOB, key, value) {
                Ok(record) => record,
                Err(error) => {
                    run.unreadable(tables::BLOB, key, &error);
                    return Ok(());
                }
            };
            run.blob_state(read, blob, &record)?;
            let index = tables::by_hash(&record.sha256, &BlobKey(blob));
            if read.get(tables::BY_HASH, &index)?.is_some() {
                return Ok(());
            }
            let text = format!("content {} is not found by its SHA-256", codec::shown(&blob));
            run.found_mendable(FindingCode::HashIndex, text, move |plan| {
                if let Some(row) = plan.get::<BlobRecord>(tables::BLOB, &blob)? {
                    plan.put_entry(tables::BY_HASH, tables::by_hash(&row.sha256, &BlobKey(blob)))?;
                }
                Ok(true)
            })
        })
    }

    fn blob_state(
        &mut self,
        read: &dyn MetaRead,
        blob: [u8; 32],
        record: &BlobRecord,
    ) -> Result<(), StoreError> {
        let counted = blob_rows::uses(read, &BlobKey(blob))?;
        let used = counted > 0;
        let shown = codec::shown(&blob);
        // A use that is missing is told, and counted again, with its file.
        if counted != record.uses && used && !self.unused.contains(&blob) {
            let text = format!("content {shown} counts {} uses and has {counted}", record.uses);
            self.found_mendable(FindingCode::BlobUse, text, move |plan| {
                if let Some(mut row) = plan.get::<BlobRecord>(tables::BLOB, &blob)? {
                    row.uses = blob_rows::uses(plan, &BlobKey(blob))?;
                    plan.put(tables::BLOB, blob.to_vec(), &row)?;
                }
                Ok(true)
            })?;
        }
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
                {
                    let bytes = inline_rows::read(read, inline, record.size)?;
                    self.quarantine(&data_encoding::HEXLOWER.encode(&blob), &bytes)?;
                }
                self.found_mendable(FindingCode::BlobState, text, move |plan| {
                    if let Some(mut row) = plan.get::<BlobRecord>(tables::BLOB, &blob)? {
                        row.uses = blob_rows::uses(plan, &BlobKey(blob))?;
                        blob_rows::retire_or_keep(plan, &BlobKey(blob), row)?;
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
        self.each_key_but(read, tables::BLOB, tables::is_blob, |run, key| {
            if is_use(run, read, key)? {
                return Ok(());
            }
            let text = format!("{} is the use of no file", row(tables::BLOB, key));
            if run.unsure {
                run.found(FindingCode::BlobUse, text);
                return Ok(());
            }
            let key = key.to_vec();
            // Numbers of versions and files are never given again.
            run.found_mendable(FindingCode::BlobUse, text, move |plan| {
                plan.delete(tables::BLOB, key.clone());
                let Some(blob) = key.first_chunk::<32>().copied() else { return Ok(true) };
                let found = rows::readable(plan.get::<BlobRecord>(tables::BLOB, &blob))?;
                if let Some(Some(mut row)) = found {
                    row.uses = blob_rows::uses(plan, &BlobKey(blob))?;
                    if row.state == BlobState::Live && row.place == Place::File {
                        blob_rows::retire_or_keep(plan, &BlobKey(blob), row)?;
                    } else {
                        plan.put(tables::BLOB, blob.to_vec(), &row)?;
                    }
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
            let read = self.store.inner.snapshot()?;
            let bytes = inline_rows::read(read.as_ref(), inline, INLINE_MOST)?;
            if bytes.is_empty() {
                continue;
            }
            if self.repair == Repair::Derived {
                self.quarantine(&data_encoding::HEXLOWER.encode(&blob), &bytes)?;
            }
            let text = format!("inline content {inline} belongs to nothing");
            self.found_mendable(FindingCode::BlobOrphan, text, move |plan| {
                inline_rows::delete(plan, inline)?;
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
        Look::Good(record) => tables::by_hash(&record.sha256, &BlobKey(*blob)) == key,
    })
}
