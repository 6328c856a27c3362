use std::cell::{Cell, RefCell};
use std::io::{self, Read};
use std::rc::Rc;

use crate::ArchiveError;

/// Where an error of the compressed file itself is put, so that it is not taken for one of the
/// data: decompressors report both in the same way, and one of them wraps what it meets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failure(Rc<RefCell<Option<io::Error>>>);

impl Failure {
    /// The error of the source if there was one, else `error` as a fault of the data.
    pub(crate) fn explain(&self, format: &'static str, error: io::Error) -> ArchiveError {
        match self.0.borrow_mut().take() {
            Some(failure) => ArchiveError::from_io(failure),
            None => match error.downcast() {
                Ok(error) => error,
                Err(source) => ArchiveError::Compressed { format, source },
            },
        }
    }
}

/// The compressed file as a decompressor sees it.
pub(crate) struct Source<R> {
    input: R,
    failure: Failure,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Source<R> {
    /// Adds up in `read` what has been read of `input`.
    pub(crate) fn new(input: R, failure: &Failure, read: &Rc<Cell<u64>>) -> Self {
        Self { input, failure: failure.clone(), read: read.clone() }
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(into).map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            let kind = error.kind();
            *self.failure.0.borrow_mut() = Some(error);
            kind.into()
        })?;
        self.read.set(self.read.get().saturating_add(crate::bytes::count(read)));
        Ok(read)
    }
}
