use hayloft_feed::Detail;
use hayloft_feed::native::{FeedSecret, Native};

use super::audit::{Action, Entry};
use crate::records::SecretRecord;
use crate::resolve::FeedHandle;
use crate::{
    Actor, NativeError, NativeView, RefreshError, Store, StoreError, TooLong, rows, tables,
};

const WEIGHT: usize = 16 << 10;

/// The secret of a feed could not be shown or replaced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// No feed has this name, or its type is not known here.
    #[error(transparent)]
    Feed(#[from] NativeError),
    /// Feeds of this type sign nothing, or not in this build.
    #[error("the feed `{feed}` has no secret, for nothing of it is signed")]
    None {
        /// The feed.
        feed: String,
    },
    /// What was brought cannot be the secret.
    #[error("{0}")]
    Refused(Detail),
    /// A text of the actor is too long.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// It could not be made, or what it signs could not be made anew.
    #[error(transparent)]
    Refresh(#[from] RefreshError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// The secret of a feed, such as the key that signs its releases, to be kept elsewhere; one is
    /// made if there is none. Who has it can sign as the feed does.
    pub fn feed_secret(&self, feed: &str) -> Result<Vec<u8>, SecretError> {
        let subject = secret_of(&self.native_view(feed)?, feed)?.subject();
        if self.kept_secret(feed)?.is_none() {
            self.refresh(feed, subject)?;
        }
        let view = self.native_view(feed)?;
        let kept = self.kept_secret(feed)?.ok_or_else(|| StoreError::damaged("a secret"))?;
        secret_of(&view, feed)?.show(&kept).map_err(|text| SecretError::Refused(text.into()))
    }

    /// Puts another secret into the place of the feed's. What it signs is signed anew when it is
    /// read next.
    pub fn replace_feed_secret(
        &self,
        feed: &str,
        given: &[u8],
        actor: &Actor,
    ) -> Result<(), SecretError> {
        actor.check()?;
        let (subject, kept) = {
            let view = self.native_view(feed)?;
            let secret = secret_of(&view, feed)?;
            let kept = secret.accept(given).map_err(|text| SecretError::Refused(text.into()))?;
            (secret.subject(), kept)
        };
        let (types, name, actor) = (self.types().clone(), feed.to_owned(), actor.clone());
        self.inner.writer.change(WEIGHT, move |plan| {
            let handle = FeedHandle::find(plan, &types, &name).map_err(NativeError::from)?;
            plan.put(tables::SECRET, tables::feed(handle.id), &SecretRecord(kept.clone()))?;
            Entry::of_feed(Action::FeedUpdate, &handle.record.name).write(plan, &actor)?;
            Ok::<_, SecretError>(())
        })?;
        Ok(self.refresh(feed, subject)?)
    }

    fn kept_secret(&self, feed: &str) -> Result<Option<Vec<u8>>, SecretError> {
        let id = self.native_view(feed)?.feed();
        let snapshot = self.inner.snapshot()?;
        let kept: Option<SecretRecord> =
            rows::get(snapshot.as_ref(), tables::SECRET, &tables::feed(id))?;
        Ok(kept.map(|SecretRecord(bytes)| bytes))
    }
}

fn secret_of<'v>(view: &'v NativeView, feed: &str) -> Result<&'v dyn FeedSecret, SecretError> {
    let none = || SecretError::None { feed: feed.to_owned() };
    view.native().and_then(Native::secret).ok_or_else(none)
}
