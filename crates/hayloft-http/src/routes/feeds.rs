use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, WARNING};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use hayloft::{Feed, FeedDraft};
use serde_json::Value;

use crate::access::{
    FEEDS_CREATE, FEEDS_DELETE, FEEDS_GET, FEEDS_LIST, FEEDS_SECRET_GET, FEEDS_SECRET_SET,
    FEEDS_UPDATE, Right, Visitor,
};
use crate::base_url::BaseUrl;
use crate::feed_object::{FeedChange, show};
use crate::json_body::json_body;
use crate::transfer::{TextBody, receive_text};
use crate::wire::FeedObject;
use crate::{ApiError, App};

pub(super) fn routes() -> Router<App> {
    let router = FEEDS_LIST.mount(Router::new(), list);
    let router = FEEDS_GET.mount(router, get);
    let router = FEEDS_CREATE.mount(router, create);
    let router = FEEDS_UPDATE.mount(router, update);
    let router = FEEDS_SECRET_GET.mount(router, secret);
    let router = FEEDS_SECRET_SET.mount(router, replace_secret);
    FEEDS_DELETE.mount(router, delete)
}

async fn list(
    State(app): State<App>,
    visitor: Visitor,
    base: BaseUrl,
) -> Result<Json<Vec<FeedObject>>, ApiError> {
    let of_call = app.clone();
    app.run(visitor.lenient(), move |session| {
        let mut shown = Vec::new();
        for feed in session.store().feeds()? {
            if session.may(Right::View, Some(&feed))? {
                shown.push(object(&of_call, &base, feed)?);
            }
        }
        Ok(Json(shown))
    })
    .await
}

async fn get(
    State(app): State<App>,
    visitor: Visitor,
    base: BaseUrl,
    Path(name): Path<String>,
) -> Result<Json<FeedObject>, ApiError> {
    let of_call = app.clone();
    app.run(visitor, move |session| {
        object(&of_call, &base, FEEDS_GET.feed(session, &name)?).map(Json)
    })
    .await
}

async fn create(
    State(app): State<App>,
    visitor: Visitor,
    base: BaseUrl,
    body: TextBody,
) -> Result<Changed, ApiError> {
    let (asked, visitor) = json_body::<FeedObject>(&app, visitor, body).await?;
    let of_call = app.clone();
    app.run(visitor, move |session| {
        FEEDS_CREATE.demand(session)?;
        let missing = |name| ApiError::bad_request(format!("The property {name} is missing."));
        let name = asked.name.clone().ok_or_else(|| missing("name"))?;
        let feed_type = asked.feed_type.clone().ok_or_else(|| missing("feedType"))?;
        let mut draft = FeedDraft::new(name, feed_type);
        FeedChange::parse(session.store(), None, asked)?
            .apply(&mut draft)
            .map_err(ApiError::from)?;
        let feed = session.store().create_feed(draft, &session.actor())?;
        object(&of_call, &base, feed).map(Changed::new)
    })
    .await
}

async fn update(
    State(app): State<App>,
    visitor: Visitor,
    base: BaseUrl,
    Path(name): Path<String>,
    body: TextBody,
) -> Result<Changed, ApiError> {
    let (asked, visitor) = json_body::<FeedObject>(&app, visitor, body).await?;
    let of_call = app.clone();
    app.run(visitor, move |session| {
        let feed = FEEDS_UPDATE.feed(session, &name)?;
        let new_type = asked.feed_type.as_ref().and_then(|tag| session.store().types().get(tag));
        if let Some(new) = new_type.filter(|new| new.package_type() != feed.package_type) {
            let (name, old, new) = (feed.name, feed.feed_type, new.tag());
            return Err(ApiError::bad_request(format!(
                "feed `{name}` is of type `{old}` and cannot become `{new}`; create another feed"
            )));
        }
        let change = FeedChange::parse(session.store(), Some(&feed), asked)?;
        let apply = move |draft: &mut FeedDraft| Ok(change.clone().apply(draft)?);
        let feed = session.store().update_feed(&name, apply, &session.actor())?;
        object(&of_call, &base, feed).map(Changed::new)
    })
    .await
}

async fn delete(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<(), ApiError> {
    app.run(visitor, move |session| {
        FEEDS_DELETE.demand(session)?;
        Ok(session.store().delete_feed(&name, &session.actor())?)
    })
    .await
}

async fn secret(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    app.run(visitor, move |session| {
        FEEDS_SECRET_GET.demand(session)?;
        let secret = session.store().feed_secret(&name)?;
        tracing::warn!(feed = name, "the secret of a feed was given out");
        let headers = [(CACHE_CONTROL, "no-store"), (CONTENT_TYPE, "text/plain; charset=utf-8")];
        Ok((headers, secret).into_response())
    })
    .await
}

async fn replace_secret(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    body: TextBody,
) -> Result<(), ApiError> {
    let given = receive_text(&app, &visitor, body).await?;
    app.run(visitor, move |session| {
        FEEDS_SECRET_SET.demand(session)?;
        Ok(session.store().replace_feed_secret(&name, given.as_bytes(), &session.actor())?)
    })
    .await
}

/// What whoever relies on a retention rule must know.
const RULES_DO_NOT_RUN: &str = "retention rules are kept, but this release does not run them: no \
                                package is deleted by a rule";

/// A feed that was made or changed; with rules it comes with the header `Warning`, since clients
/// read no more of the object than they know.
struct Changed {
    feed: FeedObject,
    has_rules: bool,
}

impl Changed {
    fn new(feed: FeedObject) -> Self {
        let rules = feed.settings.get("retentionRules").and_then(Value::as_array);
        let has_rules = rules.is_some_and(|rules| !rules.is_empty());
        if has_rules {
            let name = feed.name.as_deref().unwrap_or_default();
            tracing::warn!(feed = name, "{RULES_DO_NOT_RUN}");
        }
        Self { feed, has_rules }
    }
}

impl IntoResponse for Changed {
    fn into_response(self) -> Response {
        let mut response = Json(self.feed).into_response();
        if self.has_rules
            && let Ok(warning) = HeaderValue::try_from(format!("299 - \"{RULES_DO_NOT_RUN}\""))
        {
            response.headers_mut().insert(WARNING, warning);
        }
        response
    }
}

fn object(app: &App, base: &BaseUrl, feed: Feed) -> Result<FeedObject, ApiError> {
    let url = crate::native::feed_url(app.store(), &feed, &base.0).map(|url| format!("{url}/"));
    show(app.store(), feed, url.as_deref())
}
