//! Versions with their files, and what is numbered after them.

use std::collections::BTreeSet;

use super::ahead;
use super::packages::{FeedSums, PackageSums};
use super::run::{Look, Run, Version, look, row};
use crate::blob_rows;
use crate::records::{
    BlobRecord, BlobState, CounterRecord, FileValue, FragmentPartRecord, FragmentRecord,
    HistoryValue, MoreFilesRecord, Pointer, StabilityValue, StatusRecord, UseRecord,
    VersionPlaceRecord, VersionRecord,
};
use crate::tables::FragmentKind;
use crate::{
    BlobKey, FindingCode, MetaRead, Repair, Row, StoreError, VerifyLevel, Want, codec, fragments,
    rows, tables,
};

/// A feed on its way through the versions.
struct Current {
    feed: u32,
    sums: FeedSums,
    package: PackageSums,
}

impl Run<'_> {
    /// Every version: its row, its number, its files; then what is summed up from them.
    pub(super) fn versions(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        let mut current: Option<Current> = None;
        let mut summed = BTreeSet::new();
        self.each_bytes_ahead(read, tables::VERSION, &ask_about_versions, |run, key, value| {
            let name = tables::name_key_in(key.get(4..).unwrap_or_default()).unwrap_or_default();
            let package = key.get(..4 + name.len()).unwrap_or_default();
            if current.as_ref().is_none_or(|current| current.package.key != package) {
                let feed = tables::u32_at(key, 0).unwrap_or_default();
                let before = current.take();
                current = Some(run.step(read, before, feed, package)?);
                summed.insert(feed);
            }
            match &mut current {
                Some(current) => run.version_row(read, key, value, current),
                None => Ok(()),
            }
        })?;
        if let Some(Current { feed, sums, package }) = current {
            self.finish_package(read, package)?;
            self.finish_feed(read, feed, sums)?;
        }
        let rest: Vec<u32> =
            self.feeds.keys().filter(|feed| !summed.contains(*feed)).copied().collect();
        for feed in rest {
            let sums = self.sums_of(feed);
            self.finish_feed(read, feed, sums)?;
        }
        self.sums_of_no_feed(read)
    }

    fn sums_of(&self, feed: u32) -> FeedSums {
        let tag = self.feeds.get(&feed).and_then(|feed| feed.as_ref()).map(|feed| &*feed.tag);
        FeedSums::new(self.store.types(), tag.unwrap_or_default())
    }

    /// Ends the package before and begins the next, perhaps in another feed.
    fn step(
        &mut self,
        read: &dyn MetaRead,
        before: Option<Current>,
        feed: u32,
        package: &[u8],
    ) -> Result<Current, StoreError> {
        let next = PackageSums { key: package.to_vec(), ..PackageSums::default() };
        let Some(Current { feed: last, sums, package }) = before else {
            return Ok(Current { feed, sums: self.sums_of(feed), package: next });
        };
        self.finish_package(read, package)?;
        if last == feed {
            return Ok(Current { feed, sums, package: next });
        }
        self.finish_feed(read, last, sums)?;
        Ok(Current { feed, sums: self.sums_of(feed), package: next })
    }

    fn version_row(
        &mut self,
        read: &dyn MetaRead,
        key: &[u8],
        value: &[u8],
        current: &mut Current,
    ) -> Result<(), StoreError> {
        current.package.versions += 1;
        let mut record: VersionRecord = match codec::decode(tables::VERSION, key, value) {
            Ok(record) => record,
            Err(error) => {
                current.package.unsure = true;
                current.sums.unreadable();
                self.unreadable(tables::VERSION, key, &error);
                return Ok(());
            }
        };
        let suffix = key.get(current.package.key.len()..).unwrap_or_default();
        if !suffix.ends_with(record.identity.as_bytes()) {
            let text =
                format!("{} is not that of version `{}`", row(tables::VERSION, key), record.text);
            self.found(FindingCode::Row, text);
        }
        let pointer = Pointer { suffix: suffix.to_vec(), text: record.text.clone() };
        if record.stability == StabilityValue::Stable {
            current.package.latest_stable = Some(pointer.clone());
        }
        current.package.latest = Some(pointer);
        current.package.number = record.package;
        self.number_of(read, current.feed, key, record.version)?;
        let known = record.files.len();
        if self.further_files(read, &mut record)? {
            current.sums.version(&record.files)?;
        } else {
            current.sums.unreadable();
        }
        if let Some(further @ [_, ..]) = record.files.get(known..)
            && self.store.inner.is_shared()
        {
            read.prefetch(&contents_wanted(&record, further))?;
        }
        for file in &record.files {
            self.file(read, key, &record, file)?;
        }
        Ok(())
    }

    /// The index by number leads to the version.
    fn number_of(
        &mut self,
        read: &dyn MetaRead,
        feed: u32,
        key: &[u8],
        version: u64,
    ) -> Result<(), StoreError> {
        let index = tables::number(version);
        let (code, text) = match look(read, tables::VERSION_ID, &index)? {
            Look::Good(VersionPlaceRecord { feed: found, key: place })
                if found == feed && place == key =>
            {
                return Ok(());
            }
            Look::Good(_) | Look::Missing => {
                (FindingCode::VersionIndex, format!("version {version} is not found by its number"))
            }
            Look::Newer => return Ok(()),
            Look::Bad => (FindingCode::Row, row(tables::VERSION_ID, &index)),
        };
        self.lost.insert(version);
        self.set_reported(tables::VERSION_ID, &index);
        let key = key.to_vec();
        self.found_mendable(code, text, move |plan| {
            let record: Option<VersionRecord> = plan.get(tables::VERSION, &key)?;
            if record.is_some_and(|record| record.version == version) {
                plan.put(
                    tables::VERSION_ID,
                    index.clone(),
                    &VersionPlaceRecord { feed, key: key.clone() },
                )?;
            }
            Ok(true)
        })
    }

    /// Adds the files in further rows; false if they are not all there.
    fn further_files(
        &mut self,
        read: &dyn MetaRead,
        record: &mut VersionRecord,
    ) -> Result<bool, StoreError> {
        let mut whole = true;
        for part in 0..record.more {
            let key = tables::part(record.version, part);
            match look(read, tables::VERSION_FILES, &key)? {
                Look::Good(MoreFilesRecord(files)) => record.files.extend(files),
                Look::Missing => {
                    whole = false;
                    let text = format!("{} is missing", row(tables::VERSION_FILES, &key));
                    self.found(FindingCode::Row, text);
                }
                Look::Bad | Look::Newer => whole = false,
            }
        }
        self.unsure |= !whole;
        Ok(whole)
    }

    /// A file's content is there and knows of its use; its fragments are there.
    fn file(
        &mut self,
        read: &dyn MetaRead,
        key: &[u8],
        version: &VersionRecord,
        file: &FileValue,
    ) -> Result<(), StoreError> {
        let blob = file.digests.blake3;
        match look::<BlobRecord>(read, tables::BLOB, &blob)? {
            Look::Good(found) => {
                let same = found.size == file.size
                    && found.md5 == file.digests.md5
                    && found.sha1 == file.digests.sha1
                    && found.sha256 == file.digests.sha256
                    && found.sha512 == file.digests.sha512;
                if !same {
                    let text =
                        format!("content {} is not that of {}", codec::shown(&blob), name(file));
                    self.found(FindingCode::BlobRow, text);
                }
            }
            Look::Newer => {
                self.rowless.insert(blob);
            }
            found => {
                if self.rowless.insert(blob) {
                    let (code, text) = match found {
                        Look::Missing => {
                            (FindingCode::BlobRow, format!("{} has no content row", name(file)))
                        }
                        _ => (FindingCode::Row, row(tables::BLOB, &blob)),
                    };
                    self.set_reported(tables::BLOB, &blob);
                    self.rebuild_blob_row(code, text, file)?;
                }
            }
        }
        let usage = tables::blob_use(&BlobKey(blob), version.version, file.number);
        let user = UseRecord { qualifiers: file.qualifiers.clone() };
        if read.get(tables::BLOB, &usage)?.is_none() {
            self.unused.insert(blob);
            let text = format!(
                "the use of content {} by {} is not recorded",
                codec::shown(&blob),
                name(file)
            );
            self.found_mendable(FindingCode::BlobUse, text, move |plan| {
                let Some(mut row) = plan.get::<BlobRecord>(tables::BLOB, &blob)? else {
                    return Ok(false);
                };
                if row.state == BlobState::Deleting {
                    return Ok(false);
                }
                row.state = BlobState::Live;
                plan.put(tables::BLOB, usage.clone(), &user)?;
                row.uses = blob_rows::uses(plan, &BlobKey(blob))?;
                plan.put(tables::BLOB, blob.to_vec(), &row)?;
                Ok(true)
            })?;
        }
        let mut kinds = vec![FragmentKind::MANIFEST];
        if file.history == HistoryValue::Embedded {
            kinds.push(FragmentKind::HISTORY);
        }
        kinds.extend((0..file.documents.len()).filter_map(tables::document_kind));
        for kind in kinds {
            self.fragment(read, key, file, kind)?;
        }
        Ok(())
    }

    fn fragment(
        &mut self,
        read: &dyn MetaRead,
        key: &[u8],
        file: &FileValue,
        kind: FragmentKind,
    ) -> Result<(), StoreError> {
        let row = |part| tables::fragment(key, file.number, kind, part);
        let first = match look::<FragmentRecord>(read, tables::FRAGMENT, &row(0))? {
            Look::Good(first) => Some(first),
            Look::Bad | Look::Newer => return Ok(()),
            Look::Missing => None,
        };
        let mut whole = first.is_some();
        for part in 1..=first.map_or(0, |first| first.more) {
            match look::<FragmentPartRecord>(read, tables::FRAGMENT, &row(part))? {
                Look::Good(_) => {}
                Look::Bad | Look::Newer => return Ok(()),
                Look::Missing => whole = false,
            }
        }
        if whole && self.level >= VerifyLevel::Normal {
            whole = match fragments::read(read, key, file.number, kind) {
                Ok(_) => true,
                Err(StoreError::Damaged { .. }) => false,
                Err(error) => return Err(error),
            };
        }
        if !whole {
            let text = format!("fragment {} of {} is missing or incomplete", kind.0, name(file));
            self.found(FindingCode::Fragment, text);
        }
        Ok(())
    }

    /// Numbers of versions, and their rows of further files, belong to versions.
    pub(super) fn version_index(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        let places = |read: &dyn MetaRead, page: &[Row]| {
            let places = ahead::readable::<VersionPlaceRecord>(tables::VERSION_ID, page);
            ahead::versions(read, places.map(|(_, place)| place.key))
        };
        self.each_bytes_ahead(read, tables::VERSION_ID, &places, |run, key, value| {
            if run.is_reported(tables::VERSION_ID, key) {
                return Ok(());
            }
            let number = tables::u64_at(key, 0).unwrap_or_default();
            let decoded = codec::decode::<VersionPlaceRecord>(tables::VERSION_ID, key, value);
            let (code, text) = match &decoded {
                Ok(_) => match run.version(read, number)? {
                    Version::Found(..) | Version::Unsure => return Ok(()),
                    Version::None => {
                        (FindingCode::VersionIndex, format!("number {number} leads to no version"))
                    }
                },
                Err(StoreError::Newer { .. }) => {
                    (FindingCode::NewerRow, row(tables::VERSION_ID, key))
                }
                Err(_) => (FindingCode::Row, row(tables::VERSION_ID, key)),
            };
            if run.unsure || code == FindingCode::NewerRow {
                run.found(code, text);
                return Ok(());
            }
            // All versions were seen, and none has this number.
            let key = key.to_vec();
            run.found_mendable(code, text, move |plan| {
                plan.delete(tables::VERSION_ID, key.clone());
                Ok(true)
            })
        })?;
        let of_parts = |read: &dyn MetaRead, page: &[Row]| {
            let numbers = page.iter().filter_map(|(key, _)| tables::u64_at(key, 0));
            ahead::versions_by_number(read, numbers)
        };
        let table = tables::VERSION_FILES;
        self.each_ahead(read, table, &of_parts, |run, key, _: MoreFilesRecord| {
            let number = tables::u64_at(key, 0).unwrap_or_default();
            let part = key.get(8..).and_then(|part| part.try_into().ok()).map(u16::from_be_bytes);
            let wanted = match run.version(read, number)? {
                Version::Unsure => true,
                Version::None => false,
                Version::Found(record) => part.is_some_and(|part| part < record.more),
            };
            if !wanted {
                let text = format!("{} belongs to no version", row(tables::VERSION_FILES, key));
                run.found(FindingCode::VersionIndex, text);
            }
            Ok(())
        })
    }

    /// Statuses can be read and are those of versions.
    pub(super) fn statuses(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        let versions = |read: &dyn MetaRead, page: &[Row]| {
            ahead::ask(read, tables::VERSION, page.iter().map(|(key, _)| key.clone()))
        };
        self.each_ahead(read, tables::STATUS, &versions, |run, key, _: StatusRecord| {
            if run.unsure || read.get(tables::VERSION, key)?.is_some() {
                return Ok(());
            }
            let text = format!("{} is the status of no version", row(tables::STATUS, key));
            let key = key.to_vec();
            run.found_mendable(FindingCode::Status, text, move |plan| {
                if MetaRead::get(plan, tables::VERSION, &key)?.is_none() {
                    plan.delete(tables::STATUS, key.clone());
                }
                Ok(true)
            })
        })
    }

    /// Fragments can be read and belong to files.
    pub(super) fn fragments(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        // The version under way with the numbers of its files; `None` if they cannot be told.
        let mut version: (Vec<u8>, Option<Vec<u32>>) = (Vec::new(), Some(Vec::new()));
        // The fragment under way: where it begins and its last part, or `None` if that is not
        // known.
        let mut current: Option<(Vec<u8>, Option<u16>)> = None;
        let mut leftovers: BTreeSet<(Vec<u8>, u32, u8)> = BTreeSet::new();
        let versions = |read: &dyn MetaRead, page: &[Row]| {
            let places = page.iter().filter_map(|(key, _)| tables::fragment_key(key));
            ahead::versions(read, places.map(|place| place.version.to_vec()))
        };
        self.each_bytes_ahead(read, tables::FRAGMENT, &versions, |run, key, value| {
            let Some(place) = tables::fragment_key(key) else {
                run.found(FindingCode::Row, row(tables::FRAGMENT, key));
                return Ok(());
            };
            let begin = key.get(..key.len() - 2).unwrap_or_default();
            let decoded = if place.part == 0 {
                let first = codec::decode::<FragmentRecord>(tables::FRAGMENT, key, value);
                current = Some((begin.to_vec(), first.as_ref().ok().map(|first| first.more)));
                first.map(drop)
            } else {
                codec::decode::<FragmentPartRecord>(tables::FRAGMENT, key, value).map(drop)
            };
            if let Err(error) = decoded {
                run.unreadable(tables::FRAGMENT, key, &error);
                return Ok(());
            }
            let surplus = match &current {
                Some((started, Some(last))) if started == begin => place.part > *last,
                Some((started, None)) => started != begin,
                _ => true,
            };
            if version.0 != place.version {
                version = (place.version.to_vec(), numbers_at(read, place.version)?);
            }
            let known = version.1.as_ref().is_none_or(|files| files.contains(&place.file));
            if known && surplus {
                let text = format!("{} belongs to nothing", row(tables::FRAGMENT, key));
                run.found(FindingCode::Fragment, text);
            } else if !known {
                leftovers.insert((place.version.to_vec(), place.file, place.kind.0));
            }
            Ok(())
        })?;
        for (key, file, kind) in leftovers {
            self.fragment_leftover(read, &key, file, FragmentKind(kind))?;
        }
        Ok(())
    }

    fn fragment_leftover(
        &mut self,
        read: &dyn MetaRead,
        key: &[u8],
        file: u32,
        kind: FragmentKind,
    ) -> Result<(), StoreError> {
        let begin = tables::fragment(key, file, kind, 0);
        let text = format!("fragment {} belongs to nothing", codec::shown(&begin));
        let bytes = match fragments::read(read, key, file, kind) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(StoreError::Damaged { .. } | StoreError::Newer { .. }) => {
                self.found(FindingCode::Fragment, text);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if self.repair == Repair::Derived {
            self.quarantine(&format!("fragment-{}", codec::shown(&begin)), &bytes)?;
        }
        let prefix = begin.get(..begin.len() - 2).unwrap_or_default().to_vec();
        self.found_mendable(FindingCode::Fragment, text, move |plan| {
            fragments::delete(plan, &prefix)?;
            Ok(true)
        })
    }

    /// Download counters belong to files, and their sums to packages.
    pub(super) fn downloads(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        let mut current: Option<SumOfDownloads> = None;
        let versions = |read: &dyn MetaRead, page: &[Row]| {
            let counted = page.iter().filter_map(|(key, _)| tables::downloads_key(key));
            ahead::versions(read, counted.map(|(version, _)| version.to_vec()))
        };
        self.each_bytes_ahead(read, tables::DOWNLOADS, &versions, |run, key, value| {
            let package = tables::package_of(key).unwrap_or_default();
            if current.as_ref().is_none_or(|current| current.package != package) {
                let before = current.replace(SumOfDownloads::of(package));
                run.sum_of_downloads(before)?;
            }
            let Some(current) = &mut current else { return Ok(()) };
            let count = rows::counter_value(tables::DOWNLOADS, key, value).ok();
            if key == current.package {
                current.stored = count;
                return Ok(());
            }
            let Some(count) = count else {
                // How many there were is lost; the sum follows the others.
                let (text, key) = (row(tables::DOWNLOADS, key), key.to_vec());
                return run.found_mendable(FindingCode::Row, text, move |plan| {
                    plan.delete(tables::DOWNLOADS, key.clone());
                    Ok(true)
                });
            };
            if counts_a_file(read, key)? {
                current.sum = current.sum.saturating_add(count);
                return Ok(());
            }
            let text = format!("{} counts no file", row(tables::DOWNLOADS, key));
            let key = key.to_vec();
            run.found_mendable(FindingCode::Downloads, text, move |plan| {
                if !counts_a_file(plan, &key)? {
                    plan.delete(tables::DOWNLOADS, key.clone());
                }
                Ok(true)
            })
        })?;
        self.sum_of_downloads(current)
    }

    /// Holds the sum of a package's counters against what its row says.
    fn sum_of_downloads(&mut self, found: Option<SumOfDownloads>) -> Result<(), StoreError> {
        let Some(SumOfDownloads { package, sum, stored }) = found else { return Ok(()) };
        let (code, text) = match stored {
            Some(stored) if sum == stored || self.unsure => return Ok(()),
            Some(_) => (
                FindingCode::Downloads,
                format!("the downloads of {} have another sum", super::packages::shown(&package)),
            ),
            None => (FindingCode::Row, row(tables::DOWNLOADS, &package)),
        };
        if self.unsure {
            self.found(code, text);
            return Ok(());
        }
        self.found_mendable(code, text, move |plan| {
            let mut sum = 0_i64;
            rows::each(plan, tables::DOWNLOADS, &package, |key, value| {
                if key != package {
                    let count = rows::left_out(rows::counter_value(tables::DOWNLOADS, key, value));
                    let count = count?.unwrap_or_default();
                    sum = sum.saturating_add(count);
                }
                Ok(())
            })?;
            plan.put(tables::DOWNLOADS, package.clone(), &CounterRecord(sum))?;
            Ok(true)
        })
    }

    fn rebuild_blob_row(
        &mut self,
        code: FindingCode,
        text: String,
        file: &FileValue,
    ) -> Result<(), StoreError> {
        let (digests, size) = (file.digests, file.size);
        let inline = self.inline_orphans.remove(&digests.blake3);
        let stored = match inline {
            Some(_) => None,
            None => self
                .store
                .inner
                .blobs
                .size(&digests.key())
                .map_err(StoreError::io("look at", codec::shown(&digests.blake3)))?,
        };
        let healthy = inline.is_some() || stored == Some(size);
        self.found_mendable(code, text, move |plan| {
            blob_rows::rebuild(plan, &digests, size, inline, healthy)?;
            Ok(true)
        })
    }
}

/// Asks for what versions are held against: their packages, numbers, further files, contents and
/// uses of those.
fn ask_about_versions(read: &dyn MetaRead, page: &[Row]) -> Result<(), StoreError> {
    let records = || ahead::readable::<VersionRecord>(tables::VERSION, page);
    let packages = records().filter_map(|(key, _)| tables::package_of(key));
    let packages: BTreeSet<&[u8]> = packages.collect();
    let mut wants: Vec<Want> =
        packages.into_iter().map(|key| Want::Row(tables::PACKAGE, key.to_vec())).collect();
    for (_, record) in records() {
        wants.push(Want::Row(tables::VERSION_ID, tables::number(record.version)));
        let parts = (0..record.more).map(|part| tables::part(record.version, part));
        wants.extend(parts.map(|part| Want::Row(tables::VERSION_FILES, part)));
        wants.extend(contents_wanted(&record, &record.files));
    }
    Ok(read.prefetch(&wants)?)
}

fn contents_wanted(version: &VersionRecord, files: &[FileValue]) -> Vec<Want> {
    let keys = files.iter().flat_map(|file| {
        let blob = file.digests.blake3;
        [blob.to_vec(), tables::blob_use(&BlobKey(blob), version.version, file.number)]
    });
    keys.map(|key| Want::Row(tables::BLOB, key)).collect()
}

/// The numbers of a version's files; `None` if they cannot be told.
fn numbers_at(read: &dyn MetaRead, key: &[u8]) -> Result<Option<Vec<u32>>, StoreError> {
    let found = rows::readable(rows::version(read, key))?;
    let numbers = |record: VersionRecord| record.files.iter().map(|file| file.number).collect();
    Ok(found.map(|record| record.map(numbers).unwrap_or_default()))
}

fn name(file: &FileValue) -> String {
    format!("file `{}`", hayloft_feed::shorten(&file.file_name))
}

/// The counters of one package.
struct SumOfDownloads {
    package: Vec<u8>,
    /// Of those that can be read.
    sum: i64,
    /// What the package's own row says, unless that is no number.
    stored: Option<i64>,
}

impl SumOfDownloads {
    fn of(package: &[u8]) -> Self {
        Self { package: package.to_vec(), sum: 0, stored: Some(0) }
    }
}

/// True if there is a file for a counter, or if that cannot be told.
fn counts_a_file(read: &dyn MetaRead, key: &[u8]) -> Result<bool, StoreError> {
    let Some((version, number)) = tables::downloads_key(key) else { return Ok(false) };
    Ok(match rows::version(read, version) {
        Ok(None) => false,
        Ok(Some(found)) => found.files.iter().any(|file| file.number == number),
        Err(StoreError::Damaged { .. } | StoreError::Newer { .. }) => true,
        Err(error) => return Err(error),
    })
}
