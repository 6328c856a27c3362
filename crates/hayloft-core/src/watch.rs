//! Long operations that tell how far they are, and can be called off.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::ControlFlow;

/// How far a long operation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes read so far. More than `total` where a file has to be read twice.
    pub done: u64,
    /// Bytes that there are to be read, if that is known ahead.
    pub total: Option<u64>,
}

impl Progress {
    pub(crate) fn new(done: u64, total: Option<u64>) -> Self {
        Self { done, total }
    }
}

/// What is told, and whether the caller wants no more of it.
pub(crate) struct Watch<'w> {
    tell: &'w dyn Fn(Progress) -> ControlFlow<()>,
    is_off: Cell<bool>,
    done: Cell<u64>,
    total: Option<u64>,
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Watch").field("done", &self.done).finish_non_exhaustive()
    }
}

impl<'w> Watch<'w> {
    pub(crate) fn new(tell: &'w dyn Fn(Progress) -> ControlFlow<()>, total: Option<u64>) -> Self {
        Self { tell, is_off: Cell::new(false), done: Cell::new(0), total }
    }

    /// True once the caller wants no more; whatever failed since failed for that reason.
    pub(crate) fn is_off(&self) -> bool {
        self.is_off.get()
    }

    /// Adds bytes that were read, and fails if the caller wants no more.
    pub(crate) fn advance(&self, bytes: u64) -> io::Result<()> {
        self.done.set(self.done.get().saturating_add(bytes));
        let told = (self.tell)(Progress::new(self.done.get(), self.total));
        if self.is_off.get() || told.is_break() {
            self.is_off.set(true);
            return Err(io::Error::other("called off"));
        }
        Ok(())
    }

    /// A reader that tells what is read through it.
    pub(crate) fn reader<'s, R>(&'s self, inner: R) -> Watched<'s, 'w, R> {
        Watched { watch: self, inner }
    }
}

pub(crate) struct Watched<'s, 'w, R> {
    watch: &'s Watch<'w>,
    inner: R,
}

impl<R: Read> Read for Watched<'_, '_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.watch.advance(u64::try_from(read).unwrap_or(u64::MAX))?;
        Ok(read)
    }
}

impl<R: Seek> Seek for Watched<'_, '_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
