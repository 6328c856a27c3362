//! A copy of a whole store: made while the store is in use, and made into a store again.

mod lock;
mod manifest;
mod restore;
mod rows_copy;

pub use lock::DirectoryInUse;
pub use restore::{RestoreError, restore};

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;

use crate::codec::{self, shown};
use crate::records::{BlobRecord, BlobState, Place};
use crate::store::Inner;
use crate::{
    BlobKey, BlobStore, Fs, LocalBlobs, MetaRead, OpenMetaError, OpenMode, StagedFile, Store,
    StoreError, rows, tables,
};
use lock::lock;
use manifest::Manifest;
use rows_copy::{RedbSink, copy_rows};

const BLOBS: &str = "blobs";
/// Where a content lies until it is complete.
const DRAFT: &str = "content.new";

/// What a backup holds, or what was restored from one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupSummary {
    /// Rows of metadata.
    pub rows: u64,
    /// Package files that lie in files of their own.
    pub contents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that an earlier run had brought already.
    pub kept: u64,
    /// Those that were linked, not copied.
    pub linked: u64,
    /// Those that are missing or damaged at the source; named in the log.
    pub lost: u64,
    /// BLAKE3 over all rows in order, in hexadecimal. Rows name contents by their own BLAKE3, so
    /// two backups with equal roots hold the same.
    pub root: String,
}

/// A store was not backed up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The directory has files of another kind.
    #[error(
        "`{}` is not empty and holds no backup; name an empty or new directory",
        directory.display()
    )]
    NotABackup {
        /// The directory.
        directory: PathBuf,
    },
    /// It is the backup of another store.
    #[error("`{}` holds a backup of another store; name another directory", directory.display())]
    OtherStore {
        /// The directory.
        directory: PathBuf,
    },
    /// Another run is at it.
    #[error(transparent)]
    InUse(#[from] DirectoryInUse),
    /// The copy of the metadata could not be made.
    #[error("the copy of the metadata could not be made")]
    Meta(#[from] OpenMetaError),
    /// The store or the directory failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies a store, which may be in use, into a directory; what an earlier run has brought there is
/// kept, and package files are linked where the file system can.
///
/// The backup is of one moment: all that was acknowledged before the call is in it. Until a run is
/// complete the directory holds the backup of the run before. Nothing is collected in the store
/// meanwhile.
pub fn back_up(store: &Store, directory: impl AsRef<Path>) -> Result<BackupSummary, BackupError> {
    let inner = &store.inner;
    let directory = directory.as_ref();
    if inner.options.mode == OpenMode::ReadOnly {
        return Err(StoreError::ReadOnly.into());
    }
    let fs = &inner.fs;
    let identity = HEXLOWER.encode(&store.id());
    manifest::check_owner(fs.as_ref(), directory, &identity)?;
    let _lock = lock::<BackupError>(fs, directory)?;
    manifest::own(fs.as_ref(), directory, &identity)?;
    let before = Manifest::read(fs.as_ref(), directory)?;

    let _lease = inner.hold_collection();
    if let Err(error) = inner.context.downloads.flush(&inner.writer) {
        tracing::warn!(%error, "the backup is without the latest counts of downloads");
    }
    let snapshot = inner.snapshot()?;
    let read = snapshot.as_ref();
    let mut summary = BackupSummary::default();
    bring_contents(inner, read, directory, &mut summary)?;

    let number = before.as_ref().map_or(0, |before| before.number).saturating_add(1);
    let name = manifest::metadata_name(number);
    let path = directory.join(&name);
    manifest::remove_if_there(fs.as_ref(), &path)?;
    let mut sink = RedbSink::create(fs, &path)?;
    let copied = copy_rows(read, |table, key, value| sink.put(table, key, value.to_vec()))?;
    sink.finish()?;
    summary.rows = copied.rows();
    summary.root = copied.root.to_hex().to_string();
    let manifest = Manifest {
        number,
        store: identity,
        taken: inner.options.clock.now().millis(),
        tables: copied.tables,
        contents: summary.contents,
        bytes: summary.bytes,
        lost: summary.lost,
        root: summary.root.clone(),
    };
    manifest.write(fs.as_ref(), directory)?;
    prune(fs, read, directory, &name)?;
    Ok(summary)
}

/// Brings the package files that rows name; of those that are being removed none is needed.
fn bring_contents(
    inner: &Inner,
    read: &dyn MetaRead,
    directory: &Path,
    summary: &mut BackupSummary,
) -> Result<(), StoreError> {
    let fs = &inner.fs;
    let root = directory.join(BLOBS);
    let target = LocalBlobs::create(fs, &root).map_err(StoreError::io("create", &root))?;
    let mut touched = [false; 256];
    each_content(read, |key, record| {
        summary.contents += 1;
        summary.bytes = summary.bytes.saturating_add(record.size);
        let path = target.path(&key);
        match target.size(&key).map_err(StoreError::io("read", &path))? {
            Some(size) if size == record.size => {
                summary.kept += 1;
                return Ok(());
            }
            Some(_) => manifest::remove_if_there(fs.as_ref(), &path)?,
            None => {}
        }
        let [shard, ..] = key.0;
        if inner.blobs.size(&key).ok().flatten() == Some(record.size)
            && inner.blobs.link(&key, &path).is_ok()
        {
            if let Some(touched) = touched.get_mut(usize::from(shard)) {
                *touched = true;
            }
            summary.linked += 1;
            return Ok(());
        }
        if !bring(fs, inner.blobs.as_ref(), &target, &key, &directory.join(DRAFT))? {
            summary.lost += 1;
        }
        Ok(())
    })?;
    for (shard, _) in (0..=u8::MAX).zip(touched).filter(|(_, touched)| *touched) {
        let shard = root.join(HEXLOWER.encode(&[shard]));
        fs.sync_directory(&shard).map_err(StoreError::io("flush", &shard))?;
    }
    Ok(())
}

/// Calls `visit` for all contents that have to lie in a file.
fn each_content(
    read: &dyn MetaRead,
    mut visit: impl FnMut(BlobKey, &BlobRecord) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    rows::each(read, tables::BLOB, &[], |key, value| {
        let Ok(blob) = <[u8; 32]>::try_from(key) else { return Ok(()) };
        let record = codec::decode::<BlobRecord>(tables::BLOB, key, value);
        // A damaged row is copied as it is; verification says so here and there.
        let Some(record) = rows::left_out(record)? else { return Ok(()) };
        if record.place != Place::File || record.state == BlobState::Deleting {
            return Ok(());
        }
        visit(BlobKey(blob), &record)
    })
}

/// Copies a content under its digest; false if it is not there or not what its name says.
fn bring(
    fs: &Arc<dyn Fs>,
    source: &dyn BlobStore,
    target: &LocalBlobs,
    key: &BlobKey,
    draft: &Path,
) -> Result<bool, StoreError> {
    let what = shown(&key.0);
    let mut from = match source.open(key) {
        Ok(from) => from,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::error!(content = %what, "a content is missing and was not copied");
            return Ok(false);
        }
        Err(error) => return Err(StoreError::io("open", what)(error)),
    };
    manifest::remove_if_there(fs.as_ref(), draft)?;
    let failed = |error| StoreError::io("write", draft)(error);
    let mut file = fs.create(draft).map_err(failed)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0_u64;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(StoreError::io("read", what)(error)),
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        hasher.update(bytes);
        file.write_all(bytes).map_err(failed)?;
        size += bytes.len() as u64;
    }
    if hasher.finalize().as_bytes() != &key.0 {
        tracing::error!(content = %what, "a content is damaged and was not copied");
        drop(file);
        manifest::remove_if_there(fs.as_ref(), draft)?;
        return Ok(false);
    }
    let staged = StagedFile { path: draft.to_owned(), size, file: Arc::from(file) };
    target.put(key, &staged).map_err(StoreError::io("copy", what))?;
    Ok(true)
}

/// Removes what only earlier runs needed.
fn prune(
    fs: &Arc<dyn Fs>,
    read: &dyn MetaRead,
    directory: &Path,
    metadata: &str,
) -> Result<(), StoreError> {
    for entry in fs.list(directory).map_err(StoreError::io("list", directory))? {
        let is_old = manifest::is_metadata(&entry.name) && entry.name != metadata;
        if is_old || entry.name == DRAFT {
            manifest::remove_if_there(fs.as_ref(), &directory.join(&entry.name))?;
        }
    }
    let root = directory.join(BLOBS);
    let failed = |error| StoreError::io("remove from", &root)(error);
    let blobs = LocalBlobs::open(fs, &root).map_err(failed)?;
    for shard in 0..=u8::MAX {
        for key in blobs.list(shard).map_err(failed)? {
            if read.get(tables::BLOB, &key.0)?.is_none() {
                blobs.delete(&key).map_err(failed)?;
            }
        }
    }
    Ok(())
}
