//! Feeds without a server: a folder that any web server serves to the ecosystem's own clients.
//!
//! [`export`] writes what the feed's type answers ([`Native`](hayloft_feed::native::Native)) into a
//! [`Target`], of which [`Folder`] is the one on a disk. It knows no feed type.

mod export;
mod folder;
mod name;
mod target;

pub use export::{ExportError, ExportOptions, ExportReport, Exported, Snippet, export, snippet};
pub use folder::{Folder, FolderError};
pub use name::{TargetName, UnfitName};
pub use target::{Draft, Target};
