#![allow(missing_docs, reason = "a test crate has no readers")]
#![allow(clippy::unwrap_used, reason = "tests panic to fail")]

use hayloft_npm::Npm;
use hayloft_testkit::{Sample, check, check_order, npm_tgz};

#[test]
fn npm_meets_the_contract_of_feed_types() {
    let samples = [
        Sample::new("widget-1.0.0-rc.1.tgz", npm_tgz("widget", "1.0.0-rc.1").build())
            .called("", "widget"),
        Sample::new("scoped-1.0.0.tgz", npm_tgz("@acme/scoped", "1.0.0").build())
            .called("@acme", "scoped"),
        Sample::new("JSONStream-0.1.0.tgz", npm_tgz("JSONStream", "0.1.0").build()),
    ];
    check(&Npm, &samples, "2.0.0");
}

#[test]
fn versions_rank_in_the_order_of_node_semver() {
    check_order(
        &Npm,
        &[
            "0.0.0",
            "1.0.0-1",
            "1.0.0-10",
            "1.0.0--",
            "1.0.0-A",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-beta11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1-0",
            "1.0.10",
            "1.10.0",
            "9007199254740991.0.0",
        ],
    );
}
