use std::fmt;

use crate::{Qualifiers, SortKey};

/// What a caller typed to name one file of one version; nothing is checked yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coordinates {
    /// npm scope, universal group; empty elsewhere.
    pub group: String,
    /// Package name.
    pub name: String,
    /// Version text.
    pub version: String,
    /// Which file of the version; may be partial.
    pub qualifiers: Qualifiers,
}

impl Identity {
    /// Of the one file of a version.
    pub fn of(package: PackageName, version: Version) -> Self {
        Self { package, version, qualifiers: Qualifiers::none() }
    }
}

/// The bytes by which two spellings are the same package; ordered by group, then name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameKey(Box<[u8]>);

/// A folded name cannot be a key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameKeyError {
    /// Bytes 0 and 1 separate the parts of a key.
    #[error("contains a control character")]
    Control,
    /// An empty name names nothing.
    #[error("is empty")]
    Empty,
    /// Longer than a key may be.
    #[error("has {0} bytes, more than the 1024 that a group and a name may have together")]
    TooLong(usize),
}

impl NameKey {
    /// Joins a folded group (often empty) and a folded name.
    pub fn new(group: &str, name: &str) -> Result<Self, NameKeyError> {
        if name.is_empty() {
            return Err(NameKeyError::Empty);
        }
        let length = group.len() + name.len();
        if length > 1024 {
            return Err(NameKeyError::TooLong(length));
        }
        if group.bytes().chain(name.bytes()).any(|byte| byte < 2) {
            return Err(NameKeyError::Control);
        }
        Ok(Self([group.as_bytes(), &[1], name.as_bytes(), &[0]].concat().into_boxed_slice()))
    }

    /// A key as a store has kept it; `None` if the bytes are not those of [`NameKey::as_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (end, parts) = bytes.split_last()?;
        let at = parts.iter().position(|byte| *byte == 1)?;
        let group = parts.get(..at)?;
        let name = parts.get(at + 1..)?;
        let sound = *end == 0
            && !name.is_empty()
            && bytes.len() <= 1024 + 2
            && group.iter().chain(name).all(|byte| *byte > 1);
        sound.then(|| Self(bytes.into()))
    }

    /// `group 0x01 name 0x00`, folded by the feed type.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same key without ASCII case, to find case twins.
    pub fn without_case(&self) -> Vec<u8> {
        self.0.to_ascii_lowercase()
    }
}

/// A package's checked group and name.
#[derive(Debug, Clone)]
pub struct PackageName {
    group: Box<str>,
    name: Box<str>,
    key: NameKey,
}

impl PackageName {
    /// A spelling together with the key that the feed type derives from it.
    ///
    /// For feed types: checking the spelling is theirs.
    pub fn new(group: &str, name: &str, key: NameKey) -> Self {
        Self { group: group.into(), name: name.into(), key }
    }

    /// Group as spelled (npm with its `@`), or empty.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Name as spelled.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What equality goes by.
    pub fn key(&self) -> &NameKey {
        &self.key
    }

    /// `group/name`, or the name alone.
    pub fn spelled(&self) -> String {
        if self.group.is_empty() {
            self.name.to_string()
        } else {
            format!("{}/{}", self.group, self.name)
        }
    }
}

impl PartialEq for PackageName {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for PackageName {}

/// Whether a version is a prerelease by its ecosystem's rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stability {
    /// A release.
    Stable,
    /// Anything before one.
    Prerelease,
}

/// A checked version: its text, what it equals by, and where it sorts.
#[derive(Debug, Clone)]
pub struct Version {
    text: Box<str>,
    identity: Box<str>,
    sort_key: SortKey,
    stability: Stability,
}

impl Version {
    /// `text` is stored and shown; `identity` decides equality (for example nuget's lower-case
    /// normalized form); `sort_key` decides order. Versions with equal `identity` have equal
    /// `sort_key`.
    ///
    /// For feed types: checking is theirs.
    pub fn new(text: &str, identity: &str, sort_key: SortKey, stability: Stability) -> Self {
        Self { text: text.into(), identity: identity.into(), sort_key, stability }
    }

    /// As shown to people.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What equality goes by.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// What order goes by.
    pub fn sort_key(&self) -> &SortKey {
        &self.sort_key
    }

    /// Release or prerelease.
    pub fn stability(&self) -> Stability {
        self.stability
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Eq for Version {}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// One file of one version of one package, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Group and name.
    pub package: PackageName,
    /// Version.
    pub version: Version,
    /// Which file of the version; empty where a version has one file.
    pub qualifiers: Qualifiers,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_by_group_then_name() {
        let keys = [("", "a"), ("", "ab"), ("", "b"), ("a", "z"), ("a/b", "a")]
            .map(|(group, name)| NameKey::new(group, name).unwrap());
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_key_is_read_back_from_its_bytes_and_from_no_others() {
        for (group, name) in [("", "a"), ("a/b", "c")] {
            let key = NameKey::new(group, name).unwrap();
            assert_eq!(NameKey::from_bytes(key.as_bytes()), Some(key));
        }
        for bytes in [&b""[..], b"\x01\0", b"a\0", b"a\x01b", b"a\x01b\x01\0", b"\x01b\0\0"] {
            assert_eq!(NameKey::from_bytes(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn separators_cannot_be_smuggled_into_a_key() {
        assert_eq!(NameKey::new("a\u{1}", "b"), Err(NameKeyError::Control));
        assert_eq!(NameKey::new("", "b\0"), Err(NameKeyError::Control));
        assert_eq!(NameKey::new("a", ""), Err(NameKeyError::Empty));
    }
}
