use std::ops::Range;

use crate::GemVersion;
use crate::yaml::{Node, Value};

/// A specification cannot be edited by span.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecificationEditError {
    /// Written in a style that no release of RubyGems writes.
    #[error("`{0}` of the specification is in YAML's flow style; build the gem with RubyGems")]
    FlowStyle(&'static str),
    /// Not where it should be.
    #[error("`{0}` of the specification is missing")]
    Missing(&'static str),
}

/// The bytes of a specification with its top-level version replaced and its certificates emptied;
/// every other byte is kept.
///
/// The version node is written anew, which also drops the stale `segments` and `hash` that old
/// releases of RubyGems wrote beside the text.
pub(crate) fn with_version(
    bytes: &[u8],
    root: &Node,
    version: &GemVersion,
) -> Result<Vec<u8>, SpecificationEditError> {
    let newline = if bytes.windows(2).any(|pair| pair == b"\r\n") { "\r\n" } else { "\n" };
    let node =
        format!(": !ruby/object:Gem::Version{newline}  version: {}", scalar(version.as_str()));
    let mut edits = vec![(
        after_key(bytes, root, "version")?.ok_or(SpecificationEditError::Missing("version"))?,
        node,
    )];
    if let Some(span) = after_key(bytes, root, "cert_chain")? {
        edits.push((span, ": []".to_owned()));
    }
    edits.sort_by_key(|(span, _)| span.start);
    let mut edited = Vec::with_capacity(bytes.len() + 64);
    let mut at = 0;
    for (span, text) in edits {
        edited.extend_from_slice(bytes.get(at..span.start).unwrap_or_default());
        edited.extend_from_slice(text.as_bytes());
        at = span.end;
    }
    edited.extend_from_slice(bytes.get(at..).unwrap_or_default());
    Ok(edited)
}

/// Plain where that reads as text, else quoted, as RubyGems writes it.
fn scalar(version: &str) -> String {
    if version.bytes().filter(|byte| *byte == b'.').count() < 2 && !version.contains('-') {
        format!("'{version}'")
    } else {
        version.to_owned()
    }
}

/// From the end of a top-level key to the end of its value; `None` if there is nothing to change.
fn after_key(
    bytes: &[u8],
    root: &Node,
    key: &'static str,
) -> Result<Option<Range<usize>>, SpecificationEditError> {
    let Some((name, value)) =
        root.pairs().and_then(|pairs| pairs.iter().find(|(name, _)| name.text() == Some(key)))
    else {
        return Ok(None);
    };
    let empty = match &value.value {
        Value::Scalar { .. } => true,
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(pairs) => pairs.is_empty(),
    };
    if empty {
        return Ok(None);
    }
    let start = name.span.end;
    let first = first_scalar(value).unwrap_or(start);
    let head = bytes.get(start..first).unwrap_or_default();
    if head.iter().any(|byte| matches!(byte, b'{' | b'[')) {
        return Err(SpecificationEditError::FlowStyle(key));
    }
    let mut end = last_scalar(value).unwrap_or(start);
    // The end of a block scalar may lie behind its line end.
    while end > start && bytes.get(end - 1).is_some_and(u8::is_ascii_whitespace) {
        end -= 1;
    }
    // A trailing null or blank belongs to the value's last line.
    while bytes.get(end).is_some_and(|byte| !matches!(byte, b'\r' | b'\n')) {
        end += 1;
    }
    Ok(Some(start..end))
}

fn first_scalar(node: &Node) -> Option<usize> {
    match &node.value {
        Value::Scalar { .. } => Some(node.span.start),
        Value::Sequence(items) => items.iter().find_map(|item| first_scalar(item)),
        Value::Mapping(pairs) => pairs.first().and_then(|(key, _)| first_scalar(key)),
    }
}

fn last_scalar(node: &Node) -> Option<usize> {
    match &node.value {
        Value::Scalar { .. } => Some(node.span.end),
        Value::Sequence(items) => items.iter().filter_map(|item| last_scalar(item)).max(),
        Value::Mapping(pairs) => pairs
            .iter()
            .flat_map(|(key, value)| [last_scalar(key), last_scalar(value)])
            .flatten()
            .max(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemspec;

    fn edited(text: &str, version: &str) -> String {
        let parsed = gemspec::parse(text.as_bytes(), &hayloft_feed::Account::default()).unwrap();
        let version: GemVersion = version.parse().unwrap();
        String::from_utf8(with_version(text.as_bytes(), &parsed.root, &version).unwrap()).unwrap()
    }

    const PSYCH: &str = "--- !ruby/object:Gem::Specification\nname: \u{e9}-x\nversion: !ruby/object:Gem::Version\n  version: 1.0.0.rc1\nplatform: ruby\nauthors:\n- \u{e9}\ncert_chain: []\ndependencies:\n- !ruby/object:Gem::Dependency\n  name: y\n  requirement: !ruby/object:Gem::Requirement\n    requirements:\n    - - \">=\"\n      - !ruby/object:Gem::Version\n        version: 1.0.0.rc1\n  type: :runtime\n";

    #[test]
    fn only_the_top_level_version_changes() {
        let text = PSYCH.replace("\u{e9}-x", "x");
        let expected = text.replacen("version: 1.0.0.rc1", "version: 1.0.0", 1);
        assert_eq!(edited(&text, "1.0.0"), expected);
    }

    #[test]
    fn short_versions_are_quoted_so_that_they_stay_text() {
        let text = PSYCH.replace("\u{e9}-x", "x");
        assert!(edited(&text, "10.0").contains("\n  version: '10.0'\nplatform: ruby\n"));
    }

    #[test]
    fn windows_line_ends_stay() {
        let text = PSYCH.replace("\u{e9}-x", "x").replace('\n', "\r\n");
        let expected = text.replacen("version: 1.0.0.rc1", "version: 1.0.0", 1);
        assert_eq!(edited(&text, "1.0.0"), expected);
    }

    #[test]
    fn stale_segments_and_certificates_go() {
        let text = "--- !ruby/object:Gem::Specification \nname: x\nversion: !ruby/object:Gem::Version \n  hash: 57\n  prerelease: \n  segments: \n  - 2\n  - 12\n  version: \"2.12\"\nplatform: ruby\ncert_chain: \n- |\n  -----BEGIN\n  abc\n  -----END\n\ndate: 2011-09-06 00:00:00 Z\nsummary: s\n";
        assert_eq!(
            edited(text, "3.0.1"),
            "--- !ruby/object:Gem::Specification \nname: x\nversion: !ruby/object:Gem::Version\n  version: 3.0.1\nplatform: ruby\ncert_chain: []\n\ndate: 2011-09-06 00:00:00 Z\nsummary: s\n"
        );
    }
}
