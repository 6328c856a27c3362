pub use hayloft_feed::{Allow, Deprecation, FileId, Listing, Status};
use hayloft_feed::{Digests, FileRole, Purl, Qualifiers, Stability};

use crate::Timestamp;

/// How a version came into its feed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Sent by a client.
    Uploaded,
    /// The same bytes from another feed.
    Promoted {
        /// Name of that feed at the time.
        from_feed: String,
    },
    /// Written again under another version.
    Repackaged {
        /// Name of the source's feed at the time.
        from_feed: String,
        /// Version of the source.
        from_version: String,
    },
}

/// One stored file with all that lists tell about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackageFile {
    /// Names the file in other calls.
    pub id: FileId,
    /// Number of its feed.
    pub feed: u32,
    /// npm scope (with its `@`), universal group; else empty.
    pub group: String,
    /// Package name as first spelled in this feed.
    pub name: String,
    /// Version as spelled.
    pub version: String,
    /// Release or prerelease.
    pub stability: Stability,
    /// Which file of the version.
    pub qualifiers: Qualifiers,
    /// Package URL.
    pub purl: Purl,
    /// What the file is called when downloaded.
    pub file_name: String,
    /// Package or companion.
    pub role: FileRole,
    /// Length in bytes.
    pub size: u64,
    /// Digests of the content.
    pub digests: Digests,
    /// When the file was stored here, or replaced.
    pub published: Timestamp,
    /// By whom.
    pub published_by: String,
    /// State of the version.
    pub status: Status,
    /// When the status was last changed; `published` of the version before that.
    pub status_changed: Timestamp,
    /// How the version came here.
    pub origin: Origin,
    /// Downloads of this file.
    pub file_downloads: u64,
    /// Downloads of all files of this version.
    pub version_downloads: u64,
    /// Downloads of all versions of this package in this feed.
    pub package_downloads: u64,
    /// The manifest as JSON text, if the query asked for it.
    pub manifest: Option<String>,
    /// Names of the documents kept with the file: see
    /// [`Store::document`](crate::Store::document).
    pub documents: Vec<String>,
}

/// One package of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackageInfo {
    /// Number of its feed.
    pub feed: u32,
    /// npm scope, universal group; else empty.
    pub group: String,
    /// Name as first spelled.
    pub name: String,
    /// Versions.
    pub versions: u64,
    /// Text of the highest version.
    pub latest: Option<String>,
    /// Text of the highest stable version.
    pub latest_stable: Option<String>,
    /// Tag to version text, such as npm's dist-tags.
    pub tags: std::collections::BTreeMap<String, String>,
    /// Grows with every change of the package, its versions, tags and status; unique in the store.
    /// Download counts do not change it.
    pub revision: u64,
    /// When the first version was stored.
    pub created: Timestamp,
    /// When anything was last changed.
    pub changed: Timestamp,
}
