//! A feed as files: what its documents and packages are, where a plain web server looks for them.
//!
//! The order of writing is what keeps readers safe: package files first, then the documents of
//! packages, then those of the feed, which name the others; what is gone goes last. Each file
//! appears whole or not at all. A run that ends early leaves a folder that serves what it has, says
//! that it is incomplete, and is completed by the next run.

mod content;
pub(crate) mod cursor;
pub(crate) mod ledger;
mod run;
mod snippet;

use std::io;

use hayloft_core::{LookupError, NativeError, RefreshError, SelectError, Store, StoreError};
use hayloft_feed::native::ViewError;

use crate::{Target, UnfitName};

pub use snippet::{Snippet, snippet};

/// How a feed is exported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// The URL under which the target will be served, without a slash at its end. Feeds whose
    /// documents hold whole addresses need it.
    pub base_url: Option<String>,
    /// Looks at every file of the target again in place of believing the records of earlier runs.
    pub check: bool,
}

impl ExportOptions {
    /// With the URL under which the target will be served.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        let url: String = url.into();
        self.base_url = Some(url.trim_end_matches('/').to_owned());
        self
    }

    /// With a look at every file.
    #[must_use]
    pub fn check(mut self) -> Self {
        self.check = true;
        self
    }
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportReport {
    /// Packages that were looked at: those changed since the last run, or all.
    pub packages: u64,
    /// Files written, new or with other bytes.
    pub written: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Files that were looked at and stayed as they were.
    pub unchanged: u64,
    /// Files removed.
    pub removed: u64,
    /// Whether the whole feed was gone through.
    pub full: bool,
    /// Files that could not be written because of how they are called, at most a hundred.
    pub left_out: Vec<UnfitName>,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Packages done.
    pub packages: u64,
    /// Files written.
    pub written: u64,
    /// Bytes of these.
    pub bytes: u64,
}

/// A feed was not exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// There is no such feed, or its type is not known here.
    #[error(transparent)]
    Feed(#[from] NativeError),
    /// The type of the feed has no client of its own that could read an export.
    #[error("feeds of type `{feed_type}` have no protocol of their own to be exported by")]
    NoProtocol {
        /// Tag of the type.
        feed_type: String,
    },
    /// Documents hold addresses.
    #[error(
        "the documents of this feed hold whole addresses: say with a base URL where they will be \
         served"
    )]
    NeedsBaseUrl,
    /// The base URL is none.
    #[error("`{0}` is not a URL that begins with http:// or https:// and ends without a slash")]
    BaseUrl(String),
    /// The target holds the export of another feed.
    #[error("the target holds the export of the feed `{found}`; name another one")]
    OtherFeed {
        /// Name of that feed.
        found: String,
    },
    /// A later release wrote the target's records.
    #[error("the target was written by a newer release; use that, or another target")]
    Newer,
    /// The feed changed faster than it could be read.
    #[error("the feed changes faster than it can be exported; try again")]
    Busy,
    /// The feed could not be read.
    #[error("the feed could not be read")]
    View(#[from] ViewError),
    /// A document of the feed could not be brought up to date.
    #[error("an index of the feed could not be brought up to date")]
    Refresh(#[source] RefreshError),
    /// A package could not be read.
    #[error(transparent)]
    Package(SelectError),
    /// Something could not be taken out of a package.
    #[error("the answer to `{path}` could not be made")]
    Content {
        /// Path below the feed.
        path: String,
        /// Why.
        #[source]
        source: hayloft_feed::FeedTypeError,
    },
    /// A package file is not what it was when it was stored.
    #[error("the content of `{file}` is damaged; hayloft verify tells more")]
    Damaged {
        /// What the file is called.
        file: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The target failed.
    #[error("the target could not be written")]
    Target(#[source] io::Error),
}

impl From<LookupError> for ExportError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Feed(error) => Self::Feed(error.into()),
            LookupError::Store(error) => Self::Store(error),
            other => Self::Package(other.into()),
        }
    }
}

/// How often a feed may change under a run before that gives up.
const ATTEMPTS: u32 = 16;

/// Writes a feed into a target, as the ecosystem's clients read it; the second time only what has
/// changed.
///
/// `progress` is told after each package. Equal feeds and options give equal files.
pub fn export(
    store: &Store,
    feed: &str,
    target: &dyn Target,
    options: &ExportOptions,
    progress: &mut dyn FnMut(Exported),
) -> Result<ExportReport, ExportError> {
    if let Some(url) = &options.base_url {
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        if !rest.is_some_and(|rest| !rest.is_empty() && plain(rest)) || url.ends_with('/') {
            return Err(ExportError::BaseUrl(url.clone()));
        }
    }
    let mut report = ExportReport::default();
    for _ in 0..ATTEMPTS {
        match run::run(store, feed, target, options, &mut report, progress) {
            Ok(()) => return Ok(report),
            // What is in the target already is not written again.
            Err(run::Interrupted::Changed) => {}
            Err(run::Interrupted::Failed(error)) => return Err(*error),
        }
    }
    Err(ExportError::Busy)
}
