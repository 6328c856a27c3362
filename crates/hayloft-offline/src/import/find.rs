use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use hayloft_feed::FeedType;

use super::listing::{self, Place};
use super::packument::{self, Statements};
use super::{Fate, ImportError};
use crate::export::ledger;
use crate::name::OWN;

/// Most files of one import.
const FILES: usize = 4_000_000;
/// Folders within folders.
const DEPTH: usize = 64;

/// What is to be imported.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) items: Vec<Item>,
    /// What documents say about versions.
    pub(super) statements: Vec<(PathBuf, Statements)>,
    pub(super) ignored: u64,
    pub(super) refused: u64,
}

/// A file and what is known about it.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) path: PathBuf,
    pub(super) hints: BTreeMap<String, String>,
}

type Observe<'a> = &'a (dyn Fn(&Path, Fate<'_>) + Sync);

pub(super) fn find(
    paths: &[PathBuf],
    feed_type: &dyn FeedType,
    hints: &BTreeMap<String, String>,
    observe: Observe<'_>,
) -> Result<Found, ImportError> {
    let mut search = Search { feed_type, hints, observe, found: Found::default() };
    for path in paths {
        let failed = |source| ImportError::Source { path: path.clone(), source };
        if fs::metadata(path).map_err(failed)?.is_dir() {
            search.folder(path).map_err(failed)?;
        } else {
            search.found.items.push(Item { path: path.clone(), hints: hints.clone() });
        }
        if search.found.items.len() > FILES {
            return Err(ImportError::TooMany { limit: FILES });
        }
    }
    Ok(search.found)
}

struct Search<'a> {
    feed_type: &'a dyn FeedType,
    hints: &'a BTreeMap<String, String>,
    observe: Observe<'a>,
    found: Found,
}

impl Search<'_> {
    fn refuse(&mut self, path: &Path, reason: &str) {
        self.found.refused += 1;
        (self.observe)(path, Fate::Refused(reason));
    }

    /// Walks a folder in the order of names, so that two imports do the same.
    fn folder(&mut self, root: &Path) -> io::Result<()> {
        // An export tells which of its files are packages; some have names without an ending.
        let exported = ledger::packages_of(root)?;
        let mut lists: BTreeMap<PathBuf, Vec<Place>> = BTreeMap::new();
        let mut files = Vec::new();
        let mut waiting = vec![(root.to_owned(), 0)];
        while let Some((directory, depth)) = waiting.pop() {
            let mut entries = match fs::read_dir(&directory) {
                Ok(entries) => entries.collect::<Result<Vec<_>, _>>()?,
                // Only the folder that was named has to be readable.
                Err(error) if depth > 0 => {
                    self.refuse(&directory, &error.to_string());
                    continue;
                }
                Err(error) => return Err(error),
            };
            entries.sort_by_key(fs::DirEntry::file_name);
            let mut below = Vec::new();
            for entry in entries {
                let (path, kind) = (entry.path(), entry.file_type()?);
                if kind.is_dir() && entry.file_name() == OWN {
                    // Records of an export are nothing to import.
                } else if kind.is_dir() {
                    if depth < DEPTH {
                        below.push((path, depth + 1));
                    } else {
                        self.refuse(&path, "the folder lies too deep");
                    }
                } else if files.len() < FILES {
                    files.push((path, kind.is_file()));
                }
            }
            waiting.extend(below.into_iter().rev());
        }
        let named = |path: &Path, name: &str| path.file_name().is_some_and(|found| found == name);
        for (path, _) in files.iter().filter(|(path, is_file)| *is_file && named(path, "Packages"))
        {
            match listing::read(path) {
                Ok(Some(list)) => {
                    for (file, place) in list {
                        lists.entry(file).or_default().push(place);
                    }
                }
                Ok(None) => {}
                Err(reason) => self.refuse(path, &reason),
            }
        }
        for (path, is_file) in files {
            if is_file && (named(&path, "package.json") || named(&path, "index.json")) {
                match packument::read(&path) {
                    Ok(Some(statements)) => self.found.statements.push((path, statements)),
                    Ok(None) => self.found.ignored += 1,
                    Err(reason) => self.refuse(&path, &reason),
                }
                continue;
            }
            let is_package = match &exported {
                Some(exported) => exported.contains(&path),
                None => self.is_package(&path),
            };
            if !is_package {
                self.found.ignored += 1;
                continue;
            }
            if !is_file {
                self.refuse(&path, "it is a link or no plain file; import what it stands for");
                continue;
            }
            match lists.remove(&path) {
                Some(mut places) => {
                    places.sort();
                    places.dedup();
                    for place in places {
                        let mut hints = self.hints.clone();
                        hints.insert("distribution".to_owned(), place.distribution);
                        hints.insert("component".to_owned(), place.component);
                        self.found.items.push(Item { path: path.clone(), hints });
                    }
                }
                None => self.found.items.push(Item { path, hints: self.hints.clone() }),
            }
        }
        Ok(())
    }

    fn is_package(&self, path: &Path) -> bool {
        let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase());
        let endings = self.feed_type.file_endings();
        name.is_some_and(|name| {
            !name.starts_with('.') && endings.iter().any(|end| name.ends_with(end))
                || endings.is_empty()
        })
    }
}
