use std::ops::{Bound, ControlFlow};

use hayloft_feed::Purl;

use crate::file_rows;
use crate::records::borrowed::PackageRow;
use crate::resolve::{FeedHandle, PackageHandle};
use crate::rows_pager::{Pager, Rows};
use crate::{
    Direction, FileId, KeyRange, MetaRead, PackageFile, PackageInfo, SelectError, Selector, Store,
    StoreError, Want, Wanted, codec, rows, tables,
};

mod file_pager;

use file_pager::FilePager;

/// Rows of one view of a list, roughly.
const PAGE: usize = 1_000;
/// Bytes of manifests in one view of a list, roughly.
const PAGE_BYTES: usize = 4 << 20;

/// Which versions [`Store::versions`](crate::Store::versions) lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionsQuery {
    /// Only this group; an empty text means packages without one.
    pub group: Option<String>,
    /// Only this package; without `group`, the one that has none.
    pub name: Option<String>,
    /// Only this version, by the type's rule of equality.
    pub version: Option<String>,
    /// Whether rows carry the manifest.
    pub manifests: Manifests,
    /// Which files.
    pub files: Files,
    /// Only what comes after this row.
    pub after: Option<After>,
}

impl VersionsQuery {
    /// All package files of a feed, without manifests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only this group; an empty text means packages without one.
    #[must_use]
    pub fn group(self, group: impl Into<String>) -> Self {
        Self { group: Some(group.into()), ..self }
    }

    /// Only this package; without a group, the one that has none.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Only this version, by the type's rule of equality.
    #[must_use]
    pub fn version(self, version: impl Into<String>) -> Self {
        Self { version: Some(version.into()), ..self }
    }

    /// Rows carry the manifest.
    #[must_use]
    pub fn with_manifests(self) -> Self {
        Self { manifests: Manifests::Included, ..self }
    }

    /// Companions are listed as well.
    #[must_use]
    pub fn with_companions(self) -> Self {
        Self { files: Files::All, ..self }
    }

    /// Begins behind a row of an earlier list, also if that is gone meanwhile.
    #[must_use]
    pub fn after(self, row: impl Into<After>) -> Self {
        Self { after: Some(row.into()), ..self }
    }
}

/// Where a list is resumed: behind the row that this was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// Group of the package.
    pub group: String,
    /// Its name.
    pub name: String,
    /// Text of the version.
    pub version: String,
    /// The file.
    pub file: FileId,
}

impl From<&PackageFile> for After {
    fn from(row: &PackageFile) -> Self {
        Self {
            group: row.group.clone(),
            name: row.name.clone(),
            version: row.version.clone(),
            file: row.id,
        }
    }
}

/// Which packages [`Store::latest`](crate::Store::latest) lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LatestQuery {
    /// Only this group; an empty text means packages without one.
    pub group: Option<String>,
    /// Only this package; without `group`, the one that has none.
    pub name: Option<String>,
    /// Which version of each package.
    pub pick: Pick,
    /// Whether rows carry the manifest.
    pub manifests: Manifests,
    /// Only what comes after this row.
    pub after: Option<After>,
}

impl LatestQuery {
    /// The highest version of each package of a feed, without manifests.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only this group; an empty text means packages without one.
    #[must_use]
    pub fn group(self, group: impl Into<String>) -> Self {
        Self { group: Some(group.into()), ..self }
    }

    /// Only this package; without a group, the one that has none.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// The highest stable version; packages without one are left out.
    #[must_use]
    pub fn stable(self) -> Self {
        Self { pick: Pick::HighestStable, ..self }
    }

    /// Rows carry the manifest.
    #[must_use]
    pub fn with_manifests(self) -> Self {
        Self { manifests: Manifests::Included, ..self }
    }

    /// Begins behind a row of an earlier list, also if that is gone meanwhile.
    #[must_use]
    pub fn after(self, row: impl Into<After>) -> Self {
        Self { after: Some(row.into()), ..self }
    }
}

/// Which version stands for a package.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pick {
    /// The highest of all.
    #[default]
    Highest,
    /// The highest stable one; packages without one are left out.
    HighestStable,
}

/// Whether rows carry the manifest; one more read per row if so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Manifests {
    /// No.
    #[default]
    Omitted,
    /// Yes.
    Included,
}

/// Which files of a version are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Files {
    /// Those that make the version exist.
    #[default]
    Packages,
    /// Companions as well.
    All,
}

impl Store {
    /// One row per package file of the picked version of each package, by group and name.
    ///
    /// Unlisted and deprecated versions are in it. A filter that matches nothing gives an empty
    /// list.
    pub fn latest(
        &self,
        feed: &str,
        query: &LatestQuery,
    ) -> Result<Rows<PackageFile>, SelectError> {
        let which = match query.pick {
            Pick::Highest => Which::Only(Wanted::Latest),
            Pick::HighestStable => Which::Only(Wanted::LatestStable),
        };
        let list = FileList { which, manifests: query.manifests, files: Files::Packages };
        let only = (query.group.as_deref(), query.name.as_deref());
        self.list(feed, only, query.after.as_ref(), list)
    }

    /// One row per file of each version, by group and name, highest version first.
    ///
    /// A filter that matches nothing gives an empty list.
    pub fn versions(
        &self,
        feed: &str,
        query: &VersionsQuery,
    ) -> Result<Rows<PackageFile>, SelectError> {
        let which = match &query.version {
            None => Which::All,
            Some(text) => Which::Only(Wanted::Exact(text.clone())),
        };
        let list = FileList { which, manifests: query.manifests, files: query.files };
        let only = (query.group.as_deref(), query.name.as_deref());
        self.list(feed, only, query.after.as_ref(), list)
    }

    fn list(
        &self,
        feed: &str,
        (group, name): (Option<&str>, Option<&str>),
        after: Option<&After>,
        list: FileList,
    ) -> Result<Rows<PackageFile>, SelectError> {
        let (reading, handle) = self.inner.read_feed(feed, |feed| {
            let name = name.and_then(|name| feed.package_wanted(group.unwrap_or_default(), name));
            name.into_iter().collect()
        })?;
        let packages = Packages::new(reading.rows(), &handle, group, name)?;
        let mut pager = FilePager::new(self.clone(), handle.id, packages, list);
        if let Some(after) = after {
            self.inner.own_file(after.file)?;
            pager.resume(reading.rows(), &handle, after)?;
        }
        Ok(Rows::new(pager))
    }

    /// All packages of a feed, by group and name; only those of `group` if given.
    pub fn packages(
        &self,
        feed: &str,
        group: Option<&str>,
    ) -> Result<Rows<PackageInfo>, SelectError> {
        let (reading, handle) = self.inner.read_feed(feed, |_| Vec::new())?;
        let packages = Packages::new(reading.rows(), &handle, group, None)?;
        Ok(Rows::new(PackagePager { store: self.clone(), feed: handle.id, packages }))
    }

    /// The same, behind a package of an earlier list, also if that is gone meanwhile.
    pub fn packages_after(
        &self,
        feed: &str,
        group: Option<&str>,
        after: &PackageInfo,
    ) -> Result<Rows<PackageInfo>, SelectError> {
        let (reading, handle) = self.inner.read_feed(feed, |_| Vec::new())?;
        let mut packages = Packages::new(reading.rows(), &handle, group, None)?;
        let key = handle.package_key(&after.group, &after.name)?;
        packages.begin_at(&key);
        packages.begin_behind(&key);
        Ok(Rows::new(PackagePager { store: self.clone(), feed: handle.id, packages }))
    }

    /// One package; the name matches as in [`Selector`].
    pub fn package(&self, feed: &str, group: &str, name: &str) -> Result<PackageInfo, SelectError> {
        let (reading, handle) = self
            .inner
            .read_feed(feed, |feed| feed.package_wanted(group, name).into_iter().collect())?;
        let found = handle.package(reading.rows(), group, name)?;
        let found = found.ok_or_else(|| SelectError::NotFound {
            package: hayloft_feed::shorten(&crate::resolve::spelled(group, name)),
            feed: handle.record.name.clone(),
        })?;
        Ok(file_rows::package_info(handle.id, &(&found.record).into()))
    }

    /// What a package URL asks for, ready for [`Store::file`]; `missing` stands for a version that
    /// it does not name.
    pub fn read_purl(
        &self,
        feed: &str,
        purl: &Purl,
        missing: Wanted,
    ) -> Result<Selector, SelectError> {
        let handle = self.inner.small()?.feed(self.types(), feed)?;
        if let Some(known) = &handle.feed_type {
            return Ok(Selector::from_purl(known.as_ref(), purl, missing)?);
        }
        let version = purl.version.clone().map_or(missing, Wanted::Exact);
        Ok(Selector::grouped(&purl.group, &purl.name, version)
            .with_qualifiers(purl.qualifiers.clone()))
    }

    /// The one file that a selector names.
    pub fn file(&self, feed: &str, selector: &Selector) -> Result<PackageFile, SelectError> {
        let (reading, handle) = self.inner.read_feed(feed, |feed| feed.wants(selector))?;
        let read = reading.rows();
        let version = handle.select_version(read, selector)?;
        let place = handle.select_file(&version.record, selector)?;
        let found =
            self.inner.context.files(read, &handle, &version, &[place], Manifests::Omitted)?;
        found.into_iter().next().ok_or_else(|| handle.not_found(selector))
    }

    /// All files of a version, companions included, that satisfy the selector's qualifiers; the
    /// role does not count. Never empty.
    pub fn files(&self, feed: &str, selector: &Selector) -> Result<Vec<PackageFile>, SelectError> {
        let (reading, handle) = self.inner.read_feed(feed, |feed| feed.wants(selector))?;
        let read = reading.rows();
        let version = handle.select_version(read, selector)?;
        let places = handle.matching_files(&version.record, selector)?;
        if places.is_empty() {
            return Err(handle.not_found(selector));
        }
        Ok(self.inner.context.files(read, &handle, &version, &places, Manifests::Omitted)?)
    }
}

/// The packages that a list goes through, and how far it has come.
struct Packages {
    /// Keys still to visit.
    range: KeyRange,
    /// The group as spelled, compared without ASCII case.
    group: Option<String>,
    at_end: bool,
}

impl Packages {
    fn new(
        read: &dyn MetaRead,
        feed: &FeedHandle,
        group: Option<&str>,
        name: Option<&str>,
    ) -> Result<Self, SelectError> {
        let all = tables::prefixed(&tables::feed(feed.id));
        let Some(name) = name else {
            return Ok(match group.map(|group| (group, group_prefix(feed, group))) {
                None => Self { range: all, group: None, at_end: false },
                Some((_, Some(prefix))) => {
                    Self { range: tables::prefixed(&prefix), group: None, at_end: false }
                }
                Some((group, None)) => {
                    Self { range: all, group: Some(group.to_owned()), at_end: false }
                }
            });
        };
        let found = match feed.package(read, group.unwrap_or_default(), name) {
            // What is no name of the type is the name of no package.
            Err(SelectError::Invalid(_)) => None,
            found => found?,
        };
        let nothing = Self { range: all, group: None, at_end: true };
        Ok(found.map_or(nothing, |package| Self::one(&package)))
    }

    fn one(package: &PackageHandle) -> Self {
        let key = Bound::Included(package.key.clone());
        Self { range: (key.clone(), key), group: None, at_end: false }
    }

    /// The key of the package, if the list is of one alone.
    fn only(&self) -> Option<&[u8]> {
        match &self.range {
            (Bound::Included(first), Bound::Included(last)) if first == last => Some(first),
            _ => None,
        }
    }

    /// What [`next`](Self::next) is going to read.
    fn wanted(&self, limit: usize) -> Want {
        Want::Range(tables::PACKAGE, self.range.clone(), Direction::Forward, limit)
    }

    /// The next packages, at most so many.
    fn next(
        &mut self,
        read: &dyn MetaRead,
        limit: usize,
    ) -> Result<Vec<PackageHandle>, StoreError> {
        let mut found = Vec::new();
        self.visit(read, limit, |key, row| {
            found.push(PackageHandle { key: key.to_vec(), record: row.into() });
        })?;
        Ok(found)
    }

    /// Shows the next packages, at most so many, and goes behind them.
    fn visit(
        &mut self,
        read: &dyn MetaRead,
        limit: usize,
        mut visit: impl FnMut(&[u8], &PackageRow<'_>),
    ) -> Result<(), StoreError> {
        if self.at_end {
            return Ok(());
        }
        let (mut seen, mut last) = (0, None);
        let fits = |row: &PackageRow<'_>| {
            self.group.as_ref().is_none_or(|group| row.group.eq_ignore_ascii_case(group))
        };
        let range = &self.range;
        rows::visit_some(read, tables::PACKAGE, range, Direction::Forward, limit, |key, value| {
            seen += 1;
            if seen == limit {
                last = Some(key.to_vec());
            }
            let row = rows::left_out(codec::decode_borrowed(tables::PACKAGE, key, value))?;
            if let Some(row) = row.filter(fits) {
                visit(key, &row);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        match last {
            Some(key) => self.resume_after(&key),
            None => self.at_end = true,
        }
        Ok(())
    }

    /// Leaves out what comes before a key.
    fn begin_at(&mut self, key: &[u8]) {
        let ends_before = match &self.range.1 {
            Bound::Included(end) => end.as_slice() < key,
            Bound::Excluded(end) => end.as_slice() <= key,
            Bound::Unbounded => false,
        };
        let begins_before = match &self.range.0 {
            Bound::Included(start) | Bound::Excluded(start) => start.as_slice() < key,
            Bound::Unbounded => true,
        };
        if ends_before {
            self.at_end = true;
        } else if begins_before {
            self.range.0 = Bound::Included(key.to_vec());
        }
    }

    /// True if a key is the first that may be visited next.
    fn begins_with(&self, key: &[u8]) -> bool {
        !self.at_end && matches!(&self.range.0, Bound::Included(start) if start == key)
    }

    /// Leaves a key out, if it is the first.
    fn begin_behind(&mut self, key: &[u8]) {
        if self.begins_with(key) {
            self.resume_after(key);
        }
    }

    /// Goes on behind the package with this key.
    fn resume_after(&mut self, key: &[u8]) {
        // A range of one key is empty once that was visited.
        self.at_end = matches!(&self.range.1, Bound::Included(end) if end == key);
        self.range.0 = Bound::Excluded(key.to_vec());
    }
}

/// What the keys of all packages of a group begin with, if the type tells.
fn group_prefix(feed: &FeedHandle, group: &str) -> Option<Vec<u8>> {
    // Any name will do; this one suits all types.
    let any = feed.feed_type.as_ref()?.package_name(group, "aa").ok()?;
    let key = any.key().as_bytes();
    let end = key.iter().position(|byte| *byte == 1)?;
    Some(tables::package(feed.id, key.get(..=end)?))
}

struct PackagePager {
    store: Store,
    feed: u32,
    packages: Packages,
}

impl Pager<PackageInfo> for PackagePager {
    fn page(&mut self) -> Result<Option<Vec<PackageInfo>>, StoreError> {
        if self.packages.at_end {
            return Ok(None);
        }
        let reading = self.store.inner.read_with(vec![self.packages.wanted(PAGE)])?;
        if reading.feed_by_id(self.feed)?.is_none() {
            return Ok(None);
        }
        let mut page = Vec::new();
        self.packages.visit(reading.rows(), PAGE, |_, row| {
            page.push(file_rows::package_info(self.feed, row));
        })?;
        Ok(Some(page))
    }
}

/// Which files of each package a list shows, and how.
struct FileList {
    which: Which,
    manifests: Manifests,
    files: Files,
}

enum Which {
    All,
    Only(Wanted),
}
