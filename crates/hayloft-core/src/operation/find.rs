use std::collections::BTreeSet;

use data_encoding::HEXLOWER_PERMISSIVE;
use hayloft_feed::shorten;

use crate::reading::Reading;
use crate::records::BlobRecord;
use crate::{
    BlobKey, Direction, Manifests, MetaRead, PackageFile, Store, StoreError, codec, rows, tables,
};

/// Most files that are found.
const FOUND: usize = 1_000;

/// A digest algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
    /// BLAKE3 with 32 bytes.
    Blake3,
}

impl Algorithm {
    /// Bytes of a digest.
    fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 | Self::Blake3 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// A file found by its digest.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FoundFile {
    /// Name of its feed.
    pub feed: String,
    /// The file.
    pub file: PackageFile,
}

/// Nothing could be looked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// Not the hex digits of a digest.
    #[error("`{}` is not a digest: give 32, 40, 64 or 128 hex digits", shorten(.0))]
    Digest(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Files in all feeds whose content has this digest, in hex; at most 1,000. Without an
    /// algorithm the length decides; 64 digits are taken as SHA-256 and as BLAKE3.
    ///
    /// SHA-256 and BLAKE3 cost a few reads; the others scan all contents.
    pub fn find_by_hash(
        &self,
        algorithm: Option<Algorithm>,
        digest: &str,
    ) -> Result<Vec<FoundFile>, FindError> {
        let malformed = || FindError::Digest(digest.to_owned());
        let bytes = HEXLOWER_PERMISSIVE.decode(digest.as_bytes()).map_err(|_| malformed())?;
        let algorithms: Vec<Algorithm> = [
            Algorithm::Md5,
            Algorithm::Sha1,
            Algorithm::Sha256,
            Algorithm::Sha512,
            Algorithm::Blake3,
        ]
        .into_iter()
        .filter(|known| known.length() == bytes.len())
        .filter(|known| algorithm.is_none_or(|asked| asked == *known))
        .collect();
        if algorithms.is_empty() {
            return Err(malformed());
        }
        let reading = self.inner.read()?;
        let mut blobs = BTreeSet::new();
        for algorithm in algorithms {
            contents(reading.rows(), algorithm, &bytes, &mut blobs)?;
        }
        let mut found = Vec::new();
        for blob in blobs {
            self.files_with_content(&reading, &blob, &mut found)?;
        }
        Ok(found)
    }

    fn files_with_content(
        &self,
        reading: &Reading,
        blob: &BlobKey,
        found: &mut Vec<FoundFile>,
    ) -> Result<(), StoreError> {
        let read = reading.rows();
        let range = tables::blob_uses(blob);
        for (key, _) in read.scan(tables::BLOB, range, Direction::Forward, FOUND)? {
            let (Some(version), Some(file)) = (tables::u64_at(&key, 32), tables::u32_at(&key, 40))
            else {
                continue;
            };
            if found.len() >= FOUND {
                return Ok(());
            }
            if let Some((handle, version)) = reading.version_by_id(version)? {
                let at = version.record.files.iter().position(|known| known.number == file);
                let context = &self.inner.context;
                let files =
                    context.files(read, &handle, &version, at.as_slice(), Manifests::Omitted)?;
                found.extend(
                    files
                        .into_iter()
                        .map(|file| FoundFile { feed: handle.record.name.clone(), file }),
                );
            }
        }
        Ok(())
    }
}

/// The contents that have a SHA-256.
pub(super) fn with_sha256(
    read: &dyn MetaRead,
    digest: &[u8; 32],
) -> Result<BTreeSet<BlobKey>, StoreError> {
    let mut found = BTreeSet::new();
    contents(read, Algorithm::Sha256, digest, &mut found)?;
    Ok(found)
}

/// Adds the contents that have a digest.
fn contents(
    read: &dyn MetaRead,
    algorithm: Algorithm,
    digest: &[u8],
    found: &mut BTreeSet<BlobKey>,
) -> Result<(), StoreError> {
    let sha256 = match algorithm {
        Algorithm::Sha256 => <[u8; 32]>::try_from(digest).ok(),
        Algorithm::Blake3 => {
            found.extend(<[u8; 32]>::try_from(digest).ok().map(BlobKey));
            return Ok(());
        }
        Algorithm::Md5 | Algorithm::Sha1 | Algorithm::Sha512 => None,
    };
    let Some(sha256) = sha256 else {
        return rows::each(read, tables::BLOB, &[], |key, value| {
            let Ok(blob) = <[u8; 32]>::try_from(key) else { return Ok(()) };
            let row: BlobRecord = codec::decode(tables::BLOB, key, value)?;
            if row.md5 == *digest || row.sha1 == *digest || row.sha512 == *digest {
                found.insert(BlobKey(blob));
            }
            Ok(())
        });
    };
    let prefix = tables::by_hash_prefix(&sha256);
    rows::each(read, tables::BY_HASH, prefix, |key, _| {
        let blob = key.get(prefix.len()..).and_then(|blob| <[u8; 32]>::try_from(blob).ok());
        let Some(blob) = blob else { return Ok(()) };
        // The index holds the beginning of the digest only.
        let row: Option<BlobRecord> = rows::get(read, tables::BLOB, &blob)?;
        if row.is_some_and(|row| row.sha256 == sha256) {
            found.insert(BlobKey(blob));
        }
        Ok(())
    })
}
