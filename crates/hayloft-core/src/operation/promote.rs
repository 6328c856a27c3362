use std::sync::Arc;

use hayloft_feed::{Arrival, FeedType};

use crate::blob_rows::Source;
use crate::file_rows::Context;
use crate::metrics::Meter;
use crate::plan::Plan;
use crate::records::{FileValue, OriginValue, PromotionRecord};
use crate::resolve::{FeedHandle, VersionHandle};
use crate::space::Room;
use crate::tables::{self, HistoryKind};
use crate::versions::{self, AddError, FILES_PER_VERSION, NewFile, Terms, add_files};
use crate::{
    Action, Actor, Kept, LookupError, Manifests, MetaRead, NoSuchFeed, Overwrite, PackageFile,
    SelectError, Selector, Store, StoreError, Stored, TooLong, UnknownFeedType, Want, blob_rows,
    fragments, rows,
};

use super::audit::{Entry, some_of};

/// Bytes that a promotion writes, roughly.
const WEIGHT: usize = 256 << 10;

/// The order to bring the same bytes into another feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromoteRequest {
    /// The source: with qualifiers one file, without all files of the version.
    pub source: Selector,
    /// Target feed.
    pub to_feed: String,
    /// Why.
    pub comments: Option<String>,
    /// Whether files with other bytes in the target may be replaced.
    pub overwrite: Overwrite,
}

impl PromoteRequest {
    /// Brings `source` into `to_feed`, where files with other bytes are not replaced.
    pub fn new(source: Selector, to_feed: impl Into<String>) -> Self {
        let to_feed = to_feed.into();
        Self { source, to_feed, comments: None, overwrite: Overwrite::Refuse }
    }
}

/// A durable promotion.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PromoteOutcome {
    /// Number of its record.
    pub id: u64,
    /// What became of the files: `Created` or `Replaced` if that holds for any of them.
    pub stored: Stored,
    /// The files in the target.
    pub files: Vec<PackageFile>,
}

/// Nothing was promoted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromoteError {
    /// The source was not found or is blocked.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The target feed does not exist.
    #[error(transparent)]
    Feed(#[from] NoSuchFeed),
    /// The feeds hold different kinds of packages.
    #[error("feed `{from}` is of type `{from_type}` and feed `{to}` of type `{to_type}`")]
    DifferentTypes {
        /// Source feed.
        from: String,
        /// Its type.
        from_type: String,
        /// Target feed.
        to: String,
        /// Its type.
        to_type: String,
    },
    /// Source and target are the same feed.
    #[error("feed `{feed}` cannot be promoted to itself")]
    SameFeed {
        /// Name of the feed.
        feed: String,
    },
    /// The feed the source feed must be promoted to is another one.
    #[error("packages of feed `{from}` may be promoted to feed `{allowed}` only")]
    Pipeline {
        /// Source feed.
        from: String,
        /// The only feed allowed.
        allowed: String,
    },
    /// The target has other bytes, which may not be replaced.
    #[error("`{package}` already exists and cannot be overwritten")]
    Conflict {
        /// Package, version and qualifiers.
        package: String,
    },
    /// A package exists in the target whose name differs in case alone.
    #[error("`{name}` differs only by case from the existing package `{existing}`")]
    CaseTwin {
        /// Name of the source.
        name: String,
        /// Name of the package that is there.
        existing: String,
    },
    /// A version in the target has as many files as it may have.
    #[error("`{package}` has {limit} files already, no more are allowed")]
    TooManyFiles {
        /// Package and version.
        package: String,
        /// Files allowed.
        limit: usize,
    },
    /// The feeds' type is not known to this program.
    #[error(transparent)]
    UnknownType(#[from] UnknownFeedType),
    /// Something is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AddError> for PromoteError {
    fn from(error: AddError) -> Self {
        match error {
            AddError::Conflict { package } => Self::Conflict { package },
            AddError::CaseTwin { name, existing } => Self::CaseTwin { name, existing },
            AddError::TooLong(error) => Self::TooLong(error),
            AddError::TooManyFiles { package } => {
                Self::TooManyFiles { package, limit: FILES_PER_VERSION }
            }
            // The source version uses its contents, and a promotion brings its package files along.
            AddError::NoVersion { package } => {
                Self::Store(StoreError::damaged(format!("the version `{package}`")))
            }
            AddError::Gone(_) => Self::Store(StoreError::damaged("a content of the source")),
            AddError::Store(error) => Self::Store(error),
        }
    }
}

impl Store {
    /// Brings the same bytes into another feed of the type; writes rows only. Listing and
    /// deprecation go along to a version that is new there; downloads and blocks do not.
    pub fn promote(
        &self,
        feed: &str,
        request: &PromoteRequest,
        actor: &Actor,
    ) -> Result<PromoteOutcome, PromoteError> {
        actor.check()?;
        Kept::Comments.check_optional(request.comments.as_ref())?;
        let context = self.clone_context();
        let (feed, request, actor) = (feed.to_owned(), request.clone(), actor.clone());
        let of = |feed: &str| self.inner.hints(feed, |feed| feed.wants(&request.source));
        let hints = [of(&feed), of(&request.to_feed)].concat();
        let outcome =
            self.inner.writer.change_expecting(Room::Needed, WEIGHT, hints, move |plan| {
                promote(plan, &context, &feed, &request, &actor)
            })?;
        if outcome.stored != Stored::Unchanged {
            Meter::count(&self.inner.meter.files_stored);
        }
        Ok(outcome)
    }
}

fn promote(
    plan: &mut Plan,
    context: &Arc<Context>,
    feed: &str,
    request: &PromoteRequest,
    actor: &Actor,
) -> Result<PromoteOutcome, PromoteError> {
    let from = FeedHandle::find(plan, &context.types, feed).map_err(SelectError::from)?;
    let to = find_target(plan, context, &request.to_feed)?;
    if from.id == to.id {
        return Err(PromoteError::SameFeed { feed: from.record.name });
    }
    if from.record.tag != to.record.tag {
        return Err(PromoteError::DifferentTypes {
            from: from.record.name,
            from_type: from.record.tag,
            to: to.record.name,
            to_type: to.record.tag,
        });
    }
    let by_id = |id| FeedHandle::by_id(plan, &context.types, id);
    if let Some(allowed) = forbidden_by_pipeline(&from, &to, by_id)? {
        return Err(PromoteError::Pipeline { from: from.record.name, allowed });
    }
    let feed_type = to.known_type()?.clone();
    let source = from.select_version(plan, &request.source)?;
    if source.status()?.is_blocked() {
        return Err(SelectError::Blocked { package: source.spelled() }.into());
    }
    let places = from.matching_files(&source.record, &request.source)?;
    if places.is_empty() {
        return Err(from.not_found(&request.source).into());
    }
    plan.expect(|| {
        let files = places.iter().filter_map(|at| source.record.files.get(*at));
        let of_file = |file: &FileValue| {
            let blob = file.digests.key();
            let fragments = fragments::wanted(&source.key, file.number);
            [fragments, Want::Row(tables::BLOB, blob.0.to_vec()), blob_rows::uses_wanted(&blob)]
        };
        // A version that is not shown leaves the pointers of its package to others.
        let target = tables::package(to.id, source.package.name_key());
        let highest = versions::highest_wanted(&target);
        files.flat_map(of_file).chain([highest]).collect()
    })?;
    let files = places
        .iter()
        .filter_map(|at| source.record.files.get(*at))
        .map(|file| copied(plan, feed_type.as_ref(), &source, file))
        .collect::<Result<Vec<_>, _>>()?;
    let terms = Terms {
        overwrite: request.overwrite,
        published_by: actor.name.clone(),
        published: None,
        origin: OriginValue::Promoted { from_feed: from.record.name.clone() },
        arrival: Arrival::Untagged,
        tags: Vec::new(),
        listing: source.status_record()?.listing,
        deprecated: source.status_record()?.deprecated.clone(),
    };
    let added = add_files(plan, &to, &feed_type, &files, &terms)?;
    let comments = request.comments.clone().unwrap_or_default();
    let id = record_promotion(plan, &from, &to, &added.version, actor, &comments)?;
    let entry = Entry {
        to_feed: Some(to.record.name.clone()),
        comments: request.comments.clone(),
        old_sha256: added.replaced,
        new_sha256: files.first().map(|file| file.digests.sha256),
        details: Some(serde_json::json!({
            "files": some_of(files.iter().map(|file| file.file_name.as_str())),
        })),
        ..Entry::of_version(Action::Promote, &from.record.name, &source)
    };
    entry.write(plan, actor)?;
    let stored = added
        .files
        .iter()
        .map(|(_, stored)| *stored)
        .find(|stored| *stored != Stored::Unchanged)
        .unwrap_or(Stored::Unchanged);
    let places: Vec<usize> = added.files.iter().map(|(place, _)| *place).collect();
    let files = context.files(plan, &to, &added.version, &places, Manifests::Omitted)?;
    Ok(PromoteOutcome { id, stored, files })
}

fn find_target(
    read: &dyn MetaRead,
    context: &Context,
    name: &str,
) -> Result<FeedHandle, PromoteError> {
    FeedHandle::find(read, &context.types, name).map_err(|error| match error {
        LookupError::Feed(missing) => PromoteError::Feed(missing),
        LookupError::Store(error) => PromoteError::Store(error),
    })
}

/// The only feed that packages of `from` may go to, if that is not `to`.
pub(crate) fn forbidden_by_pipeline(
    from: &FeedHandle,
    to: &FeedHandle,
    by_id: impl FnOnce(u32) -> Result<Option<FeedHandle>, StoreError>,
) -> Result<Option<String>, StoreError> {
    match from.record.promote_to {
        None => Ok(None),
        Some(allowed) if allowed == to.id => Ok(None),
        Some(allowed) => {
            let found = rows::readable(by_id(allowed))?.flatten();
            let gone = || format!("{allowed}, which was deleted");
            Ok(Some(found.map_or_else(gone, |found| found.record.name)))
        }
    }
}

/// A stored file as it is to appear in another feed.
fn copied(
    plan: &Plan,
    feed_type: &dyn FeedType,
    source: &VersionHandle,
    file: &FileValue,
) -> Result<NewFile, StoreError> {
    let identity = source.identity(file)?;
    Ok(NewFile {
        file_name: feed_type.file_name(&identity),
        identity,
        role: file.role.into(),
        size: file.size,
        digests: file.digests,
        source: Source::Present,
        fragments: fragments::of_file(plan, &source.key, file.number)?,
        history: file.history,
        documents: file.documents.clone(),
    })
}

/// Appends a promotion, and the way to it from the package's name.
pub(crate) fn record_promotion(
    plan: &mut Plan,
    from: &FeedHandle,
    to: &FeedHandle,
    version: &VersionHandle,
    actor: &Actor,
    comments: &str,
) -> Result<u64, StoreError> {
    plan.counters().promotion += 1;
    let id = plan.counters().promotion;
    let name_key = version.package.name_key().to_vec();
    let tag = &to.record.tag;
    let index = tables::history(tag, &name_key, HistoryKind::Promotion, id);
    plan.put_entry(tables::HISTORY, index)?;
    let record = PromotionRecord {
        tag: tag.clone(),
        from_feed: from.record.name.clone(),
        to_feed: to.record.name.clone(),
        group: version.package.record.group.clone(),
        name: version.package.record.name.clone(),
        version: version.record.text.clone(),
        date: plan.now().millis(),
        user: actor.name.clone(),
        comments: comments.to_owned(),
        name_key,
    };
    plan.put(tables::PROMOTION, tables::number(id), &record)?;
    Ok(id)
}
