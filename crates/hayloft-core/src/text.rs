//! How long what callers give may be.

/// Something that a caller gave is longer than what is kept of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {what} has {length} bytes, at most {limit} are allowed")]
pub struct TooLong {
    /// What it is, such as `comment`.
    pub what: &'static str,
    /// Its length in bytes.
    pub length: usize,
    /// The most that it may have.
    pub limit: usize,
}

impl TooLong {
    /// Refuses a length above the limit.
    pub(crate) fn check(what: &'static str, length: usize, limit: usize) -> Result<(), Self> {
        if length > limit { Err(Self { what, length, limit }) } else { Ok(()) }
    }
}
