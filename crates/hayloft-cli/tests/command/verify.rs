use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::bench::Bench;

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn a_sound_store_passes_at_every_level() {
    let bench = Bench::with_feeds();
    bench.upload("dev", "tools", "1.0.0");
    for level in ["--level=fast", "--level=normal", "--level=deep"] {
        let said = bench.ok(&["verify", level]);
        assert!(said.starts_with("Verifying hayloft-data...\n"), "{said}");
        assert!(said.ends_with("The store is sound.\n"), "{said}");
    }
    let found = bench.json(&["verify", "--store=hayloft-data"]);
    assert_eq!(found["clean"], true);
    assert_eq!(found["findings"], serde_json::json!([]));
    assert!(found["blobs"].as_u64().unwrap() >= 1);
}

#[test]
fn damage_is_found() {
    let bench = Bench::with_feeds();
    let package = hayloft_testkit::upack("", "big", "1.0.0").payload(100_000);
    fs::write(bench.path("big.upack"), package.build()).unwrap();
    bench.ok(&["packages", "upload", "--feed=dev", "--input-file=big.upack"]);
    let store = bench.path("hayloft-data");
    let size = fs::metadata(bench.path("big.upack")).unwrap().len();
    let mut contents = files(&store);
    contents.retain(|path| fs::metadata(path).unwrap().len() == size);
    let [content] = contents.as_slice() else { panic!("{contents:?}") };
    let mut bytes = fs::read(content).unwrap();
    bytes[50_000] ^= 1;
    let mut permissions = fs::metadata(content).unwrap().permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "a file of this test alone")]
    permissions.set_readonly(false);
    fs::set_permissions(content, permissions).unwrap();
    fs::write(content, bytes).unwrap();
    let run = bench.run(&["verify"]);
    assert_eq!(run.status, 1, "findings: {run:?}");
    assert!(run.text().contains("blob-digest: "), "{run:?}");
    assert!(run.errors.contains("findings are left."), "{run:?}");
    let run = bench.run(&["verify", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&run.text()).unwrap();
    assert_eq!((run.status, &found["clean"]), (1, &serde_json::Value::Bool(false)));
    assert_eq!(found["findings"][0]["code"], "blob-digest");
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let bench = Bench::new();
    let said = bench.misused(&["verify", "--store=none"]);
    assert!(said.starts_with("there is no store in `"), "{said}");
    assert!(!bench.path("none").exists());
}

/// Whoever runs it every night must tell damage from a check that was not made.
#[test]
fn a_store_that_cannot_be_looked_at_is_not_a_damaged_one() {
    let bench = Bench::with_feeds();
    let store = hayloft::open(bench.path("hayloft-data")).unwrap();
    let run = bench.run(&["verify"]);
    assert_eq!(run.status, 2, "{run:?}");
    assert!(run.errors.contains("is in use by another process"), "{run:?}");
    assert!(run.errors.contains("hint: "), "{run:?}");
    drop(store);
    assert_eq!(bench.run(&["verify"]).status, 0);
    fs::write(bench.path("hayloft-data/FORMAT"), "hayloft 99999\n").unwrap();
    assert_eq!(bench.run(&["verify"]).status, 2);
}
