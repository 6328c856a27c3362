use std::error::Error;
use std::io;

use hayloft_feed::{Exhausted, FeedTypeError, ReadError, shorten};

/// Why an archive was refused, or could not be read or written.
///
/// All variants but [`ArchiveError::Io`] blame the file or the requested edit. The message never
/// repeats its source: print the chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Reading or writing failed for a reason outside the archive.
    #[error("the archive could not be read or written")]
    Io(#[source] io::Error),
    /// The container contradicts itself or its format.
    #[error("the {format} archive is damaged: {fault}")]
    Damaged {
        /// Such as `zip`.
        format: &'static str,
        /// What is wrong.
        fault: &'static str,
    },
    /// One entry contradicts itself or its format.
    #[error("entry `{}` of the {format} archive is damaged: {fault}", shorten(name))]
    DamagedEntry {
        /// Such as `zip`.
        format: &'static str,
        /// Name of the entry.
        name: String,
        /// What is wrong.
        fault: &'static str,
    },
    /// The container is sound but uses a feature that packages have no need of.
    #[error("the {format} archive uses {feature}; write it again without")]
    Unsupported {
        /// Such as `zip`.
        format: &'static str,
        /// What is not accepted.
        feature: &'static str,
    },
    /// One entry uses a feature that packages have no need of.
    #[error(
        "entry `{}` of the {format} archive uses {feature}; write it again without",
        shorten(name)
    )]
    UnsupportedEntry {
        /// Such as `zip`.
        format: &'static str,
        /// Name of the entry.
        name: String,
        /// What is not accepted.
        feature: &'static str,
    },
    /// An entry has a name that could not be unpacked safely.
    #[error("the entry name `{}` {fault}", shorten(name))]
    Name {
        /// The name, decoded for display.
        name: String,
        /// Which rule it breaks.
        fault: &'static str,
    },
    /// Two entries would be unpacked to one place.
    #[error("there is more than one entry `{}`", shorten(name))]
    Duplicate {
        /// Name of the later entry.
        name: String,
    },
    /// Something is larger than its limit.
    #[error("{what} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// What was measured.
        what: String,
        /// Bytes allowed.
        limit: u64,
    },
    /// The archive has too many entries.
    #[error("the archive has more than {limit} entries")]
    TooManyEntries {
        /// Entries allowed.
        limit: u64,
    },
    /// A compressed stream cannot be decompressed.
    #[error("the {format} data is damaged")]
    Compressed {
        /// Such as `gzip`.
        format: &'static str,
        /// What the decompressor says.
        #[source]
        source: io::Error,
    },
    /// A compressed stream is recognised, but nothing here writes it.
    #[error("{format} data is not written here; compress it with gzip, xz or zstd instead")]
    Codec {
        /// Such as `bzip2`.
        format: &'static str,
    },
    /// A file that has to be there is not.
    #[error("there is no `{}`", shorten(name))]
    Missing {
        /// Name of the file.
        name: String,
    },
    /// The caller's edit of an entry failed.
    #[error("entry `{}` cannot be changed", shorten(name))]
    Edit {
        /// Name of the entry.
        name: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync + 'static>,
    },
    /// There is too little memory or time left to read it.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// An edit names an entry that is not there, or that another edit names too.
    #[error("entry number {index} is not there or is changed twice")]
    NoSuchEntry {
        /// Position in the directory, from 0.
        index: usize,
    },
}

impl ArchiveError {
    /// True if the input is to blame; false for a failure of the storage under it.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Io(_))
    }

    /// What a feed type says of a package that is such an archive.
    pub fn refusal(self, feed_type: &'static str) -> FeedTypeError {
        match self {
            Self::Io(error) => FeedTypeError::Io(error),
            other => FeedTypeError::refused(feed_type, other),
        }
    }

    /// What a reader of this crate reported through [`io::Read`].
    ///
    /// Decoders and member readers wrap an [`ArchiveError`] in an [`io::Error`]; this takes it out
    /// again. Any other error is a failure of the storage.
    pub fn from_io(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => error,
            Err(error) => Self::Io(error),
        }
    }

    /// The failure of an edit to the entry `name`, for use inside callbacks.
    pub fn edit(
        name: impl AsRef<[u8]>,
        source: impl Into<Box<dyn Error + Send + Sync + 'static>>,
    ) -> Self {
        Self::Edit { name: shown(name.as_ref()), source: source.into() }
    }

    /// As the error of the feed type that was reading: `Io` stays what it is, an error that the
    /// feed type itself raised inside an edit comes back unwrapped, the rest is a refusal.
    pub fn into_feed_type_error(self, feed_type: &'static str) -> FeedTypeError {
        match self {
            Self::Io(error) => FeedTypeError::Io(error),
            Self::Edit { name, source } => {
                let source = match source.downcast::<FeedTypeError>() {
                    Ok(error) => return *error,
                    Err(source) => source,
                };
                match source.downcast::<Self>() {
                    Ok(error) => error.into_feed_type_error(feed_type),
                    Err(source) => FeedTypeError::Refused {
                        feed_type,
                        detail: Box::new(Self::Edit { name, source }),
                    },
                }
            }
            refused => FeedTypeError::Refused { feed_type, detail: Box::new(refused) },
        }
    }

    /// For a trait method that must answer with an [`io::Error`].
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }

    /// Gives a limited read of `what` its place in this enum.
    pub(crate) fn from_limited(error: ReadError, what: &str) -> Self {
        match error {
            ReadError::TooLarge { limit } => Self::TooLarge { what: what.to_owned(), limit },
            ReadError::Io(error) => Self::from_io(error),
            ReadError::Exhausted(exhausted) => Self::Exhausted(exhausted),
            other => Self::Io(io::Error::other(other)),
        }
    }
}

/// A name for a message: bytes that are not UTF-8 become replacement characters.
pub(crate) fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_its_way_through_io() {
        let inner = ArchiveError::TooManyEntries { limit: 3 };
        let back = ArchiveError::from_io(inner.into_io());
        assert!(matches!(back, ArchiveError::TooManyEntries { limit: 3 }));
        let plain = ArchiveError::from_io(io::Error::other("disk"));
        assert!(!plain.is_input());
        assert!(matches!(plain.into_feed_type_error("npm"), FeedTypeError::Io(_)));
    }

    #[test]
    fn a_feed_types_own_error_comes_back_from_an_edit() {
        let own = FeedTypeError::Missing { parameter: "distribution" };
        let error = ArchiveError::edit(b"control", own);
        assert!(matches!(
            error.into_feed_type_error("debian"),
            FeedTypeError::Missing { parameter: "distribution" }
        ));
        let nested = ArchiveError::edit(b"a", ArchiveError::Io(io::Error::other("disk")));
        assert!(!nested.into_feed_type_error("debian").is_input());
        let other = ArchiveError::edit(b"a", "no version");
        let refused = other.into_feed_type_error("debian");
        assert!(matches!(refused, FeedTypeError::Refused { .. }));
        let detail = std::error::Error::source(&refused).unwrap();
        assert_eq!(detail.to_string(), "entry `a` cannot be changed");
        assert_eq!(detail.source().unwrap().to_string(), "no version");
    }
}
