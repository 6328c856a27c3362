//! nuget.exe 5.8 against a server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests panic to fail"
)]

#[allow(dead_code, reason = "each test file uses a part")]
mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hayloft::{Actor, KeyGrant, Selector};
use hayloft_http::LocalUser;
use hayloft_testkit::{nupkg, snupkg};
use server::Server;

/// nuget.exe, which mono runs: the npm package `nuget-exe` holds it.
struct Client {
    program: PathBuf,
    folder: tempfile::TempDir,
    source: String,
}

impl Client {
    fn of(server: &Server) -> Option<Self> {
        let Some(program) = std::env::var_os("HAYLOFT_NUGET_EXE").map(PathBuf::from) else {
            println!("skipped: HAYLOFT_NUGET_EXE does not name a nuget.exe");
            return None;
        };
        let mono = Command::new("mono").arg("--version").stdout(Stdio::null()).status();
        if !program.exists() || !mono.is_ok_and(|status| status.success()) {
            println!("skipped: {} or mono is not there", program.display());
            return None;
        }
        let source = format!("http://{}/nuget/f/v3/index.json", server.address);
        Some(Self { program, folder: tempfile::tempdir().unwrap(), source })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Runs a command with no state outside the client's folder; what it tells, and whether it
    /// succeeded.
    fn run(&self, arguments: &[&str]) -> (String, bool) {
        let output = Command::new("mono")
            .arg(&self.program)
            .args(arguments)
            .args(["-Source", &self.source, "-NonInteractive"])
            .env("HOME", self.folder.path())
            .env("NUGET_PACKAGES", self.path("packages"))
            .env("NUGET_HTTP_CACHE_PATH", self.path("http-cache"))
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        (told, output.status.success())
    }

    #[track_caller]
    fn succeeds(&self, arguments: &[&str], words: &str) {
        let (told, success) = self.run(arguments);
        assert!(success && told.contains(words), "`{words}` is not in: {told}");
    }

    #[track_caller]
    fn fails(&self, arguments: &[&str], words: &str) {
        let (told, success) = self.run(arguments);
        assert!(!success && told.contains(words), "`{words}` is not in: {told}");
    }
}

fn open_server() -> Server {
    let server = Server::start_with(|app| app.gatekeeper(LocalUser::new("tester")));
    server.feed("f", "nuget");
    server
}

fn is_installed(place: &Path) -> bool {
    place.join(format!("{}.nupkg", place.file_name().unwrap().to_str().unwrap())).is_file()
}

#[test]
fn the_client_pushes_installs_and_deletes() {
    let server = open_server();
    let Some(client) = Client::of(&server) else { return };
    let dependency = "<group targetFramework=\".NETStandard2.0\">\
                      <dependency id=\"Acme.Base\" version=\"[1.0.0,2.0.0)\" /></group>";
    let core = nupkg("Acme.Core", "1.0.0").field("dependencies", dependency).payload(300_000);
    client.write("Acme.Core.1.0.0.nupkg", &core.build());
    client.write("Acme.Core.1.0.0.snupkg", &snupkg("Acme.Core", "1.0.0").build());
    client.write("base.nupkg", &nupkg("Acme.Base", "1.2.0").build());
    client.write("broken.nupkg", b"PK\x03\x04 is not enough");

    client.succeeds(&["push", "base.nupkg", "-ApiKey", "x"], "Your package was pushed");
    client.succeeds(&["push", "Acme.Core.1.0.0.nupkg", "-ApiKey", "x"], "snupkg");
    let symbols = Selector::ungrouped("Acme.Core", "1.0.0").companion();
    assert!(server.store.file("f", &symbols).is_ok());

    client.fails(&["push", "base.nupkg", "-ApiKey", "x"], "`Acme.Base 1.2.0` already exists");
    client.succeeds(&["push", "base.nupkg", "-ApiKey", "x", "-SkipDuplicate"], "already exists");

    let install = ["install", "acme.core", "-OutputDirectory", "installed", "-NoCache"];
    client.succeeds(&install, "Successfully installed 'Acme.Core 1.0.0'");
    assert!(is_installed(&client.path("installed/Acme.Core.1.0.0")));
    assert!(is_installed(&client.path("installed/Acme.Base.1.2.0")));

    client.succeeds(&["search", "core"], "Acme.Core");

    let delete = ["delete", "Acme.Core", "1.0.0", "-ApiKey", "x"];
    client.succeeds(&delete, "was deleted successfully");
    assert!(
        !server
            .store
            .file("f", &Selector::ungrouped("Acme.Core", "1.0"))
            .unwrap()
            .status
            .is_listed()
    );
    client.fails(&["delete", "Acme.Core", "7.0.0", "-ApiKey", "x"], "7.0.0` is not in feed `f`");
    let exact = ["install", "Acme.Core", "-Version", "1.0.0", "-OutputDirectory", "unlisted"];
    client.succeeds(&[&exact[..], &["-NoCache"]].concat(), "Successfully installed");
}

#[test]
fn the_client_pushes_with_a_key_to_a_feed_that_it_may_not_see_without() {
    let server = Server::start_with(|app| app);
    server.feed("f", "nuget");
    let grant = KeyGrant {
        kind: "feed".to_owned(),
        package_permissions: vec!["view".to_owned(), "add".to_owned()],
        feed: Some(server.store.feed("f").unwrap().id),
        ..KeyGrant::default()
    };
    let key = server.store.create_key(grant, None, &Actor::system()).unwrap().1;
    let Some(client) = Client::of(&server) else { return };
    client.write("a.nupkg", &nupkg("A", "1.0.0").build());
    client.fails(&["push", "a.nupkg", "-ApiKey", "hl_wrong"], "403");
    client.succeeds(&["push", "a.nupkg", "-ApiKey", key.reveal()], "Your package was pushed");
}
