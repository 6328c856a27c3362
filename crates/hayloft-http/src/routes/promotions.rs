//! Promotions: `/api/promotions`.

use std::collections::{HashMap, HashSet};

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::{Json, Router};
use hayloft::{PromoteRequest, Promotion, PromotionQuery, Store};

use super::{receive_parameters, select};
use crate::access::{PROMOTE, PROMOTIONS};
use crate::package_query::{Keywords, unescaped_scope};
use crate::parameters::Parameters;
use crate::transfer::json_list;
use crate::visible::VisibleFeeds;
use crate::wire::{PackageVersionInfo, PromotedPackage, PromotionData, Published};
use crate::{ApiError, App, Visitor};

pub(super) fn routes() -> Router<App> {
    let router = PROMOTE.mount(Router::new(), promote);
    PROMOTIONS.mount(router, list)
}

async fn promote(
    State(app): State<App>,
    visitor: Visitor,
    query: Parameters,
    body: Body,
) -> Result<Json<Published>, ApiError> {
    let (asked, visitor) = receive_parameters(&app, visitor, query, body).await?;
    app.run(visitor, move |session| {
        let from = asked.need(&["fromfeed"], "fromFeed")?;
        let to = asked.need(&["tofeed"], "toFeed")?;
        let to = PROMOTE.target(session, to)?;
        let (from, source) = select(session, &PROMOTE, from, &asked, Keywords::LatestIsHighest)?;
        let overwrite = session.overwrite(&to)?;
        let comments = asked.get(&["comments"]).map(str::to_owned);
        let request = PromoteRequest { source, to_feed: to.name, comments, overwrite };
        let done = session.store().promote(&from.name, &request, &session.actor())?;
        Ok(Json(Published {
            id: done.id,
            files: done.files.iter().map(PackageVersionInfo::from).collect(),
            signatures_removed: Vec::new(),
            sibling_pins: Vec::new(),
            warnings: Vec::new(),
        }))
    })
    .await
}

async fn list(
    State(app): State<App>,
    visitor: Visitor,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let packages = app.run(visitor, move |session| {
        let mut visible = VisibleFeeds::of(session)?;
        if session.caller().anonymous && !visible.any()? {
            return Err(ApiError::unauthorized());
        }
        let mut grouped = Grouped::default();
        let mut seen = HashSet::new();
        for query in queries(&parameters) {
            for promotion in session.store().promotions(&query)? {
                let promotion = promotion?;
                if seen.insert(promotion.id)
                    && visible.has_either(&promotion.from_feed, &promotion.to_feed)?
                {
                    grouped.add(session.store(), &promotion);
                }
            }
        }
        Ok(grouped.packages)
    });
    let packages = packages.await?;
    json_list(&app, packages.into_iter().map(Ok)).await
}

/// Which promotions to list: every spelling of the package that can be meant.
fn queries(parameters: &Parameters) -> Vec<PromotionQuery> {
    let text = |names: &[&str]| parameters.get_literal(names).map(str::to_owned);
    let mut group = text(&["group", "groupname", "scope"]);
    let mut name = text(&["package", "packagename", "name"]);
    if group.is_none()
        && let Some((scope, rest)) = name.as_deref().and_then(|name| name.rsplit_once('/'))
    {
        (group, name) = (Some(scope.to_owned()), Some(rest.to_owned()));
    }
    let group = group.map(|group| unescaped_scope(&group));
    // A scope may lack its `@`, which a group of another type may not have.
    let scope = group.as_ref().filter(|group| !group.starts_with('@'));
    let scope = scope.map(|group| Some(format!("@{group}")));
    let query = |group| PromotionQuery {
        from_feed: text(&["fromfeed"]),
        to_feed: text(&["tofeed"]),
        group,
        name: name.clone(),
        version: text(&["version"]),
    };
    [Some(group), scope].into_iter().flatten().map(query).collect()
}

/// Promotions by package version, in the order in which each version was first promoted.
#[derive(Debug, Default)]
struct Grouped {
    packages: Vec<PromotedPackage>,
    places: HashMap<[String; 4], usize>,
}

impl Grouped {
    fn add(&mut self, store: &Store, promotion: &Promotion) {
        let key = [
            promotion.feed_type.clone(),
            promotion.group.to_ascii_lowercase(),
            promotion.name.to_ascii_lowercase(),
            promotion.version.to_ascii_lowercase(),
        ];
        let place = *self.places.entry(key).or_insert(self.packages.len());
        if place == self.packages.len() {
            self.packages.push(package(store, promotion));
        }
        if let Some(package) = self.packages.get_mut(place) {
            package.promotions.push(PromotionData::from(promotion));
        }
    }
}

fn package(store: &Store, promotion: &Promotion) -> PromotedPackage {
    let tag = &promotion.feed_type;
    let package_type = store.types().get(tag).map_or(tag.as_str(), |known| known.package_type());
    let group = (!promotion.group.is_empty()).then(|| promotion.group.clone());
    PromotedPackage {
        package: promotion.name.clone(),
        package_name: promotion.name.clone(),
        group: group.clone(),
        group_name: group,
        package_type: package_type.to_owned(),
        version: promotion.version.clone(),
        promotions: Vec::new(),
    }
}
