use std::collections::BTreeMap;
use std::io::{BufReader, BufWriter, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use hayloft_feed::{
    Arrival, FeedType, FeedTypeError, HistoryEntry, Identity, Inspected, Qualifiers, Repackage,
    Repackaged, SourceReference, Upload, Version, shorten,
};

use crate::file_rows::Context;
use crate::inspections::Lane;
use crate::plan::Plan;
use crate::publish::Opening;
use crate::reading::Reading;
use crate::records::{
    FileValue, ListingValue, MoreRepackagedRecord, OriginValue, RepackagedValue, RepackagingRecord,
};
use crate::resolve::{FeedHandle, VersionHandle};
use crate::staging::StagingError;
use crate::storing::Unstored;
use crate::tables::{self, HistoryKind};
use crate::versions::{self, AddError, NewFile, Terms, add_files};
use crate::watch::Watch;
use crate::{
    Action, Actor, Kept, LookupError, Manifests, MetaRead, NoSuchFeed, Overwrite, PackageFile,
    Progress, SelectError, Selector, Staged, Store, StoreError, TooLong, UnknownFeedType, Want,
    Wanted,
};

use super::audit::{Entry, some_of};
use super::promote::{forbidden_by_pipeline, record_promotion};
use super::upload::{NewFileError, new_file};

/// Files in one row of a record; the rest lies in further rows.
const PAIRS_PER_ROW: usize = 25;
/// Bytes of a buffer between a package file and its type.
const BUFFER: usize = 64 << 10;

/// The order to write a version again under another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepackageRequest {
    /// The source: with qualifiers one file, without all files of the version.
    pub source: Selector,
    /// Version of the result.
    pub new_version: String,
    /// Feed of the result; the source's if absent.
    pub to_feed: Option<String>,
    /// Why; goes into the embedded history.
    pub comments: Option<String>,
    /// Link to the job that does it; goes into the embedded history.
    pub url: Option<String>,
}

impl RepackageRequest {
    /// Writes `source` again as `new_version` in the same feed.
    pub fn new(source: Selector, new_version: impl Into<String>) -> Self {
        Self { source, new_version: new_version.into(), to_feed: None, comments: None, url: None }
    }
}

impl RepackageRequest {
    /// The version that is to be made, if it is in the source's feed.
    fn target(&self) -> Selector {
        Selector { version: Wanted::Exact(self.new_version.clone()), ..self.source.clone() }
    }
}

/// A durable repackaging.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RepackageOutcome {
    /// Number of its record.
    pub id: u64,
    /// The files of the result.
    pub files: Vec<PackageFile>,
    /// Entries that held signatures over the old bytes and were left out.
    pub signatures_removed: Vec<String>,
    /// Exact dependencies on siblings of the old version, which are left as they were.
    pub sibling_pins: Vec<String>,
    /// What the feed type accepted although a strict reading forbids it.
    pub warnings: Vec<String>,
}

/// Nothing was repackaged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepackageError {
    /// The source was not found or is blocked.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The target feed does not exist.
    #[error(transparent)]
    Feed(#[from] NoSuchFeed),
    /// The feed cannot be written to in this program.
    #[error(transparent)]
    UnknownType(#[from] UnknownFeedType),
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
    /// The new version is the old one by the type's rule.
    #[error("`{package}` has that version already")]
    SameVersion {
        /// Package and version.
        package: String,
    },
    /// The new version is taken; repackaging never overwrites.
    #[error("`{package}` already exists")]
    Exists {
        /// Package and new version.
        package: String,
    },
    /// The feed the source feed must be promoted to is another one.
    #[error("packages of feed `{from}` may be promoted to feed `{allowed}` only")]
    Pipeline {
        /// Source feed.
        from: String,
        /// The only feed allowed.
        allowed: String,
    },
    /// The new version does not suit the feed type.
    #[error("the package cannot be repackaged as asked")]
    Refused(#[source] FeedTypeError),
    /// A file of the source cannot be written under another version.
    #[error("the file `{file}` was refused")]
    File {
        /// Name of the file.
        file: String,
        /// Why.
        #[source]
        source: FeedTypeError,
    },
    /// The feed type wrote a file that does not read back as what was ordered.
    #[error("the repackaged file of `{package}` does not read back as ordered: {found}")]
    Mismatch {
        /// Package and new version.
        package: String,
        /// What was found instead.
        found: String,
    },
    /// A package exists in the target whose name differs in case alone.
    #[error("`{name}` differs only by case from the existing package `{existing}`")]
    CaseTwin {
        /// Name of the source.
        name: String,
        /// Name of the package that is there.
        existing: String,
    },
    /// The source changed while it was being repackaged.
    #[error("`{package}` was changed meanwhile; try again")]
    Changed {
        /// Package and version.
        package: String,
    },
    /// A part of the result is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The result is larger than the store takes.
    #[error("the repackaged file is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<LookupError> for RepackageError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Feed(missing) => Self::Feed(missing),
            LookupError::Store(error) => Self::Store(error),
        }
    }
}

impl From<NewFileError> for RepackageError {
    fn from(error: NewFileError) -> Self {
        match error {
            NewFileError::Refused(error) => Self::Refused(error),
            NewFileError::TooLong(error) => Self::TooLong(error),
            NewFileError::Store(error) => Self::Store(error),
        }
    }
}

impl From<StagingError> for RepackageError {
    fn from(error: StagingError) -> Self {
        match error {
            StagingError::TooLarge { limit } => Self::TooLarge { limit },
            StagingError::Store(error) => Self::Store(error),
        }
    }
}

/// What a repackaging works on, as it was when it began.
struct Job {
    from: FeedHandle,
    to: FeedHandle,
    feed_type: Arc<dyn FeedType>,
    source: VersionHandle,
    /// Files of the source, package files first.
    files: Vec<FileValue>,
    target: Version,
}

/// One file written again.
struct Rewritten {
    staged: Staged,
    new: NewFile,
    inspected: Inspected,
    done: Repackaged,
}

impl Store {
    /// Writes a version again under another one, in the same or another feed of the type.
    ///
    /// The result is listed, not deprecated and without downloads, whatever the source is. It never
    /// takes the place of an existing version; with qualifiers, of an existing file.
    pub fn repackage(
        &self,
        feed: &str,
        request: &RepackageRequest,
        actor: &Actor,
    ) -> Result<RepackageOutcome, RepackageError> {
        self.repackage_watched(feed, request, actor, &|_| ControlFlow::Continue(()))
    }

    /// The same, telling how far it is; a `Break` calls it off and leaves nothing behind.
    pub fn repackage_watched(
        &self,
        feed: &str,
        request: &RepackageRequest,
        actor: &Actor,
        watch: &dyn Fn(Progress) -> ControlFlow<()>,
    ) -> Result<RepackageOutcome, RepackageError> {
        actor.check()?;
        Kept::Comments.check_optional(request.comments.as_ref())?;
        Kept::Url.check_optional(request.url.as_ref())?;
        let job = {
            let (reading, from) = self.inner.read_feed(feed, |feed| {
                let mut wants = feed.wants(&request.source);
                wants.extend(feed.wants(&request.target()));
                wants
            })?;
            Job::find(&reading, from, request)?
        };
        let total = job.files.iter().map(|file| file.size).sum();
        let watch = Watch::new(watch, Some(total));
        // Its memory counts until the result is stored.
        let rewritten = self.inner.inspections.run(&self.options().limits, |lane| {
            let rewrite = |file| self.rewrite(&job, file, request, actor, (lane, &watch));
            job.files.iter().map(rewrite).collect::<Result<Vec<_>, RepackageError>>()
        });
        if watch.is_off() {
            return Err(StoreError::Cancelled.into());
        }
        let (rewritten, _admission) = rewritten?;
        let step = Arc::new(Step {
            context: self.clone_context(),
            request: request.clone(),
            actor: actor.clone(),
            done: merged(&rewritten),
            job,
        });
        let staged: Vec<&Staged> = rewritten.iter().map(|file| &file.staged).collect();
        let files = rewritten.iter().map(|file| file.new.clone()).collect();
        let hinted = step.clone();
        let hints = move || hinted.job.wants();
        let outcome = self
            .inner
            .store_files(&staged, files, hints, move |plan, files| step.plan(plan, files))?;
        self.inner.count_stored(outcome.files.len());
        let warnings = rewritten.into_iter().flat_map(|file| file.inspected.warnings);
        Ok(RepackageOutcome { warnings: warnings.collect(), ..outcome })
    }

    /// Writes one file under the new version, into staging, and reads it back.
    fn rewrite(
        &self,
        job: &Job,
        file: &FileValue,
        request: &RepackageRequest,
        actor: &Actor,
        (lane, watch): (&Lane<'_>, &Watch<'_>),
    ) -> Result<Rewritten, RepackageError> {
        let from = job.source.identity(file)?;
        let refused = |error| refused(&file.file_name, error);
        let to = job.feed_type.retarget(&from, &job.target).map_err(refused)?;
        let reader = match self.inner.open_blob(&file.digests, file.size)? {
            Opening::Open(reader) => reader,
            Opening::Gone => {
                return Err(RepackageError::Changed { package: job.source.spelled() });
            }
        };
        let entry = HistoryEntry {
            date: Some(self.now().to_seconds()),
            reason: request.comments.clone().filter(|text| !text.is_empty()),
            using: Some(self.options().tool.clone()),
            by: Some(actor.name.clone()),
            url: request.url.clone(),
            ..HistoryEntry::of(reference(&from, file).to_string())
        };
        self.inner.staging.space.check()?;
        let (temp, out) = self.inner.staging.create()?;
        let mut out = BufWriter::with_capacity(BUFFER, out);
        let source = &mut BufReader::with_capacity(BUFFER, watch.reader(reader));
        let order = Repackage::new(source, file.size, &from, &to, &entry, &mut out);
        let done = lane.read(|limits| job.feed_type.repackage(order, limits)).map_err(refused)?;
        out.flush().map_err(StoreError::io("write", &temp.path))?;
        let out = out
            .into_inner()
            .map_err(|error| StoreError::io("write", &temp.path)(error.into_error()))?;
        let staged = self.inner.staging.adopt(temp, out)?;
        let inspected = Self::read_back(job, &to, &staged, lane)?;
        lane.keep(&inspected);
        if inspected.role != file.role.into() {
            return Err(job.mismatch(&inspected.identity));
        }
        let digests = staged.digests().into();
        let new = new_file(job.feed_type.as_ref(), &inspected, staged.size(), digests)?;
        Ok(Rewritten { staged, new, inspected, done })
    }

    fn read_back(
        job: &Job,
        to: &Identity,
        staged: &Staged,
        lane: &Lane<'_>,
    ) -> Result<Inspected, RepackageError> {
        let hints: BTreeMap<String, String> =
            to.qualifiers.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let file_name = job.feed_type.file_name(to);
        let mut content = staged.read()?;
        let upload = Upload::new(content.as_mut(), staged.size(), staged.digests())
            .with_file_name(file_name.as_str())
            .with_hints(&hints);
        let inspected = lane.read(|limits| job.feed_type.inspect(upload, limits));
        let inspected = inspected.map_err(|error| refused(&file_name, error))?;
        let found = &inspected.identity;
        let same = found.package == to.package
            && found.version == to.version
            && found.qualifiers.key() == to.qualifiers.key();
        if same { Ok(inspected) } else { Err(job.mismatch(found)) }
    }
}

fn refused(file: &str, error: FeedTypeError) -> RepackageError {
    match error {
        FeedTypeError::Io(source) => {
            if source.kind() == std::io::ErrorKind::InvalidData {
                return StoreError::damaged("the content of the source").into();
            }
            StoreError::io("read or write", "a file being repackaged")(source).into()
        }
        source => RepackageError::File { file: shorten(file), source },
    }
}

/// The identification string of a source file.
fn reference(from: &Identity, file: &FileValue) -> SourceReference {
    SourceReference {
        group: from.package.group().to_owned(),
        name: from.package.name().to_owned(),
        version: from.version.text().to_owned(),
        sha1: Some(data_encoding::HEXLOWER.encode(&file.digests.sha1)),
    }
}

/// Writes the files of a repackaging beyond those in its record; how many rows they take.
fn write_further_files(
    plan: &mut Plan,
    id: u64,
    pairs: &[RepackagedValue],
) -> Result<u16, StoreError> {
    let mut more = 0;
    for part in pairs.chunks(PAIRS_PER_ROW).skip(1) {
        let record = MoreRepackagedRecord(part.to_vec());
        plan.put(tables::REPACKAGING_FILES, tables::part(id, more), &record)?;
        more += 1;
    }
    Ok(more)
}

/// What was done to all files together, each thing named once.
fn merged(files: &[Rewritten]) -> Repackaged {
    let mut all = Repackaged::plain();
    for file in files {
        all.signatures_removed.extend(file.done.signatures_removed.iter().cloned());
        all.sibling_pins.extend(file.done.sibling_pins.iter().cloned());
    }
    for names in [&mut all.signatures_removed, &mut all.sibling_pins] {
        names.sort_unstable();
        names.dedup();
    }
    all
}

impl Job {
    fn find(
        reading: &Reading,
        from: FeedHandle,
        request: &RepackageRequest,
    ) -> Result<Self, RepackageError> {
        let read = reading.rows();
        let to = match &request.to_feed {
            Some(name) => reading.feed(name)?,
            None => from.clone(),
        };
        if from.record.tag != to.record.tag {
            return Err(RepackageError::DifferentTypes {
                from: from.record.name,
                from_type: from.record.tag,
                to: to.record.name,
                to_type: to.record.tag,
            });
        }
        if from.id != to.id
            && let Some(allowed) = forbidden_by_pipeline(&from, &to, |id| reading.feed_by_id(id))?
        {
            return Err(RepackageError::Pipeline { from: from.record.name, allowed });
        }
        let feed_type = to.known_type()?.clone();
        let source = from.select_version(read, &request.source)?;
        if source.status().map_err(SelectError::from)?.is_blocked() {
            return Err(SelectError::Blocked { package: source.spelled() }.into());
        }
        let target = feed_type.version(&request.new_version).map_err(RepackageError::Refused)?;
        if target == source.version() {
            return Err(RepackageError::SameVersion { package: source.spelled() });
        }
        let places = from.matching_files(&source.record, &request.source)?;
        let mut files: Vec<FileValue> =
            places.iter().filter_map(|at| source.record.files.get(*at)).cloned().collect();
        if files.is_empty() {
            return Err(from.not_found(&request.source).into());
        }
        files.sort_by_key(|file| file.role == crate::records::RoleValue::Companion);
        let job = Self { from, to, feed_type, source, files, target };
        // Asked again when it is written; here it saves the work.
        job.check_target(read, request)?;
        Ok(job)
    }

    /// Fails if the result would meet what is there.
    fn check_target(
        &self,
        read: &dyn MetaRead,
        request: &RepackageRequest,
    ) -> Result<(), RepackageError> {
        let identity = Identity {
            package: self.source.package.package_name()?,
            version: self.target.clone(),
            qualifiers: request.source.qualifiers.clone(),
        };
        match versions::find(read, &self.to, &identity)? {
            // With qualifiers files may join those that were repackaged before.
            Some(_) if request.source.qualifiers.is_empty() => Err(self.exists()),
            _ => Ok(()),
        }
    }

    /// What writing the result is going to read.
    fn wants(&self) -> Vec<Want> {
        let mut wants = self.from.own_wants();
        let package = self.source.package.package_name();
        wants.extend(package.iter().flat_map(|name| self.to.target_wants(name, &self.target)));
        wants.push(Want::Row(tables::VERSION, self.source.key.clone()));
        wants.push(Want::Row(tables::STATUS, self.source.key.clone()));
        wants
    }

    fn exists(&self) -> RepackageError {
        RepackageError::Exists { package: self.shown_target() }
    }

    fn mismatch(&self, found: &Identity) -> RepackageError {
        let Identity { package, version, qualifiers } = found;
        RepackageError::Mismatch {
            package: self.shown_target(),
            found: crate::select::shown(&package.spelled(), version.text(), qualifiers),
        }
    }

    fn shown_target(&self) -> String {
        let package = self.source.package.spelled();
        crate::select::shown(&package, self.target.text(), &Qualifiers::default())
    }

    /// Fails if the source is no longer what it was when it was read.
    fn check_source(&self, plan: &Plan) -> Result<(), RepackageError> {
        let changed = || RepackageError::Changed { package: self.source.spelled() };
        let now = VersionHandle::read(plan, self.source.package.clone(), self.source.key.clone())?;
        let now = now.ok_or_else(changed)?;
        if now.status()?.is_blocked() {
            return Err(SelectError::Blocked { package: self.source.spelled() }.into());
        }
        let same = |file: &FileValue| {
            now.record
                .files
                .iter()
                .any(|known| known.number == file.number && known.digests == file.digests)
        };
        if now.record.version == self.source.record.version && self.files.iter().all(same) {
            Ok(())
        } else {
            Err(changed())
        }
    }
}

/// The part of a repackaging that runs in the writer.
struct Step {
    context: Arc<Context>,
    request: RepackageRequest,
    actor: Actor,
    done: Repackaged,
    job: Job,
}

impl Step {
    fn plan(
        &self,
        plan: &mut Plan,
        files: &[NewFile],
    ) -> Result<RepackageOutcome, Unstored<RepackageError>> {
        let job = &self.job;
        let (from, to) = self.feeds(plan).map_err(Unstored::Refused)?;
        let terms = Terms {
            overwrite: Overwrite::Refuse,
            published_by: self.actor.name.clone(),
            published: None,
            origin: OriginValue::Repackaged {
                from_feed: from.record.name.clone(),
                from_version: job.source.record.text.clone(),
            },
            arrival: Arrival::Untagged,
            tags: Vec::new(),
            listing: ListingValue::Listed,
            deprecated: None,
        };
        let added = add_files(plan, &to, &job.feed_type, files, &terms)
            .map_err(|error| Unstored::of(error, |error| self.add_error(error)))?;
        // The same bytes are "there already" as much as others.
        if added.files.iter().any(|(_, stored)| *stored != crate::Stored::Created) {
            return Err(Unstored::Refused(job.exists()));
        }
        let id = self.record(plan, &from, &to, &added.version, files)?;
        let places: Vec<usize> = added.files.iter().map(|(place, _)| *place).collect();
        let shown = self.context.files(plan, &to, &added.version, &places, Manifests::Omitted)?;
        Ok(RepackageOutcome {
            id,
            files: shown,
            signatures_removed: self.done.signatures_removed.clone(),
            sibling_pins: self.done.sibling_pins.clone(),
            warnings: Vec::new(),
        })
    }

    /// Both feeds, if all is still as it was when the work began.
    fn feeds(&self, plan: &Plan) -> Result<(FeedHandle, FeedHandle), RepackageError> {
        let job = &self.job;
        let live = |id, name: &str| {
            FeedHandle::by_id(plan, &self.context.types, id)?
                .ok_or_else(|| RepackageError::Feed(NoSuchFeed { name: name.to_owned() }))
        };
        let from = live(job.from.id, &job.from.record.name)?;
        let to = live(job.to.id, &job.to.record.name)?;
        job.check_source(plan)?;
        job.check_target(plan, &self.request)?;
        Ok((from, to))
    }

    /// Appends the records that outlive both versions.
    fn record(
        &self,
        plan: &mut Plan,
        from: &FeedHandle,
        to: &FeedHandle,
        version: &VersionHandle,
        files: &[NewFile],
    ) -> Result<u64, StoreError> {
        let job = &self.job;
        let comments = self.request.comments.clone().unwrap_or_default();
        plan.counters().repackaging += 1;
        let id = plan.counters().repackaging;
        let name_key = version.package.name_key().to_vec();
        let tag = &to.record.tag;
        let index = tables::history(tag, &name_key, HistoryKind::Repackaging, id);
        plan.put_entry(tables::HISTORY, index)?;
        let pairs = job.files.iter().zip(files).map(|(old, new)| RepackagedValue {
            from_name: old.file_name.clone(),
            from_sha256: old.digests.sha256,
            to_name: new.file_name.clone(),
            to_sha256: new.digests.sha256,
        });
        let pairs: Vec<_> = pairs.collect();
        let more = write_further_files(plan, id, &pairs)?;
        let record = RepackagingRecord {
            tag: tag.clone(),
            from_feed: from.record.name.clone(),
            to_feed: to.record.name.clone(),
            group: version.package.record.group.clone(),
            name: version.package.record.name.clone(),
            from_version: job.source.record.text.clone(),
            to_version: version.record.text.clone(),
            date: plan.now().millis(),
            user: self.actor.name.clone(),
            comments: comments.clone(),
            more,
            files: pairs.get(..PAIRS_PER_ROW).unwrap_or(&pairs).to_vec(),
            name_key,
        };
        plan.put(tables::REPACKAGING, tables::number(id), &record)?;
        if from.id != to.id {
            record_promotion(plan, from, to, version, &self.actor, &comments)?;
        }
        let entry = Entry {
            to_feed: Some(to.record.name.clone()),
            new_version: Some(version.record.text.clone()),
            comments: self.request.comments.clone(),
            old_sha256: job.files.first().map(|file| file.digests.sha256),
            new_sha256: files.first().map(|file| file.digests.sha256),
            details: Some(serde_json::json!({
                "signaturesRemoved":
                    some_of(self.done.signatures_removed.iter().map(String::as_str)),
                "siblingPins": some_of(self.done.sibling_pins.iter().map(String::as_str)),
            })),
            ..Entry::of_version(Action::Repackage, &from.record.name, &job.source)
        };
        entry.write(plan, &self.actor)?;
        Ok(id)
    }

    fn add_error(&self, error: AddError) -> RepackageError {
        match error {
            AddError::Conflict { .. } | AddError::TooManyFiles { .. } => self.job.exists(),
            AddError::TooLong(error) => error.into(),
            AddError::CaseTwin { name, existing } => RepackageError::CaseTwin { name, existing },
            AddError::NoVersion { package } => {
                StoreError::damaged(format!("the version `{package}`")).into()
            }
            AddError::Gone(_) => StoreError::damaged("a content just stored").into(),
            AddError::Store(error) => error.into(),
        }
    }
}
