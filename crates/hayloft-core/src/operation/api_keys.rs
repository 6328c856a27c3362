use crate::{StoreError, Timestamp};

/// An API key without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiKey {
    /// Never given to another key.
    pub id: u64,
    /// What it may do.
    pub grant: KeyGrant,
    /// When it was created.
    pub created: Timestamp,
}

/// What a key may do and how it is shown. Words are the caller's; the store compares none of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyGrant {
    /// `system`, `feed`, `personal` or `other`.
    pub kind: String,
    /// Shown to people, and recorded as the actor.
    pub display_name: Option<String>,
    /// In words.
    pub description: Option<String>,
    /// Of a system key: `full-control`, `feeds` and others.
    pub system_apis: Vec<String>,
    /// Of a feed key: `view`, `add`, `promote`, `delete`.
    pub package_permissions: Vec<String>,
    /// Of a feed key: name of the feed.
    pub feed: Option<String>,
    /// Of a feed key: name of the feed group.
    pub feed_group: Option<String>,
    /// Of a personal key.
    pub user: Option<String>,
    /// `none`, `request`, `response` or `both`.
    pub logging: String,
    /// From then on the key is not found.
    pub expires: Option<Timestamp>,
}

/// The text of a key, known only while it is made.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(pub(crate) String);

impl KeyText {
    /// The text; not kept by the store.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for KeyText {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("KeyText(…)")
    }
}

/// A key could not be created or deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// There is no such key.
    #[error("there is no API key {id}")]
    NotFound {
        /// What was asked for.
        id: u64,
    },
    /// The chosen text is another key's.
    #[error("the text of the API key is in use")]
    InUse,
    /// The chosen text is too easy to guess or too long.
    #[error("an API key has 16 to 256 printable ASCII characters without blanks")]
    Text,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
