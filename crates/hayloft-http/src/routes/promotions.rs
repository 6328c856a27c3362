//! Promotions: `/api/promotions`.

use std::collections::HashSet;

use axum::extract::State;
use axum::response::Response;
use axum::{Json, Router};
use hayloft::{PromoteRequest, Promotion, PromotionQuery, Store};

use super::{receive_parameters, select};
use crate::access::{PROMOTE, PROMOTIONS};
use crate::package_query::{Keywords, unescaped_scope};
use crate::parameters::Parameters;
use crate::transfer::{TextBody, json_list};
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
    body: TextBody,
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
        let store = session.store().clone();
        let lists = queries(&parameters).into_iter().map(|query| store.promoted_versions(&query));
        let lists = lists.collect::<Result<Vec<_>, _>>()?;
        let several = lists.len() > 1;
        let mut seen = HashSet::new();
        let mut shown = move |version: Vec<Promotion>| -> Result<_, ApiError> {
            let mut promotions = Vec::new();
            for mut promotion in version {
                if several && !seen.insert(promotion.id) {
                    continue;
                }
                if let Some(ends) = visible.step(&promotion.from_feed, &promotion.to_feed)? {
                    let Promotion { from_feed, to_feed, user, comments, .. } = &mut promotion;
                    ends.blank(from_feed, to_feed, [user, comments]);
                    promotions.push(promotion);
                }
            }
            Ok(promotions.first().map(|first| package(&store, first, &promotions)))
        };
        Ok(lists.into_iter().flatten().filter_map(move |version| {
            version.map_err(ApiError::from).and_then(&mut shown).transpose()
        }))
    });
    json_list(&app, packages.await?).await
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

/// A version with these promotions, whose first one names it.
fn package(store: &Store, first: &Promotion, promotions: &[Promotion]) -> PromotedPackage {
    let tag = &first.feed_type;
    let package_type = store.types().get(tag).map_or(tag.as_str(), |known| known.package_type());
    let group = (!first.group.is_empty()).then(|| first.group.clone());
    PromotedPackage {
        package: first.name.clone(),
        package_name: first.name.clone(),
        group: group.clone(),
        group_name: group,
        package_type: package_type.to_owned(),
        version: first.version.clone(),
        promotions: promotions.iter().map(PromotionData::from).collect(),
    }
}
