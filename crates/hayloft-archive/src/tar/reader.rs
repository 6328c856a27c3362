use std::io::{self, BufRead, Read};
use std::ops::Deref;

use hayloft_feed::{Limits, shorten};

use super::blocks::{Blocks, Next};
use super::{TarEntry, damaged, damaged_entry, padding};
use crate::ArchiveError;
use crate::error::shown;

/// Walks the members of an uncompressed tar stream, one after the other.
///
/// Understands old, POSIX and GNU headers, pax records, and long names and sizes of GNU. A missing
/// end marker is tolerated. Refused are sparse members, malformed or contradicting records, links
/// and directories with data, and more entries or bytes than the limits allow. Paths are not
/// judged: see [`TarEntry::path_escapes`].
/// Format: <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html>
pub struct TarReader<R> {
    blocks: Blocks<R>,
    /// Data of the present member that was not read yet.
    left: u64,
    padding: u64,
    path: Vec<u8>,
    ended: bool,
    plain: bool,
}

impl<R> std::fmt::Debug for TarReader<R> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("TarReader").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl<R: Read> TarReader<R> {
    /// A reader at the start of `stream`.
    pub fn new(stream: R, limits: &Limits) -> Self {
        let blocks = Blocks::new(stream, limits);
        Self { blocks, left: 0, padding: 0, path: Vec::new(), ended: false, plain: false }
    }

    /// As [`TarReader::new`], for a stream whose members are called what the name field of their
    /// header says: extension records, prefixes and bytes behind the end of a name are refused.
    /// RubyGems takes such records for members, prefixes of any dialect for directories, and what
    /// stands behind a zero byte for a part of the name.
    pub fn plain(stream: R, limits: &Limits) -> Self {
        Self { plain: true, ..Self::new(stream, limits) }
    }

    /// The next member, or `None` at the end of the archive. Skips what was not read of the
    /// present one.
    #[expect(clippy::should_implement_trait, reason = "a member borrows the reader")]
    pub fn next(&mut self) -> Result<Option<TarMember<'_, R>>, ArchiveError> {
        if self.ended {
            return Ok(None);
        }
        let skip = self.left.saturating_add(self.padding);
        let mut rest = self.blocks.input().take(skip);
        if io::copy(&mut rest, &mut io::sink()).map_err(ArchiveError::from_io)? != skip {
            return Err(damaged_entry(&self.path, "its data is cut off"));
        }
        self.left = 0;
        self.padding = 0;
        loop {
            match self.blocks.next()? {
                Next::Global(_) if self.plain => return Err(extended(b"")),
                Next::Global(_) => {}
                Next::End(_) => {
                    self.ended = true;
                    return Ok(None);
                }
                Next::Member(member) => {
                    let entry = member.entry;
                    if self.plain && !(member.records.is_empty() && member.header.is_plain()) {
                        return Err(extended(&entry.path));
                    }
                    self.left = entry.size;
                    self.padding = padding(entry.size);
                    self.path.clone_from(&entry.path);
                    return Ok(Some(TarMember { reader: self, entry }));
                }
            }
        }
    }
}

impl<R: Read> TarReader<R> {
    /// Reads to the end of the stream: behind the end of the archive may be nothing but zeros.
    ///
    /// Every reader ends there, but for those that are told to read on and those, such as tar-stream under
    /// yarn 1, that take what follows for members.
    pub fn finish(mut self) -> Result<(), ArchiveError> {
        while self.next()?.is_some() {}
        only_zeros(self.blocks.input()).map_err(ArchiveError::from_io)?;
        Ok(())
    }
}

fn only_zeros(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(damaged("something follows its end").into_io());
        }
        let length = bytes.len();
        input.consume(length);
    }
}

fn extended(path: &[u8]) -> ArchiveError {
    damaged_entry(path, "its name is in more than the name field of its header")
}

/// A member whose data can be read; an error then holds an [`ArchiveError`].
pub struct TarMember<'r, R> {
    reader: &'r mut TarReader<R>,
    entry: TarEntry,
}

impl<R> std::fmt::Debug for TarMember<'_, R> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("TarMember").field("entry", &self.entry).finish_non_exhaustive()
    }
}

impl<R> Deref for TarMember<'_, R> {
    type Target = TarEntry;

    fn deref(&self) -> &TarEntry {
        &self.entry
    }
}

impl<R: Read> TarMember<'_, R> {
    /// Path, kind and size, for keeping beyond the member.
    pub fn entry(&self) -> &TarEntry {
        &self.entry
    }

    /// Reads the rest of the data if that is at most `max` bytes.
    pub fn read(&mut self, max: u64) -> Result<Vec<u8>, ArchiveError> {
        if self.reader.left > max {
            let what = format!("entry `{}`", shorten(&shown(&self.entry.path)));
            return Err(ArchiveError::TooLarge { what, limit: max });
        }
        let what = "the entry";
        let limits = self.reader.blocks.limits().clone();
        limits.load(self, max).map_err(|error| ArchiveError::from_limited(error, what))
    }
}

impl<R: Read> Read for TarMember<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.reader.left).unwrap_or(usize::MAX);
        let wanted = into.len().min(left);
        let Some(into) = into.get_mut(..wanted).filter(|into| !into.is_empty()) else {
            return Ok(0);
        };
        let read = self.reader.blocks.input().read(into)?;
        if read == 0 {
            let error = damaged_entry(&self.entry.path, "its data is cut off");
            return Err(error.into_io());
        }
        self.reader.left = self.reader.left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}
