//! Manifests and documents: deflated text in parts that stay small rows.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::plan::Plan;
use crate::records::{DocumentPartRecord, DocumentRecord, Encoding};
use crate::{MetaRead, StoreError, rows, tables};

/// Most bytes of a row; a row that fills a page of the engine exactly would take two.
const PART: usize = 16_000;
/// Texts up to this length gain nothing.
const PLAIN: usize = 512;

/// A document ready to be written; made outside the writer.
#[derive(Debug, Clone)]
pub(crate) struct PreparedDocument {
    first: DocumentRecord,
    more: Vec<DocumentPartRecord>,
}

impl PreparedDocument {
    pub(crate) fn new(bytes: &[u8]) -> Result<Self, StoreError> {
        let deflated = deflate(bytes)?;
        let (encoding, packed) = match deflated {
            Some(deflated) if deflated.len() < bytes.len() => (Encoding::Deflate, deflated),
            _ => (Encoding::Plain, bytes.to_vec()),
        };
        let mut parts = packed.chunks(PART);
        let first = parts.next().unwrap_or_default().to_vec();
        let more: Vec<_> = parts.map(|part| DocumentPartRecord(part.to_vec())).collect();
        let count = u16::try_from(more.len())
            .map_err(|_| StoreError::damaged("a document of more than a gigabyte"))?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(Self { first: DocumentRecord { encoding, size, more: count, bytes: first }, more })
    }

    /// Bytes that it takes.
    pub(crate) fn weight(&self) -> usize {
        self.first.bytes.len() + self.more.iter().map(|part| part.0.len()).sum::<usize>() + 32
    }

    /// Reads the rows of a document as they are, to write them again elsewhere.
    pub(crate) fn copy(read: &dyn MetaRead, document: u64) -> Result<Self, StoreError> {
        let first: DocumentRecord = rows::need(read, tables::DOCUMENT, &tables::part(document, 0))?;
        let more = (1..=first.more)
            .map(|part| rows::need(read, tables::DOCUMENT, &tables::part(document, part)))
            .collect::<Result<_, _>>()?;
        Ok(Self { first, more })
    }

    /// Writes it under a new number.
    pub(crate) fn write(&self, plan: &mut Plan) -> Result<u64, StoreError> {
        plan.counters().document += 1;
        let document = plan.counters().document;
        plan.put(tables::DOCUMENT, tables::part(document, 0), &self.first)?;
        for (part, record) in (1..=self.first.more).zip(&self.more) {
            plan.put(tables::DOCUMENT, tables::part(document, part), record)?;
        }
        Ok(document)
    }

    fn unpack(&self) -> Result<Vec<u8>, StoreError> {
        let mut packed = self.first.bytes.clone();
        for part in &self.more {
            packed.extend_from_slice(&part.0);
        }
        let bytes = match self.first.encoding {
            Encoding::Plain => packed,
            Encoding::Deflate => {
                let mut bytes = Vec::new();
                let mut unpacked =
                    DeflateDecoder::new(packed.as_slice()).take(self.first.size.saturating_add(1));
                io::copy(&mut unpacked, &mut bytes)
                    .map_err(|_| StoreError::damaged("a deflated document"))?;
                bytes
            }
        };
        if u64::try_from(bytes.len()).ok() != Some(self.first.size) {
            return Err(StoreError::damaged("a document of another length"));
        }
        Ok(bytes)
    }
}

fn deflate(bytes: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    if bytes.len() <= PLAIN {
        return Ok(None);
    }
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .map(Some)
        .map_err(StoreError::io("deflate", "a document"))
}

/// The bytes of a document.
pub(crate) fn read(read: &dyn MetaRead, document: u64) -> Result<Vec<u8>, StoreError> {
    PreparedDocument::copy(read, document)?.unpack()
}

/// Removes the rows of a document.
pub(crate) fn delete(plan: &mut Plan, document: u64) -> Result<(), StoreError> {
    let key = tables::part(document, 0);
    let more = match plan.get::<DocumentRecord>(tables::DOCUMENT, &key)? {
        Some(first) => first.more,
        None => return Ok(()),
    };
    for part in 0..=more {
        plan.delete(tables::DOCUMENT, tables::part(document, part));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_all_sizes_are_read_back() {
        let noise: Vec<u8> =
            (0..100_000_u32).map(|n| blake3::hash(&n.to_le_bytes()).as_bytes()[0]).collect();
        for bytes in [&b""[..], b"{}", &[b'x'; 5_000], &noise, &noise[..PART], &noise[..=PART]] {
            let prepared = PreparedDocument::new(bytes).unwrap();
            assert_eq!(prepared.unpack().unwrap(), bytes);
            assert!(prepared.first.bytes.len() <= PART);
            assert!(prepared.more.iter().all(|part| part.0.len() <= PART));
        }
    }

    #[test]
    fn a_document_that_unfolds_to_more_than_it_says_is_damage() {
        let mut prepared = PreparedDocument::new(&[b'x'; 5_000]).unwrap();
        prepared.first.size = 4_999;
        assert!(prepared.unpack().is_err());
    }
}
