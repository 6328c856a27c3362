//! A store in the hands of a program that embeds it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to fail")]

use std::io::Read;
use std::sync::Arc;

use hayloft::feed_type::{
    Identity, Inspected, PackageName, Repackage, Repackaged, Upload, Version,
};
use hayloft::{
    Actor, FeedDraft, FeedType, FeedTypeError, FeedTypes, LatestQuery, Limits, OpenOptions,
    Qualifiers, RepackageError, RepackageRequest, Selector, StatusChange, Store, StoreError,
    UploadError, UploadRequest, VersionsQuery,
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
        Ok(Inspected { fragments: Vec::new(), ..found })
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
