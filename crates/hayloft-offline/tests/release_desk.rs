//! The example is a program of its own, without HTTP; its work is run here.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to fail")]

#[path = "../examples/release_desk.rs"]
#[allow(unreachable_pub, clippy::pedantic, reason = "an example has a main of its own")]
mod example;

use hayloft::{Selector, Store, VersionsQuery};
use hayloft_testkit::upack;

fn versions(store: &Store, feed: &str) -> Vec<String> {
    let all = store.versions(feed, &VersionsQuery::default()).unwrap();
    let mut all: Vec<String> = all.map(|file| file.unwrap().version).collect();
    all.sort();
    all
}

#[test]
fn a_candidate_in_a_folder_is_released_shown_and_carried() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs_err::create_dir(at("incoming")).unwrap();
    let candidate = upack("hay", "tools", "1.4.0-rc.2").payload(20_000);
    fs_err::write(at("incoming").join(candidate.file_name()), candidate.build()).unwrap();
    fs_err::write(at("incoming/bad-1.0.0.upack"), "no package").unwrap();

    let desk = hayloft::open(at("desk")).unwrap();
    // A second time there is nothing left to do.
    for _ in 0..2 {
        example::release(&desk, &at("incoming"), &at("site"), &at("bundle.tar")).unwrap();
        assert_eq!(versions(&desk, "inbox"), ["1.4.0", "1.4.0-rc.2"]);
        assert_eq!(versions(&desk, "released"), ["1.4.0"]);
    }
    assert!(at("site/.hayloft-export").is_dir());

    let there = hayloft::open(at("elsewhere")).unwrap();
    for expected in [1, 0] {
        let came = example::receive(&there, "released", &at("bundle.tar")).unwrap();
        assert_eq!(came, expected);
    }
    assert_eq!(versions(&there, "released"), ["1.4.0"]);
    let tools = Selector::grouped("hay", "tools", "1.4.0");
    let history = there.history("released", &tools).unwrap();
    assert_eq!(history.embedded[""].len(), 1, "the package tells where it came from");
}
