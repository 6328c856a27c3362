#![allow(missing_docs, reason = "a test crate has no readers")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

//! Files that no build tool writes: refused with words that say what is wrong, at once or when
//! they are to be vouched for under another version.

mod support;

use std::io::{Cursor, Write};

use data_encoding::BASE64URL_NOPAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use hayloft_feed::{FeedType, FeedTypeError, Inspected, Limits, Qualifiers};
use hayloft_pypi::Pypi;
use hayloft_testkit::{Sample, history_entry, inspect, repackage};
use rstest::rstest;
use sha2::{Digest, Sha256};
use support::chain;
use tar::{EntryType, Header};
use zip::write::SimpleFileOptions;

const WHEEL: &str = "hay-1.0-py3-none-any.whl";
const SDIST: &str = "hay-1.0.tar.gz";
const METADATA: &str = "Metadata-Version: 2.1\nName: hay\nVersion: 1.0\n";
const ABOUT: &str = "Wheel-Version: 1.0\nTag: py3-none-any\n";
const RECORD: &str = "hay-1.0.dist-info/RECORD";

/// A wheel by path and content; its record is right until it is edited.
struct Files(Vec<(String, Vec<u8>)>);

impl Files {
    fn new() -> Self {
        Self(Vec::new())
            .with("hay.py", "pass\n")
            .with("hay-1.0.dist-info/METADATA", METADATA)
            .with("hay-1.0.dist-info/WHEEL", ABOUT)
    }

    fn with(mut self, path: &str, content: &str) -> Self {
        self.0.retain(|(other, _)| other != path);
        self.0.push((path.to_owned(), content.as_bytes().to_vec()));
        self
    }

    fn without(mut self, path: &str) -> Self {
        self.0.retain(|(other, _)| other != path);
        self
    }

    fn recorded(self) -> Self {
        self.recorded_with(|record| record)
    }

    fn recorded_with(self, edit: impl FnOnce(String) -> String) -> Self {
        let rows = self.0.iter().map(|(path, bytes)| {
            let digest = BASE64URL_NOPAD.encode(&Sha256::digest(bytes));
            format!("{path},sha256={digest},{}\n", bytes.len())
        });
        let record = rows.chain([format!("{RECORD},,\n")]).collect::<Vec<_>>().concat();
        self.with(RECORD, &edit(record))
    }

    fn zip(self) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (path, bytes) in self.0 {
            zip.start_file(path, SimpleFileOptions::default()).unwrap();
            zip.write_all(&bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }
}

/// Tar members as written, with no library to correct them.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn hay() -> Self {
        Self::default().file("hay-1.0/PKG-INFO", METADATA)
    }

    fn file(self, path: &str, content: &str) -> Self {
        self.member(path, EntryType::Regular, "", content.as_bytes())
    }

    fn link(self, path: &str, kind: EntryType, target: &str) -> Self {
        self.member(path, kind, target, b"")
    }

    fn member(mut self, path: &str, kind: EntryType, target: &str, data: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header.set_mode(0o644);
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn gzip(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&self.0).unwrap();
        encoder.finish().unwrap()
    }
}

fn read(name: &str, bytes: &[u8]) -> Inspected {
    inspect(&Pypi, bytes, Some(name), &[]).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn refusal(name: &str, bytes: &[u8]) -> String {
    let error = inspect(&Pypi, bytes, Some(name), &[]).expect_err("the file is refused");
    assert!(matches!(error, FeedTypeError::Refused { .. }), "{error:?}");
    chain(&error)
}

fn to_2(name: &str, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let from = read(name, bytes).identity;
    match repackage(&Pypi, bytes, &from, "2.0", &history_entry(&from, bytes)) {
        Ok((bytes, _)) => Ok(bytes),
        Err(FeedTypeError::NotRepackageable { detail }) => Err(chain(&*detail)),
        Err(error) => panic!("{error:?}"),
    }
}

#[rstest]
#[case::no_dist_info(Files(Vec::new()).with("hay.py", ""), "no `.dist-info` directory")]
#[case::two_dist_infos(
    Files::new().with("hay-1.1.dist-info/METADATA", METADATA),
    "two `.dist-info` directories at its top, `hay-1.0.dist-info` and `hay-1.1.dist-info`"
)]
#[case::no_metadata(
    Files::new().without("hay-1.0.dist-info/METADATA"),
    "no `hay-1.0.dist-info/METADATA`"
)]
#[case::no_about(Files::new().without("hay-1.0.dist-info/WHEEL"), "no `hay-1.0.dist-info/WHEEL`")]
#[case::no_record(Files::new(), "no `hay-1.0.dist-info/RECORD`")]
#[case::wheel_version(
    Files::new().with("hay-1.0.dist-info/WHEEL", "Wheel-Version: 2.0\n").recorded(),
    "has Wheel-Version `2.0`; only 1.x can be read"
)]
#[case::other_name(
    Files::new()
        .with("hay-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: straw\nVersion: 1.0\n")
        .recorded(),
    "directory `hay-1.0.dist-info` that does not match Name `straw` and Version `1.0`"
)]
#[case::two_versions(
    Files::new()
        .with("hay-1.0.dist-info/METADATA", &format!("{METADATA}Version: 1.0\n"))
        .recorded(),
    "more than one `Version` header"
)]
#[case::folded_version(
    Files::new()
        .with("hay-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: hay\nVersion:\n 1.0\n")
        .recorded(),
    "`Version` header of more than one line"
)]
#[case::unknown_metadata_version(
    Files::new()
        .with("hay-1.0.dist-info/METADATA", "Metadata-Version: 3.0\nName: hay\nVersion: 1.0\n")
        .recorded(),
    "metadata version `3.0`"
)]
#[case::record_of_two_columns(Files::new().with(RECORD, "hay.py,\n"), "row 1 does not have 3")]
#[case::path_out(Files::new().with("../hay.py", "").recorded(), "`../hay.py`")]
#[case::path_out_by_blanks(Files::new().with("hay/.. /x", "").recorded(), "contains `..`")]
#[case::later_drive(Files::new().with("hay/C:x", "").recorded(), "begins with a drive letter")]
#[case::dist_info_in_other_case(
    Files::new().with("HAY-1.0.DIST-INFO/METADATA", METADATA),
    "two `.dist-info` directories at its top, `HAY-1.0.DIST-INFO` and `hay-1.0.dist-info`"
)]
#[case::file_called_dist_info(
    Files::new().with("straw-1.0.dist-info", ""),
    "two `.dist-info` directories at its top"
)]
#[case::only_other_case(
    Files(Vec::new()).with("hay-1.0.Dist-Info/METADATA", METADATA),
    "no `.dist-info` directory"
)]
#[case::dotted_dist_info(
    Files::new().with("./hay-1.0.dist-info/entry_points.txt", "").recorded(),
    "`./hay-1.0.dist-info/entry_points.txt` that is unpacked into its metadata directory"
)]
#[case::metadata_in_other_case(
    Files::new().with("hay-1.0.dist-info/Metadata", METADATA).recorded(),
    "two files `hay-1.0.dist-info/METADATA` and `hay-1.0.dist-info/Metadata`"
)]
#[case::record_in_other_case(
    Files::new().with("hay-1.0.dist-info/record", "").recorded(),
    "two files `hay-1.0.dist-info/record` and `hay-1.0.dist-info/RECORD`"
)]
#[case::other_data(
    Files::new().with("straw-1.0.data/scripts/x", "").recorded(),
    "directory `straw-1.0.data` at its top, which is not the data of this wheel"
)]
#[case::two_wheel_versions(
    Files::new()
        .with("hay-1.0.dist-info/WHEEL", &format!("{ABOUT}Wheel-Version: 2.0\n"))
        .recorded(),
    "`Wheel-Version` stands in it twice"
)]
#[case::two_roots(
    Files::new()
        .with("hay-1.0.dist-info/WHEEL", &format!("{ABOUT}Root-Is-Purelib: true\nRoot-Is-Purelib: false\n"))
        .recorded(),
    "`Root-Is-Purelib` stands in it twice"
)]
#[case::text_in_about(
    Files::new()
        .with("hay-1.0.dist-info/WHEEL", &format!("{ABOUT}text\nWheel-Version: 2.0\n"))
        .recorded(),
    "neither a header nor empty"
)]
#[case::version_after_text(
    Files::new()
        .with("hay-1.0.dist-info/METADATA", &format!("{METADATA}text\nversion : 2.0\n"))
        .recorded(),
    "states `Version` once more behind a line that is neither a header nor empty"
)]
#[case::row_twice(
    Files::new().recorded_with(|record| format!("{record}hay.py,,\n")),
    "`hay.py` is listed more than once"
)]
fn wheels_are_refused(#[case] files: Files, #[case] message: &str) {
    let text = refusal(WHEEL, &files.zip());
    assert!(text.contains(message), "{text}");
}

#[test]
fn a_broken_off_description_is_text() {
    // Old tools wrote descriptions without indentation.
    let metadata = format!("{METADATA}Description: a\nb c\n\nVersion: 2.0\nName: x\n");
    let found =
        read(WHEEL, &Files::new().with("hay-1.0.dist-info/METADATA", &metadata).recorded().zip());
    assert_eq!(found.identity.version.text(), "1.0");
    assert!(found.warnings.iter().any(|text| text.contains("not ended")), "{:?}", found.warnings);
}

#[test]
fn links_in_a_zip_that_lead_out_are_refused() {
    let with_link = |target: &str| {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (path, bytes) in Files::new().recorded().0 {
            zip.start_file(path, SimpleFileOptions::default()).unwrap();
            zip.write_all(&bytes).unwrap();
        }
        zip.add_symlink("hay/link", target, SimpleFileOptions::default()).unwrap();
        zip.finish().unwrap().into_inner()
    };
    read(WHEEL, &with_link("../hay.py"));
    for target in ["../../x", "/etc/passwd"] {
        let text = refusal(WHEEL, &with_link(target));
        assert!(text.contains("leads out of the archive"), "{text}");
    }
}

#[test]
fn names_of_other_systems_are_told() {
    let files = Files::new().with("hay/aux.py", "").with("hay/a.", "").recorded();
    let warnings = read(WHEEL, &files.zip()).warnings.join("\n");
    assert!(warnings.contains("`hay/aux.py` is the name of a device on Windows"), "{warnings}");
    let sdist = Tar::hay().file("hay-1.0/a\\b", "").file("hay-1.0/b/C:x", "");
    let warnings = read(SDIST, &sdist.gzip()).warnings.join("\n");
    assert!(warnings.contains("`hay-1.0/a\\b` contains a backslash"), "{warnings}");
}

#[test]
fn a_wheel_with_a_member_twice_is_refused() {
    let mut bytes = Files::new().with("hax.py", "pass\n").recorded().zip();
    let places: Vec<usize> = bytes
        .windows(6)
        .enumerate()
        .filter(|(_, name)| name == b"hax.py")
        .map(|(at, _)| at)
        .collect();
    // The local header and the directory; the record is compressed.
    assert_eq!(places.len(), 2);
    for at in places {
        bytes[at + 2] = b'y';
    }
    assert!(refusal(WHEEL, &bytes).contains("more than one entry `hay.py`"));
}

/// Installers do not look at the record, so that these are stored; nobody else would find out once
/// they have a new one.
#[rstest]
#[case::changed_file(
    |record: String| record.replace(",5\n", ",6\n"),
    "`hay.py` does not have the digest or size that `RECORD` states"
)]
#[case::other_digest(
    |record: String| record.replacen("sha256=", "sha384=", 1),
    "`hay.py` does not have the digest or size"
)]
#[case::weak_digest(
    |record: String| record.replacen("sha256=", "md5=", 1),
    "gives `hay.py` no sha256, sha384 or sha512 digest"
)]
#[case::unlisted(
    |record: String| record.split_once('\n').unwrap().1.to_owned(),
    "`hay.py` is not listed in `RECORD`"
)]
#[case::absent(
    |record: String| format!("{record}gone.py,sha256=,0\n"),
    "`gone.py` is listed in `RECORD` but is not there"
)]
#[case::digest_of_itself(
    |record: String| record.replace(",,\n", ",sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n"),
    "gives a digest or size for itself"
)]
fn a_wrong_record_is_not_vouched_for(#[case] edit: fn(String) -> String, #[case] message: &str) {
    let text = to_2(WHEEL, &Files::new().recorded_with(edit).zip()).unwrap_err();
    assert!(text.contains(message), "{text}");
}

#[test]
fn a_script_that_requires_the_old_version_is_not_repackaged() {
    let script = "#!python\n__requires__ = 'hay==1.0'\n";
    let files = Files::new().with("hay-1.0.data/scripts/hay", script).recorded();
    let text = to_2(WHEEL, &files.zip()).unwrap_err();
    assert_eq!(
        text,
        "the script `hay-1.0.data/scripts/hay` requires exactly version 1.0 when it is run"
    );
}

#[test]
fn a_vendored_metadata_directory_is_a_file_like_any_other() {
    let inner = "hay/_vendor/straw-3.0.dist-info/METADATA";
    let vendored = "Metadata-Version: 2.1\nName: straw\nVersion: 3.0\n";
    let same_name = "hay/hay-1.0.dist-info/RECORD";
    let files = Files::new().with(inner, vendored).with(same_name, "").recorded();
    let bytes = to_2(WHEEL, &files.zip()).unwrap();
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    assert!(zip.by_name(inner).is_ok());
    assert!(zip.by_name(same_name).is_ok());
    assert!(zip.by_name("hay-2.0.dist-info/RECORD").is_ok());
}

#[rstest]
#[case::nothing(Tar::default(), "is empty")]
#[case::no_metadata(Tar::default().file("hay-1.0/a", ""), "no `PKG-INFO` in its top directory")]
#[case::deeper_metadata(
    Tar::default().file("hay-1.0/hay.egg-info/PKG-INFO", METADATA),
    "no `PKG-INFO` in its top directory"
)]
#[case::two_tops(Tar::hay().file("straw/a", ""), "two top directories, `hay-1.0` and `straw`")]
#[case::file_beside(Tar::hay().file("hay-1.0", ""), "`hay-1.0` outside a top directory")]
#[case::path_out(Tar::hay().file("hay-1.0/../../a", ""), "`hay-1.0/../../a`")]
#[case::absolute(Tar::hay().file("/hay-1.0/a", ""), "`/hay-1.0/a`")]
#[case::link_out(
    Tar::hay().link("hay-1.0/a", EntryType::Symlink, "../../etc/passwd"),
    "link `hay-1.0/a` that leads out"
)]
#[case::link_beside(
    Tar::hay().link("hay-1.0/a", EntryType::Symlink, "../straw/a"),
    "link `hay-1.0/a` that leads out"
)]
#[case::absolute_link(
    Tar::hay().link("hay-1.0/a", EntryType::Symlink, "/etc/passwd"),
    "link `hay-1.0/a` that leads out"
)]
#[case::hard_link_out(
    Tar::hay().link("hay-1.0/a", EntryType::Link, "straw/a"),
    "link `hay-1.0/a` that leads out"
)]
#[case::device(
    Tar::hay().link("hay-1.0/a", EntryType::Char, ""),
    "`hay-1.0/a` that is neither a file nor a directory nor a link"
)]
#[case::metadata_twice(
    Tar::hay().file("hay-1.0/./PKG-INFO", METADATA),
    "`PKG-INFO` that stands there twice or is a link"
)]
#[case::linked_metadata(
    Tar::default().link("hay-1.0/PKG-INFO", EntryType::Symlink, "a"),
    "`PKG-INFO` that stands there twice or is a link"
)]
#[case::metadata_in_other_case(
    Tar::hay().file("hay-1.0/Pkg-Info", METADATA),
    "two files `PKG-INFO` and `Pkg-Info`, which some systems unpack to one"
)]
#[case::build_file_in_other_case(
    Tar::hay().file("hay-1.0/setup.py", "").file("hay-1.0/SETUP.PY", ""),
    "two files `setup.py` and `SETUP.PY`"
)]
#[case::two_build_files(
    Tar::hay().file("hay-1.0/setup.py", "a").file("hay-1.0/./setup.py", "b"),
    "`setup.py` that stands there twice or is a link"
)]
#[case::top_in_other_case(Tar::hay().file("Hay-1.0/a", ""), "two top directories")]
#[case::absolute_below_the_top(Tar::hay().file("hay-1.0//etc/a", ""), "is an absolute path")]
#[case::drive(Tar::hay().file("C:/hay-1.0/a", ""), "drive letter")]
#[case::drive_below_the_top(Tar::hay().file("hay-1.0/C:/a", ""), "begins with a drive letter")]
#[case::share(Tar::hay().file("\\\\host\\a", ""), "is an absolute path")]
#[case::up_with_a_blank(Tar::hay().file("hay-1.0/.. /a", ""), "contains `..`")]
#[case::chain_of_links(
    Tar::hay()
        .link("hay-1.0/a/b/c", EntryType::Symlink, "../..")
        .link("hay-1.0/d", EntryType::Symlink, "a/b/c/../../etc/passwd"),
    "`hay-1.0/d` is a link that leads out of the archive"
)]
#[case::through_a_link(
    Tar::hay().link("hay-1.0/a", EntryType::Symlink, "b").file("hay-1.0/a/c", ""),
    "`hay-1.0/a/c` would be unpacked through a symbolic link"
)]
#[case::in_the_place_of_a_link(
    Tar::hay().link("hay-1.0/a", EntryType::Symlink, "b").file("hay-1.0/A", ""),
    "`hay-1.0/A` would be unpacked through a symbolic link"
)]
#[case::hard_link_to_a_link(
    Tar::hay()
        .link("hay-1.0/a/b", EntryType::Symlink, "..")
        .link("hay-1.0/c", EntryType::Link, "hay-1.0/a/b"),
    "through a symbolic link"
)]
#[case::members_after_the_end(
    Tar(Tar::hay().0.into_iter().chain([0; 1024]).chain(Tar::hay().0).collect()),
    "something follows its end"
)]
#[case::top_of_another_version(
    Tar::default().file("hay-1.1/PKG-INFO", METADATA),
    "top directory `hay-1.1` that does not match Name `hay` and Version `1.0`"
)]
fn source_distributions_are_refused(#[case] tar: Tar, #[case] message: &str) {
    let text = refusal(SDIST, &tar.gzip());
    assert!(text.contains(message), "{text}");
}

#[test]
fn a_build_file_that_was_packed_twice_is_accepted() {
    let twice = Tar::hay().file("hay-1.0/setup.py", "a").file("hay-1.0/setup.py", "a");
    let found = read(SDIST, &twice.gzip());
    assert!(found.warnings.iter().any(|text| text.contains("twice")), "{:?}", found.warnings);
}

const SCM: &str = "from setuptools import setup\nsetup(use_scm_version=True)\n";
const COMPUTED: &str = "the source distribution computes its version";

#[rstest]
#[case::setup_py(
    Tar::hay().file("hay-1.0/setup.py", "setup(version='1.0')"),
    "the source distribution computes its version; \
     repackage the wheel with `qualifier=file=…` (it computes it in setup.py)"
)]
#[case::no_build_files(Tar::hay(), COMPUTED)]
#[case::unknown_backend(
    Tar::hay().file("hay-1.0/pyproject.toml", "[build-system]\nbuild-backend = 'x.y'\n"),
    COMPUTED
)]
#[case::repository(
    Tar::hay().file("hay-1.0/setup.py", SCM).file("hay-1.0/.git/HEAD", ""),
    "`.git` in the source distribution overrides its version; \
     repackage the wheel with `qualifier=file=…`"
)]
#[case::archive_of_a_commit(
    Tar::hay().file("hay-1.0/setup.py", SCM).file("hay-1.0/.git_archival.txt", "ref-names: tag: v1"),
    "`.git_archival.txt` in the source distribution overrides its version"
)]
#[case::linked_build_file(
    Tar::hay().link("hay-1.0/setup.py", EntryType::Symlink, "PKG-INFO"),
    "`setup.py` that stands there twice or is a link"
)]
#[case::member_twice(
    Tar::hay().file("hay-1.0/setup.py", SCM).file("hay-1.0/a", "").file("hay-1.0/a", ""),
    "`hay-1.0/a` stands in the archive twice"
)]
#[case::other_version_declared(
    Tar::hay().file("hay-1.0/pyproject.toml", "[project]\nversion = '1.1'\n"),
    "`pyproject.toml` declares the version `1.1`, but the source distribution has 1.0"
)]
fn source_distributions_are_not_repackaged(#[case] tar: Tar, #[case] message: &str) {
    let text = to_2(SDIST, &tar.gzip()).unwrap_err();
    assert!(text.contains(message), "{text}");
}

#[test]
fn a_bomb_is_refused_at_the_limit() {
    let mut limits = Limits::default();
    limits.unpacked = 1 << 20;
    let zeros = "\0".repeat(8 << 20);
    let sdist = Tar::hay().file("hay-1.0/a", &zeros).gzip();
    assert!(sdist.len() < 100_000);
    let error = Sample::new(SDIST, sdist).inspect(&Pypi, &limits).unwrap_err();
    assert!(chain(&error).contains("limit of 1048576 bytes"), "{}", chain(&error));
    // A wheel's members are read only to be held against the record.
    let wheel = Files::new().with("a", &zeros).recorded().zip();
    let from = read(WHEEL, &wheel).identity;
    let to = Pypi.retarget(&from, &Pypi.version("2.0").unwrap()).unwrap();
    let entry = history_entry(&from, &wheel);
    let source = &mut Cursor::new(&wheel);
    let out = &mut Cursor::new(Vec::new());
    let order = hayloft_feed::Repackage::new(source, wheel.len() as u64, &from, &to, &entry, out);
    let error = Pypi.repackage(order, &limits).unwrap_err();
    assert!(chain(&error).contains("limit of 1048576 bytes"), "{}", chain(&error));
    let metadata = Files::new().with("hay-1.0.dist-info/METADATA", &(METADATA.to_owned() + &zeros));
    let mut limits = Limits::default();
    limits.manifest = 1 << 16;
    let error = Sample::new(WHEEL, metadata.recorded().zip()).inspect(&Pypi, &limits).unwrap_err();
    assert!(chain(&error).contains("larger than the limit of 65536"), "{}", chain(&error));
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let wheel = Files::new().recorded().zip();
    let sdist = Tar::hay().file("hay-1.0/setup.py", SCM).gzip();
    for (name, sound) in [(WHEEL, wheel), (SDIST, sdist)] {
        read(name, &sound);
        for length in 0..sound.len() {
            let cut = &sound[..length];
            for name in [Some(name), None] {
                let error = inspect(&Pypi, cut, name, &[]).unwrap_err();
                assert!(error.is_input(), "{length} bytes: {error:?}");
            }
        }
    }
}

#[rstest]
#[case::egg("hay-1.0-py3.12.egg", "eggs are not accepted")]
#[case::installer("hay-1.0.win32.exe", "Windows installers are not accepted")]
#[case::bzip2("hay-1.0.tar.bz2", "bzip2 archives are not accepted")]
#[case::another_version("hay-1.1-py3-none-any.whl", "does not match Name `hay` and Version `1.0`")]
#[case::another_name("straw-1.0-py3-none-any.whl", "does not match Name `hay` and Version `1.0`")]
#[case::wheel_as_sdist("hay-1.0.zip", "outside a top directory")]
fn names_that_do_not_fit_are_refused(#[case] name: &str, #[case] message: &str) {
    let text = refusal(name, &Files::new().recorded().zip());
    assert!(text.contains(message), "{text}");
}

#[test]
fn the_file_may_be_named_by_a_parameter_that_agrees() {
    let bytes = Files::new().recorded().zip();
    let found = inspect(&Pypi, &bytes, None, &[("file_name", WHEEL)]).unwrap();
    assert_eq!(found.identity.qualifiers, Qualifiers::from_pairs([("file", WHEEL)]).unwrap());
    let error = inspect(&Pypi, &bytes, Some(WHEEL), &[("file", SDIST)]).unwrap_err();
    assert!(chain(&error).contains("at once"), "{}", chain(&error));
}
