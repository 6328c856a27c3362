use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hayloft_feed::shorten;

use crate::meta::{CommitError, MetaError};

/// The store itself failed; the request is not to blame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// [`Store::close`](crate::Store::close) was called.
    #[error("the store is closed")]
    Closed,
    /// It was opened for reading only; see [`OpenOptions::read_only`](crate::OpenOptions::read_only).
    #[error("the store was opened for reading only")]
    ReadOnly,
    /// An earlier commit or sync failed; reading goes on. Maintenance opens a store on files again by
    /// itself, and writing goes on then.
    #[error(
        "writing has stopped after a failure and begins again by itself once the disk works; try again, \
         or open the store anew"
    )]
    Stopped,
    /// The change may or may not be there after the store is opened anew.
    #[error("it is unknown whether the change was stored; open the store again and look")]
    Unknown(#[source] Arc<CommitError>),
    /// The change was not stored.
    #[error("the change was not stored")]
    NotStored(#[source] Arc<CommitError>),
    /// The metadata engine could not read.
    #[error("the metadata could not be read")]
    Meta(#[source] Arc<MetaError>),
    /// A file of the store could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, such as `open`.
        action: &'static str,
        /// Which file or directory.
        path: PathBuf,
        /// The failure.
        #[source]
        source: io::Error,
    },
    /// A row or file is not what was written. Never served.
    #[error("{what} is damaged; run verify")]
    Damaged {
        /// Which row or file.
        what: String,
    },
    /// A row was written by a newer release.
    #[error("{what} was written by a newer release")]
    Newer {
        /// Which row.
        what: String,
    },
    /// A feed type or a caller's check panicked; nothing of the change was stored.
    #[error("the change was given up after a panic; this is a bug")]
    Panicked,
    /// The store was to be changed, closed or maintained from inside a check or change that it was
    /// running for a caller.
    #[error("the store cannot be changed from inside a change of it")]
    Reentrant,
    /// The caller called the operation off.
    #[error("the operation was called off")]
    Cancelled,
    /// What a caller gave came from another store, or from this one before it was opened anew.
    #[error("the {what} belongs to another store")]
    Foreign {
        /// What was given.
        what: &'static str,
    },
    /// What a caller gave does not fit into one row, although each part of it is short enough.
    #[error("a row of `{table}` would have {length} bytes, at most {limit} are kept")]
    TooLarge {
        /// Which table.
        table: &'static str,
        /// Bytes of the row.
        length: usize,
        /// Bytes that a row may have.
        limit: usize,
    },
    /// Too little space is left.
    #[error("only {available} bytes are free, {floor} must stay free")]
    NoSpace {
        /// Bytes free.
        available: u64,
        /// Bytes that must stay free.
        floor: u64,
    },
    /// Too many package files that are costly to read wait already.
    #[error("too many packages that take much memory or time wait to be read; try again later")]
    Busy,
}

impl From<MetaError> for StoreError {
    fn from(error: MetaError) -> Self {
        Self::Meta(Arc::new(error))
    }
}

impl StoreError {
    /// The same failure for another caller; an I/O failure without its source.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Closed => Self::Closed,
            Self::Busy => Self::Busy,
            Self::ReadOnly => Self::ReadOnly,
            Self::Stopped => Self::Stopped,
            Self::Panicked => Self::Panicked,
            Self::Reentrant => Self::Reentrant,
            Self::Cancelled => Self::Cancelled,
            Self::Foreign { what } => Self::Foreign { what },
            Self::Unknown(error) => Self::Unknown(error.clone()),
            Self::NotStored(error) => Self::NotStored(error.clone()),
            Self::Meta(error) => Self::Meta(error.clone()),
            Self::Io { action, path, source } => {
                Self::Io { action, path: path.clone(), source: source.kind().into() }
            }
            Self::Damaged { what } => Self::Damaged { what: what.clone() },
            Self::Newer { what } => Self::Newer { what: what.clone() },
            Self::TooLarge { table, length, limit } => {
                Self::TooLarge { table, length: *length, limit: *limit }
            }
            Self::NoSpace { available, floor } => {
                Self::NoSpace { available: *available, floor: *floor }
            }
        }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

/// No feed has this name or alternate name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no feed `{}`", shorten(name))]
pub struct NoSuchFeed {
    /// What was asked for.
    pub name: String,
}

/// The feed's type is not known to this process, so its files can be listed, downloaded, deleted
/// and given another status, but none can be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("feed `{feed}` is of type `{tag}`, which this program does not know")]
pub struct UnknownFeedType {
    /// Name of the feed.
    pub feed: String,
    /// Its type.
    pub tag: String,
}

/// A feed was not found, or the store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No such feed.
    #[error(transparent)]
    Feed(#[from] NoSuchFeed),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
