//! Contents as files below one directory.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::HEXLOWER;

use super::{BlobKey, BlobRead, BlobStore, Put, StagedFile};
use crate::fs::{Fs, FsEntry};
use crate::mutations::Switches;

/// Contents as read-only files `blobs/XX/YY..`: the first byte of the key in hex is the directory
/// (a shard), the other 31 are the file.
///
/// Staging has to lie on the same file system.
#[derive(Debug)]
pub struct LocalBlobs {
    fs: Arc<dyn Fs>,
    root: PathBuf,
    /// One per shard, held while its names are made durable: a failed flush is reported to one
    /// caller only, and all that come after it must learn of it.
    flushing: Vec<Mutex<()>>,
    failed: AtomicBool,
    switches: Switches,
}

const SHARDS: usize = 256;

impl LocalBlobs {
    /// Makes the directory and its 256 shards, durably; harmless where they exist.
    pub fn create(fs: &Arc<dyn Fs>, root: &Path) -> io::Result<Self> {
        fs.create_directory(root)?;
        if let Some(parent) = root.parent() {
            fs.sync_directory(parent)?;
        }
        Self::open(fs, root)
    }

    /// Opens the directory; `NotFound` if there is none.
    ///
    /// Empty shards that a copying tool left out are made again.
    pub fn open(fs: &Arc<dyn Fs>, root: &Path) -> io::Result<Self> {
        if fs.file_len(root)?.is_none() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("the directory `{}` is missing", root.display()),
            ));
        }
        let found: BTreeSet<u8> = fs.list(root)?.iter().filter_map(shard_of).collect();
        let blobs = Self {
            fs: fs.clone(),
            root: root.to_owned(),
            flushing: (0..SHARDS).map(|_| Mutex::new(())).collect(),
            failed: AtomicBool::new(false),
            switches: Switches::default(),
        };
        let missing: Vec<_> = (0..=u8::MAX)
            .filter(|shard| !found.contains(shard))
            .map(|shard| blobs.shard(shard))
            .collect();
        for shard in &missing {
            fs.create_directory(shard)?;
            fs.sync_directory(shard)?;
        }
        if !missing.is_empty() {
            fs.sync_directory(root)?;
        }
        Ok(blobs)
    }

    /// Leaves out what tests leave out.
    #[must_use]
    pub(crate) fn leaving_out(self, switches: Switches) -> Self {
        Self { switches, ..self }
    }

    /// Where a content lies, there or not.
    pub fn path(&self, key: &BlobKey) -> PathBuf {
        let (shard, rest) = split(key);
        self.root.join(shard).join(rest)
    }

    fn shard(&self, shard: u8) -> PathBuf {
        self.root.join(HEXLOWER.encode(&[shard]))
    }

    fn check(&self) -> io::Result<()> {
        if self.must_reopen() {
            return Err(io::Error::other(
                "an earlier name could not be made durable; open the store again",
            ));
        }
        Ok(())
    }

    fn sync_shard(&self, shard: u8) -> io::Result<()> {
        let Some(flushing) = self.flushing.get(usize::from(shard)) else {
            return self.fs.sync_directory(&self.shard(shard));
        };
        let _flushing = flushing.lock().unwrap_or_else(PoisonError::into_inner);
        self.check()?;
        self.fs.sync_directory(&self.shard(shard)).inspect_err(|_| {
            self.failed.store(true, Ordering::Release);
        })
    }
}

impl BlobStore for LocalBlobs {
    fn put(&self, key: &BlobKey, staged: &StagedFile) -> io::Result<Put> {
        self.check()?;
        let path = self.path(key);
        if staged.file.len()? != staged.size {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the staged file `{}` changed its length", staged.path.display()),
            ));
        }
        // Flushed before it gets its name, so that no name ever leads to missing bytes.
        if self.switches.flush_by_another() {
            self.fs.modify(&staged.path)?.sync_data()?;
        } else {
            staged.file.sync_data()?;
        }
        self.fs.protect(&staged.path)?;
        let existed = self.fs.file_len(&path)?.is_some();
        self.fs.rename(&staged.path, &path)?;
        let [shard, ..] = key.0;
        self.sync_shard(shard)?;
        Ok(if existed { Put::Existed } else { Put::Created })
    }

    fn open(&self, key: &BlobKey) -> io::Result<Box<dyn BlobRead>> {
        Ok(Box::new(self.fs.open(&self.path(key))?))
    }

    fn link(&self, key: &BlobKey, target: &Path) -> io::Result<()> {
        self.fs.link(&self.path(key), target)
    }

    fn size(&self, key: &BlobKey) -> io::Result<Option<u64>> {
        self.fs.file_len(&self.path(key))
    }

    // Not flushed: a file that power loss brings back is one that no row names, and is swept.
    fn delete(&self, key: &BlobKey) -> io::Result<()> {
        self.check()?;
        match self.fs.remove_file(&self.path(key)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn set_aside(&self, key: &BlobKey, target: &Path) -> io::Result<()> {
        self.check()?;
        match self.fs.rename(&self.path(key), target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn list(&self, shard: u8) -> io::Result<Vec<BlobKey>> {
        let found = self.fs.list(&self.shard(shard))?;
        let mut blobs: Vec<_> = found.iter().filter_map(|entry| key_of(shard, entry)).collect();
        blobs.sort_unstable();
        Ok(blobs)
    }

    fn strange(&self) -> io::Result<Vec<PathBuf>> {
        let mut strange = Vec::new();
        for entry in self.fs.list(&self.root)? {
            let path = self.root.join(&entry.name);
            let Some(shard) = shard_of(&entry) else {
                strange.push(path);
                continue;
            };
            for entry in self.fs.list(&path)? {
                if key_of(shard, &entry).is_none() {
                    strange.push(path.join(&entry.name));
                }
            }
        }
        Ok(strange)
    }

    fn must_reopen(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    // Whoever publishes a content whose name may be lost renames it again, and flushes that.
    fn reopen(&self) {
        self.failed.store(false, Ordering::Release);
    }
}

fn split(key: &BlobKey) -> (String, String) {
    let [shard, rest @ ..] = &key.0;
    (HEXLOWER.encode(&[*shard]), HEXLOWER.encode(rest))
}

/// The shard that a directory entry is, if it is one.
fn shard_of(entry: &FsEntry) -> Option<u8> {
    let name = HEXLOWER.decode(entry.name.as_bytes()).ok()?;
    match name.as_slice() {
        [shard] if entry.is_directory => Some(*shard),
        _ => None,
    }
}

/// The key whose content a directory entry is, if its name is one.
fn key_of(shard: u8, entry: &FsEntry) -> Option<BlobKey> {
    if entry.is_directory {
        return None;
    }
    let rest = HEXLOWER.decode(entry.name.as_bytes()).ok()?;
    let rest: [u8; 31] = rest.try_into().ok()?;
    let mut key = [shard; 32];
    let (_, tail) = key.split_first_mut()?;
    tail.copy_from_slice(&rest);
    Some(BlobKey(key))
}
