//! Ids and versions as requests spell them. What is none names nothing that is there.

use std::ops::ControlFlow;

use hayloft_feed::native::{FeedView, VersionEntry, ViewError, Want};
use hayloft_feed::{FileCard, PackageName, Version};

use super::entry::{TRAITS, package_file};
use crate::{NuGetVersion, PackageId};

pub(crate) fn package(id: &str) -> Option<PackageName> {
    id.parse::<PackageId>().ok()?.package_name().ok()
}

pub(crate) fn version(text: &str) -> Option<Version> {
    text.parse::<NuGetVersion>().ok()?.version().ok()
}

/// The package file of a version, if that may be seen.
pub(crate) struct Found {
    pub(crate) file: FileCard,
    /// The symbols beside it.
    pub(crate) symbols: Option<FileCard>,
    pub(crate) is_blocked: bool,
}

pub(crate) fn file(
    view: &dyn FeedView,
    package: &PackageName,
    version: &Version,
) -> Result<Option<Found>, ViewError> {
    let mut found = None;
    view.version(package.key(), version, &Want::fragments(&[TRAITS]).files(), &mut |entry| {
        found = found_in(entry);
    })?;
    Ok(found)
}

fn found_in(entry: &VersionEntry<'_>) -> Option<Found> {
    let number = package_file(entry.fragments)?;
    let file = entry.files.iter().find(|file| file.id.number == number)?.clone();
    let symbols = entry.files.iter().find(|other| other.id.number != number).cloned();
    Some(Found { file, symbols, is_blocked: entry.status.is_blocked() })
}

/// Shows all versions that may be downloaded, in ascending order; tells how many there are.
pub(crate) fn versions(
    view: &dyn FeedView,
    package: &PackageName,
    want: &Want<'_>,
    visit: &mut dyn FnMut(&VersionEntry<'_>) -> ControlFlow<()>,
) -> Result<usize, ViewError> {
    let mut count = 0;
    view.versions(package.key(), want, &mut |entry| {
        if entry.status.is_blocked() {
            return ControlFlow::Continue(());
        }
        count += 1;
        visit(entry)
    })?;
    Ok(count)
}
