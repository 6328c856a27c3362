use std::collections::BTreeMap;
use std::io::{Read, Seek, Write};

use crate::{Fragment, HistoryEntry, Identity};

/// A package file that can be read at any place.
pub trait ReadSeek: Read + Seek {}
impl<T: Read + Seek + ?Sized> ReadSeek for T {}

/// A package file being written.
pub trait WriteSeek: Write + Seek {}
impl<T: Write + Seek + ?Sized> WriteSeek for T {}

/// Names one file of a version for as long as it exists, also when its bytes are replaced; never
/// given to another one of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// The package.
    pub package: u64,
    /// The version.
    pub version: u64,
    /// The file within its version.
    pub number: u32,
    store: u32,
}

impl FileId {
    /// A file of whatever store is asked for it.
    pub const fn new(package: u64, version: u64, number: u32) -> Self {
        Self { package, version, number, store: 0 }
    }

    /// The same in the store of this mark, which refuses those of others; 0 is any store.
    #[must_use]
    pub const fn of_store(self, store: u32) -> Self {
        Self { store, ..self }
    }

    /// The mark of the store that gave it out, or 0.
    pub const fn store(self) -> u32 {
        self.store
    }
}

/// The digests of one file, computed in the pass that received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// MD5.
    pub md5: [u8; 16],
    /// SHA-1.
    pub sha1: [u8; 20],
    /// SHA-256.
    pub sha256: [u8; 32],
    /// SHA-512.
    pub sha512: [u8; 64],
    /// BLAKE3, the address of the content in the store.
    pub blake3: [u8; 32],
}

/// A file to be inspected; it lies in staging and nothing refers to it yet.
pub struct Upload<'a> {
    /// The whole file, positioned anywhere.
    pub content: &'a mut dyn ReadSeek,
    /// Length of `content` in bytes.
    pub size: u64,
    /// Digests of `content`.
    pub digests: &'a Digests,
    /// What the client calls the file: unchecked, absent from some clients.
    pub file_name: Option<&'a str>,
    /// What the request says beside the file, by lower-case parameter name, such as
    /// `distribution`. When a repackaged file is inspected these are its target's qualifiers.
    pub hints: &'a BTreeMap<String, String>,
    /// For each of [`FeedType::remembered_qualifiers`](crate::FeedType::remembered_qualifiers):
    /// up to two values that files of the feed already have.
    pub remembered: &'a BTreeMap<String, Vec<String>>,
}

impl std::fmt::Debug for Upload<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Upload")
            .field("size", &self.size)
            .field("file_name", &self.file_name)
            .field("hints", &self.hints)
            .finish_non_exhaustive()
    }
}

/// What a file is to its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileRole {
    /// Makes the version exist; appears in lists.
    Package,
    /// Belongs to a version that must exist already and follows it through promote, repackage and
    /// delete; in no list. A nuget symbol package, for example.
    Companion,
}

/// Text or bytes that a native index serves, kept so that no index ever opens a package file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Unique within the file, such as `nuspec` or `METADATA`.
    pub name: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// What a feed type found in a file.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// Which file of which version this is.
    pub identity: Identity,
    /// A JSON object with all that the feed type's index and clients will ask for. The store keeps
    /// it and never looks inside.
    pub manifest: String,
    /// Pieces for native indexes, read together with those of the package's other versions.
    pub fragments: Vec<Fragment>,
    /// Larger pieces, each served alone.
    pub documents: Vec<Document>,
    /// Repackaging history found inside the file, oldest first.
    pub history: Vec<HistoryEntry>,
    /// Package or companion.
    pub role: FileRole,
    /// What was accepted although a strict reading forbids it, for people.
    pub warnings: Vec<String>,
}

/// The order to write one file again under a new version.
pub struct Repackage<'a> {
    /// The file as stored, positioned anywhere.
    pub source: &'a mut dyn ReadSeek,
    /// Length of `source` in bytes.
    pub size: u64,
    /// What `source` is.
    pub from: &'a Identity,
    /// What the result is to be; made by
    /// [`FeedType::retarget`](crate::FeedType::retarget).
    pub to: &'a Identity,
    /// The entry to append to the history inside the package. The feed type adds
    /// `_signatureRemoved` where it removed one: [`HistoryEntry::with_signature_removed`].
    pub entry: &'a HistoryEntry,
    /// Where the result goes; empty and positioned at its start.
    pub out: &'a mut dyn WriteSeek,
}

impl std::fmt::Debug for Repackage<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Repackage")
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// What repackaging did besides changing the version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repackaged {
    /// Entries that held signatures over the old bytes and were left out.
    pub signatures_removed: Vec<String>,
    /// Exact dependencies on siblings of the old version, which are left as they were.
    pub sibling_pins: Vec<String>,
}

impl Repackaged {
    /// Nothing removed, nothing found.
    pub fn plain() -> Self {
        Self::default()
    }
}
