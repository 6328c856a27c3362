//! Content-addressed files: all that the store asks of the place where package files lie.

mod local;

pub use local::LocalBlobs;

use std::fmt;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::FsFile;

/// BLAKE3 of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobKey(pub [u8; 32]);

/// A complete file in staging that is not yet published.
#[derive(Debug, Clone)]
pub struct StagedFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Length in bytes.
    pub size: u64,
    /// The descriptor that wrote it: the one that is told if a byte of it could not be written.
    pub file: Arc<dyn FsFile>,
}

/// What publishing found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The content was new.
    Created,
    /// The same content was there; it was replaced by the verified bytes.
    Existed,
}

/// A blob being read; verified by the caller where it matters.
pub trait BlobRead: Read + Seek + Send {}
impl<T: Read + Seek + Send> BlobRead for T {}

/// The place where contents lie under their hash.
pub trait BlobStore: fmt::Debug + Send + Sync + 'static {
    /// Publishes a staged file; durable, name included, when this returns `Ok`.
    fn put(&self, key: &BlobKey, staged: &StagedFile) -> io::Result<Put>;
    /// Opens a content; `NotFound` if it is not there.
    fn open(&self, key: &BlobKey) -> io::Result<Box<dyn BlobRead>>;
    /// Gives a content a second name outside, which must not be there; an error where that cannot
    /// be, and then the content has to be copied.
    fn link(&self, key: &BlobKey, target: &Path) -> io::Result<()> {
        let _ = (key, target);
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Length of a content, or `None`.
    fn size(&self, key: &BlobKey) -> io::Result<Option<u64>>;
    /// Removes a content; a missing one is no error.
    fn delete(&self, key: &BlobKey) -> io::Result<()>;
    /// Takes a content away to where a person may still find it; a missing one is no error.
    fn set_aside(&self, key: &BlobKey, target: &Path) -> io::Result<()> {
        let _ = target;
        self.delete(key)
    }
    /// Contents of one of the 256 shards (first byte of the key), in key order.
    fn list(&self, shard: u8) -> io::Result<Vec<BlobKey>>;
    /// Everything that lies among the contents and is none, sorted.
    fn strange(&self) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }
    /// True once a name could not be made durable: nothing more may be published or removed until
    /// the store is opened anew.
    fn must_reopen(&self) -> bool {
        false
    }
    /// Begins anew after that: no row names what did not become durable.
    fn reopen(&self) {}
}
