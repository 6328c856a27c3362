//! Pages of files, each made in one view: the rows of versions first, then what lies beside them.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow, Range};

use super::{After, FileList, PAGE, PAGE_BYTES, Packages, Which};
use crate::downloads::Downloads;
use crate::file_rows::{self, Cards, is_listed, listed};
use crate::reading::Reading;
use crate::records::borrowed::VersionRow;
use crate::records::{StatusRecord, VersionRecord};
use crate::resolve::{FeedHandle, PackageHandle};
use crate::rows_pager::Pager;
use crate::tables::{self, FragmentKind};
use crate::{
    Direction, FileId, KeyRange, Manifests, MetaRead, PackageFile, SelectError, Store, StoreError,
    Timestamp, Want, Wanted, codec, rows,
};

const BACKWARD: Direction = Direction::Backward;

/// Packages of which one version each is looked up at a time.
const PICKED: usize = 256;
/// Packages that are read at first where all their versions are listed; it then follows how many
/// fill a page.
const STRIDE: usize = 16;

pub(super) struct FilePager {
    store: Store,
    feed: u32,
    packages: Packages,
    list: FileList,
    /// The package that was left in its middle, and the last version shown.
    current: Option<(PackageHandle, Vec<u8>)>,
    stride: usize,
    /// The row behind which an earlier list is resumed.
    resumed: Option<Resumed>,
}

/// The row at which a list was left.
struct Resumed {
    package: Vec<u8>,
    file: FileId,
}

impl Resumed {
    /// True if a file of that package comes after the row, by its version and its number there.
    fn is_before(&self, version: u64, number: u32) -> bool {
        version != self.file.version || number > self.file.number
    }
}

impl FilePager {
    pub(super) fn new(store: Store, feed: u32, packages: Packages, list: FileList) -> Self {
        Self { store, feed, packages, list, current: None, stride: STRIDE, resumed: None }
    }

    /// Begins behind a row of an earlier list.
    pub(super) fn resume(
        &mut self,
        read: &dyn MetaRead,
        feed: &FeedHandle,
        after: &After,
    ) -> Result<(), SelectError> {
        let key = feed.package_key(&after.group, &after.name)?;
        self.packages.begin_at(&key);
        if !self.packages.begins_with(&key) {
            return Ok(());
        }
        if matches!(self.list.which, Which::All)
            && let Some(package) = FeedHandle::package_at(read, key.clone())?
        {
            self.packages.resume_after(&key);
            let version = feed.version_key(read, &key, after)?;
            self.current = version.map(|mut version| {
                // The least key above the version's own, so that its further files are seen.
                version.push(0);
                (package, version)
            });
        }
        self.resumed = Some(Resumed { package: key, file: after.file });
        Ok(())
    }
}

impl Pager<PackageFile> for FilePager {
    fn page(&mut self) -> Result<Option<Vec<PackageFile>>, StoreError> {
        if self.current.is_none() && self.packages.at_end {
            return Ok(None);
        }
        let reading = self.store.inner.read_with(self.wants())?;
        let Some(feed) = reading.feed_by_id(self.feed)? else { return Ok(None) };
        match &self.list.which {
            Which::All => self.all_versions(&reading, &feed).map(Some),
            Which::Only(wanted) => {
                let wanted = wanted.clone();
                self.picked_versions(&reading, &feed, &wanted).map(Some)
            }
        }
    }
}

/// One version in a page.
struct Shown {
    /// Place of its package among those of the page.
    package: usize,
    key: Vec<u8>,
    number: u64,
    /// Its first file in the page.
    first: usize,
}

/// A page under way.
#[derive(Default)]
struct Page {
    packages: Vec<PackageHandle>,
    versions: Vec<Shown>,
    files: Vec<PackageFile>,
    /// Where what lies beside the versions is to be looked for.
    beside: Vec<KeyRange>,
    /// True if the last package has not all its versions in the page, so that the row of its
    /// downloads lies outside.
    is_cut: bool,
}

impl FilePager {
    /// What the next page is going to read first, as far as that is known.
    fn wants(&self) -> Vec<Want> {
        if !self.store.inner.is_shared() {
            return Vec::new();
        }
        if let Some((package, after)) = &self.current {
            return vec![versions_wanted(&package.key, Some(after))];
        }
        let all = matches!(self.list.which, Which::All);
        let packages = self.packages.wanted(if all { self.stride } else { PICKED });
        let versions = self.packages.only().filter(|_| all).map(|key| versions_wanted(key, None));
        [packages].into_iter().chain(versions).collect()
    }

    /// A page of a list that shows all versions of each package.
    fn all_versions(
        &mut self,
        reading: &Reading,
        feed: &FeedHandle,
    ) -> Result<Vec<PackageFile>, StoreError> {
        let read = reading.rows();
        let mut page = Page::default();
        // A view ends after so many packages, even if none of them has what is listed.
        while !page.is_full() && page.packages.len() < PAGE {
            let next = match self.current.take() {
                Some((package, after)) => vec![(package, Some(after))],
                None if self.packages.at_end => break,
                None => {
                    let next = self.packages.next(read, self.stride)?;
                    self.store.inner.prefetch(read, || {
                        next.iter().map(|package| versions_wanted(&package.key, None)).collect()
                    })?;
                    next.into_iter().map(|package| (package, None)).collect()
                }
            };
            let all = next.len();
            for (used, (package, after)) in (1..).zip(next) {
                let rest = self.add_package(read, feed, &mut page, package, after.as_deref())?;
                if !page.is_full() && rest.is_none() {
                    continue;
                }
                if let Some(package) = page.packages.last() {
                    if used < all {
                        // What comes after it is read again in the view of the next page.
                        self.packages.resume_after(&package.key);
                        self.stride = used;
                    }
                    self.current = rest.map(|last| (package.clone(), last));
                }
                return self.complete(read, page);
            }
            self.stride = (self.stride * 2).min(PICKED);
        }
        self.complete(read, page)
    }

    /// Adds the versions of a package that come after one already shown; the last one looked at if
    /// the page is full before the package is at its end.
    fn add_package(
        &self,
        read: &dyn MetaRead,
        feed: &FeedHandle,
        page: &mut Page,
        package: PackageHandle,
        after: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let range = versions_after(&package.key, after);
        let place = page.packages.len();
        let mut cards = Cards::new(feed, &package)?;
        let mut rest = None;
        let (mut seen, mut before) = (0, Vec::new());
        rows::visit_some(read, tables::VERSION, &range, BACKWARD, PAGE + 1, |key, value| {
            // Only a further version tells that the package is not at its end.
            if seen > 0 && (page.is_full() || seen == PAGE) {
                rest = Some(std::mem::take(&mut before));
                return Ok(ControlFlow::Break(()));
            }
            seen += 1;
            before.clear();
            before.extend_from_slice(key);
            rows::left_out(self.add_version(read, &mut cards, page, place, (key, value)))?;
            Ok(ControlFlow::Continue(()))
        })?;
        page.look_beside(range, after.is_some(), rest.as_deref());
        page.packages.push(package);
        Ok(rest)
    }

    fn add_version(
        &self,
        read: &dyn MetaRead,
        cards: &mut Cards<'_>,
        page: &mut Page,
        package: usize,
        (key, value): (&[u8], &[u8]),
    ) -> Result<(), StoreError> {
        let whole: VersionRecord;
        let mut row: VersionRow<'_> = codec::decode_borrowed(tables::VERSION, key, value)?;
        if row.more > 0 {
            whole = rows::completed(read, codec::decode(tables::VERSION, key, value)?)?;
            row = VersionRow::from(&whole);
        }
        cards.set_version(&row, key);
        let first = page.files.len();
        let resumed = self.resumed.as_ref().filter(|resumed| key.starts_with(&resumed.package));
        let is_new =
            |number| resumed.is_none_or(|row_seen| row_seen.is_before(row.version, number));
        for file in row.files.iter().filter(|file| is_listed(file.role, self.list.files)) {
            if !is_new(file.number) {
                continue;
            }
            match cards.file(&row, file) {
                Ok(card) => page.files.push(card),
                Err(error) => {
                    page.files.truncate(first);
                    return Err(error);
                }
            }
        }
        if page.files.len() > first {
            page.versions.push(Shown { package, key: key.to_vec(), number: row.version, first });
        }
        Ok(())
    }

    /// Fills in what lies beside the rows of versions.
    fn complete(
        &mut self,
        read: &dyn MetaRead,
        mut page: Page,
    ) -> Result<Vec<PackageFile>, StoreError> {
        let with_manifests = self.list.manifests == Manifests::Included;
        self.store.inner.prefetch(read, || page.wants(with_manifests))?;
        page.fill_statuses(read)?;
        page.fill_downloads(read, &self.store.inner.context.downloads)?;
        if with_manifests && let Some(last) = page.fill_manifests(read)? {
            // The rest is left to the next page, however far this view has come.
            let package = page.packages.swap_remove(last.package);
            self.packages.resume_after(&package.key);
            self.current = Some((package, last.key));
        }
        let mark = self.store.inner.context.mark;
        for file in &mut page.files {
            file.id = file.id.of_store(mark);
        }
        Ok(page.files)
    }

    /// A page of a list that shows one version of each package.
    fn picked_versions(
        &mut self,
        reading: &Reading,
        feed: &FeedHandle,
        wanted: &Wanted,
    ) -> Result<Vec<PackageFile>, StoreError> {
        let read = reading.rows();
        let mut files = Vec::new();
        let (mut visited, mut bytes) = (0, 0);
        while visited < PAGE && !self.packages.at_end {
            let packages = self.packages.next(read, PICKED)?;
            self.store.inner.prefetch(read, || {
                let wants = |package| feed.version_wants(package, wanted);
                packages.iter().flat_map(wants).collect()
            })?;
            for package in &packages {
                visited += 1;
                let found = rows::left_out(self.picked_version(read, feed, package, wanted))?;
                let resumed =
                    self.resumed.as_ref().filter(|resumed| resumed.package == package.key);
                for file in found.into_iter().flatten() {
                    // Another version of that package is not what comes after its row.
                    if resumed.is_some_and(|row| {
                        file.id.version != row.file.version || file.id.number <= row.file.number
                    }) {
                        continue;
                    }
                    bytes += file.manifest.as_ref().map_or(0, String::len);
                    files.push(file);
                }
                if files.len() >= PAGE || bytes >= PAGE_BYTES {
                    self.packages.resume_after(&package.key);
                    return Ok(files);
                }
            }
        }
        Ok(files)
    }

    fn picked_version(
        &self,
        read: &dyn MetaRead,
        feed: &FeedHandle,
        package: &PackageHandle,
        wanted: &Wanted,
    ) -> Result<Vec<PackageFile>, StoreError> {
        let mut version = match feed.version(read, package, wanted) {
            Ok(Some(version)) => version,
            Err(SelectError::Store(error)) => return Err(error),
            // A text that is no version of the type is no version of the package.
            Ok(None) | Err(_) => return Ok(Vec::new()),
        };
        version.assume_blocked();
        let places = listed(&version, self.list.files);
        let context = &self.store.inner.context;
        context.files(read, feed, &version, &places, self.list.manifests)
    }
}

impl Page {
    fn is_full(&self) -> bool {
        self.files.len() >= PAGE
    }

    /// Notes where the rows beside the versions of a package lie, of those in `range` that are in
    /// the page; packages that are in it whole have one range together.
    fn look_beside(&mut self, range: KeyRange, is_resumed: bool, last: Option<&[u8]>) {
        let follows = !is_resumed && !self.is_cut;
        self.is_cut = last.is_some();
        let lowest = last.map_or(range.0, |last| Bound::Included(last.to_vec()));
        match self.beside.last_mut() {
            Some(before) if follows && !self.is_cut => before.1 = range.1,
            _ => self.beside.push((lowest, range.1)),
        }
    }

    fn wants(&self, with_manifests: bool) -> Vec<Want> {
        let beside = self.beside.iter().flat_map(|range| {
            [tables::STATUS, tables::DOWNLOADS]
                .map(|table| Want::Range(table, range.clone(), Direction::Forward, rows::PAGE))
        });
        let sum = self.packages.last().filter(|_| self.is_cut);
        let sum = sum.map(|package| Want::Row(tables::DOWNLOADS, package.key.clone()));
        let mut wants: Vec<Want> = beside.chain(sum).collect();
        if with_manifests {
            for (at, shown) in self.versions.iter().enumerate() {
                let manifest = |file: &PackageFile| {
                    let kind = FragmentKind::MANIFEST;
                    let key = tables::fragment(&shown.key, file.id.number, kind, 0);
                    Want::Row(tables::FRAGMENT, key)
                };
                let files = self.files.get(self.files_of(at)).unwrap_or_default();
                wants.extend(files.iter().map(manifest));
            }
        }
        wants
    }

    /// Where the files of the version at a place lie.
    fn files_of(&self, at: usize) -> Range<usize> {
        let place = |at: usize| self.versions.get(at).map_or(self.files.len(), |shown| shown.first);
        place(at)..place(at + 1)
    }

    fn fill_statuses(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        let mut found: BTreeMap<Vec<u8>, StatusRecord> = BTreeMap::new();
        for range in &self.beside {
            rows::each_in(read, tables::STATUS, range.clone(), |key, value| {
                // What it was is not known, and a block must not be lifted by damage.
                let status = rows::left_out(codec::decode(tables::STATUS, key, value))?;
                found.insert(key.to_vec(), status.unwrap_or_else(|| StatusRecord::of_damaged(0)));
                Ok(())
            })?;
        }
        if found.is_empty() {
            return Ok(());
        }
        for at in 0..self.versions.len() {
            let status = self.versions.get(at).and_then(|shown| found.get(&shown.key));
            let Some(status) = status else { continue };
            let files = self.files_of(at);
            for file in self.files.get_mut(files).unwrap_or_default() {
                file.status = status.into();
                file.status_changed = Timestamp::from_millis(status.changed);
            }
        }
        Ok(())
    }

    fn fill_downloads(
        &mut self,
        read: &dyn MetaRead,
        pending: &Downloads,
    ) -> Result<(), StoreError> {
        let mut found: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        let mut add = |key: &[u8], count: i64| {
            found.insert(key.to_vec(), count.max(0).unsigned_abs());
        };
        for range in &self.beside {
            rows::each_in(read, tables::DOWNLOADS, range.clone(), |key, value| {
                let count = rows::counter_value(tables::DOWNLOADS, key, value);
                rows::left_out(count.map(|count| add(key, count))).map(drop)
            })?;
        }
        if let Some(cut) = self.packages.last().filter(|_| self.is_cut) {
            let sum = rows::counter(read, tables::DOWNLOADS, &cut.key);
            rows::left_out(sum.map(|sum| add(&cut.key, sum)))?;
        }
        let sums: Vec<(u64, u64)> = self
            .packages
            .iter()
            .map(|package| {
                let pending = pending.pending_package(package.record.package);
                (found.get(&package.key).copied().unwrap_or_default(), pending)
            })
            .collect();
        for at in 0..self.versions.len() {
            let Some(shown) = self.versions.get(at) else { continue };
            let (stored, waiting) = sums.get(shown.package).copied().unwrap_or_default();
            if stored == 0 && waiting == 0 {
                continue;
            }
            let prefix = tables::downloads_of(&shown.key);
            let mut counts = match self.packages.get(shown.package) {
                Some(package) if waiting > 0 => {
                    pending.pending_version(package.record.package, shown.number)
                }
                _ => BTreeMap::new(),
            };
            for (key, count) in found.range(prefix.clone()..) {
                let Some(number) = key.strip_prefix(prefix.as_slice()) else { break };
                if let Some(number) = tables::u32_at(number, 0) {
                    *counts.entry(number).or_default() += count;
                }
            }
            let files = self.files_of(at);
            for file in self.files.get_mut(files).unwrap_or_default() {
                file.file_downloads = counts.get(&file.id.number).copied().unwrap_or_default();
                file.version_downloads = counts.values().sum();
                file.package_downloads = stored.saturating_add(waiting);
            }
        }
        Ok(())
    }

    /// Reads manifests until they are as many as a page may hold; then cuts the page, and gives the
    /// last version that is left in it.
    fn fill_manifests(&mut self, read: &dyn MetaRead) -> Result<Option<Shown>, StoreError> {
        let mut bytes = 0;
        for at in 0..self.versions.len() {
            let files = self.files_of(at);
            let end = files.end;
            let Some(shown) = self.versions.get(at) else { continue };
            for file in self.files.get_mut(files).unwrap_or_default() {
                let number = file.id.number;
                file.manifest =
                    rows::left_out(file_rows::manifest(read, &shown.key, number, &file.file_name))?;
                bytes += file.manifest.as_ref().map_or(0, String::len);
            }
            if bytes >= PAGE_BYTES && at + 1 < self.versions.len() {
                self.files.truncate(end);
                self.versions.truncate(at + 1);
                return Ok(self.versions.pop());
            }
        }
        Ok(None)
    }
}

/// The keys of the versions of a package that come after one, in descending order; of all at first.
fn versions_after(package: &[u8], after: Option<&[u8]>) -> KeyRange {
    match after {
        Some(after) => tables::prefixed_before(package, after),
        None => tables::prefixed(package),
    }
}

fn versions_wanted(package: &[u8], after: Option<&[u8]>) -> Want {
    Want::Range(tables::VERSION, versions_after(package, after), BACKWARD, PAGE + 1)
}
