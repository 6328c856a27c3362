use std::borrow::Cow;
use std::io::Read;

use hayloft_archive::{Links, Portability, TarEntry, TarKind, TarReader, leaves_directory};
use hayloft_feed::{FeedTypeError, Limits, PathFault};

use crate::gem::{GemError, damaged, refused};

/// Checks that the gem's files can be unpacked without leaving their folder, and tells which of
/// them another system would unpack under another name.
///
/// RubyGems knows no extension records: it calls a file what the header says, whatever the dialect,
/// where tar tools take the record. Both readings have to stay in the folder.
pub(crate) fn check(plain: &mut dyn Read, limits: &Limits) -> Result<Vec<String>, FeedTypeError> {
    let mut tar_links = Links::default();
    let mut gem_links = Links::default();
    let mut names = Portability::default();
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
        names.note(file.path());
    }
    files.finish().map_err(damaged)?;
    for links in [tar_links, gem_links] {
        links.check(None).map_err(damaged)?;
    }
    Ok(names.into_warnings())
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
            if let Some(fault) = leaves_directory(path) {
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
            && let Some(fault) = leaves_directory(link).filter(|fault| windows(fault, link))
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
