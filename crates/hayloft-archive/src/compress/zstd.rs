use std::io::{self, BufRead, Read, Write};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::Trailing;
use super::gzip::only_zeros;

/// Reads concatenated zstd frames as one stream, skipping skippable ones and checking checksums.
pub(crate) struct ZstdReader<R> {
    input: R,
    decoder: FrameDecoder,
    within: bool,
    /// Whether any frame has been entered or skipped.
    past_first: bool,
    trailing: Trailing,
}

impl<R: BufRead> ZstdReader<R> {
    pub(crate) fn new(input: R, trailing: Trailing, window: u64) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(window);
        Self { input, decoder, within: false, past_first: false, trailing }
    }

    /// Enters the next frame with content; false at the end of the file.
    fn enter(&mut self) -> io::Result<bool> {
        loop {
            if self.past_first {
                match self.input.fill_buf()?.first() {
                    None => return Ok(false),
                    Some(0) if self.trailing != Trailing::Refused => {
                        only_zeros(&mut self.input)?;
                        return Ok(false);
                    }
                    Some(_) => {}
                }
            }
            self.past_first = true;
            match self.decoder.reset(&mut self.input) {
                Ok(()) => {
                    self.within = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    let mut skipped = (&mut self.input).take(length);
                    if io::copy(&mut skipped, &mut io::sink())? != length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(invalid(error)),
            }
        }
    }

    fn leave(&mut self) -> io::Result<()> {
        self.within = false;
        let stated = self.decoder.get_checksum_from_data();
        if stated.is_some() && stated != self.decoder.get_calculated_checksum() {
            return Err(invalid("the checksum of a frame does not match"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.within && !self.enter()? {
                return Ok(0);
            }
            let read = self.decoder.read(into)?;
            if read > 0 {
                return Ok(read);
            }
            if self.decoder.is_finished() {
                self.leave()?;
                continue;
            }
            self.decoder
                .decode_blocks(&mut self.input, BlockDecodingStrategy::UptoBlocks(1))
                .map_err(invalid)?;
        }
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Writes zstd, one frame for every [`ZstdWriter::FRAME`] bytes.
///
/// The compressor takes its whole input from a reader and panics when that or its output fails,
/// so it is given slices and vectors only.
pub(crate) struct ZstdWriter<W> {
    out: W,
    pending: Vec<u8>,
    frames: u64,
}

impl<W: Write> ZstdWriter<W> {
    /// Larger than any control archive of a Debian package that is accepted, so that `dpkg` meets
    /// a single frame.
    const FRAME: usize = 16 << 20;

    pub(crate) fn new(out: W) -> Self {
        Self { out, pending: Vec::new(), frames: 0 }
    }

    fn frame(&mut self) -> io::Result<()> {
        let frame = compress_to_vec(self.pending.as_slice(), CompressionLevel::Fastest);
        self.pending.clear();
        self.frames = self.frames.saturating_add(1);
        self.out.write_all(&frame)
    }

    /// Writes what is pending; an empty stream is one empty frame.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        if !self.pending.is_empty() || self.frames == 0 {
            self.frame()?;
        }
        Ok(self.out)
    }
}

impl<W: Write> Write for ZstdWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = Self::FRAME.saturating_sub(self.pending.len());
        let taken = bytes.get(..bytes.len().min(room)).unwrap_or_default();
        self.pending.extend_from_slice(taken);
        if self.pending.len() >= Self::FRAME {
            self.frame()?;
        }
        Ok(taken.len())
    }

    /// Frames end where they end: flushing early would make the output depend on the caller.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
