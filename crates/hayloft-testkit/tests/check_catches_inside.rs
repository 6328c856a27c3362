//! Defects that only show inside of a package, in its group, or between two versions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::io::{Read, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hayloft_feed::semver::SemVer;
use hayloft_feed::{
    Coordinates, FeedType, FeedTypeError, HistoryEntry, Identity, Inspected, Limits, NameKey,
    PackageName, Purl, Qualifiers, ReadError, ReadSeek, Repackage, Repackaged, Upload, Version,
};
use hayloft_testkit::{Sample, check};
use rstest::rstest;

/// A package is a tar.gz with a member `loft`: a line `GROUP NAME VERSION`, then a line of history.
#[derive(Debug, Default)]
struct Loft(Option<Defect>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    DropsAMember,
    EmptiesAMember,
    PanicsOnDamageInside,
    BlamesTheStorageForDamageInside,
    BlamesTheStorageForNames,
    DropsTheGroup,
    DropsTheGroupOfTheFile,
    PackageUrlDropsTheGroup,
    FileNameWithoutVersion,
}

struct Opened {
    group: String,
    name: String,
    version: String,
    history: String,
    others: Vec<(String, Vec<u8>)>,
}

fn refused(detail: &str) -> FeedTypeError {
    FeedTypeError::refused("loft", detail)
}

fn packed(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::new(6)));
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(u64::try_from(bytes.len()).unwrap());
        archive.append_data(&mut header, name, *bytes).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

impl Loft {
    fn has(&self, defect: Defect) -> bool {
        self.0 == Some(defect)
    }

    fn open(&self, content: &mut dyn ReadSeek, limits: &Limits) -> Result<Opened, FeedTypeError> {
        content.seek(SeekFrom::Start(0)).map_err(FeedTypeError::Io)?;
        let packed = Limits::read(content, limits.manifest).map_err(|error| match error {
            ReadError::Io(error) => FeedTypeError::Io(error),
            other => refused(&other.to_string()),
        })?;
        let damaged = |error: std::io::Error| refused(&error.to_string());
        let mut found = None;
        let mut others = Vec::new();
        let unpack = |reader: &mut dyn Read| {
            Limits::read(reader, limits.unpacked).map_err(|error| refused(&error.to_string()))
        };
        let whole = unpack(&mut GzDecoder::new(packed.as_slice()))?;
        let mut archive = tar::Archive::new(whole.as_slice());
        for entry in archive.entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let bytes = unpack(&mut entry)?;
            if name == "loft" { found = Some(bytes) } else { others.push((name, bytes)) }
        }
        let text = String::from_utf8(found.ok_or_else(|| refused("no member `loft`"))?);
        let text = text.map_err(|error| {
            if self.has(Defect::BlamesTheStorageForDamageInside) {
                FeedTypeError::Io(std::io::Error::other(error))
            } else {
                refused("`loft` is not text")
            }
        })?;
        let (first, history) = text.split_once('\n').unwrap_or((&text, ""));
        let words: Vec<&str> = first.split(' ').collect();
        if self.has(Defect::PanicsOnDamageInside) {
            assert_eq!(words.len(), 3);
        }
        let [group, name, version] = *words.as_slice() else { return Err(refused("no words")) };
        let group = if self.has(Defect::DropsTheGroupOfTheFile) { "-" } else { group };
        Ok(Opened {
            group: if group == "-" { String::new() } else { group.to_owned() },
            name: name.to_owned(),
            version: version.to_owned(),
            history: history.to_owned(),
            others,
        })
    }
}

impl FeedType for Loft {
    fn tag(&self) -> &'static str {
        "loft"
    }

    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        let sound = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.');
        let fits = sound(group) && sound(name) && name.starts_with(|first| first != '.');
        if self.has(Defect::BlamesTheStorageForNames) && !fits {
            return Err(FeedTypeError::Io(std::io::Error::other("a bad name")));
        }
        let group = if self.has(Defect::DropsTheGroup) { "" } else { group };
        let key = NameKey::new(group, name).ok().filter(|_| fits);
        let key = key.ok_or_else(|| refused("not lower-case letters"))?;
        Ok(PackageName::new(group, name, key))
    }

    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        let version: SemVer =
            text.parse().map_err(|error| FeedTypeError::version("loft", text, error))?;
        Ok(version.version())
    }

    fn qualifiers(&self, asked: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        if asked.is_empty() { Ok(Qualifiers::none()) } else { Err(refused("no qualifiers")) }
    }

    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        let opened = self.open(upload.content, limits)?;
        let identity = Identity {
            package: self.package_name(&opened.group, &opened.name)?,
            version: self.version(&opened.version)?,
            qualifiers: Qualifiers::none(),
        };
        let history = match opened.history.as_str() {
            "" => Vec::new(),
            text => HistoryEntry::parse_list(text).map_err(|_| refused("bad history"))?,
        };
        Ok(Inspected::new(identity, "{}".to_owned()).with_history(history))
    }

    fn repackage(
        &self,
        order: Repackage<'_>,
        limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        let Repackage { source, to, entry, out, .. } = order;
        let opened = self.open(source, limits)?;
        let before = Some(opened.history.as_str()).filter(|text| !text.is_empty());
        let history = entry.append_to_list(before).map_err(|_| refused("bad history"))?;
        let group = if opened.group.is_empty() { "-" } else { &opened.group };
        let first =
            format!("{group} {} {}\n{}", opened.name, to.version, history.replace('\n', ""));
        let mut others = opened.others;
        if self.has(Defect::DropsAMember) {
            others.pop();
        }
        if let (true, Some((_, last))) = (self.has(Defect::EmptiesAMember), others.last_mut()) {
            last.clear();
        }
        let mut members = vec![("loft", first.as_bytes())];
        members.extend(others.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
        out.write_all(&packed(&members)).map_err(FeedTypeError::Io)?;
        Ok(Repackaged::plain())
    }

    fn file_name(&self, identity: &Identity) -> String {
        if self.has(Defect::FileNameWithoutVersion) {
            return format!("{}.loft", identity.package.name());
        }
        format!("{}-{}.loft", identity.package.name(), identity.version)
    }

    fn purl(&self, identity: &Identity) -> Purl {
        let group = identity.package.group().to_owned();
        Purl {
            package_type: "loft".to_owned(),
            group: if self.has(Defect::PackageUrlDropsTheGroup) { String::new() } else { group },
            name: identity.package.name().to_owned(),
            version: Some(identity.version.text().to_owned()),
            qualifiers: Qualifiers::none(),
        }
    }

    fn coordinates(&self, purl: &Purl) -> Result<Coordinates, FeedTypeError> {
        if purl.package_type != "loft" {
            return Err(refused("another type"));
        }
        Ok(Coordinates {
            group: purl.group.clone(),
            name: purl.name.clone(),
            version: purl.version.clone().unwrap_or_default(),
            qualifiers: purl.qualifiers.clone(),
        })
    }
}

fn samples() -> [Sample; 2] {
    let grouped = packed(&[
        ("loft", b"org.hay bale 1.0.0\n"),
        ("straw-1.0.0/a.txt", b"yellow"),
        ("straw-1.0.0/b.txt", b"dry"),
    ]);
    let plain = packed(&[("loft", b"- bale 1.0.0-rc.1\n"), ("empty", b"")]);
    [
        Sample::new("bale-1.0.0.loft", grouped).called("org.hay", "bale"),
        Sample::new("bale-1.0.0-rc.1.loft", plain).called("", "bale"),
    ]
}

#[test]
fn a_sound_type_passes() {
    check(&Loft::default(), &samples(), "2.0.0");
}

#[rstest]
#[case(Defect::DropsAMember, "repackage must keep the content of `straw-1.0.0/b.txt`")]
#[case(Defect::EmptiesAMember, "repackage must keep the content of `straw-1.0.0/b.txt`")]
#[case(Defect::PanicsOnDamageInside, "inspect panicked on nothing in place of loft")]
#[case(Defect::BlamesTheStorageForDamageInside, "must blame the file, not the storage, on bit")]
#[case(Defect::BlamesTheStorageForNames, "must not be an I/O error")]
#[case(Defect::DropsTheGroup, "the group `loft` is dropped")]
#[case(Defect::DropsTheGroupOfTheFile, "inspect must find group and name of the package")]
#[case(Defect::PackageUrlDropsTheGroup, "must give org.hay/bale 1.0.0, not bale 1.0.0")]
#[case(Defect::FileNameWithoutVersion, "file_name must tell the version")]
fn one_defect_is_found_and_named(#[case] defect: Defect, #[case] message: &str) {
    let broken = Loft(Some(defect));
    let failure = catch_unwind(AssertUnwindSafe(|| check(&broken, &samples(), "2.0.0")));
    let payload = failure.expect_err("the defect must be found");
    let said = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap();
    assert!(said.contains(message), "expected `{message}` in: {said}");
}
