use std::io::{self, BufRead, Read, SeekFrom, Write};
use std::ops::Range;

use hayloft_feed::ReadSeek;

use crate::ArchiveError;
use crate::bytes::length;

/// Reads a file at any place through one buffer, so that a walk in file order over many small
/// records costs few system calls.
pub(crate) struct Window<'a> {
    content: &'a mut dyn ReadSeek,
    length: u64,
    /// Where `content` stands, if known.
    position: Option<u64>,
    /// Where `buffer` begins in the file.
    start: u64,
    buffer: Vec<u8>,
    filled: usize,
}

const CAPACITY: usize = 32 << 10;

impl<'a> Window<'a> {
    pub(crate) fn new(content: &'a mut dyn ReadSeek) -> io::Result<Self> {
        let length = content.seek(SeekFrom::End(0))?;
        Ok(Self { content, length, position: None, start: 0, buffer: vec![0; CAPACITY], filled: 0 })
    }

    /// Bytes of the whole file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Some bytes from `at` on; none only at the end of the file.
    fn fill(&mut self, at: u64) -> io::Result<&[u8]> {
        let end = self.start.saturating_add(u64::try_from(self.filled).unwrap_or(u64::MAX));
        if !(self.start..end).contains(&at) {
            if self.position != Some(at) {
                self.position = None;
                self.content.seek(SeekFrom::Start(at))?;
            }
            self.filled = 0;
            self.start = at;
            self.filled = loop {
                match self.content.read(&mut self.buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other?,
                }
            };
            self.position = at.checked_add(u64::try_from(self.filled).unwrap_or(u64::MAX));
        }
        let skip = usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX);
        Ok(self.buffer.get(skip..self.filled).unwrap_or_default())
    }

    /// Fills `into` with the bytes from `at` on; false if the file ends first.
    pub(crate) fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<bool, ArchiveError> {
        let end = at.saturating_add(length(into));
        let mut reader = self.range(at..end);
        match reader.read_exact(into) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(ArchiveError::Io(error)),
        }
    }

    /// The bytes `range` as a reader; a range past the end of the file reads as a shorter one.
    pub(crate) fn range(&mut self, range: Range<u64>) -> RangeReader<'_, 'a> {
        RangeReader { window: self, at: range.start, end: range.end }
    }

    /// Copies the bytes `range`; false if the file ends first.
    pub(crate) fn copy(
        &mut self,
        range: Range<u64>,
        out: &mut dyn Write,
    ) -> Result<bool, ArchiveError> {
        let mut reader = self.range(range);
        loop {
            let bytes = reader.fill_buf().map_err(ArchiveError::Io)?;
            if bytes.is_empty() {
                return Ok(reader.at >= reader.end);
            }
            out.write_all(bytes).map_err(ArchiveError::Io)?;
            let copied = bytes.len();
            reader.consume(copied);
        }
    }
}

/// A part of the file.
pub(crate) struct RangeReader<'w, 'a> {
    window: &'w mut Window<'a>,
    at: u64,
    end: u64,
}

impl BufRead for RangeReader<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = self.end.saturating_sub(self.at);
        if left == 0 {
            return Ok(&[]);
        }
        let bytes = self.window.fill(self.at)?;
        let wanted = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        Ok(bytes.get(..wanted).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at = self.at.saturating_add(u64::try_from(amount).unwrap_or(u64::MAX));
    }
}

impl Read for RangeReader<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.fill_buf()?;
        let read = bytes.read(into)?;
        self.consume(read);
        Ok(read)
    }
}
