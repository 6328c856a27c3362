//! Entrances for the fuzz targets: what strangers send, read as a server reads it.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Request};
use hayloft::feed_type::native::{FilePart, JsonFile};
use hayloft::{FeedDraft, Store};

use crate::access::Credential;
use crate::feed_object::{FeedChange, set_storage};
use crate::json_body::object;
use crate::native::fuzzing as intake;
use crate::parameters::Parameters;
use crate::routes::fuzzing as routes;
use crate::text_limits::check;
use crate::wire::{ApiKeyInfo, FeedObject, StorageConfiguration};

/// What a request shows, from `name: value` lines behind its URL; `None` for what is no request.
pub fn credential(text: &str) -> Option<Option<Credential>> {
    let parts = parts(text)?;
    Some(crate::access::credential(&parts))
}

/// The same for a header of bytes that may be no text.
pub fn credential_of_header(name: &str, value: &[u8]) -> Option<Option<Credential>> {
    let request = Request::builder().uri("/").header(name, value).body(()).ok()?;
    Some(crate::access::credential(&request.into_parts().0))
}

/// Whether a page in a browser could not have sent the key that a request shows.
pub fn shows_key(text: &str) -> bool {
    parts(text).is_some_and(|parts| crate::access::shows_key(&parts))
}

fn parts(text: &str) -> Option<Parts> {
    let mut lines = text.lines();
    let mut request = Request::builder().uri(lines.next()?);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    Some(request.body(()).ok()?.into_parts().0)
}

/// Every body of the API that is read as text; the key that it carries, if it is one.
pub fn text_body(store: &Store, text: &str) -> Option<String> {
    let parameters = Parameters::of_body(text).ok();
    for body in routes::BODIES {
        body(text);
    }
    let _ = object::<ApiKeyInfo>(text);
    if let Ok((feed, _)) = object::<FeedObject>(text)
        && let Ok(change) = FeedChange::parse(store, None, feed)
    {
        let _ = change.apply(&mut FeedDraft::new("a", "nuget"));
    }
    if let Ok((storage, _)) = object::<StorageConfiguration>(text) {
        let _ = set_storage(&mut FeedDraft::new("a", "nuget"), &storage);
    }
    let key = parameters.and_then(|parameters| parameters.key());
    if let Some(key) = &key {
        assert!(check("key", key).is_ok(), "every text has a limit");
    }
    key
}

/// What a body of a native request held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Paths and values.
    pub fields: Vec<(Vec<String>, String)>,
    /// The bytes of its file.
    pub file: Option<Vec<u8>>,
}

/// Takes a multipart body apart that comes in pieces of so many bytes.
pub fn multipart(content_type: &str, body: &[u8], step: usize) -> Result<Taken, String> {
    let mut headers = HeaderMap::new();
    let kind = content_type.parse().map_err(|_| "no header".to_owned())?;
    headers.insert(axum::http::header::CONTENT_TYPE, kind);
    intake::multipart(&headers, FilePart::Named("file"), &["*"], body, step)
}

/// The same for a JSON body with a file in base64.
pub fn json(body: &[u8], step: usize) -> Result<Taken, String> {
    let file = JsonFile { path: "_attachments.*.data", suffix: ".tgz" };
    intake::json(&["name", "versions.*", "dist-tags"], Some(file), body, step)
}
