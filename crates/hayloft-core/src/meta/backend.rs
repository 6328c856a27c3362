//! redb's storage over a file of an [`Fs`].

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

use crate::fs::{Fs, FsFile, FsLock};

/// One file of an [`Fs`] as redb's storage; the whole file is locked while redb has it open.
#[derive(Debug)]
pub(super) struct FsBackend {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    file: Mutex<Box<dyn FsFile>>,
    lock: Mutex<Option<Box<dyn FsLock>>>,
}

impl FsBackend {
    /// Over an opened file; `path` is what is locked.
    pub(super) fn new(fs: Arc<dyn Fs>, path: PathBuf, file: Box<dyn FsFile>) -> Self {
        Self { fs, path, file: Mutex::new(file), lock: Mutex::new(None) }
    }

    fn file(&self) -> MutexGuard<'_, Box<dyn FsFile>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, Option<Box<dyn FsLock>>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_whole(start: Bound<u64>, end: Bound<u64>) -> bool {
    matches!(start, Bound::Unbounded | Bound::Included(0)) && end == Bound::Unbounded
}

impl StorageBackend for FsBackend {
    fn len(&self) -> io::Result<u64> {
        self.file().len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut file = self.file();
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file().set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file().sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut file = self.file();
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(data)
    }

    fn close(&self) -> io::Result<()> {
        self.held().take();
        Ok(())
    }

    // redb tries byte ranges first and falls back to the whole file where they are unsupported.
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        if !is_whole(start, end) {
            return Err(BackendError::Unsupported);
        }
        let mut held = self.held();
        if held.is_some() {
            return Ok(false);
        }
        match self.fs.lock(&self.path) {
            Ok(lock) => {
                *held = Some(lock);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(BackendError::Io(error)),
        }
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        if !is_whole(start, end) {
            return Err(BackendError::Unsupported);
        }
        self.held().take();
        Ok(())
    }
}
