//! Packages of the corpus that the program repackaged, in the hands of each ecosystem's own tool.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use hayloft_tests::{
    Bench, Ecosystem, Row, Verdict, ecosystems, has_program, npm, nuget_install, pip_install,
    python, run,
};
use serde_json::Value;

/// A bench and those sound packages of the corpus whose file names begin so.
fn corpus(feed_type: &str, starts: &[&str]) -> Option<(Bench, Ecosystem)> {
    let mut ecosystem = ecosystems().into_iter().find(|found| found.feed_type == feed_type)?;
    ecosystem.rows.retain(|row| {
        row.verdict == Verdict::Sound
            && !row.path.components().any(|part| part.as_os_str() == "odd")
            && starts.iter().any(|start| row.file.starts_with(start))
    });
    assert!(ecosystem.rows.len() >= starts.len(), "{starts:?}");
    Some((Bench::new(feed_type), ecosystem))
}

/// Uploads and repackages one; gives the file of the new version.
fn repackaged(bench: &Bench, ecosystem: &Ecosystem, row: &Row) -> PathBuf {
    bench.upload(&row.path, ecosystem.upload);
    bench.repackage(&row.name, &row.version, ecosystem.release);
    bench.download(&row.name, ecosystem.release)
}

#[test]
fn unzip_finds_no_fault() {
    if !has_program("unzip") {
        return;
    }
    for (feed_type, starts) in [("universal", ["pkg"]), ("nuget", [""])] {
        let Some((bench, ecosystem)) = corpus(feed_type, &starts) else { return };
        let mut names = std::collections::HashSet::new();
        for row in ecosystem.rows.iter().filter(|row| names.insert(&row.name)) {
            run(Command::new("unzip").arg("-tq").arg(repackaged(&bench, &ecosystem, row)));
        }
        println!("unzip tested {} packages of the corpus", names.len());
    }
}

#[test]
fn nuget_installs() {
    let starts = ["TestData.1", "nuget.versioning", "Acme.Core"];
    let Some((bench, ecosystem)) = corpus("nuget", &starts) else { return };
    for row in &ecosystem.rows {
        let file = repackaged(&bench, &ecosystem, row);
        let (source, version) = (file.parent().unwrap(), ecosystem.release);
        let Some(installed) = nuget_install(bench.path(), source, &row.name, version) else {
            return;
        };
        assert!(installed.join(format!("{}.{version}", row.name)).is_dir(), "{}", row.file);
    }
}

#[test]
fn npm_packs_and_installs() {
    if !has_program("npm") {
        return;
    }
    let starts = [
        "JSON2",
        "ansi-color",
        "jade",
        "jsrender",
        "oclif",
        "paralleljs",
        "types-ms",
        "underscore",
    ];
    let Some((bench, ecosystem)) = corpus("npm", &starts) else { return };
    let files: Vec<PathBuf> =
        ecosystem.rows.iter().map(|row| repackaged(&bench, &ecosystem, row)).collect();
    let project = bench.fresh("project");
    fs_err::write(project.join("package.json"), "{}").unwrap();
    let files: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let pack = ["pack", "--dry-run", "--json"];
    let packed: Value =
        serde_json::from_str(&npm(&project, &[&pack, files.as_slice()].concat())).unwrap();
    assert_eq!(packed.as_array().unwrap().len(), files.len());
    for each in packed.as_array().unwrap() {
        let version = each["version"].as_str().unwrap();
        assert_eq!(version.trim_start_matches('v'), ecosystem.release, "{each}");
    }
    let types = files.iter().find(|file| file.contains("/ms-")).unwrap();
    npm(&project, &["install", types]);
    let manifest = fs_err::read_to_string(project.join("node_modules/@types/ms/package.json"));
    assert!(manifest.unwrap().contains(ecosystem.release));
}

#[test]
fn pip_installs_wheels_and_builds_source_distributions() {
    if python(&["pip", "setuptools", "setuptools_scm", "wheel"]).is_none() {
        return;
    }
    let Some((bench, ecosystem)) = corpus("pypi", &[""]) else { return };
    let mut files = Vec::new();
    // Source distributions that read PKG-INFO, and those that declare the version. Others among
    // them need a build backend that is not at hand.
    let built = ["jaraco.functools-3", "pluggy-1", "scm_probe-1", "pdm-pep517-1"];
    let pure =
        |file: &str| file.ends_with("py3-none-any.whl") && !file.starts_with("Hayloft.Probe");
    for row in &ecosystem.rows {
        if pure(&row.file) || built.iter().any(|start| row.file.starts_with(start)) {
            files.push(repackaged(&bench, &ecosystem, row));
        }
    }
    for wheel in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "whl")) {
        let mut tool = python(&["wheel"]).unwrap();
        // It holds every file against the record.
        let to = bench.fresh("unpacked");
        run(tool.args(["-m", "wheel", "unpack", "--dest"]).args([&to, wheel]));
    }
    let installed = pip_install(bench.path(), &files);
    assert_eq!(installed.len(), files.len(), "{installed:?}");
    assert!(installed.iter().all(|line| line.ends_with(ecosystem.release)), "{installed:?}");
    println!("pip installed {} files of the corpus", files.len());
}

#[test]
fn dpkg_reads() {
    if !has_program("dpkg-deb") {
        return;
    }
    let Some((bench, ecosystem)) = corpus("debian", &[""]) else { return };
    for row in &ecosystem.rows {
        let file = repackaged(&bench, &ecosystem, row);
        run(Command::new("dpkg-deb").arg("-I").arg(&file));
        let version = run(Command::new("dpkg-deb").arg("--field").arg(&file).arg("Version"));
        assert_eq!(version.trim(), ecosystem.release, "{}", row.file);
        let contents = |file: &Path| run(Command::new("dpkg-deb").arg("-c").arg(file));
        assert_eq!(contents(&file), contents(&row.path), "{}", row.file);
        // Another version of the same package becomes the same release.
        let name = format!("--package={}", row.name);
        let version = format!("--version={}", ecosystem.release);
        let delete = ["packages", "delete", "--feed=dev", &name, &version].map(str::to_owned);
        bench.hayloft.ok(delete.iter().chain(&row.options));
    }
    println!("dpkg read {} packages of the corpus", ecosystem.rows.len());
}

#[test]
fn gem_installs() {
    if !has_program("gem") {
        return;
    }
    // Signed and unsigned; gem itself no longer reads some of the old.
    let starts = ["base64-", "connection_pool-", "tzinfo-", "valid_signature-0.0.0", "metaclass-"];
    let Some((bench, ecosystem)) = corpus("rubygems", &starts) else { return };
    for row in &ecosystem.rows {
        let file = repackaged(&bench, &ecosystem, row);
        let mut gem = Command::new("gem");
        gem.args(["install", "--local", "--force", "--no-document", "--install-dir"]);
        run(gem.arg(bench.path().join("gems")).arg(&file).env("HOME", bench.path()));
        let installed = format!("gems/gems/{}-{}", row.name, ecosystem.release);
        assert!(bench.path().join(installed).is_dir(), "{}", row.file);
    }
}
