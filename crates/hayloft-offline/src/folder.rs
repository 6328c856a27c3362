use std::collections::BTreeSet;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fs_err as fs;
use hayloft_feed::Limits;

use crate::name::OWN;
use crate::{Draft, Target, TargetName};

const DRAFTS: &str = "drafts";
const CHUNK: usize = 64 << 10;

/// A folder on a disk, held by one export at a time.
#[derive(Debug)]
pub struct Folder {
    inner: Arc<Inner>,
    /// Held as long as this is.
    _lock: fs::File,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    next: AtomicU64,
    /// Directories whose entries changed since the last flush.
    unsettled: Mutex<BTreeSet<PathBuf>>,
}

/// A folder cannot take an export.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// There is something in it that no export wrote.
    #[error(
        "`{}` is not empty and holds no export; name an empty or new folder", folder.display()
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
    },
    /// Another export writes to it.
    #[error("another export writes to `{}`; wait for it", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The disk failed.
    #[error("the folder `{}` cannot be written", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Folder {
    /// A folder that is new, empty, or holds an export.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, FolderError> {
        let root = folder.as_ref().to_owned();
        let io = |source| FolderError::Io { folder: root.clone(), source };
        fs::create_dir_all(&root).map_err(io)?;
        let own = root.join(OWN);
        if !own.is_dir() && fs::read_dir(&root).map_err(io)?.next().is_some() {
            return Err(FolderError::Foreign { folder: root });
        }
        fs::create_dir_all(&own).map_err(io)?;
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(own.join("lock"))
            .map_err(io)?;
        match lock.file().try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(FolderError::InUse { folder: root });
            }
            Err(std::fs::TryLockError::Error(source)) => return Err(io(source)),
        }
        // What an export that did not end left there.
        let drafts = own.join(DRAFTS);
        if drafts.exists() {
            fs::remove_dir_all(&drafts).map_err(io)?;
        }
        fs::create_dir(&drafts).map_err(io)?;
        let unsettled = Mutex::new(BTreeSet::from([own, root.clone()]));
        let inner = Inner { root, next: AtomicU64::new(0), unsettled };
        Ok(Self { inner: Arc::new(inner), _lock: lock })
    }
}

impl Inner {
    fn path(&self, name: &TargetName) -> PathBuf {
        name.below(&self.root)
    }

    fn changed(&self, directory: &Path) {
        let mut unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        unsettled.insert(directory.to_owned());
    }

    /// Makes the directories above a file.
    fn make_room(&self, directory: &Path) -> io::Result<()> {
        if directory.is_dir() {
            return Ok(());
        }
        if let Some(above) = directory.parent().filter(|above| above.starts_with(&self.root)) {
            self.make_room(above)?;
            self.changed(above);
        }
        match fs::create_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {
                Ok(())
            }
            made => made,
        }
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl Target for Folder {
    fn draft(&self) -> io::Result<Box<dyn Draft>> {
        let number = self.inner.next.fetch_add(1, Ordering::Relaxed);
        let path = self.inner.root.join(OWN).join(DRAFTS).join(number.to_string());
        let file = fs::OpenOptions::new().create_new(true).write(true).open(&path)?;
        let file = io::BufWriter::with_capacity(CHUNK, file);
        Ok(Box::new(FolderDraft { inner: self.inner.clone(), file, path: Some(path) }))
    }

    fn read(&self, name: &TargetName, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let mut file = match fs::File::open(self.inner.path(name)) {
            Err(error) if absent(&error) => return Ok(None),
            file => file?,
        };
        Limits::read(&mut file, limit).map(Some).map_err(io::Error::other)
    }

    fn show(&self, name: &TargetName, visit: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        let mut file = match fs::File::open(self.inner.path(name)) {
            Err(error) if absent(&error) => return Ok(false),
            file => file?,
        };
        let mut buffer = vec![0; CHUNK];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(read) => visit(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn length(&self, name: &TargetName) -> io::Result<Option<u64>> {
        match fs::symlink_metadata(self.inner.path(name)) {
            Ok(about) => Ok(about.is_file().then_some(about.len())),
            Err(error) if absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn remove(&self, name: &TargetName) -> io::Result<()> {
        let path = self.inner.path(name);
        match fs::remove_file(&path) {
            Err(error) if absent(&error) => {}
            removed => removed?,
        }
        // Folders that nothing lies in any more would be listed by some servers.
        let mut above = path.parent();
        while let Some(directory) = above.filter(|directory| **directory != self.inner.root) {
            self.inner.changed(directory);
            if fs::remove_dir(directory).is_err() {
                break;
            }
            above = directory.parent();
        }
        self.inner.changed(above.unwrap_or(&self.inner.root));
        Ok(())
    }

    fn list(&self, visit: &mut dyn FnMut(&TargetName) -> io::Result<()>) -> io::Result<()> {
        let mut waiting = vec![String::new()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(self.inner.root.join(&directory))? {
                let entry = entry?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                let slash = if directory.is_empty() { "" } else { "/" };
                let name = format!("{directory}{slash}{name}");
                if entry.file_type()?.is_dir() {
                    if name != format!("{OWN}/{DRAFTS}") {
                        waiting.push(name);
                    }
                } else if let Some(own) = name.strip_prefix(&format!("{OWN}/")) {
                    visit(&TargetName::own(own))?;
                } else if let Ok(name) = TargetName::of_text(&name) {
                    visit(&name)?;
                }
            }
        }
        Ok(())
    }

    fn settle(&self) -> io::Result<()> {
        let unsettled = {
            let mut unsettled = self.inner.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *unsettled)
        };
        for directory in unsettled {
            // Windows has no directories to flush.
            if cfg!(unix) {
                match fs::File::open(&directory) {
                    Err(error) if absent(&error) => {}
                    opened => opened?.sync_all()?,
                }
            }
        }
        Ok(())
    }
}

/// Has a file be a second younger at least than the one whose place it takes: many servers and
/// clients, python's and apt among them, tell by whole seconds whether a file has changed.
fn follow(file: &std::fs::File, to: &Path) -> io::Result<()> {
    let before = match fs::symlink_metadata(to) {
        Ok(about) if about.is_file() => about.modified()?,
        Err(error) if !absent(&error) => return Err(error),
        _ => return Ok(()),
    };
    let least = before + Duration::from_secs(1);
    if file.metadata()?.modified()? < least {
        file.set_modified(least)?;
    }
    Ok(())
}

struct FolderDraft {
    inner: Arc<Inner>,
    file: io::BufWriter<fs::File>,
    /// `None` once published.
    path: Option<PathBuf>,
}

impl Write for FolderDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Draft for FolderDraft {
    fn publish(mut self: Box<Self>, name: &TargetName) -> io::Result<()> {
        self.file.flush()?;
        let to = self.inner.path(name);
        follow(self.file.get_ref().file(), &to)?;
        self.file.get_ref().sync_all()?;
        let directory = to.parent().unwrap_or(&self.inner.root);
        self.inner.make_room(directory)?;
        if let Some(from) = &self.path {
            fs::rename(from, &to)?;
        }
        self.path = None;
        self.inner.changed(directory);
        Ok(())
    }
}

impl Drop for FolderDraft {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // The next export removes what stays.
            let _ = fs::remove_file(path);
        }
    }
}
