use hayloft_feed::{Detail, FeedType};

use super::audit::Entry;
use super::history::each_of_package;
use crate::plan::Plan;
use crate::records::PromotionRecord;
use crate::resolve::FeedHandle;
use crate::tables::{self, HistoryKind};
use crate::{
    Action, Actor, Kept, LookupError, NoSuchFeed, Promotion, Store, StoreError, TooLong,
    UnknownFeedType,
};

/// Bytes that one record writes, roughly.
const WEIGHT: usize = 4 << 10;

/// Records of another store were not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// No feed has this name.
    #[error(transparent)]
    Feed(#[from] NoSuchFeed),
    /// The type of the feed is not known here.
    #[error(transparent)]
    UnknownType(#[from] UnknownFeedType),
    /// A record is not of this feed's type, or its package cannot be of it.
    #[error("a record is of no package of this feed's type")]
    Package(#[source] Detail),
    /// Something is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<LookupError> for AdoptError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Feed(missing) => Self::Feed(missing),
            LookupError::Store(error) => Self::Store(error),
        }
    }
}

impl Store {
    /// Keeps records of promotions that another store made of packages which came from there into
    /// `feed`; what is kept already is not kept twice. Gives the number of new ones. Numbers of
    /// records are this store's own.
    pub fn adopt_promotions(
        &self,
        feed: &str,
        promotions: &[Promotion],
        actor: &Actor,
    ) -> Result<u64, AdoptError> {
        actor.check()?;
        let handle = self.inner.small()?.feed(self.types(), feed)?;
        let feed_type = handle.known_type()?.clone();
        let records = promotions.iter().map(|one| record(feed_type.as_ref(), one));
        let records = records.collect::<Result<Vec<_>, _>>()?;
        let types = self.types().clone();
        let (feed, actor) = (feed.to_owned(), actor.clone());
        let weight = records.len().max(1).saturating_mul(WEIGHT);
        self.inner.writer.change(weight, move |plan| {
            let handle = FeedHandle::find(plan, &types, &feed)?;
            let mut new = 0;
            for record in &records {
                new += u64::from(adopt(plan, &handle, record, &actor)?);
            }
            Ok(new)
        })
    }
}

fn record(feed_type: &dyn FeedType, one: &Promotion) -> Result<PromotionRecord, AdoptError> {
    if one.feed_type != feed_type.tag() {
        let text = format!("it is of the type `{}`", hayloft_feed::shorten(&one.feed_type));
        return Err(AdoptError::Package(text.into()));
    }
    Kept::FeedName.check_text(&one.from_feed)?;
    Kept::FeedName.check_text(&one.to_feed)?;
    Kept::Group.check_text(&one.group)?;
    Kept::PackageName.check_text(&one.name)?;
    Kept::Version.check_text(&one.version)?;
    Kept::Comments.check_text(&one.comments)?;
    Actor::named(&one.user).check()?;
    let name = feed_type.package_name(&one.group, &one.name);
    let name = name.map_err(|error| AdoptError::Package(Box::new(error)))?;
    Ok(PromotionRecord {
        tag: one.feed_type.clone(),
        from_feed: one.from_feed.clone(),
        to_feed: one.to_feed.clone(),
        group: one.group.clone(),
        name: one.name.clone(),
        version: one.version.clone(),
        date: one.date.millis(),
        user: one.user.clone(),
        comments: one.comments.clone(),
        name_key: name.key().as_bytes().to_vec(),
    })
}

fn adopt(
    plan: &mut Plan,
    handle: &FeedHandle,
    record: &PromotionRecord,
    actor: &Actor,
) -> Result<bool, StoreError> {
    let mut known = false;
    each_of_package(plan, &record.tag, &record.name_key, |_, kept: PromotionRecord| {
        known |= kept == *record;
        Ok(())
    })?;
    if known {
        return Ok(false);
    }
    plan.counters().promotion += 1;
    let id = plan.counters().promotion;
    let index = tables::history(&record.tag, &record.name_key, HistoryKind::Promotion, id);
    plan.put_entry(tables::HISTORY, index)?;
    plan.put(tables::PROMOTION, tables::number(id), record)?;
    let entry = Entry {
        group: record.group.clone(),
        name: record.name.clone(),
        version: record.version.clone(),
        details: Some(serde_json::json!({
            "adopted": { "fromFeed": record.from_feed, "toFeed": record.to_feed },
        })),
        ..Entry::of_feed(Action::Promote, &handle.record.name)
    };
    entry.write(plan, actor)?;
    Ok(true)
}
