//! The operating system's files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests panic to fail")]

use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use hayloft_core::sim::SimFs;
use hayloft_core::{Fs, FsEntry, RealFs};
use rstest::rstest;

/// The same contract holds on the real disk and on the simulated one.
#[rstest]
#[case::real(&RealFs)]
#[case::simulated(&SimFs::new(1))]
fn files_and_names_do_what_is_asked(#[case] fs: &dyn Fs) {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("a/b");
    fs.create_directory(&root).unwrap();
    fs.create_directory(&root).unwrap();
    fs.sync_directory(&root).unwrap();
    let (one, two) = (root.join("one"), root.join("two"));

    let mut file = fs.create(&one).unwrap();
    assert_eq!(fs.create(&one).unwrap_err().kind(), ErrorKind::AlreadyExists);
    file.write_all(b"hello world").unwrap();
    file.sync_data().unwrap();
    file.seek(SeekFrom::Start(6)).unwrap();
    file.write_all(b"W").unwrap();
    file.set_len(9).unwrap();
    assert_eq!(file.len().unwrap(), 9);
    assert!(!file.is_empty().unwrap());
    assert_eq!(text(&mut *file), "hello Wor");
    drop(file);

    let mut file = fs.append(&one).unwrap();
    file.write_all(b"!").unwrap();
    drop(file);
    drop(fs.append(&two).unwrap());
    assert_eq!(fs.file_len(&one).unwrap(), Some(10));
    assert_eq!(fs.file_len(&root.join("three")).unwrap(), None);
    let entry = |name: &str| FsEntry { name: name.to_owned(), is_directory: false };
    assert_eq!(fs.list(&root).unwrap(), [entry("one"), entry("two")]);
    assert!(fs.list(&root).unwrap().iter().all(|entry| !entry.is_directory));
    assert!(fs.list(&root.join("none")).unwrap().is_empty());

    let mut reading = fs.open(&one).unwrap();
    assert!(reading.write_all(b"x").is_err());
    fs.protect(&one).unwrap();
    fs.rename(&one, &two).unwrap();
    assert_eq!(fs.list(&root).unwrap(), [entry("two")]);
    fs.remove_file(&two).unwrap();
    assert_eq!(text(&mut *reading), "hello Wor!", "an open file outlives its name");
    assert_eq!(fs.remove_file(&two).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(fs.open(&two).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(fs.modify(&two).unwrap_err().kind(), ErrorKind::NotFound);
    fs.remove_directory(&root).unwrap();
    assert!(fs.available(place.path()).unwrap() > 0);
}

fn text(file: &mut dyn hayloft_core::FsFile) -> String {
    file.seek(SeekFrom::Start(0)).unwrap();
    io::read_to_string(file.take(1000)).unwrap()
}

#[rstest]
#[case::real(&RealFs)]
#[case::simulated(&SimFs::new(1))]
fn a_lock_excludes_others_until_it_is_dropped(#[case] fs: &dyn Fs) {
    let place = tempfile::tempdir().unwrap();
    fs.create_directory(place.path()).unwrap();
    let path = place.path().join("LOCK");
    let lock = fs.lock(&path).unwrap();
    assert_eq!(fs.lock(&path).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(lock);
    drop(fs.lock(&path).unwrap());
}

#[cfg(unix)]
#[test]
fn protected_files_cannot_be_written_by_anyone() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("file");
    drop(RealFs.create(&path).unwrap());
    RealFs.protect(&path).unwrap();
    let mode = fs_err::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o400);
}

#[test]
fn errors_name_the_path() {
    let error = RealFs.open(Path::new("/no/such/file")).unwrap_err();
    assert!(error.to_string().contains("/no/such/file"));
}
