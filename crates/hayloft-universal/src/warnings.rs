use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use hayloft_feed::json::{Object, for_each_element};
use hayloft_feed::shorten;
use serde::Deserialize;

use crate::Dependency;

/// Rules for optional properties that existing packages break; what breaks them is accepted.
pub(crate) fn warnings(manifest: &Object<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (key, longest) in [("title", 50), ("shortDescription", 1000), ("description", usize::MAX)] {
        if let Some(text) = text(manifest, key, &mut found)
            && text.chars().count() > longest
        {
            found.push(format!("`{key}` has more than {longest} characters"));
        }
    }
    for (key, schemes) in [
        ("projectUrl", &["http://", "https://"][..]),
        ("icon", &["http://", "https://", "package://"][..]),
    ] {
        if let Some(text) = text(manifest, key, &mut found)
            && !text.is_empty()
            && !schemes.iter().any(|scheme| text.to_ascii_lowercase().starts_with(scheme))
        {
            found.push(format!("`{key}` is not an absolute URL: `{}`", shorten(&text)));
        }
    }
    check_tags(manifest, &mut found);
    let mut wrong = Vec::new();
    list(manifest, "dependencies", &mut found, &mut |dependency| {
        if wrong.len() < MOST
            && let Err(error) = dependency.parse::<Dependency>()
        {
            wrong.push(format!("`{}` is not a dependency: {error}", shorten(dependency)));
        }
    });
    found.append(&mut wrong);
    found.truncate(MOST);
    found
}

fn check_tags(manifest: &Object<'_>, found: &mut Vec<String>) {
    let mut seen = HashSet::new();
    let mut wrong = Vec::new();
    let mut count = 0;
    list(manifest, "tags", found, &mut |tag| {
        count += 1;
        if count > MOST_TAGS || wrong.len() >= MOST {
            return;
        }
        if !is_tag(tag) {
            wrong.push(format!(
                "`{}` is not a tag: 1 to 50 letters, digits and `-._`, no digit first",
                shorten(tag)
            ));
        }
        if !seen.insert(Tag::new(tag)) {
            wrong.push(format!("the tag `{}` is given more than once", shorten(tag)));
        }
    });
    if count > MOST_TAGS {
        wrong.push(format!("there are more than {MOST_TAGS} tags; the rest is not looked at"));
    }
    found.append(&mut wrong);
}

/// A tag as it is compared with others: without ASCII case.
#[derive(Eq)]
struct Tag(Box<str>);

impl Hash for Tag {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq for Tag {
    fn eq(&self, other: &Self) -> bool {
        #[cfg(test)]
        tests::COMPARED.set(tests::COMPARED.get() + 1);
        self.0 == other.0
    }
}

impl Tag {
    fn new(text: &str) -> Self {
        Self(text.to_ascii_lowercase().into())
    }
}

/// Tags that are compared with each other.
const MOST_TAGS: usize = 10_000;

/// Warnings kept of one manifest; the rest would only repeat them.
const MOST: usize = 50;

fn is_tag(text: &str) -> bool {
    (1..=50).contains(&text.len())
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text.chars().all(|shown| shown.is_ascii_alphanumeric() || "-._".contains(shown))
}

fn text(manifest: &Object<'_>, key: &str, found: &mut Vec<String>) -> Option<String> {
    let member = manifest.members().iter().rfind(|member| member.key == key)?;
    if member.raw == "null" {
        return None;
    }
    let text = serde_json::from_str(member.raw).ok();
    if text.is_none() {
        found.push(format!("`{key}` is not text"));
    }
    text
}

/// Shows each of a list of texts; readers take a single text too.
fn list(manifest: &Object<'_>, key: &str, found: &mut Vec<String>, see: &mut dyn FnMut(&str)) {
    let Some(member) = manifest.members().iter().rfind(|member| member.key == key) else { return };
    if member.raw == "null" {
        return;
    }
    let mut texts_only = true;
    let mut read = |raw: &str| match serde_json::from_str::<Text<'_>>(raw) {
        Ok(text) => see(&text.0),
        Err(_) => texts_only = false,
    };
    if !member.raw.starts_with('[') {
        read(member.raw);
    } else if for_each_element(member.raw, &mut read).is_err() {
        texts_only = false;
    }
    if !texts_only {
        found.push(format!("`{key}` is not a list of texts"));
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use rstest::rstest;

    use super::*;

    fn warnings_of(property: &str) -> Vec<String> {
        let text = format!(r#"{{"name":"a","version":"1.0.0",{property}}}"#);
        warnings(&Object::parse(&text).unwrap())
    }

    #[rstest]
    #[case::tags(r#""tags":["a","b.c-d_e"]"#)]
    #[case::one_tag(r#""tags":"a""#)]
    #[case::dependency(r#""dependencies":["a:b:1.0.0","c"]"#)]
    #[case::one_dependency(r#""dependencies":"a/b:[1.0.0,]""#)]
    #[case::icon(r#""icon":"package://icon.png""#)]
    #[case::nulls(r#""icon":null,"tags":null,"title":null,"dependencies":null"#)]
    #[case::unknown(r#""whatever":{"title":7}"#)]
    fn properties_within_the_rules_are_silent(#[case] property: &str) {
        assert_eq!(warnings_of(property), [""; 0]);
    }

    #[rstest]
    #[case::title(&format!(r#""title":"{}""#, "t".repeat(51)), "`title` has more than 50 characters")]
    #[case::number(r#""description":7"#, "`description` is not text")]
    #[case::address(r#""projectUrl":"www.a.b""#, "`projectUrl` is not an absolute URL: `www.a.b`")]
    #[case::repeated_tag(r#""tags":["a","A"]"#, "the tag `A` is given more than once")]
    #[case::tag(
        r#""tags":["1a"]"#,
        "`1a` is not a tag: 1 to 50 letters, digits and `-._`, no digit first"
    )]
    #[case::tags(r#""tags":[1]"#, "`tags` is not a list of texts")]
    #[case::dependency(
        r#""dependencies":["a:[1.0.0"]"#,
        "`a:[1.0.0` is not a dependency: `[1.0.0` is not a range such as [1.0.0,2.0.0)"
    )]
    fn properties_that_break_a_rule_are_named(#[case] property: &str, #[case] warning: &str) {
        assert_eq!(warnings_of(property), [warning]);
    }

    thread_local! {
        /// Comparisons of tags on this thread.
        pub(super) static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    #[test]
    fn twice_the_tags_are_compared_at_most_twice_as_often() {
        let compared = |count: usize| {
            let tags: Vec<String> = (0..count).map(|number| format!("\"t{number}\"")).collect();
            COMPARED.set(0);
            assert_eq!(warnings_of(&format!("\"tags\":[{}]", tags.join(","))), [""; 0]);
            COMPARED.get()
        };
        for count in [1000, 5000, MOST_TAGS] {
            assert!(
                compared(count) <= 2 * count,
                "{count} tags took {} comparisons",
                compared(count)
            );
        }
        let many = vec!["\"a\""; MOST_TAGS + 1].join(",");
        assert!(warnings_of(&format!("\"tags\":[{many}]")).len() <= MOST);
    }

    #[test]
    fn a_flood_of_warnings_is_cut() {
        let tags = vec!["\"1\""; 100_000].join(",");
        assert_eq!(warnings_of(&format!("\"tags\":[{tags}]")).len(), MOST);
    }
}
