//! What apt would read of a feed in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use hayloft_archive::{Compression, decoder};
use hayloft_debian::Debian;
use hayloft_feed::native::{
    ActionKind, Change, Edit, Existing, Fields, ListingChange, Native, Request, UploadOrder,
};
use hayloft_feed::{Allow, FeedType, Limits};
use hayloft_testkit::{MemoryFeed, Package, deb};
use sha2::{Digest, Sha256};

fn feed() -> MemoryFeed {
    MemoryFeed::new(Arc::new(Debian), "apt")
}

fn store(feed: &mut MemoryFeed, suite: &str, component: &str, package: &Package) {
    let hints = [("distribution", suite), ("component", component)];
    let order = UploadOrder {
        file_name: Some(package.file_name()),
        hints: hints.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        existing: Existing::Succeeds,
        ..UploadOrder::default()
    };
    feed.store(&order, &package.build()).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut stream = decoder(Compression::Gzip, Box::new(bytes), &Limits::default()).unwrap();
    Limits::read(&mut stream, u64::MAX).unwrap()
}

/// Path to digest and size, as a release lists them.
fn listed(release: &str) -> BTreeMap<String, (String, usize)> {
    let lines = release.lines().skip_while(|line| *line != "SHA256:").skip(1);
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[2].to_owned(), (words[0].to_owned(), words[1].parse().unwrap()))
        })
        .collect()
}

/// The stanzas of an index, after a look at everything that a release says of it.
fn stanzas(feed: &mut MemoryFeed, suite: &str, section: &str) -> BTreeSet<String> {
    let release = feed.get(&format!("/dists/{suite}/Release"));
    assert_eq!(release.status, 200, "{}", release.text());
    let listed = listed(&release.text());
    let plain = feed.get(&format!("/dists/{suite}/{section}/Packages"));
    let packed = feed.get(&format!("/dists/{suite}/{section}/Packages.gz"));
    assert!(unpacked(&packed.body) == plain.body);
    for (name, got) in [("Packages", &plain), ("Packages.gz", &packed)] {
        let (digest, size) = &listed[&format!("{section}/{name}")];
        assert_eq!((hex(&got.body), got.body.len()), (digest.clone(), *size), "{name}");
        let path = format!("/dists/{suite}/{section}/by-hash/SHA256/{digest}");
        assert!(feed.get(&path).body == got.body, "{path}");
    }
    let text = plain.text();
    assert!(text.is_empty() || text.ends_with("\n\n"));
    text.split_terminator("\n\n").map(str::to_owned).collect()
}

fn names(stanzas: &BTreeSet<String>) -> Vec<String> {
    let of = |stanza: &String| {
        let value = |name: &str| {
            let line = stanza.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().to_owned()
        };
        format!("{} {} {}", value("Package:"), value("Version:"), value("Architecture:"))
    };
    let mut names: Vec<String> = stanzas.iter().map(of).collect();
    names.sort_unstable();
    names
}

const AMD64: &str = "main/binary-amd64";

#[test]
fn a_release_lists_an_index_for_each_component_and_architecture() {
    let mut feed = feed();
    store(&mut feed, "stable", "main", &deb("hay", "1.0-1", "amd64"));
    store(&mut feed, "stable", "main", &deb("straw", "1:2.0", "all"));
    store(&mut feed, "stable", "contrib", &deb("oats", "3", "riscv64"));
    store(&mut feed, "testing", "main", &deb("hay", "2.0", "amd64"));
    let signed = if cfg!(feature = "openpgp") { "InRelease" } else { "Release" };
    let release = feed.get(&format!("/dists/stable/{signed}"));
    let text = release.text();
    assert!(text.contains("Suite: stable\nCodename: stable\n"), "{text}");
    assert!(text.contains("Architectures: amd64 arm64 armhf i386 riscv64\n"), "{text}");
    assert!(text.contains("Components: contrib main\n"), "{text}");
    assert!(text.contains("Date: Fri, 02 Jan 2026 03:04:05 UTC\n"), "{text}");
    assert_eq!(names(&stanzas(&mut feed, "stable", AMD64)), ["hay 1.0-1 amd64", "straw 1:2.0 all"]);
    assert_eq!(names(&stanzas(&mut feed, "stable", "main/binary-arm64")), ["straw 1:2.0 all"]);
    assert_eq!(names(&stanzas(&mut feed, "stable", "contrib/binary-riscv64")), ["oats 3 riscv64"]);
    assert!(stanzas(&mut feed, "stable", "contrib/binary-amd64").is_empty());
    assert_eq!(names(&stanzas(&mut feed, "testing", AMD64)), ["hay 2.0 amd64"]);
    feed.assert_rebuilds_equally();
    for missing in ["/dists/other/InRelease", "/dists/stable/main/binary-all/Packages"] {
        assert_eq!(feed.get(missing).status, 404, "{missing}");
    }
}

/// As they go over the wire, to the byte; digests are those of the files.
#[test]
fn documents_are_written_so() {
    let mut feed = feed();
    let package = deb("hay", "1.0-1", "amd64").build();
    store(&mut feed, "stable", "main", &deb("hay", "1.0-1", "amd64"));
    let release = feed.get("/dists/stable/Release").text();
    let plain = feed.get(&format!("/dists/stable/{AMD64}/Packages")).body;
    let packed = feed.get(&format!("/dists/stable/{AMD64}/Packages.gz")).body;
    let empty = feed.get("/dists/stable/main/binary-i386/Packages.gz").body;
    let empty = (unpacked(&empty), empty);
    assert!(empty.0.is_empty());
    let digest = hex(&package);
    let stanza = String::from_utf8(plain.clone()).unwrap().replace(&digest, "SHA256");
    let folder = digest.split_at(32).0;
    assert_eq!(
        stanza.replace(folder, "HALF"),
        "Package: hay\nVersion: 1.0-1\nArchitecture: amd64\n\
         Maintainer: Hayloft <hayloft@example.org>\nInstalled-Size: 1\nSection: misc\n\
         Priority: optional\nDescription: package for tests\n Holds a note and nothing else.\n\
         Filename: pool/main/h/hay/HALF/hay_1.0-1_amd64.deb\nSize: 738\nSHA256: SHA256\n\n"
    );
    let mut expected = "Origin: Hayloft\nLabel: Hayloft\nSuite: stable\nCodename: stable\n\
        Date: Fri, 02 Jan 2026 03:04:05 UTC\nAcquire-By-Hash: yes\n\
        Architectures: amd64 arm64 armhf i386\nComponents: main\nSHA256:\n"
        .to_owned();
    for (architecture, plain, packed) in [("amd64", &plain, &packed)]
        .into_iter()
        .chain(["arm64", "armhf", "i386"].map(|other| (other, &empty.0, &empty.1)))
    {
        for (name, bytes) in [("Packages", plain), ("Packages.gz", packed)] {
            let (digest, size) = (hex(bytes), bytes.len());
            let _ = writeln!(expected, " {digest} {size} main/binary-{architecture}/{name}");
        }
    }
    assert_eq!(release, expected);
}

#[test]
fn package_files_are_where_the_stanzas_say() {
    let mut feed = feed();
    let package = deb("libhay", "1:1.0+b1~x", "amd64").field("Source", "hay (1.0)");
    store(&mut feed, "stable", "main", &package);
    let stanzas = stanzas(&mut feed, "stable", AMD64);
    let stanza = stanzas.first().unwrap();
    let value = |name: &str| {
        stanza.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
    };
    let path = value("Filename:");
    let bytes = package.build();
    assert_eq!(value("Size:"), bytes.len().to_string());
    assert_eq!(value("SHA256:"), hex(&bytes));
    let start = format!("pool/main/h/hay/{}/", &hex(&bytes)[..32]);
    assert_eq!(path, format!("{start}libhay_1.0+b1~x_amd64.deb"));
    // apt encodes more than it must, in lower case.
    for path in [format!("/{path}"), format!("/{}", path.replace('+', "%2b").replace('~', "%7e"))] {
        let got = feed.get(&path);
        assert_eq!((got.status, got.body == bytes), (200, true), "{path}");
        assert_eq!(got.media_type, "application/vnd.debian.binary-package");
    }
    let other = path.replace(&hex(&bytes)[..32], &"0".repeat(32));
    assert_eq!(feed.get(&format!("/{other}")).status, 404);
}

#[test]
fn the_largest_control_file_that_is_accepted_has_room_in_an_index() {
    let mut feed = feed();
    let big = |length: usize| deb("hay", "1.0", "amd64").field("Padding", &"x".repeat(length));
    let mut length = 1_040_000;
    let refused = |feed: &mut MemoryFeed, length| {
        let hints = [("distribution".to_owned(), "stable".to_owned())].into();
        feed.store(&UploadOrder { hints, ..UploadOrder::default() }, &big(length).build()).is_err()
    };
    while refused(&mut feed, length) {
        length -= 1;
    }
    assert!(length > 1_039_000, "{length}");
    assert_eq!(names(&stanzas(&mut feed, "stable", AMD64)), ["hay 1.0 amd64"]);
}

#[test]
fn installer_packages_have_indexes_of_their_own() {
    let mut feed = feed();
    let udeb = deb("hay-udeb", "1", "amd64").field("Package-Type", "udeb");
    store(&mut feed, "stable", "main", &udeb);
    store(&mut feed, "stable", "main", &deb("hay", "1", "amd64"));
    assert_eq!(names(&stanzas(&mut feed, "stable", AMD64)), ["hay 1 amd64"]);
    let installer = "main/debian-installer/binary-amd64";
    assert_eq!(names(&stanzas(&mut feed, "stable", installer)), ["hay-udeb 1 amd64"]);
    feed.assert_rebuilds_equally();
}

#[test]
fn what_a_client_was_told_of_stays_readable_for_an_hour() {
    let mut feed = feed();
    let hay = deb("hay", "1.0", "amd64");
    store(&mut feed, "stable", "main", &hay);
    let old = feed.get("/dists/stable/Release").text();
    let old_index = feed.get(&format!("/dists/stable/{AMD64}/Packages.gz"));
    let digest = hex(&old_index.body);
    let by_hash = format!("/dists/stable/{AMD64}/by-hash/SHA256/{digest}");
    let stanzas_before = stanzas(&mut feed, "stable", AMD64);
    let file =
        stanzas_before.first().unwrap().lines().find_map(|line| line.strip_prefix("Filename: "));
    let file = format!("/{}", file.unwrap());

    feed.step(1_000);
    let name = Debian.package_name("", "hay").unwrap();
    let version = Debian.version("1.0").unwrap();
    feed.edit(&Edit::new(name, vec![Change::Remove(version, None)])).unwrap();
    feed.step(1_000);
    let new = feed.get("/dists/stable/Release").text();
    assert_ne!(old, new);
    assert!(stanzas(&mut feed, "stable", AMD64).is_empty());
    assert!(feed.get(&by_hash).body == old_index.body);
    assert!(feed.get(&file).body == hay.build());

    // The rows go with the first release after that.
    feed.step(3_700_000);
    store(&mut feed, "stable", "main", &deb("straw", "1", "all"));
    assert_eq!(names(&stanzas(&mut feed, "stable", AMD64)), ["straw 1 all"]);
    assert_eq!(feed.get(&by_hash).status, 404);
    assert_eq!(feed.get(&file).status, 404);
    feed.assert_rebuilds_equally();
}

#[test]
fn a_blocked_package_is_gone_at_once() {
    let mut feed = feed();
    store(&mut feed, "stable", "main", &deb("hay", "1.0", "amd64"));
    store(&mut feed, "stable", "main", &deb("straw", "1.0", "amd64"));
    assert_eq!(stanzas(&mut feed, "stable", AMD64).len(), 2);
    let edit = |feed: &mut MemoryFeed, change: fn(hayloft_feed::Version) -> Change| {
        feed.step(1_000);
        let name = Debian.package_name("", "hay").unwrap();
        let change = change(Debian.version("1.0").unwrap());
        feed.edit(&Edit::new(name, vec![change])).unwrap();
    };
    edit(&mut feed, |version| Change::Allow(version, Some(Allow::Never)));
    assert_eq!(names(&stanzas(&mut feed, "stable", AMD64)), ["straw 1.0 amd64"]);
    edit(&mut feed, |version| Change::Allow(version, None));
    assert_eq!(stanzas(&mut feed, "stable", AMD64).len(), 2);
    edit(&mut feed, |version| Change::List(version, ListingChange::Unlist));
    assert_eq!(names(&stanzas(&mut feed, "stable", AMD64)), ["straw 1.0 amd64"]);
    feed.assert_rebuilds_equally();
}

#[test]
fn dates_grow_by_a_second_at_least_and_nothing_changes_without_a_change() {
    let mut feed = feed();
    let date = |feed: &mut MemoryFeed| {
        let text = feed.get("/dists/stable/Release").text();
        text.lines().find_map(|line| line.strip_prefix("Date: ")).unwrap().to_owned()
    };
    store(&mut feed, "stable", "main", &deb("a0", "1", "all"));
    assert_eq!(date(&mut feed), "Fri, 02 Jan 2026 03:04:05 UTC");
    let tag = feed.get("/dists/stable/InRelease").tag;
    feed.step(5_000);
    assert_eq!(feed.get("/dists/stable/InRelease").tag, tag);
    assert_eq!(date(&mut feed), "Fri, 02 Jan 2026 03:04:05 UTC");
    store(&mut feed, "stable", "main", &deb("b0", "1", "all"));
    assert_eq!(date(&mut feed), "Fri, 02 Jan 2026 03:04:10 UTC");
    store(&mut feed, "stable", "main", &deb("c0", "1", "all"));
    assert_eq!(date(&mut feed), "Fri, 02 Jan 2026 03:04:11 UTC");
    store(&mut feed, "stable", "main", &deb("d0", "1", "all"));
    assert_eq!(date(&mut feed), "Fri, 02 Jan 2026 03:04:12 UTC");
    // A fourth would be dated too far ahead: the last one is served until the clock is there.
    store(&mut feed, "stable", "main", &deb("e0", "1", "all"));
    assert_eq!(date(&mut feed), "Fri, 02 Jan 2026 03:04:12 UTC");
    feed.step(1_000);
    assert_eq!(date(&mut feed), "Fri, 02 Jan 2026 03:04:13 UTC");
    assert_eq!(stanzas(&mut feed, "stable", AMD64).len(), 5);
}

/// The same on every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn indexes_tell_the_state_whatever_happened_before() {
    for seed in 1..=4 {
        let mut dice = Chance(seed * 0x9e37_79b9);
        let mut feed = feed();
        let mut there: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
        for round in 0..120 {
            let name = format!("p{}", dice.below(9));
            let version = format!("{}.0", dice.below(4));
            let key = (name.clone(), version.clone());
            let package = Debian.package_name("", &name).unwrap();
            let parsed = Debian.version(&version).unwrap();
            match dice.below(5) {
                0..=2 => {
                    let architecture =
                        ["all", "amd64", "arm64"][usize::try_from(dice.below(3)).unwrap()];
                    let padding = "x".repeat(usize::try_from(dice.below(9_000)).unwrap());
                    let built =
                        deb(&name, &version, architecture).field("Padding", &format!("{padding}y"));
                    let found = there.entry(key).or_default();
                    if !found.contains(&architecture) {
                        store(&mut feed, "sid", "main", &built);
                        found.push(architecture);
                    }
                }
                3 => {
                    let change = Change::Remove(parsed, None);
                    let removed = feed.edit(&Edit::new(package, vec![change])).is_ok();
                    assert_eq!(there.remove(&key).is_some(), removed);
                }
                _ => {
                    let change = Change::RemoveAll;
                    if dice.below(6) == 0 && feed.edit(&Edit::new(package, vec![change])).is_ok() {
                        there.retain(|(found, _), _| *found != name);
                    }
                }
            }
            feed.step(1_000);
            if dice.below(3) == 0 && round > 3 {
                for architecture in ["amd64", "arm64", "i386"] {
                    let section = format!("main/binary-{architecture}");
                    let mut expected: Vec<String> = there
                        .iter()
                        .flat_map(|((name, version), architectures)| {
                            let fits = architectures
                                .iter()
                                .filter(|found| [architecture, "all"].contains(*found));
                            fits.map(move |found| format!("{name} {version} {found}"))
                        })
                        .collect();
                    expected.sort_unstable();
                    assert_eq!(names(&stanzas(&mut feed, "sid", &section)), expected);
                }
                feed.assert_rebuilds_equally();
            }
        }
    }
}

#[test]
fn an_upload_says_distribution_and_component_in_its_path() {
    let mut feed = feed();
    let package = deb("hay", "1.0", "amd64").build();
    let fields = Fields::default();
    for (method, path, status) in [
        ("PUT", "/upload/stable/main", 201),
        ("POST", "/upload/stable/main/hay_1.0_amd64.deb", 200),
        ("PUT", "/upload/stable%2fupdates/contrib/", 201),
        ("PUT", "/upload/..%2f..%2fetc/main", 400),
        ("PUT", "/upload/stable/binary-amd64", 400),
    ] {
        let request = Request::get(path, "http://host/debian/apt").method(method);
        let reply = feed.act(&request, &fields, Some(&package));
        assert_eq!(reply.status, status, "{path}: {}", String::from_utf8_lossy(&reply.body));
    }
    assert_eq!(names(&stanzas(&mut feed, "stable", AMD64)), ["hay 1.0 amd64"]);
    let nested = stanzas(&mut feed, "stable/updates", "contrib/binary-amd64");
    assert_eq!(names(&nested), ["hay 1.0 amd64"]);
    let request = Request::get("/upload/stable/main", "http://host/debian/apt").method("PUT");
    assert_eq!(feed.act(&request, &fields, Some(b"no package")).status, 400);
    let request = Request::get("/dists/stable/Release", "http://host/debian/apt").method("PUT");
    assert_eq!(feed.act(&request, &fields, Some(&package)).status, 404);
}

#[test]
fn every_path_of_an_export_is_answered() {
    let mut feed = feed();
    store(&mut feed, "stable", "main", &deb("hay", "1.0+x", "amd64"));
    store(&mut feed, "stable/updates", "main", &deb("hay", "1.0+x", "amd64"));
    feed.get("/dists/stable/InRelease");
    feed.get("/dists/stable/updates/InRelease");
    feed.get("/keys/apt.asc");
    let mut paths = Vec::new();
    let name = Debian.package_name("", "hay").unwrap();
    let head = hayloft_feed::native::FeedView::package(&feed, name.key()).unwrap().unwrap();
    Debian.paths(&feed, None, &mut |path| paths.push(path.to_owned())).unwrap();
    Debian.paths(&feed, Some(&head), &mut |path| paths.push(path.to_owned())).unwrap();
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        let signed =
            path.ends_with("Release.gpg") || path.ends_with("InRelease") || path.contains("/keys/");
        if signed && cfg!(not(feature = "openpgp")) {
            continue;
        }
        assert_eq!(feed.get(&path).status, 200, "{path}");
    }
    for sample in Debian.samples() {
        let sound = matches!(sample.action, None | Some(ActionKind::Upload));
        assert!(sound && sample.path.starts_with('/'), "{sample:?}");
    }
}

#[test]
fn packages_are_found_by_their_words() {
    let mut feed = feed();
    store(&mut feed, "stable", "main", &deb("libhay-dev", "1.0", "amd64"));
    let found = |feed: &MemoryFeed, word: &str| {
        let words = [word.to_owned()];
        let query = hayloft_feed::native::SearchQuery::new(&words, 10);
        hayloft_feed::native::FeedView::search(feed, &query).unwrap().total
    };
    for word in ["libhay", "dev", "libhay-dev", "package", "tests"] {
        assert_eq!(found(&feed, word), 1, "{word}");
    }
    assert_eq!(found(&feed, "other"), 0);
}

#[cfg(feature = "openpgp")]
#[test]
fn gnupg_accepts_the_signatures_with_the_feeds_key() {
    use std::process::Command;

    if Command::new("gpgv").arg("--version").output().is_err() {
        println!("skipped: gpgv is not installed");
        return;
    }
    let mut feed = feed();
    store(&mut feed, "stable", "main", &deb("hay", "1.0", "amd64"));
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    // Asked for before the first release, it is made and stays.
    let key = feed.get("/keys/apt.gpg").body;
    let keyring = write("key.gpg", &key);
    let inline = feed.get("/dists/stable/InRelease").body;
    assert!(inline.starts_with(b"-----BEGIN PGP SIGNED MESSAGE-----\n"));
    assert!(inline.ends_with(b"-----END PGP SIGNATURE-----\n"), "nothing may follow");
    let inline = write("InRelease", &inline);
    let plain = write("Release", &feed.get("/dists/stable/Release").body);
    let detached = write("Release.gpg", &feed.get("/dists/stable/Release.gpg").body);
    let run = |files: &[&std::path::Path]| {
        let mut command = Command::new("gpgv");
        command.arg("--homedir").arg(folder.path()).arg("--keyring").arg(&keyring).args(files);
        let ran = command.output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stderr).into_owned()
    };
    let said = run(&[&inline]);
    assert!(said.contains("using EDDSA key") && said.contains("apt (Hayloft)"), "{said}");
    run(&[&detached, &plain]);
    feed.step(60_000);
    store(&mut feed, "stable", "main", &deb("straw", "1.0", "amd64"));
    run(&[&write("InRelease", &feed.get("/dists/stable/InRelease").body)]);
    assert_eq!(feed.get("/keys/apt.gpg").body, key);
    let armored = feed.get("/keys/apt.asc");
    assert_eq!(armored.media_type, "application/pgp-keys");
    assert!(armored.text().starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----\n"));
}

/// The stanzas of an index as sets of fields, without what is not about the packages.
fn fields_by_package(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for stanza in text.split_terminator("\n\n") {
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        let mut last = String::new();
        for line in stanza.lines() {
            if line.starts_with([' ', '\t']) {
                let value = fields.get_mut(&last).unwrap();
                value.push('\n');
                value.push_str(line);
            } else {
                let (name, value) = line.split_once(':').unwrap();
                last = name.to_ascii_lowercase();
                fields.insert(last.clone(), value.trim().to_owned());
            }
        }
        for place in ["filename", "md5sum", "sha1", "sha512"] {
            fields.remove(place);
        }
        all.insert(fields["package"].clone(), fields);
    }
    all
}

#[test]
fn stanzas_have_the_fields_that_the_archives_own_tools_write() {
    let corpus =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/debian");
    let corpus = std::env::var_os("HAYLOFT_CORPUS")
        .map_or(corpus, |found| std::path::Path::new(&found).join("debian"));
    let Ok(golden) = std::fs::read_to_string(corpus.join("golden/Packages.apt-ftparchive")) else {
        println!("skipped: there is no corpus at {}", corpus.display());
        return;
    };
    let golden = fields_by_package(&golden);
    let mut feed = feed();
    for entry in std::fs::read_dir(&corpus).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap_or_default();
        let package = name.split('_').next().unwrap();
        let digest = hex(&bytes);
        if golden.get(package).is_some_and(|fields| fields["sha256"] == digest) {
            let hints = [("distribution".to_owned(), "stable".to_owned())].into();
            let order = UploadOrder { file_name: Some(name), hints, ..UploadOrder::default() };
            feed.store(&order, &bytes).unwrap();
        }
    }
    feed.get("/dists/stable/InRelease");
    let text = feed.get(&format!("/dists/stable/{AMD64}/Packages")).text();
    let found = fields_by_package(&text);
    for (package, fields) in &golden {
        assert_eq!(found.get(package), Some(fields), "{package}");
    }
    assert_eq!(found.len(), golden.len());
    let places = places(&text);
    for tool in ["aptly", "dpkg-scanpackages", "reprepro"] {
        let golden = std::fs::read_to_string(corpus.join(format!("golden/Packages.{tool}")));
        let golden = golden.unwrap();
        let fields = fields_by_package(&golden);
        assert!(fields.len() >= 8, "{tool}");
        for (package, fields) in &fields {
            assert_eq!(found.get(package), Some(fields), "{tool}: {package}");
        }
        if tool == "dpkg-scanpackages" {
            // It has no pool.
            continue;
        }
        for place in self::places(&golden) {
            // Ours has a folder more, which names the content.
            let (folder, file) = place.rsplit_once('/').unwrap();
            let is_there = places.iter().any(|ours| {
                let own = ours.strip_prefix(folder).and_then(|rest| rest.strip_suffix(file));
                own.is_some_and(|digest| digest.trim_matches('/').len() == 32)
            });
            assert!(is_there, "{tool}: {place} is not among {places:?}");
        }
    }
}

/// Where package files are, by an index.
fn places(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("Filename: ")).collect()
}
