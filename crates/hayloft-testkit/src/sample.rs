use std::collections::BTreeMap;
use std::io::Cursor;

use hayloft_feed::{FeedType, FeedTypeError, Inspected, Limits, Qualifiers, ReadSeek, Upload};

use crate::in_memory::{digests, length};

/// A package file with what an upload says about it.
#[derive(Debug, Clone)]
pub struct Sample {
    bytes: Vec<u8>,
    file_name: Option<String>,
    hints: BTreeMap<String, String>,
    remembered: BTreeMap<String, Vec<String>>,
    repackageable: bool,
    package: Option<(String, String)>,
    lost: Vec<String>,
}

impl Sample {
    /// A file that the client calls `file_name`.
    pub fn new(file_name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self::unnamed(bytes).with_name(Some(file_name))
    }

    /// A file whose client says no name.
    pub fn unnamed(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            file_name: None,
            hints: BTreeMap::new(),
            remembered: BTreeMap::new(),
            repackageable: true,
            package: None,
            lost: Vec::new(),
        }
    }

    /// Adds a request parameter, such as `distribution`.
    #[must_use]
    pub fn hint(mut self, parameter: &str, value: &str) -> Self {
        self.hints.insert(parameter.to_owned(), value.to_owned());
        self
    }

    /// Adds a value that files of the feed already have for a remembered qualifier.
    #[must_use]
    pub fn remembering(mut self, qualifier: &str, value: &str) -> Self {
        self.remembered.entry(qualifier.to_owned()).or_default().push(value.to_owned());
        self
    }

    /// Says that the file is sound but cannot be repackaged; [`check`](crate::check) then insists
    /// on [`FeedTypeError::NotRepackageable`].
    #[must_use]
    pub fn not_repackageable(mut self) -> Self {
        self.repackageable = false;
        self
    }

    /// Says what the package inside is called; [`check`](crate::check) then insists that it is
    /// found under this group, empty for none, and this name.
    #[must_use]
    pub fn called(mut self, group: &str, name: &str) -> Self {
        self.package = Some((group.to_owned(), name.to_owned()));
        self
    }

    /// Says that repackaging rightly takes this member out, such as a history at an old place;
    /// without that [`check`](crate::check) insists that all are kept.
    #[must_use]
    pub fn losing(mut self, member: &str) -> Self {
        self.lost.push(member.to_owned());
        self
    }

    /// Inspects the sample as an upload.
    pub fn inspect(
        &self,
        feed_type: &dyn FeedType,
        limits: &Limits,
    ) -> Result<Inspected, FeedTypeError> {
        let mut content = Cursor::new(self.bytes.as_slice());
        // A feed type may not rely on where the file is positioned.
        content.set_position(length(&self.bytes) / 2);
        self.inspect_from(feed_type, &mut content, limits)
    }

    /// As [`Sample::inspect`], reading another stream than the sample's bytes.
    pub(crate) fn inspect_from(
        &self,
        feed_type: &dyn FeedType,
        content: &mut dyn ReadSeek,
        limits: &Limits,
    ) -> Result<Inspected, FeedTypeError> {
        let digests = &digests(&self.bytes);
        let upload = Upload::new(content, length(&self.bytes), digests)
            .with_file_name(self.file_name.as_deref())
            .with_hints(&self.hints)
            .with_remembered(&self.remembered);
        feed_type.inspect(upload, limits)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn is_repackageable(&self) -> bool {
        self.repackageable
    }

    pub(crate) fn may_lose(&self, member: &str) -> bool {
        self.lost.iter().any(|lost| lost == member)
    }

    pub(crate) fn package(&self) -> Option<(&str, &str)> {
        self.package.as_ref().map(|(group, name)| (group.as_str(), name.as_str()))
    }

    /// How messages call the sample.
    pub(crate) fn label(&self) -> &str {
        self.file_name.as_deref().unwrap_or("(a file without a name)")
    }

    pub(crate) fn with_name(mut self, file_name: Option<&str>) -> Self {
        self.file_name = file_name.map(str::to_owned);
        self
    }

    pub(crate) fn with_bytes(&self, bytes: Vec<u8>) -> Self {
        Self { bytes, ..self.clone() }
    }

    /// The sample as the store presents a file whose qualifiers it knows.
    pub(crate) fn stored_as(&self, file_name: &str, qualifiers: &Qualifiers) -> Self {
        let hints = qualifiers.iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self {
            file_name: Some(file_name.to_owned()),
            hints: hints.collect(),
            remembered: BTreeMap::new(),
            ..self.clone()
        }
    }
}
