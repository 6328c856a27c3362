//! A backup made into a store again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lock::{DirectoryInUse, LOCK_FILE, lock};
use super::manifest::{self, Manifest};
use super::rows_copy::{RedbSink, copy_rows};
use super::{BLOBS, BackupSummary, bring, each_content};
use crate::codec;
use crate::fs::OverlayFs;
use crate::layout::Layout;
use crate::records::FormatRecord;
use crate::store::FORMAT_ROW;
use crate::{
    BlobStore, Fs, LocalBlobs, MetaStore, OpenMetaError, RedbOptions, RedbStore, StoreError, tables,
};

/// No release makes this name in a store: while it is there without `FORMAT`, nobody takes the
/// directory for a store or for a place to make one.
const MARKER: &str = "restoring";
const MARKER_DRAFT: &str = "restoring.new";

/// A backup was not restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// There is no backup.
    #[error("`{}` holds no backup", directory.display())]
    NotABackup {
        /// The directory.
        directory: PathBuf,
    },
    /// The first run of the backup was never completed.
    #[error("the backup `{}` is incomplete; run it again", directory.display())]
    Incomplete {
        /// The directory.
        directory: PathBuf,
    },
    /// The target has other things in it.
    #[error("`{}` is not empty; name an empty or new directory", directory.display())]
    NotEmpty {
        /// The directory.
        directory: PathBuf,
    },
    /// Another process is at the backup or at the target.
    #[error(transparent)]
    InUse(#[from] DirectoryInUse),
    /// The rows are not those that were backed up.
    #[error("the metadata of the backup `{}` is damaged", directory.display())]
    Damaged {
        /// The directory.
        directory: PathBuf,
    },
    /// A metadata file could not be opened or made.
    #[error("the metadata could not be opened")]
    Meta(#[from] OpenMetaError),
    /// A directory failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a store in `directory` out of a backup, which stays as it is: nothing is shared between
/// them. A run that was broken off is gone on with. Every byte is verified.
pub fn restore(
    fs: &Arc<dyn Fs>,
    backup: impl AsRef<Path>,
    directory: impl AsRef<Path>,
) -> Result<BackupSummary, RestoreError> {
    let (backup, directory) = (backup.as_ref(), directory.as_ref());
    if manifest::owner(fs.as_ref(), backup)?.is_none() {
        return Err(RestoreError::NotABackup { directory: backup.to_owned() });
    }
    // The backup may lie on a medium that nobody can write, and opening its rows may write.
    let source: Arc<dyn Fs> = Arc::new(OverlayFs::new(fs.clone()));
    let _source_lock = lock::<RestoreError>(&source, backup)?;
    let Some(manifest) = Manifest::read(fs.as_ref(), backup)? else {
        return Err(RestoreError::Incomplete { directory: backup.to_owned() });
    };
    let marker = directory.join(MARKER);
    let wanted = format!("{} {}\n", manifest.store, manifest.root);
    match manifest::read(fs.as_ref(), &marker)? {
        Some(found) if found == wanted.as_bytes() => {}
        Some(_) => return Err(RestoreError::NotEmpty { directory: directory.to_owned() }),
        None => {
            let names = fs.list(directory).map_err(StoreError::io("list", directory))?;
            let own = [MARKER_DRAFT, LOCK_FILE];
            if names.iter().any(|entry| !own.contains(&entry.name.as_str())) {
                return Err(RestoreError::NotEmpty { directory: directory.to_owned() });
            }
            fs.create_directory(directory).map_err(StoreError::io("create", directory))?;
        }
    }
    let _lock = lock::<RestoreError>(fs, directory)?;
    let layout = Layout { root: directory.to_owned() };
    let is_complete = layout.has_format(fs.as_ref())?;
    let summary = if is_complete {
        // Somebody may have opened it since.
        BackupSummary {
            rows: manifest.tables.iter().map(|(_, rows)| rows).sum(),
            contents: manifest.contents,
            bytes: manifest.bytes,
            kept: manifest.contents,
            root: manifest.root,
            ..BackupSummary::default()
        }
    } else {
        manifest::write(fs.as_ref(), directory, MARKER_DRAFT, MARKER, wanted.as_bytes())?;
        let summary = bring_all(fs, &source, backup, &manifest, directory)?;
        layout.write_format(fs.as_ref())?;
        summary
    };
    manifest::remove_if_there(fs.as_ref(), &marker)?;
    fs.sync_directory(directory).map_err(StoreError::io("flush", directory))?;
    Ok(summary)
}

fn bring_all(
    fs: &Arc<dyn Fs>,
    source_fs: &Arc<dyn Fs>,
    backup: &Path,
    manifest: &Manifest,
    directory: &Path,
) -> Result<BackupSummary, RestoreError> {
    let layout = Layout { root: directory.to_owned() };
    layout.make_directories(fs.as_ref())?;
    let source = backup.join(manifest::metadata_name(manifest.number));
    let source = RedbStore::open(source_fs, &source, &RedbOptions::default())?;
    let read = source.snapshot(&[]).map_err(StoreError::from)?;
    let mut timeline = [0; 16];
    getrandom::fill(&mut timeline).map_err(|error| {
        StoreError::io("make random bytes for", directory)(io::Error::other(error))
    })?;
    manifest::remove_if_there(fs.as_ref(), &layout.meta())?;
    let mut sink = RedbSink::create(fs, &layout.meta())?;
    let copied = copy_rows(read.as_ref(), |table, key, value| {
        let mut value = value.to_vec();
        if table == tables::META && key == FORMAT_ROW {
            // What was changed after the backup has been seen by clients and is gone: their
            // validators must not match.
            if let Ok(format) = codec::decode::<FormatRecord>(table, key, &value) {
                value = codec::encode(table, key, &FormatRecord { timeline, ..format })?;
            }
        }
        sink.put(table, key, value)
    })?;
    sink.finish()?;
    if copied.root.to_hex().as_str() != manifest.root {
        manifest::remove_if_there(fs.as_ref(), &layout.meta())?;
        return Err(RestoreError::Damaged { directory: backup.to_owned() });
    }
    let mut summary = BackupSummary {
        rows: copied.rows(),
        root: manifest.root.clone(),
        ..BackupSummary::default()
    };
    let from = backup.join(BLOBS);
    let from = LocalBlobs::open(source_fs, &from).map_err(StoreError::io("open", &from))?;
    let root = layout.blobs();
    let to = LocalBlobs::create(fs, &root).map_err(StoreError::io("create", &root))?;
    let draft = layout.tmp().join(super::DRAFT);
    each_content(read.as_ref(), |key, record| {
        summary.contents += 1;
        summary.bytes = summary.bytes.saturating_add(record.size);
        if to.size(&key).map_err(StoreError::io("read", &root))? == Some(record.size) {
            summary.kept += 1;
        } else if !bring(fs, &from, &to, &key, &draft)? {
            summary.lost += 1;
        }
        Ok(())
    })?;
    Ok(summary)
}
