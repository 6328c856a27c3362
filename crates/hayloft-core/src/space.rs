//! How much of the disk must stay free.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Fs, StoreError};

/// Whether a change needs room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// It adds something.
    Needed,
    /// It makes room, or is what the store itself cannot do without.
    Freed,
}

/// The disk of a store, of which a part is left to others, and to deletes.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) fs: Arc<dyn Fs>,
    /// A directory that is there.
    pub(crate) place: PathBuf,
    pub(crate) floor: u64,
    /// Set once a store that is only read has opened.
    pub(crate) read_only: AtomicBool,
}

impl Space {
    /// Fails if nothing may be written.
    pub(crate) fn check_writable(&self) -> Result<(), StoreError> {
        if self.is_read_only() { Err(StoreError::ReadOnly) } else { Ok(()) }
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Acquire)
    }

    /// Fails if nothing may be written, or less than the floor is free.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.check_writable()?;
        let available = self
            .fs
            .available(&self.place)
            .map_err(StoreError::io("find the free space of", &self.place))?;
        if available < self.floor {
            return Err(StoreError::NoSpace { available, floor: self.floor });
        }
        Ok(())
    }
}
