use std::sync::OnceLock;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::App;
use crate::access::OPENAPI;

pub(super) fn routes() -> Router<App> {
    OPENAPI.mount(Router::new(), document)
}

async fn document() -> impl IntoResponse {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let text = DOCUMENT.get_or_init(crate::openapi);
    ([(CONTENT_TYPE, "application/json")], text.as_str())
}
