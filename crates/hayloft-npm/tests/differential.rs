#![allow(missing_docs, reason = "a test crate has no readers")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

//! The real npm unpacks tarballs that could be read in several ways; whatever is accepted here, npm
//! reads alike.

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use hayloft_npm::Npm;
use hayloft_testkit::inspect;
use serde_json::Value;

/// Unpacks each `*.tgz` of a folder by npm's own pacote and prints, line by line, the file and the
/// manifest that is found, or an error.
const SCRIPT: &str = r#"
const { execSync } = require("child_process");
const fs = require("fs");
const path = require("path");
const root = execSync("npm root -g").toString().trim();
const pacote = require(path.join(root, "npm/node_modules/pacote"));
(async () => {
  const folder = process.argv[2];
  for (const file of fs.readdirSync(folder).filter((name) => name.endsWith(".tgz")).sort()) {
    const to = path.join(folder, "out");
    fs.rmSync(to, { recursive: true, force: true });
    let answer;
    try {
      const spec = "file:" + path.join(folder, file);
      // Names with a zero byte make it throw where nothing can catch it.
      const thrown = new Promise((_, reject) => process.once("uncaughtException", reject));
      const cache = path.join(folder, "cache");
      await Promise.race([pacote.extract(spec, to, { cache }), thrown]);
      answer = { manifest: fs.readFileSync(path.join(to, "package.json"), "utf8") };
    } catch (error) {
      answer = { error: String(error.message) };
    }
    process.removeAllListeners("uncaughtException");
    console.log(JSON.stringify({ file, ...answer }));
  }
})();
"#;

/// Random choices that are the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.roll(of.len())]
    }
}

const PATHS: [&str; 26] = [
    "package/package.json",
    "package/package.json",
    "package/package.json",
    "./package.json",
    "other/package.json",
    "././package.json",
    "package/./package.json",
    "./package/package.json",
    "package//package.json",
    "/package.json",
    "//package.json",
    "package.json",
    "package/x/../package.json",
    "package/../package.json",
    "package/C:package.json",
    "package/C:/package.json",
    "C:/package.json",
    "package\\package.json",
    "package/\\package.json",
    "a\\b/package.json",
    "package/package.json/",
    "package/package.json/x",
    "package/Package.json",
    "package/lib/package.json",
    "package/readme.md",
    "package/index.js",
];

fn manifest(number: usize) -> String {
    format!(r#"{{"name":"a","version":"1.0.{number}"}}"#)
}

fn pax_record(key: &str, value: &str) -> String {
    let body = key.len() + value.len() + 3;
    let mut length = body + body.to_string().len();
    length = body + length.to_string().len();
    format!("{length} {key}={value}\n")
}

fn header(dice: &mut Dice, path: &str, kind: u8, size: usize) -> [u8; 512] {
    let mut block = [0; 512];
    let name = &path.as_bytes()[..path.len().min(100)];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    let octal = format!("{size:011o}\0");
    block[124..136].copy_from_slice(octal.as_bytes());
    if dice.one_in(60) {
        block[124..136].fill(0);
        block[124] = 0x80;
        block[135] = u8::try_from(size % 256).unwrap();
    }
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = kind;
    let magic: &[u8] =
        dice.pick(&[&b"ustar\x0000"[..], b"ustar\x0000", b"ustar  \0", b"\0\0\0\0\0\0\0\0"]);
    block[257..265].copy_from_slice(magic);
    if matches!(kind, b'1' | b'2') || dice.one_in(60) {
        let target = dice.pick(&["index.js", "../x", "package/package.json", "/etc/x"]).as_bytes();
        block[157..157 + target.len()].copy_from_slice(target);
    }
    if dice.one_in(40) {
        let prefix = dice.pick(&["package", "package/lib", "x"]).as_bytes();
        block[345..345 + prefix.len()].copy_from_slice(prefix);
    }
    if dice.one_in(40) {
        block[98] = b'\n';
    }
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum::<u32>() + 8 * 32;
    let sum = match dice.roll(90) {
        0 => format!("{sum:08o}"),
        1 => format!("{sum:>6o}\0 "),
        2 => format!("{:06o}\0 ", sum + 1),
        3..=30 => format!("{sum:07o}\0"),
        _ => format!("{sum:06o}\0 "),
    };
    block[148..156].copy_from_slice(sum.as_bytes());
    block
}

fn push(tar: &mut Vec<u8>, header: &[u8; 512], data: &[u8]) {
    tar.extend_from_slice(header);
    tar.extend_from_slice(data);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

fn extension(dice: &mut Dice, tar: &mut Vec<u8>, size: usize) {
    let path = dice.pick(&PATHS);
    match dice.roll(10) {
        0..=2 => push(tar, &plain(b'L', path.len() + 1), format!("{path}\0").as_bytes()),
        3 => push(tar, &plain(b'K', 2), b"x\0"),
        4 => push(tar, &plain(b'N', path.len()), path.as_bytes()),
        kind => {
            let record = match dice.roll(6) {
                0 => pax_record("size", &size.to_string()),
                1 => pax_record("size", "7"),
                2 => pax_record("type", dice.pick(&["Directory", "SymbolicLink", "File"])),
                3 => pax_record("comment", &format!("x\n{}", pax_record("path", path))),
                4 => pax_record("path", &format!("{path}\nx")),
                _ => pax_record("path", path),
            };
            let flag = if kind == 5 { b'g' } else { b'x' };
            push(tar, &plain(flag, record.len()), record.as_bytes());
        }
    }
}

fn plain(kind: u8, size: usize) -> [u8; 512] {
    let mut header = tar::Header::new_ustar();
    header.set_path("x").unwrap();
    header.set_mode(0o644);
    header.set_size(size as u64);
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_cksum();
    *header.as_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tarball(dice: &mut Dice) -> Vec<u8> {
    let mut tar = Vec::new();
    for number in 0..=dice.roll(3) {
        let same = dice.one_in(2);
        let data = manifest(if same { 0 } else { number });
        if dice.one_in(8) {
            extension(dice, &mut tar, data.len());
        }
        if dice.one_in(40) {
            extension(dice, &mut tar, data.len());
        }
        let kind = *dice.pick(&[
            &b'0', &b'0', &b'0', &b'0', &b'0', &b'0', &b'0', &0, &0, &b'5', &b'1', &b'2', &b'7',
            &b'A',
        ]);
        let data = if matches!(kind, b'0' | b'7' | 0 | b'A') { data } else { String::new() };
        let path = if number == 0 { PATHS[0] } else { dice.pick(&PATHS) };
        let header = header(dice, path, kind, data.len());
        push(&mut tar, &header, data.as_bytes());
        if dice.one_in(25) {
            tar.resize(tar.len() + 512 * (1 + dice.roll(2)), 0);
        }
    }
    if !dice.one_in(10) {
        tar.resize(tar.len() + 1024, 0);
    }
    match dice.roll(12) {
        0 => {
            let at = dice.roll(tar.len());
            [gzip(&tar[..at]), gzip(&tar[at..])].concat()
        }
        1 => [gzip(b""), gzip(&tar)].concat(),
        2 => [gzip(&tar), vec![0; 700]].concat(),
        3 => [gzip(&tar), vec![0], gzip(&tar)].concat(),
        4 => [gzip(&tar), gzip(&tar)].concat(),
        _ => gzip(&tar),
    }
}

#[test]
fn npm_reads_the_manifest_that_was_read_here() {
    let here = Command::new("npm").arg("--version").output();
    let with_node = Command::new("node").arg("--version").output();
    if !here.is_ok_and(|output| output.status.success()) || with_node.is_err() {
        println!("skipped: npm is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(11);
    let count = 500;
    let mut ours = Vec::new();
    for number in 0..count {
        let bytes = tarball(&mut dice);
        fs::write(folder.path().join(format!("{number:04}.tgz")), &bytes).unwrap();
        let found = inspect(&Npm, &bytes, None, &[]);
        ours.push(found.map(|found| found.identity.version.text().to_owned()));
    }
    let script = folder.path().join("unpack.js");
    fs::write(&script, SCRIPT).unwrap();
    let output = Command::new("node").arg(&script).arg(folder.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    compare(&ours, &String::from_utf8(output.stdout).unwrap());
}

fn compare(ours: &[Result<String, hayloft_feed::FeedTypeError>], theirs: &str) {
    let mut wrong = String::new();
    let (mut accepted, mut seen) = (0, 0);
    for (line, ours) in theirs.lines().zip(ours) {
        seen += 1;
        let theirs: Value = serde_json::from_str(line).unwrap();
        let Ok(version) = ours else { continue };
        accepted += 1;
        let found: Option<Value> =
            theirs["manifest"].as_str().and_then(|text| serde_json::from_str(text).ok());
        if found.as_ref().map(|found| &found["version"]) != Some(&Value::from(version.as_str())) {
            writeln!(wrong, "we read {version}, npm {line}").unwrap();
        }
    }
    assert_eq!(seen, ours.len());
    assert!(wrong.is_empty(), "{wrong}");
    assert!(accepted > 80, "of {seen} tarballs only {accepted} are accepted");
    println!("{accepted} of {seen} tarballs are accepted, and read alike by npm");
}
