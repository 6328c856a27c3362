//! Every real and every odd package of the corpus through the program, on a store of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and report what they saw"
)]

use std::collections::HashSet;
use std::path::Path;

use hayloft_tests::{Ecosystem, Hayloft, Row, Verdict, ecosystems, sha1, sha256};
use serde_json::Value;

/// What became of the packages of one type: files, then versions.
#[derive(Debug, Default)]
struct Count {
    accepted: usize,
    refused: usize,
    repackaged: usize,
    fixed: usize,
    promoted: usize,
}

#[test]
fn every_package_gets_the_verdict_of_its_index() {
    let ecosystems = ecosystems();
    if ecosystems.is_empty() {
        return;
    }
    let mut table = vec![
        "type      | accepted | refused as expected | repackaged | refused repackaging | promoted"
            .to_owned(),
    ];
    // One thread each: the programs of different stores do not wait for one another.
    let counts: Vec<(&'static str, Count)> = std::thread::scope(|scope| {
        let walks: Vec<_> = ecosystems
            .iter()
            .map(|ecosystem| scope.spawn(move || (ecosystem.feed_type, walk(ecosystem))))
            .collect();
        walks.into_iter().filter_map(|walk| walk.join().ok()).collect()
    });
    for (feed_type, count) in &counts {
        let Count { accepted, refused, repackaged, fixed, promoted } = count;
        table.push(format!(
            "{feed_type:9} | {accepted:8} | {refused:19} | {repackaged:10} | {fixed:19} | \
             {promoted:8}"
        ));
        assert!(*accepted > 0 && *repackaged > 0 && *promoted > 0, "{feed_type}");
    }
    println!("{}", table.join("\n"));
    assert_eq!(counts.len(), ecosystems.len(), "what failed is above");
    let refused = counts.iter().filter(|(_, count)| count.refused > 0).count();
    assert!(refused >= 3, "nuget, debian and rubygems have broken packages");
}

/// One type's packages in a store with the feeds `dev` and `prod`.
struct Walk<'a> {
    hayloft: Hayloft,
    ecosystem: &'a Ecosystem,
    scratch: &'a Path,
    count: Count,
}

fn walk(ecosystem: &Ecosystem) -> Count {
    let scratch = tempfile::tempdir().unwrap();
    let hayloft = Hayloft::on_store(&scratch.path().join("store"));
    for feed in ["dev", "prod"] {
        let kind = format!("--type={}", ecosystem.feed_type);
        hayloft.ok(["feeds", "create", &format!("--name={feed}"), &kind]);
    }
    let mut walk = Walk { hayloft, ecosystem, scratch: scratch.path(), count: Count::default() };
    let (together, alone) = walk.split();
    walk.upload_at_once(&together);
    let listed = walk.versions("dev");
    assert_eq!(listed.len(), together.iter().filter(|row| is_package(row)).count());
    for row in together.iter().filter(|row| is_package(row)) {
        walk.accepted(row);
    }
    let files_of =
        |row| together.iter().copied().filter(|other| same(row, other)).collect::<Vec<&Row>>();
    let mut done = HashSet::new();
    for row in together.iter().filter(|row| is_package(row)) {
        // One command acts on all files of a version.
        if done.insert((normal(&row.name), &row.version)) {
            walk.promoted(row);
            walk.repackaged(row, &files_of(row));
        }
    }
    for row in alone {
        if let Verdict::Broken(reason) = row.verdict {
            walk.refused(row, reason);
        } else {
            walk.replacing(row, &files_of(row));
        }
    }
    walk.hayloft.ok(["verify"]);
    walk.count
}

fn is_package(row: &Row) -> bool {
    row.verdict != Verdict::Companion
}

fn same(one: &Row, other: &Row) -> bool {
    is_package(other) && normal(&one.name) == normal(&other.name) && one.version == other.version
}

/// Names of Python packages that are spelled in more than one way.
fn normal(name: &str) -> String {
    name.replace('_', "-").to_ascii_lowercase()
}

/// A command about the version of a row.
fn about(verb: &str, row: &Row, feed: &str, version: &str) -> Vec<String> {
    vec![
        "packages".to_owned(),
        verb.to_owned(),
        format!("--feed={feed}"),
        format!("--package={}", row.name),
        format!("--version={version}"),
    ]
}

impl<'a> Walk<'a> {
    /// Those that can be in one feed together, and those that come and go alone: the broken ones,
    /// and those with the name and version of one that is there.
    fn split(&self) -> (Vec<&'a Row>, Vec<&'a Row>) {
        let mut taken = HashSet::new();
        self.ecosystem.rows.iter().partition(|row| {
            !matches!(row.verdict, Verdict::Broken(_))
                && taken.insert((
                    row.name.to_ascii_lowercase(),
                    &row.version,
                    &row.options,
                    is_package(row),
                ))
        })
    }

    fn upload_at_once(&self, rows: &[&Row]) {
        let folder = self.scratch.join("upload");
        fs_err::create_dir(&folder).unwrap();
        for row in rows {
            let bytes = fs_err::read(&row.path).unwrap();
            assert_eq!(sha256(&bytes), row.sha256, "{}", row.file);
            fs_err::write(folder.join(&row.file), bytes).unwrap();
        }
        let told = self.upload(&folder.join("*"));
        assert_eq!(told.matches("Upload complete.").count(), rows.len(), "{told}");
    }

    fn upload(&self, files: &Path) -> String {
        self.hayloft.ok(self.upload_arguments(files))
    }

    fn upload_arguments(&self, files: &Path) -> Vec<String> {
        let options = self.ecosystem.upload.iter().map(|option| (*option).to_owned());
        let input = format!("--input-file={}", files.display());
        ["packages", "upload", "--feed=dev"]
            .map(str::to_owned)
            .into_iter()
            .chain(options)
            .chain([input])
            .collect()
    }

    fn versions(&self, feed: &str) -> Vec<Value> {
        let feed = format!("--feed={feed}");
        self.hayloft.json(["packages", "versions", &feed, "--json"]).as_array().unwrap().clone()
    }

    fn download(&self, row: &Row, feed: &str, version: &str, options: &[String]) -> Vec<u8> {
        let command = about("download", row, feed, version);
        let stdout = "--stdout".to_owned();
        self.hayloft.run(command.iter().chain(options).chain([&stdout])).success()
    }

    /// It is listed with its digests and comes back byte for byte.
    fn accepted(&mut self, row: &Row) {
        let name = format!("--package={}", row.name);
        let version = format!("--version={}", row.version);
        let found =
            self.hayloft.json(["packages", "versions", "--feed=dev", &name, &version, "--json"]);
        let found = found.as_array().unwrap();
        let entry = found
            .iter()
            .find(|entry| entry["sha256"] == row.sha256)
            .unwrap_or_else(|| panic!("{}: is not among {found:?}", row.file));
        let bytes = fs_err::read(&row.path).unwrap();
        assert_eq!(entry["size"], bytes.len(), "{}", row.file);
        assert_eq!(entry["sha1"], sha1(&bytes), "{}", row.file);
        assert_eq!(entry["publishedBy"], "tester", "{}", row.file);
        assert!(self.download(row, "dev", &row.version, &row.options) == bytes, "{}", row.file);
        self.count.accepted += 1;
    }

    /// The same bytes are in the other feed.
    fn promoted(&mut self, row: &Row) {
        let to = "--to-feed=prod".to_owned();
        self.hayloft.ok(about("promote", row, "dev", &row.version).iter().chain([&to]));
        let bytes = self.download(row, "prod", &row.version, &row.options);
        assert_eq!(sha256(&bytes), row.sha256, "{}", row.file);
        self.count.promoted += 1;
    }

    /// All files of the version are there as the new version, or none with the known reason.
    fn repackaged(&mut self, row: &Row, files: &[&Row]) {
        let candidate = self.ecosystem.candidate;
        let to = format!("--new-version={candidate}");
        let command = about("repackage", row, "dev", &row.version);
        let fixed = files.iter().find_map(|row| match row.verdict {
            Verdict::Fixed(reason) => Some(reason),
            _ => None,
        });
        let ran = self.hayloft.run(command.iter().chain([&to]));
        let results: Vec<Value> = self
            .hayloft
            .json(about("versions", row, "dev", candidate).iter().chain([&"--json".to_owned()]))
            .as_array()
            .unwrap()
            .clone();
        if let Some(reason) = fixed {
            let text = ran.refusal();
            assert!(text.contains(reason), "{}: {text}", row.file);
            assert_eq!(results.len(), 0, "{}: {results:?}", row.file);
            self.count.fixed += 1;
            return;
        }
        ran.success();
        assert_eq!(results.len(), files.len(), "{}: {results:?}", row.file);
        for result in &results {
            assert_eq!(result["listed"], true, "{}", row.file);
            assert_eq!(result["version"], candidate, "{}", row.file);
        }
        // A second one may not take its place.
        let text = self.hayloft.run(command.iter().chain([&to])).refusal();
        assert!(text.contains("exists") && text.contains(candidate), "{}: {text}", row.file);
        self.delete(row, candidate, &results);
        self.count.repackaged += 1;
    }

    fn delete(&self, row: &Row, version: &str, entries: &[Value]) {
        for entry in entries {
            let qualifier = entry["qualifier"].as_str().map(|text| format!("--qualifier={text}"));
            self.hayloft.ok(about("delete", row, "dev", version).iter().chain(&qualifier));
        }
        let left = about("versions", row, "dev", version);
        let left = self.hayloft.json(left.iter().chain([&"--json".to_owned()]));
        assert_eq!(left, Value::Array(Vec::new()), "{}", row.file);
    }

    /// It is refused for the right reason, and nothing of it stays.
    fn refused(&mut self, row: &Row, reason: &str) {
        let before = self.versions("dev");
        let text = self.hayloft.run(self.upload_arguments(&row.path)).refusal();
        assert!(text.contains(reason), "{}: {text}", row.file);
        assert_eq!(self.versions("dev"), before, "{}", row.file);
        self.count.refused += 1;
    }

    /// The whole way, in the place of the one that is there.
    fn replacing(&mut self, row: &Row, files: &[&Row]) {
        let before = self.versions("dev");
        self.upload(&row.path);
        assert_eq!(self.versions("dev").len(), before.len(), "{}", row.file);
        self.accepted(row);
        self.promoted(row);
        self.repackaged(row, files);
    }
}
