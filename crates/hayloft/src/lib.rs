//! An embedded storage engine for package feeds.
//!
//! [`open`] a directory; from then on it holds feeds of the built-in types. Files come back byte
//! for byte, and what was acknowledged survives a loss of power.
//!
//! ```
//! use hayloft::{Actor, FeedDraft, Overwrite, RepackageRequest, Selector, UploadRequest};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let package = hayloft_testkit::upack("", "tools", "1.4.0-rc.1").build();
//! let store = hayloft::open(directory.path())?;
//! let release = Actor::named("release team");
//!
//! store.create_feed(FeedDraft::new("apps", "universal"), &release)?;
//! store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &release)?;
//!
//! let asked = RepackageRequest::new(Selector::ungrouped("tools", "1.4.0-rc.1"), "1.4.0");
//! store.repackage("apps", &asked, &release)?;
//!
//! let mut released = store.download("apps", &Selector::ungrouped("tools", "1.4.0"))?;
//! std::io::copy(&mut released, &mut std::io::sink())?;
//! # Ok(())
//! # }
//! ```
//!
//! Each operation has an example in the [`guide`]. A type that is not built in is a [`FeedType`] of
//! your own, given to [`Store::open`] with [`FeedTypes::with`].
//!
//! # Cargo features
//!
//! `debian`, `npm`, `nuget`, `pypi`, `rubygems` and `universal` are the built-in types, all on by
//! default. `openpgp`, off by default, signs the releases of Debian feeds. The server is the crate
//! `hayloft-http`, with features `serve`, `tls` and `openapi` of its own, feeds without a server are
//! `hayloft-offline`, and the command is `hayloft-cli`.
//!
//! # One process
//!
//! A store belongs to one process, on a local disk; a second one gets [`OpenError::InUse`] and goes
//! through the server of the first. Within the process a [`Store`] is a cheap handle: clone it into
//! any thread. Reading never waits for writing, and changes that arrive together share a commit.
//!
//! # Async programs
//!
//! All calls block, on the disk and, for uploads, on the reader that is given. Run them where
//! blocking is allowed, and keep what streams in one such call:
//!
//! ```ignore
//! let store = store.clone();
//! let size = tokio::task::spawn_blocking(move || -> hayloft::Result<u64> {
//!     Ok(store.file("apps", &Selector::ungrouped("tools", "1.4.0"))?.size)
//! })
//! .await??;
//! ```
//!
//! # Errors
//!
//! Each operation has an error that names what it can meet. [`Error`] takes all of them with `?`;
//! [`Error::kind`] says what can be done and [`Error::report`] tells all causes in one line. A
//! panic inside a feed type or a caller's closure is [`StoreError::Panicked`], and the store goes
//! on; a change from inside a change is [`StoreError::Reentrant`].
//!
//! # Defaults and limits
//!
//! [`OpenOptions`] has them all: files up to 64 GiB, 64 MiB of cache, 256 MiB of memory for reading
//! packages, uploads refused below 256 MiB of free space, contents without a use kept for 10
//! minutes. Texts have limits too, which [`Kept`] lists: what is longer is refused, never cut.
//!
//! # What it is not
//!
//! Nothing for a network file system, and no judge of what a package does when it runs. Access is
//! the server's: whoever has the directory has all.
//!
//! # Builds without optimization
//!
//! Hashing, compression and the pages of the metadata are many times slower in a debug build of
//! your program: 55 uploads of 10 KB to 16 MiB took 15.1 s of processor time, and 1.8 s with the
//! lines below, 8 times less. Cargo takes profiles from your workspace alone, so copy this into it:
//!
//! ```toml
//! [profile.dev.package."*"]
//! opt-level = 2
//! ```

mod error;
pub mod guide;

use std::path::Path;

pub use error::{Error, ErrorKind, Result};
pub use hayloft_core::{
    ActError, Action, Activity, Actor, After, Algorithm, Allow, ApiKey, AuditCheck, AuditPage,
    AuditQuery, AuditRow, Background, BackupError, BackupSummary, Checkpoints, Clock, Commits,
    ContentError, Create, DamagedLog, DeleteError, DeleteMode, Deleted, Deprecation,
    DeprecationChange, DirectoryInUse, Download, EditError, Edited, Extent, Feed, FeedDraft,
    FeedError, FeedSettings, FeedStats, FeedTypes, FileId, Files, FindError, Finding, FindingCode,
    FoundFile, Kept, KeyDigest, KeyError, KeyGrant, KeyText, LatestQuery, Listing, LogError,
    LogMetrics, LogOptions, LookupError, Manifests, ManualClock, Metrics, NativeContent,
    NativeError, NativeView, NoSuchFeed, OpenError, OpenMode, OpenOptions, Opened, Origin,
    Overwrite, Overwriting, PackageFile, PackageHistory, PackageInfo, Pick, Progress, PromoteError,
    PromoteOutcome, PromoteRequest, Promotion, PromotionQuery, QuickLookup, RefreshError,
    RepackageError, RepackageOutcome, RepackageRequest, RepackagedFile, Repackaging, Repair,
    RestoreError, Rows, SecretError, SelectError, Selector, SettingError, Staged, Staging,
    StagingError, Status, StatusChange, StatusError, StatusOutcome, Store, StoreError, Stored,
    SystemClock, TagError, Timestamp, TooLong, Unit, UnknownFeedType, UploadError, UploadRequest,
    Uploaded, VerifyError, VerifyLevel, VerifyOnRead, VerifySummary, VersionsQuery, Wanted,
    back_up, restore,
};
pub use hayloft_feed as feed_type;
pub use hayloft_feed::{
    Coordinates, Digests, FeedType, FeedTypeError, FileRole, HistoryEntry, Limits, Purl,
    Qualifiers, Stability,
};

/// The inside of a store: the engines under it, for who replaces one, and all else that
/// `hayloft-core` has. What is not at the root of this crate may change more often.
pub mod engine {
    pub use hayloft_core::*;
}

/// Opens the store in `directory`, or makes one there, with the built-in feed types and the
/// default options.
pub fn open(directory: impl AsRef<Path>) -> std::result::Result<Store, OpenError> {
    open_with(directory, OpenOptions::new())
}

/// The same with options.
pub fn open_with(
    directory: impl AsRef<Path>,
    options: OpenOptions,
) -> std::result::Result<Store, OpenError> {
    Store::open(directory, feed_types(), options)
}

/// The built-in feed types: those whose Cargo feature is on, by default all.
pub fn feed_types() -> FeedTypes {
    let types = FeedTypes::none();
    #[cfg(feature = "debian")]
    let types = types.with(hayloft_debian::Debian);
    #[cfg(feature = "npm")]
    let types = types.with(hayloft_npm::Npm);
    #[cfg(feature = "nuget")]
    let types = types.with(hayloft_nuget::NuGet);
    #[cfg(feature = "pypi")]
    let types = types.with(hayloft_pypi::Pypi);
    #[cfg(feature = "rubygems")]
    let types = types.with(hayloft_rubygems::RubyGems);
    #[cfg(feature = "universal")]
    let types = types.with(hayloft_universal::Universal);
    types
}
