use hayloft_feed::native::{FeedView, Request, Resource};
use serde::Serialize;

/// Every type under which some client looks a resource up.
///
/// nuget.exe 5.8 fails without `/3.4.0` or `/3.0.0-beta` of registration and search; newer ones
/// begin with the highest number.
const RESOURCES: [(&str, &[&str]); 7] = [
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
    ("/v2", &["LegacyGallery/2.0.0"]),
];

#[derive(Debug, Serialize)]
struct ServiceIndex {
    version: &'static str,
    resources: Vec<Listed>,
}

#[derive(Debug, Serialize)]
struct Listed {
    #[serde(rename = "@id")]
    url: String,
    #[serde(rename = "@type")]
    kind: String,
    #[serde(rename = "clientVersion", skip_serializing_if = "Option::is_none")]
    client_version: Option<&'static str>,
}

/// What the feed offers, and where.
///
/// Open to everybody: clients fetch it without the key that they then push with.
pub(crate) fn answer<'a>(view: &'a dyn FeedView, request: &'a Request<'a>) -> Resource<'a> {
    let validator = view.validator(0, &["service index", request.feed_url]);
    let feed_url = request.feed_url;
    Resource::document(validator, "application/json", move |out| {
        Ok(serde_json::to_writer(out, &index(feed_url)).map_err(std::io::Error::from)?)
    })
    .open()
}

fn index(feed_url: &str) -> ServiceIndex {
    let mut resources: Vec<Listed> = RESOURCES
        .iter()
        .flat_map(|(path, kinds)| {
            kinds.iter().map(move |kind| Listed {
                url: format!("{feed_url}{path}"),
                kind: (*kind).to_owned(),
                client_version: None,
            })
        })
        .collect();
    resources.push(Listed {
        url: format!("{feed_url}/v3/registration/"),
        kind: "RegistrationsBaseUrl/Versioned".to_owned(),
        client_version: Some("4.3.0-alpha"),
    });
    ServiceIndex { version: "3.0.0", resources }
}
