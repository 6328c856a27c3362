//! Looking for damage, and rebuilding what other rows tell.

mod ahead;
mod blobs;
mod contents;
mod directory;
mod feeds;
mod index;
mod keys;
mod logs;
mod packages;
mod restore;
mod run;
mod versions;

use std::fmt;
use std::ops::ControlFlow;

use crate::watch::Watch;
use crate::{Progress, Store, StoreError};

use run::Run;

/// How deep [`Store::verify`](crate::Store::verify) looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VerifyLevel {
    /// Every row, all references both ways, totals, the audit chain, and that files have the right
    /// length.
    Fast,
    /// Also the BLAKE3 of every content, and that indexes are what feed types derive of their
    /// packages.
    Normal,
    /// Also all other digests, and that feed types read the same identity out of each file.
    Deep,
}

/// Whether to mend what can be derived again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// Only look.
    No,
    /// Rebuild derived rows, mark damaged contents, move strange files to `quarantine/`. A damaged
    /// row is made anew from other rows and from package files; if nothing tells what it said, its
    /// bytes are kept in `quarantine/` too, and it is taken away. No package file is.
    Derived,
}

/// What is wrong; the text of each is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FindingCode {
    /// A row does not decode or its checksum is wrong.
    Row,
    /// A row was written by a newer release.
    NewerRow,
    /// A file of a version has no content row.
    BlobRow,
    /// A use of a content is not recorded, or recorded without the file.
    BlobUse,
    /// The state of a content does not fit its uses.
    BlobState,
    /// A content is missing.
    BlobMissing,
    /// A content has another length.
    BlobSize,
    /// A content has another digest.
    BlobDigest,
    /// The hashes of a content's groups are missing or wrong, or belong to nothing.
    BlobGroups,
    /// A file in the blob directory has no row.
    BlobOrphan,
    /// A name in the store's directories that the store does not make.
    StrangeFile,
    /// The index by number does not lead to the version, or leads nowhere.
    VersionIndex,
    /// The index by digest misses a content or names one that is gone.
    HashIndex,
    /// A package's pointers or counts do not fit its versions.
    PackagePointer,
    /// The index of names that differ by case does not fit the packages.
    CaseIndex,
    /// A version belongs to no package, or a package has no version.
    PackageRow,
    /// A row belongs to no feed, or a feed name leads nowhere.
    FeedRow,
    /// A status is that of no version.
    Status,
    /// A manifest or another fragment of a file is missing, or belongs to nothing.
    Fragment,
    /// Totals of a feed do not fit its rows.
    FeedTotals,
    /// Remembered qualifiers do not fit the files.
    Facet,
    /// Download counts of a file that is gone.
    Downloads,
    /// The audit log was changed or cut.
    AuditChain,
    /// An entry of the history index leads nowhere, or is missing.
    HistoryIndex,
    /// An API key cannot be looked up by its digest.
    KeyIndex,
    /// The native index of a feed is not what its packages give.
    NativeIndex,
    /// A feed type reads something else out of a file than the rows say.
    Inspection,
}

impl FindingCode {
    /// The stable text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::NewerRow => "newer-row",
            Self::BlobRow => "blob-row",
            Self::BlobUse => "blob-use",
            Self::BlobState => "blob-state",
            Self::BlobMissing => "blob-missing",
            Self::BlobSize => "blob-size",
            Self::BlobDigest => "blob-digest",
            Self::BlobGroups => "blob-groups",
            Self::BlobOrphan => "blob-orphan",
            Self::StrangeFile => "strange-file",
            Self::VersionIndex => "version-index",
            Self::HashIndex => "hash-index",
            Self::PackagePointer => "package-pointer",
            Self::CaseIndex => "case-index",
            Self::PackageRow => "package-row",
            Self::FeedRow => "feed-row",
            Self::Status => "status",
            Self::Fragment => "fragment",
            Self::FeedTotals => "feed-totals",
            Self::Facet => "facet",
            Self::Downloads => "downloads",
            Self::AuditChain => "audit-chain",
            Self::HistoryIndex => "history-index",
            Self::KeyIndex => "key-index",
            Self::NativeIndex => "native-index",
            Self::Inspection => "inspection",
        }
    }
}

/// One thing that is wrong; prints as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What kind.
    pub code: FindingCode,
    /// Where and what, in words.
    pub text: String,
    /// True if this run mended it.
    pub repaired: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mended = if self.repaired { " (repaired)" } else { "" };
        write!(out, "{}: {}{mended}", self.code.as_str(), self.text)
    }
}

/// What a verification saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifySummary {
    /// Rows read.
    pub rows: u64,
    /// Contents looked at.
    pub blobs: u64,
    /// Bytes of contents read.
    pub bytes: u64,
    /// Findings reported.
    pub findings: u64,
    /// Findings mended.
    pub repaired: u64,
}

impl VerifySummary {
    /// True if nothing is wrong any more.
    pub fn is_clean(&self) -> bool {
        self.findings == self.repaired
    }
}

/// Verification could not be completed; findings so far stand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Looks for damage; every finding goes to `report` as soon as it is certain.
    ///
    /// Runs beside readers and writers: rows are judged as of one moment, contents as they are
    /// when it is their turn. Memory grows by a bit for each inline content ever
    /// stored, and with the findings. Costs some microseconds for each row; from
    /// [`VerifyLevel::Normal`] on all contents are read.
    ///
    /// While rows of versions cannot be read, nothing is taken away that they might name.
    pub fn verify(
        &self,
        level: VerifyLevel,
        repair: Repair,
        report: &mut dyn FnMut(&Finding),
    ) -> Result<VerifySummary, VerifyError> {
        self.verify_watched(level, repair, report, &|_| ControlFlow::Continue(()))
    }

    /// The same, telling how many bytes of contents it has read; a `Break` calls it off: findings
    /// so far stand, as do mends.
    pub fn verify_watched(
        &self,
        level: VerifyLevel,
        repair: Repair,
        report: &mut dyn FnMut(&Finding),
        watch: &dyn Fn(Progress) -> ControlFlow<()>,
    ) -> Result<VerifySummary, VerifyError> {
        let watch = Watch::new(watch, None);
        let done = Run::new(self, level, repair, report, &watch).all();
        if watch.is_off() {
            return Err(StoreError::Cancelled.into());
        }
        Ok(done?)
    }
}
