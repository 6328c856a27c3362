use serde::{Deserialize, Serialize};

use crate::CoreMetadata;
use crate::file_name::{FileName, WheelName};

/// What an index says about one file, kept as JSON beside the file.
///
/// Together with what every store knows (size, digests, time of arrival, status) this is enough
/// for the simple index in both its forms and for the legacy JSON pages; the description comes
/// from the document `METADATA` or `PKG-INFO`: see [`description`](crate::description).
/// Format: <https://packaging.python.org/specifications/simple-repository-api/>
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// Name of the file, as it was uploaded.
    pub filename: String,
    /// Kind of the file.
    pub packagetype: PackageType,
    /// The first tag set of a wheel, such as `py2.py3`; `source` for a source distribution.
    pub python_version: String,
    /// The other parts of a wheel's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<WheelTags>,
    /// The digest of the document `METADATA`, which the index serves beside a wheel; a source
    /// distribution has none, since its metadata is not final.
    #[serde(rename = "core-metadata", default, skip_serializing_if = "Option::is_none")]
    pub core_metadata: Option<Sha256Digest>,
    /// What the file says of itself.
    pub info: CoreMetadata,
}

/// Kind of a file, in the words of the upload protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PackageType {
    /// A wheel.
    #[serde(rename = "bdist_wheel")]
    Wheel,
    /// A source distribution.
    #[serde(rename = "sdist")]
    Sdist,
}

impl PackageType {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Wheel => "bdist_wheel",
            Self::Sdist => "sdist",
        }
    }
}

/// What a wheel's name says beyond name and version; sets are joined by dots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WheelTags {
    /// Tells rebuilds of one version apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// Interpreters.
    pub python: String,
    /// Binary interfaces.
    pub abi: String,
    /// Platforms.
    pub platform: String,
}

/// A digest as the index writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sha256Digest {
    /// Lower-case hex.
    pub sha256: String,
}

impl Manifest {
    pub(crate) fn new(
        filename: &str,
        parsed: &FileName,
        core_metadata: Option<String>,
        info: CoreMetadata,
    ) -> Self {
        let (packagetype, python_version, tags) = match parsed {
            FileName::Sdist(_) => (PackageType::Sdist, "source".to_owned(), None),
            FileName::Wheel(wheel) => {
                (PackageType::Wheel, wheel.python.clone(), Some(WheelTags::of(wheel)))
            }
        };
        Self {
            filename: filename.to_owned(),
            packagetype,
            python_version,
            tags,
            core_metadata: core_metadata.map(|sha256| Sha256Digest { sha256 }),
            info,
        }
    }
}

impl WheelTags {
    fn of(wheel: &WheelName) -> Self {
        Self {
            build: wheel.build.clone(),
            python: wheel.python.clone(),
            abi: wheel.abi.clone(),
            platform: wheel.platform.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_reads_back_and_leaves_out_what_is_absent() {
        let info = CoreMetadata { name: "a".to_owned(), ..CoreMetadata::default() };
        let name = "a-1-7-py3-none-any.whl";
        let manifest = Manifest::new(name, &name.parse().unwrap(), Some("00".to_owned()), info);
        let text = serde_json::to_string(&manifest).unwrap();
        assert_eq!(
            text,
            r#"{"filename":"a-1-7-py3-none-any.whl","packagetype":"bdist_wheel","python_version":"py3","tags":{"build":"7","python":"py3","abi":"none","platform":"any"},"core-metadata":{"sha256":"00"},"info":{"metadata_version":"","name":"a","version":""}}"#
        );
        assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);
    }
}
