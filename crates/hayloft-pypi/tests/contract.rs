//! The crate keeps the contract of every feed type.

use hayloft_pypi::Pypi;
use hayloft_testkit::{Sample, check, sdist, wheel};

#[test]
fn wheels_meet_the_contract() {
    let package = wheel("hay_bale", "1.0.0rc1");
    check(&Pypi, &[Sample::new(&package.file_name(), package.build())], "1.0.0");
}

#[test]
fn source_distributions_meet_the_contract() {
    let package = sdist("hay_bale", "1.0.0rc1");
    check(&Pypi, &[Sample::new(&package.file_name(), package.build())], "1.0.0");
}
