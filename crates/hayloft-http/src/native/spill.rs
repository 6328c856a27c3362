use std::io::{self, Write};

use hayloft::{Staging, Store};

/// Bytes that a render may have in memory.
pub(super) const LARGEST: usize = 4 << 20;

/// What is written stays in memory as long as it is small, and goes to a file then.
pub(super) struct Spill<'a> {
    store: &'a Store,
    held: Vec<u8>,
    file: Option<Staging>,
}

/// All that was written.
pub(super) enum Spilled {
    Memory(Vec<u8>),
    File(Box<Staging>),
}

impl<'a> Spill<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        Self { store, held: Vec::new(), file: None }
    }

    pub(super) fn finish(self) -> Spilled {
        match self.file {
            None => Spilled::Memory(self.held),
            Some(file) => Spilled::File(Box::new(file)),
        }
    }
}

impl Write for Spill<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(file) = &mut self.file {
            return file.write(bytes);
        }
        if bytes.len() <= LARGEST.saturating_sub(self.held.len()) {
            self.held.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        let mut file = self.store.stage(None).map_err(io::Error::other)?;
        file.write_all(&std::mem::take(&mut self.held))?;
        self.file.insert(file).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
