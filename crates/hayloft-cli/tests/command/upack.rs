use fs_err as fs;

use crate::bench::Bench;

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
    let said = bench.fails(&["upack", "create", "--source-directory=content"]);
    assert_eq!(
        said,
        "missing required argument: --name or --manifest\n\
         missing required argument: --version or --manifest"
    );
}
