use hayloft_archive::DosTime;
use hayloft_feed::{Document, FeedTypeError, Identity, Inspected, Limits, Upload, shorten};
use serde::Serialize;

use crate::package::{Package, PackageEntry, PackageError};
use crate::{TAG, refused};

/// A file of a package as `fileList` of the feed API shows it; directories are not listed.
#[derive(Debug, Serialize)]
struct Listed<'p> {
    name: &'p str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
}

/// The document that holds the list of a package's files: a JSON array of objects with `name`,
/// `size` in bytes and, where the archive has one, `date`.
pub const FILE_LIST: &str = "fileList";

/// The request names another package than the file.
#[derive(Debug, thiserror::Error)]
#[error(
    "the request says `{property}` is `{}`, but upack.json says `{}`",
    shorten(asked),
    shorten(found)
)]
struct Disagreement {
    property: &'static str,
    asked: String,
    found: String,
}

pub(crate) fn inspect(upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
    let Upload { content, hints, .. } = upload;
    let package = Package::open(content, limits).map_err(blamed)?;
    let manifest = package.manifest();
    let package_name = manifest.package();
    let found = [
        ("group", package_name.group.spelled()),
        ("name", package_name.name.spelled()),
        ("version", manifest.version().text()),
    ];
    for (property, found) in found {
        let asked = hints.get(property).filter(|asked| !asked.eq_ignore_ascii_case(found));
        if let Some(asked) = asked {
            let (asked, found) = (asked.clone(), found.to_owned());
            return Err(refused(Disagreement { property, asked, found }));
        }
    }
    let name = manifest.package().package_name().map_err(refused)?;
    let identity = Identity::of(name, manifest.version().version());
    let mut warnings = package.warnings();
    let mut documents = Vec::new();
    match file_list(&package, limits) {
        Ok(list) => documents.push(Document::new(FILE_LIST, list)),
        Err(error) => warnings.push(error.to_string()),
    }
    Ok(Inspected::new(identity, manifest.text().to_owned())
        .with_documents(documents)
        .with_history(manifest.history().to_vec())
        .with_warnings(warnings))
}

/// The storage is to blame for a failure to read, the file for all else.
pub(crate) fn blamed(error: PackageError) -> FeedTypeError {
    match error {
        PackageError::Archive(error) => error.into_feed_type_error(TAG),
        error => refused(error),
    }
}

/// The names of a package's files take more memory than allowed. The package is sound, and those
/// who ask for its list find none.
#[derive(Debug, thiserror::Error)]
#[error("the list of files is larger than {limit} bytes, so lists of the feed do not show it")]
struct FileListTooLarge {
    limit: u64,
}

fn file_list(package: &Package<'_>, limits: &Limits) -> Result<Vec<u8>, FileListTooLarge> {
    let limit = limits.metadata.min(u64::try_from(Document::LONGEST).unwrap_or(u64::MAX));
    let too_large = || FileListTooLarge { limit };
    let mut json = vec![b'['];
    for entry in package.entries() {
        if json.len() > 1 {
            json.push(b',');
        }
        // Writing text and numbers to memory cannot fail.
        serde_json::to_writer(&mut json, &listed(entry)).map_err(|_| too_large())?;
        if u64::try_from(json.len()).is_ok_and(|length| length >= limit) {
            return Err(too_large());
        }
    }
    json.push(b']');
    Ok(json)
}

fn listed(entry: PackageEntry<'_>) -> Listed<'_> {
    Listed { name: entry.path(), size: entry.size(), date: entry.modified().map(text) }
}

fn text(time: DosTime) -> String {
    let (year, month, day, hour, minute, second) = time.parts();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
