//! The contract that the store relies on, and what a request may leave out.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests panic to fail")]

use std::error::Error;

use hayloft_debian::{Debian, Manifest, PackageKind, group_as_component};
use hayloft_feed::{Coordinates, FeedType, FeedTypeError, Purl, Stability};
use hayloft_testkit::{Sample, check, check_order, deb, inspect};

fn sample(file_name: &str, bytes: Vec<u8>) -> Sample {
    Sample::new(file_name, bytes).hint("distribution", "bookworm")
}

#[test]
fn the_feed_type_meets_the_contract() {
    let plain = deb("hay", "1.0-1", "amd64");
    let signed = deb("loft", "2:1.0~rc1+b2", "all").member("_gpgorigin", "signature");
    let nested = deb("nested", "1:2:3-4", "kfreebsd-amd64").field("Source", "other (7)");
    let samples = [
        sample(&plain.file_name(), plain.build()),
        sample("anything.udeb", signed.build()).hint("component", "contrib/net"),
        Sample::unnamed(nested.build()).remembering("distro", "stable/updates"),
    ];
    check(&Debian, &samples, "3.0~rc.1-1");
}

#[test]
fn versions_ascend_as_dpkg_has_them() {
    check_order(
        &Debian,
        &[
            "1.0~~",
            "1.0~bpo1",
            "1.0~rc1-1",
            "1.0",
            "1.0+b1",
            "1.0.1",
            "1.2.3",
            "1.2.3-rc.1",
            "1.10",
            "1:0",
        ],
    );
}

#[test]
fn a_history_that_cannot_be_read_is_a_warning_until_it_must_be_continued() {
    for damaged in [&b"not json"[..], b"[{}]", b"\xff"] {
        let package = deb("hay", "1.0-1", "amd64").member("_repackhist", damaged);
        let sample = sample(&package.file_name(), package.build()).not_repackageable();
        check(&Debian, std::slice::from_ref(&sample), "2.0");
        let hints = [("distro", "sid")];
        let found = inspect(&Debian, &package.build(), None, &hints).unwrap();
        assert!(found.history.is_empty());
        assert!(
            found.warnings.iter().any(|text| text.contains("_repackhist")),
            "{:?}",
            found.warnings
        );
    }
}

#[test]
fn a_manifest_holds_the_stanza_and_where_it_is_listed() {
    let package = deb("hay", "1:1.0-1", "amd64")
        .field("Source", "loft (3)")
        .field("Architecture-Variant", "amd64v3")
        .field("Package-Type", "udeb")
        .field("Filename", "../evil")
        .field("X-Cafe", "é");
    let found = inspect(&Debian, &package.build(), None, &[("distro", "sid")]).unwrap();
    assert_eq!(found.identity.qualifiers.to_string(), "arch=amd64v3&component=main&distro=sid");
    let manifest: Manifest = serde_json::from_str(&found.manifest).unwrap();
    assert_eq!(manifest.file_name, "hay_1.0-1_amd64v3.udeb");
    assert_eq!(manifest.architecture, "amd64");
    assert_eq!(manifest.index_architecture, "amd64v3");
    assert_eq!(manifest.kind, PackageKind::Udeb);
    assert_eq!((manifest.source_name.as_str(), manifest.source_version.as_str()), ("loft", "3"));
    assert_eq!(manifest.synopsis.as_deref(), Some("package for tests"));
    assert_eq!(
        manifest.field("description"),
        Some("package for tests\n Holds a note and nothing else.")
    );
    assert_eq!(manifest.field("X-Cafe"), Some("é"));
    assert_eq!(manifest.field("Filename"), None);
    assert_eq!(manifest.fields[0], ("Package".to_owned(), "hay".to_owned()));
    assert_eq!(found.documents.len(), 1);
    assert_eq!(found.documents[0].name, "control");
    assert!(found.documents[0].bytes.starts_with(b"Package: hay\nVersion: 1:1.0-1\n"));
}

fn asked(group: &str, qualifiers: &str) -> Coordinates {
    Coordinates {
        group: group.to_owned(),
        name: "hay".to_owned(),
        version: "1.0".to_owned(),
        qualifiers: qualifiers.parse().unwrap(),
    }
}

#[test]
fn a_group_is_a_component() {
    let one = group_as_component(&asked("main", "arch=amd64")).unwrap();
    assert_eq!(
        (one.group.as_str(), one.qualifiers.to_string().as_str()),
        ("", "arch=amd64&component=main")
    );
    assert!(group_as_component(&asked("main", "component=main")).is_ok());
    let error = group_as_component(&asked("main", "component=contrib")).unwrap_err();
    assert!(matches!(error, FeedTypeError::Qualifier { .. }));
    let identity = Debian.identify(&asked("main", "architecture=amd64")).unwrap();
    assert_eq!(identity.qualifiers.to_string(), "arch=amd64&component=main");
    assert!(matches!(Debian.package_name("main", "hay"), Err(FeedTypeError::Name { .. })));
}

#[test]
fn package_urls_of_other_tools_are_read() {
    let read = |text: &str| Debian.coordinates(&text.parse::<Purl>().unwrap());
    for vendor in ["", "debian/", "ubuntu/"] {
        let found = read(&format!("pkg:deb/{vendor}hay@1%3A1.0?distro=sid&arch=all")).unwrap();
        assert_eq!((found.group.as_str(), found.version.as_str()), ("", "1:1.0"));
        assert_eq!(found.qualifiers.to_string(), "arch=all&distro=sid");
    }
    let component = read("pkg:deb/contrib/hay@1.0").unwrap();
    assert_eq!(component.qualifiers.to_string(), "component=contrib");
    assert!(matches!(
        read("pkg:deb/contrib/hay@1.0?component=main"),
        Err(FeedTypeError::Purl { .. })
    ));
    assert!(matches!(read("pkg:npm/hay@1.0"), Err(FeedTypeError::Purl { .. })));
}

#[test]
fn names_fold_to_what_apt_makes_of_them_but_packages_must_be_lower_case() {
    assert_eq!(Debian.package_name("", "Hay").unwrap().name(), "hay");
    let upper = deb("Hay", "1.0", "all").build();
    assert!(inspect(&Debian, &upper, None, &[("distro", "sid")]).is_err());
}

#[test]
fn versions_are_textual_and_always_stable() {
    let (one, other) = (Debian.version("1.0").unwrap(), Debian.version("1.0-0").unwrap());
    assert_ne!(one, other);
    assert_eq!(one.sort_key(), other.sort_key());
    assert_eq!(Debian.version("1.0~rc1").unwrap().stability(), Stability::Stable);
    assert!(Debian.version("v1.0").is_err());
    assert_eq!(Debian.lookup_version("v1.0").unwrap().identity(), "v1.0");
    let error = Debian.version("1.0_1").unwrap_err();
    assert_eq!(error.to_string(), "`1.0_1` is not a valid debian version");
    assert!(error.source().unwrap().to_string().starts_with("has `_` in its upstream version"));
}

#[test]
fn an_upload_without_a_distribution_says_what_to_add() {
    let bytes = deb("hay", "1.0", "all").build();
    let error = inspect(&Debian, &bytes, None, &[]).unwrap_err();
    assert_eq!(error.to_string(), "the upload must say its `distribution`");
}
