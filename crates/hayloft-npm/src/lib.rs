//! The npm feed type: names with scopes, node-semver versions, and `.tgz` packages.
//!
//! [`Npm`] reads a tarball as npm, pnpm and yarn read it: the top folder has any name, old field
//! shapes are normalized as npm normalizes them when it publishes. What those clients would read in
//! different ways is refused where it can decide what the package is; the table is in `reading.rs`. The manifest it makes is the version object of a packument; what depends on the
//! feed (tarball URL, deprecation, tags, times) is left to the index.
//!
//! ```
//! use hayloft_feed::{Coordinates, FeedType};
//! use hayloft_npm::Npm;
//!
//! let asked = Coordinates {
//!     group: "acme".to_owned(),
//!     name: "widget".to_owned(),
//!     version: "v1.0.0-rc.1+build.5".to_owned(),
//!     ..Coordinates::default()
//! };
//! let identity = Npm.identify(&asked)?;
//! assert_eq!(identity.package.spelled(), "@acme/widget");
//! assert_eq!(identity.version.text(), "1.0.0-rc.1");
//! assert_eq!(Npm.file_name(&identity), "widget-1.0.0-rc.1.tgz");
//! # Ok::<(), hayloft_feed::FeedTypeError>(())
//! ```

mod archive;
mod manifest;
mod name;
mod native;
mod normalize;
mod reading;
mod repackage;
mod tags;
mod value;
mod version;

use std::borrow::Cow;
use std::collections::BTreeMap;

use hayloft_feed::native::{FeedView, Native};
use hayloft_feed::{
    Document, FeedType, FeedTypeError, Fragment, Identity, IndexChange, IndexError, IndexWriter,
    Inspected, Limits, PackageName, Repackage, Repackaged, TagChange, Upload, Version,
};

pub use archive::TarballError;
pub use manifest::PackageJsonError;
pub use name::{LegacyName, NpmName, NpmNameError};
pub use repackage::RepackageError;
pub use version::{NpmVersion, NpmVersionError};

use archive::Tarball;
use manifest::PackageJson;

const TAG: &str = "npm";
/// The document that holds the readme.
const README: &str = "readme";

/// The npm ecosystem.
///
/// A group is a scope and carries its `@`; versions are stored cleaned, without build metadata; a
/// version has one file, so there are no qualifiers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Npm;

impl FeedType for Npm {
    fn tag(&self) -> &'static str {
        TAG
    }

    fn file_endings(&self) -> &'static [&'static str] {
        &[".tgz", ".tar.gz"]
    }

    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        NpmName::from_parts(group, name).and_then(|parsed| parsed.package()).map_err(|error| {
            let text = if group.is_empty() { name.to_owned() } else { format!("{group}/{name}") };
            FeedTypeError::Name { feed_type: TAG, text, detail: error.into() }
        })
    }

    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        version(text, text.parse())
    }

    /// Also takes the loose versions of old registries, in node-semver's reading of them.
    fn lookup_version(&self, text: &str) -> Result<Version, FeedTypeError> {
        version(text, NpmVersion::loose(text))
    }

    fn asked_qualifiers(&self) -> Option<&'static [&'static str]> {
        Some(&[])
    }

    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        let tarball =
            Tarball::read(upload.content, limits).map_err(TarballError::into_feed_type_error)?;
        let package = tarball.package().map_err(TarballError::into_feed_type_error)?;
        let mut warnings = package.warnings().to_vec();
        if tarball.manifests > 1 {
            warnings.push(format!(
                "the tarball holds the same package.json {} times in its root",
                tarball.manifests
            ));
        }
        let history = package.history().unwrap_or_else(|error| {
            warnings.push(format!("`repackageHistory` in package.json is ignored: {error}"));
            Vec::new()
        });
        let manifest = package.manifest(&tarball.facts, upload.digests);
        Ok(Inspected::new(
            Identity::of(
                self.package_name(&package.name().group(), package.name().name())?,
                version(&package.version().to_string(), Ok(package.version().clone()))?,
            ),
            manifest.full(),
        )
        .with_fragments(vec![Fragment {
            kind: native::ABBREVIATED,
            bytes: manifest.abbreviated().into_bytes(),
        }])
        .with_documents(readme(&tarball, &package).into_iter().collect())
        .with_history(history)
        .with_warnings(warnings))
    }

    fn repackage(
        &self,
        order: Repackage<'_>,
        limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        repackage::repackage(order, limits)
    }

    fn tags(&self, change: &TagChange<'_>) -> BTreeMap<String, String> {
        tags::after(change)
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

    fn native(&self) -> Option<&dyn Native> {
        Some(self)
    }

    /// The last segment of the tarball's URL; the scope is not in it.
    fn file_name(&self, identity: &Identity) -> String {
        // Names of old may hold `*`, which Windows takes for a pattern.
        let name = identity.package.name().replace('*', "_");
        format!("{name}-{}.tgz", identity.version.text())
    }
}

fn version(
    text: &str,
    read: Result<NpmVersion, NpmVersionError>,
) -> Result<Version, FeedTypeError> {
    read.map(|version| version.version()).map_err(|error| FeedTypeError::Version {
        feed_type: TAG,
        text: text.to_owned(),
        detail: error.into(),
    })
}

/// The readme that a packument serves: a file of the root, or what npm once put into package.json.
fn readme(tarball: &Tarball, package: &PackageJson<'_>) -> Option<Document> {
    let text = match &tarball.readme {
        Some(text) => Cow::Borrowed(text.as_str()),
        None => package.readme()?,
    };
    let bytes = archive::readme_beginning(&text).as_bytes().to_vec();
    Some(Document::new(README, bytes))
}
