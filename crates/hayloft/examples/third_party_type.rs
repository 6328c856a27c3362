//! A feed type from outside the tree: shell plugins, each a single script whose head says what it
//! is.
//!
//! ```sh
//! # plugin: greet
//! # version: 1.2.0
//! echo hello
//! ```
//!
//! It shows all that an ecosystem needs to be stored, listed, downloaded, promoted and repackaged:
//! one type with five methods, and one line that registers it.

use std::io::{self, BufRead, BufReader, Read, Seek, Write};

use hayloft::feed_type::{
    Identity, Inspected, NameKey, PackageName, Repackage, Repackaged, SortKey, Upload, Version,
};
use hayloft::{
    Actor, FeedDraft, FeedType, FeedTypeError, FileRole, HistoryEntry, Limits, OpenOptions,
    PromoteRequest, Qualifiers, RepackageRequest, Selector, Stability, Store, UploadRequest,
    VersionsQuery,
};

/// The tag that feeds and error messages carry.
const TAG: &str = "plugin";

/// Shell plugins.
#[derive(Debug)]
pub struct Plugins;

impl FeedType for Plugins {
    fn tag(&self) -> &'static str {
        TAG
    }

    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        let bad = |rule: &str| FeedTypeError::Name {
            feed_type: TAG,
            text: name.to_owned(),
            detail: rule.into(),
        };
        if !group.is_empty() {
            return Err(bad("plugins have no groups"));
        }
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.len() > 64 || !name.bytes().all(plain) {
            return Err(bad("use at most 64 of a-z, 0-9 and -"));
        }
        let key = NameKey::new("", name).map_err(|error| bad(&error.to_string()))?;
        Ok(PackageName::new("", name, key))
    }

    /// `MAJOR.MINOR.PATCH`, with `-rc.N` before a release.
    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        let bad = |rule: &str| FeedTypeError::Version {
            feed_type: TAG,
            text: text.to_owned(),
            detail: rule.into(),
        };
        let (release, candidate) = match text.split_once("-rc.") {
            Some((release, candidate)) => (release, Some(candidate)),
            None => (text, None),
        };
        let parts: Vec<&str> = release.split('.').collect();
        if parts.len() != 3 {
            return Err(bad("write it as 1.2.3 or 1.2.3-rc.4"));
        }
        let mut key = SortKey::builder();
        for number in parts.into_iter().chain(candidate) {
            if number.starts_with('0') && number.len() > 1 {
                return Err(bad("numbers have no leading zeros"));
            }
        }
        for number in release.split('.') {
            key = key.number(number).map_err(|error| bad(&error.to_string()))?;
        }
        let (key, stability) = match candidate {
            None => (key.mark(1), Stability::Stable),
            Some(number) => {
                let key = key.mark(0).number(number).map_err(|error| bad(&error.to_string()))?;
                (key, Stability::Prerelease)
            }
        };
        Ok(Version::new(text, text, key.finish(), stability))
    }

    fn qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        if asked.is_empty() {
            return Ok(Qualifiers::none());
        }
        Err(FeedTypeError::Qualifier {
            feed_type: TAG,
            text: asked.to_string(),
            detail: "a plugin is one file and has no qualifiers".into(),
        })
    }

    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        let head = Head::read(upload.content, limits)?;
        let name = head.value("plugin")?;
        let version = head.value("version")?;
        Ok(Inspected {
            identity: Identity {
                package: self.package_name("", name)?,
                version: self.version(version)?,
                qualifiers: Qualifiers::none(),
            },
            manifest: format!(r#"{{"name":"{name}","version":"{version}"}}"#),
            fragments: Vec::new(),
            documents: Vec::new(),
            history: head.history()?,
            role: FileRole::Package,
            warnings: Vec::new(),
        })
    }

    fn repackage(
        &self,
        order: Repackage<'_>,
        limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        let head = Head::read(order.source, limits)?;
        let entry = serde_json::to_string(order.entry).map_err(|error| refused(&error))?;
        for line in &head.lines {
            match Head::field(line) {
                Some(("version", _)) => writeln!(order.out, "# version: {}", order.to.version),
                _ => order.out.write_all(line.as_bytes()),
            }
            .map_err(FeedTypeError::Io)?;
        }
        writeln!(order.out, "# history: {entry}").map_err(FeedTypeError::Io)?;
        order.source.seek(io::SeekFrom::Start(head.length)).map_err(FeedTypeError::Io)?;
        io::copy(order.source, order.out).map_err(FeedTypeError::Io)?;
        Ok(Repackaged::plain())
    }

    fn file_name(&self, identity: &Identity) -> String {
        format!("{}-{}.plugin.sh", identity.package.name(), identity.version)
    }
}

/// The lines `# key: value` at the start of a plugin.
struct Head {
    /// With their line ends.
    lines: Vec<String>,
    length: u64,
}

impl Head {
    fn read(
        content: &mut (impl Read + Seek + ?Sized),
        limits: &Limits,
    ) -> Result<Self, FeedTypeError> {
        content.rewind().map_err(FeedTypeError::Io)?;
        let mut reader = BufReader::new(content.take(limits.manifest));
        let mut head = Self { lines: Vec::new(), length: 0 };
        loop {
            let mut line = Vec::new();
            reader.read_until(b'\n', &mut line).map_err(FeedTypeError::Io)?;
            let length = line.len() as u64;
            match String::from_utf8(line) {
                Ok(line) if line.ends_with('\n') && Self::field(&line).is_some() => {
                    head.length += length;
                    head.lines.push(line);
                }
                _ => return Ok(head),
            }
        }
    }

    fn field(line: &str) -> Option<(&str, &str)> {
        line.strip_prefix("# ")?.trim_end_matches('\n').split_once(": ")
    }

    fn value(&self, key: &str) -> Result<&str, FeedTypeError> {
        let mut values = self.lines.iter().filter_map(|line| Self::field(line));
        let mut found = values.by_ref().filter(|(name, _)| *name == key).map(|(_, value)| value);
        match (found.next(), found.next()) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(refused(&format!("its head has no line `# {key}: …`"))),
            _ => Err(refused(&format!("its head has several lines `# {key}: …`"))),
        }
    }

    fn history(&self) -> Result<Vec<HistoryEntry>, FeedTypeError> {
        let fields = self.lines.iter().filter_map(|line| Self::field(line));
        let entries = fields.filter(|(name, _)| *name == "history");
        entries
            .map(|(_, text)| serde_json::from_str(text).map_err(|error| refused(&error)))
            .collect()
    }
}

fn refused(detail: &dyn ToString) -> FeedTypeError {
    FeedTypeError::Refused { feed_type: TAG, detail: detail.to_string().into() }
}

/// A plugin as someone would write it.
pub fn greet(version: &str) -> Vec<u8> {
    format!("# plugin: greet\n# version: {version}\necho hello\n").into_bytes()
}

/// Stores, repackages and promotes a plugin in `directory`, and tells on `out` what it did.
pub fn tour(
    directory: &std::path::Path,
    out: &mut dyn Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let types = hayloft::feed_types().with(Plugins);
    let store = Store::open(directory, types, OpenOptions::default())?;
    let author = Actor::named("author");
    store.create_feed(FeedDraft::new("plugins", TAG), &author)?;
    store.create_feed(FeedDraft::new("released", TAG), &author)?;

    let plugin = greet("1.2.0-rc.1");
    store.upload("plugins", &UploadRequest::default(), &mut plugin.as_slice(), &author)?;
    let candidate = Selector::exact("greet", "1.2.0-rc.1");
    store.repackage("plugins", &RepackageRequest::new(candidate, "1.2.0"), &author)?;
    let release = Selector::exact("greet", "1.2.0");
    store.promote("plugins", &PromoteRequest::new(release.clone(), "released"), &author)?;

    for file in store.versions("plugins", &VersionsQuery::default())? {
        let file = file?;
        writeln!(out, "plugins  {} {}", file.name, file.version)?;
    }
    writeln!(out, "released as:")?;
    io::copy(&mut store.download("released", &release)?, out)?;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    tour(directory.path(), &mut io::stdout())
}
