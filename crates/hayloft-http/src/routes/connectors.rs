use axum::extract::State;
use axum::{Json, Router};
use serde_json::Value;

use crate::access::{
    CONNECTORS_CREATE, CONNECTORS_DELETE, CONNECTORS_GET, CONNECTORS_LIST, CONNECTORS_UPDATE,
    Visitor,
};
use crate::{ApiError, App};

pub(super) fn routes() -> Router<App> {
    let router = CONNECTORS_LIST.mount(Router::new(), list);
    [CONNECTORS_GET, CONNECTORS_CREATE, CONNECTORS_UPDATE, CONNECTORS_DELETE]
        .iter()
        .fold(router, |router, endpoint| endpoint.mount(router, refuse))
}

async fn list(State(app): State<App>, visitor: Visitor) -> Result<Json<[Value; 0]>, ApiError> {
    app.run(visitor, |session| CONNECTORS_LIST.demand(session)).await?;
    Ok(Json([]))
}

async fn refuse(State(app): State<App>, visitor: Visitor) -> Result<(), ApiError> {
    app.run(visitor, |session| CONNECTORS_CREATE.demand(session)).await?;
    Err(ApiError::bad_request("This server has no connectors: upload or promote packages instead."))
}
