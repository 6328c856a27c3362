//! A release is installed with the real dpkg into a root of its own, and runs there.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to fail")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program: `HAYLOFT_BIN`, else what Cargo built beside this one.
fn program() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name("hayloft");
    let program = std::env::var_os("HAYLOFT_BIN").map_or_else(beside, PathBuf::from);
    if !program.exists() {
        eprintln!("skipped: there is no {}; run `cargo build -p hayloft-cli`", program.display());
        return None;
    }
    Some(program)
}

fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        eprintln!("skipped: `{program}` does not run on this machine");
    }
    found
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn dpkg(root: &Path) -> Command {
    let mut dpkg = Command::new("dpkg");
    dpkg.arg(format!("--root={}", root.display()))
        // The root has no C library of its own, and who runs this need not be root.
        .args([
            "--force-depends",
            "--force-not-root",
            "--force-script-chrootless",
            "--log=/dev/null",
        ]);
    dpkg
}

/// Copies the libraries that the program loads into a root, so that it runs with that for `/`.
fn copy_libraries(program: &Path, root: &Path) {
    for word in run(Command::new("ldd").arg(program)).split_whitespace() {
        if word.starts_with('/') {
            let to = root.join(word.trim_start_matches('/'));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(word, to).unwrap();
        }
    }
}

#[test]
fn a_release_is_packed_installed_run_and_removed() {
    let Some(built) = program() else { return };
    if !["dpkg", "dpkg-deb", "ldd", "gzip", "tar", "strip", "readelf"].iter().all(|tool| has(tool))
    {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    // A build for tests is mostly what debuggers want.
    let program = directory.path().join("hayloft");
    run(Command::new("strip").arg("-o").arg(&program).arg(&built));
    let pack = || {
        run(Command::new(env!("CARGO_BIN_EXE_xtask"))
            .arg("dist")
            .arg(format!("--program={}", program.display()))
            .arg(format!("--out={}", out.display())));
    };
    pack();
    let mut names: Vec<String> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 4, "{names:?}");
    let sums = fs::read_to_string(out.join("SHA256SUMS")).unwrap();
    run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&out));
    pack();
    assert_eq!(fs::read_to_string(out.join("SHA256SUMS")).unwrap(), sums, "same input, same bytes");

    let bill = names.iter().find(|name| name.ends_with(".cdx.json")).unwrap();
    let bill: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join(bill)).unwrap()).unwrap();
    let components = bill["components"].as_array().unwrap();
    let has = |name: &str| components.iter().any(|component| component["name"] == name);
    assert!(components.len() > 50 && has("redb") && has("hayloft-core") && !has("rstest"));
    assert!(components.iter().all(|component| component["licenses"][0]["expression"] != ""));

    let deb = out.join(names.iter().find(|name| name.starts_with("hayloft_")).unwrap());
    let root = directory.path().join("root");
    fs::create_dir_all(root.join("var/lib/dpkg/info")).unwrap();
    fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
    run(dpkg(&root).arg("--install").arg(&deb));
    assert!(
        run(dpkg(&root).args(["--status", "hayloft"])).contains("Status: install ok installed")
    );
    assert_eq!(run(dpkg(&root).args(["--verify", "hayloft"])), "", "all files are as packed");
    for path in [
        "usr/lib/systemd/system/hayloft.service",
        "usr/share/man/man1/hayloft-serve.1.gz",
        "usr/share/bash-completion/completions/hayloft",
        "usr/share/doc/hayloft/copyright",
    ] {
        assert!(root.join(path).exists(), "{path}");
    }

    copy_libraries(&program, &root);
    fs::create_dir_all(root.join("var/lib/hayloft")).unwrap();
    fs::create_dir_all(root.join("dev")).unwrap();
    fs::create_dir_all(root.join("tmp")).unwrap();
    let inside = |words: &[&str]| {
        let mut command = Command::new("chroot");
        command.arg(&root).arg("/usr/bin/hayloft").args(words);
        command.env_clear().env("HAYLOFT_ADDRESS", "127.0.0.1:0").stdin(Stdio::null());
        command
    };
    if !inside(&["-V"]).output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped the rest: chroot needs to be root");
        return;
    }
    let config = "--config=/etc/hayloft/hayloft.toml";
    assert_eq!(run(&mut inside(&["config", "check", config])), "The configuration is good.\n");
    let mut server = inside(&["serve", config, "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    let url = format!("--source={}", told["url"].as_str().unwrap());
    let key = fs::read_to_string(root.join("var/lib/hayloft/admin-key")).unwrap();
    let key = format!("--api-key={}", key.trim());
    assert!(run(&mut inside(&["health", &url])).contains("all OK"));
    run(&mut inside(&["feeds", "create", "dev", "universal", &url, &key]));
    assert_eq!(run(&mut inside(&["feeds", "list", &url, &key])), "dev (universal)\n");
    run(Command::new("kill").args(["-TERM", &server.id().to_string()]));
    assert!(server.wait().unwrap().success());
    assert!(root.join("var/lib/hayloft/store/FORMAT").exists());

    run(dpkg(&root).args(["--purge", "hayloft"]));
    assert!(!root.join("usr/bin/hayloft").exists() && !root.join("etc/hayloft").exists());
    assert!(root.join("var/lib/hayloft/store").exists(), "packages outlive the program");
}

/// What the unit says is what systemd understands.
#[test]
fn the_units_are_ones_that_systemd_takes() {
    if !has("systemd-analyze") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd");
    for name in ["hayloft.service", "hayloft.socket"] {
        let text = fs::read_to_string(packaging.join(name)).unwrap();
        let text = text.replace("/usr/bin/hayloft", "/bin/true");
        fs::write(directory.path().join(name), text).unwrap();
    }
    let output = Command::new("systemd-analyze")
        .arg("verify")
        .args(["hayloft.service", "hayloft.socket"].map(|name| directory.path().join(name)))
        .output()
        .unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    let of_ours = complaints.lines().filter(|line| {
        line.contains("hayloft")
            // The page is not installed here, and older releases know the other type only.
            && !line.contains("man hayloft-serve")
            && !line.contains("Failed to parse service type")
    });
    assert_eq!(of_ours.collect::<Vec<_>>(), [""; 0], "{complaints}");
}
