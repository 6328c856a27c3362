//! Feeds without a server: a folder that any web server serves to the ecosystem's own clients.
//!
//! [`export`] writes what the feed's type answers ([`Native`](hayloft_feed::native::Native)) into a
//! [`Target`], of which [`Folder`] is the one on a disk; [`import`] takes packages out of folders
//! of any kind; [`create`] and [`apply`] carry them from store to store in one file. None of them
//! knows a feed type.

mod bundle;
mod export;
mod folder;
mod import;
mod name;
mod target;

pub use bundle::{
    Applied, ApplyOptions, BundleError, BundleHeader, BundleMark, BundleOptions, KeyError,
    SigningKey, VerifyingKey, apply, create, inspect, sign, signature_path,
};
pub use export::{ExportError, ExportOptions, ExportReport, Exported, Snippet, export, snippet};
pub use folder::{Folder, FolderError};
pub use import::{Fate, ImportError, ImportOptions, ImportReport, import};
pub use name::{TargetName, UnfitName};
pub use target::{Draft, Target};
