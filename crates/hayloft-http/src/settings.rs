//! The settings of the server: what there is, of which type, and what each means.

use std::collections::BTreeMap;

use hayloft::{LookupError, Store, StoreError};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::ApiError;
use crate::access::{FeedGroups, Rules};

/// A setting that there is.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) kind: Kind,
}

/// What the values of a setting look like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Boolean { default: bool },
    /// One of these words; the first is the default.
    Word(&'static [&'static str]),
    /// An absolute http or https URL.
    BaseUrl,
    /// The JSON of [`FeedGroups`].
    FeedGroups,
    /// The JSON of [`Rules`].
    Rules,
}

const ANONYMOUS: &str = "anonymous.access";
const CUSTOM_KEYS: &str = "keys.custom";
const PSEUDO_KEYS: &str = "keys.pseudo";
const BASE_URL: &str = "web.base-url";
const FEED_GROUPS: &str = "feed.groups";
const RULES: &str = "access.rules";
/// The member of a rule that names its feed.
const FEED: &str = "feed";

/// All settings by name.
pub(crate) const KNOWN: &[Known] = &[
    Known {
        name: RULES,
        description: "What users may do: a JSON array of {\"principal\", \"task\", \"feed\" or \
            \"feedGroup\", \"restrict\"}. A principal is a user, Everyone, Authenticated or \
            Anonymous; a task is Administer, Manage Feed, Promote Packages, Publish Packages or \
            View & Download Packages.",
        kind: Kind::Rules,
    },
    Known {
        name: ANONYMOUS,
        description: "What requests without a credential may do: none or read.",
        kind: Kind::Word(&["none", "read"]),
    },
    Known {
        name: FEED_GROUPS,
        description: "Feeds by group, for keys and rules: a JSON object of arrays of feed names.",
        kind: Kind::FeedGroups,
    },
    Known {
        name: CUSTOM_KEYS,
        description: "Whether the text of a new API key may be chosen.",
        kind: Kind::Boolean { default: true },
    },
    Known {
        name: PSEUDO_KEYS,
        description: "Whether `user:password` and `api:key` are accepted as API keys.",
        kind: Kind::Boolean { default: true },
    },
    Known {
        name: BASE_URL,
        description: "URL of this server as clients reach it, if a proxy stands before it.",
        kind: Kind::BaseUrl,
    },
];

impl Known {
    /// The setting with this name; ASCII case does not count.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(name))
    }

    /// The API's word for the type of the values.
    pub(crate) fn value_type(&self) -> &'static str {
        match self.kind {
            Kind::Boolean { .. } => "boolean",
            _ => "text",
        }
    }

    /// The value as it is to be kept, if it is acceptable: bound to the numbers of the feeds that it
    /// names.
    pub(crate) fn check(&self, store: &Store, value: &str) -> Result<String, ApiError> {
        let refuse =
            |wanted: &str| ApiError::bad_request(format!("The setting {} is {wanted}.", self.name));
        match self.kind {
            Kind::Boolean { .. } => match value.to_ascii_lowercase().as_str() {
                word @ ("true" | "false") => Ok(word.to_owned()),
                _ => Err(refuse("true or false")),
            },
            Kind::Word(words) => words
                .iter()
                .find(|word| word.eq_ignore_ascii_case(value))
                .map(|word| (*word).to_owned())
                .ok_or_else(|| refuse(&format!("one of {}", words.join(", ")))),
            Kind::BaseUrl => {
                let rest = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://"));
                let plain = value.bytes().all(|byte| byte.is_ascii_graphic());
                match rest {
                    Some(rest) if plain && !rest.is_empty() && !rest.contains(['?', '#']) => {
                        Ok(value.trim_end_matches('/').to_owned())
                    }
                    _ => Err(refuse("a URL that begins with http:// or https://")),
                }
            }
            Kind::FeedGroups => {
                let named: BTreeMap<String, Vec<String>> = self.json(value)?;
                let mut bound = BTreeMap::new();
                for (group, names) in named {
                    let ids = names.iter().map(|name| self.feed(store, name));
                    bound.insert(group, ids.collect::<Result<Vec<u32>, _>>()?);
                }
                self.kept::<FeedGroups>(&json!(bound))
            }
            Kind::Rules => {
                // A rule would be read from an array, too.
                let mut rules: Vec<Map<String, Value>> = self.json(value)?;
                for feed in rules.iter_mut().filter_map(|rule| rule.get_mut(FEED)) {
                    *feed = match &*feed {
                        Value::Null => continue,
                        Value::String(name) => json!(self.feed(store, name)?),
                        _ => return Err(refuse("made of rules whose feed is a name")),
                    };
                }
                self.kept::<Rules>(&json!(rules))
            }
        }
    }

    /// A value as clients get it, with names in place of numbers. What was bound to a feed that is
    /// gone opens nothing and is left out.
    pub(crate) fn show(&self, store: &Store, value: String) -> Result<String, StoreError> {
        let name = |id: &Value| -> Result<Option<String>, StoreError> {
            let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
            Ok(id.map(|id| store.feed_by_id(id)).transpose()?.flatten().map(|feed| feed.name))
        };
        let shown = match self.kind {
            Kind::FeedGroups => {
                let Ok(bound) = serde_json::from_str::<BTreeMap<String, Vec<Value>>>(&value) else {
                    return Ok(value);
                };
                let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
                for (group, ids) in bound {
                    let feeds = named.entry(group).or_default();
                    for id in &ids {
                        feeds.extend(name(id)?);
                    }
                }
                json!(named)
            }
            Kind::Rules => {
                let Ok(rules) = serde_json::from_str::<Vec<Map<String, Value>>>(&value) else {
                    return Ok(value);
                };
                let mut named = Vec::new();
                for mut rule in rules {
                    match rule.get_mut(FEED) {
                        None | Some(Value::Null) => {}
                        Some(id) => match name(id)? {
                            Some(name) => *id = json!(name),
                            None => continue,
                        },
                    }
                    named.push(rule);
                }
                json!(named)
            }
            _ => return Ok(value),
        };
        Ok(shown.to_string())
    }

    fn json<T: DeserializeOwned>(&self, value: &str) -> Result<T, ApiError> {
        serde_json::from_str(value).map_err(|error| self.invalid(&error))
    }

    /// What is to be kept, if it can be read as it will be.
    fn kept<T: DeserializeOwned>(&self, bound: &Value) -> Result<String, ApiError> {
        T::deserialize(bound).map_err(|error| self.invalid(&error))?;
        Ok(bound.to_string())
    }

    fn invalid(&self, error: &serde_json::Error) -> ApiError {
        let error = error.to_string();
        let error = hayloft::feed_type::shorten(&error);
        ApiError::bad_request(format!("The setting {} is not valid: {error}.", self.name))
    }

    /// The number of a feed that the setting names.
    fn feed(&self, store: &Store, name: &str) -> Result<u32, ApiError> {
        match store.feed(name) {
            Ok(feed) => Ok(feed.id),
            Err(LookupError::Store(error)) => Err(error.into()),
            Err(_) => {
                let name = hayloft::feed_type::shorten(name);
                let text = format!("The setting {} names no feed: {name}.", self.name);
                Err(ApiError::bad_request(text))
            }
        }
    }
}

/// The settings of a store, read anew at each call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings<'a>(&'a Store);

impl<'a> Settings<'a> {
    pub(crate) fn of(store: &'a Store) -> Self {
        Self(store)
    }

    /// Whether the text of a new key may be chosen.
    pub(crate) fn custom_keys(self) -> Result<bool, StoreError> {
        self.is_on(CUSTOM_KEYS)
    }

    /// Whether `user:password` counts as a key.
    pub(crate) fn pseudo_keys(self) -> Result<bool, StoreError> {
        self.is_on(PSEUDO_KEYS)
    }

    /// URL of the server without the final slash, if one is set.
    pub(crate) fn base_url(self) -> Result<Option<String>, StoreError> {
        self.0.setting(BASE_URL)
    }

    /// The same without waiting; `None` if something would have to be read.
    pub(crate) fn base_url_at_hand(self) -> Option<Result<Option<String>, StoreError>> {
        self.0.setting_at_hand(BASE_URL)
    }

    /// Which feeds are in which group.
    pub(crate) fn feed_groups(self) -> Result<FeedGroups, StoreError> {
        self.parsed(FEED_GROUPS)
    }

    /// What users and the anonymous caller may do.
    pub(crate) fn rules(self) -> Result<Rules, StoreError> {
        let rules: Rules = self.parsed(RULES)?;
        let reading = self.0.setting(ANONYMOUS)?.is_some_and(|value| value == "read");
        Ok(if reading { rules.with_anonymous_reading() } else { rules })
    }

    fn is_on(self, name: &str) -> Result<bool, StoreError> {
        let default = Known::find(name)
            .is_some_and(|known| matches!(known.kind, Kind::Boolean { default: true }));
        Ok(self.0.setting(name)?.map_or(default, |value| value == "true"))
    }

    /// A value that was written past [`Known::check`] grants nothing.
    fn parsed<T: DeserializeOwned + Default>(self, name: &str) -> Result<T, StoreError> {
        let Some(text) = self.0.setting(name)? else { return Ok(T::default()) };
        Ok(serde_json::from_str(&text).unwrap_or_else(|error| {
            tracing::error!(setting = name, %error, "a setting cannot be read and is ignored");
            T::default()
        }))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::word("anonymous.access", "Read", Some("read"))]
    #[case::other_word("Anonymous.Access", "write", None)]
    #[case::boolean("keys.custom", "False", Some("false"))]
    #[case::not_boolean("keys.custom", "0", None)]
    #[case::url("web.base-url", "https://x.example/hayloft/", Some("https://x.example/hayloft"))]
    #[case::not_a_url("web.base-url", "x.example", None)]
    #[case::url_that_breaks_lines("web.base-url", "http://x\r\nevil: 1", None)]
    #[case::groups("feed.groups", r#"{"a":["b"]}"#, Some(r#"{"a":[1]}"#))]
    #[case::groups_of_no_feed("feed.groups", r#"{"a":["c"]}"#, None)]
    #[case::groups_by_number("feed.groups", r#"{"a":[1]}"#, None)]
    #[case::not_groups("feed.groups", r#"{"a":"b"}"#, None)]
    #[case::rules("access.rules", "[]", Some("[]"))]
    #[case::rule_for_a_feed(
        "access.rules",
        r#"[{"principal":"eva","task":"Administer","feed":"B"}]"#,
        Some(r#"[{"feed":1,"principal":"eva","task":"Administer"}]"#)
    )]
    #[case::rule_for_no_feed(
        "access.rules",
        r#"[{"principal":"eva","task":"Administer","feed":"c"}]"#,
        None
    )]
    #[case::rule_by_number(
        "access.rules",
        r#"[{"principal":"eva","task":"Administer","feed":1}]"#,
        None
    )]
    #[case::not_rules("access.rules", "[1]", None)]
    #[case::rule_as_array("access.rules", r#"[["eva","Administer"]]"#, None)]
    fn values_are_checked_and_normalized(
        #[case] name: &str,
        #[case] value: &str,
        #[case] kept: Option<&str>,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let store = hayloft::open(directory.path()).unwrap();
        let draft = hayloft::FeedDraft::new("b", "universal");
        store.create_feed(draft, &hayloft::Actor::system()).unwrap();
        let known = Known::find(name).unwrap();
        assert_eq!(known.check(&store, value).ok().as_deref(), kept);
    }
}
