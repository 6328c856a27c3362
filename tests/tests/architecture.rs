//! What ARCHITECTURE.md says of crates and files is what there is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use hayloft::engine::{
    Batch, CommitError, Direction, Fs, KeyRange, LocalBlobs, MetaError, MetaRead, MetaStore,
    MetaTurn, Parts, RealFs, RedbOptions, RedbStore, Row, Table, Want,
};
use hayloft::{
    Actor, Allow, Background, FeedDraft, OpenOptions, PromoteRequest, RepackageRequest, Selector,
    StatusChange, Store, UploadRequest, VersionsQuery,
};
use serde_json::Value;

fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md");
    fs_err::read_to_string(path).unwrap()
}

/// The words between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Crates by the table, with what they build on.
fn told() -> BTreeMap<String, BTreeSet<String>> {
    let text = text();
    let rows = text.lines().skip_while(|line| !line.starts_with("| crate | holds | builds on |"));
    let rows: Vec<Vec<&str>> = rows
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").collect())
        .collect();
    // Those of the row that has several are the types.
    let types: Vec<String> = rows
        .iter()
        .map(|row| quoted(row[0]))
        .find(|names| names.len() > 3)
        .unwrap()
        .iter()
        .map(|name| {
            format!("hayloft-{}", name.trim_start_matches("hayloft-").trim_start_matches('-'))
        })
        .collect();
    let mut told = BTreeMap::new();
    for row in rows.iter().filter(|row| row[0].contains("`hayloft")) {
        let mut on: BTreeSet<String> = quoted(row[2])
            .into_iter()
            .map(|name| if name == "hayloft" { name } else { format!("hayloft-{name}") })
            .collect();
        if row[2].contains("the six types") {
            on.extend(types.iter().cloned());
        }
        let names = quoted(row[0]);
        let names = if names.len() > 3 { types.clone() } else { names };
        told.extend(names.into_iter().map(|name| (name, on.clone())));
    }
    told
}

#[test]
fn arrows_between_crates_are_those_of_the_table() {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours = |name: &str| name == "hayloft" || name.starts_with("hayloft-");
    let helpers = ["hayloft-tests", "hayloft-benches"];
    let mut found = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        if !ours(name) || helpers.contains(&name) {
            continue;
        }
        let dependencies = package["dependencies"].as_array().unwrap();
        let on: BTreeSet<String> = dependencies
            .iter()
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|name| ours(name))
            .map(str::to_owned)
            .collect();
        found.insert(name.to_owned(), on);
    }
    assert_eq!(found, told());
}

#[test]
fn a_store_has_the_files_that_are_told() {
    let text = text();
    let block = text.split("```text\nSTORE/\n").nth(1).unwrap().split("```").next().unwrap();
    let told: BTreeSet<&str> = block
        .lines()
        // Of a server's, not of the library's.
        .filter(|line| !line.contains("while `hayloft serve` runs"))
        .filter_map(|line| line.split_whitespace().next())
        .map(|name| name.split('/').next().unwrap())
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let store = hayloft::open(directory.path()).unwrap();
    let actor = hayloft::Actor::named("tester");
    store.create_feed(hayloft::FeedDraft::new("dev", "universal"), &actor).unwrap();
    let package = hayloft_testkit::upack("", "big", "1.0.0").payload(100_000).build();
    let request = hayloft::UploadRequest::default();
    store.upload("dev", &request, &mut package.as_slice(), &actor).unwrap();
    let wanted = hayloft::Selector::ungrouped("big", "1.0.0");
    io::copy(&mut store.download("dev", &wanted).unwrap(), &mut io::sink()).unwrap();
    store.close().unwrap();
    let found: BTreeSet<String> = fs_err::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), told);
}

fn sources(directory: &Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in fs_err::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else {
            into.push(path);
        }
    }
}

/// The table of endpoints says who may what, and every line of it is asked with every kind of key;
/// so a route may come from nowhere else.
#[test]
fn routes_are_those_of_the_table_of_rights() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/hayloft-http/src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    assert!(files.len() > 50);
    let routed = |path: &Path| {
        let text = fs_err::read_to_string(path).unwrap();
        [".route(", ".route_service(", ".nest_service("].iter().any(|call| text.contains(call))
    };
    let mut found: Vec<_> = files
        .iter()
        .filter(|path| routed(path))
        .map(|path| path.strip_prefix(&source).unwrap().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, ["access/table.rs", "native/executor.rs"]);
}

#[test]
fn tables_in_the_picture_of_rows_and_plans_are_those_of_the_store() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/hayloft-core/src/tables.rs");
    let source = fs_err::read_to_string(path).unwrap();
    let known: BTreeSet<&str> =
        source.split("= Table(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let text = text();
    let (_, picture) = text.split_once("plan: Fn(&mut Plan)").unwrap();
    let (picture, _) = picture.split_once("```").unwrap();
    let told: BTreeSet<&str> =
        picture.split_whitespace().filter(|word| word.ends_with("-1")).collect();
    assert!(told.len() >= 10, "{told:?}");
    assert!(told.is_subset(&known), "{told:?} {known:?}");
}

/// Where sources outside the types' own crates may name one, how many lines do, and why.
const NAMED: [(&str, usize, &str); 11] = [
    ("hayloft-cli/src/commands.rs", 1, "an example of the command's help"),
    ("hayloft-cli/src/commands/demo.rs", 9, "makes packages of two types to show what there is"),
    ("hayloft-cli/src/commands/feeds.rs", 1, "an example of the command's help"),
    ("hayloft-cli/src/commands/packages/upload.rs", 1, "the same"),
    ("hayloft-cli/src/commands/upack.rs", 1, "a contract: pgutil's commands for these packages"),
    ("hayloft-cli/src/commands/upack/create.rs", 1, "the same"),
    ("hayloft-cli/src/commands/upack/install.rs", 1, "the same"),
    ("hayloft-cli/src/commands/upack/versions.rs", 1, "the same"),
    ("hayloft-cli/src/commands/use_feed.rs", 5, "the client of that name, in help and examples"),
    ("hayloft-http/src/access/visitor.rs", 2, "a contract: a header of keys, taken for all types"),
    ("hayloft-offline/src/import/listing.rs", 1, "a folder of repositories that are read"),
];

/// A type of one's own has all that the built-in ones have, so nobody but the registration may
/// know those: neither as a word of the code nor in what is shown.
#[test]
fn no_source_outside_a_types_own_crate_names_it() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let types = hayloft::feed_types();
    let tags: Vec<String> = types.iter().map(|known| known.tag().to_owned()).collect();
    assert!(tags.len() >= 6, "{tags:?}");
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for name in ["core", "feed", "http", "cli", "offline"] {
        let mut files = Vec::new();
        sources(&crates.join(format!("hayloft-{name}/src")), &mut files);
        for path in files.iter().filter(|path| path.extension().is_some_and(|end| end == "rs")) {
            // What is made up for tests and fuzzing has to be of some type.
            if path.ends_with("goldens.rs") || path.ends_with("fuzzing.rs") {
                continue;
            }
            let text = fs_err::read_to_string(path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            let named = lines.filter(|line| {
                let mut words = line.split(|letter: char| !letter.is_ascii_alphanumeric());
                words.any(|word| tags.iter().any(|tag| word.eq_ignore_ascii_case(tag)))
            });
            let named = named.count();
            let path = path.strip_prefix(&crates).unwrap().to_string_lossy().into_owned();
            if named > 0 {
                found.insert(path, named);
            }
        }
    }
    let allowed = NAMED.iter().map(|(path, lines, _)| ((*path).to_owned(), *lines)).collect();
    assert_eq!(found, allowed);
}

/// Tables that commits have put rows into or taken them from, and that were read.
#[derive(Debug, Default)]
struct Noted {
    written: Mutex<BTreeSet<&'static str>>,
    read: Mutex<BTreeSet<&'static str>>,
}

#[derive(Debug)]
struct Noting {
    meta: RedbStore,
    noted: Arc<Noted>,
}

struct NotingRead<R: ?Sized> {
    noted: Arc<Noted>,
    below: Box<R>,
}

impl MetaStore for Noting {
    fn snapshot(&self, wants: &[Want]) -> Result<Box<dyn MetaRead>, MetaError> {
        let below = self.meta.snapshot(wants)?;
        Ok(Box::new(NotingRead { noted: self.noted.clone(), below }))
    }

    fn turn(&self, wants: &[Want]) -> Result<Box<dyn MetaTurn + '_>, MetaError> {
        let below = self.meta.turn(wants)?;
        Ok(Box::new(NotingRead { noted: self.noted.clone(), below }))
    }

    fn must_reopen(&self) -> bool {
        self.meta.must_reopen()
    }
}

impl<R: MetaRead + ?Sized> MetaRead for NotingRead<R> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, MetaError> {
        self.noted.read.lock().unwrap().insert(table.0);
        self.below.get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Row>, MetaError> {
        self.noted.read.lock().unwrap().insert(table.0);
        self.below.scan(table, range, direction, limit)
    }
}

impl MetaTurn for NotingRead<dyn MetaTurn + '_> {
    fn commit(self: Box<Self>, batch: Batch) -> Result<(), CommitError> {
        let put = batch.put.iter().map(|(table, ..)| table.0);
        let deleted = batch.delete.iter().map(|(table, _)| table.0);
        self.noted.written.lock().unwrap().extend(put.chain(deleted));
        self.below.commit(batch)
    }
}

type Tables = BTreeSet<String>;

/// What the picture says of each operation: the tables behind the arrow from it, or to it.
fn arrows() -> BTreeMap<(String, &'static str), Tables> {
    let text = text();
    let (_, picture) = text.split_once("plan: Fn(&mut Plan)").unwrap();
    let (picture, _) = picture.split_once("```").unwrap();
    let mut arrows: BTreeMap<(String, &'static str), Tables> = BTreeMap::new();
    let mut last = None;
    for line in picture.lines() {
        let found = ["─▶", "◀─"].iter().find_map(|arrow| {
            let (name, tables) = line.split_once(arrow)?;
            tables.contains("-1").then(|| ((name.trim().to_owned(), *arrow), tables))
        });
        let tables = match found {
            Some((name, tables)) => {
                last = Some(name);
                tables
            }
            None => line,
        };
        // A line may go on from the one before.
        let words = tables.split([' ', ',', ':']).filter(|word| word.ends_with("-1"));
        if let Some(last) = &last {
            arrows.entry(last.clone()).or_default().extend(words.map(str::to_owned));
        }
    }
    arrows
}

#[test]
fn arrows_in_the_picture_of_rows_and_plans_lead_where_operations_read_and_write() {
    let directory = tempfile::tempdir().unwrap();
    let noted = Arc::new(Noted::default());
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    let types = hayloft::feed_types();
    let store = Store::open_with(&fs, directory.path(), types, options, |root, _| {
        let meta = RedbStore::create(&fs, &root.join("meta.redb"), &RedbOptions::default());
        let blobs = LocalBlobs::create(&fs, &root.join("blobs"));
        Ok(Parts {
            fs: fs.clone(),
            meta: Arc::new(Noting { meta: meta.unwrap(), noted: noted.clone() }),
            blobs: Arc::new(blobs.unwrap()),
        })
    })
    .unwrap();
    let actor = Actor::named("tester");
    let mut found: BTreeMap<(String, &'static str), Tables> = BTreeMap::new();
    let tables = |of: &Mutex<BTreeSet<&'static str>>| -> Tables {
        std::mem::take(&mut *of.lock().unwrap()).into_iter().map(str::to_owned).collect()
    };
    let mut note = |name: &str, arrow: &'static str, operation: &mut dyn FnMut()| {
        drop((tables(&noted.written), tables(&noted.read)));
        operation();
        let all = tables(if arrow == "─▶" { &noted.written } else { &noted.read });
        found.insert((name.to_owned(), arrow), all);
    };
    let one = Selector::ungrouped("tools", "1.0.0");
    note("create_feed", "─▶", &mut || {
        store.create_feed(FeedDraft::new("dev", "universal"), &actor).unwrap();
    });
    store.create_feed(FeedDraft::new("next", "universal"), &actor).unwrap();
    note("upload", "─▶", &mut || {
        let package = hayloft_testkit::upack("", "tools", "1.0.0").build();
        let request = UploadRequest::default();
        store.upload("dev", &request, &mut package.as_slice(), &actor).unwrap();
    });
    note("maintenance", "─▶", &mut || store.run_maintenance().unwrap());
    note("status", "─▶", &mut || {
        let allow = Some(Some(Allow::Always));
        let change = StatusChange { allow, ..StatusChange::default() };
        store.set_status("dev", &one, &change, &actor).unwrap();
    });
    note("repackage", "─▶", &mut || {
        store.repackage("dev", &RepackageRequest::new(one.clone(), "2.0.0"), &actor).unwrap();
    });
    note("promote", "─▶", &mut || {
        store.promote("dev", &PromoteRequest::new(one.clone(), "next"), &actor).unwrap();
    });
    note("lists", "◀─", &mut || {
        assert_eq!(store.versions("dev", &VersionsQuery::default()).unwrap().count(), 2);
    });
    note("download", "◀─", &mut || {
        io::copy(&mut store.download("dev", &one).unwrap(), &mut io::sink()).unwrap();
    });
    note("delete", "─▶", &mut || {
        store.delete_version("dev", &Selector::ungrouped("tools", "2.0.0"), &actor).unwrap();
    });
    assert_eq!(arrows(), found);
}
