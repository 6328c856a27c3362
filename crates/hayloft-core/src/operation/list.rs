use std::collections::BTreeMap;
use std::ops::Bound;

use hayloft_feed::Purl;

use crate::file_rows::{self, listed};
use crate::records::{PackageRecord, VersionRecord};
use crate::resolve::{FeedHandle, PackageHandle, StatusRow, VersionHandle};
use crate::rows_pager::{Pager, Rows};
use crate::{
    Direction, KeyRange, MetaRead, PackageFile, PackageInfo, SelectError, Selector, Store,
    StoreError, Wanted, codec, rows, tables,
};

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
        self.list(feed, query.group.as_deref(), query.name.as_deref(), list)
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
        self.list(feed, query.group.as_deref(), query.name.as_deref(), list)
    }

    fn list(
        &self,
        feed: &str,
        group: Option<&str>,
        name: Option<&str>,
        list: FileList,
    ) -> Result<Rows<PackageFile>, SelectError> {
        let (reading, handle) = self.inner.read_feed(feed, |_| Vec::new())?;
        let packages = Packages::new(reading.rows(), &handle, group, name)?;
        Ok(Rows::new(FilePager {
            store: self.clone(),
            feed: handle.id,
            packages,
            list,
            current: None,
        }))
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

    /// One package; the name matches as in [`Selector`].
    pub fn package(&self, feed: &str, group: &str, name: &str) -> Result<PackageInfo, SelectError> {
        let (reading, handle) = self.inner.read_feed(feed, |_| Vec::new())?;
        let found = handle.package(reading.rows(), group, name)?;
        let found = found.ok_or_else(|| SelectError::NotFound {
            package: hayloft_feed::shorten(&crate::resolve::spelled(group, name)),
            feed: handle.record.name.clone(),
        })?;
        Ok(file_rows::package_info(handle.id, &found))
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
        let (group, name, qualifiers) = match &handle.feed_type {
            Some(known) => {
                let coordinates = known.coordinates(purl)?;
                (coordinates.group, coordinates.name, coordinates.qualifiers)
            }
            None => (purl.group.clone(), purl.name.clone(), purl.qualifiers.clone()),
        };
        let version = purl.version.clone().map_or(missing, Wanted::Exact);
        Ok(Selector::of(name, version).in_group(group).with_qualifiers(qualifiers))
    }

    /// The one file that a selector names.
    pub fn file(&self, feed: &str, selector: &Selector) -> Result<PackageFile, SelectError> {
        let (reading, handle) = self.inner.read_feed(feed, |_| Vec::new())?;
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
        let (reading, handle) = self.inner.read_feed(feed, |_| Vec::new())?;
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

    /// The next packages, and where they end.
    fn next(
        &mut self,
        read: &dyn MetaRead,
        limit: usize,
    ) -> Result<Vec<PackageHandle>, StoreError> {
        if self.at_end {
            return Ok(Vec::new());
        }
        let page: Vec<(Vec<u8>, PackageRecord)> =
            rows::scan(read, tables::PACKAGE, self.range.clone(), Direction::Forward, limit)?;
        self.at_end = page.len() < limit;
        if let Some((key, _)) = page.last() {
            self.range.0 = Bound::Excluded(key.clone());
            // A range of one key is empty once that was visited.
            self.at_end |= matches!(&self.range.1, Bound::Included(end) if end == key);
        }
        let fits = |record: &PackageRecord| {
            self.group.as_ref().is_none_or(|group| record.group.eq_ignore_ascii_case(group))
        };
        Ok(page
            .into_iter()
            .filter(|(_, record)| fits(record))
            .map(|(key, record)| PackageHandle { key, record })
            .collect())
    }
}

impl Packages {
    /// Goes back to a package that `next` gave.
    fn resume_after(&mut self, package: &PackageHandle) {
        self.at_end = matches!(&self.range.1, Bound::Included(end) if *end == package.key);
        self.range.0 = Bound::Excluded(package.key.clone());
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
        let reading = self.store.inner.read()?;
        let live = reading.feed_by_id(self.feed)?.is_some();
        if self.packages.at_end || !live {
            return Ok(None);
        }
        let page = self.packages.next(reading.rows(), PAGE)?;
        Ok(Some(page.iter().map(|found| file_rows::package_info(self.feed, found)).collect()))
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

impl FileList {
    /// A package with all its versions may fill a page, one version of each fills none.
    fn packages_at_a_time(&self) -> usize {
        match self.which {
            Which::All => 1,
            Which::Only(_) => 128,
        }
    }
}

struct FilePager {
    store: Store,
    feed: u32,
    packages: Packages,
    list: FileList,
    /// The package that was left in its middle, and the last version shown.
    current: Option<(PackageHandle, Vec<u8>)>,
}

impl Pager<PackageFile> for FilePager {
    fn page(&mut self) -> Result<Option<Vec<PackageFile>>, StoreError> {
        let reading = self.store.inner.read()?;
        let read = reading.rows();
        let Some(feed) = reading.feed_by_id(self.feed)? else { return Ok(None) };
        if self.current.is_none() && self.packages.at_end {
            return Ok(None);
        }
        let mut page = Page::default();
        if let Some((package, last)) = self.current.take() {
            let rest = self.package(read, &feed, &package, Some(last), &mut page)?;
            self.current = rest.map(|last| (package, last));
        }
        // A view ends after so many packages, even if none of them has what is listed.
        let mut visited = 0;
        while !page.is_full() && visited < PAGE && self.current.is_none() && !self.packages.at_end {
            for package in self.packages.next(read, self.list.packages_at_a_time())? {
                visited += 1;
                let rest = self.package(read, &feed, &package, None, &mut page)?;
                if page.is_full() {
                    // What comes after it is read again in the view of the next page.
                    self.packages.resume_after(&package);
                    self.current = rest.map(|last| (package, last));
                    break;
                }
            }
        }
        Ok(Some(page.rows))
    }
}

/// The rows of the statuses of a page of versions, by their keys; few have one.
fn statuses(
    read: &dyn MetaRead,
    versions: &[(Vec<u8>, VersionRecord)],
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
    let (Some((high, _)), Some((low, _))) = (versions.first(), versions.last()) else {
        return Ok(BTreeMap::new());
    };
    let range = (Bound::Included(low.clone()), Bound::Included(high.clone()));
    Ok(read.scan(tables::STATUS, range, Direction::Forward, versions.len())?.into_iter().collect())
}

#[derive(Default)]
struct Page {
    rows: Vec<PackageFile>,
    bytes: usize,
}

impl Page {
    fn is_full(&self) -> bool {
        self.rows.len() >= PAGE || self.bytes >= PAGE_BYTES
    }

    fn add(&mut self, rows: Vec<PackageFile>) {
        let manifests = rows.iter().filter_map(|row| row.manifest.as_ref());
        self.bytes += manifests.map(String::len).sum::<usize>();
        self.rows.extend(rows);
    }
}

impl FilePager {
    /// Adds files of a package to a page; the last version shown if the page is full before the
    /// package is at its end.
    fn package(
        &self,
        read: &dyn MetaRead,
        feed: &FeedHandle,
        package: &PackageHandle,
        after: Option<Vec<u8>>,
        page: &mut Page,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        const VERSIONS: usize = 128;
        let context = &self.store.inner.context;
        let downloads = context.package_downloads(read, package)?;
        let mut add = |version: &VersionHandle| -> Result<bool, StoreError> {
            let places = listed(version, self.list.files);
            page.add(context.files_with(
                read,
                feed,
                version,
                &places,
                self.list.manifests,
                downloads,
            )?);
            Ok(page.is_full())
        };
        let mut range = match (&self.list.which, after) {
            (Which::Only(wanted), _) => {
                match feed.version(read, package, wanted) {
                    Ok(Some(version)) => {
                        add(&version)?;
                    }
                    Err(SelectError::Store(error)) => return Err(error),
                    // A text that is no version of the type is no version of the package.
                    Ok(None) | Err(_) => {}
                }
                return Ok(None);
            }
            (Which::All, None) => tables::prefixed(&package.key),
            (Which::All, Some(last)) => tables::prefixed_before(&package.key, &last),
        };
        // One handle for all versions: a package's row is too costly to copy for each.
        let mut shown: Option<VersionHandle> = None;
        loop {
            let versions: Vec<(Vec<u8>, VersionRecord)> =
                rows::scan(read, tables::VERSION, range, Direction::Backward, VERSIONS)?;
            let count = versions.len();
            let mut statuses = statuses(read, &versions)?;
            for (key, record) in versions {
                let record = rows::completed(read, record)?;
                let status = statuses.remove(&key);
                let status = status.map(|value| codec::decode(tables::STATUS, &key, &value));
                let status = StatusRow::of(status.transpose(), &record)?;
                let version = match shown.take() {
                    Some(before) => VersionHandle { key, record, status, ..before },
                    None => VersionHandle { package: package.clone(), key, record, status },
                };
                if add(&version)? {
                    return Ok(Some(version.key));
                }
                shown = Some(version);
            }
            match &shown {
                Some(last) if count == VERSIONS => {
                    range = tables::prefixed_before(&package.key, &last.key);
                }
                _ => return Ok(None),
            }
        }
    }
}
