//! The command of a third party knows their type as it knows its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hayloft_tests::{Request, finish};
use serde_json::Value;

/// The program, kept from the settings of whoever runs the tests.
fn program(directory: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hayloft-with-crates"));
    command
        .args(words)
        .env("HOME", directory)
        .env("XDG_CONFIG_HOME", directory.join("config"))
        .env("HAYLOFT_STORE", directory.join("store"))
        .env_remove("HAYLOFT_ADMIN_KEY")
        .current_dir(directory)
        .stdin(Stdio::null());
    command
}

fn told(directory: &Path, words: &[&str]) -> String {
    let output = finish(&mut program(directory, words));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `cargo package` makes.
fn package(directory: &Path) {
    let source = directory.join("greet");
    fs_err::create_dir_all(source.join("src")).unwrap();
    fs_err::write(source.join("src/lib.rs"), "").unwrap();
    let manifest = "[package]\nname = \"greet\"\nversion = \"1.0.0-rc.1\"\nedition = \"2021\"\n\
                    license = \"MIT\"\ndescription = \"a test\"\n[workspace]\n";
    fs_err::write(source.join("Cargo.toml"), manifest).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["package", "--allow-dirty", "--no-verify", "--offline"])
        .current_dir(&source)
        .env("CARGO_HOME", directory.join("cargo"))
        .env("CARGO_TARGET_DIR", directory.join("target"));
    let output = finish(&mut cargo);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_command_with_a_type_of_ones_own_does_all_that_the_command_does() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    package(at);
    told(at, &["feeds", "create", "crates", "cargo"]);
    told(at, &["packages", "upload", "crates", "target/package/greet-1.0.0-rc.1.crate"]);
    told(at, &["packages", "repackage", "crates", "greet@1.0.0-rc.1", "1.0.0"]);
    assert_eq!(told(at, &["packages", "list", "crates"]), "greet 1.0.0\n");
    assert!(told(at, &["packages", "history", "crates", "greet@1.0.0"]).contains("1.0.0-rc.1"));
    told(at, &["verify"]);

    let key = format!("--admin-key-file={}", at.join("key").display());
    let words = ["serve", "--address=127.0.0.1:0", "--log=error", "--json", &key];
    let mut serving = Serving(program(at, &words).stdout(Stdio::piped()).spawn().unwrap());
    let stdout = BufReader::new(serving.0.stdout.take().unwrap());
    let mut lines = serde_json::Deserializer::from_reader(stdout).into_iter::<Value>();
    let said = lines.next().expect("a server tells where it is").unwrap();
    let url = said["url"].as_str().unwrap();
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    let key = fs_err::read_to_string(at.join("key")).unwrap();
    let index = Request::get("/cargo/crates/index/gr/ee/greet").key(key.trim()).send(address);
    let index = String::from_utf8(index.expect(200).body).unwrap();
    assert_eq!(index.lines().count(), 2, "{index}");
}
