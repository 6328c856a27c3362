//! Rows of contents, their uses and what leads to them.

use super::ahead;
use super::run::{Look, Numbers, Run, Version, look, row};
use crate::blob_rows::has_use;
use crate::records::{BlobRecord, BlobState, JobRecord, Place, UseRecord};
use crate::{
    BlobKey, Direction, FindingCode, MetaRead, Repair, Row, StoreError, blob_rows, codec, groups,
    inline_rows, rows, tables,
};

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
            let page = read.scan(tables::BLOB_DATA, range, Direction::Forward, rows::LARGE_PAGE)?;
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
                Some((key, _)) if page.len() == rows::LARGE_PAGE => {
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
        // A content whose uses, which follow it, are being counted.
        let mut current: Option<(Row, u64)> = None;
        self.each_bytes_ahead(read, tables::BLOB, &ask_for_digests, |run, key, value| {
            if tables::is_blob(key) {
                let begun = current.replace(((key.to_vec(), value.to_vec()), 0));
                return run.blob_row(read, begun);
            }
            // What is neither a content nor a use is told with the uses.
            if let Some(((blob, _), uses)) = &mut current {
                *uses += u64::from(key.starts_with(blob));
            }
            Ok(())
        })?;
        self.blob_row(read, current)
    }

    /// A content with so many uses.
    fn blob_row(
        &mut self,
        read: &dyn MetaRead,
        found: Option<(Row, u64)>,
    ) -> Result<(), StoreError> {
        let Some(((key, value), uses)) = found else { return Ok(()) };
        let Ok(blob) = <[u8; 32]>::try_from(key.as_slice()) else { return Ok(()) };
        let record: BlobRecord = match codec::decode(tables::BLOB, &key, &value) {
            Ok(record) => record,
            Err(error) => return self.unused_blob_row(&blob, &key, &value, &error),
        };
        self.blob_state(read, blob, &record, uses)?;
        let index = tables::by_hash(&record.sha256, &BlobKey(blob));
        if read.get(tables::BY_HASH, &index)?.is_some() {
            return Ok(());
        }
        let text = format!("content {} is not found by its SHA-256", codec::shown(&blob));
        self.found_mendable(FindingCode::HashIndex, text, move |plan| {
            if let Some(row) = plan.get::<BlobRecord>(tables::BLOB, &blob)? {
                plan.put_entry(tables::BY_HASH, tables::by_hash(&row.sha256, &BlobKey(blob)))?;
            }
            Ok(true)
        })
    }

    /// A row of a content that cannot be read and that no file uses, or it would have been told.
    fn unused_blob_row(
        &mut self,
        blob: &[u8; 32],
        key: &[u8],
        value: &[u8],
        error: &StoreError,
    ) -> Result<(), StoreError> {
        if self.is_reported(tables::BLOB, key)
            || self.unsure
            || matches!(error, StoreError::Newer { .. })
        {
            self.unreadable(tables::BLOB, key, error);
            return Ok(());
        }
        self.doomed.insert(*blob);
        self.keep_aside(tables::BLOB, key, value)?;
        let blob = *blob;
        self.found_mendable(FindingCode::Row, row(tables::BLOB, key), move |plan| {
            let used = blob_rows::has_use(plan, &BlobKey(blob))?;
            if !used {
                plan.delete(tables::BLOB, blob.to_vec());
            }
            Ok(!used)
        })
    }

    /// Every row with hashes of groups is one of a content that lies in a file. What it holds is
    /// looked at with the contents.
    pub(super) fn group_rows(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        let contents = |read: &dyn MetaRead, page: &[Row]| {
            let contents = page.iter().filter_map(|(key, _)| key.get(..32));
            ahead::ask(read, tables::BLOB, contents.map(<[u8]>::to_vec))
        };
        self.each_bytes_ahead(read, tables::GROUPS, &contents, |run, key, _| {
            let doomed = key.first_chunk::<32>().is_some_and(|blob| run.doomed.contains(blob));
            if !doomed && owner_of_groups(read, key)? {
                return Ok(());
            }
            let owned = key.to_vec();
            let text = format!("{} belongs to no content", row(tables::GROUPS, key));
            run.found_mendable(FindingCode::BlobGroups, text, move |plan| {
                let unowned = !owner_of_groups(plan, &owned)?;
                if unowned {
                    plan.delete(tables::GROUPS, owned.clone());
                }
                Ok(unowned)
            })
        })
    }

    fn blob_state(
        &mut self,
        read: &dyn MetaRead,
        blob: [u8; 32],
        record: &BlobRecord,
        counted: u64,
    ) -> Result<(), StoreError> {
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
        let users = |read: &dyn MetaRead, page: &[Row]| {
            let uses = page.iter().filter(|(key, _)| !tables::is_blob(key));
            ahead::versions_by_number(read, uses.filter_map(|(key, _)| tables::u64_at(key, 32)))
        };
        self.each_bytes_ahead(read, tables::BLOB, &users, |run, key, value| {
            if tables::is_blob(key) {
                return Ok(());
            }
            let found = codec::decode::<UseRecord>(tables::BLOB, key, value);
            if let Err(error @ StoreError::Newer { .. }) = &found {
                run.unreadable(tables::BLOB, key, error);
                return Ok(());
            }
            let told = match user(run, read, key)? {
                User::Unsure => return Ok(()),
                User::None => None,
                User::File(qualifiers) => Some(UseRecord { qualifiers }),
            };
            let (code, text) = match (&found, &told) {
                (Ok(found), Some(told)) if found == told => return Ok(()),
                (Ok(_), Some(_)) => {
                    let text = format!("{} tells other qualifiers", row(tables::BLOB, key));
                    (FindingCode::BlobUse, text)
                }
                (Ok(_), None) => {
                    let text = format!("{} is the use of no file", row(tables::BLOB, key));
                    (FindingCode::BlobUse, text)
                }
                (Err(_), _) => (FindingCode::Row, row(tables::BLOB, key)),
            };
            if run.unsure {
                run.found(code, text);
                return Ok(());
            }
            if told.is_none() {
                run.keep_inline(read, key)?;
            }
            let key = key.to_vec();
            // Numbers of versions and files are never given again.
            run.found_mendable(code, text, move |plan| {
                if let Some(told) = &told {
                    plan.put(tables::BLOB, key.clone(), told)?;
                    return Ok(true);
                }
                plan.delete(tables::BLOB, key.clone());
                let Some(blob) = key.first_chunk::<32>().copied() else { return Ok(true) };
                let found = rows::readable(plan.get::<BlobRecord>(tables::BLOB, &blob))?;
                if let Some(Some(mut row)) = found {
                    row.uses = blob_rows::uses(plan, &BlobKey(blob))?;
                    if row.state == BlobState::Live {
                        blob_rows::retire_or_keep(plan, &BlobKey(blob), row)?;
                    } else {
                        plan.put(tables::BLOB, blob.to_vec(), &row)?;
                    }
                }
                Ok(true)
            })
        })
    }

    /// Keeps a content aside that lies in rows: with its last use they go at once.
    fn keep_inline(&self, read: &dyn MetaRead, usage: &[u8]) -> Result<(), StoreError> {
        let Some(blob) = usage.first_chunk::<32>().filter(|_| self.repair == Repair::Derived)
        else {
            return Ok(());
        };
        let Look::Good(BlobRecord { place: Place::Inline(inline), size, .. }) =
            look(read, tables::BLOB, blob)?
        else {
            return Ok(());
        };
        let bytes = inline_rows::read(read, inline, size)?;
        self.quarantine(&data_encoding::HEXLOWER.encode(blob), &bytes)
    }

    /// Every digest leads to a content that has it.
    pub(super) fn hash_index(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        let contents = |read: &dyn MetaRead, page: &[Row]| {
            let contents = page.iter().filter_map(|(key, _)| key.last_chunk::<32>());
            ahead::ask(read, tables::BLOB, contents.map(|blob| blob.to_vec()))
        };
        self.each_key(read, tables::BY_HASH, &contents, |run, key| {
            let blob = key.last_chunk::<32>().copied().unwrap_or_default();
            let doomed = run.doomed.contains(&blob);
            if !doomed && (run.rowless.contains(&blob) || digest_leads(read, key, &blob)?) {
                return Ok(());
            }
            let text = format!("{} leads nowhere", row(tables::BY_HASH, key));
            let key = key.to_vec();
            run.found_mendable(FindingCode::HashIndex, text, move |plan| {
                if doomed || !digest_leads(plan, &key, &blob)? {
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

/// Asks for what leads to contents by their SHA-256.
fn ask_for_digests(read: &dyn MetaRead, page: &[Row]) -> Result<(), StoreError> {
    let records = ahead::readable::<BlobRecord>(tables::BLOB, page);
    let entries = records.filter_map(|(key, record)| {
        Some(tables::by_hash(&record.sha256, &BlobKey(key.try_into().ok()?)))
    });
    ahead::ask(read, tables::BY_HASH, entries)
}

/// What the key of a use leads to.
enum User {
    None,
    /// It cannot be told.
    Unsure,
    /// A file with these qualifiers.
    File(String),
}

fn user(run: &Run<'_>, read: &dyn MetaRead, key: &[u8]) -> Result<User, StoreError> {
    let (Some((blob, _)), Some(version), Some(number), 44) = (
        key.split_first_chunk::<32>(),
        tables::u64_at(key, 32),
        tables::u32_at(key, 40),
        key.len(),
    ) else {
        return Ok(User::None);
    };
    let record = match run.version(read, version)? {
        Version::None => return Ok(User::None),
        Version::Unsure => return Ok(User::Unsure),
        Version::Found(record) => record,
    };
    let mut files = record.files.into_iter();
    let file = files.find(|file| file.number == number && file.digests.blake3 == *blob);
    Ok(file.map_or(User::None, |file| User::File(file.qualifiers)))
}

/// True if a content has a row for this key, or may have one.
fn owner_of_groups(read: &dyn MetaRead, key: &[u8]) -> Result<bool, StoreError> {
    let blob = key.get(..32).unwrap_or_default();
    let Some(part) = tables::u32_at(key, 32).filter(|_| key.len() == 36) else {
        return Ok(false);
    };
    Ok(match look::<BlobRecord>(read, tables::BLOB, blob)? {
        Look::Missing => false,
        Look::Bad | Look::Newer => true,
        Look::Good(record) => record.place == Place::File && part < groups::rows_of(record.size),
    })
}

fn digest_leads(read: &dyn MetaRead, key: &[u8], blob: &[u8; 32]) -> Result<bool, StoreError> {
    Ok(match look::<BlobRecord>(read, tables::BLOB, blob)? {
        Look::Missing => false,
        Look::Bad | Look::Newer => true,
        Look::Good(record) => tables::by_hash(&record.sha256, &BlobKey(*blob)) == key,
    })
}
