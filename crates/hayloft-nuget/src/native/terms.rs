//! The words that a package is found by, and those of a query.

use hayloft_feed::SearchRecord;

use super::entry::CatalogEntry;

/// Characters of the description that count.
const DESCRIPTION: usize = 200;

/// Ends the term of a package type, so that no longer name begins with it.
const END: char = ';';

/// The term of a package type; `name` is in lower case.
pub(crate) fn of_type(name: &str) -> String {
    cut(&format!("type:{name}{END}"))
}

/// The most telling ones first, since there is room for few.
pub(crate) fn of_package(id: &str, entry: Option<&CatalogEntry>) -> Vec<String> {
    let mut terms = Terms(Vec::new());
    // The id, and what of it follows a separator: the last word of a query matches a beginning.
    let lower = id.to_ascii_lowercase();
    terms.add(&lower);
    if let Some(entry) = entry {
        if entry.package_types.is_empty() {
            terms.add(&of_type("dependency"));
        }
        for kind in entry.package_types.iter().take(4) {
            terms.add(&of_type(&kind.name.to_ascii_lowercase()));
        }
    }
    let separators = lower.char_indices().filter(|(_, letter)| is_separator(*letter));
    for (at, _) in separators.take(6) {
        terms.add(lower.get(at + 1..).unwrap_or_default());
    }
    for word in id.split(is_separator).take(8) {
        terms.add(&word.to_ascii_lowercase());
        for part in humps(word).into_iter().take(4) {
            terms.add(&part.to_ascii_lowercase());
        }
    }
    if let Some(entry) = entry {
        for tag in entry.tags.iter().take(10) {
            terms.add(&tag.to_lowercase());
        }
        let title = words(entry.title.as_deref().unwrap_or_default());
        title.take(8).for_each(|word| terms.add(&word));
        let description: String = entry.description.chars().take(DESCRIPTION).collect();
        words(&description).for_each(|word| terms.add(&word));
    }
    terms.0
}

struct Terms(Vec<String>);

impl Terms {
    fn add(&mut self, term: &str) {
        let term = cut(term);
        if !term.is_empty() && self.0.len() < SearchRecord::TERMS && !self.0.contains(&term) {
            self.0.push(term);
        }
    }
}

fn is_separator(letter: char) -> bool {
    matches!(letter, '.' | '-' | '_')
}

/// Where small letters change to capital ones: `NuGetClient` is `Nu`, `Get`, `Client`.
fn humps(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut was_small = false;
    for (at, letter) in word.char_indices() {
        if was_small && letter.is_ascii_uppercase() {
            parts.push(word.get(start..at).unwrap_or_default());
            start = at;
        }
        was_small = !letter.is_ascii_uppercase();
    }
    if start > 0 {
        parts.push(word.get(start..).unwrap_or_default());
    }
    parts
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '.' | '-' | '_' | '#'))
        .map(|word| word.trim_matches(['.', '-', '_']).to_lowercase())
        .filter(|word| word.chars().count() > 1)
}

/// As much of a term as counts.
fn cut(term: &str) -> String {
    let mut end = SearchRecord::TERM_LENGTH.min(term.len());
    while !term.is_char_boundary(end) {
        end -= 1;
    }
    term.get(..end).unwrap_or_default().to_owned()
}

/// The words of a query; of those with a field that some clients put before them, the word.
pub(crate) fn of_query(query: &str) -> Vec<String> {
    let fields = ["packageid:", "id:", "tags:", "tag:", "title:", "description:", "author:"];
    query
        .split_whitespace()
        .map(|word| {
            let word = word.to_lowercase();
            let bare = fields.iter().find_map(|field| word.strip_prefix(field)).unwrap_or(&word);
            cut(bare.trim_matches('"'))
        })
        .filter(|word| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_by_their_parts() {
        let terms = of_package("Acme.NuGetClient-X", None);
        let expected = [
            "acme.nugetclient-x",
            "nugetclient-x",
            "x",
            "acme",
            "nugetclient",
            "nu",
            "get",
            "client",
        ];
        assert_eq!(terms, expected);
    }

    #[test]
    fn terms_have_limits() {
        let id = vec!["Ab"; 33].join(".");
        let terms = of_package(&id, None);
        assert!(terms.len() <= SearchRecord::TERMS);
        assert!(terms.iter().all(|term| term.len() <= SearchRecord::TERM_LENGTH));
        assert_eq!(of_query(&"ä".repeat(40)), ["ä".repeat(32)]);
    }

    #[test]
    fn fields_of_queries_are_left_out() {
        let words = of_query(" tag:PSModule  packageid:\"Acme.Core\" Web id: ");
        assert_eq!(words, ["psmodule", "acme.core", "web"]);
    }
}
