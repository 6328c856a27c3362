use std::io::{self, Read};

/// What a package file may cost to read. Every number found in a file meets one of these before it
/// meets an allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one manifest after decompression.
    pub manifest: u64,
    /// Bytes of all metadata that one inspection may decompress and keep.
    pub metadata: u64,
    /// Entries in one archive.
    pub entries: u64,
    /// Bytes that a compressed stream may unfold to when it has to be walked through.
    pub unpacked: u64,
    /// Bytes of one entry name.
    pub entry_name: usize,
    /// Nesting of a structured manifest (JSON, YAML, XML).
    pub depth: usize,
    /// Bytes of memory that a decompressor may ask for its window or dictionary.
    pub window: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest: 8 << 20,
            metadata: 32 << 20,
            entries: 200_000,
            unpacked: 64 << 30,
            entry_name: 4096,
            depth: 64,
            window: 128 << 20,
        }
    }
}

/// Reading under a limit failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is more than the limit allows.
    #[error("is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// The bytes could not be read.
    #[error("could not be read")]
    Io(#[source] io::Error),
}

impl Limits {
    /// Reads `reader` to its end if that is at most `limit` bytes; allocates as it reads.
    pub fn read(reader: &mut dyn Read, limit: u64) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        let mut bounded = reader.take(limit.saturating_add(1));
        io::copy(&mut bounded, &mut bytes).map_err(ReadError::Io)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
            return Err(ReadError::TooLarge { limit });
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_up_to_the_limit_and_not_one_byte_more() {
        assert_eq!(Limits::read(&mut &b"abc"[..], 3).unwrap(), b"abc");
        let error = Limits::read(&mut &b"abcd"[..], 3).unwrap_err();
        assert!(matches!(error, ReadError::TooLarge { limit: 3 }));
    }
}
