//! Fragments: manifests, histories, documents and whatever an index serves of a file, as deflated
//! bytes in rows that stay small. All fragments of a package lie in one range of keys.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write};
use std::ops::Bound;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::plan::Plan;
use crate::records::{Encoding, FragmentPartRecord, FragmentRecord};
use crate::tables::{self, FragmentKind};
use crate::{Direction, MetaRead, StoreError, Want, codec, rows};

/// Most bytes of a row; a row that fills a page of the engine exactly would take two.
const PART: usize = 16_000;
/// Texts up to this length gain nothing.
const PLAIN: usize = 512;
/// Rows read at a time: a file has a handful of fragments, nearly always of one row each.
const PAGE: usize = 64;

/// A fragment ready to be written; made outside the writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PreparedFragment {
    kind: FragmentKind,
    first: FragmentRecord,
    more: Vec<FragmentPartRecord>,
}

impl PreparedFragment {
    /// Packs at most [`Fragment::LONGEST`](hayloft_feed::Fragment::LONGEST) bytes.
    pub(crate) fn new(kind: FragmentKind, bytes: &[u8]) -> Result<Self, StoreError> {
        let deflated = deflate(bytes)?;
        let (encoding, packed) = match deflated {
            Some(deflated) if deflated.len() < bytes.len() => (Encoding::Deflate, deflated),
            _ => (Encoding::Plain, bytes.to_vec()),
        };
        let mut parts = packed.chunks(PART);
        let first = parts.next().unwrap_or_default().to_vec();
        let more: Vec<_> = parts.map(|part| FragmentPartRecord(part.to_vec())).collect();
        let count = u16::try_from(more.len())
            .map_err(|_| StoreError::damaged("a fragment of more than a gigabyte"))?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(Self { kind, first: FragmentRecord { encoding, size, more: count, bytes: first }, more })
    }

    /// Bytes that it takes.
    pub(crate) fn weight(&self) -> usize {
        self.first.bytes.len() + self.more.iter().map(|part| part.0.len()).sum::<usize>() + 64
    }

    /// Writes it for a file of a version.
    pub(crate) fn write(
        &self,
        plan: &mut Plan,
        version_key: &[u8],
        file: u32,
    ) -> Result<(), StoreError> {
        let key = |part| tables::fragment(version_key, file, self.kind, part);
        plan.put(tables::FRAGMENT, key(0), &self.first)?;
        for (part, record) in (1..=self.first.more).zip(&self.more) {
            plan.put(tables::FRAGMENT, key(part), record)?;
        }
        Ok(())
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
                    .map_err(|_| StoreError::damaged("a deflated fragment"))?;
                bytes
            }
        };
        if u64::try_from(bytes.len()).ok() != Some(self.first.size) {
            return Err(StoreError::damaged("a fragment of another length"));
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
        .map_err(StoreError::io("deflate", "a fragment"))
}

/// The bytes of one fragment; `None` if the file has none of that kind.
pub(crate) fn read(
    read: &dyn MetaRead,
    version_key: &[u8],
    file: u32,
    kind: FragmentKind,
) -> Result<Option<Vec<u8>>, StoreError> {
    let key = tables::fragment(version_key, file, kind, 0);
    let Some(first) = rows::get::<FragmentRecord>(read, tables::FRAGMENT, &key)? else {
        return Ok(None);
    };
    let more = (1..=first.more)
        .map(|part| {
            let key = tables::fragment(version_key, file, kind, part);
            rows::need(read, tables::FRAGMENT, &key)
        })
        .collect::<Result<_, _>>()?;
    PreparedFragment { kind, first, more }.unpack().map(Some)
}

/// All fragments of a file as they are, to write them again elsewhere.
pub(crate) fn of_file(
    read: &dyn MetaRead,
    version_key: &[u8],
    file: u32,
) -> Result<Vec<PreparedFragment>, StoreError> {
    let mut found: Vec<PreparedFragment> = Vec::new();
    each_row(read, &tables::fragments_of_file(version_key, file), |key, value| {
        let damaged = || StoreError::damaged(format!("fragment {}", codec::shown(key)));
        let tables::FragmentKey { kind, part, .. } =
            tables::fragment_key(key).ok_or_else(damaged)?;
        if part == 0 {
            let first = codec::decode(tables::FRAGMENT, key, value)?;
            found.push(PreparedFragment { kind, first, more: Vec::new() });
            return Ok(());
        }
        let begun = found.last_mut().filter(|last| last.kind == kind);
        let begun = begun.filter(|begun| begun.more.len() + 1 == usize::from(part));
        begun.ok_or_else(damaged)?.more.push(codec::decode(tables::FRAGMENT, key, value)?);
        Ok(())
    })?;
    if found.iter().any(|fragment| fragment.more.len() != usize::from(fragment.first.more)) {
        return Err(StoreError::damaged(format!("a fragment of {}", codec::shown(version_key))));
    }
    Ok(found)
}

/// A fragment of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) file: u32,
    pub(crate) kind: FragmentKind,
    pub(crate) bytes: Vec<u8>,
}

/// The fragments of wanted kinds of all versions between two keys of `ver`, both counted, by the
/// version's key. One scan.
pub(crate) fn between(
    read: &dyn MetaRead,
    first: &[u8],
    last: &[u8],
    wanted: &dyn Fn(FragmentKind) -> bool,
) -> Result<BTreeMap<Vec<u8>, Vec<Read>>, StoreError> {
    let end = tables::prefixed(&tables::fragments_of_version(last)).1;
    let mut range = (Bound::Included(tables::fragments_of_version(first)), end);
    let mut found: BTreeMap<Vec<u8>, Vec<Read>> = BTreeMap::new();
    let mut begun: Option<(Vec<u8>, u32, PreparedFragment)> = None;
    let mut finish = |begun: &mut Option<(Vec<u8>, u32, PreparedFragment)>| {
        let Some((version, file, fragment)) = begun.take() else { return Ok(()) };
        let (kind, bytes) = (fragment.kind, fragment.unpack()?);
        found.entry(version).or_default().push(Read { file, kind, bytes });
        Ok::<_, StoreError>(())
    };
    loop {
        let page = read.scan(tables::FRAGMENT, range.clone(), Direction::Forward, PAGE)?;
        for (key, value) in &page {
            let damaged = || StoreError::damaged(format!("fragment {}", codec::shown(key)));
            let tables::FragmentKey { version, file, kind, part } =
                tables::fragment_key(key).ok_or_else(damaged)?;
            if !wanted(kind) {
                continue;
            }
            if part == 0 {
                finish(&mut begun)?;
                let first = codec::decode(tables::FRAGMENT, key, value)?;
                let fragment = PreparedFragment { kind, first, more: Vec::new() };
                begun = Some((version.to_vec(), file, fragment));
            } else {
                let (_, _, fragment) = begun.as_mut().ok_or_else(damaged)?;
                fragment.more.push(codec::decode(tables::FRAGMENT, key, value)?);
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == PAGE => range.0 = Bound::Excluded(key.clone()),
            _ => break,
        }
    }
    finish(&mut begun)?;
    Ok(found)
}

/// Removes all fragments whose keys begin with `prefix`, readable or not.
pub(crate) fn delete(plan: &mut Plan, prefix: &[u8]) -> Result<(), StoreError> {
    let mut doomed = Vec::new();
    each_row(plan, prefix, |key, _| {
        doomed.push(key.to_vec());
        Ok(())
    })?;
    for key in doomed {
        plan.delete(tables::FRAGMENT, key);
    }
    Ok(())
}

/// What going through the fragments of a file is going to read.
pub(crate) fn wanted(version_key: &[u8], file: u32) -> Want {
    let prefix = tables::fragments_of_file(version_key, file);
    Want::Range(tables::FRAGMENT, tables::prefixed(&prefix), Direction::Forward, PAGE)
}

fn each_row(
    read: &dyn MetaRead,
    prefix: &[u8],
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut range = tables::prefixed(prefix);
    loop {
        let page = read.scan(tables::FRAGMENT, range, Direction::Forward, PAGE)?;
        for (key, value) in &page {
            visit(key, value)?;
        }
        match page.last() {
            Some((key, _)) if page.len() == PAGE => range = tables::prefixed_after(prefix, key),
            _ => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hayloft_feed::Fragment;

    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let blocks = (0..length.div_ceil(32)).map(|n| blake3::hash(&n.to_le_bytes()));
        blocks.flat_map(|block| *block.as_bytes()).take(length).collect()
    }

    #[test]
    fn fragments_of_all_sizes_are_read_back() {
        let noise = noise(Fragment::LONGEST);
        for bytes in [&b""[..], b"{}", &[b'x'; 5_000], &noise, &noise[..PART], &noise[..=PART]] {
            let prepared = PreparedFragment::new(FragmentKind::MANIFEST, bytes).unwrap();
            assert_eq!(prepared.unpack().unwrap(), bytes);
            assert!(prepared.first.bytes.len() <= PART);
            assert!(prepared.more.iter().all(|part| part.0.len() <= PART));
        }
    }

    #[test]
    fn a_fragment_that_unfolds_to_more_than_it_says_is_damage() {
        let mut prepared = PreparedFragment::new(FragmentKind::MANIFEST, &[b'x'; 5_000]).unwrap();
        prepared.first.size = 4_999;
        assert!(prepared.unpack().is_err());
    }
}
