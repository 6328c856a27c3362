//! The bytes of every record. `goldens.txt` never changes: lines are only added. If this test
//! fails, the release cannot read its predecessors' stores: give the record a new version.

use std::collections::BTreeSet;
use std::fmt;

use data_encoding::HEXLOWER;

use super::*;
use crate::codec::{decode, encode};
use crate::{StoreError, Table};

const TABLE: Table = Table("golden-1");
const KEY: &[u8] = b"key";
const GOLDENS: &str = include_str!("goldens.txt");

struct Goldens {
    /// What was written when each layout was released.
    released: &'static str,
    lines: String,
    kinds: BTreeSet<u8>,
}

impl Goldens {
    /// Encodes a record, and reads what was written for it when its layout was released.
    fn add<R: Record + PartialEq + fmt::Debug>(&mut self, name: &str, record: &R) {
        let value = encode(TABLE, KEY, record).unwrap();
        self.kinds.insert(R::KIND);
        let line = format!("{name} {}\n", HEXLOWER.encode(&value));
        let released = self.released.lines().find_map(|line| {
            let (found, hex) = line.split_once(' ')?;
            (found == name).then(|| HEXLOWER.decode(hex.as_bytes()).unwrap())
        });
        if let Some(released) = released {
            assert_eq!(&decode::<R>(TABLE, KEY, &released).unwrap(), record, "{name}");
        }
        self.lines.push_str(&line);
    }
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn digests() -> DigestsValue {
    DigestsValue { blake3: [1; 32], md5: [2; 16], sha1: [3; 20], sha256: [4; 32], sha512: [5; 64] }
}

fn file() -> FileValue {
    FileValue {
        number: 3,
        role: RoleValue::Package,
        qualifiers: text("arch=amd64"),
        file_name: text("a_1_amd64.deb"),
        size: 70_000,
        digests: digests(),
        published: 1_800_000_000_000,
        published_by: text("ann"),
        history: HistoryValue::Embedded,
        documents: vec![text("control")],
    }
}

fn version() -> VersionRecord {
    VersionRecord {
        version: 9,
        package: 8,
        text: text("1.0.0-RC.1"),
        identity: text("1.0.0-rc.1"),
        stability: StabilityValue::Prerelease,
        created: -1,
        origin: OriginValue::Repackaged { from_feed: text("dev"), from_version: text("0.9") },
        next_file: 4,
        more: 1,
        files: vec![file()],
    }
}

fn status() -> StatusRecord {
    StatusRecord {
        listing: ListingValue::Unlisted,
        allow: Some(AllowValue::Never),
        deprecated: Some(DeprecationValue { reason: Some(text("old")), details: Some(text("{}")) }),
        changed: -1,
    }
}

fn feed() -> FeedRecord {
    FeedRecord {
        name: text("Main"),
        alternates: vec![text("first")],
        tag: text("npm"),
        state: FeedState::Live,
        created: 1,
        description: Some(text("all of it")),
        activity: ActivityValue::Inactive,
        overwriting: OverwritingValue::Refused,
        delete_mode: DeleteModeValue::Remove,
        promote_to: Some(8),
        other: text("{\"a\":1}"),
    }
}

fn blob() -> BlobRecord {
    BlobRecord {
        size: 5,
        md5: [2; 16],
        sha1: [3; 20],
        sha256: [4; 32],
        sha512: [5; 64],
        place: Place::File,
        state: BlobState::Live,
        health: Health::Good,
        uses: 2,
        created: 1,
        verified: 2,
    }
}

fn add_store(goldens: &mut Goldens) {
    goldens.add(
        "counters",
        &CountersRecord {
            sequence: 1,
            feed: 2,
            package: 3,
            version: 4,
            inline: 6,
            promotion: 7,
            repackaging: 8,
            audit: 9,
            key: 10,
            job: 70_000,
            chain: [9; 32],
        },
    );
    goldens.add("number", &NumberRecord(251));
    goldens.add(
        "format",
        &FormatRecord { major: 1, min_reader: 1, min_writer: 1, store: [6; 16], timeline: [7; 16] },
    );
    goldens.add("log-position", &LogPositionRecord { generation: 3, bytes: 2_400 });
    goldens.add("salt", &SaltRecord([7; 32]));
    goldens.add("setting", &SettingRecord(text("blue")));
    goldens.add("job-collect", &JobRecord::Collect { blob: [1; 32] });
    goldens.add("job-delete-feed", &JobRecord::DeleteFeed { feed: 2 });
    goldens.add("key-place", &KeyPlaceRecord(4));
    goldens.add(
        "key",
        &KeyRecord {
            kind: text("feed"),
            display_name: Some(text("ci")),
            description: Some(text("builds")),
            system_apis: vec![text("feeds")],
            package_permissions: vec![text("view"), text("add")],
            feed: Some(7),
            feed_group: None,
            user: Some(text("ann")),
            logging: text("none"),
            expires: Some(5),
            created: 4,
            digest: [8; 32],
        },
    );
}

fn add_packages(goldens: &mut Goldens) {
    goldens.add("feed", &feed());
    goldens.add(
        "feed-deleting",
        &FeedRecord {
            alternates: Vec::new(),
            state: FeedState::Deleting,
            description: None,
            activity: ActivityValue::Active,
            overwriting: OverwritingValue::Allowed,
            delete_mode: DeleteModeValue::Unlist,
            promote_to: None,
            ..feed()
        },
    );
    goldens.add(
        "feed-name",
        &FeedNameRecord { feed: 2, role: NameRole::Name, spelled: text("Main"), tag: text("npm") },
    );
    goldens.add(
        "feed-alternate",
        &FeedNameRecord {
            feed: 2,
            role: NameRole::Alternate,
            spelled: text("first"),
            tag: text("npm"),
        },
    );
    let pointer = Pointer { suffix: vec![1, 2, 0, 255], text: text("1.0") };
    goldens.add(
        "package",
        &PackageRecord {
            package: 8,
            group: text("@scope"),
            name: text("Ünïcode"),
            versions: 2,
            latest: Some(pointer.clone()),
            latest_stable: None,
            tags: vec![(text("latest"), text("1.0"))],
            created: 1,
            changed: 2,
            revision: 3,
        },
    );
    goldens.add("version", &version());
    goldens.add(
        "version-promoted",
        &VersionRecord {
            stability: StabilityValue::Stable,
            origin: OriginValue::Promoted { from_feed: text("dev") },
            files: vec![FileValue {
                role: RoleValue::Companion,
                history: HistoryValue::Absent,
                ..file()
            }],
            ..version()
        },
    );
    goldens.add(
        "version-uploaded",
        &VersionRecord { origin: OriginValue::Uploaded, files: Vec::new(), ..version() },
    );
    goldens.add("more-files", &MoreFilesRecord(vec![file(), file()]));
    goldens.add("version-place", &VersionPlaceRecord { feed: 2, key: pointer.suffix });
    goldens.add("status", &status());
    goldens.add(
        "status-always",
        &StatusRecord {
            listing: ListingValue::Listed,
            allow: Some(AllowValue::Always),
            deprecated: None,
            ..status()
        },
    );
    goldens.add("status-none", &StatusRecord { allow: None, ..status() });
    goldens.add(
        "fragment",
        &FragmentRecord { encoding: Encoding::Deflate, size: 900, more: 2, bytes: vec![3; 9] },
    );
    goldens.add(
        "fragment-plain",
        &FragmentRecord { encoding: Encoding::Plain, size: 2, more: 0, bytes: b"{}".to_vec() },
    );
    goldens.add("fragment-part", &FragmentPartRecord(vec![0, 1, 255]));
    goldens.add("facet", &FacetRecord(300));
    goldens.add(
        "totals",
        &TotalsRecord {
            packages: 2,
            versions: 3,
            files: 300,
            bytes: 70_000,
            revision: 9,
            changed: 5,
        },
    );
    goldens.add("counter", &CounterRecord(-3));
    goldens.add("entry", &EntryRecord);
}

fn add_contents_and_logs(goldens: &mut Goldens) {
    goldens.add("blob", &blob());
    goldens.add(
        "blob-inline",
        &BlobRecord { place: Place::Inline(77), health: Health::Damaged, ..blob() },
    );
    goldens.add("groups", &GroupsRecord(vec![[1; 32], [2; 32]]));
    goldens.add("use", &UseRecord { qualifiers: text("arch=amd64") });
    goldens.add("blob-condemned", &BlobRecord { state: BlobState::Condemned(-5), ..blob() });
    goldens.add("blob-deleting", &BlobRecord { state: BlobState::Deleting, ..blob() });
    goldens.add(
        "promotion",
        &PromotionRecord {
            tag: text("npm"),
            from_feed: text("dev"),
            to_feed: text("Main"),
            group: text("@scope"),
            name: text("a"),
            version: text("1.0"),
            date: 5,
            user: text("ann"),
            comments: text("ready"),
            name_key: b"@scope\x01a\0".to_vec(),
        },
    );
    goldens.add(
        "repackaging",
        &RepackagingRecord {
            tag: text("npm"),
            from_feed: text("dev"),
            to_feed: text("Main"),
            group: text("@scope"),
            name: text("a"),
            from_version: text("1.0-rc"),
            to_version: text("1.0"),
            date: 5,
            user: text("ann"),
            comments: String::new(),
            more: 1,
            files: vec![RepackagedValue {
                from_name: text("a-1.0-rc.tgz"),
                from_sha256: [1; 32],
                to_name: text("a-1.0.tgz"),
                to_sha256: [2; 32],
            }],
            name_key: b"@scope\x01a\0".to_vec(),
        },
    );
    goldens.add(
        "more-repackaged",
        &MoreRepackagedRecord(vec![RepackagedValue {
            from_name: text("a-1.0-rc.tgz"),
            from_sha256: [1; 32],
            to_name: text("a-1.0.tgz"),
            to_sha256: [2; 32],
        }]),
    );
    goldens.add(
        "audit",
        &AuditRecord {
            at: 5,
            actor: text("ann"),
            key_id: Some(4),
            address: Some(text("::1")),
            action: text("repackage"),
            feed: text("dev"),
            to_feed: Some(text("Main")),
            group: text("@scope"),
            name: text("a"),
            version: text("1.0-rc"),
            new_version: Some(text("1.0")),
            comments: Some(text("ready")),
            old_sha256: Some([1; 32]),
            new_sha256: None,
            details: text("{}"),
            chain: [3; 32],
        },
    );
}

fn add_indexes(goldens: &mut Goldens) {
    let found_by = || SearchValue { flags: 5, terms: vec![text("json"), text("schema")] };
    goldens.add("index-row", &IndexRowRecord { more: 1, bytes: vec![1, 0, 255] });
    goldens.add("index-part", &IndexPartRecord(vec![2]));
    goldens.add(
        "index-state",
        &IndexStateRecord {
            tag: text("npm"),
            revision: 2,
            state: IndexState::Complete,
            changed: 5,
        },
    );
    goldens.add(
        "index-state-dirty",
        &IndexStateRecord { tag: text("npm"), revision: 2, state: IndexState::Dirty, changed: 5 },
    );
    goldens.add(
        "index-state-building",
        &IndexStateRecord {
            tag: text("npm"),
            revision: 2,
            state: IndexState::Building(b"\0\0\0\x01\x01a\0".to_vec()),
            changed: 5,
        },
    );
    goldens.add(
        "index-log",
        &IndexLogRecord {
            generation: 1,
            length: 70_000,
            revision: 9,
            changed: 5,
            digests: vec![1, 2],
        },
    );
    goldens.add("index-lines", &IndexLinesRecord(b"a 1.0\n".to_vec()));
    goldens.add("subject", &SubjectRecord { revision: 9, changed: 5 });
    goldens.add("search-change", &SearchChangeRecord(Some(found_by())));
    goldens.add("search-gone", &SearchChangeRecord(None));
    goldens.add("search-package", &SearchPackageRecord(found_by()));
    goldens.add("search-term", &SearchTermRecord(5));
    goldens.add("search-count", &SearchCountRecord(vec![(1, 300), (5, 2)]));
    goldens.add("secret", &SecretRecord(vec![7; 32]));
    goldens.add(
        "job-old-lines",
        &JobRecord::OldLines { feed: 1, log: b"versions".to_vec(), since: 5 },
    );
}

fn all(released: &'static str) -> Goldens {
    let mut goldens = Goldens { released, lines: String::new(), kinds: BTreeSet::new() };
    add_store(&mut goldens);
    add_packages(&mut goldens);
    add_contents_and_logs(&mut goldens);
    add_indexes(&mut goldens);
    goldens
}

#[test]
#[ignore = "writes the bytes of a new format; never run again for a released one"]
fn write_the_goldens() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/records/goldens.txt");
    std::fs::write(path, all("").lines).unwrap();
}

#[test]
fn records_have_the_bytes_that_were_released() {
    let goldens = all(GOLDENS);
    assert_eq!(goldens.kinds.len(), KINDS.len(), "two records of one kind");
    assert_eq!(goldens.kinds, KINDS.iter().copied().collect(), "a record without a golden");
    assert_eq!(goldens.lines, GOLDENS);
}

#[test]
fn a_record_of_a_newer_release_is_told_from_damage() {
    let mut value = encode(TABLE, KEY, &FacetRecord(1)).unwrap();
    let content = value.len() - 4;
    value[1] = FacetRecord::VERSION + 1;
    let sum = crc32c::crc32c_append(crc32c::crc32c(KEY), &value[..content]);
    value.splice(content.., sum.to_be_bytes());
    let error = decode::<FacetRecord>(TABLE, KEY, &value).unwrap_err();
    assert!(matches!(error, StoreError::Newer { .. }), "{error:?}");
    assert_eq!(error.to_string(), "row key of `golden-1` was written by a newer release");
}

#[test]
fn borrowed_forms_have_the_bytes_of_their_owned_ones() {
    use crate::codec::decode_borrowed;
    use crate::records::borrowed::{PackageRow, VersionRow};

    let mut files = 0;
    for (name, hex) in GOLDENS.lines().filter_map(|line| line.split_once(' ')) {
        let value = HEXLOWER.decode(hex.as_bytes()).unwrap();
        match value.first() {
            Some(&PackageRecord::KIND) => {
                let owned: PackageRecord = decode(TABLE, KEY, &value).unwrap();
                let row: PackageRow<'_> = decode_borrowed(TABLE, KEY, &value).unwrap();
                assert_eq!(row, PackageRow::from(&owned), "{name}");
                assert_eq!(PackageRecord::from(&row), owned, "{name}");
            }
            Some(&VersionRecord::KIND) => {
                let owned: VersionRecord = decode(TABLE, KEY, &value).unwrap();
                let row: VersionRow<'_> = decode_borrowed(TABLE, KEY, &value).unwrap();
                assert_eq!(row, VersionRow::from(&owned), "{name}");
                files += row.files.len();
                for at in 0..value.len() {
                    let mut bad = value.clone();
                    bad[at] ^= 1;
                    assert!(decode_borrowed::<VersionRow<'_>>(TABLE, KEY, &bad).is_err(), "{at}");
                }
            }
            _ => {}
        }
    }
    assert!(files > 0);
    // A second layout needs a reader of its own wherever the borrowed form is read.
    assert_eq!((PackageRecord::VERSION, VersionRecord::VERSION), (1, 1));
}
