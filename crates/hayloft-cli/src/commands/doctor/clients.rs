//! Whether the files of this machine's clients name feeds that are there.

use std::collections::BTreeSet;

use hayloft::feed_type::native::{FeedCard, Native, encoded};

use super::super::use_feed;
use super::Findings;
use crate::failure::Failure;
use crate::kinds;

const CHECK: &str = "client";

/// A URL taken apart, without the key that may stand in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    scheme: String,
    /// Host and port.
    authority: String,
    path: String,
}

impl Place {
    fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        Some(Self {
            scheme: scheme.to_ascii_lowercase(),
            authority: authority.to_ascii_lowercase(),
            path: path.trim_end_matches('/').to_owned(),
        })
    }

    fn is_below(&self, other: &Self) -> bool {
        let rest = self.path.strip_prefix(&other.path);
        self.authority == other.authority
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn text(&self) -> String {
        format!("{}://{}/{}", self.scheme, self.authority, self.path)
    }
}

/// `feeds` are those that may be seen, as name and type.
pub(super) fn check(
    findings: &mut Findings<'_>,
    url: &str,
    feeds: &[(String, String)],
) -> Result<(), Failure> {
    let Some(server) = Place::of(url) else { return Ok(()) };
    let types = kinds::types();
    let native = |tag: &str| types.get(tag).and_then(|feed_type| feed_type.native());
    let feeds: Vec<(&str, Place)> = feeds
        .iter()
        .filter_map(|(name, tag)| {
            let place = format!("{url}/{}/{}", native(tag)?.prefix(), encoded(name));
            Some((name.as_str(), Place::of(&place)?))
        })
        .collect();
    let mut told = BTreeSet::new();
    for native in types.iter().filter_map(|feed_type| feed_type.native()) {
        for (client, file, found) in named(native) {
            if found.authority != server.authority {
                continue;
            }
            let feed = feeds.iter().find(|(_, place)| found.is_below(place));
            let subject = feed.map_or_else(|| found.text(), |(name, _)| (*name).to_owned());
            if !told.insert((client, subject)) {
                continue;
            }
            match feed {
                Some((name, _)) if found.scheme == server.scheme => {
                    findings.good(CHECK, format!("{client} uses {name}"))?;
                }
                Some((name, _)) => findings.bad(
                    CHECK,
                    format!(
                        "{client} asks for {name} by {} in {file}, and the server speaks {}",
                        found.scheme, server.scheme
                    ),
                    format!("hayloft use {name} --client={client} writes the right URL"),
                )?,
                None => findings.bad(
                    CHECK,
                    format!("{client} asks for {} in {file}, which is no feed", found.text()),
                    format!(
                        "hayloft use FEED --client={client} writes the URL of one; is the key one \
                         for it?"
                    ),
                )?,
            }
        }
    }
    Ok(())
}

/// What the files of a type's clients name: client, file, URL.
fn named(native: &dyn Native) -> Vec<(&'static str, String, Place)> {
    let mut all = Vec::new();
    for configuration in native.configurations(&FeedCard::new("feed"), "http://localhost", None) {
        for change in &configuration.changes {
            let Ok(path) = use_feed::path(change) else { continue };
            let Ok(text) = use_feed::read(&path) else { continue };
            let file = path.display().to_string();
            let lines = text.lines().map(str::trim_start);
            // What `use` has put aside, and what people have.
            let lines =
                lines.filter(|line| !["#", ";", "<!--"].iter().any(|mark| line.starts_with(mark)));
            let places = lines.flat_map(urls).filter_map(Place::of);
            all.extend(places.map(|place| (configuration.client, file.clone(), place)));
        }
    }
    all
}

fn urls(line: &str) -> impl Iterator<Item = &str> {
    let ends = |letter: char| letter.is_whitespace() || "\"'<>,;()[]".contains(letter);
    line.split(ends).filter_map(|word| {
        let at = word.find("http://").or_else(|| word.find("https://"))?;
        word.get(at..)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_found_without_their_keys() {
        let line =
            "registry=\"https://api:hl_x@H.example:1/npm/dev/\" and deb http://h/debian/d stable";
        let found: Vec<String> =
            urls(line).filter_map(Place::of).map(|place| place.text()).collect();
        assert_eq!(found, ["https://h.example:1/npm/dev", "http://h/debian/d"]);
    }

    #[test]
    fn a_feed_whose_name_begins_alike_is_another() {
        let place = |url| Place::of(url).unwrap();
        let feed = place("http://h/npm/dev");
        assert!(place("http://h/npm/dev/").is_below(&feed));
        assert!(place("https://h/npm/dev/v3/index.json").is_below(&feed));
        assert!(!place("http://h/npm/develop").is_below(&feed));
        assert!(!place("http://other/npm/dev").is_below(&feed));
    }
}
