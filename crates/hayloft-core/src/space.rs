//! How much of the disk must stay free.

use std::path::PathBuf;
use std::sync::Arc;

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
}

impl Space {
    /// Fails if less than the floor is free.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
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
