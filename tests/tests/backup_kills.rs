//! Backups and restorations that are killed at any moment, by themselves and with their server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hayloft_testkit::upack;
use hayloft_tests::{Hayloft, Server, run};
use serde_json::Value;
use tempfile::TempDir;

const ROUNDS: u32 = 20;

struct Scene {
    folder: TempDir,
    hayloft: Hayloft,
}

impl Scene {
    fn new() -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let hayloft = Hayloft::on_store(&folder.path().join("store"));
        Self { folder, hayloft }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn json<const N: usize>(&self, words: [&str; N]) -> Value {
        serde_json::from_str(&run(self.hayloft.command(words).arg("--json"))).unwrap()
    }

    fn restore(&self, backup: &str, directory: &str) -> Value {
        let words = ["restore", backup, directory, "--json"];
        serde_json::from_str(&run(&mut self.hayloft.free_command(words))).unwrap()
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

fn package(number: u32) -> Vec<u8> {
    upack("", "kept", &format!("1.0.{number}")).payload(40_000).build()
}

fn kill_after(mut command: Command, milliseconds: u32) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(u64::from(milliseconds)));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What the last whole backup holds.
fn root(backup: &Path) -> Value {
    let text = fs_err::read_to_string(backup.join("backup.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["root"].clone()
}

fn versions(scene: &Scene, store: &str) -> usize {
    let store = Hayloft::on_store(&scene.path(store));
    let listed = run(&mut store.command(["packages", "versions", "dev", "kept", "--json"]));
    serde_json::from_str::<Vec<Value>>(&listed).unwrap().len()
}

#[test]
fn a_killed_backup_leaves_the_one_before_and_a_killed_restoration_goes_on() {
    let scene = Scene::new();
    run(&mut scene.hayloft.command(["feeds", "create", "dev", "universal"]));
    let add = |number| {
        let file = scene.path(&format!("kept-1.0.{number}.upack"));
        fs_err::write(&file, package(number)).unwrap();
        run(&mut scene.hayloft.command(["packages", "upload", "dev", file.to_str().unwrap()]));
    };
    let copy = scene.text("copy");
    (0..5).for_each(add);
    let first = scene.json(["backup", &copy]);
    for round in 0..ROUNDS {
        add(5 + round);
        let before = root(Path::new(&copy));
        kill_after(scene.hayloft.command(["backup", &copy]), round * 31 % 200);
        if round % 7 == 0 {
            let to = scene.text(&format!("of-round-{round}"));
            // Reads every byte of it.
            let restored = scene.restore(&copy, &to);
            assert_eq!(
                (&restored["lost"], &restored["root"]),
                (&0.into(), &root(Path::new(&copy)))
            );
            assert!(restored["rows"].as_u64() >= first["rows"].as_u64());
        }
        assert!(before.is_string());
    }
    let last = scene.json(["backup", &copy]);
    assert_eq!((&last["lost"], &last["root"]), (&0.into(), &root(Path::new(&copy))));

    let second = scene.text("second");
    let is_whole = || scene.path("second/FORMAT").exists();
    for round in 0..ROUNDS {
        kill_after(scene.hayloft.free_command(["restore", &copy, &second]), round * 23 % 150);
        if is_whole() {
            break;
        }
    }
    if !is_whole() {
        assert_eq!(scene.restore(&copy, &second)["root"], last["root"]);
    }
    let of_second = Hayloft::on_store(Path::new(&second));
    let verified = run(&mut of_second.command(["verify", "--level=deep", "--json"]));
    let verified: Value = serde_json::from_str(&verified).unwrap();
    assert_eq!(verified["clean"], true, "{verified}");
    assert_eq!(versions(&scene, "second"), versions(&scene, "store"));
}

#[test]
fn a_server_that_is_killed_while_it_backs_up_does_so_the_next_time() {
    let scene = Scene::new();
    let mut server = Server::start(&scene.path("store"));
    server.create_feed("dev", "universal");
    let copy = scene.text("copy");
    for round in 0..ROUNDS / 2 {
        for number in [2 * round, 2 * round + 1] {
            server.put("/api/packages/dev/upload", package(number));
        }
        let mut command = scene.hayloft.command(["backup", &copy]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(round * 31 % 200)));
        server.kill();
        // It hears that its server is gone, or was done before, or finds the store free.
        child.wait().unwrap();
        server = server.restart();
    }
    let last = scene.json(["backup", &copy]);
    assert_eq!(last["lost"], 0, "{last}");
    let restored = scene.restore(&copy, &scene.text("second"));
    assert_eq!(restored["root"], last["root"]);
    assert_eq!(versions(&scene, "second"), usize::try_from(ROUNDS).unwrap());
}
