//! Rules about package files, by packages made for them.
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

use hayloft_feed::{FeedType, FeedTypeError, FileRole, HistoryEntry, Limits, Repackage};
use hayloft_nuget::NuGet;
use hayloft_testkit::Sample;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use rstest::rstest;
use support::{chain, inspect, manifest, names, nuspec, package, refusal, repackage, tree, zip};

const HISTORY: &str = ".progetRepackageHistory.json";
const OLD_HISTORY: &str = ".progetRepackagingHistory.json";
const SYMBOLS: &str = "<packageTypes><packageType name='SymbolsPackage'/></packageTypes>";

#[test]
fn the_contract_of_feed_types_is_met() {
    let old_history = zip(&[
        ("B.NUSPEC", b"<package><metadata><id>B</id><version>1.0</version></metadata></package>"),
        (OLD_HISTORY, br#"["B:0.9"]"#),
    ]);
    hayloft_testkit::check(
        &NuGet,
        &[
            Sample::new("A.1.0.0.nupkg", hayloft_testkit::nupkg("A", "1.0.0").payload(300).build()),
            Sample::new("A.1.0.0.snupkg", hayloft_testkit::snupkg("A", "1.0.0-x").build()),
            Sample::new("B.1.0.nupkg", old_history).losing(OLD_HISTORY),
        ],
        "2.0.0-rc.1+build.5",
    );
}

#[rstest]
#[case::no_nuspec(zip(&[("lib/A.nuspec", &nuspec(""))]), "no .nuspec file at the root")]
#[case::two_nuspecs(
    zip(&[("A.nuspec", &nuspec("")), ("b.NuSpec", b"")]),
    "two .nuspec files at the root, `A.nuspec` and `b.NuSpec`"
)]
#[case::empty_archive(zip(&[]), "no .nuspec file at the root")]
#[case::not_an_archive(b"<html>log in</html>".to_vec(), "damaged")]
#[case::encoded_traversal(package("", &[("lib/%2e%2e/x", b"")]), "`lib/%2e%2e/x` contains `..`")]
#[case::encoded_slash(package("", &[("..%2Fx", b"")]), "`..%2Fx` contains `..`")]
#[case::encoded_backslash(package("", &[("a%5c..%5Cx", b"")]), "contains `..`")]
#[case::half_encoded(package("", &[("%2e./x", b"")]), "contains `..`")]
#[case::encoded_beside_what_is_no_utf8(package("", &[("%ff/%2e%2e/x", b"")]), "contains `..`")]
#[case::parent_with_blank(package("", &[("a/.. /x", b"")]), "contains `..`")]
#[case::encoded_root(package("", &[("%2fx", b"")]), "is an absolute path")]
#[case::encoded_drive(package("", &[("C%3A/x", b"")]), "begins with a drive letter")]
#[case::later_drive(package("", &[("lib/C%3A/x", b"")]), "begins with a drive letter")]
#[case::encoded_zero(package("", &[("a%00", b"")]), "contains a zero byte")]
#[case::encoded_control(package("", &[("a%0d", b"")]), "contains a control character")]
#[case::stream(package("", &[("lib/a.dll:b", b"")]), "contains a colon")]
#[case::device(package("", &[("content/nul.txt", b"")]), "is the name of a device")]
#[case::encoded_device(package("", &[("%61ux", b"")]), "is the name of a device")]
#[case::trailing_dot(package("", &[("lib./x", b"")]), "ends in a dot or blank")]
#[case::trailing_blank(package("", &[("lib/x%20", b"")]), "ends in a dot or blank")]
#[case::fault_behind_doubled_slash(package("", &[("lib%2F%2F%2Fcon", b"")]), "is the name of a device")]
#[case::case_twins(package("", &[("lib/a", b""), ("LIB/A", b"")]), "more than one entry `LIB/A`")]
#[case::encoded_twins(package("", &[("a b", b""), ("a%20b", b"")]), "more than one entry `a%20b`")]
#[case::doctype(
    zip(&[("A.nuspec", b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><package/>")]),
    "document type declaration"
)]
#[case::billion_elements(
    zip(&[("A.nuspec", "<a>".repeat(100_000).as_bytes())]),
    "nests elements deeper than 64 levels"
)]
#[case::bomb(zip(&[("A.nuspec", &vec![b' '; (3 << 20) + 1])]), "larger than the limit of 3145728")]
#[case::missing_license(package("<license type='file'>l.txt</license>", &[]), "the license file `l.txt`")]
#[case::large_readme(
    package("<readme>r.md</readme>", &[("r.md", &vec![b'a'; (1 << 20) + 1])]),
    "`r.md` is larger than the limit of 1048576"
)]
#[case::compressed_signature(package("", &[(".signature.p7s", b"x")]), "it is compressed")]
#[case::symbols_without_symbols(package(SYMBOLS, &[]), "there is no .pdb file")]
#[case::symbols_with_code(package(SYMBOLS, &[("a.dll", b"")]), "`a.dll` is none of .pdb")]
#[case::symbols_without_extension(package(SYMBOLS, &[("a", b"")]), "`a` is none of .pdb")]
#[case::old_symbols(
    package(SYMBOLS, &[("a.PDB", b"Microsoft C/C++ MSF 7.00")]),
    "`a.PDB` is not a portable symbol file"
)]
fn what_is_no_package_is_refused_for_its_reason(#[case] bytes: Vec<u8>, #[case] reason: &str) {
    let refusal = refusal(&bytes);
    assert!(refusal.contains(reason), "{refusal}");
}

/// Changes a name in local header and directory alike.
fn renamed(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = (0..bytes.len() - from.len())
        .filter(|at| bytes[*at..].starts_with(from.as_bytes()))
        .collect();
    assert_eq!(places.len(), 2, "{from}");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

#[rstest]
#[case::traversal("../x", "contains `..`")]
#[case::backslash_traversal("..\\x", "contains `..`")]
#[case::absolute("/xxx", "is an absolute path")]
#[case::drive("C:/x", "drive letter")]
#[case::zero("a\0bc", "zero byte")]
#[case::two_backslashes("a\\\\b", "two backslashes in a row")]
fn names_that_lead_astray_are_refused(#[case] name: &str, #[case] reason: &str) {
    let refusal = refusal(&renamed(&package("", &[("wxyz", b"")]), "wxyz", name));
    assert!(refusal.contains(reason), "{refusal}");
}

#[test]
fn doubled_slashes_are_refused_only_if_names_collide() {
    let alone = renamed(&package("", &[("lib/_x", b"")]), "lib/_x", "lib//x");
    inspect(&alone).unwrap();
    let twins = renamed(&package("", &[("lib/_x", b""), ("lib/x", b"")]), "lib/_x", "lib//x");
    assert!(refusal(&twins).contains("more than one entry `lib/x`"));
}

#[test]
fn sizes_that_lie_are_refused() {
    let bytes = package("", &[]);
    let length = u32::try_from(nuspec("").len()).unwrap().to_le_bytes();
    let longer = u32::try_from(nuspec("").len() + 1).unwrap().to_le_bytes();
    let mut changed = bytes.clone();
    for at in 0..changed.len() - 4 {
        if changed[at..at + 4] == length {
            changed[at..at + 4].copy_from_slice(&longer);
        }
    }
    assert_ne!(changed, bytes);
    assert!(refusal(&changed).contains("does not have the size stated"));
}

#[test]
fn embedded_files_are_kept_if_a_browser_may_have_them() {
    let png = b"\x89PNG\r\n\x1a\n...";
    let metadata = "<icon>images\\I.png</icon><readme>docs/R.md</readme>\
                    <license type='file'>L.TXT</license>";
    let bytes =
        package(metadata, &[("images/i.png", png), ("docs%2FR.md", b"# Read"), ("L.TXT", b"free")]);
    let found = inspect(&bytes).unwrap();
    assert_eq!(found.warnings, [""; 0]);
    let kept: Vec<_> =
        found.documents.iter().map(|kept| (kept.name.as_str(), &kept.bytes[..])).collect();
    let expected = [
        ("nuspec", &nuspec(metadata)[..]),
        ("license", b"free"),
        ("readme", b"# Read"),
        ("icon", png),
    ];
    assert_eq!(kept, expected);
    assert_eq!(manifest(&found).icon.unwrap().media_type, "image/png");

    let missing = inspect(&package("<icon>i.png</icon><readme>r.md</readme>", &[])).unwrap();
    assert_eq!(missing.documents.len(), 1);
    assert_eq!(manifest(&missing).icon, None);
    assert_eq!(missing.warnings.len(), 2);

    let svg = package(
        "<icon>i.png</icon><readme>r.txt</readme>",
        &[("i.png", b"<svg onload='alert(1)'/>"), ("r.txt", b"text")],
    );
    let found = inspect(&svg).unwrap();
    assert_eq!(found.documents.len(), 1);
    assert_eq!((manifest(&found).icon, manifest(&found).readme), (None, None));
    assert_eq!(found.warnings.len(), 2);
}

#[test]
fn symbol_packages_are_companions() {
    let pdb = [b"BSJB", &vec![0; 100_000][..]].concat();
    let bytes = package(SYMBOLS, &[("lib/a.pdb", &pdb), ("lib/a.xml", b""), (HISTORY, b"[]")]);
    let found = inspect(&bytes).unwrap();
    assert_eq!(found.role, FileRole::Companion);
    assert_eq!(found.identity.qualifiers.to_string(), "type=symbols");
    assert_eq!(NuGet.file_name(&found.identity), "A.1.0.0.snupkg");
    assert_eq!(manifest(&found).symbols[0].path, "lib/a.pdb");
    assert_eq!(found.warnings.len(), 1, "authors have no effect: {:?}", found.warnings);
}

#[test]
fn nuspecs_below_the_root_count_for_nothing() {
    let found = inspect(&package("", &[("content/B.nuspec", b"<not-read")])).unwrap();
    assert_eq!(found.identity.package.name(), "A");
    assert_eq!(found.warnings.len(), 1);
}

fn ids(bytes: &[u8]) -> Vec<String> {
    inspect(bytes).unwrap().history.into_iter().map(|entry| entry.id).collect()
}

#[test]
fn an_old_history_is_moved_to_its_new_name() {
    let bytes = package("", &[(OLD_HISTORY, br#"["A:0.1", {"id": "A:0.2", "_x": 1}]"#)]);
    assert_eq!(ids(&bytes), ["A:0.1", "A:0.2"]);
    let (result, _, entry) = repackage(&bytes, "2.0.0").unwrap();
    assert_eq!(ids(&result), ["A:0.1", "A:0.2", entry.id.as_str()]);
    assert_eq!(names(&result), ["A.nuspec", HISTORY]);
    let text = String::from_utf8(tree(&result)[HISTORY].1.clone()).unwrap();
    assert!(text.starts_with(r#"["A:0.1", {"id": "A:0.2", "_x": 1}, "#), "{text}");
}

#[test]
fn an_old_and_a_new_history_become_one() {
    let bytes = package("", &[(HISTORY, br#"["A:0.3"]"#), (OLD_HISTORY, br#"["A:0.1"]"#)]);
    assert_eq!(ids(&bytes), ["A:0.1", "A:0.3"]);
    let (result, _, entry) = repackage(&bytes, "2.0.0").unwrap();
    assert_eq!(ids(&result), ["A:0.1", "A:0.3", entry.id.as_str()]);
    assert_eq!(names(&result), ["A.nuspec", HISTORY]);
}

#[test]
fn a_broken_history_is_told_and_not_continued() {
    let bytes = package("", &[(HISTORY, b"{")]);
    assert_eq!(inspect(&bytes).unwrap().warnings.len(), 1);
    let error = repackage(&bytes, "2.0.0").unwrap_err();
    assert!(matches!(error, FeedTypeError::NotRepackageable { .. }), "{}", chain(&error));
    assert!(chain(&error).contains(HISTORY));
}

#[test]
fn properties_and_content_types_follow_the_version() {
    let properties = "package/services/metadata/core-properties/0a.psmdcp";
    let user_file = "package/services/metadata/core-properties/sub/0b.psmdcp";
    let core = b"<coreProperties xmlns='u'><version>1.0.0a</version></coreProperties>";
    let types = b"<Types xmlns='u'>\n  <Default Extension='nuspec' ContentType='x' />\n</Types>";
    let bytes = package(
        "",
        &[(properties, core), (user_file, core), ("[Content_Types].xml", types), ("a.json", b"1")],
    );
    let (result, done, _) = repackage(&bytes, "2.0.0-rc.1+m").unwrap();
    assert_eq!(done, hayloft_feed::Repackaged::plain());
    let tree = tree(&result);
    let text = |name: &str| String::from_utf8(tree[name].1.clone()).unwrap();
    assert!(text("A.nuspec").contains("<version>2.0.0-rc.1+m</version>"));
    assert!(text(properties).contains("<version>2.0.0-rc.1</version>"));
    assert!(text(user_file).contains("<version>1.0.0a</version>"));
    assert_eq!(
        text("[Content_Types].xml"),
        "<Types xmlns='u'>\n  <Default Extension='nuspec' ContentType='x' />\n  \
         <Default Extension=\"json\" ContentType=\"application/octet\" />\n</Types>"
    );
    let (again, _, _) = repackage(&result, "2.0.0").unwrap();
    assert_eq!(text("[Content_Types].xml").matches("json").count(), 1);
    assert_eq!(support::tree(&again)["[Content_Types].xml"].1, tree["[Content_Types].xml"].1);
}

#[test]
fn many_core_properties_stop_repackaging_before_they_fill_the_memory() {
    let properties =
        [&b"<p><version>1</version>"[..], &vec![b' '; (1 << 20) - 100], b"</p>"].concat();
    let names: Vec<String> = (0..100)
        .map(|at| format!("package/services/metadata/core-properties/{at}.psmdcp"))
        .collect();
    let parts: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), &properties[..])).collect();
    let bytes = package("", &parts);
    let mut told = String::new();
    let memory = allocation_counter::measure(|| {
        told = chain(&repackage(&bytes, "2.0.0").unwrap_err());
    });
    assert!(told.contains("more than 8 MiB together"), "{told}");
    assert!(memory.bytes_max < 32 << 20, "{memory:?}");
    repackage(&package("", &parts[..3]), "2.0.0").unwrap();
}

/// An archive with one entry that a Unix tool wrote as a link.
fn linked(name: &str, target: &str) -> Vec<u8> {
    let mut bytes = package("", &[(name, target.as_bytes())]);
    let at = bytes.windows(4).rposition(|found| found == b"PK\x01\x02").unwrap();
    bytes[at + 5] = 3;
    bytes[at + 38..at + 42].copy_from_slice(&(0o120_777_u32 << 16).to_le_bytes());
    bytes
}

#[rstest]
#[case::absolute("l", "/etc")]
#[case::parent("l", "../x")]
#[case::deeper("a/l", "../b/../../x")]
#[case::backslash("l", "..\\x")]
#[case::drive("l", "C:\\x")]
#[case::empty("l", "")]
#[case::behind_an_escape("a%2Fl", "../../x")]
fn links_that_lead_outside_are_refused(#[case] name: &str, #[case] target: &str) {
    assert!(refusal(&linked(name, target)).contains("link that leads outside"));
}

#[test]
fn links_that_stay_inside_are_kept() {
    for (name, target) in [("a/l", "../b"), ("l", "a/../b"), ("a%2Fb%2Fl", "../../c")] {
        inspect(&linked(name, target)).unwrap();
    }
}

#[rstest]
#[case::properties("package/services/metadata/core-properties/0a.psmdcp")]
#[case::content_types("[Content_Types].xml")]
fn a_part_that_must_change_and_cannot_be_read_stops_repackaging(#[case] part: &str) {
    let bytes = package("", &[(part, b"<a><b></a>")]);
    inspect(&bytes).unwrap();
    let error = repackage(&bytes, "2.0.0").unwrap_err();
    assert!(matches!(error, FeedTypeError::NotRepackageable { .. }), "{}", chain(&error));
    assert!(chain(&error).contains(part));
}

#[test]
fn exact_dependencies_on_siblings_are_reported() {
    let bytes = package(
        "<dependencies><dependency id='A.Sub' version='[1.0]'/>\
         <dependency id='Other' version='[1.1]'/><dependency id='Low' version='1.0.0'/>\
         </dependencies>",
        &[],
    );
    let (result, done, _) = repackage(&bytes, "2.0.0").unwrap();
    assert_eq!(done.sibling_pins, ["A.Sub [1.0.0]"]);
    let dependencies = &manifest(&inspect(&result).unwrap()).dependency_groups[0].dependencies;
    assert_eq!(dependencies[0].range, "[1.0.0, 1.0.0]");
}

#[test]
fn a_file_stored_under_another_identity_is_not_repackaged() {
    let bytes = package("", &[]);
    let other = hayloft_testkit::nupkg("B", "1.0.0").build();
    let from = inspect(&other).unwrap().identity;
    let entry = HistoryEntry::of("B:1.0.0");
    let error = hayloft_testkit::repackage(&NuGet, &bytes, &from, "2.0.0", &entry).unwrap_err();
    assert!(chain(&error).contains("says it is A 1.0.0, but it is stored as B 1.0.0"));
}

#[test]
fn every_truncation_and_flip_is_answered() {
    let bytes = package(
        "<icon>i.png</icon>",
        &[("i.png", b"\x89PNG\r\n\x1a\n"), (OLD_HISTORY, br#"["A:0.1"]"#)],
    );
    for length in 0..bytes.len() {
        assert!(inspect(&bytes[..length]).is_err(), "{length}");
    }
    let from = inspect(&bytes).unwrap().identity;
    let to = NuGet.retarget(&from, &NuGet.version("2.0.0").unwrap()).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0xff;
        let mut out = Cursor::new(Vec::new());
        let source = &mut Cursor::new(changed);
        let entry = &HistoryEntry::of("A:1");
        let order = Repackage::new(source, bytes.len() as u64, &from, &to, entry, &mut out);
        let done = NuGet.repackage(order, &Limits::default());
        match done.map(|_| inspect(&out.into_inner())) {
            Ok(Ok(found)) => assert_eq!(found.identity, to, "{at}"),
            // Damage to the icon alone shows when it is read.
            Ok(Err(error)) => assert!(chain(&error).contains("entry `i.png`"), "{at}: {error:?}"),
            Err(error) => assert!(error.is_input(), "{at}: {error:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_repackaged_package_is_the_target_and_keeps_its_content(
        content in prop::collection::vec(any::<u8>(), 0..400),
        blanks in "[ \r\n\t]{0,3}",
        version in "[0-9]{1,3}\\.[0-9]{1,3}(\\.[0-9]{1,2})?(-[a-z]{1,5}(\\.[1-9])?)?(\\+[a-z0-9]{1,3})?",
    ) {
        prop_assume!(NuGet.version(&version).unwrap() != NuGet.version("1.0.0").unwrap());
        let nuspec = String::from_utf8(nuspec("")).unwrap()
            .replace(">1.0.0<", &format!(">{blanks}1.0.0<!-- x -->{blanks}<"));
        let bytes = zip(&[("lib/x.bin", &content), ("A.nuspec", nuspec.as_bytes())]);
        let (result, _, entry) = repackage(&bytes, &version).unwrap();
        let found = inspect(&result).unwrap();
        prop_assert_eq!(found.identity.version.text(), version.as_str());
        prop_assert_eq!(found.history, [entry]);
        let (old, new) = (tree(&bytes), tree(&result));
        prop_assert_eq!(&old["lib/x.bin"], &new["lib/x.bin"]);
        let new_nuspec = String::from_utf8(new["A.nuspec"].1.clone()).unwrap();
        prop_assert_eq!(new_nuspec, nuspec.replace("1.0.0", &version));
    }
}

#[rstest]
#[case::package_as_package(hayloft_testkit::nupkg("A", "1.0.0").build(), "package", None)]
#[case::symbols_as_symbols(hayloft_testkit::snupkg("A", "1.0.0").build(), "symbols", None)]
#[case::package_as_symbols(hayloft_testkit::nupkg("A", "1.0.0").build(), "symbols", Some("no symbol package"))]
#[case::symbols_as_package(hayloft_testkit::snupkg("A", "1.0.0").build(), "package", Some("a symbol package"))]
fn a_file_has_the_role_that_its_address_has(
    #[case] bytes: Vec<u8>,
    #[case] role: &str,
    #[case] refused: Option<&str>,
) {
    let sample = Sample::unnamed(bytes).hint("role", role);
    match (sample.inspect(&NuGet, &Limits::default()), refused) {
        (Ok(_), None) => {}
        (Err(error), Some(text)) => assert!(chain(&error).contains(text), "{}", chain(&error)),
        (found, expected) => panic!("{found:?} is not {expected:?}"),
    }
}
