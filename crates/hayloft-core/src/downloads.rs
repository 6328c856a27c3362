//! Download counters: in memory and in a log, and from there now and then in a commit.
//!
//! The log begins with a header that names its generation. Both it and each count are records of
//! 24 bytes that end in a checksum over generation and content. The commit that adds counts to
//! their rows also stores how much of the log they cover, so a replay counts each once.
//!
//! A log that has grown gives way to one of the next generation, however many counts wait: the new
//! one begins beside it, and takes its name once a commit has all that the old one held.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::mutations::Switches;
use crate::plan::Plan;
use crate::records::{LogPositionRecord, VersionPlaceRecord, VersionRecord};
use crate::writer::Writer;
use crate::{FileId, Fs, FsFile, StoreError, rows, tables};

/// Key of the `LogPositionRecord`.
pub(crate) const LOG_POSITION: &[u8] = b"downloads";

const RECORD: usize = 24;
const RECORD_LENGTH: u64 = 24;
const MAGIC: [u8; 8] = *b"hayloft\n";
/// From this length on a log is replaced.
/// The simulator's histories are short.
const ROTATE_FROM: u64 = if cfg!(feature = "sim") { 16 << 10 } else { 1 << 20 };

type Counts = BTreeMap<FileId, u64>;

#[derive(Debug)]
pub(crate) struct Downloads {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    /// The name that a log has until it is the only one.
    draft: PathBuf,
    state: Mutex<State>,
    /// Held by the one flush that runs.
    flush: Mutex<()>,
}

#[derive(Debug)]
struct State {
    /// Counted since the last flush began.
    pending: Counts,
    /// In a flush whose commit has not been acknowledged.
    flushing: Counts,
    /// `None` after a failed write, until the next flush starts a new log.
    log: Option<Box<dyn FsFile>>,
    generation: u64,
    length: u64,
    /// The log lies beside the one before, whose counts may not all be committed.
    is_draft: bool,
    /// What a commit was to store of which it is unknown whether it did.
    unknown: Option<LogPositionRecord>,
}

/// Where the log ends, for a store that no longer knows how much of it is in its rows.
pub(crate) fn end_of_log(fs: &dyn Fs, directory: &Path) -> Result<LogPositionRecord, StoreError> {
    let mut end = LogPositionRecord::default();
    for path in logs(directory) {
        let bytes = fs.file_len(&path).map_err(StoreError::io("read", &path))?.unwrap_or(0);
        if let Some(generation) = read_generation(fs, &path)?.filter(|one| *one >= end.generation) {
            end = LogPositionRecord { generation, bytes };
        }
    }
    Ok(end)
}

/// The log, and the one that is going to take its place.
fn logs(directory: &Path) -> [PathBuf; 2] {
    [directory.join("dl.log"), directory.join("dl.new")]
}

impl Downloads {
    /// Opens the log and takes up what no commit has counted yet.
    pub(crate) fn open(
        fs: Arc<dyn Fs>,
        directory: &Path,
        committed: &LogPositionRecord,
    ) -> Result<Self, StoreError> {
        let mut pending = Counts::new();
        let mut generation = committed.generation;
        let paths = logs(directory);
        for path in &paths {
            let Some(found) = read_generation(fs.as_ref(), path)? else { continue };
            generation = generation.max(found);
            let start = match found.cmp(&committed.generation) {
                std::cmp::Ordering::Less => continue,
                std::cmp::Ordering::Equal => committed.bytes.max(RECORD_LENGTH),
                std::cmp::Ordering::Greater => RECORD_LENGTH,
            };
            replay(fs.as_ref(), path, found, start, &mut pending)?;
        }
        let state = State {
            pending: Counts::new(),
            flushing: pending,
            log: None,
            generation,
            length: 0,
            is_draft: false,
            unknown: None,
        };
        let [path, draft] = paths;
        Ok(Self { fs, path, draft, state: Mutex::new(state), flush: Mutex::new(()) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one download.
    pub(crate) fn count(&self, file: FileId) {
        let mut state = self.lock();
        *state.pending.entry(file).or_default() += 1;
        let record = encoded(state.generation, content(file));
        let Some(log) = &mut state.log else { return };
        if let Err(error) = log.write_all(&record) {
            // What follows a torn record could not be read back. The count is kept in memory.
            state.log = None;
            drop(state);
            tracing::warn!(%error, "downloads are counted in memory until the log can be written");
            return;
        }
        state.length += RECORD_LENGTH;
    }

    /// Counts of the files of a version that are in no row yet, by the file's number.
    pub(crate) fn pending_version(&self, package: u64, version: u64) -> BTreeMap<u32, u64> {
        let first = FileId::new(package, version, 0);
        let last = FileId::new(package, version, u32::MAX);
        let state = self.lock();
        let mut found = BTreeMap::new();
        for counts in [&state.pending, &state.flushing] {
            for (file, count) in counts.range(first..=last) {
                *found.entry(file.number).or_default() += count;
            }
        }
        found
    }

    /// Counts of a package that are in no row yet.
    pub(crate) fn pending_package(&self, package: u64) -> u64 {
        let first = FileId::new(package, 0, 0);
        let last = FileId::new(package, u64::MAX, u32::MAX);
        let state = self.lock();
        let of = |counts: &Counts| {
            let range = (Bound::Included(first), Bound::Included(last));
            counts.range(range).map(|(_, count)| count).sum::<u64>()
        };
        of(&state.pending) + of(&state.flushing)
    }

    /// Drops the counts of files that are gone; a commit would drop them too, but later.
    pub(crate) fn forget(&self, files: &[FileId]) {
        let mut state = self.lock();
        for file in files {
            state.pending.remove(file);
            state.flushing.remove(file);
        }
    }

    /// How many counts wait for a commit.
    pub(crate) fn waiting(&self) -> usize {
        let state = self.lock();
        state.pending.len() + state.flushing.len()
    }

    /// Brings all counts into their rows. For a moment between commit and return a reader may see
    /// a count twice.
    pub(crate) fn flush(&self, writer: &Writer) -> Result<(), StoreError> {
        let _one_at_a_time = self.flush.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace_long_log();
        let (counts, position) = {
            let mut state = self.lock();
            if state.unknown.is_some() {
                return Err(StoreError::Stopped);
            }
            let pending = std::mem::take(&mut state.pending);
            for (file, count) in pending {
                *state.flushing.entry(file).or_default() += count;
            }
            // Without a log all that lies in files is counted, and a new one begins after that.
            let (generation, bytes) = match state.log {
                Some(_) => (state.generation, state.length),
                None => (state.generation + 1, RECORD_LENGTH),
            };
            (state.flushing.clone(), LogPositionRecord { generation, bytes })
        };
        if !counts.is_empty() {
            let weight = counts.len().saturating_mul(64);
            let saved = position.clone();
            let outcome = writer
                .change_freeing::<(), StoreError>(weight, move |plan| add(plan, &counts, &saved));
            if matches!(outcome, Err(StoreError::Unknown(_))) {
                self.lock().unknown = Some(position);
            }
            outcome?;
        }
        let mut state = self.lock();
        state.flushing.clear();
        let (is_draft, has_log) = (state.is_draft, state.log.is_some());
        drop(state);
        if has_log && is_draft {
            self.end_draft()
        } else if has_log {
            Ok(())
        } else {
            self.begin_log()
        }
    }

    /// Learns from an engine that was opened again what became of a commit.
    pub(crate) fn reopened(&self, committed: &LogPositionRecord, switches: Switches) {
        let mut state = self.lock();
        if state.unknown.take().as_ref() == Some(committed) && !switches.count_again() {
            state.flushing.clear();
        }
    }

    /// Begins a log beside one that has grown. A failure is told, and leaves all as it is.
    fn replace_long_log(&self) {
        let state = self.lock();
        let generation = state.generation + 1;
        let due = state.log.is_some() && !state.is_draft && state.length >= ROTATE_FROM;
        drop(state);
        if !due {
            return;
        }
        match self.make_draft(generation) {
            Ok(log) => {
                let mut state = self.lock();
                // Unless writing failed meanwhile; then the draft is made again.
                if state.log.is_some() {
                    state.log = Some(log);
                    state.generation = generation;
                    state.length = RECORD_LENGTH;
                    state.is_draft = true;
                }
            }
            Err(error) => tracing::warn!(%error, "the log of downloads was not replaced"),
        }
    }

    /// Begins a log after all that lies in files was counted.
    fn begin_log(&self) -> Result<(), StoreError> {
        let generation = self.lock().generation + 1;
        let mut log = self.make_draft(generation)?;
        let mut state = self.lock();
        let mut bytes = Vec::new();
        for (file, count) in &state.pending {
            let record = encoded(generation, content(*file));
            for _ in 0..*count {
                bytes.extend_from_slice(&record);
            }
        }
        log.write_all(&bytes).map_err(StoreError::io("write", &self.draft))?;
        state.log = Some(log);
        state.generation = generation;
        state.length = RECORD_LENGTH + u64::try_from(bytes.len()).unwrap_or(0);
        state.is_draft = true;
        drop(state);
        self.end_draft()
    }

    fn make_draft(&self, generation: u64) -> Result<Box<dyn FsFile>, StoreError> {
        let failed = |error| StoreError::io("write", &self.draft)(error);
        match self.fs.remove_file(&self.draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut log = self.fs.append(&self.draft).map_err(failed)?;
        log.write_all(&encoded(generation, header(generation))).map_err(failed)?;
        Ok(log)
    }

    /// Gives the new log the name of the one before, whose counts are all committed.
    fn end_draft(&self) -> Result<(), StoreError> {
        self.fs.rename(&self.draft, &self.path).map_err(StoreError::io("rename", &self.draft))?;
        self.lock().is_draft = false;
        Ok(())
    }
}

/// Adds counts to their rows; those of files that are gone are dropped.
fn add(plan: &mut Plan, counts: &Counts, position: &LogPositionRecord) -> Result<(), StoreError> {
    let mut current: Option<(u64, Option<Placed>)> = None;
    for (file, count) in counts {
        if current.as_ref().is_none_or(|(version, _)| *version != file.version) {
            current = Some((file.version, version_of(plan, file.version)?));
        }
        let Some((_, Some((key, record)))) = &current else { continue };
        let exists = record.package == file.package
            && record.files.iter().any(|known| known.number == file.number);
        if exists && let Some(package) = tables::package_of(key) {
            let more = i64::try_from(*count).unwrap_or(i64::MAX);
            plan.add(tables::DOWNLOADS, tables::downloads(key, file.number), more)?;
            plan.add(tables::DOWNLOADS, package.to_vec(), more)?;
        }
    }
    plan.put(tables::META, LOG_POSITION.to_vec(), position)
}

/// A version and the key of its row.
type Placed = (Vec<u8>, VersionRecord);

fn version_of(plan: &Plan, version: u64) -> Result<Option<Placed>, StoreError> {
    let place: Option<VersionPlaceRecord> =
        plan.get(tables::VERSION_ID, &tables::number(version))?;
    let Some(VersionPlaceRecord { key, .. }) = place else { return Ok(None) };
    let found = rows::version(plan, &key)?.filter(|found| found.version == version);
    Ok(found.map(|found| (key, found)))
}

fn content(file: FileId) -> [u8; RECORD - 4] {
    let mut bytes = [0; RECORD - 4];
    let numbers = file.package.to_be_bytes().into_iter().chain(file.version.to_be_bytes());
    for (to, from) in bytes.iter_mut().zip(numbers.chain(file.number.to_be_bytes())) {
        *to = from;
    }
    bytes
}

fn header(generation: u64) -> [u8; RECORD - 4] {
    let mut bytes = [0; RECORD - 4];
    for (to, from) in bytes.iter_mut().zip(MAGIC.into_iter().chain(generation.to_be_bytes())) {
        *to = from;
    }
    bytes
}

fn encoded(generation: u64, content: [u8; RECORD - 4]) -> [u8; RECORD] {
    let sum = crc32c::crc32c_append(crc32c::crc32c(&generation.to_be_bytes()), &content);
    let mut record = [0; RECORD];
    for (to, from) in record.iter_mut().zip(content.into_iter().chain(sum.to_be_bytes())) {
        *to = from;
    }
    record
}

/// The generation of a log; `None` if there is none, or not even its header was written.
fn read_generation(fs: &dyn Fs, path: &Path) -> Result<Option<u64>, StoreError> {
    let failed = |error| StoreError::io("read", path)(error);
    if fs.file_len(path).map_err(failed)?.is_none() {
        return Ok(None);
    }
    let mut record = [0; RECORD];
    let mut file = fs.open(path).map_err(failed)?;
    match file.read_exact(&mut record) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read.map_err(failed)?,
    }
    let generation = tables::u64_at(&record, MAGIC.len()).unwrap_or(0);
    Ok((record == encoded(generation, header(generation))).then_some(generation))
}

/// Counts from `start` up to the first record that was not written whole.
fn replay(
    fs: &dyn Fs,
    path: &Path,
    generation: u64,
    start: u64,
    counts: &mut Counts,
) -> Result<(), StoreError> {
    let failed = |error| StoreError::io("read", path)(error);
    let mut file = fs.open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let mut reader = BufReader::new(file);
    let mut record = [0; RECORD];
    loop {
        match reader.read_exact(&mut record) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read.map_err(failed)?,
        }
        let numbers =
            (tables::u64_at(&record, 0), tables::u64_at(&record, 8), tables::u32_at(&record, 16));
        let (Some(package), Some(version), Some(number)) = numbers else { return Ok(()) };
        let file = FileId::new(package, version, number);
        if record != encoded(generation, content(file)) {
            return Ok(());
        }
        *counts.entry(file).or_default() += 1;
    }
}
