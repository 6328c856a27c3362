//! The memory of a tree of JSON is known before the tree is made.

#![allow(clippy::unwrap_used, reason = "tests panic to fail")]

use hayloft_feed::json::tree_size;
use rstest::rstest;
use serde_json::Value;

#[rstest]
#[case::numbers("0,")]
#[case::texts(r#""a","#)]
#[case::lists("[],")]
#[case::nested_lists("[[[0]]],")]
#[case::maps("{},")]
#[case::members(r#"{"a":0},"#)]
#[case::nested_maps(r#"{"a":{"b":{}}},"#)]
#[case::wide_maps(r#"{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0},"#)]
fn a_tree_takes_no_more_than_foretold(#[case] element: &str) {
    for count in [1, 1000, 70_000] {
        let text = format!("[{}0]", element.repeat(count));
        assert_foretold(&text);
    }
}

#[test]
fn a_map_of_many_members_takes_no_more_than_foretold() {
    for count in [1, 11, 12, 1000, 70_000] {
        let members: Vec<String> = (0..count).map(|number| format!("\"{number}\":0")).collect();
        assert_foretold(&format!("{{{}}}", members.join(",")));
    }
}

fn assert_foretold(text: &str) {
    let taken = allocation_counter::measure(|| {
        let value: Value = serde_json::from_str(text).unwrap();
        drop(value);
    });
    let foretold = tree_size(text.as_bytes());
    assert!(taken.bytes_max <= foretold, "{} > {foretold}", taken.bytes_max);
}
