use fs_err as fs;

use crate::bench::Bench;

#[test]
fn a_store_is_backed_up_twice_and_restored() {
    let bench = Bench::with_feeds();
    bench.upload("dev", "tools", "1.0.0");
    let first = bench.json(&["backup", "copy"]);
    assert_eq!((&first["lost"], &first["kept"]), (&0.into(), &0.into()));
    bench.upload("dev", "tools", "1.1.0");
    let said = bench.ok(&["backup", "copy"]);
    assert!(said.starts_with("Backing up into copy...\n"), "{said}");
    let manifest = fs::read_to_string(bench.path("copy/backup.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let restored = bench.json(&["restore", "copy", "second"]);
    assert_eq!(restored["root"], manifest["root"]);
    assert_eq!(bench.json(&["verify", "--store=second", "--level=deep"])["clean"], true);
    let versions = ["packages", "versions", "dev", "tools", "--json"];
    let of_second = [versions.as_slice(), &["--store=second"]].concat();
    assert_eq!(bench.ok(&of_second), bench.ok(&versions));
}

#[test]
fn a_directory_with_other_things_is_left_alone() {
    let bench = Bench::with_feeds();
    fs::create_dir(bench.path("mine")).unwrap();
    fs::write(bench.path("mine/letter.txt"), "x").unwrap();
    let run = bench.run(&["backup", "mine"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.errors.contains("is not empty and holds no backup"), "{run:?}");
    let run = bench.run(&["restore", "mine", "new"]);
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.errors.contains("holds no backup"), "{run:?}");
    assert!(!bench.path("new").exists());
}
