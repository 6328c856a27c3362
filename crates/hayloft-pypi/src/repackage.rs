use hayloft_archive::ArchiveError;
use hayloft_feed::{
    FeedTypeError, HistoryEntry, HistoryError, Limits, Repackage, Repackaged, shorten,
};

use crate::file_name::{FileName, SdistForm};
use crate::inspect::sniffed;
use crate::metadata::EditError;
use crate::qualifiers::FILE;
use crate::record::RecordError;
use crate::version_source::VersionSourceError;
use crate::{PypiName, PypiVersion, TAG, repackage_sdist, repackage_wheel};

/// A package is sound but cannot be written under another version.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepackageError {
    /// The record is not one to vouch for.
    #[error("its `RECORD` cannot be relied on")]
    Record(#[source] RecordError),
    /// A file has other content than the record says.
    #[error("`{}` does not have the digest or size that `RECORD` states", shorten(.0))]
    Content(String),
    /// A file nobody vouches for.
    #[error("`{}` is not listed in `RECORD`", shorten(.0))]
    Unlisted(String),
    /// A file that should be there.
    #[error("`{}` is listed in `RECORD` but is not there", shorten(.0))]
    Absent(String),
    /// A script asks for exactly the old version when it is run.
    #[error("the script `{}` requires exactly version {version} when it is run", shorten(path))]
    Script {
        /// Path of the script.
        path: String,
        /// The old version.
        version: String,
    },
    /// Metadata cannot be changed.
    #[error("`{}` cannot be changed", shorten(path))]
    Metadata {
        /// Path of the metadata file.
        path: String,
        /// What is wrong.
        #[source]
        source: EditError,
    },
    /// The history inside the package cannot be continued.
    #[error("`{}` cannot be continued", shorten(path))]
    History {
        /// Path of the history file.
        path: String,
        /// What is wrong.
        #[source]
        source: HistoryError,
    },
    /// The history inside the package is not text.
    #[error("`{}` is not UTF-8", shorten(.0))]
    HistoryEncoding(String),
    /// Two members have one path.
    #[error("`{}` stands in the archive twice", shorten(.0))]
    Duplicate(String),
    /// The version of a source distribution.
    #[error("its version cannot be changed")]
    Version(#[source] VersionSourceError),
    /// The code decides about the version; the message is part of the API.
    #[error(transparent)]
    Computed(VersionSourceError),
    /// The archive cannot be written with the new names.
    #[error("its archive cannot be written again")]
    Archive(#[source] ArchiveError),
    /// The package does not have the name and version it is stored under.
    #[error("`{}` is not named after {name} {version}", shorten(path))]
    Identity {
        /// The directory that should be.
        path: String,
        /// Name it is stored under.
        name: String,
        /// Version it is stored under.
        version: String,
    },
}

impl From<VersionSourceError> for RepackageError {
    fn from(error: VersionSourceError) -> Self {
        match error {
            VersionSourceError::Computed { .. } | VersionSourceError::Overridden { .. } => {
                Self::Computed(error)
            }
            other => Self::Version(other),
        }
    }
}

impl From<RepackageError> for FeedTypeError {
    fn from(error: RepackageError) -> Self {
        match error {
            RepackageError::Archive(ArchiveError::Io(error)) => Self::Io(error),
            detail => Self::NotRepackageable { detail: detail.into() },
        }
    }
}

/// What the two kinds of packages need to know of an order.
#[derive(Debug)]
pub(crate) struct Target<'o> {
    pub(crate) name: PypiName,
    pub(crate) old: PypiVersion,
    pub(crate) new: PypiVersion,
    pub(crate) entry: &'o HistoryEntry,
}

impl Target<'_> {
    /// The name of a directory that is called after name and version, with the new version.
    pub(crate) fn renamed(&self, stem: &str) -> Result<String, RepackageError> {
        match crate::file_name::split_name_and_version(stem, &self.name, &self.old) {
            Some((spelled, _)) => Ok(format!("{spelled}-{}", self.new)),
            None => Err(RepackageError::Identity {
                path: stem.to_owned(),
                name: self.name.spelled().to_owned(),
                version: self.old.to_string(),
            }),
        }
    }
}

/// The history at `path`, if there is one, with the new entry at its end.
pub(crate) fn extended_history(
    path: &str,
    existing: Option<&[u8]>,
    entry: &HistoryEntry,
) -> Result<Vec<u8>, RepackageError> {
    let existing = existing
        .map(std::str::from_utf8)
        .transpose()
        .map_err(|_| RepackageError::HistoryEncoding(path.to_owned()))?;
    entry
        .append_to_list(existing)
        .map(String::into_bytes)
        .map_err(|source| RepackageError::History { path: path.to_owned(), source })
}

pub(crate) fn repackage(
    order: Repackage<'_>,
    limits: &Limits,
) -> Result<Repackaged, FeedTypeError> {
    let Repackage { source, from, to, entry, out, .. } = order;
    let version = |text: &str| {
        text.parse::<PypiVersion>().map_err(|error| FeedTypeError::Version {
            feed_type: TAG,
            text: text.to_owned(),
            detail: error.into(),
        })
    };
    let name = from.package.name();
    let target = Target {
        name: name.parse().map_err(|error: crate::PypiNameError| FeedTypeError::Name {
            feed_type: TAG,
            text: name.to_owned(),
            detail: error.into(),
        })?,
        old: version(from.version.text())?,
        new: version(to.version.text())?,
        entry,
    };
    let form = match from.qualifiers.get(FILE).map(str::parse::<FileName>) {
        Some(Ok(FileName::Wheel(_))) => None,
        Some(Ok(FileName::Sdist(sdist))) => Some(sdist.form),
        Some(Err(_)) | None => sniffed(source, limits)?,
    };
    let done = match form {
        None => repackage_wheel::repackage(source, &target, limits, out),
        Some(SdistForm::Zip) => repackage_sdist::repackage_zip(source, &target, limits, out),
        Some(SdistForm::TarGz) => repackage_sdist::repackage_tar(source, &target, limits, out),
    };
    // More is read here than when the file was accepted, so that more may be wrong with it.
    done.map_err(|error| match error {
        FeedTypeError::Refused { detail, .. } => FeedTypeError::NotRepackageable { detail },
        other => other,
    })
}
