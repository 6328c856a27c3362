use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use hayloft_feed::shorten;
use serde::{Deserialize, Serialize};

use crate::headers::{Headers, HeadersError};
use crate::{PypiName, PypiNameError, PypiVersion, PypiVersionError};

/// Newest minor of each major metadata version that Hayloft knows; 2.0 was never standardized but
/// many files of 2013 to 2018 carry it.
const KNOWN_VERSIONS: [&str; 10] =
    ["1.0", "1.1", "1.2", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6"];

/// Headers that are kept, in lower case.
const KEPT: [&str; 28] = [
    "summary",
    "description-content-type",
    "keywords",
    "home-page",
    "download-url",
    "author",
    "author-email",
    "maintainer",
    "maintainer-email",
    "license",
    "license-expression",
    "requires-python",
    "license-file",
    "classifier",
    "platform",
    "supported-platform",
    "requires-dist",
    "requires-external",
    "provides-dist",
    "obsoletes-dist",
    "requires",
    "provides",
    "obsoletes",
    "provides-extra",
    "project-url",
    "dynamic",
    "import-name",
    "import-namespace",
];

/// Core metadata of one file, as its `METADATA` or `PKG-INFO` states it, without the description.
///
/// Absent are fields that are empty, `UNKNOWN`, or stand twice although they may stand once.
/// Format: <https://packaging.python.org/specifications/core-metadata/>
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are those of the format, in lower case")]
pub struct CoreMetadata {
    pub metadata_version: String,
    pub name: String,
    pub version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description_content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keywords: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_page: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintainer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintainer_email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_expression: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires_python: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub license_files: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classifiers: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platform: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supported_platform: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires_dist: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires_external: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides_dist: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obsoletes_dist: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obsoletes: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides_extra: Vec<String>,
    /// Each `label, address`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub project_urls: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dynamic: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub import_names: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub import_namespaces: Vec<String>,
}

/// The file is not core metadata.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// A header that every metadata file has is not there.
    #[error("has no `{0}` header")]
    Missing(&'static str),
    /// A header that decides the identity stands twice.
    #[error("has more than one `{0}` header")]
    Repeated(&'static str),
    /// The version is spread over lines.
    #[error("has a `Version` header of more than one line")]
    FoldedVersion,
    /// Not 1.x or 2.x.
    #[error("has metadata version `{}`; versions 1.0 to 2.6 can be read", shorten(.0))]
    MetadataVersion(String),
    /// The value of `Name`.
    #[error("names the project `{}`", shorten(text))]
    Name {
        /// As written.
        text: String,
        /// Which rule it breaks.
        #[source]
        source: PypiNameError,
    },
    /// The value of `Version`.
    #[error("gives the version as `{}`", shorten(text))]
    Version {
        /// As written.
        text: String,
        /// Which rule it breaks.
        #[source]
        source: PypiVersionError,
    },
    /// Where headers end for some readers and not for others.
    #[error("states `{0}` once more behind a line that is neither a header nor empty")]
    Ambiguous(&'static str),
    /// Not made of headers.
    #[error("is not core metadata")]
    Headers(#[source] HeadersError),
}

/// The version in a metadata file cannot be replaced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// Bytes that are not UTF-8.
    #[error("is not UTF-8")]
    Encoding,
    /// Readers may differ about where the headers end.
    #[error("has headers that are not ended by an empty line")]
    BrokenOff,
    /// The headers do not give one version.
    #[error("does not state its version soundly")]
    Metadata(#[source] MetadataError),
    /// Another version than that of the package.
    #[error("states version {0}, which is not that of the package")]
    OtherVersion(String),
}

/// The file with the value of its `Version` header replaced and every other byte kept.
pub(crate) fn with_version(
    bytes: &[u8],
    old: &PypiVersion,
    new: &PypiVersion,
) -> Result<Vec<u8>, EditError> {
    let text = std::str::from_utf8(bytes).map_err(|_| EditError::Encoding)?;
    let stated = ReadMetadata::parse(bytes).map_err(EditError::Metadata)?.version;
    if stated != *old {
        return Err(EditError::OtherVersion(stated.to_string()));
    }
    let headers = Headers::parse(bytes)
        .map_err(|error| EditError::Metadata(MetadataError::Headers(error)))?;
    if headers.broken_off() {
        return Err(EditError::BrokenOff);
    }
    let Some(header) = headers.named("Version").next() else {
        return Err(EditError::Metadata(MetadataError::Missing("Version")));
    };
    let value = text.get(header.span.clone()).unwrap_or_default().trim_end();
    let span = header.span.start..header.span.start + value.len();
    Ok(hayloft_feed::json::replaced(text, &span, &new.to_string()).into_bytes())
}

/// Metadata together with what is derived from it.
#[derive(Debug)]
pub(crate) struct ReadMetadata {
    pub(crate) fields: CoreMetadata,
    pub(crate) name: PypiName,
    pub(crate) version: PypiVersion,
    pub(crate) warnings: Vec<String>,
}

impl ReadMetadata {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, MetadataError> {
        let headers = Headers::parse(bytes).map_err(MetadataError::Headers)?;
        let metadata_version = only(&headers, "Metadata-Version")?;
        let name = only(&headers, "Name")?;
        let version_text = only(&headers, "Version")?;
        if headers.named("Version").any(|header| header.folded) {
            return Err(MetadataError::FoldedVersion);
        }
        let mut warnings = version_warnings(&metadata_version)?;
        let parsed_name: PypiName =
            name.parse().map_err(|source| MetadataError::Name { text: name.clone(), source })?;
        let version = version_text
            .parse()
            .map_err(|source| MetadataError::Version { text: version_text.clone(), source })?;
        if headers.broken_off() {
            refuse_later_identity(headers.body())?;
            warnings.push("its headers are not ended by an empty line".to_owned());
        }
        let mut fields = Fields::collect(&headers, &mut warnings);
        let fields = CoreMetadata {
            metadata_version,
            name,
            version: version_text,
            summary: fields.one("summary"),
            description_content_type: fields.one("description-content-type"),
            keywords: fields.one("keywords"),
            home_page: fields.one("home-page"),
            download_url: fields.one("download-url"),
            author: fields.one("author"),
            author_email: fields.one("author-email"),
            maintainer: fields.one("maintainer"),
            maintainer_email: fields.one("maintainer-email"),
            license: fields.one("license"),
            license_expression: fields.one("license-expression"),
            requires_python: fields.one("requires-python"),
            license_files: fields.many("license-file"),
            classifiers: fields.many("classifier"),
            platform: fields.many("platform"),
            supported_platform: fields.many("supported-platform"),
            requires_dist: fields.many("requires-dist"),
            requires_external: fields.many("requires-external"),
            provides_dist: fields.many("provides-dist"),
            obsoletes_dist: fields.many("obsoletes-dist"),
            requires: fields.many("requires"),
            provides: fields.many("provides"),
            obsoletes: fields.many("obsoletes"),
            provides_extra: fields.many("provides-extra"),
            project_urls: fields.many("project-url"),
            dynamic: fields.many("dynamic"),
            import_names: fields.many("import-name"),
            import_namespaces: fields.many("import-namespace"),
        };
        fields.advise(&mut warnings);
        Ok(Self { fields, name: parsed_name, version, warnings })
    }
}

/// Python ends the headers before a line that is none; readers that go on to the first empty line,
/// as uv does, take what follows for headers.
fn refuse_later_identity(rest: &[u8]) -> Result<(), MetadataError> {
    let lines = rest.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = line.get(..colon).unwrap_or_default().trim_ascii();
        for identity in ["Metadata-Version", "Name", "Version"] {
            if name.eq_ignore_ascii_case(identity.as_bytes()) {
                return Err(MetadataError::Ambiguous(identity));
            }
        }
    }
    Ok(())
}

/// The value of a header that has to stand exactly once.
fn only(headers: &Headers<'_>, name: &'static str) -> Result<String, MetadataError> {
    let mut found = headers.named(name);
    let first = found.next().ok_or(MetadataError::Missing(name))?;
    if found.next().is_some() {
        return Err(MetadataError::Repeated(name));
    }
    Ok(decoded(headers.raw(first)).trim().to_owned())
}

fn version_warnings(text: &str) -> Result<Vec<String>, MetadataError> {
    if KNOWN_VERSIONS.contains(&text) {
        return Ok(Vec::new());
    }
    match text.split_once('.') {
        Some(("1" | "2", minor))
            if !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Ok(vec![format!("metadata version `{}` is not known; read as 2.6", shorten(text))])
        }
        _ => Err(MetadataError::MetadataVersion(text.to_owned())),
    }
}

/// UTF-8, or Latin-1 as old tools on Windows wrote it.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}

/// Lines of a folded value without the indentation that folding added: eight blanks, or seven and
/// a bar.
fn unfolded(text: &str) -> String {
    let mut lines = text.lines();
    let mut joined = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        joined.push('\n');
        joined.push_str(
            line.strip_prefix("       |")
                .or_else(|| line.strip_prefix("        "))
                .unwrap_or_else(|| line.trim_start_matches([' ', '\t'])),
        );
    }
    joined
}

/// The description in a `METADATA` or `PKG-INFO` file: its body, else its `Description` header.
///
/// `None` if there is none, or both, since then nobody can say which is meant.
pub fn description(metadata: &[u8]) -> Option<String> {
    let headers = Headers::parse(metadata).ok()?;
    let mut written = headers.named("Description");
    let header = written
        .next()
        .map(|header| unfolded(&decoded(headers.raw(header))))
        .filter(|text| is_given(text));
    let body = Some(decoded(headers.body()).into_owned()).filter(|text| is_given(text));
    match (header, written.next(), body) {
        (header, None, None) => header,
        (None, None, body) => body,
        _ => None,
    }
}

/// False for nothing and for what distutils wrote instead of nothing.
fn is_given(text: &str) -> bool {
    !matches!(text.trim(), "" | "UNKNOWN")
}

/// Header values by lower-case name.
struct Fields<'w> {
    values: BTreeMap<String, Vec<String>>,
    warnings: &'w mut Vec<String>,
}

impl<'w> Fields<'w> {
    fn collect(headers: &Headers<'_>, warnings: &'w mut Vec<String>) -> Self {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut is_told = false;
        for header in headers.iter() {
            let raw = headers.raw(header);
            if !is_told && std::str::from_utf8(raw).is_err() {
                is_told = true;
                warnings.push(format!("`{}` is not UTF-8; read as Latin-1", shorten(header.name)));
            }
            let key = header.name.to_ascii_lowercase();
            if KEPT.contains(&key.as_str()) {
                values.entry(key).or_default().push(unfolded(&decoded(raw)).trim().to_owned());
            }
        }
        Self { values, warnings }
    }

    fn one(&mut self, name: &str) -> Option<String> {
        let values = self.values.remove(name)?;
        if values.len() > 1 {
            self.warnings.push(format!("`{name}` is given more than once; it is ignored"));
            return None;
        }
        values.into_iter().next().filter(|value| is_given(value))
    }

    fn many(&mut self, name: &str) -> Vec<String> {
        let mut values = self.values.remove(name).unwrap_or_default();
        values.retain(|value| is_given(value));
        values
    }
}

impl CoreMetadata {
    /// Says where the metadata breaks a rule that public indexes enforce.
    fn advise(&self, warnings: &mut Vec<String>) {
        if let Some(summary) = &self.summary {
            if summary.contains('\n') {
                warnings.push("`Summary` has more than one line".to_owned());
            }
            if summary.chars().count() > 512 {
                warnings.push("`Summary` has more than 512 characters".to_owned());
            }
        }
        if let Some(specifier) = &self.requires_python
            && pep440_rs::VersionSpecifiers::from_str(specifier).is_err()
        {
            warnings.push(format!(
                "`Requires-Python` is not a version specifier: `{}`",
                shorten(specifier)
            ));
        }
        if let Some(content_type) = &self.description_content_type {
            let kind = content_type.split(';').next().unwrap_or_default().trim();
            if !["text/plain", "text/x-rst", "text/markdown"]
                .iter()
                .any(|known| kind.eq_ignore_ascii_case(known))
            {
                warnings.push(format!(
                    "`Description-Content-Type` is not known: `{}`",
                    shorten(content_type)
                ));
            }
        }
        if self.license.is_some() && self.license_expression.is_some() {
            warnings.push("`License` stands beside `License-Expression`".to_owned());
        }
        for path in &self.license_files {
            if path.starts_with('/')
                || path.contains(['\\', '*'])
                || path.split('/').any(|part| part == "..")
            {
                warnings.push(format!("`License-File` is not a plain path: `{}`", shorten(path)));
            }
        }
        let dependencies =
            [&self.requires_dist, &self.provides_dist, &self.obsoletes_dist].into_iter().flatten();
        for dependency in dependencies {
            if requirement(dependency).contains('@') {
                warnings.push(format!("a dependency names an address: `{}`", shorten(dependency)));
            }
        }
        for field in &self.dynamic {
            if ["name", "version", "metadata-version"]
                .iter()
                .any(|fixed| field.eq_ignore_ascii_case(fixed))
            {
                warnings.push(format!("`Dynamic` may not name `{}`", shorten(field)));
            }
        }
        for url in &self.project_urls {
            let label = url.split(',').next().unwrap_or_default();
            if label.chars().count() > 32 {
                warnings.push(format!(
                    "a `Project-URL` label has more than 32 characters: `{}`",
                    shorten(label)
                ));
            }
        }
    }

    /// Dependencies that ask for exactly `version`, as they are written.
    pub(crate) fn exact_pins(&self, version: &PypiVersion) -> Vec<String> {
        [&self.requires_dist, &self.provides_dist]
            .into_iter()
            .flatten()
            .filter(|dependency| pins(requirement(dependency), version))
            .cloned()
            .collect()
    }
}

/// A dependency without its environment marker.
fn requirement(dependency: &str) -> &str {
    dependency.split(';').next().unwrap_or_default()
}

fn pins(requirement: &str, version: &PypiVersion) -> bool {
    let Some(at) = requirement.find(['(', '=', '<', '>', '!', '~']) else { return false };
    requirement
        .get(at..)
        .unwrap_or_default()
        .split([',', '(', ')'])
        .filter_map(|clause| clause.trim().strip_prefix("=="))
        .filter_map(|pinned| pinned.trim_start_matches('=').parse::<PypiVersion>().ok())
        .any(|pinned| pinned == *version)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(text: &str) -> ReadMetadata {
        ReadMetadata::parse(text.as_bytes()).unwrap()
    }

    const HEAD: &str = "Metadata-Version: 2.1\nName: Foo.Bar\nVersion: 1.0\n";

    #[test]
    fn fields_are_read_whatever_their_case_and_line_ends() {
        let metadata = read(
            "metadata-version: 2.4\r\nNAME: Foo.Bar\r\nVersion: v1.0 \r\nSummary: s\r\n\
             Classifier: a\r\nclassifier: b\r\nLicense: UNKNOWN\r\nRequires-Python: >=3.8\r\n\r\n\
             Version: 9\r\n",
        );
        assert_eq!(metadata.name.normalized(), "foo-bar");
        assert_eq!(metadata.version.to_string(), "1.0");
        assert_eq!(metadata.fields.version, "v1.0");
        assert_eq!(metadata.fields.summary.as_deref(), Some("s"));
        assert_eq!(metadata.fields.classifiers, ["a", "b"]);
        assert_eq!(metadata.fields.license, None);
        assert!(metadata.warnings.is_empty(), "{:?}", metadata.warnings);
    }

    #[rstest]
    #[case::no_metadata_version("Name: a\nVersion: 1\n", "no `Metadata-Version`")]
    #[case::no_name("Metadata-Version: 1.0\nVersion: 1\n", "no `Name`")]
    #[case::no_version("Metadata-Version: 1.0\nName: a\n\nVersion: 1\n", "no `Version`")]
    #[case::two_versions(
        "Metadata-Version: 1.0\nName: a\nVersion: 1\nVERSION: 1\n",
        "more than one"
    )]
    #[case::version_after_a_lone_carriage_return(
        "Metadata-Version: 1.0\nName: a\nVersion: 1\nSummary: x\rVersion: 2\n",
        "more than one"
    )]
    #[case::folded_version(
        "Metadata-Version: 1.0\nName: a\nVersion: 1\n .0\n",
        "more than one line"
    )]
    #[case::bad_version("Metadata-Version: 1.0\nName: a\nVersion: x\n", "gives the version")]
    #[case::bad_name("Metadata-Version: 1.0\nName: a b\nVersion: 1\n", "names the project")]
    #[case::future_major("Metadata-Version: 3.0\nName: a\nVersion: 1\n", "metadata version `3.0`")]
    #[case::word("Metadata-Version: two\nName: a\nVersion: 1\n", "metadata version `two`")]
    #[case::empty("", "no `Metadata-Version`")]
    fn what_has_no_identity_is_refused(#[case] text: &str, #[case] message: &str) {
        let error = ReadMetadata::parse(text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }

    #[rstest]
    #[case::future_minor("Metadata-Version: 2.9\nName: a\nVersion: 1\n", "`2.9` is not known")]
    #[case::summary(&format!("{HEAD}Summary: {}\n", "s".repeat(513)), "512")]
    #[case::two_summaries(&format!("{HEAD}Summary: a\nSummary: b\n"), "`summary` is given more")]
    #[case::sloppy_specifier(&format!("{HEAD}Requires-Python: >=2.7,!\n"), "Requires-Python")]
    #[case::content_type(&format!("{HEAD}Description-Content-Type: text/html\n"), "text/html")]
    #[case::two_licenses(&format!("{HEAD}License: MIT\nLicense-Expression: MIT\n"), "beside")]
    #[case::license_path(&format!("{HEAD}License-File: ../LICENSE\n"), "../LICENSE")]
    #[case::direct_url(&format!("{HEAD}Requires-Dist: a @ https://x/\n"), "https://x/")]
    #[case::dynamic(&format!("{HEAD}Dynamic: Version\n"), "`Version`")]
    #[case::headers_broken_off(&format!("{HEAD}and so on\n"), "empty line")]
    fn lax_metadata_is_read_with_a_warning(#[case] text: &str, #[case] warning: &str) {
        let warnings = read(text).warnings;
        assert!(warnings.iter().any(|text| text.contains(warning)), "{warnings:?}");
    }

    #[test]
    fn a_repeated_single_field_is_never_picked_silently() {
        let metadata = read(&format!("{HEAD}Author: a\nAuthor: b\n"));
        assert_eq!(metadata.fields.author, None);
    }

    #[test]
    fn latin_1_is_shown_and_flagged() {
        let bytes = [HEAD.as_bytes(), b"Author: J\xfcrgen\n"].concat();
        let metadata = ReadMetadata::parse(&bytes).unwrap();
        assert_eq!(metadata.fields.author.as_deref(), Some("Jürgen"));
        assert!(metadata.warnings[0].contains("Latin-1"));
    }

    #[rstest]
    #[case::body("A: b\n\n# Title\n", Some("# Title\n"))]
    #[case::eight_blanks("Description: a\n        b\n          c\n", Some("a\nb\n  c"))]
    #[case::bars("Description: a\n       |b\n       |\n       |c\n", Some("a\nb\n\nc"))]
    #[case::unknown("Description: UNKNOWN\n", None)]
    #[case::filler_beside_body("Description: UNKNOWN\n\nbody", Some("body"))]
    #[case::both("Description: a\n\nb\n", None)]
    #[case::twice("Description: a\nDescription: b\n", None)]
    #[case::none("A: b\n", None)]
    fn descriptions_are_found_in_body_and_header(
        #[case] text: &str,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(description(text.as_bytes()).as_deref(), expected);
    }

    #[rstest]
    #[case::line_feeds(
        "Metadata-Version: 2.1\nName: a\nVersion: 1.0\nSummary: 1.0\n\nVersion: 1.0\n",
        "Metadata-Version: 2.1\nName: a\nVersion: 2\nSummary: 1.0\n\nVersion: 1.0\n"
    )]
    #[case::line_ends_and_blanks(
        "Metadata-Version: 2.1\r\nversion:\tv1  \r\nName: ä\r\nName: a\r\n",
        ""
    )]
    #[case::blanks_around(
        "Metadata-Version: 2.1\r\nversion:\t v1  \r\nName: a\r\nAuthor: ä\r\n",
        "Metadata-Version: 2.1\r\nversion:\t 2  \r\nName: a\r\nAuthor: ä\r\n"
    )]
    #[case::other_version("Metadata-Version: 2.1\nName: a\nVersion: 1.1\n", "")]
    #[case::broken_off("Metadata-Version: 2.1\nName: a\nVersion: 1.0\nx\nVersion: 3\n", "")]
    fn the_version_is_replaced_and_nothing_else(#[case] text: &str, #[case] expected: &str) {
        let edited = with_version(text.as_bytes(), &"1.0".parse().unwrap(), &"2".parse().unwrap());
        assert_eq!(edited.unwrap_or_default(), expected.as_bytes());
    }

    #[rstest]
    #[case::plain("foo==1.0", true)]
    #[case::old_form("foo (==1.0.0)", true)]
    #[case::with_extras_and_marker("foo[all] == 1.0 ; extra == 'x'", true)]
    #[case::among_clauses("foo >=0.5, ==1.0", true)]
    #[case::arbitrary("foo===1.0", true)]
    #[case::other_version("foo==1.1", false)]
    #[case::range("foo>=1.0", false)]
    #[case::compatible("foo~=1.0", false)]
    #[case::marker_alone("foo; python_version == '1.0'", false)]
    #[case::prefix("foo==1.0.*", false)]
    #[case::bare("foo", false)]
    fn exact_pins_are_told_from_ranges(#[case] dependency: &str, #[case] pinned: bool) {
        let metadata = read(&format!("{HEAD}Requires-Dist: {dependency}\n"));
        let pins = metadata.fields.exact_pins(&"1.0".parse().unwrap());
        assert_eq!(!pins.is_empty(), pinned, "{pins:?}");
    }
}
