//! Repackaging, and what it leaves behind: `/api/repackaging` and `/api/packages/{feed}/history`.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::{Json, Router};
use hayloft::RepackageRequest;

use super::{receive_parameters, select};
use crate::access::{PACKAGES_HISTORY, REPACKAGE};
use crate::package_query::Keywords;
use crate::parameters::{Parameters, missing};
use crate::transfer::TextBody;
use crate::visible::VisibleFeeds;
use crate::wire::{PackageHistory, PackageVersionInfo, PromotionData, Published, RepackagingData};
use crate::{ApiError, App, Visitor};

pub(super) fn routes() -> Router<App> {
    let router = REPACKAGE.mount(Router::new(), repackage);
    PACKAGES_HISTORY.mount(router, history)
}

async fn repackage(
    State(app): State<App>,
    visitor: Visitor,
    query: Parameters,
    body: TextBody,
) -> Result<Json<Published>, ApiError> {
    let (asked, visitor) = receive_parameters(&app, visitor, query, body).await?;
    app.take_in(visitor, move |session| {
        let from = asked.need(&["feed", "fromfeed"], "feed")?;
        let to = asked.get(&["tofeed"]);
        let to_feed = REPACKAGE.target(session, to.unwrap_or(from))?;
        let (from_feed, source) = select(session, &REPACKAGE, from, &asked, Keywords::Refused)?;
        let new_version = asked.get_literal(&["newversion"]);
        let new_version = new_version.ok_or_else(|| missing("newVersion"))?.to_owned();
        let text = |name| asked.get(&[name]).map(str::to_owned);
        let request = RepackageRequest {
            source,
            new_version,
            to_feed: to.map(|_| to_feed.name),
            comments: text("comments"),
            url: text("url"),
        };
        let done = session.store().repackage(&from_feed.name, &request, &session.actor())?;
        Ok(Json(Published {
            id: done.id,
            files: done.files.iter().map(PackageVersionInfo::from).collect(),
            signatures_removed: done.signatures_removed,
            sibling_pins: done.sibling_pins,
            warnings: done.warnings,
        }))
    })
    .await
}

async fn history(
    State(app): State<App>,
    visitor: Visitor,
    Path(feed): Path<String>,
    parameters: Parameters,
) -> Result<Json<PackageHistory>, ApiError> {
    app.run(visitor, move |session| {
        let (feed, selector) =
            select(session, &PACKAGES_HISTORY, &feed, &parameters, Keywords::LatestIsStable)?;
        let files = session.store().files(&feed.name, &selector)?;
        let mut found = session.store().history(&feed.name, &selector)?;
        let version = files.first().map(|file| file.version.clone()).unwrap_or_default();
        let is_it = |other: &str| version.eq_ignore_ascii_case(other);
        let mut embedded = BTreeMap::new();
        for file in files {
            let entries = found.embedded.remove(&file.qualifiers.to_string());
            embedded.insert(file.file_name, entries.unwrap_or_default());
        }
        let mut visible = VisibleFeeds::of(session)?;
        let mut promotions = Vec::new();
        for step in found.promotions.iter().filter(|step| is_it(&step.version)) {
            if let Some(ends) = visible.step(&step.from_feed, &step.to_feed)? {
                let mut shown = PromotionData::from(step);
                let PromotionData { from_feed, to_feed, user, comments, .. } = &mut shown;
                ends.blank(from_feed, to_feed, [user, comments]);
                promotions.push(shown);
            }
        }
        let mut repackagings = Vec::new();
        for step in &found.repackagings {
            let concerned = is_it(&step.from_version) || is_it(&step.to_version);
            if concerned && let Some(ends) = visible.step(&step.from_feed, &step.to_feed)? {
                let mut shown = RepackagingData::from(step);
                let RepackagingData { from_feed, to_feed, user, comments, .. } = &mut shown;
                ends.blank(from_feed, to_feed, [user, comments]);
                repackagings.push(shown);
            }
        }
        Ok(Json(PackageHistory { embedded, promotions, repackagings }))
    })
    .await
}
