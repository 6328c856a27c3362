//! A type from outside the tree, driven by the client of its ecosystem: what cargo cannot do here,
//! no third party's type can.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic to fail and read what they have made"
)]

#[path = "../examples/cargo_feed.rs"]
#[allow(dead_code, unreachable_pub, clippy::pedantic, reason = "an example has a main of its own")]
mod example;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod server;

use std::io::Write;
use std::path::Path;
use std::process::Command;

use hayloft::feed_type::Limits;
use hayloft::{Actor, FeedDraft, RepackageRequest, Selector};
use hayloft_archive::{ArchiveError, Compression, TarWriter, encoder};
use hayloft_http::LocalUser;
use hayloft_testkit::{Sample, Workshop, check_hostile};
use server::Server;

/// Cargo in a directory, with a feed as its registry `shelf`.
struct Client<'a> {
    directory: &'a Path,
    url: String,
}

impl Client<'_> {
    fn cargo(&self, at: &str, arguments: &[&str]) -> Result<String, String> {
        let done = Command::new(env!("CARGO"))
            .args(arguments)
            .current_dir(self.directory.join(at))
            .env("CARGO_HOME", self.directory.join("home"))
            .env("CARGO_TARGET_DIR", self.directory.join("target"))
            .env("CARGO_REGISTRIES_SHELF_INDEX", format!("sparse+{}/index/", self.url))
            .env("CARGO_REGISTRIES_SHELF_TOKEN", "hl_any")
            .env("CARGO_NET_OFFLINE", "false")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&done.stderr).into_owned()
            + &String::from_utf8_lossy(&done.stdout);
        if done.status.success() { Ok(told) } else { Err(told) }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.directory.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    fn crate_of(&self, name: &str, version: &str, dependencies: &str) {
        self.write(
            &format!("{name}/Cargo.toml"),
            &format!(
                "[package]\nname = \"{name}\"\nversion = \"{version}\"\nedition = \"2021\"\n\
                 license = \"MIT\"\ndescription = \"a test\"\n[workspace]\n\
                 [features]\nloud = []\n[dependencies]\n{dependencies}\n"
            ),
        );
    }
}

#[test]
fn cargo_publishes_adds_builds_yanks_and_takes_what_was_repackaged() {
    let server = Server::with_types(hayloft::feed_types().with(example::Cargo), |app| {
        app.gatekeeper(LocalUser::new("tester"))
    });
    let me = Actor::named("tester");
    server.store.create_feed(FeedDraft::new("shelf", "cargo"), &me).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let url = format!("http://{}/cargo/shelf", server.address);
    let client = Client { directory: directory.path(), url };
    let publish = ["publish", "--registry", "shelf", "--allow-dirty", "--no-verify"];

    client.crate_of("greet-base", "1.0.0-rc.1", "");
    client.write("greet-base/src/lib.rs", "pub fn word() -> &'static str { \"hello\" }\n");
    client.cargo("greet-base", &publish).unwrap();
    // The same bytes again are a success, others are not.
    client.cargo("greet-base", &publish).unwrap_err();

    let asked = RepackageRequest::new(Selector::ungrouped("greet-base", "1.0.0-rc.1"), "1.0.0");
    server.store.repackage("shelf", &asked, &me).unwrap();

    client.crate_of(
        "greet",
        "0.1.0",
        "greet-base = { version = \"1\", registry = \"shelf\", features = [\"loud\"] }",
    );
    client.write("greet/src/lib.rs", "pub use greet_base::word;\n");
    client.cargo("greet", &publish).unwrap();

    client.crate_of("app", "0.1.0", "");
    client.write("app/src/main.rs", "fn main() { println!(\"{}\", greet::word()); }\n");
    client.cargo("app", &["add", "greet", "--registry", "shelf"]).unwrap();
    let told = client.cargo("app", &["run", "--quiet"]).unwrap();
    assert!(told.ends_with("hello\n"), "{told}");
    let lock = fs_err::read_to_string(directory.path().join("app/Cargo.lock")).unwrap();
    assert!(lock.contains("name = \"greet-base\"\nversion = \"1.0.0\""), "{lock}");

    let found = client.cargo("app", &["search", "greet", "--registry", "shelf"]).unwrap();
    assert!(found.contains("greet-base = \"1.0.0\""), "{found}");

    // A locked version stays, a new choice does not take it.
    let yank = ["yank", "greet@0.1.0", "--registry", "shelf"];
    client.cargo("app", &yank).unwrap();
    client.cargo("app", &["build", "--locked"]).unwrap();
    fs_err::remove_file(directory.path().join("app/Cargo.lock")).unwrap();
    client.cargo("app", &["build"]).unwrap_err();
    client.cargo("app", &["yank", "--undo", "greet@0.1.0", "--registry", "shelf"]).unwrap();
    client.cargo("app", &["build"]).unwrap();
}

#[test]
fn the_type_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let client = Client { directory: directory.path(), url: String::new() };
    client.crate_of("greet", "1.0.0-rc.1", "");
    client.write("greet/src/lib.rs", "");
    client.cargo("greet", &["package", "--allow-dirty", "--no-verify"]).unwrap();
    let path = directory.path().join("target/package/greet-1.0.0-rc.1.crate");
    let sample =
        hayloft_testkit::Sample::new("greet-1.0.0-rc.1.crate", fs_err::read(path).unwrap());
    hayloft_testkit::check(&example::Cargo, &[sample], "2.0.0");
    hayloft_testkit::check_order(
        &example::Cargo,
        &["0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0", "10.0.0"],
    );
}

/// Puts crates together for the tables of hostile files.
struct Crates;

fn crate_with(manifest: &str, others: &[(&str, &[u8])]) -> Sample {
    let mut bytes = Vec::new();
    let mut packed = encoder(Compression::Gzip, Box::new(&mut bytes)).unwrap();
    let mut tar = TarWriter::new(&mut packed, &Limits::default());
    let text = format!("[package]\nname = \"hay\"\nversion = \"1.0.0\"\n{manifest}");
    let files = [("hay-1.0.0/Cargo.toml", text.as_bytes())];
    for (path, data) in files.iter().chain(others) {
        let size = data.len().try_into().unwrap();
        let write = |out: &mut dyn Write| out.write_all(data).map_err(ArchiveError::from_io);
        tar.add(path, 0o644, 0, size, write).unwrap();
    }
    tar.finish().unwrap();
    packed.finish().unwrap();
    Sample::new("hay-1.0.0.crate", bytes)
}

impl Workshop for Crates {
    fn sound(&self) -> Sample {
        crate_with("", &[])
    }

    fn with_entry(&self, path: &str) -> Option<Sample> {
        // A path that does not begin where entries do is one of its own.
        let rooted = path.starts_with(['/', '\\']) || path.get(1..2) == Some(":");
        let path = if rooted { path.to_owned() } else { format!("hay-1.0.0/{path}") };
        Some(crate_with("", &[(&path, b"x")]))
    }

    fn swollen(&self, zeros: usize) -> Option<Sample> {
        Some(crate_with("", &[("hay-1.0.0/zeros", &vec![0; zeros])]))
    }

    fn repeated(&self, count: usize) -> Vec<(&'static str, Sample)> {
        let features: Vec<_> = (0..count).map(|number| format!("f{number} = []\n")).collect();
        vec![("features", crate_with(&format!("[features]\n{}", features.concat()), &[]))]
    }

    fn nested(&self, depth: usize) -> Vec<(&'static str, Sample)> {
        let lists = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        vec![("lists", crate_with(&format!("[package.metadata]\nx = {lists}\n"), &[]))]
    }

    fn ambiguous(&self) -> Vec<(String, Sample)> {
        let again: [(&str, &[u8]); 1] = [("hay-1.0.0/Cargo.toml", b"")];
        vec![("two manifests".to_owned(), crate_with("", &again))]
    }
}

#[test]
fn a_type_from_outside_is_held_against_the_tables_of_hostile_files() {
    check_hostile(&example::Cargo, &Crates);
}

/// A whole ecosystem has to be little work, or nobody adds one.
#[test]
fn the_example_has_less_than_three_hundred_lines() {
    let lines = include_str!("../examples/cargo_feed.rs").lines().count();
    assert!(lines < 300, "{lines}");
}
