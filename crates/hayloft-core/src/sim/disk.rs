//! The simulated medium: files and directories, each with what is durable and what is not.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use super::content::FileBytes;
use super::fs::SimFs;
use super::random::Random;
use crate::fs::FsEntry;

/// A file or directory, whatever its names.
pub(super) type NodeId = u64;

pub(super) const ROOT: NodeId = 0;

#[derive(Debug, Clone)]
pub(super) enum Node {
    File(FileNode),
    Directory(Names),
}

#[derive(Debug, Clone, Default)]
pub(super) struct FileNode {
    pub(super) bytes: FileBytes,
    pub(super) protected: bool,
}

/// The names in a directory.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    durable: BTreeMap<String, NodeId>,
    current: BTreeMap<String, NodeId>,
    pending: Vec<(String, Option<NodeId>)>,
    /// A failed flush lost changes that `current` still shows.
    diverged: bool,
}

/// All nodes; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    nodes: BTreeMap<NodeId, Arc<Node>>,
    next: NodeId,
}

impl Names {
    fn change(&mut self, name: &str, to: Option<NodeId>) {
        set(&mut self.current, name, to);
        self.pending.push((name.to_owned(), to));
    }

    fn sync(&mut self) {
        for (name, to) in self.pending.drain(..) {
            set(&mut self.durable, &name, to);
        }
    }

    fn is_clean(&self) -> bool {
        self.pending.is_empty() && !self.diverged
    }

    fn after_power_cut(&self, random: &mut Random) -> BTreeMap<String, NodeId> {
        let mut found = self.durable.clone();
        if self.pending.is_empty() {
            return found;
        }
        let mode = random.below(4);
        let until = random.index(self.pending.len() + 1);
        for (number, (name, to)) in self.pending.iter().enumerate() {
            let kept = match mode {
                0 => false,
                1 => true,
                2 => number < until,
                _ => random.coin(),
            };
            if kept {
                set(&mut found, name, *to);
            }
        }
        found
    }
}

fn set(names: &mut BTreeMap<String, NodeId>, name: &str, to: Option<NodeId>) {
    match to {
        Some(node) => names.insert(name.to_owned(), node),
        None => names.remove(name),
    };
}

impl Default for Disk {
    fn default() -> Self {
        let root = Arc::new(Node::Directory(Names::default()));
        Self { nodes: BTreeMap::from([(ROOT, root)]), next: ROOT + 1 }
    }
}

/// True for the log of the metadata.
pub(super) fn is_log(path: &Path) -> bool {
    path.to_string_lossy().contains("meta.log")
}

fn not_found(path: &Path) -> io::Error {
    let text = format!("no such name as `{}`", path.display());
    io::Error::new(io::ErrorKind::NotFound, text)
}

fn split(path: &Path) -> io::Result<(&Path, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    match (path.parent(), name) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "a path that ends in no name")),
    }
}

impl Disk {
    fn names(&self, directory: NodeId) -> io::Result<&Names> {
        match self.nodes.get(&directory).map(Arc::as_ref) {
            Some(Node::Directory(names)) => Ok(names),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn names_mut(&mut self, directory: NodeId) -> io::Result<&mut Names> {
        match self.nodes.get_mut(&directory).map(Arc::make_mut) {
            Some(Node::Directory(names)) => Ok(names),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<NodeId> {
        let mut at = ROOT;
        for part in path.components() {
            if let Component::Normal(name) = part {
                let name = name.to_str().ok_or_else(|| not_found(path))?;
                at = *self.names(at)?.current.get(name).ok_or_else(|| not_found(path))?;
            }
        }
        Ok(at)
    }

    pub(super) fn file(&self, node: NodeId) -> io::Result<&FileNode> {
        match self.nodes.get(&node).map(Arc::as_ref) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn file_mut(&mut self, node: NodeId) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(&node).map(Arc::make_mut) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn add(&mut self, directory: NodeId, name: &str, node: Node) -> io::Result<NodeId> {
        let id = self.next;
        self.names_mut(directory)?.change(name, Some(id));
        self.nodes.insert(id, Arc::new(node));
        self.next += 1;
        Ok(id)
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<NodeId> {
        let (parent, name) = split(path)?;
        let directory = self.find(parent)?;
        if self.names(directory)?.current.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let bytes = if is_log(path) { FileBytes::ruining() } else { FileBytes::default() };
        self.add(directory, name, Node::File(FileNode { bytes, protected: false }))
    }

    pub(super) fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        let mut at = ROOT;
        for part in path.components() {
            if let Component::Normal(name) = part {
                let name = name.to_str().ok_or_else(|| not_found(path))?;
                at = match self.names(at)?.current.get(name) {
                    Some(node) => *node,
                    None => self.add(at, name, Node::Directory(Names::default()))?,
                };
            }
        }
        self.names(at).map(|_| ())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        let (from_parent, from_name) = split(from)?;
        let (to_parent, to_name) = split(to)?;
        let target = self.find(to_parent)?;
        if let Some(old) = self.names(target)?.current.get(to_name) {
            self.file(*old)?;
        }
        let source = self.find(from_parent)?;
        self.names_mut(target)?.change(to_name, Some(node));
        self.names_mut(source)?.change(from_name, None);
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.file(self.find(path)?)?;
        self.unlink(path)
    }

    pub(super) fn remove_directory(&mut self, path: &Path) -> io::Result<()> {
        if self.names(self.find(path)?)?.current.is_empty() {
            return self.unlink(path);
        }
        Err(io::ErrorKind::DirectoryNotEmpty.into())
    }

    fn unlink(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = split(path)?;
        let directory = self.find(parent)?;
        self.names_mut(directory)?.change(name, None);
        Ok(())
    }

    pub(super) fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        let directory = self.find(path)?;
        self.names_mut(directory)?.sync();
        Ok(())
    }

    /// A flush of names that fails: some reached the medium, and none will later.
    pub(super) fn fail_sync_directory(&mut self, path: &Path, random: &mut Random) {
        let Ok(directory) = self.find(path) else { return };
        if let Ok(names) = self.names_mut(directory) {
            names.durable = names.after_power_cut(random);
            names.pending.clear();
            names.diverged = true;
        }
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<FsEntry>> {
        let names = match self.find(path) {
            Ok(directory) => self.names(directory)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let entry = |(name, node): (&String, &NodeId)| FsEntry {
            name: name.clone(),
            is_directory: self.names(*node).is_ok(),
        };
        Ok(names.current.iter().map(entry).collect())
    }

    pub(super) fn len(&self, node: NodeId) -> u64 {
        self.file(node).map_or(0, |file| file.bytes.current().len())
    }

    /// Bytes that all files with a name take.
    pub(super) fn used(&self) -> u64 {
        let mut used = 0;
        let mut open = vec![ROOT];
        while let Some(id) = open.pop() {
            match self.nodes.get(&id).map(Arc::as_ref) {
                Some(Node::File(file)) => used += file.bytes.current().used(),
                Some(Node::Directory(names)) => open.extend(names.current.values()),
                None => {}
            }
        }
        used
    }

    /// The disk after the power was cut; nodes without a name are gone.
    pub(super) fn rebooted(&self, random: &mut Random) -> Self {
        let mut disk = Self { nodes: BTreeMap::new(), next: self.next };
        let mut open = vec![ROOT];
        while let Some(id) = open.pop() {
            let Some(node) = self.nodes.get(&id).filter(|_| !disk.nodes.contains_key(&id)) else {
                continue;
            };
            let node = match node.as_ref() {
                Node::File(file) if file.bytes.is_clean() => node.clone(),
                Node::File(file) => Arc::new(Node::File(FileNode {
                    bytes: file.bytes.rebooted(random),
                    protected: file.protected,
                })),
                Node::Directory(names) if names.is_clean() => {
                    open.extend(names.current.values());
                    node.clone()
                }
                Node::Directory(names) => {
                    let found = names.after_power_cut(random);
                    open.extend(found.values());
                    let durable = found.clone();
                    let names = Names { durable, current: found, ..Names::default() };
                    Arc::new(Node::Directory(names))
                }
            };
            disk.nodes.insert(id, node);
        }
        disk
    }
}

/// The disk as it was at one moment, caches included.
#[derive(Debug, Clone)]
pub struct SimImage {
    pub(super) disk: Disk,
    pub(super) changes: u64,
}

impl SimImage {
    /// How many changes had been made: the power cut is before the next.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What the death of the process at this moment leaves: the system's cache stays.
    pub fn kill(&self, seed: u64) -> SimFs {
        SimFs::with_disk(self.disk.clone(), seed)
    }

    /// What a power cut at this moment leaves, by the seed.
    pub fn reboot(&self, seed: u64) -> SimFs {
        let mut random = Random::new(seed ^ self.changes.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let disk = self.disk.rebooted(&mut random);
        SimFs::with_disk(disk, random.any())
    }
}
