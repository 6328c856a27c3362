use std::borrow::Cow;

use axum::http::Uri;
use percent_encoding::percent_decode_str;

use crate::ApiError;

/// The parameters of a query; names are found without ASCII case, a `+` is a blank.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Self {
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    /// The first value under this name.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let found = self.0.iter().find(|(each, _)| each.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    }

    /// True or false; clients send them in any case. Empty counts as absent.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        let value = self.get(name).map_or(Cow::Borrowed(""), Cow::Owned);
        match value.to_ascii_lowercase().as_str() {
            "" => Ok(None),
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(ApiError::bad_request(format!("The parameter {name} is true or false."))),
        }
    }
}
