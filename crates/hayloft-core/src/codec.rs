//! Bytes of values: `kind | version | payload | crc32c(key, kind, version, payload)`.
//!
//! The only place that names bincode. A released record is frozen: a change is a new struct with a
//! higher `VERSION`, and `Record::upgrade` reads the old one.

use bincode::config::{self, Config};
use bincode::{BorrowDecode, Decode, Encode};

use crate::{StoreError, Table};

/// The most a value may unfold to.
const DECODED_LIMIT: usize = 1 << 20;
/// The most bytes of a value: any ordered store takes that.
const ENCODED_LIMIT: usize = 64 << 10;
const HEADER: usize = 2;
const CHECKSUM: usize = 4;

fn configuration() -> impl Config {
    config::standard().with_limit::<DECODED_LIMIT>()
}

/// A value of a table.
pub(crate) trait Record: Encode + Decode<()> + Sized {
    /// Tells values of different tables apart; never given to another record.
    const KIND: u8;
    /// Layout that is written.
    const VERSION: u8 = 1;

    /// Reads an older layout.
    fn upgrade(version: u8, payload: &[u8]) -> Option<Self> {
        let _ = (version, payload);
        None
    }
}

/// A form of a record that borrows from the value it was read from. It has the bytes of the owned
/// form's newest layout and reads no older one: where a record gets a second layout, whoever reads
/// it borrowed has to read the first one owned.
pub(crate) trait Borrowed<'v>: BorrowDecode<'v, ()> {
    /// The owned form.
    type Owned: Record;
}

/// Decodes a payload, all of it.
pub(crate) fn payload<R: Decode<()>>(payload: &[u8]) -> Option<R> {
    let (record, used) = bincode::decode_from_slice(payload, configuration()).ok()?;
    (used == payload.len()).then_some(record)
}

pub(crate) fn encode<R: Record>(
    table: Table,
    key: &[u8],
    record: &R,
) -> Result<Vec<u8>, StoreError> {
    let mut value = vec![R::KIND, R::VERSION];
    bincode::encode_into_std_write(record, &mut value, config::standard())
        .map_err(|_| StoreError::damaged(format!("a record for `{}`", table.0)))?;
    let length = value.len() + CHECKSUM;
    // What is written can be read: nothing else tells how much a value unfolds to.
    let readable = length <= ENCODED_LIMIT && value.get(HEADER..).and_then(payload::<R>).is_some();
    if !readable {
        return Err(StoreError::TooLarge { table: table.0, length, limit: ENCODED_LIMIT });
    }
    let checksum = checksum(key, &value);
    value.extend_from_slice(&checksum);
    Ok(value)
}

pub(crate) fn decode<R: Record>(table: Table, key: &[u8], value: &[u8]) -> Result<R, StoreError> {
    let (version, body) = content::<R>(table, key, value)?;
    let record = if version == R::VERSION { payload(body) } else { R::upgrade(version, body) };
    record.ok_or_else(|| damaged(table, key))
}

/// Decodes a value whose texts stay where they are.
pub(crate) fn decode_borrowed<'v, B: Borrowed<'v>>(
    table: Table,
    key: &[u8],
    value: &'v [u8],
) -> Result<B, StoreError> {
    let (version, body) = content::<B::Owned>(table, key, value)?;
    bincode::borrow_decode_from_slice(body, configuration())
        .ok()
        .filter(|(_, used)| *used == body.len() && version == B::Owned::VERSION)
        .map(|(record, _)| record)
        .ok_or_else(|| damaged(table, key))
}

/// Whether a payload comes to the same once it was read, written, read and written; `None` if it is
/// none of this record, or none that may be written.
#[cfg(feature = "sim")]
pub(crate) fn written_again<R: Record>(bytes: &[u8]) -> Option<bool> {
    const TABLE: Table = Table("made-up");
    let record: R = payload(bytes)?;
    let value = encode(TABLE, b"key", &record).ok()?;
    // Bound to its key and kind.
    if decode::<R>(TABLE, b"yek", &value).is_ok() || value.len() > ENCODED_LIMIT {
        return Some(false);
    }
    let again = decode::<R>(TABLE, b"key", &value).and_then(|again| encode(TABLE, b"key", &again));
    Some(again.is_ok_and(|again| again == value))
}

fn damaged(table: Table, key: &[u8]) -> StoreError {
    StoreError::damaged(format!("row {} of `{}`", shown(key), table.0))
}

/// The layout and the payload of a value, once its checksum was found right.
fn content<'v, R: Record>(
    table: Table,
    key: &[u8],
    value: &'v [u8],
) -> Result<(u8, &'v [u8]), StoreError> {
    let damaged = || damaged(table, key);
    let content = value.len().checked_sub(CHECKSUM).ok_or_else(damaged)?;
    let (content, stored) = value.split_at_checked(content).ok_or_else(damaged)?;
    if checksum(key, content) != *stored {
        return Err(damaged());
    }
    let (header, body) = content.split_at_checked(HEADER).ok_or_else(damaged)?;
    let &[kind, version] = header else { return Err(damaged()) };
    if kind != R::KIND {
        return Err(damaged());
    }
    if version > R::VERSION {
        return Err(StoreError::Newer { what: format!("row {} of `{}`", shown(key), table.0) });
    }
    Ok((version, body))
}

fn checksum(key: &[u8], content: &[u8]) -> [u8; CHECKSUM] {
    crc32c::crc32c_append(crc32c::crc32c(key), content).to_be_bytes()
}

/// The chain value of an audit row: BLAKE3 over the one before, the key, and the value up to where
/// its own chain value, the last field, begins. `None` if the value is too short for one.
pub(crate) fn chain(before: &[u8; 32], key: &[u8], value: &[u8]) -> Option<[u8; 32]> {
    let content = value.get(..value.len().checked_sub(CHECKSUM + 32)?)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(key).update(content);
    Some(hasher.finalize().into())
}

/// A key for messages: text where it is text, else hex, cut to a readable length.
pub(crate) fn shown(key: &[u8]) -> String {
    let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    if !key.is_empty() && key.iter().all(printable) {
        return hayloft_feed::shorten(&String::from_utf8_lossy(key));
    }
    hayloft_feed::shorten(&data_encoding::HEXLOWER.encode(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table("test-1");

    #[derive(Debug, PartialEq, Encode, Decode)]
    struct Sample {
        number: u64,
        text: String,
    }

    impl Record for Sample {
        const KIND: u8 = 250;
        const VERSION: u8 = 2;

        fn upgrade(version: u8, bytes: &[u8]) -> Option<Self> {
            (version == 1).then(|| payload(bytes))?.map(|number| Self { number, text: "-".into() })
        }
    }

    #[derive(Debug, Encode, Decode)]
    struct SampleV1(u64);

    impl Record for SampleV1 {
        const KIND: u8 = 250;
    }

    #[derive(Debug, Encode, Decode)]
    struct Other(u64);

    impl Record for Other {
        const KIND: u8 = 251;
    }

    fn sample() -> Sample {
        Sample { number: 7, text: "seven".into() }
    }

    #[derive(Debug, PartialEq, Encode, Decode)]
    struct Many(Vec<(String, Option<String>)>);

    impl Record for Many {
        const KIND: u8 = 252;
    }

    #[test]
    fn what_could_not_be_read_again_is_refused_when_it_is_written() {
        let text = |length| Sample { number: 7, text: "x".repeat(length) };
        let around = ENCODED_LIMIT - 20..ENCODED_LIMIT + 20;
        let (mut written, mut refused) = (0, 0);
        for length in around.chain([DECODED_LIMIT - 2, DECODED_LIMIT, 2 * DECODED_LIMIT]) {
            match encode(TABLE, b"key", &text(length)) {
                Ok(value) => {
                    assert!(value.len() <= ENCODED_LIMIT);
                    assert_eq!(decode::<Sample>(TABLE, b"key", &value).unwrap(), text(length));
                    written += 1;
                }
                Err(StoreError::TooLarge { table, length, limit }) => {
                    assert_eq!((table, limit), ("test-1", ENCODED_LIMIT));
                    assert!(length > limit);
                    refused += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(written > 5 && refused > 5);
        // Few bytes may unfold to very many.
        let many = |count| Many(vec![(String::new(), None); count]);
        let value = encode(TABLE, b"key", &many(1_000)).unwrap();
        assert_eq!(decode::<Many>(TABLE, b"key", &value).unwrap(), many(1_000));
        assert!(matches!(encode(TABLE, b"key", &many(30_000)), Err(StoreError::TooLarge { .. })));
    }

    #[test]
    fn a_value_is_read_back() {
        let value = encode(TABLE, b"key", &sample()).unwrap();
        assert_eq!(decode::<Sample>(TABLE, b"key", &value).unwrap(), sample());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let value = encode(TABLE, b"key", &sample()).unwrap();
        for at in 0..value.len() {
            for bit in 0..8 {
                let mut bad = value.clone();
                bad[at] ^= 1 << bit;
                assert!(decode::<Sample>(TABLE, b"key", &bad).is_err(), "byte {at}, bit {bit}");
            }
            assert!(decode::<Sample>(TABLE, b"key", &value[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_row_under_another_key_or_in_another_table_is_seen() {
        let value = encode(TABLE, b"key", &sample()).unwrap();
        assert!(decode::<Sample>(TABLE, b"kez", &value).is_err());
        assert!(decode::<Other>(TABLE, b"key", &value).is_err());
    }

    #[test]
    fn older_layouts_are_read_and_newer_ones_named() {
        let old = encode(TABLE, b"key", &SampleV1(9)).unwrap();
        let upgraded = decode::<Sample>(TABLE, b"key", &old).unwrap();
        assert_eq!(upgraded, Sample { number: 9, text: "-".into() });
        let new = encode(TABLE, b"key", &sample()).unwrap();
        let error = decode::<SampleV1>(TABLE, b"key", &new).unwrap_err();
        assert!(matches!(error, StoreError::Newer { .. }));
    }

    #[test]
    fn bytes_after_the_record_are_damage() {
        let mut value = vec![Sample::KIND, Sample::VERSION];
        bincode::encode_into_std_write(sample(), &mut value, config::standard()).unwrap();
        value.push(0);
        let sum = checksum(b"key", &value);
        value.extend_from_slice(&sum);
        assert!(decode::<Sample>(TABLE, b"key", &value).is_err());
    }
}
