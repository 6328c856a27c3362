//! Adding files to versions and removing them: the rows that every change of content keeps true.

use std::collections::BTreeMap;
use std::sync::Arc;

use hayloft_feed::{Arrival, CaseTwins, FeedType, FileRole, Identity, TagChange, Version};

use crate::blob_rows::{self, Source, User};
use crate::fragments::{self, PreparedFragment};
use crate::plan::Plan;
use crate::records::borrowed::VersionRow;
use crate::records::{
    DeprecationValue, DigestsValue, FacetRecord, FileValue, HistoryValue, ListingValue,
    MoreFilesRecord, OriginValue, PackageRecord, Pointer, RoleValue, StabilityValue, StatusRecord,
    VersionPlaceRecord, VersionRecord,
};
use crate::resolve::{FeedHandle, PackageHandle, StatusRow, VersionHandle, qualifiers};
use crate::tables;
use crate::{
    Direction, Kept, MetaRead, Overwrite, Overwriting, StoreError, Stored, TooLong, Want, codec,
    rows,
};

/// Most files of a version.
pub(crate) const FILES_PER_VERSION: usize = 2_000;
/// Files in one row; the rest lies in further rows.
const FILES_PER_ROW: usize = 100;
/// Bytes of the texts of these files, so that a row stays well below its limit.
const TEXT_PER_ROW: usize = 24_000;

/// A file to be added to a version.
#[derive(Debug, Clone)]
pub(crate) struct NewFile {
    pub(crate) identity: Identity,
    pub(crate) role: FileRole,
    pub(crate) file_name: String,
    pub(crate) size: u64,
    pub(crate) digests: DigestsValue,
    pub(crate) source: Source,
    pub(crate) fragments: Vec<PreparedFragment>,
    pub(crate) history: HistoryValue,
    /// Names of the documents, in the order of their kinds.
    pub(crate) documents: Vec<String>,
}

impl NewFile {
    /// Bytes that it adds to a commit, roughly.
    pub(crate) fn weight(&self) -> usize {
        let fragments: usize = self.fragments.iter().map(PreparedFragment::weight).sum();
        self.source.weight() + fragments + 4_096
    }
}

/// What holds for all files that one operation adds to a version.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) overwrite: Overwrite,
    pub(crate) published_by: String,
    /// When, in milliseconds; `None` is now.
    pub(crate) published: Option<i64>,
    pub(crate) origin: OriginValue,
    pub(crate) arrival: Arrival,
    /// Tags to point at the version.
    pub(crate) tags: Vec<String>,
    /// Listing and deprecation of a version that is new.
    pub(crate) listing: ListingValue,
    pub(crate) deprecated: Option<DeprecationValue>,
}

/// A version with the files that were to be added.
#[derive(Debug, Clone)]
pub(crate) struct Added {
    pub(crate) version: VersionHandle,
    /// For each file in the order given: its place in the version and what became of it.
    pub(crate) files: Vec<(usize, Stored)>,
    /// SHA-256 of the bytes that were replaced, if any.
    pub(crate) replaced: Option<[u8; 32]>,
}

/// Files cannot be added.
#[derive(Debug)]
pub(crate) enum AddError {
    Conflict {
        package: String,
    },
    CaseTwin {
        name: String,
        existing: String,
    },
    NoVersion {
        package: String,
    },
    TooManyFiles {
        package: String,
    },
    TooLong(TooLong),
    /// A content has to be published again.
    Gone(usize),
    Store(StoreError),
}

impl From<TooLong> for AddError {
    fn from(error: TooLong) -> Self {
        Self::TooLong(error)
    }
}

impl From<StoreError> for AddError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Adds files of one version, or replaces them; all or none.
pub(crate) fn add_files(
    plan: &mut Plan,
    feed: &FeedHandle,
    feed_type: &Arc<dyn FeedType>,
    files: &[NewFile],
    terms: &Terms,
) -> Result<Added, AddError> {
    let Some(first) = files.first() else {
        return Err(StoreError::damaged("a version without files").into());
    };
    let has_package = files.iter().any(|file| file.role == FileRole::Package);
    let mut version = match find(plan, feed, &first.identity)? {
        Some(found) => found,
        None if has_package => begin(plan, feed, feed_type, &first.identity, terms)?,
        None => return Err(AddError::NoVersion { package: shown(&first.identity) }),
    };
    let mut added = Vec::with_capacity(files.len());
    let mut replaced = None;
    for (at, file) in files.iter().enumerate() {
        let (place, stored) = add_file(plan, feed, &mut version, file, terms, &mut replaced)
            .map_err(|error| match error {
                AddError::Gone(_) => AddError::Gone(at),
                other => other,
            })?;
        added.push((place, stored));
    }
    let unchanged = added.iter().all(|(_, stored)| *stored == Stored::Unchanged);
    if !unchanged {
        for (place, _) in added.iter().filter(|(_, stored)| *stored != Stored::Unchanged) {
            if let Some(file) = version.record.files.get(*place) {
                remember(plan, feed, feed_type, file)?;
            }
        }
        write_version(plan, feed.id, &version)?;
    }
    let tagged = set_tags(&mut version.package.record, &version.record.text, &terms.tags);
    if !unchanged || tagged {
        let arrived = (!unchanged).then(|| (terms.arrival, version.version()));
        retag(plan, feed_type.as_ref(), &mut version.package, arrived.as_ref())?;
        check_tags(&version.package.record)?;
        write_package(plan, feed.id, &mut version.package)?;
    }
    Ok(Added { version, files: added, replaced })
}

fn shown(identity: &Identity) -> String {
    let Identity { package, version, qualifiers } = identity;
    crate::select::shown(&package.spelled(), version.text(), qualifiers)
}

/// The version that an identity names, if it is there.
pub(crate) fn find(
    read: &dyn MetaRead,
    feed: &FeedHandle,
    identity: &Identity,
) -> Result<Option<VersionHandle>, StoreError> {
    let key = tables::package(feed.id, identity.package.key().as_bytes());
    let Some(record) = rows::get(read, tables::PACKAGE, &key)? else { return Ok(None) };
    let package = PackageHandle { key, record };
    let key = version_key(&package, &identity.version);
    VersionHandle::read(read, package, key)
}

fn version_key(package: &PackageHandle, version: &Version) -> Vec<u8> {
    let suffix = tables::version_suffix(version.sort_key().as_bytes(), version.identity());
    tables::version(&package.key, &suffix)
}

/// A new version without files, and its package if that is new too.
fn begin(
    plan: &mut Plan,
    feed: &FeedHandle,
    feed_type: &Arc<dyn FeedType>,
    identity: &Identity,
    terms: &Terms,
) -> Result<VersionHandle, AddError> {
    let key = tables::package(feed.id, identity.package.key().as_bytes());
    let mut package = match plan.get::<PackageRecord>(tables::PACKAGE, &key)? {
        Some(record) => PackageHandle { key, record },
        None => begin_package(plan, feed, feed_type, identity, key)?,
    };
    plan.counters().version += 1;
    let number = plan.counters().version;
    let key = version_key(&package, &identity.version);
    let suffix = key.get(package.key.len()..).unwrap_or_default().to_vec();
    let pointer = Pointer { suffix, text: identity.version.text().to_owned() };
    let stability = StabilityValue::from(identity.version.stability());
    let record = &mut package.record;
    raise(&mut record.latest, &pointer);
    if stability == StabilityValue::Stable {
        raise(&mut record.latest_stable, &pointer);
    }
    record.versions += 1;
    plan.change_totals(feed.id, |totals| totals.versions += 1)?;
    let place = VersionPlaceRecord { feed: feed.id, key: key.clone() };
    plan.put(tables::VERSION_ID, tables::number(number), &place)?;
    let record = VersionRecord {
        version: number,
        package: package.record.package,
        text: identity.version.text().to_owned(),
        identity: identity.version.identity().to_owned(),
        stability,
        created: terms.published.unwrap_or_else(|| plan.now().millis()),
        origin: terms.origin.clone(),
        next_file: 0,
        more: 0,
        files: Vec::new(),
    };
    let status = StatusRecord {
        listing: terms.listing,
        deprecated: terms.deprecated.clone(),
        ..StatusRecord::of_new(record.created)
    };
    if status != StatusRecord::of_new(record.created) {
        plan.put(tables::STATUS, key.clone(), &status)?;
    }
    Ok(VersionHandle { package, key, record, status: StatusRow::Known(status) })
}

fn raise(pointer: &mut Option<Pointer>, candidate: &Pointer) {
    if pointer.as_ref().is_none_or(|current| candidate.suffix > current.suffix) {
        *pointer = Some(candidate.clone());
    }
}

fn begin_package(
    plan: &mut Plan,
    feed: &FeedHandle,
    feed_type: &Arc<dyn FeedType>,
    identity: &Identity,
    key: Vec<u8>,
) -> Result<PackageHandle, AddError> {
    let name_key = identity.package.key();
    if feed_type.case_twins() == CaseTwins::Refused
        && let Some(twin) = feed.case_twins(plan, name_key)?.first()
    {
        return Err(AddError::CaseTwin {
            name: identity.package.spelled(),
            existing: twin.spelled(),
        });
    }
    let lower = name_key.without_case();
    if lower != name_key.as_bytes() {
        let key = tables::package_case(feed.id, &lower, name_key.as_bytes());
        plan.put_entry(tables::PACKAGE_CASE, key)?;
    }
    plan.counters().package += 1;
    plan.change_totals(feed.id, |totals| totals.packages += 1)?;
    let now = plan.now().millis();
    let record = PackageRecord {
        package: plan.counters().package,
        group: identity.package.group().to_owned(),
        name: identity.package.name().to_owned(),
        versions: 0,
        latest: None,
        latest_stable: None,
        tags: Vec::new(),
        created: now,
        changed: now,
        revision: 0,
    };
    Ok(PackageHandle { key, record })
}

fn add_file(
    plan: &mut Plan,
    feed: &FeedHandle,
    version: &mut VersionHandle,
    file: &NewFile,
    terms: &Terms,
    replaced: &mut Option<[u8; 32]>,
) -> Result<(usize, Stored), AddError> {
    let role = RoleValue::from(file.role);
    let key = file.identity.qualifiers.key();
    let same =
        |known: &FileValue| known.role == role && known.qualifiers.to_ascii_lowercase() == key;
    let spelled_otherwise = |known: &FileValue| {
        let feed_type = feed.feed_type.as_ref().filter(|_| known.role == role);
        feed_type.is_some_and(|feed_type| {
            let known = qualifiers(known);
            known.is_ok_and(|known| feed_type.are_one_file(&known, &file.identity.qualifiers))
        })
    };
    let files = version.record.files.iter();
    let place = files.clone().position(same).or_else(|| files.clone().position(spelled_otherwise));
    let Some((place, known)) =
        place.and_then(|place| Some((place, version.record.files.get(place)?.clone())))
    else {
        if version.record.files.len() >= FILES_PER_VERSION {
            return Err(AddError::TooManyFiles { package: shown(&file.identity) });
        }
        let number = version.record.next_file;
        version.record.next_file += 1;
        let mut value = write_file(plan, version, number, file, terms)?;
        if version.record.origin != terms.origin && terms.origin != OriginValue::Uploaded {
            value.published_by.clear();
        }
        count_file(plan, feed.id, 1, value.size)?;
        version.record.files.push(value);
        return Ok((version.record.files.len() - 1, Stored::Created));
    };
    if known.digests.blake3 == file.digests.blake3 {
        heal_damaged(plan, version.record.version, &known, file)?;
        return Ok((place, Stored::Unchanged));
    }
    let feed_allows = feed.record.overwriting == Overwriting::Allowed.into();
    if terms.overwrite == Overwrite::Refuse || !feed_allows {
        return Err(AddError::Conflict { package: shown(&file.identity) });
    }
    fragments::delete(plan, &tables::fragments_of_file(&version.key, known.number))?;
    let value = write_file(plan, version, known.number, file, terms)?;
    let user = User { version: version.record.version, file: known.number };
    blob_rows::release_blob(plan, &known.digests.key(), user)?;
    forget(plan, feed.id, &known)?;
    count_file(plan, feed.id, -1, known.size)?;
    count_file(plan, feed.id, 1, value.size)?;
    *replaced = Some(known.digests.sha256);
    if version.record.origin != terms.origin {
        forget_makers(&mut version.record);
        version.record.origin = terms.origin.clone();
    }
    if let Some(slot) = version.record.files.get_mut(place) {
        *slot = value;
    }
    Ok((place, Stored::Replaced))
}

/// Who brought files from another feed is told to those alone who see that feed, which the version
/// remembers. Once it has another origin, only the record of the step tells it.
fn forget_makers(record: &mut VersionRecord) {
    if record.origin != OriginValue::Uploaded {
        record.files.iter_mut().for_each(|file| file.published_by.clear());
    }
}

/// Lets the same bytes, sent again, take the place of damaged ones.
fn heal_damaged(
    plan: &mut Plan,
    version: u64,
    known: &FileValue,
    file: &NewFile,
) -> Result<(), AddError> {
    let record = blob_rows::of_file(plan, &known.digests)?;
    if record.health == crate::records::Health::Damaged {
        let user = User { version, file: known.number };
        blob_rows::use_blob(
            plan,
            &known.digests,
            known.size,
            &file.source,
            user,
            &known.qualifiers,
        )?
        .map_err(|blob_rows::Gone| AddError::Gone(0))?;
    }
    Ok(())
}

fn count_file(plan: &mut Plan, feed: u32, files: i64, size: u64) -> Result<(), StoreError> {
    let bytes = i64::try_from(size).unwrap_or(i64::MAX).saturating_mul(files);
    plan.change_totals(feed, |totals| {
        totals.files += files;
        totals.bytes = totals.bytes.saturating_add(bytes);
    })
}

fn write_file(
    plan: &mut Plan,
    version: &VersionHandle,
    number: u32,
    file: &NewFile,
    terms: &Terms,
) -> Result<FileValue, AddError> {
    let user = User { version: version.record.version, file: number };
    let qualifiers = file.identity.qualifiers.to_string();
    blob_rows::use_blob(plan, &file.digests, file.size, &file.source, user, &qualifiers)?
        .map_err(|blob_rows::Gone| AddError::Gone(0))?;
    for fragment in &file.fragments {
        fragment.write(plan, &version.key, number)?;
    }
    Ok(FileValue {
        number,
        role: file.role.into(),
        qualifiers,
        file_name: file.file_name.clone(),
        size: file.size,
        digests: file.digests,
        published: terms.published.unwrap_or_else(|| plan.now().millis()),
        published_by: terms.published_by.clone(),
        history: file.history,
        documents: file.documents.clone(),
    })
}

/// Counts the qualifiers of a new file that its type wants remembered.
fn remember(
    plan: &mut Plan,
    feed: &FeedHandle,
    feed_type: &Arc<dyn FeedType>,
    file: &FileValue,
) -> Result<(), StoreError> {
    let qualifiers = qualifiers(file)?;
    for name in feed_type.remembered_qualifiers() {
        if let Some(value) = qualifiers.get(name) {
            let key = tables::facet(feed.id, name, value);
            // A damaged one is left for verification to count again.
            if let Some(known) = rows::left_out(plan.get(tables::FACET, &key))? {
                let FacetRecord(count) = known.unwrap_or(FacetRecord(0));
                plan.put(tables::FACET, key, &FacetRecord(count + 1))?;
            }
        }
    }
    Ok(())
}

/// Takes back what [`remember`] counted; needs no type, so that files of unknown ones can go.
fn forget(plan: &mut Plan, feed: u32, file: &FileValue) -> Result<(), StoreError> {
    for (name, value) in qualifiers(file)?.iter() {
        let key = tables::facet(feed, name, value);
        match rows::left_out(plan.get(tables::FACET, &key))?.flatten() {
            None => {}
            Some(FacetRecord(0 | 1)) => plan.delete(tables::FACET, key),
            Some(FacetRecord(count)) => plan.put(tables::FACET, key, &FacetRecord(count - 1))?,
        }
    }
    Ok(())
}

/// Writes a version's row and the rows for files beyond the first hundred.
pub(crate) fn write_version(
    plan: &mut Plan,
    feed: u32,
    version: &VersionHandle,
) -> Result<(), StoreError> {
    plan.touch(feed, &version.package.key, Some(&version.key))?;
    write_record(plan, &version.key, &version.record)?;
    plan.touch_feed(feed)
}

/// The same without what follows from it.
pub(crate) fn write_record(
    plan: &mut Plan,
    key: &[u8],
    record: &VersionRecord,
) -> Result<(), StoreError> {
    let mut parts = in_rows(&record.files).into_iter();
    let first = parts.next().unwrap_or_default().to_vec();
    let mut more = 0_u16;
    for part in parts {
        let key = tables::part(record.version, more);
        let part = MoreFilesRecord(part.to_vec());
        let same = match plan.get(tables::VERSION_FILES, &key) {
            Err(StoreError::Damaged { .. }) => false,
            found => found?.as_ref() == Some(&part),
        };
        if !same {
            plan.put(tables::VERSION_FILES, key, &part)?;
        }
        more += 1;
    }
    for stale in more..record.more {
        plan.delete(tables::VERSION_FILES, tables::part(record.version, stale));
    }
    let row = VersionRecord { files: first, more, ..record.clone() };
    plan.put(tables::VERSION, key.to_vec(), &row)
}

/// The files of a version as rows hold them.
fn in_rows(files: &[FileValue]) -> Vec<&[FileValue]> {
    let mut rows = Vec::new();
    let mut rest = files;
    while !rest.is_empty() {
        let mut text = 0;
        let fits = rest.iter().take(FILES_PER_ROW).take_while(|file| {
            text += file.qualifiers.len() + file.file_name.len() + file.published_by.len();
            text += file.documents.iter().map(|name| name.len() + 1).sum::<usize>();
            text <= TEXT_PER_ROW
        });
        let (row, others) = rest.split_at(fits.count().max(1));
        rows.push(row);
        rest = others;
    }
    rows
}

/// Writes a package's row with a new revision.
pub(crate) fn write_package(
    plan: &mut Plan,
    feed: u32,
    package: &mut PackageHandle,
) -> Result<(), StoreError> {
    plan.touch(feed, &package.key, None)?;
    package.record.revision = plan.sequence();
    package.record.changed = plan.now().millis();
    plan.put(tables::PACKAGE, package.key.clone(), &package.record)?;
    plan.touch_feed(feed)
}

/// Refuses more tags than a package's row holds.
pub(crate) fn check_tags(package: &PackageRecord) -> Result<(), TooLong> {
    Kept::Tags.check(package.tags.len())?;
    Kept::TagTexts.check(package.tags.iter().map(|(tag, version)| tag.len() + version.len()).sum())
}

/// Points tags at a version; true if any pointed elsewhere.
pub(crate) fn set_tags(package: &mut PackageRecord, version: &str, tags: &[String]) -> bool {
    let mut map: BTreeMap<String, String> = package.tags.drain(..).collect();
    let mut changed = false;
    for tag in tags {
        changed |= map.insert(tag.clone(), version.to_owned()).as_deref() != Some(version);
    }
    package.tags = map.into_iter().collect();
    changed
}

/// Lets the feed type move tags after a change of versions or of their status.
///
/// It sees the versions that are listed and not blocked: a tag that follows must not point at what
/// no client can find or get.
pub(crate) fn retag(
    plan: &Plan,
    feed_type: &dyn FeedType,
    package: &mut PackageHandle,
    arrived: Option<&(Arrival, Version)>,
) -> Result<(), StoreError> {
    let record = &package.record;
    let highest = visible(plan, feed_type, &package.key, record.latest.as_ref(), |_| true)?;
    let stable = visible(plan, feed_type, &package.key, record.latest_stable.as_ref(), |found| {
        found.stability == StabilityValue::Stable
    })?;
    let tags: BTreeMap<String, String> = package.record.tags.drain(..).collect();
    let mut change = TagChange::new(&tags).highest(highest.as_ref(), stable.as_ref());
    if let Some((arrival, version)) = arrived {
        change = change.arrived(*arrival, version);
    }
    package.record.tags = feed_type.tags(&change).into_iter().collect();
    Ok(())
}

/// The highest version that passes `filter` and is listed and not blocked, begun at a pointer that
/// nearly always is the one.
fn visible(
    plan: &Plan,
    feed_type: &dyn FeedType,
    package_key: &[u8],
    pointer: Option<&Pointer>,
    filter: impl Fn(&VersionRow<'_>) -> bool,
) -> Result<Option<Version>, StoreError> {
    let Some(pointer) = pointer else { return Ok(None) };
    let is_visible = |key: &[u8]| -> Result<bool, StoreError> {
        let Some(_) = plan.get_bytes(tables::STATUS, key)? else { return Ok(true) };
        let record = rows::left_out(rows::get(plan, tables::VERSION, key))?.flatten();
        let Some(record) = record else { return Ok(false) };
        let status = crate::index::status_of(plan, key, &record)?;
        Ok(status.is_listed() && !status.is_blocked())
    };
    let version = |pointer: &Pointer| feed_type.lookup_version(&pointer.text).ok();
    if is_visible(&tables::version(package_key, &pointer.suffix))? {
        return Ok(version(pointer));
    }
    let mut failed = None;
    let found = highest(plan, package_key, |key, record| {
        filter(record)
            && failed.is_none()
            && is_visible(key).unwrap_or_else(|error| {
                failed = Some(error);
                false
            })
    })?;
    match failed {
        Some(error) => Err(error),
        None => Ok(found.as_ref().and_then(version)),
    }
}

/// How much [`remove_files`] left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Other package files of the version.
    Files,
    /// Other versions of the package.
    Versions,
    /// Nothing of the package.
    Nothing,
}

/// Removes files of a version; the version goes with its last package file, and with it all
/// companions. Gives what is left and how many files went.
pub(crate) fn remove_files(
    plan: &mut Plan,
    feed: &FeedHandle,
    mut version: VersionHandle,
    doomed: &[usize],
) -> Result<(Left, usize), StoreError> {
    let keeps =
        |at: usize, file: &FileValue| file.role == RoleValue::Package && !doomed.contains(&at);
    let survives = version.record.files.iter().enumerate().any(|(at, file)| keeps(at, file));
    plan.expect(|| removal_wanted(&version))?;
    let mut kept = Vec::new();
    let mut removed = 0;
    for (at, file) in std::mem::take(&mut version.record.files).into_iter().enumerate() {
        if survives && !doomed.contains(&at) {
            kept.push(file);
        } else {
            remove_file(plan, feed.id, &version, &file)?;
            removed += 1;
        }
    }
    version.record.files = kept;
    if survives {
        write_version(plan, feed.id, &version)?;
        write_package(plan, feed.id, &mut version.package)?;
        return Ok((Left::Files, removed));
    }
    let left = remove_version(plan, feed, version)?;
    Ok((left, removed))
}

/// What the removal of a version is going to read.
fn removal_wanted(version: &VersionHandle) -> Vec<Want> {
    let of_file = |file: &FileValue| {
        let blob = file.digests.key();
        let usage = tables::blob_use(&blob, version.record.version, file.number);
        [
            Want::Row(tables::BLOB, usage),
            Want::Row(tables::BLOB, blob.0.to_vec()),
            blob_rows::other_use_wanted(&blob),
            fragments::wanted(&version.key, file.number),
            Want::Row(tables::DOWNLOADS, tables::downloads(&version.key, file.number)),
        ]
    };
    let highest = highest_wanted(&version.package.key);
    version.record.files.iter().flat_map(of_file).chain([highest]).collect()
}

fn remove_file(
    plan: &mut Plan,
    feed: u32,
    version: &VersionHandle,
    file: &FileValue,
) -> Result<(), StoreError> {
    let user = User { version: version.record.version, file: file.number };
    blob_rows::release_blob(plan, &file.digests.key(), user)?;
    fragments::delete(plan, &tables::fragments_of_file(&version.key, file.number))?;
    forget(plan, feed, file)?;
    count_file(plan, feed, -1, file.size)?;
    let key = tables::downloads(&version.key, file.number);
    let count = rows::left_out(rows::counter(plan, tables::DOWNLOADS, &key))?.unwrap_or_default();
    plan.add(tables::DOWNLOADS, version.package.key.clone(), -count)?;
    plan.delete(tables::DOWNLOADS, key);
    Ok(())
}

fn remove_version(
    plan: &mut Plan,
    feed: &FeedHandle,
    version: VersionHandle,
) -> Result<Left, StoreError> {
    let VersionHandle { package, key, record, .. } = version;
    plan.touch(feed.id, &package.key, Some(&key))?;
    for part in 0..record.more {
        plan.delete(tables::VERSION_FILES, tables::part(record.version, part));
    }
    plan.delete(tables::VERSION, key.clone());
    plan.delete(tables::STATUS, key.clone());
    plan.delete(tables::VERSION_ID, tables::number(record.version));
    plan.change_totals(feed.id, |totals| totals.versions -= 1)?;
    leave_package(plan, feed, package, &key, &record.text)
}

/// Removes what is left of a version whose rows cannot all be read. The contents of files that are
/// not known stay, and so does what counts them, for verification to judge.
pub(crate) fn remove_damaged(plan: &mut Plan, feed: u32, key: &[u8]) -> Result<(), StoreError> {
    let package = tables::package_of(key).unwrap_or_default();
    plan.touch(feed, package, Some(key))?;
    let known = rows::left_out(plan.get::<VersionRecord>(tables::VERSION, key))?.flatten();
    if let Some(record) = known {
        for file in &record.files {
            let user = User { version: record.version, file: file.number };
            blob_rows::release_blob(plan, &file.digests.key(), user)?;
            rows::left_out(forget(plan, feed, file))?;
            count_file(plan, feed, -1, file.size)?;
        }
        for part in 0..record.more {
            plan.delete(tables::VERSION_FILES, tables::part(record.version, part));
        }
        plan.delete(tables::VERSION_ID, tables::number(record.version));
    }
    plan.delete(tables::VERSION, key.to_vec());
    plan.delete(tables::STATUS, key.to_vec());
    fragments::delete(plan, &tables::fragments_of_version(key))?;
    let mut counts = Vec::new();
    rows::each(plan, tables::DOWNLOADS, &tables::downloads_of(key), |key, _| {
        counts.push(key.to_vec());
        Ok(())
    })?;
    for count in counts {
        plan.delete(tables::DOWNLOADS, count);
    }
    plan.change_totals(feed, |totals| totals.versions -= 1)
}

/// The same, and its package no longer has it.
pub(crate) fn remove_damaged_version(
    plan: &mut Plan,
    feed: &FeedHandle,
    package: PackageHandle,
    key: &[u8],
    text: &str,
) -> Result<Left, StoreError> {
    remove_damaged(plan, feed.id, key)?;
    leave_package(plan, feed, package, key, text)
}

/// Lets a package know that it has lost a version, and removes it with its last one.
fn leave_package(
    plan: &mut Plan,
    feed: &FeedHandle,
    mut package: PackageHandle,
    key: &[u8],
    text: &str,
) -> Result<Left, StoreError> {
    let suffix = key.get(package.key.len()..).unwrap_or_default();
    let points_here =
        |pointer: &Option<Pointer>| pointer.as_ref().is_some_and(|held| held.suffix == suffix);
    if points_here(&package.record.latest) {
        package.record.latest = highest(plan, &package.key, |_, _| true)?;
    }
    if points_here(&package.record.latest_stable) {
        package.record.latest_stable =
            highest(plan, &package.key, |_, found| found.stability == StabilityValue::Stable)?;
    }
    package.record.versions = package.record.versions.saturating_sub(1);
    if package.record.latest.is_none() {
        remove_package(plan, feed.id, &package)?;
        return Ok(Left::Nothing);
    }
    package.record.tags.retain(|(_, tagged)| tagged != text);
    if let Some(feed_type) = &feed.feed_type {
        retag(plan, feed_type.as_ref(), &mut package, None)?;
    }
    write_package(plan, feed.id, &mut package)?;
    Ok(Left::Versions)
}

/// What [`highest`] is going to read first in a plan that adds or removes one version.
pub(crate) fn highest_wanted(package_key: &[u8]) -> Want {
    Want::Range(tables::VERSION, tables::prefixed(package_key), Direction::Backward, 2)
}

/// The highest version that passes `filter`, of those whose rows can be read.
pub(crate) fn highest(
    read: &dyn MetaRead,
    package_key: &[u8],
    mut filter: impl FnMut(&[u8], &VersionRow<'_>) -> bool,
) -> Result<Option<Pointer>, StoreError> {
    // Nearly always the first will do.
    let mut limit = 1;
    let mut range = tables::prefixed(package_key);
    loop {
        let page = read.scan(tables::VERSION, range, Direction::Backward, limit)?;
        for (key, value) in &page {
            let row = rows::left_out(codec::decode_borrowed(tables::VERSION, key, value))?;
            if let Some(row) = row.filter(|row| filter(key, row)) {
                let suffix = key.get(package_key.len()..).unwrap_or_default().to_vec();
                return Ok(Some(Pointer { suffix, text: row.text.to_owned() }));
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == limit => {
                range = tables::prefixed_before(package_key, key);
                limit = (limit * 2).min(256);
            }
            _ => return Ok(None),
        }
    }
}

fn remove_package(plan: &mut Plan, feed: u32, package: &PackageHandle) -> Result<(), StoreError> {
    plan.delete(tables::PACKAGE, package.key.clone());
    plan.delete(tables::DOWNLOADS, package.key.clone());
    let name_key = package.name_key();
    let lower = name_key.to_ascii_lowercase();
    if lower != name_key {
        plan.delete(tables::PACKAGE_CASE, tables::package_case(feed, &lower, name_key));
    }
    plan.change_totals(feed, |totals| totals.packages -= 1)
}
