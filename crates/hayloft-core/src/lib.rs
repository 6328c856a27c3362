//! The durable store under Hayloft: feeds, packages and their files, in one directory.
//!
//! A [`Store`] keeps metadata in redb and package files under their BLAKE3 digest. A change that
//! was acknowledged survives a loss of power; each is all or nothing, for readers too. The store
//! knows no ecosystem: it is opened with the [`FeedTypes`] it is to serve, and compares the bytes
//! that these derive from names and versions. It leaves out HTTP, permissions and async.
//!
//! Below lie three traits: ordered rows ([`MetaStore`]), contents under their digest
//! ([`BlobStore`]) and files ([`Fs`]). Feature `sim` adds a disk in memory that loses power and
//! fails on command.

mod actor;
mod backup;
mod blob_rows;
mod blobs;
mod codec;
mod collection;
mod convert;
mod downloads;
mod error;
mod feed;
mod feed_types;
mod file_rows;
mod fragments;
mod fs;
mod groups;
mod hashing;
mod index;
mod inline_rows;
mod inspections;
mod layout;
mod log;
mod maintenance;
mod merge;
mod meta;
mod metrics;
mod mutations;
mod operation;
mod options;
mod own_rows;
mod package;
mod pins;
mod plan;
mod publish;
mod reading;
mod records;
mod resolve;
mod rows;
mod rows_pager;
mod scrub;
mod select;
#[cfg(feature = "sim")]
pub mod sim;
mod small;
mod space;
mod staging;
mod store;
mod storing;
mod tables;
mod text;
mod timestamp;
mod versions;
mod watch;
mod writer;

pub use actor::Actor;
pub use backup::{BackupError, BackupSummary, DirectoryInUse, RestoreError, back_up, restore};
pub use blobs::{BlobKey, BlobRead, BlobStore, LocalBlobs, Put, StagedFile};
pub use error::{LookupError, NoSuchFeed, StoreError, UnknownFeedType};
pub use feed::{
    Activity, DeleteMode, Feed, FeedDraft, FeedError, FeedSettings, FeedStats, Overwriting,
};
pub use feed_types::FeedTypes;
pub use fs::{Fs, FsEntry, FsFile, FsLock, RealFs};
pub use layout::CONTROL_SOCKET;
#[cfg(feature = "sim")]
pub use log::LogMutations;
pub use log::{Checkpoints, Commits, DamagedLog, LogError, LogOptions, LogPlaces, Logged};
pub use meta::{
    Batch, CommitError, Direction, Done, Expect, KeyRange, MetaError, MetaRead, MetaStore,
    MetaTurn, OpenMetaError, ReadThrough, RedbOptions, RedbStore, RepairProgress, Row, Table,
    Visit, Want,
};
pub use metrics::{LogMetrics, Metrics};
#[cfg(feature = "sim")]
pub use mutations::StoreMutations;
pub use operation::*;
pub use options::{Background, Create, OpenMode, OpenOptions, VerifyOnRead};
pub use package::{Allow, Deprecation, FileId, Listing, Origin, PackageFile, PackageInfo, Status};
pub use rows_pager::Rows;
pub use select::{SelectError, Selector, Wanted};
pub use staging::{Staged, Staging, StagingError};
pub use store::{OpenError, Opened, Parts, Store};
pub use text::{Kept, TooLong, Unit};
pub use timestamp::{Clock, ManualClock, SystemClock, Timestamp};
pub use watch::Progress;
