/// Why a version should not be used any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deprecation {
    /// In words; may be absent.
    pub reason: Option<String>,
    /// A JSON object of a protocol's own, such as nuget's reasons and alternate package; opaque to
    /// the store.
    pub details: Option<String>,
}

/// The state of a version; all its files share it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Shown in searches.
    pub listing: Listing,
    /// An override of what may be downloaded.
    pub allow: Option<Allow>,
    /// Set while the version is deprecated.
    pub deprecated: Option<Deprecation>,
}

impl Status {
    /// True if shown in searches.
    pub fn is_listed(&self) -> bool {
        self.listing == Listing::Listed
    }

    /// True if downloads are refused.
    pub fn is_blocked(&self) -> bool {
        self.allow == Some(Allow::Never)
    }
}

/// Whether searches show a version. An unlisted one can be downloaded and stays in lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Listing {
    /// Shown.
    #[default]
    Listed,
    /// Hidden.
    Unlisted,
}

/// An override of what may be downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allow {
    /// Always, whatever a policy says.
    Always,
    /// Never: blocked.
    Never,
}
