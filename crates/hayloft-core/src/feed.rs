use hayloft_feed::{Detail, shorten};

use crate::{Kept, NoSuchFeed, StoreError, Timestamp, TooLong};

/// Whether a feed lets a version be replaced by other bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overwriting {
    /// If the caller may, too.
    #[default]
    Allowed,
    /// Never.
    Refused,
}

/// What a native client's delete does to a version, where its protocol leaves that to the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeleteMode {
    /// Hide it.
    #[default]
    Unlist,
    /// Remove it.
    Remove,
}

/// What can be changed about a feed, but for its names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedSettings {
    /// In words.
    pub description: Option<String>,
    /// Whether it is in use; data for clients.
    pub activity: Activity,
    /// Whether versions may be replaced.
    pub overwriting: Overwriting,
    /// What a native delete does.
    pub delete_mode: DeleteMode,
    /// Number of the only feed that packages of this one may be promoted to; none means any. Once
    /// that feed is deleted they may be promoted nowhere, whatever is created under its name.
    pub promote_to: Option<u32>,
    /// All other settings as a JSON object; empty text counts as `{}`. The store keeps it and never
    /// looks inside.
    pub other: String,
}

/// Whether a feed is in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Activity {
    /// In use.
    #[default]
    Active,
    /// Kept but set aside.
    Inactive,
}

/// A named collection of packages of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Feed {
    /// Never given to another feed.
    pub id: u32,
    /// Name as spelled; looked up without ASCII case.
    pub name: String,
    /// Further names that resolve to it.
    pub alternates: Vec<String>,
    /// Tag of its type, such as `nuget`.
    pub feed_type: String,
    /// What package URLs call its type; the tag if the type is unknown to this program.
    pub package_type: String,
    /// Settings.
    pub settings: FeedSettings,
    /// When it was created.
    pub created: Timestamp,
}

/// A feed as a caller may change it in [`Store::update_feed`](crate::Store::update_feed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedDraft {
    /// Name.
    pub name: String,
    /// Further names.
    pub alternates: Vec<String>,
    /// Tag of its type; can be changed only among types with the same package type.
    pub feed_type: String,
    /// Settings.
    pub settings: FeedSettings,
}

impl FeedDraft {
    /// A feed with default settings.
    pub fn new(name: impl Into<String>, feed_type: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            alternates: Vec::new(),
            feed_type: feed_type.into(),
            settings: FeedSettings::default(),
        }
    }
}

impl FeedDraft {
    /// Refuses what is longer than the store keeps; names have rules of their own beside that.
    pub(crate) fn check(&self) -> Result<(), TooLong> {
        Kept::AlternateNames.check(self.alternates.len())?;
        Kept::FeedDescription.check_optional(self.settings.description.as_ref())?;
        Kept::FeedOther.check_text(&self.settings.other)
    }
}

/// How much a feed holds. Kept in the commit of each change; reading costs four rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedStats {
    /// Packages.
    pub packages: u64,
    /// Versions of all packages.
    pub versions: u64,
    /// Files of all versions, companions included.
    pub files: u64,
    /// Sum of the files' lengths; equal contents count each time.
    pub bytes: u64,
}

/// A feed could not be created, changed or deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// No such feed.
    #[error(transparent)]
    NotFound(#[from] NoSuchFeed),
    /// The name cannot be part of a URL as it is.
    #[error(
        "`{}` is not a valid feed name: use 1 to 50 of A-Z a-z 0-9 - . _, not `.`, `..` or `keys`",
        shorten(.0)
    )]
    Name(String),
    /// Another feed has the name or alternate name.
    #[error("a feed named `{}` already exists", shorten(.0))]
    Exists(String),
    /// This program has no such type.
    #[error("`{}` is not a feed type of this program; it has {}", shorten(.asked), .known.join(", "))]
    UnknownType {
        /// What was asked for.
        asked: String,
        /// Those there are.
        known: Vec<&'static str>,
    },
    /// The type of a feed with packages cannot be changed to that.
    #[error("a feed of type `{from}` cannot become one of type `{to}`")]
    TypeChange {
        /// Type now.
        from: String,
        /// Type asked for.
        to: String,
    },
    /// A setting is malformed.
    #[error("the setting `{setting}` is not acceptable")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// Why.
        #[source]
        detail: Detail,
    },
    /// The caller's own check in an update refused.
    #[error("the change was refused")]
    Refused(#[source] Detail),
    /// Something is longer than the store keeps.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
