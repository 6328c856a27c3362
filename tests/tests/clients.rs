//! What the program repackaged, in the hands of each ecosystem's own tool.
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

use hayloft_testkit::{Package, deb, gem, npm_tgz, nupkg, sdist, upack, wheel};
use hayloft_tests::{
    Bench, Tree, has_program, npm, nuget_install, pip_install, python, run, sha1, tree,
};
use serde_json::Value;

/// One package on its way: the files of its three versions, as they were downloaded.
struct Release {
    files: [PathBuf; 3],
}

impl Release {
    /// `ci -> rc -> stable`.
    fn of(
        bench: &Bench,
        package: &Package,
        name: &str,
        versions: [&str; 3],
        options: &[&str],
    ) -> Self {
        let [ci, candidate, stable] = versions;
        let source = bench.fresh("source").join(package.file_name());
        fs_err::write(&source, package.build()).unwrap();
        bench.upload(&source, options);
        bench.repackage(name, ci, candidate);
        bench.repackage(name, candidate, stable);
        let files = versions.map(|version| bench.download(name, version));
        assert_eq!(fs_err::read(&files[0]).unwrap(), package.build());
        Self { files }
    }
}

/// Both steps are told, oldest first, each with the SHA-1 of the file that it began with.
fn assert_history(release: &Release, history: &[u8]) {
    let history: Value = serde_json::from_slice(history).unwrap();
    let entries = history.as_array().expect("a history is an array");
    assert_eq!(entries.len(), 2, "{history}");
    for (entry, source) in entries.iter().zip(&release.files) {
        let id = entry["id"].as_str().unwrap();
        let digest = sha1(&fs_err::read(source).unwrap());
        assert!(id.ends_with(&format!(":{digest}")), "{id}");
        assert!(entry["using"].as_str().unwrap().starts_with("hayloft/"), "{entry}");
        assert_eq!(entry["by"], "tester");
    }
}

/// The trees are equal but for these files, of which some are new.
fn assert_same_tree(before: &Tree, after: &Tree, changed: &[&str], added: &[&str]) {
    let new: Vec<&String> = after.keys().filter(|path| !before.contains_key(*path)).collect();
    assert_eq!(new, added);
    for (path, content) in before {
        let found = after.get(path).unwrap_or_else(|| panic!("{path} is gone"));
        assert_eq!(content.0, found.0, "the mode of {path}");
        assert_eq!(content.1 != found.1, changed.contains(&path.as_str()), "{path}");
    }
}

fn unzip(file: &Path, folder: &Path) {
    run(Command::new("unzip").args(["-q", "-d"]).args([folder, file]));
}

fn untar(file: &Path, folder: &Path) {
    run(Command::new("tar").arg("-xf").arg(file).arg("-C").arg(folder));
}

const SEMVER: [&str; 3] = ["1.0.0-ci.7", "1.0.0-rc.1", "1.0.0"];

#[test]
fn a_released_universal_package_is_a_sound_archive() {
    if !has_program("unzip") {
        return;
    }
    let bench = Bench::new("universal");
    let package = upack("hay/bale", "loft", SEMVER[0]).payload(9_000);
    let release = Release::of(&bench, &package, "hay/bale/loft", SEMVER, &[]);
    for file in &release.files {
        run(Command::new("unzip").arg("-tq").arg(file));
    }
    let before = bench.unpacked(&release.files[0], "before", unzip);
    let after = bench.unpacked(&release.files[2], "after", unzip);
    assert_same_tree(&before, &after, &["upack.json"], &[]);
    let manifest: Value = serde_json::from_slice(&after["upack.json"].1).unwrap();
    assert_eq!(manifest["version"], "1.0.0");
    assert_history(&release, manifest["repackageHistory"].to_string().as_bytes());
}

#[test]
fn nuget_installs_a_released_package() {
    if !has_program("unzip") {
        return;
    }
    let bench = Bench::new("nuget");
    let release =
        Release::of(&bench, &nupkg("Hay.Loft", SEMVER[0]).payload(9_000), "Hay.Loft", SEMVER, &[]);
    let before = bench.unpacked(&release.files[0], "before", unzip);
    let after = bench.unpacked(&release.files[2], "after", unzip);
    let core = before.keys().find(|path| path.ends_with(".psmdcp")).cloned();
    let changed: Vec<&str> = ["Hay.Loft.nuspec", "[Content_Types].xml"]
        .into_iter()
        .chain(core.as_deref())
        .filter(|path| before[*path] != after[*path])
        .collect();
    assert!(changed.contains(&"Hay.Loft.nuspec"));
    let history = ".progetRepackageHistory.json";
    assert_same_tree(&before, &after, &changed, &[history]);
    assert_history(&release, &after[history].1);

    let source = release.files[2].parent().unwrap();
    let Some(installed) = nuget_install(bench.path(), source, "Hay.Loft", "1.0.0") else { return };
    let payload = fs_err::read(installed.join("Hay.Loft.1.0.0/content/payload.bin")).unwrap();
    assert_eq!(payload, before["content/payload.bin"].1);
}

#[test]
fn npm_installs_a_released_package() {
    if !has_program("npm") {
        return;
    }
    let bench = Bench::new("npm");
    let release = Release::of(
        &bench,
        &npm_tgz("@hay/loft", SEMVER[0]).payload(9_000),
        "@hay/loft",
        SEMVER,
        &[],
    );
    let before = bench.unpacked(&release.files[0], "before", untar);
    let after = bench.unpacked(&release.files[2], "after", untar);
    assert_same_tree(&before, &after, &["package/package.json"], &[]);
    let manifest: Value = serde_json::from_slice(&after["package/package.json"].1).unwrap();
    assert_history(&release, manifest["repackageHistory"].to_string().as_bytes());

    let project = bench.fresh("project");
    fs_err::write(project.join("package.json"), "{}").unwrap();
    fs_err::copy(&release.files[2], project.join("x.tgz")).unwrap();
    npm(&project, &["install", "./x.tgz"]);
    let installed = tree(&project.join("node_modules/@hay/loft"));
    for (path, (_, content)) in &after {
        assert_eq!(installed[path.trim_start_matches("package/")].1, *content, "{path}");
    }
    let packed: Value =
        serde_json::from_str(&npm(&project, &["pack", "--dry-run", "--json", "./x.tgz"])).unwrap();
    assert_eq!(packed[0]["version"], "1.0.0");
    assert_eq!(packed[0]["shasum"], sha1(&fs_err::read(&release.files[2]).unwrap()));
}

const PYTHON: [&str; 3] = ["1.0.dev7", "1.0rc1", "1.0"];

#[test]
fn pip_installs_released_wheels_and_source_distributions() {
    if python(&["pip", "setuptools", "wheel"]).is_none() || !has_program("unzip") {
        return;
    }
    let mut files = Vec::new();
    let bench = Bench::new("pypi");
    for (package, name, is_wheel) in [
        (wheel("Hay.Loft", PYTHON[0]).payload(9_000), "hay-loft", true),
        (sdist("Hay.Bale", PYTHON[0]).payload(9_000), "hay-bale", false),
    ] {
        let release = Release::of(&bench, &package, name, PYTHON, &[]);
        let unpack = if is_wheel { unzip } else { untar };
        // Directories carry the version.
        let unversioned = |file: &Path, label: &str, version: &str| -> Tree {
            let found = bench.unpacked(file, &format!("{label}-{name}"), unpack);
            let renamed = |path: String| path.replacen(&format!("-{version}"), "-V", 1);
            found.into_iter().map(|(path, content)| (renamed(path), content)).collect()
        };
        let before = unversioned(&release.files[0], "before", PYTHON[0]);
        let after = unversioned(&release.files[2], "after", PYTHON[2]);
        let history = after.keys().find(|path| path.ends_with("repackage_history.json")).unwrap();
        let may_change = ["METADATA", "RECORD", "PKG-INFO", "pyproject.toml"];
        let changed: Vec<&str> = before
            .keys()
            .filter(|path| before[*path] != after[*path])
            .map(String::as_str)
            .inspect(|path| assert!(may_change.iter().any(|name| path.ends_with(name)), "{path}"))
            .collect();
        assert!(!changed.is_empty());
        assert_same_tree(&before, &after, &changed, &[history]);
        assert_history(&release, &after[history].1);
        files.push(release.files[2].clone());
        if is_wheel {
            let mut tool = python(&["wheel"]).unwrap();
            let to = bench.fresh("wheel");
            run(tool.args(["-m", "wheel", "unpack", "--dest"]).args([&to, &release.files[2]]));
        }
    }
    let mut installed = pip_install(bench.path(), &files);
    installed.sort_unstable();
    assert_eq!(installed.len(), 2, "{installed:?}");
    assert!(installed.iter().all(|line| line.ends_with(" 1.0")), "{installed:?}");
}

const DEBIAN: [&str; 3] = ["1.0~ci7-1", "1.0~rc1-1", "1:1.0-1"];

#[test]
fn dpkg_installs_a_released_package() {
    if !has_program("dpkg-deb") {
        return;
    }
    let bench = Bench::new("debian");
    let package = deb("hay-loft", DEBIAN[0], "all").payload(9_000);
    let release = Release::of(&bench, &package, "hay-loft", DEBIAN, &["--distribution=stable"]);
    let extract = |file: &Path, folder: &Path| {
        run(Command::new("dpkg-deb").arg("--raw-extract").args([file, folder]));
    };
    let before = bench.unpacked(&release.files[0], "before", extract);
    let after = bench.unpacked(&release.files[2], "after", extract);
    assert_same_tree(&before, &after, &["DEBIAN/control"], &[]);
    let bytes = fs_err::read(&release.files[2]).unwrap();
    let member = b"_repackhist";
    let at = bytes.windows(member.len()).rposition(|window| window == member).unwrap();
    let size: usize =
        std::str::from_utf8(&bytes[at + 48..at + 58]).unwrap().trim().parse().unwrap();
    assert_history(&release, &bytes[at + 60..at + 60 + size]);

    let root = bench.path().join("root");
    for folder in ["var/lib/dpkg/updates", "var/lib/dpkg/info"] {
        fs_err::create_dir_all(root.join(folder)).unwrap();
    }
    for file in ["var/lib/dpkg/status", "var/lib/dpkg/available"] {
        fs_err::write(root.join(file), "").unwrap();
    }
    let root_option = format!("--root={}", root.display());
    for (file, version) in release.files.iter().zip(DEBIAN) {
        run(Command::new("dpkg-deb").arg("-I").arg(file));
        run(Command::new("dpkg-deb").arg("-c").arg(file));
        run(Command::new("dpkg")
            .args([&root_option, "--force-not-root", "--force-bad-path", "--install"])
            .arg(file));
        let shown = run(Command::new("dpkg-query").args([&root_option, "--show", "hay-loft"]));
        assert_eq!(shown.trim_end(), format!("hay-loft\t{version}"));
        assert_eq!(run(Command::new("dpkg").args([&root_option, "--verify", "hay-loft"])), "");
    }
}

const GEM: [&str; 3] = ["1.0.0.ci.7", "1.0.0.rc.1", "1.0.0"];

#[test]
fn gem_installs_a_released_package() {
    if !has_program("gem") {
        return;
    }
    let bench = Bench::new("rubygems");
    let release =
        Release::of(&bench, &gem("hay-loft", GEM[0], "ruby").payload(9_000), "hay-loft", GEM, &[]);
    let before = bench.unpacked(&release.files[0], "before", untar);
    let after = bench.unpacked(&release.files[2], "after", untar);
    let history = "repackage_history.json";
    assert_same_tree(&before, &after, &["metadata.gz", "checksums.yaml.gz"], &[history]);
    assert_history(&release, &after[history].1);
    for (file, version) in release.files.iter().zip(GEM) {
        let mut gem = Command::new("gem");
        gem.args(["install", "--local", "--no-document", "--install-dir"]);
        run(gem.arg(bench.path().join("gems")).arg(file).env("HOME", bench.path()));
        let installed = bench.path().join(format!("gems/gems/hay-loft-{version}/payload.bin"));
        assert_eq!(fs_err::read(installed).unwrap().len(), 9_000);
        let specification = run(Command::new("gem").arg("specification").arg(file).arg("version"));
        assert!(specification.contains(version), "{specification}");
    }
    assert!(release.files[1].ends_with("hay-loft-1.0.0.rc.1.gem"));
}
