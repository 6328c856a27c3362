use serde::{Deserialize, Serialize};

/// Why a version is deprecated and what to use instead: what the protocol knows beyond a message.
///
/// Its JSON is [`hayloft::Deprecation::details`], and part of the answers of registration and
/// search.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Details {
    /// In this order.
    pub(super) reasons: Vec<Reason>,
    /// What to use instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alternate_package: Option<AlternatePackage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Reason {
    Legacy,
    CriticalBugs,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AlternatePackage {
    /// As spelled in its feed.
    pub(super) id: String,
    /// A range in normalized form, or `*`.
    pub(super) range: String,
}

/// A deprecation in answers.
#[derive(Debug, Serialize)]
pub(super) struct Deprecation {
    #[serde(flatten)]
    details: Details,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl From<&hayloft::Deprecation> for Deprecation {
    /// Of a deprecation by another protocol there is a message at most; clients want a reason.
    fn from(stored: &hayloft::Deprecation) -> Self {
        let details = stored.details.as_deref().and_then(|json| serde_json::from_str(json).ok());
        let mut details: Details = details.unwrap_or_default();
        if details.reasons.is_empty() {
            details.reasons.push(Reason::Other);
        }
        Self { details, message: stored.reason.clone() }
    }
}
