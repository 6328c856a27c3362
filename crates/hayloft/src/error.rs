use std::error::Error as StdError;
use std::fmt;
use std::io;

use hayloft_core::{
    ActError, BackupError, ContentError, DeleteError, EditError, FeedError, FindError, KeyError,
    LookupError, NativeError, NoSuchFeed, OpenError, PromoteError, RefreshError, RepackageError,
    RestoreError, SecretError, SelectError, SettingError, StagingError, StatusError, StoreError,
    TagError, TooLong, UnknownFeedType, UploadError, VerifyError,
};
use hayloft_feed::native::{RenderError, ViewError};
use hayloft_feed::{FeedTypeError, PurlError, QualifiersError};

/// Any failure of a store, for programs that need not tell the operations apart.
///
/// Each operation has an error of its own, which `?` turns into this one; it is still there, by
/// [`Error::downcast_ref`].
///
/// ```
/// use hayloft::{ErrorKind, FeedDraft, Selector};
///
/// fn release(store: &hayloft::Store) -> hayloft::Result<u64> {
///     let me = hayloft::Actor::named("me");
///     store.create_feed(FeedDraft::new("apps", "nuget"), &me)?;
///     Ok(store.file("apps", &Selector::ungrouped("Hay.Loft", "1.0.0"))?.size)
/// }
///
/// # let directory = tempfile::tempdir().unwrap();
/// let store = hayloft::open(directory.path())?;
/// let error = release(&store).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.report(), "`Hay.Loft 1.0.0` is not in feed `apps`");
/// # Ok::<(), hayloft::Error>(())
/// ```
pub struct Error {
    kind: ErrorKind,
    cause: Box<dyn StdError + Send + Sync>,
}

/// A result of this crate's operations taken together.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a program can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such store, feed, package, version, file, tag or key.
    NotFound,
    /// Several things fit; say more precisely which one is meant.
    Ambiguous,
    /// What was given is malformed, or does not suit the feed: the same call fails again.
    Invalid,
    /// Something is there already, or was changed meanwhile.
    Conflict,
    /// A rule of the feed or the status of the version forbids it.
    Forbidden,
    /// More bytes than are taken.
    TooLarge,
    /// Someone else has it; try again later.
    Busy,
    /// The disk is full.
    NoSpace,
    /// The store is closed or takes no more changes; open it again.
    Closed,
    /// The caller called it off.
    Cancelled,
    /// Something stored is not what was written; run verify.
    Damaged,
    /// The store failed: its disk, its engine, or a bug.
    Failed,
}

impl Error {
    /// What can be done about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message and those of all causes, in one line.
    pub fn report(&self) -> String {
        let mut text = self.cause.to_string();
        let mut next = self.cause.source();
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }

    /// The error of the operation, if it is of this type.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.cause.downcast_ref()
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.cause, out)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.cause, out)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.source()
    }
}

/// Tells what can be done about an error of one operation.
trait Kinded {
    fn kind(&self) -> ErrorKind;
}

macro_rules! from {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self { kind: Kinded::kind(&error), cause: Box::new(error) }
            }
        }
    )*};
}

from!(
    ActError,
    BackupError,
    ContentError,
    DeleteError,
    EditError,
    FeedError,
    FeedTypeError,
    FindError,
    KeyError,
    LookupError,
    NativeError,
    NoSuchFeed,
    OpenError,
    PromoteError,
    PurlError,
    QualifiersError,
    RefreshError,
    RepackageError,
    RestoreError,
    SecretError,
    SelectError,
    SettingError,
    StagingError,
    StatusError,
    StoreError,
    TagError,
    TooLong,
    UnknownFeedType,
    UploadError,
    VerifyError,
    io::Error,
);

impl Kinded for io::Error {
    /// Downloads answer damage as invalid data.
    fn kind(&self) -> ErrorKind {
        match self.kind() {
            io::ErrorKind::InvalidData => ErrorKind::Damaged,
            io::ErrorKind::StorageFull => ErrorKind::NoSpace,
            io::ErrorKind::FileTooLarge => ErrorKind::TooLarge,
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Failed,
        }
    }
}

impl Kinded for StoreError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Closed | Self::Stopped | Self::Unknown(_) => ErrorKind::Closed,
            Self::Damaged { .. } => ErrorKind::Damaged,
            Self::Reentrant | Self::Foreign { .. } => ErrorKind::Invalid,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::NoSpace { .. } => ErrorKind::NoSpace,
            Self::Busy => ErrorKind::Busy,
            Self::Cancelled => ErrorKind::Cancelled,
            _ => ErrorKind::Failed,
        }
    }
}

impl Kinded for OpenError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::InUse { .. } => ErrorKind::Busy,
            Self::NotAStore { .. }
            | Self::Network { .. }
            | Self::NewerFormat { .. }
            | Self::OlderFormat { .. } => ErrorKind::Invalid,
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Failed,
        }
    }
}

impl Kinded for NoSuchFeed {
    fn kind(&self) -> ErrorKind {
        ErrorKind::NotFound
    }
}

impl Kinded for UnknownFeedType {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl Kinded for TooLong {
    fn kind(&self) -> ErrorKind {
        ErrorKind::TooLarge
    }
}

impl Kinded for PurlError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl Kinded for QualifiersError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl Kinded for FeedTypeError {
    fn kind(&self) -> ErrorKind {
        if self.is_input() { ErrorKind::Invalid } else { ErrorKind::Failed }
    }
}

impl Kinded for LookupError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Feed(error) => error.kind(),
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Failed,
        }
    }
}

impl Kinded for SelectError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Feed(_) | Self::NotFound { .. } => ErrorKind::NotFound,
            Self::AmbiguousFile { .. } | Self::AmbiguousName { .. } => ErrorKind::Ambiguous,
            Self::Invalid(error) => error.kind(),
            Self::Blocked { .. } => ErrorKind::Forbidden,
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Failed,
        }
    }
}

impl Kinded for UploadError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Feed(_) => ErrorKind::NotFound,
            Self::Conflict { .. } | Self::CaseTwin { .. } => ErrorKind::Conflict,
            Self::TooLarge { .. } | Self::TooLong(_) | Self::TooManyFiles { .. } => {
                ErrorKind::TooLarge
            }
            Self::Source(error) => Kinded::kind(error),
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }
}

impl Kinded for StagingError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Failed,
        }
    }
}

impl Kinded for DeleteError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Select(error) => error.kind(),
            Self::TooLong(_) => ErrorKind::TooLarge,
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Failed,
        }
    }
}

impl Kinded for EditError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Feed(_) => ErrorKind::NotFound,
            Self::Select(error) => error.kind(),
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Tag(error) => error.kind(),
            Self::TooLong(_) => ErrorKind::TooLarge,
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }
}

impl Kinded for FeedError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Exists(_) => ErrorKind::Conflict,
            Self::Refused(_) => ErrorKind::Forbidden,
            Self::TooLong(_) => ErrorKind::TooLarge,
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }
}

impl Kinded for FindError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }
}

impl Kinded for KeyError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::InUse => ErrorKind::Conflict,
            Self::TooLong(_) => ErrorKind::TooLarge,
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }
}

impl Kinded for ActError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Feed(error) => error.kind(),
            Self::Exists { .. } => ErrorKind::Conflict,
            Self::Upload(error) => error.kind(),
            Self::Edit(error) => error.kind(),
            Self::Lookup(error) => error.kind(),
            Self::Type(_) => ErrorKind::Failed,
            _ => ErrorKind::Invalid,
        }
    }
}

impl Kinded for ContentError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound => ErrorKind::NotFound,
            Self::Select(error) => error.kind(),
            Self::Render(RenderError::View(error)) => error.kind(),
            Self::Render(RenderError::Output(error)) | Self::Copy(error) => Kinded::kind(error),
            Self::Staging(error) => error.kind(),
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Failed,
        }
    }
}

impl Kinded for ViewError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Rebuilding { .. } => ErrorKind::Busy,
            Self::Damaged(_) => ErrorKind::Damaged,
            Self::Unavailable(cause) => {
                cause.downcast_ref().map_or(ErrorKind::Failed, StoreError::kind)
            }
            _ => ErrorKind::Failed,
        }
    }
}

impl Kinded for NativeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Feed(_) => ErrorKind::NotFound,
            Self::View(error) => error.kind(),
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }
}

impl Kinded for RefreshError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Feed(error) => error.kind(),
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Failed,
        }
    }
}

impl Kinded for SecretError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Feed(error) => error.kind(),
            Self::Refresh(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::None { .. } => ErrorKind::NotFound,
            Self::TooLong(_) => ErrorKind::TooLarge,
            _ => ErrorKind::Invalid,
        }
    }
}

impl Kinded for PromoteError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Select(error) => error.kind(),
            Self::Feed(_) => ErrorKind::NotFound,
            Self::Conflict { .. } | Self::CaseTwin { .. } => ErrorKind::Conflict,
            Self::Pipeline { .. } => ErrorKind::Forbidden,
            Self::TooLong(_) | Self::TooManyFiles { .. } => ErrorKind::TooLarge,
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }
}

impl Kinded for RepackageError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Select(error) => error.kind(),
            Self::Feed(_) => ErrorKind::NotFound,
            Self::Exists { .. } | Self::CaseTwin { .. } | Self::Changed { .. } => {
                ErrorKind::Conflict
            }
            Self::Pipeline { .. } => ErrorKind::Forbidden,
            Self::TooLong(_) | Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Mismatch { .. } => ErrorKind::Failed,
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }
}

impl Kinded for SettingError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLong(_) => ErrorKind::TooLarge,
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }
}

impl Kinded for StatusError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Select(error) => error.kind(),
            Self::Refused(_) => ErrorKind::Forbidden,
            Self::TooLong(_) => ErrorKind::TooLarge,
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }
}

impl Kinded for TagError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Select(error) => error.kind(),
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::TooLong(_) => ErrorKind::TooLarge,
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }
}

impl Kinded for BackupError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotABackup { .. } | Self::OtherStore { .. } => ErrorKind::Invalid,
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Failed,
        }
    }
}

impl Kinded for RestoreError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotABackup { .. } | Self::Incomplete { .. } => ErrorKind::NotFound,
            Self::NotEmpty { .. } => ErrorKind::Invalid,
            Self::Damaged { .. } => ErrorKind::Damaged,
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Failed,
        }
    }
}

impl Kinded for VerifyError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            _ => ErrorKind::Failed,
        }
    }
}
