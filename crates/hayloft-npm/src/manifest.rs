use std::borrow::Cow;
use std::collections::BTreeSet;

use hayloft_feed::{Digests, HistoryEntry, HistoryError, Limits, shorten};

use crate::normalize;
use crate::value::{Object, Value, with_whole_surrogates};
use crate::{NpmName, NpmNameError, NpmVersion, NpmVersionError};

/// Where the embedded history stands.
pub(crate) const HISTORY: &str = "repackageHistory";
/// Groups whose entries an installation follows.
const INSTALLED: [&str; 3] = ["dependencies", "optionalDependencies", "peerDependencies"];

/// A package.json that names a package and a version.
#[derive(Debug)]
pub(crate) struct PackageJson {
    members: Object,
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

impl PackageJson {
    /// Reads what clients read, so with all their tolerance but for what makes it no package.
    pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, PackageJsonError> {
        let text = String::from_utf8_lossy(bytes);
        let mut warnings = Vec::new();
        if matches!(text, Cow::Owned(_)) {
            warnings.push("package.json is not UTF-8; broken characters are replaced".to_owned());
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let value = Value::parse(text, limits.depth)
            .or_else(|error| match with_whole_surrogates(text) {
                // JavaScript keeps half a surrogate pair; no other language can.
                Cow::Owned(text) => Value::parse(&text, limits.depth),
                Cow::Borrowed(_) => Err(error),
            })
            .map_err(PackageJsonError::Syntax)?;
        let Value::Object(members) = value else { return Err(PackageJsonError::NotAnObject) };
        let text = members.text("name").ok_or(PackageJsonError::Missing("name"))?;
        let name: NpmName = text
            .parse()
            .map_err(|source| PackageJsonError::Name { text: text.to_owned(), source })?;
        if let Some(why) = name.legacy() {
            warnings.push(format!(
                "`{}` is a name that new packages may not take: it {why}",
                shorten(text)
            ));
        }
        let text = members.text("version").ok_or(PackageJsonError::Missing("version"))?;
        let version = NpmVersion::clean(text)
            .map_err(|source| PackageJsonError::Version { text: text.to_owned(), source })?;
        if version.to_string() != text {
            warnings.push(format!("version `{}` is published as {version}", shorten(text)));
        }
        if members.get("private") == Some(&Value::Bool(true)) {
            return Err(PackageJsonError::Private);
        }
        Ok(Self { members, name, version, warnings })
    }

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
        let Some(value) = self.members.get(HISTORY) else { return Ok(Vec::new()) };
        HistoryEntry::parse_list(&serde_json::to_string(value).map_err(HistoryError::Shape)?)
    }

    /// The folder whose files are the commands: `directories.bin`, unless `bin` names them.
    pub(crate) fn bin_folder(&self) -> Option<String> {
        if self.members.get("bin").is_some_and(Value::is_truthy) {
            return None;
        }
        let folder = self.members.get("directories")?.as_object()?.text("bin")?;
        let folder = normalize::rooted(&folder.replace(':', "/"));
        (!folder.is_empty()).then(|| folder.trim_end_matches('/').to_owned())
    }

    /// A readme that stands in package.json itself, as npm 1 to 6 published them.
    pub(crate) fn readme(&self) -> Option<&str> {
        self.members.text("readme").filter(|text| !text.is_empty())
    }

    /// Dependencies on exactly `version`, as `name@range`: siblings that are released together.
    pub(crate) fn pins(&self, version: &NpmVersion) -> Vec<String> {
        let mut pins = BTreeSet::new();
        for group in INSTALLED {
            let listed = self.members.get(group).map(normalize::dependencies).unwrap_or_default();
            for (name, range) in listed.iter() {
                let range = range.as_text().unwrap_or_default();
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
    pub(crate) fn manifest(&self, facts: &TarballFacts, digests: &Digests) -> String {
        let mut object = self.members.clone();
        // Left over from old tools, from a registry's answer, or true of another machine only.
        object.retain(|key, _| {
            !key.starts_with('_')
                && !matches!(key, "dist" | "deprecated" | "readme" | "readmeFilename")
        });
        object.set("version", Value::Text(self.version.to_string()));
        self.normalize_groups(&mut object);
        let commands = if self.bin_folder().is_some() {
            normalize::bin_of_folder(&self.bin_folder().unwrap_or_default(), &facts.bin_files)
        } else {
            object.get("bin").and_then(|value| normalize::bin(value, self.name.name()))
        };
        put(&mut object, "bin", commands.map(Value::Object));
        let installs = self.has_install_script(facts.has_gyp).then_some(Value::Bool(true));
        put(&mut object, "hasInstallScript", installs);
        put(&mut object, "readmeFilename", facts.readme_filename.as_deref().map(Value::from));
        object.set("_id", Value::Text(format!("{}@{}", self.name, self.version)));
        object.set("_hasShrinkwrap", Value::Bool(facts.has_shrinkwrap));
        object.set("dist", Value::Object(dist(facts, digests)));
        // Text, numbers and containers of them always serialize.
        serde_json::to_string(&object).unwrap_or_default()
    }

    fn normalize_groups(&self, object: &mut Object) {
        for group in ["dependencies", "optionalDependencies", "devDependencies", "peerDependencies"]
        {
            let Some(value) = self.members.get(group) else { continue };
            let listed = normalize::dependencies(value);
            let given = value.as_object().is_some() || !listed.is_empty();
            put(object, group, given.then_some(Value::Object(listed)));
        }
        for group in ["os", "cpu", "libc"] {
            let names = self.members.get(group).map(normalize::platforms).unwrap_or_default();
            put(object, group, (!names.is_empty()).then_some(Value::List(names)));
        }
        let bundled = ["bundleDependencies", "bundledDependencies"]
            .iter()
            .find_map(|key| self.members.get(key));
        let dependencies = object.get("dependencies").and_then(Value::as_object);
        let bundled =
            bundled.map(|value| normalize::bundled(value, dependencies)).unwrap_or_default();
        object.remove("bundledDependencies");
        put(object, "bundleDependencies", (!bundled.is_empty()).then_some(Value::List(bundled)));
    }

    fn has_install_script(&self, has_gyp: bool) -> bool {
        let scripts = self.members.get("scripts").and_then(Value::as_object);
        let has = |script: &str| {
            scripts.and_then(|scripts| scripts.get(script)).is_some_and(Value::is_truthy)
        };
        let implicit = has_gyp && self.members.get("gypfile") != Some(&Value::Bool(false));
        has("preinstall") || has("install") || has("postinstall") || implicit
    }
}

fn dist(facts: &TarballFacts, digests: &Digests) -> Object {
    let integrity = format!("sha512-{}", data_encoding::BASE64.encode(&digests.sha512));
    [
        ("integrity", Value::Text(integrity)),
        ("shasum", Value::Text(data_encoding::HEXLOWER.encode(&digests.sha1))),
        ("fileCount", Value::Number(facts.file_count.into())),
        ("unpackedSize", Value::Number(facts.unpacked_size.into())),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// Sets a key, or removes it where there is nothing to say.
fn put(object: &mut Object, key: &str, value: Option<Value>) {
    match value {
        Some(value) => object.set(key, value),
        None => {
            object.remove(key);
        }
    }
}
