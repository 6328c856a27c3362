use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::Arc;

use hayloft_feed::{
    Arrival, FeedType, FeedTypeError, Fragment, Identity, Inspected, PackageName, Upload, Version,
};

use crate::fragments::PreparedFragment;
use crate::plan::Plan;
use crate::reading::Reading;
use crate::records::{DigestsValue, HistoryValue, ListingValue, OriginValue};
use crate::resolve::FeedHandle;
use crate::staging::StagingError;
use crate::storing::Unstored;
use crate::tables::{self, FragmentKind};
use crate::versions::{AddError, Added, FILES_PER_VERSION, NewFile, Terms, add_files};
use crate::{
    Action, Actor, Kept, LookupError, Manifests, NoSuchFeed, PackageFile, Staged, Staging, Store,
    StoreError, Timestamp, TooLong, UnknownFeedType,
};

use super::audit::Entry;
use super::feeds::{facets, facets_wanted};

/// Whether the caller may replace an existing file by other bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// No.
    #[default]
    Refuse,
    /// Yes, if the feed allows it too.
    Replace,
}

/// What a client says beside the bytes of an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadRequest {
    /// What the client calls the file.
    pub file_name: Option<String>,
    /// Request parameters by lower-case name, such as `distribution`.
    pub hints: BTreeMap<String, String>,
    /// Whether an existing file may be replaced.
    pub overwrite: Overwrite,
    /// Tags, such as npm's dist-tags, that are to point at the version in the same commit.
    pub tags: Vec<String>,
    /// What the caller takes the file for; one that is another is refused.
    pub expect: Option<(PackageName, Version)>,
    /// When and by whom it was published, where that was elsewhere; else it is now, by the caller.
    pub published: Option<(Timestamp, String)>,
}

/// What became of a file that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is new.
    Created,
    /// The same bytes were there; nothing changed.
    Unchanged,
    /// Other bytes were there and are gone.
    Replaced,
}

/// A durable upload.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Uploaded {
    /// What became of it.
    pub stored: Stored,
    /// The file as it is stored now.
    pub file: PackageFile,
    /// What was accepted although a strict reading forbids it.
    pub warnings: Vec<String>,
}

/// An upload was not stored, or it is unknown whether it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// No such feed.
    #[error(transparent)]
    Feed(#[from] NoSuchFeed),
    /// The feed takes no uploads in this program.
    #[error(transparent)]
    UnknownType(#[from] UnknownFeedType),
    /// The file is not the package that the request names.
    #[error("the file is `{found}`, the request is for `{expected}`")]
    Unexpected {
        /// What the file is.
        found: String,
        /// What the request says.
        expected: String,
    },
    /// The feed type does not accept the file.
    #[error("the package was not accepted")]
    Refused(#[source] FeedTypeError),
    /// Larger than the store takes.
    #[error("the file is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// A part of the package is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The client's bytes ended in an error.
    #[error("the upload could not be read")]
    Source(#[source] io::Error),
    /// The same file exists with other bytes, and may not be replaced.
    #[error("`{package}` already exists and cannot be overwritten")]
    Conflict {
        /// Package, version and qualifiers.
        package: String,
    },
    /// A package exists whose name differs in case alone.
    #[error("`{name}` differs only by case from the existing package `{existing}`")]
    CaseTwin {
        /// Name in the upload.
        name: String,
        /// Name of the package that is there.
        existing: String,
    },
    /// A companion file came without its version.
    #[error("`{package}` must be uploaded before its companion file")]
    NoVersion {
        /// Package and version.
        package: String,
    },
    /// A version has as many files as it may have.
    #[error("`{package}` has {limit} files already, no more are allowed")]
    TooManyFiles {
        /// Package and version.
        package: String,
        /// Files allowed.
        limit: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<LookupError> for UploadError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Feed(missing) => Self::Feed(missing),
            LookupError::Store(error) => Self::Store(error),
        }
    }
}

impl From<StagingError> for UploadError {
    fn from(error: StagingError) -> Self {
        match error {
            StagingError::TooLarge { limit } => Self::TooLarge { limit },
            StagingError::Store(error) => Self::Store(error),
        }
    }
}

impl From<AddError> for UploadError {
    fn from(error: AddError) -> Self {
        match error {
            AddError::Conflict { package } => Self::Conflict { package },
            AddError::CaseTwin { name, existing } => Self::CaseTwin { name, existing },
            AddError::NoVersion { package } => Self::NoVersion { package },
            AddError::TooManyFiles { package } => {
                Self::TooManyFiles { package, limit: FILES_PER_VERSION }
            }
            AddError::TooLong(error) => Self::TooLong(error),
            AddError::Gone(_) => Self::Store(StoreError::damaged("a content just stored")),
            AddError::Store(error) => Self::Store(error),
        }
    }
}

impl Store {
    /// Begins a file of at most `limit` bytes; `None` is the store's own limit.
    pub fn stage(&self, limit: Option<u64>) -> Result<Staging, StoreError> {
        if self.inner.is_closed() {
            return Err(StoreError::Closed);
        }
        self.inner.staging.begin(limit)
    }

    /// Stores all that `content` yields as a package file of a feed.
    pub fn upload(
        &self,
        feed: &str,
        request: &UploadRequest,
        content: &mut dyn Read,
        actor: &Actor,
    ) -> Result<Uploaded, UploadError> {
        let mut staging = self.stage(None)?;
        let mut buffer = vec![0; 32 << 10];
        loop {
            let read = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(UploadError::Source(error)),
            };
            staging.append(buffer.get(..read).unwrap_or_default())?;
        }
        self.upload_staged(feed, request, staging.finish()?, actor)
    }

    /// Stores a staged file as a package file of a feed.
    ///
    /// Bytes that are there already are a success without a change; other bytes under the same
    /// identity need the right to overwrite from both the request and the feed.
    #[expect(clippy::needless_pass_by_value, reason = "the staged file is used up")]
    pub fn upload_staged(
        &self,
        feed: &str,
        request: &UploadRequest,
        staged: Staged,
        actor: &Actor,
    ) -> Result<Uploaded, UploadError> {
        actor.check()?;
        Kept::Tags.check_list(Kept::Tag, &request.tags)?;
        if let Some((_, by)) = &request.published {
            Kept::Actor.check_text(by)?;
        }
        if !staged.is_of(&self.inner.staging) {
            return Err(StoreError::Foreign { what: "staged file" }.into());
        }
        let (reading, handle) = self.inner.read_feed(feed, |feed| {
            let remembers = |known: &Arc<dyn FeedType>| !known.remembered_qualifiers().is_empty();
            let facets = feed.feed_type.as_ref().is_some_and(remembers);
            facets.then(|| facets_wanted(feed.id)).into_iter().collect()
        })?;
        let feed_type = handle.known_type()?.clone();
        let remembered = remembered(&reading, &handle, feed_type.as_ref())?;
        drop(reading);
        // Its memory counts until the result is stored.
        let (inspected, _admission) =
            self.inner.inspections.run(&self.options().limits, |lane| {
                let mut content = staged.read()?;
                let upload = Upload::new(content.as_mut(), staged.size(), staged.digests())
                    .with_file_name(request.file_name.as_deref())
                    .with_hints(&request.hints)
                    .with_remembered(&remembered);
                lane.read(|limits| feed_type.inspect(upload, limits)).map_err(refused)
            })?;
        if let Some((name, version)) = &request.expect
            && (*name != inspected.identity.package || *version != inspected.identity.version)
        {
            let shown = |name: &PackageName, version: &Version| {
                hayloft_feed::shorten(&format!("{} {version}", name.spelled()))
            };
            let Identity { package, version: found, .. } = &inspected.identity;
            return Err(UploadError::Unexpected {
                found: shown(package, found),
                expected: shown(name, version),
            });
        }
        let warnings = inspected.warnings.clone();
        let terms = Terms {
            overwrite: request.overwrite,
            published_by: request
                .published
                .as_ref()
                .map_or_else(|| actor.name.clone(), |(_, by)| by.clone()),
            published: request.published.as_ref().map(|(at, _)| at.millis()),
            origin: OriginValue::Uploaded,
            arrival: if request.tags.is_empty() { Arrival::Untagged } else { Arrival::Tagged },
            tags: request.tags.clone(),
            listing: ListingValue::Listed,
            deprecated: None,
        };
        let digests = staged.digests().into();
        let file = new_file(feed_type.as_ref(), &inspected, staged.size(), digests)?;
        let Identity { package, version, .. } = &inspected.identity;
        let hints = || handle.target_wants(package, version);
        let step = Arc::new(UploadStep {
            store: self.clone_context(),
            feed: handle.id,
            feed_type,
            terms,
            actor: actor.clone(),
            asked: feed.to_owned(),
        });
        let (stored, file) =
            self.inner.store_files(&[&staged], vec![file], hints, move |plan, files| {
                step.plan(plan, files)
            })?;
        self.inner.count_stored(usize::from(stored != Stored::Unchanged));
        Ok(Uploaded { stored, file, warnings })
    }

    pub(crate) fn clone_context(&self) -> Arc<crate::file_rows::Context> {
        self.inner.context.clone()
    }
}

/// Up to two values in use of each qualifier that the type wants remembered.
fn remembered(
    reading: &Reading,
    handle: &FeedHandle,
    feed_type: &dyn FeedType,
) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
    if feed_type.remembered_qualifiers().is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = facets(reading.rows(), handle.id)?;
    Ok(found
        .into_iter()
        .map(|(name, values)| (name, values.into_keys().take(2).collect()))
        .collect())
}

fn refused(error: FeedTypeError) -> UploadError {
    match error {
        FeedTypeError::Io(source) => StoreError::io("read", "the staged file")(source).into(),
        input => UploadError::Refused(input),
    }
}

/// What a feed type has read cannot be kept.
#[derive(Debug)]
pub(crate) enum NewFileError {
    Refused(FeedTypeError),
    TooLong(TooLong),
    Store(StoreError),
}

impl From<TooLong> for NewFileError {
    fn from(error: TooLong) -> Self {
        Self::TooLong(error)
    }
}

impl From<StoreError> for NewFileError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<NewFileError> for UploadError {
    fn from(error: NewFileError) -> Self {
        match error {
            NewFileError::Refused(error) => Self::Refused(error),
            NewFileError::TooLong(error) => Self::TooLong(error),
            NewFileError::Store(error) => Self::Store(error),
        }
    }
}

/// A file as its type has read it, ready for the writer but for its source.
pub(crate) fn new_file(
    feed_type: &dyn FeedType,
    inspected: &Inspected,
    size: u64,
    digests: DigestsValue,
) -> Result<NewFile, NewFileError> {
    check_identity(feed_type, &inspected.identity)?;
    let mut fragments =
        vec![fragment(Kept::Manifest, FragmentKind::MANIFEST, inspected.manifest.as_bytes())?];
    let history = match inspected.history.as_slice() {
        [] => HistoryValue::Absent,
        entries => {
            let text = serde_json::to_vec(entries)
                .map_err(|_| StoreError::damaged("a history that was just read"))?;
            fragments.push(fragment(Kept::History, FragmentKind::HISTORY, &text)?);
            HistoryValue::Embedded
        }
    };
    let length = inspected.documents.len();
    for (at, document) in inspected.documents.iter().enumerate() {
        let kind = tables::document_kind(at).ok_or(TooLong { kept: Kept::Documents, length })?;
        Kept::DocumentName.check_text(&document.name)?;
        fragments.push(fragment(Kept::Document, kind, &document.bytes)?);
    }
    let mut kinds = BTreeSet::new();
    for index in &inspected.fragments {
        // The other kinds are the store's own; a type that takes one is broken.
        if !(1..=Fragment::LAST_KIND).contains(&index.kind) || !kinds.insert(index.kind) {
            return Err(StoreError::damaged(format!("fragment kind {}", index.kind)).into());
        }
        fragments.push(fragment(Kept::IndexEntry, FragmentKind(index.kind), &index.bytes)?);
    }
    let file_name = feed_type.file_name(&inspected.identity);
    Kept::FileName.check_text(&file_name)?;
    Ok(NewFile {
        identity: inspected.identity.clone(),
        role: inspected.role,
        file_name,
        size,
        digests,
        source: crate::blob_rows::Source::Present,
        fragments,
        history,
        documents: inspected.documents.iter().map(|document| document.name.clone()).collect(),
    })
}

/// Refuses an identity whose rows could not be written, or not be told from others.
fn check_identity(feed_type: &dyn FeedType, identity: &Identity) -> Result<(), NewFileError> {
    let Identity { package, version, qualifiers } = identity;
    Kept::Group.check_text(package.group())?;
    Kept::PackageName.check_text(package.name())?;
    Kept::Version.check_text(version.text())?;
    Kept::Version.check_text(version.identity())?;
    Kept::SortKey.check(version.sort_key().as_bytes().len())?;
    Kept::Qualifiers.check_text(&qualifiers.to_string())?;
    // In the keys of fragments NUL ends a version.
    if version.identity().contains('\0') {
        return Err(NewFileError::Refused(FeedTypeError::Version {
            feed_type: feed_type.tag(),
            text: version.text().to_owned(),
            detail: "contains a NUL character".into(),
        }));
    }
    Ok(())
}

fn fragment(
    kept: Kept,
    kind: FragmentKind,
    bytes: &[u8],
) -> Result<PreparedFragment, NewFileError> {
    kept.check(bytes.len())?;
    Ok(PreparedFragment::new(kind, bytes)?)
}

/// The part of an upload that runs in the writer.
struct UploadStep {
    store: Arc<crate::file_rows::Context>,
    feed: u32,
    feed_type: Arc<dyn FeedType>,
    terms: Terms,
    actor: Actor,
    asked: String,
}

impl UploadStep {
    fn plan(
        &self,
        plan: &mut Plan,
        files: &[NewFile],
    ) -> Result<(Stored, PackageFile), Unstored<UploadError>> {
        let handle = FeedHandle::by_id(plan, &self.store.types, self.feed)?
            .ok_or_else(|| Unstored::Refused(NoSuchFeed { name: self.asked.clone() }.into()))?;
        let added = add_files(plan, &handle, &self.feed_type, files, &self.terms)
            .map_err(|error| Unstored::of(error, UploadError::from))?;
        let Added { version, files: places, replaced } = added;
        let Some(&(place, stored)) = places.first() else {
            return Err(StoreError::damaged("a version without files").into());
        };
        let action = match stored {
            Stored::Created => Some(Action::Upload),
            Stored::Replaced => Some(Action::Replace),
            Stored::Unchanged => None,
        };
        if let Some(action) = action {
            let entry = Entry {
                old_sha256: replaced,
                new_sha256: files.first().map(|file| file.digests.sha256),
                details: version
                    .record
                    .files
                    .get(place)
                    .map(|file| serde_json::json!({ "fileName": file.file_name })),
                ..Entry::of_version(action, &handle.record.name, &version)
            };
            entry.write(plan, &self.actor)?;
        }
        let shown = self.store.files(plan, &handle, &version, &[place], Manifests::Omitted)?.pop();
        let file = shown.ok_or_else(|| StoreError::damaged("a file just stored"))?;
        Ok((stored, file))
    }
}
