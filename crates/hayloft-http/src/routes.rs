//! The Packages API and what belongs to the server itself, one file per group of endpoints.

mod connectors;
mod feeds;
mod files;
mod health;
mod keys;
mod metrics;
mod openapi;
mod packages;
mod promotions;
mod repackaging;
mod settings;
mod status;
mod storage;

use axum::Router;

use crate::App;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .merge(packages::routes())
        .merge(files::routes())
        .merge(status::routes())
        .merge(promotions::routes())
        .merge(repackaging::routes())
        .merge(connectors::routes())
        .merge(feeds::routes())
        .merge(health::routes())
        .merge(keys::routes())
        .merge(metrics::routes())
        .merge(openapi::routes())
        .merge(settings::routes())
        .merge(storage::routes())
}
