use std::io::Write;

use hayloft_feed::json::quoted;
use hayloft_feed::native::{
    Answer, FeedView, RenderError, Request, Resource, SearchQuery, VersionEntry, Want,
};
use hayloft_feed::{Fragment, IndexChange, IndexError, IndexWriter, NameKey, SearchRecord};

use super::packument::latest;
use crate::value::{Object, Raw};

/// Characters of a description that a hit shows.
const DESCRIPTION: usize = 1000;
/// Keywords that a hit shows.
const KEYWORDS: usize = 50;
/// Bytes of other members that a hit shows.
const MEMBER: usize = 4096;
/// Most hits of a page, as the public registry has it.
const MOST: usize = 250;

/// Row of what a hit of the package shows.
fn card_key(name: &NameKey) -> Vec<u8> {
    [b"card\0", name.as_bytes()].concat()
}

pub(super) fn index(
    change: &IndexChange<'_>,
    view: &dyn FeedView,
    out: &mut dyn IndexWriter,
) -> Result<(), IndexError> {
    let key = card_key(change.name.key());
    let latest = match change.after {
        Some(head) => latest(view, head)?,
        None => None,
    };
    let Some(latest) = latest else {
        out.remove(&key)?;
        return out.search(None);
    };
    let mut derived = None;
    let want = Want::fragments(&[Fragment::MANIFEST]);
    view.version(change.name.key(), &latest, &want, &mut |entry| derived = Some(derive(entry)))?;
    let unexpected = || IndexError::Unexpected {
        package: change.name.spelled(),
        what: format!("version {} has no manifest", latest.text()),
    };
    let (card, record) = derived.flatten().ok_or_else(unexpected)?;
    out.put(&key, card.as_bytes())?;
    out.search(Some(&record))
}

/// What a hit shows, and what it is found by.
fn derive(entry: &VersionEntry<'_>) -> Option<(String, SearchRecord)> {
    let manifest = std::str::from_utf8(entry.fragment(Fragment::MANIFEST)?).ok()?;
    let manifest = Object::parse(manifest).ok()?;
    let name = manifest.text("name")?;
    let description: String =
        manifest.text("description").unwrap_or_default().chars().take(DESCRIPTION).collect();
    let mut keywords = Vec::new();
    if let Some(listed) = manifest.get("keywords") {
        match listed.as_text() {
            Some(text) => keywords.extend(text.split([',', ' ']).map(str::to_owned)),
            None if listed.is_list() => listed.texts(&mut |text| keywords.push(text.into_owned())),
            None => {}
        }
    }
    keywords.retain(|keyword| !keyword.is_empty() && keyword.len() <= 100);
    keywords.truncate(KEYWORDS);
    let listed: Vec<String> = keywords.iter().map(|keyword| quoted(keyword)).collect();
    let user = (!entry.published_by.is_empty())
        .then(|| format!(r#"{{"username":{}}}"#, quoted(entry.published_by)));
    let scope = name.strip_prefix('@').and_then(|name| name.split('/').next());
    let mut card = Object::default();
    card.set("name", quoted(&name));
    card.set("scope", quoted(scope.unwrap_or("unscoped")));
    card.set("version", quoted(entry.text));
    card.set("description", quoted(&description));
    card.set("keywords", format!("[{}]", listed.join(",")));
    card.set("date", quoted(&entry.published.to_string()));
    card.set("links", links(&manifest));
    for key in ["author", "license"] {
        if let Some(value) = manifest.get(key).filter(|value| value.0.len() <= MEMBER) {
            card.set(key, value.0.to_owned());
        }
    }
    card.set("maintainers", format!("[{}]", user.as_deref().unwrap_or_default()));
    // npm reads a member of it without looking whether there is one.
    card.set("publisher", user.unwrap_or_else(|| "{}".to_owned()));
    Some((card.print(), SearchRecord { terms: terms(&name, &keywords, &description), flags: 0 }))
}

fn links(manifest: &Object<'_>) -> String {
    let url = |value: Raw<'_>| match value.as_text() {
        Some(text) => Some(text.into_owned()),
        None => value.as_object()?.text("url").map(std::borrow::Cow::into_owned),
    };
    let mut links = Object::default();
    for key in ["homepage", "repository", "bugs"] {
        let found = manifest.get(key).and_then(url).filter(|text| text.len() <= MEMBER);
        if let Some(text) = found {
            links.set(key, quoted(&text));
        }
    }
    links.print()
}

/// The whole name, its parts, the keywords, then the words of the description.
fn terms(name: &str, keywords: &[String], description: &str) -> Vec<String> {
    let mut terms = vec![name.to_lowercase()];
    let bare = name.split('/').next_back().unwrap_or(name);
    let mut add = |word: &str| {
        let word = word.to_lowercase();
        if !word.is_empty() && terms.len() < SearchRecord::TERMS && !terms.contains(&word) {
            terms.push(word);
        }
    };
    add(bare);
    if let Some((scope, _)) = name.split_once('/') {
        add(scope);
        add(scope.trim_start_matches('@'));
    }
    for word in parts_of_name(bare).iter().chain(keywords) {
        add(word);
    }
    let beginning: String = description.chars().take(200).collect();
    let words = beginning.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| word.chars().count() > 1).for_each(&mut add);
    terms
}

/// Cut at dots, hyphens and underscores, and where lower case becomes upper.
fn parts_of_name(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut lower = false;
    for letter in name.chars() {
        if !letter.is_alphanumeric() || lower && letter.is_uppercase() {
            parts.push(String::new());
        }
        lower = letter.is_lowercase();
        if let Some(part) = parts.last_mut().filter(|_| letter.is_alphanumeric()) {
            part.push(letter);
        }
    }
    parts
}

pub(super) fn resolve<'a>(view: &'a dyn FeedView, request: &'a Request<'a>) -> Answer<'a> {
    let number = |name: &str| request.parameter(name).and_then(|text| text.parse::<u64>().ok());
    let size = number("size").map_or(20, |size| usize::try_from(size).unwrap_or(MOST)).min(MOST);
    let from = number("from").unwrap_or_default();
    let words = words(&request.parameter("text").unwrap_or_default());
    let shown = format!("{size} {from} {}", words.join(" "));
    let validator = view.validator(view.feed().revision, &["search", &shown]);
    Answer::Resource(Resource::document(validator, "application/json", move |out| {
        let page = view.search(&SearchQuery::new(&words, size).skip(from))?;
        out.write_all(br#"{"objects":["#)?;
        let mut first = true;
        for head in &page.packages {
            let Some(card) = view.row(&card_key(head.name.key()))? else { continue };
            if !std::mem::take(&mut first) {
                out.write_all(b",")?;
            }
            hit(&card, out)?;
        }
        write!(out, r#"],"total":{},"time":"{}"}}"#, page.total, view.feed().changed)?;
        Ok(())
    }))
}

fn hit(card: &[u8], out: &mut dyn Write) -> Result<(), RenderError> {
    out.write_all(br#"{"package":"#)?;
    out.write_all(card)?;
    out.write_all(
        br#","score":{"final":1,"detail":{"quality":1,"popularity":1,"maintenance":1}},"searchScore":1}"#,
    )?;
    Ok(())
}

/// The words to look for. Of the qualifiers those are understood whose values are terms, others
/// such as `not:unstable` say how to weigh.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in text.to_lowercase().split_whitespace() {
        match word.split_once(':') {
            Some(("keywords", values)) => {
                words.extend(values.split([',', '+']).map(str::to_owned));
            }
            Some(("scope", scope)) => words.push(format!("@{}", scope.trim_start_matches('@'))),
            Some(("author" | "maintainer", _)) | None => words.push(word.to_owned()),
            Some(_) => {}
        }
    }
    words.retain(|word| !word.is_empty());
    // No package has more.
    words.truncate(SearchRecord::TERMS);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_found_by_the_parts_of_its_name() {
        let keywords = ["cli".to_owned()];
        let terms = terms("@acme/my-coolTool", &keywords, "Makes a tool, cool");
        let expected = [
            "@acme/my-cooltool",
            "my-cooltool",
            "@acme",
            "acme",
            "my",
            "cool",
            "tool",
            "cli",
            "makes",
        ];
        assert_eq!(terms, expected);
        assert!(super::terms("a", &[], &"word ".repeat(1000)).len() <= SearchRecord::TERMS);
    }

    #[test]
    fn qualifiers_become_words_or_nothing() {
        let found = words("Tool keywords:cli,web scope:acme not:unstable boost-exact:false");
        assert_eq!(found, ["tool", "cli", "web", "@acme"]);
        assert!(words("  ").is_empty());
    }
}
