use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress, Status};

use crate::bytes::{count, length};

/// Parts of one gzip member that are compressed apart and put together later: what does not change
/// is not compressed again.
///
/// A member is [`GzipPart::HEADER`], the parts one after the other, and [`GzipSum::end`] of all.
/// Clients that read no further than one member read it whole.
///
/// ```
/// use hayloft_archive::GzipPart;
///
/// let (first, second) = (GzipPart::compress(b"one "), GzipPart::compress(b"two"));
/// let whole = first.then(&second);
/// let file = [&GzipPart::HEADER[..], &first.bytes, &second.bytes, &whole.end()].concat();
/// # use std::io::Read;
/// # let mut text = String::new();
/// # let limits = hayloft_feed::Limits::default();
/// # hayloft_archive::decoder(hayloft_archive::Compression::Gzip, Box::new(&file[..]), &limits)?
/// #     .read_to_string(&mut text)?;
/// # assert_eq!(text, "one two");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GzipPart {
    /// Compressed, up to a byte boundary, and not the last of its stream.
    pub bytes: Vec<u8>,
    /// Sum and length of what was compressed.
    pub sum: GzipSum,
}

/// CRC-32 and length of what parts of a gzip member hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GzipSum {
    /// CRC-32.
    pub crc: u32,
    /// Bytes.
    pub length: u64,
}

impl GzipPart {
    /// Of a member without name and time.
    pub const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

    /// Compresses one part.
    pub fn compress(bytes: &[u8]) -> Self {
        let mut deflate = Compress::new(Compression::new(6), false);
        let mut out = Vec::with_capacity(bytes.len() / 3 + 64);
        loop {
            let taken = usize::try_from(deflate.total_in()).unwrap_or(usize::MAX);
            let rest = bytes.get(taken..).unwrap_or_default();
            let room = out.capacity();
            let status = deflate.compress_vec(rest, &mut out, FlushCompress::Full);
            let flushed = out.len() < room;
            let all = deflate.total_in() == length(bytes);
            if (all && flushed) || matches!(status, Err(_) | Ok(Status::StreamEnd)) {
                break;
            }
            out.reserve(out.len().max(1024));
        }
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        Self { bytes: out, sum: GzipSum { crc: hasher.finalize(), length: count(bytes.len()) } }
    }

    /// The sum of this part and the one after it.
    pub fn then(&self, next: &Self) -> GzipSum {
        self.sum.then(next.sum)
    }
}

impl GzipSum {
    /// The sum of this and what comes after it.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        let mut hasher = Hasher::new_with_initial_len(self.crc, self.length);
        hasher.combine(&Hasher::new_with_initial_len(next.crc, next.length));
        Self { crc: hasher.finalize(), length: self.length.saturating_add(next.length) }
    }

    /// The last block of the stream, which is empty, and the sums.
    pub fn end(self) -> [u8; 10] {
        let mut end = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        // The length is told modulo 4 GiB.
        let sums = self.crc.to_le_bytes().into_iter().chain(self.length.to_le_bytes());
        for (place, byte) in end.iter_mut().skip(2).zip(sums) {
            *place = byte;
        }
        end
    }
}

#[cfg(test)]
mod tests {

    use flate2::bufread::GzDecoder;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing(&[])]
    #[case::empty(&[0])]
    #[case::one(&[10_000])]
    #[case::several(&[5, 0, 70_000, 1, 300_000])]
    fn parts_read_as_one_member(#[case] lengths: &[usize]) {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0] % 20
        };
        let parts: Vec<Vec<u8>> =
            lengths.iter().map(|length| (0..*length).map(|_| noise()).collect()).collect();
        let mut file = GzipPart::HEADER.to_vec();
        let mut sum = GzipSum::default();
        for part in &parts {
            let part = GzipPart::compress(part);
            file.extend_from_slice(&part.bytes);
            sum = sum.then(part.sum);
        }
        file.extend_from_slice(&sum.end());
        let mut decoder = GzDecoder::new(file.as_slice());
        let mut out = Vec::new();
        std::io::copy(&mut decoder, &mut out).unwrap();
        assert_eq!(out, parts.concat());
        assert!(decoder.into_inner().is_empty());
    }

    #[test]
    fn what_does_not_compress_grows_little() {
        let mut state = 7_u64;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        let bytes: Vec<u8> = (0..500_000).map(|_| noise()).collect();
        assert!(GzipPart::compress(&bytes).bytes.len() < 501_000);
    }
}
