//! The values of what native indexes keep.

use bincode::{Decode, Encode};

/// A row of a feed type's own.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct IndexRowRecord {
    /// Parts that hold the rest of a large value.
    pub(crate) more: u16,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct IndexPartRecord(pub(crate) Vec<u8>);

/// Which rules the index of a feed was made by, and whether it can be answered from.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct IndexStateRecord {
    /// Tag of the type that made it.
    pub(crate) tag: String,
    /// The type's index revision.
    pub(crate) revision: u32,
    pub(crate) state: IndexState,
    /// When that was last changed.
    pub(crate) changed: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum IndexState {
    Complete,
    /// A change is missing in it: only building it anew makes it complete again.
    Dirty,
    /// It is built anew, and holds the packages up to this key in `pkg`.
    Building(Vec<u8>),
}

/// The head of a log: what an append has to know.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct IndexLogRecord {
    /// Number of the commit that began the log, or began it anew.
    pub(crate) generation: u64,
    /// Bytes of all lines.
    pub(crate) length: u64,
    /// Number of the commit that appended last.
    pub(crate) revision: u64,
    pub(crate) changed: i64,
    /// States of the digests over all lines, of a layout of their own; what does not parse is
    /// computed again from the lines.
    pub(crate) digests: Vec<u8>,
}

/// Lines of a log, which begin at the offset that their key tells.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct IndexLinesRecord(pub(crate) Vec<u8>);

/// When something that answers are made of last changed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SubjectRecord {
    /// Number of the commit.
    pub(crate) revision: u64,
    pub(crate) changed: i64,
}

/// What a search finds a package by.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SearchValue {
    pub(crate) flags: u8,
    pub(crate) terms: Vec<String>,
}

/// A change that the term rows do not show yet.
///
/// `None` if the package is gone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SearchChangeRecord(pub(crate) Option<SearchValue>);

/// What the term rows say of a package.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SearchPackageRecord(pub(crate) SearchValue);

/// The flags of a package that has a term.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SearchTermRecord(pub(crate) u8);

/// How many packages have a term, by their flags.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SearchCountRecord(pub(crate) Vec<(u8, u64)>);

/// What a feed's documents are signed with.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SecretRecord(pub(crate) Vec<u8>);

impl std::fmt::Debug for SecretRecord {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SecretRecord")
    }
}
