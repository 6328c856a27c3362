//! The real client installs what repackaging writes.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{corpus, inspect, repackage, tree};

/// nuget.exe 5.8, which mono runs: the npm package `nuget-exe` holds it.
fn client() -> Option<PathBuf> {
    let Some(client) = std::env::var_os("HAYLOFT_NUGET_EXE").map(PathBuf::from) else {
        println!("skipped: HAYLOFT_NUGET_EXE does not name a nuget.exe");
        return None;
    };
    let mono = Command::new("mono").arg("--version").stdout(Stdio::null()).status();
    if !client.exists() || !mono.is_ok_and(|status| status.success()) {
        println!("skipped: {} or mono is not there", client.display());
        return None;
    }
    Some(client)
}

fn fresh(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    std::fs::create_dir_all(folder.join("source")).unwrap();
    folder
}

/// Runs `nuget install` from the folder `source`, with no state outside `folder`.
fn install(client: &Path, folder: &Path, id: &str, version: &str) -> String {
    let output = Command::new("mono")
        .arg(client)
        .args(["install", id, "-Version", version, "-Source"])
        .arg(folder.join("source"))
        .arg("-OutputDirectory")
        .arg(folder.join("installed"))
        .args(["-NonInteractive", "-DirectDownload", "-NoCache", "-DependencyVersion", "Ignore"])
        .env("HOME", folder)
        .env("NUGET_PACKAGES", folder.join("packages"))
        .env("NUGET_HTTP_CACHE_PATH", folder.join("http-cache"))
        .current_dir(folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{id} {version}: {told}");
    told
}

#[test]
fn the_client_installs_repackaged_packages() {
    let Some(client) = client() else { return };
    let files = [
        "TestData.1.2.3.nupkg",
        "nuget.versioning.5.0.0.nupkg",
        "feed.microsoft.web.infrastructure.1.0.0.nupkg",
        "Acme.Core.1.0.1+ace8cda.nupkg",
    ];
    let folder = fresh("clients");
    for file in files {
        let Some(path) = corpus(file) else { return };
        let source = std::fs::read(path).unwrap();
        let (candidate, _, _) = repackage(&source, "7.0.0-rc.1").unwrap();
        let (stable, _, _) = repackage(&candidate, "7.0").unwrap();
        let id = inspect(&stable).unwrap().identity.package.name().to_owned();
        for (bytes, version) in [(&candidate, "7.0.0-rc.1"), (&stable, "7.0.0")] {
            if version != "7.0.0" && file != files[0] {
                continue;
            }
            let name = format!("{id}.{version}.nupkg");
            std::fs::write(folder.join("source").join(&name), bytes).unwrap();
            let told = install(&client, &folder, &id, version);
            assert!(told.contains("Successfully installed"), "{told}");
            let mut places = std::fs::read_dir(folder.join("installed")).unwrap();
            let place = places.next().expect("one folder").unwrap().path();
            assert!(places.next().is_none());
            same_content(bytes, &place);
            std::fs::remove_dir_all(place).unwrap();
        }
    }
}

/// Every payload file that was unpacked is the one in the package.
fn same_content(package: &[u8], place: &Path) {
    let mut compared = 0;
    for (name, (_, data)) in tree(package) {
        let path = place.join(&name);
        if name.starts_with("package/") || name.starts_with("_rels/") || !path.is_file() {
            continue;
        }
        assert!(std::fs::read(&path).unwrap() == data, "{}", path.display());
        compared += 1;
    }
    assert!(compared > 0, "nothing was unpacked to {}", place.display());
}

#[test]
fn the_client_finds_the_same_packages_changed_after_signing() {
    let Some(client) = client() else { return };
    let Some(path) = corpus("TestPackage.AuthorSigned.1.0.0.nupkg") else { return };
    let signed = std::fs::read(path).unwrap();
    let directory = signed.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    let mut made_by = signed.clone();
    made_by[directory + 4] ^= 1;
    let mut time = signed.clone();
    time[10] ^= 1;
    time[directory + 12] ^= 1;
    let mut comment = signed.clone();
    comment.extend_from_slice(b"!");
    let length = comment.len() - 3;
    comment[length] = 1;
    let cases = [("signed", signed), ("made by", made_by), ("time", time), ("comment", comment)];
    for (case, bytes) in cases {
        let folder = fresh("verify");
        let file = folder.join("source/package.nupkg");
        std::fs::write(&file, &bytes).unwrap();
        let run = Command::new("mono")
            .arg(&client)
            .args(["verify", "-Signatures"])
            .arg(&file)
            .env("HOME", &folder)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&run.stdout).into_owned()
            + &String::from_utf8_lossy(&run.stderr);
        assert!(told.contains("Signature Hash Algorithm: SHA256"), "{case}: {told}");
        let refused = inspect(&bytes)
            .is_err_and(|error| support::chain(&error).contains("was changed after it was signed"));
        assert_eq!(refused, case != "signed", "{case}");
        assert_eq!(told.contains("NU3008"), refused, "{case}: {told}");
    }
}
