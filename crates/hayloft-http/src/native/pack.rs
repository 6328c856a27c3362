use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Weak};

use axum::body::Bytes;
use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress, Status};

/// Bytes of a piece: at least, on average beyond that, and at most.
const LEAST: usize = 16 << 10;
const AVERAGE: u64 = 64 << 10;
const MOST: usize = 256 << 10;
/// No name, no time, no system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty last block.
const LAST: [u8; 2] = [3, 0];

type Digest = [u8; 32];

/// A body as gzip: one member, whose pieces know nothing of each other.
///
/// The plain bytes are cut by what they are, so a document that changed in one place has the pieces
/// of the one before but for one or two, and those alone are compressed again.
#[derive(Debug)]
pub(super) struct Packed {
    pieces: Vec<Arc<Piece>>,
    end: Bytes,
    length: usize,
}

/// A part of a body, compressed by itself up to a full flush.
#[derive(Debug)]
pub(super) struct Piece {
    packed: Bytes,
    plain: u64,
    crc: u32,
}

impl Packed {
    /// Packs these bytes; `piece` gives the piece with this digest, or makes it.
    pub(super) fn of(
        plain: &[u8],
        mut piece: impl FnMut(&Digest, &mut dyn FnMut() -> io::Result<Piece>) -> io::Result<Arc<Piece>>,
    ) -> io::Result<Self> {
        let mut pieces = Vec::new();
        let mut crc = Hasher::new();
        let mut rest = plain;
        while !rest.is_empty() {
            let (part, behind) = rest.split_at_checked(cut(rest)).unwrap_or((rest, &[]));
            rest = behind;
            let digest = blake3::hash(part).into();
            let found = piece(&digest, &mut || Piece::of(part))?;
            crc.combine(&Hasher::new_with_initial_len(found.crc, found.plain));
            pieces.push(found);
        }
        let size = u32::try_from(plain.len() & 0xffff_ffff).unwrap_or_default();
        let end = [&LAST[..], &crc.finalize().to_le_bytes(), &size.to_le_bytes()].concat();
        let packed: usize = pieces.iter().map(|piece| piece.packed.len()).sum();
        let length = HEAD.len() + packed + end.len();
        Ok(Self { pieces, end: end.into(), length })
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// What is to be sent, one after the other.
    pub(super) fn parts(&self) -> Vec<Bytes> {
        let pieces = self.pieces.iter().map(|piece| piece.packed.clone());
        std::iter::once(Bytes::from_static(&HEAD)).chain(pieces).chain([self.end.clone()]).collect()
    }
}

impl Piece {
    fn of(plain: &[u8]) -> io::Result<Self> {
        let mut compress = Compress::new(Compression::default(), false);
        let mut packed = Vec::with_capacity(plain.len() / 4 + 64);
        loop {
            let taken = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
            let rest = plain.get(taken..).unwrap_or_default();
            packed.reserve(rest.len() / 2 + 64);
            let room = packed.capacity() - packed.len();
            let before = compress.total_out();
            let status = compress
                .compress_vec(rest, &mut packed, FlushCompress::Full)
                .map_err(io::Error::other)?;
            let all_taken = usize::try_from(compress.total_in()).unwrap_or(0) == plain.len();
            let written = usize::try_from(compress.total_out() - before).unwrap_or(usize::MAX);
            // Room left over tells that the flush is complete.
            if (all_taken && written < room) || status == Status::StreamEnd {
                break;
            }
        }
        packed.shrink_to_fit();
        let plain_length = u64::try_from(plain.len()).unwrap_or(u64::MAX);
        Ok(Self { packed: packed.into(), plain: plain_length, crc: crc32fast::hash(plain) })
    }
}

/// Where the next piece ends: where the last bytes before it say so, so that what was inserted or
/// left out moves no cut but its own.
fn cut(bytes: &[u8]) -> usize {
    let mut hash = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(MOST).skip(LEAST) {
        // What came 64 bytes earlier has left the hash.
        hash = (hash << 1).wrapping_add(mixed(*byte));
        if hash >> 32 & (AVERAGE - 1) == 0 {
            return at + 1;
        }
    }
    bytes.len().min(MOST)
}

/// A number for each byte in which every bit is as good as drawn.
fn mixed(byte: u8) -> u64 {
    let number = (u64::from(byte) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number ^ (number >> 27)
}

/// Pieces that some body has, by the digest of their plain bytes.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    known: HashMap<Digest, Weak<Piece>>,
    /// When to look for those that no body has any more.
    sweep_at: usize,
}

impl Pieces {
    pub(super) fn get(&self, digest: &Digest) -> Option<Arc<Piece>> {
        self.known.get(digest)?.upgrade()
    }

    pub(super) fn insert(&mut self, digest: Digest, piece: &Arc<Piece>) {
        self.known.insert(digest, Arc::downgrade(piece));
    }

    pub(super) fn forget_unused(&mut self) {
        if self.known.len() > self.sweep_at {
            self.known.retain(|_, piece| piece.strong_count() > 0);
            self.sweep_at = 2 * self.known.len() + 64;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use flate2::read::GzDecoder;
    use rstest::rstest;

    use super::*;

    /// Text that compresses, and differs everywhere.
    fn text(bytes: usize) -> Vec<u8> {
        let mut text = String::new();
        let mut number = 1_u32;
        while text.len() < bytes {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = text.len();
            write!(text, "{{\"version\":\"1.{at}.{number}\"}},").unwrap();
        }
        text.truncate(bytes);
        text.into_bytes()
    }

    fn packed(plain: &[u8], known: &mut HashMap<Digest, Arc<Piece>>) -> (Packed, usize) {
        let mut made = 0;
        let packed = Packed::of(plain, |digest, make| {
            if let Some(piece) = known.get(digest) {
                return Ok(piece.clone());
            }
            made += 1;
            let piece = Arc::new(make()?);
            known.insert(*digest, piece.clone());
            Ok(piece)
        });
        (packed.unwrap(), made)
    }

    fn unpacked(packed: &Packed) -> Vec<u8> {
        let bytes = packed.parts().concat();
        assert_eq!(bytes.len(), packed.length());
        let mut plain = Vec::new();
        let mut decoder = GzDecoder::new(bytes.as_slice());
        std::io::copy(&mut decoder, &mut plain).unwrap();
        assert!(decoder.into_inner().is_empty(), "one member and nothing behind it");
        plain
    }

    #[rstest]
    #[case::nothing(0)]
    #[case::a_byte(1)]
    #[case::one_piece(LEAST)]
    #[case::some(1_000_000)]
    #[case::more_than_a_piece_may_have(3 * MOST + 1)]
    fn what_is_packed_is_one_member_of_gzip(#[case] length: usize) {
        let mut known = HashMap::new();
        for plain in [text(length), vec![0; length]] {
            let (packed, _) = packed(&plain, &mut known);
            assert_eq!(unpacked(&packed), plain);
            if length > 1_000 {
                assert!(packed.length() < length / 2, "{} of {length}", packed.length());
            }
        }
    }

    #[test]
    fn bytes_that_do_not_compress_are_packed_all_the_same() {
        let mut state = 1_u64;
        let plain: Vec<u8> = (0..300_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                u8::try_from(state >> 56).unwrap()
            })
            .collect();
        let (packed, _) = packed(&plain, &mut HashMap::new());
        assert_eq!(unpacked(&packed), plain);
    }

    #[test]
    fn a_change_in_one_place_packs_few_pieces_again() {
        let mut known = HashMap::new();
        let mut plain = text(4_000_000);
        let (_, all) = packed(&plain, &mut known);
        assert!((20..120).contains(&all), "{all} pieces");
        for at in [10, 2_000_000, 3_999_000] {
            plain.splice(at..at, b"something new".iter().copied());
            let (packed, again) = packed(&plain, &mut known);
            assert!(again <= 3, "{again} of {all} pieces");
            assert_eq!(unpacked(&packed), plain);
        }
    }
}
