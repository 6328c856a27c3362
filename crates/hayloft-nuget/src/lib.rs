//! The nuget feed type.

mod framework;
mod manifest;
mod name;
mod nuspec;
mod range;
mod version;
mod xml;

pub use framework::{TargetFramework, TargetFrameworkError};
pub use manifest::{
    Dependency, DependencyGroup, EmbeddedFile, License, Manifest, PackageType, Repository,
    Signature, SignatureKind, SymbolFile,
};
pub use name::{PackageId, PackageIdError};
pub use nuspec::NuspecError;
pub use range::{VersionRange, VersionRangeError};
pub use version::{NuGetVersion, NuGetVersionError};
pub use xml::XmlError;
