//! Real packages: each is accepted or refused, read and repackaged as its index says.
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

use std::path::Path;

use data_encoding::HEXLOWER;
use hayloft_feed::{FileRole, SourceReference};
use hayloft_nuget::{NuGetVersion, SignatureKind};
use support::{chain, corpus, inspect, manifest, refusal, repackage, tree};

struct Row {
    file: String,
    id: String,
    version: String,
    remarks: String,
}

fn rows(folder: &Path) -> Vec<Row> {
    let index = std::fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
    index
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let [file, _, _, id, version, remarks] = cells[..] else { panic!("{line}") };
            Row {
                file: file.into(),
                id: id.into(),
                version: version.into(),
                remarks: remarks.into(),
            }
        })
        .collect()
}

#[test]
fn every_package_gets_the_verdict_of_the_index() {
    let Some(folder) = corpus("") else { return };
    let (mut accepted, mut refused, mut signed) = (0, 0, 0);
    for row in rows(&folder) {
        let bytes = std::fs::read(folder.join(&row.file)).unwrap();
        if row.remarks.starts_with("NEGATIVE") {
            let reason = match row.file.as_str() {
                "Zip64Package.Corrupted.1.0.0.nupkg" => "zip64 locator points outside the file",
                "DuplicateReadmeFiles.nupkg" => "more than one entry `README.md`",
                "PackageWithDoubleBackwardSlash.1.0.0.nupkg" => "two backslashes in a row",
                "PackageWithDoubleForwardSlash.1.0.0.nupkg" => {
                    "more than one entry `lib/malformedfile.txt`"
                }
                "InvalidDependencyVersionRange.0.1.0.nupkg" => {
                    "`NuGet.Versioning` has the version range `[15.106.0.preview]`"
                }
                "EmptyDependencyId.0.1.0.nupkg" => "a dependency with the id ``: is empty",
                other => panic!("no reason known for {other}"),
            };
            let refusal = refusal(&bytes);
            assert!(refusal.contains(reason), "{}: {refusal}", row.file);
            refused += 1;
            continue;
        }
        signed += usize::from(accept(&row, &bytes));
        accepted += 1;
    }
    assert!(accepted > 0 && refused > 0);
    println!(
        "{accepted} packages accepted and repackaged, {signed} of them signed; {refused} refused"
    );
}

/// Reads and repackages one package; returns whether it is signed.
fn accept(row: &Row, bytes: &[u8]) -> bool {
    let file = &row.file;
    let found = inspect(bytes).unwrap_or_else(|error| panic!("{file}: {}", chain(&error)));
    assert_eq!(found.identity.package.name(), row.id, "{file}");
    assert_eq!(found.identity.version.text(), row.version, "{file}");
    let symbols = file.ends_with(".snupkg");
    assert_eq!(found.role == FileRole::Companion, symbols, "{file}");
    assert_eq!(found.history, [], "{file}");
    let told = manifest(&found);
    let is_signed = tree(bytes).contains_key(".signature.p7s");
    assert_eq!(told.signature.is_some(), is_signed, "{file}");

    let (candidate, first, first_entry) = repackage(bytes, "9.1.0-rc.1").unwrap();
    assert_eq!(candidate, repackage(bytes, "9.1.0-rc.1").unwrap().0, "{file}: not deterministic");
    assert_eq!(!first.signatures_removed.is_empty(), is_signed, "{file}");
    let (stable, second, second_entry) = repackage(&candidate, "9.1").unwrap();
    assert!(second.signatures_removed.is_empty(), "{file}");
    only_named_entries_differ(file, bytes, &candidate);
    only_named_entries_differ(file, bytes, &stable);

    let result = inspect(&stable).unwrap();
    assert_eq!(result.identity.package.name(), row.id, "{file}");
    assert_eq!(result.identity.version.text(), "9.1", "{file}");
    assert_eq!(result.identity.qualifiers, found.identity.qualifiers, "{file}");
    let first_entry = if is_signed { first_entry.with_signature_removed() } else { first_entry };
    assert_eq!(result.history, [first_entry, second_entry], "{file}");
    for (entry, source) in result.history.iter().zip([bytes, &candidate]) {
        let source_sha1 = HEXLOWER.encode(&hayloft_testkit::digests(source).sha1);
        let reference: SourceReference = entry.id.parse().unwrap();
        assert_eq!(reference.sha1, Some(source_sha1), "{file}");
    }
    same_but_for_version(&told, &manifest(&result));
    is_signed
}

fn same_but_for_version(source: &hayloft_nuget::Manifest, result: &hayloft_nuget::Manifest) {
    let mut expected = source.clone();
    expected.signature = None;
    expected.version = "9.1".into();
    expected.normalized_version = "9.1.0".into();
    expected.full_version = "9.1.0".into();
    expected.prerelease = false;
    expected.semver2 = result.semver2;
    assert_eq!(*result, expected);
    assert!(source.semver2 || !result.semver2);
}

fn only_named_entries_differ(file: &str, source: &[u8], result: &[u8]) {
    let (source, result) = (tree(source), tree(result));
    for (name, (raw, data)) in &source {
        if name == ".signature.p7s" {
            assert!(!result.contains_key(name), "{file}");
            continue;
        }
        let (new_raw, new_data) = &result[name];
        let may_change = name.ends_with(".nuspec") && !name.contains('/')
            || name.starts_with("package/services/metadata/core-properties/")
            || name == "[Content_Types].xml";
        if !may_change {
            assert!(raw == new_raw && data == new_data, "{file}: {name} changed");
            continue;
        }
        // One run of bytes differs: what stands before and after it is kept.
        let before = data.iter().zip(new_data).take_while(|(old, new)| old == new).count();
        let after = data.iter().rev().zip(new_data.iter().rev());
        let after = after.take_while(|(old, new)| old == new).count();
        let changed = data.len().saturating_sub(before + after);
        assert!(changed <= 2 * 64, "{file}: {changed} bytes of {name} changed");
    }
    let added: Vec<_> = result.keys().filter(|name| !source.contains_key(*name)).collect();
    assert_eq!(added, [".progetRepackageHistory.json"], "{file}");
}

#[test]
fn signatures_tell_who_signed() {
    let Some(folder) = corpus("") else { return };
    let expected = [
        ("TestPackage.AuthorSigned.1.0.0.nupkg", SignatureKind::Author, false),
        ("Test.RepoCountersigned.1.0.0.nupkg", SignatureKind::Repository, false),
        ("nuget.versioning.5.0.0.nupkg", SignatureKind::Author, true),
        ("TestAuthorAndRepoSigned.leaf-1.1.0.0.nupkg", SignatureKind::Author, true),
        ("basetestpackage.dotnettool.1.0.0.nupkg", SignatureKind::Repository, false),
    ];
    for (file, kind, countersigned) in expected {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let signature = manifest(&inspect(&bytes).unwrap()).signature.unwrap();
        assert_eq!(
            (signature.kind, signature.countersigned),
            (Some(kind), countersigned),
            "{file}"
        );
        assert_eq!(signature.hash_algorithm, "SHA256");
    }
}

#[test]
fn a_signed_package_with_one_flipped_bit_is_refused() {
    let Some(path) = corpus("TestAuthorAndRepoSigned.leaf-1.1.0.0.nupkg") else { return };
    let bytes = std::fs::read(path).unwrap();
    let find = |part: &[u8]| bytes.windows(part.len()).position(|found| found == part).unwrap();
    // The records of the content, and the end record; the signature's own are not signed.
    let signature = find(b".signature.p7s") - 30;
    let directory = find(b"PK\x01\x02");
    let signature_header = directory + 46 + "TestAuthorAndRepoSigned.leaf-1.nuspec".len();
    let end = find(b"PK\x05\x06");
    let mut seen = 0;
    for at in (0..signature).chain(directory..signature_header).chain(end..bytes.len()) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        let refusal = refusal(&changed);
        seen += usize::from(refusal.contains("was changed after it was signed"));
    }
    assert!(seen > 10, "only {seen} flips were found by the signature");
}

#[test]
fn details_of_real_packages_are_read() {
    let Some(folder) = corpus("") else { return };
    let read = |file: &str| {
        let found = inspect(&std::fs::read(folder.join(file)).unwrap()).unwrap();
        (manifest(&found), found)
    };
    let (told, _) = read("nuget.versioning.5.0.0.nupkg");
    assert_eq!(told.normalized_version, "5.0.0");
    assert!(told.semver2 && !told.prerelease);
    assert_eq!(told.dependency_groups.len(), 2);

    let (told, _) = read("basetestpackage.dotnettool.1.0.0.nupkg");
    assert!(told.has_package_type("dotnettool"));

    let (told, found) = read("TestData.1.2.3.snupkg");
    assert!(told.is_symbol_package());
    assert_eq!(found.identity.qualifiers.to_string(), "type=symbols");
    let guid = told.symbols[0].guid.as_deref().unwrap();
    assert_eq!(guid.len(), 32);

    let (told, found) = read("TestPackage.IconOnlyFileType.0.4.2.nupkg");
    let names: Vec<_> = found.documents.iter().map(|document| document.name.as_str()).collect();
    assert_eq!(names, if told.icon.is_some() { &["nuspec", "icon"][..] } else { &["nuspec"] });

    let (_, found) = read("TestPackage.LicenseFile.0.1.0.nupkg");
    assert!(found.documents.iter().any(|document| document.name == "license"));

    let (told, found) = read("feed.microsoft.web.infrastructure.1.0.0.nupkg");
    assert_eq!(told.authors.as_deref(), Some("Microsoft"));
    assert!(found.documents[0].bytes.starts_with(b"\xff\xfe<\0"));

    let (told, _) = read("LongDependenciesList.1.2.3.nupkg");
    assert_eq!(told.dependency_groups.len(), 81);
    let (told, _) = read("netstandard.library.1.6.1.nupkg");
    assert_eq!(told.min_client_version.as_deref(), Some("2.12"));
    assert_eq!(told.dependency_groups.len(), 4);
}

#[test]
fn a_utf16_nuspec_is_edited_in_utf16() {
    let Some(path) = corpus("feed.microsoft.web.infrastructure.1.0.0.nupkg") else { return };
    let bytes = std::fs::read(path).unwrap();
    let (result, _, _) = repackage(&bytes, "2.0-rc.1").unwrap();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let name = "Microsoft.Web.Infrastructure.nuspec";
    let (old, new) = (&tree(&bytes)[name].1, &tree(&result)[name].1);
    let find = |text: &[u8], part: &[u8]| text.windows(part.len()).position(|bytes| bytes == part);
    let at = find(old, &utf16("<version>1.0.0.0<")).unwrap() + 18;
    let expected = [&old[..at], &utf16("2.0-rc.1"), &old[at + 14..]].concat();
    assert!(*new == expected, "only the version changes");
}

#[test]
fn the_full_form_of_every_version_is_read_back() {
    let Some(folder) = corpus("") else { return };
    for row in rows(&folder) {
        let version: NuGetVersion = row.version.parse().unwrap();
        assert_eq!(version.to_string().parse::<NuGetVersion>().unwrap(), version);
    }
}
