//! What a type keeps of each package for its searches and lists.

use super::{FeedView, VersionEntry, ViewError, Want};
use crate::{
    IndexChange, IndexError, IndexWriter, NameKey, PackageHead, PackageName, SearchRecord, Version,
};

/// Collects what a package is found by: in lower case, each term once, the first that fit.
#[derive(Debug, Clone, Default)]
pub struct Terms(Vec<String>);

impl Terms {
    /// The name and group of a package, and their parts.
    #[must_use]
    pub fn of(name: &PackageName) -> Self {
        Self::default().term(name.name()).term(name.group()).words(name.name()).words(name.group())
    }

    /// Adds a text as it is.
    #[must_use]
    pub fn term(mut self, text: &str) -> Self {
        let text = text.to_lowercase();
        if !text.is_empty() && self.0.len() < SearchRecord::TERMS && !self.0.contains(&text) {
            self.0.push(text);
        }
        self
    }

    /// Adds the words of a text.
    #[must_use]
    pub fn words(self, text: &str) -> Self {
        text.split(|letter: char| !letter.is_alphanumeric()).fold(self, Self::term)
    }

    /// Adds the words at the beginning of a description; letters that stand alone say nothing.
    #[must_use]
    pub fn description(self, text: &str) -> Self {
        let beginning: String = text.chars().take(200).collect();
        beginning
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|word| word.chars().nth(1).is_some())
            .fold(self, Self::term)
    }

    /// What was collected.
    pub fn finish(self) -> Vec<String> {
        self.0
    }

    /// The same as what the search of a feed takes.
    pub fn record(self, flags: u8) -> SearchRecord {
        SearchRecord { terms: self.0, flags }
    }
}

/// The row with what hits and lists show of a package's newest version.
pub fn card_key(name: &NameKey) -> Vec<u8> {
    [b"card\0", name.as_bytes()].concat()
}

/// Keeps one row and one search record for each package, both made of its newest version;
/// `newest` says which that is, `derive` what the row holds and what the package is found by.
/// Without a newest version the package is found no more.
#[expect(clippy::type_complexity, reason = "it is written out in this one place")]
pub fn index_card(
    change: &IndexChange<'_>,
    view: &dyn FeedView,
    out: &mut dyn IndexWriter,
    want: &Want<'_>,
    newest: &dyn Fn(&dyn FeedView, &PackageHead) -> Result<Option<Version>, ViewError>,
    derive: &dyn Fn(&VersionEntry<'_>) -> Option<(String, SearchRecord)>,
) -> Result<(), IndexError> {
    let key = card_key(change.name.key());
    let newest = match change.after {
        Some(head) => newest(view, head)?,
        None => None,
    };
    let Some(newest) = newest else {
        out.remove(&key)?;
        return out.search(None);
    };
    let mut derived = None;
    view.version(change.name.key(), &newest, want, &mut |entry| derived = derive(entry))?;
    let (card, record) = derived.ok_or_else(|| IndexError::Unexpected {
        package: change.name.spelled(),
        what: format!("version {} does not tell what searches show", newest.text()),
    })?;
    out.put(&key, card.as_bytes())?;
    out.search(Some(&record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_term_counts_once_and_there_are_no_more_than_fit() {
        let key = NameKey::new("", "my_tool").unwrap();
        let terms = Terms::of(&PackageName::new("Acme", "My_Tool", key));
        let found = terms.term("CLI").description("A tool for mills").finish();
        assert_eq!(found, ["my_tool", "acme", "my", "tool", "cli", "for", "mills"]);
        let many = (0..100).fold(Terms::default(), |terms, number| terms.term(&number.to_string()));
        assert_eq!(many.finish().len(), SearchRecord::TERMS);
    }
}
