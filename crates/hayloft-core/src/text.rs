//! How much of what callers give is kept.

use std::fmt;

use crate::Actor;

/// What a [`Kept`] is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of UTF-8.
    Bytes,
    /// Members of a list.
    Entries,
}

impl fmt::Display for Unit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Bytes => "bytes",
            Self::Entries => "entries",
        })
    }
}

macro_rules! kept {
    ($($(#[$doc:meta])* $case:ident: $name:literal, $limit:literal $unit:ident;)+) => {
        /// Something that callers give and rows keep; each has a limit, so that what can be written
        /// can be read again, and no list outgrows memory.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Kept {
            $($(#[$doc])* $case,)+
        }

        impl Kept {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$case),+];

            /// What messages call it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$case => $name,)+
                }
            }

            /// The most that is kept.
            pub fn limit(self) -> usize {
                match self {
                    $(Self::$case => $limit,)+
                }
            }

            /// What the limit counts.
            pub fn unit(self) -> Unit {
                match self {
                    $(Self::$case => Unit::$unit,)+
                }
            }
        }
    };
}

// A row holds at most 64 KiB: see `codec`. Together the parts of one stay below that.
kept! {
    /// Name of a feed.
    FeedName: "name of the feed", 50 Bytes;
    /// An alternate name of a feed.
    AlternateName: "alternate name of the feed", 50 Bytes;
    /// How many alternate names a feed has.
    AlternateNames: "list of alternate names", 100 Entries;
    /// Description of a feed.
    FeedDescription: "description of the feed", 4_000 Bytes;
    /// All other settings of a feed: rules, filters, variables.
    FeedOther: "text of the feed's other settings", 32_000 Bytes;
    /// Group of a package.
    Group: "group of the package", 1_024 Bytes;
    /// Name of a package.
    PackageName: "name of the package", 1_024 Bytes;
    /// A version.
    Version: "version", 512 Bytes;
    /// What a version sorts by.
    SortKey: "sort key of the version", 1_024 Bytes;
    /// The qualifiers of a file, as text.
    Qualifiers: "text of the qualifiers", 2_000 Bytes;
    /// Name of a package file.
    FileName: "name of the file", 1_024 Bytes;
    /// Name of a document that is kept with a file.
    DocumentName: "name of a document in the package", 100 Bytes;
    /// How many documents are kept with a file.
    Documents: "list of documents in the package", 63 Entries;
    /// The manifest of a file.
    Manifest: "manifest", 1_048_576 Bytes;
    /// The history inside a file.
    History: "history in the package", 1_048_576 Bytes;
    /// A document that is kept with a file.
    Document: "document in the package", 1_048_576 Bytes;
    /// A fragment for an index.
    IndexEntry: "index entry of the package", 1_048_576 Bytes;
    /// A tag, such as npm's dist-tags.
    Tag: "tag", 256 Bytes;
    /// How many tags a package has.
    Tags: "list of tags", 1_000 Entries;
    /// All tags of a package and the versions that they point at, together.
    TagTexts: "text of all tags", 40_000 Bytes;
    /// Why a version is deprecated.
    DeprecationReason: "reason of the deprecation", 4_000 Bytes;
    /// A protocol's own details of a deprecation.
    DeprecationDetails: "text of the deprecation's details", 8_000 Bytes;
    /// Why a package is promoted or repackaged.
    Comments: "comment", 4_000 Bytes;
    /// Link to the job that repackages.
    Url: "link to the job", 2_000 Bytes;
    /// Who asks for a change.
    Actor: "name of the user", 256 Bytes;
    /// Where a request comes from.
    Address: "address of the client", 100 Bytes;
    /// Kind of an API key.
    KeyKind: "kind of the API key", 64 Bytes;
    /// Display name of an API key.
    KeyDisplayName: "display name of the API key", 256 Bytes;
    /// Description of an API key.
    KeyDescription: "description of the API key", 1_000 Bytes;
    /// One API that a system key may use.
    KeyApi: "API of the key", 64 Bytes;
    /// How many APIs a system key may use.
    KeyApis: "list of the key's APIs", 16 Entries;
    /// One permission of a feed key.
    KeyPermission: "permission of the key", 64 Bytes;
    /// How many permissions a feed key has.
    KeyPermissions: "list of the key's permissions", 16 Entries;
    /// Feed group of a feed key.
    KeyGroup: "feed group of the key", 256 Bytes;
    /// User of a personal key.
    KeyUser: "user of the key", 256 Bytes;
    /// What is logged of a key's requests.
    KeyLogging: "logging of the key", 64 Bytes;
    /// How many API keys a store has.
    Keys: "list of API keys", 10_000 Entries;
    /// Name of a setting.
    SettingName: "name of the setting", 256 Bytes;
    /// Value of a setting.
    SettingValue: "value of the setting", 60_000 Bytes;
    /// How many settings a store has.
    Settings: "list of settings", 1_000 Entries;
}

/// Something that a caller gave is more than what is kept of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {} has {length} {}, at most {} are kept", .kept.name(), .kept.unit(), .kept.limit())]
pub struct TooLong {
    /// What it is.
    pub kept: Kept,
    /// How much it is.
    pub length: usize,
}

impl Kept {
    /// Refuses more than is kept.
    pub(crate) fn check(self, length: usize) -> Result<(), TooLong> {
        if length > self.limit() { Err(TooLong { kept: self, length }) } else { Ok(()) }
    }

    pub(crate) fn check_text(self, text: &str) -> Result<(), TooLong> {
        self.check(text.len())
    }

    pub(crate) fn check_optional(self, text: Option<&String>) -> Result<(), TooLong> {
        text.map_or(Ok(()), |text| self.check(text.len()))
    }

    /// Refuses a list that is too long, or has an entry that is; `self` is the list.
    pub(crate) fn check_list(self, entry: Self, texts: &[String]) -> Result<(), TooLong> {
        self.check(texts.len())?;
        texts.iter().try_for_each(|text| entry.check(text.len()))
    }
}

impl Actor {
    pub(crate) fn check(&self) -> Result<(), TooLong> {
        Kept::Actor.check_text(&self.name)?;
        Kept::Address.check_optional(self.address.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feed_types_know_how_long_a_document_may_be() {
        assert_eq!(Kept::Document.limit(), hayloft_feed::Document::LONGEST);
    }
}
