//! The nuget feed type: ids, versions and ranges of NuGet, and its package files.
//!
//! [`NuGet`] reads `.nupkg` and `.snupkg` files and writes them again under another version. What
//! registration pages, search and the flat container say about a package is in [`Manifest`], so
//! that none of them opens a package file. Signatures are checked for what they say about the
//! bytes, not for who made them.
//!
//! # What can be read in two ways
//!
//! What nuget.exe 5.8 and the .NET SDK 2.2 do was tried on generated archives; they agree. Where
//! they would have to choose, the package is refused, so that nobody installs something other
//! than what the feed says about it.
//!
//! | in the archive | clients | here |
//! |---|---|---|
//! | two entries at the root that end in `.nuspec` in any case, also escaped (`A%2Enuspec`) or equal | refuse | refused |
//! | a nuspec in a folder, whether after `/`, `\`, `%2F` or `./` | not a manifest | the same; a warning |
//! | a folder called `A.nuspec/` | not a manifest | the same |
//! | names that are equal once decoded | unpack the first one twice | refused |
//! | names that differ by case, doubled slashes or `.` alone | unpack both; one file on some systems | refused |
//! | `%` sequences | decoded once; those that are no UTF-8 stay | the same |
//! | `\` | a separator on Windows, a letter elsewhere | a separator, as on Windows; the public gallery has such packages |
//! | `\\` | as above | refused, as galleries do |
//! | `lib//x` alone | `lib/x` | accepted |
//! | `..`, a leading `/`, a zero byte, also escaped | refuse to unpack, or unpack elsewhere | refused |
//! | drive letters, colons, control characters, device names, components that end in a dot or blank | unpacked by their name, which Windows reads otherwise | refused |
//! | symbolic links | text files with the target | the same; those that lead outside are refused |
//! | a local header with another name, size, sum or compression | go by the directory | refused |
//! | payload with another size or sum than stated | unpacked as it is | not looked at |
//! | counts or places of the end record that do not fit, bytes before the first entry that it does not count | refuse, most of them | refused |
//! | bytes behind the end record, another end record in its comment | skipped, or refused | refused |
//! | a signature with two signers or two hashes | refuse, or take one | refused |
//!
//! # The protocol
//!
//! [`NuGet`] is also what its clients speak, by [`Native`]: V3, and
//! V2 (`OData`) as far as nuget.exe, Chocolatey and PowerShell need it.
//!
//! What is *not* here: HTTP itself, a symbol server, and the rule of galleries against entries
//! dated in the future, which needs a clock.
//!
//! ```
//! use hayloft_feed::FeedType;
//! use hayloft_nuget::{NuGet, NuGetVersion, VersionRange};
//!
//! let version: NuGetVersion = "1.0-RC.1+build".parse()?;
//! assert_eq!(version.normalized(), "1.0.0-RC.1");
//! assert_eq!(NuGet.version("01.0.0.0-rc.1")?.identity(), version.key());
//!
//! let range: VersionRange = "[1.0,2.0)".parse()?;
//! assert_eq!(range.to_string(), "[1.0.0, 2.0.0)");
//! assert!(!range.is_satisfied_by(&version));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cms;
mod content_types;
mod framework;
mod inspect;
mod manifest;
mod name;
mod native;
mod nuspec;
mod package;
mod range;
mod repackage;
mod signature;
mod symbols;
mod version;
mod xml;

use hayloft_feed::native::{FeedView, Native};
use hayloft_feed::{
    Coordinates, FeedType, FeedTypeError, Identity, IndexChange, IndexError, IndexWriter,
    Inspected, Limits, PackageName, Qualifiers, Repackage, Repackaged, Upload, Version,
};

pub use framework::{TargetFramework, TargetFrameworkError};
pub use manifest::{
    Dependency, DependencyGroup, EmbeddedFile, License, Manifest, PackageType, Repository,
    Signature, SignatureKind, SymbolFile,
};
pub use name::{PackageId, PackageIdError};
pub use nuspec::NuspecError;
pub use package::PackageError;
pub use range::{VersionRange, VersionRangeError};
pub use signature::SignatureError;
pub use symbols::SymbolsError;
pub use version::{NuGetVersion, NuGetVersionError};
pub use xml::XmlError;

pub(crate) const TAG: &str = "nuget";

/// The qualifier that tells a symbol package from the package it belongs to.
const SYMBOLS: (&str, &str) = ("type", "symbols");

/// The nuget feed type.
///
/// A version has one package file without qualifiers, and may have a symbol package with
/// `type=symbols`.
///
/// An upload with the hint `role` is refused unless it is that: a `package` or `symbols`.
#[derive(Debug, Clone, Copy, Default)]
pub struct NuGet;

pub(crate) fn symbol_qualifiers() -> Qualifiers {
    // One pair that is not empty.
    Qualifiers::from_pairs([SYMBOLS]).unwrap_or_default()
}

fn name_error(text: &str, detail: impl Into<hayloft_feed::Detail>) -> FeedTypeError {
    FeedTypeError::Name { feed_type: TAG, text: text.to_owned(), detail: detail.into() }
}

fn version_error(text: &str, detail: impl Into<hayloft_feed::Detail>) -> FeedTypeError {
    FeedTypeError::Version { feed_type: TAG, text: text.to_owned(), detail: detail.into() }
}

/// A name and a version have a common limit.
fn checked(identity: Identity) -> Result<Identity, FeedTypeError> {
    let name = identity.package.name();
    let id: PackageId = name.parse().map_err(|error: PackageIdError| name_error(name, error))?;
    let text = identity.version.text();
    let version: NuGetVersion =
        text.parse().map_err(|error: NuGetVersionError| version_error(text, error))?;
    nuspec::check_length(&id, &version).map_err(|error| version_error(text, error))?;
    Ok(identity)
}

impl FeedType for NuGet {
    fn tag(&self) -> &'static str {
        TAG
    }

    fn file_endings(&self) -> &'static [&'static str] {
        &[".nupkg", ".snupkg"]
    }

    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        if !group.is_empty() {
            let full = format!("{group}/{name}");
            return Err(name_error(&full, "nuget packages have no group"));
        }
        let id: PackageId =
            name.parse().map_err(|error: PackageIdError| name_error(name, error))?;
        id.package_name().map_err(|error| name_error(name, error))
    }

    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        let version = NuGetVersion::parse_new(text).map_err(|error| version_error(text, error))?;
        version.version().map_err(|error| version_error(text, error))
    }

    /// Also takes a single number, and texts longer than a new version may be.
    fn lookup_version(&self, text: &str) -> Result<Version, FeedTypeError> {
        let version: NuGetVersion =
            text.parse().map_err(|error: NuGetVersionError| version_error(text, error))?;
        version.version().map_err(|error| version_error(text, error))
    }

    fn asked_qualifiers(&self) -> Option<&'static [&'static str]> {
        Some(&[])
    }

    fn qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        if asked.is_empty() {
            return Ok(Qualifiers::none());
        }
        if asked.key() == symbol_qualifiers().key() {
            return Ok(symbol_qualifiers());
        }
        Err(FeedTypeError::Qualifier {
            feed_type: TAG,
            text: asked.to_string(),
            detail: "nuget knows the qualifier `type=symbols` alone".into(),
        })
    }

    fn default_qualifiers(&self) -> Option<Qualifiers> {
        Some(Qualifiers::none())
    }

    fn identify(&self, asked: &Coordinates) -> Result<Identity, FeedTypeError> {
        checked(Identity {
            package: self.package_name(&asked.group, &asked.name)?,
            version: self.version(&asked.version)?,
            qualifiers: self.qualifiers(&asked.qualifiers)?,
        })
    }

    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        inspect::inspect(upload, limits)
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

    fn retarget(&self, from: &Identity, version: &Version) -> Result<Identity, FeedTypeError> {
        checked(Identity {
            package: from.package.clone(),
            version: version.clone(),
            qualifiers: from.qualifiers.clone(),
        })
    }

    fn repackage(
        &self,
        order: Repackage<'_>,
        limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        repackage::repackage(order, limits)
    }

    /// `Id.1.0.0-rc.1.nupkg`, or `.snupkg` for symbols; the version is normalized.
    fn file_name(&self, identity: &Identity) -> String {
        let text = identity.version.text();
        let version = text.parse().map_or_else(
            |_| identity.version.identity().to_owned(),
            |read: NuGetVersion| read.normalized(),
        );
        let extension = if identity.qualifiers.is_empty() { "nupkg" } else { "snupkg" };
        format!("{}.{version}.{extension}", identity.package.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coordinates(name: &str, version: &str, qualifiers: &str) -> Coordinates {
        Coordinates {
            group: String::new(),
            name: name.into(),
            version: version.into(),
            qualifiers: qualifiers.parse().unwrap(),
        }
    }

    #[test]
    fn files_are_named_by_id_and_normalized_version() {
        let name = |version, qualifiers| {
            let found = NuGet.identify(&coordinates("A.b", version, qualifiers)).unwrap();
            NuGet.file_name(&found)
        };
        assert_eq!(name("01.0.0.0-RC.1+x", ""), "A.b.1.0.0-RC.1.nupkg");
        assert_eq!(name("1.0", "Type=Symbols"), "A.b.1.0.0.snupkg");
    }

    #[test]
    fn symbols_are_the_only_qualifier() {
        for text in ["arch=x", "type=x", "type=symbols&a=b"] {
            assert!(NuGet.qualifiers(&text.parse().unwrap()).is_err(), "{text}");
        }
        let symbols = NuGet.qualifiers(&"type=SYMBOLS".parse().unwrap()).unwrap();
        assert_eq!(symbols.to_string(), "type=symbols");
        assert_eq!(NuGet.default_qualifiers(), Some(Qualifiers::none()));
    }

    #[test]
    fn groups_and_over_long_identities_are_refused() {
        assert!(NuGet.package_name("a", "b").is_err());
        let long = coordinates(&"a".repeat(100), &format!("1.0.0-{}", "b".repeat(55)), "");
        assert!(matches!(NuGet.identify(&long), Err(FeedTypeError::Version { .. })));
    }

    #[test]
    fn a_single_number_finds_a_version_but_makes_none() {
        assert!(NuGet.version("1").is_err());
        let found = NuGet.lookup_version("1").unwrap();
        assert_eq!(found, NuGet.version("1.0").unwrap());
    }
}
