//! Which paths mean what.

use hayloft_feed::native::{encoded, segments};

use crate::placement::DirectoryName;

/// Parts of a path that are looked at; no distribution or component has as many.
const DEEPEST: usize = 24;

/// What a read asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// A file of a release.
    Release { suite: String, file: ReleaseFile },
    /// An index: the parts between `dists` and its name.
    Index { parts: Vec<String>, name: IndexName },
    /// A package file.
    Pool(PoolFile),
    /// The key that releases are signed with.
    Key { armored: bool },
}

/// The three files that tell of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReleaseFile {
    Plain,
    Inline,
    Detached,
}

/// How an index is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IndexName {
    Plain,
    Gzip,
    ByDigest([u8; 32]),
}

/// A package file in the pool. What stands between is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PoolFile {
    /// First half of its SHA-256.
    pub(super) digest: [u8; 16],
    pub(super) file_name: String,
}

/// Where an upload goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UploadTarget {
    pub(super) suite: String,
    pub(super) component: String,
    /// What the client calls the file.
    pub(super) file_name: Option<String>,
}

impl ReleaseFile {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "Release",
            Self::Inline => "InRelease",
            Self::Detached => "Release.gpg",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Plain, Self::Inline, Self::Detached].into_iter().find(|file| file.name() == name)
    }
}

impl IndexName {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Plain => "Packages",
            Self::Gzip => "Packages.gz",
            Self::ByDigest(_) => "by-hash",
        }
    }
}

impl Asked {
    pub(super) fn of(path: &str) -> Option<Self> {
        let parts = segments(path).filter(|parts| parts.len() <= DEEPEST)?;
        let (first, rest) = parts.split_first()?;
        let (last, between) = rest.split_last()?;
        match first.as_str() {
            "dists" => Self::of_dists(between, last),
            "pool" => {
                let digest = data_encoding::HEXLOWER.decode(between.last()?.as_bytes()).ok()?;
                let digest = digest.try_into().ok()?;
                Some(Self::Pool(PoolFile { digest, file_name: last.clone() }))
            }
            "keys" if between.is_empty() => match last.rsplit_once('.')? {
                (_, "asc") => Some(Self::Key { armored: true }),
                (_, "gpg") => Some(Self::Key { armored: false }),
                _ => None,
            },
            _ => None,
        }
    }

    fn of_dists(between: &[String], last: &str) -> Option<Self> {
        if between.is_empty() {
            return None;
        }
        if let Some(file) = ReleaseFile::parse(last) {
            let suite = between.join("/");
            return suite.parse::<DirectoryName>().is_ok().then_some(Self::Release { suite, file });
        }
        let name = match last {
            "Packages" => IndexName::Plain,
            "Packages.gz" => IndexName::Gzip,
            digest => {
                let directory =
                    between.strip_suffix(&["by-hash".to_owned(), "SHA256".to_owned()])?;
                let digest = data_encoding::HEXLOWER_PERMISSIVE.decode(digest.as_bytes()).ok()?;
                let name = IndexName::ByDigest(digest.try_into().ok()?);
                return Some(Self::Index { parts: directory.to_vec(), name });
            }
        };
        Some(Self::Index { parts: between.to_vec(), name })
    }
}

/// `/upload/DISTRIBUTION/COMPONENT`, behind which curl puts the name of the file if the address
/// ends in a slash. A distribution of several parts is sent with its slashes encoded.
pub(super) fn upload(path: &str) -> Option<UploadTarget> {
    let parts = segments(path).filter(|parts| parts.len() <= DEEPEST)?;
    let (first, rest) = parts.split_first()?;
    let (suite, rest) = rest.split_first()?;
    if first != "upload" {
        return None;
    }
    let is_file = |name: &&String| {
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        extension.is_some_and(|extension| matches!(extension, "deb" | "udeb" | "ddeb"))
    };
    let file_name = rest.last().filter(is_file).cloned();
    let component = match &file_name {
        Some(_) => rest.split_last()?.1.join("/"),
        None => rest.join("/"),
    };
    (!component.is_empty()).then(|| UploadTarget { suite: suite.clone(), component, file_name })
}

/// A path as a client asks for it.
pub(super) fn encoded_path(path: &str) -> String {
    path.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use hayloft_feed::native::decoded;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("/dists/stable/InRelease", "stable", ReleaseFile::Inline)]
    #[case("/dists/stable/updates/Release", "stable/updates", ReleaseFile::Plain)]
    #[case("//dists//stable/Release.gpg", "stable", ReleaseFile::Detached)]
    fn releases_are_asked_for(#[case] path: &str, #[case] suite: &str, #[case] file: ReleaseFile) {
        let suite = suite.to_owned();
        assert_eq!(Asked::of(path), Some(Asked::Release { suite, file }));
    }

    #[test]
    fn indexes_are_asked_for() {
        let parts = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect();
        assert_eq!(
            Asked::of("/dists/a/main/binary-amd64/Packages.gz"),
            Some(Asked::Index {
                parts: parts(&["a", "main", "binary-amd64"]),
                name: IndexName::Gzip
            })
        );
        let digest = "0f".repeat(32);
        assert_eq!(
            Asked::of(&format!("/dists/a/b/main/binary-all/by-hash/SHA256/{digest}")),
            Some(Asked::Index {
                parts: parts(&["a", "b", "main", "binary-all"]),
                name: IndexName::ByDigest([0x0f; 32]),
            })
        );
    }

    #[test]
    fn package_files_are_asked_for_by_digest() {
        let digest = "ab".repeat(16);
        let file_name = "libhay_1.0~rc+1_amd64.deb".to_owned();
        // apt encodes in lower case, and more than it must.
        for name in ["libhay_1.0~rc+1_amd64.deb", "libhay_1.0%7erc%2b1_amd64.deb"] {
            let path = format!("/pool/main/libh/libhay/{digest}/{name}");
            let file = PoolFile { digest: [0xab; 16], file_name: file_name.clone() };
            assert_eq!(Asked::of(&path), Some(Asked::Pool(file)));
        }
    }

    #[rstest]
    #[case("/")]
    #[case("/dists")]
    #[case("/dists/InRelease")]
    #[case("/dists/../InRelease")]
    #[case("/dists/a/../../etc/Release")]
    #[case("/dists/stable/Contents-amd64.gz")]
    #[case("/dists/stable/main/binary-amd64/by-hash/SHA256/short")]
    #[case("/dists/stable/main/binary-amd64/by-hash/MD5Sum/00")]
    #[case("/pool/main/h/hay/hay_1_all.deb")]
    #[case("/pool/main/h/hay/zz/hay_1_all.deb")]
    #[case("/keys/feed.txt")]
    #[case("/keys/a/feed.asc")]
    #[case("/%ff")]
    fn nothing_else_is_there(#[case] path: &str) {
        assert_eq!(Asked::of(path), None);
        let deep = format!("/dists{}/InRelease", "/a".repeat(1000));
        assert_eq!(Asked::of(&deep), None);
    }

    #[rstest]
    #[case("/upload/stable/main", "stable", "main", None)]
    #[case("/upload/stable/main/", "stable", "main", None)]
    #[case("/upload/stable/main/a_1_all.deb", "stable", "main", Some("a_1_all.deb"))]
    #[case("/upload/stable%2fupdates/a/b/x.udeb", "stable/updates", "a/b", Some("x.udeb"))]
    fn uploads_say_where_they_go(
        #[case] path: &str,
        #[case] suite: &str,
        #[case] component: &str,
        #[case] file_name: Option<&str>,
    ) {
        let target = upload(path).unwrap();
        assert_eq!((target.suite.as_str(), target.component.as_str()), (suite, component));
        assert_eq!(target.file_name.as_deref(), file_name);
    }

    #[rstest]
    #[case("/upload")]
    #[case("/upload/stable")]
    #[case("/upload/stable/a_1_all.deb")]
    #[case("/other/stable/main")]
    fn other_paths_take_no_upload(#[case] path: &str) {
        assert_eq!(upload(path), None);
    }

    #[test]
    fn paths_are_encoded_by_parts() {
        let path = "pool/main/a+b_1%3a2.deb";
        let sent = encoded_path(path);
        let back: Vec<_> = sent.split('/').map(|part| decoded(part).unwrap()).collect();
        assert_eq!(back.join("/"), path);
    }
}
