use hayloft_feed::native::{Action, Change, Edit, Existing, ListingChange, Outcome, UploadOrder};
use hayloft_feed::{FeedTypeError, FileCard, PackageName};

use super::{NativeError, NativeView};
use crate::{
    Actor, EditError, LookupError, Overwrite, PackageFile, Staged, Store, StoreError, Stored,
    UploadError, UploadRequest,
};

/// An action of a native client was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// The feed cannot be read by its type.
    #[error(transparent)]
    Feed(#[from] NativeError),
    /// There is no file with what was to be stored.
    #[error("the request has no package in its body")]
    NoFile,
    /// The same bytes are there already, and the type's clients are told so.
    #[error("`{package}` already exists")]
    Exists {
        /// Package and version.
        package: String,
    },
    /// It was not stored.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// It was not changed.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// What was stored cannot be read again.
    #[error(transparent)]
    Lookup(#[from] crate::SelectError),
    /// The type does not read a name or version that it has given.
    #[error("the feed type does not read what it has written")]
    Type(#[source] FeedTypeError),
    /// It is not for a store to do, such as a login.
    #[error("this is nothing that a store does")]
    NotHere,
}

impl From<LookupError> for ActError {
    fn from(error: LookupError) -> Self {
        Self::Feed(error.into())
    }
}

impl From<StoreError> for ActError {
    fn from(error: StoreError) -> Self {
        Self::Feed(error.into())
    }
}

impl Store {
    /// Does what [`Native::decide`](hayloft_feed::native::Native::decide) has named, in one commit:
    /// `file` is what came along, `overwrite` whether the caller may replace what is there. Rights
    /// are the caller's business: [`Action::kind`] says which are needed.
    pub fn act(
        &self,
        feed: &str,
        action: &Action,
        file: Option<Staged>,
        overwrite: Overwrite,
        actor: &Actor,
    ) -> Result<Outcome, ActError> {
        match action {
            Action::Upload(order) => {
                let shown = self.native_view(feed)?;
                self.act_upload(
                    &shown,
                    feed,
                    order,
                    file.ok_or(ActError::NoFile)?,
                    overwrite,
                    actor,
                )
            }
            Action::Edit(edit) => self.act_edit(feed, edit, actor),
            Action::Reply(_) => Ok(Outcome::Answered),
            _ => Err(ActError::NotHere),
        }
    }

    fn act_upload(
        &self,
        shown: &NativeView,
        feed: &str,
        order: &UploadOrder,
        file: Staged,
        overwrite: Overwrite,
        actor: &Actor,
    ) -> Result<Outcome, ActError> {
        let request = UploadRequest {
            file_name: order.file_name.clone(),
            hints: order.hints.clone(),
            // What conflicts with its own bytes is not replaced by others.
            overwrite: match order.existing {
                Existing::Conflicts => Overwrite::Refuse,
                Existing::Succeeds => overwrite,
            },
            tags: order.tags.clone(),
            expect: order.expect.clone(),
            published: None,
        };
        let uploaded = self.upload_staged(feed, &request, file, actor)?;
        let file = uploaded.file;
        let feed_type = shown.feed_type();
        let package = feed_type.package_name(&file.group, &file.name).map_err(ActError::Type)?;
        let mut new = uploaded.stored != Stored::Unchanged;
        if !new {
            if order.relist && !file.status.is_listed() {
                self.relist(shown, feed, &package, &file, actor)?;
                new = true;
            } else if order.existing == Existing::Conflicts {
                return Err(ActError::Exists {
                    package: format!("{} {}", file.name, file.version),
                });
            }
        }
        let info = self.package(feed, &file.group, &file.name)?;
        Ok(Outcome::Uploaded {
            package,
            version: file.version.clone(),
            file: Box::new(card(&file)),
            new,
            revision: info.revision,
            warnings: uploaded.warnings,
        })
    }

    fn relist(
        &self,
        shown: &NativeView,
        feed: &str,
        package: &PackageName,
        file: &PackageFile,
        actor: &Actor,
    ) -> Result<(), ActError> {
        let version = shown.feed_type().lookup_version(&file.version).map_err(ActError::Type)?;
        let change = Change::List(version, ListingChange::List);
        self.act_edit(feed, &Edit::new(package.clone(), vec![change]), actor).map(drop)
    }

    fn act_edit(&self, feed: &str, edit: &Edit, actor: &Actor) -> Result<Outcome, ActError> {
        let edited = self.edit(feed, edit, actor)?;
        Ok(Outcome::Edited { changed: edited.changed, revision: edited.revision, at: edited.at })
    }
}

fn card(file: &PackageFile) -> FileCard {
    let mut card = FileCard::new(file.id, file.role, &file.file_name, file.size, file.digests);
    card.qualifiers = file.qualifiers.clone();
    card.published = file.published;
    card.published_by.clone_from(&file.published_by);
    card.documents.clone_from(&file.documents);
    card.downloads = file.file_downloads;
    card
}
