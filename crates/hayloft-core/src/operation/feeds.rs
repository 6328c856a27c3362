use std::collections::BTreeMap;

use hayloft_feed::Detail;

use crate::plan::Plan;
use crate::records::{
    ActivityValue, DeleteModeValue, FacetRecord, FeedNameRecord, FeedRecord, FeedState, JobRecord,
    NameRole, OverwritingValue,
};
use crate::resolve::{FeedHandle, folded};
use crate::{
    Action, Actor, Direction, Feed, FeedDraft, FeedError, FeedSettings, FeedStats, FeedTypes, Kept,
    LookupError, MetaRead, NoSuchFeed, Store, StoreError, Want, codec, rows, tables,
};

use super::audit::Entry;

/// Bytes that a change of a feed writes, roughly.
const WEIGHT: usize = 16 << 10;

impl Store {
    /// Makes a feed. Its name is 1 to 50 of `A-Z a-z 0-9 - . _`, and not `.`, `..` or `keys`.
    pub fn create_feed(&self, draft: FeedDraft, actor: &Actor) -> Result<Feed, FeedError> {
        actor.check()?;
        draft.check()?;
        let types = self.types().clone();
        let actor = actor.clone();
        self.inner.writer.change(WEIGHT, move |plan| create(plan, &types, draft.clone(), &actor))
    }

    /// All feeds by name, without ASCII case, but for those whose rows are damaged. Come from
    /// memory.
    pub fn feeds(&self) -> Result<Vec<Feed>, StoreError> {
        let small = self.inner.small()?;
        let mut feeds: Vec<Feed> = small.feeds(self.types()).map(|feed| feed.shown()).collect();
        feeds.sort_by_key(|feed: &Feed| folded(&feed.name));
        Ok(feeds)
    }

    /// A feed by its name or alternate name. Comes from memory.
    pub fn feed(&self, name: &str) -> Result<Feed, LookupError> {
        Ok(self.inner.small()?.feed(self.types(), name)?.shown())
    }

    /// A feed by its number. Comes from memory.
    pub fn feed_by_id(&self, id: u32) -> Result<Option<Feed>, StoreError> {
        Ok(self.inner.small()?.feed_by_id(self.types(), id)?.map(|feed| feed.shown()))
    }

    /// Grows with every change in a feed but download counts; unique in the store.
    pub fn feed_revision(&self, feed: &str) -> Result<u64, LookupError> {
        let (reading, handle) = self
            .inner
            .read_feed(feed, |feed| vec![Want::Row(tables::TOTALS, tables::feed(feed.id))])?;
        Ok(rows::totals_to_show(reading.rows(), handle.id)?.revision)
    }

    /// Changes a feed: `change` gets it as it is and says what it is to be. No other change comes
    /// between, so read-modify-write is safe; an error from `change` leaves all as it was. It may
    /// run several times, of which the last one counts, and must not wait; a change of the store
    /// inside it is refused.
    pub fn update_feed(
        &self,
        name: &str,
        change: impl Fn(&mut FeedDraft) -> Result<(), Detail> + Send + 'static,
        actor: &Actor,
    ) -> Result<Feed, FeedError> {
        actor.check()?;
        let types = self.types().clone();
        let actor = actor.clone();
        let name = name.to_owned();
        self.inner.writer.change(WEIGHT, move |plan| {
            let mut handle = find(plan, &types, &name)?;
            let before = handle.record.draft();
            let mut draft = before.clone();
            change(&mut draft).map_err(FeedError::Refused)?;
            if draft == before {
                return Ok(handle.shown());
            }
            draft.check()?;
            check_settings(&draft.settings)?;
            draft.feed_type = new_type(plan, &types, &handle, &draft.feed_type)?;
            unname(plan, handle.id, &handle.record)?;
            name_feed(plan, handle.id, &draft)?;
            let targets = (before.settings.promote_to, draft.settings.promote_to);
            check_target(plan, &types, targets.0, targets.1)?;
            handle.record.apply(draft);
            handle.feed_type = types.get(&handle.record.tag).cloned();
            plan.put(tables::FEED, tables::feed(handle.id), &handle.record)?;
            plan.touch_feed(handle.id)?;
            Entry::of_feed(Action::FeedUpdate, &handle.record.name).write(plan, &actor)?;
            Ok(handle.shown())
        })
    }

    /// Deletes a feed with all its packages. It is gone for all readers when this returns; its
    /// rows and files are removed step by step by maintenance.
    pub fn delete_feed(&self, name: &str, actor: &Actor) -> Result<(), FeedError> {
        actor.check()?;
        let types = self.types().clone();
        let actor = actor.clone();
        let name = name.to_owned();
        self.inner.writer.change(WEIGHT, move |plan| {
            let (id, mut record) = match find(plan, &types, &name) {
                Ok(handle) => (handle.id, handle.record),
                Err(FeedError::Store(StoreError::Damaged { .. })) => {
                    let id = FeedHandle::number_of(plan, &name)?;
                    let id = id.ok_or_else(|| NoSuchFeed { name: name.clone() })?;
                    (id, FeedRecord { name: name.clone(), ..FeedRecord::lost(plan.now()) })
                }
                Err(error) => return Err(error),
            };
            unname(plan, id, &record)?;
            record.state = FeedState::Deleting;
            plan.put(tables::FEED, tables::feed(id), &record)?;
            plan.job(&JobRecord::DeleteFeed { feed: id })?;
            Entry::of_feed(Action::FeedDelete, &record.name).write(plan, &actor)?;
            Ok::<_, FeedError>(())
        })?;
        self.inner.maintenance.wake();
        Ok(())
    }

    /// How much a feed holds.
    pub fn feed_stats(&self, feed: &str) -> Result<FeedStats, LookupError> {
        let (reading, handle) = self
            .inner
            .read_feed(feed, |feed| vec![Want::Row(tables::TOTALS, tables::feed(feed.id))])?;
        let totals = rows::totals(reading.rows(), handle.id)?;
        Ok(FeedStats {
            packages: totals.packages.max(0).unsigned_abs(),
            versions: totals.versions.max(0).unsigned_abs(),
            files: totals.files.max(0).unsigned_abs(),
            bytes: totals.bytes.max(0).unsigned_abs(),
        })
    }

    /// Values in use of the qualifiers that the feed's type wants remembered, such as Debian's
    /// `distro`, with the number of files that have each: qualifier to value to count.
    pub fn facets(
        &self,
        feed: &str,
    ) -> Result<BTreeMap<String, BTreeMap<String, u64>>, LookupError> {
        let (reading, handle) = self.inner.read_feed(feed, |_| Vec::new())?;
        Ok(facets(reading.rows(), handle.id)?)
    }
}

/// What [`facets`] is going to read.
pub(crate) fn facets_wanted(feed: u32) -> Want {
    let range = tables::prefixed(&tables::feed(feed));
    Want::Range(tables::FACET, range, Direction::Forward, rows::PAGE)
}

/// Remembered qualifiers of a feed: qualifier to value to count.
pub(crate) fn facets(
    read: &dyn MetaRead,
    feed: u32,
) -> Result<BTreeMap<String, BTreeMap<String, u64>>, StoreError> {
    let prefix = tables::feed(feed);
    let mut found: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    rows::each(read, tables::FACET, &prefix, |key, value| {
        let decoded = rows::left_out(codec::decode(tables::FACET, key, value))?;
        let Some(FacetRecord(count)) = decoded else { return Ok(()) };
        let text = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default());
        if let Some((name, value)) = text.split_once('\0') {
            found.entry(name.to_owned()).or_default().insert(value.to_owned(), count);
        }
        Ok(())
    })?;
    Ok(found)
}

fn create(
    plan: &mut Plan,
    types: &FeedTypes,
    mut draft: FeedDraft,
    actor: &Actor,
) -> Result<Feed, FeedError> {
    let feed_type =
        types.get(&draft.feed_type).cloned().ok_or_else(|| types.unknown(&draft.feed_type))?;
    feed_type.tag().clone_into(&mut draft.feed_type);
    check_settings(&draft.settings)?;
    check_target(plan, types, None, draft.settings.promote_to)?;
    plan.counters().feed += 1;
    let id = plan.counters().feed;
    name_feed(plan, id, &draft)?;
    let mut record = FeedRecord {
        name: String::new(),
        alternates: Vec::new(),
        tag: String::new(),
        state: FeedState::Live,
        created: plan.now().millis(),
        description: None,
        activity: ActivityValue::Active,
        overwriting: OverwritingValue::Allowed,
        delete_mode: DeleteModeValue::Unlist,
        promote_to: None,
        other: String::new(),
    };
    record.apply(draft);
    plan.put(tables::FEED, tables::feed(id), &record)?;
    plan.touch_feed(id)?;
    if feed_type.index_revision() > 0 {
        crate::index::begin(plan, id, feed_type.tag(), feed_type.index_revision())?;
    }
    Entry::of_feed(Action::FeedCreate, &record.name).write(plan, actor)?;
    let handle = FeedHandle { id, record, feed_type: Some(feed_type) };
    Ok(handle.shown())
}

fn find(plan: &Plan, types: &FeedTypes, name: &str) -> Result<FeedHandle, FeedError> {
    FeedHandle::find(plan, types, name).map_err(|error| match error {
        LookupError::Feed(missing) => missing.into(),
        LookupError::Store(error) => error.into(),
    })
}

/// Frees the names of a feed: those that its record tells, and any others that lead to it.
fn unname(plan: &mut Plan, id: u32, record: &FeedRecord) -> Result<(), StoreError> {
    let names = record.alternates.iter().chain([&record.name]);
    let mut freed: Vec<Vec<u8>> = names.map(|name| folded(name)).collect();
    rows::each(plan, tables::FEED_NAME, &[], |key, value| {
        let leads = codec::decode::<FeedNameRecord>(tables::FEED_NAME, key, value);
        if rows::left_out(leads)?.is_some_and(|leads| leads.feed == id) {
            freed.push(key.to_vec());
        }
        Ok(())
    })?;
    for key in freed {
        plan.delete(tables::FEED_NAME, key);
    }
    Ok(())
}

/// All names of a feed.
pub(crate) fn named<'a>(
    name: &'a str,
    alternates: &'a [String],
) -> impl Iterator<Item = (&'a str, NameRole)> {
    let alternates = alternates.iter().map(|name| (name.as_str(), NameRole::Alternate));
    alternates.chain([(name, NameRole::Name)])
}

/// Takes the names of a feed.
fn name_feed(plan: &mut Plan, id: u32, draft: &FeedDraft) -> Result<(), FeedError> {
    for (name, role) in named(&draft.name, &draft.alternates) {
        if !is_name(name) {
            return Err(FeedError::Name(name.to_owned()));
        }
        let key = folded(name);
        if FeedHandle::number_of(plan, name)?.is_some() {
            return Err(FeedError::Exists(name.to_owned()));
        }
        let (spelled, tag) = (name.to_owned(), draft.feed_type.clone());
        plan.put(tables::FEED_NAME, key, &FeedNameRecord { feed: id, role, spelled, tag })?;
    }
    Ok(())
}

/// Refuses to send packages to a feed that is not there; one that was there once is kept.
fn check_target(
    plan: &Plan,
    types: &FeedTypes,
    before: Option<u32>,
    after: Option<u32>,
) -> Result<(), FeedError> {
    let Some(target) = after.filter(|_| after != before) else { return Ok(()) };
    match FeedHandle::by_id(plan, types, target)? {
        Some(_) => Ok(()),
        None => Err(FeedError::Setting {
            setting: "promote_to",
            detail: format!("there is no feed with number {target}").into(),
        }),
    }
}

/// True if a name can stand in a URL as it is. Beside the feeds of a protocol lie their `keys`.
fn is_name(name: &str) -> bool {
    (1..=Kept::FeedName.limit()).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        && !matches!(name, "." | "..")
        && !name.eq_ignore_ascii_case("keys")
}

fn check_settings(settings: &FeedSettings) -> Result<(), FeedError> {
    if settings.other.is_empty() {
        return Ok(());
    }
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&settings.other)
        .map(drop)
        .map_err(|error| FeedError::Setting { setting: "other", detail: Box::new(error) })
}

/// The tag that a feed is to have; types with the same package type may take each other's feeds,
/// and an empty feed any.
fn new_type(
    plan: &Plan,
    types: &FeedTypes,
    handle: &FeedHandle,
    asked: &str,
) -> Result<String, FeedError> {
    if asked.eq_ignore_ascii_case(&handle.record.tag) {
        return Ok(handle.record.tag.clone());
    }
    let to = types.get(asked).ok_or_else(|| types.unknown(asked))?;
    let related =
        handle.feed_type.as_ref().is_some_and(|from| from.package_type() == to.package_type());
    let packages = rows::totals(plan, handle.id)?.packages;
    if related || packages == 0 {
        return Ok(to.tag().to_owned());
    }
    Err(FeedError::TypeChange { from: handle.record.tag.clone(), to: asked.to_owned() })
}

impl From<LookupError> for crate::SelectError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Feed(NoSuchFeed { name }) => Self::Feed(NoSuchFeed { name }),
            LookupError::Store(error) => Self::Store(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feed_names_need_no_escaping() {
        for name in ["a", "My-Feed_1.0", &"x".repeat(50)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "a b", "a/b", "ä", "a%20", "a+b", "a~", "Keys", &"x".repeat(51)]
        {
            assert!(!is_name(name), "{name}");
        }
    }
}
