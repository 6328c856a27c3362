use std::io::{self, BufReader, Read};

use hayloft_feed::Limits;

use super::header::RawHeader;
use super::pax::{self, PaxRecord};
use super::{BLOCK, TarEntry, TarKind, damaged, damaged_entry, padding};
use crate::ArchiveError;
use crate::bytes::length;
use crate::error::shown;

/// Bytes of all extension records of one member, or of one global record.
const EXTENSIONS: u64 = 1 << 20;
/// Sizes from here on do not fit a header's octal field; smaller ones have no need of a record.
const OCTAL: u64 = 1 << 33;

/// A tar stream as headers; the data between them is the caller's to read.
pub(crate) struct Blocks<R> {
    input: BufReader<R>,
    limits: Limits,
    /// Blocks and data that were read or stated so far.
    seen: u64,
    entries: u64,
}

/// What comes next in the stream.
pub(crate) enum Next {
    /// A member; its data and padding follow.
    Member(Box<Member>),
    /// A pax record about all members after it.
    Global(Box<Record>),
    /// The end of the archive: what was read of it, the rest follows.
    End(Vec<u8>),
}

/// A member's headers.
pub(crate) struct Member {
    /// Extension records, in order.
    pub(crate) records: Vec<Record>,
    pub(crate) header: RawHeader,
    pub(crate) entry: TarEntry,
}

/// An extension record.
pub(crate) struct Record {
    pub(crate) kind: RecordKind,
    pub(crate) header: RawHeader,
    pub(crate) data: Vec<u8>,
    pub(crate) padding: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    Pax,
    LongName,
    LongLink,
}

impl<R: Read> Blocks<R> {
    pub(crate) fn new(input: R, limits: &Limits) -> Self {
        let input = BufReader::with_capacity(32 << 10, input);
        Self { input, limits: limits.clone(), seen: 0, entries: 0 }
    }

    /// The input, positioned at what comes next.
    pub(crate) fn input(&mut self) -> &mut BufReader<R> {
        &mut self.input
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Counts bytes that are there or stated, before they are read.
    pub(crate) fn count(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        self.seen = self.seen.saturating_add(bytes);
        if self.seen > self.limits.unpacked {
            let what = "the unpacked data".to_owned();
            return Err(ArchiveError::TooLarge { what, limit: self.limits.unpacked });
        }
        Ok(())
    }

    /// The next up to 512 bytes; fewer only at the end of the input.
    fn block(&mut self) -> Result<([u8; BLOCK], usize), ArchiveError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ArchiveError::from_io(error)),
            }
        }
        self.count(512)?;
        Ok((block, filled))
    }

    /// Reads headers up to and including that of the next member.
    pub(crate) fn next(&mut self) -> Result<Next, ArchiveError> {
        let mut records: Vec<Record> = Vec::new();
        loop {
            let (block, filled) = self.block()?;
            if filled == 0 || (filled == BLOCK && block == [0; BLOCK]) {
                if !records.is_empty() {
                    return Err(damaged("an extension record is not followed by its member"));
                }
                return self.end(filled).map(Next::End);
            }
            if filled < BLOCK {
                return Err(damaged("it is cut off within a header"));
            }
            let header = RawHeader::parse(&block)?;
            self.entries = self.entries.saturating_add(1);
            if self.entries > self.limits.entries {
                return Err(ArchiveError::TooManyEntries { limit: self.limits.entries });
            }
            let kind = match header.type_byte() {
                // Solaris wrote `X` before POSIX settled on `x`.
                b'x' | b'X' => RecordKind::Pax,
                b'L' => RecordKind::LongName,
                b'K' => RecordKind::LongLink,
                b'g' if records.is_empty() => {
                    let record = self.record(RecordKind::Pax, header, 0)?;
                    check_global(&record.data).map_err(damaged)?;
                    return Ok(Next::Global(Box::new(record)));
                }
                b'g' => return Err(damaged("an extension record is not followed by its member")),
                _ => {
                    let entry = self.entry(&header, &records)?;
                    self.count(entry.size)?;
                    return Ok(Next::Member(Box::new(Member { records, header, entry })));
                }
            };
            if records.iter().any(|record| record.kind == kind) {
                return Err(damaged("a member has two extension records of one kind"));
            }
            // pnpm gives the name or size that one of them states to the header of the other.
            let is_pax = |record: &Record| record.kind == RecordKind::Pax;
            if records.iter().any(|record| is_pax(record) != (kind == RecordKind::Pax)) {
                return Err(damaged("a member has extension records of two dialects"));
            }
            let before = records.iter().map(|record| length(&record.data)).sum();
            records.push(self.record(kind, header, before)?);
        }
    }

    /// Reads what a record header announces, given the bytes of records before it.
    fn record(
        &mut self,
        kind: RecordKind,
        header: RawHeader,
        before: u64,
    ) -> Result<Record, ArchiveError> {
        let size = header.size()?;
        if size.saturating_add(before) > EXTENSIONS {
            let what = "an extension record of the tar archive".to_owned();
            return Err(ArchiveError::TooLarge { what, limit: EXTENSIONS });
        }
        let whole = size + padding(size);
        self.count(whole)?;
        let mut data = Limits::read(&mut (&mut self.input).take(whole), whole)
            .map_err(|error| ArchiveError::from_limited(error, "an extension record"))?;
        if length(&data) != whole {
            return Err(damaged("it is cut off within an extension record"));
        }
        let padding = data.split_off(usize::try_from(size).unwrap_or(usize::MAX).min(data.len()));
        Ok(Record { kind, header, data, padding })
    }

    /// The rest of the end marker, after the first `filled` bytes of it.
    ///
    /// Some readers stop at one block of zeros, others need two: what follows one must be another
    /// or the end of the input.
    fn end(&mut self, filled: usize) -> Result<Vec<u8>, ArchiveError> {
        let mut marker = vec![0; filled];
        if filled > 0 {
            let (block, filled) = self.block()?;
            if block != [0; BLOCK] {
                return Err(damaged("something other than zeros follows its first zero block"));
            }
            marker.resize(marker.len() + filled, 0);
        }
        Ok(marker)
    }

    /// What header and records say of the member.
    fn entry(&self, header: &RawHeader, records: &[Record]) -> Result<TarEntry, ArchiveError> {
        let mut path = header.path();
        let mut link = header.link();
        let mut size = header.size()?;
        let of_kind = |kind| records.iter().find(|record| record.kind == kind);
        let long_name = of_kind(RecordKind::LongName).map(|record| long(&record.data));
        let long_link = of_kind(RecordKind::LongLink).map(|record| long(&record.data));
        let pax = of_kind(RecordKind::Pax).map_or(&[][..], |record| record.data.as_slice());
        let fault = |fault| damaged_entry(&header.path(), fault);
        let data = pax;
        let pax = pax::parse(data).map_err(fault)?;
        pax::read_alike(data, &pax).map_err(fault)?;
        let value = |key: &[u8]| -> Result<Option<&[u8]>, ArchiveError> {
            Ok(pax::find(&pax, key).map_err(fault)?.map(|record| record.value))
        };
        if let Some(found) = value(b"path")?.or(long_name) {
            path = found.to_vec();
        }
        if let Some(found) = value(b"linkpath")?.or(long_link) {
            link = found.to_vec();
        }
        if header.type_byte() == b'S' || pax.iter().any(is_sparse) {
            let (name, feature) = (shown(&path), "sparse storage");
            return Err(ArchiveError::UnsupportedEntry { format: "tar", name, feature });
        }
        if let Some(stated) = value(b"size")? {
            let stated = decimal(stated).ok_or_else(|| fault("its pax size is not a number"))?;
            // Readers that ignore the record would take data for headers.
            if stated != size && stated < OCTAL {
                return Err(fault("its pax header states another size than its header"));
            }
            size = stated;
        }
        for name in [&path, &link] {
            let refused = |fault| ArchiveError::Name { name: shown(name), fault };
            if name.len() > self.limits.entry_name {
                return Err(refused("is longer than the limit"));
            }
            if name.contains(&0) {
                return Err(refused("contains a zero byte"));
            }
        }
        let kind = match header.type_byte() {
            0 | b'0' | b'7' if path.ends_with(b"/") => TarKind::Directory,
            0 | b'0' | b'7' => TarKind::File,
            b'1' => TarKind::HardLink,
            b'2' => TarKind::SymbolicLink,
            b'5' => TarKind::Directory,
            other => TarKind::Other(other),
        };
        let without_data = match kind {
            TarKind::File => false,
            TarKind::HardLink | TarKind::SymbolicLink | TarKind::Directory => true,
            TarKind::Other(kind) => matches!(kind, b'3' | b'4' | b'6'),
        };
        if without_data && size != 0 {
            // Readers differ in whether such data is there.
            return Err(damaged_entry(&path, "it has a size, but is not a file"));
        }
        let is_link = matches!(kind, TarKind::HardLink | TarKind::SymbolicLink);
        Ok(TarEntry {
            path,
            link: is_link.then_some(link),
            kind,
            size,
            mode: header.mode(),
            mtime: header.mtime(),
            header: Box::new(*header.bytes()),
        })
    }
}

/// A GNU long name without the zero at its end.
fn long(data: &[u8]) -> &[u8] {
    data.strip_suffix(b"\0").unwrap_or(data)
}

fn is_sparse(record: &PaxRecord<'_>) -> bool {
    record.key.starts_with(b"GNU.sparse.")
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A global record must not say what can only be true of one member.
fn check_global(data: &[u8]) -> Result<(), &'static str> {
    let single = |record: &PaxRecord<'_>| {
        matches!(record.key, b"path" | b"linkpath" | b"size") || is_sparse(record)
    };
    let records = pax::parse(data)?;
    pax::read_alike(data, &records)?;
    if records.iter().any(single) {
        return Err("a global pax header states a name or size");
    }
    Ok(())
}
