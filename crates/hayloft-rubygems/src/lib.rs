//! The rubygems feed type: `.gem` files.
//!
//! Reads a gem's specification as YAML data (no Ruby object is built), verifies its checksums, and
//! writes gems again under a new version. Speaks the protocol of `gem` and Bundler: the compact
//! index, the older ones in Ruby's Marshal, push and yank. What it leaves out: RSA signatures, which
//! are neither checked nor made.
//!
//! ```
//! use hayloft_feed::{Coordinates, FeedType};
//! use hayloft_rubygems::RubyGems;
//!
//! let asked = Coordinates {
//!     name: "nokogiri".into(),
//!     version: "1.15.0-rc.1".into(),
//!     qualifiers: "platform=jruby".parse()?,
//!     ..Coordinates::default()
//! };
//! let identity = RubyGems.identify(&asked)?;
//! assert_eq!(RubyGems.file_name(&identity), "nokogiri-1.15.0.pre.rc.1-java.gem");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![doc = include_str!("ambiguous.md")]

mod checksums;
mod files;
mod gem;
mod gemspec;
mod marshal;
mod name;
mod native;
mod platform;
mod repackage;
mod specification_edit;
mod version;
mod yaml;

use hayloft_feed::native::{FeedView, Native};
use hayloft_feed::{
    CaseTwins, FeedType, FeedTypeError, Identity, IndexChange, IndexError, IndexWriter, Inspected,
    Limits, PackageName, Qualifiers, Repackage, Repackaged, Timestamp, Upload, Version,
};

pub use checksums::ChecksumsError;
pub use gem::GemError;
pub use gemspec::{Dependency, DependencyKind, Gemspec, GemspecError};
pub use name::{GemName, GemNameError};
pub use platform::{Platform, PlatformError};
pub use specification_edit::SpecificationEditError;
pub use version::{GemVersion, GemVersionError};
pub use yaml::YamlError;

const TAG: &str = "rubygems";

/// The rubygems feed type.
#[derive(Debug, Clone, Copy, Default)]
pub struct RubyGems;

/// A qualifier that gems do not have.
#[derive(Debug, thiserror::Error)]
#[error("gems are told apart by `platform` alone")]
struct UnknownQualifier;

/// Gems have no group.
#[derive(Debug, thiserror::Error)]
#[error("gems have no group")]
struct Group;

impl FeedType for RubyGems {
    fn tag(&self) -> &'static str {
        TAG
    }

    fn file_endings(&self) -> &'static [&'static str] {
        &[".gem"]
    }

    fn package_type(&self) -> &'static str {
        "gem"
    }

    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        let invalid = |text: &str, detail| FeedTypeError::Name {
            feed_type: TAG,
            text: text.to_owned(),
            detail,
        };
        if !group.is_empty() {
            return Err(invalid(group, Group.into()));
        }
        let parsed: GemName = name.parse().map_err(|error| invalid(name, Box::new(error)))?;
        let key = parsed.key().map_err(|error| invalid(name, Box::new(error)))?;
        Ok(PackageName::new("", parsed.as_str(), key))
    }

    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        let invalid =
            |detail| FeedTypeError::Version { feed_type: TAG, text: text.to_owned(), detail };
        // Ruby reads an empty text as `0`; from a caller it is a missing value.
        if text.trim().is_empty() {
            return Err(invalid(Box::new(GemVersionError::Grammar)));
        }
        let parsed: GemVersion = text.parse().map_err(|error| invalid(Box::new(error)))?;
        let key = parsed.sort_key().map_err(|error| invalid(Box::new(error)))?;
        Ok(Version::new(parsed.as_str(), &parsed.canonical(), key, parsed.stability()))
    }

    fn asked_qualifiers(&self) -> Option<&'static [&'static str]> {
        Some(&["platform"])
    }

    fn qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        let invalid =
            |detail| FeedTypeError::Qualifier { feed_type: TAG, text: asked.to_string(), detail };
        let mut pairs = Vec::new();
        for (key, value) in asked.iter() {
            if key != "platform" {
                return Err(invalid(UnknownQualifier.into()));
            }
            let platform: Platform = value.parse().map_err(|error| invalid(Box::new(error)))?;
            pairs.push((key, platform.as_str().to_owned()));
        }
        Qualifiers::from_pairs(pairs).map_err(|error| invalid(Box::new(error)))
    }

    fn default_qualifiers(&self) -> Option<Qualifiers> {
        platform_qualifiers(&Platform::ruby()).ok()
    }

    fn case_twins(&self) -> CaseTwins {
        CaseTwins::Refused
    }

    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        gem::inspect(*self, upload.content, upload.digests, limits)
    }

    fn repackage(
        &self,
        order: Repackage<'_>,
        limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        repackage::repackage(order, limits)
    }

    fn index_revision(&self) -> u32 {
        native::INDEX_REVISION
    }

    fn index(
        &self,
        change: &IndexChange<'_>,
        view: &dyn FeedView,
        out: &mut dyn IndexWriter,
    ) -> Result<(), IndexError> {
        native::index(change, view, out)
    }

    fn tidy(
        &self,
        view: &dyn FeedView,
        now: Timestamp,
        out: &mut dyn IndexWriter,
    ) -> Result<(), IndexError> {
        native::tidy(view, now, out)
    }

    fn normal_form(&self, log: &[u8], bytes: Vec<u8>) -> Vec<u8> {
        native::normal_form(log, &bytes)
    }

    fn native(&self) -> Option<&dyn Native> {
        Some(self)
    }

    fn file_name(&self, identity: &Identity) -> String {
        let name = identity.package.name();
        let version = identity.version.text();
        match identity.qualifiers.get("platform") {
            None | Some("ruby") => format!("{name}-{version}.gem"),
            Some(platform) => format!("{name}-{version}-{platform}.gem"),
        }
    }
}

fn platform_qualifiers(platform: &Platform) -> Result<Qualifiers, FeedTypeError> {
    Qualifiers::from_pairs([("platform", platform.as_str())]).map_err(|error| {
        FeedTypeError::Qualifier {
            feed_type: TAG,
            text: platform.to_string(),
            detail: Box::new(error),
        }
    })
}
