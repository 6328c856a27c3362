//! From what a caller typed to rows.

use std::sync::Arc;

use hayloft_feed::{
    FeedType, FeedTypeError, Identity, NameKey, PackageName, Qualifiers, SortKey, Version,
};

use crate::records::borrowed::{FileRow, VersionRow};
use crate::records::{
    FeedNameRecord, FeedRecord, FeedState, FileValue, PackageRecord, Pointer, StatusRecord,
    VersionPlaceRecord, VersionRecord,
};
use crate::tables;
use crate::{
    After, Direction, Feed, FeedTypes, LookupError, MetaRead, NoSuchFeed, SelectError, Selector,
    Status, StoreError, UnknownFeedType, Want, Wanted, codec, rows,
};

/// How many names an ambiguous name lists.
const NAMES_SHOWN: usize = 20;

/// A live feed.
#[derive(Debug, Clone)]
pub(crate) struct FeedHandle {
    pub(crate) id: u32,
    pub(crate) record: FeedRecord,
    pub(crate) feed_type: Option<Arc<dyn FeedType>>,
}

/// A package and the prefix of its versions' keys.
#[derive(Debug, Clone)]
pub(crate) struct PackageHandle {
    pub(crate) key: Vec<u8>,
    pub(crate) record: PackageRecord,
}

/// A version with all its files.
#[derive(Debug, Clone)]
pub(crate) struct VersionHandle {
    pub(crate) package: PackageHandle,
    pub(crate) key: Vec<u8>,
    pub(crate) record: VersionRecord,
    pub(crate) status: StatusRow,
}

/// What the rows say of a version's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StatusRow {
    Known(StatusRecord),
    /// Damaged: the version can be deleted or given another status, and nothing else.
    Damaged,
}

impl StatusRow {
    /// The row's value, if there is one; `None` is a version as it came.
    pub(crate) fn of(
        found: Result<Option<StatusRecord>, StoreError>,
        version: &VersionRecord,
    ) -> Result<Self, StoreError> {
        match found {
            Ok(Some(status)) => Ok(Self::Known(status)),
            Ok(None) => Ok(Self::Known(StatusRecord::of_new(version.created))),
            Err(StoreError::Damaged { .. }) => Ok(Self::Damaged),
            Err(error) => Err(error),
        }
    }
}

/// The bytes by which feed names are one.
pub(crate) fn folded(name: &str) -> Vec<u8> {
    name.to_ascii_lowercase().into_bytes()
}

impl FeedHandle {
    /// A feed by name or alternate name.
    pub(crate) fn find(
        read: &dyn MetaRead,
        types: &FeedTypes,
        name: &str,
    ) -> Result<Self, LookupError> {
        let missing = || NoSuchFeed { name: name.to_owned() };
        let id = Self::number_of(read, name)?.ok_or_else(missing)?;
        Ok(Self::by_id(read, types, id)?.ok_or_else(missing)?)
    }

    /// The number of the feed that has a name or alternate name. If the row that tells it is
    /// damaged, the feeds themselves do.
    pub(crate) fn number_of(read: &dyn MetaRead, name: &str) -> Result<Option<u32>, StoreError> {
        let key = folded(name);
        match rows::get(read, tables::FEED_NAME, &key) {
            Err(StoreError::Damaged { .. }) => {}
            found => return Ok(found?.map(|found: FeedNameRecord| found.feed)),
        }
        let mut found = None;
        rows::each(read, tables::FEED, &[], |row, value| {
            let record = rows::left_out(codec::decode::<FeedRecord>(tables::FEED, row, value))?;
            if record.is_some_and(|record| record.is_called(&key)) {
                found = tables::u32_at(row, 0);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// A feed by number, if it is there and not being deleted.
    pub(crate) fn by_id(
        read: &dyn MetaRead,
        types: &FeedTypes,
        id: u32,
    ) -> Result<Option<Self>, StoreError> {
        let record: Option<FeedRecord> = rows::get(read, tables::FEED, &tables::feed(id))?;
        let live = record.filter(|record| record.state == FeedState::Live);
        Ok(live.map(|record| Self::of(types, id, record)))
    }

    /// A feed by its row.
    pub(crate) fn of(types: &FeedTypes, id: u32, record: FeedRecord) -> Self {
        let feed_type = types.get(&record.tag).cloned();
        Self { id, record, feed_type }
    }

    /// The feed for callers.
    pub(crate) fn shown(&self) -> Feed {
        let draft = self.record.draft();
        Feed {
            id: self.id,
            name: draft.name,
            alternates: draft.alternates,
            package_type: self
                .feed_type
                .as_ref()
                .map_or_else(|| draft.feed_type.clone(), |known| known.package_type().to_owned()),
            feed_type: draft.feed_type,
            settings: draft.settings,
            created: crate::Timestamp::from_millis(self.record.created),
        }
    }

    /// The type, which changes of content need.
    pub(crate) fn known_type(&self) -> Result<&Arc<dyn FeedType>, UnknownFeedType> {
        self.feed_type.as_ref().ok_or_else(|| UnknownFeedType {
            feed: self.record.name.clone(),
            tag: self.record.tag.clone(),
        })
    }

    /// The package that a group and name mean; `None` if there is none.
    pub(crate) fn package(
        &self,
        read: &dyn MetaRead,
        group: &str,
        name: &str,
    ) -> Result<Option<PackageHandle>, SelectError> {
        let key = match &self.feed_type {
            Some(feed_type) => feed_type.package_name(group, name)?.key().clone(),
            // Without its type only the stored spelling can be compared.
            None => match NameKey::new(group, name) {
                Ok(key) => key,
                Err(_) => return Ok(None),
            },
        };
        if let Some(found) = self.package_by_key(read, key.as_bytes())? {
            return Ok(Some(found));
        }
        let mut twins = self.case_twins(read, &key)?;
        if twins.is_empty() && self.feed_type.is_none() {
            twins = self.spelled_alike(read, group, name)?;
        }
        match twins.len() {
            0 | 1 => Ok(twins.pop()),
            _ => Err(SelectError::AmbiguousName {
                package: hayloft_feed::shorten(name),
                names: twins.iter().map(PackageHandle::spelled).collect(),
            }),
        }
    }

    /// Where the row of a package lies, or would lie.
    pub(crate) fn package_key(&self, group: &str, name: &str) -> Result<Vec<u8>, SelectError> {
        let key = match &self.feed_type {
            Some(feed_type) => feed_type.package_name(group, name)?.key().clone(),
            None => {
                NameKey::new(group, name).map_err(|error| FeedTypeError::name("", name, error))?
            }
        };
        Ok(tables::package(self.id, key.as_bytes()))
    }

    /// The package whose row lies at `key`.
    pub(crate) fn package_at(
        read: &dyn MetaRead,
        key: Vec<u8>,
    ) -> Result<Option<PackageHandle>, StoreError> {
        let record = rows::get(read, tables::PACKAGE, &key)?;
        Ok(record.map(|record| PackageHandle { key, record }))
    }

    /// Where the version of a row lies, or lay; `None` if nothing tells.
    pub(crate) fn version_key(
        &self,
        read: &dyn MetaRead,
        package: &[u8],
        row: &After,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let number = tables::number(row.file.version);
        let place: Option<VersionPlaceRecord> = rows::get(read, tables::VERSION_ID, &number)?;
        if let Some(place) = place.filter(|place| place.key.starts_with(package)) {
            return Ok(Some(place.key));
        }
        let known = self.feed_type.as_ref();
        let version = known.and_then(|known| known.lookup_version(&row.version).ok());
        Ok(version.map(|version| {
            let suffix = tables::version_suffix(version.sort_key().as_bytes(), version.identity());
            tables::version(package, &suffix)
        }))
    }

    fn package_by_key(
        &self,
        read: &dyn MetaRead,
        name_key: &[u8],
    ) -> Result<Option<PackageHandle>, StoreError> {
        let key = tables::package(self.id, name_key);
        let record = rows::get(read, tables::PACKAGE, &key)?;
        Ok(record.map(|record| PackageHandle { key, record }))
    }

    /// Packages whose key differs from `key` in ASCII case alone, at most as many as are shown.
    pub(crate) fn case_twins(
        &self,
        read: &dyn MetaRead,
        key: &NameKey,
    ) -> Result<Vec<PackageHandle>, StoreError> {
        let lower = key.without_case();
        let mut twins = Vec::new();
        if lower != key.as_bytes() {
            twins.extend(self.package_by_key(read, &lower)?);
        }
        let prefix = tables::package_case(self.id, &lower, &[]);
        let rows = read.scan(
            tables::PACKAGE_CASE,
            tables::prefixed(&prefix),
            Direction::Forward,
            NAMES_SHOWN,
        )?;
        for (row, _) in rows {
            let spelled = row.get(prefix.len()..).unwrap_or_default();
            if spelled != key.as_bytes() {
                twins.extend(self.package_by_key(read, spelled)?);
            }
        }
        Ok(twins)
    }

    /// Packages with this display name, found by looking at all: only for feeds of unknown type.
    fn spelled_alike(
        &self,
        read: &dyn MetaRead,
        group: &str,
        name: &str,
    ) -> Result<Vec<PackageHandle>, StoreError> {
        let mut found = Vec::new();
        rows::each(read, tables::PACKAGE, &tables::feed(self.id), |key, value| {
            let record: PackageRecord = crate::codec::decode(tables::PACKAGE, key, value)?;
            let alike =
                record.group.eq_ignore_ascii_case(group) && record.name.eq_ignore_ascii_case(name);
            if alike && found.len() < NAMES_SHOWN {
                found.push(PackageHandle { key: key.to_vec(), record });
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The version that a text means; `None` if there is none.
    pub(crate) fn version(
        &self,
        read: &dyn MetaRead,
        package: &PackageHandle,
        wanted: &Wanted,
    ) -> Result<Option<VersionHandle>, SelectError> {
        let pointed = |pointer: &Option<Pointer>| {
            pointer.as_ref().map(|pointer| tables::version(&package.key, &pointer.suffix))
        };
        match wanted {
            Wanted::Latest => Ok(load(read, package, pointed(&package.record.latest))?),
            Wanted::LatestStable => {
                Ok(load(read, package, pointed(&package.record.latest_stable))?)
            }
            Wanted::Exact(text) => self.exact_version(read, package, text),
        }
    }

    /// What looking for a version of a package and for what lies beside it is going to read.
    pub(crate) fn version_wants(&self, package: &PackageHandle, wanted: &Wanted) -> Vec<Want> {
        let pointer = match wanted {
            Wanted::Latest => &package.record.latest,
            Wanted::LatestStable => &package.record.latest_stable,
            Wanted::Exact(text) => return self.exact_wants(&package.key, text),
        };
        let suffix = pointer.as_ref().map(|pointer| pointer.suffix.as_slice());
        suffix.map_or(Vec::new(), |suffix| card_wants(&package.key, suffix))
    }

    fn exact_wants(&self, package: &[u8], text: &str) -> Vec<Want> {
        let version = self.feed_type.as_ref().and_then(|known| known.lookup_version(text).ok());
        version.map_or(Vec::new(), |version| {
            let sort_key = version.sort_key().as_bytes();
            card_wants(package, &tables::version_suffix(sort_key, version.identity()))
        })
    }

    /// What a change of this feed is going to read of the feed itself.
    pub(crate) fn own_wants(&self) -> Vec<Want> {
        let key = tables::feed(self.id);
        vec![
            Want::Row(tables::FEED_NAME, folded(&self.record.name)),
            Want::Row(tables::FEED, key.clone()),
            Want::Row(tables::INDEX_STATE, key.clone()),
            Want::Row(tables::TOTALS, key),
        ]
    }

    /// What bringing a version into this feed is going to read.
    pub(crate) fn target_wants(&self, package: &PackageName, version: &Version) -> Vec<Want> {
        let package = tables::package(self.id, package.key().as_bytes());
        let suffix = tables::version_suffix(version.sort_key().as_bytes(), version.identity());
        let mut wants = self.own_wants();
        wants.extend(card_wants(&package, &suffix));
        wants.push(Want::Row(tables::PACKAGE, package));
        wants
    }

    /// The row of a package by its group and name, if that is a name of the type.
    pub(crate) fn package_wanted(&self, group: &str, name: &str) -> Option<Want> {
        let name = self.feed_type.as_ref()?.package_name(group, name).ok()?;
        Some(Want::Row(tables::PACKAGE, tables::package(self.id, name.key().as_bytes())))
    }

    /// What looking for a selector's version is going to read, as far as that is known before the
    /// first row was read.
    pub(crate) fn wants(&self, selector: &Selector) -> Vec<Want> {
        let Some(known) = &self.feed_type else { return Vec::new() };
        let Ok(name) = known.package_name(&selector.group, &selector.name) else {
            return Vec::new();
        };
        let package = tables::package(self.id, name.key().as_bytes());
        let mut wants = match &selector.version {
            Wanted::Exact(text) => self.exact_wants(&package, text),
            // Nearly always the highest one is meant.
            Wanted::Latest | Wanted::LatestStable => {
                let range = tables::prefixed(&package);
                vec![Want::Range(tables::VERSION, range, Direction::Backward, 1)]
            }
        };
        wants.push(Want::Row(tables::PACKAGE, package));
        wants
    }

    fn exact_version(
        &self,
        read: &dyn MetaRead,
        package: &PackageHandle,
        text: &str,
    ) -> Result<Option<VersionHandle>, SelectError> {
        let looked_up = self.feed_type.as_ref().map(|known| known.lookup_version(text));
        if let Some(Ok(version)) = &looked_up {
            let suffix = tables::version_suffix(version.sort_key().as_bytes(), version.identity());
            let key = tables::version(&package.key, &suffix);
            let found = load(read, package, Some(key))?;
            // Without letters no other spelling differs in case alone, and no version has to be
            // looked at.
            if found.is_some() || !text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
                return Ok(found);
            }
        }
        if let Some(found) = spelled_version(read, package, text)? {
            return Ok(Some(found));
        }
        match looked_up {
            Some(Err(error)) => Err(error.into()),
            _ => Ok(None),
        }
    }

    /// The version that a selector means.
    pub(crate) fn select_version(
        &self,
        read: &dyn MetaRead,
        selector: &Selector,
    ) -> Result<VersionHandle, SelectError> {
        let found = self.try_version(read, selector);
        if !matches!(found, Ok(Some(_)))
            && let Some(again) = with_plus(selector)
            && let Ok(Some(found)) = self.try_version(read, &again)
        {
            return Ok(found);
        }
        found?.ok_or_else(|| self.not_found(selector))
    }

    /// Where an exact version lies whose rows perhaps cannot be read.
    pub(crate) fn place_of(
        &self,
        read: &dyn MetaRead,
        selector: &Selector,
    ) -> Result<Option<(PackageHandle, Vec<u8>)>, SelectError> {
        let Wanted::Exact(text) = &selector.version else { return Ok(None) };
        let Some(package) = self.package(read, &selector.group, &selector.name)? else {
            return Ok(None);
        };
        let version = self.known_version(text)?;
        let suffix = tables::version_suffix(version.sort_key().as_bytes(), version.identity());
        let key = tables::version(&package.key, &suffix);
        Ok(read.get(tables::VERSION, &key).map_err(StoreError::from)?.map(|_| (package, key)))
    }

    /// What the type makes of the text of a version.
    fn known_version(&self, text: &str) -> Result<Version, SelectError> {
        match &self.feed_type {
            Some(known) => Ok(known.lookup_version(text)?),
            None => Err(StoreError::damaged(format!("version `{text}`")).into()),
        }
    }

    fn try_version(
        &self,
        read: &dyn MetaRead,
        selector: &Selector,
    ) -> Result<Option<VersionHandle>, SelectError> {
        match self.package(read, &selector.group, &selector.name)? {
            None => Ok(None),
            Some(package) => self.version(read, &package, &selector.version),
        }
    }

    /// Indexes of the files of a version that a selector's qualifiers fit, whatever their role.
    pub(crate) fn matching_files(
        &self,
        version: &VersionRecord,
        selector: &Selector,
    ) -> Result<Vec<usize>, SelectError> {
        let fits = |filter: &Qualifiers| -> Result<Vec<usize>, StoreError> {
            let mut found = Vec::new();
            for (at, file) in version.files.iter().enumerate() {
                if qualifiers(file)?.satisfies(filter) {
                    found.push(at);
                }
            }
            Ok(found)
        };
        let filter = self.checked_qualifiers(&selector.qualifiers);
        let found = match &filter {
            Ok(filter) => fits(filter)?,
            Err(_) => Vec::new(),
        };
        if found.is_empty()
            && let Some(again) = with_plus(selector)
            && let Ok(filter) = self.checked_qualifiers(&again.qualifiers)
        {
            return Ok(fits(&filter)?);
        }
        filter?;
        Ok(found)
    }

    /// The index of the one file that a selector means.
    pub(crate) fn select_file(
        &self,
        version: &VersionRecord,
        selector: &Selector,
    ) -> Result<usize, SelectError> {
        let of_role = |found: Vec<usize>| -> Vec<usize> {
            let right = |at: &usize| {
                version.files.get(*at).is_some_and(|file| file.role == selector.role.into())
            };
            found.into_iter().filter(right).collect()
        };
        let mut found = of_role(self.matching_files(version, selector)?);
        let default = self.feed_type.as_ref().and_then(|known| known.default_qualifiers());
        if found.len() > 1 && !selector.qualifiers.is_empty() {
            // Who names all qualifiers of a file means it, although another one has further ones.
            let whole = |at: &usize| match version.files.get(*at).map(qualifiers) {
                Some(Ok(of_file)) => {
                    of_file.satisfies(&selector.qualifiers)
                        && selector.qualifiers.satisfies(&of_file)
                }
                _ => false,
            };
            if let Some(at) = found.iter().copied().find(whole) {
                found = vec![at];
            }
        }
        if found.len() > 1
            && selector.qualifiers.is_empty()
            && let Some(qualifiers) = default
        {
            let narrowed = Selector { qualifiers, ..selector.clone() };
            let picked = of_role(self.matching_files(version, &narrowed)?);
            if picked.len() == 1 {
                found = picked;
            }
        }
        match found.as_slice() {
            [] => Err(self.not_found(selector)),
            [only] => Ok(*only),
            _ => Err(SelectError::AmbiguousFile {
                package: selector.shown(),
                qualifiers: found
                    .iter()
                    .filter_map(|at| version.files.get(*at))
                    .map(qualifiers)
                    .collect::<Result<_, _>>()?,
            }),
        }
    }

    fn checked_qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        match &self.feed_type {
            Some(known) => known.qualifiers(asked),
            None => Ok(asked.clone()),
        }
    }

    pub(crate) fn not_found(&self, selector: &Selector) -> SelectError {
        SelectError::NotFound { package: selector.shown(), feed: self.record.name.clone() }
    }
}

/// A version by its text alone: as spelled, else the only one that differs in ASCII case.
fn spelled_version(
    read: &dyn MetaRead,
    package: &PackageHandle,
    text: &str,
) -> Result<Option<VersionHandle>, StoreError> {
    let mut same = None;
    let mut alike = None;
    let mut several = false;
    rows::each(read, tables::VERSION, &package.key, |key, value| {
        let row: Option<VersionRow<'_>> =
            rows::left_out(codec::decode_borrowed(tables::VERSION, key, value))?;
        let Some(row) = row else { return Ok(()) };
        if row.text == text {
            same.get_or_insert_with(|| key.to_vec());
        } else if row.text.eq_ignore_ascii_case(text) {
            several = alike.replace(key.to_vec()).is_some();
        }
        Ok(())
    })?;
    load(read, package, same.or(alike.filter(|_| !several)))
}

fn load(
    read: &dyn MetaRead,
    package: &PackageHandle,
    key: Option<Vec<u8>>,
) -> Result<Option<VersionHandle>, StoreError> {
    let Some(key) = key else { return Ok(None) };
    VersionHandle::read(read, package.clone(), key)
}

/// What a version's card is made of, but for its package.
fn card_wants(package: &[u8], suffix: &[u8]) -> Vec<Want> {
    let version = tables::version(package, suffix);
    let counts = tables::prefixed(&tables::downloads_of(&version));
    vec![
        Want::Row(tables::STATUS, version.clone()),
        Want::Row(tables::VERSION, version),
        Want::Row(tables::DOWNLOADS, package.to_vec()),
        Want::Range(tables::DOWNLOADS, counts, Direction::Forward, rows::PAGE),
    ]
}

/// The same selector with `+` where a client's plus sign became a blank; `None` without blanks.
fn with_plus(selector: &Selector) -> Option<Selector> {
    let plus = |text: &str| text.replace(' ', "+");
    let mut again = selector.clone();
    if let Wanted::Exact(text) = &mut again.version {
        *text = plus(text);
    }
    let pairs = selector.qualifiers.iter().map(|(key, value)| (key, plus(value)));
    again.qualifiers = Qualifiers::from_pairs(pairs).ok()?;
    (again != *selector).then_some(again)
}

/// The qualifiers of a stored file.
pub(crate) fn qualifiers(file: &FileValue) -> Result<Qualifiers, StoreError> {
    parsed(&file.qualifiers, &file.file_name)
}

/// The same where its row lies.
pub(crate) fn qualifiers_of(file: &FileRow<'_>) -> Result<Qualifiers, StoreError> {
    parsed(file.qualifiers, file.file_name)
}

fn parsed(qualifiers: &str, file_name: &str) -> Result<Qualifiers, StoreError> {
    qualifiers.parse().map_err(|_| StoreError::damaged(format!("the record of file `{file_name}`")))
}

impl PackageHandle {
    /// `group/name` for messages.
    pub(crate) fn spelled(&self) -> String {
        spelled(&self.record.group, &self.record.name)
    }

    /// The name key in the row's key.
    pub(crate) fn name_key(&self) -> &[u8] {
        self.key.get(4..).unwrap_or_default()
    }

    /// The checked name that the rows stand for.
    pub(crate) fn package_name(&self) -> Result<PackageName, StoreError> {
        let key = NameKey::from_bytes(self.name_key())
            .ok_or_else(|| StoreError::damaged(format!("the key of `{}`", self.spelled())))?;
        Ok(PackageName::new(&self.record.group, &self.record.name, key))
    }
}

impl VersionHandle {
    /// Places of all its files.
    pub(crate) fn all_files(&self) -> Vec<usize> {
        (0..self.record.files.len()).collect()
    }

    /// A version by its row, with all its files and its package.
    pub(crate) fn of_row(
        read: &dyn MetaRead,
        key: &[u8],
        value: &[u8],
    ) -> Result<Self, StoreError> {
        let record = codec::decode(tables::VERSION, key, value)?;
        let package_key = tables::package_of(key).unwrap_or_default().to_vec();
        let package = rows::need(read, tables::PACKAGE, &package_key)?;
        let package = PackageHandle { key: package_key, record: package };
        Self::complete(read, package, key.to_vec(), record)
    }

    /// The version that lies at `key`, if there is one.
    pub(crate) fn read(
        read: &dyn MetaRead,
        package: PackageHandle,
        key: Vec<u8>,
    ) -> Result<Option<Self>, StoreError> {
        let Some(record) = rows::get(read, tables::VERSION, &key)? else { return Ok(None) };
        Self::complete(read, package, key, record).map(Some)
    }

    /// A version as its row holds it, with what further rows say of it.
    pub(crate) fn complete(
        read: &dyn MetaRead,
        package: PackageHandle,
        key: Vec<u8>,
        record: VersionRecord,
    ) -> Result<Self, StoreError> {
        let record = rows::completed(read, record)?;
        let status = StatusRow::of(rows::get(read, tables::STATUS, &key), &record)?;
        Ok(Self { package, key, record, status })
    }

    /// The row of its status.
    pub(crate) fn status_record(&self) -> Result<&StatusRecord, StoreError> {
        match &self.status {
            StatusRow::Known(status) => Ok(status),
            StatusRow::Damaged => {
                Err(StoreError::damaged(format!("the status of `{}`", self.spelled())))
            }
        }
    }

    /// Takes a version whose status is damaged for one that may not be used: what it was is not
    /// known, and a block must not be lifted by damage.
    pub(crate) fn assume_blocked(&mut self) {
        if self.status == StatusRow::Damaged {
            self.status = StatusRow::Known(StatusRecord::of_damaged(self.record.created));
        }
    }

    /// Its status.
    pub(crate) fn status(&self) -> Result<Status, StoreError> {
        self.status_record().map(Into::into)
    }
    /// `group/name version` for messages.
    pub(crate) fn spelled(&self) -> String {
        format!("{} {}", self.package.spelled(), self.record.text)
    }

    /// Sort key and identity.
    pub(crate) fn suffix(&self) -> &[u8] {
        self.key.get(self.package.key.len()..).unwrap_or_default()
    }

    /// The checked version that the rows stand for.
    pub(crate) fn version(&self) -> Version {
        let length = self.suffix().len().saturating_sub(self.record.identity.len());
        let sort_key = self.suffix().get(..length).unwrap_or_default();
        Version::new(
            &self.record.text,
            &self.record.identity,
            SortKey::from_bytes(sort_key),
            self.record.stability.into(),
        )
    }

    /// The identity of one of its files.
    pub(crate) fn identity(&self, file: &FileValue) -> Result<Identity, StoreError> {
        Ok(Identity {
            package: self.package.package_name()?,
            version: self.version(),
            qualifiers: qualifiers(file)?,
        })
    }
}

/// `group/name`.
pub(crate) fn spelled(group: &str, name: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{group}/{name}") }
}
