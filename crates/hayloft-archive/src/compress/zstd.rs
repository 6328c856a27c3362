use std::io::{self, BufRead, Read, Write};

use hayloft_feed::{Exhausted, Hold, Limits};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::Trailing;
use super::gzip::only_zeros;
use crate::ArchiveError;

/// Reads concatenated zstd frames as one stream, skipping skippable ones and checking checksums.
pub(crate) struct ZstdReader<R> {
    input: R,
    decoder: FrameDecoder,
    within: bool,
    /// Whether any frame has been entered or skipped.
    past_first: bool,
    trailing: Trailing,
    /// Memory for the window, which the decoder takes as soon as it has read a frame's header.
    hold: Hold,
    most: u64,
}

impl<R: BufRead> ZstdReader<R> {
    pub(crate) fn new(input: R, trailing: Trailing, limits: &Limits) -> Result<Self, Exhausted> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(limits.window);
        Ok(Self {
            input,
            decoder,
            within: false,
            past_first: false,
            trailing,
            hold: limits.account.hold(0)?,
            most: limits.window,
        })
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
                    Some(_) if self.trailing == Trailing::OneMember => {
                        return Err(invalid(
                            "a second frame follows, which some readers do not read",
                        ));
                    }
                    Some(_) => {}
                }
            }
            self.past_first = true;
            let header = Header::read(&mut self.input)?;
            if header.window <= self.most {
                let wanted = ring(header.window).saturating_sub(self.hold.bytes());
                self.hold.grow(wanted).map_err(|error| ArchiveError::from(error).into_io())?;
            }
            match self.decoder.reset(&mut header.bytes().chain(&mut self.input)) {
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

/// The header of a frame, as far as it tells the window.
struct Header {
    bytes: [u8; 18],
    length: usize,
    window: u64,
}

impl Header {
    /// Reads no further than the header goes. What is none is left to the decoder to refuse.
    ///
    /// Format: <https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1>
    fn read(input: &mut impl Read) -> io::Result<Self> {
        let mut header = Self { bytes: [0; 18], length: 0, window: 0 };
        let start = header.take(input, 5)?;
        let (magic, descriptor) = start.split_at_checked(4).unwrap_or_default();
        let &[descriptor] = descriptor else { return Ok(header) };
        if magic != [0x28, 0xb5, 0x2f, 0xfd] {
            return Ok(header);
        }
        let single = descriptor & 0x20 != 0;
        let dictionary = match descriptor & 3 {
            3 => 4,
            short => usize::from(short),
        };
        let content = match descriptor >> 6 {
            0 => usize::from(single),
            size => 1 << size,
        };
        if single {
            header.take(input, dictionary)?;
            let stated = header.take(input, content)?;
            let size = stated.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            header.window = if content == 2 { size + 256 } else { size };
        } else {
            let window = header.take(input, 1)?.first().copied().unwrap_or_default();
            let base = 1_u64 << (10 + (window >> 3));
            header.window = base + base / 8 * u64::from(window & 7);
            header.take(input, dictionary + content)?;
        }
        Ok(header)
    }

    /// Reads `more` bytes, fewer only at the end of the file.
    fn take(&mut self, input: &mut impl Read, more: usize) -> io::Result<&[u8]> {
        let start = self.length;
        let end = start.saturating_add(more);
        while let Some(free) = self.bytes.get_mut(self.length..end).filter(|free| !free.is_empty())
        {
            match input.read(free) {
                Ok(0) => break,
                Ok(read) => self.length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.bytes.get(start..self.length).unwrap_or_default())
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Bytes that the decoder's ring for a window has.
fn ring(window: u64) -> u64 {
    window.next_power_of_two().saturating_add(512 << 10)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Writes zstd, one frame for every [`FRAME`] bytes.
///
/// The compressor takes its whole input from a reader and panics when that or its output fails,
/// so it is given slices and vectors only.
pub(crate) struct ZstdWriter<W> {
    out: W,
    pending: Vec<u8>,
    frames: u64,
}

/// Bytes of one frame: larger than any control archive of a Debian package that is accepted, so
/// that `dpkg` meets a single frame.
pub(crate) const FRAME: usize = 16 << 20;

impl<W: Write> ZstdWriter<W> {
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
        let room = FRAME.saturating_sub(self.pending.len());
        let taken = bytes.get(..bytes.len().min(room)).unwrap_or_default();
        self.pending.extend_from_slice(taken);
        if self.pending.len() >= FRAME {
            self.frame()?;
        }
        Ok(taken.len())
    }

    /// Frames end where they end: flushing early would make the output depend on the caller.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
