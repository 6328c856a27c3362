use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::native::feed_url::FeedUrl;

/// What path segments escape.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The URLs that documents give. Ids and versions in them are in lower case, versions normalized.
#[derive(Debug, Clone)]
pub(super) struct Addresses(FeedUrl);

impl Addresses {
    pub(super) fn of(feed: FeedUrl) -> Self {
        Self(feed)
    }

    pub(super) fn registration(&self, id: &str) -> String {
        self.0.to(&format!("/v3/registration/{}/index.json", segment(id)))
    }

    pub(super) fn leaf(&self, id: &str, version: &str) -> String {
        self.0.to(&format!("/v3/registration/{}/{}.json", segment(id), segment(version)))
    }

    pub(super) fn package(&self, id: &str, version: &str) -> String {
        let (id, version) = (segment(id), segment(version));
        self.0.to(&format!("/v3/flat/{id}/{version}/{id}.{version}.nupkg"))
    }

    /// A file that was taken out of a package: `icon`, `readme` or `license`.
    pub(super) fn embedded(&self, id: &str, version: &str, file: &str) -> String {
        self.0.to(&format!("/v3/flat/{}/{}/{file}", segment(id), segment(version)))
    }
}

fn segment(text: &str) -> String {
    utf8_percent_encode(&text.to_lowercase(), ESCAPED).to_string()
}
