use tar::Header;

use super::{BLOCK, damaged, damaged_entry};
use crate::ArchiveError;

/// Where the size stands in a header.
const SIZE: std::ops::Range<usize> = 124..136;
/// Where the checksum stands in a header.
const CHECKSUM: std::ops::Range<usize> = 148..156;
const NAME: std::ops::Range<usize> = 0..100;
const LINK: std::ops::Range<usize> = 157..257;
const PREFIX: std::ops::Range<usize> = 345..500;

/// A header block that has been read.
#[derive(Debug, Clone)]
pub(crate) struct RawHeader(Header);

/// Whether and where a header holds long names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// No magic number: 100 bytes of name.
    Old,
    /// GNU: 100 bytes of name, longer ones in records.
    Gnu,
    /// POSIX: 100 bytes of name and 155 of prefix.
    Posix,
}

impl RawHeader {
    /// The block of a header whose checksum is right.
    pub(crate) fn parse(block: &[u8; BLOCK]) -> Result<Self, ArchiveError> {
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        let stated = header.cksum().map_err(|_| not_a_header())?;
        let sum = |signed: bool| -> i64 {
            let bytes = block
                .iter()
                .enumerate()
                .map(|(at, byte)| if CHECKSUM.contains(&at) { b' ' } else { *byte });
            if signed {
                bytes.map(|byte| i64::from(i8::from_ne_bytes([byte]))).sum()
            } else {
                bytes.map(i64::from).sum()
            }
        };
        // Old Sun and SGI tars summed signed bytes.
        let stated = i64::from(stated);
        if stated != sum(false) && stated != sum(true) {
            return Err(not_a_header());
        }
        Ok(Self(header))
    }

    pub(crate) fn bytes(&self) -> &[u8; BLOCK] {
        self.0.as_bytes()
    }

    /// The size field.
    pub(crate) fn size(&self) -> Result<u64, ArchiveError> {
        let name = self.path();
        // 12 bytes in base 256 hold more than 64 bits, of which the crate reads the last 64.
        let field = self.bytes().get(SIZE).unwrap_or_default();
        let huge = field.first().is_some_and(|first| first & 0x80 != 0)
            && field.get(..4) != Some(&[0x80, 0, 0, 0]);
        match self.0.entry_size() {
            Ok(size) if !huge => Ok(size),
            _ => Err(damaged_entry(&name, "its size is not a number that can be true")),
        }
    }

    pub(crate) fn type_byte(&self) -> u8 {
        self.0.as_old().linkflag.first().copied().unwrap_or_default()
    }

    pub(crate) fn path(&self) -> Vec<u8> {
        self.0.path_bytes().into_owned()
    }

    pub(crate) fn link(&self) -> Vec<u8> {
        let field = &self.0.as_old().linkname;
        field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
    }

    /// True if the name is in the name field alone, with zeros behind it.
    pub(crate) fn is_plain(&self) -> bool {
        let field = |field| self.bytes().get(field).unwrap_or_default();
        let mut behind = field(NAME).iter().skip_while(|byte| **byte != 0);
        behind.all(|byte| *byte == 0) && field(PREFIX).iter().all(|byte| *byte == 0)
    }

    pub(crate) fn mode(&self) -> u32 {
        self.0.mode().unwrap_or_default()
    }

    pub(crate) fn mtime(&self) -> u64 {
        self.0.mtime().unwrap_or_default()
    }

    pub(crate) fn dialect(&self) -> Dialect {
        if self.0.as_ustar().is_some() {
            Dialect::Posix
        } else if self.0.as_gnu().is_some() {
            Dialect::Gnu
        } else {
            Dialect::Old
        }
    }

    /// Writes the size, keeping how the field ends where it is eleven digits and one more byte.
    pub(crate) fn set_size(&mut self, size: u64) {
        let old = self.bytes().get(SIZE).unwrap_or_default().to_vec();
        self.0.set_size(size);
        let octal = |field: &[u8]| {
            field
                .get(..11)
                .is_some_and(|digits| digits.iter().all(|digit| matches!(digit, b'0'..=b'7')))
        };
        let new = self.bytes().get(SIZE).unwrap_or_default();
        if octal(&old) && octal(new) {
            let last = self.0.as_mut_bytes().get_mut(SIZE.end - 1);
            if let (Some(last), Some(end)) = (last, old.last()) {
                *last = *end;
            }
        }
        self.sum();
    }

    /// Writes the name field, cut where it is too long, and empties the prefix.
    pub(crate) fn set_name(&mut self, name: &[u8]) {
        self.set_field(NAME, name);
        if self.dialect() == Dialect::Posix {
            self.set_field(PREFIX, b"");
        }
        self.sum();
    }

    /// Writes name and prefix fields.
    pub(crate) fn set_prefixed(&mut self, prefix: &[u8], name: &[u8]) {
        self.set_field(NAME, name);
        self.set_field(PREFIX, prefix);
        self.sum();
    }

    /// Writes the link field, cut where it is too long.
    pub(crate) fn set_link(&mut self, link: &[u8]) {
        self.set_field(LINK, link);
        self.sum();
    }

    fn set_field(&mut self, field: std::ops::Range<usize>, value: &[u8]) {
        let places = self.0.as_mut_bytes().get_mut(field).unwrap_or_default();
        let bytes = value.iter().copied().chain(std::iter::repeat(0));
        for (place, byte) in places.iter_mut().zip(bytes) {
            *place = byte;
        }
    }

    /// Writes the checksum in the manner it was written in: six digits and the two bytes that
    /// followed them, or seven digits and one byte.
    fn sum(&mut self) {
        let field = CHECKSUM.start..CHECKSUM.end;
        let old = self.bytes().get(field.clone()).unwrap_or_default().to_vec();
        let sum: u32 = self
            .bytes()
            .iter()
            .enumerate()
            .map(|(at, byte)| u32::from(if CHECKSUM.contains(&at) { b' ' } else { *byte }))
            .sum();
        let digits = old.iter().take_while(|byte| matches!(byte, b'0'..=b'7')).count();
        let mut new = if digits == 7 { format!("{sum:07o}") } else { format!("{sum:06o}") };
        let end = match old.get(new.len()..) {
            Some(end) if digits >= 6 && end.iter().all(|byte| matches!(byte, 0 | b' ')) => end,
            _ => b"\0 ",
        };
        // Only zeros and spaces.
        new.push_str(std::str::from_utf8(end).unwrap_or("\0 "));
        self.set_field(field, new.as_bytes());
    }

    /// A new header: POSIX, owner and group 0, no names of them.
    pub(crate) fn new(kind: u8, path: &[u8], size: u64, mode: u32, mtime: u64) -> Self {
        let mut header = Header::new_ustar();
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(size);
        header.set_mtime(mtime);
        header.as_old_mut().linkflag = [kind];
        let mut header = Self(header);
        header.set_name(path);
        header
    }

    /// A new header of the record before a GNU member with a long name.
    pub(crate) fn new_gnu(kind: u8, size: u64) -> Self {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(size);
        header.set_mtime(0);
        header.as_old_mut().linkflag = [kind];
        let mut header = Self(header);
        header.set_name(b"././@LongLink");
        header
    }
}

fn not_a_header() -> ArchiveError {
    damaged("a header has a wrong checksum; it may be cut off or not be a tar file")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::posix(b"\0 ")]
    #[case::swapped(b" \0")]
    #[case::zeros(b"\0\0")]
    fn the_manner_of_a_checksum_is_kept(#[case] end: &[u8; 2]) {
        let mut header = RawHeader::new(b'0', b"a", 5, 0o644, 0);
        let old = *header.bytes();
        let mut block = old;
        block[154..156].copy_from_slice(end);
        header = RawHeader::parse(&block).unwrap();
        header.set_size(6);
        assert_eq!(&header.bytes()[154..156], end);
        let parsed = RawHeader::parse(header.bytes()).unwrap();
        assert_eq!(parsed.size().unwrap(), 6);
        header.set_size(5);
        assert_eq!(header.bytes(), &block);
    }

    #[test]
    fn a_size_field_that_ends_in_a_space_still_does() {
        let mut block = *RawHeader::new(b'0', b"a", 5, 0o644, 0).bytes();
        block[124..136].copy_from_slice(b"00000000005 ");
        let mut sum = RawHeader(Header::new_old());
        sum.0.as_mut_bytes().copy_from_slice(&block);
        sum.sum();
        let mut header = RawHeader::parse(sum.bytes()).unwrap();
        header.set_size(8);
        assert_eq!(&header.bytes()[124..136], b"00000000010 ");
        RawHeader::parse(header.bytes()).unwrap();
    }

    #[test]
    fn sums_of_signed_bytes_are_accepted() {
        let mut block = *RawHeader::new(b'0', "é".as_bytes(), 5, 0o644, 0).bytes();
        let unsigned: i64 = 0;
        let signed: i64 =
            block
                .iter()
                .enumerate()
                .map(|(at, byte)| {
                    if (148..156).contains(&at) {
                        32
                    } else {
                        i64::from(i8::from_ne_bytes([*byte]))
                    }
                })
                .sum();
        assert!(signed > unsigned);
        block[148..156].copy_from_slice(format!("{signed:06o}\0 ").as_bytes());
        RawHeader::parse(&block).unwrap();
        block[0] ^= 1;
        assert!(RawHeader::parse(&block).is_err());
    }

    #[test]
    fn a_size_beyond_64_bits_is_refused() {
        let mut block = *RawHeader::new(b'0', b"a", 5, 0o644, 0).bytes();
        block[124..136].copy_from_slice(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut header = RawHeader(Header::new_old());
        header.0.as_mut_bytes().copy_from_slice(&block);
        header.sum();
        assert!(RawHeader::parse(header.bytes()).unwrap().size().is_err());
    }
}
