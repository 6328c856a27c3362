//! The Packages API and what belongs to the server itself, one file per group of endpoints.

use axum::Router;

use crate::App;

pub(crate) fn router() -> Router<App> {
    Router::new()
}
