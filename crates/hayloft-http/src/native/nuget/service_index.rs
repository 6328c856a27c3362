use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::failure::Failure;
use super::feed;
use crate::native::feed_url::FeedUrl;
use crate::{App, Right, Visitor};

/// Every type under which some client looks a resource up.
///
/// nuget.exe 5.8 fails without `/3.4.0` or `/3.0.0-beta` of registration and search; newer ones
/// begin with the highest number.
const RESOURCES: [(&str, &[&str]); 6] = [
    ("/v3/package", &["PackagePublish/2.0.0", "PackagePublish/3.0.0-preview.1"]),
    ("/v3/symbolpackage", &["SymbolPackagePublish/4.9.0"]),
    ("/v3/flat/", &["PackageBaseAddress/3.0.0"]),
    (
        "/v3/registration/",
        &[
            "RegistrationsBaseUrl",
            "RegistrationsBaseUrl/3.0.0-beta",
            "RegistrationsBaseUrl/3.0.0-rc",
            "RegistrationsBaseUrl/3.4.0",
            "RegistrationsBaseUrl/3.6.0",
        ],
    ),
    (
        "/v3/search",
        &[
            "SearchQueryService",
            "SearchQueryService/3.0.0-beta",
            "SearchQueryService/3.0.0-rc",
            "SearchQueryService/3.4.0",
            "SearchQueryService/3.5.0",
        ],
    ),
    (
        "/v3/autocomplete",
        &[
            "SearchAutocompleteService",
            "SearchAutocompleteService/3.0.0-beta",
            "SearchAutocompleteService/3.0.0-rc",
            "SearchAutocompleteService/3.5.0",
        ],
    ),
];

#[derive(Debug, Serialize)]
struct ServiceIndex {
    version: &'static str,
    resources: Vec<Resource>,
}

#[derive(Debug, Serialize)]
struct Resource {
    #[serde(rename = "@id")]
    url: String,
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "clientVersion", skip_serializing_if = "Option::is_none")]
    client_version: Option<&'static str>,
}

/// What the feed offers, and where.
///
/// Clients fetch it without their key before they push, so whoever shows no credential gets it
/// even for feeds that they may not see, and for such that do not exist: it tells nothing.
pub(super) async fn service_index(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    url: FeedUrl,
) -> Result<Response, Failure> {
    app.run(visitor, move |session| match feed(session, &name, &[Right::View]) {
        Err(refusal) if session.caller().anonymous && refusal.status() == 401 => Ok(()),
        found => found.map(drop),
    })
    .await?;
    let mut resources = Vec::new();
    for (path, kinds) in RESOURCES {
        resources.extend(kinds.iter().map(|kind| Resource {
            url: url.to(path),
            kind: (*kind).to_owned(),
            client_version: None,
        }));
    }
    resources.push(Resource {
        url: url.to("/v3/registration/"),
        kind: "RegistrationsBaseUrl/Versioned".to_owned(),
        client_version: Some("4.3.0-alpha"),
    });
    Ok(Json(ServiceIndex { version: "3.0.0", resources }).into_response())
}
