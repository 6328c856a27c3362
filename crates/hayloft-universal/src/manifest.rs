use hayloft_feed::json::{JsonEditError, Object, for_each_element};
use hayloft_feed::{Exhausted, HistoryEntry, HistoryError, Limits, shorten};

use crate::contents::{Place, VirtualItem, VirtualItemError};
use crate::warnings::warnings;
use crate::{FullName, FullNameError, UniversalVersion, VersionError};

/// The manifest of a universal package, `upack.json`, checked.
///
/// Unknown properties are allowed and kept. Names are exact; the same name twice is refused where
/// it decides something.
#[derive(Debug, Clone)]
pub struct Manifest {
    text: String,
    package: FullName,
    version: UniversalVersion,
    parts: Option<VirtualParts>,
    history: Vec<HistoryEntry>,
    warnings: Vec<String>,
}

/// What a virtual package is assembled from: first `contents`, then `meta_contents`, each in
/// order. A file that is already there is kept.
#[derive(Debug, Clone)]
pub struct VirtualParts {
    /// What goes below `package/`; at least one.
    pub contents: Vec<VirtualItem>,
    /// What goes beside it.
    pub meta_contents: Vec<VirtualItem>,
}

/// Text is not the manifest of a universal package, or cannot be edited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not UTF-8.
    #[error("upack.json is not UTF-8 text; save it as UTF-8")]
    Encoding,
    /// Something else than an object, or a second byte order mark.
    #[error("upack.json does not begin with `{{`")]
    NoObject,
    /// Too many containers inside each other.
    #[error("upack.json is nested deeper than {limit} levels")]
    Depth {
        /// Levels allowed.
        limit: usize,
    },
    /// There is too little memory left to read it.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// Not an object, or a property that decides something is repeated or no text.
    #[error("upack.json is malformed")]
    Json(#[from] JsonEditError),
    /// A required property.
    #[error("upack.json has no `{0}`")]
    Missing(&'static str),
    /// The group or name.
    #[error("upack.json has an unusable group or name")]
    Name(#[from] FullNameError),
    /// The version.
    #[error("upack.json has the version `{}`", shorten(text))]
    Version {
        /// As written.
        text: String,
        /// Which rule it breaks.
        #[source]
        source: VersionError,
    },
    /// `contents` or `metaContents` is no list.
    #[error("`{property}` of upack.json is not a list")]
    NoList {
        /// `contents` or `metaContents`.
        property: &'static str,
        /// Why.
        #[source]
        source: JsonEditError,
    },
    /// More than a package can sensibly be assembled from.
    #[error("`{property}` of upack.json has more than {MOST_ITEMS} items")]
    ManyItems {
        /// `contents` or `metaContents`.
        property: &'static str,
    },
    /// A virtual package is assembled from something.
    #[error("`contents` of upack.json is empty; a virtual package needs at least one item")]
    NoContents,
    /// One item of `contents` or `metaContents`.
    #[error("item {number} of `{property}` in upack.json is malformed")]
    Item {
        /// `contents` or `metaContents`.
        property: &'static str,
        /// Counted from 1.
        number: usize,
        /// Why.
        #[source]
        source: VirtualItemError,
    },
    /// The history cannot be continued.
    #[error("`{HISTORY}` of upack.json cannot be continued")]
    History(#[source] HistoryError),
}

/// Items of `contents`, and of `metaContents`.
const MOST_ITEMS: usize = 10_000;

/// The property that holds the repackaging history.
const HISTORY: &str = "repackageHistory";

impl Manifest {
    /// Reads the content of `upack.json`; a byte order mark is skipped.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, ManifestError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ManifestError::Encoding)?;
        let text = object(text)?;
        if is_nested_deeper(text, limits.depth) {
            return Err(ManifestError::Depth { limit: limits.depth });
        }
        // Its text is kept, its parts are read one at a time.
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        limits.account.charge(length.saturating_mul(6))?;
        let object = Object::parse(text)?;
        let group = match object.unique("group")? {
            Some(member) if member.raw != "null" => object.string("group")?.unwrap_or_default(),
            _ => String::new(),
        };
        let name = object.string("name")?.ok_or(ManifestError::Missing("name"))?;
        let package = FullName::new(&group, &name)?;
        let version = object.string("version")?.ok_or(ManifestError::Missing("version"))?;
        let version =
            version.parse().map_err(|source| ManifestError::Version { text: version, source })?;
        let mut warnings = warnings(&object);
        let history = match object.unique(HISTORY)? {
            None => Vec::new(),
            Some(member) => HistoryEntry::parse_list(member.raw).unwrap_or_else(|_| {
                warnings.push(format!(
                    "`{HISTORY}` is not a list of entries with an `id`; it is not shown"
                ));
                Vec::new()
            }),
        };
        let parts = parts(&object)?;
        Ok(Self { text: text.to_owned(), package, version, parts, history, warnings })
    }

    /// The text as written, without a byte order mark and blanks around it: a JSON object.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Group and name.
    pub fn package(&self) -> &FullName {
        &self.package
    }

    /// Version.
    pub fn version(&self) -> &UniversalVersion {
        &self.version
    }

    /// What to assemble, for a virtual package; `None` for all others.
    pub fn virtual_parts(&self) -> Option<&VirtualParts> {
        self.parts.as_ref()
    }

    /// Repackaging history, oldest first; empty if it is malformed.
    pub fn history(&self) -> &[HistoryEntry] {
        &self.history
    }

    /// Optional properties that break a rule, in words.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The manifest of the package that a virtual one is assembled to: the same without
    /// `contents` and `metaContents`.
    pub fn assembled_text(&self) -> Result<String, ManifestError> {
        let text = without_property(&self.text, "contents")?;
        Ok(without_property(&text, "metaContents")?)
    }
}

/// Without a byte order mark and the blanks that JSON allows around a value.
fn object(text: &str) -> Result<&str, ManifestError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    if text.starts_with('{') { Ok(text) } else { Err(ManifestError::NoObject) }
}

/// The manifest text `written` with another version and one more history entry. Every other byte
/// stays, a byte order mark included.
pub(crate) fn repackaged(
    written: &str,
    version: &str,
    entry: &HistoryEntry,
) -> Result<String, ManifestError> {
    let object = Object::parse(written)?;
    if let Some(member) = object.unique(HISTORY)? {
        HistoryEntry::parse_list(member.raw).map_err(ManifestError::History)?;
    }
    let text = object.with_string("version", version)?;
    entry.append_to_property(&text, HISTORY).map_err(ManifestError::History)
}

/// The manifest of a package to be created: what a person gave, over an existing text if there is
/// one. All other properties of that text are kept.
#[derive(Debug, Clone, Default)]
pub struct NewManifest<'t> {
    /// Content of an existing `upack.json`.
    pub existing: Option<&'t [u8]>,
    /// Overrides the group; may be empty.
    pub group: Option<&'t str>,
    /// Overrides the name.
    pub name: Option<&'t str>,
    /// Overrides the version.
    pub version: Option<&'t str>,
}

impl NewManifest<'_> {
    /// The checked manifest. It always says its `group`, if only as empty text: clients expect it.
    pub fn write(&self, limits: &Limits) -> Result<Manifest, ManifestError> {
        let existing = std::str::from_utf8(self.existing.unwrap_or(b"{}"))
            .map_err(|_| ManifestError::Encoding)?;
        let mut text = object(existing)?.to_owned();
        let has_group = Object::parse(&text)?.unique("group")?.is_some();
        let group = self.group.or((!has_group).then_some(""));
        let given = [("group", group), ("name", self.name), ("version", self.version)];
        for (key, value) in given {
            if let Some(value) = value {
                text = with_property(&text, key, value)?;
            }
        }
        Manifest::parse(text.as_bytes(), limits)
    }
}

fn parts(object: &Object<'_>) -> Result<Option<VirtualParts>, ManifestError> {
    let Some(contents) = object.unique("contents")? else { return Ok(None) };
    let contents = items(contents.raw, "contents", Place::Contents)?;
    if contents.is_empty() {
        return Err(ManifestError::NoContents);
    }
    let meta_contents = match object.unique("metaContents")? {
        Some(member) if member.raw != "null" => {
            items(member.raw, "metaContents", Place::MetaContents)?
        }
        _ => Vec::new(),
    };
    Ok(Some(VirtualParts { contents, meta_contents }))
}

fn items(
    raw: &str,
    property: &'static str,
    place: Place,
) -> Result<Vec<VirtualItem>, ManifestError> {
    let mut items = Ok(Vec::new());
    for_each_element(raw, &mut |element| {
        let Ok(read) = &mut items else { return };
        if read.len() == MOST_ITEMS {
            items = Err(ManifestError::ManyItems { property });
            return;
        }
        match VirtualItem::parse(element, place) {
            Ok(item) => read.push(item),
            Err(source) => {
                let number = read.len() + 1;
                items = Err(ManifestError::Item { property, number, source });
            }
        }
    })
    .map_err(|source| ManifestError::NoList { property, source })?;
    items
}

/// The object `text` with the text `value` as `key`, at its place or else at the end.
fn with_property(text: &str, key: &str, value: &str) -> Result<String, JsonEditError> {
    use hayloft_feed::json::{quoted, replaced};
    let object = Object::parse(text)?;
    let value = quoted(value);
    if let Some(member) = object.unique(key)? {
        return Ok(replaced(text, &member.span, &value));
    }
    let member = format!("{}: {value}", quoted(key));
    let Some(last) = object.members().last() else { return Ok(format!("{{\n  {member}\n}}")) };
    let inside = text.trim_start_matches('{');
    let blank = inside.chars().take_while(char::is_ascii_whitespace).collect::<String>();
    let blank = if blank.contains('\n') { blank } else { " ".to_owned() };
    Ok(replaced(text, &(last.span.end..last.span.end), &format!(",{blank}{member}")))
}

/// The object `text` without the property `key`.
fn without_property(text: &str, key: &str) -> Result<String, JsonEditError> {
    use hayloft_feed::json::replaced;
    let object = Object::parse(text)?;
    object.unique(key)?;
    let Some(at) = object.members().iter().position(|member| member.key == key) else {
        return Ok(text.to_owned());
    };
    let end_of = |at: usize| object.members().get(at).map(|member| member.span.end);
    let open = text.find('{').map_or(0, |open| open + 1);
    let (Some(end), next) = (end_of(at), end_of(at + 1)) else { return Ok(text.to_owned()) };
    let span = match (at.checked_sub(1).and_then(end_of), next) {
        // From the end of the value before: the comma goes too.
        (Some(before), _) => before..end,
        (None, None) => open..end,
        // The first of several: the comma behind it goes.
        (None, Some(_)) => {
            let comma = text.get(end..).and_then(|rest| rest.find(',')).unwrap_or(0);
            open..end + comma + 1
        }
    };
    Ok(replaced(text, &span, ""))
}

/// Counts brackets outside of strings, so that nothing recurses before the text is known to be
/// shallow.
fn is_nested_deeper(text: &str, limit: usize) -> bool {
    let mut depth = 0_usize;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(inner) = bytes.next() {
                    match inner {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(text: &str) -> Result<Manifest, ManifestError> {
        Manifest::parse(text.as_bytes(), &Limits::default())
    }

    #[rstest]
    #[case::plain(r#"{"name":"pkg","version":"1.0.0"}"#, "pkg:1.0.0")]
    #[case::group_last(r#"{"name":"pkg","version":"1.0.0","group":"a/b"}"#, "a/b/pkg:1.0.0")]
    #[case::empty_group(r#"{"group":"","name":"pkg","version":"1.0.0"}"#, "pkg:1.0.0")]
    #[case::null_group(r#"{"group":null,"name":"pkg","version":"1.0.0"}"#, "pkg:1.0.0")]
    #[case::byte_order_mark(
        "\u{feff}{\r\n\"name\":\"pkg\",\r\n\"version\":\"1.0.0\"}",
        "pkg:1.0.0"
    )]
    #[case::escapes(r#"{"n\u0061me":"p\u006bg","version":"1.0.0"}"#, "pkg:1.0.0")]
    #[case::huge_number(
        r#"{"name":"pkg","version":"1.0.0","n":123456789012345678901234567890e400}"#,
        "pkg:1.0.0"
    )]
    fn identity_is_read(#[case] text: &str, #[case] expected: &str) {
        let manifest = read(text).unwrap();
        assert_eq!(format!("{}:{}", manifest.package(), manifest.version()), expected);
        assert_eq!(manifest.text(), text.trim_start_matches('\u{feff}'));
        assert!(manifest.warnings().is_empty());
    }

    #[rstest]
    #[case::no_object("[]", "upack.json does not begin with `{`")]
    #[case::empty("", "upack.json does not begin with `{`")]
    #[case::second_mark("\u{feff}\u{feff}{}", "upack.json does not begin with `{`")]
    #[case::cut("{\"name\":\"pkg\",", "upack.json is malformed")]
    #[case::no_name(r#"{"version":"1.0.0"}"#, "upack.json has no `name`")]
    #[case::no_version(r#"{"name":"pkg"}"#, "upack.json has no `version`")]
    #[case::name_twice(
        r#"{"name":"pkg","name":"other","version":"1.0.0"}"#,
        "upack.json is malformed"
    )]
    #[case::blank_that_is_none_in_json(
        "\u{b}{\"name\":\"pkg\",\"version\":\"1.0.0\"}",
        "upack.json does not begin with `{`"
    )]
    #[case::number_as_version(r#"{"name":"pkg","version":1}"#, "upack.json is malformed")]
    #[case::number_as_group(
        r#"{"group":1,"name":"pkg","version":"1.0.0"}"#,
        "upack.json is malformed"
    )]
    #[case::lax_version(
        r#"{"name":"pkg","version":"01.0.0"}"#,
        "upack.json has the version `01.0.0`"
    )]
    #[case::bad_name(
        r#"{"name":"a b","version":"1.0.0"}"#,
        "upack.json has an unusable group or name"
    )]
    #[case::no_items(
        r#"{"name":"pkg","version":"1.0.0","contents":[]}"#,
        "`contents` of upack.json is empty; a virtual package needs at least one item"
    )]
    #[case::no_list(
        r#"{"name":"pkg","version":"1.0.0","contents":"a:1.0.0"}"#,
        "`contents` of upack.json is not a list"
    )]
    #[case::bad_item(
        r#"{"name":"pkg","version":"1.0.0","contents":["a:1.0.0",7]}"#,
        "item 2 of `contents` in upack.json is malformed"
    )]
    fn malformed_manifests_are_refused(#[case] text: &str, #[case] message: &str) {
        assert_eq!(read(text).unwrap_err().to_string(), message);
    }

    #[test]
    fn text_that_is_not_utf_8_is_refused() {
        let utf_16 = b"\xff\xfe{\0}\0";
        let error = Manifest::parse(utf_16, &Limits::default()).unwrap_err();
        assert!(matches!(error, ManifestError::Encoding));
    }

    #[test]
    fn nesting_is_limited_before_anything_recurses() {
        let nest = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            format!(r#"{{"name":"pkg","version":"1.0.0","_x":{open}{close},"_s":"[[[\"[["}}"#)
        };
        let limit = Limits::default().depth;
        assert!(read(&nest(limit - 1)).is_ok());
        assert!(matches!(read(&nest(limit)).unwrap_err(), ManifestError::Depth { .. }));
        assert!(matches!(read(&nest(1 << 20)).unwrap_err(), ManifestError::Depth { .. }));
    }

    #[test]
    fn repackaging_changes_the_version_and_the_history_and_nothing_else() {
        let text = "\u{feff}{\r\n\t\"group\" : \"\",\r\n\t\"name\":\"pkg\",\r\n\t\"version\":\"1.0.0-a\",\
                    \r\n\t\"n\":1.50e+400,\r\n\t\"_v\":\"1.0.0-a\"\r\n}\r\n";
        let changed = repackaged(text, "1.0.0", &HistoryEntry::of("pkg:1.0.0-a")).unwrap();
        let expected = text.replacen("1.0.0-a", "1.0.0", 1).replace(
            "\"_v\":\"1.0.0-a\"\r\n",
            "\"_v\":\"1.0.0-a\",\r\n\t\"repackageHistory\": [\r\n\t\t{\"id\":\"pkg:1.0.0-a\"}\r\n\t]\r\n",
        );
        assert_eq!(changed, expected);
    }

    #[rstest]
    #[case::text(r#""a:1""#, &["a:1", "pkg:1.0.0"])]
    #[case::object(r#"{"id":"a:1","_k":[1]}"#, &["a:1", "pkg:1.0.0"])]
    #[case::mixed(r#"["a:1", {"id":"g:b:2"}]"#, &["a:1", "g:b:2", "pkg:1.0.0"])]
    #[case::empty("[]", &["pkg:1.0.0"])]
    #[case::null("null", &["pkg:1.0.0"])]
    fn every_written_form_of_history_is_continued(#[case] raw: &str, #[case] ids: &[&str]) {
        let text = format!(r#"{{"name":"pkg","version":"1.0.0","repackageHistory":{raw}}}"#);
        let changed = repackaged(&text, "2.0.0", &HistoryEntry::of("pkg:1.0.0")).unwrap();
        let read = read(&changed).unwrap();
        assert_eq!(read.history().iter().map(|entry| &entry.id).collect::<Vec<_>>(), ids);
        assert_eq!(read.version().text(), "2.0.0");
    }

    #[rstest]
    #[case::number("7")]
    #[case::no_id(r#"[{"by":"me"}]"#)]
    fn a_malformed_history_is_kept_in_place_but_not_continued(#[case] raw: &str) {
        let text = format!(r#"{{"name":"pkg","version":"1.0.0","repackageHistory":{raw}}}"#);
        assert_eq!(read(&text).unwrap().warnings().len(), 1);
        let error = repackaged(&text, "2.0.0", &HistoryEntry::of("pkg:1.0.0")).unwrap_err();
        assert!(matches!(error, ManifestError::History(_)));
    }

    #[test]
    fn a_new_manifest_begins_with_its_group() {
        let new =
            NewManifest { name: Some("pkg"), version: Some("1.0.0"), ..NewManifest::default() };
        assert_eq!(
            new.write(&Limits::default()).unwrap().text(),
            "{\n  \"group\": \"\",\n  \"name\": \"pkg\",\n  \"version\": \"1.0.0\"\n}"
        );
    }

    #[test]
    fn an_existing_manifest_keeps_what_is_not_overridden() {
        let existing = "{\r\n  \"version\": \"1.0.0\",\r\n  \"_b\": 1.0,\r\n  \"group\": null\r\n}";
        let new = NewManifest {
            existing: Some(existing.as_bytes()),
            group: Some("a/b"),
            name: Some("pkg"),
            version: Some("1.0.1"),
        };
        assert_eq!(
            new.write(&Limits::default()).unwrap().text(),
            "{\r\n  \"version\": \"1.0.1\",\r\n  \"_b\": 1.0,\r\n  \"group\": \"a/b\",\
             \r\n  \"name\": \"pkg\"\r\n}"
        );
        let late_mark = NewManifest { existing: Some(b"\n\xef\xbb\xbf{}"), ..new };
        assert!(matches!(late_mark.write(&Limits::default()), Err(ManifestError::NoObject)));
        let bad =
            NewManifest { name: Some("a b"), version: Some("1.0.0"), ..NewManifest::default() };
        assert!(bad.write(&Limits::default()).is_err());
    }

    #[rstest]
    #[case::last(r#"{"name":"a","version":"1.0.0","contents":["b:1.0.0"]}"#)]
    #[case::first(r#"{"contents":["b:1.0.0"],"name":"a","version":"1.0.0"}"#)]
    #[case::both(r#"{"metaContents":[],"name":"a","contents":["b:1.0.0"],"version":"1.0.0"}"#)]
    fn an_assembled_package_has_the_same_manifest_without_the_parts(#[case] text: &str) {
        let manifest = read(text).unwrap();
        assert_eq!(manifest.virtual_parts().unwrap().contents.len(), 1);
        let assembled = manifest.assembled_text().unwrap();
        assert_eq!(assembled, r#"{"name":"a","version":"1.0.0"}"#);
    }
}
