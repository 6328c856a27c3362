use hayloft_feed::json::{JsonEditError, Object};
use hayloft_feed::shorten;

use crate::identification::{Identification, IdentificationError, Sha1Text, Sha1TextError};

/// One part that a virtual package is assembled from.
#[derive(Debug, Clone)]
pub struct VirtualItem {
    /// Whether one file or a tree is placed.
    pub kind: VirtualKind,
    /// Where: `/` between the parts, none at the ends; empty for the root. Below `package/` for
    /// `contents`, below the archive's root for `metaContents`.
    pub path: String,
    /// From where.
    pub source: VirtualSource,
}

/// What a [`VirtualItem`] places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VirtualKind {
    /// All files of a tree, below the path.
    Directory,
    /// One file, at the path.
    File,
}

/// Where the files of a [`VirtualItem`] come from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum VirtualSource {
    /// A package of the same feed.
    Package {
        /// Which.
        id: Identification,
        /// Path inside the package file; `package/` if the manifest does not say.
        path: String,
    },
    /// A file or archive on a web server.
    Url {
        /// Absolute, `http` or `https`.
        url: String,
        /// What its bytes must hash to.
        sha1: Option<Sha1Text>,
    },
    /// A file in an asset directory of the server.
    Asset {
        /// Name of the asset directory.
        feed: String,
        /// Path in it.
        asset: String,
    },
}

/// The property of the manifest that items stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Contents,
    MetaContents,
}

/// An item of `contents` or `metaContents` is malformed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VirtualItemError {
    /// Neither text nor an object.
    #[error("is neither text nor an object")]
    Shape,
    /// A property that decides something is missing, repeated or of another type.
    #[error("has an unusable property")]
    Property(#[source] JsonEditError),
    /// Neither `virtualDirectory` nor `virtualFile`.
    #[error("has the type `{}`, which is neither virtualDirectory nor virtualFile", shorten(.0))]
    Kind(String),
    /// Leaves its root, or goes where the property must not write.
    #[error("has the path `{}`, which leads outside of where it may write", shorten(.0))]
    Path(String),
    /// No `source`, or one that names nothing.
    #[error("has no `source` that names a package, a URL or an asset")]
    Source,
    /// Not an identification string.
    #[error(transparent)]
    Package(#[from] IdentificationError),
    /// Not a hash.
    #[error(transparent)]
    Sha1(#[from] Sha1TextError),
}

impl From<JsonEditError> for VirtualItemError {
    fn from(error: JsonEditError) -> Self {
        Self::Property(error)
    }
}

impl VirtualItem {
    pub(crate) fn parse(raw: &str, place: Place) -> Result<Self, VirtualItemError> {
        if raw.starts_with('"') {
            let text: String = serde_json::from_str(raw).map_err(|_| VirtualItemError::Shape)?;
            let source = source_of_text(&text)?;
            return Ok(Self { kind: VirtualKind::Directory, path: String::new(), source });
        }
        if !raw.starts_with('{') {
            return Err(VirtualItemError::Shape);
        }
        let item = Object::parse(raw)?;
        let kind = match item.unique("type")?.map(|member| member.raw) {
            None | Some("\"virtualDirectory\"") => VirtualKind::Directory,
            Some("\"virtualFile\"") => VirtualKind::File,
            Some(other) => return Err(VirtualItemError::Kind(other.to_owned())),
        };
        let written = match text(&item, "virtualPath")? {
            Some(path) => path,
            None => text(&item, "targetPath")?.unwrap_or_default(),
        };
        let path = relative(&written).filter(|path| may_write(path, place));
        let path = path.ok_or(VirtualItemError::Path(written))?;
        let source = item.unique("source")?.ok_or(VirtualItemError::Source)?.raw;
        let source = if source.starts_with('"') {
            source_of_text(&item.string("source")?.unwrap_or_default())?
        } else if source.starts_with('{') {
            source_of_object(&Object::parse(source)?)?
        } else {
            return Err(VirtualItemError::Source);
        };
        Ok(Self { kind, path, source })
    }
}

/// The string `key`; `None` if it is missing or null.
fn text(object: &Object<'_>, key: &str) -> Result<Option<String>, JsonEditError> {
    match object.unique(key)? {
        Some(member) if member.raw != "null" => object.string(key),
        _ => Ok(None),
    }
}

/// Without slashes at the ends and with `/` between the parts; `None` if it leaves its root.
fn relative(written: &str) -> Option<String> {
    let path = written.replace('\\', "/");
    let parts: Vec<&str> =
        path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let inside = parts.iter().all(|part| *part != ".." && !part.contains([':', '\0']));
    inside.then(|| parts.join("/"))
}

fn may_write(path: &str, place: Place) -> bool {
    let first = path.split('/').next().unwrap_or(path);
    place == Place::Contents
        || !(path.eq_ignore_ascii_case("upack.json") || first.eq_ignore_ascii_case("package"))
}

fn is_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            && text.len() > scheme.len()
    })
}

fn source_of_text(text: &str) -> Result<VirtualSource, VirtualItemError> {
    if is_url(text) {
        return Ok(VirtualSource::Url { url: text.to_owned(), sha1: None });
    }
    Ok(VirtualSource::Package { id: text.parse()?, path: "package/".to_owned() })
}

fn source_of_object(source: &Object<'_>) -> Result<VirtualSource, VirtualItemError> {
    let sha1 = text(source, "hash")?.map(|hash| hash.parse::<Sha1Text>()).transpose()?;
    if let Some(url) = text(source, "url")? {
        if !is_url(&url) {
            return Err(VirtualItemError::Source);
        }
        return Ok(VirtualSource::Url { url, sha1 });
    }
    if let Some(asset) = text(source, "asset")? {
        let feed = text(source, "feed")?.ok_or(VirtualItemError::Source)?;
        return Ok(VirtualSource::Asset { feed, asset });
    }
    let group = text(source, "group")?.unwrap_or_default();
    let name = text(source, "name")?.ok_or(VirtualItemError::Source)?;
    let version = text(source, "version")?.ok_or(VirtualItemError::Source)?;
    let package = crate::FullName::new(&group, &name).map_err(IdentificationError::from)?;
    let version = crate::UniversalVersion::parse_stored(&version)
        .map_err(|error| IdentificationError::Version(version, error))?;
    let path = text(source, "packagePath")?.unwrap_or_else(|| "package/".to_owned());
    Ok(VirtualSource::Package { id: Identification { package, version, sha1 }, path })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(raw: &str) -> VirtualItem {
        VirtualItem::parse(raw, Place::Contents).unwrap()
    }

    #[test]
    fn text_is_a_package_or_an_address() {
        let item = read(r#""a/b:pkg:1.0.0""#);
        assert_eq!((item.kind, item.path.as_str()), (VirtualKind::Directory, ""));
        let VirtualSource::Package { id, path } = item.source else { panic!("a package") };
        assert_eq!((id.to_string().as_str(), path.as_str()), ("a/b/pkg:1.0.0", "package/"));
        let VirtualSource::Url { url, .. } = read(r#""HTTPS://example.org/a.zip""#).source else {
            panic!("an address")
        };
        assert_eq!(url, "HTTPS://example.org/a.zip");
    }

    #[test]
    fn objects_say_kind_path_and_source() {
        let item = read(
            r#"{"type":"virtualFile","virtualPath":"\\bin\\a.exe","source":
               {"group":null,"name":"pkg","version":"1.0.0","packagePath":"package/x/a.exe"}}"#,
        );
        assert_eq!((item.kind, item.path.as_str()), (VirtualKind::File, "bin/a.exe"));
        let VirtualSource::Package { id, path } = item.source else { panic!("a package") };
        assert_eq!((id.to_string().as_str(), path.as_str()), ("pkg:1.0.0", "package/x/a.exe"));
        let item = read(r#"{"targetPath":"/","source":{"feed":"f","asset":"a/b"}}"#);
        assert!(matches!(item.source, VirtualSource::Asset { .. }));
        assert_eq!(item.path, "");
    }

    #[rstest]
    #[case::number("7")]
    #[case::null_kind(r#"{"type":null,"source":"a:1.0.0"}"#)]
    #[case::other_kind(r#"{"type":"virtualLink","source":"a:1.0.0"}"#)]
    #[case::no_source(r#"{"virtualPath":"a"}"#)]
    #[case::null_source(r#"{"source":null}"#)]
    #[case::no_version(r#"{"source":{"name":"a"}}"#)]
    #[case::parent(r#"{"virtualPath":"a/../../b","source":"a:1.0.0"}"#)]
    #[case::drive(r#"{"virtualPath":"C:\\b","source":"a:1.0.0"}"#)]
    #[case::other_scheme(r#"{"source":{"url":"file:///etc/passwd"}}"#)]
    #[case::bad_hash(r#"{"source":{"url":"http://a/b","hash":"12"}}"#)]
    #[case::twice(r#"{"source":"a:1.0.0","source":"b:1.0.0"}"#)]
    #[case::not_a_package(r#""just text""#)]
    fn malformed_items_are_refused(#[case] raw: &str) {
        assert!(VirtualItem::parse(raw, Place::Contents).is_err());
    }

    #[rstest]
    #[case::manifest("upack.json")]
    #[case::manifest_in_other_case("/UPACK.json")]
    #[case::content("package/a")]
    #[case::content_in_other_case("Package\\a")]
    fn meta_contents_stay_out_of_the_content(#[case] path: &str) {
        let path = hayloft_feed::json::quoted(path);
        let raw = format!(r#"{{"virtualPath":{path},"source":"a:1.0.0"}}"#);
        assert!(VirtualItem::parse(&raw, Place::MetaContents).is_err());
        assert!(VirtualItem::parse(&raw, Place::Contents).is_ok());
    }
}
