//! Files that are read and never written: what is changed stays in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Fs, FsEntry, FsFile, FsLock};

/// Bytes that are kept in memory for each place that was written.
const PAGE: u64 = 4_096;

/// Another [`Fs`] whose files stay as they are.
///
/// A store that opens on it recovers as on any other, in memory; so it opens on a full disk, and on
/// a medium that cannot be written.
#[derive(Debug)]
pub(crate) struct OverlayFs {
    below: Arc<dyn Fs>,
    changed: Mutex<Changed>,
}

#[derive(Debug, Default)]
struct Changed {
    /// `None` for a name that was removed.
    files: BTreeMap<PathBuf, Option<Arc<Mutex<Node>>>>,
    directories: BTreeSet<PathBuf>,
}

/// A file with what was written to it.
#[derive(Debug, Default)]
struct Node {
    below: Option<Box<dyn FsFile>>,
    /// Bytes of the file below that still count.
    below_len: u64,
    pages: BTreeMap<u64, Vec<u8>>,
    len: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn in_memory(length: u64) -> io::Result<usize> {
    usize::try_from(length).map_err(io::Error::other)
}

impl Node {
    /// Reads from the file below, zeros behind its end.
    fn read_below(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let there = in_memory(self.below_len.saturating_sub(at).min(into.len() as u64))?;
        let (bytes, zeros) = into.split_at_mut_checked(there).unwrap_or_default();
        if let Some(below) = self.below.as_mut().filter(|_| !bytes.is_empty()) {
            below.seek(SeekFrom::Start(at))?;
            below.read_exact(bytes)?;
        }
        zeros.fill(0);
        Ok(())
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(at);
        // Up to the next page that was written, or to the end of this one.
        let page = at / PAGE;
        let until = match self.pages.range(page..).next() {
            Some((next, _)) if *next == page => (page + 1) * PAGE,
            Some((next, _)) => next * PAGE,
            None => u64::MAX,
        };
        let length = in_memory(left.min(until - at).min(into.len() as u64))?;
        let into = into.get_mut(..length).unwrap_or_default();
        match self.pages.get(&page) {
            Some(bytes) => {
                let mut rest = bytes.get(in_memory(at % PAGE)?..).unwrap_or_default();
                rest.read_exact(into)?;
            }
            None => self.read_below(at, into)?,
        }
        Ok(length)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<usize> {
        let page = at / PAGE;
        let start = in_memory(at % PAGE)?;
        if !self.pages.contains_key(&page) {
            let mut held = vec![0; in_memory(PAGE)?];
            self.read_below(page * PAGE, &mut held)?;
            self.pages.insert(page, held);
        }
        let held = self.pages.get_mut(&page).map(Vec::as_mut_slice).unwrap_or_default();
        let mut room = held.get_mut(start..).unwrap_or_default();
        let written = room.write(bytes)?;
        self.len = self.len.max(at + written as u64);
        Ok(written)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.below_len = self.below_len.min(len);
        drop(self.pages.split_off(&len.div_ceil(PAGE)));
        if let Some(last) = self.pages.get_mut(&(len / PAGE)) {
            last.get_mut(in_memory(len % PAGE)?..).unwrap_or_default().fill(0);
        }
        self.len = len;
        Ok(())
    }
}

#[derive(Debug)]
struct OverlayFile {
    node: Arc<Mutex<Node>>,
    position: u64,
    appends: bool,
}

impl Read for OverlayFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = lock(&self.node).read(self.position, into)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Write for OverlayFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut node = lock(&self.node);
        if self.appends {
            self.position = node.len;
        }
        let written = node.write(self.position, bytes)?;
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for OverlayFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => lock(&self.node).len.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl FsFile for OverlayFile {
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.node).len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        lock(&self.node).set_len(len)
    }
}

/// Stands for a lock on a medium that nobody can write.
#[derive(Debug)]
struct NoLock;

impl FsLock for NoLock {}

impl OverlayFs {
    pub(crate) fn new(below: Arc<dyn Fs>) -> Self {
        Self { below, changed: Mutex::default() }
    }

    /// A file as it may be written.
    fn node(&self, path: &Path) -> io::Result<Arc<Mutex<Node>>> {
        let mut changed = lock(&self.changed);
        match changed.files.get(path) {
            Some(Some(node)) => Ok(node.clone()),
            Some(None) => Err(io::ErrorKind::NotFound.into()),
            None => {
                let below = self.below.open(path)?;
                let len = below.len()?;
                let node = Node { below: Some(below), below_len: len, pages: BTreeMap::new(), len };
                let node = Arc::new(Mutex::new(node));
                changed.files.insert(path.to_owned(), Some(node.clone()));
                Ok(node)
            }
        }
    }

    fn file(node: Arc<Mutex<Node>>, appends: bool) -> Box<dyn FsFile> {
        Box::new(OverlayFile { node, position: 0, appends })
    }
}

impl Fs for OverlayFs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        if self.file_len(path)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = Arc::new(Mutex::new(Node::default()));
        lock(&self.changed).files.insert(path.to_owned(), Some(node.clone()));
        Ok(Self::file(node, false))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let changed = lock(&self.changed).files.get(path).cloned();
        match changed {
            Some(Some(node)) => Ok(Self::file(node, false)),
            Some(None) => Err(io::ErrorKind::NotFound.into()),
            None => self.below.open(path),
        }
    }

    fn modify(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        Ok(Self::file(self.node(path)?, false))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        match self.node(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                drop(self.create(path)?);
                Ok(Self::file(self.node(path)?, true))
            }
            node => Ok(Self::file(node?, true)),
        }
    }

    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        let changed = lock(&self.changed);
        match changed.files.get(path) {
            Some(node) => Ok(node.as_ref().map(|node| lock(node).len)),
            None if changed.directories.contains(path) => Ok(Some(0)),
            None => self.below.file_len(path),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.node(from)?;
        let mut changed = lock(&self.changed);
        changed.files.insert(from.to_owned(), None);
        changed.files.insert(to.to_owned(), Some(node));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        if self.file_len(path)?.is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        lock(&self.changed).files.insert(path.to_owned(), None);
        Ok(())
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        if self.below.file_len(path)?.is_none() {
            lock(&self.changed).directories.insert(path.to_owned());
        }
        Ok(())
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        if lock(&self.changed).directories.remove(path) {
            return Ok(());
        }
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<FsEntry>> {
        let mut found: BTreeMap<String, bool> = self
            .below
            .list(path)?
            .into_iter()
            .map(|entry| (entry.name, entry.is_directory))
            .collect();
        let changed = lock(&self.changed);
        let name = |one: &Path| {
            let inside = one.parent() == Some(path);
            one.file_name().filter(|_| inside).map(|name| name.to_string_lossy().into_owned())
        };
        for (file, node) in &changed.files {
            if let Some(name) = name(file) {
                match node {
                    Some(_) => found.insert(name, false),
                    None => found.remove(&name),
                };
            }
        }
        found.extend(changed.directories.iter().filter_map(|one| Some((name(one)?, true))));
        let entry = |(name, is_directory)| FsEntry { name, is_directory };
        Ok(found.into_iter().map(entry).collect())
    }

    fn protect(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Nothing is written there.
    fn available(&self, _path: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn network_file_system(&self, path: &Path) -> io::Result<Option<String>> {
        self.below.network_file_system(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FsLock>> {
        match self.below.lock(path) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
                ) =>
            {
                Ok(Box::new(NoLock))
            }
            locked => locked,
        }
    }

    fn forget_cached(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Others must not write to the file by its path.
    fn real_path(&self, _path: &Path) -> Option<PathBuf> {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::RealFs;

    #[derive(Debug, Clone)]
    enum Step {
        Write(u64, Vec<u8>),
        Cut(u64),
        Append(Vec<u8>),
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = || prop::collection::vec(any::<u8>(), 1..6_000);
        prop_oneof![
            (0_u64..20_000, bytes()).prop_map(|(at, bytes)| Step::Write(at, bytes)),
            (0_u64..20_000).prop_map(Step::Cut),
            bytes().prop_map(Step::Append),
        ]
    }

    fn whole(file: &mut dyn FsFile) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        io::copy(file, &mut bytes).unwrap();
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_file_reads_as_if_it_were_written(steps in prop::collection::vec(step(), 1..12)) {
            let directory = tempfile::tempdir().unwrap();
            let (real, below) = (directory.path().join("real"), directory.path().join("below"));
            let start: Vec<u8> = (0..=250).cycle().take(9_000).collect();
            std::fs::write(&real, &start).unwrap();
            std::fs::write(&below, &start).unwrap();
            let overlay = OverlayFs::new(Arc::new(RealFs));
            for step in steps {
                for (fs, path) in [(&RealFs as &dyn Fs, &real), (&overlay as &dyn Fs, &below)] {
                    let mut file = fs.modify(path).unwrap();
                    match &step {
                        Step::Write(at, bytes) => {
                            file.seek(SeekFrom::Start(*at)).unwrap();
                            file.write_all(bytes).unwrap();
                        }
                        Step::Cut(len) => file.set_len(*len).unwrap(),
                        Step::Append(bytes) => fs.append(path).unwrap().write_all(bytes).unwrap(),
                    }
                }
                let expected = whole(&mut *RealFs.open(&real).unwrap());
                prop_assert!(whole(&mut *overlay.open(&below).unwrap()) == expected);
                prop_assert_eq!(
                    overlay.file_len(&below).unwrap(), Some(expected.len() as u64)
                );
            }
            prop_assert!(std::fs::read(&below).unwrap() == start);
        }
    }

    #[test]
    fn names_change_in_memory_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("a"), b"a").unwrap();
        std::fs::write(path("b"), b"b").unwrap();
        let fs = OverlayFs::new(Arc::new(RealFs));
        fs.rename(&path("a"), &path("c")).unwrap();
        fs.remove_file(&path("b")).unwrap();
        fs.create(&path("d")).unwrap().write_all(b"d").unwrap();
        fs.create_directory(&path("e")).unwrap();
        let names = fs.list(directory.path()).unwrap();
        let names: Vec<_> = names.iter().map(|entry| (&*entry.name, entry.is_directory)).collect();
        assert_eq!(names, [("c", false), ("d", false), ("e", true)]);
        assert_eq!(whole(&mut *fs.open(&path("c")).unwrap()), b"a");
        assert_eq!(fs.open(&path("a")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(fs.create(&path("d")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(RealFs.list(directory.path()).unwrap().len(), 2);
    }
}
