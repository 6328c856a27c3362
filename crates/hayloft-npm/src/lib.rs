//! The npm feed type: names with scopes, node-semver versions, and `.tgz` packages.

mod manifest;
mod name;
mod normalize;
mod tags;
mod value;
mod version;

pub use manifest::PackageJsonError;
pub use name::{LegacyName, NpmName, NpmNameError};
pub use version::{NpmVersion, NpmVersionError};
