//! What is inside the containers that most packages are, for rules about members.

use std::collections::BTreeSet;
use std::io::{Cursor, Write};

use flate2::read::MultiGzDecoder;
use hayloft_feed::Limits;
use zip::{ZipArchive, ZipWriter};

use crate::package::gzip;

/// Containers within containers that are opened.
const DEPTH: usize = 4;
/// Bytes of one file that is taken apart.
const LARGEST: u64 = 64 << 20;
const AR: &[u8] = b"!<arch>\n";
/// Name, times, owner and mode, then the size at 48, then two bytes that end the header.
const AR_HEADER: usize = 60;

/// A ZIP, tar, ar or gzip file that has been taken apart.
enum Container<'a> {
    Zip { whole: &'a [u8], files: Vec<(usize, Member)> },
    Tar(Vec<(tar::Header, Member)>),
    Ar(Vec<(Vec<u8>, Member)>),
    Gzip(Member),
}

struct Member {
    /// Empty for what has none, such as the content of gzip.
    name: String,
    bytes: Vec<u8>,
    /// What readers of the container make of it themselves, such as a long name.
    is_part_of_another: bool,
}

impl Member {
    fn new(name: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), bytes, is_part_of_another: false }
    }
}

impl<'a> Container<'a> {
    /// `None` for what is none of these, or cannot be read.
    fn open(bytes: &'a [u8]) -> Option<Self> {
        match bytes {
            [b'P', b'K', 3, 4, ..] => open_zip(bytes),
            [0x1f, 0x8b, ..] => {
                let content = Limits::read(&mut MultiGzDecoder::new(bytes), LARGEST).ok()?;
                Some(Self::Gzip(Member::new("", content)))
            }
            _ if bytes.starts_with(AR) => open_ar(bytes),
            _ if bytes.get(257..262) == Some(b"ustar") => open_tar(bytes),
            _ => None,
        }
    }

    fn members(&self) -> Vec<&Member> {
        let all: Vec<&Member> = match self {
            Self::Zip { files, .. } => files.iter().map(|(_, member)| member).collect(),
            Self::Tar(files) => files.iter().map(|(_, member)| member).collect(),
            Self::Ar(files) => files.iter().map(|(_, member)| member).collect(),
            Self::Gzip(content) => vec![content],
        };
        all.into_iter().filter(|member| !member.is_part_of_another).collect()
    }

    /// The same container with other bytes for one member, and sums that fit.
    fn with(&self, changed: &Member, bytes: &[u8]) -> Vec<u8> {
        let bytes_of = |member: &Member| {
            if std::ptr::eq(member, changed) { bytes.to_vec() } else { member.bytes.clone() }
        };
        match self {
            Self::Gzip(_) => gzip(bytes),
            Self::Zip { whole, files } => {
                let mut source = ZipArchive::new(Cursor::new(*whole)).expect("it was read");
                let mut out = ZipWriter::new(Cursor::new(Vec::new()));
                for (at, member) in files {
                    if std::ptr::eq(member, changed) {
                        let options = zip::write::SimpleFileOptions::default();
                        out.start_file(&*member.name, options).expect("the name was read");
                        out.write_all(bytes).expect("memory can be written");
                    } else {
                        let file = source.by_index_raw(*at).expect("it was read");
                        out.raw_copy_file(file).expect("memory can be written");
                    }
                }
                out.finish().expect("memory can be written").into_inner()
            }
            Self::Tar(files) => {
                let mut out = tar::Builder::new(Vec::new());
                for (header, member) in files {
                    let bytes = bytes_of(member);
                    let mut header = header.clone();
                    header.set_size(u64::try_from(bytes.len()).expect("a length fits 64 bits"));
                    header.set_cksum();
                    out.append(&header, bytes.as_slice()).expect("memory can be written");
                }
                out.into_inner().expect("memory can be written")
            }
            Self::Ar(files) => {
                let mut out = AR.to_vec();
                for (header, member) in files {
                    let bytes = bytes_of(member);
                    out.extend(header.iter().take(48));
                    out.extend(format!("{:<10}`\n", bytes.len()).as_bytes());
                    out.extend(&bytes);
                    if bytes.len() % 2 == 1 {
                        out.push(b'\n');
                    }
                }
                out
            }
        }
    }
}

fn open_zip(whole: &[u8]) -> Option<Container<'_>> {
    let mut archive = ZipArchive::new(Cursor::new(whole)).ok()?;
    let mut files = Vec::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).ok()?;
        if file.is_file() {
            let name = file.name().ok()?.into_owned();
            let bytes = Limits::read(&mut file, LARGEST).ok()?;
            files.push((at, Member::new(&name, bytes)));
        }
    }
    Some(Container::Zip { whole, files })
}

fn open_tar(bytes: &[u8]) -> Option<Container<'_>> {
    let mut files = Vec::new();
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries().ok()?.raw(true) {
        let mut entry = entry.ok()?;
        let header = entry.header().clone();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let bytes = Limits::read(&mut entry, LARGEST).ok()?;
        let mut member = Member::new(&name, bytes);
        member.is_part_of_another = !header.entry_type().is_file();
        files.push((header, member));
    }
    Some(Container::Tar(files))
}

fn open_ar(bytes: &[u8]) -> Option<Container<'_>> {
    let mut files = Vec::new();
    let mut rest = bytes.get(AR.len()..)?;
    while !rest.is_empty() {
        let header = rest.get(..AR_HEADER)?;
        let name = String::from_utf8_lossy(header.get(..16)?);
        let size = String::from_utf8_lossy(header.get(48..58)?).trim().parse::<usize>().ok()?;
        let content = rest.get(AR_HEADER..AR_HEADER.checked_add(size)?)?;
        let member = Member::new(name.trim_end().trim_end_matches('/'), content.to_vec());
        files.push((header.to_vec(), member));
        rest = rest.get(AR_HEADER + size + size % 2..).unwrap_or_default();
    }
    Some(Container::Ar(files))
}

/// The innermost files of a package by their paths; whether they hold anything.
///
/// Empty for what is no container that can be opened.
pub(crate) fn names(package: &[u8]) -> BTreeSet<(String, Filled)> {
    let mut names = BTreeSet::new();
    if Container::open(package).is_some() {
        collect(package, "", 0, &mut names);
    }
    names
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Filled {
    No,
    Yes,
}

fn collect(bytes: &[u8], path: &str, depth: usize, names: &mut BTreeSet<(String, Filled)>) {
    if let Some(container) = Container::open(bytes).filter(|_| depth < DEPTH) {
        for member in container.members() {
            collect(&member.bytes, &below(path, &member.name), depth + 1, names);
        }
    } else {
        let filled = if bytes.is_empty() { Filled::No } else { Filled::Yes };
        names.insert((path.to_owned(), filled));
    }
}

fn below(path: &str, name: &str) -> String {
    match (path, name) {
        ("", name) => name.to_owned(),
        (path, "") => path.to_owned(),
        (path, name) => format!("{path}!{name}"),
    }
}

/// What was done to a file, and the file after it.
pub(crate) type Case = (String, Vec<u8>);

/// Copies of a package in each of which one of its innermost files is another, with sums that fit,
/// so that the damage reaches those who read that file.
pub(crate) fn changed(package: &[u8], change: &mut dyn FnMut(&[u8]) -> Vec<Case>) -> Vec<Case> {
    match Container::open(package) {
        Some(_) => changed_below(package, 0, change),
        None => Vec::new(),
    }
}

fn changed_below(
    bytes: &[u8],
    depth: usize,
    change: &mut dyn FnMut(&[u8]) -> Vec<Case>,
) -> Vec<Case> {
    let Some(container) = Container::open(bytes).filter(|_| depth < DEPTH) else {
        return change(bytes);
    };
    let mut all = Vec::new();
    for member in container.members() {
        for (case, changed) in changed_below(&member.bytes, depth + 1, change) {
            let inside =
                if member.name.is_empty() { String::new() } else { format!(" of {}", member.name) };
            all.push((format!("{case}{inside}"), container.with(member, &changed)));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_container_is_taken_apart_and_put_together() {
        for (package, name) in [
            (crate::npm_tgz("hay", "1.0.0").build(), "package/package.json"),
            (crate::nupkg("hay", "1.0.0").build(), "hay.nuspec"),
            (crate::deb("hay", "1.0.0", "all").build(), "control.tar.gz!./control"),
            (crate::gem("hay", "1.0.0", "ruby").build(), "metadata.gz"),
        ] {
            let names = names(&package);
            assert!(names.contains(&(name.to_owned(), Filled::Yes)), "{name}: {names:?}");
            let same = changed(&package, &mut |bytes| vec![(String::new(), bytes.to_vec())]);
            assert_eq!(same.len(), names.len(), "{name}");
            assert!(same.iter().all(|(_, bytes)| super::names(bytes) == names), "{name}");
            let emptied = changed(&package, &mut |_| vec![("nothing".to_owned(), Vec::new())]);
            let lost = emptied.iter().filter(|(_, bytes)| super::names(bytes) != names).count();
            let filled = names.iter().filter(|(_, filled)| *filled == Filled::Yes).count();
            assert_eq!(lost, filled, "{name}");
        }
        assert!(names(b"note hay 7").is_empty());
    }
}
