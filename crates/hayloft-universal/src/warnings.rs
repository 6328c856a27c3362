use hayloft_feed::json::Object;
use hayloft_feed::shorten;

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
    let tags = list(manifest, "tags", &mut found);
    for (at, tag) in tags.iter().enumerate() {
        if !is_tag(tag) {
            found.push(format!(
                "`{}` is not a tag: 1 to 50 letters, digits and `-._`, no digit first",
                shorten(tag)
            ));
        }
        if tags.iter().take(at).any(|other| other.eq_ignore_ascii_case(tag)) {
            found.push(format!("the tag `{}` is given more than once", shorten(tag)));
        }
        if found.len() > MOST {
            break;
        }
    }
    for dependency in list(manifest, "dependencies", &mut found) {
        if let Err(error) = dependency.parse::<Dependency>() {
            found.push(format!("`{}` is not a dependency: {error}", shorten(&dependency)));
        }
    }
    found.truncate(MOST);
    found
}

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

/// A list of texts; readers take a single text too.
fn list(manifest: &Object<'_>, key: &str, found: &mut Vec<String>) -> Vec<String> {
    let Some(member) = manifest.members().iter().rfind(|member| member.key == key) else {
        return Vec::new();
    };
    if member.raw == "null" {
        return Vec::new();
    }
    if let Ok(single) = serde_json::from_str(member.raw) {
        return vec![single];
    }
    serde_json::from_str(member.raw).unwrap_or_else(|_| {
        found.push(format!("`{key}` is not a list of texts"));
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_flood_of_warnings_is_cut() {
        let tags = vec!["\"1\""; 100_000].join(",");
        assert_eq!(warnings_of(&format!("\"tags\":[{tags}]")).len(), MOST);
    }
}
