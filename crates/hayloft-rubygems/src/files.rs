use std::borrow::Cow;
use std::io::Read;

use hayloft_archive::{Links, TarEntry, TarKind, TarReader};
use hayloft_feed::{FeedTypeError, Limits, PathFault, shorten};

use crate::gem::{GemError, damaged, refused};

/// Files named in warnings at most.
const NAMED: usize = 3;

/// Checks that the gem's files can be unpacked without leaving their folder, and tells which of
/// them another system would unpack under another name.
///
/// RubyGems knows no extension records: it calls a file what the header says, whatever the dialect,
/// where tar tools take the record. Both readings have to stay in the folder.
pub(crate) fn check(plain: &mut dyn Read, limits: &Limits) -> Result<Vec<String>, FeedTypeError> {
    let mut tar_links = Links::default();
    let mut gem_links = Links::default();
    let mut warnings = Warnings::default();
    let mut files = TarReader::new(plain, limits);
    while let Some(file) = files.next().map_err(damaged)? {
        let seen = Seen { path: file.path().into(), link: file.link().map(Cow::from) };
        seen.check(file.kind(), &mut tar_links)?;
        let header = Seen::in_header(file.entry());
        if header == seen {
            seen.note(file.kind(), &mut gem_links)?;
        } else {
            header.check(file.kind(), &mut gem_links)?;
        }
        if let Some(fault) = PathFault::of(file.path()) {
            warnings.add(file.path(), fault);
        }
    }
    files.finish().map_err(damaged)?;
    for links in [tar_links, gem_links] {
        links.check(None).map_err(damaged)?;
    }
    Ok(warnings.finish())
}

/// What one reader sees of a member.
#[derive(Debug, PartialEq, Eq)]
struct Seen<'e> {
    path: Cow<'e, [u8]>,
    link: Option<Cow<'e, [u8]>>,
}

impl<'e> Seen<'e> {
    /// As RubyGems sees it: fields without the zeros and blanks at their end.
    fn in_header(entry: &'e TarEntry) -> Self {
        let field = |from: usize, to: usize| {
            let field = entry.header().get(from..to).unwrap_or_default();
            let end = field.iter().rposition(|byte| !matches!(byte, 0 | b' '));
            field.get(..end.map_or(0, |last| last + 1)).unwrap_or_default()
        };
        let path = match field(345, 500) {
            [] => Cow::Borrowed(field(0, 100)),
            prefix => Cow::Owned([prefix, field(0, 100)].join(&b'/')),
        };
        Self { path, link: entry.link().map(|_| Cow::Borrowed(field(157, 257))) }
    }

    fn check(&self, kind: TarKind, links: &mut Links) -> Result<(), FeedTypeError> {
        // Where a symbolic link leads, `links` judges.
        let hard_link = self.link.as_deref().filter(|_| kind == TarKind::HardLink);
        for path in [Some(&*self.path), hard_link].into_iter().flatten() {
            if let Some(fault) = leaves(path) {
                let path = String::from_utf8_lossy(path).into_owned();
                return Err(refused(GemError::Path { path, fault }));
            }
        }
        // What `links` does not see: how Windows reads it.
        let windows = |fault: &PathFault, link: &[u8]| {
            matches!(fault, PathFault::Drive | PathFault::Absolute | PathFault::Zero)
                || link.contains(&b'\\')
        };
        if let Some(link) = self.link.as_deref()
            && let Some(fault) = leaves(link).filter(|fault| windows(fault, link))
        {
            let path = String::from_utf8_lossy(link).into_owned();
            return Err(refused(GemError::Path { path, fault }));
        }
        self.note(kind, links)
    }

    fn note(&self, kind: TarKind, links: &mut Links) -> Result<(), FeedTypeError> {
        match (kind, self.link.as_deref()) {
            (TarKind::SymbolicLink, Some(link)) => links.symbolic(&self.path, link),
            (TarKind::HardLink, Some(link)) => {
                links.member(link).and_then(|()| links.member(&self.path))
            }
            _ => links.member(&self.path),
        }
        .map_err(damaged)
    }
}

/// Why a path leaves the folder; two slashes in a row are one to every reader of a gem.
fn leaves(path: &[u8]) -> Option<PathFault> {
    PathFault::of(path)
        .filter(|fault| fault.leaves_directory() && *fault != PathFault::EmptyComponent)
}

/// The first few files with a name that is not the same everywhere.
#[derive(Default)]
struct Warnings {
    texts: Vec<String>,
    more: u64,
}

impl Warnings {
    fn add(&mut self, path: &[u8], fault: PathFault) {
        if fault == PathFault::Empty {
            return;
        }
        if self.texts.len() < NAMED {
            let path = String::from_utf8_lossy(path);
            self.texts.push(format!("`{}` {}", shorten(&path), fault.text()));
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.texts.push(format!("{} more files have names like these", self.more));
        }
        self.texts
    }
}
