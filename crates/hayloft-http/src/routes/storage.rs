use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use hayloft::FeedDraft;
use hayloft::feed_type::shorten;
use serde_json::Value;

use crate::access::{Right, STORAGE_GET, STORAGE_SET, Visitor};
use crate::feed_object::{set_storage, storage};
use crate::json_body::json_body;
use crate::parameters::Parameters;
use crate::transfer::TextBody;
use crate::wire::{StorageConfiguration, StorageOption, StorageType};
use crate::{ApiError, App};

/// The only kind of storage.
const DISK: &str = "disk";
/// Its only property.
const PATH: &str = "StoragePath";

pub(super) fn routes() -> Router<App> {
    let router = STORAGE_GET.mount(Router::new(), get);
    STORAGE_SET.mount(router, set)
}

async fn get(
    State(app): State<App>,
    visitor: Visitor,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    app.run(visitor, move |session| {
        let Some(name) = parameters.get(&["feed"]) else {
            // The kinds are no secret, but strangers have no business here.
            if session.caller().anonymous && !session.may(Right::View, None)? {
                return Err(session.denied());
            }
            return Ok(Json([disk()]).into_response());
        };
        let feed = STORAGE_GET.feed(session, name)?;
        let default = || StorageConfiguration {
            id: DISK.to_owned(),
            properties: BTreeMap::from([(PATH.to_owned(), Value::Null)]),
        };
        Ok(Json(storage(&feed)?.unwrap_or_else(default)).into_response())
    })
    .await
}

async fn set(
    State(app): State<App>,
    visitor: Visitor,
    parameters: Parameters,
    body: TextBody,
) -> Result<(), ApiError> {
    let (mut asked, visitor) = json_body::<StorageConfiguration>(&app, visitor, body).await?;
    app.run(visitor, move |session| {
        let name = parameters.need(&["feed"], "feed")?;
        STORAGE_SET.feed(session, name)?;
        check(&asked)?;
        DISK.clone_into(&mut asked.id);
        let apply = move |draft: &mut FeedDraft| Ok(set_storage(draft, &asked)?);
        session.store().update_feed(name, apply, &session.actor())?;
        Ok(())
    })
    .await
}

fn disk() -> StorageType {
    let path = StorageOption {
        required: false,
        name: Some("Path".to_owned()),
        description: Some(
            "Kept for clients that read it: files lie in the directory of the store.".to_owned(),
        ),
        kind: None,
        placeholder: None,
    };
    StorageType {
        id: DISK.to_owned(),
        name: Some("Disk".to_owned()),
        description: Some("Files in the directory of the store.".to_owned()),
        properties: BTreeMap::from([(PATH.to_owned(), path)]),
    }
}

fn check(asked: &StorageConfiguration) -> Result<(), ApiError> {
    if !asked.id.eq_ignore_ascii_case(DISK) {
        let id = shorten(&asked.id);
        return Err(ApiError::bad_request(format!("There is no storage {id}; use {DISK}.")));
    }
    for (name, value) in &asked.properties {
        if name != PATH || !(value.is_string() || value.is_null()) {
            let name = shorten(name);
            return Err(ApiError::bad_request(format!(
                "The property {name} is not valid for {DISK}: it has {PATH}, a text."
            )));
        }
    }
    Ok(())
}
