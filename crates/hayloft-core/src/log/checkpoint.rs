//! The way out of the log: a sealed generation goes into the engine below, whole.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::commit::FULL_ROWS;
use super::options::Checkpoints;
use super::position::Position;
use super::{Closed, NoSpace, Shared, State};
use crate::{Batch, CommitError};

/// A generation of so many values is sealed.
const SEAL_ROWS: usize = FULL_ROWS / 2;
/// How long nothing is appended before a generation of [`QUIET_SHARE`] is sealed.
const QUIET: Duration = Duration::from_secs(2);
/// The share of a half that is worth a checkpoint in quiet times.
const QUIET_SHARE: u64 = 8;
/// A generation that is older is sealed whatever it holds.
const OLDEST: Duration = Duration::from_secs(60);
/// How often the free space is looked at again.
const AGAIN: Duration = Duration::from_secs(1);
/// Bytes of memory above which a warning tells what holds them.
const MUCH_MEMORY: usize = 64 << 20;
/// How often it does.
const WARN: Duration = Duration::from_secs(30);

impl Shared {
    /// True for an active generation that is to be sealed although more would fit.
    pub(super) fn is_due(&self, state: &State) -> bool {
        state.end >= self.half / 2 || state.active.count() >= SEAL_ROWS
    }

    /// Brings the sealed generation into the engine below, if there is one. Holds no lock meanwhile
    /// that readers or commits need.
    pub(super) fn checkpoint(&self) -> Result<(), CommitError> {
        if self.is_broken() {
            return Err(CommitError::Rejected(Box::new(Closed)));
        }
        let (sealed, applied) = {
            let mut state = self.state();
            if self.switches.recycle_early() {
                let sealed = state.sealed.take();
                let wait = sealed.is_some() && state.late.len() < 2;
                state.late.extend(sealed);
                let first = (!wait && !state.late.is_empty()).then(|| state.late.remove(0));
                (first, state.applied)
            } else {
                (state.sealed.clone(), state.applied)
            }
        };
        let Some((generation, sequence)) = sealed else { return Ok(()) };
        if let Err(no_space) = self.check_space(generation.bytes() as u64) {
            self.state().no_space = Some(no_space);
            self.changed.notify_all();
            return Err(no_space.into());
        }
        let mut batch = generation.newest();
        let position =
            Position { identity: applied.identity, generation: generation.number, sequence };
        if self.switches.position_apart() {
            let mut apart = Batch::default();
            position.store(&mut apart, Some(&applied));
            self.commit_to_base(apart)?;
        } else {
            position.store(&mut batch, Some(&applied));
        }
        self.commit_to_base(batch)?;
        let mut state = self.state();
        state.applied = position;
        state.no_space = None;
        if state.sealed.as_ref().is_some_and(|(sealed, _)| sealed.number == generation.number) {
            state.sealed = None;
        }
        self.warn_of_memory(&mut state, &generation);
        drop(state);
        self.meter.checkpoints.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_all();
        Ok(())
    }

    /// A failure of the engine below ends all commits: what it holds, only opening it again tells.
    fn commit_to_base(&self, batch: Batch) -> Result<(), CommitError> {
        let committed = match self.base.turn(&[]) {
            Ok(turn) => turn.commit(batch),
            Err(error) => Err(CommitError::Rejected(Box::new(error))),
        };
        if let Err(error) = committed {
            tracing::error!(%error, "rows of the log were not taken in");
            self.fail();
            return Err(CommitError::Rejected(Box::new(error)));
        }
        Ok(())
    }

    /// The engine below never writes again once it has met a full disk, so it is kept from meeting
    /// one: it copies the pages it changes, and saves the state of its allocator.
    pub(super) fn check_space(&self, rows: u64) -> Result<(), NoSpace> {
        let directory = self.places.meta.parent().unwrap_or(&self.places.meta);
        let available = self.fs.available(directory).unwrap_or(u64::MAX);
        let length = self.fs.file_len(&self.places.meta).ok().flatten().unwrap_or(0);
        let needed = rows.saturating_mul(8).saturating_add(length / 4_096 + self.options.spare);
        if available > needed { Ok(()) } else { Err(NoSpace { available, needed }) }
    }

    /// Has the engine below take in all that was committed.
    pub(super) fn take_in_all(&self) -> Result<(), CommitError> {
        let mut state = self.state();
        loop {
            if self.is_broken() {
                return Err(CommitError::Rejected(Box::new(Closed)));
            }
            if state.sealed.is_none() && state.late.is_empty() && state.end == 0 {
                return Ok(());
            }
            if self.options.checkpoints == Checkpoints::Caller {
                if state.sealed.is_none() && state.end > 0 {
                    state.seal(&self.held);
                }
                drop(state);
                self.checkpoint()?;
                state = self.state();
                continue;
            }
            if let Some(no_space) = state.no_space {
                return Err(no_space.into());
            }
            if state.unattended {
                return Err(CommitError::Rejected(Box::new(Closed)));
            }
            state.wanted = true;
            self.changed.notify_all();
            state = self.wait(state);
        }
    }

    /// The last one, after all threads have ended. What it cannot do the next start does.
    pub(super) fn last_checkpoint(&self) {
        for _ in 0..3 {
            if self.is_broken() {
                return;
            }
            let mut state = self.state();
            if state.sealed.is_none() && state.end > 0 {
                state.seal(&self.held);
            }
            let nothing = state.sealed.is_none() && state.late.is_empty();
            drop(state);
            if nothing {
                return;
            }
            if let Err(error) = self.checkpoint() {
                tracing::error!(%error, "the log was not taken in; the next start replays it");
                return;
            }
        }
    }

    fn warn_of_memory(&self, state: &mut State, oldest: &super::generation::Generation) {
        let held = self.held.load(Ordering::Relaxed);
        let now = Instant::now();
        let snapshot = self.snapshots.oldest();
        let much = held > MUCH_MEMORY || snapshot > WARN;
        if much && state.warned.is_none_or(|warned| now >= warned) {
            state.warned = Some(now + WARN);
            tracing::warn!(
                held,
                since = ?oldest.begun.elapsed(),
                ?snapshot,
                "old snapshots hold much of what the log had in memory"
            );
        }
    }

    /// When the active generation is to be sealed if nothing is appended; `None` for an empty one.
    fn due_at(&self, state: &State) -> Option<Instant> {
        if state.end == 0 {
            return None;
        }
        if state.wanted || self.is_due(state) {
            return Some(Instant::now());
        }
        let oldest = state.active.begun + OLDEST;
        let quiet = state.touched + QUIET;
        Some(if state.end >= self.half / QUIET_SHARE { oldest.min(quiet) } else { oldest })
    }

    fn wait_until<'s>(
        &self,
        state: MutexGuard<'s, State>,
        until: Option<Instant>,
    ) -> MutexGuard<'s, State> {
        let Some(until) = until else { return self.wait(state) };
        let left = until.saturating_duration_since(Instant::now());
        self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Tells that no one checkpoints any more, however the thread ends.
struct Attending<'a>(&'a Shared);

impl Drop for Attending<'_> {
    fn drop(&mut self) {
        self.0.state().unattended = true;
        self.0.changed.notify_all();
    }
}

/// The thread that checkpoints. It asks nothing of whoever commits.
fn run(shared: &Shared) {
    let _attending = Attending(shared);
    let mut again: Option<Instant> = None;
    loop {
        let mut state = shared.state();
        loop {
            if state.closing || shared.is_broken() {
                return;
            }
            let due =
                if state.sealed.is_some() { again.or_else(|| Some(Instant::now())) } else { None };
            let due = due.or_else(|| shared.due_at(&state));
            match due {
                Some(due) if due <= Instant::now() => {
                    if state.sealed.is_some() {
                        break;
                    }
                    if !state.in_flight {
                        state.seal(&shared.held);
                        break;
                    }
                    state = shared.wait(state);
                }
                due => state = shared.wait_until(state, due),
            }
        }
        drop(state);
        again = match shared.checkpoint() {
            Ok(()) => None,
            Err(CommitError::NoSpace { .. }) => Some(Instant::now() + AGAIN),
            // It was logged, and whoever commits was told.
            Err(_) => return,
        };
        let mut state = shared.state();
        if state.sealed.is_none() && state.end == 0 {
            state.wanted = false;
        }
    }
}

/// Starts the thread that checkpoints.
pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<std::thread::JoinHandle<()>> {
    let shared = shared.clone();
    std::thread::Builder::new().name("hayloft-checkpoint".to_owned()).spawn(move || run(&shared))
}
