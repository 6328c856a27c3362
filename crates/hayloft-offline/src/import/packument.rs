//! The document of a package that lists its versions, as registries and their mirrors keep it.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use hayloft_feed::Limits;
use serde::Deserialize;

/// Bytes of a document.
const LARGEST: u64 = 256 << 20;

/// What a document says about versions, beside their packages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Statements {
    pub(super) group: String,
    pub(super) name: String,
    /// Tag to version.
    pub(super) tags: BTreeMap<String, String>,
    /// Version to reason.
    pub(super) deprecated: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Document {
    name: Option<String>,
    #[serde(rename = "dist-tags")]
    tags: Option<BTreeMap<String, String>>,
    versions: Option<BTreeMap<String, VersionObject>>,
}

#[derive(Deserialize)]
struct VersionObject {
    /// A text; some servers write `false`.
    deprecated: Option<serde_json::Value>,
}

/// The statements of a document; `None` if the file is another one of the same name.
pub(super) fn read(path: &Path) -> Result<Option<Statements>, String> {
    let mut file = fs::File::open(path).map_err(|error| error.to_string())?;
    let bytes = Limits::read(&mut file, LARGEST).map_err(|error| error.to_string())?;
    let Ok(document) = serde_json::from_slice::<Document>(&bytes) else { return Ok(None) };
    let (Some(spelled), Some(tags), Some(versions)) =
        (document.name, document.tags, document.versions)
    else {
        return Ok(None);
    };
    let (group, name) = match spelled.split_once('/') {
        Some((group, name)) => (group.to_owned(), name.to_owned()),
        None => (String::new(), spelled),
    };
    let deprecated = versions
        .into_iter()
        .filter_map(|(version, object)| {
            let text = object.deprecated?.as_str()?.to_owned();
            (!text.is_empty()).then_some((version, text))
        })
        .collect();
    Ok(Some(Statements { group, name, tags, deprecated }))
}
