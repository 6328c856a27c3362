use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use hayloft_feed::{Account, Hold, Limits};
use lzma_rust2::XzReader;

use super::bzip2::Bzip2Reader;
use super::gzip::GzipReader;
use super::lzma::SingleLzmaReader;
use super::source::{Failure, Source};
use super::xz::SingleXzReader;
use super::zstd::ZstdReader;
use super::{Compression, Trailing};
use crate::ArchiveError;

/// Decompresses `input`, skipping zero bytes after its end.
///
/// Yields at most `limits.unpacked` bytes and asks for at most `limits.window` bytes of memory;
/// more of either is an error, as is damaged data. Memory and work are charged to the account.
/// Concatenated streams of gzip, xz and zstd read as one. Errors are [`io::Error`]s that hold an [`ArchiveError`]: see [`ArchiveError::from_io`].
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
    let packed = Rc::new(Cell::new(0));
    let source = Source::new(input, &failure, &packed);
    let mut window = None;
    let inner: Box<dyn Read + 'r> = match compression {
        Compression::None => Box::new(source),
        Compression::Gzip => Box::new(GzipReader::new(BufReader::new(source), trailing)),
        Compression::Xz | Compression::Lzma => {
            let kibibytes = u32::try_from(limits.window / 1024).unwrap_or(u32::MAX - 1);
            let source = BufReader::new(source);
            window = Some(Window { hold: limits.account.hold(0)?, most: limits.window });
            if compression == Compression::Lzma {
                Box::new(SingleLzmaReader::new(source, kibibytes))
            } else if trailing == Trailing::OneMember {
                Box::new(SingleXzReader::new(source, kibibytes))
            } else {
                Box::new(XzReader::new_mem_limit(source, true, kibibytes))
            }
        }
        Compression::Bzip2 => Box::new(Bzip2Reader::new(BufReader::new(source), &limits.account)),
        Compression::Zstd => Box::new(ZstdReader::new(BufReader::new(source), trailing, limits)?),
    };
    Ok(Box::new(Bounded {
        inner: Some(inner),
        failure,
        format: compression.name(),
        limit: limits.unpacked,
        left: limits.unpacked,
        account: (compression != Compression::None).then(|| limits.account.clone()),
        packed,
        unfolded: 0,
        window,
    }))
}

/// How many bytes are unfolded between two looks at the account.
const STEP: u64 = 64 << 10;

/// Counts what a decompressor yields and gives its errors their place.
struct Bounded<'r> {
    /// Gone after an error or the end: decompressors may panic when they are asked again.
    inner: Option<Box<dyn Read + 'r>>,
    failure: Failure,
    format: &'static str,
    limit: u64,
    left: u64,
    /// None for what is not compressed.
    account: Option<Account>,
    /// Compressed bytes that are not on the account yet.
    packed: Rc<Cell<u64>>,
    /// Their content.
    unfolded: u64,
    window: Option<Window>,
}

/// Memory of a decompressor that grows with what it has yielded.
struct Window {
    hold: Hold,
    most: u64,
}

impl Window {
    /// Doubling, the vector holds up to twice what was yielded, and half as much again while it
    /// is moved.
    fn grow(&mut self, yielded: u64) -> Result<(), ArchiveError> {
        let wanted = yielded.saturating_mul(3).min(self.most);
        Ok(self.hold.grow(wanted.saturating_sub(self.hold.bytes()))?)
    }
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
        self.unfolded = self.unfolded.saturating_add(counted);
        if self.unfolded >= STEP || read == 0 {
            self.settle()?;
        }
        Ok(read)
    }

    fn settle(&mut self) -> Result<(), ArchiveError> {
        if let Some(window) = &mut self.window {
            window.grow(self.limit.saturating_sub(self.left))?;
        }
        if let Some(account) = &self.account {
            account.unfold(self.packed.replace(0), std::mem::take(&mut self.unfolded))?;
        }
        Ok(())
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
