//! One view of the store for one read: rows, and feeds, keys and settings from memory.

use std::sync::Arc;

use crate::file_rows::Context;
use crate::records::VersionPlaceRecord;
use crate::resolve::{FeedHandle, PackageHandle, VersionHandle};
use crate::small::{self, Small};
use crate::store::Inner;
use crate::{LookupError, MetaRead, StoreError, Want, rows, tables};

/// A snapshot, and the small tables as they are in it or a commit later.
pub(crate) struct Reading {
    rows: Box<dyn MetaRead>,
    pub(crate) small: Arc<Small>,
    context: Arc<Context>,
}

impl Reading {
    /// The rows.
    pub(crate) fn rows(&self) -> &dyn MetaRead {
        self.rows.as_ref()
    }

    /// A feed by name or alternate name.
    pub(crate) fn feed(&self, name: &str) -> Result<FeedHandle, LookupError> {
        self.small.feed(&self.context.types, name)
    }

    /// A feed by number, if it is there and not being deleted.
    pub(crate) fn feed_by_id(&self, id: u32) -> Result<Option<FeedHandle>, StoreError> {
        self.small.feed_by_id(&self.context.types, id)
    }

    /// A version of a live feed by its number.
    pub(crate) fn version_by_id(
        &self,
        version: u64,
    ) -> Result<Option<(FeedHandle, VersionHandle)>, StoreError> {
        let read = self.rows();
        let place: Option<VersionPlaceRecord> =
            rows::get(read, tables::VERSION_ID, &tables::number(version))?;
        let Some(place) = place else { return Ok(None) };
        let Some(handle) = self.feed_by_id(place.feed)? else { return Ok(None) };
        let key = tables::package_of(&place.key).unwrap_or_default().to_vec();
        let record = rows::need(read, tables::PACKAGE, &key)?;
        let package = PackageHandle { key, record };
        let version = VersionHandle::read(read, package, place.key)?;
        Ok(version.map(|version| (handle, version)))
    }
}

impl Inner {
    /// Begins a read of which nothing is known ahead.
    pub(crate) fn read(&self) -> Result<Reading, StoreError> {
        self.read_with(Vec::new())
    }

    /// Begins a read of a feed. What `wants` names of it is fetched together with the snapshot; it
    /// is asked for by the feed as it was last known.
    pub(crate) fn read_feed(
        &self,
        name: &str,
        wants: impl FnOnce(&FeedHandle) -> Vec<Want>,
    ) -> Result<(Reading, FeedHandle), LookupError> {
        let known = if self.is_shared() {
            self.small.last().feed(&self.context.types, name).ok()
        } else {
            None
        };
        let reading = self.read_with(known.map(|feed| wants(&feed)).unwrap_or_default())?;
        let feed = reading.feed(name)?;
        Ok((reading, feed))
    }

    /// Begins a read; `wants` is going to be asked for.
    pub(crate) fn read_with(&self, mut wants: Vec<Want>) -> Result<Reading, StoreError> {
        let context = self.context.clone();
        if self.is_shared() {
            wants.push(small::number_wanted());
            let rows = self.snapshot_with(&wants)?;
            let small = self.small.of(rows.as_ref())?;
            return Ok(Reading { rows, small, context });
        }
        // In this order: a feed that is gone from the rows is gone from memory too.
        let rows = self.snapshot_with(&wants)?;
        let small = self.small.get(|| self.snapshot())?;
        Ok(Reading { rows, small, context })
    }

    /// The small tables alone; without a row to read unless others write to the engine.
    pub(crate) fn small(&self) -> Result<Arc<Small>, StoreError> {
        if self.is_closed() {
            return Err(StoreError::Closed);
        }
        if self.is_shared() {
            return Ok(self.read()?.small);
        }
        self.small.get(|| self.snapshot())
    }

    /// The same for those who must not wait; `None` if something would have to be read.
    pub(crate) fn small_at_hand(&self) -> Option<Arc<Small>> {
        if self.is_closed() || self.is_shared() { None } else { self.small.at_hand() }
    }

    /// What a change of a feed is going to read of it, by the feed as it was last known; nothing
    /// where knowing it saves nothing.
    pub(crate) fn hints(
        &self,
        feed: &str,
        wants: impl FnOnce(&FeedHandle) -> Vec<Want>,
    ) -> Vec<Want> {
        if !self.is_shared() {
            return Vec::new();
        }
        let known = self.small.last().feed(&self.context.types, feed);
        known.map_or(Vec::new(), |feed| {
            let mut all = feed.own_wants();
            all.extend(wants(&feed));
            all
        })
    }

    /// Fetches what is going to be asked for, where that saves anything.
    pub(crate) fn prefetch(
        &self,
        read: &dyn MetaRead,
        wants: impl FnOnce() -> Vec<Want>,
    ) -> Result<(), StoreError> {
        if self.is_shared() { Ok(read.prefetch(&wants())?) } else { Ok(()) }
    }
}
