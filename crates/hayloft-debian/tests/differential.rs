//! Packages that can be read in two ways, put before dpkg and before apt's own reader: what is
//! accepted here is the same package to both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use hayloft_archive::{Compression, encoder};
use hayloft_debian::Debian;
use hayloft_testkit::inspect;

fn control(name: &str) -> Vec<u8> {
    let text = "Version: 1.0\nArchitecture: all\nMaintainer: A <a@b>\nDescription: d\n";
    format!("Package: {name}\n{text}").into_bytes()
}

/// A tar header with a right checksum.
fn header(path: &[u8], link: &[u8], size: usize, kind: u8, prefix: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..path.len()].copy_from_slice(path);
    block[100..107].copy_from_slice(b"0000644");
    block[108..115].copy_from_slice(b"0000000");
    block[116..123].copy_from_slice(b"0000000");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[136..147].copy_from_slice(b"00000000000");
    block[148..156].copy_from_slice(b"        ");
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[345..345 + prefix.len()].copy_from_slice(prefix);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn member(path: &str, kind: u8, data: &[u8]) -> Vec<u8> {
    with_prefix("", path, kind, data)
}

fn with_prefix(prefix: &str, path: &str, kind: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = header(path.as_bytes(), b"", data.len(), kind, prefix.as_bytes());
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(path: &str, name: &str) -> Vec<u8> {
    member(path, b'0', &control(name))
}

fn link(path: &str, kind: u8, target: &str) -> Vec<u8> {
    header(path.as_bytes(), target.as_bytes(), 0, kind, b"")
}

fn pax(key: &str, value: &str) -> Vec<u8> {
    let body = |length: usize| format!("{length} {key}={value}\n");
    let length = (1..100).find(|length| body(*length).len() == *length).unwrap();
    member("PaxHeaders/x", b'x', body(length).as_bytes())
}

fn tar(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

fn packed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut stream = encoder(compression, Box::new(&mut out)).unwrap();
    stream.write_all(bytes).unwrap();
    stream.finish().unwrap();
    out
}

fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, data) in members {
        let head =
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, data.len());
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(data);
        if data.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

fn deb(control_name: &str, control: &[u8]) -> Vec<u8> {
    ar(&[("debian-binary", b"2.0\n"), (control_name, control), ("data.tar", &tar(&[]))])
}

/// Every package that can be read in two ways, by what it is.
#[expect(clippy::too_many_lines, reason = "a table")]
fn ambiguities() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let one = || file("./control", "one");
    let mut plain = |what: String, members: &[Vec<u8>]| {
        all.push((what, deb("control.tar", &tar(members))));
    };
    plain("sound".to_owned(), &[member("./", b'5', b""), one()]);
    // Two manifests, in every spelling and order.
    let spellings = [
        "control",
        "./control",
        ".//control",
        "././control",
        "/control",
        "./control/",
        "control/",
        "./x/../control",
        "../control",
        "Control",
        "./control ",
        "./control.",
        "control\\",
        ".\\control",
        "./x/control",
    ];
    for spelling in spellings {
        plain(format!("only {spelling:?}"), &[file(spelling, "one")]);
        plain(format!("{spelling:?} before"), &[file(spelling, "two"), one()]);
        plain(format!("{spelling:?} behind"), &[one(), file(spelling, "two")]);
    }
    // Links that lead from one name to another.
    for kind in [b'1', b'2'] {
        let shown = char::from(kind);
        for target in ["control", "./control", ".", "..", "/", "x", "./x"] {
            plain(
                format!("link {shown} control -> {target}"),
                &[file("./x", "two"), link("./control", kind, target)],
            );
            plain(
                format!("link {shown} x -> {target}, then x"),
                &[one(), link("./x", kind, target), file("./x", "two")],
            );
            plain(
                format!("link {shown} x -> {target}, then x/control"),
                &[one(), link("./x", kind, target), file("./x/control", "two")],
            );
        }
    }
    for kind in [b'3', b'4', b'6', b'7', b'V', b'D', b'M', b'N', b'A', 0] {
        let shown = char::from(kind).escape_default().to_string();
        plain(format!("type {shown}"), &[member("./control", kind, &control("one"))]);
        plain(format!("type {shown} before"), &[member("./control", kind, &control("two")), one()]);
        plain(format!("type {shown}, no data"), &[member("./x", kind, b""), one()]);
    }
    // Names in extension records and prefixes.
    plain("pax path to control".to_owned(), &[pax("path", "./control"), file("./x", "two"), one()]);
    plain("pax path from control".to_owned(), &[pax("path", "./x"), one(), file("./y", "two")]);
    plain("only pax path".to_owned(), &[pax("path", "./control"), file("./x", "one")]);
    plain("pax size".to_owned(), &[pax("size", "3"), one()]);
    plain("pax link".to_owned(), &[pax("linkpath", "x"), one()]);
    for (kind, what) in [(b'L', "long name"), (b'K', "long link")] {
        let record = member("././@LongLink", kind, b"./control\0");
        plain(format!("{what} to control"), &[record.clone(), file("./x", "two"), one()]);
        plain(format!("only {what}"), &[record, file("./x", "one")]);
        let away = member("././@LongLink", kind, b"./x\0");
        plain(format!("{what} from control"), &[away, one()]);
    }
    plain("prefix".to_owned(), &[with_prefix(".", "control", b'0', &control("two")), one()]);
    plain("only a prefix".to_owned(), &[with_prefix(".", "control", b'0', &control("one"))]);
    plain("prefix away".to_owned(), &[with_prefix("x", "control", b'0', &control("two")), one()]);
    // What stands behind the end.
    let behind =
        |end: usize| [one(), vec![0; end], file("./control", "two"), vec![0; 1024]].concat();
    for end in [512, 1024, 10_240] {
        all.push((format!("second tar after {end} zeros"), deb("control.tar", &behind(end))));
    }
    for unended in [0, 512] {
        let bytes = [one(), vec![0; unended]].concat();
        all.push((format!("end of {unended} zeros"), deb("control.tar", &bytes)));
    }
    // Streams in several parts.
    let kinds = [("gz", Compression::Gzip), ("xz", Compression::Xz), ("zst", Compression::Zstd)];
    for (extension, compression) in kinds {
        let name = format!("control.tar.{extension}");
        let whole = tar(&[one()]);
        let pack = |bytes: &[u8]| packed(compression, bytes);
        let mut with = |what: &str, bytes: Vec<u8>| {
            all.push((format!("{extension}: {what}"), deb(&name, &bytes)));
        };
        with("sound", pack(&whole));
        with("two parts", [pack(&whole[..600]), pack(&whole[600..])].concat());
        with("two archives", [pack(&whole), pack(&tar(&[file("./control", "two")]))].concat());
        with("unended, then another", {
            let second = tar(&[file("./control", "two")]);
            [pack(&whole[..whole.len() - 1024]), pack(&second)].concat()
        });
        with("an empty part first", [pack(b""), pack(&whole)].concat());
        with("zeros behind", [pack(&whole), vec![0; 64]].concat());
        with("noise behind", [pack(&whole), b"noise".to_vec()].concat());
        with("not compressed", whole.clone());
        for (other, as_other) in kinds {
            if other != extension {
                with(&format!("is {other}"), packed(as_other, &whole));
            }
        }
    }
    // Members of the outer archive.
    let (first, second) = (tar(&[one()]), tar(&[file("./control", "two")]));
    let data = tar(&[]);
    let binary: (&str, &[u8]) = ("debian-binary", b"2.0\n");
    let mut outer = |what: &str, members: &[(&str, &[u8])]| {
        all.push((format!("ar: {what}"), ar(members)));
    };
    let data_member: (&str, &[u8]) = ("data.tar", &data);
    let packed_second = packed(Compression::Gzip, &second);
    outer(
        "control twice",
        &[binary, ("control.tar", &first), ("control.tar", &second), data_member],
    );
    outer(
        "control and control.gz",
        &[binary, ("control.tar", &first), ("control.tar.gz", &packed_second), data_member],
    );
    outer(
        "control behind data",
        &[binary, ("control.tar", &first), data_member, ("control.tar.gz", &packed_second)],
    );
    outer("data first", &[binary, data_member, ("control.tar", &first)]);
    outer("data twice", &[binary, ("control.tar", &first), data_member, ("data.tar.gz", b"x")]);
    outer("binary twice", &[binary, binary, ("control.tar", &first), data_member]);
    outer(
        "slashes",
        &[("debian-binary/", b"2.0\n"), ("control.tar/", &first), ("data.tar/", &data)],
    );
    outer("other slashes", &[binary, ("/control.tar", &first), data_member]);
    outer("other case", &[binary, ("Control.tar", &first), data_member]);
    outer("blank before", &[binary, (" control.tar", &first), data_member]);
    for name in ["_x", "x", "_control.tar", "control", "control.tar.asc", "debian-binary.x"] {
        outer(
            &format!("{name} before control"),
            &[binary, (name, b"x"), ("control.tar", &first), data_member],
        );
        outer(
            &format!("{name} before data"),
            &[binary, ("control.tar", &first), (name, b"x"), data_member],
        );
        outer(
            &format!("{name} last"),
            &[binary, ("control.tar", &first), data_member, (name, b"x")],
        );
        outer(
            &format!("{name} first"),
            &[(name, b"x"), binary, ("control.tar", &first), data_member],
        );
    }
    for text in [
        "2.0\n",
        "2.1\n",
        "2.0\nx\n",
        "2.0",
        "2.0\r\n",
        " 2.0\n",
        "3.0\n",
        "0.939000\n",
        "2\n",
        "2.x\n",
        "\n2.0\n",
    ] {
        outer(
            &format!("version {text:?}"),
            &[("debian-binary", text.as_bytes()), ("control.tar", &first), data_member],
        );
    }
    let sound = ar(&[binary, ("control.tar", &first), data_member]);
    for tail in [&b"\n"[..], b"x", b"xx", &[0; 60], &[b' '; 60], b"!<arch>\n"] {
        all.push((format!("ar: {tail:?} behind"), [&sound, tail].concat()));
    }
    // Manifests that can be read in two ways.
    let text = String::from_utf8(control("one")).unwrap();
    let mut manifest = |what: &str, text: String| {
        let archive = tar(&[member("./control", b'0', text.as_bytes())]);
        all.push((format!("manifest: {what}"), deb("control.tar", &archive)));
    };
    manifest("field twice", format!("{text}Package: two\n"));
    manifest("field twice in other case", format!("{text}package: two\n"));
    manifest("second stanza", format!("{text}\nPackage: two\nVersion: 2\n"));
    manifest("blank line of blanks", format!("{text} \nPackage: two\n"));
    manifest("comment", format!("#c\n{text}"));
    manifest("comment inside", text.replace("Architecture", "#c\nArchitecture"));
    manifest("byte order mark", format!("\u{feff}{text}"));
    manifest("returns", text.replace('\n', "\r\n"));
    manifest("lone returns", text.replace('\n', "\r"));
    manifest("zero", text.replace("one", "one\0two"));
    manifest("no newline", text.trim_end().to_owned());
    manifest("blank lines first", format!("\n\n{text}"));
    manifest("value in the next line", text.replace(": one", ":\n one"));
    manifest("value in two lines", text.replace(": 1.0", ": 1.0\n 2.0"));
    manifest("blank in the name", text.replace("Package:", "Package :"));
    manifest("tab in the value", text.replace(": one", ":\tone\t"));
    manifest("upper case", text.replace("one", "ONE"));
    manifest("revision field", format!("{text}Revision: 7\n"));
    manifest("old revision field", format!("{text}Package_Revision: 7\n"));
    manifest("epoch", text.replace("1.0", "0:1.0"));
    manifest("vertical tab", text.replace(": 1.0", ":\u{b}1.0"));
    manifest("signed", format!("-----BEGIN PGP SIGNED MESSAGE-----\n\n{text}"));
    all
}

/// Name and version that a program printed as fields.
fn named(fields: &str) -> Option<(String, String)> {
    let value = |name: &str| {
        let mut lines = fields.lines();
        lines.find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
    };
    // dpkg does not print an epoch of zero.
    let version = value("Version:")?;
    let version = version.strip_prefix("0:").unwrap_or(&version).to_owned();
    Some((value("Package:")?, version))
}

fn dpkg(path: &Path) -> Option<(String, String)> {
    let mut command = Command::new("dpkg-deb");
    let ran = command.arg("-f").arg(path).args(["Package", "Version"]).output().unwrap();
    ran.status.success().then(|| named(&String::from_utf8_lossy(&ran.stdout))).flatten()
}

/// As the tool reads that makes indexes; it has a reader of its own.
fn apt(folder: &Path) -> Option<(String, String)> {
    let mut command = Command::new("apt-ftparchive");
    let ran = command.arg("packages").arg(folder).output().unwrap();
    named(&String::from_utf8_lossy(&ran.stdout))
}

fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        println!("skipped: {tool} is not installed");
    }
    found
}

#[test]
fn what_is_accepted_is_the_same_package_to_dpkg_and_apt() {
    let (has_dpkg, has_apt) = (has("dpkg-deb"), has("apt-ftparchive"));
    if !has_dpkg {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let (mut wrong, mut accepted) = (String::new(), 0);
    let all = ambiguities();
    for (number, (what, bytes)) in all.iter().enumerate() {
        let folder = scratch.path().join(number.to_string());
        fs::create_dir(&folder).unwrap();
        let path = folder.join("a.deb");
        fs::write(&path, bytes).unwrap();
        let own = inspect(&Debian, bytes, None, &[("distro", "sid")]).ok().map(|found| {
            let identity = found.identity;
            let version = identity.version.text();
            let version = version.strip_prefix("0:").unwrap_or(version);
            (identity.package.name().to_owned(), version.to_owned())
        });
        let Some(own) = own else { continue };
        accepted += 1;
        let mut readers = vec![("dpkg", dpkg(&path))];
        if has_apt {
            readers.push(("apt", apt(&folder)));
        }
        for (reader, read) in readers {
            let refused_by_apt = reader == "apt" && read.is_none();
            if !refused_by_apt && read.as_ref() != Some(&own) {
                writeln!(wrong, "{what}: {own:?} here, {read:?} by {reader}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(accepted >= 20, "only {accepted} of {} are accepted", all.len());
}

#[test]
fn nothing_that_is_accepted_is_unpacked_beside_the_directory() {
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        println!("skipped: dpkg-deb is not installed");
        return;
    }
    let text = |path: &str| member(path, b'0', b"x");
    let folder = |path: &str| member(path, b'5', b"");
    let cases: Vec<(&str, Vec<Vec<u8>>, bool)> = vec![
        ("plain", vec![text("./a")], true),
        ("absolute", vec![text("/a")], true),
        ("twice", vec![text("//a"), text(".//b")], true),
        ("up", vec![text("../out")], false),
        ("up behind a dot", vec![text("./../out")], false),
        ("up behind a folder", vec![folder("./a/"), text("./a/../../out")], false),
        ("up and down", vec![folder("./a/"), text("./a/../b")], false),
        ("at the end", vec![folder("./a/..")], false),
        ("dots in names", vec![text("./..a"), text("./a..b"), text("./...")], true),
        ("link up", vec![link("./l", b'2', "../../x"), text("./l/out")], true),
        ("link to the root", vec![link("./l", b'2', "/tmp"), text("./l/out")], true),
        ("hard link up", vec![link("./h", b'1', "../p.deb")], false),
        ("hard link to the root", vec![link("./h", b'1', "/etc/passwd")], true),
        ("path of a record", vec![pax("path", "../out"), text("./a")], false),
    ];
    for (name, data, accepted) in cases {
        let data = tar(&[vec![folder("./")], data].concat());
        for compression in
            [Compression::None, Compression::Gzip, Compression::Xz, Compression::Zstd]
        {
            let extension = match compression {
                Compression::None => "",
                Compression::Gzip => ".gz",
                Compression::Xz => ".xz",
                _ => ".zst",
            };
            let package = ar(&[
                ("debian-binary", b"2.0\n"),
                ("control.tar", &tar(&[file("./control", "hay")])),
                (&format!("data.tar{extension}"), &packed(compression, &data)),
            ]);
            let found = inspect(&Debian, &package, None, &[("distro", "sid")]);
            assert_eq!(found.is_ok(), accepted, "{name}{extension}: {found:?}");
            if !accepted {
                continue;
            }
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("p.deb");
            fs::write(&file, &package).unwrap();
            let root = directory.path().join("root");
            fs::create_dir_all(&root).unwrap();
            // It fails for some, having written what it could.
            Command::new("dpkg-deb").arg("-x").arg(&file).arg(&root).output().unwrap();
            let names = fs::read_dir(directory.path()).unwrap();
            let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, ["p.deb", "root"], "{name}");
        }
    }
}
