use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom, Write};

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::entry::STORED;
use super::record::{self, Counter, Record};
use super::{DosTime, Duplicates, name};
use crate::ArchiveError;
use crate::bytes::length;
use crate::compress::Pieces;

/// Writes a new zip archive, one entry after the other, from the position `out` is at.
///
/// Names obey the rules of [`Zip::open`](crate::Zip::open). Equal input makes equal output.
#[derive(Debug)]
pub struct ZipWriter<W> {
    out: W,
    start: u64,
    /// From `start`.
    position: u64,
    directory: Vec<u8>,
    names: HashSet<String>,
}

/// Above this stated size the local header gets 64-bit fields; deflate may add a little.
const ROOMY: u64 = 0xff00_0000;

impl<W: Write + Seek> ZipWriter<W> {
    /// Begins an archive.
    pub fn new(mut out: W) -> Result<Self, ArchiveError> {
        let start = out.stream_position().map_err(ArchiveError::Io)?;
        Ok(Self { out, start, position: 0, directory: Vec::new(), names: HashSet::new() })
    }

    /// Adds a deflated file of mode 0644, or a directory if `name` ends in `/`, as of `modified`,
    /// else 1980-01-01. Files of 4 GiB and more are refused: see [`ZipWriter::add_sized`].
    pub fn add(
        &mut self,
        name: &str,
        modified: Option<DosTime>,
        content: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        self.add_sized(name, modified, 0, content)
    }

    /// As [`ZipWriter::add`] for a file whose size is about `size`: a large one gets a header with
    /// room for its real size.
    pub fn add_sized(
        &mut self,
        name: &str,
        modified: Option<DosTime>,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        self.claim(name)?;
        let mut record = Record::new(name, modified.unwrap_or(DosTime::EARLIEST), 0o644);
        if record.method == STORED {
            record.external |= 0o111 << 16;
        }
        record.roomy = size >= ROOMY;
        let offset = self.position;
        let header = record.local()?;
        self.out.write_all(&header).map_err(ArchiveError::Io)?;
        self.write_data(name, &mut record, content)?;
        let largest = u64::from(u32::MAX) - 1;
        if !record.roomy && record.size.max(record.compressed) > largest {
            let what = format!("entry `{name}`, whose size was not announced,");
            return Err(ArchiveError::TooLarge { what, limit: largest });
        }
        let header = record.local()?;
        let data_start = offset.saturating_add(length(&header));
        self.position = data_start.saturating_add(record.compressed);
        let seek = |position: u64| SeekFrom::Start(self.start.saturating_add(position));
        self.out
            .seek(seek(offset))
            .and_then(|_| self.out.write_all(&header))
            .and_then(|()| self.out.seek(seek(self.position)))
            .map_err(ArchiveError::Io)?;
        record.central(offset, &mut self.directory)
    }

    fn claim(&mut self, spelled: &str) -> Result<(), ArchiveError> {
        let path = name::normalize(spelled);
        if let Some(fault) = name::fault(&path) {
            return Err(ArchiveError::Name { name: spelled.to_owned(), fault });
        }
        if !self.names.insert(name::place(&path, Duplicates::Refused).into_owned()) {
            return Err(ArchiveError::Duplicate { name: spelled.to_owned() });
        }
        Ok(())
    }

    /// Writes the data and notes its sizes and CRC.
    fn write_data(
        &mut self,
        name: &str,
        record: &mut Record<'_>,
        content: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let mut hashed = Hashed { content, hasher: crc32fast::Hasher::new() };
        let counter = Counter { out: &mut self.out, written: 0 };
        let (size, compressed) = if record.method == STORED {
            let size = io::copy(&mut hashed, &mut io::sink()).map_err(ArchiveError::from_io)?;
            if size > 0 {
                return Err(ArchiveError::Name {
                    name: name.to_owned(),
                    fault: "is that of a directory and cannot have data",
                });
            }
            (0, 0)
        } else {
            let encoder = DeflateEncoder::new(counter, Compression::new(6));
            let mut encoder = Pieces::new(encoder);
            let size = io::copy(&mut hashed, &mut encoder).map_err(ArchiveError::from_io)?;
            let counter = encoder.finish().and_then(DeflateEncoder::finish);
            let counter = counter.map_err(ArchiveError::Io)?;
            (size, counter.written)
        };
        record.crc = hashed.hasher.finalize();
        record.size = size;
        record.compressed = compressed;
        Ok(())
    }

    /// Writes the directory, flushes, and gives the writer back, positioned at the end.
    pub fn finish(mut self) -> Result<W, ArchiveError> {
        let entries = crate::bytes::count(self.names.len());
        let end = record::end(entries, self.position, &self.directory, &[]);
        self.out
            .write_all(&self.directory)
            .and_then(|()| self.out.write_all(&end))
            .and_then(|()| self.out.flush())
            .map_err(ArchiveError::Io)?;
        Ok(self.out)
    }
}

/// Sums what is read.
struct Hashed<'c> {
    content: &'c mut dyn Read,
    hasher: crc32fast::Hasher,
}

impl Read for Hashed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(into)?;
        self.hasher.update(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}
