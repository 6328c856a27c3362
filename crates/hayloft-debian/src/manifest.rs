use serde::{Deserialize, Serialize};

use crate::control::{Control, PackageKind};

/// What an index and a client need of a package without opening it: the manifest that the store
/// keeps as JSON.
///
/// Digests, size, component and distribution are not in here: the store knows them of every file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Manifest {
    /// `Package`
    pub name: String,
    /// `Version`
    pub version: String,
    /// `Architecture`
    pub architecture: String,
    /// Architecture whose index lists the package: the variant (`amd64v3`) if it has one.
    pub index_architecture: String,
    /// Which family of indexes lists the package.
    pub kind: PackageKind,
    /// Name of the file in a pool: `name_version_arch.deb`, without the epoch.
    pub file_name: String,
    /// Source package, whose name is a directory of the pool.
    pub source_name: String,
    /// Version of the source package.
    pub source_version: String,
    /// First line of `Description`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synopsis: Option<String>,
    /// All fields in the order of the control file, with their spelling; values as
    /// [`Field::value`](crate::Field::value), line breaks as `\n`, bytes that are not UTF-8
    /// replaced. Fields that an index writes itself (`Size`, `SHA256`, …) are left out.
    ///
    /// `name: value` lines in this order are the package's part of a `Packages` stanza.
    pub fields: Vec<(String, String)>,
}

impl Manifest {
    pub(crate) fn of(control: &Control<'_>, file_name: Option<&str>) -> Self {
        let kind = control.kind(file_name);
        let index_architecture = control.variant.as_ref().unwrap_or(&control.architecture);
        let description = control.text("Description");
        let indexed = |name: &&str| Control::is_indexed(name);
        Self {
            name: control.name.as_str().to_owned(),
            version: control.version.as_str().to_owned(),
            architecture: control.architecture.as_str().to_owned(),
            index_architecture: index_architecture.as_str().to_owned(),
            kind,
            file_name: file_name_of(
                control.name.as_str(),
                control.version.without_epoch(),
                Some(index_architecture.as_str()),
                kind,
            ),
            source_name: control.source_name.clone(),
            source_version: control.source_version.clone(),
            synopsis: description.and_then(|text| Some(text.lines().next()?.to_owned())),
            fields: control
                .stanza
                .fields()
                .iter()
                .filter(|field| indexed(&field.name))
                .map(|field| (field.name.to_owned(), field.lossy()))
                .collect(),
        }
    }

    /// The value of a field, compared without case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// `name_version_arch.deb`; a colon inside the version is written as apt writes it.
pub(crate) fn file_name_of(
    name: &str,
    version_without_epoch: &str,
    architecture: Option<&str>,
    kind: PackageKind,
) -> String {
    let version = version_without_epoch.replace(':', "%3a");
    let architecture = architecture.map(|word| format!("_{word}")).unwrap_or_default();
    format!("{name}_{version}{architecture}.{}", kind.extension())
}
