use fs_err as fs;

use crate::bench::Bench;

#[test]
fn the_demo_runs_and_runs_again() {
    let bench = Bench::new();
    for _ in 0..2 {
        let said = bench.ok(&["demo"]);
        for part in [
            "$ hayloft packages promote --feed=apps-test --package=acme/greeter --version=1.0.0",
            "  apps-test and apps-prod hold the same bytes: SHA-256 ",
            "  nuget-test and nuget-prod hold the same bytes: SHA-256 ",
            "  2 of 3 files as they were built; written anew: upack.json\n",
            ": accepted by QA\n",
            "The store is sound.\n",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    let listed = bench.ok(&["packages", "list", "--feed=apps-prod", "--store=hayloft-demo/store"]);
    assert_eq!(listed, "acme/greeter 1.0.0\n");
}

#[test]
fn the_demo_leaves_directories_of_others_alone() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("mine/store")).unwrap();
    let said = bench.fails(&["demo", "--directory=mine"]);
    assert_eq!(said, "--directory error: `mine` has files of others; name a new directory");
    assert!(bench.path("mine/store").exists());
}
