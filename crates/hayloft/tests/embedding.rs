//! A store in the hands of a program that embeds it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to fail")]
#![allow(
    clippy::disallowed_methods,
    clippy::field_reassign_with_default,
    clippy::similar_names,
    reason = "small packages, and requests as a stranger writes them"
)]

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

use hayloft::feed_type::{
    Identity, Inspected, PackageName, Repackage, Repackaged, Upload, Version,
};
use hayloft::{
    Actor, Create, ErrorKind, FeedDraft, FeedType, FeedTypeError, FeedTypes, LatestQuery, Limits,
    OpenOptions, Qualifiers, RepackageError, RepackageRequest, Repair, Selector, StatusChange,
    Store, StoreError, UploadError, UploadRequest, VerifyError, VerifyLevel, VersionsQuery, Wanted,
};
use tempfile::TempDir;

fn me() -> Actor {
    Actor::named("me")
}

fn store(feed: &str, feed_type: &str) -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = hayloft::open(directory.path()).unwrap();
    store.create_feed(FeedDraft::new(feed, feed_type), &me()).unwrap();
    (directory, store)
}

fn upload(store: &Store, feed: &str, file_name: &str, bytes: &[u8]) -> hayloft::PackageFile {
    let mut request = UploadRequest::default();
    request.file_name = Some(file_name.to_owned());
    store.upload(feed, &request, &mut &*bytes, &me()).unwrap().file
}

fn bytes_of(mut download: hayloft::Download) -> Vec<u8> {
    let mut bytes = Vec::new();
    download.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn debug_text_of_a_store_is_short_and_tells_no_secret() {
    let (_directory, store) = store("apps", "universal");
    let text = format!("{store:?}");
    assert!(text.starts_with("Store { directory: "), "{text}");
    assert!(!text.contains("salt") && text.len() < 300, "{text}");
}

#[test]
fn a_row_of_a_list_leads_to_its_own_package() {
    let (_directory, store) = store("js", "npm");
    let plain = hayloft_testkit::npm_tgz("a", "1.0.0").payload(10).build();
    let scoped = hayloft_testkit::npm_tgz("@s/a", "1.0.0").payload(20).build();
    upload(&store, "js", "a-1.0.0.tgz", &plain);
    upload(&store, "js", "s-a-1.0.0.tgz", &scoped);
    let mut seen = Vec::new();
    for row in store.latest("js", &LatestQuery::default()).unwrap() {
        let row = row.unwrap();
        let by_row = store.download("js", &Selector::from(&row)).unwrap();
        assert_eq!(by_row.file().purl, row.purl);
        let by_number = bytes_of(store.download_file(row.id).unwrap());
        assert_eq!(bytes_of(by_row), by_number);
        seen.push((row.group, by_number));
    }
    assert_eq!(seen, [(String::new(), plain), ("@s".to_owned(), scoped)]);
}

#[test]
fn a_row_of_a_version_with_several_files_leads_to_its_own_file() {
    let (_directory, store) = store("py", "pypi");
    let wheel = hayloft_testkit::wheel("hay", "1.0");
    let sdist = hayloft_testkit::sdist("hay", "1.0");
    upload(&store, "py", &wheel.file_name(), &wheel.build());
    upload(&store, "py", &sdist.file_name(), &sdist.build());
    store.create_feed(FeedDraft::new("gems", "rubygems"), &me()).unwrap();
    for platform in ["ruby", "x86_64-linux"] {
        let gem = hayloft_testkit::gem("hay", "1.0", platform);
        upload(&store, "gems", &gem.file_name(), &gem.build());
    }
    for feed in ["py", "gems"] {
        let rows = store.versions(feed, &VersionsQuery::default()).unwrap();
        let rows: Vec<_> = rows.collect::<Result<_, _>>().unwrap();
        assert_eq!(rows.len(), 2);
        for row in &rows {
            let found = store.file(feed, &Selector::from(row)).unwrap();
            assert_eq!(found, *row);
            let download = store.download_file(row.id).unwrap();
            assert_eq!(download.file().file_name, row.file_name);
        }
    }
}

#[test]
fn what_belongs_to_another_store_is_refused() {
    let (_one, one) = store("apps", "universal");
    let (_other, other) = store("apps", "universal");
    let package = hayloft_testkit::upack("", "tools", "1.0.0").build();
    let file = upload(&one, "apps", "tools.upack", &package);
    upload(&other, "apps", "tools.upack", &package);
    let foreign = |error: StoreError| assert!(matches!(error, StoreError::Foreign { .. }));
    foreign(other.count_download(file.id).unwrap_err());
    foreign(other.manifest(file.id).unwrap_err());
    foreign(other.document(file.id, "readme").unwrap_err());
    let refused = other.download_file(file.id).unwrap_err();
    assert!(refused.to_string().contains("belongs to another store"), "{refused}");
    one.count_download(file.id).unwrap();

    let mut staging = one.stage(None).unwrap();
    std::io::Write::write_all(&mut staging, &package).unwrap();
    let staged = staging.finish().unwrap();
    let refused = other.upload_staged("apps", &UploadRequest::default(), staged, &me());
    assert!(matches!(refused, Err(UploadError::Store(StoreError::Foreign { .. }))), "{refused:?}");
}

#[test]
fn a_change_inside_a_change_is_refused_at_once() {
    let (_directory, store) = store("apps", "universal");
    let package = hayloft_testkit::upack("", "tools", "1.0.0").build();
    let file = upload(&store, "apps", "tools.upack", &package);
    let inner = store.clone();
    let error = store
        .update_feed(
            "apps",
            move |_| {
                inner.create_feed(FeedDraft::new("more", "universal"), &me())?;
                Ok(())
            },
            &me(),
        )
        .unwrap_err();
    assert!(chain(&error).contains("from inside a change"), "{}", chain(&error));
    let inner = store.clone();
    let change = (Selector::from(&file), StatusChange::default());
    let error = store
        .set_status_many(
            "apps",
            vec![change],
            move |files| {
                inner.delete_version("apps", &Selector::from(&files[0]), &me())?;
                Ok(())
            },
            &me(),
        )
        .unwrap_err();
    assert!(chain(&error).contains("from inside a change"), "{}", chain(&error));
    assert_eq!(store.feeds().unwrap().len(), 1);
    assert!(store.file("apps", &Selector::from(&file)).is_ok());
}

#[test]
fn a_list_is_resumed_behind_any_of_its_rows() {
    let (_directory, store) = store("py", "pypi");
    for (name, version) in [("a", "1.0"), ("a", "2.0"), ("b", "1.0"), ("c", "1.0"), ("c", "1.5")] {
        for package in
            [hayloft_testkit::wheel(name, version), hayloft_testkit::sdist(name, version)]
        {
            upload(&store, "py", &package.file_name(), &package.build());
        }
    }
    let versions = |query: &VersionsQuery| -> Vec<_> {
        store.versions("py", query).unwrap().map(|row| row.unwrap()).collect()
    };
    let latest = |query: &LatestQuery| -> Vec<_> {
        store.latest("py", query).unwrap().map(|row| row.unwrap()).collect()
    };
    let all = versions(&VersionsQuery::new());
    assert_eq!(all.len(), 10);
    for (at, row) in all.iter().enumerate() {
        assert_eq!(versions(&VersionsQuery::new().after(row)), all[at + 1..]);
        let of_c = versions(&VersionsQuery::new().name("c").after(row));
        assert_eq!(of_c, all[(at + 1).max(6)..]);
        let of_a = versions(&VersionsQuery::new().name("a").after(row));
        assert_eq!(of_a, all[(at + 1).min(4)..4]);
    }
    let newest = latest(&LatestQuery::new());
    assert_eq!(newest.len(), 6);
    for (at, row) in newest.iter().enumerate() {
        assert_eq!(latest(&LatestQuery::new().after(row)), newest[at + 1..]);
    }
    let packages = |rows: hayloft::Rows<hayloft::PackageInfo>| -> Vec<_> {
        rows.map(|row| row.unwrap()).collect()
    };
    let infos = packages(store.packages("py", None).unwrap());
    for (at, row) in infos.iter().enumerate() {
        let rest = packages(store.packages_after("py", None, row).unwrap());
        assert_eq!(rest, infos[at + 1..]);
    }
    // Rows that are gone meanwhile still tell where the list was left.
    store.delete_version("py", &Selector::ungrouped("a", "2.0"), &me()).unwrap();
    assert_eq!(versions(&VersionsQuery::new().after(&all[1])), all[2..]);
    store.delete_version("py", &Selector::ungrouped("a", "1.0"), &me()).unwrap();
    assert_eq!(versions(&VersionsQuery::new().after(&all[3])), all[4..]);
    let (_other, other) = self::store("py", "pypi");
    assert!(other.versions("py", &VersionsQuery::new().after(&all[0])).is_err());
}

#[test]
fn a_package_url_is_a_selector() {
    let (_directory, store) = store("js", "npm");
    let scoped = hayloft_testkit::npm_tgz("@s/a", "1.0.0").build();
    let file = upload(&store, "js", "s-a-1.0.0.tgz", &scoped);
    let purl: hayloft::Purl = "pkg:npm/%40s/a@1.0.0".parse().unwrap();
    let selector = store.read_purl("js", &purl, Wanted::Latest).unwrap();
    assert_eq!(selector, Selector::from(&file));
    let npm = store.types().get("npm").unwrap();
    assert_eq!(Selector::from_purl(npm.as_ref(), &purl, Wanted::Latest).unwrap(), selector);
    let other: hayloft::Purl = "pkg:nuget/a@1.0.0".parse().unwrap();
    assert!(Selector::from_purl(npm.as_ref(), &other, Wanted::Latest).is_err());
}

#[test]
fn digests_are_told_as_clients_write_them() {
    let (_directory, store) = store("js", "npm");
    let bytes = hayloft_testkit::npm_tgz("a", "1.0.0").build();
    let digests = upload(&store, "js", "a-1.0.0.tgz", &bytes).digests;
    let sri = format!("sha512-{}", data_encoding::BASE64.encode(&digests.sha512));
    assert_eq!(digests.sri(), sri);
    assert_eq!(digests.sha256_hex(), data_encoding::HEXLOWER.encode(&digests.sha256));
}

#[test]
fn long_operations_tell_how_far_they_are_and_can_be_called_off() {
    let (_directory, store) = store("apps", "universal");
    let package = hayloft_testkit::upack("", "tools", "1.0.0").payload(3 << 20).build();
    let file = upload(&store, "apps", "tools.upack", &package);
    let asked = RepackageRequest::new(Selector::from(&file), "2.0.0");
    let told = std::cell::Cell::new(0);
    let refused = store.repackage_watched("apps", &asked, &me(), &|progress| {
        told.set(progress.done);
        if progress.done > 1 << 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(refused, Err(RepackageError::Store(StoreError::Cancelled))), "{refused:?}");
    assert!(told.get() > 1 << 20 && told.get() < 2 << 20, "{}", told.get());
    assert_eq!(store.versions("apps", &VersionsQuery::new()).unwrap().count(), 1);

    let totals = std::cell::Cell::new((0, None));
    store
        .repackage_watched("apps", &asked, &me(), &|progress| {
            totals.set((progress.done, progress.total));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(totals.get().1, Some(file.size));
    assert!(totals.get().0 >= 3 << 20);

    let verify = |most: u64| {
        store.verify_watched(VerifyLevel::Normal, Repair::No, &mut |_| {}, &|progress| {
            told.set(progress.done);
            if progress.done > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    };
    let refused = verify(1 << 20);
    assert!(matches!(refused, Err(VerifyError::Store(StoreError::Cancelled))), "{refused:?}");
    assert!(verify(u64::MAX).unwrap().is_clean());
    assert!(told.get() >= 6 << 20);
}

#[test]
fn options_are_what_their_builder_says() {
    let directory = tempfile::tempdir().unwrap();
    let options = OpenOptions::new()
        .max_file_size(1_000)
        .grace(std::time::Duration::from_secs(3))
        .tool("shop/1");
    assert_eq!(options.grace, 3_000);
    let store = hayloft::open_with(directory.path(), options).unwrap();
    store.create_feed(FeedDraft::new("apps", "universal"), &me()).unwrap();
    let package = hayloft_testkit::upack("", "tools", "1.0.0").payload(2_000).build();
    let refused = store.upload("apps", &UploadRequest::default(), &mut package.as_slice(), &me());
    assert!(matches!(refused, Err(UploadError::TooLarge { limit: 1_000 })), "{refused:?}");
    let missing = hayloft::open_with("/nonexistent", OpenOptions::new().create(Create::Never));
    let error = hayloft::Error::from(missing.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn every_operation_fails_with_one_error_that_tells_what_to_do() {
    fn all(store: &Store) -> Vec<(hayloft::Result<()>, ErrorKind)> {
        let gone = Selector::ungrouped("gone", "1.0.0");
        let here = Selector::ungrouped("tools", "1.0.0");
        let bytes = hayloft_testkit::upack("", "tools", "1.0.0").payload(9).build();
        let upload = |feed, mut bytes: &[u8]| {
            store.upload(feed, &UploadRequest::default(), &mut bytes, &me())
        };
        vec![
            (upload("apps", &bytes).map(drop).map_err(Into::into), ErrorKind::Conflict),
            (upload("none", &bytes).map(drop).map_err(Into::into), ErrorKind::NotFound),
            (upload("apps", b"no package").map(drop).map_err(Into::into), ErrorKind::Invalid),
            (store.file("apps", &gone).map(drop).map_err(Into::into), ErrorKind::NotFound),
            (
                store.delete_version("apps", &gone, &me()).map(drop).map_err(Into::into),
                ErrorKind::NotFound,
            ),
            (
                store
                    .repackage("apps", &RepackageRequest::new(here, "1.0.0"), &me())
                    .map(drop)
                    .map_err(Into::into),
                ErrorKind::Invalid,
            ),
            (
                store
                    .create_feed(FeedDraft::new("apps", "npm"), &me())
                    .map(drop)
                    .map_err(Into::into),
                ErrorKind::Conflict,
            ),
            (hayloft::open(store.directory()).map(drop).map_err(Into::into), ErrorKind::Busy),
        ]
    }
    let (_directory, store) = store("apps", "universal");
    let package = hayloft_testkit::upack("", "tools", "1.0.0").build();
    upload(&store, "apps", "tools.upack", &package);
    for (at, (result, expected)) in all(&store).into_iter().enumerate() {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), expected, "{at}: {}", error.report());
    }
    let mut bytes = &b"no package"[..];
    let refused = store.upload("apps", &UploadRequest::default(), &mut bytes, &me()).unwrap_err();
    let error = hayloft::Error::from(refused);
    assert!(error.report().starts_with("the package was not accepted: the file is not"));
    assert!(matches!(error.downcast_ref(), Some(UploadError::Refused(_))));
    store.close().unwrap();
    let closed = hayloft::Error::from(store.feeds().unwrap_err());
    assert_eq!(closed.kind(), ErrorKind::Closed);
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Universal packages, but for a bug with some of them.
#[derive(Debug)]
struct Brittle(Arc<dyn FeedType>);

impl FeedType for Brittle {
    fn tag(&self) -> &'static str {
        "brittle"
    }

    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        self.0.package_name(group, name)
    }

    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        self.0.version(text)
    }

    fn qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        self.0.qualifiers(asked)
    }

    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        let found = self.0.inspect(upload, limits)?;
        assert_ne!(found.identity.package.name(), "glass");
        Ok(found.with_fragments(Vec::new()))
    }

    fn repackage(&self, _: Repackage<'_>, _: &Limits) -> Result<Repackaged, FeedTypeError> {
        unreachable!()
    }

    fn file_name(&self, identity: &Identity) -> String {
        self.0.file_name(identity)
    }
}

#[test]
fn a_panic_inside_a_type_is_an_error_and_the_store_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let universal = hayloft::feed_types().get("universal").unwrap().clone();
    let types = FeedTypes::none().with(Brittle(universal));
    let store = Store::open(directory.path(), types, OpenOptions::default()).unwrap();
    store.create_feed(FeedDraft::new("apps", "brittle"), &me()).unwrap();
    let glass = hayloft_testkit::upack("", "glass", "1.0.0").build();
    let refused =
        store.upload("apps", &UploadRequest::default(), &mut glass.as_slice(), &me()).unwrap_err();
    assert!(matches!(refused, UploadError::Store(StoreError::Panicked)), "{refused:?}");
    let stone = hayloft_testkit::upack("", "stone", "1.0.0").build();
    upload(&store, "apps", "stone.upack", &stone);
    let asked = RepackageRequest::new(Selector::ungrouped("stone", "1.0.0"), "2.0.0");
    let refused = store.repackage("apps", &asked, &me()).unwrap_err();
    assert!(matches!(refused, RepackageError::Store(StoreError::Panicked)), "{refused:?}");
    let versions = store.versions("apps", &VersionsQuery::default()).unwrap();
    assert_eq!(versions.count(), 1);
}

/// Their list alone is longer than any document that is kept.
#[test]
fn a_package_of_very_many_files_is_stored_without_their_list() {
    let directory = tempfile::tempdir().unwrap();
    let store = hayloft::open(directory.path()).unwrap();
    store.create_feed(FeedDraft::new("apps", "universal"), &me()).unwrap();
    let package = |files: usize| {
        let empty = hayloft_testkit::upack("", "many", &format!("1.0.{files}"));
        let named = |package: hayloft_testkit::Package, at| package.file(&format!("{at}"), b"");
        (0..files).fold(empty, named).build()
    };
    for (files, is_listed) in [(3, true), (60_000, false)] {
        let package = package(files);
        let request = UploadRequest::default();
        let uploaded = store.upload("apps", &request, &mut package.as_slice(), &me()).unwrap();
        let warned = uploaded.warnings.iter().any(|text| text.contains("the list of files is"));
        assert_eq!(warned, !is_listed, "{files}: {:?}", uploaded.warnings);
    }
}
