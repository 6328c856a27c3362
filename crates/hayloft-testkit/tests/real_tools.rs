//! The ecosystems' own tools accept what the builders make. A tool that is not on the machine is
//! skipped with a printed reason.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

use std::path::Path;
use std::process::{Command, Stdio};

use hayloft_testkit::{Package, deb, gem, npm_tgz, sdist, wheel};

fn is_there(program: &str, probe: &str) -> bool {
    let found = Command::new(program)
        .arg(probe)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        println!("skipped: `{program}` is not on this machine");
    }
    found
}

fn write(package: &Package, folder: &Path) -> String {
    let path = folder.join(package.file_name());
    fs_err::write(&path, package.build()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("HOME", folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?}:\n{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

#[test]
fn npm_installs_the_npm_package() {
    if !is_there("npm", "--version") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = write(&npm_tgz("@hay/loft", "1.2.3-rc.1").payload(500), folder.path());
    fs_err::write(folder.path().join("package.json"), "{}").unwrap();
    run("npm", &["install", "--offline", "--no-audit", "--no-fund", &file], folder.path());
    let manifest =
        fs_err::read_to_string(folder.path().join("node_modules/@hay/loft/package.json")).unwrap();
    assert!(manifest.contains("\"1.2.3-rc.1\""));
}

#[test]
fn pip_installs_the_wheel_and_the_source_distribution() {
    if !is_there("python3", "--version") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let wheel = write(&wheel("Hay.Loft-a", "1.2.3rc1").payload(500), folder.path());
    let sdist = write(&sdist("Hay-Loft.b", "1.2.3rc1").payload(500), folder.path());
    for (file, module) in [(wheel, "hay_loft_a"), (sdist, "hay_loft_b")] {
        let install =
            ["-m", "pip", "install", "--no-index", "--no-deps", "--target", "site", &file];
        run("python3", &install, folder.path());
        let program = format!("import {module}; print({module}.__version__)");
        let site = folder.path().join("site");
        assert_eq!(run("python3", &["-c", &program], &site).trim(), "1.2.3rc1");
        let info = site.join(format!("{module}-1.2.3rc1.dist-info/METADATA"));
        assert!(fs_err::read_to_string(info).unwrap().contains("\nVersion: 1.2.3rc1\n"));
    }
}

#[test]
fn dpkg_reads_and_unpacks_the_debian_package() {
    if !is_there("dpkg-deb", "--version") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let package = deb("hay-loft", "1:1.2.3~rc.1-1", "all")
        .payload(500)
        .field("Depends", "libc6")
        .member("_note", b"odd");
    let file = write(&package, folder.path());
    assert!(file.ends_with("hay-loft_1.2.3~rc.1-1_all.deb"));
    let field = |name| run("dpkg-deb", &["--field", &file, name], folder.path());
    assert_eq!(field("Version").trim(), "1:1.2.3~rc.1-1");
    assert_eq!(field("Depends").trim(), "libc6");
    run("dpkg-deb", &["--extract", &file, "tree"], folder.path());
    let payload = folder.path().join("tree/usr/share/hay-loft/payload.bin");
    assert_eq!(fs_err::read(payload).unwrap().len(), 500);
    run("dpkg-deb", &["--control", &file, "control"], folder.path());
    let tree = folder.path().join("tree");
    run("md5sum", &["--check", "--status", "../control/md5sums"], &tree);
}

#[test]
fn gem_installs_the_gem() {
    if !is_there("gem", "--version") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, version) in [("hay-loft", "1.2.3.pre.rc.1"), ("hayloft", "1.0")] {
        let file = write(&gem(name, version, "ruby").payload(500), folder.path());
        let install = ["install", "--local", "--no-document", "--install-dir", "gems", &file];
        run("gem", &install, folder.path());
        let payload = folder.path().join(format!("gems/gems/{name}-{version}/payload.bin"));
        assert_eq!(fs_err::read(payload).unwrap().len(), 500);
    }
}
