//! Repackaged packages in the hands of dpkg.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hayloft_debian::Debian;
use hayloft_testkit::{deb, history_entry, inspect, repackage};

/// A folder that is gone at the end of the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("hayloft-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn has_dpkg() -> bool {
    let found = Command::new("dpkg-deb").arg("--version").output().is_ok();
    if !found {
        println!("skipped: dpkg is not installed");
    }
    found
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).env("LC_ALL", "C").output().unwrap()
}

/// Standard output of a run that must succeed.
fn output(program: &str, arguments: &[&str]) -> String {
    let ran = run(program, arguments);
    let shown = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{program} {arguments:?}: {shown}");
    String::from_utf8(ran.stdout).unwrap()
}

fn repackaged(bytes: &[u8], to: &str) -> Vec<u8> {
    let found = inspect(&Debian, bytes, None, &[("distro", "sid")]).unwrap();
    let entry = history_entry(&found.identity, bytes);
    repackage(&Debian, bytes, &found.identity, to, &entry).unwrap().0
}

fn fields(package: &str) -> Vec<String> {
    output("dpkg-deb", &["--field", package]).lines().map(str::to_owned).collect()
}

#[test]
fn dpkg_installs_and_upgrades_to_a_repackaged_package() {
    if !has_dpkg() {
        return;
    }
    let scratch = Scratch::new("debian-install");
    let source =
        deb("hay", "1.0-1", "all").payload(5_000).member("_gpgorigin", "signature").build();
    let candidate = repackaged(&source, "1:2.0~rc.1-1");
    let release = repackaged(&candidate, "1:2.0-1");
    let root = scratch.0.join("root");
    for folder in ["var/lib/dpkg/updates", "var/lib/dpkg/info"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for file in ["var/lib/dpkg/status", "var/lib/dpkg/available"] {
        fs::write(root.join(file), "").unwrap();
    }
    let root = root.to_str().unwrap();
    let versions = [(source, "1.0-1"), (candidate, "1:2.0~rc.1-1"), (release, "1:2.0-1")];
    for (at, (bytes, version)) in versions.into_iter().enumerate() {
        let package = scratch.file(&format!("{at}.deb"), &bytes);
        let root = format!("--root={root}");
        output("dpkg", &[&root, "--force-not-root", "--force-bad-path", "--install", &package]);
        let installed = output("dpkg-query", &[&root, "--show", "hay"]);
        assert_eq!(installed.trim_end(), format!("hay\t{version}"));
        // The sums of the data archive's files still hold.
        assert_eq!(output("dpkg", &[&root, "--verify", "hay"]), "");
    }
    let payload = Path::new(root).join("usr/share/hay/payload.bin");
    assert_eq!(fs::read(payload).unwrap().len(), 5_000);
}

#[test]
fn dpkg_sees_the_same_package_but_for_its_version() {
    if !has_dpkg() {
        return;
    }
    let scratch = Scratch::new("debian-fields");
    let mut seen = 0;
    for (name, bytes) in corpus_packages() {
        let before = scratch.file("before.deb", &bytes);
        let after = scratch.file("after.deb", &repackaged(&bytes, "99:1.0~x"));
        let expected: Vec<String> = fields(&before)
            .into_iter()
            .map(|line| match line.split_once(':') {
                Some((key, _)) if key.trim_end().eq_ignore_ascii_case("version") => {
                    format!("{key}: 99:1.0~x")
                }
                _ => line,
            })
            .collect();
        assert_eq!(fields(&after), expected, "{name}");
        let info = run("dpkg-deb", &["--info", &after]);
        assert!(info.status.success(), "{name}: {}", String::from_utf8_lossy(&info.stderr));
        let contents = |package: &str| output("dpkg-deb", &["--contents", package]);
        assert_eq!(contents(&after), contents(&before), "{name}");
        let (old, new) = (scratch.0.join("old"), scratch.0.join("new"));
        for (package, folder) in [(&before, &old), (&after, &new)] {
            let _ = fs::remove_dir_all(folder);
            output("dpkg-deb", &["--control", package, folder.to_str().unwrap()]);
        }
        for file in fs::read_dir(&old).unwrap() {
            let file = file.unwrap().file_name();
            if file != "control" {
                let same = fs::read(old.join(&file)).unwrap() == fs::read(new.join(&file)).unwrap();
                assert!(same, "{name}: {}", file.to_string_lossy());
            }
        }
        seen += 1;
    }
    println!("dpkg saw {seen} packages of the corpus before and after");
}

/// The real packages, and those odd ones that both we and `dpkg-deb --contents` can read.
fn corpus_packages() -> Vec<(String, Vec<u8>)> {
    let corpus = std::env::var_os("HAYLOFT_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus")),
        PathBuf::from,
    );
    let mut packages = Vec::new();
    for folder in ["debian", "debian/odd"] {
        let Ok(files) = fs::read_dir(corpus.join(folder)) else {
            println!("skipped: there is no corpus at {}", corpus.display());
            continue;
        };
        for file in files {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let is_package = [".deb", ".udeb", ".ddeb"].iter().any(|end| name.ends_with(end));
            if is_package && !name.starts_with("bad-") && !name.starts_with("lax-") {
                packages.push((name, fs::read(path).unwrap()));
            }
        }
    }
    packages.sort();
    packages
}
