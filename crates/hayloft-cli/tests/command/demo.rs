use fs_err as fs;

use crate::bench::{Bench, names};

#[test]
fn the_demo_runs_and_runs_again_beside_the_first() {
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
    let store = "--store=hayloft-demo/store";
    let listed = bench.ok(&["packages", "list", "--feed=apps-prod", store]);
    assert_eq!(listed, "acme/greeter 1.0.0\n");
    assert_eq!(names(&bench.path("")), ["hayloft-demo", "hayloft-demo-2", "home"]);
}

/// People are asked to upload into it.
#[test]
fn a_second_demo_leaves_what_was_uploaded_into_the_first() {
    let bench = Bench::new();
    bench.ok(&["demo"]);
    let package = hayloft_testkit::upack("", "mine", "1.0.0");
    fs::write(bench.path(&package.file_name()), package.build()).unwrap();
    let store = "--store=hayloft-demo/store";
    bench.ok(&["packages", "upload", "apps-dev", &package.file_name(), store]);
    let serving = hayloft::open(bench.path("hayloft-demo/store")).unwrap();
    bench.ok(&["demo"]);
    let said = bench.misused(&["demo", "hayloft-demo"]);
    assert_eq!(said, "--directory error: `hayloft-demo` is not empty; name a new directory");
    assert_eq!(serving.feeds().unwrap().len(), 6, "the store that is served is whole");
    drop(serving);
    let listed = bench.ok(&["packages", "list", "apps-dev", "mine", store]);
    assert_eq!(listed, "mine 1.0.0\n");
}

#[test]
fn the_demo_leaves_directories_of_others_alone() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("mine/store")).unwrap();
    let said = bench.misused(&["demo", "--directory=mine"]);
    assert_eq!(said, "--directory error: `mine` is not empty; name a new directory");
    assert!(bench.path("mine/store").exists());
    fs::create_dir(bench.path("hayloft-demo")).unwrap();
    fs::write(bench.path("hayloft-demo/notes.txt"), "of a person").unwrap();
    bench.ok(&["demo"]);
    assert_eq!(names(&bench.path("hayloft-demo")), ["notes.txt"]);
    assert!(bench.path("hayloft-demo-2/store").exists());
}
