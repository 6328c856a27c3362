//! A feed type as small as one can be: the file begins with a line `plain NAME VERSION` and a line
//! of history; the rest is the payload. The parameter `distro` of an upload becomes a qualifier.

use std::io::{self, BufRead, BufReader, Read, SeekFrom};

use hayloft_core::sim::Random;
use hayloft_feed::{
    Document, FeedType, FeedTypeError, HistoryEntry, Identity, Inspected, Limits, NameKey,
    PackageName, Qualifiers, ReadSeek, Repackage, Repackaged, SortKey, Stability, Upload, Version,
};

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Plain;

/// A package file.
pub(crate) fn package(name: &str, version: &str, content: u64, len: usize) -> Vec<u8> {
    let mut bytes = format!("plain {name} {version}\n[]\n").into_bytes();
    let mut payload = vec![0; len];
    Random::new(content).fill(&mut payload);
    bytes.extend_from_slice(&payload);
    bytes
}

struct Head {
    name: String,
    version: String,
    history: Vec<HistoryEntry>,
    /// Where the payload begins.
    len: u64,
}

fn refused(why: &str) -> FeedTypeError {
    FeedTypeError::Refused { feed_type: "plain", detail: why.into() }
}

fn head(content: &mut dyn ReadSeek) -> Result<Head, FeedTypeError> {
    content.seek(SeekFrom::Start(0)).map_err(FeedTypeError::Io)?;
    let mut reader = BufReader::new(content.take(16 << 10));
    let mut lines = [String::new(), String::new()];
    let mut len = 0;
    for line in &mut lines {
        let mut bytes = Vec::new();
        len += reader.read_until(b'\n', &mut bytes).map_err(FeedTypeError::Io)?;
        *line = String::from_utf8(bytes).map_err(|_| refused("not text"))?;
    }
    let [first, second] = lines;
    let mut words = first.split_whitespace();
    let (Some("plain"), Some(name), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Err(refused("no head"));
    };
    let history = serde_json::from_str(&second).map_err(|_| refused("no history"))?;
    Ok(Head { name: name.to_owned(), version: version.to_owned(), history, len: len as u64 })
}

impl FeedType for Plain {
    fn tag(&self) -> &'static str {
        "plain"
    }

    fn remembered_qualifiers(&self) -> &'static [&'static str] {
        &["distro"]
    }

    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        let key = NameKey::new(group, name).map_err(|error| FeedTypeError::Name {
            feed_type: "plain",
            text: name.to_owned(),
            detail: error.into(),
        })?;
        Ok(PackageName::new(group, name, key))
    }

    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        let bad = |detail: &str| FeedTypeError::Version {
            feed_type: "plain",
            text: text.to_owned(),
            detail: detail.into(),
        };
        let mut key = SortKey::builder();
        for (at, part) in text.split('.').enumerate() {
            let next = if at == 0 { key } else { key.mark(1) };
            key = next.number(part).map_err(|_| bad("not a number"))?;
        }
        Ok(Version::new(text, text, key.mark(0).finish(), Stability::Stable))
    }

    fn qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        Ok(asked.clone())
    }

    fn inspect(&self, upload: Upload<'_>, _limits: &Limits) -> Result<Inspected, FeedTypeError> {
        let head = head(upload.content)?;
        Ok(Inspected::new(
            Identity {
                package: self.package_name("", &head.name)?,
                version: self.version(&head.version)?,
                qualifiers: Qualifiers::from_pairs(
                    upload.hints.get("distro").map(|distro| ("distro", distro.clone())),
                )
                .map_err(|_| refused("distro"))?,
            },
            format!("{{\"name\":\"{}\"}}", head.name),
        )
        .with_documents(vec![Document::new("head", head.name.into_bytes())])
        .with_history(head.history))
    }

    fn repackage(
        &self,
        order: Repackage<'_>,
        _limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        let mut head = head(order.source)?;
        order.source.seek(SeekFrom::Start(head.len)).map_err(FeedTypeError::Io)?;
        head.history.push(order.entry.clone());
        let history = serde_json::to_string(&head.history).map_err(|_| refused("history"))?;
        write!(order.out, "plain {} {}\n{history}\n", head.name, order.to.version.text())
            .and_then(|()| io::copy(order.source, order.out))
            .map_err(FeedTypeError::Io)?;
        Ok(Repackaged::plain())
    }

    fn file_name(&self, identity: &Identity) -> String {
        format!("{}-{}.plain", identity.package.name(), identity.version.text())
    }
}
