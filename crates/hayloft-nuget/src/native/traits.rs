use hayloft_feed::Stability;
use hayloft_feed::native::VersionEntry;

use super::entry::TRAITS;
use crate::Manifest;

/// What decides whether a client is to see a version, apart from its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Traits {
    /// Only for clients that read SemVer 2.
    pub(crate) semver2: bool,
    /// Names of its package types in lower case; never empty.
    pub(crate) types: Vec<String>,
}

impl Traits {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let mut types: Vec<String> =
            manifest.package_types.iter().map(|kind| kind.name.to_ascii_lowercase()).collect();
        if types.is_empty() {
            types.push("dependency".to_owned());
        }
        Self { semver2: manifest.semver2, types }
    }

    /// A line for the level and one for each type.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let level = if self.semver2 { "2" } else { "1" };
        format!("{level}\n{}", self.types.join("\n")).into_bytes()
    }

    /// What a version that tells nothing is, too.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines();
        Self { semver2: lines.next() == Some("2"), types: lines.map(str::to_owned).collect() }
    }

    pub(crate) fn of_version(entry: &VersionEntry<'_>) -> Self {
        Self::read(entry.fragment(TRAITS).unwrap_or_default())
    }
}

/// Which versions a client wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Audience {
    pub(crate) prerelease: bool,
    pub(crate) semver2: bool,
}

impl Audience {
    /// Sees whatever is listed.
    pub(crate) const WIDEST: Self = Self { prerelease: true, semver2: true };
    /// All four, in the order of [`Heads`](super::heads::Heads).
    pub(crate) const ALL: [Self; 4] = [
        Self { prerelease: true, semver2: true },
        Self { prerelease: false, semver2: true },
        Self { prerelease: true, semver2: false },
        Self { prerelease: false, semver2: false },
    ];

    /// Where it stands in that order.
    pub(crate) fn index(self) -> usize {
        usize::from(!self.prerelease) + 2 * usize::from(!self.semver2)
    }

    /// The bit of search records that says there is something for it.
    pub(crate) fn flag(self) -> u8 {
        1 << self.index()
    }

    /// Whether it sees a version of these kinds.
    pub(crate) fn sees(self, stability: Stability, semver2: bool) -> bool {
        (self.prerelease || stability == Stability::Stable) && (self.semver2 || !semver2)
    }

    /// Whether it sees this version in searches.
    pub(crate) fn finds(self, entry: &VersionEntry<'_>, traits: &Traits) -> bool {
        entry.status.is_listed()
            && !entry.status.is_blocked()
            && self.sees(entry.stability, traits.semver2)
    }
}
