//! An open file of the simulated medium.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::content::Change;
use super::disk::NodeId;
use super::fault::{Call, Outcome};
use super::fs::{Mutations, State, power_is_off};
use crate::fs::FsFile;

/// Dead once the power was cut.
#[derive(Debug)]
pub(super) struct SimFile {
    state: Arc<Mutex<State>>,
    boot: u64,
    node: NodeId,
    position: u64,
    mode: Mode,
    is_metadata: bool,
    is_log: bool,
    has_written: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Read,
    Write,
    Append,
}

impl SimFile {
    pub(super) fn new(
        state: Arc<Mutex<State>>,
        boot: u64,
        node: NodeId,
        is_metadata: bool,
        is_log: bool,
    ) -> Self {
        Self {
            state,
            boot,
            node,
            position: 0,
            mode: Mode::Write,
            is_metadata,
            is_log,
            has_written: false,
        }
    }

    /// Lets whoever watches the log look around before it changes.
    fn watched(&self, flush: bool) -> io::Result<()> {
        if !self.is_log {
            return Ok(());
        }
        let state = self.state()?;
        let (watch, changes) = (state.watch.clone(), state.changes());
        drop(state);
        if let Some(watch) = watch {
            (watch.0)(changes, flush);
        }
        Ok(())
    }

    pub(super) fn read_only(self) -> Self {
        Self { mode: Mode::Read, ..self }
    }

    pub(super) fn appending(self) -> Self {
        Self { mode: Mode::Append, ..self }
    }

    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.boot() == self.boot { Ok(state) } else { Err(power_is_off()) }
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.mode == Mode::Read {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(())
    }
}

impl Read for SimFile {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state()?;
        if let Some(Outcome::Fail(error)) = state.call(Call::Read)? {
            return Err(error);
        }
        let got = state.disk.file(self.node)?.bytes.current().read(self.position, into);
        drop(state);
        self.position += got as u64;
        Ok(got)
    }
}

impl Write for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check_writable()?;
        self.watched(false)?;
        let mut guard = self.state()?;
        let state = &mut *guard;
        let end = state.disk.file(self.node)?.bytes.current().len();
        let at = if self.mode == Mode::Append { end } else { self.position };
        let outcome = match state.call(Call::Write)? {
            None if state.is_full(self.node, at, bytes.len())? => {
                Some(Outcome::Fail(io::ErrorKind::StorageFull.into()))
            }
            outcome => outcome,
        };
        let taken = match &outcome {
            None => bytes.len(),
            Some(Outcome::Short) => bytes.len().div_ceil(2),
            // Nothing came through where the caller is told to try again.
            Some(Outcome::Fail(error)) if error.kind() == io::ErrorKind::Interrupted => 0,
            Some(Outcome::Fail(_)) => state.random.index(bytes.len() + 1),
        };
        let file = state.disk.file_mut(self.node)?;
        let taken_bytes = bytes.get(..taken).unwrap_or_default();
        if !taken_bytes.is_empty() {
            file.bytes.change(Change::Write { offset: at, bytes: taken_bytes.into() });
        }
        drop(guard);
        self.has_written = true;
        if let Some(Outcome::Fail(error)) = outcome {
            return Err(error);
        }
        self.position = at + taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for SimFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.len()?.checked_add_signed(by),
        };
        self.position = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl FsFile for SimFile {
    fn sync_data(&self) -> io::Result<()> {
        self.watched(true)?;
        let mut state = self.state()?;
        let state = &mut *state;
        let outcome = state.call(Call::Sync)?;
        let file = state.disk.file_mut(self.node)?;
        if let Some(Outcome::Fail(error)) = outcome {
            file.bytes.fail_sync(&mut state.random);
            // What could not be written is told to descriptors that were open at that time alone.
            return if self.has_written { Err(error) } else { Ok(()) };
        }
        let Mutations { skip_metadata_sync, skip_blob_sync, .. } = state.mutations;
        if !(if self.is_metadata { skip_metadata_sync } else { skip_blob_sync }) {
            file.bytes.sync();
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.state()?;
        if let Some(Outcome::Fail(error)) = state.call(Call::Look)? {
            return Err(error);
        }
        Ok(state.disk.len(self.node))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.state()?;
        if let Some(Outcome::Fail(error)) = state.call(Call::SetLen)? {
            return Err(error);
        }
        state.disk.file_mut(self.node)?.bytes.change(Change::Len(len));
        Ok(())
    }
}
