//! What a name in a URL means. One that nobody may have is that of nothing.

use super::{FeedView, ViewError};
use crate::{FeedType, FileCard, PackageHead};

/// The package that a name without a group means.
pub fn find_package(
    view: &dyn FeedView,
    feed_type: &dyn FeedType,
    name: &str,
) -> Result<Option<PackageHead>, ViewError> {
    feed_type.package_name("", name).map_or(Ok(None), |name| view.package(name.key()))
}

/// The first file of the version that name and version mean: the only one where versions have one
/// each.
pub fn find_file(
    view: &dyn FeedView,
    feed_type: &dyn FeedType,
    name: &str,
    version: &str,
) -> Result<Option<FileCard>, ViewError> {
    match (feed_type.package_name("", name), feed_type.lookup_version(version)) {
        (Ok(name), Ok(version)) => view.file_of(name.key(), &version),
        _ => Ok(None),
    }
}
