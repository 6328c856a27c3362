//! What a gem makes its reader hold and do follows what was sent, whatever it claims.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::format_push_string,
    clippy::format_collect,
    clippy::unnecessary_debug_formatting,
    reason = "tests panic to fail and tell what they measured"
)]

mod support;

use allocation_counter::{AllocationInfo, measure};
use hayloft_feed::{Account, Limits, Terms};
use hayloft_rubygems::RubyGems;
use hayloft_testkit::{Sample, inspect};
use rstest::rstest;
use support::{SPECIFICATION, Tar, data, gem, gzip, with_files};

fn cost(gem: &[u8]) -> AllocationInfo {
    measure(|| {
        let _ = inspect(&RubyGems, gem, None, &[]);
    })
}

/// A requirement of `count` constraints.
fn requirement(count: usize) -> String {
    let one = "    - - '>='\n      - !ruby/object:Gem::Version\n        version: '0'\n";
    format!("!ruby/object:Gem::Requirement\n    requirements:\n{}", one.repeat(count))
}

/// A long requirement, and dependencies that are all it by alias.
fn aliased_requirements(size: usize) -> String {
    let mut text = format!(
        "{SPECIFICATION}dependencies:\n- !ruby/object:Gem::Dependency\n  name: a\n  requirement: &r {}",
        requirement(size)
    );
    for at in 0..size.min(900) {
        text += &format!("- !ruby/object:Gem::Dependency\n  name: a{at}\n  requirement: *r\n");
    }
    text
}

/// One dependency with a long requirement, again and again by alias.
fn aliased_dependencies(size: usize) -> String {
    let mut text = format!(
        "{SPECIFICATION}dependencies:\n- &d !ruby/object:Gem::Dependency\n  name: a\n  requirement: {}",
        requirement(size)
    );
    text += &"- *d\n".repeat(size.min(900));
    text
}

/// Lists of lists by alias, each twice as large as the one before.
fn doubled(size: usize) -> String {
    let mut text = format!("{SPECIFICATION}dependencies:\n- &l0 [x]\n");
    for at in 1..size.min(900) {
        text += &format!("- &l{at} [*l{0}, *l{0}]\n", at - 1);
    }
    text
}

fn many(line: &'static str, size: usize) -> String {
    format!("{SPECIFICATION}{}", line.repeat(size))
}

/// What was reproduced: few kilobytes that took hundreds of megabytes.
#[rstest]
#[case::requirements(aliased_requirements(900))]
#[case::dependencies(aliased_dependencies(900))]
#[case::doubled(doubled(900))]
fn aliases_cost_what_they_take_in_the_file(#[case] text: String) {
    let gem = gem(&text);
    let cost = cost(&gem);
    println!("{} bytes of YAML, {} of gem: {cost:?}", text.len(), gem.len());
    assert!(cost.bytes_max < 4_000_000, "{cost:?}");
}

type Make = fn(usize) -> String;

/// What is charged is at least what is held.
fn charged(gem: &[u8], held: u64) {
    let mut terms = Terms::default();
    terms.memory = held / 2;
    let mut limits = Limits::default();
    limits.account = Account::new(terms);
    let _ = Sample::unnamed(gem).inspect(&RubyGems, &limits);
    assert!(limits.account.exhausted().is_some(), "{held} bytes were not charged");
}

/// Twice the text is at most about twice the memory and twice the allocations.
#[rstest]
#[case::aliased_requirements(aliased_requirements)]
#[case::aliased_dependencies(aliased_dependencies)]
#[case::requirements(|size| format!("{SPECIFICATION}required_ruby_version: {}", requirement(size)))]
#[case::authors(|size| format!("{SPECIFICATION}authors:\n{}", many("- a\n", size).split_off(SPECIFICATION.len())))]
#[case::flow(|size| format!("{SPECIFICATION}authors: [{}]\n", "a,".repeat(size)))]
#[case::flow_not_kept(|size| format!("{SPECIFICATION}files: [{}]\n", "a,".repeat(size)))]
#[case::pairs_not_kept(|size| format!("{SPECIFICATION}files: {{{}}}\n", "a: b,".repeat(size)))]
#[case::files(|size| format!("{SPECIFICATION}files:\n{}", "- lib/a/b.rb\n".repeat(size)))]
#[case::empty_lines(|size| many("\n", size))]
#[case::comments(|size| many("# c\n", size))]
#[case::folded(|size| format!("{SPECIFICATION}description: {}\n", "word\n  ".repeat(size)))]
#[case::quoted(|size| format!("{SPECIFICATION}description: \"{}\"\n", "\\u00e9".repeat(size)))]
#[case::literal(|size| format!("{SPECIFICATION}description: |\n{}", "  line\n".repeat(size)))]
#[case::not_ascii(|size| format!("{SPECIFICATION}description: {}\n", "é\n  ".repeat(size)))]
#[case::lines_of_old_yaml(|size| format!("{SPECIFICATION}description: {}\n", "é\u{2028}  ".repeat(size)))]
fn work_is_linear(#[case] make: Make) {
    const SIZE: usize = 4_000;
    let [one, two] = [SIZE, 2 * SIZE].map(|size| cost(&gem(&make(size))));
    println!("{one:?}\n{two:?}");
    for (what, one, two) in [
        ("bytes held", one.bytes_max, two.bytes_max),
        ("bytes allocated", one.bytes_total, two.bytes_total),
        ("allocations", one.count_total, two.count_total),
    ] {
        // Tables double, so that a size just over a power of two takes twice its share.
        assert!(two <= 3 * one + 100_000, "{what}: {one}, then {two}");
    }
    let length = u64::try_from(make(2 * SIZE).len()).unwrap();
    assert!(two.bytes_max < 100 * length + 1_000_000, "{two:?} for {length} bytes");
    if two.bytes_max > 1 << 20 {
        charged(&gem(&make(2 * SIZE)), two.bytes_max);
    }
}

#[test]
fn a_small_file_that_unfolds_is_bounded() {
    // Seven megabytes of YAML in some kilobytes.
    for line in ["a\n", "- a\n", "# c\n", "  - - - - - a\n"] {
        let text = format!("{SPECIFICATION}authors:\n{}", line.repeat(7_000_000 / line.len()));
        let gem = gem(&text);
        let cost = cost(&gem);
        println!("{line:?}: {} bytes of gem: {cost:?}", gem.len());
        assert!(cost.bytes_max < 80 << 20, "{line:?}: {cost:?}");
        charged(&gem, cost.bytes_max);
    }
}

#[test]
fn checksums_and_history_are_bounded() {
    let with = |name: &str, bytes: Vec<u8>| {
        Tar::default()
            .file("metadata.gz", gzip(SPECIFICATION.as_bytes()))
            .file("data.tar.gz", data())
            .file(name, bytes)
            .end()
    };
    let lines = format!("SHA1:\n{}", "  a: b\n".repeat(200_000));
    let sums = cost(&with("checksums.yaml.gz", gzip(lines.as_bytes())));
    assert!(sums.bytes_max < 20 << 20, "{sums:?}");
    let history =
        format!("[{}{{\"id\":\"a\"}}]", "{\"id\":\"a\",\"b\":[0,0,0,0,0]},".repeat(200_000));
    let history = cost(&with("repackage_history.json", history.into_bytes()));
    assert!(history.bytes_max < 32 << 20, "{history:?}");
}

#[test]
fn many_files_and_links_are_bounded() {
    let file = Tar::default().file("a/b", "").0;
    let mut link = Tar::default();
    for at in 0..1_000 {
        let path = format!("a/{at}/{}", "d/".repeat(30));
        link = link.link(&path, tar::EntryType::Symlink, "x");
    }
    for part in [file.repeat(20_000), link.0.repeat(20)] {
        let found = cost(&with_files(Tar(part)));
        assert!(found.bytes_max < 16 << 20, "{found:?}");
    }
}
