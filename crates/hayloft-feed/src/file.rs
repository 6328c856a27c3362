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
#[non_exhaustive]
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

impl Digests {
    /// MD5 in lower-case hexadecimal digits.
    pub fn md5_hex(&self) -> String {
        hex(&self.md5)
    }

    /// SHA-1 in lower-case hexadecimal digits.
    pub fn sha1_hex(&self) -> String {
        hex(&self.sha1)
    }

    /// SHA-256 in lower-case hexadecimal digits.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256)
    }

    /// SHA-512 in lower-case hexadecimal digits.
    pub fn sha512_hex(&self) -> String {
        hex(&self.sha512)
    }

    /// BLAKE3 in lower-case hexadecimal digits.
    pub fn blake3_hex(&self) -> String {
        hex(&self.blake3)
    }

    /// SHA-512 as npm and browsers write it: `sha512-` and Base64.
    pub fn sri(&self) -> String {
        format!("sha512-{}", base64(&self.sha512))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(nibble).collect()
}

fn nibble(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap_or_default()
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |place: usize| u32::from(group.get(place).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            text.push(if place > group.len() {
                '='
            } else {
                sextet(bits >> (18 - 6 * place) & 63)
            });
        }
    }
    text
}

fn sextet(value: u32) -> char {
    let value = u8::try_from(value).unwrap_or_default();
    char::from(match value {
        0..26 => b'A' + value,
        26..52 => b'a' + value - 26,
        52..62 => b'0' + value - 52,
        62 => b'+',
        _ => b'/',
    })
}

/// What a request without hints says.
static NO_HINTS: BTreeMap<String, String> = BTreeMap::new();
/// What a feed without files remembers.
static NOTHING_REMEMBERED: BTreeMap<String, Vec<String>> = BTreeMap::new();

/// A file to be inspected; it lies in staging and nothing refers to it yet.
#[non_exhaustive]
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

impl<'a> Upload<'a> {
    /// A file without a name, of a request that says nothing beside it.
    pub fn new(content: &'a mut dyn ReadSeek, size: u64, digests: &'a Digests) -> Self {
        Self {
            content,
            size,
            digests,
            file_name: None,
            hints: &NO_HINTS,
            remembered: &NOTHING_REMEMBERED,
        }
    }

    /// The same under a name.
    #[must_use]
    pub fn with_file_name(self, file_name: impl Into<Option<&'a str>>) -> Self {
        Self { file_name: file_name.into(), ..self }
    }

    /// The same with what the request says.
    #[must_use]
    pub fn with_hints(self, hints: &'a BTreeMap<String, String>) -> Self {
        Self { hints, ..self }
    }

    /// The same with values that files of the feed have.
    #[must_use]
    pub fn with_remembered(self, remembered: &'a BTreeMap<String, Vec<String>>) -> Self {
        Self { remembered, ..self }
    }
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
#[non_exhaustive]
pub struct Document {
    /// Unique within the file, such as `nuspec` or `METADATA`.
    pub name: String,
    /// Content.
    pub bytes: Vec<u8>,
}

impl Document {
    /// Bytes of the longest document that a store keeps; with a longer one a file is refused.
    pub const LONGEST: usize = 1 << 20;

    /// A document of this name.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }
}

/// What a feed type found in a file.
#[derive(Debug, Clone)]
#[non_exhaustive]
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

impl Inspected {
    /// A package file with its manifest, and nothing else.
    pub fn new(identity: Identity, manifest: impl Into<String>) -> Self {
        Self {
            identity,
            manifest: manifest.into(),
            fragments: Vec::new(),
            documents: Vec::new(),
            history: Vec::new(),
            role: FileRole::Package,
            warnings: Vec::new(),
        }
    }

    /// The same with pieces for native indexes.
    #[must_use]
    pub fn with_fragments(self, fragments: Vec<Fragment>) -> Self {
        Self { fragments, ..self }
    }

    /// The same with documents.
    #[must_use]
    pub fn with_documents(self, documents: Vec<Document>) -> Self {
        Self { documents, ..self }
    }

    /// The same with the history found inside, oldest first.
    #[must_use]
    pub fn with_history(self, history: Vec<HistoryEntry>) -> Self {
        Self { history, ..self }
    }

    /// The same in another role.
    #[must_use]
    pub fn with_role(self, role: FileRole) -> Self {
        Self { role, ..self }
    }

    /// The same with warnings.
    #[must_use]
    pub fn with_warnings(self, warnings: Vec<String>) -> Self {
        Self { warnings, ..self }
    }
}

/// The order to write one file again under a new version.
#[non_exhaustive]
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

impl<'a> Repackage<'a> {
    /// The order to write `source`, of `size` bytes, which is `from`, as `to` into `out`.
    pub fn new(
        source: &'a mut dyn ReadSeek,
        size: u64,
        from: &'a Identity,
        to: &'a Identity,
        entry: &'a HistoryEntry,
        out: &'a mut dyn WriteSeek,
    ) -> Self {
        Self { source, size, from, to, entry, out }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_base64() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("\u{7ff}\u{7ff}>>>?", "37/fvz4+Pj8="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn digests_are_written_as_hexadecimal_digits() {
        assert_eq!(hex(&[0, 0x9f, 0xa0]), "009fa0");
    }
}
