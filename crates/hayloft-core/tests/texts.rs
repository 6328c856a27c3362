//! Everything that callers give has a limit: what is above it is refused in words, and what is not
//! can be read again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use hayloft_core::{
    Actor, AuditQuery, Background, Batch, Deprecation, DeprecationChange, Direction, FeedDraft,
    FeedError, FeedTypes, Files, Fs, Kept, KeyError, KeyGrant, Manifests, MetaStore, OpenOptions,
    PromoteError, PromoteRequest, PromotionQuery, RealFs, RedbOptions, RedbStore, RepackageError,
    RepackageRequest, Repair, Selector, SettingError, StatusChange, StatusError, Store, Table,
    TagError, TooLong, Unit, UploadError, UploadRequest, VerifyLevel, VersionsQuery,
};
use hayloft_feed::{
    Document, FeedType, FeedTypeError, Fragment, HistoryEntry, Identity, Inspected, Limits,
    NameKey, PackageName, Qualifiers, Repackage, Repackaged, SortKey, Stability, Upload, Version,
};

/// A type that finds in every file what the parameters of the upload tell it to.
#[derive(Debug)]
struct Wordy;

fn refused(why: &str) -> FeedTypeError {
    FeedTypeError::Refused { feed_type: "wordy", detail: why.into() }
}

fn version(text: &str, key: usize) -> Version {
    // Versions that are told apart by their numbers sort by them, too.
    let mut bytes = text.bytes().filter(u8::is_ascii_digit).take(8).collect::<Vec<_>>();
    bytes.resize(key.max(bytes.len()), b'k');
    Version::new(text, text, SortKey::from_bytes(&bytes), Stability::Stable)
}

impl FeedType for Wordy {
    fn tag(&self) -> &'static str {
        "wordy"
    }

    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        let short = |text: &str| text.get(..20).unwrap_or(text).to_owned();
        let key = NameKey::new(&short(group), &short(name)).map_err(|_| refused("name"))?;
        Ok(PackageName::new(group, name, key))
    }

    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        Ok(version(text, 9))
    }

    fn qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        Ok(asked.clone())
    }

    fn inspect(&self, upload: Upload<'_>, _: &Limits) -> Result<Inspected, FeedTypeError> {
        let text = |name: &str| upload.hints.get(name).cloned().unwrap_or_default();
        let number = |name: &str| text(name).parse().unwrap_or(0);
        let pairs = ["as", "q"].map(|name| (name, text(name)));
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let named = Document::new("d".repeat(number("document-name")), Vec::new());
        let mut documents = vec![named; number("documents").max(1)];
        documents[0].bytes = vec![b'x'; number("document")];
        let reason = "r".repeat(number("reason"));
        Ok(Inspected::new(
            Identity {
                package: self.package_name(&text("group"), &text("name"))?,
                version: version(&text("version"), number("sort-key").max(9)),
                qualifiers: Qualifiers::from_pairs(pairs).map_err(|_| refused("qualifiers"))?,
            },
            " ".repeat(number("manifest")),
        )
        .with_fragments(vec![Fragment { kind: 1, bytes: vec![b'f'; number("fragment")] }])
        .with_documents(documents)
        .with_history(
            (!reason.is_empty())
                .then(|| HistoryEntry { reason: Some(reason), ..HistoryEntry::of("a:1") })
                .into_iter()
                .collect(),
        ))
    }

    fn repackage(&self, order: Repackage<'_>, _: &Limits) -> Result<Repackaged, FeedTypeError> {
        order
            .source
            .rewind()
            .and_then(|()| io::copy(order.source, order.out))
            .map_err(FeedTypeError::Io)?;
        Ok(Repackaged::plain())
    }

    fn file_name(&self, identity: &Identity) -> String {
        identity.qualifiers.get("as").unwrap_or("file").to_owned()
    }
}

fn open(directory: &Path) -> Store {
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    Store::open(directory, FeedTypes::none().with(Wordy), options).unwrap()
}

fn actor() -> Actor {
    Actor::api()
}

/// Uploads a file in which these things are found; a name and a version of its own otherwise.
fn upload(store: &Store, found: &[(&str, String)]) -> Result<(), Box<dyn Error>> {
    let number = store.audit_log(&AuditQuery::default())?.count();
    let mut hints = BTreeMap::from([
        ("name".to_owned(), format!("name{number}")),
        ("version".to_owned(), format!("1.{number}")),
    ]);
    hints.extend(found.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let request = UploadRequest { hints, ..UploadRequest::default() };
    store.upload("main", &request, &mut number.to_string().as_bytes(), &actor())?;
    Ok(())
}

fn text(length: usize) -> String {
    "t".repeat(length)
}

fn lengthy(name: &'static str, length: usize) -> [(&'static str, String); 1] {
    [(name, length.to_string())]
}

fn with_text(name: &'static str, length: usize) -> [(&'static str, String); 1] {
    [(name, text(length))]
}

fn feed(store: &Store, change: impl FnOnce(&mut FeedDraft)) -> Result<(), Box<dyn Error>> {
    let number = store.feeds()?.len();
    let mut draft = FeedDraft::new(format!("feed{number}"), "wordy");
    change(&mut draft);
    Ok(store.create_feed(draft, &actor()).map(drop)?)
}

fn key(store: &Store, grant: KeyGrant) -> Result<(), Box<dyn Error>> {
    Ok(store.create_key(grant, None, &actor()).map(drop)?)
}

fn deprecate(store: &Store, deprecation: Deprecation) -> Result<(), Box<dyn Error>> {
    let change = StatusChange {
        deprecation: Some(DeprecationChange::Set(deprecation)),
        ..StatusChange::default()
    };
    Ok(store.set_status("main", &Selector::ungrouped("first", "1"), &change, &actor()).map(drop)?)
}

fn repackage(
    store: &Store,
    change: impl FnOnce(&mut RepackageRequest),
) -> Result<(), Box<dyn Error>> {
    let number = store.audit_log(&AuditQuery::default())?.count();
    let mut request =
        RepackageRequest::new(Selector::ungrouped("first", "1"), format!("2.{number}"));
    change(&mut request);
    // The type cannot do it; what matters is whether it is asked.
    match store.repackage("main", &request, &actor()) {
        Err(RepackageError::File { .. }) => Ok(()),
        outcome => Ok(outcome.map(drop)?),
    }
}

/// Gives the store as much of it.
#[expect(clippy::too_many_lines, reason = "one arm for each, so that none is left out")]
fn give(store: &Store, kept: Kept, length: usize) -> Result<(), Box<dyn Error>> {
    let numbered = |at: usize| format!("n{at}");
    match kept {
        Kept::FeedName => feed(store, |draft| draft.name = text(length)),
        Kept::AlternateName => feed(store, |draft| draft.alternates = vec!["a".repeat(length)]),
        Kept::AlternateNames => {
            feed(store, |draft| draft.alternates = (0..length).map(numbered).collect())
        }
        Kept::FeedDescription => {
            feed(store, |draft| draft.settings.description = Some(text(length)))
        }
        Kept::FeedOther => {
            let other = format!("{{\"a\":\"{}\"}}", text(length - 8));
            feed(store, |draft| draft.settings.other = other)
        }
        Kept::Group => upload(store, &with_text("group", length)),
        Kept::PackageName => upload(store, &with_text("name", length)),
        Kept::Version => {
            upload(store, &[("name", "versions".to_owned()), ("version", text(length))])
        }
        Kept::SortKey => upload(store, &lengthy("sort-key", length)),
        Kept::Qualifiers => upload(store, &with_text("q", length - 2)),
        Kept::FileName => upload(store, &with_text("as", length)),
        Kept::DocumentName => upload(store, &lengthy("document-name", length)),
        Kept::Documents => upload(store, &lengthy("documents", length)),
        Kept::Manifest => upload(store, &lengthy("manifest", length)),
        Kept::History => {
            let entry = HistoryEntry { reason: Some(String::new()), ..HistoryEntry::of("a:1") };
            let rest = serde_json::to_string(&[entry]).unwrap().len();
            upload(store, &lengthy("reason", length - rest))
        }
        Kept::Document => upload(store, &lengthy("document", length)),
        Kept::IndexEntry => upload(store, &lengthy("fragment", length)),
        Kept::Tag => Ok(store
            .set_tag("main", &text(length), &Selector::ungrouped("first", "1"), &actor())
            .map(drop)?),
        Kept::Tags => {
            let tags = (0..length).map(numbered).collect();
            let hints = BTreeMap::from([
                ("name".to_owned(), "tags".to_owned()),
                ("version".to_owned(), length.to_string()),
            ]);
            let request = UploadRequest { tags, hints, ..UploadRequest::default() };
            Ok(store.upload("main", &request, &mut &b"tags"[..], &actor()).map(drop)?)
        }
        Kept::TagTexts => {
            // Version `1` and tags of 199 bytes, the last one with the rest.
            let whole = length / 200;
            let tag = |at: usize, length: usize| format!("{at:0>5}{}", "t".repeat(length - 5));
            let mut tags: Vec<String> = (1..whole).map(|at| tag(at, 199)).collect();
            tags.push(tag(whole, length - 200 * (whole - 1) - 1));
            let name = format!("texts{length}");
            let hints =
                BTreeMap::from([("name".to_owned(), name), ("version".to_owned(), "1".to_owned())]);
            let request = UploadRequest { tags, hints, ..UploadRequest::default() };
            Ok(store.upload("main", &request, &mut &b"texts"[..], &actor()).map(drop)?)
        }
        Kept::DeprecationReason => {
            deprecate(store, Deprecation { reason: Some(text(length)), details: None })
        }
        Kept::DeprecationDetails => {
            // Escaped twice over in the audit log.
            let details =
                format!("{{\"a\":\"{}{}\"}}", "\\\"".repeat(length / 2 - 5), text(length % 2 + 2));
            deprecate(store, Deprecation { reason: None, details: Some(details) })
        }
        Kept::Comments => {
            let mut request = PromoteRequest::new(Selector::ungrouped("first", "1"), "next");
            request.comments = Some(text(length));
            store.promote("main", &request, &actor())?;
            repackage(store, |request| request.comments = Some(text(length)))
        }
        Kept::Url => repackage(store, |request| request.url = Some(text(length))),
        Kept::Actor => {
            let actor = Actor::named(text(length));
            Ok(store.set_tag("main", "t", &Selector::ungrouped("first", "1"), &actor).map(drop)?)
        }
        Kept::Address => {
            let actor = Actor { address: Some(text(length)), ..actor() };
            Ok(store.set_setting("address", Some("a"), &actor)?)
        }
        Kept::KeyKind => key(store, KeyGrant { kind: text(length), ..KeyGrant::default() }),
        Kept::KeyDisplayName => {
            key(store, KeyGrant { display_name: Some(text(length)), ..KeyGrant::default() })
        }
        Kept::KeyDescription => {
            key(store, KeyGrant { description: Some(text(length)), ..KeyGrant::default() })
        }
        Kept::KeyApi => {
            key(store, KeyGrant { system_apis: vec![text(length)], ..KeyGrant::default() })
        }
        Kept::KeyApis => key(
            store,
            KeyGrant { system_apis: (0..length).map(numbered).collect(), ..KeyGrant::default() },
        ),
        Kept::KeyPermission => {
            key(store, KeyGrant { package_permissions: vec![text(length)], ..KeyGrant::default() })
        }
        Kept::KeyPermissions => {
            let package_permissions = (0..length).map(numbered).collect();
            key(store, KeyGrant { package_permissions, ..KeyGrant::default() })
        }
        Kept::KeyGroup => {
            key(store, KeyGrant { feed_group: Some(text(length)), ..KeyGrant::default() })
        }
        Kept::KeyUser => key(store, KeyGrant { user: Some(text(length)), ..KeyGrant::default() }),
        Kept::KeyLogging => key(store, KeyGrant { logging: text(length), ..KeyGrant::default() }),
        Kept::SettingName => Ok(store.set_setting(&text(length), Some("v"), &actor())?),
        Kept::SettingValue => Ok(store.set_setting("long", Some(&text(length)), &actor())?),
        Kept::Settings => {
            while store.settings()?.len() < length {
                store.set_setting(&format!("s{}", store.settings()?.len()), Some("v"), &actor())?;
            }
            Ok(())
        }
        // In a store of its own: see below.
        Kept::Keys => Ok(()),
        // A new one has to be tried here as well.
        other => panic!("{other:?} is not tried"),
    }
}

/// What an operation found too long, if that is why it failed.
fn too_long<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TooLong> {
    macro_rules! found_in {
        ($($operation:ident),+) => {
            $(if let Some($operation::TooLong(found)) = error.downcast_ref() {
                return Some(found);
            })+
        };
    }
    found_in!(FeedError, KeyError, PromoteError, RepackageError, SettingError, StatusError);
    found_in!(TagError, UploadError);
    None
}

/// A store in which a package can be given another status, tag, feed and version.
fn prepared(directory: &Path) -> Store {
    let store = open(directory);
    store.create_feed(FeedDraft::new("main", "wordy"), &actor()).unwrap();
    store.create_feed(FeedDraft::new("next", "wordy"), &actor()).unwrap();
    upload(&store, &[("name", "first".to_owned()), ("version", "1".to_owned())]).unwrap();
    store
}

/// Reads all that a store keeps.
fn read_all(store: &Store) {
    assert!(!store.keys().unwrap().is_empty() && !store.settings().unwrap().is_empty());
    for feed in store.feeds().unwrap() {
        for package in store.packages(&feed.name, None).unwrap() {
            package.unwrap();
        }
        let query = VersionsQuery {
            manifests: Manifests::Included,
            files: Files::All,
            ..VersionsQuery::default()
        };
        for file in store.versions(&feed.name, &query).unwrap() {
            let file = file.unwrap();
            for document in &file.documents {
                store.document(file.id, document).unwrap().unwrap();
            }
        }
    }
    for row in store.audit_log(&AuditQuery::default()).unwrap() {
        row.unwrap();
    }
    assert_eq!(store.promotions(&PromotionQuery::default()).unwrap().count(), 1);
    let mut findings = Vec::new();
    let mut report = |finding: &hayloft_core::Finding| findings.push(finding.clone());
    store.verify(VerifyLevel::Normal, Repair::No, &mut report).unwrap();
    assert_eq!(findings, []);
}

#[test]
fn every_limit_is_kept_and_named_and_what_is_within_it_can_be_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = prepared(directory.path());
    let counted = [Kept::Keys, Kept::Settings];
    for kept in Kept::ALL.iter().copied().filter(|kept| *kept != Kept::Keys) {
        // A name with a rule of its own is refused by that.
        let by_rule = [Kept::FeedName, Kept::AlternateName].contains(&kept);
        let error = if counted.contains(&kept) {
            give(&store, kept, kept.limit()).unwrap();
            give(&store, kept, kept.limit() + 1).unwrap_err()
        } else {
            let error = give(&store, kept, kept.limit() + 1).unwrap_err();
            give(&store, kept, kept.limit())
                .unwrap_or_else(|error| panic!("{kept:?} at its limit: {error}"));
            error
        };
        if by_rule {
            assert!(error.to_string().contains("1 to 50"), "{error}");
            continue;
        }
        let found = too_long(error.as_ref()).unwrap_or_else(|| panic!("{kept:?}: {error:?}"));
        assert_eq!((found.kept, found.length), (kept, kept.limit() + 1));
        let text = found.to_string();
        let numbers = format!("has {} {}, at most {}", found.length, kept.unit(), kept.limit());
        assert!(text.contains(kept.name()) && text.contains(&numbers), "{text}");
    }
    read_all(&store);
    store.close().unwrap();
    let store = open(directory.path());
    read_all(&store);
}

#[test]
fn what_is_far_above_a_limit_is_refused_too() {
    let directory = tempfile::tempdir().unwrap();
    let store = prepared(directory.path());
    let texts = Kept::ALL.iter().copied().filter(|kept| {
        let rule = [Kept::FeedName, Kept::AlternateName].contains(kept);
        kept.unit() == Unit::Bytes && !rule
    });
    for kept in texts {
        // Just under the limit that a whole row once had, and far above it.
        for length in [(1 << 20) - 4, 3 << 20] {
            if length <= kept.limit() {
                continue;
            }
            let error = give(&store, kept, length).unwrap_err();
            assert!(too_long(error.as_ref()).is_some(), "{kept:?}: {error:?}");
        }
    }
    assert_eq!(store.keys().unwrap(), []);
}

#[test]
fn all_parts_of_a_row_may_be_as_long_as_they_may_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = prepared(directory.path());
    let limit = |kept: Kept| kept.limit();
    let numbered = |count: usize, length: usize| -> Vec<String> {
        (0..count).map(|at| format!("{at:0>length$}")).collect()
    };
    feed(&store, |draft| {
        draft.name = text(limit(Kept::FeedName));
        draft.alternates = numbered(limit(Kept::AlternateNames), limit(Kept::AlternateName));
        draft.settings.description = Some(text(limit(Kept::FeedDescription)));
        draft.settings.other = format!("{{\"a\":\"{}\"}}", text(limit(Kept::FeedOther) - 8));
    })
    .unwrap();
    let grant = KeyGrant {
        kind: text(limit(Kept::KeyKind)),
        display_name: Some(text(limit(Kept::KeyDisplayName))),
        description: Some(text(limit(Kept::KeyDescription))),
        system_apis: numbered(limit(Kept::KeyApis), limit(Kept::KeyApi)),
        package_permissions: numbered(limit(Kept::KeyPermissions), limit(Kept::KeyPermission)),
        user: Some(text(limit(Kept::KeyUser))),
        feed_group: Some(text(limit(Kept::KeyGroup))),
        logging: text(limit(Kept::KeyLogging)),
        ..KeyGrant::default()
    };
    key(&store, grant).unwrap();
    // A version of very many files with the longest names, described in every row there is.
    let actor = Actor {
        address: Some(text(limit(Kept::Address))),
        key_id: Some(u64::MAX),
        ..Actor::named(text(limit(Kept::Actor)))
    };
    let (group, name) = ("g".repeat(limit(Kept::Group)), "n".repeat(limit(Kept::PackageName)));
    let version = "1".repeat(limit(Kept::Version));
    for file in 0..120 {
        let hints = BTreeMap::from([
            ("group".to_owned(), group.clone()),
            ("name".to_owned(), name.clone()),
            ("version".to_owned(), version.clone()),
            ("as".to_owned(), format!("{file:0>0$}", limit(Kept::FileName))),
            ("q".to_owned(), text(limit(Kept::Qualifiers) - limit(Kept::FileName) - 6)),
            ("document-name".to_owned(), limit(Kept::DocumentName).to_string()),
        ]);
        let request = UploadRequest { hints, ..UploadRequest::default() };
        let bytes = file.to_string();
        store.upload("main", &request, &mut bytes.as_bytes(), &actor).unwrap();
    }
    let selector = Selector::grouped(&group, &name, &version);
    let mut request = PromoteRequest::new(selector.clone(), "next");
    request.comments = Some(text(limit(Kept::Comments)));
    let promoted = store.promote("main", &request, &actor).unwrap();
    assert_eq!(promoted.files.len(), 120);
    let deprecation = Deprecation {
        reason: Some(text(limit(Kept::DeprecationReason))),
        details: Some(format!("{{\"a\":\"{}\"}}", text(limit(Kept::DeprecationDetails) - 8))),
    };
    let change = StatusChange {
        deprecation: Some(DeprecationChange::Set(deprecation)),
        ..StatusChange::default()
    };
    store.set_status("main", &selector, &change, &actor).unwrap();
    let mut other = change;
    other.allow = Some(Some(hayloft_core::Allow::Always));
    store.set_status("main", &selector, &other, &actor).unwrap();
    store.set_setting("name", Some(&text(limit(Kept::SettingValue))), &actor).unwrap();
    read_all(&store);
    assert_eq!(store.delete_version("main", &selector, &actor).unwrap().files, 120);
    read_all(&store);
}

#[test]
fn there_are_so_many_api_keys_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    key(&store, KeyGrant::default()).unwrap();
    store.close().unwrap();
    // Copies of that key up to one below the limit.
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let path = directory.path().join("meta.redb");
    let meta = RedbStore::open(&fs, &path, &RedbOptions::default()).unwrap();
    let all = (Bound::Unbounded, Bound::Unbounded);
    let table = Table("api_key-1");
    let row = meta.snapshot(&[]).unwrap().scan(table, all, Direction::Forward, 2).unwrap();
    let content = &row[0].1[..row[0].1.len() - 4];
    let put = (2..Kept::Keys.limit() as u64).map(|number| {
        let id = 1_000_000 + number;
        let key = id.to_be_bytes().to_vec();
        let sum = crc32c::crc32c_append(crc32c::crc32c(&key), content);
        (table, key, [content, &sum.to_be_bytes()].concat())
    });
    meta.commit(&Batch { put: put.collect(), ..Batch::default() }).unwrap();
    drop(meta);
    let store = open(directory.path());
    assert_eq!(store.keys().unwrap().len(), Kept::Keys.limit() - 1);
    key(&store, KeyGrant::default()).unwrap();
    let error = store.create_key(KeyGrant::default(), None, &actor()).unwrap_err();
    assert_eq!(too_long(&error).unwrap().kept, Kept::Keys);
}

#[test]
fn a_version_with_a_nul_is_refused_for_the_key_of_another_might_begin_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = prepared(directory.path());
    let error = upload(&store, &[("version", "1\0".to_owned())]).unwrap_err();
    let source = error.source().unwrap().source().unwrap();
    assert_eq!(source.to_string(), "contains a NUL character");
    assert!(matches!(error.downcast_ref(), Some(UploadError::Refused(_))));
}

/// Why a text in a row is not too long.
enum Bounded {
    /// Callers give it: of these parts.
    Given(&'static [Kept]),
    /// The store or a type makes it.
    Own(&'static str),
}

use Bounded::{Given, Own};

/// Every text and list in a row: record, field, what bounds it.
const ROWS: &[(&str, &str, Bounded)] = &[
    ("FeedRecord", "name", Given(&[Kept::FeedName])),
    ("FeedRecord", "alternates", Given(&[Kept::AlternateName, Kept::AlternateNames])),
    ("FeedRecord", "tag", Own("tag of a type of this program")),
    ("FeedRecord", "description", Given(&[Kept::FeedDescription])),
    ("FeedRecord", "other", Given(&[Kept::FeedOther])),
    ("FeedNameRecord", "spelled", Given(&[Kept::FeedName, Kept::AlternateName])),
    ("FeedNameRecord", "tag", Own("tag of a type of this program")),
    ("PackageRecord", "group", Given(&[Kept::Group])),
    ("PackageRecord", "name", Given(&[Kept::PackageName])),
    ("PackageRecord", "tags", Given(&[Kept::Tag, Kept::Tags, Kept::TagTexts])),
    ("Pointer", "suffix", Given(&[Kept::SortKey, Kept::Version])),
    ("Pointer", "text", Given(&[Kept::Version])),
    ("VersionRecord", "text", Given(&[Kept::Version])),
    ("VersionRecord", "identity", Given(&[Kept::Version])),
    ("VersionRecord", "files", Own("cut into rows of their own: MoreFilesRecord")),
    ("DeprecationValue", "reason", Given(&[Kept::DeprecationReason])),
    ("DeprecationValue", "details", Given(&[Kept::DeprecationDetails])),
    ("OriginValue", "Promoted", Given(&[Kept::FeedName])),
    ("OriginValue", "Repackaged", Given(&[Kept::FeedName, Kept::Version])),
    ("FileValue", "qualifiers", Given(&[Kept::Qualifiers])),
    ("FileValue", "file_name", Given(&[Kept::FileName])),
    ("FileValue", "published_by", Given(&[Kept::Actor])),
    ("FileValue", "documents", Given(&[Kept::DocumentName, Kept::Documents])),
    ("MoreFilesRecord", "0", Own("filled up to a size")),
    (
        "VersionPlaceRecord",
        "key",
        Given(&[Kept::Group, Kept::PackageName, Kept::SortKey, Kept::Version]),
    ),
    (
        "FragmentRecord",
        "bytes",
        Given(&[Kept::Manifest, Kept::History, Kept::Document, Kept::IndexEntry]),
    ),
    (
        "FragmentPartRecord",
        "0",
        Given(&[Kept::Manifest, Kept::History, Kept::Document, Kept::IndexEntry]),
    ),
    ("UseRecord", "qualifiers", Given(&[Kept::Qualifiers])),
    ("GroupsRecord", "0", Own("cut into rows of a fixed size")),
    ("PromotionRecord", "tag", Own("tag of a type of this program")),
    ("PromotionRecord", "from_feed", Given(&[Kept::FeedName])),
    ("PromotionRecord", "to_feed", Given(&[Kept::FeedName])),
    ("PromotionRecord", "group", Given(&[Kept::Group])),
    ("PromotionRecord", "name", Given(&[Kept::PackageName])),
    ("PromotionRecord", "version", Given(&[Kept::Version])),
    ("PromotionRecord", "user", Given(&[Kept::Actor])),
    ("PromotionRecord", "comments", Given(&[Kept::Comments])),
    ("PromotionRecord", "name_key", Given(&[Kept::Group, Kept::PackageName])),
    ("RepackagingRecord", "tag", Own("tag of a type of this program")),
    ("RepackagingRecord", "from_feed", Given(&[Kept::FeedName])),
    ("RepackagingRecord", "to_feed", Given(&[Kept::FeedName])),
    ("RepackagingRecord", "group", Given(&[Kept::Group])),
    ("RepackagingRecord", "name", Given(&[Kept::PackageName])),
    ("RepackagingRecord", "from_version", Given(&[Kept::Version])),
    ("RepackagingRecord", "to_version", Given(&[Kept::Version])),
    ("RepackagingRecord", "user", Given(&[Kept::Actor])),
    ("RepackagingRecord", "comments", Given(&[Kept::Comments])),
    ("RepackagingRecord", "files", Own("cut into rows of their own: MoreRepackagedRecord")),
    ("RepackagingRecord", "name_key", Given(&[Kept::Group, Kept::PackageName])),
    ("MoreRepackagedRecord", "0", Own("filled up to a size")),
    ("RepackagedValue", "from_name", Given(&[Kept::FileName])),
    ("RepackagedValue", "to_name", Given(&[Kept::FileName])),
    ("AuditRecord", "actor", Given(&[Kept::Actor])),
    ("AuditRecord", "address", Given(&[Kept::Address])),
    ("AuditRecord", "action", Own("a name of this program")),
    ("AuditRecord", "feed", Given(&[Kept::FeedName])),
    ("AuditRecord", "to_feed", Given(&[Kept::FeedName])),
    ("AuditRecord", "group", Given(&[Kept::Group])),
    ("AuditRecord", "name", Given(&[Kept::PackageName])),
    ("AuditRecord", "version", Given(&[Kept::Version])),
    ("AuditRecord", "new_version", Given(&[Kept::Version])),
    ("AuditRecord", "comments", Given(&[Kept::Comments])),
    (
        "AuditRecord",
        "details",
        Given(&[
            Kept::DeprecationReason,
            Kept::DeprecationDetails,
            Kept::Tag,
            Kept::FileName,
            Kept::SettingName,
            Kept::Url,
        ]),
    ),
    ("KeyRecord", "kind", Given(&[Kept::KeyKind])),
    ("KeyRecord", "display_name", Given(&[Kept::KeyDisplayName])),
    ("KeyRecord", "description", Given(&[Kept::KeyDescription])),
    ("KeyRecord", "system_apis", Given(&[Kept::KeyApi, Kept::KeyApis])),
    ("KeyRecord", "package_permissions", Given(&[Kept::KeyPermission, Kept::KeyPermissions])),
    ("KeyRecord", "feed_group", Given(&[Kept::KeyGroup])),
    ("KeyRecord", "user", Given(&[Kept::KeyUser])),
    ("KeyRecord", "logging", Given(&[Kept::KeyLogging])),
    ("SettingRecord", "0", Given(&[Kept::SettingValue])),
    ("JobRecord", "OldLines", Own("name of a log, chosen by a type")),
    ("IndexRowRecord", "bytes", Own("cut into parts")),
    ("IndexPartRecord", "0", Own("cut into parts")),
    ("IndexStateRecord", "tag", Own("tag of a type of this program")),
    ("IndexState", "Building", Own("key of a row")),
    ("IndexLogRecord", "digests", Own("states of two digests")),
    ("IndexLinesRecord", "0", Own("cut into lines")),
    ("SearchValue", "terms", Own("32 terms, each cut")),
    ("SearchCountRecord", "0", Own("one for each set of flags")),
    ("SecretRecord", "0", Own("made by a type, never given")),
];

/// Texts and lists of the records in a source file.
fn texts_of(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut record = String::new();
    for line in source.lines() {
        let words = line.trim().trim_start_matches("pub(crate) ");
        if line.starts_with("pub(crate) ") && !line.starts_with("pub(crate) mod") {
            let name = words.split([' ', '(', ';']).nth(1).unwrap();
            name.clone_into(&mut record);
            let Some((_, tuple)) = words.split_once('(') else { continue };
            if tuple.contains("String") || tuple.contains("Vec<") {
                found.push((record.clone(), "0".to_owned()));
            }
        } else if line == "}" {
            record.clear();
        } else if !record.is_empty()
            && !words.starts_with("//")
            && (words.contains("String") || words.contains("Vec<"))
        {
            let field = words.split([':', ' ', '(']).next().unwrap();
            found.push((record.clone(), field.to_owned()));
        }
    }
    found.sort();
    found
}

#[test]
fn every_text_in_a_row_is_bounded_and_every_limit_is_of_something_in_a_row() {
    let mut texts = texts_of(include_str!("../src/records.rs"));
    texts.extend(texts_of(include_str!("../src/records/index.rs")));
    texts.sort();
    let mut listed: Vec<_> =
        ROWS.iter().map(|(record, field, _)| ((*record).into(), (*field).into())).collect();
    listed.sort();
    assert_eq!(texts, listed, "give what is new a limit, and list it");
    // Numbers of rows are no part of one.
    let mut unused: Vec<Kept> = Kept::ALL.to_vec();
    unused.retain(|kept| ![Kept::Keys, Kept::Settings].contains(kept));
    for (record, field, bounded) in ROWS {
        match bounded {
            Given(parts) => unused.retain(|kept| !parts.contains(kept)),
            Own(why) => assert!(!why.is_empty(), "{record} {field}"),
        }
    }
    assert_eq!(unused, [], "limits of nothing that is kept");
}
