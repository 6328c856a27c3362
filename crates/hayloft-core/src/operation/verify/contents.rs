//! The bytes of contents, held against what rows say of them.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use std::sync::Arc;

use hayloft_feed::Upload;

use super::ahead;
use super::run::{Run, Version};
use crate::codec::shown;
use crate::groups::{self, Groups};
use crate::hashing::{CHUNK, FiveHashes};
use crate::publish::hash_of;
use crate::records::{BlobRecord, BlobState, Health, Place};
use crate::resolve::{FeedHandle, VersionHandle};
use crate::{
    BlobKey, BlobRead, Direction, FindingCode, MetaRead, Repair, Row, StoreError, VerifyLevel,
    Want, inline_rows, rows, tables,
};

/// Rows of contents and their uses that are looked at together.
const PAGE: usize = 128;

/// What is wrong with the bytes of a content.
type Wrong = Option<(FindingCode, &'static str)>;

impl Run<'_> {
    /// Every content, as its row stands when it is its turn.
    pub(super) fn contents(&mut self) -> Result<(), StoreError> {
        let mut range = tables::prefixed(&[]);
        loop {
            let snapshot = self.store.inner.snapshot()?;
            let page = snapshot.scan(tables::BLOB, range, Direction::Forward, PAGE)?;
            // Contents are read for as long as they take; no view of rows is held meanwhile.
            let held = (self.level == VerifyLevel::Fast).then_some(snapshot);
            if let Some(held) = held.as_deref().filter(|_| self.store.inner.is_shared()) {
                ask_about_contents(held, &page)?;
            }
            // Bad rows have been reported.
            for (key, record) in ahead::readable::<BlobRecord>(tables::BLOB, &page) {
                if let Ok(blob) = <[u8; 32]>::try_from(key) {
                    self.content(BlobKey(blob), &record, held.as_deref())?;
                }
            }
            match page.last() {
                Some((key, _)) if page.len() == PAGE => range = tables::prefixed_after(&[], key),
                _ => return Ok(()),
            }
        }
    }

    fn content(
        &mut self,
        key: BlobKey,
        record: &BlobRecord,
        held: Option<&dyn MetaRead>,
    ) -> Result<(), StoreError> {
        if record.state == BlobState::Deleting {
            return Ok(());
        }
        self.summary.blobs += 1;
        let mut wrong = self.examine(key, record, held)?;
        if wrong.is_some() {
            // It may have been removed or replaced meanwhile: only what is still so counts.
            let now = self.store.inner.snapshot()?;
            let now: Option<BlobRecord> = rows::get(now.as_ref(), tables::BLOB, &key.0)?;
            let Some(now) = now.filter(|now| now.state != BlobState::Deleting) else {
                return Ok(());
            };
            wrong = self.examine(key, &now, None)?;
        }
        let marked = record.health == Health::Damaged;
        match wrong {
            Some((code, what)) => {
                self.found(code, format!("content {} {what}", shown(&key.0)));
                if self.repair == Repair::Derived && !marked {
                    self.store.inner.mark_damaged(key);
                }
                Ok(())
            }
            None if marked => self.marked_content(key),
            None => {
                self.groups(key, record, held)?;
                match self.level {
                    VerifyLevel::Deep => self.inspect_uses(key, record),
                    _ => Ok(()),
                }
            }
        }
    }

    /// The hashes of a content's groups come to its digest.
    fn groups(
        &mut self,
        key: BlobKey,
        record: &BlobRecord,
        held: Option<&dyn MetaRead>,
    ) -> Result<(), StoreError> {
        let size = record.size;
        if record.place != Place::File
            || self.on_rows(held, |read| groups::are_right(read, &key, size))?
        {
            return Ok(());
        }
        let found = match self.repair {
            Repair::No => Groups::default(),
            Repair::Derived => match self.open(key, record, held)? {
                Some(mut file) => hash_of(file.as_mut()).map_err(failed(key))?.1,
                None => return Ok(()),
            },
        };
        let text = format!("the hashes of the groups of content {} are wrong", shown(&key.0));
        self.found_mendable(FindingCode::BlobGroups, text, move |plan| {
            let row = plan.get::<BlobRecord>(tables::BLOB, &key.0)?;
            let same = row.is_some_and(|row| row.place == Place::File && row.size == size)
                && groups::count(size) == found.len() as u64;
            if same {
                groups::put(plan, &key, &found)?;
            }
            Ok(same)
        })
    }

    /// A content that is marked as damaged and looks right.
    fn marked_content(&mut self, key: BlobKey) -> Result<(), StoreError> {
        let text = format!("content {} is marked as damaged", shown(&key.0));
        if self.level == VerifyLevel::Fast {
            self.found(FindingCode::BlobDigest, text);
            return Ok(());
        }
        self.found_mendable(FindingCode::BlobDigest, text, move |plan| {
            if let Some(mut row) = plan.get::<BlobRecord>(tables::BLOB, &key.0)? {
                row.health = Health::Good;
                row.verified = plan.now().millis();
                plan.put(tables::BLOB, key.0.to_vec(), &row)?;
            }
            Ok(true)
        })
    }

    pub(super) fn examine(
        &mut self,
        key: BlobKey,
        record: &BlobRecord,
        held: Option<&dyn MetaRead>,
    ) -> Result<Wrong, StoreError> {
        if self.level == VerifyLevel::Fast && record.place == Place::File {
            return Ok(match self.store.inner.blobs.size(&key) {
                Ok(Some(size)) if size == record.size => None,
                Ok(Some(_)) => Some((FindingCode::BlobSize, "has another length")),
                Ok(None) => Some((FindingCode::BlobMissing, "is missing")),
                Err(error) => return Err(failed(key)(error)),
            });
        }
        let Some(mut content) = self.open(key, record, held)? else {
            return Ok(Some((FindingCode::BlobMissing, "is missing")));
        };
        let size = content.seek(SeekFrom::End(0)).map_err(failed(key))?;
        content.seek(SeekFrom::Start(0)).map_err(failed(key))?;
        if size != record.size {
            return Ok(Some((FindingCode::BlobSize, "has another length")));
        }
        if self.level == VerifyLevel::Fast {
            return Ok(None);
        }
        self.summary.bytes += size;
        let same = if self.level == VerifyLevel::Deep {
            self.all_digests_fit(key, record, content)?
        } else {
            let mut hasher = blake3::Hasher::new();
            io::copy(&mut self.watch.reader(content), &mut hasher).map_err(failed(key))?;
            *hasher.finalize().as_bytes() == key.0
        };
        Ok((!same).then_some((FindingCode::BlobDigest, "has another digest")))
    }

    fn all_digests_fit(
        &self,
        key: BlobKey,
        record: &BlobRecord,
        mut content: Box<dyn BlobRead>,
    ) -> Result<bool, StoreError> {
        let helper_failed = |error| failed(key)(io::Error::other(error));
        let mut hashes = FiveHashes::new(self.store.inner.staging.helpers.clone());
        let bound = u64::try_from(CHUNK).unwrap_or(u64::MAX);
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            io::copy(&mut (&mut content).take(bound), &mut chunk).map_err(failed(key))?;
            if chunk.is_empty() {
                break;
            }
            hashes.update(&Arc::new(chunk)).map_err(helper_failed)?;
        }
        let (digests, _) = hashes.finish().map_err(helper_failed)?;
        Ok(digests.blake3 == key.0
            && digests.md5 == record.md5
            && digests.sha1 == record.sha1
            && digests.sha256 == record.sha256
            && digests.sha512 == record.sha512)
    }

    /// The bytes of a content, unchecked; `None` if there are none.
    pub(super) fn open(
        &self,
        key: BlobKey,
        record: &BlobRecord,
        held: Option<&dyn MetaRead>,
    ) -> Result<Option<Box<dyn BlobRead>>, StoreError> {
        match record.place {
            Place::Inline(inline) => {
                let bytes =
                    self.on_rows(held, |read| inline_rows::read(read, inline, record.size))?;
                let missing = bytes.is_empty() && record.size > 0;
                Ok((!missing).then(|| Box::new(Cursor::new(bytes)) as Box<dyn BlobRead>))
            }
            Place::File => match self.store.inner.blobs.open(&key) {
                Ok(file) => Ok(Some(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(failed(key)(error)),
            },
        }
    }

    /// Reads the rows that are held, or else those of this moment.
    fn on_rows<T>(
        &self,
        held: Option<&dyn MetaRead>,
        read: impl FnOnce(&dyn MetaRead) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match held {
            Some(held) => read(held),
            None => read(self.store.inner.snapshot()?.as_ref()),
        }
    }

    /// The feed type reads out of the content what the rows of its files say.
    fn inspect_uses(&mut self, key: BlobKey, record: &BlobRecord) -> Result<(), StoreError> {
        let mut uses = Vec::new();
        let reading = self.store.inner.read()?;
        rows::each(reading.rows(), tables::BLOB, &key.0, |usage, _| {
            uses.extend(Option::zip(tables::u64_at(usage, 32), tables::u32_at(usage, 40)));
            Ok(())
        })?;
        for (number, file) in uses {
            if !matches!(self.version(reading.rows(), number)?, Version::Found(..)) {
                continue;
            }
            let found = rows::readable(reading.version_by_id(number))?;
            let Some((feed, version)) = found.flatten() else { continue };
            let Some(content) = self.open(key, record, None)? else { continue };
            if let Some(why) = self.differs(&feed, &version, file, content)? {
                let text = format!("{} in feed `{}` {why}", version.spelled(), feed.record.name);
                self.found(FindingCode::Inspection, text);
            }
        }
        Ok(())
    }

    /// In which way a type reads something else out of a file; `None` if it does not.
    fn differs(
        &self,
        feed: &FeedHandle,
        version: &VersionHandle,
        number: u32,
        mut content: Box<dyn BlobRead>,
    ) -> Result<Option<String>, StoreError> {
        let Some(feed_type) = &feed.feed_type else { return Ok(None) };
        let file = version.record.files.iter().find(|file| file.number == number);
        let Some(file) = file else { return Ok(None) };
        let expected = version.identity(file)?;
        let hints: BTreeMap<String, String> = expected
            .qualifiers
            .iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let inspections = &self.store.inner.inspections;
        let inspected = inspections.run_however_long(&self.store.options().limits, |lane| {
            let digests = &(&file.digests).into();
            let upload = Upload::new(&mut content, file.size, digests)
                .with_file_name(file.file_name.as_str())
                .with_hints(&hints);
            match lane.read(|limits| feed_type.inspect(upload, limits)) {
                Ok(inspected) => Ok(Some(inspected)),
                // How long it takes depends on what else the machine does.
                Err(_) if lane.is_late() => Ok(None),
                Err(error) => Err(error),
            }
        });
        let inspected = match inspected {
            Ok((Some(inspected), _)) => inspected,
            Ok((None, _)) => return Ok(None),
            Err(hayloft_feed::FeedTypeError::Io(error)) => {
                return Err(failed(file.digests.key())(error));
            }
            Err(error) => return Ok(Some(format!("is no longer accepted: {error}"))),
        };
        let found = &inspected.identity;
        let same = found.package == expected.package
            && found.version == expected.version
            && found.qualifiers.key() == expected.qualifiers.key()
            && inspected.role == file.role.into();
        let spelled = format!("{} {}", found.package.spelled(), found.version);
        Ok((!same).then(|| format!("reads as `{}`", hayloft_feed::shorten(&spelled))))
    }
}

/// Asks for the rows that contents lie in, and for the hashes of their groups.
fn ask_about_contents(read: &dyn MetaRead, page: &[Row]) -> Result<(), StoreError> {
    let mut wants = Vec::new();
    for (key, record) in ahead::readable::<BlobRecord>(tables::BLOB, page) {
        let Ok(blob) = key.try_into() else { continue };
        match record.place {
            Place::Inline(inline) => wants.push(inline_rows::wanted(inline)),
            Place::File => {
                let rows = 0..groups::rows_of(record.size);
                let keys = rows.map(|row| tables::groups(&BlobKey(blob), row));
                wants.extend(keys.map(|key| Want::Row(tables::GROUPS, key)));
            }
        }
    }
    if wants.is_empty() { Ok(()) } else { Ok(read.prefetch(&wants)?) }
}

fn failed(key: BlobKey) -> impl FnOnce(io::Error) -> StoreError {
    StoreError::io("read", format!("content {}", shown(&key.0)))
}
