use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;

use super::Validator;
use crate::{
    FileCard, FileId, Fragment, LogHead, NameKey, PackageHead, Stability, Status, Timestamp,
    Version, VersionChange, VersionState,
};

/// One snapshot of a feed: all that an index answer is made of.
///
/// Calls are whole and say what they want, so that a remote store can fetch it in one go: no call
/// per version inside a loop. Visitors borrow what they are shown. No view outlives a render.
#[expect(clippy::type_complexity, reason = "visitors are written out where they are called")]
pub trait FeedView {
    /// The feed.
    fn feed(&self) -> &FeedCard;

    /// The validator of an answer: a hash over this feed in this store, the type's index and answer
    /// revisions, `revision` and `parts`.
    ///
    /// `revision` is that of the subject: of a package, or of [`FeedView::subject`]. `parts` name
    /// the form and whatever of the request the bytes depend on, such as the feed's URL.
    fn validator(&self, revision: u64, parts: &[&str]) -> Validator;

    /// What a subject was last bumped to; revision 0 at the feed's creation if never. One point
    /// read.
    fn subject(&self, subject: &[u8]) -> Result<Subject, ViewError>;

    /// One package. A few point reads.
    fn package(&self, name: &NameKey) -> Result<Option<PackageHead>, ViewError>;

    /// Shows all versions of a package in ascending order, or from the highest down
    /// ([`Want::newest_first`]), blocked and unlisted ones too. One scan.
    fn versions(
        &self,
        name: &NameKey,
        want: &Want<'_>,
        visit: &mut dyn FnMut(&VersionEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ViewError>;

    /// Shows one version, if it is there; tells whether it is.
    fn version(
        &self,
        name: &NameKey,
        version: &Version,
        want: &Want<'_>,
        visit: &mut dyn FnMut(&VersionEntry<'_>),
    ) -> Result<bool, ViewError>;

    /// Shows all versions, as [`FeedView::versions`] does.
    fn each_version(
        &self,
        name: &NameKey,
        want: &Want<'_>,
        show: &mut dyn FnMut(&VersionEntry<'_>),
    ) -> Result<(), ViewError> {
        self.versions(name, want, &mut |entry| {
            show(entry);
            ControlFlow::Continue(())
        })
    }

    /// The first file of a version: the only one where versions have one each.
    fn file_of(&self, name: &NameKey, version: &Version) -> Result<Option<FileCard>, ViewError> {
        let mut found = None;
        self.version(name, version, &Want::nothing().files(), &mut |entry| {
            found = entry.files.first().cloned();
        })?;
        Ok(found)
    }

    /// Shows packages in the order of their keys, those after a key or all.
    fn packages(
        &self,
        after: Option<&NameKey>,
        visit: &mut dyn FnMut(&PackageHead) -> ControlFlow<()>,
    ) -> Result<(), ViewError>;

    /// One index row.
    fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError>;

    /// Shows the index rows whose keys begin with `prefix`, in ascending order, those after a key or
    /// all.
    fn rows(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError>;

    /// The newest state of a log; `None` if nothing was ever appended. One point read.
    fn log(&self, log: &[u8]) -> Result<Option<LogHead>, ViewError>;

    /// Shows the bytes of a log up to its head, in order, in pieces.
    fn read_log(
        &self,
        log: &[u8],
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError>;

    /// Finds packages by words. Cost follows the rarest word, not the feed.
    fn search(&self, query: &SearchQuery<'_>) -> Result<SearchPage, ViewError>;

    /// True if a file of this feed, or one that a refresh keeps, has this content and may be
    /// downloaded.
    fn has_content(&self, sha256: &[u8; 32]) -> Result<bool, ViewError>;

    /// A document that was kept with a file, for documents that hold it; `None` if there is none,
    /// or the view cannot tell. One point read.
    fn document(&self, file: FileId, name: &str) -> Result<Option<Vec<u8>>, ViewError> {
        let _ = (file, name);
        Ok(None)
    }

    /// Grows whenever download counts reach the rows; part of the validator of what shows them.
    fn counts_revision(&self) -> Result<u64, ViewError>;
}

/// A feed as its documents see it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedCard {
    /// Name.
    pub name: String,
    /// In words.
    pub description: Option<String>,
    /// Settings of the type's own, a JSON object.
    pub settings: String,
    /// Grows with every change in the feed but download counts; unique in the store.
    pub revision: u64,
    /// When it was created.
    pub created: Timestamp,
    /// When anything in it was last changed.
    pub changed: Timestamp,
    /// Packages in it.
    pub packages: u64,
    /// Versions of all packages.
    pub versions: u64,
    /// Whether a native delete hides or removes.
    pub deletes: crate::native::ListingChange,
}

impl FeedCard {
    /// An empty feed of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: None,
            settings: "{}".to_owned(),
            revision: 0,
            created: Timestamp::default(),
            changed: Timestamp::default(),
            packages: 0,
            versions: 0,
            deletes: crate::native::ListingChange::Unlist,
        }
    }
}

/// The state of something that documents depend on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Subject {
    /// Grows with every bump; unique in the store.
    pub revision: u64,
    /// When it was last bumped.
    pub changed: Timestamp,
}

/// What of each version a visitor is to be shown; less is cheaper.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a wish of its own")]
#[non_exhaustive]
pub struct Want<'a> {
    /// Kinds of fragments.
    pub fragments: &'a [u8],
    /// All kinds of fragments.
    pub all_fragments: bool,
    /// Cards of the files.
    pub files: bool,
    /// Download counts.
    pub downloads: bool,
    /// No version whose sort key is below this. A hint, as `highest` is: a view may show others
    /// too, and a visitor looks at each.
    pub lowest: Option<&'a [u8]>,
    /// No version whose sort key is above this.
    pub highest: Option<&'a [u8]>,
    /// From the highest down: who stops at one of the first has read no more than those.
    pub newest_first: bool,
}

impl<'a> Want<'a> {
    /// Text, status and times alone.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// These kinds of fragments.
    pub fn fragments(kinds: &'a [u8]) -> Self {
        Self { fragments: kinds, ..Self::default() }
    }

    /// Fragments of every kind, and files.
    pub fn everything() -> Self {
        Self { all_fragments: true, files: true, ..Self::default() }
    }

    /// Cards of the files, too.
    #[must_use]
    pub fn files(mut self) -> Self {
        self.files = true;
        self
    }

    /// Download counts, too.
    #[must_use]
    pub fn downloads(mut self) -> Self {
        self.downloads = true;
        self
    }

    /// Only versions whose sort keys lie between these, if the view can tell.
    #[must_use]
    pub fn between(mut self, lowest: &'a [u8], highest: &'a [u8]) -> Self {
        self.highest = Some(highest);
        self.starting_at(lowest)
    }

    /// Only versions whose sort keys are not below this, if the view can tell.
    #[must_use]
    pub fn starting_at(mut self, lowest: &'a [u8]) -> Self {
        self.lowest = Some(lowest);
        self
    }

    /// From the highest down.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    /// True if fragments of this kind are wanted.
    pub fn has(&self, kind: u8) -> bool {
        self.all_fragments || self.fragments.contains(&kind)
    }
}

/// One version as a visitor is shown it.
#[derive(Debug)]
#[non_exhaustive]
pub struct VersionEntry<'a> {
    /// As spelled.
    pub text: &'a str,
    /// What it equals by.
    pub identity: &'a str,
    /// What it sorts by.
    pub sort_key: &'a [u8],
    /// Release or prerelease.
    pub stability: Stability,
    /// Listed, blocked, deprecated.
    pub status: &'a Status,
    /// When it came to this feed.
    pub published: Timestamp,
    /// Who brought it.
    pub published_by: &'a str,
    /// Downloads of all its files, if wanted.
    pub downloads: u64,
    /// Cards of its files, if wanted, in the order they came.
    pub files: &'a [FileCard],
    /// Its fragments of the wanted kinds, by file number and kind.
    pub fragments: &'a [FragmentEntry<'a>],
}

impl<'a> VersionEntry<'a> {
    /// A version with what all versions have.
    pub fn new(version: &'a Version, status: &'a Status, published: Timestamp) -> Self {
        Self {
            text: version.text(),
            identity: version.identity(),
            sort_key: version.sort_key().as_bytes(),
            stability: version.stability(),
            status,
            published,
            published_by: "",
            downloads: 0,
            files: &[],
            fragments: &[],
        }
    }

    /// The first fragment of this kind: the only one where a version has one file.
    pub fn fragment(&self, kind: u8) -> Option<&'a [u8]> {
        self.fragments.iter().find(|fragment| fragment.kind == kind).map(|found| found.bytes)
    }

    /// The fragment of this kind that a file has.
    pub fn fragment_of(&self, file: u32, kind: u8) -> Option<&'a [u8]> {
        let mut fragments = self.fragments.iter();
        fragments
            .find(|fragment| fragment.file == file && fragment.kind == kind)
            .map(|found| found.bytes)
    }

    /// The version, to be looked up or compared.
    pub fn version(&self) -> Version {
        Version::new(
            self.text,
            self.identity,
            crate::SortKey::from_bytes(self.sort_key),
            self.stability,
        )
    }

    /// The version as if it were new.
    pub fn to_change(&self) -> VersionChange {
        let mut state = VersionState::new(self.status.clone(), self.published, self.files.to_vec());
        state.fragments = self
            .fragments
            .iter()
            .map(|found| (found.file, Fragment { kind: found.kind, bytes: found.bytes.to_vec() }))
            .collect();
        VersionChange::new(self.version(), None, Some(state))
    }
}

/// One fragment of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FragmentEntry<'a> {
    /// Number of the file in its version.
    pub file: u32,
    /// Kind.
    pub kind: u8,
    /// Content.
    pub bytes: &'a [u8],
}

/// What packages are to be found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchQuery<'a> {
    /// Words in lower case, all of which must match; the last one by its beginning. None: all
    /// packages.
    pub words: &'a [String],
    /// Bits of [`SearchRecord::flags`](crate::SearchRecord) that must be set.
    pub flags: u8,
    /// Hits to leave out at the start.
    pub skip: u64,
    /// Most hits to return.
    pub take: usize,
    /// Order of hits.
    pub order: SearchOrder,
}

impl<'a> SearchQuery<'a> {
    /// The first `take` packages that match all words.
    pub fn new(words: &'a [String], take: usize) -> Self {
        Self { words, take, ..Self::default() }
    }

    /// Leaves out so many hits.
    #[must_use]
    pub fn skip(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Demands these bits.
    #[must_use]
    pub fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }
}

/// The order of hits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SearchOrder {
    /// A package whose name is the words first, then by name key.
    #[default]
    Name,
}

/// A page of what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchPage {
    /// All hits; exact up to 10,000, beyond that at least so many.
    pub total: u64,
    /// The packages of this page.
    pub packages: Vec<PackageHead>,
}

impl SearchPage {
    /// A page.
    pub fn new(total: u64, packages: Vec<PackageHead>) -> Self {
        Self { total, packages }
    }
}

/// A view could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// A row is damaged; the message names it.
    #[error("the feed could not be read")]
    Damaged(#[source] Box<dyn Error + Send + Sync>),
    /// It cannot be read now, but may be later.
    #[error("the feed cannot be read now")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The index is being rebuilt; ask again in so many seconds.
    #[error("the index of the feed is being rebuilt")]
    Rebuilding {
        /// Seconds.
        after: u32,
    },
}

impl ViewError {
    /// A row or fragment does not hold what the type wrote.
    pub fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into().into())
    }
}

/// Settings of a feed by name, out of [`FeedCard::settings`]; empty if they do not parse.
impl FeedCard {
    /// One setting that is a text.
    pub fn setting(&self, name: &str) -> Option<String> {
        let settings: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(&self.settings).unwrap_or_default();
        Some(settings.get(name)?.as_str()?.to_owned())
    }
}
