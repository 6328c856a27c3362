use hayloft_feed::json::{Object, for_each_element};
use hayloft_feed::native::{
    Answer, FeedView, Request, Resource, SearchQuery, VersionEntry, ViewError, Want,
};
use hayloft_feed::{Fragment, IndexChange, IndexError, IndexWriter, NameKey, SearchRecord};

use super::download::parameter;
use super::package_path::newest;

/// Most hits of an answer, and how many there are unless a client says.
const MOST: usize = 1_000;
/// Bytes of each property that lists show of the newest version.
const LONGEST: usize = 64 << 10;

/// Row of what lists show of the package's newest version.
pub(super) fn card_key(name: &NameKey) -> Vec<u8> {
    [b"card\0", name.as_bytes()].concat()
}

pub(super) fn index(
    change: &IndexChange<'_>,
    view: &dyn FeedView,
    out: &mut dyn IndexWriter,
) -> Result<(), IndexError> {
    let key = card_key(change.name.key());
    let latest = match change.after {
        Some(head) => newest(view, head)?,
        None => None,
    };
    let Some(latest) = latest else {
        out.remove(&key)?;
        return out.search(None);
    };
    let mut derived = None;
    let want = Want::fragments(&[Fragment::MANIFEST]);
    view.version(change.name.key(), &latest, &want, &mut |entry| {
        derived = derive(change.name.group(), change.name.name(), entry);
    })?;
    let (card, record) = derived.ok_or_else(|| IndexError::Unexpected {
        package: change.name.spelled(),
        what: format!("version {} has no manifest", latest.text()),
    })?;
    out.put(&key, card.as_bytes())?;
    out.search(Some(&record))
}

/// Title, icon and description as they stand in the manifest, and the terms.
fn derive(group: &str, name: &str, entry: &VersionEntry<'_>) -> Option<(String, SearchRecord)> {
    let manifest = std::str::from_utf8(entry.fragment(Fragment::MANIFEST)?).ok()?;
    let manifest = Object::parse(manifest).ok()?;
    let raw = |key: &str| manifest.members().iter().rfind(|member| member.key == key);
    let shown: Vec<String> = ["title", "icon", "description"]
        .into_iter()
        .map(|key| {
            let value = raw(key).map(|member| member.raw).filter(|raw| raw.len() <= LONGEST);
            format!("\"{key}\":{}", value.unwrap_or("null"))
        })
        .collect();
    let text = |key: &str| -> String {
        raw(key).and_then(|member| serde_json::from_str(member.raw).ok()).unwrap_or_default()
    };
    let mut tags = Vec::new();
    if let Some(member) = raw("tags") {
        let mut see = |raw: &str| {
            if tags.len() < SearchRecord::TERMS {
                tags.extend(serde_json::from_str::<String>(raw).ok());
            }
        };
        // A single text is a list of one.
        if for_each_element(member.raw, &mut see).is_err() {
            see(member.raw);
        }
    }
    let terms = terms(group, name, &text("title"), &tags, &text("description"));
    Some((format!("{{{}}}", shown.join(",")), SearchRecord { terms, flags: 0 }))
}

/// The name, its parts, the group and its parts, title, tags, then words of the description.
fn terms(group: &str, name: &str, title: &str, tags: &[String], description: &str) -> Vec<String> {
    let mut terms: Vec<String> = Vec::new();
    let mut add = |word: &str| {
        let word = word.to_lowercase();
        if !word.is_empty() && terms.len() < SearchRecord::TERMS && !terms.contains(&word) {
            terms.push(word);
        }
    };
    add(name);
    if !group.is_empty() {
        add(&format!("{group}/{name}"));
        add(group);
    }
    let beginning: String = description.chars().take(200).collect();
    let words = |text: &str, add: &mut dyn FnMut(&str)| {
        text.split(|letter: char| !letter.is_alphanumeric()).for_each(add);
    };
    words(name, &mut add);
    words(group, &mut add);
    for tag in tags {
        add(tag);
    }
    words(title, &mut add);
    words(&beginning, &mut add);
    terms
}

/// Packages that match the words, as `packages` lists them.
pub(super) fn resolve<'a>(
    view: &'a dyn FeedView,
    request: &Request<'_>,
) -> Result<Answer<'a>, ViewError> {
    let term = parameter(request, "term").or_else(|| parameter(request, "query"));
    let term = term.unwrap_or_default().to_lowercase();
    // No package has more words.
    let words = term.split_whitespace().take(SearchRecord::TERMS);
    let words: Vec<String> = words.map(str::to_owned).collect();
    let count = parameter(request, "count").and_then(|count| count.parse().ok());
    let count = count.unwrap_or(MOST).min(MOST);
    let counts = view.counts_revision()?.to_string();
    let shown = format!("{count} {}", words.join(" "));
    let validator = view.validator(view.feed().revision, &["search", &shown, &counts]);
    Ok(Answer::Resource(Resource::document(validator, "application/json", move |out| {
        let page = view.search(&SearchQuery::new(&words, count))?;
        super::lists::list(view, &page.packages, out)
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_found_by_name_group_tags_and_words() {
        let terms = terms("initrode/vendors", "AB-Last", "A Title", &["ci".to_owned()], "Does it");
        let expected = [
            "ab-last",
            "initrode/vendors/ab-last",
            "initrode/vendors",
            "ab",
            "last",
            "initrode",
            "vendors",
            "ci",
            "a",
            "title",
            "does",
            "it",
        ];
        assert_eq!(terms, expected);
    }
}
