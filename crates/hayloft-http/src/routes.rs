//! The Packages API and what belongs to the server itself, one file per group of endpoints.

mod files;
mod packages;
mod promotions;
mod repackaging;
mod status;

use axum::Router;
use axum::routing::MethodRouter;

use crate::App;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .merge(packages::routes())
        .merge(files::routes())
        .merge(status::routes())
        .merge(promotions::routes())
        .merge(repackaging::routes())
}

/// The same endpoint with and without a slash at its end: a redirect would turn a POST into a GET.
fn both(router: Router<App>, path: &str, methods: impl Fn() -> MethodRouter<App>) -> Router<App> {
    router.route(path, methods()).route(&format!("{path}/"), methods())
}
