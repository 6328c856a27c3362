use std::io::{self, Write};

use hayloft_feed::Limits;

use super::blocks::Member;
use super::rewrite::write_headers;
use super::{damaged_entry, padding};
use crate::ArchiveError;
use crate::bytes::length;

/// Writes a new tar stream of regular files with POSIX headers, owner and group 0.
#[derive(Debug)]
pub struct TarWriter<W> {
    out: W,
    limits: Limits,
}

impl<W: Write> TarWriter<W> {
    /// Begins a stream on `out`; paths have at most [`Limits::entry_name`] bytes.
    pub fn new(out: W, limits: &Limits) -> Self {
        Self { out, limits: limits.clone() }
    }

    /// Adds a file whose `size` bytes `write` writes; more or fewer are an error. `mtime` is in
    /// seconds since 1970.
    pub fn add(
        &mut self,
        path: &str,
        mode: u32,
        mtime: u64,
        size: u64,
        write: impl FnOnce(&mut dyn Write) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let path = path.as_bytes();
        let member = Member::new(path, size, mode, mtime, self.limits.entry_name)?;
        write_headers(&member, &mut self.out)?;
        let mut counted = Counted { out: &mut self.out, left: Some(size) };
        write(&mut counted)?;
        if counted.left != Some(0) {
            return Err(damaged_entry(path, "its data does not have the size stated"));
        }
        let zeros = vec![0; usize::try_from(padding(size)).unwrap_or_default()];
        self.out.write_all(&zeros).map_err(ArchiveError::from_io)
    }

    /// Writes the end marker and gives the writer back.
    pub fn finish(mut self) -> Result<W, ArchiveError> {
        self.out.write_all(&[0; 1024]).map_err(ArchiveError::from_io)?;
        Ok(self.out)
    }
}

/// Counts down; `None` once too much was written.
struct Counted<'o, W> {
    out: &'o mut W,
    left: Option<u64>,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.and_then(|left| left.checked_sub(length(bytes)));
        if self.left.is_none() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.out.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
