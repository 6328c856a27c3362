//! Rows of versions as callers see them.

use std::collections::BTreeMap;
use std::sync::Arc;

use hayloft_feed::{Identity, Purl, Qualifiers, SortKey, Stability, Version};

use crate::downloads::Downloads;
use crate::records::borrowed::{FileRow, PackageRow, PointerRow, VersionRow};
use crate::records::{PackageRecord, RoleValue, StatusRecord};
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
    /// Marks the numbers of files that callers get.
    pub(crate) mark: u32,
}

impl Context {
    /// Downloads of a package in all its versions.
    pub(crate) fn package_downloads(
        &self,
        read: &dyn MetaRead,
        package: &PackageHandle,
    ) -> Result<u64, StoreError> {
        // What counts downloads is no reason to hide the package.
        let rows = rows::left_out(rows::counter(read, tables::DOWNLOADS, &package.key))?;
        let rows = rows.unwrap_or_default();
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
            let rows = rows::left_out(rows::counter_value(tables::DOWNLOADS, key, value))?;
            let rows = rows.unwrap_or_default().max(0).unsigned_abs();
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
        let status = version.status_record()?;
        // Without downloads of the package no version of it has any, and no row is looked for.
        let counts = match package_downloads {
            0 => BTreeMap::new(),
            _ => self.version_downloads(read, version)?,
        };
        let version_downloads = counts.values().sum();
        let row = VersionRow::from(&version.record);
        let mut cards = Cards::new(feed, &version.package)?;
        cards.set_version(&row, &version.key);
        indexes
            .iter()
            .filter_map(|at| Some((row.files.get(*at)?, version.record.files.get(*at)?)))
            .map(|(file, value)| {
                let manifest = match manifests {
                    Manifests::Omitted => None,
                    Manifests::Included => {
                        Some(manifest(read, &version.key, value.number, &value.file_name)?)
                    }
                };
                let card = cards.file(&row, file)?;
                Ok(PackageFile {
                    id: card.id.of_store(self.mark),
                    status: status.into(),
                    status_changed: Timestamp::from_millis(status.changed),
                    file_downloads: counts.get(&file.number).copied().unwrap_or_default(),
                    version_downloads,
                    package_downloads,
                    manifest,
                    ..card
                })
            })
            .collect()
    }
}

/// Makes what callers see of the files of one package out of rows as they lie.
pub(crate) struct Cards<'a> {
    feed: &'a FeedHandle,
    package: &'a PackageHandle,
    /// Of the version at hand; made once for all its files.
    identity: Identity,
}

impl<'a> Cards<'a> {
    pub(crate) fn new(
        feed: &'a FeedHandle,
        package: &'a PackageHandle,
    ) -> Result<Self, StoreError> {
        let identity = Identity {
            package: package.package_name()?,
            version: Version::new("", "", SortKey::from_bytes(&[]), Stability::Stable),
            qualifiers: Qualifiers::none(),
        };
        Ok(Self { feed, package, identity })
    }

    /// Goes on to the version that lies at `key`.
    pub(crate) fn set_version(&mut self, row: &VersionRow<'_>, key: &[u8]) {
        let suffix = key.get(self.package.key.len()..).unwrap_or_default();
        let length = suffix.len().saturating_sub(row.identity.len());
        self.identity.version = Version::new(
            row.text,
            row.identity,
            SortKey::from_bytes(suffix.get(..length).unwrap_or_default()),
            row.stability.into(),
        );
    }

    /// A file of the version at hand, as it came: without downloads, and with the status that the
    /// version had then.
    pub(crate) fn file(
        &mut self,
        row: &VersionRow<'_>,
        file: &FileRow<'_>,
    ) -> Result<PackageFile, StoreError> {
        let PackageRecord { group, name, .. } = &self.package.record;
        self.identity.qualifiers = file
            .qualifiers
            .parse()
            .map_err(|_| StoreError::damaged(format!("the record of file `{}`", file.file_name)))?;
        let status = StatusRecord::of_new(row.created);
        Ok(PackageFile {
            id: FileId::new(row.package, row.version, file.number),
            feed: self.feed.id,
            group: group.clone(),
            name: name.clone(),
            version: row.text.to_owned(),
            stability: row.stability.into(),
            purl: purl(self.feed, &self.identity),
            qualifiers: std::mem::take(&mut self.identity.qualifiers),
            file_name: file.file_name.to_owned(),
            role: file.role.into(),
            size: file.size,
            digests: (&file.digests).into(),
            published: Timestamp::from_millis(file.published),
            published_by: file.published_by.to_owned(),
            status: (&status).into(),
            status_changed: Timestamp::from_millis(status.changed),
            origin: (&row.origin).into(),
            file_downloads: 0,
            version_downloads: 0,
            package_downloads: 0,
            manifest: None,
            documents: file.documents.iter().map(|name| (*name).to_owned()).collect(),
        })
    }
}

/// The places of the files of a version that a list shows.
pub(crate) fn listed(version: &VersionHandle, files: Files) -> Vec<usize> {
    let all = version.record.files.iter().enumerate();
    all.filter(|(_, file)| is_listed(file.role, files)).map(|(at, _)| at).collect()
}

/// True if a list shows files of this role.
pub(crate) fn is_listed(role: RoleValue, files: Files) -> bool {
    files == Files::All || role == RoleValue::Package
}

/// The text of a file's manifest.
pub(crate) fn manifest(
    read: &dyn MetaRead,
    version_key: &[u8],
    file: u32,
    file_name: &str,
) -> Result<String, StoreError> {
    fragments::read(read, version_key, file, FragmentKind::MANIFEST)?
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| StoreError::damaged(format!("the manifest of `{file_name}`")))
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
pub(crate) fn package_info(feed: u32, row: &PackageRow<'_>) -> PackageInfo {
    let text =
        |pointer: &Option<PointerRow<'_>>| pointer.as_ref().map(|found| found.text.to_owned());
    PackageInfo {
        feed,
        group: row.group.to_owned(),
        name: row.name.to_owned(),
        versions: row.versions,
        latest: text(&row.latest),
        latest_stable: text(&row.latest_stable),
        tags: row.tags.iter().map(|(tag, text)| ((*tag).to_owned(), (*text).to_owned())).collect(),
        revision: row.revision,
        created: Timestamp::from_millis(row.created),
        changed: Timestamp::from_millis(row.changed),
    }
}
