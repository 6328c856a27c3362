use std::io::Cursor;

use hayloft_feed::{
    Digests, FeedType, FeedTypeError, HistoryEntry, Identity, Inspected, Limits, Repackage,
    Repackaged, SourceReference,
};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::Sample;

/// All digests of `bytes`, as the store computes them while it receives a file.
pub fn digests(bytes: &[u8]) -> Digests {
    Digests {
        md5: Md5::digest(bytes).into(),
        sha1: Sha1::digest(bytes).into(),
        sha256: Sha256::digest(bytes).into(),
        sha512: Sha512::digest(bytes).into(),
        blake3: blake3::hash(bytes).into(),
    }
}

/// Inspects a file in memory under the default limits. `hints` are what the request says beside
/// the file; [`Sample`] takes more.
pub fn inspect(
    feed_type: &dyn FeedType,
    bytes: &[u8],
    file_name: Option<&str>,
    hints: &[(&str, &str)],
) -> Result<Inspected, FeedTypeError> {
    let sample = Sample::unnamed(bytes).with_name(file_name);
    let sample = hints.iter().fold(sample, |sample, (key, value)| sample.hint(key, value));
    sample.inspect(feed_type, &Limits::default())
}

/// Repackages a file in memory to `to_version` under the default limits.
///
/// `from` is what [`inspect`] found in `bytes`; the target is what the feed type's
/// [`retarget`](FeedType::retarget) makes of it.
pub fn repackage(
    feed_type: &dyn FeedType,
    bytes: &[u8],
    from: &Identity,
    to_version: &str,
    entry: &HistoryEntry,
) -> Result<(Vec<u8>, Repackaged), FeedTypeError> {
    let to = feed_type.retarget(from, &feed_type.version(to_version)?)?;
    let mut out = Cursor::new(Vec::new());
    let done = feed_type.repackage(
        Repackage::new(&mut Cursor::new(bytes), length(bytes), from, &to, entry, &mut out),
        &Limits::default(),
    )?;
    Ok((out.into_inner(), done))
}

/// The entry that the store would have embedded when it repackages `bytes`, at a fixed time.
pub fn history_entry(from: &Identity, bytes: &[u8]) -> HistoryEntry {
    let source = SourceReference {
        group: from.package.group().to_owned(),
        name: from.package.name().to_owned(),
        version: from.version.text().to_owned(),
        sha1: Some(data_encoding::HEXLOWER.encode(&digests(bytes).sha1)),
    };
    let mut entry = HistoryEntry::of(source.to_string());
    entry.date = Some("2026-01-02T03:04:05Z".to_owned());
    entry.reason = Some("passed \"all\" checks, für alle".to_owned());
    entry.using = Some("hayloft-testkit".to_owned());
    entry.by = Some("tester".to_owned());
    entry
}

pub(crate) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("a length fits 64 bits")
}
