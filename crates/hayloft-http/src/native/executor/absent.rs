use std::ops::ControlFlow;

use hayloft::feed_type::native::{
    FeedCard, FeedView, SearchPage, SearchQuery, Subject, Validator, VersionEntry, ViewError, Want,
};
use hayloft::feed_type::{LogHead, NameKey, PackageHead, Version};

/// A feed that is not there, or that the caller may not know of: both give the same open answers,
/// so that these do not tell which feeds there are.
pub(super) struct Absent(FeedCard);

impl Absent {
    pub(super) fn named(name: &str) -> Self {
        Self(FeedCard::new(name))
    }
}

type Flow = ControlFlow<()>;

impl FeedView for Absent {
    fn feed(&self) -> &FeedCard {
        &self.0
    }

    fn validator(&self, _: u64, parts: &[&str]) -> Validator {
        let mut hash = blake3::Hasher::new();
        for part in parts {
            hash.update(part.as_bytes()).update(&[0]);
        }
        let mut bytes = [0; 16];
        hash.finalize_xof().fill(&mut bytes);
        Validator::Derived(bytes)
    }

    fn subject(&self, _: &[u8]) -> Result<Subject, ViewError> {
        Ok(Subject::default())
    }

    fn package(&self, _: &NameKey) -> Result<Option<PackageHead>, ViewError> {
        Ok(None)
    }

    fn versions(
        &self,
        _: &NameKey,
        _: &Want<'_>,
        _: &mut dyn FnMut(&VersionEntry<'_>) -> Flow,
    ) -> Result<(), ViewError> {
        Ok(())
    }

    fn version(
        &self,
        _: &NameKey,
        _: &Version,
        _: &Want<'_>,
        _: &mut dyn FnMut(&VersionEntry<'_>),
    ) -> Result<bool, ViewError> {
        Ok(false)
    }

    fn packages(
        &self,
        _: Option<&NameKey>,
        _: &mut dyn FnMut(&PackageHead) -> Flow,
    ) -> Result<(), ViewError> {
        Ok(())
    }

    fn row(&self, _: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(None)
    }

    fn rows(
        &self,
        _: &[u8],
        _: Option<&[u8]>,
        _: &mut dyn FnMut(&[u8], &[u8]) -> Flow,
    ) -> Result<(), ViewError> {
        Ok(())
    }

    fn log(&self, _: &[u8]) -> Result<Option<LogHead>, ViewError> {
        Ok(None)
    }

    fn read_log(&self, _: &[u8], _: &mut dyn FnMut(&[u8]) -> Flow) -> Result<(), ViewError> {
        Ok(())
    }

    fn search(&self, _: &SearchQuery<'_>) -> Result<SearchPage, ViewError> {
        Ok(SearchPage::default())
    }

    fn has_content(&self, _: &[u8; 32]) -> Result<bool, ViewError> {
        Ok(false)
    }

    fn counts_revision(&self) -> Result<u64, ViewError> {
        Ok(0)
    }
}
