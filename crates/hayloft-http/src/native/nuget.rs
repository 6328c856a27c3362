//! What NuGet clients speak: publishing, installing and searching by version 3 of the protocol.
//!
//! Clients append slashes, so every route is there with one too.
//!
//! Rules: <https://learn.microsoft.com/nuget/api/overview>

mod addresses;
mod deprecation;
mod deprecation_request;
mod failure;
mod first_part;
mod flat_container;
mod listing;
mod publish;
mod registration;
mod search;
mod service_index;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, delete, get, put};
use hayloft::Feed;

use super::Protocol;
use crate::{ApiError, App, Right, Session};

const FEED_TYPE: &str = "nuget";

/// The protocol of NuGet clients, under `/nuget/{feed}`; sources are
/// `/nuget/{feed}/v3/index.json`.
#[derive(Debug, Clone, Copy)]
pub struct NuGetProtocol;

impl Protocol for NuGetProtocol {
    fn feed_type(&self) -> &'static str {
        FEED_TYPE
    }

    fn path(&self) -> &'static str {
        "nuget"
    }

    fn routes(&self) -> Router<App> {
        let mut routes: Vec<(String, MethodRouter<App>)> = vec![
            ("/v3/index.json".to_owned(), get(service_index::service_index)),
            ("/v3/flat/{id}/index.json".to_owned(), get(flat_container::versions)),
            ("/v3/flat/{id}/{version}/{file}".to_owned(), get(flat_container::file)),
            ("/v3/registration/{id}/index.json".to_owned(), get(registration::index)),
            ("/v3/registration/{id}/{leaf}".to_owned(), get(registration::leaf)),
            ("/v3/search".to_owned(), get(search::search)),
            ("/v3/autocomplete".to_owned(), get(search::autocomplete)),
        ];
        // The second is where clients of version 2 push to.
        for base in ["/v3", "/api/v2"] {
            routes.extend([
                (format!("{base}/package"), put(publish::push_package)),
                (format!("{base}/symbolpackage"), put(publish::push_symbols)),
                (
                    format!("{base}/package/{{id}}/{{version}}"),
                    delete(listing::delete).post(listing::relist),
                ),
                (
                    format!("{base}/package/{{id}}/deprecations"),
                    put(deprecation_request::deprecate),
                ),
            ]);
        }
        routes
            .into_iter()
            .fold(Router::new(), |router, (path, methods)| {
                router.route(&format!("{path}/"), methods.clone()).route(&path, methods)
            })
            // Each handler that reads a body has a limit of its own.
            .layer(DefaultBodyLimit::disable())
    }

    fn client_setup(&self, feed: &Feed, url: &str) -> Vec<String> {
        let name = &feed.name;
        let source = format!("{url}/v3/index.json");
        // Newer clients refuse plain HTTP unless told so.
        let insecure =
            if url.starts_with("http://") { " --allow-insecure-connections" } else { "" };
        vec![
            format!("dotnet nuget add source {source} --name {name}{insecure}"),
            format!("dotnet nuget push PACKAGE.nupkg --source {name} --api-key KEY"),
            format!("dotnet add package PACKAGE --source {source}"),
        ]
    }
}

fn feed(session: &Session, name: &str, rights: &[Right]) -> Result<Feed, ApiError> {
    super::feed_of_type(session, name, FEED_TYPE, rights)
}
