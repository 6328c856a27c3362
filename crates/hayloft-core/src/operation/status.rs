use std::sync::Arc;

use hayloft_feed::Detail;

use crate::file_rows::{Context, listed};
use crate::plan::Plan;
use crate::records::{DeprecationValue, StatusRecord};
use crate::resolve::{FeedHandle, StatusRow, VersionHandle};
use crate::space::Room;
use crate::versions::{retag, write_package};
use crate::{
    Action, Actor, Allow, Deprecation, Files, Kept, Listing, Manifests, PackageFile, SelectError,
    Selector, Status, Store, StoreError, TooLong, tables,
};

use super::audit::Entry;

/// Bytes that a change of one version's status writes, roughly.
const WEIGHT: usize = 8 << 10;

/// What to change about the status of a version; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusChange {
    /// Show or hide.
    pub listing: Option<Listing>,
    /// `Some(None)` clears the override.
    pub allow: Option<Option<Allow>>,
    /// What to do about deprecation.
    pub deprecation: Option<DeprecationChange>,
}

/// A change of deprecation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeprecationChange {
    /// Deprecates with exactly this, replacing what was there.
    Set(Deprecation),
    /// Changes the reason alone; nothing happens to a version that is not deprecated.
    Reason(Option<String>),
    /// Takes the deprecation back.
    Clear,
}

/// One version after a change of status.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StatusOutcome {
    /// False if the version had that status already; its times are untouched then.
    pub changed: bool,
    /// Its package files.
    pub files: Vec<PackageFile>,
}

/// The status was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// A version was not found.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The caller's precondition did not hold.
    #[error("the change was refused")]
    Refused(#[source] Detail),
    /// Deprecation details are not a JSON object.
    #[error("the deprecation details are not a JSON object")]
    Details(#[source] Detail),
    /// Something is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Changes the status of a version; all its files share it. Qualifiers of the selector have to
    /// fit at least one file.
    pub fn set_status(
        &self,
        feed: &str,
        selector: &Selector,
        change: &StatusChange,
        actor: &Actor,
    ) -> Result<StatusOutcome, StatusError> {
        let only = vec![(selector.clone(), change.clone())];
        self.set_status_many(feed, only, |_| Ok(()), actor)?
            .into_iter()
            .next()
            .ok_or_else(|| StoreError::damaged("the outcome of a change of status").into())
    }

    /// Changes the status of several versions, all or none. `check` sees a file of each as it is,
    /// with no other change in between, and may refuse. It may run several times, of which the last
    /// one counts, and must not wait; a change of the store inside it is refused.
    pub fn set_status_many(
        &self,
        feed: &str,
        changes: Vec<(Selector, StatusChange)>,
        check: impl Fn(&[PackageFile]) -> Result<(), Detail> + Send + 'static,
        actor: &Actor,
    ) -> Result<Vec<StatusOutcome>, StatusError> {
        actor.check()?;
        for (_, change) in &changes {
            change.check()?;
        }
        let weight = changes.len().saturating_mul(WEIGHT);
        let context = self.clone_context();
        let (feed, actor) = (feed.to_owned(), actor.clone());
        let of_all =
            |feed: &FeedHandle| changes.iter().flat_map(|(one, _)| feed.wants(one)).collect();
        let hints = self.inner.hints(&feed, of_all);
        self.inner.writer.change_expecting(Room::Needed, weight, hints, move |plan| {
            let handle =
                FeedHandle::find(plan, &context.types, &feed).map_err(SelectError::from)?;
            let mut before = Vec::with_capacity(changes.len());
            for (selector, _) in &changes {
                let mut version = handle.select_version(plan, selector)?;
                version.assume_blocked();
                if handle.matching_files(&version.record, selector)?.is_empty() {
                    return Err(handle.not_found(selector).into());
                }
                let places = listed(&version, Files::Packages);
                let first = places.get(..1).unwrap_or_default();
                before.extend(context.files(plan, &handle, &version, first, Manifests::Omitted)?);
            }
            check(&before).map_err(StatusError::Refused)?;
            changes
                .iter()
                .map(|(selector, change)| {
                    apply_one(plan, &context, &handle, selector, change, &actor)
                })
                .collect()
        })
    }
}

pub(super) fn apply_one(
    plan: &mut Plan,
    context: &Arc<Context>,
    handle: &FeedHandle,
    selector: &Selector,
    change: &StatusChange,
    actor: &Actor,
) -> Result<StatusOutcome, StatusError> {
    // Read again: an earlier change may be of the same package or version.
    let mut version: VersionHandle = handle.select_version(plan, selector)?;
    let damaged = version.status == StatusRow::Damaged;
    version.assume_blocked();
    let before = version.status_record()?.clone();
    let mut after = before.clone();
    change.apply(&mut after);
    let changed = damaged || after != before;
    if changed {
        after.changed = plan.now().millis();
        plan.touch(handle.id, &version.package.key, Some(&version.key))?;
        plan.put(tables::STATUS, version.key.clone(), &after)?;
        if let Some(feed_type) = &handle.feed_type {
            retag(plan, feed_type.as_ref(), &mut version.package, None)?;
        }
        write_package(plan, handle.id, &mut version.package)?;
        let entry = Entry {
            comments: after.deprecated.as_ref().and_then(|set| set.reason.clone()),
            details: Some(serde_json::json!({
                "before": described(&before),
                "after": described(&after),
            })),
            ..Entry::of_version(Action::Status, &handle.record.name, &version)
        };
        entry.write(plan, actor)?;
        version.status = StatusRow::Known(after);
    }
    let places = listed(&version, Files::Packages);
    let files = context.files(plan, handle, &version, &places, Manifests::Omitted)?;
    Ok(StatusOutcome { changed, files })
}

fn described(status: &StatusRecord) -> serde_json::Value {
    let status = Status::from(status);
    serde_json::json!({
        "listed": status.is_listed(),
        "allow": status.allow.map(|allow| allow == Allow::Always),
        "deprecated": status.deprecated.is_some(),
        "details": status.deprecated.and_then(|set| set.details),
    })
}

impl StatusChange {
    pub(super) fn check(&self) -> Result<(), StatusError> {
        let (reason, details) = match &self.deprecation {
            None | Some(DeprecationChange::Clear) => return Ok(()),
            Some(DeprecationChange::Reason(reason)) => (reason, &None),
            Some(DeprecationChange::Set(Deprecation { reason, details })) => (reason, details),
        };
        Kept::DeprecationReason.check_optional(reason.as_ref())?;
        Kept::DeprecationDetails.check_optional(details.as_ref())?;
        let Some(text) = details else { return Ok(()) };
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text)
            .map(drop)
            .map_err(|error| StatusError::Details(Box::new(error)))
    }

    fn apply(&self, record: &mut StatusRecord) {
        if let Some(listing) = self.listing {
            record.listing = listing.into();
        }
        if let Some(allow) = self.allow {
            record.allow = allow.map(Into::into);
        }
        match &self.deprecation {
            None => {}
            Some(DeprecationChange::Clear) => record.deprecated = None,
            Some(DeprecationChange::Set(deprecation)) => {
                record.deprecated = Some(DeprecationValue::from(deprecation));
            }
            Some(DeprecationChange::Reason(reason)) => {
                if let Some(known) = &mut record.deprecated {
                    known.reason.clone_from(reason);
                }
            }
        }
    }
}
