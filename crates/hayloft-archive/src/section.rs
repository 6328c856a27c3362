use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use hayloft_feed::ReadSeek;

/// A part of a file as a file of its own.
///
/// Reads nothing outside its range; a range that reaches past the end of the file reads as a
/// shorter one.
pub struct Section<'a> {
    content: &'a mut dyn ReadSeek,
    range: Range<u64>,
    /// Absolute, within `range`.
    at: u64,
    /// Whether `content` stands at `at`.
    placed: bool,
}

impl std::fmt::Debug for Section<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Section")
            .field("range", &self.range)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl<'a> Section<'a> {
    /// The bytes `range` of `content`, positioned at its start.
    pub fn new(content: &'a mut dyn ReadSeek, range: Range<u64>) -> Self {
        let at = range.start;
        Self { content, range, at, placed: false }
    }
}

impl Read for Section<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.range.end.saturating_sub(self.at);
        let wanted = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let Some(into) = into.get_mut(..wanted).filter(|into| !into.is_empty()) else {
            return Ok(0);
        };
        if !self.placed {
            self.content.seek(SeekFrom::Start(self.at))?;
            self.placed = true;
        }
        let read = self.content.read(into)?;
        self.at = self.at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

impl Seek for Section<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => self.range.start.checked_add(offset),
            SeekFrom::End(offset) => self.range.end.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        let Some(target) = target.filter(|target| *target >= self.range.start) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "seek to before the start of a section",
            ));
        };
        self.at = target;
        self.placed = false;
        Ok(target.saturating_sub(self.range.start))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn reads_only_its_own_bytes() {
        let mut file = Cursor::new(b"0123456789".to_vec());
        let mut section = Section::new(&mut file, 2..6);
        let mut text = [0; 10];
        assert_eq!(section.read(&mut text).unwrap(), 4);
        assert_eq!(&text[..4], b"2345");
        assert_eq!(section.read(&mut text).unwrap(), 0);
        assert_eq!(section.seek(SeekFrom::End(-1)).unwrap(), 3);
        assert_eq!(section.read(&mut text).unwrap(), 1);
        assert_eq!(text[0], b'5');
        assert_eq!(section.seek(SeekFrom::Start(9)).unwrap(), 9);
        assert_eq!(section.read(&mut text).unwrap(), 0);
        assert!(section.seek(SeekFrom::Current(-10)).is_err());
    }

    #[test]
    fn a_range_past_the_end_reads_short() {
        let mut file = Cursor::new(b"abc".to_vec());
        let mut section = Section::new(&mut file, 1..100);
        let mut text = [0; 10];
        assert_eq!(section.read(&mut text).unwrap(), 2);
        assert_eq!(section.read(&mut text).unwrap(), 0);
    }
}
