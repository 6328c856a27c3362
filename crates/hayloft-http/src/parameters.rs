use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::ApiError;
use crate::json_body::json_object;
use crate::text_limits::{check, check_object};

/// What a request says by name, in its query, form or JSON object; names compare without case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parameters(Vec<(String, Text)>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Text {
    decoded: String,
    /// The same, but an unescaped plus sign stands for itself in place of a blank.
    literal: String,
}

impl Parameters {
    /// From `name=value` pairs joined by `&`.
    pub(crate) fn of_form(text: &str) -> Result<Self, ApiError> {
        let literal = |text: &str| {
            percent_decode_str(text)
                .decode_utf8()
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| ApiError::bad_request("a parameter does not decode to UTF-8 text"))
        };
        let decoded = |text: &str| literal(&text.replace('+', " "));
        text.trim()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let value = Text { decoded: decoded(value)?, literal: literal(value)? };
                let name = decoded(name)?.to_ascii_lowercase();
                check("a name of a parameter", &name)?;
                check(&name, &value.decoded)?;
                Ok((name, value))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// From a body, whatever its declared type: JSON if it begins with `{`, else a form.
    ///
    /// A published script posts JSON under the form type that its shell sets by default.
    pub(crate) fn of_body(text: &str) -> Result<Self, ApiError> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if !text.starts_with(['{', '[']) {
            return Self::of_form(text);
        }
        let object = json_object(text).map_err(|error| {
            let error = error.to_string();
            ApiError::bad_request(format!(
                "the body is not valid: {}",
                hayloft::feed_type::shorten(&error)
            ))
        })?;
        check_object(&object)?;
        let shown = |name: &str, value| match value {
            Value::String(text) => Some(text),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            // A setting may be JSON itself.
            Value::Array(_) | Value::Object(_) if name == "value" => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        let pairs = object.into_iter();
        Ok(Self(
            pairs
                .filter_map(|(name, value)| {
                    let name = name.to_ascii_lowercase();
                    let decoded = shown(&name, value)?;
                    Some((name, Text { literal: decoded.clone(), decoded }))
                })
                .collect(),
        ))
    }

    /// These, then those of another place, which count where these say nothing.
    pub(crate) fn or(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The first of these names, in lower case, that has a value; an empty one counts as none.
    pub(crate) fn get(&self, names: &[&str]) -> Option<&str> {
        self.text(names).map(|text| text.decoded.as_str())
    }

    /// The same for names and versions, which have no blanks: clients leave plus signs unescaped.
    pub(crate) fn get_literal(&self, names: &[&str]) -> Option<&str> {
        self.text(names).map(|text| text.literal.as_str())
    }

    fn text(&self, names: &[&str]) -> Option<&Text> {
        names.iter().find_map(|wanted| {
            let fits = |(name, text): &&(String, Text)| name == wanted && !text.decoded.is_empty();
            self.0.iter().find(fits).map(|(_, text)| text)
        })
    }

    /// The value of a parameter that must be there; `shown` is its name in documents.
    pub(crate) fn need(&self, names: &[&str], shown: &str) -> Result<&str, ApiError> {
        self.get(names).ok_or_else(|| missing(shown))
    }

    /// A parameter that is true, false or absent, which is false; `name` is as in documents.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.get(&[&name.to_ascii_lowercase()]) {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(ApiError::bad_request(format!("`{name}` must be true or false"))),
        }
    }

    /// An API key that came in a body.
    pub(crate) fn key(&self) -> Option<String> {
        self.get(&["key", "api_key", "apikey"]).map(str::to_owned)
    }

    /// All but keys, the first of each name.
    pub(crate) fn hints(&self) -> std::collections::BTreeMap<String, String> {
        let mut hints = std::collections::BTreeMap::new();
        for (name, Text { decoded: value, .. }) in &self.0 {
            if !matches!(name.as_str(), "key" | "apikey" | "api_key") && !value.is_empty() {
                hints.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        hints
    }
}

/// 400 for a parameter that is not there.
pub(crate) fn missing(name: &str) -> ApiError {
    ApiError::bad_request(format!("the parameter `{name}` is missing"))
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of_form(parts.uri.query().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::form("feed=nu1&packageName=A&comments=by+CI%21")]
    #[case::form_in_another_case("FEED=nu1&PackageName=A&Comments=by%20CI!")]
    #[case::json(r#"{"feed":"nu1","packageName":"A","comments":"by CI!","group":null}"#)]
    #[case::json_after_a_mark_and_blanks(
        "\u{feff}\r\n {\"Feed\":\"nu1\",\"PackageName\":\"A\",\"Comments\":\"by CI!\",\"x\":[1]}"
    )]
    fn bodies_say_the_same_in_every_form(#[case] body: &str) {
        let read = Parameters::of_body(body).unwrap();
        assert_eq!(read.get(&["feed"]), Some("nu1"));
        assert_eq!(read.get(&["name", "packagename"]), Some("A"));
        assert_eq!(read.get(&["comments"]), Some("by CI!"));
        assert_eq!(read.get(&["group"]), None);
    }

    #[test]
    fn a_plus_sign_is_a_blank_but_in_names_and_versions() {
        let form = Parameters::of_body("a=1.0+b%2B%20c").unwrap();
        assert_eq!(form.get(&["a"]), Some("1.0 b+ c"));
        assert_eq!(form.get_literal(&["a"]), Some("1.0+b+ c"));
        let json = Parameters::of_body(r#"{"a":"1.0 b+c"}"#).unwrap();
        assert_eq!(json.get_literal(&["a"]), Some("1.0 b+c"));
    }

    #[test]
    fn an_empty_value_is_no_value() {
        let read = Parameters::of_form("group=&name=&name=a").unwrap();
        assert_eq!(read.get(&["group"]), None);
        assert_eq!(read.get(&["name"]), Some("a"));
    }

    #[test]
    fn keys_are_found_but_are_no_hints() {
        let read = Parameters::of_body(r#"{"API_Key":"secret","distro":"stable"}"#).unwrap();
        assert_eq!(read.key().as_deref(), Some("secret"));
        assert_eq!(read.hints().into_keys().collect::<Vec<_>>(), ["distro"]);
    }

    #[rstest]
    #[case::true_value("x=True", Some(true))]
    #[case::false_value("x=false", Some(false))]
    #[case::absent("", Some(false))]
    #[case::neither("x=yes", None)]
    fn flags_ignore_case(#[case] query: &str, #[case] expected: Option<bool>) {
        assert_eq!(Parameters::of_form(query).unwrap().flag("x").ok(), expected);
    }

    #[rstest]
    #[case::no_text("a=%ff")]
    #[case::half_json("{\"a\":")]
    #[case::array(" [\"a\"]")]
    fn malformed_bodies_are_the_clients_fault(#[case] body: &str) {
        assert_eq!(Parameters::of_body(body).unwrap_err().status(), 400);
    }
}
