//! Deriving the index of a feed once more beside the one that is there, and comparing both.
//!
//! What is derived lies in a file in `tmp`, so that the memory it takes does not follow the feed.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use hayloft_feed::{FeedType, IndexChange, rebuild_change};

use super::hook::derive_one;
use super::log::{is_sound, read_lines};
use super::view::{Ground, is_complete};
use crate::plan::Plan;
use crate::records::{
    IndexLogRecord, PackageRecord, SearchChangeRecord, SearchCountRecord, SearchPackageRecord,
    SearchTermRecord, SearchValue,
};
use crate::resolve::{FeedHandle, PackageHandle};
use crate::staging::TempFile;
use crate::store::Inner;
use crate::tables::SearchKey;
use crate::{
    Batch, Direction, KeyRange, MetaError, MetaRead, MetaStore, RedbOptions, RedbStore, Row,
    StoreError, Table, codec, rows, tables,
};

/// What hooks derive.
const DERIVED: [Table; 7] = [
    tables::INDEX,
    tables::INDEX_PART,
    tables::INDEX_LOG,
    tables::SUBJECT,
    tables::STALE,
    tables::SEARCH_LOG,
    tables::SEARCH,
];
/// Packages derived at a time.
const PACKAGES: usize = 100;
/// Rows read at a time.
const PAGE: usize = 500;
/// Memory of the engine that keeps what is derived.
const CACHE: usize = 4 << 20;

/// One view of the store, for many readers one after the other.
#[derive(Clone)]
struct Shared(Arc<Mutex<Box<dyn MetaRead>>>);

impl MetaRead for Shared {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, MetaError> {
        let read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        read.scan(table, range, direction, limit)
    }
}

/// The store, but for the rows of indexes, which are those that were derived so far.
struct Beside {
    store: Shared,
    derived: Box<dyn MetaRead>,
}

impl Beside {
    fn of(&self, table: Table) -> &dyn MetaRead {
        if DERIVED.contains(&table) { self.derived.as_ref() } else { &self.store }
    }
}

impl MetaRead for Beside {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        self.of(table).get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, MetaError> {
        self.of(table).scan(table, range, direction, limit)
    }
}

/// Where what is derived lies.
struct Scratch {
    meta: RedbStore,
    file: TempFile,
}

impl Scratch {
    fn create(inner: &Inner) -> Result<Self, StoreError> {
        let (file, empty) = inner.staging.create()?;
        drop(empty);
        let failed = StoreError::io("make room for an index at", &file.path);
        inner.fs.remove_file(&file.path).map_err(failed)?;
        let options = RedbOptions { cache_bytes: CACHE, ..RedbOptions::default() };
        let meta = RedbStore::create(&inner.fs, &file.path, &options).map_err(|error| {
            StoreError::io("make room for an index at", &file.path)(std::io::Error::other(error))
        })?;
        Ok(Self { meta, file })
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let written = self.meta.turn(&[])?.commit(batch);
        written
            .map_err(|error| StoreError::io("write", &self.file.path)(std::io::Error::other(error)))
    }
}

/// How many rows, logs and words of an index differ from what the packages of the feed give;
/// `None` if that cannot be told, as of an index that is being built, or of packages that are
/// damaged themselves.
pub(crate) fn differences(inner: &Inner, feed: u32) -> Result<Option<u64>, StoreError> {
    let store = Shared(Arc::new(Mutex::new(inner.snapshot()?)));
    let Some(handle) = FeedHandle::by_id(&store, &inner.context.types, feed)? else {
        return Ok(None);
    };
    let Some(feed_type) = handle.feed_type.clone() else { return Ok(None) };
    if feed_type.index_revision() == 0 || !is_complete(&store, feed, feed_type.as_ref())? {
        return Ok(None);
    }
    let scratch = Scratch::create(inner)?;
    keep_history(&scratch, &store, feed, feed_type.as_ref())?;
    if !derive(inner, &scratch, &store, &handle, &feed_type)? {
        return Ok(None);
    }
    let derived = scratch.meta.snapshot(&[])?;
    let derived = derived.as_ref();
    let of_type = |key: &[u8]| !feed_type.is_history(key.get(4..).unwrap_or_default());
    let part = |key: &[u8]| {
        let own = key.get(4..key.len().saturating_sub(2)).unwrap_or_default();
        !feed_type.is_history(own)
    };
    let mut found = differing(&store, derived, tables::INDEX, feed, &of_type)?;
    found += differing(&store, derived, tables::INDEX_PART, feed, &part)?;
    found += differing_logs(&store, derived, feed, feed_type.as_ref())?;
    found += differing_words(&store, derived, feed)?;
    Ok(Some(found))
}

/// Rows that tell what happened stay when an index is built anew, and hooks may read them.
fn keep_history(
    scratch: &Scratch,
    store: &dyn MetaRead,
    feed: u32,
    feed_type: &dyn FeedType,
) -> Result<(), StoreError> {
    for table in [tables::INDEX, tables::INDEX_PART] {
        let mut pages = Rows::of(store, table, feed);
        let mut batch = Batch::default();
        while let Some((key, value)) = pages.next()? {
            let end = if table == tables::INDEX { key.len() } else { key.len().saturating_sub(2) };
            if feed_type.is_history(key.get(4..end).unwrap_or_default()) {
                batch.put.push((table, key, value));
            }
            if batch.put.len() >= PAGE {
                scratch.write(std::mem::take(&mut batch))?;
            }
        }
        scratch.write(batch)?;
    }
    Ok(())
}

/// Derives the index of every package; false if that fails for one.
fn derive(
    inner: &Inner,
    scratch: &Scratch,
    store: &Shared,
    handle: &FeedHandle,
    feed_type: &Arc<dyn FeedType>,
) -> Result<bool, StoreError> {
    let prefix = tables::feed(handle.id);
    let mut range = tables::prefixed(&prefix);
    loop {
        if inner.is_closed() {
            return Err(StoreError::Closed);
        }
        let beside = Beside { store: store.clone(), derived: scratch.meta.snapshot(&[])? };
        let mut plan = Plan::rehearse(Box::new(beside), inner.options.clock.now())?;
        let page = rows::list::<PackageRecord>(
            &plan,
            tables::PACKAGE,
            &range,
            Direction::Forward,
            PACKAGES,
        )?;
        let ground = Ground::of(&plan, handle.clone(), feed_type.clone(), &[])?;
        for (key, record) in page.rows {
            let package = PackageHandle { key, record };
            let Some(name) = rows::left_out(package.package_name())? else { return Ok(false) };
            let found = rebuild_change(&ground.view_in_change(&plan), name.key());
            let Ok(found) = found else { return Ok(false) };
            let Some((head, versions)) = found else { continue };
            let change = IndexChange::new(&name, None, Some(&head), &versions, plan.now());
            if derive_one(&mut plan, &ground, &change).is_err() {
                return Ok(false);
            }
        }
        scratch.write(plan.rehearsed(&DERIVED))?;
        match page.last {
            Some(last) => range = tables::prefixed_after(&prefix, &last),
            None => return Ok(true),
        }
    }
}

/// The rows of a feed in a table, in order.
struct Rows<'a> {
    read: &'a dyn MetaRead,
    table: Table,
    prefix: Vec<u8>,
    range: Option<KeyRange>,
    page: VecDeque<Row>,
}

impl<'a> Rows<'a> {
    fn of(read: &'a dyn MetaRead, table: Table, feed: u32) -> Self {
        let prefix = tables::feed(feed);
        let range = Some(tables::prefixed(&prefix));
        Self { read, table, prefix, range, page: VecDeque::new() }
    }

    fn next(&mut self) -> Result<Option<Row>, StoreError> {
        if self.page.is_empty()
            && let Some(range) = self.range.take()
        {
            let page = self.read.scan(self.table, range, Direction::Forward, PAGE)?;
            if page.len() == PAGE {
                let last = page.last().map(|(key, _)| key.as_slice()).unwrap_or_default();
                self.range = Some(tables::prefixed_after(&self.prefix, last));
            }
            self.page = page.into();
        }
        Ok(self.page.pop_front())
    }

    /// The next row whose key counts.
    fn next_of(&mut self, counts: &dyn Fn(&[u8]) -> bool) -> Result<Option<Row>, StoreError> {
        loop {
            match self.next()? {
                Some((key, _)) if !counts(&key) => {}
                found => return Ok(found),
            }
        }
    }
}

/// Shows the rows of both sides by their keys; who has none is `None`.
#[expect(clippy::type_complexity, reason = "it is written out in this one place")]
fn beside(
    one: &dyn MetaRead,
    other: &dyn MetaRead,
    table: Table,
    feed: u32,
    counts: &dyn Fn(&[u8]) -> bool,
    visit: &mut dyn FnMut(&[u8], Option<&[u8]>, Option<&[u8]>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (mut left, mut right) = (Rows::of(one, table, feed), Rows::of(other, table, feed));
    let (mut a, mut b) = (left.next_of(counts)?, right.next_of(counts)?);
    loop {
        let order = match (&a, &b) {
            (None, None) => return Ok(()),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((one, _)), Some((other, _))) => one.cmp(other),
        };
        let first = if order.is_le() { a.take() } else { None };
        let second = if order.is_ge() { b.take() } else { None };
        let key = first.as_ref().or(second.as_ref()).map(|(key, _)| key.as_slice());
        let value = |row: &Option<Row>| row.as_ref().map(|(_, value)| value.clone());
        visit(key.unwrap_or_default(), value(&first).as_deref(), value(&second).as_deref())?;
        if order.is_le() {
            a = left.next_of(counts)?;
        }
        if order.is_ge() {
            b = right.next_of(counts)?;
        }
    }
}

fn differing(
    store: &dyn MetaRead,
    derived: &dyn MetaRead,
    table: Table,
    feed: u32,
    counts: &dyn Fn(&[u8]) -> bool,
) -> Result<u64, StoreError> {
    let mut found = 0;
    beside(store, derived, table, feed, counts, &mut |_, one, other| {
        found += u64::from(one != other);
        Ok(())
    })?;
    Ok(found)
}

/// Logs that do not say the same, or whose digests are not those of their bytes.
fn differing_logs(
    store: &dyn MetaRead,
    derived: &dyn MetaRead,
    feed: u32,
    feed_type: &dyn FeedType,
) -> Result<u64, StoreError> {
    let mut found = 0;
    let counts = |key: &[u8]| tables::is_index_log(key);
    beside(store, derived, tables::INDEX_LOG, feed, &counts, &mut |key, one, other| {
        let name = key.get(6..).unwrap_or_default();
        let normal = |read: &dyn MetaRead, head: Option<&[u8]>| {
            let Some(head) = head else { return Ok(None) };
            let head: IndexLogRecord = codec::decode(tables::INDEX_LOG, key, head)?;
            let mut bytes = Vec::new();
            let all = 0..head.length;
            read_lines(read, feed, name, head.generation, all, &mut |piece| {
                bytes.extend_from_slice(piece);
                ControlFlow::Continue(())
            })?;
            let sound = is_sound(&head, &bytes);
            Ok::<_, StoreError>(Some((sound, feed_type.normal_form(name, bytes))))
        };
        // Of an unreadable log no more is to be said.
        let one = rows::left_out(normal(store, one))?;
        let other = normal(derived, other)?;
        // A log that says nothing is as good as none.
        let is_empty =
            |log: &Option<(bool, Vec<u8>)>| log.as_ref().is_none_or(|(_, text)| text.is_empty());
        found += u64::from(match one {
            None | Some(Some((false, _))) => true,
            Some(one) => one != other && !(is_empty(&one) && is_empty(&other)),
        });
        Ok(())
    })?;
    Ok(found)
}

/// Packages that are found by other words than theirs, and words that lead to others.
fn differing_words(
    store: &dyn MetaRead,
    derived: &dyn MetaRead,
    feed: u32,
) -> Result<u64, StoreError> {
    let mut found = 0;
    // What was derived is not folded; what is stored may be, or not yet.
    let folded = |name: &[u8]| -> Result<Option<SearchValue>, StoreError> {
        let key = tables::search(feed, SearchKey::Package(name));
        let record = rows::get(store, tables::SEARCH, &key)?;
        Ok(record.map(|SearchPackageRecord(value)| value))
    };
    let value = |key: &[u8], row: &[u8]| -> Result<Option<SearchValue>, StoreError> {
        let SearchChangeRecord(value) = codec::decode(tables::SEARCH_LOG, key, row)?;
        Ok(value)
    };
    beside(store, derived, tables::SEARCH_LOG, feed, &|_| true, &mut |key, one, other| {
        let one = match one {
            Some(row) => value(key, row)?,
            None => folded(key.get(4..).unwrap_or_default())?,
        };
        let other = other.map(|row| value(key, row)).transpose()?.flatten();
        found += u64::from(one != other);
        Ok(())
    })?;
    // Of packages of which nothing was derived, and of the words themselves.
    let (mut told, mut held) = (0_u128, 0_u128);
    let mut counted: BTreeMap<u8, u64> = BTreeMap::new();
    let mut count: Option<BTreeMap<u8, u64>> = None;
    let mut pages = Rows::of(store, tables::SEARCH, feed);
    while let Some((key, row)) = pages.next()? {
        match key.get(4..).and_then(<[u8]>::split_first) {
            Some((1, name)) => {
                let SearchPackageRecord(value) = codec::decode(tables::SEARCH, &key, &row)?;
                let change = tables::search_change(feed, name);
                let is_known = derived.get(tables::SEARCH_LOG, &change)?.is_some()
                    || store.get(tables::SEARCH_LOG, &change)?.is_some();
                found += u64::from(!is_known);
                for term in std::iter::once("").chain(value.terms.iter().map(String::as_str)) {
                    told = told.wrapping_add(mark(term.as_bytes(), name, value.flags));
                }
            }
            Some((_, rest)) => {
                let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
                let (term, name) = rest.split_at_checked(end).unwrap_or_default();
                match name.get(1..) {
                    None | Some([]) => {
                        found += u64::from(count.take().is_some_and(|count| count != counted));
                        counted.clear();
                        let SearchCountRecord(flags) = codec::decode(tables::SEARCH, &key, &row)?;
                        count = Some(flags.into_iter().collect());
                    }
                    Some(name) => {
                        let SearchTermRecord(flags) = codec::decode(tables::SEARCH, &key, &row)?;
                        held = held.wrapping_add(mark(term, name, flags));
                        *counted.entry(flags).or_default() += 1;
                    }
                }
            }
            None => {}
        }
    }
    found += u64::from(count.is_some_and(|count| count != counted));
    Ok(found + u64::from(told != held))
}

/// Stands for one word of one package in a sum of all.
fn mark(term: &[u8], name: &[u8], flags: u8) -> u128 {
    let mut hash = blake3::Hasher::new();
    hash.update(term).update(&[0, flags]).update(name);
    let mut bytes = [0; 16];
    hash.finalize_xof().fill(&mut bytes);
    u128::from_be_bytes(bytes)
}
