use axum::extract::State;
use axum::{Json, Router};
use hayloft::feed_type::shorten;

use super::receive_parameters;
use crate::access::{SETTINGS_LIST, SETTINGS_SET, Visitor};
use crate::parameters::Parameters;
use crate::settings::{KNOWN, Known};
use crate::transfer::TextBody;
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
    parameters: Parameters,
) -> Result<Json<Vec<SettingInfo>>, ApiError> {
    let show_all = parameters.flag("showAll")?;
    app.run(visitor, move |session| {
        SETTINGS_LIST.demand(session)?;
        let mut values = session.store().settings()?;
        let mut shown = Vec::new();
        for known in KNOWN {
            let value = values.remove(known.name);
            shown.push(SettingInfo {
                name: known.name.to_owned(),
                value: value.map(|value| known.show(session.store(), value)).transpose()?,
                description: Some(known.description.to_owned()),
                value_type: known.value_type().to_owned(),
            });
        }
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
async fn set(
    State(app): State<App>,
    visitor: Visitor,
    query: Parameters,
    body: TextBody,
) -> Result<(), ApiError> {
    let (parameters, visitor) = receive_parameters(&app, visitor, query, body).await?;
    app.run(visitor, move |session| {
        SETTINGS_SET.demand(session)?;
        let name = parameters.need(&["name"], "name")?;
        let known = Known::find(name).ok_or_else(|| {
            ApiError::bad_request(format!("There is no setting {}.", shorten(name)))
        })?;
        let value = parameters.get(&["value"]);
        let value = value.map(|value| known.check(session.store(), value)).transpose()?;
        session.store().set_setting(known.name, value.as_deref(), &session.actor())?;
        Ok(())
    })
    .await
}
