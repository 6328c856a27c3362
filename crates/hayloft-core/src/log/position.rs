//! How far the log has been applied: one row in the engine below, which no reader sees.

use super::file::Identity;
use crate::{Batch, Expect, MetaError, MetaRead, Table};

/// The table of the row; no other row is in it.
pub(super) const TABLE: Table = Table("log-1");
const KEY: &[u8] = b"position";
const VERSION: u8 = 1;

/// What the engine below knows of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) identity: Identity,
    /// The newest generation that lies in the engine below.
    pub(super) generation: u64,
    /// Sequence of its last record.
    pub(super) sequence: u64,
}

/// The row as it was found.
#[derive(Debug)]
pub(super) enum Found {
    None,
    Damaged,
    Position(Position),
}

impl Position {
    /// Of a new log: nothing of it was applied, since there is nothing.
    pub(super) fn first(identity: Identity) -> Self {
        Self { identity, generation: 0, sequence: 0 }
    }

    fn encode(&self) -> Vec<u8> {
        let mut value = vec![VERSION];
        value.extend_from_slice(&self.identity.id);
        value.extend_from_slice(&self.identity.secret);
        value.extend_from_slice(&self.generation.to_be_bytes());
        value.extend_from_slice(&self.sequence.to_be_bytes());
        let sum = crc32c::crc32c(&value);
        value.extend_from_slice(&sum.to_be_bytes());
        value
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let (content, sum) = value.split_at_checked(value.len().checked_sub(4)?)?;
        if content.len() != 65 || crc32c::crc32c(content).to_be_bytes() != *sum {
            return None;
        }
        if content.first() != Some(&VERSION) {
            return None;
        }
        let number = |at: usize| {
            let bytes = content.get(at..at + 8)?;
            Some(u64::from_be_bytes(bytes.try_into().ok()?))
        };
        let id = content.get(1..17)?.try_into().ok()?;
        let secret = content.get(17..49)?.try_into().ok()?;
        let identity = Identity { id, secret };
        Some(Self { identity, generation: number(49)?, sequence: number(57)? })
    }

    pub(super) fn read(read: &dyn MetaRead) -> Result<Found, MetaError> {
        Ok(match read.get(TABLE, KEY)? {
            None => Found::None,
            Some(value) => Self::decode(&value).map_or(Found::Damaged, Found::Position),
        })
    }

    /// Has a batch store this in place of `before`, or of nothing.
    pub(super) fn store(&self, batch: &mut Batch, before: Option<&Self>) {
        let expect = before.map_or(Expect::Absent, |before| Expect::Value(before.encode()));
        batch.expect.push((TABLE, KEY.to_vec(), expect));
        batch.put.push((TABLE, KEY.to_vec(), self.encode()));
    }

    /// Has a batch expect that this is how far the log was applied, and leave it so.
    pub(super) fn expect(&self, batch: &mut Batch) {
        batch.expect.push((TABLE, KEY.to_vec(), Expect::Value(self.encode())));
    }

    /// Has a batch remove it.
    pub(super) fn remove(&self, batch: &mut Batch) {
        self.expect(batch);
        batch.delete.push((TABLE, KEY.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written_and_no_changed_bit_passes() {
        let identity = Identity { id: [1; 16], secret: [2; 32] };
        let position = Position { identity, generation: 3, sequence: 4 };
        let value = position.encode();
        assert_eq!(Position::decode(&value), Some(position));
        for at in 0..value.len() {
            let mut value = value.clone();
            value[at] ^= 4;
            assert_eq!(Position::decode(&value), None, "{at}");
        }
        assert_eq!(Position::decode(b""), None);
    }
}
