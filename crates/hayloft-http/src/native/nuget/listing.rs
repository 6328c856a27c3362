use axum::extract::{Path, State};
use axum::http::StatusCode;
use hayloft::{DeleteError, DeleteMode, Listing, Selector, StatusChange, StatusError};

use super::failure::Failure;
use super::feed;
use crate::native::not_selected;
use crate::{ApiError, App, Right, Session, Visitor};

/// Hides a version or removes it, as the feed is set.
pub(super) async fn delete(
    State(app): State<App>,
    visitor: Visitor,
    Path((name, id, version)): Path<(String, String, String)>,
) -> Result<StatusCode, Failure> {
    app.run(visitor, move |session| {
        let feed = feed(session, &name, &[Right::View])?;
        let selector = Selector::exact(id, version);
        match feed.settings.delete_mode {
            DeleteMode::Unlist => {
                session.demand(Right::SetStatus, Some(&feed))?;
                list(session, &feed.name, &selector, Listing::Unlisted)
            }
            DeleteMode::Remove => {
                session.demand(Right::Delete, Some(&feed))?;
                let deleted =
                    session.store().delete_version(&feed.name, &selector, &session.actor());
                deleted.map(drop).map_err(|error| match error {
                    DeleteError::Select(error) => not_selected(error),
                    other => other.into(),
                })
            }
        }
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows a version again.
pub(super) async fn relist(
    State(app): State<App>,
    visitor: Visitor,
    Path((name, id, version)): Path<(String, String, String)>,
) -> Result<StatusCode, Failure> {
    app.run(visitor, move |session| {
        let feed = feed(session, &name, &[Right::View, Right::SetStatus])?;
        list(session, &feed.name, &Selector::exact(id, version), Listing::Listed)
    })
    .await?;
    Ok(StatusCode::OK)
}

fn list(
    session: &Session,
    feed: &str,
    selector: &Selector,
    listing: Listing,
) -> Result<(), ApiError> {
    let change = StatusChange { listing: Some(listing), ..StatusChange::default() };
    let changed = session.store().set_status(feed, selector, &change, &session.actor());
    changed.map(drop).map_err(|error| match error {
        StatusError::Select(error) => not_selected(error),
        other => other.into(),
    })
}
