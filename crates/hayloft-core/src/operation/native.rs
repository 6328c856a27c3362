mod act;
mod answer;

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, PoisonError};

use hayloft_feed::FeedType;
use hayloft_feed::native::{FeedView, Native, Refresh, RefreshOrder, ViewError};

use crate::index::{Ground, bump, index_row, put_row, read_lines};
use crate::plan::Plan;
use crate::publish::Opening;
use crate::reading::Reading;
use crate::records::{SecretRecord, SubjectRecord};
use crate::{
    Download, FileId, LookupError, Manifests, MetaRead, NoSuchFeed, SelectError, Store, StoreError,
    UnknownFeedType, rows, tables,
};

pub use act::ActError;
pub use answer::{ContentError, NativeContent};

/// A feed at one commit, for its native documents.
///
/// Holds a snapshot, which keeps what was deleted since on the disk: drop it before a client is
/// waited for.
pub struct NativeView {
    reading: Reading,
    ground: Ground,
}

impl std::fmt::Debug for NativeView {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("NativeView").field("feed", &self.ground.card.name).finish_non_exhaustive()
    }
}

impl NativeView {
    /// What documents are made of.
    pub fn view(&self) -> impl FeedView + '_ {
        self.ground.view(self.reading.rows())
    }

    /// Number of the feed.
    pub fn feed(&self) -> u32 {
        self.ground.feed.id
    }

    /// The feed's type.
    pub fn feed_type(&self) -> &Arc<dyn FeedType> {
        &self.ground.feed_type
    }

    /// What the ecosystem's clients speak, if the type knows that.
    pub fn native(&self) -> Option<&dyn Native> {
        self.ground.feed_type.native()
    }
}

/// A feed cannot be read by its type.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NativeError {
    /// No feed has this name.
    #[error(transparent)]
    Feed(#[from] NoSuchFeed),
    /// This program does not know its type.
    #[error(transparent)]
    UnknownType(#[from] UnknownFeedType),
    /// Its type speaks no protocol of its own.
    #[error("the type of the feed has no protocol of its own")]
    NoProtocol,
    /// The feed could not be read, or its index is being rebuilt.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<LookupError> for NativeError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Feed(error) => Self::Feed(error),
            LookupError::Store(error) => Self::Store(error),
        }
    }
}

/// Refreshes that run, by feed and subject.
pub(crate) type Refreshing = Mutex<BTreeMap<(u32, Vec<u8>), Arc<Mutex<()>>>>;

/// A refresh was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// No feed has this name, or its type is not known here.
    #[error(transparent)]
    Feed(#[from] NativeError),
    /// The feed could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The operating system gave no random bytes.
    #[error("no random bytes could be had")]
    Random,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// The feed of this name as it is now, for its native documents. A few point reads.
    pub fn native_view(&self, feed: &str) -> Result<NativeView, NativeError> {
        let reading = self.inner.read()?;
        let handle = reading.feed(feed)?;
        let feed_type = handle.known_type()?.clone();
        let identity = [self.id(), self.timeline()].concat();
        let ground = Ground::of(reading.rows(), handle, feed_type, &identity)?;
        Ok(NativeView { reading, ground })
    }

    /// Shows bytes of a log's generation in order, from a snapshot of its own; an error if the
    /// generation is gone.
    pub fn read_index_log(
        &self,
        feed: u32,
        log: &[u8],
        generation: u64,
        span: Range<u64>,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let snapshot = self.inner.snapshot()?;
        read_lines(snapshot.as_ref(), feed, log, generation, span, visit)
    }

    /// One row of a type's index, from a snapshot of its own.
    pub fn index_row(&self, feed: u32, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        index_row(self.inner.snapshot()?.as_ref(), feed, key)
    }

    /// Opens a file by its number. Blocked versions are an error.
    pub fn download_file(&self, file: FileId) -> Result<Download, SelectError> {
        let file = self.inner.own_file(file)?;
        let missing = || SelectError::NotFound {
            package: format!("file {} of version {}", file.number, file.version),
            feed: String::new(),
        };
        for _ in 0..2 {
            let reading = self.inner.read()?;
            let read = reading.rows();
            let (handle, version) = reading.version_by_id(file.version)?.ok_or_else(missing)?;
            if version.status()?.is_blocked() {
                return Err(SelectError::Blocked { package: version.spelled() });
            }
            let place = version.record.files.iter().position(|known| known.number == file.number);
            let place = place.ok_or_else(missing)?;
            let files = &self.inner.context;
            let found = files.files(read, &handle, &version, &[place], Manifests::Omitted)?.pop();
            let value = version.record.files.get(place);
            let (Some(found), Some(value)) = (found, value) else { return Err(missing()) };
            drop(reading);
            match self.inner.open_blob(&value.digests, value.size)? {
                Opening::Open(reader) => return Ok(Download::new(found, reader)),
                Opening::Gone => {}
            }
        }
        Err(StoreError::damaged("the content of a file").into())
    }

    /// A file of the feed that has this content and is not blocked.
    pub fn file_with_content(
        &self,
        feed: u32,
        sha256: &[u8; 32],
    ) -> Result<Option<FileId>, StoreError> {
        content_of_feed(self.inner.snapshot()?.as_ref(), feed, sha256)
    }

    /// Brings a subject up to date that an answer or the index named; see
    /// [`Native::refresh`]. Waits for one that runs already.
    pub fn refresh(&self, feed: &str, subject: &[u8]) -> Result<(), RefreshError> {
        let number = self.native_view(feed)?.feed();
        let lock = {
            let mut running = self.inner.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
            running.entry((number, subject.to_vec())).or_default().clone()
        };
        let done = {
            let _alone = lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.refresh_alone(feed, subject)
        };
        let mut running = self.inner.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (number, subject.to_vec());
        // One in the map, one here: nobody waits.
        if running.get(&place).is_some_and(|held| Arc::strong_count(held) <= 2) {
            running.remove(&place);
        }
        done
    }

    fn refresh_alone(&self, feed: &str, subject: &[u8]) -> Result<(), RefreshError> {
        let view = self.native_view(feed)?;
        let Some(native) = view.native() else { return Ok(()) };
        let id = view.feed();
        let read = view.reading.rows();
        let secret: Option<SecretRecord> = rows::get(read, tables::SECRET, &tables::feed(id))?;
        let secret = secret.map(|SecretRecord(bytes)| bytes);
        let stale: Option<SubjectRecord> =
            rows::get(read, tables::STALE, &tables::subject(id, subject))?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| RefreshError::Random)?;
        let order = RefreshOrder::new(self.now(), secret.as_deref(), seed);
        let found = native.refresh(&view.view(), subject, &order)?;
        drop(view);
        let refresh = found.unwrap_or_default();
        if stale.is_none() && refresh.is_empty() {
            return Ok(());
        }
        let subject = subject.to_vec();
        let weight = refresh.put.iter().map(|(key, value)| key.len() + value.len() + 64).sum();
        self.inner.writer.change(weight, move |plan| {
            commit(plan, id, &subject, stale.as_ref(), &refresh).map_err(RefreshError::from)
        })
    }
}

fn commit(
    plan: &mut Plan,
    feed: u32,
    subject: &[u8],
    stale: Option<&SubjectRecord>,
    refresh: &Refresh,
) -> Result<(), StoreError> {
    if let Some((key, expected)) = &refresh.expect
        && index_row(plan, feed, key)? != *expected
    {
        // Someone else's refresh is served.
        return Ok(());
    }
    let secret: Option<SecretRecord> = plan.get(tables::SECRET, &tables::feed(feed))?;
    if refresh.secret.is_some() && secret.is_some() {
        // What was made with this one is not what the feed signs with.
        return Ok(());
    }
    for key in &refresh.remove {
        put_row(plan, feed, key, None)?;
    }
    for (key, value) in &refresh.put {
        put_row(plan, feed, key, Some(value))?;
    }
    for subject in &refresh.bump {
        bump(plan, feed, subject)?;
    }
    if let Some(secret) = &refresh.secret {
        let record = SecretRecord(secret.clone());
        plan.put(tables::SECRET, tables::feed(feed), &record)?;
    }
    // What became stale meanwhile stays so.
    let key = tables::subject(feed, subject);
    let now: Option<SubjectRecord> = plan.get(tables::STALE, &key)?;
    if now.as_ref() == stale {
        plan.delete(tables::STALE, key);
    }
    Ok(())
}

/// A file of the feed that has this content and is not blocked.
pub(crate) fn content_of_feed(
    read: &dyn MetaRead,
    feed: u32,
    sha256: &[u8; 32],
) -> Result<Option<FileId>, StoreError> {
    let mut found = None;
    for blob in super::find::with_sha256(read, sha256)? {
        crate::blob_rows::each_use(read, &blob, |version, file| {
            if found.is_some() {
                return Ok(());
            }
            if let Some(place) = rows::get::<crate::records::VersionPlaceRecord>(
                read,
                tables::VERSION_ID,
                &tables::number(version),
            )? && place.feed == feed
                && let Some(record) = rows::version(read, &place.key)?
                && !crate::index::status_of(read, &place.key, &record)?.is_blocked()
            {
                found = Some(FileId::new(record.package, version, file));
            }
            Ok(())
        })?;
    }
    Ok(found)
}
