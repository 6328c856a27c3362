//! The list of a repository's component, which names its files.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;
use hayloft_feed::RelativePath;

/// Where a file belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) distribution: String,
    pub(super) component: String,
}

/// Bytes of a line, and of a list.
const LINE: u64 = 1 << 20;
const LIST: u64 = 4 << 30;
/// Files of a list.
const FILES: usize = 2_000_000;

/// The files that a list names, if it lies where lists of repositories lie:
/// `ROOT/dists/DISTRIBUTION/COMPONENT/binary-ARCHITECTURE/Packages`. Distributions and components
/// may have slashes in their names.
pub(super) fn read(path: &Path) -> Result<Option<Vec<(PathBuf, Place)>>, String> {
    let Some((root, place)) = place(path) else { return Ok(None) };
    let mut found = Vec::new();
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let mut lines = io::BufReader::new(file.take(LIST));
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut lines).take(LINE).read_until(b'\n', &mut line);
        match read {
            Ok(0) => return Ok(Some(found)),
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
        let Some(name) = line.strip_prefix(b"Filename:") else { continue };
        let name = std::str::from_utf8(name).map_err(|_| "a file name is no UTF-8".to_owned())?;
        // What leads elsewhere is nothing of this repository.
        let Ok(name) = name.trim().parse::<RelativePath>() else { continue };
        if found.len() == FILES {
            return Err(format!("it lists more than {FILES} files"));
        }
        found.push((name.below(&root), place.clone()));
    }
}

fn place(path: &Path) -> Option<(PathBuf, Place)> {
    let directory = path.parent()?;
    let architecture = directory.file_name()?.to_str()?;
    if !architecture.starts_with("binary-") {
        return None;
    }
    let mut component = directory.parent()?;
    if component.file_name()?.to_str()? == "debian-installer" {
        component = component.parent()?;
    }
    let names: Vec<&str> =
        component.components().map(|part| part.as_os_str().to_str()).collect::<Option<_>>()?;
    let dists = names.iter().rposition(|name| *name == "dists")?;
    let (distribution, component) = match names.get(dists + 1..)? {
        [distribution @ .., component] if !distribution.is_empty() => {
            (distribution.join("/"), (*component).to_owned())
        }
        _ => return None,
    };
    let root = path.ancestors().find(|above| above.file_name().is_some_and(|it| it == "dists"))?;
    let root = root.parent().unwrap_or(Path::new("")).to_owned();
    Some((root, Place { distribution, component }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_say_where_files_belong() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("dists/stable/main/binary-amd64/Packages");
        fs::create_dir_all(list.parent().unwrap()).unwrap();
        let text = "Package: a\nFilename: pool/a.deb\n\nPackage: b\nFilename: ../b.deb\n";
        fs::write(&list, text).unwrap();
        let place = Place { distribution: "stable".into(), component: "main".into() };
        let expected = vec![(folder.path().join("pool/a.deb"), place)];
        assert_eq!(read(&list).unwrap(), Some(expected));
        let elsewhere = folder.path().join("Packages");
        fs::write(&elsewhere, text).unwrap();
        assert_eq!(read(&elsewhere).unwrap(), None);
    }
}
