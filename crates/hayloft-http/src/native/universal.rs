//! What clients of universal packages speak.

mod coordinates;
mod lists;
mod packages;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, put};
use hayloft::Feed;

use super::Protocol;
use crate::{ApiError, App, Right, Session};

const FEED_TYPE: &str = "universal";

/// The feed API of universal packages, under `/upack/{feed}`.
#[derive(Debug, Clone, Copy)]
pub struct UniversalProtocol;

impl Protocol for UniversalProtocol {
    fn feed_type(&self) -> &'static str {
        FEED_TYPE
    }

    fn path(&self) -> &'static str {
        "upack"
    }

    fn routes(&self) -> Router<App> {
        let upload = put(packages::upload).post(packages::upload);
        Router::new()
            .route("/packages", get(lists::packages))
            .route("/versions", get(lists::versions))
            .route("/download/{*package}", get(packages::download))
            .route("/upload", upload.clone())
            .route("/upload/", upload.clone())
            .route("/upload/{*package}", upload)
            .route("/delete/{*package}", delete(packages::delete).post(packages::delete))
            // Each handler that reads a body has a limit of its own.
            .layer(DefaultBodyLimit::disable())
    }

    fn client_setup(&self, feed: &Feed, url: &str) -> Vec<String> {
        let server = url.strip_suffix(&format!("/upack/{}", feed.name)).unwrap_or(url);
        let name = &feed.name;
        vec![
            format!("pgutil sources add --name={name} --url={server} --feed={name} --api-key=KEY"),
            format!("pgutil packages upload --source={name} --input-file=PACKAGE.upack"),
            format!("pgutil upack install --source={name} --package=PACKAGE --target=FOLDER"),
            format!("curl -T PACKAGE.upack -H 'X-ApiKey: KEY' {url}/upload"),
        ]
    }
}

fn feed(session: &Session, name: &str, rights: &[Right]) -> Result<Feed, ApiError> {
    super::feed_of_type(session, name, FEED_TYPE, rights)
}
