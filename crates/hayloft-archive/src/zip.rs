//! Zip archives. The records are read and written here rather than by a library: which bytes are
//! kept, and which contradictions are refused, is the point.

mod dos_time;
mod edit;
mod end;
mod entry;
mod extra;
mod local;
mod name;
mod record;
mod rewrite;
mod window;
mod writer;

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::ops::Range;

use flate2::bufread::DeflateDecoder;
use hayloft_feed::{Hold, Limits, ReadSeek};

pub use dos_time::DosTime;
pub use edit::{Comments, ExtraFields, ZipEdit, ZipOutput};
pub use entry::ZipEntry;
pub use local::ZipRecord;
pub use rewrite::ZipMerge;
pub use writer::ZipWriter;

use crate::ArchiveError;
use end::Tail;
use window::Window;

/// Whether two entries may be unpacked to one place.
///
/// Places are compared with `/` for `\` and without empty and `.` components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Duplicates {
    /// No.
    #[default]
    Refused,
    /// No, and names that differ only by case count as equal.
    IgnoringCase,
    /// Yes.
    Allowed,
}

/// What [`Zip::open_with`] accepts beyond what every package archive must be.
#[derive(Debug, Clone, Default)]
pub struct ZipRules {
    /// Whether two entries may be unpacked to one place.
    pub duplicates: Duplicates,
}

/// Where the records of an archive lie; offsets are from the start of the file.
///
/// Bytes that belong to no record may lie before and between the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZipLayout {
    /// By index of the entry.
    pub records: Vec<ZipRecord>,
    /// All directory headers.
    pub directory: Range<u64>,
    /// The zip64 end record.
    pub zip64_end: Option<Range<u64>>,
    /// The zip64 end record's locator.
    pub zip64_locator: Option<Range<u64>>,
    /// The end record with the comment; ends with the file.
    pub end: Range<u64>,
}

/// A zip archive whose directory was read and checked.
///
/// Memory is about six times the directory, which must not exceed [`Limits::metadata`]; it is
/// charged to the account.
/// Format: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>
pub struct Zip<'a> {
    window: Window<'a>,
    rules: ZipRules,
    limits: Limits,
    entries: Vec<ZipEntry>,
    /// Indexes in the order of paths, equal ones in directory order.
    by_path: Vec<usize>,
    directory: Vec<u8>,
    comment: Vec<u8>,
    layout: ZipLayout,
    _memory: Hold,
}

impl std::fmt::Debug for Zip<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Zip")
            .field("entries", &self.entries.len())
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

fn damaged(fault: &'static str) -> ArchiveError {
    ArchiveError::Damaged { format: "zip", fault }
}

impl<'a> Zip<'a> {
    /// Reads and checks the directory and every local header.
    ///
    /// Refused are: more than one disk, encryption, compression other than deflate; end records
    /// that disagree, a directory that does not end where they begin; local headers or data
    /// descriptors that disagree with the directory, records that overlap; names that are empty,
    /// absolute, too long, have a drive letter, a `..` or a zero byte, or lead to one place;
    /// more entries or stated bytes than `limits` allow. Costs one read of the directory and one
    /// small read for each entry, in file order.
    pub fn open(content: &'a mut dyn ReadSeek, limits: &Limits) -> Result<Self, ArchiveError> {
        Self::open_with(content, limits, &ZipRules::default())
    }

    /// As [`Zip::open`] under other rules.
    pub fn open_with(
        content: &'a mut dyn ReadSeek,
        limits: &Limits,
        rules: &ZipRules,
    ) -> Result<Self, ArchiveError> {
        let mut window = Window::new(content).map_err(ArchiveError::Io)?;
        let end = end::find(&mut window)?;
        let memory = check_directory(&end, limits)?;
        let directory = read_directory(&mut window, &end)?;
        let entries = parse_directory(&directory, end.entries, limits)?;
        let mut names: HashSet<_> = HashSet::new();
        if rules.duplicates != Duplicates::Allowed {
            for entry in &entries {
                if !names.insert(name::place(entry.path(), rules.duplicates)) {
                    return Err(ArchiveError::Duplicate { name: entry.name().to_owned() });
                }
            }
        }
        let mut by_path: Vec<usize> = (0..entries.len()).collect();
        by_path.sort_by_key(|index| entries.get(*index).map(ZipEntry::path));
        let records = check_locals(&mut window, &entries, &end)?;
        let layout = ZipLayout {
            records,
            directory: end.directory,
            zip64_end: end.zip64_end,
            zip64_locator: end.zip64_locator,
            end: end.end,
        };
        Ok(Self {
            window,
            rules: rules.clone(),
            limits: limits.clone(),
            entries,
            by_path,
            directory,
            comment: end.comment,
            layout,
            _memory: memory,
        })
    }

    /// All entries in the order of the directory.
    pub fn entries(&self) -> &[ZipEntry] {
        &self.entries
    }

    /// The index of the entry with exactly this [path](ZipEntry::path); the first of several.
    pub fn find(&self, path: &str) -> Option<usize> {
        let entry = |index: &usize| self.entries.get(*index);
        let at = self
            .by_path
            .partition_point(|index| entry(index).is_some_and(|entry| entry.path() < path));
        let found = self.by_path.get(at)?;
        entry(found).filter(|entry| entry.path() == path).map(ZipEntry::index)
    }

    /// Where the records lie.
    pub fn layout(&self) -> &ZipLayout {
        &self.layout
    }

    /// The comment of the archive.
    pub fn comment(&self) -> &[u8] {
        &self.comment
    }

    /// The comment of one entry; empty if there is none.
    pub fn entry_comment(&self, index: usize) -> &[u8] {
        self.of_directory(index, |entry| &entry.comment)
    }

    /// The extra area of one entry in the directory; empty if there is none.
    pub fn extra_fields(&self, index: usize) -> &[u8] {
        self.of_directory(index, |entry| &entry.extra)
    }

    fn of_directory(&self, index: usize, part: fn(&ZipEntry) -> &Range<usize>) -> &[u8] {
        let range = self.entries.get(index).map(part);
        range.and_then(|range| self.directory.get(range.clone())).unwrap_or_default()
    }

    /// Reads one entry of at most `max` bytes; its length and CRC must be those stated.
    pub fn read(&mut self, index: usize, max: u64) -> Result<Vec<u8>, ArchiveError> {
        let size = self.entries.get(index).map_or(0, |entry| entry.size);
        if size <= max {
            // The vector doubles, and is there twice while it moves.
            self.limits.account.charge(size.saturating_mul(3))?;
        }
        let mut bytes = Vec::new();
        self.copy_to(index, max, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes the data of one entry of at most `max` bytes to `out` and returns its length, which
    /// must be the one stated, as must be its CRC. On an error `out` may have a part of it.
    pub fn copy_to(
        &mut self,
        index: usize,
        max: u64,
        out: &mut dyn Write,
    ) -> Result<u64, ArchiveError> {
        let found = self.entries.get(index).zip(self.layout.records.get(index));
        let (entry, record) = found.ok_or(ArchiveError::NoSuchEntry { index })?;
        if entry.size > max {
            let what = format!("entry `{}`", hayloft_feed::shorten(entry.name()));
            return Err(ArchiveError::TooLarge { what, limit: max });
        }
        self.limits.account.unfold(entry.compressed, entry.size)?;
        let fault = |fault| ArchiveError::DamagedEntry {
            format: "zip",
            name: entry.name().to_owned(),
            fault,
        };
        let mut checked =
            Checked { out, hasher: crc32fast::Hasher::new(), written: 0, failed: None };
        let mut raw = self.window.range(record.data.clone());
        // One byte more than stated shows that there is more.
        let most = entry.size.saturating_add(1);
        let copied = if entry.is_stored() {
            io::copy(&mut raw.take(most), &mut checked).map(|_| entry.compressed)
        } else {
            let mut inflated = DeflateDecoder::new(&mut raw).take(most);
            let copied = io::copy(&mut inflated, &mut checked);
            copied.map(|_| inflated.into_inner().total_in())
        };
        let consumed = match copied {
            Ok(consumed) => consumed,
            Err(_) if checked.failed.is_some() => {
                return Err(ArchiveError::Io(
                    checked.failed.unwrap_or(io::ErrorKind::Other.into()),
                ));
            }
            Err(error) if is_inflate_error(&error) => {
                return Err(fault("its compressed data is damaged"));
            }
            Err(error) => return Err(ArchiveError::Io(error)),
        };
        if checked.written != entry.size {
            return Err(fault("its data does not have the size stated"));
        }
        if checked.hasher.finalize() != entry.crc {
            return Err(fault("its data does not have the checksum stated"));
        }
        if consumed != entry.compressed {
            return Err(fault("its compressed data goes on after its end"));
        }
        Ok(entry.size)
    }
}

/// flate2 reports damaged data by these two kinds, the operating system by a number besides.
fn is_inflate_error(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof)
        && error.raw_os_error().is_none()
}

/// Counts and sums what goes to `out`, and keeps its errors apart from those of the reader.
struct Checked<'o> {
    out: &'o mut dyn Write,
    hasher: crc32fast::Hasher,
    written: u64,
    failed: Option<io::Error>,
}

impl Write for Checked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.out.write_all(bytes) {
            Ok(()) => {
                self.hasher.update(bytes);
                self.written = self.written.saturating_add(crate::bytes::length(bytes));
                Ok(bytes.len())
            }
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Meets what the end record says with the limits, and takes the memory that reading will need.
fn check_directory(end: &Tail, limits: &Limits) -> Result<Hold, ArchiveError> {
    if end.entries > limits.entries {
        return Err(ArchiveError::TooManyEntries { limit: limits.entries });
    }
    // Each header has 46 bytes and a name: this bounds the count by bytes that are there.
    let length = end.directory.end.saturating_sub(end.directory.start);
    if end.entries.saturating_mul(46) > length {
        return Err(damaged("its directory is shorter than its number of entries needs"));
    }
    if length > limits.metadata {
        let what = "the directory of the zip archive".to_owned();
        return Err(ArchiveError::TooLarge { what, limit: limits.metadata });
    }
    // The directory, which doubles as it is read; names, in two spellings; places of the names.
    let memory = length.saturating_mul(4).saturating_add(end.entries.saturating_mul(ENTRY));
    Ok(limits.account.hold(memory)?)
}

/// Memory of one entry beside its names: itself, its record twice while they are put in order,
/// its numbers in two orders, its place in the set of names.
const ENTRY: u64 = 640;

fn read_directory(window: &mut Window<'_>, end: &Tail) -> Result<Vec<u8>, ArchiveError> {
    let mut directory = Vec::new();
    if !window.copy(end.directory.clone(), &mut directory)? {
        return Err(damaged("it became shorter while it was read"));
    }
    Ok(directory)
}

fn parse_directory(
    directory: &[u8],
    count: u64,
    limits: &Limits,
) -> Result<Vec<ZipEntry>, ArchiveError> {
    let mut entries = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
    let mut at = 0;
    let mut unpacked = 0_u64;
    while entries.len() < entries.capacity() && at < directory.len() {
        let entry = ZipEntry::parse(directory, at, entries.len(), limits)?;
        at = entry.header.end;
        unpacked = unpacked.saturating_add(entry.size);
        if unpacked > limits.unpacked {
            let what = "the unpacked data".to_owned();
            return Err(ArchiveError::TooLarge { what, limit: limits.unpacked });
        }
        entries.push(entry);
    }
    if at != directory.len() || crate::bytes::count(entries.len()) != count {
        return Err(damaged("its directory does not have the number of entries stated"));
    }
    Ok(entries)
}

/// What belongs to no record must not begin like one: readers that go through the file from its
/// start, as uv reads a wheel while it arrives, would take it for an entry or for the directory.
fn refuse_hidden_record(window: &mut Window<'_>, gap: Range<u64>) -> Result<(), ArchiveError> {
    let mut start = [0; 2];
    if gap.end.saturating_sub(gap.start) < 4 || !window.read_at(gap.start, &mut start)? {
        return Ok(());
    }
    if start == *b"PK" {
        return Err(damaged(
            "a record that its directory does not know stands between its entries",
        ));
    }
    Ok(())
}

/// Checks all local headers in file order, and that no two records share a byte.
fn check_locals(
    window: &mut Window<'_>,
    entries: &[ZipEntry],
    end: &Tail,
) -> Result<Vec<ZipRecord>, ArchiveError> {
    let mut order: Vec<&ZipEntry> = entries.iter().collect();
    order.sort_by_key(|entry| entry.offset);
    let mut buffer = Vec::new();
    let mut records = Vec::with_capacity(entries.len());
    let mut previous = 0;
    for entry in order {
        let offset =
            |within: usize| end.directory.start.saturating_add(crate::bytes::count(within));
        let central = offset(entry.header.start)..offset(entry.header.end);
        let record = local::check(window, entry, central, end.directory.start, &mut buffer)?;
        if record.local.start < previous {
            return Err(ArchiveError::DamagedEntry {
                format: "zip",
                name: entry.name().to_owned(),
                fault: "it overlaps another entry",
            });
        }
        refuse_hidden_record(window, previous..record.local.start)?;
        previous = record.local.end;
        records.push((entry.index, record));
    }
    refuse_hidden_record(window, previous..end.directory.start)?;
    records.sort_by_key(|(index, _)| *index);
    Ok(records.into_iter().map(|(_, record)| record).collect())
}
