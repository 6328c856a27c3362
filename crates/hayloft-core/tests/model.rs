//! A real store does what a model in memory does, whatever is asked of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

#[path = "model/machine.rs"]
mod machine;
#[path = "engine/plain.rs"]
mod plain;
#[path = "model/reference.rs"]
mod reference;

use proptest::test_runner::Config;
use proptest_state_machine::prop_state_machine;

use machine::RealStore;

prop_state_machine! {
    #![proptest_config(Config {
        cases: std::env::var("PROPTEST_CASES").map_or(24, |cases| cases.parse().unwrap()),
        max_shrink_iters: 400,
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn a_store_does_what_its_model_does(sequential 1..40 => RealStore);
}
