//! Placeholder.

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
