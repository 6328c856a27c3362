use std::sync::Arc;

use hayloft_feed::native::{Change, Edit, ListingChange};
use hayloft_feed::{Allow, Detail};

use crate::file_rows::Context;
use crate::plan::Plan;
use crate::resolve::{FeedHandle, PackageHandle, VersionHandle};
use crate::space::Room;
use crate::versions::{check_tags, set_tags};
use crate::{
    Actor, DeleteError, DeleteMode, DeprecationChange, FileId, Kept, Listing, MetaRead, NoSuchFeed,
    SelectError, Selector, StatusChange, StatusError, Store, StoreError, Timestamp, TooLong, rows,
    tables,
};

use super::{delete, status, tags};

/// Bytes that a change writes, roughly.
const WEIGHT: usize = 16 << 10;

/// What an edit did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Edited {
    /// False if everything was as asked already.
    pub changed: bool,
    /// Revision of the package; `None` if it is gone.
    pub revision: Option<u64>,
    /// Time of the change.
    pub at: Timestamp,
}

/// Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// No feed has this name.
    #[error(transparent)]
    Feed(#[from] NoSuchFeed),
    /// The package or a version of it was not found.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The package is not what the request was made from.
    #[error("`{package}` was changed meanwhile; read it again and repeat the change")]
    Conflict {
        /// The package.
        package: String,
    },
    /// A tag cannot be set or removed.
    #[error(transparent)]
    Tag(#[from] super::TagError),
    /// A status is not acceptable.
    #[error("the status cannot be set")]
    Status(#[source] Detail),
    /// Something is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Makes changes of one package together: all of them in one commit, or none.
    ///
    /// They are applied one after the other to the package as it is then, whatever the caller had
    /// seen; with [`Edit::expect`] only if it still has that revision. Versions are found as by
    /// [`Selector::ungrouped`]. Costs what each of the changes costs alone.
    pub fn edit(&self, feed: &str, edit: &Edit, actor: &Actor) -> Result<Edited, EditError> {
        actor.check()?;
        let context = self.clone_context();
        let feed = feed.to_owned();
        let hints = self.inner.hints(&feed, |handle| {
            let selector = |version: &hayloft_feed::Version| {
                Selector::grouped(edit.package.group(), edit.package.name(), version.text())
            };
            let versions = edit.changes.iter().filter_map(version_of);
            versions.flat_map(|version| handle.wants(&selector(version))).collect()
        });
        let weight = edit.changes.len().max(1).saturating_mul(WEIGHT);
        let (edit, actor) = (edit.clone(), actor.clone());
        let frees = |change: &Change| matches!(change, Change::Remove(..) | Change::RemoveAll);
        let room = if edit.changes.iter().all(frees) { Room::Freed } else { Room::Needed };
        let run = move |plan: &mut Plan| run(plan, &context, &feed, &edit, &actor);
        let (edited, gone) = self.inner.writer.change_expecting(room, weight, hints, run)?;
        self.inner.context.downloads.forget(&gone);
        Ok(edited)
    }
}

fn run(
    plan: &mut Plan,
    context: &Arc<Context>,
    feed: &str,
    edit: &Edit,
    actor: &Actor,
) -> Result<(Edited, Vec<FileId>), EditError> {
    let handle = FeedHandle::find(plan, &context.types, feed).map_err(SelectError::from)?;
    let key = tables::package(handle.id, edit.package.key().as_bytes());
    let before: Option<crate::records::PackageRecord> = rows::get(plan, tables::PACKAGE, &key)?;
    let missing = || SelectError::NotFound {
        package: edit.package.spelled(),
        feed: handle.record.name.clone(),
    };
    let before = before.ok_or_else(missing)?;
    if edit.expect.is_some_and(|expected| expected != before.revision) {
        return Err(EditError::Conflict { package: edit.package.spelled() });
    }
    let mut gone = Vec::new();
    let mut changed = false;
    for change in &edit.changes {
        changed |= one(plan, context, &handle, edit, change, actor, &mut gone)?;
    }
    let after: Option<crate::records::PackageRecord> = rows::get(plan, tables::PACKAGE, &key)?;
    let revision = after.map(|record| record.revision);
    Ok((Edited { changed, revision, at: plan.now() }, gone))
}

/// The version that a change is of.
fn version_of(change: &Change) -> Option<&hayloft_feed::Version> {
    match change {
        Change::List(version, _)
        | Change::Allow(version, _)
        | Change::Deprecate(version, _)
        | Change::Remove(version, _)
        | Change::SetTag(_, version) => Some(version),
        _ => None,
    }
}

fn one(
    plan: &mut Plan,
    context: &Arc<Context>,
    handle: &FeedHandle,
    edit: &Edit,
    change: &Change,
    actor: &Actor,
    gone: &mut Vec<FileId>,
) -> Result<bool, EditError> {
    let selector = |version: &hayloft_feed::Version| {
        Selector::grouped(edit.package.group(), edit.package.name(), version.text())
    };
    let set = |plan: &mut Plan, version, change: StatusChange| -> Result<bool, EditError> {
        let done = status::apply_one(plan, context, handle, &selector(version), &change, actor)?;
        Ok(done.changed)
    };
    match change {
        Change::List(version, ListingChange::Delete)
            if handle.record.delete_mode == DeleteMode::Remove.into() =>
        {
            remove(plan, handle, &selector(version), true, actor, gone)
        }
        Change::List(version, listing) => {
            let listing = match listing {
                ListingChange::List => Listing::Listed,
                ListingChange::Unlist | ListingChange::Delete => Listing::Unlisted,
            };
            set(plan, version, StatusChange { listing: Some(listing), ..StatusChange::default() })
        }
        Change::Allow(version, allow) => {
            let allow: Option<Allow> = *allow;
            set(plan, version, StatusChange { allow: Some(allow), ..StatusChange::default() })
        }
        Change::Deprecate(version, deprecation) => {
            let deprecation = Some(match deprecation {
                Some(set) => DeprecationChange::Set(set.clone()),
                None => DeprecationChange::Clear,
            });
            let change = StatusChange { deprecation, ..StatusChange::default() };
            change.check()?;
            set(plan, version, change)
        }
        Change::Remove(version, qualifiers) => {
            let mut selector = selector(version);
            let whole = qualifiers.is_none();
            if let Some(qualifiers) = qualifiers {
                selector.qualifiers = qualifiers.clone();
            }
            remove(plan, handle, &selector, whole, actor, gone)
        }
        Change::RemoveAll => {
            let key = tables::package(handle.id, edit.package.key().as_bytes());
            let range = tables::prefixed(&key);
            let found = plan
                .scan(tables::VERSION, range, crate::Direction::Forward, usize::MAX)
                .map_err(StoreError::from)?;
            for (place, value) in found {
                if let Some(version) = rows::left_out(VersionHandle::of_row(plan, &place, &value))?
                {
                    let all = version.all_files();
                    let (_, ids) = delete::delete(plan, handle, version, &all, actor)?;
                    gone.extend(ids);
                } else {
                    let record = rows::need(plan, tables::PACKAGE, &key)?;
                    let package = PackageHandle { key: key.clone(), record };
                    delete::delete_damaged_row(plan, handle, package, &place, "", actor)?;
                }
            }
            Ok(true)
        }
        Change::SetTag(tag, version) => {
            if !tags::is_tag(tag) {
                return Err(super::TagError::Text.into());
            }
            Kept::Tag.check_text(tag)?;
            let version = handle.select_version(plan, &selector(version))?;
            let mut package = version.package;
            let text = version.record.text;
            if !set_tags(&mut package.record, &text, std::slice::from_ref(tag)) {
                return Ok(false);
            }
            check_tags(&package.record)?;
            tags::write(plan, handle, &mut package, tag, &text, actor)?;
            Ok(true)
        }
        Change::RemoveTag(tag) => {
            tags::remove(plan, handle, edit.package.group(), edit.package.name(), tag, actor)?;
            Ok(true)
        }
        _ => Err(StoreError::damaged("a change of a kind that this release does not know").into()),
    }
}

fn remove(
    plan: &mut Plan,
    handle: &FeedHandle,
    selector: &Selector,
    whole: bool,
    actor: &Actor,
    gone: &mut Vec<FileId>,
) -> Result<bool, EditError> {
    let version = handle.select_version(plan, selector)?;
    let doomed = if whole {
        version.all_files()
    } else {
        vec![handle.select_file(&version.record, selector)?]
    };
    let (_, ids) = delete::delete(plan, handle, version, &doomed, actor)?;
    gone.extend(ids);
    Ok(true)
}

impl From<DeleteError> for EditError {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Select(error) => error.into(),
            DeleteError::TooLong(error) => error.into(),
            DeleteError::Store(error) => error.into(),
        }
    }
}

impl From<StatusError> for EditError {
    fn from(error: StatusError) -> Self {
        match error {
            StatusError::Select(error) => error.into(),
            StatusError::TooLong(error) => error.into(),
            StatusError::Store(error) => error.into(),
            other => Self::Status(Box::new(other)),
        }
    }
}
