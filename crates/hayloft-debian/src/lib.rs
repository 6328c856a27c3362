//! The debian feed type: `.deb`, `.udeb` and `.ddeb` packages.
//!
//! It reads a package's `control` file as strictly as the stricter of dpkg and apt, ranks versions
//! as dpkg does, and writes a package again under a new version: the control archive is edited by
//! span, the data archive copied byte for byte.
//!
//! A version has a file for each architecture, component and distribution. apt reads a feed as a
//! repository with signed releases; the keys and signatures come with the feature `openpgp`.
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
#![doc = include_str!("ambiguous.md")]

mod container;
mod control;
mod data;
mod inspect;
mod manifest;
mod name;
mod native;
mod placement;
mod relation;
mod repackage;
mod stanza;
mod version;

use hayloft_feed::native::{FeedView, Native};
use hayloft_feed::{
    Coordinates, FeedType, FeedTypeError, Identity, IndexChange, IndexError, IndexWriter,
    Inspected, Limits, NameKey, PackageName, Purl, Qualifiers, Repackage, Repackaged, Stability,
    Upload, Version,
};

pub use container::{ContainerError, UnreadableHistory};
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

/// Packages of Debian and its derivatives.
///
/// Files of a version are told apart by `arch`, `component` and `distro`, which requests may also
/// call `architecture` and `distribution`; a group stands for the component. An upload says its
/// `distribution`, unless all files of the feed are in one, and its `component`, else `main`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Debian;

impl FeedType for Debian {
    fn tag(&self) -> &'static str {
        TAG
    }

    fn file_endings(&self) -> &'static [&'static str] {
        &[".deb", ".udeb", ".ddeb"]
    }

    fn package_type(&self) -> &'static str {
        "deb"
    }

    /// Upper case is taken for lower case, as apt does.
    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        let error = |detail| FeedTypeError::Name { feed_type: TAG, text: name.to_owned(), detail };
        if !group.is_empty() {
            return Err(error("Debian packages have no group".into()));
        }
        let name: DebianName =
            name.to_ascii_lowercase().parse().map_err(|source| error(Box::new(source)))?;
        package_name(&name)
    }

    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        let parsed = parsed_version(text)?;
        if !parsed.begins_with_digit() {
            return Err(FeedTypeError::Version {
                feed_type: TAG,
                text: text.to_owned(),
                detail: "a new version must begin with a digit, after its epoch if it has one"
                    .into(),
            });
        }
        Ok(version(&parsed))
    }

    /// Takes also what does not begin with a digit, such as `v1.0`: dpkg installs it.
    fn lookup_version(&self, text: &str) -> Result<Version, FeedTypeError> {
        Ok(version(&parsed_version(text)?))
    }

    fn asked_qualifiers(&self) -> Option<&'static [&'static str]> {
        Some(&["arch", "distro", "component"])
    }

    fn qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        placement::normalized(asked)
    }

    fn remembered_qualifiers(&self) -> &'static [&'static str] {
        &[placement::DISTRO]
    }

    /// As stored packages are: a group is the component, a version may begin with a letter.
    fn identify(&self, asked: &Coordinates) -> Result<Identity, FeedTypeError> {
        let asked = group_as_component(asked)?;
        Ok(Identity {
            package: self.package_name("", &asked.name)?,
            version: self.lookup_version(&asked.version)?,
            qualifiers: self.qualifiers(&asked.qualifiers)?,
        })
    }

    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        inspect::inspect(upload, limits)
    }

    fn repackage(
        &self,
        order: Repackage<'_>,
        limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        repackage::repackage(order, limits)
    }

    fn index_revision(&self) -> u32 {
        1
    }

    fn index(
        &self,
        change: &IndexChange<'_>,
        view: &dyn FeedView,
        out: &mut dyn IndexWriter,
    ) -> Result<(), IndexError> {
        native::index(change, view, out)
    }

    fn is_history(&self, key: &[u8]) -> bool {
        native::is_history(key)
    }

    fn native(&self) -> Option<&dyn Native> {
        Some(self)
    }

    fn file_name(&self, identity: &Identity) -> String {
        let version = identity.version.text();
        let version = version.split_once(':').map_or(version, |(_, rest)| rest);
        let architecture = identity.qualifiers.get(placement::ARCH);
        manifest::file_name_of(identity.package.name(), version, architecture, PackageKind::Deb)
    }

    /// The namespaces `debian` and `ubuntu`, which the package URL standard demands, are dropped.
    fn coordinates(&self, purl: &Purl) -> Result<Coordinates, FeedTypeError> {
        let error = |detail: hayloft_feed::Detail| FeedTypeError::Purl {
            feed_type: TAG,
            text: purl.to_string(),
            detail,
        };
        if purl.package_type != self.package_type() && purl.package_type != TAG {
            return Err(error("its type is not `deb`".into()));
        }
        let is_vendor = matches!(purl.group.as_str(), "debian" | "ubuntu");
        let group = if is_vendor { String::new() } else { purl.group.clone() };
        let asked = Coordinates {
            group,
            name: purl.name.clone(),
            version: purl.version.clone().unwrap_or_default(),
            qualifiers: purl.qualifiers.clone(),
        };
        group_as_component(&asked).map_err(|source| error(Box::new(source)))
    }
}

/// The same coordinates with the group as the qualifier `component`, which is what older clients
/// of package servers mean by it. The two must not contradict each other.
pub fn group_as_component(asked: &Coordinates) -> Result<Coordinates, FeedTypeError> {
    let qualifiers = placement::normalized(&asked.qualifiers)?;
    let qualifiers = if asked.group.is_empty() {
        qualifiers
    } else {
        placement::merged(&qualifiers, placement::COMPONENT, &asked.group)?
    };
    Ok(Coordinates { group: String::new(), qualifiers, ..asked.clone() })
}

fn package_name(name: &DebianName) -> Result<PackageName, FeedTypeError> {
    let name = name.as_str();
    let key = NameKey::new("", name).map_err(|source| FeedTypeError::Name {
        feed_type: TAG,
        text: name.to_owned(),
        detail: Box::new(source),
    })?;
    Ok(PackageName::new("", name, key))
}

fn parsed_version(text: &str) -> Result<DebianVersion, FeedTypeError> {
    text.parse().map_err(|source: DebianVersionError| FeedTypeError::Version {
        feed_type: TAG,
        text: text.to_owned(),
        detail: Box::new(source),
    })
}

/// Every version is a release: `~` marks backports as often as candidates.
fn version(parsed: &DebianVersion) -> Version {
    let text = parsed.as_str();
    Version::new(text, text, parsed.sort_key().clone(), Stability::Stable)
}
