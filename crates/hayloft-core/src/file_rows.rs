//! Rows of versions as callers see them.

use std::collections::BTreeMap;
use std::sync::Arc;

use hayloft_feed::{Identity, Purl};

use crate::downloads::Downloads;
use crate::records::{FileValue, PackageRecord};
use crate::resolve::{FeedHandle, PackageHandle, VersionHandle};
use crate::tables::FragmentKind;
use crate::{
    FeedTypes, FileId, Files, Manifests, MetaRead, PackageFile, PackageInfo, StoreError, Timestamp,
    fragments, rows, tables,
};

/// What is needed beside rows to show them.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) types: FeedTypes,
    pub(crate) downloads: Arc<Downloads>,
}

impl Context {
    /// Downloads of a package in all its versions.
    pub(crate) fn package_downloads(
        &self,
        read: &dyn MetaRead,
        package: &PackageHandle,
    ) -> Result<u64, StoreError> {
        let rows = rows::counter(read, tables::DOWNLOADS, &package.key)?;
        let pending = self.downloads.pending_package(package.record.package);
        Ok(rows.max(0).unsigned_abs().saturating_add(pending))
    }

    /// Downloads of each file of a version that has any, by number.
    fn version_downloads(
        &self,
        read: &dyn MetaRead,
        version: &VersionHandle,
    ) -> Result<BTreeMap<u32, u64>, StoreError> {
        let record = &version.record;
        let mut counts = self.downloads.pending_version(record.package, record.version);
        let prefix = tables::downloads_of(&version.key);
        rows::each(read, tables::DOWNLOADS, &prefix, |key, value| {
            let rows = rows::counter_value(tables::DOWNLOADS, key, value)?.max(0).unsigned_abs();
            if let Some(number) = tables::u32_at(key, prefix.len()) {
                let count = counts.entry(number).or_default();
                *count = count.saturating_add(rows);
            }
            Ok(())
        })?;
        Ok(counts)
    }

    /// The files of a version at these places in it.
    pub(crate) fn files(
        &self,
        read: &dyn MetaRead,
        feed: &FeedHandle,
        version: &VersionHandle,
        indexes: &[usize],
        manifests: Manifests,
    ) -> Result<Vec<PackageFile>, StoreError> {
        let total = self.package_downloads(read, &version.package)?;
        self.files_with(read, feed, version, indexes, manifests, total)
    }

    /// The same where the package's downloads are known already.
    pub(crate) fn files_with(
        &self,
        read: &dyn MetaRead,
        feed: &FeedHandle,
        version: &VersionHandle,
        indexes: &[usize],
        manifests: Manifests,
        package_downloads: u64,
    ) -> Result<Vec<PackageFile>, StoreError> {
        let record = &version.record;
        let status = version.status_record()?;
        // Without downloads of the package no version of it has any, and no row is looked for.
        let counts = match package_downloads {
            0 => BTreeMap::new(),
            _ => self.version_downloads(read, version)?,
        };
        let version_downloads = counts.values().sum();
        indexes
            .iter()
            .filter_map(|at| record.files.get(*at))
            .map(|file| {
                let file_downloads = counts.get(&file.number).copied().unwrap_or_default();
                let identity = version.identity(file)?;
                let manifest = match manifests {
                    Manifests::Omitted => None,
                    Manifests::Included => Some(manifest(read, &version.key, file)?),
                };
                Ok(PackageFile {
                    id: file_id(version, file),
                    feed: feed.id,
                    group: version.package.record.group.clone(),
                    name: version.package.record.name.clone(),
                    version: record.text.clone(),
                    stability: record.stability.into(),
                    purl: purl(feed, &identity),
                    qualifiers: identity.qualifiers,
                    file_name: file.file_name.clone(),
                    role: file.role.into(),
                    size: file.size,
                    digests: (&file.digests).into(),
                    published: Timestamp::from_millis(file.published),
                    published_by: file.published_by.clone(),
                    status: status.into(),
                    status_changed: Timestamp::from_millis(status.changed),
                    origin: (&record.origin).into(),
                    file_downloads,
                    version_downloads,
                    package_downloads,
                    manifest,
                    documents: file.documents.clone(),
                })
            })
            .collect()
    }
}

fn file_id(version: &VersionHandle, file: &FileValue) -> FileId {
    FileId { package: version.record.package, version: version.record.version, number: file.number }
}

/// The places of the files of a version that a list shows.
pub(crate) fn listed(version: &VersionHandle, files: Files) -> Vec<usize> {
    let shown =
        |file: &FileValue| files == Files::All || file.role == crate::records::RoleValue::Package;
    version
        .record
        .files
        .iter()
        .enumerate()
        .filter(|(_, file)| shown(file))
        .map(|(at, _)| at)
        .collect()
}

/// The text of a file's manifest.
pub(crate) fn manifest(
    read: &dyn MetaRead,
    version_key: &[u8],
    file: &FileValue,
) -> Result<String, StoreError> {
    fragments::read(read, version_key, file.number, FragmentKind::MANIFEST)?
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| StoreError::damaged(format!("the manifest of `{}`", file.file_name)))
}

fn purl(feed: &FeedHandle, identity: &Identity) -> Purl {
    match &feed.feed_type {
        Some(known) => known.purl(identity),
        None => Purl {
            package_type: feed.record.tag.clone(),
            group: identity.package.group().to_owned(),
            name: identity.package.name().to_owned(),
            version: Some(identity.version.text().to_owned()),
            qualifiers: identity.qualifiers.clone(),
        },
    }
}

/// A package for callers.
pub(crate) fn package_info(feed: u32, package: &PackageHandle) -> PackageInfo {
    let PackageRecord { group, name, versions, latest, latest_stable, tags, .. } = &package.record;
    PackageInfo {
        feed,
        group: group.clone(),
        name: name.clone(),
        versions: *versions,
        latest: latest.as_ref().map(|pointer| pointer.text.clone()),
        latest_stable: latest_stable.as_ref().map(|pointer| pointer.text.clone()),
        tags: tags.iter().cloned().collect(),
        revision: package.record.revision,
        created: Timestamp::from_millis(package.record.created),
        changed: Timestamp::from_millis(package.record.changed),
    }
}
