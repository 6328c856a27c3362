use fs_err as fs;
use serde_json::Value;

use crate::bench::{Bench, names};

fn create(bench: &Bench, version: &str, files: &[(&str, &str)]) {
    let _ = fs::remove_dir_all(bench.path("content"));
    for (path, text) in files {
        let path = bench.path("content").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let said = bench.ok(&[
        "upack",
        "create",
        "--name=initrode/tools",
        "--version",
        version,
        "--source-directory=content",
    ]);
    let file = format!("tools-{version}.upack");
    assert_eq!(said, format!("Creating {file}...\n{file} created.\n"));
}

#[test]
fn a_directory_becomes_a_package_that_is_installed_updated_and_removed() {
    let bench = Bench::with_feeds();
    create(&bench, "1.0.0", &[("bin/tool", "one"), ("old.txt", "old")]);
    create(&bench, "1.1.0-rc.1", &[("bin/tool", "two"), ("new.txt", "new")]);
    bench.ok(&["packages", "upload", "--feed=dev", "--input-file=*.upack"]);
    assert_eq!(bench.ok(&["upack", "list"]), "No packages have been registered.\n");

    let install = ["upack", "install", "--feed=dev", "--package=initrode/tools", "--target=opt"];
    let said = bench.ok(&install);
    assert!(said.ends_with("initrode/tools 1.0.0 installed.\n"), "{said}");
    assert_eq!(fs::read_to_string(bench.path("opt/bin/tool")).unwrap(), "one");
    assert_eq!(names(&bench.path("opt")), ["bin", "old.txt"]);
    let said = bench.fails(&install);
    assert!(said.starts_with("initrode/tools 1.0.0 is already installed"), "{said}");

    let path = fs::canonicalize(bench.path("opt")).unwrap();
    let listed = bench.ok(&["upack", "list"]);
    let expected =
        format!("Name: initrode/tools\nVersion: 1.0.0\nInstall Path: {}\n", path.display());
    assert!(listed.starts_with(&expected), "{listed}");
    assert!(listed.contains(" by tester\n"), "{listed}");
    let file = bench.path("home/.upack/installedPackages.json");
    let registered: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(registered[0]["group"], "initrode");
    assert_eq!(registered[0]["installedBy"], "tester");
    assert!(!bench.path("home/.upack/.lock").exists());

    let update = ["upack", "update", "--feed=dev", "--package=Initrode/Tools"];
    assert_eq!(bench.ok(&update), "Initrode/Tools 1.0.0 is already installed.\n");
    bench.ok(&[&update[..], &["--version=latest-unstable"]].concat());
    assert_eq!(fs::read_to_string(bench.path("opt/bin/tool")).unwrap(), "two");
    assert_eq!(names(&bench.path("opt")), ["bin", "new.txt"]);
    assert_eq!(bench.json(&["upack", "list"])[0]["version"], "1.1.0-rc.1");

    bench.ok(&["upack", "remove", "--package=initrode/tools"]);
    assert_eq!(names(&bench.path("opt")), [""; 0]);
    assert_eq!(bench.ok(&["upack", "list"]), "No packages have been registered.\n");
    assert_eq!(bench.fails(&["upack", "remove", "--package=x"]), "x is not installed");
}

#[test]
fn files_in_the_way_stay_unless_told_otherwise() {
    let bench = Bench::with_feeds();
    create(&bench, "1.0.0", &[("a", "package"), ("b", "package")]);
    bench.ok(&["packages", "upload", "--feed=dev", "--input-file=*.upack"]);
    fs::create_dir(bench.path("opt")).unwrap();
    fs::write(bench.path("opt/b"), "mine").unwrap();
    let install = ["upack", "install", "--feed=dev", "--package=initrode/tools", "--target=opt"];
    let said = bench.fails(&install);
    assert_eq!(said, "`opt/b` is there already; replace it with --overwrite");
    assert_eq!(names(&bench.path("opt")), ["b"]);
    assert_eq!(bench.ok(&["upack", "list"]), "No packages have been registered.\n");
    bench.ok(&[&install[..], &["--overwrite"]].concat());
    assert_eq!(fs::read_to_string(bench.path("opt/b")).unwrap(), "package");
}

#[test]
fn packages_of_other_versions_are_not_found() {
    let bench = Bench::with_feeds();
    create(&bench, "1.0.0-rc.1", &[("a", "x")]);
    bench.ok(&["packages", "upload", "--feed=dev", "--input-file=*.upack"]);
    let install = ["upack", "install", "--feed=dev", "--package=initrode/tools", "--target=opt"];
    assert_eq!(bench.fails(&install), "initrode/tools latest was not found in the feed dev");
    bench.fails(&[&install[..], &["--version=1.0.0"]].concat());
    bench.ok(&[&install[..], &["--version=1.0.0-rc.1"]].concat());
}

#[test]
fn manifests_are_kept_but_for_what_is_given() {
    let bench = Bench::new();
    fs::create_dir(bench.path("content")).unwrap();
    fs::write(bench.path("content/a"), "x").unwrap();
    let manifest = "{ \"name\": \"n\", \"version\": \"1.0.0\", \"_big\": 12345678901234567890123 }";
    fs::write(bench.path("content/upack.json"), manifest).unwrap();
    let words = [
        "upack",
        "create",
        "--manifest=content/upack.json",
        "--version=2.0.0",
        "--source-directory=content",
        "--target-directory=out",
    ];
    bench.ok(&words);
    let mut file = fs::File::open(bench.path("out/n-2.0.0.upack")).unwrap();
    let limits = hayloft::Limits::default();
    let package = hayloft_universal::Package::open(&mut file, &limits).unwrap();
    assert!(package.manifest().text().contains("12345678901234567890123"));
    let paths: Vec<&str> = package.entries().map(hayloft_universal::PackageEntry::path).collect();
    assert_eq!(paths, ["upack.json", "package/a"], "the manifest is no content");
    let said = bench.fails(&words);
    assert_eq!(said, "`out/n-2.0.0.upack` is there already; replace it with --overwrite");
    bench.ok(&[&words[..], &["--overwrite"]].concat());
    let said = bench.misused(&["upack", "create", "--source-directory=content"]);
    assert_eq!(
        said,
        "missing required argument: --name or --manifest\n\
         missing required argument: --version or --manifest"
    );
}
