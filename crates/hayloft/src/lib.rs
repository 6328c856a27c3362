//! An embedded storage engine for package feeds.
//!
//! [`open`] a directory; from then on it holds feeds of the built-in types. Files come back byte
//! for byte, and what was acknowledged survives a loss of power.
//!
//! ```
//! use hayloft::{Actor, FeedDraft, Overwrite, RepackageRequest, Selector, UploadRequest};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let package = hayloft_testkit::upack("", "tools", "1.4.0-rc.1").build();
//! let store = hayloft::open(directory.path())?;
//! let release = Actor::named("release team");
//!
//! store.create_feed(FeedDraft::new("apps", "universal"), &release)?;
//! store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &release)?;
//!
//! let asked = RepackageRequest::new(Selector::ungrouped("tools", "1.4.0-rc.1"), "1.4.0");
//! store.repackage("apps", &asked, &release)?;
//!
//! let mut released = store.download("apps", &Selector::ungrouped("tools", "1.4.0"))?;
//! std::io::copy(&mut released, &mut std::io::sink())?;
//! # Ok(())
//! # }
//! ```
//!
//! Each operation has an example in the [`guide`]. A type that is not built in is a [`FeedType`] of your own, given to [`Store::open`] with
//! [`FeedTypes::with`].

pub mod guide;

use std::path::Path;

pub use hayloft_core::*;
pub use hayloft_feed as feed_type;
pub use hayloft_feed::{
    Coordinates, Digests, FeedType, FeedTypeError, FileRole, HistoryEntry, Limits, Purl,
    Qualifiers, Stability,
};

/// Opens the store in `directory`, or makes one there, with the built-in feed types and the
/// default options.
pub fn open(directory: impl AsRef<Path>) -> Result<Store, OpenError> {
    Store::open(directory, feed_types(), OpenOptions::default())
}

/// The built-in feed types: those whose Cargo feature is on, by default all.
pub fn feed_types() -> FeedTypes {
    let types = FeedTypes::none();
    #[cfg(feature = "debian")]
    let types = types.with(hayloft_debian::Debian);
    #[cfg(feature = "npm")]
    let types = types.with(hayloft_npm::Npm);
    #[cfg(feature = "nuget")]
    let types = types.with(hayloft_nuget::NuGet);
    #[cfg(feature = "pypi")]
    let types = types.with(hayloft_pypi::Pypi);
    #[cfg(feature = "rubygems")]
    let types = types.with(hayloft_rubygems::RubyGems);
    #[cfg(feature = "universal")]
    let types = types.with(hayloft_universal::Universal);
    types
}
