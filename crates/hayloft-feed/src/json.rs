//! Edits to JSON text by span: what is not meant to change keeps its bytes.
//!
//! `serde_json` finds the spans (a borrowed [`RawValue`] is a slice of the text it was read from),
//! so no tokenizer is written here.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// JSON text cannot be edited as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonEditError {
    /// Not well-formed, or not the container that was expected.
    #[error("is not the expected JSON")]
    Syntax(#[source] serde_json::Error),
    /// A key that decides something stands twice.
    #[error("`{0}` is given more than once")]
    Duplicate(String),
    /// A value has another type than the edit needs.
    #[error("`{key}` is not {expected}")]
    Type {
        /// The property.
        key: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// One property of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member<'t> {
    /// Key, unescaped.
    pub key: Cow<'t, str>,
    /// Byte range of the value in the text, without surrounding blanks.
    pub span: Range<usize>,
    /// The value's text.
    pub raw: &'t str,
}

/// The properties of one JSON object, in the order of the text.
#[derive(Debug, Clone)]
pub struct Object<'t> {
    text: &'t str,
    members: Vec<Member<'t>>,
}

/// Members of one object that are kept at most; each takes 56 bytes beside the text. No package of
/// any ecosystem comes near.
pub const MOST_MEMBERS: usize = 100_000;

/// Collects the members of the object that begins in this text.
struct Members<'t>(&'t str);

impl<'de> DeserializeSeed<'de> for Members<'de> {
    type Value = Vec<Member<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'de> {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            if members.len() == MOST_MEMBERS {
                return Err(A::Error::custom(format_args!("more than {MOST_MEMBERS} members")));
            }
            members.push(Member { key, span: span_in(self.0, value.get()), raw: value.get() });
        }
        Ok(members)
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'t>(#[serde(borrow)] Cow<'t, str>);

/// Shows the elements of an array as they stand in the text.
struct Elements<'s, 't>(&'s mut dyn FnMut(&'t str));

impl<'de> DeserializeSeed<'de> for Elements<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, 'de> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element::<&'de RawValue>()? {
            (self.0)(element.get());
        }
        Ok(())
    }
}

/// Shows the elements of the array that `text` is, as they stand there, one after the other; keeps
/// none of them.
pub fn for_each_element<'t>(
    text: &'t str,
    see: &mut dyn FnMut(&'t str),
) -> Result<(), JsonEditError> {
    whole(without_bom(text), Elements(see))
}

/// Reads all of `text` by `seed`.
fn whole<'t, S: DeserializeSeed<'t>>(text: &'t str, seed: S) -> Result<S::Value, JsonEditError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut deserializer).map_err(JsonEditError::Syntax)?;
    deserializer.end().map_err(JsonEditError::Syntax)?;
    Ok(value)
}

impl<'t> Object<'t> {
    /// Finds the members of the object that `text` is; a byte order mark before it is skipped.
    /// An object of more than [`MOST_MEMBERS`] is not the expected JSON.
    pub fn parse(text: &'t str) -> Result<Self, JsonEditError> {
        Ok(Self { text, members: whole(without_bom(text), Members(text))? })
    }

    /// All members, in order, repeated keys included.
    pub fn members(&self) -> &[Member<'t>] {
        &self.members
    }

    /// The member `key`, unless it stands twice.
    pub fn unique(&self, key: &str) -> Result<Option<&Member<'t>>, JsonEditError> {
        let mut found = self.members.iter().filter(|member| member.key == key);
        let first = found.next();
        if found.next().is_some() {
            return Err(JsonEditError::Duplicate(key.to_owned()));
        }
        Ok(first)
    }

    /// The text of the string `key`, unescaped; `None` if it is missing.
    pub fn string(&self, key: &str) -> Result<Option<String>, JsonEditError> {
        self.unique(key)?
            .map(|member| {
                serde_json::from_str(member.raw)
                    .map_err(|_| JsonEditError::Type { key: key.to_owned(), expected: "a string" })
            })
            .transpose()
    }

    /// The whole text with the string value of `key` replaced.
    pub fn with_string(&self, key: &str, value: &str) -> Result<String, JsonEditError> {
        self.string(key)?;
        let member = self
            .unique(key)?
            .ok_or_else(|| JsonEditError::Type { key: key.to_owned(), expected: "present" })?;
        Ok(replaced(self.text, &member.span, &quoted(value)))
    }
}

/// `text` as a JSON string with its quotes.
pub fn quoted(text: &str) -> String {
    // A string always serializes.
    serde_json::to_string(text).unwrap_or_default()
}

/// `text` with the bytes of `span` replaced. A span that is not one of `text` changes nothing.
pub fn replaced(text: &str, span: &Range<usize>, with: &str) -> String {
    match (text.get(..span.start), text.get(span.end..)) {
        (Some(before), Some(after)) => [before, with, after].concat(),
        _ => text.to_owned(),
    }
}

/// The array `text` with `element` (JSON) added at its end; a single string or object becomes the
/// first element of an array, and `null` an array of `element` alone.
pub fn append_to_array(text: &str, element: &str) -> Result<String, JsonEditError> {
    let body = without_bom(text);
    let trimmed = body.trim_start();
    if trimmed.trim_end() == "null" {
        return Ok(replaced(text, &span_in(text, body.trim()), &format!("[{element}]")));
    }
    if trimmed.starts_with(['"', '{']) {
        serde_json::from_str::<&RawValue>(body).map_err(JsonEditError::Syntax)?;
        let span = span_in(text, body.trim());
        let single = body.trim();
        return Ok(replaced(text, &span, &format!("[{single}, {element}]")));
    }
    let (mut first, mut last) = (None, None);
    for_each_element(body, &mut |element| {
        first.get_or_insert(element);
        last = Some(element);
    })?;
    let open = span_in(text, trimmed).start;
    let Some(last) = last.map(|raw| span_in(text, raw)) else {
        let close = text.rfind(']').unwrap_or(open);
        return Ok(replaced(text, &(open..close + 1), &format!("[{element}]")));
    };
    // New elements stand as the last one does: on a line of their own, or after a blank.
    let first = first.map_or(last.start, |raw| span_in(text, raw).start);
    let lead = text.get(open + 1..first).unwrap_or("");
    let lead = if lead.contains('\n') { lead } else { " " };
    Ok(replaced(text, &(last.end..last.end), &format!(",{lead}{element}")))
}

/// The object `text` with `element` (JSON) added to the array `property`, which is made at the end
/// of the object if it is missing, and in its place if it is `null`.
pub fn append_to_property(
    text: &str,
    property: &str,
    element: &str,
) -> Result<String, JsonEditError> {
    let object = Object::parse(text)?;
    if let Some(member) = object.unique(property)? {
        if member.raw != "null" && !member.raw.starts_with(['[', '"', '{']) {
            return Err(JsonEditError::Type {
                key: property.to_owned(),
                expected: "a list, text or an object",
            });
        }
        let array = append_to_array(member.raw, element)?;
        return Ok(replaced(text, &member.span, &array));
    }
    let Some(last) = object.members().last() else {
        let open = text.find('{').unwrap_or(0);
        let member = format!("{}: [{element}]", quoted(property));
        return Ok(replaced(text, &(open + 1..open + 1), &member));
    };
    let lead = object.lead();
    let member = if lead.contains('\n') {
        let unit = lead.rsplit('\n').next().unwrap_or("");
        format!(",{lead}{}: [{lead}{unit}{element}{lead}]", quoted(property))
    } else if object.is_spaced() {
        format!(", {}: [{element}]", quoted(property))
    } else {
        format!(",{}:[{element}]", quoted(property))
    };
    Ok(replaced(text, &(last.span.end..last.span.end), &member))
}

impl Object<'_> {
    /// The blanks between `{` and the first key: how members are laid out.
    fn lead(&self) -> &str {
        let body = self.text.find('{').and_then(|open| self.text.get(open + 1..)).unwrap_or("");
        body.get(..body.len() - body.trim_start().len()).unwrap_or("")
    }

    /// True if a blank follows the colon of the first member.
    fn is_spaced(&self) -> bool {
        self.members
            .first()
            .and_then(|member| self.text.get(..member.span.start))
            .is_some_and(|before| before.ends_with(char::is_whitespace))
    }
}

fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Where `part`, a slice of `text`, lies in it.
fn span_in(text: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    start..start + part.len()
}

/// Bytes of memory that a tree of the values in `text` takes at most, text included, whatever its
/// shape: to be charged to an [`Account`](crate::Account) before a parser makes one.
///
/// Costs one look at each byte.
pub fn tree_size(text: &[u8]) -> u64 {
    /// A member of a map with its key, half of the map's room being empty.
    const MEMBER: u64 = 128;
    /// The least room of a map.
    const MAP: u64 = 704;
    /// The least room of a list.
    const LIST: u64 = 192;
    /// An element of a list that doubles.
    const ELEMENT: u64 = 96;
    let size = |byte: &u8| match byte {
        b':' => MEMBER,
        b'{' => MAP,
        b'[' => LIST,
        b',' => ELEMENT,
        _ => 0,
    };
    let nodes = text.iter().map(size).fold(ELEMENT, u64::saturating_add);
    nodes.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX).saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_a_string_keeps_every_other_byte() {
        let text =
            "\u{feff}{\r\n\t\"name\" : \"a\",\r\n\t\"version\":  \"1.0.0\" ,\"n\":1e400}\r\n";
        let object = Object::parse(text).unwrap();
        assert_eq!(object.string("version").unwrap().as_deref(), Some("1.0.0"));
        assert_eq!(object.with_string("version", "2.0.0").unwrap(), text.replace("1.0.0", "2.0.0"));
    }

    #[test]
    fn an_object_of_too_many_members_is_refused() {
        let text = |count: usize| format!("{{{}}}", vec!["\"a\":1"; count].join(","));
        assert_eq!(Object::parse(&text(MOST_MEMBERS)).unwrap().members().len(), MOST_MEMBERS);
        assert!(Object::parse(&text(MOST_MEMBERS + 1)).is_err());
    }

    #[test]
    fn elements_are_shown_as_they_stand() {
        let mut seen = Vec::new();
        for_each_element("\u{feff}[1.0, {\"a\" :2},\"x\"]\n", &mut |raw| seen.push(raw)).unwrap();
        assert_eq!(seen, ["1.0", "{\"a\" :2}", "\"x\""]);
        for broken in ["{}", "[1", "[1]x", ""] {
            assert!(for_each_element(broken, &mut |_| {}).is_err(), "{broken}");
        }
    }

    #[test]
    fn only_the_top_level_is_looked_at() {
        let text = r#"{"a":{"version":"9"},"version":"1"}"#;
        let changed = Object::parse(text).unwrap().with_string("version", "2").unwrap();
        assert_eq!(changed, r#"{"a":{"version":"9"},"version":"2"}"#);
    }

    #[test]
    fn escaped_keys_are_the_same_key() {
        let text = r#"{"\u0076ersion":"1","version":"2"}"#;
        let error = Object::parse(text).unwrap().string("version").unwrap_err();
        assert!(matches!(error, JsonEditError::Duplicate(_)));
    }

    #[test]
    fn a_missing_list_is_added_in_the_style_of_the_text() {
        let two_spaces = "{\n  \"a\": 1,\n  \"b\": 2\n}\n";
        assert_eq!(
            append_to_property(two_spaces, "h", "7").unwrap(),
            "{\n  \"a\": 1,\n  \"b\": 2,\n  \"h\": [\n    7\n  ]\n}\n"
        );
        assert_eq!(append_to_property(r#"{"a":1}"#, "h", "7").unwrap(), r#"{"a":1,"h":[7]}"#);
        assert_eq!(append_to_property(r#"{"a": 1}"#, "h", "7").unwrap(), r#"{"a": 1, "h": [7]}"#);
        assert_eq!(append_to_property("{}", "h", "7").unwrap(), r#"{"h": [7]}"#);
        let crlf = "{\r\n\t\"a\": 1\r\n}";
        assert_eq!(
            append_to_property(crlf, "h", "7").unwrap(),
            "{\r\n\t\"a\": 1,\r\n\t\"h\": [\r\n\t\t7\r\n\t]\r\n}"
        );
    }

    #[test]
    fn an_existing_list_is_extended_and_a_single_value_wrapped() {
        let text = "{\"h\": [\n  \"x\"\n], \"z\": 0}";
        assert_eq!(
            append_to_property(text, "h", "7").unwrap(),
            "{\"h\": [\n  \"x\",\n  7\n], \"z\": 0}"
        );
        assert_eq!(append_to_property(r#"{"h":[]}"#, "h", "7").unwrap(), r#"{"h":[7]}"#);
        assert_eq!(append_to_property(r#"{"h":"x"}"#, "h", "7").unwrap(), r#"{"h":["x", 7]}"#);
        assert!(append_to_property(r#"{"h":7}"#, "h", "7").is_err());
    }
}
