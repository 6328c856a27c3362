//! The one place where a change of a package reaches the index of its feed.
//!
//! Whatever writes or removes rows of versions and packages notes in the plan what it touched
//! first ([`Plan::touch`]). When an operation has been planned, the feed type derives from that, in
//! the same commit, what its index needs.

use std::collections::BTreeMap;

use hayloft_feed::native::ViewError;
use hayloft_feed::{
    Fragment, IndexChange, IndexError, IndexWriter, LogHead, SearchRecord, Status, Timestamp,
    VersionChange, VersionState,
};

use super::log::Pending;
use super::view::{Ground, View, cards, head, version};
use super::{search, view};
use crate::plan::Plan;
use crate::records::{
    IndexPartRecord, IndexRowRecord, IndexState, IndexStateRecord, JobRecord, PackageRecord,
    SubjectRecord, VersionRecord,
};
use crate::resolve::FeedHandle;
use crate::{FeedTypes, MetaRead, StoreError, fragments, rows, tables};

/// Most bytes of a key of a row, subject or log.
const KEY: usize = 1_024;
/// Bytes of a row; longer values continue in further rows.
const PART: usize = 16_000;

/// What an operation has touched so far: as it was before.
#[derive(Debug, Default)]
pub(crate) struct Touched(BTreeMap<(u32, Vec<u8>), TouchedPackage>);

#[derive(Debug)]
struct TouchedPackage {
    /// True if what was before cannot be told.
    lost: bool,
    before: Option<PackageRecord>,
    /// By key in `ver`.
    versions: BTreeMap<Vec<u8>, Option<(VersionRecord, Status)>>,
}

impl Touched {
    /// Notes a package, and perhaps one of its versions, as they are before the first change.
    pub(crate) fn note(
        &mut self,
        read: &dyn MetaRead,
        feed: u32,
        package: &[u8],
        version: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let place = (feed, package.to_vec());
        if !self.0.contains_key(&place) {
            let before = rows::left_out(rows::get(read, tables::PACKAGE, package))?;
            let fresh = TouchedPackage {
                lost: before.is_none(),
                before: before.flatten(),
                versions: BTreeMap::new(),
            };
            self.0.insert(place.clone(), fresh);
        }
        if let Some(version) = version
            && let Some(touched) = self.0.get_mut(&place)
            && !touched.versions.contains_key(version)
        {
            let found = rows::left_out(rows::version(read, version))?;
            touched.lost |= found.is_none();
            let before = match found.flatten() {
                None => None,
                Some(record) => {
                    let status = view::status_of(read, version, &record)?;
                    Some((record, status))
                }
            };
            touched.versions.insert(version.to_vec(), before);
        }
        Ok(())
    }
}

/// Lets the feed types derive what follows from what the operation changed. Never fails for what a
/// type does: then the feed's index is dirty, and is built anew in the background.
pub(crate) fn derive(plan: &mut Plan, types: &FeedTypes) -> Result<(), StoreError> {
    let touched = plan.take_touched();
    for ((feed, package), touched) in touched.0 {
        let Some(handle) = FeedHandle::by_id(plan, types, feed)? else { continue };
        let Some(feed_type) = handle.feed_type.clone() else {
            dirty(plan, feed, &handle.record.tag, 0)?;
            continue;
        };
        if feed_type.index_revision() == 0 {
            continue;
        }
        let state = view::state(plan, feed, feed_type.as_ref())?;
        let wanted = match &state.state {
            IndexState::Complete => true,
            IndexState::Dirty => false,
            // What the builder has not come to yet it will find as it is then.
            IndexState::Building(upto) => package.as_slice() <= upto.as_slice(),
        };
        if !wanted {
            continue;
        }
        if touched.lost {
            dirty(plan, feed, feed_type.tag(), feed_type.index_revision())?;
            continue;
        }
        let ground = Ground::of(plan, handle, feed_type.clone(), &[])?;
        if let Err(error) = one(plan, &ground, &package, touched) {
            match error {
                IndexError::View(ViewError::Unavailable(_)) => {
                    return Err(StoreError::damaged("what an index is derived from"));
                }
                error => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        feed = ground.card.name,
                        "an index could not follow a change and will be built anew"
                    );
                    dirty(plan, feed, feed_type.tag(), feed_type.index_revision())?;
                }
            }
        }
    }
    Ok(())
}

/// Marks an index as one that a change is missing in.
pub(crate) fn dirty(
    plan: &mut Plan,
    feed: u32,
    tag: &str,
    revision: u32,
) -> Result<(), StoreError> {
    let record = IndexStateRecord {
        tag: tag.to_owned(),
        revision,
        state: IndexState::Dirty,
        changed: plan.now().millis(),
    };
    plan.put(tables::INDEX_STATE, tables::feed(feed), &record)
}

/// The same for a feed whose type is known, by its number.
pub(crate) fn make_dirty(plan: &mut Plan, types: &FeedTypes, feed: u32) -> Result<(), StoreError> {
    let Some(handle) = FeedHandle::by_id(plan, types, feed)? else { return Ok(()) };
    let Some(feed_type) = &handle.feed_type else { return Ok(()) };
    dirty(plan, feed, feed_type.tag(), feed_type.index_revision())
}

fn one(
    plan: &mut Plan,
    ground: &Ground,
    package: &[u8],
    touched: TouchedPackage,
) -> Result<(), IndexError> {
    let lost = |error: StoreError| IndexError::View(view::failed(error));
    let name_key = package.get(4..).unwrap_or_default();
    let to_head =
        |record: Option<PackageRecord>| record.map(|it| head(name_key, &(&it).into())).transpose();
    let before = to_head(touched.before).map_err(lost)?;
    let after = rows::get(plan, tables::PACKAGE, package).map_err(lost)?;
    let after = to_head(after).map_err(lost)?;
    let mut versions = Vec::with_capacity(touched.versions.len());
    for (key, before) in touched.versions {
        let after = rows::version(plan, &key).map_err(lost)?;
        let Some(any) = before.as_ref().map(|(record, _)| record).or(after.as_ref()) else {
            continue;
        };
        let version = version(&key, &any.into());
        let before = before
            .map(|(record, status)| state(&record, status, Vec::new()))
            .transpose()
            .map_err(lost)?;
        let after = after
            .map(|record| {
                let status = view::status_of(plan, &key, &record)?;
                state(&record, status, of_version(plan, &key)?)
            })
            .transpose()
            .map_err(lost)?;
        versions.push(VersionChange::new(version, before, after));
    }
    let Some(name) = after.as_ref().or(before.as_ref()).map(|head| head.name.clone()) else {
        return Ok(());
    };
    derive_one(
        plan,
        ground,
        &IndexChange::new(&name, before.as_ref(), after.as_ref(), &versions, plan.now()),
    )
}

/// Runs the type's hook for one change and keeps what it gives.
pub(crate) fn derive_one(
    plan: &mut Plan,
    ground: &Ground,
    change: &IndexChange<'_>,
) -> Result<(), IndexError> {
    let collected = {
        let mut out = Collector {
            read: plan,
            feed: ground.feed.id,
            sequence: plan.sequence(),
            now: change.now,
            collected: Collected::default(),
        };
        let view: View<'_> = ground.view_in_change(plan);
        ground.feed_type.index(change, &view, &mut out)?;
        out.collected
    };
    collected
        .write(plan, ground.feed.id, change.name.key().as_bytes())
        .map_err(|error| IndexError::View(view::failed(error)))
}

/// What the type of a feed has to tidy; nothing while its index is not complete.
fn tidied(
    read: &dyn MetaRead,
    types: &FeedTypes,
    feed: u32,
    (sequence, now): (u64, Timestamp),
) -> Result<Option<Collected>, StoreError> {
    let Some(handle) = FeedHandle::by_id(read, types, feed)? else { return Ok(None) };
    let Some(feed_type) = handle.feed_type.clone() else { return Ok(None) };
    if feed_type.index_revision() == 0 || !view::is_complete(read, feed, feed_type.as_ref())? {
        return Ok(None);
    }
    let ground = Ground::of(read, handle, feed_type.clone(), &[])?;
    let mut out = Collector { read, feed, sequence, now, collected: Collected::default() };
    match feed_type.tidy(&ground.view_in_change(read), now, &mut out) {
        Ok(()) => Ok(Some(out.collected)),
        Err(IndexError::View(ViewError::Unavailable(_))) => {
            Err(StoreError::damaged("what an index is tidied from"))
        }
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, feed = ground.card.name, "an index could not be tidied");
            Ok(None)
        }
    }
}

/// Bytes that [`tidy`] would write; `None` if there is nothing to do.
pub(crate) fn untidy(
    read: &dyn MetaRead,
    types: &FeedTypes,
    feed: u32,
    now: Timestamp,
) -> Result<Option<usize>, StoreError> {
    let found = tidied(read, types, feed, (0, now))?;
    Ok(found.filter(Collected::is_something).map(|found| found.size()))
}

/// Lets the type of a feed tidy its index.
pub(crate) fn tidy(plan: &mut Plan, types: &FeedTypes, feed: u32) -> Result<(), StoreError> {
    let at = (plan.sequence(), plan.now());
    match tidied(plan, types, feed, at)? {
        Some(found) => found.write(plan, feed, &[]),
        None => Ok(()),
    }
}

fn state(
    record: &VersionRecord,
    status: Status,
    fragments: Vec<fragments::Read>,
) -> Result<VersionState, StoreError> {
    let published = Timestamp::from_millis(record.created);
    let mut state = VersionState::new(status, published, cards(&record.into())?);
    state.fragments = fragments
        .into_iter()
        .filter_map(|found| {
            let kind = found.kind.of_type()?;
            Some((found.file, Fragment { kind, bytes: found.bytes }))
        })
        .collect();
    Ok(state)
}

fn of_version(read: &dyn MetaRead, key: &[u8]) -> Result<Vec<fragments::Read>, StoreError> {
    let all = fragments::between(read, key, key, &|kind| kind.of_type().is_some())?;
    Ok(all.into_values().next().unwrap_or_default())
}

/// Takes what a hook derives, over the plan as it was before it ran.
struct Collector<'a> {
    read: &'a dyn MetaRead,
    feed: u32,
    sequence: u64,
    now: Timestamp,
    collected: Collected,
}

impl Collector<'_> {
    fn log(&mut self, name: &[u8]) -> Result<&mut Pending, IndexError> {
        checked(name)?;
        if !self.collected.logs.contains_key(name) {
            let found = Pending::load(self.read, self.feed, name)
                .map_err(|error| IndexError::View(view::failed(error)))?;
            self.collected.logs.insert(name.to_vec(), found);
        }
        Ok(self.collected.logs.entry(name.to_vec()).or_default())
    }
}

fn checked(key: &[u8]) -> Result<(), IndexError> {
    if key.len() > KEY {
        return Err(IndexError::TooLarge { length: key.len(), limit: KEY });
    }
    Ok(())
}

impl IndexWriter for Collector<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), IndexError> {
        checked(key)?;
        if value.len() > Fragment::LONGEST {
            let (length, limit) = (value.len(), Fragment::LONGEST);
            return Err(IndexError::TooLarge { length, limit });
        }
        self.collected.rows.insert(key.to_vec(), Some(value.to_vec()));
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), IndexError> {
        checked(key)?;
        self.collected.rows.insert(key.to_vec(), None);
        Ok(())
    }

    fn bump(&mut self, subject: &[u8]) -> Result<(), IndexError> {
        checked(subject)?;
        self.collected.subjects.push(subject.to_vec());
        Ok(())
    }

    fn append(&mut self, log: &[u8], bytes: &[u8]) -> Result<LogHead, IndexError> {
        let (sequence, now) = (self.sequence, self.now);
        Ok(self.log(log)?.append(bytes, sequence, now))
    }

    fn restart(&mut self, log: &[u8]) -> Result<LogHead, IndexError> {
        let (sequence, now) = (self.sequence, self.now);
        Ok(self.log(log)?.restart(sequence, now))
    }

    fn remove_log(&mut self, log: &[u8]) -> Result<(), IndexError> {
        self.log(log)?.remove();
        Ok(())
    }

    fn search(&mut self, record: Option<&SearchRecord>) -> Result<(), IndexError> {
        self.collected.search = Some(match record {
            Some(record) => Words::Are(record.clone()),
            None => Words::Gone,
        });
        Ok(())
    }

    fn stale(&mut self, subject: &[u8]) -> Result<(), IndexError> {
        checked(subject)?;
        self.collected.stale.push(subject.to_vec());
        Ok(())
    }
}

/// What a hook has derived.
#[derive(Default)]
struct Collected {
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    subjects: Vec<Vec<u8>>,
    logs: BTreeMap<Vec<u8>, Pending>,
    search: Option<Words>,
    stale: Vec<Vec<u8>>,
}

/// What a package is found by.
enum Words {
    Are(SearchRecord),
    Gone,
}

impl Collected {
    fn is_something(&self) -> bool {
        !(self.rows.is_empty() && self.subjects.is_empty() && self.stale.is_empty())
            || self.logs.values().any(Pending::is_something)
    }

    fn size(&self) -> usize {
        let rows = self.rows.values().flatten().map(Vec::len);
        rows.chain(self.logs.values().map(Pending::size)).sum()
    }

    fn write(self, plan: &mut Plan, feed: u32, name_key: &[u8]) -> Result<(), StoreError> {
        for (key, value) in self.rows {
            put_row(plan, feed, &key, value.as_deref())?;
        }
        for subject in self.subjects {
            bump(plan, feed, &subject)?;
        }
        for (name, pending) in self.logs {
            if pending.write(plan, feed, &name)? {
                plan.job(&JobRecord::OldLines { feed, log: name, since: plan.now().millis() })?;
            }
        }
        match self.search {
            None => {}
            Some(Words::Are(record)) => search::note(plan, feed, name_key, Some(&record))?,
            Some(Words::Gone) => search::note(plan, feed, name_key, None)?,
        }
        for subject in self.stale {
            plan.put(
                tables::STALE,
                tables::subject(feed, &subject),
                &SubjectRecord { revision: plan.sequence(), changed: plan.now().millis() },
            )?;
        }
        Ok(())
    }
}

/// Gives a subject the revision of this commit.
pub(crate) fn bump(plan: &mut Plan, feed: u32, subject: &[u8]) -> Result<(), StoreError> {
    let record = SubjectRecord { revision: plan.sequence(), changed: plan.now().millis() };
    plan.put(tables::SUBJECT, tables::subject(feed, subject), &record)
}

/// Writes a row of a type's own in as many parts as it needs, or removes it.
pub(crate) fn put_row(
    plan: &mut Plan,
    feed: u32,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(), StoreError> {
    let first = tables::index(feed, key);
    let before: Option<IndexRowRecord> = plan.get(tables::INDEX, &first)?;
    let stale = before.map_or(0, |before| before.more);
    let mut more = 0;
    if let Some(value) = value {
        let mut parts = value.chunks(PART);
        let bytes = parts.next().unwrap_or_default().to_vec();
        for part in parts {
            let key = tables::index_part(feed, key, more);
            plan.put(tables::INDEX_PART, key, &IndexPartRecord(part.to_vec()))?;
            more += 1;
        }
        plan.put(tables::INDEX, first, &IndexRowRecord { more, bytes })?;
    } else {
        plan.delete(tables::INDEX, first);
    }
    for part in more..stale {
        plan.delete(tables::INDEX_PART, tables::index_part(feed, key, part));
    }
    Ok(())
}
