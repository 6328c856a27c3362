use serde::{Deserialize, Serialize};

/// What registration pages, search and the other native documents say about a package.
///
/// Its JSON is [`Inspected::manifest`](hayloft_feed::Inspected::manifest). Keys that are absent
/// have nothing to say. URLs of embedded files are not in here; [`Manifest::icon`],
/// [`Manifest::readme`] and [`License::File`] tell that one is to be made, and the documents
/// `icon`, `readme` and `license` hold what it serves. The document `nuspec` is the manifest file
/// as it lies in the package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of the JSON")]
pub struct Manifest {
    /// Id as spelled in the package.
    pub id: String,
    /// Version as written in the package.
    pub version: String,
    /// Version in normalized form, such as `1.0.0-rc.1`.
    pub normalized_version: String,
    /// Normalized version with its metadata, such as `1.0.0-rc.1+abc`.
    pub full_version: String,
    /// True if the version has labels.
    #[serde(skip_serializing_if = "is_false")]
    pub prerelease: bool,
    /// True if only SemVer 2 clients should see it, by its version or that of a dependency.
    #[serde(rename = "semVer2", skip_serializing_if = "is_false")]
    pub semver2: bool,
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Authors, separated by commas; the owners if there are no authors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authors: Option<String>,
    /// Owners that the package claims, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owners: Option<String>,
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Short description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_notes: Option<String>,
    /// Copyright line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copyright: Option<String>,
    /// Language, such as `en-US`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Tags in the order of the package.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Home page: absolute, http or https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_url: Option<String>,
    /// Icon on another server: absolute, http or https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon_url: Option<String>,
    /// License on another server: absolute, http or https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license_url: Option<String>,
    /// License expression or file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<License>,
    /// Icon in the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<EmbeddedFile>,
    /// Readme in the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readme: Option<EmbeddedFile>,
    /// True if clients must ask before they install.
    #[serde(skip_serializing_if = "is_false")]
    pub require_license_acceptance: bool,
    /// True if the package is needed to build only.
    #[serde(skip_serializing_if = "is_false")]
    pub development_dependency: bool,
    /// Lowest version of clients that may install it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_client_version: Option<String>,
    /// Where its source is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    /// What the package says it is; empty means a dependency.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub package_types: Vec<PackageType>,
    /// Dependencies by target framework, in the order of the package.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dependency_groups: Vec<DependencyGroup>,
    /// Who signed the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// Symbol files of a symbol package, in the order of the archive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<SymbolFile>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The license a package names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type", content = "value")]
pub enum License {
    /// An SPDX expression.
    Expression(String),
    /// The path of an entry.
    File(String),
}

/// A file in the package that a document holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddedFile {
    /// Path of the entry, with slashes.
    pub path: String,
    /// Media type by its content.
    pub media_type: String,
}

/// Where the source of a package is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repository {
    /// Kind, such as `git`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// What a package is, such as `DotnetTool`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageType {
    /// Name as spelled; compares without case.
    pub name: String,
    /// Version of the type, two to four numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Dependencies for one target framework.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DependencyGroup {
    /// Framework as spelled; none means any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_framework: Option<String>,
    /// May be empty: the framework is supported and needs nothing.
    pub dependencies: Vec<Dependency>,
}

/// One package that another needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// Id as spelled.
    pub id: String,
    /// Range in normalized form.
    pub range: String,
    /// Assets taken from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<String>,
    /// Assets not taken from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<String>,
}

/// What the signature file of a package says; no certificate is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signature {
    /// `author` or `repository`; none if it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<SignatureKind>,
    /// True if a second signature stands on the first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub countersigned: bool,
    /// Hash of the content: `SHA256`, `SHA384` or `SHA512`.
    pub hash_algorithm: String,
}

/// Who vouches for a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SignatureKind {
    /// Who made it.
    Author,
    /// A gallery that served it.
    Repository,
}

/// A portable symbol file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SymbolFile {
    /// Path of the entry, with slashes.
    pub path: String,
    /// GUID by which debuggers ask for it: 32 lower-case hex digits in the order of its text form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
}

impl Manifest {
    /// True if it says it is of the type `name`.
    pub fn has_package_type(&self, name: &str) -> bool {
        self.package_types.iter().any(|kind| kind.name.eq_ignore_ascii_case(name))
    }

    /// True if it holds the symbols of a package and is none of its own.
    pub fn is_symbol_package(&self) -> bool {
        self.has_package_type("SymbolsPackage")
    }
}
