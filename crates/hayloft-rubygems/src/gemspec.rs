use std::collections::BTreeMap;
use std::fmt::Write as _;

use hayloft_feed::Account;
use serde::Serialize;

use crate::yaml::{self, Node, SourceText, Tag, YamlError};
use crate::{GemName, GemNameError, GemVersion, GemVersionError, Platform, PlatformError};

/// What a gem says of itself: the parts of its specification that indexes and people ask for.
///
/// Read from YAML as data; no Ruby object is built. Texts of old gems that are not UTF-8 are read
/// as Latin-1.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Gemspec {
    /// Package name.
    pub name: String,
    /// Version as spelled in the gem.
    pub version: String,
    /// Platform in normal form.
    pub platform: String,
    /// Platform as spelled, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_platform: Option<String>,
    /// People.
    pub authors: Vec<String>,
    /// Their addresses.
    pub email: Vec<String>,
    /// Build date as written.
    pub date: Option<String>,
    /// One line.
    pub summary: Option<String>,
    /// Paragraphs.
    pub description: Option<String>,
    /// URL.
    pub homepage: Option<String>,
    /// Shown after install.
    pub post_install_message: Option<String>,
    /// SPDX identifiers, mostly.
    pub licenses: Vec<String>,
    /// Programs.
    pub executables: Vec<String>,
    /// Build scripts of native extensions.
    pub extensions: Vec<String>,
    /// Needs outside Ruby, as text.
    pub requirements: Vec<String>,
    /// Folders on the load path.
    pub require_paths: Vec<String>,
    /// Runtime and development dependencies, in the order of the gem.
    pub dependencies: Vec<Dependency>,
    /// Constraints on Ruby, such as `>= 2.5`.
    pub required_ruby_version: Vec<String>,
    /// Constraints on RubyGems.
    pub required_rubygems_version: Vec<String>,
    /// Links and switches, such as `allowed_push_host`.
    pub metadata: BTreeMap<String, String>,
    /// The RubyGems release that built it.
    pub rubygems_version: Option<String>,
    /// Dialect of the specification.
    pub specification_version: Option<String>,
    /// Number of certificates in the chain; 0 for unsigned gems.
    pub certificates: usize,
}

/// Another gem that one needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Dependency {
    /// Name of the other gem.
    pub name: String,
    /// Constraints, such as `~> 1.2`, as `operator version`.
    pub requirements: Vec<String>,
    /// `runtime` or `development`.
    #[serde(rename = "type")]
    pub kind: DependencyKind,
}

/// When a dependency is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DependencyKind {
    /// Always.
    Runtime,
    /// To work on the gem itself.
    Development,
}

/// A specification cannot be accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GemspecError {
    /// Not the YAML of a gem.
    #[error("the specification is not acceptable YAML")]
    Yaml(#[source] YamlError),
    /// Another document.
    #[error("the metadata is not a Gem::Specification")]
    NotASpecification,
    /// A required key is missing or null.
    #[error("the specification has no `{0}`")]
    Missing(&'static str),
    /// A key holds another shape than it must.
    #[error("`{key}` of the specification is not {expected}")]
    Shape {
        /// Which.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The name breaks a rule.
    #[error("the gem's name `{}` is not valid", hayloft_feed::shorten(.text))]
    Name {
        /// As found.
        text: String,
        /// Which rule.
        #[source]
        error: GemNameError,
    },
    /// The version breaks a rule.
    #[error("the gem's version `{}` is not valid", hayloft_feed::shorten(.text))]
    Version {
        /// As found.
        text: String,
        /// Which rule.
        #[source]
        error: GemVersionError,
    },
    /// The public registry refuses it as well: in an index line it would begin the platform.
    #[error("the gem's version `{}` contains a dash; write `.pre.` instead", hayloft_feed::shorten(.0))]
    Dash(String),
    /// The platform breaks a rule.
    #[error("the gem's platform `{}` is not valid", hayloft_feed::shorten(.text))]
    Platform {
        /// As found.
        text: String,
        /// Which rule.
        #[source]
        error: PlatformError,
    },
    /// Ruby does not read it as text.
    #[error("the name `{}` is not text to Ruby; write it in quotation marks", hayloft_feed::shorten(.0))]
    Unquoted(String),
    /// Line ends that not every reader knows.
    #[error("the specification says another thing to readers that end lines at U+0085 or U+2028")]
    Lines,
    /// No such day.
    #[error("the gem's date `{}` is not a date", hayloft_feed::shorten(.0))]
    Date(String),
}

/// A specification with where in the text it can be edited.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) gemspec: Gemspec,
    pub(crate) name: GemName,
    pub(crate) version: GemVersion,
    pub(crate) platform: Platform,
    pub(crate) root: Node,
}

/// Reads a specification.
/// Memory is charged to `account`: of the tree as it grows, of the fields made of it ahead.
pub(crate) fn parse(bytes: &[u8], account: &Account) -> Result<Parsed, GemspecError> {
    let source = SourceText::new(bytes);
    let parsed = parse_text(&source, account)?;
    // Ruby's YAML ends lines at these, too: a key may stand where others read text.
    if source.is_utf8 && source.text.contains(['\u{85}', '\u{2028}', '\u{2029}']) {
        let lines = source.text.replace(['\u{85}', '\u{2028}', '\u{2029}'], "\n");
        let other = parse_text(&SourceText::new(lines.as_bytes()), account)?;
        if !parsed.gemspec.is_identified_as(&other.gemspec) {
            return Err(GemspecError::Lines);
        }
    }
    Ok(parsed)
}

/// The keys that mean something here.
fn is_wanted(key: &str) -> bool {
    matches!(
        key,
        "name"
            | "version"
            | "platform"
            | "original_platform"
            | "authors"
            | "author"
            | "email"
            | "date"
            | "summary"
            | "description"
            | "homepage"
            | "post_install_message"
            | "licenses"
            | "license"
            | "executables"
            | "extensions"
            | "requirements"
            | "require_paths"
            | "dependencies"
            | "required_ruby_version"
            | "required_rubygems_version"
            | "metadata"
            | "rubygems_version"
            | "specification_version"
            | "cert_chain"
    )
}

fn parse_text(source: &SourceText<'_>, account: &Account) -> Result<Parsed, GemspecError> {
    let root = yaml::parse(source, is_wanted, account).map_err(GemspecError::Yaml)?;
    // The fields, the manifest and the two pieces of the index are each made of all of it.
    let fields = root.weight().saturating_mul(8);
    account.charge(fields).map_err(|error| GemspecError::Yaml(YamlError::Exhausted(error)))?;
    if root.tag != Some(Tag::Specification) || root.pairs().is_none() {
        return Err(GemspecError::NotASpecification);
    }
    let name_text = required_text(&root, "name")?;
    if root.get("name").is_some_and(|name| !name.is_word()) {
        return Err(GemspecError::Unquoted(name_text));
    }
    let name: GemName =
        name_text.parse().map_err(|error| GemspecError::Name { text: name_text.clone(), error })?;
    let version_text = version_of(root.get("version").ok_or(GemspecError::Missing("version"))?)
        .ok_or(GemspecError::Shape { key: "version", expected: "a Gem::Version" })?;
    let version: GemVersion = version_text
        .parse()
        .map_err(|error| GemspecError::Version { text: version_text.clone(), error })?;
    if version_text.contains('-') {
        return Err(GemspecError::Dash(version_text));
    }
    if version_text.trim() != version_text || version_text.is_empty() {
        return Err(GemspecError::Version { text: version_text, error: GemVersionError::Grammar });
    }
    let (platform, spelled) = platform_of(&root)?;
    let gemspec = Gemspec {
        name: name_text,
        version: version_text,
        platform: platform.as_str().to_owned(),
        original_platform: (spelled != platform.as_str()).then_some(spelled),
        authors: texts(&root, "authors").or_else(|| texts(&root, "author")).unwrap_or_default(),
        email: texts(&root, "email").unwrap_or_default(),
        date: date_of(&root)?,
        summary: optional_text(&root, "summary"),
        description: optional_text(&root, "description"),
        homepage: optional_text(&root, "homepage"),
        post_install_message: optional_text(&root, "post_install_message"),
        licenses: texts(&root, "licenses").or_else(|| texts(&root, "license")).unwrap_or_default(),
        executables: texts(&root, "executables").unwrap_or_default(),
        extensions: texts(&root, "extensions").unwrap_or_default(),
        requirements: texts(&root, "requirements").unwrap_or_default(),
        require_paths: texts(&root, "require_paths").unwrap_or_else(|| vec!["lib".to_owned()]),
        dependencies: dependencies_of(&root)?,
        required_ruby_version: requirement_of(&root, "required_ruby_version")?,
        required_rubygems_version: requirement_of(&root, "required_rubygems_version")?,
        metadata: metadata_of(&root)?,
        rubygems_version: optional_text(&root, "rubygems_version"),
        specification_version: optional_text(&root, "specification_version"),
        certificates: root.get("cert_chain").and_then(Node::items).map_or(0, <[_]>::len),
    };
    Ok(Parsed { gemspec, name, version, platform, root })
}

impl Gemspec {
    /// True if both tell the same of what an index is made of.
    fn is_identified_as(&self, other: &Self) -> bool {
        (&self.name, &self.version, &self.platform, &self.original_platform)
            == (&other.name, &other.version, &other.platform, &other.original_platform)
            && self.dependencies == other.dependencies
            && self.required_ruby_version == other.required_ruby_version
            && self.required_rubygems_version == other.required_rubygems_version
            && self.metadata == other.metadata
    }

    /// The gem's line of the compact index: `VERSION[-PLATFORM] DEPENDENCIES|REQUIREMENTS`.
    ///
    /// Format: <https://guides.rubygems.org/rubygems-org-compact-index-api/>
    pub fn compact_index_line(&self, sha256: &str) -> String {
        let mut line = self.version.clone();
        if self.platform != "ruby" {
            line.push('-');
            line.push_str(&self.platform);
        }
        let mut needs: Vec<String> = self
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Runtime)
            .map(|dependency| format!("{}:{}", dependency.name, joined(&dependency.requirements)))
            .collect();
        // As the public registry orders names.
        needs.sort_by_cached_key(|need| (need.to_lowercase(), need.clone()));
        line.push(' ');
        line.push_str(&needs.join(","));
        line.push_str("|checksum:");
        line.push_str(sha256);
        // Writing to a string cannot fail.
        for (key, constraints) in
            [("ruby", &self.required_ruby_version), ("rubygems", &self.required_rubygems_version)]
        {
            if !constraints.is_empty() && constraints != &[">= 0"] {
                let _ = write!(line, ",{key}:{}", joined(constraints));
            }
        }
        line
    }
}

fn joined(constraints: &[String]) -> String {
    let mut sorted: Vec<&str> = constraints.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.join("&")
}

fn required_text(root: &Node, key: &'static str) -> Result<String, GemspecError> {
    let node = root.get(key).ok_or(GemspecError::Missing(key))?;
    node.text().map(str::to_owned).ok_or(GemspecError::Shape { key, expected: "text" })
}

fn optional_text(root: &Node, key: &str) -> Option<String> {
    let node = root.get(key)?;
    node.text().or_else(|| node.get("version").and_then(Node::text)).map(str::to_owned)
}

/// A list of texts; a single text is a list of one, nulls inside are left out.
fn texts(root: &Node, key: &str) -> Option<Vec<String>> {
    let node = root.get(key)?;
    match node.items() {
        Some(items) => Some(
            items
                .iter()
                .filter(|item| !item.is_null())
                .filter_map(|item| item.text().map(str::to_owned))
                .collect(),
        ),
        None => node.text().map(|text| vec![text.to_owned()]),
    }
}

fn version_of(node: &Node) -> Option<String> {
    (node.tag == Some(Tag::Version))
        .then(|| node.get("version"))
        .flatten()?
        .text()
        .map(str::to_owned)
}

fn platform_of(root: &Node) -> Result<(Platform, String), GemspecError> {
    let invalid = |text: &str| {
        let text = text.to_owned();
        move |error| GemspecError::Platform { text, error }
    };
    let Some(node) = root.get("platform") else {
        return Ok((Platform::ruby(), "ruby".to_owned()));
    };
    if let Some(text) = node.text() {
        let platform: Platform = text.parse().map_err(invalid(text))?;
        let spelled = optional_text(root, "original_platform").unwrap_or_else(|| text.to_owned());
        return Ok((platform, spelled));
    }
    if node.pairs().is_none() {
        return Err(GemspecError::Shape {
            key: "platform",
            expected: "text or a mapping of cpu, os and version",
        });
    }
    let part = |key| node.get(key).and_then(Node::text);
    let platform = Platform::from_parts(part("cpu"), part("os"), part("version"))
        .map_err(invalid("cpu, os and version"))?;
    let spelled = platform.as_str().to_owned();
    Ok((platform, spelled))
}

fn date_of(root: &Node) -> Result<Option<String>, GemspecError> {
    let Some(text) = optional_text(root, "date") else { return Ok(None) };
    let number = |from: usize, to: usize| -> Option<u32> {
        text.get(from..to).filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
    };
    let month = number(5, 7).is_some_and(|month| (1..=12).contains(&month));
    let day = number(8, 10).is_some_and(|day| (1..=31).contains(&day));
    let dashes = text.get(4..5) == Some("-") && text.get(7..8) == Some("-");
    if number(0, 4).is_some() && month && day && dashes {
        Ok(Some(text))
    } else {
        Err(GemspecError::Date(text))
    }
}

fn dependencies_of(root: &Node) -> Result<Vec<Dependency>, GemspecError> {
    let Some(node) = root.get("dependencies") else { return Ok(Vec::new()) };
    let shape = GemspecError::Shape { key: "dependencies", expected: "a list of Gem::Dependency" };
    let Some(items) = node.items() else { return Err(shape) };
    items.iter().map(|item| dependency_of(item)).collect()
}

fn dependency_of(node: &Node) -> Result<Dependency, GemspecError> {
    let shape = || GemspecError::Shape {
        key: "dependencies",
        expected: "a list of Gem::Dependency with name and requirement",
    };
    let name = node.get("name").ok_or_else(shape)?;
    let text = name.text().ok_or_else(shape)?;
    if !name.is_word() {
        return Err(GemspecError::Unquoted(text.to_owned()));
    }
    // A name with a separator of the index would forge an index line.
    if text.is_empty()
        || !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    {
        return Err(GemspecError::Name {
            text: text.to_owned(),
            error: text.parse::<GemName>().err().unwrap_or(GemNameError::Empty),
        });
    }
    let requirement = ["requirement", "version_requirements", "version_requirement"]
        .into_iter()
        .find_map(|key| node.get(key));
    let requirements = match requirement {
        Some(requirement) => constraints(requirement, "dependencies")?,
        None => vec![">= 0".to_owned()],
    };
    let kind = match node.get("type").and_then(Node::text) {
        Some(":development" | "development") => DependencyKind::Development,
        _ => DependencyKind::Runtime,
    };
    Ok(Dependency { name: text.to_owned(), requirements, kind })
}

fn requirement_of(root: &Node, key: &'static str) -> Result<Vec<String>, GemspecError> {
    match root.get(key) {
        Some(node) => constraints(node, key),
        None => Ok(vec![">= 0".to_owned()]),
    }
}

fn constraints(node: &Node, key: &'static str) -> Result<Vec<String>, GemspecError> {
    let shape = || GemspecError::Shape { key, expected: "a Gem::Requirement" };
    if node.tag != Some(Tag::Requirement) {
        return Err(shape());
    }
    let items = node.get("requirements").and_then(Node::items).ok_or_else(shape)?;
    let mut found = Vec::with_capacity(items.len());
    for item in items {
        let Some([operator, version]) = item.items() else { return Err(shape()) };
        let operator = operator.text().ok_or_else(shape)?;
        if !matches!(operator, "=" | "!=" | ">" | "<" | ">=" | "<=" | "~>") {
            return Err(shape());
        }
        let text = version_of(version).ok_or_else(shape)?;
        text.parse::<GemVersion>()
            .map_err(|error| GemspecError::Version { text: text.clone(), error })?;
        found.push(format!("{operator} {}", text.trim()));
    }
    Ok(if found.is_empty() { vec![">= 0".to_owned()] } else { found })
}

fn metadata_of(root: &Node) -> Result<BTreeMap<String, String>, GemspecError> {
    let shape = GemspecError::Shape { key: "metadata", expected: "a mapping of texts" };
    let Some(node) = root.get("metadata") else { return Ok(BTreeMap::new()) };
    let Some(pairs) = node.pairs() else { return Err(shape) };
    pairs
        .iter()
        .map(|(key, value)| Some((key.text()?.to_owned(), value.text()?.to_owned())))
        .collect::<Option<_>>()
        .ok_or(shape)
}
