use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{self, BufWriter, Write};

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::entry::{DEFLATED, DESCRIPTOR, STORED, UTF8};
use super::record::{self, Counter, Record};
use super::{Comments, DosTime, Duplicates, ExtraFields, Zip, ZipEdit, ZipOutput, extra, name};
use crate::ArchiveError;
use crate::bytes::length;

/// Flag bits 1 and 2 say how hard a compressor tried.
const DEFLATE_EFFORT: u16 = 0b110;

impl Zip<'_> {
    /// Copies the archive to `out` but for `edits`, with all extra fields and comments.
    ///
    /// See [`Zip::rewrite_with`].
    pub fn rewrite(&mut self, edits: &[ZipEdit], out: &mut dyn Write) -> Result<(), ArchiveError> {
        self.rewrite_with(edits, ZipOutput::default(), out)
    }

    /// Copies the archive to `out` but for `edits`.
    ///
    /// Entries keep their order, names, times, attributes, versions and compressed bytes. Local
    /// headers are written anew with sizes, so there are no data descriptors; bytes that belong
    /// to no entry are left out; zip64 is used only where needed. The result obeys the rules that
    /// the archive was opened with. Equal input makes equal output.
    pub fn rewrite_with(
        &mut self,
        edits: &[ZipEdit],
        output: ZipOutput,
        out: &mut dyn Write,
    ) -> Result<(), ArchiveError> {
        let plan = Plan::new(self, edits)?;
        let mut sink = Sink::new(out);
        for (index, change) in plan.changes.iter().enumerate() {
            self.write_entry(index, change, output, &mut sink)?;
        }
        for (name, bytes) in plan.appended {
            let record = Record::new(name, DosTime::EARLIEST, 0o644);
            sink.put_bytes(record, bytes)?;
        }
        let comment = match output.comments {
            Comments::Kept => self.comment.as_slice(),
            Comments::Dropped => &[],
        };
        sink.finish(comment)
    }

    fn write_entry(
        &mut self,
        index: usize,
        change: &Change<'_>,
        output: ZipOutput,
        sink: &mut Sink<'_>,
    ) -> Result<(), ArchiveError> {
        let found = self.entries.get(index).zip(self.layout.records.get(index));
        let (entry, place) = found.ok_or(ArchiveError::NoSuchEntry { index })?;
        if change.removed {
            return Ok(());
        }
        let drop: &[u16] = match change.name {
            Some(_) => &[extra::ZIP64, extra::UNICODE_PATH],
            None => &[extra::ZIP64],
        };
        let of_directory = self.directory.get(entry.extra.clone()).unwrap_or_default();
        let central_extra = extra::without(of_directory, drop);
        let local_extra = match output.extra_fields {
            ExtraFields::OfDirectory => central_extra.clone(),
            ExtraFields::Kept => {
                let mut bytes = Vec::new();
                let whole = self.window.copy(place.local_extra.clone(), &mut bytes)?;
                whole.then(|| extra::without(&bytes, drop)).ok_or_else(changed)?
            }
        };
        let comment = match output.comments {
            Comments::Kept => self.directory.get(entry.comment.clone()).unwrap_or_default(),
            Comments::Dropped => &[],
        };
        let name = change.name.map_or(entry.raw_name(), str::as_bytes);
        let renamed = if name.is_ascii() || change.name.is_none() { 0 } else { UTF8 };
        let record = Record {
            made_by: entry.made_by,
            needed: entry.needed,
            flags: entry.flags & !DESCRIPTOR | renamed,
            method: entry.method,
            time: entry.time,
            date: entry.date,
            crc: entry.crc,
            compressed: entry.compressed,
            size: entry.size,
            internal: entry.internal,
            external: entry.external,
            name,
            local_extra,
            central_extra,
            comment,
            roomy: false,
        };
        if let Some(bytes) = change.bytes {
            return sink.put_bytes(record, bytes);
        }
        let data = place.data.clone();
        sink.begin(&record)?;
        if !self.window.copy(data, &mut sink.out)? {
            return Err(changed());
        }
        Ok(())
    }
}

/// Writes a new archive out of entries of others, whose compressed bytes are copied, and of new
/// ones. Equal calls make equal output.
pub struct ZipMerge<'o> {
    sink: Sink<'o>,
}

impl std::fmt::Debug for ZipMerge<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ZipMerge").field("entries", &self.sink.entries).finish_non_exhaustive()
    }
}

impl<'o> ZipMerge<'o> {
    /// Begins an archive on `out`.
    pub fn new(out: &'o mut dyn Write) -> Self {
        Self { sink: Sink::new(out) }
    }

    /// Adds a file with these bytes: deflated, mode 0644, time 1980-01-01.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
        check_name(name)?;
        self.sink.put_bytes(Record::new(name, DosTime::EARLIEST, 0o644), bytes)
    }

    /// Adds an entry of another archive under a name, with its time and attributes.
    pub fn copy(
        &mut self,
        from: &mut Zip<'_>,
        index: usize,
        name: &str,
    ) -> Result<(), ArchiveError> {
        check_name(name)?;
        let change = Change { name: Some(name), ..Change::default() };
        let output =
            ZipOutput { extra_fields: ExtraFields::OfDirectory, comments: Comments::Dropped };
        from.write_entry(index, &change, output, &mut self.sink)
    }

    /// Writes the directory and the end.
    pub fn finish(self) -> Result<(), ArchiveError> {
        self.sink.finish(&[])
    }
}

fn check_name(name: &str) -> Result<(), ArchiveError> {
    match name::fault(&name::normalize(name)) {
        None => Ok(()),
        Some(fault) => Err(ArchiveError::Name { name: name.to_owned(), fault }),
    }
}

fn changed() -> ArchiveError {
    super::damaged("it became shorter while it was read")
}

/// What happens to one entry.
#[derive(Debug, Clone, Copy, Default)]
struct Change<'e> {
    removed: bool,
    name: Option<&'e str>,
    bytes: Option<&'e [u8]>,
}

/// The edits by entry, found to be possible.
struct Plan<'e> {
    changes: Vec<Change<'e>>,
    appended: Vec<(&'e str, &'e [u8])>,
}

impl<'e> Plan<'e> {
    fn new(zip: &Zip<'_>, edits: &'e [ZipEdit]) -> Result<Self, ArchiveError> {
        let mut changes: Vec<Option<Change<'e>>> = vec![None; zip.entries.len()];
        let mut appended = Vec::new();
        for edit in edits {
            let (index, change) = match edit {
                ZipEdit::Append { name, bytes } => {
                    appended.push((name.as_str(), bytes.as_slice()));
                    continue;
                }
                ZipEdit::Replace { index, bytes } => {
                    (*index, Change { bytes: Some(bytes), ..Change::default() })
                }
                ZipEdit::Remove { index } => {
                    (*index, Change { removed: true, ..Change::default() })
                }
                ZipEdit::Rename { index, name } => {
                    (*index, Change { name: Some(name), ..Change::default() })
                }
                ZipEdit::ReplaceAndRename { index, name, bytes } => {
                    (*index, Change { name: Some(name), bytes: Some(bytes), removed: false })
                }
            };
            let place = changes.get_mut(index).filter(|place| place.is_none());
            *place.ok_or(ArchiveError::NoSuchEntry { index })? = Some(change);
        }
        let changes: Vec<_> = changes.into_iter().map(Option::unwrap_or_default).collect();
        let plan = Self { changes, appended };
        plan.check(zip)?;
        Ok(plan)
    }

    /// New names must be sound and free.
    fn check(&self, zip: &Zip<'_>) -> Result<(), ArchiveError> {
        let renamed = self.changes.iter().filter_map(|change| change.name);
        let new: Vec<&str> = renamed.chain(self.appended.iter().map(|(name, _)| *name)).collect();
        for name in &new {
            let refused = |fault| ArchiveError::Name { name: (*name).to_owned(), fault };
            if name.len() > zip.limits.entry_name {
                return Err(refused("is longer than the limit"));
            }
            if let Some(fault) = name::fault(&name::normalize(name)) {
                return Err(refused(fault));
            }
        }
        if new.is_empty() || zip.rules.duplicates == Duplicates::Allowed {
            return Ok(());
        }
        let mut taken: HashSet<Cow<'_, str>> = HashSet::new();
        let stay = zip.entries.iter().zip(&self.changes);
        let stay = stay.filter(|(_, change)| !change.removed && change.name.is_none());
        for (entry, _) in stay {
            taken.insert(name::place(entry.path(), zip.rules.duplicates));
        }
        for spelled in new {
            let path = name::normalize(spelled);
            let place = name::place(&path, zip.rules.duplicates).into_owned();
            if !taken.insert(Cow::Owned(place)) {
                return Err(ArchiveError::Duplicate { name: spelled.to_owned() });
            }
        }
        Ok(())
    }
}

/// The archive being written.
struct Sink<'o> {
    out: Counter<BufWriter<&'o mut dyn Write>>,
    directory: Vec<u8>,
    entries: u64,
}

impl<'o> Sink<'o> {
    fn new(out: &'o mut dyn Write) -> Self {
        Self {
            out: Counter { out: BufWriter::with_capacity(64 << 10, out), written: 0 },
            directory: Vec::new(),
            entries: 0,
        }
    }

    /// Writes the headers; the data follows.
    fn begin(&mut self, record: &Record<'_>) -> Result<(), ArchiveError> {
        record.central(self.out.written, &mut self.directory)?;
        self.entries += 1;
        self.out.write_all(&record.local()?).map_err(ArchiveError::Io)
    }

    /// Writes an entry with this data, compressed unless the record says stored.
    fn put_bytes(&mut self, mut record: Record<'_>, bytes: &[u8]) -> Result<(), ArchiveError> {
        let data = if record.method == STORED {
            Cow::Borrowed(bytes)
        } else {
            Cow::Owned(deflate(bytes).map_err(ArchiveError::Io)?)
        };
        if record.method == DEFLATED {
            record.flags &= !DEFLATE_EFFORT;
        }
        record.crc = crc32fast::hash(bytes);
        record.size = length(bytes);
        record.compressed = length(&data);
        self.begin(&record)?;
        self.out.write_all(&data).map_err(ArchiveError::Io)
    }

    fn finish(mut self, comment: &[u8]) -> Result<(), ArchiveError> {
        let end = record::end(self.entries, self.out.written, &self.directory, comment);
        self.out
            .write_all(&self.directory)
            .and_then(|()| self.out.write_all(&end))
            .and_then(|()| self.out.flush())
            .map_err(ArchiveError::Io)
    }
}

fn deflate(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(bytes)?;
    encoder.finish()
}
