#![allow(missing_docs, reason = "a test crate has no readers")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

//! npm's own modules, in one long-lived `node`, judge names, versions and normalized fields.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::fs;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use hayloft_archive::{Compression, TarKind, TarReader, Trailing, decoder_with};
use hayloft_feed::{FeedType, Limits};
use hayloft_npm::{Npm, NpmName, NpmVersion};
use hayloft_testkit::{inspect, npm_tgz};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use serde_json::{Value, json};

const SCRIPT: &str = r"
const modules = process.argv[1];
const load = name => require(`${modules}/${name}`);
const semver = load('semver');
const validate = load('validate-npm-package-name');
const bin = load('npm-normalize-package-bin');
const PackageJson = load('@npmcli/package-json');
const answers = {
  versions: texts => texts.map(text => [
    semver.valid(text), semver.valid(text, true), semver.clean(text)]),
  compare: ([a, b]) => semver.compare(a, b),
  name: text => validate(text),
  bin: given => bin(given).bin ?? null,
  publish: async folder => (await PackageJson.prepare(folder)).content,
};
require('readline').createInterface({ input: process.stdin }).on('line', async line => {
  const [question, given] = JSON.parse(line);
  const answer = await answers[question](given);
  process.stdout.write(JSON.stringify(answer ?? null) + '\n');
});
";

struct Node {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Node {
    /// `None`, and a line that says so, where npm is not installed.
    fn start() -> Option<RefCell<Self>> {
        let root = Command::new("npm").args(["root", "-g"]).stderr(Stdio::null()).output();
        let modules = root
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            .map(|root| PathBuf::from(root).join("npm/node_modules"))
            .ok()
            .filter(|modules| modules.join("semver").is_dir());
        let Some(modules) = modules else {
            println!("skipped: npm is not installed");
            return None;
        };
        let mut child = Command::new("node")
            .args(["-e", SCRIPT])
            .arg(modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs where npm does");
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Some(RefCell::new(Self { child, input, output }))
    }

    fn ask(&mut self, question: &str, given: &Value) -> Value {
        writeln!(self.input, "{}", json!([question, given])).unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{question} {given}: no answer"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn runner(cases: u32) -> TestRunner {
    let persistence = FileFailurePersistence::WithSource("regressions");
    TestRunner::new(Config {
        cases,
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(persistence)),
        ..Config::default()
    })
}

fn shown(version: Result<NpmVersion, hayloft_npm::NpmVersionError>) -> Value {
    version.map_or(Value::Null, |version| version.to_string().into())
}

/// Text near the border of the grammars.
fn near_version() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ =vV\u{a0}\u{feff}\n]{0,3}(0|[0-9]{1,3})(\\.(0|x|[0-9]{1,4})){1,3}(-?[0-9A-Za-z.-]{0,8})?(\\+[0-9a-z.-]{0,6})?[ \n]{0,1}",
        1 => "(0|[1-9][0-9]{0,17})\\.0\\.0(-[0-9]{14,18})?",
        1 => "[0-9]{1,2}\\.[0-9]{1,2}\\.[0-9]{240,252}-?[a-z]{0,3}",
        1 => "\\PC{0,12}",
    ]
}

fn version() -> impl Strategy<Value = String> {
    let number = prop_oneof![4 => "0|[1-9]|1[0-9]", 1 => "[1-9][0-9]{10,14}|9007199254740991"];
    let field =
        prop_oneof!["0|[1-9][0-9]{0,2}", "90071992547409(89|9[0-9])", "[0-9A-Za-z-]{0,3}[a-zA-Z-]"];
    let fields = prop::collection::vec(field, 0..4);
    ([number.clone(), number.clone(), number], fields).prop_map(|(numbers, fields)| {
        let release = numbers.join(".");
        if fields.is_empty() { release } else { format!("{release}-{}", fields.join(".")) }
    })
}

/// A prerelease number that JavaScript rounds, or keeps with its leading zeros.
fn has_great_field(version: &str) -> bool {
    let (_, prerelease) = version.split_once('-').unwrap_or((version, ""));
    prerelease
        .split('.')
        .any(|field| field.len() >= 16 && field.bytes().all(|byte| byte.is_ascii_digit()))
}

#[test]
fn texts_are_versions_where_node_semver_says_so() {
    let Some(node) = Node::start() else { return };
    let texts = prop::collection::vec(near_version(), 20);
    runner(250)
        .run(&texts, |texts| {
            let answers = node.borrow_mut().ask("versions", &json!(texts));
            for (text, answer) in texts.iter().zip(answers.as_array().unwrap()) {
                prop_assert_eq!(&shown(text.parse()), &answer[0], "strict {:?}", text);
                prop_assert_eq!(&shown(NpmVersion::clean(text)), &answer[2], "clean {:?}", text);
                let loose = shown(NpmVersion::loose(text));
                if answer[1].as_str().is_some_and(has_great_field) {
                    prop_assert!(loose.is_string(), "loose {:?}", text);
                } else {
                    prop_assert_eq!(&loose, &answer[1], "loose {:?}", text);
                }
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn sort_keys_order_versions_as_node_semver_does() {
    let Some(node) = Node::start() else { return };
    runner(2000)
        .run(&(version(), version()), |(one, other)| {
            let order = match node.borrow_mut().ask("compare", &json!([one, other])).as_i64() {
                Some(-1) => Ordering::Less,
                Some(0) => Ordering::Equal,
                _ => Ordering::Greater,
            };
            let (left, right) = (Npm.version(&one).unwrap(), Npm.version(&other).unwrap());
            let keys = left.sort_key().cmp(right.sort_key());
            let (left, right): (NpmVersion, NpmVersion) =
                (one.parse().unwrap(), other.parse().unwrap());
            prop_assert_eq!(left.cmp(&right), keys);
            if order != Ordering::Equal || !has_great_field(&one) {
                prop_assert_eq!(keys, order);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn sort_keys_are_prefix_free_and_equal_only_for_equal_versions() {
    runner(2000)
        .run(&(version(), version()), |(one, other)| {
            let (left, right) = (Npm.version(&one).unwrap(), Npm.version(&other).unwrap());
            let (left_key, right_key) = (left.sort_key().as_bytes(), right.sort_key().as_bytes());
            prop_assert_eq!(left == right, left_key == right_key);
            prop_assert!(left_key == right_key || !left_key.starts_with(right_key));
            Ok(())
        })
        .unwrap();
}

#[test]
fn names_are_valid_where_npm_says_so() {
    let Some(node) = Node::start() else { return };
    let name = prop_oneof![
        "[a-zA-Z0-9._~!'()*@/ -]{0,6}",
        "@[a-z._~-]{0,3}/[a-zA-Z._~!-]{0,3}",
        "[a-z@/.-]{210,218}",
        "(@a/)?(node_modules|Favicon.ico|events|Events|fs|node:test)",
        "\\PC{0,5}",
    ];
    runner(2000)
        .run(&name, |text| {
            let answer = node.borrow_mut().ask("name", &json!(text));
            let parsed: Result<NpmName, _> = text.parse();
            prop_assert_eq!(parsed.is_ok(), answer["validForOldPackages"] == true, "{:?}", text);
            if let Ok(name) = parsed {
                let new = name.legacy().is_none();
                prop_assert_eq!(new, answer["validForNewPackages"] == true, "{:?}", text);
                prop_assert_eq!(name.to_string(), text);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn commands_are_normalized_as_npm_does() {
    let Some(node) = Node::start() else { return };
    let path = "[ab./:\\\\]{0,7}";
    let bin = prop_oneof![
        path.prop_map(Value::from),
        prop::collection::vec(path, 0..3).prop_map(Value::from),
        prop::collection::btree_map(
            path,
            prop_oneof![path.prop_map(Value::from), Just(json!(1))],
            0..3
        )
        .prop_map(|map| Value::Object(map.into_iter().collect())),
    ];
    runner(700)
        .run(&bin, |bin| {
            let given = json!({"name": "@s/tool", "bin": bin});
            let expected = node.borrow_mut().ask("bin", &given);
            let bytes = npm_tgz("@s/tool", "1.0.0").field("bin", &bin.to_string()).build();
            let found = inspect(&Npm, &bytes, None, &[]).unwrap();
            let found: Value = serde_json::from_str(&found.manifest).unwrap();
            prop_assert_eq!(&found["bin"], &expected, "{}", bin);
            Ok(())
        })
        .unwrap();
}

/// npm prepares the unpacked packages of the corpus for publishing; the fields that installations
/// rely on come out the same.
#[test]
fn manifests_of_real_packages_are_what_npm_would_publish() {
    let Some(node) = Node::start() else { return };
    let standard = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus");
    let corpus = std::env::var("HAYLOFT_CORPUS").unwrap_or_else(|_| standard.to_owned());
    let Ok(files) = fs::read_dir(Path::new(&corpus).join("npm")) else {
        println!("skipped: there is no {corpus}/npm");
        return;
    };
    let mut compared = 0;
    for file in files {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "tgz") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let folder = tempfile::tempdir().unwrap();
        unpack(&bytes, folder.path());
        let expected = node.borrow_mut().ask("publish", &json!(folder.path()));
        let found = inspect(&Npm, &bytes, None, &[]).unwrap();
        let manifest: Value = serde_json::from_str(&found.manifest).unwrap();
        for key in [
            "name",
            "version",
            "bin",
            "optionalDependencies",
            "peerDependencies",
            "peerDependenciesMeta",
            "engines",
            "os",
            "cpu",
            "libc",
            "license",
            "exports",
            "directories",
            "description",
            "gitHead",
        ] {
            assert_eq!(manifest[key], expected[key], "{}: {key}", path.display());
        }
        let some = |value: &Value| match value {
            Value::Object(map) if map.is_empty() => Value::Null,
            Value::Array(list) if list.is_empty() => Value::Null,
            value => value.clone(),
        };
        for key in ["dependencies", "bundleDependencies"] {
            assert_eq!(some(&manifest[key]), some(&expected[key]), "{}: {key}", path.display());
        }
        let scripts = &expected["scripts"];
        let installs =
            ["preinstall", "install", "postinstall"].iter().any(|key| scripts[key].is_string());
        assert_eq!(manifest["hasInstallScript"] == true, installs, "{}", path.display());
        // npm knows README and markdown; we serve any other readme too.
        if let Some(readme) = expected["readmeFilename"].as_str() {
            assert_eq!(manifest["readmeFilename"], readme, "{}", path.display());
        }
        compared += 1;
    }
    println!("{compared} manifests compared");
}

fn unpack(bytes: &[u8], folder: &Path) {
    let limits = Limits::default();
    let stream =
        decoder_with(Compression::Gzip, Box::new(Cursor::new(bytes)), &limits, Trailing::Anything)
            .unwrap();
    let mut tar = TarReader::new(stream, &limits);
    while let Some(mut member) = tar.next().unwrap() {
        let path = String::from_utf8_lossy(member.path()).into_owned();
        let Some((_, inner)) = path.split_once('/') else { continue };
        if member.kind() == TarKind::File && !member.path_escapes() {
            let target = folder.join(inner);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(target, member.read(1 << 30).unwrap()).unwrap();
        }
    }
}
