//! One record of the log: the rows of a commit, under a header that says where it belongs.
//!
//! ```text
//! magic 4 | length of the body 4 | generation 8 | sequence 8 | salt 16 | crc32c 4 | body
//! ```
//!
//! The checksum covers header and body. The salt follows from the generation and a secret, so that
//! no uploaded content, which lies in a body, can be taken for a record. The body is a list of
//! entries: a table by its text, and the rows put into it or deleted from it.

use crate::{Batch, Table};

/// Records begin at multiples of this: writing one touches no page of another.
pub(crate) const PAGE: usize = 4096;
/// Bytes before the body.
pub(crate) const HEADER: usize = 44;
const CHECKSUM_AT: usize = HEADER - 4;
const MAGIC: [u8; 4] = *b"hlr\x01";

/// The most bytes of a key or a value in a record.
const LONGEST: u64 = 64 << 20;

const TABLE: u8 = 1;
const PUT: u8 = 2;
const DELETE: u8 = 3;

/// Sixteen bytes that only records of one generation of one log have.
pub(crate) type Salt = [u8; 16];

/// Where a record belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) generation: u64,
    pub(crate) sequence: u64,
}

/// A record whose checksum was found right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) place: Place,
    pub(crate) body: &'a [u8],
}

/// A row that a record changes; `None` deletes it.
pub(crate) type Entry<'a> = (Table, &'a [u8], Option<&'a [u8]>);

/// The body of a record is not one that this release writes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("it changes the table `{0}`, which this program does not know")]
    Table(String),
    #[error("its content makes no sense")]
    Malformed,
}

/// The rows of a batch as the body of a record, behind room for its header.
pub(crate) fn body(batch: &Batch) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    let mut table = None;
    for (of, key, value) in &batch.put {
        begin_table(&mut bytes, &mut table, *of);
        bytes.push(PUT);
        put_length(&mut bytes, key.len());
        put_length(&mut bytes, value.len());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
    }
    for (of, key) in &batch.delete {
        begin_table(&mut bytes, &mut table, *of);
        bytes.push(DELETE);
        put_length(&mut bytes, key.len());
        bytes.extend_from_slice(key);
    }
    bytes
}

/// Makes a record of what [`body`] gave, filled up to a multiple of `align` bytes.
pub(crate) fn finish(mut bytes: Vec<u8>, place: Place, salt: &Salt, align: usize) -> Vec<u8> {
    let length = u32::try_from(bytes.len().saturating_sub(HEADER)).unwrap_or(u32::MAX);
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&length.to_be_bytes());
    header.extend_from_slice(&place.generation.to_be_bytes());
    header.extend_from_slice(&place.sequence.to_be_bytes());
    header.extend_from_slice(salt);
    let body = bytes.get(HEADER..).unwrap_or_default();
    let sum = crc32c::crc32c_append(crc32c::crc32c(&header), body);
    header.extend_from_slice(&sum.to_be_bytes());
    if let Some(into) = bytes.get_mut(..HEADER) {
        into.copy_from_slice(&header);
    }
    bytes.resize(bytes.len().next_multiple_of(align.max(1)), 0);
    bytes
}

fn begin_table(bytes: &mut Vec<u8>, current: &mut Option<Table>, table: Table) {
    if *current == Some(table) {
        return;
    }
    *current = Some(table);
    bytes.push(TABLE);
    put_length(bytes, table.0.len());
    bytes.extend_from_slice(table.0.as_bytes());
}

/// Seven bits a byte, lowest first.
fn put_length(bytes: &mut Vec<u8>, length: usize) {
    let mut rest = length;
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or(0);
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// The record at the beginning of `bytes`, if one is there, whole, of at most `limit` bytes and
/// with the salt of its generation, which is looked at before anything that takes time.
pub(crate) fn parse(
    bytes: &[u8],
    limit: usize,
    salt: impl FnOnce(u64) -> Salt,
) -> Option<Record<'_>> {
    let (header, rest) = bytes.split_at_checked(HEADER)?;
    if !header.starts_with(&MAGIC) {
        return None;
    }
    let length = u32::from_be_bytes(header.get(4..8)?.try_into().ok()?);
    let length = usize::try_from(length).ok()?;
    if length.checked_add(HEADER)? > limit {
        return None;
    }
    let body = rest.get(..length)?;
    let generation = u64::from_be_bytes(header.get(8..16)?.try_into().ok()?);
    let sequence = u64::from_be_bytes(header.get(16..24)?.try_into().ok()?);
    if salt(generation) != header.get(24..CHECKSUM_AT)? {
        return None;
    }
    let sum = crc32c::crc32c_append(crc32c::crc32c(header.get(..CHECKSUM_AT)?), body);
    if sum.to_be_bytes() != header.get(CHECKSUM_AT..)? {
        return None;
    }
    Some(Record { place: Place { generation, sequence }, body })
}

impl<'a> Record<'a> {
    /// Bytes that it takes in the log.
    pub(crate) fn len(&self, align: usize) -> usize {
        (HEADER + self.body.len()).next_multiple_of(align.max(1))
    }

    /// Shows all rows that it changes, in the order in which they were written; those of a table that
    /// is not known may be left out.
    pub(crate) fn entries(
        &self,
        tables: &[Table],
        leaves_out_unknown: bool,
        mut visit: impl FnMut(Entry<'a>),
    ) -> Result<(), BodyError> {
        let mut rest = self.body;
        let mut table = None;
        while let Some((&tag, after)) = rest.split_first() {
            rest = after;
            let (first, last) = match tag {
                TABLE => {
                    let name = take(&mut rest)?;
                    let known = tables.iter().find(|known| known.0.as_bytes() == name);
                    let unknown =
                        || BodyError::Table(hayloft_feed::shorten(&String::from_utf8_lossy(name)));
                    table = match known {
                        None if leaves_out_unknown => Some(None),
                        known => Some(Some(*known.ok_or_else(unknown)?)),
                    };
                    continue;
                }
                PUT => (length(&mut rest)?, Some(length(&mut rest)?)),
                DELETE => (length(&mut rest)?, None),
                _ => return Err(BodyError::Malformed),
            };
            let key = take_exactly(&mut rest, first)?;
            let value = last.map(|last| take_exactly(&mut rest, last)).transpose()?;
            if let Some(table) = table.ok_or(BodyError::Malformed)? {
                visit((table, key, value));
            }
        }
        Ok(())
    }
}

fn length(rest: &mut &[u8]) -> Result<usize, BodyError> {
    let mut length = 0_u64;
    for shift in [0, 7, 14, 21, 28] {
        let (&byte, after) = rest.split_first().ok_or(BodyError::Malformed)?;
        *rest = after;
        length |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            if length > LONGEST {
                return Err(BodyError::Malformed);
            }
            return usize::try_from(length).map_err(|_| BodyError::Malformed);
        }
    }
    Err(BodyError::Malformed)
}

fn take_exactly<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], BodyError> {
    let (taken, after) = rest.split_at_checked(length).ok_or(BodyError::Malformed)?;
    *rest = after;
    Ok(taken)
}

fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], BodyError> {
    let length = length(rest)?;
    take_exactly(rest, length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLES: [Table; 2] = [Table("one"), Table("two")];
    const PLACE: Place = Place { generation: 7, sequence: 99 };

    const SALT: Salt = [5; 16];

    fn encode(batch: &Batch, align: usize) -> Vec<u8> {
        finish(body(batch), PLACE, &SALT, align)
    }

    type Owned = (Table, Vec<u8>, Option<Vec<u8>>);

    fn read(bytes: &[u8]) -> Result<Vec<Owned>, BodyError> {
        let record = parse(bytes, bytes.len(), |_| SALT).unwrap();
        assert_eq!(record.place, PLACE);
        let mut found = Vec::new();
        record.entries(&TABLES, false, |(table, key, value)| {
            found.push((table, key.to_vec(), value.map(<[u8]>::to_vec)));
        })?;
        Ok(found)
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..300)
    }

    fn batch() -> impl Strategy<Value = Batch> {
        let table = || prop_oneof![Just(TABLES[0]), Just(TABLES[1])];
        (
            proptest::collection::vec((table(), bytes(), bytes()), 0..8),
            proptest::collection::vec((table(), bytes()), 0..8),
        )
            .prop_map(|(put, delete)| Batch { put, delete, ..Batch::default() })
    }

    proptest! {
        #[test]
        fn a_record_holds_what_was_written(batch in batch()) {
            let bytes = encode(&batch, PAGE);
            prop_assert_eq!(bytes.len() % PAGE, 0);
            let whole = parse(&bytes, bytes.len(), |_| SALT).unwrap();
            prop_assert!(whole.len(PAGE) == bytes.len());
            let put = batch.put.into_iter().map(|(table, key, value)| (table, key, Some(value)));
            let delete = batch.delete.into_iter().map(|(table, key)| (table, key, None));
            prop_assert_eq!(read(&bytes).unwrap(), put.chain(delete).collect::<Vec<_>>());
        }

        #[test]
        fn every_changed_bit_of_header_and_body_is_noticed(
            batch in batch(), at in any::<prop::sample::Index>(), bit in 0..8
        ) {
            let mut bytes = encode(&batch, 1);
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(parse(&bytes, bytes.len(), |_| SALT).is_none());
        }

        #[test]
        fn bytes_of_any_kind_give_an_answer(body in bytes()) {
            let record = Record { place: PLACE, body: &body };
            let _ = record.entries(&TABLES, false, |_| ());
            let _ = parse(&body, 200, |_| SALT);
        }
    }

    #[test]
    fn a_record_longer_than_the_limit_or_its_place_is_none() {
        let put = vec![(TABLES[0], vec![1], vec![2; 10_000])];
        let bytes = encode(&Batch { put, ..Batch::default() }, PAGE);
        assert!(parse(&bytes, bytes.len(), |_| SALT).is_some());
        assert!(parse(&bytes, bytes.len(), |_| [6; 16]).is_none());
        assert!(parse(&bytes, 10_000, |_| SALT).is_none());
        assert!(parse(&bytes[..8_192], usize::MAX, |_| SALT).is_none());
    }

    #[test]
    fn a_table_that_is_not_known_is_named() {
        let put = vec![(Table("three"), vec![1], vec![2])];
        let bytes = encode(&Batch { put, ..Batch::default() }, PAGE);
        assert_eq!(read(&bytes), Err(BodyError::Table("three".to_owned())));
    }
}
