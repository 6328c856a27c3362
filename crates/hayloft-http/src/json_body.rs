use axum::body::Body;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::access::Visitor;
use crate::transfer::receive_text;
use crate::{ApiError, App};

/// Reads a JSON object of at most 1 MiB, whatever its content type says, and adds the key that it
/// may carry as `API_Key` to the visitor.
pub(crate) async fn json_body<T: DeserializeOwned>(
    app: &App,
    visitor: Visitor,
    body: Body,
) -> Result<(T, Visitor), ApiError> {
    let text = receive_text(app, body).await?;
    let (value, key) = object(&text)?;
    Ok((value, visitor.or_key(key)))
}

fn object<T: DeserializeOwned>(text: &str) -> Result<(T, Option<String>), ApiError> {
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
    let mut object: serde_json::Map<String, Value> =
        serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(not_valid)?;
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

    #[test]
    fn the_key_is_taken_out() {
        let (value, key) = object::<Value>("\u{feff} {\"API_Key\":\"k\",\"a\":1}").unwrap();
        assert_eq!((value, key.as_deref()), (serde_json::json!({"a": 1}), Some("k")));
    }
}
