//! How long the texts of requests may be. What is longer is refused here, whatever the engine
//! below would say, and before anything is looked up.

use serde_json::{Map, Value};

use crate::ApiError;

/// Bytes of a text that has no limit of its own: comments, reasons, descriptions.
const TEXT: usize = 4_096;
/// Bytes of a name of a feed, package, group, user or key, of a version, or of a word.
const NAME: usize = 1_024;
/// Bytes of the value of a setting.
const SETTING: usize = 65_536;
/// Bytes of all texts and values of a JSON object together, and how many there may be.
const OBJECT: usize = 256 << 10;
const VALUES: usize = 10_000;

/// Texts that are names, in lower case.
const NAMES: &[&str] = &[
    "architecture",
    "arch",
    "component",
    "displayname",
    "distribution",
    "distro",
    "feed",
    "feedgroup",
    "feedtype",
    "file",
    "file_name",
    "filename",
    "fromfeed",
    "group",
    "groupname",
    "id",
    "logging",
    "name",
    "newversion",
    "package",
    "packagename",
    "platform",
    "scope",
    "tofeed",
    "type",
    "user",
    "version",
];

/// Bytes that the text of this name may have; ASCII case does not count.
pub(crate) fn longest(name: &str) -> usize {
    let lower = name.to_ascii_lowercase();
    if NAMES.contains(&lower.as_str()) {
        NAME
    } else if lower == "value" {
        SETTING
    } else {
        TEXT
    }
}

/// 400 for a text that is too long.
pub(crate) fn check(name: &str, text: &str) -> Result<(), ApiError> {
    let longest = longest(name);
    if text.len() <= longest {
        return Ok(());
    }
    let name = hayloft::feed_type::shorten(name);
    Err(ApiError::bad_request(format!("`{name}` has at most {longest} bytes")))
}

/// 400 for an object with a text that is too long, or that has too much in it.
pub(crate) fn check_object(object: &Map<String, Value>) -> Result<(), ApiError> {
    let mut waiting: Vec<(&str, &Value)> = Vec::new();
    let (mut values, mut bytes) = (0_usize, 0_usize);
    let mut members = |object: &'_ Map<String, Value>| -> Result<(), ApiError> {
        for name in object.keys() {
            check("a name of a property", name)?;
            bytes += name.len();
        }
        Ok(())
    };
    members(object)?;
    waiting.extend(object.iter().map(|(name, value)| (name.as_str(), value)));
    let mut texts = 0_usize;
    while let Some((name, value)) = waiting.pop() {
        values += 1;
        match value {
            Value::String(text) => {
                check(name, text)?;
                texts += text.len();
            }
            Value::Array(inner) => waiting.extend(inner.iter().map(|value| (name, value))),
            Value::Object(inner) => {
                members(inner)?;
                waiting.extend(inner.iter().map(|(name, value)| (name.as_str(), value)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        if values + waiting.len() > VALUES {
            return Err(ApiError::bad_request(format!("the object has at most {VALUES} values")));
        }
    }
    if bytes + texts > OBJECT {
        return Err(ApiError::bad_request(format!(
            "the texts of the object have at most {OBJECT} bytes"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Result<(), ApiError> {
        let Value::Object(object) = value else { panic!("no object") };
        check_object(&object)
    }

    #[rstest]
    #[case::name(json!({"Name": "a".repeat(1_025)}), "`Name` has at most 1024")]
    #[case::text(json!({"comments": "a".repeat(4_097)}), "`comments` has at most 4096")]
    #[case::nested(json!({"a": [{"b": ["c", "d".repeat(4_097)]}]}), "`b` has at most")]
    #[case::property(json!({"a".repeat(5_000): 1}), "property` has at most 4096")]
    #[case::many(json!({"a": vec![0; 10_001]}), "at most 10000 values")]
    #[case::much(json!({"a": vec!["b".repeat(4_000); 70]}), "at most 262144 bytes")]
    fn what_is_too_long_is_told(#[case] value: Value, #[case] text: &str) {
        let error = object(value).unwrap_err();
        assert!(error.text().contains(text), "{}", error.text());
    }

    #[test]
    fn what_is_just_long_enough_is_not() {
        object(json!({"name": "a".repeat(1_024), "comments": "b".repeat(4_096)})).unwrap();
        object(json!({"a": vec![0; 9_000], "b": vec!["c".repeat(4_096); 60]})).unwrap();
    }
}
