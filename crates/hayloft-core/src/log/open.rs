//! Opening a log: made, replayed, given up, or refused.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use super::file::{Identity, LogFile, small_pages, sound_half};
use super::generation::{Generation, Held};
use super::mutations::Switches;
use super::options::{Commits, DamagedLog};
use super::position::{Found, Position};
use super::replay::{Fault, Layout, Replay, replay};
use super::{LogMeter, LogOptions, LogPlaces, Logged, Shared, State, checkpoint, commit};
use crate::{Batch, CommitError, Fs, MetaError, MetaStore, Table};

/// A log could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The metadata file goes with a log that is not there.
    #[error("it is missing; put it back, or restore the store from a snapshot")]
    Missing,
    /// It belongs to another metadata file.
    #[error("it belongs to another metadata file; put back the one of this store")]
    Foreign,
    /// It goes on from a later state than the metadata file has.
    #[error(
        "the metadata file is older than it; put back the newer file, or restore the store from \
         a snapshot"
    )]
    Ahead,
    /// A record cannot be read that others follow.
    #[error("it is damaged: commits from number {first_lost} on are lost; verify with --repair")]
    Damaged {
        /// Sequence of the first record that is lost.
        first_lost: u64,
    },
    /// It changes a table that this release does not know.
    #[error(
        "it changes the table `{table}`, which only a newer release knows: use that one, or open the \
         store for reading only"
    )]
    Newer {
        /// Name of the table.
        table: String,
    },
    /// The row that tells how far it was taken in is damaged.
    #[error("how far it was taken in can no longer be read; restore the store from a snapshot")]
    Position,
    /// It could not be read or written.
    #[error("it could not be read or written")]
    Io(#[from] io::Error),
    /// The metadata could not be read.
    #[error(transparent)]
    Read(#[from] MetaError),
    /// The metadata could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// What a log is opened over.
pub(super) struct Opening<'a> {
    base: &'a dyn MetaStore,
    fs: &'a dyn Fs,
    places: &'a LogPlaces,
    tables: &'static [Table],
    options: &'a LogOptions,
    switches: Switches,
}

/// A log that is ready for the next record.
struct Ready {
    file: LogFile,
    position: Position,
    replay: Replay,
}

impl Logged {
    /// Opens the log in front of `base`, or makes one. `tables` are all that commits may name.
    ///
    /// Rows of a log that was not taken in are in memory afterwards; the last record is durable
    /// before any of them can be seen.
    pub fn open(
        fs: &Arc<dyn Fs>,
        places: LogPlaces,
        base: Box<dyn MetaStore>,
        tables: &'static [Table],
        options: &LogOptions,
    ) -> Result<Self, LogError> {
        let switches = switches(options);
        let opening = Opening {
            base: base.as_ref(),
            fs: fs.as_ref(),
            places: &places,
            tables,
            options,
            switches,
        };
        let Ready { file, position, replay } = opening.ready()?;
        let held = Held::default();
        let mut sealed = None;
        let mut active = Generation::new(position.generation + 1, &held);
        let mut end = 0;
        let sequence = replay.sequence;
        let mut found = replay.generations.into_iter();
        if let Some(first) = found.next() {
            end = first.end;
            active = Generation::replayed(first.number, &held, first.rows);
            if let Some(second) = found.next() {
                sealed = Some((Arc::new(active), first.sequence));
                end = second.end;
                active = Generation::replayed(second.number, &held, second.rows);
            }
        }
        let state = State {
            applied: position,
            active: Arc::new(active),
            end,
            sealed,
            late: Vec::new(),
            published: sequence,
            newest: sequence,
            in_flight: false,
            no_space: None,
            wanted: false,
            closing: false,
            unattended: false,
            touched: Instant::now(),
            warned: None,
        };
        let shared = Arc::new(Shared {
            base,
            fs: fs.clone(),
            places,
            tables,
            options: options.clone(),
            switches,
            identity: file.identity,
            half: file.half,
            state: Mutex::new(state),
            changed: Condvar::new(),
            broken: AtomicBool::new(false),
            held,
            snapshots: Arc::default(),
            meter: LogMeter::default(),
        });
        let (orders, incoming) = mpsc::sync_channel(1);
        let mut threads = vec![commit::start(&shared, file, incoming)?];
        if options.checkpoints == super::Checkpoints::Thread {
            threads.push(checkpoint::start(&shared)?);
        }
        Ok(Self {
            shared,
            turnstile: Mutex::default(),
            orders: Mutex::new(Some(orders)),
            threads: Mutex::new(threads),
        })
    }

    /// Opens the log in front of `base` if there is one, has `base` take in all of it, and removes
    /// it: first the row that asks for it, then the file.
    pub fn give_up(
        fs: &Arc<dyn Fs>,
        places: &LogPlaces,
        base: &dyn MetaStore,
        tables: &'static [Table],
        options: &LogOptions,
    ) -> Result<(), LogError> {
        let switches = switches(options);
        let opening = Opening { base, fs: fs.as_ref(), places, tables, options, switches };
        if let Some(position) = opening.position()? {
            let Ready { file, replay, .. } = opening.existing(position)?;
            drop(file);
            let mut batch = taken_in(replay);
            position.remove(&mut batch);
            if switches.unlink_first() {
                opening.unlink()?;
            }
            base.turn(&[])?.commit(batch)?;
        }
        // Without its row a log holds nothing that counts.
        opening.unlink()?;
        Ok(())
    }
}

fn switches(options: &LogOptions) -> Switches {
    #[cfg(feature = "sim")]
    let switches = Switches { mutations: options.mutations };
    #[cfg(not(feature = "sim"))]
    let (switches, _) = (Switches::default(), options);
    switches
}

/// All rows that a replay found, newest values last.
fn taken_in(replay: Replay) -> Batch {
    let held = Held::default();
    let rows = replay.generations.into_iter().flat_map(|found| found.rows).collect();
    Generation::replayed(0, &held, rows).newest()
}

impl Opening<'_> {
    fn position(&self) -> Result<Option<Position>, LogError> {
        match Position::read(self.base.snapshot(&[])?.as_ref())? {
            Found::None => Ok(None),
            Found::Damaged => Err(LogError::Position),
            Found::Position(position) => Ok(Some(position)),
        }
    }

    fn ready(&self) -> Result<Ready, LogError> {
        match self.position()? {
            None => self.made(),
            Some(position) => self.existing(position),
        }
    }

    /// Makes a log. Nothing is acknowledged before the engine below knows of it.
    fn made(&self) -> Result<Ready, LogError> {
        let half = sound_half(self.options.half);
        let identity = Identity::random()?;
        let file = LogFile::create(self.fs, &self.places.log, half, identity)?;
        let position = Position::first(identity);
        let mut batch = Batch::default();
        position.store(&mut batch, None);
        self.base.turn(&[])?.commit(batch)?;
        let replay = Replay { generations: Vec::new(), sequence: 0, last: None, fault: None };
        Ok(Ready { file, position, replay })
    }

    fn existing(&self, position: Position) -> Result<Ready, LogError> {
        if self.fs.file_len(&self.places.log)?.is_none() {
            return Err(LogError::Missing);
        }
        let Some(mut file) = LogFile::open(self.fs, &self.places.log)? else {
            let replay = Replay {
                generations: Vec::new(),
                sequence: position.sequence,
                last: None,
                fault: Some(Fault::Lost(position.sequence + 1)),
            };
            return self.damaged(position, replay);
        };
        if file.identity != position.identity {
            return Err(LogError::Foreign);
        }
        let halves = [file.read_half(0)?, file.read_half(1)?];
        small_pages(self.fs, &self.places.log);
        let layout = Layout {
            identity: &file.identity,
            tables: self.tables,
            align: self.switches.align(),
            switches: self.switches,
            leaves_out_unknown: self.options.leaves_out_unknown,
        };
        let replay = replay([&halves[0], &halves[1]], &position, &layout);
        if replay.fault.is_some() {
            return self.damaged(position, replay);
        }
        if let Some(last) = replay.last.as_ref().filter(|_| !self.switches.skip_rewrite()) {
            // It may lie in nothing but the system's cache: a process was killed, or its flush
            // failed. What readers see from here on must outlast a loss of power.
            file.write(last.generation, last.at, &last.bytes)?;
            file.sync()?;
        }
        Ok(Ready { file, position, replay })
    }

    /// Refuses a log, or keeps what of it can be read: a copy of it goes to quarantine, its good
    /// rows to the engine below, and then a new one is made.
    fn damaged(&self, position: Position, replay: Replay) -> Result<Ready, LogError> {
        let first_lost = match &replay.fault {
            Some(Fault::Ahead) => return Err(LogError::Ahead),
            Some(Fault::Newer(table)) => return Err(LogError::Newer { table: table.clone() }),
            Some(Fault::Lost(first_lost)) => *first_lost,
            None => replay.sequence + 1,
        };
        if self.options.damaged == DamagedLog::Refuse {
            return Err(LogError::Damaged { first_lost });
        }
        let kept = self.quarantine(first_lost)?;
        tracing::error!(
            first_lost,
            kept = %kept.display(),
            "the log is damaged; the store goes on from its last good commit"
        );
        let mut batch = taken_in(replay);
        position.remove(&mut batch);
        self.base.turn(&[])?.commit(batch)?;
        self.made()
    }

    /// Copies the log; tells where to.
    fn quarantine(&self, first_lost: u64) -> io::Result<PathBuf> {
        let directory = &self.places.quarantine;
        self.fs.create_directory(directory)?;
        let mut target = directory.join(format!("meta.log-{first_lost}"));
        for number in 2_u32.. {
            if self.fs.file_len(&target)?.is_none() {
                break;
            }
            target = directory.join(format!("meta.log-{first_lost}-{number}"));
        }
        let mut from = self.fs.open(&self.places.log)?;
        let mut to = self.fs.create(&target)?;
        io::copy(&mut from, &mut to)?;
        to.sync_data()?;
        self.fs.sync_directory(directory)?;
        Ok(target)
    }

    fn unlink(&self) -> io::Result<()> {
        match self.fs.remove_file(&self.places.log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => removed?,
        }
        self.fs.sync_directory(parent(&self.places.log))
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

impl LogOptions {
    /// True if new commits go to the log.
    pub(crate) fn is_used(&self) -> bool {
        self.commits == Commits::Log
    }
}
