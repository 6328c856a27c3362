//! Every package of the corpus, by its index.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they saw"
)]

mod opened;

use std::error::Error;
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use hayloft_debian::{Debian, Manifest, Stanza};
use hayloft_feed::{FeedType, Inspected};
use hayloft_testkit::{digests, history_entry, inspect, repackage};
use opened::{control_of, members_of};

const HINTS: [(&str, &str); 2] = [("distribution", "bookworm"), ("component", "contrib")];

struct Row {
    path: PathBuf,
    file: String,
    sha256: String,
    name: String,
    version: String,
    architecture: String,
    rest: Vec<String>,
}

fn rows(folder: &str) -> Vec<Row> {
    let corpus = std::env::var_os("HAYLOFT_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus")),
        PathBuf::from,
    );
    let folder = corpus.join(folder);
    let Ok(index) = std::fs::read_to_string(folder.join("INDEX.tsv")) else {
        println!("skipped: there is no corpus at {}", folder.display());
        return Vec::new();
    };
    index
        .lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let cells: Vec<String> = line.split('\t').map(str::to_owned).collect();
            Row {
                path: folder.join(&cells[0]),
                file: cells[0].clone(),
                sha256: cells[2].clone(),
                name: cells[3].clone(),
                version: cells[4].clone(),
                architecture: cells[5].clone(),
                rest: cells[6..].to_vec(),
            }
        })
        .collect()
}

fn chain(error: &dyn Error) -> String {
    let next = error.source().map(|source| format!(": {}", chain(source)));
    format!("{error}{}", next.unwrap_or_default())
}

fn bytes_of(row: &Row) -> Vec<u8> {
    let bytes = std::fs::read(&row.path).unwrap_or_else(|error| panic!("{}: {error}", row.file));
    let sha256 = HEXLOWER.encode(&digests(&bytes).sha256);
    assert_eq!(sha256, row.sha256, "{}", row.file);
    bytes
}

fn accepted(row: &Row, bytes: &[u8]) -> Inspected {
    let found = inspect(&Debian, bytes, Some(&row.file), &HINTS)
        .unwrap_or_else(|error| panic!("{}: {}", row.file, chain(&error)));
    assert_eq!(found.identity.package.name(), row.name, "{}", row.file);
    assert_eq!(found.identity.version.text(), row.version, "{}", row.file);
    let qualifiers = format!("arch={}&component=contrib&distro=bookworm", row.architecture);
    assert_eq!(found.identity.qualifiers.to_string(), qualifiers, "{}", row.file);
    let manifest: Manifest = serde_json::from_str(&found.manifest).unwrap();
    let stanza = Stanza::parse(&found.documents[0].bytes).unwrap();
    assert_eq!(manifest.fields.len(), stanza.fields().len(), "{}", row.file);
    for (field, (name, value)) in stanza.fields().iter().zip(&manifest.fields) {
        assert_eq!((field.name, &field.lossy()), (name.as_str(), value), "{}", row.file);
    }
    found
}

/// Repackages once and checks everything that must be the same; gives the new package.
fn repackaged(row: &Row, bytes: &[u8], before: &Inspected, to: &str) -> (Vec<u8>, Inspected) {
    let label = format!("{} to {to}", row.file);
    let entry = history_entry(&before.identity, bytes);
    let run = || {
        repackage(&Debian, bytes, &before.identity, to, &entry)
            .unwrap_or_else(|error| panic!("{label}: {}", chain(&error)))
    };
    let (result, done) = run();
    assert!(result == run().0, "{label}: is not deterministic");

    let (old, new) = (members_of(bytes), members_of(&result));
    let kept = |members: &[(String, Vec<u8>, Vec<u8>)]| -> Vec<_> {
        let dropped = |name: &str| name.starts_with("_gpg") || name == "_repackhist";
        members
            .iter()
            .filter(|(name, ..)| !dropped(name))
            .map(|(name, header, data)| {
                let edited = name.starts_with("control.tar");
                // All of the control archive's header but its size.
                let header =
                    if edited { [&header[..48], &header[58..]].concat() } else { header.clone() };
                (name.clone(), header, if edited { Vec::new() } else { data.clone() })
            })
            .collect()
    };
    assert!(kept(&old) == kept(&new), "{label}: other members changed");
    assert_eq!(new.last().unwrap().0, "_repackhist", "{label}");
    let signatures: Vec<_> =
        old.iter().map(|(name, ..)| name).filter(|name| name.starts_with("_gpg")).collect();
    assert_eq!(done.signatures_removed.iter().collect::<Vec<_>>(), signatures, "{label}");

    let (old, new) = (control_of(bytes), control_of(&result));
    assert_eq!(old.len(), new.len(), "{label}");
    for (old, new) in old.iter().zip(&new) {
        assert_eq!(old.path, new.path, "{label}");
        if old.path.ends_with(b"control") {
            let stanza = Stanza::parse(&old.data).unwrap();
            assert!(stanza.with_value("Version", to).unwrap() == new.data, "{label}");
            // Size and checksum may differ; name, mode, owner, group, time, type may not.
            let same = |header: &[u8]| [&header[..124], &header[136..148], &header[156..]].concat();
            assert!(same(&old.header) == same(&new.header), "{label}: the control header changed");
        } else {
            assert!(old == new, "{label}: {} changed", String::from_utf8_lossy(&old.path));
        }
    }

    let target = Debian.retarget(&before.identity, &Debian.version(to).unwrap()).unwrap();
    let after = inspect(&Debian, &result, Some(&Debian.file_name(&target)), &HINTS)
        .unwrap_or_else(|error| panic!("{label}: {}", chain(&error)));
    assert_eq!(after.identity, target, "{label}");
    let sha1 = HEXLOWER.encode(&digests(bytes).sha1);
    let newest = after.history.last().unwrap();
    assert_eq!(
        newest.id,
        format!("{}:{}:{sha1}", row.name, before.identity.version.text()),
        "{label}"
    );
    assert_eq!(newest.other.contains_key("_signatureRemoved"), !signatures.is_empty(), "{label}");
    assert_eq!(after.history[..before.history.len()], before.history, "{label}");
    (result, after)
}

fn repackaged_twice(row: &Row, bytes: &[u8], found: &Inspected) {
    let (candidate, of_candidate) = repackaged(row, bytes, found, "7:9.0~rc.1-1");
    let (_, of_release) = repackaged(row, &candidate, &of_candidate, "7:9.0-1");
    assert_eq!(of_release.history.len(), 2, "{}", row.file);
    assert_eq!(of_release.history[0], of_candidate.history[0], "{}", row.file);
}

#[test]
fn real_packages_are_read_and_repackaged() {
    let rows = rows("debian");
    for row in &rows {
        let bytes = bytes_of(row);
        let found = accepted(row, &bytes);
        let remarks = &row.rest[0];
        let entry = history_entry(&found.identity, &bytes);
        let (_, done) = repackage(&Debian, &bytes, &found.identity, "9", &entry).unwrap();
        if done.sibling_pins.iter().any(|pin| pin.starts_with("Depends:")) {
            assert!(remarks.contains("exact dep"), "{}: {:?}", row.file, done.sibling_pins);
        }
        repackaged_twice(row, &bytes, &found);
    }
    println!("debian corpus: {} packages read and repackaged twice", rows.len());
}

/// What the refusal of each broken file says.
const REFUSALS: [(&str, &str); 25] = [
    ("lax-uppercase-name.deb", "has `Z` at position 0"),
    ("bad-no-architecture.deb", "the control file has no `Architecture` field"),
    ("bad-no-version.deb", "the control file has no `Version` field"),
    ("bad-no-package.deb", "the control file has no `Package` field"),
    ("bad-two-stanzas.deb", "has a second stanza at line "),
    ("bad-duplicate-field.deb", "has the field `Version` a second time in line "),
    ("bad-comment-line.deb", "has a comment in line "),
    ("bad-empty-value.deb", "has no value for the field `"),
    ("bad-blank-line-in-value.deb", "of blanks only; write ` .`"),
    ("bad-no-final-newline.deb", "lacks the newline at the end of its last line "),
    ("bad-arch-wildcard.deb", "is no architecture that a binary package can have"),
    ("bad-arch-list.deb", "is not one word of"),
    ("bad-version-underscore.deb", "has `_` in its upstream version"),
    ("bad-name-slash.deb", "has `/` at position "),
    ("bad-format-3.0.deb", "`debian-binary` holds `3.0\\n`"),
    ("bad-debian-binary-no-newline.deb", "`debian-binary` holds `2.0`"),
    ("bad-member-between.deb", "stands where `data.tar` must"),
    ("bad-data-before-control.deb", "stands where `control.tar` must"),
    ("bad-two-control-members.deb", "the member `control.tar."),
    ("bad-no-data.deb", "there is no `data.tar` member"),
    ("bad-control-bz2.deb", "the member `control.tar.bz2` is compressed in a way"),
    ("bad-truncated.deb", "entry `data.tar.xz` of the ar archive is damaged: its data is cut off"),
    ("bad-ar-size-not-digit.deb", "its size is not a decimal number"),
    ("bad-ar-fmag.deb", "a member header does not end as it must"),
    ("bad-odd-no-pad.deb", "its padding is missing"),
];

#[test]
fn odd_packages_get_their_verdict() {
    let rows = rows("debian/odd");
    let (mut taken, mut refused) = (0, 0);
    for row in &rows {
        let bytes = bytes_of(row);
        let expected = REFUSALS.iter().find(|(file, _)| *file == row.file);
        let verdict = row.rest[0].as_str();
        assert_eq!(
            expected.is_some(),
            verdict == "reject"
                || verdict.ends_with("reject")
                || verdict.ends_with("policy forbids"),
            "{}: {verdict}",
            row.file
        );
        let Some((_, message)) = expected else {
            let found = accepted(row, &bytes);
            let is_lax = row.file.starts_with("lax-") || verdict.contains("warn");
            assert_eq!(!found.warnings.is_empty(), is_lax, "{}: {:?}", row.file, found.warnings);
            repackaged_twice(row, &bytes, &found);
            taken += 1;
            continue;
        };
        let error = inspect(&Debian, &bytes, Some(&row.file), &HINTS).unwrap_err();
        let text = chain(&error);
        assert!(error.is_input() && text.contains(message), "{}: {text}", row.file);
        refused += 1;
    }
    println!("debian corpus: {taken} odd packages taken and repackaged, {refused} refused");
}
