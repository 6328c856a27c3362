use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use hayloft_feed::json;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A JSON value as it stands in its text, which [`check`] has accepted.
///
/// No tree is built of a manifest: what is asked for is read one level deep, so that memory stays
/// near the size of the text whatever it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raw<'t>(pub(crate) &'t str);

/// The members of a JSON object in the order of their first appearance; of a repeated key the last
/// value counts. Values are JSON text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object<'t>(Vec<(Cow<'t, str>, Cow<'t, str>)>);

impl<'t> Raw<'t> {
    pub(crate) fn is(self, literal: &str) -> bool {
        self.0 == literal
    }

    pub(crate) fn as_text(self) -> Option<Cow<'t, str>> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Text<'t>(#[serde(borrow)] Cow<'t, str>);
        if !self.0.starts_with('"') {
            return None;
        }
        serde_json::from_str::<Text<'t>>(self.0).ok().map(|text| text.0)
    }

    pub(crate) fn as_object(self) -> Option<Object<'t>> {
        self.0.starts_with('{').then(|| Object::parse(self.0).ok()).flatten()
    }

    pub(crate) fn is_list(self) -> bool {
        self.0.starts_with('[')
    }

    /// The texts of a list; what is no text is left out.
    pub(crate) fn texts(self, see: &mut dyn FnMut(Cow<'t, str>)) {
        // A list that was checked before is read to its end.
        let _ = json::for_each_element(self.0, &mut |raw| {
            if let Some(text) = Raw(raw).as_text() {
                see(text);
            }
        });
    }

    /// What `if (value)` is in JavaScript.
    pub(crate) fn is_truthy(self) -> bool {
        match self.0.as_bytes().first() {
            Some(b'n' | b'f') | None => false,
            Some(b'"') => self.0 != "\"\"",
            Some(b't' | b'[' | b'{') => true,
            Some(_) => self.0.parse() != Ok(0.0),
        }
    }
}

impl<'t> Object<'t> {
    pub(crate) fn parse(text: &'t str) -> Result<Self, json::JsonEditError> {
        let object = json::Object::parse(text)?;
        let members = object.members().iter();
        Ok(Self::of(members.map(|member| (member.key.clone(), Cow::Borrowed(member.raw)))))
    }

    /// With the last value of each key at the place of the first.
    pub(crate) fn of(members: impl Iterator<Item = (Cow<'t, str>, Cow<'t, str>)>) -> Self {
        let mut places: HashMap<Cow<'t, str>, usize> = HashMap::new();
        let mut kept: Vec<(Cow<'t, str>, Cow<'t, str>)> = Vec::new();
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

    /// Of texts.
    pub(crate) fn of_texts<K: Into<Cow<'t, str>>, V: AsRef<str>>(
        members: impl Iterator<Item = (K, V)>,
    ) -> Self {
        Self::of(members.map(|(key, text)| (key.into(), json::quoted(text.as_ref()).into())))
    }

    pub(crate) fn get(&self, key: &str) -> Option<Raw<'_>> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| Raw(value))
    }

    pub(crate) fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        self.get(key).and_then(Raw::as_text)
    }

    /// Replaces the value where it stands, or adds the key at the end. `value` is JSON.
    pub(crate) fn set(&mut self, key: &str, value: String) {
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value.into(),
            None => self.0.push((key.to_owned().into(), value.into())),
        }
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.0.retain(|(name, _)| name != key);
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|(key, _)| keep(key));
    }

    /// Only members whose values are texts.
    pub(crate) fn retain_texts(&mut self) {
        self.0.retain(|(_, value)| value.starts_with('"'));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Raw<'_>)> {
        self.0.iter().map(|(key, value)| (&**key, Raw(value)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object on one line, without blanks.
    pub(crate) fn print(&self) -> String {
        let mut out = String::from("{");
        for (at, (key, value)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str(&json::quoted(key));
            out.push(':');
            push_compact(value, &mut out);
        }
        out.push('}');
        out
    }
}

/// Adds JSON text without the blanks around its tokens.
fn push_compact(json: &str, out: &mut String) {
    let mut within_text = false;
    let mut escaped = false;
    for letter in json.split_inclusive(|letter: char| {
        let ends = !within_text && matches!(letter, ' ' | '\t' | '\r' | '\n');
        if within_text {
            within_text = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
        } else {
            within_text = letter == '"';
        }
        ends
    }) {
        out.push_str(letter.strip_suffix([' ', '\t', '\r', '\n']).unwrap_or(letter));
    }
}

/// Checks that the text is JSON of at most `depth` nested containers, every part of it within the
/// range of JavaScript's types; keeps nothing.
pub(crate) fn check(text: &str, depth: usize) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Nested { left: depth, depth }.deserialize(&mut deserializer)?;
    deserializer.end()
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
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while elements.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut left = json::MOST_MEMBERS;
        while members.next_key_seed(inner)?.is_some() {
            members.next_value_seed(inner)?;
            left = left.checked_sub(1).ok_or_else(|| {
                A::Error::custom(format_args!("more than {} members", json::MOST_MEMBERS))
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn order_is_kept_and_the_last_of_repeated_keys_counts() {
        let text = r#"{"b": 1, "a": [null, true, -2, 1.50], "\u0062": "x"}"#;
        assert_eq!(Object::parse(text).unwrap().print(), r#"{"b":"x","a":[null,true,-2,1.50]}"#);
    }

    #[test]
    fn blanks_go_but_for_those_in_texts() {
        let text = "{ \"a b\" : \"x \\\" y\\\\\" ,\r\n\t\"c\" : { \"d\" : [ \" \" , 1 ] } }";
        assert_eq!(Object::parse(text).unwrap().print(), r#"{"a b":"x \" y\\","c":{"d":[" ",1]}}"#);
    }

    #[rstest]
    #[case("null", false)]
    #[case("false", false)]
    #[case("true", true)]
    #[case("0", false)]
    #[case("-0.0e1", false)]
    #[case("1e-3", true)]
    #[case("\"\"", false)]
    #[case("\"0\"", true)]
    #[case("[]", true)]
    #[case("{}", true)]
    fn truth_is_that_of_javascript(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(Raw(text).is_truthy(), expected);
    }

    #[test]
    fn nesting_is_counted_and_limited() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(check(&nested(8), 8).is_ok());
        let error = check(&nested(9), 8).unwrap_err();
        assert!(error.to_string().starts_with("nested deeper than 8 levels"), "{error}");
        assert!(check(&"[".repeat(1_000_000), usize::MAX).is_err());
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced_and_a_whole_one_kept() {
        let pair = r#""a\\ud83d \ud83d\ude00 \u0041""#;
        assert!(matches!(with_whole_surrogates(pair), Cow::Borrowed(_)));
        let cut = r#"["\ud83d", "\ude00x", "\ud83d\ud83d\ude00", "\ud83d\n"]"#;
        assert!(check(cut, 8).is_err());
        assert_eq!(
            with_whole_surrogates(cut),
            r#"["\ufffd", "\ufffdx", "\ufffd\ud83d\ude00", "\ufffd\n"]"#
        );
        for broken in ["\\", "\\u", "\\ud83d", "\\ud83d\\", "\\ud83d\\u", "\\é", "\\ud8é"] {
            with_whole_surrogates(broken);
        }
    }

    #[rstest]
    #[case::more("{} x")]
    #[case::out_of_range("1e999")]
    #[case::half_a_key(r#"{"\ud83d":1}"#)]
    fn what_is_no_json_is_an_error(#[case] text: &str) {
        assert!(check(text, 8).is_err());
    }
}
