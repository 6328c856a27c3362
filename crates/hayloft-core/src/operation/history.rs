use std::collections::BTreeMap;

use hayloft_feed::HistoryEntry;

use crate::codec::Record;
use crate::reading::Reading;
use crate::records::{
    HistoryValue, MoreRepackagedRecord, PromotionRecord, RepackagedValue, RepackagingRecord,
};
use crate::resolve::{folded, qualifiers};
use crate::rows_pager::{Pager, Rows};
use crate::tables::{self, FragmentKind, HistoryKind};
use crate::{
    Direction, FeedTypes, LookupError, MetaRead, SelectError, Selector, Store, StoreError, Table,
    Timestamp, fragments, rows,
};

mod promoted_versions;

/// Rows of one view of a list.
const PAGE: usize = 500;

/// One promotion, kept for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Promotion {
    /// Grows with time.
    pub id: u64,
    /// Tag of the feeds' type.
    pub feed_type: String,
    /// Name of the source feed at the time.
    pub from_feed: String,
    /// Name of the target feed at the time.
    pub to_feed: String,
    /// npm scope, universal group; else empty.
    pub group: String,
    /// Package name.
    pub name: String,
    /// Version in the target.
    pub version: String,
    /// When.
    pub date: Timestamp,
    /// Who.
    pub user: String,
    /// Why; empty if nothing was said.
    pub comments: String,
}

impl Promotion {
    /// A record of a package's promotion that says nothing more yet, for
    /// [`Store::adopt_promotions`].
    pub fn new(
        feed_type: impl Into<String>,
        group: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self {
            id: 0,
            feed_type: feed_type.into(),
            from_feed: String::new(),
            to_feed: String::new(),
            group: group.into(),
            name: name.into(),
            version: String::new(),
            date: Timestamp::default(),
            user: String::new(),
            comments: String::new(),
        }
    }
}

/// Which promotions to list; all filters compare without ASCII case. A feed is found by any of its
/// names, a package and a version by the rules of their type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PromotionQuery {
    /// Only from this feed.
    pub from_feed: Option<String>,
    /// Only to this feed.
    pub to_feed: Option<String>,
    /// Only this group; an empty text means packages without one.
    pub group: Option<String>,
    /// Only this package.
    pub name: Option<String>,
    /// Only this version.
    pub version: Option<String>,
}

/// One repackaging, kept for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repackaging {
    /// Grows with time.
    pub id: u64,
    /// Tag of the feeds' type.
    pub feed_type: String,
    /// Name of the source feed at the time.
    pub from_feed: String,
    /// Name of the target feed at the time.
    pub to_feed: String,
    /// npm scope, universal group; else empty.
    pub group: String,
    /// Package name.
    pub name: String,
    /// Version of the source.
    pub from_version: String,
    /// Version of the result.
    pub to_version: String,
    /// When.
    pub date: Timestamp,
    /// Who.
    pub user: String,
    /// Why; empty if nothing was said.
    pub comments: String,
    /// Source and result file by file.
    pub files: Vec<RepackagedFile>,
}

/// One file of a repackaging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepackagedFile {
    /// Name of the source file.
    pub from_name: String,
    /// SHA-256 of the source file.
    pub from_sha256: [u8; 32],
    /// Name of the result.
    pub to_name: String,
    /// SHA-256 of the result.
    pub to_sha256: [u8; 32],
}

/// All that is known of how a version came to be.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PackageHistory {
    /// Entries embedded in each file, oldest first, by the file's qualifiers in text form. They
    /// travel with the bytes, so they may tell of other servers.
    pub embedded: BTreeMap<String, Vec<HistoryEntry>>,
    /// Promotions of the package that this store made, oldest first.
    pub promotions: Vec<Promotion>,
    /// Repackagings of the package that this store made, oldest first.
    pub repackagings: Vec<Repackaging>,
}

impl Store {
    /// How a version came to be: what is embedded in its files, and what this store did to the
    /// package.
    pub fn history(&self, feed: &str, selector: &Selector) -> Result<PackageHistory, SelectError> {
        let (reading, handle) = self.inner.read_feed(feed, |feed| feed.wants(selector))?;
        let read = reading.rows();
        let version = handle.select_version(read, selector)?;
        let mut history = PackageHistory::default();
        for at in handle.matching_files(&version.record, selector)? {
            let Some(file) = version.record.files.get(at) else { continue };
            if file.history == HistoryValue::Absent {
                continue;
            }
            let text = fragments::read(read, &version.key, file.number, FragmentKind::HISTORY)?;
            let entries = text.and_then(|text| serde_json::from_slice(&text).ok());
            let damaged = || StoreError::damaged(format!("the history in `{}`", file.file_name));
            let entries = entries.ok_or_else(damaged)?;
            history.embedded.insert(qualifiers(file)?.to_string(), entries);
        }
        let (tag, name_key) = (&handle.record.tag, version.package.name_key());
        each_of_package(read, tag, name_key, |id, record: PromotionRecord| {
            history.promotions.push(record.shown(read, id)?);
            Ok(())
        })?;
        each_of_package(read, tag, name_key, |id, record: RepackagingRecord| {
            history.repackagings.push(record.shown(read, id)?);
            Ok(())
        })?;
        Ok(history)
    }

    /// Promotions, oldest first; those of deleted packages and feeds too.
    pub fn promotions(&self, query: &PromotionQuery) -> Result<Rows<Promotion>, StoreError> {
        self.records::<PromotionRecord>(query)
    }

    /// Repackagings, oldest first, under the same filters; the version is that of either end.
    pub fn repackagings(&self, query: &PromotionQuery) -> Result<Rows<Repackaging>, StoreError> {
        self.records::<RepackagingRecord>(query)
    }

    fn records<R: HistoryRecord>(
        &self,
        query: &PromotionQuery,
    ) -> Result<Rows<R::Shown>, StoreError> {
        let reading = self.inner.read()?;
        let indexed = self.indexed::<R>(&reading, query)?;
        let mut filter = Filter::new(&reading, self.types(), query)?;
        let store = self.clone();
        Ok(match indexed {
            Some(prefixes) => {
                let mut ids = Vec::new();
                for prefix in prefixes {
                    rows::each(reading.rows(), tables::HISTORY, &prefix, |key, _| {
                        ids.extend(tables::u64_at(key, prefix.len()));
                        Ok(())
                    })?;
                }
                ids.sort_unstable();
                filter.without_package();
                Rows::new(ByIds::<R> { store, filter, ids, shown: std::marker::PhantomData })
            }
            None => Rows::new(All::<R> {
                store,
                filter,
                after: Some(0),
                shown: std::marker::PhantomData,
            }),
        })
    }

    /// Where the index has records of the package that is asked for; `None` if all records have to
    /// be looked at, as no package is, or a type in the store cannot tell the package's key.
    fn indexed<R: HistoryRecord>(
        &self,
        reading: &Reading,
        query: &PromotionQuery,
    ) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        let Some(name) = &query.name else { return Ok(None) };
        let group = query.group.as_deref().unwrap_or_default();
        let known = |tag: Option<&str>| tag.is_some_and(|tag| self.types().get(tag).is_some());
        if !reading.small.tags().all(known) {
            return Ok(None);
        }
        let mut prefixes = Vec::new();
        for feed_type in self.types().iter() {
            let Ok(package) = feed_type.package_name(group, name) else { continue };
            let prefix =
                tables::history_prefix(feed_type.tag(), package.key().as_bytes(), R::HISTORY);
            let range = tables::prefixed(&prefix);
            if !reading.rows().scan(tables::HISTORY, range, Direction::Forward, 1)?.is_empty() {
                prefixes.push(prefix);
            }
        }
        // Another spelling may be meant: npm compares exactly, the filter does not.
        Ok((!prefixes.is_empty()).then_some(prefixes))
    }
}

/// A record of [`tables::HISTORY`].
pub(crate) trait HistoryRecord: Record + Send + 'static {
    const TABLE: Table;
    const HISTORY: HistoryKind;
    type Shown: Send + 'static;
    fn shown(self, read: &dyn MetaRead, id: u64) -> Result<Self::Shown, StoreError>;
    fn fits(&self, filter: &Filter) -> bool;
}

pub(super) fn each_of_package<R: HistoryRecord>(
    read: &dyn MetaRead,
    tag: &str,
    name_key: &[u8],
    mut visit: impl FnMut(u64, R) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let prefix = tables::history_prefix(tag, name_key, R::HISTORY);
    rows::each(read, tables::HISTORY, &prefix, |key, _| {
        // A key of another length is for verification to tell.
        let Some(id) = tables::u64_at(key, prefix.len()) else { return Ok(()) };
        match rows::left_out(rows::need(read, R::TABLE, &tables::number(id)))? {
            Some(record) => rows::left_out(visit(id, record)).map(drop),
            None => Ok(()),
        }
    })
}

struct ByIds<R> {
    store: Store,
    filter: Filter,
    ids: Vec<u64>,
    shown: std::marker::PhantomData<fn() -> R>,
}

impl<R: HistoryRecord> Pager<R::Shown> for ByIds<R> {
    fn page(&mut self) -> Result<Option<Vec<R::Shown>>, StoreError> {
        if self.ids.is_empty() {
            return Ok(None);
        }
        let snapshot = self.store.inner.snapshot()?;
        let page: Vec<u64> = self.ids.drain(..PAGE.min(self.ids.len())).collect();
        let mut found = Vec::with_capacity(page.len());
        for id in page {
            let record = rows::need::<R>(snapshot.as_ref(), R::TABLE, &tables::number(id));
            let Some(record) = rows::left_out(record)? else { continue };
            if record.fits(&self.filter) {
                found.extend(rows::left_out(record.shown(snapshot.as_ref(), id))?);
            }
        }
        Ok(Some(found))
    }
}

struct All<R> {
    store: Store,
    filter: Filter,
    /// The last record seen; `None` at the end.
    after: Option<u64>,
    shown: std::marker::PhantomData<fn() -> R>,
}

impl<R: HistoryRecord> Pager<R::Shown> for All<R> {
    fn page(&mut self) -> Result<Option<Vec<R::Shown>>, StoreError> {
        let Some(after) = self.after else { return Ok(None) };
        let snapshot = self.store.inner.snapshot()?;
        let read = snapshot.as_ref();
        let range = tables::prefixed_after(&[], &tables::number(after));
        let page = rows::list::<R>(read, R::TABLE, &range, Direction::Forward, PAGE)?;
        self.after = page.last.as_ref().and_then(|last| tables::u64_at(last, 0));
        let mut found = Vec::new();
        for (key, record) in page.rows {
            if record.fits(&self.filter)
                && let Some(id) = tables::u64_at(&key, 0)
            {
                found.extend(rows::left_out(record.shown(read, id))?);
            }
        }
        Ok(Some(found))
    }
}

/// A [`PromotionQuery`] whose feeds are looked up.
pub(crate) struct Filter {
    /// All names of the feed, folded.
    from_feed: Option<Vec<Vec<u8>>>,
    to_feed: Option<Vec<Vec<u8>>>,
    group: Option<String>,
    name: Option<String>,
    version: Option<String>,
    types: FeedTypes,
}

impl Filter {
    fn new(
        reading: &Reading,
        types: &FeedTypes,
        query: &PromotionQuery,
    ) -> Result<Self, StoreError> {
        let feed =
            |name: &Option<String>| name.as_ref().map(|name| names_of(reading, name)).transpose();
        Ok(Self {
            from_feed: feed(&query.from_feed)?,
            to_feed: feed(&query.to_feed)?,
            group: query.group.clone(),
            name: query.name.clone(),
            version: query.version.clone(),
            types: types.clone(),
        })
    }

    /// The index has compared the package by its type's rule; spellings may differ from that.
    fn without_package(&mut self) {
        (self.group, self.name) = (None, None);
    }

    fn feeds_fit(&self, from: &str, to: &str) -> bool {
        let one_of = |names: &Option<Vec<Vec<u8>>>, found: &str| {
            names.as_ref().is_none_or(|names| names.contains(&folded(found)))
        };
        one_of(&self.from_feed, from) && one_of(&self.to_feed, to)
    }

    fn package_fits(&self, group: &str, name: &str) -> bool {
        let alike = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(found))
        };
        alike(&self.group, group) && alike(&self.name, name)
    }

    /// True for the version asked for, by the type's rule of equality too.
    fn version_fits(&self, tag: &str, found: &str) -> bool {
        let Some(wanted) = &self.version else { return true };
        if wanted.eq_ignore_ascii_case(found) {
            return true;
        }
        let Some(known) = self.types.get(tag) else { return false };
        let version = |text| known.lookup_version(text).ok();
        version(wanted).is_some_and(|wanted| version(found) == Some(wanted))
    }
}

/// The name asked for and, if a feed has it, all other names of that feed.
fn names_of(reading: &Reading, name: &str) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut names = vec![folded(name)];
    match reading.feed(name) {
        Ok(feed) => {
            let all = feed.record.alternates.iter().chain([&feed.record.name]);
            names.extend(all.map(|name| folded(name)));
            Ok(names)
        }
        // Records outlive feeds.
        Err(LookupError::Feed(_)) => Ok(names),
        Err(LookupError::Store(error)) => Err(error),
    }
}

impl HistoryRecord for PromotionRecord {
    const TABLE: Table = tables::PROMOTION;
    const HISTORY: HistoryKind = HistoryKind::Promotion;
    type Shown = Promotion;

    fn shown(self, _: &dyn MetaRead, id: u64) -> Result<Promotion, StoreError> {
        Ok(Promotion {
            id,
            feed_type: self.tag,
            from_feed: self.from_feed,
            to_feed: self.to_feed,
            group: self.group,
            name: self.name,
            version: self.version,
            date: Timestamp::from_millis(self.date),
            user: self.user,
            comments: self.comments,
        })
    }

    fn fits(&self, filter: &Filter) -> bool {
        filter.feeds_fit(&self.from_feed, &self.to_feed)
            && filter.package_fits(&self.group, &self.name)
            && filter.version_fits(&self.tag, &self.version)
    }
}

impl HistoryRecord for RepackagingRecord {
    const TABLE: Table = tables::REPACKAGING;
    const HISTORY: HistoryKind = HistoryKind::Repackaging;
    type Shown = Repackaging;

    fn shown(self, read: &dyn MetaRead, id: u64) -> Result<Repackaging, StoreError> {
        let mut files = self.files;
        for part in 0..self.more {
            let key = tables::part(id, part);
            let MoreRepackagedRecord(more) = rows::need(read, tables::REPACKAGING_FILES, &key)?;
            files.extend(more);
        }
        Ok(Repackaging {
            id,
            feed_type: self.tag,
            from_feed: self.from_feed,
            to_feed: self.to_feed,
            group: self.group,
            name: self.name,
            from_version: self.from_version,
            to_version: self.to_version,
            date: Timestamp::from_millis(self.date),
            user: self.user,
            comments: self.comments,
            files: files.into_iter().map(RepackagedValue::shown).collect(),
        })
    }

    fn fits(&self, filter: &Filter) -> bool {
        let versions = [&self.from_version, &self.to_version];
        filter.feeds_fit(&self.from_feed, &self.to_feed)
            && filter.package_fits(&self.group, &self.name)
            && versions.into_iter().any(|version| filter.version_fits(&self.tag, version))
    }
}

impl RepackagedValue {
    fn shown(self) -> RepackagedFile {
        RepackagedFile {
            from_name: self.from_name,
            from_sha256: self.from_sha256,
            to_name: self.to_name,
            to_sha256: self.to_sha256,
        }
    }
}
