use std::io::{self, Write};

/// Hands on what is written in pieces of one size.
///
/// What deflate makes of data depends on how it is cut into writes; the callers of an encoder cut
/// as their readers happen to.
#[derive(Debug)]
pub(crate) struct Pieces<W> {
    out: W,
    pending: Vec<u8>,
}

const PIECE: usize = 64 << 10;

impl<W: Write> Pieces<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, pending: Vec::new() }
    }

    /// Hands on the rest, in a last smaller piece.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&self.pending)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Pieces<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE.saturating_sub(self.pending.len());
        let taken = bytes.get(..bytes.len().min(room)).unwrap_or_default();
        self.pending.extend_from_slice(taken);
        if self.pending.len() >= PIECE {
            self.out.write_all(&self.pending)?;
            self.pending.clear();
        }
        Ok(taken.len())
    }

    /// Nothing: a flush in the middle would cut where the caller happens to be.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
