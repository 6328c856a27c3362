//! The universal (`upack`) feed type: ZIP archives with a manifest `upack.json`.
//!
//! Names, SemVer 2 versions with numbers of any size, the manifest with its dependencies and
//! virtual parts, reading and writing of packages, repackaging by a span edit of the manifest, and the feed API.
//!
//! Where an archive could be read in several ways, this is what the ecosystem's readers do:
//!
//! | in the archive | its readers | here |
//! |---|---|---|
//! | `upack.json` in the root | the manifest, by its exact name | the manifest |
//! | two of them, or `./upack.json` beside it | the first or the last | refused |
//! | `UPACK.json` beside it | a file like others | accepted; left out when repackaging |
//! | `UPACK.json` or `./upack.json` alone | no package | refused |
//! | `\` between components | as `/` | as `/` |
//! | `package/`, `Package/` | content, in any case | content |
//! | other files twice | both written, the last remains, or an error | accepted with a warning, the last counts |
//! | names that lead outside, also below `package/` | written there | refused |
//! | names that Windows takes for others (`nul`, `a.`, `a:b`) | written elsewhere or not at all | refused |
//! | symbolic links | written as files that hold the target | refused if that leads outside |
//! | entries that only one of directory and stream shows | the directory's | refused |
//! | a bare manifest | a virtual package | accepted if it has `contents` |
//!
//! Not here: parts of virtual packages that come from other servers.
//!
//! ```
//! use std::io::Cursor;
//!
//! use hayloft_feed::Limits;
//! use hayloft_universal::{NewManifest, Package, PackageWriter};
//!
//! let limits = Limits::default();
//! let manifest = NewManifest {
//!     group: Some("initrode/vendors"),
//!     name: Some("ABLast"),
//!     version: Some("2.2.1"),
//!     ..NewManifest::default()
//! };
//! let out = Cursor::new(Vec::new());
//! let mut package = PackageWriter::new(out, &manifest.write(&limits)?, None)?;
//! package.add("bin/tool", None, 5, &mut &b"bytes"[..])?;
//! let mut file = package.finish()?;
//!
//! let package = Package::open(&mut file, &limits)?;
//! assert_eq!(package.manifest().package().to_string(), "initrode/vendors/ABLast");
//! let content: Vec<_> = package.entries().filter_map(|entry| entry.content_path()).collect();
//! assert_eq!(content, ["bin/tool"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod contents;
mod dependency;
mod identification;
mod inspect;
mod manifest;
mod name;
mod native;
mod package;
mod range;
mod repackage;
mod warnings;
mod writer;

use hayloft_feed::native::{FeedView, Native};
use hayloft_feed::{
    Detail, FeedType, FeedTypeError, Identity, IndexChange, IndexError, IndexWriter, Inspected,
    Limits, PackageName, Qualifiers, Repackage, Repackaged, Upload, Version,
};

pub use contents::{VirtualItem, VirtualItemError, VirtualKind, VirtualSource};
pub use dependency::{Dependency, DependencyError};
pub use hayloft_feed::semver::{SemVer as UniversalVersion, SemVerError as VersionError};
pub use identification::{Identification, IdentificationError, Sha1Text, Sha1TextError};
pub use inspect::FILE_LIST;
pub use manifest::{Manifest, ManifestError, NewManifest, VirtualParts};
pub use name::{FullName, FullNameError, Group, GroupError, Name, NameError};
pub use package::{MANIFEST, Package, PackageEntry, PackageError, content_path};
pub use range::{Bracket, End, VersionRange, VersionRangeError};
pub use writer::PackageWriter;

/// The tag under which stores know this feed type.
const TAG: &str = "universal";

/// The universal feed type.
///
/// Group and name are compared without ASCII case. A version has one file, so there are no
/// qualifiers. What a package is called outside of its manifest never counts; an upload with the
/// hints `group`, `name` or `version` is refused unless the manifest says the same.
#[derive(Debug, Clone, Copy, Default)]
pub struct Universal;

impl FeedType for Universal {
    fn tag(&self) -> &'static str {
        TAG
    }

    fn file_endings(&self) -> &'static [&'static str] {
        &[".upack", ".vpack"]
    }

    fn package_type(&self) -> &'static str {
        "upack"
    }

    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        let text = if group.is_empty() { name.to_owned() } else { format!("{group}/{name}") };
        let invalid =
            |detail: Detail| FeedTypeError::Name { feed_type: TAG, text: text.clone(), detail };
        let full = FullName::new(group, name).map_err(|error| invalid(Box::new(error)))?;
        full.package_name().map_err(|error| invalid(Box::new(error)))
    }

    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        ranked(text, text.parse())
    }

    fn lookup_version(&self, text: &str) -> Result<Version, FeedTypeError> {
        ranked(text, UniversalVersion::parse_stored(text))
    }

    fn asked_qualifiers(&self) -> Option<&'static [&'static str]> {
        Some(&[])
    }

    fn qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        if asked.is_empty() {
            return Ok(Qualifiers::none());
        }
        Err(FeedTypeError::Qualifier {
            feed_type: TAG,
            text: asked.to_string(),
            detail: "universal packages have no qualifiers; leave them out".into(),
        })
    }

    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        inspect::inspect(upload, limits)
    }

    fn repackage(
        &self,
        order: Repackage<'_>,
        limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        repackage::repackage(order, limits)
    }

    fn index_revision(&self) -> u32 {
        1
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

    fn file_name(&self, identity: &Identity) -> String {
        format!("{}-{}.upack", identity.package.name(), identity.version)
    }
}

fn ranked(
    text: &str,
    parsed: Result<UniversalVersion, VersionError>,
) -> Result<Version, FeedTypeError> {
    let version = parsed.map_err(|error| FeedTypeError::version(TAG, text, error))?;
    Ok(version.version())
}

fn refused(detail: impl Into<Detail>) -> FeedTypeError {
    FeedTypeError::Refused { feed_type: TAG, detail: detail.into() }
}
