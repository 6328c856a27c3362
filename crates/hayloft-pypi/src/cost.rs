//! What parsers of this crate take in memory, charged before they run.

use hayloft_archive::ArchiveError;
use hayloft_feed::{FeedTypeError, Limits};

use crate::TAG;

/// Bytes that a header takes: its place in two lists that double, its name and its value.
const HEADER: u64 = 288;
/// Bytes that a row of a `RECORD` takes: its place in a list that doubles, in one of paths and in two
/// sets.
const ROW: u64 = 512;
/// Bytes that each byte of a TOML file may take as a value of its own.
const TOML: u64 = 100;
/// Bytes that a member of an archive takes in the set of names.
pub(crate) const MEMBER: u64 = 48;

/// For [`ReadMetadata`](crate::metadata::ReadMetadata) and the manifest made of it.
pub(crate) fn charge_headers(bytes: &[u8], limits: &Limits) -> Result<(), FeedTypeError> {
    charge(limits, length(bytes).saturating_mul(4).saturating_add(lines(bytes) * HEADER))
}

/// For a [`Record`](crate::record::Record) and what it is held against.
pub(crate) fn charge_rows(bytes: &[u8], limits: &Limits) -> Result<(), FeedTypeError> {
    charge(limits, length(bytes).saturating_add(lines(bytes) * ROW))
}

/// For a [`Pyproject`](crate::pyproject::Pyproject), once read and once checked.
pub(crate) fn charge_toml(bytes: &[u8], limits: &Limits) -> Result<(), FeedTypeError> {
    charge(limits, length(bytes).saturating_mul(2 * TOML))
}

/// For a history.
pub(crate) fn charge_json(bytes: &[u8], limits: &Limits) -> Result<(), FeedTypeError> {
    charge(limits, hayloft_feed::json::tree_size(bytes))
}

pub(crate) fn charge(limits: &Limits, bytes: u64) -> Result<(), FeedTypeError> {
    let charged = limits.account.charge(bytes);
    charged.map_err(|exhausted| ArchiveError::from(exhausted).into_feed_type_error(TAG))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Lines by either line end.
fn lines(bytes: &[u8]) -> u64 {
    let ends = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    u64::try_from(ends).unwrap_or(u64::MAX).saturating_add(1)
}
