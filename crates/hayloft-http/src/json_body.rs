use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::access::Visitor;
use crate::text_limits::check_object;
use crate::transfer::{TextBody, receive_text};
use crate::{ApiError, App};

/// Reads a JSON object of at most 1 MiB, whatever its content type says, and adds the key that it
/// may carry as `API_Key` to the visitor.
pub(crate) async fn json_body<T: DeserializeOwned>(
    app: &App,
    visitor: Visitor,
    body: TextBody,
) -> Result<(T, Visitor), ApiError> {
    let text = receive_text(app, &visitor, body).await?;
    let (value, key) = object(&text)?;
    Ok((value, visitor.or_key(key)))
}

/// Reads a JSON object, which may be preceded by a byte order mark and, as in a published sample,
/// have a comma behind its last property. An array is none, though structs could be read from one.
pub(crate) fn json_object(text: &str) -> serde_json::Result<Map<String, Value>> {
    let text = text.trim_start_matches('\u{feff}').trim();
    serde_json::from_str(text).or_else(|error| {
        let body = text.strip_suffix('}').map(str::trim_end);
        let body = body.and_then(|body| body.strip_suffix(','));
        let body = body.filter(|body| body.trim_end() != "{");
        body.map_or(Err(error), |body| serde_json::from_str(&format!("{body}}}")))
    })
}

pub(crate) fn object<T: DeserializeOwned>(text: &str) -> Result<(T, Option<String>), ApiError> {
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        return Err(ApiError::bad_request("The body is empty; send a JSON object."));
    }
    let not_valid = |error: serde_json::Error| {
        let error = error.to_string();
        ApiError::bad_request(format!(
            "The body is not valid: {}.",
            hayloft::feed_type::shorten(&error)
        ))
    };
    let mut object = json_object(text).map_err(not_valid)?;
    check_object(&object)?;
    let key = object.remove("API_Key").and_then(|key| key.as_str().map(str::to_owned));
    Ok((serde_json::from_value(Value::Object(object)).map_err(not_valid)?, key))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::empty("")]
    #[case::blank(" \r\n")]
    #[case::null("null")]
    #[case::array("[]")]
    #[case::half("{\"a\":")]
    #[case::too_deep(&"[".repeat(100_000))]
    fn what_is_no_object_is_refused(#[case] text: &str) {
        let error = object::<Value>(text).unwrap_err();
        assert_eq!(error.status(), axum::http::StatusCode::BAD_REQUEST);
    }

    #[rstest]
    #[case::one("{\"a\":[1,2],\r\n}", true)]
    #[case::behind_blanks("\u{feff} {\"a\":1 , }\n", true)]
    #[case::two("{\"a\":1,,}", false)]
    #[case::alone("{,}", false)]
    #[case::inside("{\"a\":[1,]}", false)]
    fn a_comma_may_follow_the_last_property(#[case] text: &str, #[case] valid: bool) {
        assert_eq!(json_object(text).is_ok(), valid);
    }

    #[test]
    fn the_key_is_taken_out() {
        let (value, key) = object::<Value>("\u{feff} {\"API_Key\":\"k\",\"a\":1}").unwrap();
        assert_eq!((value, key.as_deref()), (serde_json::json!({"a": 1}), Some("k")));
    }
}
