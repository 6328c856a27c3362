#![allow(missing_docs, reason = "a test crate has no readers")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

//! pip and wheel take what was repackaged, under the new version.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hayloft_feed::FeedType;
use hayloft_pypi::Pypi;
use hayloft_testkit::{history_entry, inspect, repackage, sdist, wheel};
use support::{Row, bytes, file, python, rows, run};

const NEW: &str = "99.0rc1";

/// Prints the versions of all distributions in a folder as `name==version` lines.
const VERSIONS: &str = "import sys, importlib.metadata as m\n\
    for d in m.distributions(path=[sys.argv[1]]): print(d.metadata['Name'], d.version, sep='==')";

/// Writes a file into `folder` as version [`NEW`].
fn repackaged(name: &str, bytes: &[u8], folder: &Path) -> PathBuf {
    let from = inspect(&Pypi, bytes, Some(name), &[]).unwrap().identity;
    let entry = history_entry(&from, bytes);
    let (result, _) = repackage(&Pypi, bytes, &from, NEW, &entry).unwrap();
    let target = Pypi.retarget(&from, &Pypi.version(NEW).unwrap()).unwrap();
    let path = folder.join(file(&target));
    fs::write(&path, result).unwrap();
    path
}

/// Installs files into a folder of their own, as nothing but pip looks at them.
fn install(pip: &mut Command, files: &[PathBuf], folder: &Path) -> BTreeMap<String, String> {
    let target = folder.join("installed");
    pip.args(["-m", "pip", "--isolated", "--disable-pip-version-check", "install", "--no-index"])
        .args(["--no-deps", "--no-build-isolation", "--no-cache-dir", "--no-compile"])
        .args(["--no-warn-conflicts", "--root-user-action=ignore", "--target"])
        .arg(&target)
        .args(files)
        .env("HOME", folder);
    run(pip);
    let mut python = python(&["pip"]).unwrap();
    run(python.args(["-I", "-c", VERSIONS]).arg(&target))
        .lines()
        .map(|line| line.split_once("==").unwrap())
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect()
}

fn row(file: &str) -> Option<Row> {
    rows().into_iter().find(|row| row.file == file)
}

#[test]
fn pip_installs_repackaged_wheels_as_the_new_version() {
    let Some(mut pip) = python(&["pip"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let built = wheel("Hay.Bale", "1.0rc1");
    let mut files = vec![repackaged(&built.file_name(), &built.build(), folder.path())];
    // Others are for one platform or one old Python.
    let rows = rows().into_iter().filter(|row| row.file.ends_with("py3-none-any.whl"));
    files.extend(rows.map(|row| repackaged(&row.file, &bytes(&row), folder.path())));
    let installed = install(&mut pip, &files, folder.path());
    assert_eq!(installed.len(), files.len(), "{installed:?}");
    assert!(installed.values().all(|version| version == NEW), "{installed:?}");
    println!("{} wheels installed", installed.len());
}

#[test]
fn the_tool_of_wheels_unpacks_what_was_repackaged() {
    let Some(_) = python(&["wheel"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let wheels: Vec<Row> = rows().into_iter().filter(Row::is_wheel).collect();
    for row in &wheels {
        let path = repackaged(&row.file, &bytes(row), folder.path());
        let mut python = python(&["wheel"]).unwrap();
        // It holds every file against the record.
        run(python.args(["-m", "wheel", "unpack", "--dest"]).arg(folder.path()).arg(path));
    }
    println!("{} wheels unpacked", wheels.len());
}

/// The version is that of the file name and of what a build yields, or pip throws the file away.
#[test]
fn pip_builds_repackaged_source_distributions_as_the_new_version() {
    let Some(mut pip) = python(&["pip", "setuptools", "setuptools_scm"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let built = sdist("Hay.Bale", "1.0rc1");
    let mut files = vec![repackaged(&built.file_name(), &built.build(), folder.path())];
    for name in [
        // These read PKG-INFO, ...
        "jaraco.functools-3.0.0.tar.gz",
        "pluggy-1.5.0.tar.gz",
        // ... if nothing newer is beside it;
        "scm_probe-1.2.0rc1.tar.gz",
        // these declare the version.
        "Hayloft.Probe_Local-1.2.3+corp.4.tar.gz",
        "pdm-pep517-1.1.2.tar.gz",
        "typing_extensions-4.12.2.tar.gz",
    ] {
        let Some(row) = row(name) else { continue };
        files.push(repackaged(name, &bytes(&row), folder.path()));
    }
    // The backend of the last one comes out of the corpus.
    if let Some(backend) = row("flit_core-4.2.0-py3-none-any.whl") {
        let path = folder.path().join("backend");
        let archive = support::folder().join(backend.file);
        let mut zip = python(&["zipfile"]).unwrap();
        run(zip.args(["-m", "zipfile", "-e"]).arg(archive).arg(&path));
        pip.env("PYTHONPATH", path);
    }
    let installed = install(&mut pip, &files, folder.path());
    assert_eq!(installed.len(), files.len(), "{installed:?}");
    assert!(installed.values().all(|version| version == NEW), "{installed:?}");
    println!("{} source distributions built and installed", installed.len());
}
