//! Folders that other servers' own tools have made, imported.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hayloft_testkit::{deb, gem};
use hayloft_tests::{Hayloft, finish, has_program, run, sha256};
use serde_json::Value;
use tempfile::TempDir;

struct Scene {
    folder: TempDir,
    hayloft: Hayloft,
}

impl Scene {
    fn new(feed_type: &str) -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let hayloft = Hayloft::on_store(&folder.path().join("store"));
        run(&mut hayloft.command(["feeds", "create", "dev", feed_type]));
        Self { folder, hayloft }
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// Imports a folder twice; gives what was stored the first time.
    fn import(&self, folder: &Path) -> u64 {
        let import = || -> Value {
            let command = ["import", "dev", folder.to_str().unwrap(), "--json"];
            serde_json::from_str(&run(&mut self.hayloft.command(command))).unwrap()
        };
        let (first, second) = (import(), import());
        assert_eq!((&first["refused"], &first["unchanged"]), (&0.into(), &0.into()), "{first}");
        assert_eq!((&second["stored"], &second["unchanged"]), (&0.into(), &first["stored"]));
        first["stored"].as_u64().unwrap()
    }

    fn listed(&self) -> String {
        run(&mut self.hayloft.command(["packages", "list", "dev"]))
    }

    /// The bytes of a package are those that went into the folder.
    fn same(&self, arguments: &[&str], bytes: &[u8]) {
        let to = self.path("downloaded");
        let output = format!("--output-file={}", to.display());
        let command = [&["packages", "download", "--feed=dev", &output], arguments].concat();
        run(&mut self.hayloft.command(command));
        assert_eq!(sha256(&fs_err::read(to).unwrap()), sha256(bytes));
    }

    fn debs(&self) -> [PathBuf; 2] {
        [deb("alpha", "1.0", "amd64"), deb("beta", "2.0", "amd64")].map(|package| {
            let path = self.path("debs").join(package.file_name());
            fs_err::create_dir_all(self.path("debs")).unwrap();
            fs_err::write(&path, package.build()).unwrap();
            path
        })
    }
}

#[test]
fn a_repository_of_reprepro_keeps_distributions_and_components() {
    if !has_program("reprepro") {
        return;
    }
    let scene = Scene::new("debian");
    let [alpha, beta] = scene.debs();
    let conf = scene.path("repository/conf/distributions");
    let text = "Codename: bookworm\nComponents: main extra\nArchitectures: amd64\n";
    fs_err::write(conf, text).unwrap();
    let repository = scene.path("repository");
    for (component, file) in [("main", &alpha), ("extra", &beta)] {
        let mut reprepro = Command::new("reprepro");
        reprepro.arg("-b").arg(&repository).args(["-S", "misc", "-P", "optional", "-C", component]);
        run(reprepro.args(["includedeb", "bookworm"]).arg(file).env("HOME", scene.folder.path()));
    }
    assert_eq!(scene.import(&repository), 2);
    let listed = scene.listed();
    assert!(listed.contains("component=main&distro=bookworm"), "{listed}");
    assert!(listed.contains("component=extra&distro=bookworm"), "{listed}");
    let qualifier = "--qualifier=arch=amd64&component=extra&distro=bookworm";
    scene.same(
        &["--package=beta", "--version=2.0", qualifier],
        &deb("beta", "2.0", "amd64").build(),
    );
}

#[test]
fn a_repository_of_aptly_keeps_distributions() {
    let runs = Command::new("aptly").arg("version").stdout(Stdio::null()).status();
    if !runs.is_ok_and(|status| status.success()) {
        println!("skipped: `aptly` does not run on this machine");
        return;
    }
    let scene = Scene::new("debian");
    scene.debs();
    let aptly = |arguments: &[&str]| {
        run(Command::new("aptly").args(arguments).env("HOME", scene.folder.path()))
    };
    aptly(&["repo", "create", "local"]);
    aptly(&["repo", "add", "local", scene.path("debs").to_str().unwrap()]);
    let place = ["-skip-signing", "-distribution=sid", "-component=main", "local"];
    aptly(&[&["publish", "repo"], &place[..]].concat());
    assert_eq!(scene.import(&scene.path(".aptly/public")), 2);
    assert_eq!(scene.listed().matches("component=main&distro=sid").count(), 2);
}

#[test]
fn a_folder_of_gem_generate_index_is_imported() {
    if !has_program("gem") {
        return;
    }
    let scene = Scene::new("rubygems");
    let package = gem("alpha", "1.0.0", "ruby");
    let file = scene.path("served/gems/alpha-1.0.0.gem");
    fs_err::write(&file, package.build()).unwrap();
    let served = scene.path("served");
    let mut generate = Command::new("gem");
    generate.args(["generate_index", "--directory"]).arg(&served).env_remove("RUBYOPT");
    let ran = finish(generate.env("HOME", scene.folder.path()));
    if !ran.status.success() {
        println!("skipped: this gem has no generate_index");
        return;
    }
    assert!(served.join("specs.4.8.gz").exists());
    assert_eq!(scene.import(&served), 1);
    scene.same(
        &["--package=alpha", "--version=1.0.0", "--qualifier=platform=ruby"],
        &package.build(),
    );
}
