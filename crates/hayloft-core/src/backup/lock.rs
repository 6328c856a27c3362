use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Fs, FsLock, StoreError};

pub(super) const LOCK_FILE: &str = "LOCK";

/// Another run is at the directory of a backup, or makes a store in it.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is in use by another process", directory.display())]
pub struct DirectoryInUse {
    /// The directory.
    pub directory: PathBuf,
}

/// Keeps other runs out as long as the answer lives.
pub(super) fn lock<E>(fs: &Arc<dyn Fs>, directory: &Path) -> Result<Box<dyn FsLock>, E>
where
    E: From<DirectoryInUse> + From<StoreError>,
{
    fs.lock(&directory.join(LOCK_FILE)).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => DirectoryInUse { directory: directory.to_owned() }.into(),
        _ => StoreError::io("lock", directory)(error).into(),
    })
}
