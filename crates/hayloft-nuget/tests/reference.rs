//! Versions and ranges against the reference library, which runs under mono.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail"
)]

mod support;

use std::cmp::Ordering;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hayloft_nuget::{NuGetVersion, VersionRange};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use support::{corpus, tree};

/// Answers each line `version TAB version TAB range` by the library whose file it is given. By
/// reflection, since in the client the library is not public.
const PROGRAM: &str = r#"
using System;
using System.IO;
using System.Reflection;
using System.Text;
static class Program {
    static Type version, range;
    static object Parse(Type type, string text) {
        var arguments = new object[] { text, null };
        var types = new[] { typeof(string), type.MakeByRefType() };
        return (bool)type.GetMethod("TryParse", types).Invoke(null, arguments) ? arguments[1] : null;
    }
    static object Call(object target, string name, params object[] arguments) {
        var types = Type.GetTypeArray(arguments);
        return target.GetType().GetMethod(name, types).Invoke(target, arguments);
    }
    static object Get(object target, string name) {
        return target.GetType().GetProperty(name).GetValue(target, null);
    }
    static void Main(string[] arguments) {
        var library = Assembly.LoadFrom(arguments[0]);
        version = library.GetType("NuGet.Versioning.NuGetVersion", true);
        range = library.GetType("NuGet.Versioning.VersionRange", true);
        var semantic = library.GetType("NuGet.Versioning.SemanticVersion", true);
        var compare = semantic.GetMethod("CompareTo", new[] { semantic });
        var satisfies = range.GetMethod("Satisfies", new[] { version })
            ?? range.BaseType.GetMethod("Satisfies", new[] { version });
        var input = new StreamReader(Console.OpenStandardInput(), new UTF8Encoding(false));
        var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false));
        string line;
        while ((line = input.ReadLine()) != null) {
            var cells = line.Split('\t');
            var one = Parse(version, cells[0]);
            var other = Parse(version, cells[1]);
            var between = Parse(range, cells[2]);
            var answer = one == null ? "\t\t\t" : Call(one, "ToNormalizedString") + "\t"
                + Call(one, "ToFullString") + "\t" + Get(one, "IsPrerelease") + "\t" + Get(one, "IsSemVer2");
            answer += "\t" + (one == null || other == null ? ""
                : Math.Sign((int)compare.Invoke(one, new[] { other })).ToString());
            answer += "\t" + (between == null ? "" : Call(between, "ToNormalizedString"));
            answer += "\t" + (between == null || one == null ? ""
                : satisfies.Invoke(between, new[] { one }).ToString());
            output.WriteLine(answer);
        }
        output.Flush();
    }
}
"#;

fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    let is_there = found.is_ok_and(|status| status.success());
    if !is_there {
        println!("skipped: {program} is not installed");
    }
    is_there
}

/// The library: that of the client if there is one, else an older one that the corpus holds.
struct Library {
    path: PathBuf,
    /// The older one reads fewer forms of floating ranges.
    reads_floating: bool,
}

fn library(folder: &Path) -> Option<Library> {
    if let Some(client) = std::env::var_os("HAYLOFT_NUGET_EXE").map(PathBuf::from)
        && client.exists()
    {
        return Some(Library { path: client, reads_floating: true });
    }
    let package = corpus("nuget.versioning.5.0.0.nupkg")?;
    let library = &tree(&std::fs::read(package).unwrap())["lib/net472/NuGet.Versioning.dll"].1;
    let path = folder.join("NuGet.Versioning.dll");
    std::fs::write(&path, library).unwrap();
    Some(Library { path, reads_floating: false })
}

fn compile(folder: &Path) -> bool {
    if !is_there("mono") || !is_there("mcs") {
        return false;
    }
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("reference.cs"), PROGRAM).unwrap();
    let compiled = Command::new("mcs")
        .args(["-out:reference.exe", "reference.cs"])
        .current_dir(folder)
        .status()
        .unwrap();
    assert!(compiled.success());
    true
}

fn version() -> impl Strategy<Value = String> {
    let number = prop_oneof![6 => "[0-9]{1,2}", 1 => "[12][0-9]{9}", 1 => " ?[0-9] ?"];
    let label = prop_oneof![
        "-{0,2}[0-9]{1,3}",
        "-?[0-9]{9,11}",
        "[0-9A-Za-z-]{1,3}",
        "[01Aa-]{0,2}",
        Just("2147483647".to_owned()),
        Just("2147483648".to_owned()),
        Just("-2147483648".to_owned()),
        Just("-2147483649".to_owned()),
    ];
    let labels = prop::collection::vec(label, 0..4).prop_map(|labels| labels.join("."));
    let dash = |labels: String| if labels.is_empty() { labels } else { format!("-{labels}") };
    let labels = prop_oneof![9 => labels.prop_map(dash), 1 => "-?[01a.+-]{0,4}"];
    let metadata = prop_oneof![4 => "", 4 => "\\+[0-9A-Za-z-]{1,3}", 1 => "[0-9A.+-]{0,4}"];
    let numbers = prop_oneof![
        9 => prop::collection::vec(number.clone(), 1..5),
        1 => prop::collection::vec(number, 5..6),
    ];
    (numbers, labels, metadata)
        .prop_map(|(numbers, labels, metadata)| numbers.join(".") + &labels + &metadata)
}

fn range() -> impl Strategy<Value = String> {
    let bound = prop_oneof![
        3 => version(),
        1 => version().prop_map(|text| text + "*"),
        4 => "[0-2]\\.[0-2](\\.[01])?",
        1 => "([0-9]\\.){0,3}\\*?(-[a-z0-9.-]{0,3}\\*?)?",
        1 => " ?",
    ]
    .boxed();
    let pair = ("[\\[(]", bound.clone(), bound.clone(), "[\\])]")
        .prop_map(|(open, low, high, close)| format!("{open}{low},{high}{close}"));
    prop_oneof![
        4 => pair,
        2 => bound.clone(),
        2 => ("[\\[(]", bound.clone(), "[\\])]").prop_map(|(open, at, close)| open + &at + &close),
        1 => "[\\[\\]()0-2., *-]{0,8}",
    ]
}

#[test]
fn versions_and_ranges_are_those_of_the_reference_library() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reference");
    if !compile(&folder) {
        return;
    }
    let Some(library) = library(&folder) else { return };
    let mut runner = TestRunner::deterministic();
    let line = (version(), version(), range());
    let lines: Vec<_> = (0..10_000)
        .map(|_| line.new_tree(&mut runner).unwrap().current())
        .map(|(one, other, range)| [one, other, range])
        .collect();
    let answers = answers(&folder, &library.path, &lines);
    assert_eq!(answers.len(), lines.len());
    let (mut compared, mut ranges) = (0, 0);
    for ([one, other, range], answer) in lines.iter().zip(&answers) {
        let cells: Vec<&str> = answer.split('\t').collect();
        let [normalized, full, prerelease, semver2, order, range_text, satisfied] = cells[..]
        else {
            panic!("{answer}")
        };
        let one = one.parse::<NuGetVersion>().ok();
        let told = one.as_ref().map_or_else(
            || [String::new(), String::new(), String::new(), String::new()],
            |one| {
                let flag = |flag| if flag { "True" } else { "False" }.to_owned();
                [
                    one.normalized(),
                    one.to_string(),
                    flag(one.is_prerelease()),
                    flag(one.is_semver2()),
                ]
            },
        );
        assert_eq!(told, [normalized, full, prerelease, semver2]);
        if let Some(one) = &one
            && let Ok(other) = other.parse::<NuGetVersion>()
        {
            let expected = match order {
                "-1" => Ordering::Less,
                "0" => Ordering::Equal,
                "1" => Ordering::Greater,
                _ => panic!("{one} and {other} are read here only"),
            };
            assert_eq!(one.compare(&other), expected, "{one} {other}");
            let keys = (one.sort_key().unwrap(), other.sort_key().unwrap());
            assert_eq!(keys.0.cmp(&keys.1), expected, "{one} {other}");
            compared += 1;
        } else {
            assert_eq!(order, "");
        }
        let Ok(ours) = range.parse::<VersionRange>() else { continue };
        if range.contains('*') && !library.reads_floating {
            continue;
        }
        assert_eq!(ours.to_string(), range_text, "{range}");
        if let Some(one) = &one {
            let flag = if ours.is_satisfied_by(one) { "True" } else { "False" };
            assert_eq!(flag, satisfied, "{range} {one}");
        }
        ranges += 1;
    }
    assert!(compared > 3_000 && ranges > 3_000, "{compared} {ranges}");
    println!("{compared} pairs of versions and {ranges} ranges agree with the library");
}

fn answers(folder: &Path, library: &Path, lines: &[[String; 3]]) -> Vec<String> {
    let mut child = Command::new("mono")
        .arg("reference.exe")
        .arg(library)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text: Vec<String> = lines.iter().map(|line| line.join("\t") + "\n").collect();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(text.concat().as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}
