use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Number;

/// JSON whose objects keep the order of their keys, as JavaScript's do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Value>),
    Object(Object),
}

/// The members of a JSON object in the order of their first appearance; of a repeated key the last
/// value counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Object(Vec<(String, Value)>);

impl Value {
    /// Reads JSON of at most `depth` nested containers.
    pub(crate) fn parse(text: &str, depth: usize) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let value = Nested { left: depth, depth }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// What `if (value)` is in JavaScript.
    pub(crate) fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Number(number) => number.as_f64() != Some(0.0),
            Self::Text(text) => !text.is_empty(),
            Self::List(_) | Self::Object(_) => true,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Object {
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_text)
    }

    /// Replaces the value where it stands, or adds the key at the end.
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(at).1)
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &Value) -> bool) {
        self.0.retain(|(key, value)| keep(key, value));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(members: I) -> Self {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut kept: Vec<(String, Value)> = Vec::new();
        for (key, value) in members {
            match places.entry(key) {
                Entry::Occupied(place) => {
                    if let Some(member) = kept.get_mut(*place.get()) {
                        member.1 = value;
                    }
                }
                Entry::Vacant(place) => {
                    kept.push((place.key().clone(), value));
                    place.insert(kept.len() - 1);
                }
            }
        }
        Self(kept)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => list.serialize(serializer),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// JSON text in which each half of a surrogate pair that lacks its other half is replaced.
///
/// JavaScript keeps such text, which is no Unicode: descriptions cut inside an emoji hold it.
pub(crate) fn with_whole_surrogates(text: &str) -> Cow<'_, str> {
    let mut whole = String::new();
    let mut rest = text;
    let mut changed = false;
    while let Some((before, escape)) = rest.split_once('\\') {
        whole.push_str(before);
        let second = || escape.get(5..)?.strip_prefix('\\').and_then(code_unit);
        let length = match code_unit(escape) {
            Some(0xd800..=0xdbff) if matches!(second(), Some(0xdc00..=0xdfff)) => 11,
            Some(0xd800..=0xdfff) => 0,
            _ => escape.chars().next().map_or(0, char::len_utf8),
        };
        if length == 0 && !escape.is_empty() {
            changed = true;
            whole.push_str("\\ufffd");
            rest = escape.get(5..).unwrap_or_default();
            continue;
        }
        let (kept, after) = escape.split_at_checked(length).unwrap_or((escape, ""));
        whole.push('\\');
        whole.push_str(kept);
        rest = after;
    }
    if changed { Cow::Owned(whole + rest) } else { Cow::Borrowed(text) }
}

/// The number in `uXXXX`, what follows a backslash.
fn code_unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix('u')?.get(..4)?, 16).ok()
}

/// A value inside which `left` of `depth` levels may still open.
#[derive(Clone, Copy)]
struct Nested {
    left: usize,
    depth: usize,
}

impl Nested {
    fn inner<E: Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Self { left, ..self }),
            None => Err(E::custom(format_args!("nested deeper than {} levels", self.depth))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            list.push(element);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(key) = members.next_key::<String>()? {
            list.push((key, members.next_value_seed(inner)?));
        }
        Ok(Value::Object(list.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        serde_json::to_string(&Value::parse(text, 8).unwrap()).unwrap()
    }

    #[test]
    fn order_is_kept_and_the_last_of_repeated_keys_counts() {
        assert_eq!(
            printed(r#"{"b": 1, "a": [null, true, -2, 1.5], "b": "x"}"#),
            r#"{"b":"x","a":[null,true,-2,1.5]}"#
        );
    }

    #[test]
    fn nesting_is_counted_and_limited() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(Value::parse(&nested(8), 8).is_ok());
        let error = Value::parse(&nested(9), 8).unwrap_err();
        assert!(error.to_string().starts_with("nested deeper than 8 levels"), "{error}");
        assert!(Value::parse(&"[".repeat(1_000_000), usize::MAX).is_err());
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced_and_a_whole_one_kept() {
        let pair = r#""a\\ud83d \ud83d\ude00 \u0041""#;
        assert!(matches!(with_whole_surrogates(pair), Cow::Borrowed(_)));
        let cut = r#"["\ud83d", "\ude00x", "\ud83d\ud83d\ude00", "\ud83d\n"]"#;
        assert_eq!(
            with_whole_surrogates(cut),
            r#"["\ufffd", "\ufffdx", "\ufffd\ud83d\ude00", "\ufffd\n"]"#
        );
        for broken in ["\\", "\\u", "\\ud83d", "\\ud83d\\", "\\ud83d\\u", "\\é", "\\ud8é"] {
            with_whole_surrogates(broken);
        }
    }

    #[test]
    fn text_after_the_value_is_an_error() {
        assert!(Value::parse("{} x", 8).is_err());
    }
}
