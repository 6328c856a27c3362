//! Gems that no release of RubyGems builds: refused with words that say what is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::format_push_string,
    reason = "tests panic to fail and say why they skip"
)]

mod support;

use hayloft_feed::{FeedTypeError, Inspected};
use hayloft_rubygems::RubyGems;
use hayloft_testkit::inspect;
use rstest::rstest;
use support::{SPECIFICATION, Tar, chain, data, gem, gzip, with_files};
use tar::EntryType;

fn read(bytes: &[u8]) -> Inspected {
    inspect(&RubyGems, bytes, None, &[]).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn refusal(bytes: &[u8]) -> String {
    let error = inspect(&RubyGems, bytes, None, &[]).expect_err("the gem is refused");
    assert!(matches!(error, FeedTypeError::Refused { .. }), "{error:?}");
    chain(&error)
}

fn metadata(bytes: Vec<u8>) -> Vec<u8> {
    Tar::default().file("metadata.gz", bytes).file("data.tar.gz", data()).end()
}

const OTHER: &str = "--- !ruby/object:Gem::Specification\nname: straw\n\
    version: !ruby/object:Gem::Version\n  version: 2.0.0\nplatform: ruby\n";

#[test]
fn a_sound_gem_is_read() {
    let found = read(&gem(SPECIFICATION));
    assert_eq!(found.identity.package.name(), "hay");
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    read(&with_files(
        Tar::default()
            .member("lib", EntryType::Directory, "", b"")
            .file("lib//hay.rb", "")
            .link("lib/link", EntryType::Symlink, "../lib/hay.rb")
            .link("bin", EntryType::Symlink, "lib")
            .link("lib/hard.rb", EntryType::Link, "lib/hay.rb"),
    ));
}

#[rstest]
#[case::empty_first(b"", SPECIFICATION.as_bytes())]
#[case::empty_second(SPECIFICATION.as_bytes(), b"")]
#[case::two_specifications(SPECIFICATION.as_bytes(), OTHER.as_bytes())]
#[case::split(&SPECIFICATION.as_bytes()[..40], &SPECIFICATION.as_bytes()[40..])]
fn two_gzip_members_are_refused(#[case] first: &[u8], #[case] second: &[u8]) {
    let text = refusal(&metadata([gzip(first), gzip(second)].concat()));
    assert!(text.contains("second gzip member"), "{text}");
}

#[test]
fn a_second_gzip_member_of_the_files_is_refused() {
    let files = [data(), gzip(&Tar::default().file("lib/evil.rb", "").end())].concat();
    let specification = gzip(SPECIFICATION.as_bytes());
    let gem = Tar::default().file("metadata.gz", specification).file("data.tar.gz", files).end();
    assert!(refusal(&gem).contains("second gzip member"));
}

#[rstest]
#[case::metadata_twice("metadata.gz", "more than one `metadata.gz`")]
#[case::both_kinds("metadata", "more than one `metadata`")]
#[case::data_twice("data.tar.gz", "more than one `data.tar.gz`")]
#[case::capitals("METADATA.GZ", "no member `METADATA.GZ`")]
#[case::dotted("./metadata.gz", "no member `./metadata.gz`")]
#[case::folder("x/metadata.gz", "no member `x/metadata.gz`")]
#[case::blank("metadata.gz ", "no member `metadata.gz `")]
#[case::stranger("evil.rb", "no member `evil.rb`")]
fn a_second_member_like_it_is_refused(#[case] name: &str, #[case] message: &str) {
    let gem = Tar::default()
        .file("metadata.gz", gzip(SPECIFICATION.as_bytes()))
        .file("data.tar.gz", data())
        .file(name, gzip(OTHER.as_bytes()))
        .end();
    let text = refusal(&gem);
    assert!(text.contains(message), "{text}");
}

/// Where RubyGems looks for a name, other than in the name field alone.
#[rstest]
#[case::record_that_rubygems_reads_as_metadata(
    Tar::default().member("metadata.gz", EntryType::GNULongLink, "", OTHER.as_bytes())
)]
#[case::global_record(
    Tar::default().member("metadata", EntryType::XGlobalHeader, "", b"12 comment=\n")
)]
#[case::record_of_a_name(
    Tar::default().member("x", EntryType::XHeader, "", b"17 path=metadata\n")
)]
#[case::prefix(
    Tar::default().member_with("metadata", EntryType::Regular, "", b"x", |header| header[345] = b'x')
)]
#[case::prefix_of_no_dialect(
    Tar::default().member_with("metadata", EntryType::Regular, "", b"x", |header| {
        header[257..265].fill(0);
        header[345] = b'x';
    })
)]
#[case::behind_the_name(
    Tar::default().member_with("metadata", EntryType::Regular, "", b"x", |header| header[9] = b'x')
)]
fn names_stand_in_one_place(#[case] first: Tar) {
    let gem =
        first.file("metadata.gz", gzip(SPECIFICATION.as_bytes())).file("data.tar.gz", data()).end();
    let text = refusal(&gem);
    assert!(text.contains("more than the name field"), "{text}");
}

#[test]
fn members_after_the_end_are_refused() {
    let mut bytes = gem(SPECIFICATION);
    bytes.extend(Tar::default().file("metadata.gz", gzip(OTHER.as_bytes())).end());
    assert!(refusal(&bytes).contains("follows its end"));
    let mut files = Tar::default().file("lib/hay.rb", "").end();
    files.extend(Tar::default().file("lib/evil.rb", "").end());
    let text = refusal(&with_files(Tar(files)));
    assert!(text.contains("follows its end"), "{text}");
}

#[rstest]
#[case::absolute("/etc/x", "is an absolute path")]
#[case::drive("C:/x", "begins with a drive letter")]
#[case::drive_relative("C:x", "begins with a drive letter")]
#[case::later_drive("lib/C:x", "begins with a drive letter")]
#[case::share("\\\\host\\x", "is an absolute path")]
#[case::backslash("\\x", "is an absolute path")]
#[case::up("../x", "contains `..`")]
#[case::up_inside("lib/../../x", "contains `..`")]
#[case::up_windows("lib\\..\\..\\x", "contains `..`")]
#[case::up_with_a_blank(".. /x", "contains `..`")]
fn paths_that_leave_the_gem_are_refused(#[case] path: &str, #[case] message: &str) {
    let text = refusal(&with_files(Tar::default().file(path, "")));
    assert!(text.contains(message), "{text}");
    let hard = Tar::default().file("a", "").link("b", EntryType::Link, path);
    let text = refusal(&with_files(hard));
    assert!(text.contains(message), "{text}");
}

#[test]
fn what_rubygems_reads_of_a_path_must_stay_too() {
    // A record gives tar tools another name than RubyGems reads in the header.
    let hidden =
        Tar::default().member("x", EntryType::XHeader, "", b"12 path=lib\n").file("../../x", "");
    assert!(refusal(&with_files(hidden)).contains("contains `..`"));
    let prefix = Tar::default().member_with("x", EntryType::Regular, "", b"", |header| {
        header[257..265].fill(0);
        header[345..347].copy_from_slice(b"..");
    });
    assert!(refusal(&with_files(prefix)).contains("contains `..`"));
}

#[rstest]
#[case::up(&[("lib/a", "../../x")])]
#[case::absolute(&[("lib/a", "/etc/passwd")])]
#[case::drive(&[("lib/a", "C:/x")])]
#[case::windows(&[("lib/a", "..\\..\\x")])]
#[case::chain(&[("lib/a/b/c", "../.."), ("lib/d", "a/b/c/../../x")])]
fn links_that_leave_the_gem_are_refused(#[case] links: &[(&str, &str)]) {
    let files = links
        .iter()
        .fold(Tar::default(), |tar, (path, target)| tar.link(path, EntryType::Symlink, target));
    refusal(&with_files(files));
}

#[test]
fn nothing_is_unpacked_through_a_link() {
    let files = Tar::default().link("lib/a", EntryType::Symlink, "../bin").file("lib/a/x", "");
    assert!(refusal(&with_files(files)).contains("through a symbolic link"));
}

#[test]
fn names_of_other_systems_are_told() {
    let files = ["lib/aux.rb", "lib/a.", "lib/a\\b", "lib/ab:c", "lib/nul"];
    let tar = files.iter().fold(Tar::default(), |tar, path| tar.file(path, ""));
    let warnings = read(&with_files(tar)).warnings;
    assert_eq!(
        warnings[..4],
        [
            "`lib/aux.rb` is the name of a device on Windows",
            "`lib/a.` has a component that ends in a dot or blank",
            "`lib/a\\b` contains a backslash",
            "2 more files have names like these",
        ]
    );
}

#[rstest]
#[case::merged_key("<<:\n  name: straw\n", "`<<` cannot be a key")]
#[case::quoted_merged_key("\"<<\":\n  name: straw\n", "`<<` cannot be a key")]
#[case::list_as_key("? [a]\n: b\n", "cannot be a key")]
#[case::key_in_base64("!binary \"bmFtZQ==\": straw\n", "`name` is given more than once")]
#[case::repeated_key("name: straw\n", "`name` is given more than once")]
#[case::document("--- {}\n", "holds 2 YAML documents")]
#[case::line_end_of_old_yaml("description: |\n  x\u{2028}name: straw\n", "`name` is given more")]
#[case::line_end_in_a_comment("# x\u{85}metadata:\u{85}  a: b\u{85}\n", "U+0085")]
fn specifications_that_read_in_two_ways_are_refused(#[case] more: &str, #[case] message: &str) {
    let text = refusal(&gem(&format!("{SPECIFICATION}{more}")));
    assert!(text.contains(message), "{text}");
}

#[rstest]
#[case::truth("yes")]
#[case::nothing("Null")]
#[case::number("0x1F")]
fn a_name_that_is_no_text_to_ruby_is_refused(#[case] name: &str) {
    let unquoted = SPECIFICATION.replacen("hay", name, 1);
    let text = refusal(&gem(&unquoted));
    assert!(text.contains("not text to Ruby") || text.contains("has no `name`"), "{text}");
    let quoted = SPECIFICATION.replacen("hay", &format!("'{name}'"), 1);
    assert_eq!(read(&gem(&quoted)).identity.package.name(), name);
}

#[test]
fn base64_is_decoded_as_ruby_does() {
    let text = "--- !ruby/object:Gem::Specification\nname: !binary |-\n  aGF5\n\
        version: !ruby/object:Gem::Version\n  version: !binary |-\n    MS4wLjA=\n";
    let found = read(&gem(text));
    assert_eq!(found.identity.package.name(), "hay");
    assert_eq!(found.identity.version.text(), "1.0.0");
    let broken = text.replace("aGF5", "a?F5");
    assert!(refusal(&gem(&broken)).contains("not base 64"));
}
