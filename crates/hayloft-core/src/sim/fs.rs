//! [`Fs`] over the simulated medium.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, NodeId, SimImage, is_log};
use super::fault::{Call, Fault, Outcome, Plan};
use super::file::SimFile;
use super::random::Random;
use crate::fs::{Fs, FsEntry, FsFile, FsLock};

/// Steps of the store's protocol that are left out, so that tests can prove they would notice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mutations {
    /// The metadata is not flushed.
    pub skip_metadata_sync: bool,
    /// Files are not flushed before they are published.
    pub skip_blob_sync: bool,
    /// A shard is not flushed after a file was published in it.
    pub skip_directory_sync: bool,
}

/// A disk in memory that can lose power and fail; clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimFs {
    state: Arc<Mutex<State>>,
}

/// Something that comes between two calls.
struct Interruption {
    before: u64,
    run: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for Interruption {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Interruption").field("before", &self.before).finish_non_exhaustive()
    }
}

/// Is called with the number of changes so far before each write, and each flush (`true`), of the
/// log.
#[derive(Clone)]
pub(super) struct Watch(pub(super) Arc<dyn Fn(u64, bool) + Send + Sync>);

impl fmt::Debug for Watch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Watch")
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) disk: Disk,
    pub(super) random: Random,
    /// All calls so far: what faults count.
    calls: u64,
    /// Calls so far that can change the disk: what power cuts count.
    changes: u64,
    is_off: bool,
    /// Raised at each reboot; what was opened before is dead.
    boot: u64,
    crash_at: Option<u64>,
    plan: Option<Plan>,
    record: Option<Range<u64>>,
    images: Vec<SimImage>,
    pub(super) mutations: Mutations,
    interruption: Option<Interruption>,
    pub(super) watch: Option<Watch>,
    locks: BTreeSet<NodeId>,
    capacity: Option<u64>,
}

impl State {
    /// Counts a call, and says what happens instead of it.
    pub(super) fn call(&mut self, call: Call) -> io::Result<Option<Outcome>> {
        if self.is_off {
            return Err(power_is_off());
        }
        self.calls += 1;
        if call.is_change() {
            if self.crash_at == Some(self.changes) {
                self.is_off = true;
                return Err(power_is_off());
            }
            if self.record.as_ref().is_some_and(|range| range.contains(&self.changes)) {
                self.images.push(SimImage { disk: self.disk.clone(), changes: self.changes });
            }
            self.changes += 1;
        }
        let number = self.calls;
        Ok(self.plan.as_mut().and_then(|plan| plan.meet(number, call)))
    }

    /// Counts a call that fails whole or not at all.
    fn whole_call(&mut self, call: Call) -> io::Result<()> {
        match self.call(call)? {
            Some(Outcome::Fail(error)) => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn boot(&self) -> u64 {
        self.boot
    }

    /// True if a write does not fit on the disk.
    pub(super) fn is_full(&self, node: NodeId, offset: u64, len: usize) -> io::Result<bool> {
        if self.capacity.is_none() {
            return Ok(false);
        }
        let grows = self.disk.file(node)?.bytes.current().grows_by(offset, len);
        Ok(grows > 0 && grows > self.available())
    }

    /// Bytes that can still be written.
    pub(super) fn available(&self) -> u64 {
        self.capacity.map_or(1 << 40, |capacity| capacity.saturating_sub(self.disk.used()))
    }
}

pub(super) fn power_is_off() -> io::Error {
    io::Error::other("the simulated power is off")
}

impl SimFs {
    /// An empty disk; all that happens to it by chance follows from the seed.
    pub fn new(seed: u64) -> Self {
        Self::with_disk(Disk::default(), seed)
    }

    pub(super) fn with_disk(disk: Disk, seed: u64) -> Self {
        let state = State {
            disk,
            random: Random::new(seed),
            calls: 0,
            changes: 0,
            is_off: false,
            boot: 0,
            crash_at: None,
            plan: None,
            record: None,
            images: Vec::new(),
            mutations: Mutations::default(),
            interruption: None,
            watch: None,
            locks: BTreeSet::new(),
            capacity: None,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As a trait object.
    pub fn shared(&self) -> Arc<dyn Fs> {
        Arc::new(self.clone())
    }

    /// Calls so far, reading ones included.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Calls so far that could change the disk.
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Keeps the disk as it is before each change whose number, from 0, is in the range.
    pub fn record(&self, changes: Range<u64>) {
        self.state().record = Some(changes);
    }

    /// The images kept so far, oldest first, and the disk as it is now; forgets them.
    pub fn images(&self) -> Vec<SimImage> {
        let mut state = self.state();
        let mut images = std::mem::take(&mut state.images);
        images.push(SimImage { disk: state.disk.clone(), changes: state.changes });
        images
    }

    /// Cuts the power before the change with this number, from 0.
    pub fn crash_at(&self, change: u64) {
        self.state().crash_at = Some(change);
    }

    /// True once the power was cut.
    pub fn is_off(&self) -> bool {
        self.state().is_off
    }

    /// Turns the power on (off first, if it was on): only what the medium kept is there, and
    /// everything that was open is dead.
    pub fn reboot(&self) {
        let mut state = self.state();
        let state = &mut *state;
        state.disk = state.disk.rebooted(&mut state.random);
        state.boot += 1;
        state.is_off = false;
        state.crash_at = None;
        state.locks.clear();
    }

    /// Plans a failure.
    pub fn set_fault(&self, fault: Fault) {
        self.state().plan = Some(Plan::new(fault));
    }

    /// Ends a failure; true if it ever happened.
    pub fn clear_fault(&self) -> bool {
        self.state().plan.take().is_some_and(|plan| plan.fired())
    }

    /// Leaves out steps of the store's protocol.
    pub fn set_mutations(&self, mutations: Mutations) {
        self.state().mutations = mutations;
    }

    /// Runs something on the calling thread before the first change of names whose number, from
    /// 0, is at least `change`: the way to have two operations meet at a chosen moment.
    pub fn interrupt(&self, change: u64, run: impl FnOnce() + Send + 'static) {
        self.state().interruption = Some(Interruption { before: change, run: Box::new(run) });
    }

    /// Runs something before each write and each flush of the log, on the thread that makes it, with
    /// the number of changes so far and `true` for a flush.
    pub fn watch_log(&self, watch: impl Fn(u64, bool) + Send + Sync + 'static) {
        self.state().watch = Some(Watch(Arc::new(watch)));
    }

    /// The disk's state, before a change of names.
    fn changing(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        let changes = state.changes;
        let due = state.interruption.take_if(|interruption| changes >= interruption.before);
        if let Some(interruption) = due {
            drop(state);
            (interruption.run)();
            state = self.state();
        }
        state
    }

    /// Makes the disk so large, in bytes; without it there is room for everything.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = Some(bytes);
    }

    /// Overwrites bytes of a file on the medium, as rot does; not counted as a call.
    pub fn corrupt(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.state();
        let node = state.disk.find(path)?;
        let file = state.disk.file_mut(node)?;
        file.bytes.corrupt(change);
        Ok(())
    }

    fn opened(&self, state: &State, node: NodeId, path: &Path) -> SimFile {
        // Only the metadata has its own flushes; every other flushed file is one to be published.
        let is_metadata = path.to_string_lossy().contains(".redb");
        SimFile::new(self.state.clone(), state.boot, node, is_metadata, is_log(path))
    }
}

/// Held until dropped, or until the power is cut.
#[derive(Debug)]
struct SimLock {
    state: Arc<Mutex<State>>,
    boot: u64,
    node: NodeId,
}

impl FsLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.boot == self.boot {
            state.locks.remove(&self.node);
        }
    }
}

/// True for `XX` below `blobs`.
fn is_shard(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|parent| parent == "blobs")
}

impl Fs for SimFs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let mut state = self.changing();
        state.whole_call(Call::Create)?;
        let node = state.disk.create(path)?;
        Ok(Box::new(self.opened(&state, node, path)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let mut state = self.state();
        state.whole_call(Call::Open)?;
        let node = state.disk.find(path)?;
        state.disk.file(node)?;
        Ok(Box::new(self.opened(&state, node, path).read_only()))
    }

    fn modify(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let mut state = self.state();
        state.whole_call(Call::Open)?;
        let node = state.disk.find(path)?;
        if state.disk.file(node)?.protected {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(Box::new(self.opened(&state, node, path)))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let mut state = self.state();
        state.whole_call(Call::Create)?;
        let node = match state.disk.find(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => state.disk.create(path)?,
            found => found?,
        };
        if state.disk.file(node)?.protected {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(Box::new(self.opened(&state, node, path).appending()))
    }

    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        let mut state = self.state();
        state.whole_call(Call::Look)?;
        match state.disk.find(path) {
            Ok(node) => Ok(Some(state.disk.len(node))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.changing();
        state.whole_call(Call::Rename)?;
        state.disk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.changing();
        state.whole_call(Call::Remove)?;
        state.disk.remove_file(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.changing();
        state.whole_call(Call::MakeDirectory)?;
        state.disk.create_directory(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.changing();
        state.whole_call(Call::Remove)?;
        state.disk.remove_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.changing();
        let state = &mut *state;
        match state.call(Call::SyncDirectory)? {
            Some(Outcome::Fail(error)) => {
                state.disk.fail_sync_directory(path, &mut state.random);
                return Err(error);
            }
            Some(Outcome::Short) | None => {}
        }
        if state.mutations.skip_directory_sync && is_shard(path) {
            return Ok(());
        }
        state.disk.sync_directory(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<FsEntry>> {
        let mut state = self.state();
        state.whole_call(Call::List)?;
        state.disk.list(path)
    }

    fn protect(&self, path: &Path) -> io::Result<()> {
        let mut state = self.changing();
        state.whole_call(Call::Protect)?;
        let node = state.disk.find(path)?;
        state.disk.file_mut(node)?.protected = true;
        Ok(())
    }

    fn available(&self, _path: &Path) -> io::Result<u64> {
        let mut state = self.state();
        state.whole_call(Call::Look)?;
        Ok(state.available())
    }

    fn network_file_system(&self, _path: &Path) -> io::Result<Option<String>> {
        Ok(None)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FsLock>> {
        let mut state = self.state();
        state.whole_call(Call::Lock)?;
        let node = match state.disk.find(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => state.disk.create(path)?,
            found => found?,
        };
        if !state.locks.insert(node) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { state: self.state.clone(), boot: state.boot, node }))
    }

    fn forget_cached(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.whole_call(Call::Look)?;
        let node = state.disk.find(path)?;
        state.disk.file_mut(node)?.bytes.forget();
        Ok(())
    }

    fn real_path(&self, _path: &Path) -> Option<PathBuf> {
        None
    }
}
