use std::collections::BTreeSet;

use hayloft_feed::{Limits, shorten};
use roxmltree::Node;

use crate::xml::{self, XmlError, XmlText};
use crate::{
    Dependency, DependencyGroup, EmbeddedFile, License, Manifest, NuGetVersion, NuGetVersionError,
    PackageId, PackageIdError, PackageType, Repository, TargetFramework, VersionRange,
    VersionRangeError,
};

/// Most characters of an id and a version together.
const LONGEST_IDENTITY: usize = 160;

/// Most tags that are kept.
const MOST_TAGS: usize = 2000;
/// Most warnings about one nuspec.
const MOST_WARNINGS: usize = 50;
const LAST_WARNING: usize = MOST_WARNINGS - 1;

/// Elements that clients would take for what a server says about a package.
const SERVER_FIELDS: [&str; 12] = [
    "created",
    "dependencygroups",
    "isprerelease",
    "lastedited",
    "listed",
    "packageentries",
    "packagehash",
    "packagehashalgorithm",
    "packagesize",
    "published",
    "supportedframeworks",
    "verbatimversion",
];

/// Element, and how many characters the public gallery takes.
const LENGTHS: [(&str, usize); 13] = [
    ("title", 256),
    ("authors", 4000),
    ("description", 4000),
    ("summary", 4000),
    ("releasenotes", 35_000),
    ("copyright", 4000),
    ("tags", 4000),
    ("language", 20),
    ("projecturl", 4000),
    ("iconurl", 4000),
    ("licenseurl", 4000),
    ("license", 500),
    ("readme", 260),
];

/// A nuspec cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NuspecError {
    /// Not XML.
    #[error("the nuspec cannot be read")]
    Xml(#[source] XmlError),
    /// The root is another element.
    #[error("the nuspec has the root element `{0}`, not `package`")]
    Root(String),
    /// No `metadata` below the root, or several.
    #[error("the nuspec has {0} `metadata` elements; it needs exactly one")]
    Metadata(usize),
    /// A required element is not there or empty.
    #[error("the nuspec has no `{0}`")]
    Missing(&'static str),
    /// An element that decides something contains others.
    #[error("the nuspec has elements inside `{0}`, which holds text only")]
    Nested(&'static str),
    /// An element stands twice.
    #[error("the nuspec has `{0}` more than once")]
    Duplicate(String),
    /// An element that only a server may say.
    #[error("the nuspec has `{0}`, which is the server's to say; remove it")]
    Reserved(String),
    /// The id is not one.
    #[error("the nuspec has the id `{text}`")]
    Id {
        /// What stands there.
        text: String,
        /// Which rule it breaks.
        #[source]
        source: PackageIdError,
    },
    /// The version is not one.
    #[error("the nuspec has the version `{text}`")]
    Version {
        /// What stands there.
        text: String,
        /// Which rule it breaks.
        #[source]
        source: NuGetVersionError,
    },
    /// Id and version are too long together.
    #[error("the id and the version have {0} characters, more than the 160 allowed together")]
    TooLong(usize),
    /// Neither `true` nor `false`.
    #[error("the nuspec has `{text}` in `{element}`; only `true` and `false` may stand there")]
    Boolean {
        /// Where.
        element: &'static str,
        /// What stands there.
        text: String,
    },
    /// `minClientVersion` is not a version.
    #[error("the nuspec has the minClientVersion `{text}`")]
    MinClientVersion {
        /// What stands there.
        text: String,
        /// Which rule it breaks.
        #[source]
        source: NuGetVersionError,
    },
    /// A package type without a proper name.
    #[error("the nuspec has the package type `{text}`")]
    PackageType {
        /// What stands there.
        text: String,
        /// Which rule its name breaks.
        #[source]
        source: PackageIdError,
    },
    /// The version of a package type is not two to four numbers.
    #[error("the nuspec has `{0}` as the version of a package type; write it as in `1.0`")]
    PackageTypeVersion(String),
    /// A dependency without a proper id.
    #[error("the nuspec has a dependency with the id `{text}`")]
    DependencyId {
        /// What stands there.
        text: String,
        /// Which rule it breaks.
        #[source]
        source: PackageIdError,
    },
    /// A dependency on something that is not a range.
    #[error("the dependency on `{id}` has the version range `{text}`")]
    DependencyRange {
        /// Of which package.
        id: String,
        /// What stands there.
        text: String,
        /// Which rule it breaks.
        #[source]
        source: VersionRangeError,
    },
    /// A dependency on whatever is newest.
    #[error("the dependency on `{id}` has the floating version range `{text}`; name a version")]
    DependencyFloats {
        /// Of which package.
        id: String,
        /// What stands there.
        text: String,
    },
    /// A dependency on a build.
    #[error("the dependency on `{id}` has build metadata in its range `{text}`; leave it out")]
    DependencyMetadata {
        /// Of which package.
        id: String,
        /// What stands there.
        text: String,
    },
}

/// What a nuspec says, and what is odd about it.
#[derive(Debug)]
pub(crate) struct Nuspec {
    pub(crate) id: PackageId,
    pub(crate) version: NuGetVersion,
    pub(crate) manifest: Manifest,
    pub(crate) warnings: Vec<String>,
    /// Exact dependencies: id, and the version that alone satisfies.
    pub(crate) pins: Vec<(String, NuGetVersion)>,
}

/// Reads the decoded text of a nuspec.
pub(crate) fn read(text: &XmlText, limits: &Limits) -> Result<Nuspec, NuspecError> {
    let document = text.parse(limits).map_err(NuspecError::Xml)?;
    let metadata = metadata(document.root_element())?;
    let fields = Fields::of(metadata)?;
    let id: PackageId = fields
        .required("id")?
        .parse()
        .map_err(|source| NuspecError::Id { text: shorten(&fields.text("id")), source })?;
    let version = NuGetVersion::parse_new(&fields.required("version")?).map_err(|source| {
        NuspecError::Version { text: shorten(&fields.text("version")), source }
    })?;
    check_length(&id, &version)?;
    let mut reader = Reader { fields, warnings: Vec::new(), pins: Vec::new() };
    let manifest = reader.manifest(metadata, &id, &version)?;
    let Reader { warnings, pins, .. } = reader;
    Ok(Nuspec { id, version, manifest, warnings, pins })
}

pub(crate) fn check_length(id: &PackageId, version: &NuGetVersion) -> Result<(), NuspecError> {
    let length = id.spelled().len() + version.to_string().len();
    if length > LONGEST_IDENTITY {
        return Err(NuspecError::TooLong(length));
    }
    Ok(())
}

/// The text with another version in `/package/metadata/version`.
pub(crate) fn with_version(
    text: &XmlText,
    version: &str,
    limits: &Limits,
) -> Result<String, NuspecError> {
    let document = text.parse(limits).map_err(NuspecError::Xml)?;
    let fields = Fields::of(metadata(document.root_element())?)?;
    let element = fields.element("version").ok_or(NuspecError::Missing("version"))?;
    let span = xml::content_span(text.text(), element).ok_or(NuspecError::Missing("version"))?;
    let content = text.text().get(span.clone()).unwrap_or_default();
    let content = xml::with_value(content, version);
    Ok(hayloft_feed::json::replaced(text.text(), &span, &content))
}

fn metadata<'a, 'i>(root: Node<'a, 'i>) -> Result<Node<'a, 'i>, NuspecError> {
    if root.tag_name().name() != "package" {
        return Err(NuspecError::Root(shorten(root.tag_name().name())));
    }
    let mut found = children(root, "metadata");
    match (found.next(), found.count()) {
        (Some(metadata), 0) => Ok(metadata),
        (first, rest) => Err(NuspecError::Metadata(rest + usize::from(first.is_some()))),
    }
}

/// Child elements by name, whatever their namespace.
fn children<'a, 'i>(
    parent: Node<'a, 'i>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    parent.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

/// The children of `metadata`, whose names clients compare without case.
struct Fields<'a, 'i>(Vec<(String, Node<'a, 'i>)>);

impl<'a, 'i> Fields<'a, 'i> {
    fn of(metadata: Node<'a, 'i>) -> Result<Self, NuspecError> {
        let fields: Vec<_> = metadata
            .children()
            .filter(Node::is_element)
            .map(|element| (element.tag_name().name().to_ascii_lowercase(), element))
            .collect();
        let mut seen = BTreeSet::new();
        for (name, element) in &fields {
            let holds_elements = element.children().any(|child| child.is_element());
            if holds_elements || xml::value(*element).is_empty() {
                continue;
            }
            if SERVER_FIELDS.contains(&name.as_str()) {
                return Err(NuspecError::Reserved(shorten(element.tag_name().name())));
            }
            if !seen.insert(name) {
                return Err(NuspecError::Duplicate(shorten(element.tag_name().name())));
            }
        }
        Ok(Self(fields))
    }

    /// The element `name` that says something, else an empty one.
    fn element(&self, name: &str) -> Option<Node<'a, 'i>> {
        let mut named = self.0.iter().filter(|(key, _)| key == name).map(|(_, element)| *element);
        let first = named.next();
        first
            .filter(|element| !xml::value(*element).is_empty())
            .or_else(|| named.find(|element| !xml::value(*element).is_empty()).or(first))
    }

    fn text(&self, name: &str) -> String {
        self.element(name).map(xml::value).unwrap_or_default()
    }

    fn get(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    fn required(&self, name: &'static str) -> Result<String, NuspecError> {
        let element = self.element(name).ok_or(NuspecError::Missing(name))?;
        if element.children().any(|child| child.is_element()) {
            return Err(NuspecError::Nested(name));
        }
        Some(xml::value(element)).filter(|text| !text.is_empty()).ok_or(NuspecError::Missing(name))
    }

    fn flag(&self, element: &'static str) -> Result<bool, NuspecError> {
        let text = self.text(&element.to_ascii_lowercase());
        match text.to_ascii_lowercase().as_str() {
            "" | "false" => Ok(false),
            "true" => Ok(true),
            _ => Err(NuspecError::Boolean { element, text: shorten(&text) }),
        }
    }
}

fn attribute(node: Node<'_, '_>, name: &str) -> Option<String> {
    node.attribute(name).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

struct Reader<'a, 'i> {
    fields: Fields<'a, 'i>,
    warnings: Vec<String>,
    pins: Vec<(String, NuGetVersion)>,
}

impl<'a, 'i> Reader<'a, 'i> {
    fn manifest(
        &mut self,
        metadata: Node<'a, 'i>,
        id: &PackageId,
        version: &NuGetVersion,
    ) -> Result<Manifest, NuspecError> {
        let package_types = package_types(metadata)?;
        let (dependency_groups, dependencies_are_semver2) = self.dependency_groups(metadata)?;
        let get = |name: &str| self.fields.get(name);
        let manifest = Manifest {
            id: id.spelled().to_owned(),
            version: version.original().to_owned(),
            normalized_version: version.normalized(),
            full_version: version.to_string(),
            prerelease: version.is_prerelease(),
            semver2: version.is_semver2() || dependencies_are_semver2,
            title: get("title"),
            authors: get("authors").or_else(|| get("owners")),
            owners: get("owners"),
            description: get("description"),
            summary: get("summary"),
            release_notes: get("releasenotes"),
            copyright: get("copyright"),
            language: get("language"),
            tags: tags(&self.fields.text("tags")),
            icon: get("icon").map(|path| embedded(&path)),
            readme: get("readme").map(|path| embedded(&path)),
            require_license_acceptance: self.fields.flag("requireLicenseAcceptance")?,
            development_dependency: self.fields.flag("developmentDependency")?,
            min_client_version: min_client_version(metadata)?,
            repository: children(metadata, "repository").next().map(repository),
            project_url: self.url("projectUrl"),
            icon_url: self.url("iconUrl"),
            license_url: self.url("licenseUrl"),
            license: self.license(),
            package_types,
            dependency_groups,
            signature: None,
            symbols: Vec::new(),
        };
        self.fields.flag("serviceable")?;
        self.judge(&manifest);
        Ok(manifest)
    }

    /// Notes what the public gallery would refuse although clients can read it.
    fn judge(&mut self, manifest: &Manifest) {
        if !manifest.is_symbol_package() {
            for (name, value) in
                [("authors", &manifest.authors), ("description", &manifest.description)]
            {
                if value.is_none() {
                    self.warn(format!("the nuspec has no `{name}`"));
                }
            }
        }
        for (name, limit) in LENGTHS {
            let length = self.fields.text(name).chars().count();
            if length > limit {
                self.warn(format!(
                    "`{name}` has {length} characters, more than the {limit} that galleries take"
                ));
            }
        }
    }

    /// People read these, not machines: the first ones do.
    fn warn(&mut self, text: String) {
        match self.warnings.len() {
            MOST_WARNINGS.. => {}
            LAST_WARNING => self.warnings.push("there is more to warn about".to_owned()),
            _ => self.warnings.push(text),
        }
    }

    fn url(&mut self, element: &str) -> Option<String> {
        let text = self.fields.get(&element.to_ascii_lowercase())?;
        let lower = text.to_ascii_lowercase();
        let rest = lower.strip_prefix("http://").or_else(|| lower.strip_prefix("https://"));
        if rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
            && !text.contains(char::is_whitespace)
        {
            return Some(text);
        }
        self.warn(format!(
            "`{element}` is left out, since `{}` is no absolute http or https address",
            shorten(&text)
        ));
        None
    }

    fn license(&mut self) -> Option<License> {
        let element = self.fields.element("license")?;
        let value = Some(xml::value(element)).filter(|value| !value.is_empty())?;
        let kind = attribute(element, "type").unwrap_or_default();
        if kind.eq_ignore_ascii_case("expression") {
            Some(License::Expression(value))
        } else if kind.eq_ignore_ascii_case("file") {
            Some(License::File(slashed(&value)))
        } else {
            self.warn(format!(
                "the license is left out, since its type `{}` is neither expression nor file",
                shorten(&kind)
            ));
            None
        }
    }

    /// The groups, and whether a bound is a version that only SemVer 2 clients read.
    fn dependency_groups(
        &mut self,
        metadata: Node<'a, 'i>,
    ) -> Result<(Vec<DependencyGroup>, bool), NuspecError> {
        let mut semver2 = false;
        let mut groups = Vec::new();
        let mut frameworks = BTreeSet::new();
        for element in children(metadata, "dependencies").flat_map(|list| children(list, "group")) {
            let target_framework = attribute(element, "targetFramework");
            self.judge_framework(target_framework.as_deref(), &mut frameworks);
            let dependencies = self.dependencies(children(element, "dependency"), &mut semver2)?;
            groups.push(DependencyGroup { target_framework, dependencies });
        }
        if groups.is_empty() {
            let flat =
                children(metadata, "dependencies").flat_map(|list| children(list, "dependency"));
            let dependencies = self.dependencies(flat, &mut semver2)?;
            if !dependencies.is_empty() {
                groups.push(DependencyGroup { target_framework: None, dependencies });
            }
        }
        Ok((groups, semver2))
    }

    fn judge_framework(&mut self, text: Option<&str>, seen: &mut BTreeSet<String>) {
        let name = text.unwrap_or("any");
        match name.parse::<TargetFramework>() {
            Err(_) => self.warn(format!(
                "clients do not know the target framework `{}` of a dependency group",
                shorten(name)
            )),
            Ok(framework) if !seen.insert(framework.to_string()) => self.warn(format!(
                "several dependency groups are for the target framework `{}`",
                shorten(name)
            )),
            Ok(_) => {}
        }
    }

    fn dependencies(
        &mut self,
        elements: impl Iterator<Item = Node<'a, 'i>>,
        semver2: &mut bool,
    ) -> Result<Vec<Dependency>, NuspecError> {
        let mut ids = BTreeSet::new();
        let mut found = Vec::new();
        for element in elements {
            let (dependency, range) = dependency(element)?;
            *semver2 |= range.bounds().any(NuGetVersion::is_semver2);
            if let Some(version) = range.exact() {
                self.pins.push((dependency.id.clone(), version.clone()));
            }
            if !ids.insert(dependency.id.to_ascii_lowercase()) {
                self.warn(format!(
                    "a dependency group names `{}` more than once",
                    shorten(&dependency.id)
                ));
            }
            found.push(dependency);
        }
        Ok(found)
    }
}

/// Galleries take 4000 characters of tags: with more of them than fit there, the rest is no help.
fn tags(text: &str) -> Vec<String> {
    text.split_whitespace().take(MOST_TAGS).map(str::to_owned).collect()
}

fn package_types(metadata: Node<'_, '_>) -> Result<Vec<PackageType>, NuspecError> {
    children(metadata, "packageTypes")
        .flat_map(|list| children(list, "packageType"))
        .map(|element| {
            let name = attribute(element, "name").unwrap_or_default();
            name.parse::<PackageId>()
                .map_err(|source| NuspecError::PackageType { text: shorten(&name), source })?;
            let version = attribute(element, "version");
            match &version {
                Some(text) if !is_system_version(text) => {
                    Err(NuspecError::PackageTypeVersion(shorten(text)))
                }
                _ => Ok(PackageType { name, version }),
            }
        })
        .collect()
}

fn dependency(element: Node<'_, '_>) -> Result<(Dependency, VersionRange), NuspecError> {
    let id = element.attribute("id").unwrap_or_default().to_owned();
    id.parse::<PackageId>()
        .map_err(|source| NuspecError::DependencyId { text: shorten(&id), source })?;
    let range = match attribute(element, "version") {
        // Old packages leave it out and mean any version.
        None => VersionRange::any(),
        Some(text) => {
            let range: VersionRange = text.parse().map_err(|source| {
                NuspecError::DependencyRange { id: id.clone(), text: shorten(&text), source }
            })?;
            if range.is_floating() {
                return Err(NuspecError::DependencyFloats { id, text: shorten(&text) });
            }
            if range.bounds().any(|bound| bound.metadata().is_some()) {
                return Err(NuspecError::DependencyMetadata { id, text: shorten(&text) });
            }
            range
        }
    };
    let dependency = Dependency {
        id,
        range: range.to_string(),
        include: attribute(element, "include"),
        exclude: attribute(element, "exclude"),
    };
    Ok((dependency, range))
}

fn embedded(path: &str) -> EmbeddedFile {
    EmbeddedFile { path: slashed(path), media_type: String::new() }
}

/// Paths in a nuspec may be written with backslashes.
fn slashed(path: &str) -> String {
    path.replace('\\', "/").trim_start_matches("./").to_owned()
}

fn min_client_version(metadata: Node<'_, '_>) -> Result<Option<String>, NuspecError> {
    let Some(text) = attribute(metadata, "minClientVersion") else { return Ok(None) };
    text.parse::<NuGetVersion>()
        .map_err(|source| NuspecError::MinClientVersion { text: shorten(&text), source })?;
    Ok(Some(text))
}

fn repository(element: Node<'_, '_>) -> Repository {
    Repository {
        kind: attribute(element, "type"),
        url: attribute(element, "url"),
        branch: attribute(element, "branch"),
        commit: attribute(element, "commit"),
    }
}

/// Two to four numbers, as .NET's `System.Version`.
fn is_system_version(text: &str) -> bool {
    (2..=4).contains(&text.split('.').count())
        && text.split('.').all(|field| {
            field.bytes().all(|byte| byte.is_ascii_digit()) && field.parse::<i32>().is_ok()
        })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn nuspec(metadata: &str) -> Result<Nuspec, NuspecError> {
        let text = format!(
            "<package><metadata minClientVersion='2.5'><id>A</id><version>1.0</version>\
             <authors>x</authors><description>y</description>{metadata}</metadata></package>"
        );
        read(&XmlText::decode(text.as_bytes()).unwrap(), &Limits::default())
    }

    #[test]
    fn all_that_indexes_need_is_read() {
        let found = nuspec(
            "<Title> T </Title><tags>a  b</tags><projectUrl>https://x.test/</projectUrl>\
             <license type='expression'>MIT</license><icon>images\\i.png</icon>\
             <requireLicenseAcceptance>True</requireLicenseAcceptance>\
             <repository type='git' url='u' commit='c'/>\
             <packageTypes><packageType name='DotnetTool'/></packageTypes>\
             <packageTypes><packageType name='X' version='1.0'/></packageTypes>\
             <dependencies><dependency id='ignored' version='*bad*'/>\
             <group targetFramework='net6.0'><dependency id='B' version='1.0-rc.1' exclude='Build'/>\
             <dependency id='C'/></group><group targetFramework='net8.0'/></dependencies>",
        )
        .unwrap();
        assert_eq!(found.warnings, [""; 0]);
        let json = serde_json::to_value(&found.manifest).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "id": "A", "version": "1.0", "normalizedVersion": "1.0.0", "fullVersion": "1.0.0",
                "semVer2": true, "title": "T", "authors": "x", "description": "y",
                "tags": ["a", "b"], "projectUrl": "https://x.test/",
                "license": { "type": "expression", "value": "MIT" },
                "icon": { "path": "images/i.png", "mediaType": "" },
                "requireLicenseAcceptance": true, "minClientVersion": "2.5",
                "repository": { "type": "git", "url": "u", "commit": "c" },
                "packageTypes": [{ "name": "DotnetTool" }, { "name": "X", "version": "1.0" }],
                "dependencyGroups": [
                    { "targetFramework": "net6.0", "dependencies": [
                        { "id": "B", "range": "[1.0.0-rc.1, )", "exclude": "Build" },
                        { "id": "C", "range": "(, )" },
                    ] },
                    { "targetFramework": "net8.0", "dependencies": [] },
                ],
            })
        );
        assert_eq!(serde_json::from_value::<Manifest>(json).unwrap(), found.manifest);
    }

    #[test]
    fn flat_dependencies_are_one_group_for_any_framework() {
        let found = nuspec(
            "<dependencies><dependency id='B' version='[1.0]'/></dependencies>\
             <dependencies><dependency id='C' version='2.0'/></dependencies>",
        )
        .unwrap();
        let [group] = &found.manifest.dependency_groups[..] else { panic!("one group") };
        assert_eq!(group.target_framework, None);
        assert_eq!(group.dependencies.len(), 2);
        assert_eq!(found.pins, [("B".to_owned(), "1.0.0".parse().unwrap())]);
        assert!(!found.manifest.semver2);
    }

    #[rstest]
    #[case::duplicate("<title>a</title><TITLE>b</TITLE>", NuspecError::Duplicate("TITLE".into()))]
    #[case::second_version("<Version>2.0</Version>", NuspecError::Duplicate("Version".into()))]
    #[case::server_field("<listed>false</listed>", NuspecError::Reserved("listed".into()))]
    #[case::boolean(
        "<developmentDependency>yes</developmentDependency>",
        NuspecError::Boolean { element: "developmentDependency", text: "yes".into() }
    )]
    #[case::empty_dependency(
        "<dependencies><dependency id='' version=''/></dependencies>",
        NuspecError::DependencyId { text: String::new(), source: PackageIdError::Empty }
    )]
    #[case::bad_range(
        "<dependencies><dependency id='B' version='[1.0'/></dependencies>",
        NuspecError::DependencyRange {
            id: "B".into(), text: "[1.0".into(), source: VersionRangeError::Shape
        }
    )]
    #[case::floating_range(
        "<dependencies><group><dependency id='B' version='1.*'/></group></dependencies>",
        NuspecError::DependencyFloats { id: "B".into(), text: "1.*".into() }
    )]
    #[case::metadata_in_range(
        "<dependencies><dependency id='B' version='1.0+a'/></dependencies>",
        NuspecError::DependencyMetadata { id: "B".into(), text: "1.0+a".into() }
    )]
    #[case::package_type(
        "<packageTypes><packageType name=''/></packageTypes>",
        NuspecError::PackageType { text: String::new(), source: PackageIdError::Empty }
    )]
    #[case::package_type_version(
        "<packageTypes><packageType name='a' version='1'/></packageTypes>",
        NuspecError::PackageTypeVersion("1".into())
    )]
    fn what_no_client_reads_is_refused(#[case] metadata: &str, #[case] error: NuspecError) {
        assert_eq!(nuspec(metadata).unwrap_err(), error);
    }

    #[rstest]
    #[case::other_root("<p><metadata/></p>", NuspecError::Root("p".into()))]
    #[case::no_metadata("<package/>", NuspecError::Metadata(0))]
    #[case::two_metadata("<package><metadata/><metadata/></package>", NuspecError::Metadata(2))]
    #[case::no_id("<package><metadata><id> </id></metadata></package>", NuspecError::Missing("id"))]
    #[case::no_version(
        "<package><metadata><id>A</id><version/></metadata></package>",
        NuspecError::Missing("version")
    )]
    #[case::nested(
        "<package><metadata><id>A</id><version>1.0<b/></version></metadata></package>",
        NuspecError::Nested("version")
    )]
    #[case::left_over_template(
        "<package><metadata><id>$id$</id></metadata></package>",
        NuspecError::Id { text: "$id$".into(), source: PackageIdError::Character('$') }
    )]
    #[case::single_number(
        "<package><metadata><id>A</id><version>1</version></metadata></package>",
        NuspecError::Version {
            text: "1".into(), source: NuGetVersionError::SingleNumber("1".into())
        }
    )]
    fn a_nuspec_without_identity_is_refused(#[case] text: &str, #[case] error: NuspecError) {
        let text = XmlText::decode(text.as_bytes()).unwrap();
        assert_eq!(read(&text, &Limits::default()).unwrap_err(), error);
    }

    #[test]
    fn identities_have_at_most_160_characters() {
        let text = format!(
            "<package><metadata><id>{}</id><version>1.0.0-{}</version></metadata></package>",
            "a".repeat(100),
            "b".repeat(55)
        );
        let text = XmlText::decode(text.as_bytes()).unwrap();
        assert_eq!(read(&text, &Limits::default()).unwrap_err(), NuspecError::TooLong(161));
    }

    #[test]
    fn what_clients_survive_is_a_warning() {
        let found = nuspec(
            "<projectUrl>javascript:alert(1)</projectUrl><license type='x'>y</license>\
             <title>",
        );
        assert!(matches!(found, Err(NuspecError::Xml(XmlError::Malformed(_)))));
        let found = nuspec(&format!(
            "<projectUrl>javascript:alert(1)</projectUrl><license type='x'>y</license>\
             <title>{}</title><dependencies><group targetFramework='bogus'>\
             <dependency id='B'/><dependency id='b'/></group><group/><group/></dependencies>",
            "t".repeat(257)
        ))
        .unwrap();
        assert_eq!(found.manifest.project_url, None);
        assert_eq!(found.manifest.license, None);
        assert_eq!(found.warnings.len(), 6, "{:?}", found.warnings);
    }

    #[test]
    fn the_version_is_edited_where_the_reader_finds_it() {
        let text = "<package xmlns:a='u'><metadata xmlns='n'><!-- <version>0</version> --><id>A</id>\
                    <dependencies><version>9</version></dependencies>\
                    <VERSION a:b='>' >\r\n 1.0 </VERSION></metadata><version>8</version></package>";
        let read = XmlText::decode(text.as_bytes()).unwrap();
        let changed = with_version(&read, "2.0.0", &Limits::default()).unwrap();
        assert_eq!(changed, text.replace(" 1.0 ", " 2.0.0 "));
    }
}
