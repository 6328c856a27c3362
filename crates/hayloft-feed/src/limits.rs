use std::io::{self, Read};

use crate::{Account, Exhausted};

/// Bytes that are read at once, on the stack.
const PIECE: usize = 8 << 10;

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
    /// What is left of the memory and work that this reading may take.
    pub account: Account,
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
            account: Account::default(),
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
    /// There is too little memory or time left for them.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

impl Limits {
    /// Reads `reader` to its end if that is at most `limit` bytes; allocates as it reads.
    ///
    /// For what belongs to no package file; a feed type reads with [`Limits::load`].
    pub fn read(reader: &mut dyn Read, limit: u64) -> Result<Vec<u8>, ReadError> {
        Self::collect(reader, limit, &Account::default())
    }

    /// As [`Limits::read`], and charges the account before it allocates.
    pub fn load(&self, reader: &mut dyn Read, limit: u64) -> Result<Vec<u8>, ReadError> {
        Self::collect(reader, limit, &self.account)
    }

    fn collect(reader: &mut dyn Read, limit: u64, account: &Account) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        let mut bounded = reader.take(limit.saturating_add(1));
        let mut piece = [0; PIECE];
        loop {
            let read = match bounded.read(&mut piece) {
                Ok(0) => return Ok(bytes),
                Ok(read) => piece.get(..read).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ReadError::Io(error)),
            };
            let length = bytes.len().saturating_add(read.len());
            if u64::try_from(length).unwrap_or(u64::MAX) > limit {
                return Err(ReadError::TooLarge { limit });
            }
            if length > bytes.capacity() {
                let grown = length.max(bytes.capacity().saturating_mul(2));
                let more = grown.saturating_sub(bytes.capacity());
                let charge = |bytes: usize| account.hold(u64::try_from(bytes).unwrap_or(u64::MAX));
                charge(more)?.keep();
                // Both are there while one moves into the other.
                let _old = charge(bytes.capacity())?;
                bytes.reserve_exact(grown.saturating_sub(bytes.len()));
            }
            bytes.extend_from_slice(read);
        }
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

    #[test]
    fn what_is_loaded_is_charged_before_it_is_allocated() {
        let terms = crate::Terms { memory: 60_000, ..crate::Terms::default() };
        let limits = Limits { account: Account::new(terms), ..Limits::default() };
        let loaded = limits.load(&mut io::repeat(7).take(20_000), 1 << 20).unwrap();
        assert_eq!(loaded.len(), 20_000);
        let charged = limits.account.held();
        assert_eq!(charged, u64::try_from(loaded.capacity()).unwrap());
        let error = limits.load(&mut io::repeat(7), u64::MAX).unwrap_err();
        assert!(matches!(error, ReadError::Exhausted(Exhausted::Memory { limit: 60_000 })));
        assert!(limits.account.held() <= 60_000);
    }
}
