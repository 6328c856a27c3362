//! Status of versions: `/api/packages/{feed}/status`.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hayloft::feed_type::shorten;
use hayloft::{Allow, Deprecation, DeprecationChange, Listing, StatusChange};

use super::select;
use crate::access::PACKAGES_STATUS;
use crate::json_body::json_object;
use crate::package_query::Keywords;
use crate::parameters::Parameters;
use crate::transfer::{TextBody, receive_text};
use crate::wire::{self, PackageStatus};
use crate::{ApiError, App, Visitor};

pub(super) fn routes() -> Router<App> {
    PACKAGES_STATUS.mount(Router::new(), set)
}

async fn set(
    State(app): State<App>,
    visitor: Visitor,
    Path(feed): Path<String>,
    parameters: Parameters,
    body: TextBody,
) -> Result<StatusCode, ApiError> {
    let body = receive_text(&app, &visitor, body).await?;
    let said = Parameters::of_body(&body);
    let key = said.as_ref().ok().and_then(Parameters::key);
    let too_long = said.err().filter(|_| json_object(&body).is_ok());
    app.run(visitor.or_key(key), move |session| {
        let (feed, selector) =
            select(session, &PACKAGES_STATUS, &feed, &parameters, Keywords::Refused)?;
        if let Some(error) = too_long {
            return Err(error);
        }
        let status = read(&body).map_err(|error| {
            let error = error.to_string();
            ApiError::bad_request(format!(
                "the body must be a JSON object such as {{\"listed\":false}}: {}",
                shorten(&error)
            ))
        })?;
        let change = status.change().into();
        session.store().set_status(&feed.name, &selector, &change, &session.actor())?;
        Ok(StatusCode::OK)
    })
    .await
}

#[cfg(feature = "fuzzing")]
pub(super) fn read_any(body: &str) {
    if let Ok(status) = read(body) {
        let _ = StatusChange::from(status.change());
    }
}

/// Names of properties compare without case: one that is not known would clear a block.
fn read(body: &str) -> serde_json::Result<PackageStatus> {
    const NAMES: [&str; 5] =
        ["listed", "allow", "deprecated", "deprecationReason", "deprecatedReason"];
    let known = |name: String| {
        let found = NAMES.iter().find(|known| known.eq_ignore_ascii_case(&name));
        found.map_or(name, |known| (*known).to_owned())
    };
    let object = json_object(body)?;
    let object = object.into_iter().map(|(name, value)| (known(name), value));
    serde_json::from_value(object.collect())
}

impl From<wire::StatusChange> for StatusChange {
    fn from(change: wire::StatusChange) -> Self {
        let listing = |listed| if listed { Listing::Listed } else { Listing::Unlisted };
        let allow = |allowed| if allowed { Allow::Always } else { Allow::Never };
        let deprecation = match (change.deprecated, change.reason) {
            (Some(Some(reason)), _) => {
                Some(DeprecationChange::Set(Deprecation { reason, details: None }))
            }
            (Some(None), _) => Some(DeprecationChange::Clear),
            (None, Some(reason)) => Some(DeprecationChange::Reason(reason)),
            (None, None) => None,
        };
        Self {
            listing: change.listed.map(listing),
            allow: change.allow.map(|set| set.map(allow)),
            deprecation,
        }
    }
}
