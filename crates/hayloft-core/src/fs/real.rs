//! The operating system's files.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::mounts;
use super::{Fs, FsEntry, FsFile, FsLock};

/// The operating system's files; errors name the path.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFs;

#[derive(Debug)]
struct RealFile(fs_err::File);

/// Dropping the file closes it, and with it the lock ends.
#[derive(Debug)]
struct RealLock {
    _file: fs_err::File,
}

impl FsLock for RealLock {}

impl Read for RealFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for RealFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for RealFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl FsFile for RealFile {
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

fn boxed(file: fs_err::File) -> Box<dyn FsFile> {
    Box::new(RealFile(file))
}

/// New files are their owner's alone: packages need not be for everybody on the machine, and the
/// digests of keys are for nobody.
fn private() -> fs_err::OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there is no mode to set"))]
    let mut options = fs_err::OpenOptions::new();
    #[cfg(unix)]
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// An existing directory keeps its mode: whoever made it decided on that.
fn create_private_directory(path: &Path) -> io::Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there is no mode to set"))]
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

impl Fs for RealFs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let mut options = private();
        options.read(true).write(true).create_new(true);
        options.open(path).map(boxed)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        fs_err::File::open(path).map(boxed)
    }

    fn modify(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let mut options = fs_err::OpenOptions::new();
        options.read(true).write(true);
        options.open(path).map(boxed)
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let mut options = private();
        options.read(true).append(true).create(true);
        options.open(path).map(boxed)
    }

    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        match fs_err::symlink_metadata(path) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs_err::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs_err::hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs_err::remove_file(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent)?;
        }
        create_private_directory(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        fs_err::remove_dir(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        // Windows has no way to flush a directory, and NTFS journals names by itself.
        if cfg!(windows) {
            return Ok(());
        }
        fs_err::File::open(path)?.sync_all()
    }

    fn list(&self, path: &Path) -> io::Result<Vec<FsEntry>> {
        let names = match fs_err::read_dir(path) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for name in names {
            let name = name?;
            let is_directory = match name.file_type() {
                Ok(kind) => kind.is_dir(),
                // Removed since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            found.push(FsEntry {
                name: name.file_name().to_string_lossy().into_owned(),
                is_directory,
            });
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn protect(&self, path: &Path) -> io::Result<()> {
        let mut permissions = fs_err::metadata(path)?.permissions();
        #[cfg(unix)]
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o400);
        #[cfg(not(unix))]
        permissions.set_readonly(true);
        fs_err::set_permissions(path, permissions)
    }

    fn available(&self, path: &Path) -> io::Result<u64> {
        mounts::available(path)
    }

    fn network_file_system(&self, path: &Path) -> io::Result<Option<String>> {
        mounts::network_file_system(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FsLock>> {
        let mut options = private();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path)?;
        // The lock belongs to this opening of the file, so a second one in this process waits too.
        match file.try_lock() {
            Ok(()) => Ok(Box::new(RealLock { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) => Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("`{}` is locked", path.display()),
            )),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    #[cfg(target_os = "linux")]
    fn forget_cached(&self, path: &Path) -> io::Result<()> {
        let file = fs_err::File::open(path)?;
        Ok(rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?)
    }

    fn real_path(&self, path: &Path) -> Option<PathBuf> {
        Some(path.to_owned())
    }
}
