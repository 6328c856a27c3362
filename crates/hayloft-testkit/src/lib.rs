//! Contract checks and package builders for feed types.
//!
//! [`check`] holds a feed type against everything the store relies on, from purls that read back to
//! damaged files that never panic. Packages that are ZIP, tar, ar or gzip, or such in each other, are
//! also taken apart: no member may go missing by repackaging, and each is damaged by itself, under
//! sums that fit. Run it on your own type:
//!
//! ```no_run
//! # let my_type: Box<dyn hayloft_feed::FeedType> = unimplemented!();
//! # let bytes = Vec::new();
//! hayloft_testkit::check(
//!     &*my_type,
//!     &[hayloft_testkit::Sample::new("zlib-1.3.tgz", bytes)],
//!     "1.3.1",
//! );
//! ```
//!
//! [`check_hostile`] puts before it what strangers send, once a [`Workshop`] says how its packages
//! are put together.
//!
//! The builders make small packages that the ecosystems' own tools install, with equal bytes on
//! every run:
//!
//! ```
//! let package = hayloft_testkit::npm_tgz("@hay/loft", "1.0.0").payload(1024);
//! assert_eq!(package.file_name(), "hay-loft-1.0.0.tgz");
//! assert_eq!(package.build(), package.build());
//! ```
//!
//! This is a crate for tests, benches and demonstrations: what fails panics and says why.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test helper reports by panicking"
)]
#![allow(
    clippy::format_collect,
    clippy::format_push_string,
    reason = "fixtures read better as one template than as a chain of writes"
)]

mod check;
mod damage;
mod hostile;
mod in_memory;
mod members;
mod memory_feed;
mod package;
mod sample;

pub use check::{check, check_order};
pub use hostile::{ODD_PATHS, PATHS_THAT_LEAVE, Workshop, check_hostile};
pub use in_memory::{digests, history_entry, inspect, repackage};
pub use memory_feed::{Got, MemoryFeed};
pub use package::{
    Package, StreamedUpack, deb, gem, npm_tgz, nupkg, sdist, snupkg, streamed_upack, upack, vpack,
    wheel,
};
pub use sample::Sample;
