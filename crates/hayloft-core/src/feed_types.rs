use std::collections::BTreeMap;
use std::sync::Arc;

use hayloft_feed::FeedType;

use crate::FeedError;

/// The feed types that a store knows, by tag.
///
/// Core knows none of its own; the facade crate `hayloft` offers the built-in ones.
#[derive(Debug, Clone, Default)]
pub struct FeedTypes(BTreeMap<&'static str, Arc<dyn FeedType>>);

impl FeedTypes {
    /// No feed type.
    pub fn none() -> Self {
        Self::default()
    }

    /// These types and one more; a type of the same tag is replaced.
    #[must_use]
    pub fn with(mut self, feed_type: impl FeedType) -> Self {
        self.0.insert(feed_type.tag(), Arc::new(feed_type));
        self
    }

    /// The type with this tag; ASCII case does not count.
    pub fn get(&self, tag: &str) -> Option<&Arc<dyn FeedType>> {
        self.0.get(tag.to_ascii_lowercase().as_str())
    }

    /// Nothing has this tag.
    pub(crate) fn unknown(&self, asked: &str) -> FeedError {
        let known = self.0.keys().copied().collect();
        FeedError::UnknownType { asked: asked.to_owned(), known }
    }

    /// All types by tag.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn FeedType>> {
        self.0.values()
    }
}
