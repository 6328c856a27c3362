use std::collections::BTreeMap;

use crate::Version;

/// How a version came to a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// Uploaded by a client that also said which tags are to point at it.
    Tagged,
    /// Uploaded without a word about tags, repackaged, or promoted.
    Untagged,
}

/// What happened to a package whose tags, such as npm's dist-tags, may have to follow.
#[derive(Debug)]
#[non_exhaustive]
pub struct TagChange<'a> {
    /// The tags after what the request itself asked for: tag to version text. Tags of versions
    /// that are gone are left out already.
    pub tags: &'a BTreeMap<String, String>,
    /// The version that was added or replaced; `None` after a delete.
    pub arrived: Option<(Arrival, &'a Version)>,
    /// The highest version that the package has now.
    pub highest: Option<&'a Version>,
    /// The highest stable version that the package has now.
    pub highest_stable: Option<&'a Version>,
}

impl<'a> TagChange<'a> {
    /// A package with these tags, of which nothing else is known.
    pub fn new(tags: &'a BTreeMap<String, String>) -> Self {
        Self { tags, arrived: None, highest: None, highest_stable: None }
    }

    /// The version that arrived.
    #[must_use]
    pub fn arrived(mut self, arrival: Arrival, version: &'a Version) -> Self {
        self.arrived = Some((arrival, version));
        self
    }

    /// The highest versions that the package has now.
    #[must_use]
    pub fn highest(mut self, any: Option<&'a Version>, stable: Option<&'a Version>) -> Self {
        self.highest = any;
        self.highest_stable = stable;
        self
    }
}
