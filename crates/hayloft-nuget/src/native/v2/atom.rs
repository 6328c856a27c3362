use std::fmt::Display;
use std::io::{self, Write};

use data_encoding::BASE64;
use hayloft_feed::Timestamp;
use hayloft_feed::native::encoded;

use super::find::{Found, UNLISTED, tags};
use crate::native::entry::DependencyGroup;

const NAMESPACES: &str = "xmlns=\"http://www.w3.org/2005/Atom\" \
     xmlns:d=\"http://schemas.microsoft.com/ado/2007/08/dataservices\" \
     xmlns:m=\"http://schemas.microsoft.com/ado/2007/08/dataservices/metadata\"";

/// Writes Atom. `PSResourceGet` needs exactly these prefixes, and no comments.
pub(crate) struct Writer<'a> {
    base: String,
    out: &'a mut dyn Write,
}

/// A value of an entry.
enum Cell<'v> {
    Text(Option<&'v str>),
    Flag(bool),
    Number(u64),
    Moment(&'v str),
}

impl<'a> Writer<'a> {
    pub(crate) fn new(feed_url: &str, out: &'a mut dyn Write) -> Self {
        Self { base: format!("{feed_url}/v2"), out }
    }

    pub(crate) fn begin_feed(
        &mut self,
        path: &str,
        total: Option<u64>,
        changed: Timestamp,
    ) -> io::Result<()> {
        let base = escaped(&self.base);
        let path = escaped(path);
        write!(
            self.out,
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><feed xml:base=\"{base}\" {NAMESPACES}>"
        )?;
        if let Some(total) = total {
            write!(self.out, "<m:count>{total}</m:count>")?;
        }
        write!(
            self.out,
            "<id>{base}/{path}</id><title type=\"text\">{path}</title>\
             <updated>{changed}</updated><link rel=\"self\" title=\"{path}\" href=\"{path}\"/>"
        )
    }

    /// `next` is the query of the page behind this one; links are absolute.
    pub(crate) fn end_feed(&mut self, path: &str, next: Option<&str>) -> io::Result<()> {
        if let Some(next) = next {
            let url = escaped(&format!("{}/{path}?{next}", self.base)).replace(' ', "%20");
            write!(self.out, "<link rel=\"next\" href=\"{url}\"/>")?;
        }
        self.out.write_all(b"</feed>")
    }

    /// One entry as a document of its own.
    pub(crate) fn document(&mut self, found: &Found) -> io::Result<()> {
        let base = escaped(&self.base);
        write!(self.out, "<?xml version=\"1.0\" encoding=\"utf-8\"?>")?;
        self.entry_with(found, &format!(" xml:base=\"{base}\" {NAMESPACES}"))
    }

    pub(crate) fn entry(&mut self, found: &Found) -> io::Result<()> {
        self.entry_with(found, "")
    }

    fn entry_with(&mut self, found: &Found, attributes: &str) -> io::Result<()> {
        let base = escaped(&self.base);
        let entry = &found.entry;
        let (id, version) = (escaped(&entry.id), escaped(&found.version));
        let (path_id, path_version) = (encoded(&entry.id), encoded(&found.normalized));
        write!(
            self.out,
            "<entry{attributes}><id>{base}/Packages(Id='{id}',Version='{version}')</id>\
             <title type=\"text\">{id}</title>"
        )?;
        if let Some(summary) = &entry.summary {
            write!(self.out, "<summary type=\"text\">{}</summary>", escaped(summary))?;
        }
        write!(
            self.out,
            "<updated>{}</updated><author><name>{}</name></author>\
             <content type=\"application/zip\" src=\"{base}/package/{path_id}/{path_version}\"/>\
             <m:properties>",
            found.published,
            escaped(&entry.authors)
        )?;
        self.properties(found)?;
        self.out.write_all(b"</m:properties></entry>")
    }

    fn properties(&mut self, found: &Found) -> io::Result<()> {
        let entry = &found.entry;
        let created = found.published.to_string();
        let published = if found.is_listed { created.as_str() } else { UNLISTED };
        let (tags, dependencies) = (tags(&entry.tags), dependencies(&entry.dependency_groups));
        let hash = BASE64.encode(&found.file.digests.sha512);
        let title = entry.title.as_deref().unwrap_or(&entry.id);
        let cells = [
            ("Id", Cell::Text(Some(&entry.id))),
            ("Version", Cell::Text(Some(&found.version))),
            ("NormalizedVersion", Cell::Text(Some(&found.normalized))),
            ("Title", Cell::Text(Some(title))),
            ("Authors", Cell::Text(Some(&entry.authors))),
            ("Description", Cell::Text(Some(&entry.description))),
            ("Summary", Cell::Text(entry.summary.as_deref())),
            ("Tags", Cell::Text(Some(&tags))),
            ("Language", Cell::Text(entry.language.as_deref())),
            ("MinClientVersion", Cell::Text(entry.min_client_version.as_deref())),
            ("IconUrl", Cell::Text(entry.links.icon_url.as_deref())),
            ("LicenseUrl", Cell::Text(entry.links.license_url.as_deref())),
            ("ProjectUrl", Cell::Text(entry.project_url.as_deref())),
            ("RequireLicenseAcceptance", Cell::Flag(entry.require_license_acceptance)),
            ("DevelopmentDependency", Cell::Flag(entry.development_dependency)),
            ("Dependencies", Cell::Text(Some(&dependencies))),
            ("Created", Cell::Moment(&created)),
            ("LastUpdated", Cell::Moment(&created)),
            ("Published", Cell::Moment(published)),
            ("Listed", Cell::Flag(found.is_listed)),
            ("IsPrerelease", Cell::Flag(found.is_prerelease)),
            ("IsLatestVersion", Cell::Flag(found.is_latest)),
            ("IsAbsoluteLatestVersion", Cell::Flag(found.is_absolute_latest)),
            ("DownloadCount", Cell::Number(found.package_downloads)),
            ("VersionDownloadCount", Cell::Number(found.downloads)),
            ("PackageHash", Cell::Text(Some(&hash))),
            ("PackageHashAlgorithm", Cell::Text(Some("SHA512"))),
            ("PackageSize", Cell::Number(found.file.size)),
        ];
        for (name, cell) in cells {
            match cell {
                Cell::Text(None) => write!(self.out, "<d:{name} m:null=\"true\"/>")?,
                Cell::Text(Some(text)) => {
                    write!(self.out, "<d:{name}>{}</d:{name}>", escaped(text))?;
                }
                Cell::Flag(flag) => self.typed(name, "Boolean", &flag)?,
                Cell::Number(number) => self.typed(name, "Int64", &number)?,
                Cell::Moment(moment) => self.typed(name, "DateTime", &moment)?,
            }
        }
        Ok(())
    }

    fn typed(&mut self, name: &str, kind: &str, value: &dyn Display) -> io::Result<()> {
        write!(self.out, "<d:{name} m:type=\"Edm.{kind}\">{value}</d:{name}>")
    }
}

/// `id:range:framework` joined by bars; a group without dependencies is `::framework`.
fn dependencies(groups: &[DependencyGroup]) -> String {
    let mut parts = Vec::new();
    for group in groups {
        let framework = group.target_framework.as_deref().unwrap_or_default();
        if group.dependencies.is_empty() {
            parts.push(format!("::{framework}"));
        }
        for dependency in &group.dependencies {
            // Old clients know no range that is open on both sides.
            let range = if dependency.range == "(, )" { "" } else { &dependency.range };
            parts.push(format!("{}:{range}:{framework}", dependency.id));
        }
    }
    parts.join("|")
}

/// A text as XML. What XML cannot hold was refused at upload.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // Else readers make a line feed of it, or a blank in attributes.
            '\r' => escaped.push_str("&#xD;"),
            letter if letter.is_control() && !matches!(letter, '\n' | '\t') => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}
