use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::{self, JsonEditError};

/// One step of a package's repackaging history, as embedded in the package.
///
/// In JSON an object whose only required key is `id`, or a bare string that is the `id`. Keys that
/// Hayloft does not know are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Identification string of the package this one was made from; see [`SourceReference`].
    pub id: String,
    /// When, as `yyyy-MM-ddThh:mm:ssZ` in what Hayloft writes; other tools vary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Why, in the words of who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The tool, like a user agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<String>,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The job that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// All other keys.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// Text is not a repackaging history.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// Not JSON, or an entry without an `id`, or a value of another type than text.
    #[error("the repackaging history is not a list of entries with an `id`")]
    Shape(#[source] serde_json::Error),
    /// More than a thousand steps have.
    #[error("the repackaging history is longer than {LONGEST} bytes or {MOST_ENTRIES} entries")]
    TooLong,
    /// The text cannot be edited.
    #[error("the repackaging history cannot be extended")]
    Edit(#[source] JsonEditError),
}

/// Bytes of a history that is read: about a thousand steps. What it is read into takes up to sixty
/// times as much.
const LONGEST: usize = 256 << 10;
/// Steps of a history that is read.
const MOST_ENTRIES: usize = 10_000;

#[derive(Deserialize)]
#[serde(untagged)]
enum One {
    Id(String),
    Entry(HistoryEntry),
}

impl From<One> for HistoryEntry {
    fn from(one: One) -> Self {
        match one {
            One::Id(id) => Self::of(id),
            One::Entry(entry) => entry,
        }
    }
}

fn read_one(raw: &str) -> Result<HistoryEntry, HistoryError> {
    serde_json::from_str(raw).map(|one: One| one.into()).map_err(HistoryError::Shape)
}

impl HistoryEntry {
    /// An entry that holds an `id` alone.
    pub fn of(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            date: None,
            reason: None,
            using: None,
            by: None,
            url: None,
            other: BTreeMap::new(),
        }
    }

    /// The same entry with the mark that signatures over the old bytes were removed.
    #[must_use]
    pub fn with_signature_removed(&self) -> Self {
        let mut entry = self.clone();
        entry.other.insert("_signatureRemoved".to_owned(), Value::Bool(true));
        entry
    }

    /// Reads the JSON of a history: an array of strings and objects mixed, or a single one of
    /// either. Oldest first, as stored. `null` is an empty one: .NET tools write it for a property
    /// that was never set.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, HistoryError> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.len() > LONGEST {
            return Err(HistoryError::TooLong);
        }
        match text.as_bytes().first() {
            Some(b'n') if text == "null" => return Ok(Vec::new()),
            Some(b'[') => {}
            _ => return Ok(vec![read_one(text)?]),
        }
        let mut entries = Ok(Vec::new());
        json::for_each_element(text, &mut |raw| {
            let Ok(read) = &mut entries else { return };
            if read.len() == MOST_ENTRIES {
                entries = Err(HistoryError::TooLong);
                return;
            }
            match read_one(raw) {
                Ok(entry) => read.push(entry),
                Err(error) => entries = Err(error),
            }
        })
        .map_err(|error| match error {
            JsonEditError::Syntax(error) => HistoryError::Shape(error),
            error => HistoryError::Edit(error),
        })?;
        entries
    }

    /// Appends this entry to a history file that is a JSON array of its own; `None` starts one.
    /// All existing text is kept.
    pub fn append_to_list(&self, existing: Option<&str>) -> Result<String, HistoryError> {
        let entry = self.json();
        match existing {
            None => Ok(format!("[\n  {entry}\n]\n")),
            Some(text) => {
                Self::parse_list(text)?;
                json::append_to_array(text, &entry).map_err(HistoryError::Edit)
            }
        }
    }

    /// Appends this entry to the array `property` of a JSON object, adding the property at the end
    /// if it is missing, taking the place of `null` and wrapping a single entry. All other text is
    /// kept.
    pub fn append_to_property(&self, object: &str, property: &str) -> Result<String, HistoryError> {
        json::append_to_property(object, property, &self.json()).map_err(HistoryError::Edit)
    }

    fn json(&self) -> String {
        // A struct of strings and JSON values always serializes.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// An identification string: `group/name:version`, with an optional `:sha1` of the package file.
///
/// Written with a slash after the group. Read also with a colon there, as older tools write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReference {
    /// Empty if there is none; may contain slashes.
    pub group: String,
    /// Package name.
    pub name: String,
    /// Version text.
    pub version: String,
    /// SHA-1 of the package file, 40 lower-case hex digits.
    pub sha1: Option<String>,
}

/// Text is not an identification string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not of the form group/name:version")]
pub struct SourceReferenceError;

impl FromStr for SourceReference {
    type Err = SourceReferenceError;

    fn from_str(text: &str) -> Result<Self, SourceReferenceError> {
        let (rest, sha1) = match text.rsplit_once(':') {
            Some((rest, last))
                if last.len() == 40 && last.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
            {
                (rest, Some(last.to_ascii_lowercase()))
            }
            _ => (text, None),
        };
        let (package, version) = rest.rsplit_once(':').ok_or(SourceReferenceError)?;
        let (group, name) =
            package.rsplit_once('/').or_else(|| package.rsplit_once(':')).unwrap_or(("", package));
        if name.is_empty() || version.is_empty() {
            return Err(SourceReferenceError);
        }
        Ok(Self {
            group: group.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            sha1,
        })
    }
}

impl fmt::Display for SourceReference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.group.is_empty() {
            write!(out, "{}/", self.group)?;
        }
        write!(out, "{}:{}", self.name, self.version)?;
        if let Some(sha1) = &self.sha1 {
            write!(out, ":{sha1}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_strings_and_objects_mixed_and_keeps_unknown_keys() {
        let text = r#"["a:1.0.0", {"id":"g:b:2","using":"ProGet/24.0.17","_x":{"y":1}}]"#;
        let entries = HistoryEntry::parse_list(text).unwrap();
        assert_eq!(entries[0], HistoryEntry::of("a:1.0.0"));
        assert_eq!(entries[1].other["_x"]["y"], 1);
        assert_eq!(HistoryEntry::parse_list(r#""a:1""#).unwrap().len(), 1);
        assert!(HistoryEntry::parse_list("[1]").is_err());
        assert!(HistoryEntry::parse_list(r#"[{"by":"x"}]"#).is_err());
    }

    #[test]
    fn a_history_is_read_up_to_its_limits() {
        let of = |count: usize| format!("[{}]", vec!["\"a:1\""; count].join(","));
        assert_eq!(HistoryEntry::parse_list(&of(MOST_ENTRIES)).unwrap().len(), MOST_ENTRIES);
        let error = HistoryEntry::parse_list(&of(MOST_ENTRIES + 1)).unwrap_err();
        assert!(matches!(error, HistoryError::TooLong));
        let long = format!("[\"{}\"]", "a".repeat(LONGEST));
        assert!(matches!(HistoryEntry::parse_list(&long).unwrap_err(), HistoryError::TooLong));
    }

    #[test]
    fn a_null_history_is_empty_and_gives_way_to_the_first_entry() {
        assert_eq!(HistoryEntry::parse_list(" null\n").unwrap(), []);
        let entry = HistoryEntry::of("a:1");
        assert_eq!(entry.append_to_list(Some("null\n")).unwrap(), "[{\"id\":\"a:1\"}]\n");
        let object = "{ \"h\": null, \"x\": 1.0 }";
        assert_eq!(
            entry.append_to_property(object, "h").unwrap(),
            "{ \"h\": [{\"id\":\"a:1\"}], \"x\": 1.0 }"
        );
    }

    #[test]
    fn a_new_list_is_read_back_and_extended_without_touching_old_text() {
        let first = HistoryEntry::of("a:1").append_to_list(None).unwrap();
        let second = HistoryEntry::of("a:2").append_to_list(Some(&first)).unwrap();
        let ids: Vec<_> =
            HistoryEntry::parse_list(&second).unwrap().into_iter().map(|entry| entry.id).collect();
        assert_eq!(ids, ["a:1", "a:2"]);
        assert!(HistoryEntry::parse_list("[{\"id\":\"x\"},]").is_err());
        let extended = HistoryEntry::of("x:3").append_to_list(Some("[ \"x:1\" ]")).unwrap();
        assert_eq!(extended, "[ \"x:1\", {\"id\":\"x:3\"} ]");
    }

    #[test]
    fn identification_strings_are_read_in_all_their_forms() {
        let sha1 = "A".repeat(40);
        let full: SourceReference = format!("a/b/c:1.0:{sha1}").parse().unwrap();
        assert_eq!((full.group.as_str(), full.name.as_str()), ("a/b", "c"));
        assert_eq!(full.to_string(), format!("a/b/c:1.0:{}", "a".repeat(40)));
        let vendor: SourceReference = "inedox:AWS:3.1.0-CI.2".parse().unwrap();
        assert_eq!((vendor.group.as_str(), vendor.name.as_str()), ("inedox", "AWS"));
        assert_eq!(vendor.to_string(), "inedox/AWS:3.1.0-CI.2");
        assert!("name".parse::<SourceReference>().is_err());
    }
}
