//! Records whose texts lie where they were read: what lists and indexes go through.
//!
//! Each has the bytes of its owned form; the test of goldens reads both.

use bincode::BorrowDecode;

use super::{
    DigestsValue, FileValue, HistoryValue, OriginValue, PackageRecord, Pointer, RoleValue,
    StabilityValue, VersionRecord,
};
use crate::codec::Borrowed;

/// A [`PackageRecord`].
#[derive(Debug, Clone, PartialEq, Eq, BorrowDecode)]
pub(crate) struct PackageRow<'v> {
    pub(crate) package: u64,
    pub(crate) group: &'v str,
    pub(crate) name: &'v str,
    pub(crate) versions: u64,
    pub(crate) latest: Option<PointerRow<'v>>,
    pub(crate) latest_stable: Option<PointerRow<'v>>,
    pub(crate) tags: Vec<(&'v str, &'v str)>,
    pub(crate) created: i64,
    pub(crate) changed: i64,
    pub(crate) revision: u64,
}

/// A [`Pointer`].
#[derive(Debug, Clone, PartialEq, Eq, BorrowDecode)]
pub(crate) struct PointerRow<'v> {
    pub(crate) suffix: &'v [u8],
    pub(crate) text: &'v str,
}

/// A [`VersionRecord`].
#[derive(Debug, Clone, PartialEq, Eq, BorrowDecode)]
pub(crate) struct VersionRow<'v> {
    pub(crate) version: u64,
    pub(crate) package: u64,
    pub(crate) text: &'v str,
    pub(crate) identity: &'v str,
    pub(crate) stability: StabilityValue,
    pub(crate) created: i64,
    pub(crate) origin: OriginRow<'v>,
    pub(crate) next_file: u32,
    pub(crate) more: u16,
    pub(crate) files: Vec<FileRow<'v>>,
}

/// An [`OriginValue`].
#[derive(Debug, Clone, PartialEq, Eq, BorrowDecode)]
pub(crate) enum OriginRow<'v> {
    Uploaded,
    Promoted { from_feed: &'v str },
    Repackaged { from_feed: &'v str, from_version: &'v str },
}

/// A [`FileValue`].
#[derive(Debug, Clone, PartialEq, Eq, BorrowDecode)]
pub(crate) struct FileRow<'v> {
    pub(crate) number: u32,
    pub(crate) role: RoleValue,
    pub(crate) qualifiers: &'v str,
    pub(crate) file_name: &'v str,
    pub(crate) size: u64,
    pub(crate) digests: DigestsValue,
    pub(crate) published: i64,
    pub(crate) published_by: &'v str,
    pub(crate) history: HistoryValue,
    pub(crate) documents: Vec<&'v str>,
}

impl<'v> Borrowed<'v> for PackageRow<'v> {
    type Owned = PackageRecord;
}

impl<'v> Borrowed<'v> for VersionRow<'v> {
    type Owned = VersionRecord;
}

impl<'v> From<&'v PackageRecord> for PackageRow<'v> {
    fn from(record: &'v PackageRecord) -> Self {
        let pointer =
            |pointer: &'v Pointer| PointerRow { suffix: &pointer.suffix, text: &pointer.text };
        Self {
            package: record.package,
            group: &record.group,
            name: &record.name,
            versions: record.versions,
            latest: record.latest.as_ref().map(pointer),
            latest_stable: record.latest_stable.as_ref().map(pointer),
            tags: record.tags.iter().map(|(tag, text)| (tag.as_str(), text.as_str())).collect(),
            created: record.created,
            changed: record.changed,
            revision: record.revision,
        }
    }
}

impl From<&PackageRow<'_>> for PackageRecord {
    fn from(row: &PackageRow<'_>) -> Self {
        let pointer = |pointer: &PointerRow<'_>| Pointer {
            suffix: pointer.suffix.to_owned(),
            text: pointer.text.to_owned(),
        };
        Self {
            package: row.package,
            group: row.group.to_owned(),
            name: row.name.to_owned(),
            versions: row.versions,
            latest: row.latest.as_ref().map(pointer),
            latest_stable: row.latest_stable.as_ref().map(pointer),
            tags: row
                .tags
                .iter()
                .map(|(tag, text)| ((*tag).to_owned(), (*text).to_owned()))
                .collect(),
            created: row.created,
            changed: row.changed,
            revision: row.revision,
        }
    }
}

impl<'v> From<&'v VersionRecord> for VersionRow<'v> {
    fn from(record: &'v VersionRecord) -> Self {
        let origin = match &record.origin {
            OriginValue::Uploaded => OriginRow::Uploaded,
            OriginValue::Promoted { from_feed } => OriginRow::Promoted { from_feed },
            OriginValue::Repackaged { from_feed, from_version } => {
                OriginRow::Repackaged { from_feed, from_version }
            }
        };
        Self {
            version: record.version,
            package: record.package,
            text: &record.text,
            identity: &record.identity,
            stability: record.stability,
            created: record.created,
            origin,
            next_file: record.next_file,
            more: record.more,
            files: record.files.iter().map(FileRow::from).collect(),
        }
    }
}

impl<'v> From<&'v FileValue> for FileRow<'v> {
    fn from(file: &'v FileValue) -> Self {
        Self {
            number: file.number,
            role: file.role,
            qualifiers: &file.qualifiers,
            file_name: &file.file_name,
            size: file.size,
            digests: file.digests,
            published: file.published,
            published_by: &file.published_by,
            history: file.history,
            documents: file.documents.iter().map(String::as_str).collect(),
        }
    }
}
