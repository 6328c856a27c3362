//! Lists that are longer than what the store reads at a time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::thread;

use hayloft::{Actor, FeedDraft, LatestQuery, Selector, Store, UploadRequest, VersionsQuery};
use hayloft_testkit::upack;
use tempfile::TempDir;

const FEED: &str = "apps";
/// More than a page of a list.
const MANY: usize = 1_050;

fn actor() -> Actor {
    Actor::named("tests")
}

/// A feed with `a0000` to `a1049` of one version each, and `a0500.deep` with as many versions.
fn filled() -> (TempDir, Store) {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = hayloft::open(directory.path()).unwrap();
    store.create_feed(FeedDraft::new(FEED, "universal"), &actor()).unwrap();
    thread::scope(|scope| {
        for thread in 0..64 {
            let store = &store;
            scope.spawn(move || {
                for number in (thread..MANY).step_by(64) {
                    let single = upack("", &format!("a{number:04}"), "1.0.0");
                    let deep = upack("", "a0500.deep", &format!("1.{number}.0"));
                    for package in [single, deep] {
                        let request = UploadRequest::default();
                        let mut bytes = &*package.build();
                        store.upload(FEED, &request, &mut bytes, &actor()).unwrap();
                    }
                }
            });
        }
    });
    (directory, store)
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = (0..MANY).map(|number| format!("a{number:04}")).collect();
    names.insert(501, "a0500.deep".to_owned());
    names
}

#[test]
fn nothing_is_missed_or_repeated_where_a_page_ends() {
    let (_directory, store) = filled();
    let shown: Vec<(String, String)> = store
        .versions(FEED, &VersionsQuery::default())
        .unwrap()
        .map(|file| file.map(|file| (file.name, file.version)).unwrap())
        .collect();
    let expected: Vec<(String, String)> = names()
        .into_iter()
        .flat_map(|name| {
            let versions = if name == "a0500.deep" { MANY } else { 1 };
            (0..versions).rev().map(move |minor| (name.clone(), format!("1.{minor}.0")))
        })
        .collect();
    assert!(shown == expected, "{} rows instead of {}", shown.len(), expected.len());

    let latest: Vec<String> = store
        .latest(FEED, &LatestQuery::default())
        .unwrap()
        .map(|file| file.unwrap().name)
        .collect();
    assert_eq!(latest, names());
}

#[test]
fn a_package_whose_latest_version_goes_between_two_pages_is_listed_with_the_one_before() {
    let (_directory, store) = filled();
    let mut rows = store.latest(FEED, &LatestQuery::default()).unwrap();
    let first = rows.next().unwrap().unwrap();
    assert_eq!(first.name, "a0000");
    let last = format!("a{:04}", MANY - 1);
    let mut newer = &*upack("", &last, "2.0.0").build();
    store.upload(FEED, &UploadRequest::default(), &mut newer, &actor()).unwrap();
    let older = Selector::ungrouped(last.as_str(), "1.0.0");
    store.delete_version(FEED, &older, &actor()).unwrap();
    let shown: Vec<(String, String)> =
        rows.map(|file| file.map(|file| (file.name, file.version)).unwrap()).collect();
    assert_eq!(shown.len(), MANY);
    assert_eq!(shown.last().unwrap(), &(last, "2.0.0".to_owned()));
}
