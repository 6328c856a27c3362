use std::io::{self, BufReader, Read};

use hayloft_feed::Limits;
use lzma_rust2::XzReader;

use super::gzip::GzipReader;
use super::source::{Failure, Source};
use super::zstd::ZstdReader;
use super::{Compression, Trailing};
use crate::ArchiveError;

/// Decompresses `input`, skipping zero bytes after its end.
///
/// Yields at most `limits.unpacked` bytes and asks for at most `limits.window` bytes of memory;
/// more of either is an error, as is damaged data. Concatenated streams read as one. Errors are
/// [`io::Error`]s that hold an [`ArchiveError`]: see [`ArchiveError::from_io`].
pub fn decoder<'r>(
    compression: Compression,
    input: Box<dyn Read + 'r>,
    limits: &Limits,
) -> Result<Box<dyn Read + 'r>, ArchiveError> {
    decoder_with(compression, input, limits, Trailing::default())
}

/// As [`decoder`], saying what may follow the compressed data.
pub fn decoder_with<'r>(
    compression: Compression,
    input: Box<dyn Read + 'r>,
    limits: &Limits,
    trailing: Trailing,
) -> Result<Box<dyn Read + 'r>, ArchiveError> {
    let failure = Failure::default();
    let source = Source::new(input, &failure);
    let inner: Box<dyn Read + 'r> = match compression {
        Compression::None => Box::new(source),
        Compression::Gzip => Box::new(GzipReader::new(BufReader::new(source), trailing)),
        Compression::Xz => {
            let kibibytes = u32::try_from(limits.window / 1024).unwrap_or(u32::MAX - 1);
            let source = BufReader::new(source);
            Box::new(XzReader::new_mem_limit(source, true, kibibytes))
        }
        Compression::Zstd => {
            Box::new(ZstdReader::new(BufReader::new(source), trailing, limits.window))
        }
        Compression::Lzma | Compression::Bzip2 => {
            return Err(ArchiveError::Codec { format: compression.name() });
        }
    };
    Ok(Box::new(Bounded {
        inner: Some(inner),
        failure,
        format: compression.name(),
        limit: limits.unpacked,
        left: limits.unpacked,
    }))
}

/// Counts what a decompressor yields and gives its errors their place.
struct Bounded<'r> {
    /// Gone after an error or the end: decompressors may panic when they are asked again.
    inner: Option<Box<dyn Read + 'r>>,
    failure: Failure,
    format: &'static str,
    limit: u64,
    left: u64,
}

impl Bounded<'_> {
    fn next(&mut self, into: &mut [u8]) -> Result<usize, ArchiveError> {
        let Some(inner) = &mut self.inner else {
            return Err(ArchiveError::Damaged {
                format: self.format,
                fault: "it was read on after an error",
            });
        };
        // One byte beyond the limit tells a stream that ends there from one that does not.
        let most = usize::try_from(self.left.saturating_add(1)).unwrap_or(usize::MAX);
        let wanted = into.len().min(most);
        let read = loop {
            match inner.read(into.get_mut(..wanted).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failure.explain(self.format, error)),
                Ok(read) => break read,
            }
        };
        let counted = u64::try_from(read).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(counted).ok_or_else(|| ArchiveError::TooLarge {
            what: "the unpacked data".to_owned(),
            limit: self.limit,
        })?;
        Ok(read)
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        self.next(into).map_err(|error| {
            self.inner = None;
            error.into_io()
        })
    }
}
