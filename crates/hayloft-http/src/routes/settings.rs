use axum::extract::State;
use axum::http::Uri;
use axum::{Json, Router};
use hayloft::feed_type::shorten;

use super::query::Query;
use crate::access::{SETTINGS_LIST, SETTINGS_SET, Visitor};
use crate::settings::{KNOWN, Known};
use crate::wire::SettingInfo;
use crate::{ApiError, App};

pub(super) fn routes() -> Router<App> {
    let router = SETTINGS_LIST.mount(Router::new(), list);
    SETTINGS_SET.mount(router, set)
}

/// Every setting that there is; with `showAll` also what the store has under other names.
async fn list(
    State(app): State<App>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Json<Vec<SettingInfo>>, ApiError> {
    let show_all = Query::of(&uri).flag("showAll")?.unwrap_or(false);
    app.run(visitor, move |session| {
        SETTINGS_LIST.demand(session)?;
        let mut values = session.store().settings()?;
        let mut shown: Vec<SettingInfo> = KNOWN
            .iter()
            .map(|known| SettingInfo {
                name: known.name.to_owned(),
                value: values.remove(known.name),
                description: Some(known.description.to_owned()),
                value_type: known.value_type().to_owned(),
            })
            .collect();
        if show_all {
            shown.extend(values.into_iter().map(|(name, value)| SettingInfo {
                name,
                value: Some(value),
                description: None,
                value_type: "text".to_owned(),
            }));
        }
        Ok(Json(shown))
    })
    .await
}

/// An absent or empty value brings back the default.
async fn set(State(app): State<App>, visitor: Visitor, uri: Uri) -> Result<(), ApiError> {
    let query = Query::of(&uri);
    let (name, value) = (query.get("name"), query.get("value"));
    app.run(visitor, move |session| {
        SETTINGS_SET.demand(session)?;
        let name = name.ok_or_else(|| ApiError::bad_request("The parameter name is missing."))?;
        let known = Known::find(&name).ok_or_else(|| {
            ApiError::bad_request(format!("There is no setting {}.", shorten(&name)))
        })?;
        let value = value.filter(|value| !value.is_empty());
        let value = value.map(|value| known.check(&value)).transpose()?;
        session.store().set_setting(known.name, value.as_deref(), &session.actor())?;
        Ok(())
    })
    .await
}
