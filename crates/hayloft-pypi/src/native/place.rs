use hayloft_feed::native::{Request, encoded, segments};

use crate::PypiName;
use crate::name::normalize;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Root,
    /// Where files are posted.
    Upload,
    /// The list of projects.
    Projects,
    /// A project as it is spelled in the path.
    Project(String),
    /// A file by its project, its digest and its name.
    File {
        name: String,
        sha256: [u8; 32],
        file: String,
    },
    /// The metadata of a wheel, likewise.
    Metadata {
        name: String,
        sha256: [u8; 32],
        file: String,
    },
    /// A project, or one version of it, for programs that know no simple index.
    Legacy {
        name: String,
        version: Option<String>,
    },
}

/// Behind the name of a file whose metadata is asked for.
const SIDECAR: &str = ".metadata";

impl Place {
    pub(crate) fn of(path: &str) -> Option<Self> {
        let segments = segments(path)?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Some(match segments.as_slice() {
            [] => Self::Root,
            ["legacy"] => Self::Upload,
            ["simple"] => Self::Projects,
            ["simple", name] => Self::Project(checked(name)?),
            ["files", name, sha256, file] => {
                let name = checked(name).filter(|name| *name == normalize(name))?;
                let sha256 = data_encoding::HEXLOWER.decode(sha256.as_bytes()).ok()?;
                let sha256 = sha256.try_into().ok()?;
                match file.strip_suffix(SIDECAR) {
                    Some(file) => Self::Metadata { name, sha256, file: file.to_owned() },
                    None => Self::File { name, sha256, file: (*file).to_owned() },
                }
            }
            ["pypi", name, "json"] => Self::Legacy { name: checked(name)?, version: None },
            ["pypi", name, version, "json"] => {
                Self::Legacy { name: checked(name)?, version: Some((*version).to_owned()) }
            }
            _ => return None,
        })
    }

    /// The one path under which the place is answered; its links are relative to it.
    fn canonical(&self) -> Option<String> {
        Some(match self {
            Self::Root | Self::Projects => "simple/".to_owned(),
            Self::Project(name) => format!("simple/{}/", normalize(name)),
            Self::Legacy { name, version: None } => format!("pypi/{}/json", normalize(name)),
            Self::Legacy { name, version: Some(version) } => {
                format!("pypi/{}/{}/json", normalize(name), encoded(version))
            }
            // Files have no links, and a digest has one spelling.
            Self::Upload | Self::File { .. } | Self::Metadata { .. } => return None,
        })
    }

    /// Where a client is sent that asked under another spelling, relative to what it asked for, so
    /// that any prefix and host stay; the query stays, too.
    pub(crate) fn elsewhere(&self, request: &Request<'_>, feed: &str) -> Option<String> {
        let canonical = self.canonical()?;
        let is_there = match self {
            // How the version is escaped is the client's choice.
            Self::Legacy { name, .. } => {
                *name == normalize(name)
                    && request.path.starts_with(&format!("/pypi/{name}/"))
                    && !request.path.contains("//")
                    && request.path.ends_with("/json")
            }
            _ => request.path == format!("/{canonical}"),
        };
        if is_there {
            return None;
        }
        let path = match request.path.matches('/').count().checked_sub(1) {
            Some(up) => format!("{}{canonical}", "../".repeat(up)),
            None => format!("{}/{canonical}", encoded(feed)),
        };
        Some(match request.query {
            "" => path,
            query => format!("{path}?{query}"),
        })
    }
}

fn checked(name: &str) -> Option<String> {
    // Longer ones name nothing, and every later look at them costs their length.
    (name.len() <= 1024 && name.parse::<PypiName>().is_ok()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[rstest]
    #[case::root_without_slash("", "", Some("f/simple/"))]
    #[case::root("/", "", Some("simple/"))]
    #[case::list("/simple/", "", None)]
    #[case::list_without_slash("/simple", "", Some("simple/"))]
    #[case::query_stays("/simple", "format=x&a=%20", Some("simple/?format=x&a=%20"))]
    #[case::project("/simple/a-b/", "", None)]
    #[case::project_without_slash("/simple/a-b", "", Some("../simple/a-b/"))]
    #[case::spelled("/simple/A._b/", "q", Some("../../simple/a-b/?q"))]
    #[case::escaped("/simple/a%2Db/", "", Some("../../simple/a-b/"))]
    #[case::doubled("//simple//a-b/", "", Some("../../../../simple/a-b/"))]
    #[case::json("/pypi/a-b/json", "", None)]
    #[case::json_of_a_version("/pypi/a-b/1%211.0/json", "", None)]
    #[case::json_spelled("/pypi/A.b/json", "", Some("../../pypi/a-b/json"))]
    #[case::json_of_a_version_spelled(
        "/pypi/A/1!1+x/json",
        "",
        Some("../../../pypi/a/1%211%2Bx/json")
    )]
    #[case::json_with_slash("/pypi/a/json/", "", Some("../../../pypi/a/json"))]
    fn one_spelling_is_answered(
        #[case] path: &str,
        #[case] query: &str,
        #[case] expected: Option<&str>,
    ) {
        let place = Place::of(path).unwrap();
        let request = Request::get(path, "http://h/pypi/f").query(query);
        assert_eq!(place.elsewhere(&request, "f").as_deref(), expected);
    }

    #[test]
    fn files_are_named_by_project_digest_and_name() {
        let path = format!("/files/a-b/{DIGEST}/a_b-1%2Bx.tar.gz");
        let Some(Place::File { name, file, .. }) = Place::of(&path) else { panic!("a file") };
        assert_eq!((name.as_str(), file.as_str()), ("a-b", "a_b-1+x.tar.gz"));
        let metadata = Place::of(&format!("{path}.metadata"));
        assert!(matches!(metadata, Some(Place::Metadata { file, .. }) if file == "a_b-1+x.tar.gz"));
    }

    #[rstest]
    #[case::other("/other")]
    #[case::deeper("/simple/a/b/")]
    #[case::no_name("/simple/-/")]
    #[case::slash_in_a_name("/simple/a%2fb/")]
    #[case::not_hex("/files/a/xx/a-1.tar.gz")]
    #[case::short("/files/a/00/a-1.tar.gz")]
    #[case::not_utf8("/simple/%ff/")]
    #[case::zero("/simple/a%00/")]
    fn other_paths_name_nothing(#[case] path: &str) {
        assert_eq!(Place::of(path), None);
        let spelled = format!("/files/A/{DIGEST}/a-1.tar.gz");
        assert_eq!(Place::of(&spelled), None);
    }
}
