//! A feed at one commit, as index documents read it.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use hayloft_feed::native::{
    FeedCard, FeedView, FragmentEntry, ListingChange, Native, SearchPage, SearchQuery, Subject,
    Validator, VersionEntry, ViewError, Want,
};
use hayloft_feed::{
    FeedType, FileCard, LogHead, NameKey, PackageHead, PackageName, Status, Timestamp, Version,
};

use super::log::{Log, read_lines};
use super::search;
use crate::records::borrowed::{FileRow, OriginRow, PackageRow, VersionRow};
use crate::records::{
    IndexPartRecord, IndexRowRecord, IndexState, IndexStateRecord, LogPositionRecord, RoleValue,
    StatusRecord, SubjectRecord, VersionRecord,
};
use crate::resolve::{FeedHandle, StatusRow, qualifiers_of};
use crate::tables::{self, FragmentKind};
use crate::{
    DeleteMode, Direction, FileId, KeyRange, MetaRead, StoreError, codec, fragments, rows,
};

/// Rows of versions read at a time.
const PAGE: usize = 256;
/// Of those at the end that are read first: who asks for the newest stops there as a rule.
const FEW: usize = 4;

/// What a view knows beside the rows.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) feed: FeedHandle,
    pub(crate) feed_type: Arc<dyn FeedType>,
    pub(crate) card: FeedCard,
    /// Stands for store, timeline, feed and revisions in validators.
    pub(crate) seed: [u8; 32],
    pub(crate) state: IndexStateRecord,
}

impl Ground {
    /// `identity` names the store and its timeline; without a use inside a change, where nothing is
    /// answered.
    pub(crate) fn of(
        read: &dyn MetaRead,
        feed: FeedHandle,
        feed_type: Arc<dyn FeedType>,
        identity: &[u8],
    ) -> Result<Self, StoreError> {
        let shown = feed.shown();
        let mut card = FeedCard::new(&*shown.name);
        card.description = shown.settings.description;
        if !shown.settings.other.is_empty() {
            card.settings = shown.settings.other;
        }
        let totals = rows::totals_to_show(read, feed.id)?;
        card.revision = totals.revision;
        card.created = shown.created;
        card.changed = Timestamp::from_millis(totals.changed);
        card.packages = totals.packages.max(0).unsigned_abs();
        card.versions = totals.versions.max(0).unsigned_abs();
        card.deletes = match shown.settings.delete_mode {
            DeleteMode::Unlist => ListingChange::Unlist,
            DeleteMode::Remove => ListingChange::Delete,
        };
        let state = state(read, feed.id, feed_type.as_ref())?;
        let mut hash = blake3::Hasher::new();
        hash.update(identity);
        hash.update(&feed.id.to_be_bytes());
        hash.update(&feed_type.index_revision().to_be_bytes());
        let answers = feed_type.native().map_or(0, Native::answer_revision);
        hash.update(&answers.to_be_bytes());
        let seed = hash.finalize().into();
        Ok(Self { feed, feed_type, card, seed, state })
    }

    pub(crate) fn view<'a>(&'a self, read: &'a dyn MetaRead) -> View<'a> {
        View { read, ground: self, needs_complete: true }
    }

    /// For the hook, which may read what it has written whatever else is missing.
    pub(crate) fn view_in_change<'a>(&'a self, read: &'a dyn MetaRead) -> View<'a> {
        View { read, ground: self, needs_complete: false }
    }
}

/// By which rules the index of a feed was made. A feed that had no index before has a complete one
/// while it is empty.
pub(crate) fn state(
    read: &dyn MetaRead,
    feed: u32,
    feed_type: &dyn FeedType,
) -> Result<IndexStateRecord, StoreError> {
    let found: Result<Option<IndexStateRecord>, _> =
        rows::get(read, tables::INDEX_STATE, &tables::feed(feed));
    // Of an index whose state is not known nothing is known: it is built anew.
    let found = rows::left_out(found)?.flatten();
    let mut state = found.unwrap_or_else(|| IndexStateRecord {
        tag: feed_type.tag().to_owned(),
        revision: 0,
        state: IndexState::Dirty,
        changed: 0,
    });
    if state.tag != feed_type.tag() || state.revision != feed_type.index_revision() {
        state.state = IndexState::Dirty;
    }
    if feed_type.index_revision() == 0 {
        state.state = IndexState::Complete;
    }
    Ok(state)
}

/// True if the index of a feed can be answered from.
pub(crate) fn is_complete(
    read: &dyn MetaRead,
    feed: u32,
    feed_type: &dyn FeedType,
) -> Result<bool, StoreError> {
    Ok(state(read, feed, feed_type)?.state == IndexState::Complete)
}

/// A feed at one commit, or in a plan.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) read: &'a dyn MetaRead,
    pub(crate) ground: &'a Ground,
    needs_complete: bool,
}

/// A failure of the store as a type sees it.
pub(crate) fn failed(error: StoreError) -> ViewError {
    match error {
        StoreError::Damaged { .. } => ViewError::Damaged(Box::new(error)),
        other => ViewError::Unavailable(Box::new(other)),
    }
}

impl View<'_> {
    fn feed_id(&self) -> u32 {
        self.ground.feed.id
    }

    /// Fails unless the index can be answered from.
    fn complete(&self) -> Result<(), ViewError> {
        match self.ground.state.state {
            IndexState::Complete => Ok(()),
            _ if !self.needs_complete => Ok(()),
            _ => Err(ViewError::Rebuilding { after: 5 }),
        }
    }

    fn head(&self, name_key: &[u8], row: &PackageRow<'_>) -> Result<PackageHead, StoreError> {
        let mut head = head(name_key, row)?;
        if self.needs_complete {
            let key = tables::package(self.feed_id(), name_key);
            head.downloads = count(rows::counter(self.read, tables::DOWNLOADS, &key)?);
        }
        Ok(head)
    }

    /// The package whose row has this key.
    fn head_at(&self, name_key: &[u8], key: &[u8]) -> Result<Option<PackageHead>, StoreError> {
        let Some(value) = self.read.get(tables::PACKAGE, key)? else { return Ok(None) };
        self.head(name_key, &codec::decode_borrowed(tables::PACKAGE, key, &value)?).map(Some)
    }

    fn try_versions(
        &self,
        name: &NameKey,
        want: &Want<'_>,
        visit: &mut dyn FnMut(&VersionEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let package = tables::package(self.feed_id(), name.as_bytes());
        let Some((mut from, mut upto)) = wanted(&package, want) else { return Ok(()) };
        let (direction, mut limit) =
            if want.newest_first { (Direction::Backward, FEW) } else { (Direction::Forward, PAGE) };
        loop {
            let range = (from.clone(), upto.clone());
            let page = self.read.scan(tables::VERSION, range, direction, limit)?;
            let (Some((first, _)), Some((last, _))) = (page.first(), page.last()) else {
                return Ok(());
            };
            let next = Bound::Excluded(last.clone());
            let (lowest, highest) = if want.newest_first { (last, first) } else { (first, last) };
            let whole = (Bound::Included(lowest.clone()), Bound::Included(highest.clone()));
            let mut statuses = statuses_of(self.read, whole)?;
            let mut of_page = match kinds(want) {
                None => BTreeMap::new(),
                Some(kinds) => fragments::between(self.read, lowest, highest, &kinds)?,
            };
            let counts = if want.downloads {
                downloads_between(self.read, lowest, highest)?
            } else {
                BTreeMap::new()
            };
            let full = page.len() == limit;
            for (key, value) in &page {
                let whole: VersionRecord;
                let mut row: VersionRow<'_> = codec::decode_borrowed(tables::VERSION, key, value)?;
                if row.more > 0 {
                    let record = codec::decode(tables::VERSION, key, value)?;
                    whole = rows::completed(self.read, record)?;
                    row = VersionRow::from(&whole);
                }
                let beside = Beside {
                    status: statuses.remove(key).unwrap_or_default(),
                    fragments: of_page.remove(key).unwrap_or_default(),
                    downloads: counts.get(key).copied().unwrap_or_default(),
                };
                let mut flow = ControlFlow::Continue(());
                show(key, &row, &beside, want, &mut |entry| {
                    flow = visit(entry);
                })?;
                if flow.is_break() {
                    return Ok(());
                }
            }
            if !full {
                return Ok(());
            }
            if want.newest_first {
                upto = next;
            } else {
                from = next;
            }
            limit = PAGE;
        }
    }

    fn try_version(
        &self,
        name: &NameKey,
        version: &Version,
        want: &Want<'_>,
        visit: &mut dyn FnMut(&VersionEntry<'_>),
    ) -> Result<bool, StoreError> {
        let package = tables::package(self.feed_id(), name.as_bytes());
        let suffix = tables::version_suffix(version.sort_key().as_bytes(), version.identity());
        let key = tables::version(&package, &suffix);
        let Some(record) = rows::version(self.read, &key)? else { return Ok(false) };
        let status = status_of(self.read, &key, &record)?;
        let fragments = match kinds(want) {
            None => Vec::new(),
            Some(kinds) => {
                fragments::between(self.read, &key, &key, &kinds)?.remove(&key).unwrap_or_default()
            }
        };
        let counts = downloads_between(self.read, &key, &key)?;
        let downloads = counts.get(&key).copied().unwrap_or_default();
        let beside = Beside { status, fragments, downloads };
        show(&key, &VersionRow::from(&record), &beside, want, visit)?;
        Ok(true)
    }

    fn try_packages(
        &self,
        after: Option<&NameKey>,
        visit: &mut dyn FnMut(&PackageHead) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let prefix = tables::feed(self.feed_id());
        let mut range = match after {
            None => tables::prefixed(&prefix),
            Some(after) => {
                tables::prefixed_after(&prefix, &tables::package(self.feed_id(), after.as_bytes()))
            }
        };
        loop {
            let page = self.read.scan(tables::PACKAGE, range, Direction::Forward, PAGE)?;
            let full = page.len() == PAGE;
            let Some((last, _)) = page.last() else { return Ok(()) };
            range = tables::prefixed_after(&prefix, last);
            for (key, value) in &page {
                let row = codec::decode_borrowed(tables::PACKAGE, key, value)?;
                let head = self.head(key.get(prefix.len()..).unwrap_or_default(), &row)?;
                if visit(&head).is_break() {
                    return Ok(());
                }
            }
            if !full {
                return Ok(());
            }
        }
    }
}

/// The keys of a package's versions of which some are wanted; `None` if there can be none.
fn wanted(package: &[u8], want: &Want<'_>) -> Option<KeyRange> {
    let (mut first, mut last) = tables::prefixed(package);
    if let Some(lowest) = want.lowest {
        first = Bound::Included(tables::version(package, lowest));
    }
    if let Some(highest) = want.highest {
        if want.lowest.is_some_and(|lowest| lowest > highest) {
            return None;
        }
        last = tables::prefixed(&tables::version(package, highest)).1;
    }
    Some((first, last))
}

/// Shows one version.
fn show(
    key: &[u8],
    row: &VersionRow<'_>,
    beside: &Beside,
    want: &Want<'_>,
    visit: &mut dyn FnMut(&VersionEntry<'_>),
) -> Result<(), StoreError> {
    let Beside { status, fragments, downloads } = beside;
    let version = version(key, row);
    let files = if want.files { cards(row)? } else { Vec::new() };
    let entries: Vec<FragmentEntry<'_>> = fragments
        .iter()
        .filter_map(|found| {
            let kind = found.kind.of_type()?;
            want.has(kind).then_some(FragmentEntry {
                file: found.file,
                kind,
                bytes: found.bytes.as_slice(),
            })
        })
        .collect();
    let published = Timestamp::from_millis(row.created);
    let mut entry = VersionEntry::new(&version, status, published);
    entry.published_by = row.files.first().map_or("", |file| publisher(row, file));
    entry.downloads = *downloads;
    entry.files = &files;
    entry.fragments = &entries;
    visit(&entry);
    Ok(())
}

/// Who sent a file. Documents are the same for everybody: who brought one here from another feed
/// is told to those alone who see both.
fn publisher<'v>(row: &VersionRow<'_>, file: &FileRow<'v>) -> &'v str {
    match row.origin {
        OriginRow::Uploaded => file.published_by,
        OriginRow::Promoted { .. } | OriginRow::Repackaged { .. } => "",
    }
}

/// What lies beside the row of a version.
struct Beside {
    status: Status,
    fragments: Vec<fragments::Read>,
    downloads: u64,
}

/// Downloads by version, of those whose keys lie between two, both included.
fn downloads_between(
    read: &dyn MetaRead,
    first: &[u8],
    last: &[u8],
) -> Result<BTreeMap<Vec<u8>, u64>, StoreError> {
    let start = Bound::Included(tables::downloads_of(first));
    let (_, end) = tables::prefixed(&tables::downloads_of(last));
    let mut found = BTreeMap::new();
    rows::each_in(read, tables::DOWNLOADS, (start, end), |key, value| {
        if let Some((version, _)) = tables::downloads_key(key) {
            let more = count(rows::counter_value(tables::DOWNLOADS, key, value)?);
            *found.entry(version.to_vec()).or_default() += more;
        }
        Ok(())
    })?;
    Ok(found)
}

fn count(counter: i64) -> u64 {
    counter.max(0).unsigned_abs()
}

/// The kinds of rows that hold what is wanted; `None` if no fragment is.
fn kinds(want: &Want<'_>) -> Option<impl Fn(FragmentKind) -> bool> {
    let wanted = want.all_fragments || want.files || !want.fragments.is_empty();
    let want = (want.all_fragments, want.fragments.to_vec());
    wanted.then_some(move |kind: FragmentKind| {
        kind.of_type().is_some_and(|kind| want.0 || want.1.contains(&kind))
    })
}

/// A package as its row holds it; without download counts.
pub(crate) fn head(name_key: &[u8], row: &PackageRow<'_>) -> Result<PackageHead, StoreError> {
    let key = NameKey::from_bytes(name_key)
        .ok_or_else(|| StoreError::damaged(format!("the name of the package `{}`", row.name)))?;
    let mut head = PackageHead::new(PackageName::new(row.group, row.name, key), row.revision);
    head.versions = row.versions;
    head.latest = row.latest.as_ref().map(|pointer| pointer.text.to_owned());
    head.latest_stable = row.latest_stable.as_ref().map(|pointer| pointer.text.to_owned());
    let tags = row.tags.iter().map(|(tag, text)| ((*tag).to_owned(), (*text).to_owned()));
    head.tags = tags.collect();
    head.created = Timestamp::from_millis(row.created);
    head.changed = Timestamp::from_millis(row.changed);
    Ok(head)
}

/// A version as its row holds it.
pub(crate) fn version(key: &[u8], row: &VersionRow<'_>) -> Version {
    let name = key.get(4..).and_then(tables::name_key_in).map_or(0, <[u8]>::len);
    let sort_key = key
        .get(4 + name..)
        .and_then(|suffix| suffix.strip_suffix(row.identity.as_bytes()))
        .unwrap_or_default();
    let sort_key = hayloft_feed::SortKey::from_bytes(sort_key);
    Version::new(row.text, row.identity, sort_key, row.stability.into())
}

/// Cards of a version's files.
pub(crate) fn cards(row: &VersionRow<'_>) -> Result<Vec<FileCard>, StoreError> {
    row.files.iter().map(|file| card(row, file)).collect()
}

fn card(row: &VersionRow<'_>, file: &FileRow<'_>) -> Result<FileCard, StoreError> {
    let id = FileId::new(row.package, row.version, file.number);
    let role = match file.role {
        RoleValue::Package => hayloft_feed::FileRole::Package,
        RoleValue::Companion => hayloft_feed::FileRole::Companion,
    };
    let mut card = FileCard::new(id, role, file.file_name, file.size, (&file.digests).into());
    card.qualifiers = qualifiers_of(file)?;
    card.published = Timestamp::from_millis(file.published);
    publisher(row, file).clone_into(&mut card.published_by);
    card.documents = file.documents.iter().map(|&name| name.to_owned()).collect();
    Ok(card)
}

impl FeedView for View<'_> {
    fn feed(&self) -> &FeedCard {
        &self.ground.card
    }

    fn validator(&self, revision: u64, parts: &[&str]) -> Validator {
        let mut hash = blake3::Hasher::new_keyed(&self.ground.seed);
        hash.update(&revision.to_be_bytes());
        for part in parts {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            hash.update(&length.to_be_bytes()).update(part.as_bytes());
        }
        let mut bytes = [0; 16];
        hash.finalize_xof().fill(&mut bytes);
        Validator::Derived(bytes)
    }

    fn subject(&self, subject: &[u8]) -> Result<Subject, ViewError> {
        self.complete()?;
        let key = tables::subject(self.feed_id(), subject);
        let found: Option<SubjectRecord> =
            rows::get(self.read, tables::SUBJECT, &key).map_err(failed)?;
        Ok(found.map_or(Subject { revision: 0, changed: self.ground.card.created }, |found| {
            Subject { revision: found.revision, changed: Timestamp::from_millis(found.changed) }
        }))
    }

    fn package(&self, name: &NameKey) -> Result<Option<PackageHead>, ViewError> {
        let key = tables::package(self.feed_id(), name.as_bytes());
        self.head_at(name.as_bytes(), &key).map_err(failed)
    }

    fn versions(
        &self,
        name: &NameKey,
        want: &Want<'_>,
        visit: &mut dyn FnMut(&VersionEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        self.try_versions(name, want, visit).map_err(failed)
    }

    fn version(
        &self,
        name: &NameKey,
        version: &Version,
        want: &Want<'_>,
        visit: &mut dyn FnMut(&VersionEntry<'_>),
    ) -> Result<bool, ViewError> {
        self.try_version(name, version, want, visit).map_err(failed)
    }

    fn packages(
        &self,
        after: Option<&NameKey>,
        visit: &mut dyn FnMut(&PackageHead) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        self.try_packages(after, visit).map_err(failed)
    }

    fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        self.complete()?;
        index_row(self.read, self.feed_id(), key).map_err(failed)
    }

    fn rows(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        self.complete()?;
        index_rows(self.read, self.feed_id(), prefix, after, visit).map_err(failed)
    }

    fn log(&self, log: &[u8]) -> Result<Option<LogHead>, ViewError> {
        self.complete()?;
        let log = Log::load(self.read, self.feed_id(), log).map_err(failed)?;
        Ok(log.map(|log| log.head()))
    }

    fn read_log(
        &self,
        log: &[u8],
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        let Some(head) = self.log(log)? else { return Ok(()) };
        read_lines(self.read, self.feed_id(), log, head.generation, 0..head.length, visit)
            .map_err(failed)
    }

    fn search(&self, query: &SearchQuery<'_>) -> Result<SearchPage, ViewError> {
        self.complete()?;
        let found = search::find(self.read, self.feed_id(), query).map_err(failed)?;
        let mut packages = Vec::with_capacity(found.names.len());
        for name in found.names {
            let key = tables::package(self.feed_id(), &name);
            packages.extend(self.head_at(&name, &key).map_err(failed)?);
        }
        Ok(SearchPage::new(found.total, packages))
    }

    fn has_content(&self, sha256: &[u8; 32]) -> Result<bool, ViewError> {
        let found = crate::operation::content_of_feed(self.read, self.feed_id(), sha256);
        Ok(found.map_err(failed)?.is_some())
    }

    fn document(&self, file: FileId, name: &str) -> Result<Option<Vec<u8>>, ViewError> {
        crate::operation::document_of(self.read, file, name).map_err(failed)
    }

    fn counts_revision(&self) -> Result<u64, ViewError> {
        let position: Option<LogPositionRecord> =
            rows::get(self.read, tables::META, crate::downloads::LOG_POSITION).map_err(failed)?;
        let position = position.unwrap_or_default();
        Ok((position.generation << 32) | position.bytes.min(u32::MAX.into()))
    }
}

/// One row of a type's own, put together from its parts.
pub(crate) fn index_row(
    read: &dyn MetaRead,
    feed: u32,
    key: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let first = rows::get(read, tables::INDEX, &tables::index(feed, key))?;
    first.map(|first| whole(read, feed, key, first)).transpose()
}

fn whole(
    read: &dyn MetaRead,
    feed: u32,
    key: &[u8],
    first: IndexRowRecord,
) -> Result<Vec<u8>, StoreError> {
    let IndexRowRecord { more, mut bytes } = first;
    for part in 0..more {
        let key = tables::index_part(feed, key, part);
        let IndexPartRecord(part) = rows::need(read, tables::INDEX_PART, &key)?;
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// Is shown key and value of a row.
type Show<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// Rows of a type's own whose keys begin with `prefix`, in order, those after a key or all.
pub(crate) fn index_rows(
    read: &dyn MetaRead,
    feed: u32,
    prefix: &[u8],
    after: Option<&[u8]>,
    visit: Show<'_>,
) -> Result<(), StoreError> {
    let begins = tables::index(feed, prefix);
    let mut range = match after {
        None => tables::prefixed(&begins),
        Some(after) => tables::prefixed_after(&begins, &tables::index(feed, after)),
    };
    let of_feed = tables::index(feed, &[]).len();
    loop {
        let page = read.scan(tables::INDEX, range, Direction::Forward, PAGE)?;
        for (key, row) in &page {
            let of_type = key.get(of_feed..).unwrap_or_default();
            let value = whole(read, feed, of_type, codec::decode(tables::INDEX, key, row)?)?;
            if visit(of_type, &value).is_break() {
                return Ok(());
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == PAGE => range = tables::prefixed_after(&begins, key),
            _ => return Ok(()),
        }
    }
}

/// The status of a version. One that is damaged counts as blocked: a block must not be lifted by
/// damage.
pub(crate) fn status_of(
    read: &dyn MetaRead,
    key: &[u8],
    record: &VersionRecord,
) -> Result<Status, StoreError> {
    Ok(match StatusRow::of(rows::get(read, tables::STATUS, key), record)? {
        StatusRow::Known(status) => (&status).into(),
        StatusRow::Damaged => blocked(),
    })
}

/// The statuses of a package's versions that are not as they came, by key.
fn statuses_of(
    read: &dyn MetaRead,
    versions: KeyRange,
) -> Result<BTreeMap<Vec<u8>, Status>, StoreError> {
    let mut found = BTreeMap::new();
    rows::each_in(read, tables::STATUS, versions, |key, value| {
        let status = match codec::decode::<StatusRecord>(tables::STATUS, key, value) {
            Ok(record) => (&record).into(),
            Err(StoreError::Damaged { .. }) => blocked(),
            Err(error) => return Err(error),
        };
        found.insert(key.to_vec(), status);
        Ok(())
    })?;
    Ok(found)
}

fn blocked() -> Status {
    Status { allow: Some(hayloft_feed::Allow::Never), ..Status::default() }
}
