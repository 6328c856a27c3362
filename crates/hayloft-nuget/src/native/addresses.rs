use hayloft_feed::native::encoded;

/// The URLs that documents give, below the URL of the feed. Ids and versions in them are in lower
/// case, versions normalized.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses<'a>(pub(crate) &'a str);

impl Addresses<'_> {
    pub(crate) fn registration(self, id: &str) -> String {
        format!("{}/v3/registration/{}/index.json", self.0, segment(id))
    }

    pub(crate) fn leaf(self, id: &str, version: &str) -> String {
        format!("{}/v3/registration/{}/{}.json", self.0, segment(id), segment(version))
    }

    /// The versions of a package between two, both included.
    pub(crate) fn page(self, id: &str, lower: &str, upper: &str) -> String {
        let (id, lower, upper) = (segment(id), segment(lower), segment(upper));
        format!("{}/v3/registration/{id}/page/{lower}/{upper}.json", self.0)
    }

    pub(crate) fn package(self, id: &str, version: &str) -> String {
        let (id, version) = (segment(id), segment(version));
        format!("{}/v3/flat/{id}/{version}/{id}.{version}.nupkg", self.0)
    }

    /// A file that was taken out of a package: `icon`, `readme` or `license`.
    pub(crate) fn embedded(self, id: &str, version: &str, file: &str) -> String {
        format!("{}/v3/flat/{}/{}/{file}", self.0, segment(id), segment(version))
    }
}

fn segment(text: &str) -> String {
    encoded(&text.to_ascii_lowercase())
}
