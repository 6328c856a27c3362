//! Making rows anew that say nothing any more, before the rest is held against them.
//!
//! What other rows and the package files tell is read from there. What nothing tells is kept aside
//! in `quarantine/` and taken away, so that it is in nobody's way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hayloft_feed::{FeedType, Inspected, Qualifiers, Upload};

use super::run::{Look, Run, look, row};
use crate::codec::{self, Record};
use crate::operation::Entry;
use crate::operation::upload::new_file;
use crate::plan::Plan;
use crate::records::{
    ActivityValue, AuditRecord, BlobRecord, DeleteModeValue, DigestsValue, FeedNameRecord,
    FeedRecord, FeedState, FileValue, FragmentPartRecord, FragmentRecord, JobRecord,
    KeyPlaceRecord, KeyRecord, MoreFilesRecord, MoreRepackagedRecord, NameRole, OriginValue,
    OverwritingValue, PackageRecord, PromotionRecord, RepackagingRecord, SettingRecord,
    StabilityValue, StatusRecord, SubjectRecord, UseRecord, VersionPlaceRecord, VersionRecord,
};
use crate::resolve::{FeedHandle, PackageHandle};
use crate::versions::{self, NewFile, highest};
use crate::{
    Action, Actor, FindingCode, MetaRead, StoreError, Table, fragments, index, rows, tables,
};

/// A row that cannot be read: its key and value.
type Bad = (Vec<u8>, Vec<u8>);
/// Mends the rows of some tables.
type Step<'a> = fn(&mut Run<'a>, &dyn MetaRead) -> Result<(), StoreError>;

impl<'a> Run<'a> {
    /// Makes rows anew, or takes them away; what cannot be mended stays for the rest of the run to
    /// report.
    pub(super) fn restore(&mut self) -> Result<(), StoreError> {
        let steps: [Step<'a>; 8] = [
            Self::restore_feeds,
            Self::restore_versions,
            Self::restore_packages,
            Self::restore_statuses,
            Self::restore_fragments,
            Self::restore_records,
            Self::restore_ways,
            Self::restore_indexes,
        ];
        for step in steps {
            // Each step stands on what those before it have put right.
            let snapshot = self.store.inner.snapshot()?;
            step(self, snapshot.as_ref())?;
            drop(snapshot);
            self.mend()?;
        }
        Ok(())
    }

    /// A row that `mend` makes anew.
    fn restored(
        &mut self,
        table: Table,
        key: &[u8],
        mend: impl Fn(&mut Plan) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.found_mendable(FindingCode::Row, row(table, key), move |plan| {
            mend(plan)?;
            Ok(true)
        })
    }

    /// A row that nothing can be made of.
    fn taken_away(&mut self, table: Table, (key, value): Bad) -> Result<(), StoreError> {
        self.keep_aside(table, &key, &value)?;
        let text = row(table, &key);
        self.found_mendable(FindingCode::Row, text, move |plan| {
            plan.delete(table, key.clone());
            Ok(true)
        })
    }

    /// Feeds from their names.
    fn restore_feeds(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        let bad = damaged::<FeedRecord>(read, tables::FEED)?;
        if bad.is_empty() {
            return Ok(());
        }
        let mut names: BTreeMap<u32, Vec<FeedNameRecord>> = BTreeMap::new();
        each_readable(read, tables::FEED_NAME, |_, name: FeedNameRecord| {
            names.entry(name.feed).or_default().push(name);
        })?;
        let mut deleted = BTreeSet::new();
        each_readable(read, tables::JOB, |_, job: JobRecord| {
            if let JobRecord::DeleteFeed { feed } = job {
                deleted.insert(feed);
            }
        })?;
        for (key, value) in bad {
            let Some(id) = tables::u32_at(&key, 0) else {
                self.taken_away(tables::FEED, (key, value))?;
                continue;
            };
            let Some(record) = feed_of(names.remove(&id), deleted.contains(&id)) else { continue };
            self.keep_aside(tables::FEED, &key, &value)?;
            let place = key.clone();
            self.restored(tables::FEED, &place, move |plan| {
                let record = FeedRecord { created: plan.now().millis(), ..record.clone() };
                plan.put(tables::FEED, key.clone(), &record)?;
                plan.touch_feed(id)
            })?;
        }
        Ok(())
    }

    /// Versions from their contents.
    fn restore_versions(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        let bad: BTreeMap<Vec<u8>, Vec<u8>> =
            damaged::<VersionRecord>(read, tables::VERSION)?.into_iter().collect();
        let parts = damaged::<MoreFilesRecord>(read, tables::VERSION_FILES)?;
        if bad.is_empty() && parts.is_empty() {
            return Ok(());
        }
        // Numbers of the versions that are to be made anew.
        let partly: BTreeSet<u64> =
            parts.iter().filter_map(|(key, _)| tables::u64_at(key, 0)).collect();
        let mut places: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        each_readable(read, tables::VERSION_ID, |key, place: VersionPlaceRecord| {
            let number = tables::u64_at(key, 0).unwrap_or_default();
            if partly.contains(&number) || bad.contains_key(&place.key) {
                places.insert(number, place.key);
            }
        })?;
        let mut uses: BTreeMap<u64, Vec<Usage>> = BTreeMap::new();
        rows::each(read, tables::BLOB, &[], |key, value| {
            if let Some(usage) = Usage::of(key, value)
                && places.contains_key(&usage.version)
            {
                uses.entry(usage.version).or_default().push(usage);
            }
            Ok(())
        })?;
        for (number, key) in places {
            let uses = uses.remove(&number).unwrap_or_default();
            let Some(record) = self.version_of(read, number, &key, &uses)? else { continue };
            let table =
                if bad.contains_key(&key) { tables::VERSION } else { tables::VERSION_FILES };
            let shown = match parts.iter().find(|(part, _)| part.starts_with(&number.to_be_bytes()))
            {
                Some((part, value)) if table == tables::VERSION_FILES => {
                    self.keep_aside(table, part, value)?;
                    part.clone()
                }
                _ => {
                    self.keep_aside(table, &key, bad.get(&key).map_or(&[], Vec::as_slice))?;
                    key.clone()
                }
            };
            self.restored(table, &shown, move |plan| {
                // Rows that the new record has no place for go first.
                let mut parts = Vec::new();
                rows::each(plan, tables::VERSION_FILES, &tables::number(number), |key, _| {
                    parts.push(key.to_vec());
                    Ok(())
                })?;
                for part in parts {
                    plan.delete(tables::VERSION_FILES, part);
                }
                versions::write_record(plan, &key, &record)?;
                renew(plan, tables::package_of(&key).unwrap_or_default())
            })?;
        }
        Ok(())
    }

    /// A version as the contents that it uses tell of it; `None` if one of them cannot be read.
    fn version_of(
        &mut self,
        read: &dyn MetaRead,
        number: u64,
        key: &[u8],
        uses: &[Usage],
    ) -> Result<Option<VersionRecord>, StoreError> {
        let known = match look::<VersionRecord>(read, tables::VERSION, key)? {
            Look::Good(record) => Some(record),
            Look::Bad => None,
            Look::Missing | Look::Newer => return Ok(None),
        };
        let Some(feed_type) = self.type_of(read, key)? else { return Ok(None) };
        let mut files = Vec::new();
        if let Some(record) = &known {
            files.clone_from(&record.files);
            for part in 0..record.more {
                let part = tables::part(number, part);
                if let Look::Good(MoreFilesRecord(more)) = look(read, tables::VERSION_FILES, &part)?
                {
                    files.extend(more);
                }
            }
        }
        let mut created = known.as_ref().map_or(i64::MAX, |record| record.created);
        let mut identity = None;
        for usage in uses {
            if files.iter().any(|file: &FileValue| file.number == usage.file) {
                continue;
            }
            let Some((file, content)) = self.file_of(read, &feed_type, usage)? else {
                return Ok(None);
            };
            created = created.min(content.created);
            let found = &file.identity;
            let suffix = tables::version_suffix(
                found.version.sort_key().as_bytes(),
                found.version.identity(),
            );
            let package = tables::package_of(key).unwrap_or_default();
            let here = package.get(4..) == Some(found.package.key().as_bytes())
                && key.get(package.len()..) == Some(suffix.as_slice());
            if !here {
                return Ok(None);
            }
            files.push(FileValue {
                number: usage.file,
                role: file.role.into(),
                qualifiers: usage.told.qualifiers.clone(),
                file_name: file.file_name,
                size: file.size,
                digests: file.digests,
                published: content.created,
                published_by: String::new(),
                history: file.history,
                documents: file.documents,
            });
            identity = Some(file.identity.version);
        }
        files.sort_by_key(|file| file.number);
        let next_file = files.last().map_or(0, |file| file.number.saturating_add(1));
        if let Some(record) = known {
            let next_file = next_file.max(record.next_file);
            return Ok(Some(VersionRecord { next_file, files, ..record }));
        }
        let Some(version) = identity else { return Ok(None) };
        let Some(package) = package_number(read, key)? else { return Ok(None) };
        Ok(Some(VersionRecord {
            version: number,
            package,
            text: version.text().to_owned(),
            identity: version.identity().to_owned(),
            stability: version.stability().into(),
            created,
            origin: OriginValue::Uploaded,
            next_file,
            more: 0,
            files,
        }))
    }

    /// The type of the feed that a key of a package or version begins with.
    fn type_of(
        &self,
        read: &dyn MetaRead,
        key: &[u8],
    ) -> Result<Option<Arc<dyn FeedType>>, StoreError> {
        let feed = tables::u32_at(key, 0).unwrap_or_default();
        let handle = rows::readable(FeedHandle::by_id(read, self.store.types(), feed))?;
        Ok(handle.flatten().and_then(|handle| handle.feed_type))
    }

    /// What a feed type reads out of the content of a file; `None` if it cannot.
    fn file_of(
        &mut self,
        read: &dyn MetaRead,
        feed_type: &Arc<dyn FeedType>,
        usage: &Usage,
    ) -> Result<Option<(NewFile, BlobRecord)>, StoreError> {
        let Look::Good(content) = look::<BlobRecord>(read, tables::BLOB, &usage.blob)? else {
            return Ok(None);
        };
        let digests = DigestsValue {
            blake3: usage.blob,
            md5: content.md5,
            sha1: content.sha1,
            sha256: content.sha256,
            sha512: content.sha512,
        };
        let inspected =
            self.inspected(feed_type.as_ref(), &content, &digests, &usage.told.qualifiers)?;
        let Some(inspected) = inspected else { return Ok(None) };
        let file = new_file(feed_type.as_ref(), &inspected, content.size, digests);
        Ok(file.ok().map(|file| (file, content)))
    }

    fn inspected(
        &mut self,
        feed_type: &dyn FeedType,
        content: &BlobRecord,
        digests: &DigestsValue,
        qualifiers: &str,
    ) -> Result<Option<Inspected>, StoreError> {
        let key = digests.key();
        if self.examine(key, content, None)?.is_some() {
            return Ok(None);
        }
        let Some(mut bytes) = self.open(key, content, None)? else { return Ok(None) };
        let Ok(qualifiers) = qualifiers.parse::<Qualifiers>() else { return Ok(None) };
        let hints: BTreeMap<String, String> =
            qualifiers.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let inspections = &self.store.inner.inspections;
        let found = inspections.run_however_long(&self.store.options().limits, |lane| {
            let digests = &digests.into();
            let upload = Upload::new(&mut bytes, content.size, digests).with_hints(&hints);
            lane.read(|limits| feed_type.inspect(upload, limits))
        });
        Ok(found.ok().map(|(inspected, _)| inspected))
    }

    /// Packages from their versions.
    fn restore_packages(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        for (key, value) in damaged::<PackageRecord>(read, tables::PACKAGE)? {
            let mut versions = Vec::new();
            rows::each(read, tables::VERSION, &key, |place, value| {
                let record = codec::decode::<VersionRecord>(tables::VERSION, place, value);
                versions.extend(rows::readable(record)?);
                Ok(())
            })?;
            let Some(any) = versions.last() else {
                self.taken_away(tables::PACKAGE, (key, value))?;
                continue;
            };
            let number = any.package;
            let created = versions.iter().map(|record| record.created).min().unwrap_or_default();
            let Some((group, name)) = self.spelled_in(read, &key, any)? else { continue };
            self.keep_aside(tables::PACKAGE, &key, &value)?;
            let feed = tables::u32_at(&key, 0).unwrap_or_default();
            let types = self.store.types().clone();
            let place = key.clone();
            self.restored(tables::PACKAGE, &place, move |plan| {
                let mut count = 0;
                rows::each(plan, tables::VERSION, &key, |_, _| {
                    count += 1;
                    Ok(())
                })?;
                let record = PackageRecord {
                    package: number,
                    group: group.clone(),
                    name: name.clone(),
                    versions: count,
                    latest: highest(plan, &key, |_, _| true)?,
                    latest_stable: highest(plan, &key, |_, found| {
                        found.stability == StabilityValue::Stable
                    })?,
                    tags: Vec::new(),
                    created,
                    changed: created,
                    revision: 0,
                };
                let mut package = PackageHandle { key: key.clone(), record };
                let handle = FeedHandle::by_id(plan, &types, feed)?;
                if let Some(feed_type) = handle.and_then(|handle| handle.feed_type) {
                    versions::retag(plan, feed_type.as_ref(), &mut package, None)?;
                }
                versions::write_package(plan, feed, &mut package)
            })?;
        }
        Ok(())
    }

    /// Group and name of a package as a file of it spells them, else as its key does.
    fn spelled_in(
        &mut self,
        read: &dyn MetaRead,
        key: &[u8],
        version: &VersionRecord,
    ) -> Result<Option<(String, String)>, StoreError> {
        if let Some(feed_type) = self.type_of(read, key)?
            && let Some(file) = version.files.first()
        {
            let usage = Usage {
                blob: file.digests.blake3,
                version: version.version,
                file: file.number,
                told: UseRecord { qualifiers: file.qualifiers.clone() },
            };
            if let Some((found, _)) = self.file_of(read, &feed_type, &usage)? {
                let package = &found.identity.package;
                return Ok(Some((package.group().to_owned(), package.name().to_owned())));
            }
        }
        let parts = key.get(4..).and_then(|name| name.strip_suffix(&[0]));
        let Some(parts) = parts.and_then(|parts| std::str::from_utf8(parts).ok()) else {
            return Ok(None);
        };
        Ok(parts.split_once('\u{1}').map(|(group, name)| (group.to_owned(), name.to_owned())))
    }

    /// A status that is not known keeps a version from being used until it is given another one.
    fn restore_statuses(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        for (key, value) in damaged::<StatusRecord>(read, tables::STATUS)? {
            self.keep_aside(tables::STATUS, &key, &value)?;
            let place = key.clone();
            let package = tables::package_of(&key).unwrap_or_default().to_vec();
            self.restored(tables::STATUS, &place, move |plan| {
                let now = plan.now().millis();
                plan.put(tables::STATUS, key.clone(), &StatusRecord::of_damaged(now))?;
                renew(plan, &package)
            })?;
        }
        Ok(())
    }

    /// Fragments from the contents that they were read out of.
    fn restore_fragments(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        let mut bad: BTreeMap<(Vec<u8>, u32), Vec<Bad>> = BTreeMap::new();
        let mut strange = Vec::new();
        rows::each(read, tables::FRAGMENT, &[], |key, value| {
            let Some(place) = tables::fragment_key(key) else {
                strange.push((key.to_vec(), value.to_vec()));
                return Ok(());
            };
            let decoded = if place.part == 0 {
                codec::decode::<FragmentRecord>(tables::FRAGMENT, key, value).map(drop)
            } else {
                codec::decode::<FragmentPartRecord>(tables::FRAGMENT, key, value).map(drop)
            };
            if matches!(decoded, Err(StoreError::Damaged { .. })) {
                let file = (place.version.to_vec(), place.file);
                bad.entry(file).or_default().push((key.to_vec(), value.to_vec()));
            }
            Ok(())
        })?;
        for row in strange {
            self.taken_away(tables::FRAGMENT, row)?;
        }
        for ((version, number), rows) in bad {
            let file = match rows::version(read, &version) {
                Ok(record) => record
                    .and_then(|record| record.files.into_iter().find(|file| file.number == number)),
                Err(StoreError::Damaged { .. } | StoreError::Newer { .. }) => continue,
                Err(error) => return Err(error),
            };
            let Some(file) = file else {
                for row in rows {
                    self.taken_away(tables::FRAGMENT, row)?;
                }
                continue;
            };
            let Some(feed_type) = self.type_of(read, &version)? else { continue };
            let usage = Usage {
                blob: file.digests.blake3,
                version: 0,
                file: number,
                told: UseRecord { qualifiers: file.qualifiers.clone() },
            };
            let Some((found, _)) = self.file_of(read, &feed_type, &usage)? else { continue };
            for (key, value) in &rows {
                self.keep_aside(tables::FRAGMENT, key, value)?;
            }
            for (at, (key, _)) in rows.iter().enumerate() {
                let (version, found) = (version.clone(), found.clone());
                self.restored(tables::FRAGMENT, key, move |plan| {
                    // The first of them puts all of the file right.
                    if at == 0 { rewrite(plan, &version, number, &found) } else { Ok(()) }
                })?;
            }
        }
        Ok(())
    }

    /// Records that nothing else tells of.
    fn restore_records(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        for (key, value) in damaged::<KeyRecord>(read, tables::API_KEY)? {
            let id = tables::u64_at(&key, 0).unwrap_or_default();
            self.keep_aside(tables::API_KEY, &key, &value)?;
            let place = key.clone();
            self.restored(tables::API_KEY, &place, move |plan| {
                super::super::api_keys::unlead(plan, id)?;
                plan.delete(tables::API_KEY, key.clone());
                Ok(())
            })?;
        }
        for row in damaged::<SettingRecord>(read, tables::SETTING)? {
            self.taken_away(tables::SETTING, row)?;
        }
        for row in damaged::<PromotionRecord>(read, tables::PROMOTION)? {
            self.taken_away(tables::PROMOTION, row)?;
        }
        for row in damaged::<RepackagingRecord>(read, tables::REPACKAGING)? {
            let id = tables::u64_at(&row.0, 0).unwrap_or_default();
            for part in all_with::<MoreRepackagedRecord>(read, tables::REPACKAGING_FILES, id)? {
                self.taken_away(tables::REPACKAGING_FILES, part)?;
            }
            self.taken_away(tables::REPACKAGING, row)?;
        }
        for (key, value) in damaged::<MoreRepackagedRecord>(read, tables::REPACKAGING_FILES)? {
            self.keep_aside(tables::REPACKAGING_FILES, &key, &value)?;
            let id = tables::u64_at(&key, 0).unwrap_or_default();
            self.restored(tables::REPACKAGING_FILES, &key, move |plan| close_up(plan, id))?;
        }
        for (key, value) in damaged::<AuditRecord>(read, tables::AUDIT)? {
            self.keep_aside(tables::AUDIT, &key, &value)?;
            let place = key.clone();
            self.restored(tables::AUDIT, &place, move |plan| {
                let lost = Entry::of(Action::Lost).record(plan, &Actor::system());
                plan.put(tables::AUDIT, key.clone(), &lost)
            })?;
        }
        Ok(())
    }

    /// Names and digests that are no feed's and no key's, because it is their own key that changed:
    /// those that are one's are made anew with it.
    fn restore_ways(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        let mut feeds = Vec::new();
        each_readable(read, tables::FEED, |_, feed: FeedRecord| feeds.push(feed))?;
        if feeds.len() == rows::count(read, tables::FEED)? {
            for row in damaged::<FeedNameRecord>(read, tables::FEED_NAME)? {
                if !feeds.iter().any(|feed| feed.is_called(&row.0)) {
                    self.taken_away(tables::FEED_NAME, row)?;
                }
            }
        }
        let mut digests = BTreeSet::new();
        each_readable(read, tables::API_KEY, |_, key: KeyRecord| {
            digests.insert(key.digest);
        })?;
        if digests.len() == rows::count(read, tables::API_KEY)? {
            for row in damaged::<KeyPlaceRecord>(read, tables::API_KEY_HASH)? {
                if !digests.iter().any(|digest| row.0 == digest) {
                    self.taken_away(tables::API_KEY_HASH, row)?;
                }
            }
        }
        Ok(())
    }

    /// What indexes are made of is derived again; what they keep for ever begins anew.
    fn restore_indexes(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        for table in tables::OF_INDEX {
            let mut bad = Vec::new();
            rows::each(read, table, &[], |key, value| {
                let decoded = super::index::decodes(table, key, value);
                if matches!(decoded, Err(StoreError::Damaged { .. })) {
                    bad.push((key.to_vec(), value.to_vec()));
                }
                Ok(())
            })?;
            for (key, value) in bad {
                let feed = tables::u32_at(&key, 0).unwrap_or_default();
                let types = self.store.types().clone();
                self.keep_aside(table, &key, &value)?;
                let place = key.clone();
                self.restored(table, &place, move |plan| {
                    if table == tables::SUBJECT || table == tables::STALE {
                        let (revision, changed) = (plan.sequence(), plan.now().millis());
                        return plan.put(table, key.clone(), &SubjectRecord { revision, changed });
                    }
                    plan.delete(table, key.clone());
                    if table == tables::SECRET {
                        Ok(())
                    } else {
                        index::make_dirty(plan, &types, feed)
                    }
                })?;
            }
        }
        Ok(())
    }
}

/// A file that uses a content.
struct Usage {
    blob: [u8; 32],
    version: u64,
    file: u32,
    told: UseRecord,
}

impl Usage {
    fn of(key: &[u8], value: &[u8]) -> Option<Self> {
        let (blob, _) = key.split_first_chunk::<32>()?;
        let (version, file) = (tables::u64_at(key, 32)?, tables::u32_at(key, 40)?);
        let told = codec::decode(tables::BLOB, key, value).ok()?;
        Some(Self { blob: *blob, version, file, told })
    }
}

/// The rows of a table that are damaged, not those of newer releases.
fn damaged<R: Record>(read: &dyn MetaRead, table: Table) -> Result<Vec<Bad>, StoreError> {
    let mut bad = Vec::new();
    rows::each(read, table, &[], |key, value| {
        if matches!(codec::decode::<R>(table, key, value), Err(StoreError::Damaged { .. })) {
            bad.push((key.to_vec(), value.to_vec()));
        }
        Ok(())
    })?;
    Ok(bad)
}

/// All rows that belong to a number, if they can be read.
fn all_with<R: Record>(
    read: &dyn MetaRead,
    table: Table,
    number: u64,
) -> Result<Vec<Bad>, StoreError> {
    let mut found = Vec::new();
    rows::each(read, table, &tables::number(number), |key, value| {
        if codec::decode::<R>(table, key, value).is_ok() {
            found.push((key.to_vec(), value.to_vec()));
        }
        Ok(())
    })?;
    Ok(found)
}

fn each_readable<R: Record>(
    read: &dyn MetaRead,
    table: Table,
    mut visit: impl FnMut(&[u8], R),
) -> Result<(), StoreError> {
    rows::each(read, table, &[], |key, value| {
        if let Some(record) = rows::readable(codec::decode(table, key, value))? {
            visit(key, record);
        }
        Ok(())
    })
}

/// A feed as its names tell of it. Its settings are lost; nothing of it can be overwritten until
/// somebody sets them again.
fn feed_of(names: Option<Vec<FeedNameRecord>>, deleted: bool) -> Option<FeedRecord> {
    let lost = FeedRecord {
        name: String::new(),
        alternates: Vec::new(),
        tag: String::new(),
        state: FeedState::Deleting,
        created: 0,
        description: None,
        activity: ActivityValue::Active,
        overwriting: OverwritingValue::Refused,
        delete_mode: DeleteModeValue::Unlist,
        promote_to: None,
        other: String::new(),
    };
    let Some(names) = names else { return deleted.then_some(lost) };
    let name = names.iter().find(|name| name.role == NameRole::Name).or(names.first())?;
    let alternates = names.iter().filter(|other| other.spelled != name.spelled);
    Some(FeedRecord {
        name: name.spelled.clone(),
        alternates: alternates.map(|name| name.spelled.clone()).collect(),
        tag: name.tag.clone(),
        state: FeedState::Live,
        ..lost
    })
}

/// The number of the package that a version's key names, by its row or by another version.
fn package_number(read: &dyn MetaRead, version_key: &[u8]) -> Result<Option<u64>, StoreError> {
    let key = tables::package_of(version_key).unwrap_or_default();
    if let Look::Good(record) = look::<PackageRecord>(read, tables::PACKAGE, key)? {
        return Ok(Some(record.package));
    }
    let mut number = None;
    rows::each(read, tables::VERSION, key, |place, value| {
        let record = codec::decode::<VersionRecord>(tables::VERSION, place, value);
        number = rows::readable(record)?.map(|record| record.package).or(number);
        Ok(())
    })?;
    Ok(number)
}

/// Gives a package a new revision: what was derived from it is no longer right.
fn renew(plan: &mut Plan, package: &[u8]) -> Result<(), StoreError> {
    let found = rows::left_out(plan.get::<PackageRecord>(tables::PACKAGE, package))?.flatten();
    let Some(record) = found else { return Ok(()) };
    let feed = tables::u32_at(package, 0).unwrap_or_default();
    let mut package = PackageHandle { key: package.to_vec(), record };
    versions::write_package(plan, feed, &mut package)
}

/// Writes the fragments of a file again, and what its record says of them.
fn rewrite(
    plan: &mut Plan,
    version: &[u8],
    number: u32,
    found: &NewFile,
) -> Result<(), StoreError> {
    fragments::delete(plan, &tables::fragments_of_file(version, number))?;
    for fragment in &found.fragments {
        fragment.write(plan, version, number)?;
    }
    let Some(mut record) = rows::version(plan, version)? else { return Ok(()) };
    if let Some(file) = record.files.iter_mut().find(|file| file.number == number) {
        file.history = found.history;
        file.documents.clone_from(&found.documents);
    }
    versions::write_record(plan, version, &record)?;
    renew(plan, tables::package_of(version).unwrap_or_default())
}

/// Lets the files of a repackaging that are left follow each other.
fn close_up(plan: &mut Plan, id: u64) -> Result<(), StoreError> {
    let key = tables::number(id);
    let record = rows::left_out(plan.get::<RepackagingRecord>(tables::REPACKAGING, &key))?;
    let mut parts: Vec<MoreRepackagedRecord> = Vec::new();
    let mut keys = Vec::new();
    rows::each(plan, tables::REPACKAGING_FILES, &key, |key, value| {
        keys.push(key.to_vec());
        parts.extend(rows::readable(codec::decode(tables::REPACKAGING_FILES, key, value))?);
        Ok(())
    })?;
    for key in keys {
        plan.delete(tables::REPACKAGING_FILES, key);
    }
    let Some(mut record) = record.flatten() else { return Ok(()) };
    record.more = 0;
    for part in parts {
        plan.put(tables::REPACKAGING_FILES, tables::part(id, record.more), &part)?;
        record.more += 1;
    }
    plan.put(tables::REPACKAGING, key, &record)
}
