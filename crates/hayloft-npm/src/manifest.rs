use std::borrow::Cow;
use std::collections::BTreeSet;

use hayloft_feed::json::{JsonEditError, quoted};
use hayloft_feed::{Digests, HistoryEntry, HistoryError, Limits, shorten};

use crate::normalize;
use crate::value::{Object, Raw, check, with_whole_surrogates};
use crate::{NpmName, NpmNameError, NpmVersion, NpmVersionError};

/// Where the embedded history stands.
pub(crate) const HISTORY: &str = "repackageHistory";
/// Groups whose entries an installation follows.
const INSTALLED: [&str; 3] = ["dependencies", "optionalDependencies", "peerDependencies"];

/// The text of a package.json, as clients read it.
#[derive(Debug)]
pub(crate) struct PackageText {
    text: String,
    warnings: Vec<String>,
}

/// A package.json that names a package and a version.
#[derive(Debug)]
pub(crate) struct PackageJson<'t> {
    members: Object<'t>,
    name: NpmName,
    version: NpmVersion,
    warnings: Vec<String>,
}

/// The text is not a package.json that a registry can take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageJsonError {
    /// Not JSON.
    #[error("is not JSON")]
    Syntax(#[source] serde_json::Error),
    /// One object with more members than any package has.
    #[error("is not an object that can be read")]
    Members(#[source] JsonEditError),
    /// JSON of another kind.
    #[error("is not a JSON object")]
    NotAnObject,
    /// `name` or `version`.
    #[error("has no `{0}`, or one that is not text")]
    Missing(&'static str),
    /// The name breaks a rule that even old packages keep.
    #[error("names the package `{}`, which is not a package name", shorten(text))]
    Name {
        /// As it stands there.
        text: String,
        /// Which rule.
        #[source]
        source: NpmNameError,
    },
    /// The version is not one.
    #[error("states the version `{}`, which is not a version", shorten(text))]
    Version {
        /// As it stands there.
        text: String,
        /// Which rule.
        #[source]
        source: NpmVersionError,
    },
    /// The author forbids publishing.
    #[error("says `\"private\": true`; remove that to publish the package")]
    Private,
}

/// What the rest of the tarball tells about the package.
#[derive(Debug, Clone, Default)]
pub(crate) struct TarballFacts {
    pub(crate) file_count: u64,
    pub(crate) unpacked_size: u64,
    pub(crate) has_shrinkwrap: bool,
    /// A `*.gyp` file in the root: npm builds such a package when it has no script for it.
    pub(crate) has_gyp: bool,
    pub(crate) readme_filename: Option<String>,
    /// Files under `directories.bin`, if that is what makes the commands.
    pub(crate) bin_files: Vec<String>,
}

impl PackageText {
    /// Decodes what clients decode, with all their tolerance.
    pub(crate) fn read(bytes: Vec<u8>, limits: &Limits) -> Result<Self, PackageJsonError> {
        let mut warnings = Vec::new();
        let text = String::from_utf8(bytes).unwrap_or_else(|error| {
            warnings.push("package.json is not UTF-8; broken characters are replaced".to_owned());
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        });
        let mut text = Self { text, warnings };
        if let Err(error) = check(text.json(), limits.depth) {
            // JavaScript keeps half a surrogate pair; no other language can.
            let Cow::Owned(whole) = with_whole_surrogates(text.json()) else {
                return Err(PackageJsonError::Syntax(error));
            };
            check(&whole, limits.depth).map_err(PackageJsonError::Syntax)?;
            text.text = whole;
        }
        Ok(text)
    }

    fn json(&self) -> &str {
        self.text.strip_prefix('\u{feff}').unwrap_or(&self.text)
    }

    /// Refuses only what makes it no package.
    pub(crate) fn package(&self) -> Result<PackageJson<'_>, PackageJsonError> {
        let mut warnings = self.warnings.clone();
        if !self.json().trim_start().starts_with('{') {
            return Err(PackageJsonError::NotAnObject);
        }
        let members = Object::parse(self.json()).map_err(PackageJsonError::Members)?;
        let text = members.text("name").ok_or(PackageJsonError::Missing("name"))?;
        let name: NpmName = text
            .parse()
            .map_err(|source| PackageJsonError::Name { text: text.to_string(), source })?;
        if let Some(why) = name.legacy() {
            warnings.push(format!(
                "`{}` is a name that new packages may not take: it {why}",
                shorten(&text)
            ));
        }
        let text = members.text("version").ok_or(PackageJsonError::Missing("version"))?;
        let version = NpmVersion::clean(&text)
            .map_err(|source| PackageJsonError::Version { text: text.to_string(), source })?;
        if version.to_string() != text {
            warnings.push(format!("version `{}` is published as {version}", shorten(&text)));
        }
        if members.get("private").is_some_and(|value| value.is("true")) {
            return Err(PackageJsonError::Private);
        }
        drop(text);
        Ok(PackageJson { members, name, version, warnings })
    }
}

impl PackageJson<'_> {
    pub(crate) fn name(&self) -> &NpmName {
        &self.name
    }

    pub(crate) fn version(&self) -> &NpmVersion {
        &self.version
    }

    /// What was accepted although a strict reading forbids it.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The embedded history, oldest first.
    pub(crate) fn history(&self) -> Result<Vec<HistoryEntry>, HistoryError> {
        self.members
            .get(HISTORY)
            .map_or_else(|| Ok(Vec::new()), |value| HistoryEntry::parse_list(value.0))
    }

    /// The folder whose files are the commands: `directories.bin`, unless `bin` names them.
    pub(crate) fn bin_folder(&self) -> Option<String> {
        if self.members.get("bin").is_some_and(Raw::is_truthy) {
            return None;
        }
        let directories = self.members.get("directories")?.as_object()?;
        let folder = normalize::rooted(&directories.text("bin")?.replace(':', "/"));
        (!folder.is_empty()).then(|| folder.trim_end_matches('/').to_owned())
    }

    /// A readme that stands in package.json itself, as npm 1 to 6 published them.
    pub(crate) fn readme(&self) -> Option<Cow<'_, str>> {
        self.members.text("readme").filter(|text| !text.is_empty())
    }

    /// Dependencies on exactly `version`, as `name@range`: siblings that are released together.
    pub(crate) fn pins(&self, version: &NpmVersion) -> Vec<String> {
        let mut pins = BTreeSet::new();
        for group in INSTALLED {
            let listed = self.members.get(group).map(normalize::dependencies).unwrap_or_default();
            for (name, range) in listed.iter() {
                let range = range.as_text().unwrap_or_default();
                let range = &*range;
                let exact = range
                    .strip_prefix("npm:")
                    .and_then(|alias| alias.rsplit_once('@').map(|(_, range)| range))
                    .unwrap_or(range);
                if NpmVersion::clean(exact).is_ok_and(|exact| exact == *version) {
                    pins.insert(format!("{name}@{range}"));
                }
            }
        }
        pins.into_iter().collect()
    }

    /// The version object of a packument, without what the feed adds: `dist.tarball`,
    /// `deprecated`, `_npmUser` and the like.
    pub(crate) fn manifest(&self, facts: &TarballFacts, digests: &Digests) -> VersionObject<'_> {
        let mut object = self.members.clone();
        // Left over from old tools, from a registry's answer, or true of another machine only.
        object.retain(|key| {
            !key.starts_with('_')
                && !matches!(key, "dist" | "deprecated" | "readme" | "readmeFilename")
        });
        object.set("version", quoted(&self.version.to_string()));
        self.normalize_groups(&mut object);
        let commands = match (self.bin_folder(), self.members.get("bin")) {
            (Some(folder), _) => normalize::bin_of_folder(&folder, &facts.bin_files),
            (None, value) => value.and_then(|value| normalize::bin(value, self.name.name())),
        };
        put(&mut object, "bin", commands.map(|commands| commands.print()));
        let installs = self.has_install_script(facts.has_gyp).then(|| "true".to_owned());
        put(&mut object, "hasInstallScript", installs);
        put(&mut object, "readmeFilename", facts.readme_filename.as_deref().map(quoted));
        object.set("_id", quoted(&format!("{}@{}", self.name, self.version)));
        object.set("_hasShrinkwrap", facts.has_shrinkwrap.to_string());
        // Documents go on behind it: it must be the last.
        object.set("dist", dist(facts, digests));
        VersionObject(object)
    }

    fn normalize_groups(&self, object: &mut Object<'_>) {
        for group in ["dependencies", "optionalDependencies", "devDependencies", "peerDependencies"]
        {
            let Some(value) = self.members.get(group) else { continue };
            let listed = normalize::dependencies(value);
            let given = value.as_object().is_some() || !listed.is_empty();
            put(object, group, given.then(|| listed.print()));
        }
        for group in ["os", "cpu", "libc"] {
            let names = self.members.get(group).and_then(normalize::platforms);
            put(object, group, names);
        }
        let bundled = ["bundleDependencies", "bundledDependencies"]
            .iter()
            .find_map(|key| self.members.get(key));
        let bundled = bundled.and_then(|value| {
            let dependencies = object.get("dependencies").and_then(Raw::as_object);
            normalize::bundled(value, dependencies.as_ref())
        });
        object.remove("bundledDependencies");
        put(object, "bundleDependencies", bundled);
    }

    fn has_install_script(&self, has_gyp: bool) -> bool {
        let scripts = self.members.get("scripts").and_then(Raw::as_object);
        let has = |script: &str| {
            let scripts = scripts.as_ref();
            scripts.and_then(|scripts| scripts.get(script)).is_some_and(Raw::is_truthy)
        };
        let implicit =
            has_gyp && !self.members.get("gypfile").is_some_and(|value| value.is("false"));
        has("preinstall") || has("install") || has("postinstall") || implicit
    }
}

/// What a packument holds of one version, but for what the feed adds; its last member is `dist`.
#[derive(Debug)]
pub(crate) struct VersionObject<'t>(Object<'t>);

/// The members that clients ask for when they only resolve dependencies.
const ABBREVIATED: [&str; 21] = [
    "name",
    "version",
    "dependencies",
    "optionalDependencies",
    "devDependencies",
    "peerDependencies",
    "peerDependenciesMeta",
    "bundleDependencies",
    "acceptDependencies",
    "bin",
    "directories",
    "engines",
    "os",
    "cpu",
    "libc",
    "funding",
    "hasInstallScript",
    "_hasShrinkwrap",
    "workspaces",
    "license",
    "dist",
];

impl VersionObject<'_> {
    pub(crate) fn full(&self) -> String {
        self.0.print()
    }

    pub(crate) fn abbreviated(&self) -> String {
        let mut object = self.0.clone();
        object.retain(|key| ABBREVIATED.contains(&key));
        object.print()
    }
}

/// Without `tarball`, which depends on where the feed is.
fn dist(facts: &TarballFacts, digests: &Digests) -> String {
    format!(
        r#"{{"integrity":"sha512-{}","shasum":"{}","fileCount":{},"unpackedSize":{}}}"#,
        data_encoding::BASE64.encode(&digests.sha512),
        data_encoding::HEXLOWER.encode(&digests.sha1),
        facts.file_count,
        facts.unpacked_size,
    )
}

/// Sets a key to JSON text, or removes it where there is nothing to say.
fn put(object: &mut Object<'_>, key: &str, value: Option<String>) {
    match value {
        Some(value) => object.set(key, value),
        None => object.remove(key),
    }
}
