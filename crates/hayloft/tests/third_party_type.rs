//! A feed type that lives outside the tree keeps the contract and works in a store.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to fail")]

#[path = "../examples/third_party_type.rs"]
#[allow(dead_code, unreachable_pub, reason = "an example has a main of its own")]
mod example;

use hayloft_testkit::Sample;

#[test]
fn it_keeps_the_contract() {
    let samples = [
        Sample::new("greet.sh", example::greet("1.0.0")),
        Sample::unnamed(example::greet("2.10.3-rc.4")),
    ];
    hayloft_testkit::check(&example::Plugins, &samples, "3.0.0");
    hayloft_testkit::check_order(
        &example::Plugins,
        &["0.9.9", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0", "1.0.1", "1.10.0", "10.0.0"],
    );
}

#[test]
fn it_is_stored_repackaged_and_promoted() {
    let directory = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    example::tour(directory.path(), &mut told).unwrap();
    let told = String::from_utf8(told).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "plugins  greet 1.2.0",
            "plugins  greet 1.2.0-rc.1",
            "released as:",
            "# plugin: greet",
            "# version: 1.2.0",
        ]
    );
    assert!(lines[5].starts_with("# history: {\"id\":\"greet"), "{told}");
    assert_eq!(lines[6], "echo hello");
}
