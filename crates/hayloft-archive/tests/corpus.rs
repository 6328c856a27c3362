//! Every real package archive is read, copied unchanged, and read again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use hayloft_archive::{
    ArchiveError, Compression, Duplicates, Section, TarAction, Trailing, Zip, ZipRules,
    decoder_with, read_ar, rewrite_tar,
};
use hayloft_feed::Limits;

/// What is wrong with the archive itself, for files that are broken on purpose; other oddities are
/// for the feed types to find.
const REFUSED: [(&str, &str); 11] = [
    ("Zip64Package.Corrupted.1.0.0.nupkg", "its zip64 locator points outside the file"),
    ("DuplicateReadmeFiles.nupkg", "there is more than one entry"),
    ("PackageWithDoubleForwardSlash.1.0.0.nupkg", "there is more than one entry"),
    ("bad-ar-size-not-digit.deb", "its size is not a decimal number"),
    ("bad-ar-fmag.deb", "a member header does not end as it must"),
    ("bad-odd-no-pad.deb", "its padding is missing"),
    ("bad-truncated.deb", "its data is cut off"),
    ("bad-truncated.gem", "it is cut off within a header"),
    ("PackageWithDoubleBackwardSlash.1.0.0.nupkg", "there is more than one entry"),
    // A tar archive that was gzipped whole.
    ("bad-characters-1.0.0.gem", "a header has a wrong checksum"),
    // A Ruby script, as gems were before 0.8.
    ("one-ruby-0.0.1.gem", "a header has a wrong checksum"),
];

/// Members whose own data is damaged or in a compression that is not read.
const ODD_MEMBERS: [(&str, &str); 1] = [("bad-data-not-gzip.gem", "the gzip data is damaged")];

fn corpus() -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus");
    let root = PathBuf::from(std::env::var("HAYLOFT_CORPUS").unwrap_or_else(|_| default.into()));
    if root.is_dir() {
        Some(root)
    } else {
        println!("skipped: there is no corpus at {}; set HAYLOFT_CORPUS", root.display());
        None
    }
}

fn files(root: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if extensions.iter().any(|end| path.to_string_lossy().ends_with(end)) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "the corpus has no {extensions:?}");
    found
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Checks the outcome against what is known of the file.
fn judge(path: &Path, known: &[(&str, &str)], outcome: Result<(), ArchiveError>) -> Vec<String> {
    let expected = known.iter().find(|(file, _)| *file == name(path)).map(|(_, text)| *text);
    match (outcome, expected) {
        (Ok(()), None) => Vec::new(),
        (Err(error), Some(text)) if error.to_string().contains(text) => {
            assert!(error.is_input());
            Vec::new()
        }
        (outcome, expected) => vec![format!("{path:?}: expected {expected:?}, got {outcome:?}")],
    }
}

fn check_zip(path: &Path, rules: &ZipRules) -> Result<(), ArchiveError> {
    let limits = Limits::default();
    let mut file = File::open(path).unwrap();
    let mut zip = Zip::open_with(&mut file, &limits, rules)?;
    let mut copy = Cursor::new(Vec::new());
    zip.rewrite(&[], &mut copy)?;
    let mut again = Cursor::new(Vec::new());
    zip.rewrite(&[], &mut again)?;
    assert_eq!(copy, again, "copies differ");

    let mut copied = Zip::open_with(&mut copy, &limits, rules)?;
    assert_eq!(zip.entries().len(), copied.entries().len());
    assert_eq!(zip.comment(), copied.comment());
    for index in 0..zip.entries().len() {
        let (old, new) = (&zip.entries()[index], &copied.entries()[index]);
        assert_eq!(old.raw_name(), new.raw_name());
        assert_eq!(old.modified(), new.modified());
        assert_eq!(old.external_attributes(), new.external_attributes());
        assert_eq!(old.compressed_size(), new.compressed_size());
        assert_eq!(old.crc32(), new.crc32());
        assert_eq!(zip.entry_comment(index), copied.entry_comment(index));
        assert_eq!(zip.find(old.path()), copied.find(old.path()));
        assert_eq!(zip.read(index, 1 << 30)?, copied.read(index, 1 << 30)?);
    }
    let mut third = Cursor::new(Vec::new());
    copied.rewrite(&[], &mut third)?;
    assert_eq!(third.get_ref(), &std::mem::take(copy.get_mut()), "a copy of a copy differs");
    Ok(())
}

/// Copies a tar stream and compares every byte.
fn check_tar(stream: &[u8]) -> Result<(), ArchiveError> {
    let mut copy = Vec::new();
    let keep = &mut |_: &_| Ok(TarAction::Keep);
    rewrite_tar(stream, &mut copy, &Limits::default(), &[], keep)?;
    assert_eq!(copy.len(), stream.len());
    assert!(copy == stream, "the copy differs");
    let mut edited = Vec::new();
    let edit = &mut |entry: &hayloft_archive::TarEntry| {
        Ok(TarAction::RenameAndEdit {
            path: Some(entry.path().to_vec()),
            link: entry.link().map(<[u8]>::to_vec),
            max: u64::MAX,
            edit: Box::new(Ok),
        })
    };
    rewrite_tar(stream, &mut edited, &Limits::default(), &[], edit)?;
    // Only padding may differ, and none of these has any but zeros.
    assert!(edited == stream, "edits that change nothing changed something");
    Ok(())
}

fn unpack(compression: Compression, input: impl Read) -> Result<Vec<u8>, ArchiveError> {
    let limits = Limits::default();
    let mut decoder = decoder_with(compression, Box::new(input), &limits, Trailing::Zeros)?;
    let mut bytes = Vec::new();
    std::io::copy(&mut decoder, &mut bytes).map_err(ArchiveError::from_io)?;
    Ok(bytes)
}

#[test]
fn every_zip_is_read_and_copied() {
    let Some(root) = corpus() else { return };
    let mut faults = Vec::new();
    let mut count = 0;
    for path in files(&root, &[".nupkg", ".snupkg", ".upack", ".whl", ".zip"]) {
        faults.extend(judge(&path, &REFUSED, check_zip(&path, &ZipRules::default())));
        count += 1;
    }
    println!("{count} zip files");
    assert_eq!(faults, [""; 0]);
}

#[test]
fn duplicates_are_read_where_they_are_allowed() {
    let Some(root) = corpus() else { return };
    let rules = ZipRules { duplicates: Duplicates::Allowed };
    check_zip(&root.join("nuget/DuplicateReadmeFiles.nupkg"), &rules).unwrap();
}

#[test]
fn every_compressed_tar_is_read_and_copied() {
    let Some(root) = corpus() else { return };
    let mut faults = Vec::new();
    for path in files(&root, &[".tgz", ".tar.gz"]) {
        let outcome =
            unpack(Compression::Gzip, File::open(&path).unwrap()).and_then(|tar| check_tar(&tar));
        faults.extend(judge(&path, &REFUSED, outcome));
    }
    assert_eq!(faults, [""; 0]);
}

#[test]
fn every_gem_and_its_members_are_read_and_copied() {
    let Some(root) = corpus() else { return };
    let mut faults = Vec::new();
    for path in files(&root, &[".gem"]) {
        let bytes = std::fs::read(&path).unwrap();
        let outcome = check_tar(&bytes);
        let sound = outcome.is_ok();
        faults.extend(judge(&path, &REFUSED, outcome));
        if sound {
            faults.extend(judge(&path, &ODD_MEMBERS, check_gem_data(&bytes)));
        }
    }
    assert_eq!(faults, [""; 0]);
}

fn check_gem_data(gem: &[u8]) -> Result<(), ArchiveError> {
    let limits = Limits::default();
    let mut tar = hayloft_archive::TarReader::new(gem, &limits);
    while let Some(mut member) = tar.next()? {
        if member.path() == b"data.tar.gz" {
            check_tar(&unpack(Compression::Gzip, Cursor::new(member.read(1 << 30)?))?)?;
        }
    }
    Ok(())
}

#[test]
fn every_deb_and_its_members_are_read_and_copied() {
    let Some(root) = corpus() else { return };
    let mut faults = Vec::new();
    for path in files(&root, &[".deb", ".udeb", ".ddeb"]) {
        let mut file = BufReader::new(File::open(&path).unwrap());
        match read_ar(&mut file, &Limits::default()) {
            Err(error) => faults.extend(judge(&path, &REFUSED, Err(error))),
            Ok(members) => {
                let outcome = members.iter().try_for_each(|member| {
                    let extension = member.name.strip_prefix("control.tar");
                    let extension = extension.or_else(|| member.name.strip_prefix("data.tar"));
                    let Some(extension) = extension else { return Ok(()) };
                    let compression = Compression::from_extension(extension).unwrap();
                    let data = Section::new(&mut file, member.data.clone());
                    check_tar(&unpack(compression, data)?)
                });
                faults.extend(judge(&path, &ODD_MEMBERS, outcome));
            }
        }
    }
    assert_eq!(faults, [""; 0]);
}
