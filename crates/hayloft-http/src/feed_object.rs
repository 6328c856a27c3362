//! Between the feeds of the store and the feed objects of the API.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use hayloft::{Activity, DeleteMode, Feed, FeedDraft, LookupError, Overwriting, Store, StoreError};
use serde_json::{Map, Value, json};

use crate::ApiError;
use crate::wire::{FeedObject, RetentionRule, StorageConfiguration};

/// Where the storage configuration lies among a feed's other settings; not part of the object.
const STORAGE: &str = "storage";

/// What the value of a property is.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Text that null clears.
    Text,
    Flag,
    Texts,
    Object,
    Rules,
}

/// Properties that are kept as data.
const KEPT: &[(&str, Shape)] = &[
    ("allowUnknownLicenses", Shape::Flag),
    ("allowedLicenses", Shape::Texts),
    ("blockedLicenses", Shape::Texts),
    ("cacheConnectors", Shape::Flag),
    ("deploymentRecordsEnabled", Shape::Flag),
    ("dropPath", Shape::Text),
    ("licensesEnabled", Shape::Flag),
    ("packageAccessRules", Shape::Object),
    ("packageFilters", Shape::Object),
    ("packageStatisticsEnabled", Shape::Flag),
    ("packageStore", Shape::Text),
    ("packagesPath", Shape::Text),
    ("restrictPackageStatistics", Shape::Flag),
    ("retentionRules", Shape::Rules),
    ("retentionRulesEnabled", Shape::Flag),
    ("stripSignature", Shape::Flag),
    ("stripSource", Shape::Flag),
    ("stripSymbols", Shape::Flag),
    ("symbolServerEnabled", Shape::Flag),
    ("usageRecordsEnabled", Shape::Flag),
    ("useApiV3", Shape::Flag),
    ("useWithProjects", Shape::Flag),
    ("variableDictionary", Shape::Object),
    ("vulnerabilitiesEnabled", Shape::Flag),
    ("vulnerabilitySources", Shape::Texts),
];

/// A change of a feed that was asked for, checked as far as that goes without the feed.
#[derive(Debug, Clone)]
pub(crate) struct FeedChange {
    name: Option<String>,
    feed_type: Option<String>,
    alternates: Option<Vec<String>>,
    description: Edit<String>,
    activity: Option<Activity>,
    overwriting: Option<Overwriting>,
    delete_mode: Option<DeleteMode>,
    promote_to: Edit<u32>,
    kept: BTreeMap<&'static str, Edit<Value>>,
}

/// What a client wants of a property that may be unset.
#[derive(Debug, Clone)]
enum Edit<T> {
    Keep,
    Clear,
    Set(T),
}

/// A change does not fit the feed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FeedChangeError {
    #[error("the name of a feed cannot be changed; create another feed, or set `alternateNames`")]
    Name,
    #[error("the other settings of the feed cannot be read")]
    Other(#[source] serde_json::Error),
}

impl From<FeedChangeError> for ApiError {
    fn from(error: FeedChangeError) -> Self {
        match error {
            FeedChangeError::Name => Self::new(StatusCode::BAD_REQUEST, error.to_string()),
            FeedChangeError::Other(_) => Self::internal(error),
        }
    }
}

impl FeedChange {
    /// Reads what a client sent. Absent properties and nulls change nothing, but for the few texts
    /// that null clears; what only answers have and unknown properties are passed over, for
    /// clients send back the whole object that they got.
    pub(crate) fn parse(
        store: &Store,
        current: Option<&Feed>,
        asked: FeedObject,
    ) -> Result<Self, ApiError> {
        let FeedObject { name, alternate_names, feed_type, mut settings } = asked;
        if let Some(variables) = settings.remove("variables") {
            settings.entry("variableDictionary".to_owned()).or_insert(variables);
        }
        let connectors = settings.remove("connectors").unwrap_or_default();
        if let Some(Value::String(name)) = texts("connectors", connectors)?.first() {
            let name = hayloft::feed_type::shorten(name);
            let text = format!("Connector {name} not found: this server has no connectors.");
            return Err(ApiError::bad_request(text));
        }
        let mut kept = BTreeMap::new();
        for (name, shape) in KEPT {
            if let Some(value) = settings.remove(*name) {
                kept.insert(*name, shape.read(name, value)?);
            }
        }
        let flag = |name: &'static str| match settings.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(wrong(name, "true or false")),
        };
        let activity = flag("active")?;
        let overwriting = flag("allowOverwrite")?;
        let removes = flag("nativeDeleteRemoves")?;
        let mut text = |name: &'static str| match settings.remove(name) {
            None => Ok(Edit::Keep),
            Some(Value::Null) => Ok(Edit::Clear),
            Some(Value::String(text)) => Ok(Edit::Set(text)),
            Some(_) => Err(wrong(name, "text or null")),
        };
        let promote_to = target(store, current, text("promoteTo")?)?;
        Ok(Self {
            name,
            feed_type,
            alternates: alternate_names,
            description: text("description")?,
            activity: activity.map(|on| if on { Activity::Active } else { Activity::Inactive }),
            overwriting: overwriting
                .map(|on| if on { Overwriting::Allowed } else { Overwriting::Refused }),
            delete_mode: removes.map(|on| if on { DeleteMode::Remove } else { DeleteMode::Unlist }),
            promote_to,
            kept,
        })
    }

    /// Makes the change.
    pub(crate) fn apply(self, draft: &mut FeedDraft) -> Result<(), FeedChangeError> {
        if self.name.is_some_and(|name| !name.eq_ignore_ascii_case(&draft.name)) {
            return Err(FeedChangeError::Name);
        }
        let mut other = other(&draft.settings.other)?;
        for (name, value) in self.kept {
            match value {
                Edit::Keep => None,
                Edit::Clear => other.remove(name),
                Edit::Set(value) => other.insert(name.to_owned(), value),
            };
        }
        let settings = &mut draft.settings;
        settings.other = Value::Object(other).to_string();
        replace(&mut draft.feed_type, self.feed_type);
        replace(&mut draft.alternates, self.alternates);
        self.description.apply(&mut settings.description);
        replace(&mut settings.activity, self.activity);
        replace(&mut settings.overwriting, self.overwriting);
        replace(&mut settings.delete_mode, self.delete_mode);
        self.promote_to.apply(&mut settings.promote_to);
        Ok(())
    }
}

impl<T> Edit<T> {
    fn apply(self, place: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *place = None,
            Self::Set(value) => *place = Some(value),
        }
    }
}

impl Shape {
    fn read(self, name: &str, value: Value) -> Result<Edit<Value>, ApiError> {
        match (self, value) {
            (Self::Text, Value::Null) => Ok(Edit::Clear),
            (_, Value::Null) => Ok(Edit::Keep),
            (Self::Text, value @ Value::String(_))
            | (Self::Flag, value @ Value::Bool(_))
            | (Self::Object, value @ Value::Object(_)) => Ok(Edit::Set(value)),
            (Self::Text, _) => Err(wrong(name, "text or null")),
            (Self::Flag, _) => Err(wrong(name, "true or false")),
            (Self::Object, _) => Err(wrong(name, "an object")),
            (Self::Texts, value) => Ok(Edit::Set(Value::Array(texts(name, value)?))),
            // A rule would be read from an array, too.
            (Self::Rules, Value::Array(rules)) if !rules.iter().all(Value::is_object) => {
                Err(wrong(name, "an array of objects"))
            }
            (Self::Rules, value) => {
                let rules: Vec<RetentionRule> = serde_json::from_value(value).map_err(|error| {
                    let error = error.to_string();
                    let error = hayloft::feed_type::shorten(&error);
                    let text = format!("The property {name} is not valid: {error}.");
                    ApiError::bad_request(text)
                })?;
                Ok(Edit::Set(serde_json::to_value(rules).map_err(ApiError::internal)?))
            }
        }
    }

    /// What clients get for a property that is not set: some stop at a null in place of an array.
    fn unset(self) -> Value {
        match self {
            Self::Text | Self::Flag => Value::Null,
            Self::Texts | Self::Rules => json!([]),
            Self::Object => json!({}),
        }
    }
}

/// The name of the feed with this number, to which something else is bound; of one that is gone a
/// text that is no feed's name.
pub(crate) fn bound_feed(store: &Store, id: u32) -> Result<String, StoreError> {
    let found = store.feed_by_id(id)?;
    Ok(found.map_or_else(|| format!("(deleted feed {id})"), |feed| feed.name))
}

/// The feed that packages are to go to. A client that sends back what it got changes nothing, even
/// if that feed is gone.
fn target(
    store: &Store,
    current: Option<&Feed>,
    asked: Edit<String>,
) -> Result<Edit<u32>, ApiError> {
    let name = match asked {
        Edit::Keep => return Ok(Edit::Keep),
        Edit::Clear => return Ok(Edit::Clear),
        Edit::Set(name) if name.is_empty() => return Ok(Edit::Clear),
        Edit::Set(name) => name,
    };
    if let Some(id) = current.and_then(|feed| feed.settings.promote_to)
        && bound_feed(store, id)? == name
    {
        return Ok(Edit::Keep);
    }
    match store.feed(&name) {
        Ok(feed) => Ok(Edit::Set(feed.id)),
        Err(LookupError::Store(error)) => Err(error.into()),
        Err(_) => {
            let name = hayloft::feed_type::shorten(&name);
            let text = format!("The property promoteTo names no feed: {name}.");
            Err(ApiError::bad_request(text))
        }
    }
}

/// The feed as clients get it.
pub(crate) fn show(store: &Store, feed: Feed, url: Option<&str>) -> Result<FeedObject, ApiError> {
    let mut kept = other(&feed.settings.other)?;
    let settings = feed.settings;
    let promote_to = settings.promote_to.map(|id| bound_feed(store, id)).transpose()?;
    let mut shown: BTreeMap<String, Value> = KEPT
        .iter()
        .map(|(name, shape)| {
            ((*name).to_owned(), kept.remove(*name).unwrap_or_else(|| shape.unset()))
        })
        .collect();
    let own = [
        ("active", json!(settings.activity == Activity::Active)),
        ("allowOverwrite", json!(settings.overwriting == Overwriting::Allowed)),
        ("canPublish", json!(true)),
        ("connectors", json!([])),
        ("description", json!(settings.description)),
        ("endpointUrl", json!(url)),
        ("nativeDeleteRemoves", json!(settings.delete_mode == DeleteMode::Remove)),
        ("promoteTo", json!(promote_to)),
        ("variables", shown.get("variableDictionary").cloned().unwrap_or_else(|| json!({}))),
    ];
    shown.extend(own.map(|(name, value)| (name.to_owned(), value)));
    Ok(FeedObject {
        name: Some(feed.name),
        alternate_names: Some(feed.alternates),
        feed_type: Some(feed.feed_type),
        settings: shown,
    })
}

/// How a feed is stored, as it was last set.
pub(crate) fn storage(feed: &Feed) -> Result<Option<StorageConfiguration>, ApiError> {
    let found = other(&feed.settings.other)?.remove(STORAGE);
    found.map(serde_json::from_value).transpose().map_err(ApiError::internal)
}

/// Sets how a feed is stored.
pub(crate) fn set_storage(
    draft: &mut FeedDraft,
    configuration: &StorageConfiguration,
) -> Result<(), FeedChangeError> {
    let mut other = other(&draft.settings.other)?;
    other.insert(STORAGE.to_owned(), json!(configuration));
    draft.settings.other = Value::Object(other).to_string();
    Ok(())
}

fn other(text: &str) -> Result<Map<String, Value>, FeedChangeError> {
    let text = if text.is_empty() { "{}" } else { text };
    serde_json::from_str(text).map_err(FeedChangeError::Other)
}

fn replace<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// An array of texts; null is none.
fn texts(name: &str, value: Value) -> Result<Vec<Value>, ApiError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(values) if values.iter().all(Value::is_string) => Ok(values),
        _ => Err(wrong(name, "an array of texts")),
    }
}

fn wrong(name: &str, wanted: &str) -> ApiError {
    ApiError::bad_request(format!("The property {name} is {wanted}."))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn parse(text: &str) -> Result<FeedChange, ApiError> {
        let directory = tempfile::tempdir().unwrap();
        let store = hayloft::open(directory.path()).unwrap();
        store.create_feed(FeedDraft::new("t", "universal"), &hayloft::Actor::system()).unwrap();
        FeedChange::parse(&store, None, serde_json::from_str(text).unwrap())
    }

    fn after(changes: &[&str]) -> FeedDraft {
        let mut draft = FeedDraft::new("apps", "universal");
        for change in changes {
            parse(change).unwrap().apply(&mut draft).unwrap();
        }
        draft
    }

    #[rstest]
    #[case::absent("{}")]
    #[case::null(r#"{"stripSource":null,"retentionRules":null,"variableDictionary":null}"#)]
    #[case::echoes(r#"{"name":"apps","feedType":"universal","endpointUrl":"x","canPublish":true}"#)]
    #[case::unknown(r#"{"whatever":{"a":[1]}}"#)]
    #[case::no_connectors(r#"{"connectors":[]}"#)]
    fn these_change_nothing(#[case] change: &str) {
        let set = r#"{"stripSource":true,"retentionRules":[{"keepVersionsCount":3}],
            "variableDictionary":{"a":"b"},"description":"d","dropPath":"p"}"#;
        assert_eq!(after(&[set, change]), after(&[set]));
    }

    #[rstest]
    #[case::flag(r#"{"active":1}"#)]
    #[case::kept_flag(r#"{"stripSource":"yes"}"#)]
    #[case::text(r#"{"dropPath":1}"#)]
    #[case::array(r#"{"vulnerabilitySources":{}}"#)]
    #[case::object(r#"{"packageFilters":[]}"#)]
    #[case::rule(r#"{"retentionRules":[{"keepVersionsCount":"many"}]}"#)]
    #[case::rule_as_array(r#"{"retentionRules":[[true]]}"#)]
    #[case::connector(r#"{"connectors":["nuget.org"]}"#)]
    fn values_of_another_shape_are_refused(#[case] change: &str) {
        assert_eq!(parse(change).unwrap_err().status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn null_clears_texts() {
        let set = r#"{"description":"d","dropPath":"p","packageStore":"s","promoteTo":"t"}"#;
        let clear = r#"{"description":null,"dropPath":null,"packageStore":null,"promoteTo":null}"#;
        let draft = after(&[set, clear]);
        assert_eq!(draft.settings.description, None);
        assert_eq!(draft.settings.promote_to, None);
        assert_eq!(draft.settings.other, "{}");
    }

    #[test]
    fn a_feed_is_not_renamed() {
        let mut draft = FeedDraft::new("apps", "universal");
        assert!(parse(r#"{"name":"other"}"#).unwrap().apply(&mut draft).is_err());
    }

    #[test]
    fn variables_have_two_names() {
        let draft = after(&[r#"{"variables":{"a":"b"}}"#]);
        assert_eq!(draft.settings.other, r#"{"variableDictionary":{"a":"b"}}"#);
    }
}
