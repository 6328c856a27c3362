//! A sound feed type passes the check, and one broken in a single place fails at that rule.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::cell::Cell;
use std::io::SeekFrom;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hayloft_feed::{
    FeedType, FeedTypeError, HistoryEntry, Identity, Inspected, Limits, NameKey, PackageName, Purl,
    Qualifiers, ReadError, ReadSeek, Repackage, Repackaged, SortKey, Stability, Upload, Version,
};
use hayloft_testkit::{Sample, check, check_order};
use rstest::rstest;

/// A package is a line `note NAME NUMBER`, perhaps lines `was ` with history, and text.
#[derive(Debug, Default)]
struct Note {
    defect: Option<Defect>,
    calls: Counter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    UpperCaseTag,
    PurlLosesTheVersion,
    AnyPurl,
    FileNameWithSlash,
    FileNameMisleads,
    KeysArePrefixes,
    KeysDisagreeWithIdentity,
    EmptyNames,
    StartsAtThePosition,
    ChangesItsMind,
    NoObject,
    IgnoresLimits,
    PanicsOnDamage,
    BlamesTheStorage,
    BlamesTheFile,
    BlamesTheFileWhenWriting,
    RandomResult,
    KeepsTheVersion,
    ForgetsTheHistory,
    RepackagesEverything,
}

/// Counts calls, for defects that need one to differ from the next.
#[derive(Debug, Default)]
struct Counter(std::sync::Mutex<Cell<u64>>);

impl Counter {
    fn next(&self) -> u64 {
        let counter = self.0.lock().unwrap();
        counter.set(counter.get() + 1);
        counter.get()
    }
}

struct Read {
    name: String,
    version: String,
    history: Vec<HistoryEntry>,
    /// Text before the history, history, text after it.
    parts: [String; 3],
}

fn refused(detail: &str) -> FeedTypeError {
    FeedTypeError::Refused { feed_type: "note", detail: detail.into() }
}

impl Note {
    fn with(defect: Defect) -> Self {
        Self { defect: Some(defect), ..Self::default() }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn read(&self, content: &mut dyn ReadSeek, limits: &Limits) -> Result<Read, FeedTypeError> {
        let failed = |error| {
            if self.has(Defect::BlamesTheFile) {
                refused("unreadable")
            } else {
                FeedTypeError::Io(error)
            }
        };
        if !self.has(Defect::StartsAtThePosition) {
            content.seek(SeekFrom::Start(0)).map_err(failed)?;
        }
        let limit = if self.has(Defect::IgnoresLimits) { u64::MAX } else { limits.manifest };
        let bytes = Limits::read(content, limit).map_err(|error| match error {
            ReadError::Io(error) => failed(error),
            other => refused(&other.to_string()),
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            if self.has(Defect::BlamesTheStorage) {
                FeedTypeError::Io(std::io::Error::other(error))
            } else {
                refused("not text")
            }
        })?;
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let parts: Vec<&str> = first.split(' ').collect();
        if self.has(Defect::PanicsOnDamage) {
            assert_eq!(parts.len(), 3);
        }
        let ["note", name, version] = *parts.as_slice() else { return Err(refused("no note")) };
        let mut history = Vec::new();
        let mut body = rest;
        while let Some(line) = body.strip_prefix("was ") {
            let (entry, after) = line.split_once('\n').ok_or_else(|| refused("history is cut"))?;
            let entry = HistoryEntry::parse_list(entry).map_err(|_| refused("bad history"))?;
            history.extend(entry);
            body = after;
        }
        let was = rest.strip_suffix(body).unwrap().to_owned();
        Ok(Read {
            name: name.to_owned(),
            version: version.to_owned(),
            history,
            parts: [first.to_owned(), was, body.to_owned()],
        })
    }
}

impl FeedType for Note {
    fn tag(&self) -> &'static str {
        if self.has(Defect::UpperCaseTag) { "Note" } else { "note" }
    }

    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        let sound = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase());
        let invalid = |detail: &str| FeedTypeError::Name {
            feed_type: "note",
            text: name.to_owned(),
            detail: detail.to_owned().into(),
        };
        if !group.is_empty() || !sound(name) {
            return Err(invalid("not lower-case letters"));
        }
        let key = if self.has(Defect::EmptyNames) && name.is_empty() { "x" } else { name };
        let key = NameKey::new("", key).map_err(|error| invalid(&error.to_string()))?;
        Ok(PackageName::new("", name, key))
    }

    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        let mut key = SortKey::builder();
        if self.has(Defect::KeysDisagreeWithIdentity) {
            key = key.mark(u8::try_from(text.len()).unwrap_or_default());
        }
        key = key.number(text).map_err(|error| FeedTypeError::Version {
            feed_type: "note",
            text: text.to_owned(),
            detail: error.into(),
        })?;
        let identity = text.trim_start_matches('0');
        let key = if self.has(Defect::KeysArePrefixes) {
            SortKey::from_bytes(text.as_bytes())
        } else {
            key.finish()
        };
        Ok(Version::new(text, identity, key, Stability::Stable))
    }

    fn qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        if asked.is_empty() { Ok(Qualifiers::none()) } else { Err(refused("no qualifiers")) }
    }

    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        let Upload { content, file_name, .. } = upload;
        let read = self.read(content, limits)?;
        let name = match file_name {
            Some(file_name) if self.has(Defect::FileNameMisleads) => {
                file_name.chars().skip(1).take_while(char::is_ascii_lowercase).collect()
            }
            _ => read.name.clone(),
        };
        let change = if self.has(Defect::ChangesItsMind) { self.calls.next() } else { 0 };
        let manifest = if self.has(Defect::NoObject) {
            "[]".to_owned()
        } else {
            format!("{{\"a\":{change}}}")
        };
        Ok(Inspected::new(
            Identity {
                package: self.package_name("", &name)?,
                version: self.version(&read.version)?,
                qualifiers: Qualifiers::none(),
            },
            manifest,
        )
        .with_history(read.history))
    }

    fn repackage(
        &self,
        order: Repackage<'_>,
        limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        let Repackage { source, to, entry, out, .. } = order;
        let read = self.read(source, limits)?;
        let [first, was, body] = read.parts;
        if body.contains("sealed") && !self.has(Defect::RepackagesEverything) {
            return Err(FeedTypeError::NotRepackageable { detail: "is sealed".into() });
        }
        let first = if self.has(Defect::KeepsTheVersion) {
            first
        } else {
            format!("note {} {}", read.name, to.version)
        };
        let entry = entry.append_to_list(None).unwrap().replace('\n', "");
        let entry = if self.has(Defect::ForgetsTheHistory) {
            String::new()
        } else {
            format!("was {entry}\n")
        };
        let noise = if self.has(Defect::RandomResult) {
            self.calls.next().to_string()
        } else {
            String::new()
        };
        write!(out, "{first}\n{was}{entry}{body}{noise}").map_err(|error| {
            if self.has(Defect::BlamesTheFileWhenWriting) {
                refused("cannot be written")
            } else {
                FeedTypeError::Io(error)
            }
        })?;
        Ok(Repackaged::plain())
    }

    fn file_name(&self, identity: &Identity) -> String {
        let mark = if self.has(Defect::FileNameWithSlash) { '/' } else { '-' };
        format!("{}{mark}{}.note", identity.package.name(), identity.version)
    }

    fn purl(&self, identity: &Identity) -> Purl {
        let version =
            (!self.has(Defect::PurlLosesTheVersion)).then(|| identity.version.text().to_owned());
        Purl {
            package_type: "note".to_owned(),
            group: String::new(),
            name: identity.package.name().to_owned(),
            version,
            qualifiers: Qualifiers::none(),
        }
    }

    fn coordinates(&self, purl: &Purl) -> Result<hayloft_feed::Coordinates, FeedTypeError> {
        if purl.package_type != "note" && !self.has(Defect::AnyPurl) {
            return Err(refused("another type"));
        }
        Ok(hayloft_feed::Coordinates {
            group: purl.group.clone(),
            name: purl.name.clone(),
            version: purl.version.clone().unwrap_or_default(),
            qualifiers: purl.qualifiers.clone(),
        })
    }
}

fn samples() -> [Sample; 4] {
    [
        Sample::new("hay-7.note", "note hay 7\nsome text"),
        Sample::new("wrong-1.note", "note hay 07\nwas [\"hay:1\"]\nsome text"),
        Sample::unnamed("note loft 71"),
        Sample::new("sealed-3.note", "note sealed 3\nsealed").not_repackageable(),
    ]
}

#[test]
fn a_sound_type_passes() {
    check(&Note::default(), &samples(), "70");
    check_order(&Note::default(), &["1", "2", "10", "071", "72"]);
}

#[rstest]
#[case(Defect::UpperCaseTag, "tag: `Note`")]
#[case(Defect::PurlLosesTheVersion, "identify must accept the parts of pkg:note/hay")]
#[case(Defect::AnyPurl, "must refuse a package URL of another type")]
#[case(Defect::FileNameWithSlash, "file_name must be one safe path segment, not `hay/7.note`")]
#[case(Defect::FileNameMisleads, "inspect under its own file name must give ay 7, not y 7")]
#[case(Defect::KeysArePrefixes, "is the beginning of the other one")]
#[case(Defect::KeysDisagreeWithIdentity, "so their sort keys must be equal")]
#[case(Defect::EmptyNames, "an empty name must be refused")]
#[case(Defect::StartsAtThePosition, "inspect must accept a sound sample")]
#[case(Defect::ChangesItsMind, "inspect must be deterministic")]
#[case(Defect::NoObject, "the manifest must be a JSON object")]
#[case(Defect::IgnoresLimits, "a manifest above the limits must be refused")]
#[case(Defect::PanicsOnDamage, "inspect panicked on")]
#[case(Defect::BlamesTheStorage, "must blame the file, not the storage")]
#[case(Defect::BlamesTheFile, "inspect must answer `Io` if the storage fails")]
#[case(Defect::BlamesTheFileWhenWriting, "repackage must answer `Io` if the storage fails")]
#[case(Defect::RandomResult, "repackage must be deterministic")]
#[case(Defect::KeepsTheVersion, "inspect of the repackaged file must give hay 70, not hay 7")]
#[case(Defect::ForgetsTheHistory, "the history must be the old one and then the new entry")]
#[case(Defect::RepackagesEverything, "repackage must answer `NotRepackageable`")]
fn one_defect_is_found_and_named(#[case] defect: Defect, #[case] message: &str) {
    let failure = catch_unwind(AssertUnwindSafe(|| check(&Note::with(defect), &samples(), "70")));
    let payload = failure.expect_err("the defect must be found");
    let said = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap();
    assert!(said.contains(message), "expected `{message}` in: {said}");
}

#[test]
#[should_panic(expected = "10 must sort before 9")]
fn a_wrong_order_is_named() {
    check_order(&Note::default(), &["1", "10", "9"]);
}
