//! What reading a manifest costs: twice the input, twice the work, whatever it is made of.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

mod support;

use std::io::Cursor;

use hayloft_feed::{Account, FeedType, Limits, Terms, Upload};
use hayloft_nuget::NuGet;
use rstest::rstest;
use support::{inspect, package, repackage};

/// Bytes and allocations of one inspection, and the most held at once.
fn cost(bytes: &[u8]) -> (u64, u64, u64) {
    let info = allocation_counter::measure(|| drop(inspect(bytes)));
    (info.bytes_total, info.count_total, info.bytes_max)
}

fn repeated(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect()
}

#[rstest]
#[case::elements(|count| repeated(count, |at| format!("<e{at}>x</e{at}>")))]
#[case::equal_elements(|count| repeated(count, |_| "<title></title>".to_owned()))]
#[case::attributes(|count| repeated(count / 100, |_| {
    format!("<e {}/>", repeated(100, |at| format!(" a{at}=''")))
}))]
#[case::nesting(|count| repeated(count / 50, |_| "<e>".repeat(50) + &"</e>".repeat(50)))]
#[case::references(|count| format!("<title>{}</title>", "&#65;".repeat(count)))]
#[case::verbatim(|count| format!("<title>{}</title>", "<![CDATA[a]]>b".repeat(count)))]
#[case::notes(|count| format!("<title>{}</title>", "a<!--b--><?c d?>".repeat(count / 2)))]
#[case::namespaces(|count| {
    let spaces = repeated(60, |at| format!(" xmlns:n{at}='u'"));
    format!("<x{spaces}>{}</x>", repeated(count, |at| format!("<n{}:e/>", at % 60)))
})]
#[case::tags(|count| format!("<tags>{}</tags>", "a ".repeat(count)))]
#[case::types(|count| {
    format!("<packageTypes>{}</packageTypes>", "<packageType name='a'/>".repeat(count))
})]
#[case::dependencies(|count| {
    let all = repeated(count / 2, |at| format!("<dependency id='a{at}' version='[1.0.0]'/>"));
    format!("<dependencies>{all}</dependencies>")
})]
#[case::equal_dependencies(|count| {
    format!("<dependencies>{}</dependencies>", "<dependency id='a'/>".repeat(count))
})]
#[case::groups(|count| {
    let all = repeated(count / 2, |at| format!("<group targetFramework='net{at}.0'/>"));
    format!("<dependencies>{all}</dependencies>")
})]
#[case::unknown_groups(|count| {
    format!("<dependencies>{}</dependencies>", "<group targetFramework='?'/>".repeat(count))
})]
fn twice_the_manifest_costs_at_most_twice(#[case] metadata: fn(usize) -> String) {
    let [small, large] = [8_000, 16_000].map(|count| {
        let text = metadata(count);
        (text.len(), cost(&package(&text, &[])))
    });
    let (_, (bytes, count, _)) = small;
    let (length, (twice_bytes, twice_count, held)) = large;
    // A vector that grows doubles in steps.
    assert!(twice_bytes <= bytes * 5 / 2 + 100_000, "{small:?} {large:?}");
    assert!(twice_count <= count * 5 / 2 + 1_000, "{small:?} {large:?}");
    assert!(held <= 60 * length as u64 + (1 << 20), "{small:?} {large:?}");
}

/// Whether an inspection says that it takes more memory than this.
fn takes_more_than(memory: u64, bytes: &[u8]) -> bool {
    let mut terms = Terms::default();
    terms.memory = memory;
    let mut limits = Limits::default();
    limits.account = Account::new(terms);
    let content = &mut Cursor::new(bytes);
    let digests = &hayloft_testkit::digests(bytes);
    let upload = Upload::new(content, bytes.len() as u64, digests);
    let found = NuGet.inspect(upload, &limits);
    assert!(found.is_err() || limits.account.exhausted().is_none());
    limits.account.exhausted().is_some()
}

#[test]
fn the_largest_manifests_hold_little_memory() {
    let size = (3 << 20) - 400;
    // As much as fits, and as much of it as is just read.
    let fill = |piece: &str| piece.repeat(size / piece.len());
    let most = |piece: &str| {
        let signs = piece.matches('=').count().max(piece.matches('<').count() / 2);
        piece.repeat((49_000 / signs.max(1)).min(size / piece.len()))
    };
    let shapes = [
        fill("<"),
        fill("="),
        fill("<a/>"),
        most("<a>x</a>"),
        most("<a b='' c='' d=''/>"),
        most("<a b='&#65;' c='&#65;' d='&#65;'/>"),
        format!("<title>{}</title>", fill("&#65;")),
        format!("<title>{}</title>", fill("&#xfffff;")),
        format!("<tags>{}</tags>", fill("a ")),
        format!("<title>{}</title>", most("<![CDATA[]]>")),
        format!("<title>{}</title>", most("a<!--b-->")),
        format!("<dependencies>{}</dependencies>", most("<dependency id='a'/>")),
        format!("<dependencies>{}</dependencies>", most("<group><dependency id='a'/></group>")),
        format!("<dependencies>{}</dependencies>", most("<dependency id='a' version='[1,2]'/>")),
        format!("<packageTypes>{}</packageTypes>", most("<packageType name='a'/>")),
        fill("<a>"),
        fill("<!--"),
    ];
    for shape in shapes {
        let bytes = package(&shape, &[]);
        let (_, _, held) = cost(&bytes);
        assert!(takes_more_than(held * 4 / 5, &bytes), "less is charged than was held");
        let start: String = shape.chars().take(60).collect();
        println!("{:4} MiB  {start}", held >> 20);
        assert!(held < 24 << 20, "{} MiB for {start}", held >> 20);
    }
}

#[test]
fn twice_the_entries_cost_at_most_twice() {
    let of = |count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!("lib/net6.0/{at}.dll")).collect();
        let entries: Vec<(&str, &[u8])> =
            names.iter().map(|name| (name.as_str(), &b""[..])).collect();
        let bytes = package("", &entries);
        let read = cost(&bytes);
        let written = allocation_counter::measure(|| drop(repackage(&bytes, "2.0.0").unwrap()));
        [read.0, read.1, written.bytes_total, written.count_total]
    };
    for (one, two) in of(4_000).into_iter().zip(of(8_000)) {
        assert!(two <= one * 5 / 2 + 100_000, "{one} {two}");
    }
}
