#![allow(missing_docs, reason = "a test crate has no readers")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

//! Order, equality and normal form of versions against two other implementations: a library whose
//! integers have 64 bits, and the one of Python itself, which knows no such limit.

mod support;

use std::cmp::Ordering;
use std::fs;

use hayloft_pypi::PypiVersion;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use support::{python, run};

/// Compares pairs and prints order, normal forms, and whether the first is a prerelease.
const ORACLE: &str = "\
import sys
try:
    from packaging.version import Version, InvalidVersion
except ImportError:
    from pip._vendor.packaging.version import Version, InvalidVersion
def read(text):
    try:
        return Version(text)
    except InvalidVersion:
        return None
for line in open(sys.argv[1], encoding='utf-8'):
    left, right = map(read, line.rstrip('\\n').split('\\t'))
    order = '?' if left is None or right is None else (left > right) - (left < right)
    print(order, left, right, left is not None and left.is_prerelease, sep='\\t')
";

fn number(huge: bool) -> BoxedStrategy<String> {
    let small = prop_oneof![4 => "[0-9]", 1 => "0[0-9]", 2 => "[0-9]{2,3}"];
    if huge {
        let large = prop_oneof!["[0-9]{18,22}", "1844674407370955161[0-9]", "0?[1-9][0-9]{30,34}"];
        prop_oneof![3 => small, 1 => large].boxed()
    } else {
        small.boxed()
    }
}

/// A version as people write it, and now and then one that is none.
fn version(huge: bool) -> impl Strategy<Value = String> {
    let separator = || prop::sample::select(vec!["", "", ".", "-", "_"]);
    let labelled = move |labels: Vec<&'static str>| {
        let number = prop::option::weighted(0.9, number(huge));
        let parts = (separator(), prop::sample::select(labels), separator(), number);
        let text = parts.prop_map(|(before, label, between, number)| {
            format!("{before}{label}{between}{}", number.unwrap_or_default())
        });
        prop::option::weighted(0.4, text).prop_map(Option::unwrap_or_default)
    };
    let release =
        prop::collection::vec(prop_oneof![1 => Just("0".to_owned()), 2 => number(huge)], 1..5)
            .prop_map(|parts| parts.join("."));
    let segment = prop_oneof![number(huge), "[a-zA-Z]{1,2}", "[0-9][a-z]", "0{1,2}"];
    let local = prop::collection::vec((prop::sample::select(vec![".", "-", "_"]), segment), 1..4)
        .prop_map(|segments| {
            let text: Vec<String> =
                segments.into_iter().map(|(mark, text)| format!("{mark}{text}")).collect();
            text.concat().replacen(['.', '-', '_'], "+", 1)
        });
    (
        prop::sample::select(vec!["", "", "", "v", " "]),
        prop::option::weighted(0.2, number(huge).prop_map(|epoch| format!("{epoch}!"))),
        release,
        labelled(vec!["a", "b", "c", "rc", "alpha", "BETA", "pre", "preview"]),
        prop_oneof![3 => labelled(vec!["post", "rev", "r"]), 1 => number(huge).prop_map(|number| format!("-{number}"))],
        labelled(vec!["dev", "Dev"]),
        prop::option::weighted(0.3, local),
    )
        .prop_map(|(v, epoch, release, pre, post, dev, local)| {
            let (epoch, local) = (epoch.unwrap_or_default(), local.unwrap_or_default());
            format!("{v}{epoch}{release}{pre}{post}{dev}{local}")
        })
}

/// Pairs that are near each other as often as not.
fn pair(huge: bool) -> impl Strategy<Value = (String, String)> {
    let ending =
        prop_oneof!["\\.0", "\\.00", "a1", "\\.dev1", "\\.post0", "\\+0", "\\.1", "rc", "-1"];
    prop_oneof![
        (version(huge), version(huge)),
        (version(huge), ending).prop_map(|(base, ending)| (base.clone(), base + &ending)),
    ]
}

/// What the store goes by, held against the rules of keys.
fn order(left: &PypiVersion, right: &PypiVersion) -> Ordering {
    let (left_key, right_key) = (left.sort_key().as_bytes(), right.sort_key().as_bytes());
    let equal = left_key == right_key;
    assert_eq!(equal, left.identity() == right.identity(), "{left} and {right}");
    assert!(
        equal || !(left_key.starts_with(right_key) || right_key.starts_with(left_key)),
        "the key of one of {left} and {right} begins that of the other"
    );
    left_key.cmp(right_key)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn keys_order_as_the_published_library((left, right) in pair(false)) {
        let ours: (Result<PypiVersion, _>, Result<PypiVersion, _>) = (left.parse(), right.parse());
        let theirs: (Result<pep440_rs::Version, _>, Result<pep440_rs::Version, _>) =
            (left.parse(), right.parse());
        prop_assert_eq!(ours.0.is_ok(), theirs.0.is_ok(), "{}", left);
        prop_assert_eq!(ours.1.is_ok(), theirs.1.is_ok(), "{}", right);
        if let ((Ok(a), Ok(b)), (Ok(c), Ok(d))) = (ours, theirs) {
            prop_assert_eq!(order(&a, &b), c.cmp(&d));
            prop_assert_eq!(a.to_string(), c.to_string());
            prop_assert_eq!(a.to_string().parse::<PypiVersion>().unwrap(), a);
        }
    }
}

#[test]
fn keys_order_as_python_does_with_integers_of_any_size() {
    let Some(mut oracle) = python(&["pip"]) else { return };
    let mut runner = TestRunner::deterministic();
    let pairs: Vec<(String, String)> =
        (0..6000).map(|_| pair(true).new_tree(&mut runner).unwrap().current()).collect();
    let folder = tempfile::tempdir().unwrap();
    let questions = folder.path().join("pairs");
    let lines: Vec<String> =
        pairs.iter().map(|(left, right)| format!("{left}\t{right}\n")).collect();
    fs::write(&questions, lines.concat()).unwrap();
    let answers = run(oracle.args(["-c", ORACLE]).arg(questions));
    assert_eq!(answers.lines().count(), pairs.len());
    let mut compared = 0;
    for ((left, right), answer) in pairs.iter().zip(answers.lines()) {
        let answer: Vec<&str> = answer.split('\t').collect();
        let parsed = |text: &str| text.parse::<PypiVersion>().ok();
        let (ours_left, ours_right) = (parsed(left), parsed(right));
        let printed = |version: &Option<PypiVersion>| {
            version.as_ref().map_or_else(|| "None".to_owned(), ToString::to_string)
        };
        assert_eq!(printed(&ours_left), answer[1], "{left:?}");
        assert_eq!(printed(&ours_right), answer[2], "{right:?}");
        let (Some(a), Some(b)) = (ours_left, ours_right) else { continue };
        let expected = match answer[0] {
            "-1" => Ordering::Less,
            "0" => Ordering::Equal,
            "1" => Ordering::Greater,
            other => panic!("{left:?} and {right:?}: {other}"),
        };
        assert_eq!(order(&a, &b), expected, "{left:?} and {right:?}");
        let is_prerelease = a.stability() == hayloft_feed::Stability::Prerelease;
        assert_eq!(is_prerelease.to_string(), answer[3].to_lowercase(), "{left:?}");
        compared += 1;
    }
    assert!(compared > pairs.len() / 2, "only {compared} of the pairs are versions");
    println!("{compared} pairs compared");
}
