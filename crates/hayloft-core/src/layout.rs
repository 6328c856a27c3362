//! The store's directory: what lies where, and which format it has.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Create, Fs, FsLock, OpenError, OpenMode, Opened, StoreError};

/// The format that this release writes, and the newest that it reads.
pub(crate) const FORMAT: u32 = 3;
/// The oldest format that this release reads: no release has written an older one.
pub(crate) const OLDEST_FORMAT: u32 = 3;

const FORMAT_FILE: &str = "FORMAT";
const FORMAT_DRAFT: &str = "FORMAT.new";
const LOCK_FILE: &str = "LOCK";
/// Where a program that holds a store may listen for others on the same machine, which then ask it
/// in place of opening the store: a socket in the store's directory. The store itself makes none.
pub const CONTROL_SOCKET: &str = "control";
/// All names that making a store leaves before it is complete.
const OWN_NAMES: [&str; 12] = [
    FORMAT_FILE,
    FORMAT_DRAFT,
    LOCK_FILE,
    "blobs",
    "meta.redb",
    "meta.redb.new",
    "meta.log",
    "meta.log.new",
    "tmp",
    "quarantine",
    "trash",
    "dl.log",
];

/// The places in a store's directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
}

impl Layout {
    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(crate) fn meta(&self) -> PathBuf {
        self.root.join("meta.redb")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("meta.log")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(crate) fn epoch(&self, epoch: u64) -> PathBuf {
        self.tmp().join(epoch.to_string())
    }

    pub(crate) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    pub(crate) fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// True if the store's own directory holds a name that no release makes there.
    pub(crate) fn is_own(name: &str) -> bool {
        OWN_NAMES.contains(&name) || ["dl.new", CONTROL_SOCKET].contains(&name)
    }

    /// Finds the store, or prepares the directory for one, and takes the lock.
    pub(crate) fn enter(
        &self,
        fs: &Arc<dyn Fs>,
        create: Create,
        mode: OpenMode,
    ) -> Result<(Opened, Box<dyn FsLock>), OpenError> {
        let failed = |action, error| StoreError::io(action, &self.root)(error);
        let format = read_format(fs.as_ref(), &self.root)?;
        let opened = match format {
            // Its rows tell whether it can be read.
            Some(found) if found > FORMAT && mode == OpenMode::ReadWrite => {
                return Err(OpenError::NewerFormat { found, known: FORMAT });
            }
            Some(found) if found < OLDEST_FORMAT => {
                return Err(OpenError::OlderFormat { found, known: OLDEST_FORMAT });
            }
            Some(_) => Opened::Existing,
            None if create == Create::Never => {
                return Err(OpenError::Missing { directory: self.root.clone() });
            }
            None => Opened::Created,
        };
        let names = fs.list(&self.root).map_err(|error| failed("list", error))?;
        if opened == Opened::Created && names.iter().any(|entry| !Self::is_own(&entry.name)) {
            return Err(OpenError::NotAStore { directory: self.root.clone() });
        }
        if opened == Opened::Created {
            fs.create_directory(&self.root).map_err(|error| failed("create", error))?;
        }
        let network =
            fs.network_file_system(&self.root).map_err(|error| failed("examine", error))?;
        if let Some(kind) = network {
            return Err(OpenError::Network { directory: self.root.clone(), kind });
        }
        let lock = fs.lock(&self.root.join(LOCK_FILE)).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::InUse { directory: self.root.clone() },
            _ => failed("lock", error).into(),
        })?;
        Ok((opened, lock))
    }

    /// Makes the directories; harmless where they exist.
    pub(crate) fn make_directories(&self, fs: &dyn Fs) -> Result<(), StoreError> {
        for directory in [self.tmp(), self.quarantine(), self.trash()] {
            fs.create_directory(&directory).map_err(StoreError::io("create", &directory))?;
        }
        fs.sync_directory(&self.root).map_err(StoreError::io("flush", &self.root))
    }

    /// True once the store was declared complete.
    pub(crate) fn has_format(&self, fs: &dyn Fs) -> Result<bool, StoreError> {
        let path = self.root.join(FORMAT_FILE);
        Ok(fs.file_len(&path).map_err(StoreError::io("read", &path))?.is_some())
    }

    /// Declares the store complete.
    pub(crate) fn write_format(&self, fs: &dyn Fs) -> Result<(), StoreError> {
        let draft = self.root.join(FORMAT_DRAFT);
        let failed = |error| StoreError::io("write", &draft)(error);
        match fs.remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut file = fs.create(&draft).map_err(failed)?;
        file.write_all(format!("hayloft {FORMAT}\n").as_bytes()).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        drop(file);
        let path = self.root.join(FORMAT_FILE);
        fs.rename(&draft, &path).map_err(StoreError::io("rename", &draft))?;
        fs.sync_directory(&self.root).map_err(StoreError::io("flush", &self.root))?;
        // The directory itself may be new; its parent need not be the store's to flush.
        if let Some(parent) = self.root.parent().filter(|parent| *parent != Path::new("")) {
            fs.sync_directory(parent).map_err(StoreError::io("flush", parent))?;
        }
        Ok(())
    }
}

/// Removes a file, or a directory with all in it.
pub(crate) fn remove(fs: &dyn Fs, path: &Path, is_directory: bool) -> Result<(), StoreError> {
    let failed = |error| StoreError::io("remove", path)(error);
    if !is_directory {
        return fs.remove_file(path).map_err(failed);
    }
    for entry in fs.list(path).map_err(failed)? {
        remove(fs, &path.join(&entry.name), entry.is_directory)?;
    }
    fs.remove_directory(path).map_err(failed)
}

/// The format that a directory declares; `None` without a declaration.
fn read_format(fs: &dyn Fs, root: &Path) -> Result<Option<u32>, OpenError> {
    let path = root.join(FORMAT_FILE);
    let failed = |error| StoreError::io("read", &path)(error);
    if fs.file_len(&path).map_err(failed)?.is_none() {
        return Ok(None);
    }
    let mut text = Vec::new();
    let file = fs.open(&path).map_err(failed)?;
    io::copy(&mut file.take(64), &mut text).map_err(failed)?;
    let text = String::from_utf8_lossy(&text);
    let number = text.trim_end().strip_prefix("hayloft ").and_then(|number| number.parse().ok());
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(OpenError::NotAStore { directory: root.to_owned() }),
    }
}
