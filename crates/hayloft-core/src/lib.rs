//! The lower half of the store: ordered rows in redb, contents under their BLAKE3 digest, and the
//! file operations under both.
//!
//! A batch that [`MetaStore::commit`] acknowledged and a content that [`BlobStore::put`] published
//! survive a loss of power; each is all or nothing. Feature `sim` adds a disk in memory that loses
//! power and fails on command. No ecosystem, HTTP or async is known here.

mod blobs;
mod fs;
mod meta;
#[cfg(feature = "sim")]
pub mod sim;

pub use blobs::{BlobKey, BlobRead, BlobStore, LocalBlobs, Put, StagedFile};
pub use fs::{Fs, FsEntry, FsFile, FsLock, RealFs};
pub use meta::{
    Batch, CommitError, Direction, Expect, KeyRange, MetaError, MetaRead, MetaStore, OpenMetaError,
    RedbOptions, RedbStore, RepairProgress, Row, Table,
};
