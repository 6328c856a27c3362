//! Jobs, feeds and their names.

use super::run::{Look, Run, look, row};
use crate::operation::feeds::named;
use crate::records::{FeedNameRecord, FeedRecord, FeedState, JobRecord};
use crate::resolve::folded;
use crate::{FindingCode, MetaRead, StoreError, codec, tables};

impl Run<'_> {
    /// Notes what maintenance is going to do.
    pub(super) fn jobs(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        self.each_bytes(read, tables::JOB, |run, key, value| {
            match codec::decode(tables::JOB, key, value) {
                Ok(JobRecord::Collect { blob }) => {
                    run.collecting.insert(blob);
                }
                Ok(JobRecord::DeleteFeed { feed }) => {
                    run.deleting.insert(feed);
                }
                Ok(JobRecord::OldLines { .. }) => {}
                Err(error @ StoreError::Newer { .. }) => run.unreadable(tables::JOB, key, &error),
                Err(_) => {
                    // What it was to do is missed, and asked for again, where it belongs.
                    let text = row(tables::JOB, key);
                    let key = key.to_vec();
                    run.found_mendable(FindingCode::Row, text, move |plan| {
                        plan.delete(tables::JOB, key.clone());
                        Ok(true)
                    })?;
                }
            }
            Ok(())
        })
    }

    /// Every feed is found by its names, and every name leads to a feed.
    pub(super) fn feeds(&mut self, read: &dyn MetaRead) -> Result<(), StoreError> {
        self.each_bytes(read, tables::FEED, |run, key, value| {
            let id = tables::u32_at(key, 0).unwrap_or_default();
            let record: FeedRecord = match codec::decode(tables::FEED, key, value) {
                Ok(record) => record,
                Err(error) => {
                    run.feeds.insert(id, None);
                    run.unreadable(tables::FEED, key, &error);
                    return Ok(());
                }
            };
            match record.state {
                FeedState::Live => run.names_of(read, id, &record)?,
                FeedState::Deleting if run.deleting.contains(&id) => {}
                FeedState::Deleting => {
                    let text = format!("nothing deletes the rest of feed `{}`", record.name);
                    run.found_mendable(FindingCode::FeedRow, text, move |plan| {
                        let found: Option<FeedRecord> =
                            plan.get(tables::FEED, &tables::feed(id))?;
                        if found.is_some_and(|found| found.state == FeedState::Deleting) {
                            plan.job(&JobRecord::DeleteFeed { feed: id })?;
                        }
                        Ok(true)
                    })?;
                }
            }
            run.feeds.insert(id, Some(record));
            Ok(())
        })?;
        self.each(read, tables::FEED_NAME, |run, key, FeedNameRecord { feed: id, .. }| {
            let leads = run
                .feeds
                .get(&id)
                .is_some_and(|feed| feed.as_ref().is_none_or(|feed| feed.is_called(key)));
            if leads || run.is_reported(tables::FEED_NAME, key) {
                return Ok(());
            }
            let text = format!("the name `{}` leads to no feed", codec::shown(key));
            let key = key.to_vec();
            run.found_mendable(FindingCode::FeedRow, text, move |plan| {
                let feed: Option<FeedRecord> = plan.get(tables::FEED, &tables::feed(id))?;
                if !feed.is_some_and(|feed| feed.is_called(&key)) {
                    plan.delete(tables::FEED_NAME, key.clone());
                }
                Ok(true)
            })
        })
    }

    fn names_of(
        &mut self,
        read: &dyn MetaRead,
        id: u32,
        record: &FeedRecord,
    ) -> Result<(), StoreError> {
        for (name, role) in named(&record.name, &record.alternates) {
            let key = folded(name);
            let wanted = FeedNameRecord {
                feed: id,
                role,
                spelled: name.to_owned(),
                tag: record.tag.clone(),
            };
            let (code, text) = match look::<FeedNameRecord>(read, tables::FEED_NAME, &key)? {
                Look::Good(found) if found == wanted => continue,
                Look::Newer => continue,
                Look::Good(_) | Look::Missing => {
                    (FindingCode::FeedRow, format!("feed `{name}` is not found by its name"))
                }
                Look::Bad => (FindingCode::Row, row(tables::FEED_NAME, &key)),
            };
            self.set_reported(tables::FEED_NAME, &key);
            self.found_mendable(code, text, move |plan| {
                // Another feed may have taken the name rightly meanwhile.
                if named_feed(plan, &key)?.is_some_and(|found| found != id) {
                    return Ok(false);
                }
                plan.put(tables::FEED_NAME, key.clone(), &wanted)?;
                Ok(true)
            })?;
        }
        Ok(())
    }
}

/// The live feed that a name leads to and that has it.
fn named_feed(read: &dyn MetaRead, key: &[u8]) -> Result<Option<u32>, StoreError> {
    let Look::Good(FeedNameRecord { feed: id, .. }) = look(read, tables::FEED_NAME, key)? else {
        return Ok(None);
    };
    let feed = match look::<FeedRecord>(read, tables::FEED, &tables::feed(id))? {
        Look::Good(feed) => feed,
        Look::Bad | Look::Newer | Look::Missing => return Ok(None),
    };
    Ok(feed.is_called(key).then_some(id))
}
