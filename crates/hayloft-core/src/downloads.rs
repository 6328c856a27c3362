//! Download counters: in memory and in a log, and from there now and then in a commit.
//!
//! The log begins with a header that names its generation. Both it and each count are records of
//! 24 bytes that end in a checksum over generation and content. The commit that adds counts to
//! their rows also stores how much of the log they cover, so a replay counts each once.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::plan::Plan;
use crate::records::{LogPositionRecord, VersionPlaceRecord, VersionRecord};
use crate::writer::Writer;
use crate::{FileId, Fs, FsFile, StoreError, rows, tables};

/// Key of the `LogPositionRecord`.
pub(crate) const LOG_POSITION: &[u8] = b"downloads";

const RECORD: usize = 24;
const RECORD_LENGTH: u64 = 24;
const MAGIC: [u8; 8] = *b"hayloft\n";
/// From this length on a log whose counts are all committed is replaced.
const ROTATE_FROM: u64 = 1 << 20;

type Counts = BTreeMap<FileId, u64>;

#[derive(Debug)]
pub(crate) struct Downloads {
    fs: Arc<dyn Fs>,
    path: PathBuf,
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
}

/// Where the log ends, for a store that no longer knows how much of it is in its rows.
pub(crate) fn end_of_log(fs: &dyn Fs, directory: &Path) -> Result<LogPositionRecord, StoreError> {
    let path = directory.join("dl.log");
    let bytes = fs.file_len(&path).map_err(StoreError::io("read", &path))?.unwrap_or(0);
    let generation = read_generation(fs, &path)?.unwrap_or_default();
    Ok(LogPositionRecord { generation, bytes })
}

impl Downloads {
    /// Opens the log and takes up what no commit has counted yet.
    pub(crate) fn open(
        fs: Arc<dyn Fs>,
        directory: &Path,
        committed: &LogPositionRecord,
    ) -> Result<Self, StoreError> {
        let path = directory.join("dl.log");
        let mut pending = Counts::new();
        let mut generation = committed.generation;
        // The next flush covers all of this log, whatever its end looks like.
        let length = fs.file_len(&path).map_err(StoreError::io("read", &path))?.unwrap_or(0);
        if let Some(found) = read_generation(fs.as_ref(), &path)? {
            generation = generation.max(found);
            let start = match found.cmp(&committed.generation) {
                std::cmp::Ordering::Less => None,
                std::cmp::Ordering::Equal => Some(committed.bytes.max(RECORD_LENGTH)),
                std::cmp::Ordering::Greater => Some(RECORD_LENGTH),
            };
            if let Some(start) = start {
                pending = replay(fs.as_ref(), &path, found, start)?;
            }
        }
        let state =
            State { pending: Counts::new(), flushing: pending, log: None, generation, length };
        Ok(Self { fs, path, state: Mutex::new(state), flush: Mutex::new(()) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one download.
    pub(crate) fn count(&self, file: FileId) -> Result<(), StoreError> {
        let mut state = self.lock();
        *state.pending.entry(file).or_default() += 1;
        let record = encoded(state.generation, content(file));
        let Some(log) = &mut state.log else { return Ok(()) };
        if let Err(error) = log.write_all(&record) {
            // What follows a torn record could not be read back.
            state.log = None;
            return Err(StoreError::io("write", &self.path)(error));
        }
        state.length += RECORD_LENGTH;
        Ok(())
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
        let (counts, position) = {
            let mut state = self.lock();
            let pending = std::mem::take(&mut state.pending);
            for (file, count) in pending {
                *state.flushing.entry(file).or_default() += count;
            }
            let position = LogPositionRecord { generation: state.generation, bytes: state.length };
            (state.flushing.clone(), position)
        };
        if !counts.is_empty() {
            let weight = counts.len().saturating_mul(64);
            writer.change::<(), StoreError>(weight, move |plan| add(plan, &counts, &position))?;
        }
        let mut state = self.lock();
        state.flushing.clear();
        let idle = state.pending.is_empty();
        if state.log.is_none() || (idle && state.length >= ROTATE_FROM) {
            self.start_log(&mut state)?;
        }
        Ok(())
    }

    /// Replaces the log by one of the next generation that holds what is pending.
    fn start_log(&self, state: &mut State) -> Result<(), StoreError> {
        let generation = state.generation + 1;
        let draft = self.path.with_extension("new");
        let failed = |error| StoreError::io("write", &draft)(error);
        match self.fs.remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut log = self.fs.append(&draft).map_err(failed)?;
        let mut bytes = encoded(generation, header(generation)).to_vec();
        for (file, count) in &state.pending {
            let record = encoded(generation, content(*file));
            for _ in 0..*count {
                bytes.extend_from_slice(&record);
            }
        }
        log.write_all(&bytes).map_err(failed)?;
        self.fs.rename(&draft, &self.path).map_err(StoreError::io("rename", &draft))?;
        state.log = Some(log);
        state.generation = generation;
        state.length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
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
fn replay(fs: &dyn Fs, path: &Path, generation: u64, start: u64) -> Result<Counts, StoreError> {
    let failed = |error| StoreError::io("read", path)(error);
    let mut file = fs.open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let mut reader = BufReader::new(file);
    let mut counts = Counts::new();
    let mut record = [0; RECORD];
    loop {
        match reader.read_exact(&mut record) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(counts),
            read => read.map_err(failed)?,
        }
        let numbers =
            (tables::u64_at(&record, 0), tables::u64_at(&record, 8), tables::u32_at(&record, 16));
        let (Some(package), Some(version), Some(number)) = numbers else { return Ok(counts) };
        let file = FileId::new(package, version, number);
        if record != encoded(generation, content(file)) {
            return Ok(counts);
        }
        *counts.entry(file).or_default() += 1;
    }
}
