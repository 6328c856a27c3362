//! Python packages: wheels and source distributions, as the feed type `pypi`.
//!
//! A version has several files, told apart by the qualifier `file`. Names compare as PEP 503
//! normalizes them, versions as PEP 440 orders them, with integers of any size. What a file says
//! of itself is read from its `METADATA` or `PKG-INFO`; the file name has to agree with it.
//!
//! Repackaging edits by span: a wheel's metadata and record, a source distribution's `PKG-INFO`
//! and the one place where its build takes the version from. A source distribution whose code
//! computes the version is refused.
//!
//! Its clients' protocol is here too: the simple index as JSON and HTML, metadata beside wheels,
//! the legacy JSON pages, uploads.
//!
//! What is *not* here: installing, building.
//!
//! ```
//! use hayloft_feed::FeedType;
//! use hayloft_pypi::Pypi;
//!
//! assert_eq!(Pypi.package_name("", "Zope.Interface")?, Pypi.package_name("", "zope_interface")?);
//! let candidate = Pypi.version("v1.0-RC.1")?;
//! assert_eq!(candidate.text(), "1.0rc1");
//! assert!(candidate.sort_key() < Pypi.version("1.0.0")?.sort_key());
//! # Ok::<(), hayloft_feed::FeedTypeError>(())
//! ```
#![doc = include_str!("ambiguous.md")]

mod cost;
mod file_name;
mod form;
mod headers;
mod inspect;
mod manifest;
mod metadata;
mod name;
mod native;
mod pyproject;
mod qualifiers;
mod record;
mod repackage;
mod repackage_sdist;
mod repackage_wheel;
mod sdist;
mod setup_cfg;
mod setup_py;
mod version;
mod version_source;
mod wheel;

use std::error::Error;

use hayloft_feed::native::{FeedView, Native};
use hayloft_feed::{
    FeedType, FeedTypeError, Identity, IndexChange, IndexError, IndexWriter, Inspected, Limits,
    PackageName, Purl, Qualifiers, Repackage, Repackaged, Upload, Version,
};

pub use file_name::FileNameError;
pub use form::FormError;
pub use headers::HeadersError;
pub use inspect::UploadError;
pub use manifest::{Manifest, PackageType, Sha256Digest, WheelTags};
pub use metadata::{CoreMetadata, EditError, MetadataError, description};
pub use name::{PypiName, PypiNameError};
pub use pyproject::PyprojectError;
pub use qualifiers::QualifierError;
pub use record::RecordError;
pub use repackage::RepackageError;
pub use sdist::SdistError;
pub use setup_cfg::SetupCfgError;
pub use version::{PypiVersion, PypiVersionError};
pub use version_source::VersionSourceError;
pub use wheel::WheelError;

use qualifiers::FILE;

/// Written into every record.
const TAG: &str = "pypi";

/// The feed type of Python packages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Pypi;

fn refused(detail: impl Error + Send + Sync + 'static) -> FeedTypeError {
    FeedTypeError::Refused { feed_type: TAG, detail: detail.into() }
}

fn bad_version(text: &str, detail: impl Error + Send + Sync + 'static) -> FeedTypeError {
    FeedTypeError::Version { feed_type: TAG, text: text.to_owned(), detail: detail.into() }
}

fn bad_name(text: &str, detail: impl Error + Send + Sync + 'static) -> FeedTypeError {
    FeedTypeError::Name { feed_type: TAG, text: text.to_owned(), detail: detail.into() }
}

fn bad_qualifier(text: &str, detail: impl Error + Send + Sync + 'static) -> FeedTypeError {
    FeedTypeError::Qualifier { feed_type: TAG, text: text.to_owned(), detail: detail.into() }
}

impl FeedType for Pypi {
    fn tag(&self) -> &'static str {
        TAG
    }

    fn file_endings(&self) -> &'static [&'static str] {
        &[".whl", ".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz"]
    }

    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        PypiName::package(group, name).map_err(|error| bad_name(name, error))
    }

    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        let version: PypiVersion = text.parse().map_err(|error| bad_version(text, error))?;
        Ok(version.checked())
    }

    fn asked_qualifiers(&self) -> Option<&'static [&'static str]> {
        Some(&["file"])
    }

    fn qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        qualifiers::normalized(asked).map_err(|error| bad_qualifier(&asked.to_string(), error))
    }

    fn are_one_file(&self, one: &Qualifiers, other: &Qualifiers) -> bool {
        qualifiers::name_one_file(one, other)
    }

    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        inspect::inspect(upload, limits)
    }

    /// The version is a part of the file name, so that the qualifier `file` changes with it.
    fn retarget(&self, from: &Identity, version: &Version) -> Result<Identity, FeedTypeError> {
        let qualifiers = match from.qualifiers.get(FILE) {
            None => from.qualifiers.clone(),
            Some(file) => qualifiers::retargeted(file, from, version)
                .map_err(|error| bad_qualifier(&format!("{FILE}={file}"), error))?,
        };
        Ok(Identity { package: from.package.clone(), version: version.clone(), qualifiers })
    }

    fn repackage(
        &self,
        order: Repackage<'_>,
        limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        repackage::repackage(order, limits)
    }

    fn index_revision(&self) -> u32 {
        native::INDEX_REVISION
    }

    fn index(
        &self,
        change: &IndexChange<'_>,
        view: &dyn FeedView,
        out: &mut dyn IndexWriter,
    ) -> Result<(), IndexError> {
        native::index(change, view, out)
    }

    fn native(&self) -> Option<&dyn Native> {
        Some(self)
    }

    /// The name it was uploaded under; without the qualifier, the name of a source distribution.
    fn file_name(&self, identity: &Identity) -> String {
        if let Some(file) = identity.qualifiers.get(FILE) {
            return file.to_owned();
        }
        let name = name::normalize(identity.package.name()).replace('-', "_");
        format!("{name}-{}.tar.gz", identity.version.text())
    }

    /// With the normalized name and the standard's name for the qualifier.
    fn purl(&self, identity: &Identity) -> Purl {
        let file = identity.qualifiers.get(FILE).map(|file| ("file_name", file));
        Purl {
            package_type: self.package_type().to_owned(),
            group: String::new(),
            name: name::normalize(identity.package.name()),
            version: Some(identity.version.text().to_owned()),
            // A single pair that is neither empty nor repeated is always accepted.
            qualifiers: Qualifiers::from_pairs(file).unwrap_or_default(),
        }
    }
}
