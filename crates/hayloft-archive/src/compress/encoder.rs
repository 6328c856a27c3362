use std::fmt;
use std::io::{self, Write};

use flate2::GzBuilder;
use flate2::write::{GzEncoder, ZlibEncoder};
use hayloft_feed::{Hold, Limits};
use lzma_rust2::{XzOptions, XzWriter};

use super::zstd::{FRAME as ZSTD_FRAME, ZstdWriter};
use super::{Compression, Pieces};
use crate::ArchiveError;

/// A compressor on its way to the end of a stream; [`Encoder::finish`] completes it.
pub struct Encoder<'w> {
    kind: Kind<'w>,
    _memory: Option<Hold>,
}

enum Kind<'w> {
    Plain(Box<dyn Write + 'w>),
    Gzip(Box<Pieces<GzEncoder<Box<dyn Write + 'w>>>>),
    Xz(Box<Pieces<XzWriter<Box<dyn Write + 'w>>>>),
    Zstd(ZstdWriter<Box<dyn Write + 'w>>),
}

impl fmt::Debug for Encoder<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compression = match self.kind {
            Kind::Plain(_) => Compression::None,
            Kind::Gzip(_) => Compression::Gzip,
            Kind::Xz(_) => Compression::Xz,
            Kind::Zstd(_) => Compression::Zstd,
        };
        out.debug_tuple("Encoder").field(&compression).finish()
    }
}

/// A zlib stream (RFC 1950) of bytes in memory, at the usual effort.
pub fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing to memory cannot fail.
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

/// Compresses to `output`. Equal input makes equal output, however it is cut into writes.
///
/// gzip: level 6 (9 takes twice the time for a few percent), one member without name and time,
/// operating system 255. xz: preset 6, one stream, one thread,
/// 8 MiB dictionary. zstd: a frame for every 16 MiB, which is also the memory used. Bytes may
/// differ between releases.
pub fn encoder<'w>(
    compression: Compression,
    output: Box<dyn Write + 'w>,
) -> Result<Encoder<'w>, ArchiveError> {
    let kind = kind(compression, XzOptions::with_preset(6), output)?;
    Ok(Encoder { kind, _memory: None })
}

/// As [`encoder`], for at most `length` bytes: it takes no more memory than they need, and
/// charges it.
pub fn encoder_within<'w>(
    compression: Compression,
    length: u64,
    limits: &Limits,
    output: Box<dyn Write + 'w>,
) -> Result<Encoder<'w>, ArchiveError> {
    let mut xz = XzOptions::with_preset(6);
    let needed = length.next_power_of_two().clamp(64 << 10, xz.lzma_options.dict_size.into());
    xz.lzma_options.dict_size = u32::try_from(needed).unwrap_or(xz.lzma_options.dict_size);
    let memory = match compression {
        Compression::Xz => u64::from(xz.lzma_options.get_memory_usage()) << 10,
        // What is pending, doubling, and what becomes of it.
        Compression::Zstd => length.min(crate::bytes::count(ZSTD_FRAME)).saturating_mul(4),
        _ => 0,
    };
    let memory = limits.account.hold(memory.saturating_add(STATE))?;
    let kind = kind(compression, xz, output)?;
    Ok(Encoder { kind, _memory: Some(memory) })
}

/// Memory of a compressor beside what grows with the data.
const STATE: u64 = 512 << 10;

fn kind<'w>(
    compression: Compression,
    xz: XzOptions,
    output: Box<dyn Write + 'w>,
) -> Result<Kind<'w>, ArchiveError> {
    Ok(match compression {
        Compression::None => Kind::Plain(output),
        Compression::Gzip => {
            let builder = GzBuilder::new().mtime(0).operating_system(255);
            let level = flate2::Compression::new(6);
            Kind::Gzip(Box::new(Pieces::new(builder.write(output, level))))
        }
        Compression::Xz => {
            let writer = XzWriter::new(output, xz);
            Kind::Xz(Box::new(Pieces::new(writer.map_err(ArchiveError::from_io)?)))
        }
        Compression::Zstd => Kind::Zstd(ZstdWriter::new(output)),
        Compression::Lzma | Compression::Bzip2 => {
            return Err(ArchiveError::Codec { format: compression.name() });
        }
    })
}

impl Encoder<'_> {
    /// Writes the end of the stream and flushes. Without this call the output is incomplete.
    pub fn finish(self) -> Result<(), ArchiveError> {
        let output = match self.kind {
            Kind::Plain(output) => Ok(output),
            Kind::Gzip(pieces) => pieces.finish().and_then(GzEncoder::finish),
            Kind::Xz(pieces) => pieces.finish().and_then(XzWriter::finish),
            Kind::Zstd(encoder) => encoder.finish(),
        };
        output.and_then(|mut output| output.flush()).map_err(ArchiveError::from_io)
    }
}

impl Write for Encoder<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::Plain(output) => output.write(bytes),
            Kind::Gzip(encoder) => encoder.write(bytes),
            Kind::Xz(encoder) => encoder.write(bytes),
            Kind::Zstd(encoder) => encoder.write(bytes),
        }
    }

    /// Flushes only what is complete: a flush point inside the stream would change its bytes.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.kind {
            Kind::Plain(output) => output.flush(),
            Kind::Gzip(encoder) => encoder.flush(),
            Kind::Xz(encoder) => encoder.flush(),
            Kind::Zstd(encoder) => encoder.flush(),
        }
    }
}
