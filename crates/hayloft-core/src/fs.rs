//! The file operations that the store is built from, and their one production implementation.

mod mounts;
mod overlay;
mod real;

pub(crate) use overlay::OverlayFs;
pub use real::RealFs;

use std::fmt;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// A file opened through an [`Fs`].
pub trait FsFile: Read + Write + Seek + Send + Sync + fmt::Debug {
    /// Makes the file's bytes and length durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// True if the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts or extends the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsEntry {
    /// Name without its directory.
    pub name: String,
    /// True for a directory.
    pub is_directory: bool,
}

/// Every operation by which the store touches its directory.
///
/// The store relies on this and no more: a write is durable after `sync_data` of its file, a name
/// (made, renamed or removed) after `sync_directory` of its parent.
pub trait Fs: fmt::Debug + Send + Sync + 'static {
    /// Creates a file that must not exist; readable and writable.
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;
    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;
    /// Opens an existing file for reading and for writing in place.
    fn modify(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;
    /// Opens a file for reading and appending, creating it if it is missing.
    fn append(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;
    /// Length of a file, or `None` if there is no such name.
    fn file_len(&self, path: &Path) -> io::Result<Option<u64>>;
    /// Renames a file over whatever has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name, which must not be there; an error where that cannot be.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Creates a directory and its missing parents; an existing one is no error.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;
    /// Makes names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Names in a directory, sorted; empty if the directory is missing. Nothing is asked of each
    /// file, since there may be very many.
    fn list(&self, path: &Path) -> io::Result<Vec<FsEntry>>;
    /// Makes a file read-only.
    fn protect(&self, path: &Path) -> io::Result<()>;
    /// Bytes that can still be written below `path`; [`u64::MAX`] where that cannot be known.
    fn available(&self, path: &Path) -> io::Result<u64>;
    /// The kind of network file system that `path` lies on, such as `nfs`; `None` if it is local.
    ///
    /// Locks and flushes over a network do not keep the store's promises, so opening refuses such
    /// a place unless forced.
    fn network_file_system(&self, path: &Path) -> io::Result<Option<String>>;
    /// Takes the exclusive lock on a lock file until the guard is dropped; `WouldBlock` if another
    /// process (or this one) holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FsLock>>;
    /// Drops what the system keeps in memory of a file beside what its medium has, so that who reads
    /// it next sees that; of use after a flush has failed.
    fn forget_cached(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }
    /// The place as a real path, if it is one (for redb's own file backend).
    fn real_path(&self, path: &Path) -> Option<PathBuf>;
}

/// Held as long as the store owns its directory.
pub trait FsLock: Send + Sync + fmt::Debug {}
