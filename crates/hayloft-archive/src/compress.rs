//! Compressed streams: what they are, how they are read within limits, how they are written.

mod bzip2;
mod decoder;
mod encoder;
mod glued;
mod gzip;
mod lzma;
mod pieces;
mod source;
mod xz;
mod zstd;

pub use decoder::{decoder, decoder_with};
pub use encoder::{Encoder, encoder, encoder_within, zlib};
pub use glued::{GzipPart, GzipSum};
pub(crate) use pieces::Pieces;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, RFC 1952.
    Gzip,
    /// xz.
    Xz,
    /// Zstandard, RFC 8878.
    Zstd,
    /// LZMA-alone; read, but not written.
    Lzma,
    /// bzip2; read, but not written.
    Bzip2,
}

/// What may follow a compressed stream in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Trailing {
    /// Nothing.
    Refused,
    /// Zero bytes, which GNU gzip and Python skip: files padded to whole blocks.
    #[default]
    Zeros,
    /// Zero bytes, but no second gzip member, xz stream or zstd frame either: RubyGems reads the
    /// first member alone where other tools read both, dpkg and apt fail at a second stream or
    /// frame.
    OneMember,
    /// Anything, as npm's clients read it. Only gzip streams can be told from what follows them;
    /// for the others this is [`Trailing::Zeros`].
    Anything,
}

impl Compression {
    /// Recognises a stream by its first bytes; 262 are enough for all, and `None` (the variant) is
    /// answered for a tar archive with a magic number.
    pub fn sniff(first_bytes: &[u8]) -> Option<Self> {
        const MAGIC: [(&[u8], Compression); 5] = [
            (&[0x1f, 0x8b], Compression::Gzip),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Compression::Xz),
            (&[0x28, 0xb5, 0x2f, 0xfd], Compression::Zstd),
            (b"BZh", Compression::Bzip2),
            (&[0x5d, 0, 0], Compression::Lzma),
        ];
        if first_bytes.get(257..262) == Some(b"ustar") {
            return Some(Self::None);
        }
        MAGIC.iter().find(|(magic, _)| first_bytes.starts_with(magic)).map(|(_, found)| *found)
    }

    /// Recognises a file name extension, with or without its dot; only the last one counts, and
    /// `""` and `tar` are no compression.
    pub fn from_extension(extension: &str) -> Option<Self> {
        let last = extension.rsplit('.').next().unwrap_or(extension);
        Some(match last {
            "" | "tar" => Self::None,
            "gz" | "tgz" => Self::Gzip,
            "xz" | "txz" => Self::Xz,
            "zst" | "tzst" => Self::Zstd,
            "lzma" => Self::Lzma,
            "bz2" | "tbz2" => Self::Bzip2,
            _ => return None,
        })
    }

    /// For messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "uncompressed",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Lzma => "lzma",
            Self::Bzip2 => "bzip2",
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::gzip(b"\x1f\x8b\x08", Some(Compression::Gzip))]
    #[case::xz(b"\xfd7zXZ\0\0\x04", Some(Compression::Xz))]
    #[case::zstd(b"\x28\xb5\x2f\xfd", Some(Compression::Zstd))]
    #[case::bzip2(b"BZh9", Some(Compression::Bzip2))]
    #[case::lzma(b"\x5d\0\0\x80", Some(Compression::Lzma))]
    #[case::text(b"hello", None)]
    #[case::nothing(b"", None)]
    fn a_stream_is_known_by_its_first_bytes(
        #[case] bytes: &[u8],
        #[case] expected: Option<Compression>,
    ) {
        assert_eq!(Compression::sniff(bytes), expected);
    }

    #[test]
    fn a_tar_archive_is_not_compressed() {
        let mut block = vec![0x1f; 262];
        block[257..262].copy_from_slice(b"ustar");
        assert_eq!(Compression::sniff(&block), Some(Compression::None));
    }

    #[rstest]
    #[case::dotted(".gz", Some(Compression::Gzip))]
    #[case::two("tar.xz", Some(Compression::Xz))]
    #[case::plain("tar", Some(Compression::None))]
    #[case::empty("", Some(Compression::None))]
    #[case::zstd("zst", Some(Compression::Zstd))]
    #[case::unknown("rar", None)]
    fn an_extension_is_known(#[case] text: &str, #[case] expected: Option<Compression>) {
        assert_eq!(Compression::from_extension(text), expected);
    }
}
