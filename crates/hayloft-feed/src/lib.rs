//! The seam between Hayloft's store and a package ecosystem.
//!
//! A feed type such as nuget or npm is one value that implements [`FeedType`]: it checks and ranks
//! names and versions, reads the manifest out of an uploaded file, and writes a file again under a
//! new version. The store holds feed types as `Arc<dyn FeedType>` and knows none of them by name,
//! so a third party adds an ecosystem with one crate and one line of registration.
//!
//! What is *not* here: redb, files, HTTP, archives, and any ecosystem's rule.
//!
//! ```
//! use hayloft_feed::{SortKey, Qualifiers};
//!
//! // Keys compare as bytes in the order of the versions they stand for.
//! let nine = SortKey::builder().number("9")?.finish();
//! let ten = SortKey::builder().number("10")?.finish();
//! assert!(nine < ten);
//!
//! let qualifiers: Qualifiers = "distro=stable&arch=amd64".parse()?;
//! assert_eq!(qualifiers.to_string(), "arch=amd64&distro=stable");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod account;
mod error;
mod feed_type;
mod file;
mod history;
mod identity;
mod index;
pub mod json;
mod limits;
pub mod native;
pub mod prelude;
mod purl;
mod qualifiers;
mod relative_path;
pub mod semver;
mod sort_key;
mod status;
mod tags;
mod timestamp;

pub use account::{Account, Exhausted, Hold, Terms};
pub use error::{Detail, FeedTypeError, shorten};
pub use feed_type::{CaseTwins, FeedType};
pub use file::{
    Digests, Document, FileId, FileRole, Inspected, ReadSeek, Repackage, Repackaged, Upload,
    WriteSeek,
};
pub use history::{HistoryEntry, HistoryError, SourceReference};
pub use identity::{Coordinates, Identity, NameKey, NameKeyError, PackageName, Stability, Version};
pub use index::{
    FileCard, Fragment, IndexChange, IndexError, IndexWriter, LogHead, PackageHead, SearchRecord,
    VersionChange, VersionState, rebuild_change,
};
pub use limits::{Limits, ReadError};
pub use purl::{Purl, PurlError};
pub use qualifiers::{Qualifiers, QualifiersError};
pub use relative_path::{PathFault, RelativePath};
pub use sort_key::{SortKey, SortKeyBuilder, SortKeyError};
pub use status::{Allow, Deprecation, Listing, Status};
pub use tags::{Arrival, TagChange};
pub use timestamp::Timestamp;
