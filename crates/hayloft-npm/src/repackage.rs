use std::ops::Range;

use hayloft_archive::{
    ArchiveError, Compression, TarAction, TarEntry, TarKind, encoder, rewrite_tar,
};
use hayloft_feed::json::{JsonEditError, Object, quoted};
use hayloft_feed::{
    Detail, FeedTypeError, HistoryEntry, HistoryError, Identity, Limits, Repackage, Repackaged,
    shorten,
};

use crate::archive::{Tarball, TarballError, unzipped};
use crate::manifest::{HISTORY, PackageJson};
use crate::reading::inner;

/// Times that one file may state the version of the package.
const MOST_VERSIONS: usize = 100;

/// The tarball is sound but cannot carry another version.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepackageError {
    /// The content is another package than the index says.
    #[error("package.json names {found}, but the package is stored as {stored}")]
    Mismatch {
        /// `name@version` in the file.
        found: String,
        /// `name@version` asked for.
        stored: String,
    },
    /// The target is another package, or the same version.
    #[error("the target {0} is not another version of the package")]
    Target(String),
    /// No package states its version that often; each would become the new one.
    #[error("`{}` states a version more than {MOST_VERSIONS} times", shorten(path))]
    ManyVersions {
        /// Path of the entry.
        path: String,
    },
    /// Edits by span need text.
    #[error("`{}` is not UTF-8; convert it and publish the package again", shorten(path))]
    NotUtf8 {
        /// Path of the entry.
        path: String,
    },
    /// The version or the history could not be written into an entry.
    #[error("`{}` cannot be edited", shorten(path))]
    Edit {
        /// Path of the entry.
        path: String,
        /// Why.
        #[source]
        source: JsonEditError,
    },
    /// The property `repackageHistory` is something else.
    #[error("`{HISTORY}` in package.json is not a repackaging history")]
    History(#[source] HistoryError),
}

impl From<RepackageError> for FeedTypeError {
    fn from(error: RepackageError) -> Self {
        Self::NotRepackageable { detail: Detail::from(error) }
    }
}

/// Copies the tarball entry by entry with a new version in the root `package.json` and lock files.
pub(crate) fn repackage(
    order: Repackage<'_>,
    limits: &Limits,
) -> Result<Repackaged, FeedTypeError> {
    let Repackage { source, from, to, entry: history, out, .. } = order;
    let tarball = Tarball::read(source, limits).map_err(TarballError::into_feed_type_error)?;
    let package = tarball.package().map_err(TarballError::into_feed_type_error)?;
    check(&package, from, to)?;
    let mut done = Repackaged::plain();
    done.sibling_pins = package.pins(package.version());
    drop(package);
    drop(tarball);
    let input = unzipped(source, limits).map_err(TarballError::into_feed_type_error)?;
    let write = || -> Result<(), ArchiveError> {
        let mut output = encoder(Compression::Gzip, Box::new(out))?;
        rewrite_tar(input, &mut output, limits, &[], &mut |entry| {
            Ok(action(entry, to.version.text(), history, limits))
        })?;
        output.finish()
    };
    write().map_err(|error| error.into_feed_type_error(crate::TAG))?;
    Ok(done)
}

fn check(package: &PackageJson<'_>, from: &Identity, to: &Identity) -> Result<(), RepackageError> {
    let spelled =
        |identity: &Identity| format!("{}@{}", identity.package.spelled(), identity.version);
    let found = format!("{}@{}", package.name(), package.version());
    if found != spelled(from) {
        return Err(RepackageError::Mismatch { found, stored: spelled(from) });
    }
    if from.package != to.package || from.version == to.version {
        return Err(RepackageError::Target(spelled(to)));
    }
    package.history().map_err(RepackageError::History)?;
    Ok(())
}

fn action<'a>(
    entry: &TarEntry,
    version: &'a str,
    history: &'a HistoryEntry,
    limits: &Limits,
) -> TarAction<'a> {
    let path = String::from_utf8_lossy(entry.path()).into_owned();
    if entry.kind() != TarKind::File {
        return TarAction::Keep;
    }
    match inner(&path).as_deref() {
        Some("package.json") => TarAction::Edit {
            max: limits.manifest,
            edit: Box::new(move |data| {
                Ok(manifest(&path, data, version, history).map_err(FeedTypeError::from)?)
            }),
        },
        Some("npm-shrinkwrap.json" | "package-lock.json") => TarAction::Edit {
            max: limits.manifest,
            edit: Box::new(move |data| {
                Ok(lock_file(&path, data, version).map_err(FeedTypeError::from)?)
            }),
        },
        _ => TarAction::Keep,
    }
}

/// `package.json` with every top-level `version` replaced and the history extended.
fn manifest(
    path: &str,
    data: Vec<u8>,
    version: &str,
    entry: &HistoryEntry,
) -> Result<Vec<u8>, RepackageError> {
    let text = text(path, data)?;
    let object = Object::parse(&text).map_err(|source| edit_error(path, source))?;
    let spans = object.members().iter().filter(|member| member.key == "version");
    let text = with_version(path, &text, spans.map(|member| member.span.clone()), version)?;
    let text = entry.append_to_property(&text, HISTORY).map_err(RepackageError::History)?;
    Ok(text.into_bytes())
}

/// A lock file with the version of the package itself replaced: at the top, and since lock file
/// version 2 also in `packages[""]`. The versions of dependencies stay.
fn lock_file(path: &str, data: Vec<u8>, version: &str) -> Result<Vec<u8>, RepackageError> {
    let text = text(path, data)?;
    let top = Object::parse(&text).map_err(|source| edit_error(path, source))?;
    let mut spans: Vec<_> = versions(&top, 0).collect();
    for packages in top.members().iter().filter(|member| member.key == "packages") {
        let Ok(listed) = Object::parse(packages.raw) else { continue };
        for root in listed.members().iter().filter(|member| member.key.is_empty()) {
            let Ok(package) = Object::parse(root.raw) else { continue };
            spans.extend(versions(&package, packages.span.start + root.span.start));
        }
    }
    spans.sort_by_key(|span| span.start);
    Ok(with_version(path, &text, spans.into_iter(), version)?.into_bytes())
}

fn text(path: &str, data: Vec<u8>) -> Result<String, RepackageError> {
    String::from_utf8(data).map_err(|_| RepackageError::NotUtf8 { path: path.to_owned() })
}

fn edit_error(path: &str, source: JsonEditError) -> RepackageError {
    RepackageError::Edit { path: path.to_owned(), source }
}

/// Where the text values of `version` lie, in an object that begins at `start`.
fn versions(object: &Object<'_>, start: usize) -> impl Iterator<Item = Range<usize>> {
    object
        .members()
        .iter()
        .filter(|member| member.key == "version" && member.raw.starts_with('"'))
        .map(move |member| start + member.span.start..start + member.span.end)
}

/// `text` with the version in place of each of `spans`, which ascend.
fn with_version(
    path: &str,
    text: &str,
    spans: impl Iterator<Item = Range<usize>>,
    version: &str,
) -> Result<String, RepackageError> {
    let mut edited = String::with_capacity(text.len());
    let mut done = 0;
    for (at, span) in spans.enumerate() {
        if at == MOST_VERSIONS {
            return Err(RepackageError::ManyVersions { path: path.to_owned() });
        }
        edited.push_str(text.get(done..span.start).unwrap_or_default());
        edited.push_str(&quoted(version));
        done = span.end;
    }
    edited.push_str(text.get(done..).unwrap_or_default());
    Ok(edited)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn edited(text: &str) -> String {
        let entry = HistoryEntry::of("a:1.0.0");
        let edited = manifest("package/package.json", text.as_bytes().to_vec(), "2.0.0", &entry);
        String::from_utf8(edited.unwrap()).unwrap()
    }

    #[rstest]
    #[case::indented(
        "{\n  \"name\": \"a\",\n  \"version\": \"1.0.0\"\n}",
        "{\n  \"name\": \"a\",\n  \"version\": \"2.0.0\",\n  \"repackageHistory\": [\n    {\"id\":\"a:1.0.0\"}\n  ]\n}"
    )]
    #[case::byte_order_mark_and_escapes(
        "\u{feff}{\"\\u0076ersion\":\"1\\u002e0.0\"}\r\n",
        "\u{feff}{\"\\u0076ersion\":\"2.0.0\",\"repackageHistory\":[{\"id\":\"a:1.0.0\"}]}\r\n"
    )]
    #[case::repeated_key(
        r#"{"version":"0.1.0","x":{"version":"9"},"version":"1.0.0"}"#,
        r#"{"version":"2.0.0","x":{"version":"9"},"version":"2.0.0","repackageHistory":[{"id":"a:1.0.0"}]}"#
    )]
    fn only_the_version_and_the_history_change(#[case] given: &str, #[case] expected: &str) {
        assert_eq!(edited(given), expected);
    }

    #[rstest]
    #[case::first_format(
        r#"{"name":"a","version":"1.0.0","dependencies":{"b":{"version":"1.0.0"}}}"#,
        r#"{"name":"a","version":"2.0.0","dependencies":{"b":{"version":"1.0.0"}}}"#
    )]
    #[case::third_format(
        r#"{"packages": {"": {"version": "1.0.0"}, "node_modules/b": {"version": "1.0.0"}}, "version": "1.0.0"}"#,
        r#"{"packages": {"": {"version": "2.0.0"}, "node_modules/b": {"version": "1.0.0"}}, "version": "2.0.0"}"#
    )]
    #[case::no_version(r#"{"packages": {"": {}}}"#, r#"{"packages": {"": {}}}"#)]
    #[case::other_types(r#"{"version": 1, "packages": []}"#, r#"{"version": 1, "packages": []}"#)]
    fn lock_files_change_for_the_package_itself(#[case] given: &str, #[case] expected: &str) {
        let bytes = lock_file("p/npm-shrinkwrap.json", given.as_bytes().to_vec(), "2.0.0");
        assert_eq!(String::from_utf8(bytes.unwrap()).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_edited_by_span_is_refused() {
        let error =
            lock_file("p/package-lock.json", b"<<<<<<< HEAD".to_vec(), "2.0.0").unwrap_err();
        assert_eq!(error.to_string(), "`p/package-lock.json` cannot be edited");
        let error = lock_file("p/package-lock.json", vec![0xff], "2.0.0").unwrap_err();
        assert!(matches!(error, RepackageError::NotUtf8 { .. }));
    }
}
