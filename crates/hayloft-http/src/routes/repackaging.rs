//! Repackaging, and what it leaves behind: `/api/repackaging` and `/api/packages/{feed}/history`.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use hayloft::RepackageRequest;

use super::both;
use crate::package_query::{Keywords, PackageQuery};
use crate::parameters::Parameters;
use crate::transfer::receive_text;
use crate::visible::VisibleFeeds;
use crate::wire::{
    PackageHistory, PackageVersionInfo, PromotionData, Published, RepackagingData, VersionPromotion,
};
use crate::{ApiError, App, Right, Visitor};

pub(super) fn routes() -> Router<App> {
    let router = both(Router::new(), "/api/repackaging/repackage", || post(repackage));
    both(router, "/api/packages/{feed}/history", || get(history))
}

async fn repackage(
    State(app): State<App>,
    visitor: Visitor,
    query: Parameters,
    body: Body,
) -> Result<Json<Published>, ApiError> {
    let asked = Parameters::of_body(&receive_text(&app, body).await?)?;
    app.run(visitor.or_key(asked.key()), move |session| {
        let asked = asked.or(query);
        let from = asked.need(&["feed", "fromfeed"], "feed")?;
        let to = asked.get(&["tofeed"]);
        let from_feed = session.feed(from, &[Right::View])?;
        let to_feed = session.feed(to.unwrap_or(from), &[Right::Add])?;
        let package = PackageQuery::read(&asked)?;
        let source = package.selector(session.store(), &from_feed, Keywords::Refused)?;
        // A blank was an unescaped plus sign, as in `version`.
        let new_version = asked.need(&["newversion"], "newVersion")?.replace(' ', "+");
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
        let feed = session.feed(&feed, &[Right::View])?;
        let query = PackageQuery::read(&parameters)?;
        let selector = query.selector(session.store(), &feed, Keywords::LatestIsStable)?;
        let files = session.store().files(&feed.name, &selector)?;
        let mut found = session.store().history(&feed.name, &selector)?;
        let mut visible = VisibleFeeds::of(session)?;
        let mut embedded = BTreeMap::new();
        for file in files {
            if let Some(entries) = found.embedded.remove(&file.qualifiers.to_string()) {
                embedded.insert(file.file_name, entries);
            }
        }
        let mut promotions = Vec::new();
        for promotion in &found.promotions {
            if visible.has_either(&promotion.from_feed, &promotion.to_feed)? {
                let version = promotion.version.clone();
                let promotion = PromotionData::from(promotion);
                promotions.push(VersionPromotion { version, promotion });
            }
        }
        let mut repackagings = Vec::new();
        for repackaging in &found.repackagings {
            if visible.has_either(&repackaging.from_feed, &repackaging.to_feed)? {
                repackagings.push(RepackagingData::from(repackaging));
            }
        }
        Ok(Json(PackageHistory { embedded, promotions, repackagings }))
    })
    .await
}
