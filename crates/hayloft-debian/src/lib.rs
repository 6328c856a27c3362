//! The debian feed type: `.deb`, `.udeb` and `.ddeb` packages.
//!
//! It reads a package's `control` file as strictly as the stricter of dpkg and apt, ranks versions
//! as dpkg does, and writes a package again under a new version: the control archive is edited by
//! span, the data archive copied byte for byte.
//!
//! A version has a file for each architecture, component and distribution. Not in here: the
//! repository around the packages (`Packages`, `Release`) and its signatures.
//!
//! ```
//! use hayloft_debian::Debian;
//! use hayloft_feed::FeedType;
//!
//! let candidate = Debian.version("1.0~rc1-1")?;
//! let release = Debian.version("1.0-1")?;
//! assert!(candidate.sort_key() < release.sort_key());
//! # Ok::<(), hayloft_feed::FeedTypeError>(())
//! ```

mod control;
mod manifest;
mod name;
mod placement;
mod relation;
mod stanza;
mod version;

pub use control::{Control, ControlError, PackageKind};
pub use manifest::Manifest;
pub use name::{DebianName, DebianNameError};
pub use placement::{
    Architecture, ArchitectureError, DirectoryName, DirectoryNameError, Placement,
};
pub use relation::{Operator, Relation, RelationError, relations};
pub use stanza::{Field, Stanza, StanzaError};
pub use version::{DebianVersion, DebianVersionError};

const TAG: &str = "debian";
