//! `gem` and Bundler publish to a feed and install from it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hayloft::{
    Actor, Background, Clock as _, ManualClock, OpenOptions, Store, SystemClock, Timestamp,
    UploadRequest,
};
use hayloft_testkit::{Package, gem};
use hayloft_tests::{
    Request, Response, Server, Wiretap, finish_child, has_program, meanwhile, rubygems, run, sha256,
};
use tempfile::TempDir;

/// What `bundle` does, for a Bundler that has no program of its own.
const BUNDLE: &str = "require 'bundler'; require 'bundler/friendly_errors'; \
    Bundler.with_friendly_errors { require 'bundler/cli'; Bundler::CLI.start(ARGV, debug: true) }";

/// A server with a feed `gems`, and a home for clients.
struct Scene {
    folder: TempDir,
    server: Server,
    /// RubyGems and Bundler of another release than the system's.
    release: Option<PathBuf>,
}

/// One for each release of the clients that there is: the system's and the newest.
fn scenes() -> impl Iterator<Item = Scene> {
    let has_ruby = has_program("gem") && has_program("bundle");
    let releases = has_ruby.then(|| [Some(None), rubygems().map(Some)]);
    releases.into_iter().flatten().flatten().map(Scene::new)
}

impl Scene {
    fn new(release: Option<PathBuf>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&folder.path().join("store"));
        server.create_feed("gems", "rubygems");
        server.create_feed("stable", "rubygems");
        Self { folder, server, release }
    }

    fn host(&self, feed: &str) -> String {
        format!("http://{}/rubygems/{feed}", self.server.address)
    }

    fn source(&self, feed: &str) -> String {
        self.source_at(self.server.address, feed)
    }

    fn source_at(&self, address: SocketAddr, feed: &str) -> String {
        format!("http://api:{}@{address}/rubygems/{feed}/", self.server.key)
    }

    fn home(&self) -> PathBuf {
        let home = self.folder.path().join("home");
        fs_err::create_dir_all(&home).unwrap();
        home
    }

    /// A tool that finds no settings and gems of whoever runs the tests.
    fn tool(&self, program: &str) -> Command {
        let home = self.home();
        let gems = self.folder.path().join("gems");
        let mut tool = Command::new(program);
        tool.env("HOME", &home)
            .env("GEM_HOME", &gems)
            .env("GEM_PATH", &gems)
            .env("GEM_SPEC_CACHE", home.join("specs"))
            .env("BUNDLE_USER_HOME", home.join("bundle"))
            .env("BUNDLE_SILENCE_ROOT_WARNING", "1")
            .env_remove("GEM_HOST_API_KEY")
            .env_remove("RUBYGEMS_HOST")
            .env_remove("RUBYOPT")
            .current_dir(home)
            .stdin(Stdio::null());
        if let Some(release) = &self.release {
            tool.env("RUBYLIB", release);
        }
        tool
    }

    fn bundle(&self, project: &Path, arguments: &[&str]) -> String {
        let mut bundle = if self.release.is_some() {
            let mut ruby = self.tool("ruby");
            ruby.args(["-e", BUNDLE, "--"]);
            ruby
        } else {
            self.tool("bundle")
        };
        run(bundle.args(arguments).current_dir(project))
    }

    fn yank(&self, arguments: &[&str]) -> String {
        let mut yank = self.tool("gem");
        yank.env("GEM_HOST_API_KEY", &self.server.key).args(["yank", "--host", &self.host("gems")]);
        run(yank.args(arguments))
    }

    fn push(&self, package: &Package) -> String {
        let file = self.folder.path().join(package.file_name());
        fs_err::write(&file, package.build()).unwrap();
        let mut gem = self.tool("gem");
        gem.env("GEM_HOST_API_KEY", &self.server.key).args(["push", "--host", &self.host("gems")]);
        run(gem.arg(&file))
    }

    fn install(&self, feed: &str, arguments: &[&str]) -> String {
        let mut gem = self.tool("gem");
        gem.args(["install", "--no-document", "--clear-sources", "--source", &self.source(feed)]);
        run(gem.args(arguments))
    }

    fn gem(&self, arguments: &[&str]) -> String {
        let mut gem = self.tool("gem");
        gem.args(arguments).args(["--clear-sources", "--source", &self.source("gems")]);
        run(&mut gem)
    }

    fn post(&self, target: &str, json: &str) -> Response {
        self.server.send(Request::new("POST", target).json(json)).expect(200)
    }
}

fn with_dependency(name: &str, version: &str, on: &str) -> Package {
    let field = format!(
        "\n- !ruby/object:Gem::Dependency\n  name: {on}\n  requirement: !ruby/object:Gem::Requirement\n    \
         requirements:\n    - - \">=\"\n      - !ruby/object:Gem::Version\n        version: '1'\n  \
         type: :runtime\n  prerelease: false\n  version_requirements: !ruby/object:Gem::Requirement\n    \
         requirements:\n    - - \">=\"\n      - !ruby/object:Gem::Version\n        version: '1'"
    );
    gem(name, version, "ruby").field("dependencies", &field)
}

#[test]
fn gem_pushes_installs_finds_and_yanks() {
    scenes().for_each(|scene| push_install_find_and_yank(&scene));
}

fn push_install_find_and_yank(scene: &Scene) {
    let told = scene.push(&gem("hay", "1.0", "ruby"));
    assert!(told.contains("Successfully registered gem: hay (1.0)"), "{told}");
    let told = scene.push(&gem("hay", "1.0", "ruby"));
    assert!(told.contains("Gem was already pushed: hay (1.0)"), "{told}");
    scene.push(&gem("hay", "1.1", "ruby"));
    scene.push(&gem("hay", "2.0.rc1", "ruby"));
    scene.push(&gem("hay", "1.0", "java"));
    scene.push(&with_dependency("barn", "0.1", "hay"));

    let told = scene.install("gems", &["barn"]);
    assert!(told.contains("Successfully installed hay-1.1"), "{told}");
    assert!(told.contains("Successfully installed barn-0.1"), "{told}");
    let told = scene.install("gems", &["hay", "--pre"]);
    assert!(told.contains("Successfully installed hay-2.0.rc1"), "{told}");

    let listed = scene.gem(&["list", "--remote", "--all"]);
    assert!(listed.contains("hay (1.1, 1.0 ruby java)"), "{listed}");
    let found = scene.gem(&["search", "ba"]);
    assert!(found.contains("barn (0.1)"), "{found}");
    scene.gem(&["fetch", "hay", "--version", "1.0"]);
    assert!(scene.home().join("hay-1.0.gem").exists());
    let shown = scene.gem(&["specification", "--remote", "barn", "dependencies"]);
    assert!(shown.contains("name: hay"), "{shown}");

    let told = scene.yank(&["hay", "--version", "1.1"]);
    assert!(told.contains("Successfully deleted gem: hay (1.1)"), "{told}");
    let listed = scene.gem(&["list", "--remote", "--all"]);
    assert!(listed.contains("hay (1.0 ruby java)"), "{listed}");
    let told = scene.yank(&["hay", "--version", "1.0", "--platform", "java"]);
    assert!(told.contains("Successfully deleted gem: hay (1.0-java)"), "{told}");
    let listed = scene.gem(&["list", "--remote", "--all"]);
    assert!(listed.contains("hay (1.0)"), "{listed}");
}

#[test]
fn gem_signs_in_with_a_key_as_password() {
    scenes().for_each(|scene| sign_in(&scene));
}

fn sign_in(scene: &Scene) {
    if !has_program("script") {
        return;
    }
    // It reads a password from a terminal only.
    let mut signin = scene.tool("script");
    signin.args(["-qec", "gem signin", "/dev/null"]).env("RUBYGEMS_HOST", scene.host("gems"));
    signin.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = signin.process_group(0).spawn().unwrap();
    let mut terminal = child.stdin.take().unwrap();
    // Name, password, a name for the key, and a no to every scope; what is typed before a prompt
    // is lost.
    let answers = ["api", &scene.server.key, ""].into_iter().chain(["n"; 20]);
    for answer in answers {
        std::thread::sleep(Duration::from_millis(400));
        if terminal.write_all(format!("{answer}\n").as_bytes()).is_err() {
            break;
        }
    }
    drop(terminal);
    let output = finish_child(child);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("Signed in with API key"), "{told}");
    let file = scene.folder.path().join("hay.gem");
    fs_err::write(&file, gem("hay", "1.0", "ruby").build()).unwrap();
    let told = run(scene.tool("gem").args(["push", "--host", &scene.host("gems")]).arg(&file));
    assert!(told.contains("Successfully registered gem: hay (1.0)"), "{told}");
}

#[test]
fn gem_installs_what_was_repackaged_and_promoted() {
    scenes().for_each(|scene| install_what_was_made_here(&scene));
}

fn install_what_was_made_here(scene: &Scene) {
    scene.push(&gem("hay", "2.0.0.rc1", "ruby"));
    let repackage = r#"{"feed":"gems","name":"hay","version":"2.0.0.rc1","newVersion":"2.0.0"}"#;
    scene.post("/api/repackaging/repackage", repackage);
    let told = scene.install("gems", &["hay"]);
    assert!(told.contains("Successfully installed hay-2.0.0"), "{told}");
    let promote = r#"{"fromFeed":"gems","name":"hay","version":"2.0.0","toFeed":"stable"}"#;
    scene.post("/api/promotions/promote", promote);
    let told = scene.install("stable", &["hay", "--force"]);
    assert!(told.contains("Successfully installed hay-2.0.0"), "{told}");
    for feed in ["gems", "stable"] {
        fs_err::remove_dir_all(scene.folder.path().join("gems")).unwrap();
        let project = project(scene, &scene.source(feed), "gem \"hay\"");
        scene.bundle(&project, &["install"]);
        assert!(scene.folder.path().join("gems/gems/hay-2.0.0").exists());
        fs_err::remove_file(project.join("Gemfile.lock")).unwrap();
    }
}

/// A project with a Gemfile that names these gems.
fn project(scene: &Scene, source: &str, gems: &str) -> PathBuf {
    let project = scene.folder.path().join("project");
    fs_err::create_dir_all(&project).unwrap();
    fs_err::write(project.join("Gemfile"), format!("source \"{source}\"\n{gems}\n")).unwrap();
    project
}

#[test]
fn bundler_installs_locks_and_fetches_ranges() {
    scenes().for_each(|scene| lock_and_fetch_ranges(&scene));
}

fn lock_and_fetch_ranges(scene: &Scene) {
    scene.push(&gem("hay", "1.0", "ruby"));
    scene.push(&with_dependency("barn", "0.1", "hay"));
    for at in 0..30 {
        scene.server.upload("gems", gem(&format!("straw-{at}"), "1.0", "ruby").build());
    }
    let tap = Wiretap::before(scene.server.address);
    let source = scene.source_at(tap.address, "gems");
    let project = project(scene, &source, "gem \"barn\"");
    scene.bundle(&project, &["install"]);
    let lock = fs_err::read_to_string(project.join("Gemfile.lock")).unwrap();
    assert!(lock.contains("hay (1.0)") && lock.contains("barn (0.1)"), "{lock}");
    if scene.release.is_some() {
        let digest = sha256(&gem("hay", "1.0", "ruby").build());
        assert!(lock.contains(&format!("hay (1.0) sha256={digest}")), "{lock}");
    }
    let heard = tap.take();
    assert!(heard.contains("GET /rubygems/gems/versions "), "{heard}");
    assert!(!heard.contains("specs.4.8"), "{heard}");

    // The same lock file, with nothing changed since.
    scene.bundle(&project, &["install", "--redownload"]);
    scene.push(&gem("hay", "1.1", "ruby"));
    tap.take();
    scene.bundle(&project, &["update"]);
    let lock = fs_err::read_to_string(project.join("Gemfile.lock")).unwrap();
    assert!(lock.contains("hay (1.1)"), "{lock}");
    let heard = tap.take();
    let versions = heard.split("GET ").find(|head| head.starts_with("/rubygems/gems/versions"));
    let versions = versions.expect("the list is asked for").to_lowercase();
    assert!(versions.contains("range: bytes="), "{versions}");

    scene.yank(&["hay", "--version", "1.1"]);
    // What is installed or locked already counts, yanked or not.
    fs_err::remove_dir_all(scene.folder.path().join("gems")).unwrap();
    fs_err::remove_file(project.join("Gemfile.lock")).unwrap();
    tap.take();
    scene.bundle(&project, &["install"]);
    let heard = tap.take().to_lowercase();
    let info = heard.split("get ").find(|head| head.starts_with("/rubygems/gems/info/hay"));
    assert!(info.is_some_and(|head| head.contains("range: bytes=")), "{heard}");
    let lock = fs_err::read_to_string(project.join("Gemfile.lock")).unwrap();
    assert!(lock.contains("hay (1.0)"), "{lock}");
    assert!(scene.folder.path().join("gems/gems/hay-1.0").exists());
    if scene.release.is_none() {
        // It looks for the gem that Bundler itself is.
        let printed = scene.bundle(&project, &["exec", "ruby", "-e", "require \"hay\"; puts 1"]);
        assert_eq!(printed.trim(), "1");
    }
}

#[test]
fn bundler_goes_on_when_the_list_of_versions_is_begun_anew() {
    scenes().for_each(find_after_a_month);
}

fn find_after_a_month(mut scene: Scene) {
    scene.push(&gem("hay", "1.0", "ruby"));
    // As much as is worth it.
    for at in 0..80 {
        let name = format!("{}-{at}", "straw".repeat(40));
        scene.server.upload("gems", gem(&name, "1.0", "ruby").build());
    }
    let tap = Wiretap::before(scene.server.address);
    let source = scene.source_at(tap.address, "gems");
    let project = project(&scene, &source, "gem \"hay\"");
    scene.bundle(&project, &["install"]);
    let before = scene.server.get("/rubygems/gems/versions").body;

    scene.server.kill();
    let month = Timestamp::from_millis(SystemClock.now().millis() + 31 * 24 * 60 * 60 * 1000);
    let mut options = OpenOptions::default().clock(ManualClock::new(month));
    options.background = Background::Caller;
    let place = scene.folder.path().join("store");
    let store = Store::open(&place, hayloft::feed_types(), options).unwrap();
    let newer = gem("hay", "1.1", "ruby").build();
    let me = Actor::named("tester");
    store.upload("gems", &UploadRequest::default(), &mut newer.as_slice(), &me).unwrap();
    store.run_maintenance().unwrap();
    drop(store);

    let scene = Scene { server: scene.server.restart(), ..scene };
    let after = scene.server.get("/rubygems/gems/versions").body;
    // What Bundler has is not its beginning, and it has as much of it.
    assert!(after.len() >= before.len() && !after.starts_with(&before));
    tap.lead_to(scene.server.address);
    tap.take();
    scene.bundle(&project, &["update"]);
    let lock = fs_err::read_to_string(project.join("Gemfile.lock")).unwrap();
    assert!(lock.contains("hay (1.1)"), "{lock}");
    let heard = tap.take();
    let asked = heard.matches("GET /rubygems/gems/versions ").count();
    assert!(asked >= 1 && !heard.contains("specs.4.8"), "{heard}");
}

/// What the compact index promises of each of its files.
#[test]
fn the_files_of_the_index_are_revalidated_and_read_in_ranges() {
    let scene = Scene::new(None);
    for name in ["hay", "straw"] {
        scene.server.upload("gems", gem(name, "1.0", "ruby").build());
    }
    for (file, newer) in [("names", "1.1"), ("versions", "1.2"), ("info/hay", "1.3")] {
        let get = || Request::get(&format!("/rubygems/gems/{file}"));
        let whole = scene.server.send(get()).expect(200);
        assert_eq!(whole.header("accept-ranges"), Some("bytes"), "{file}");
        let tag = whole.header("etag").unwrap();
        assert!(tag.starts_with('"'), "{file}: {tag}");
        scene.server.send(get().header("if-none-match", tag)).expect(304);
        let part = scene.server.send(get().header("range", "bytes=4-")).expect(206);
        assert_eq!(part.body, whole.body[4..], "{file}");
        assert_eq!(part.header("etag"), Some(tag), "{file}");
        let behind = format!("bytes={}-", whole.body.len());
        scene.server.send(get().header("range", &behind)).expect(416);
        let both = get().header("range", "bytes=4-").header("if-none-match", tag);
        scene.server.send(both).expect(304);
        scene.server.upload("gems", gem("hay", newer, "ruby").build());
        scene.server.send(get().header("if-none-match", tag)).expect(200);
    }
}

#[test]
fn the_lines_that_are_printed_work() {
    scenes().for_each(|scene| follow_the_lines(&scene));
}

fn follow_the_lines(scene: &Scene) {
    let file = scene.folder.path().join("hay.gem");
    fs_err::write(&file, gem("hay", "1.0", "ruby").build()).unwrap();
    let shell = |lines: String| run(scene.tool("sh").args(["-ec", &lines]));
    let lines = scene.server.setup("gems", "gem");
    // The public registry is out of reach of a test.
    shell(format!(
        "{lines}gem sources --remove https://rubygems.org/\ngem push {}\n\
         gem install hay --no-document\n",
        file.display()
    ));
    assert!(scene.folder.path().join("gems/gems/hay-1.0").exists());
    fs_err::remove_dir_all(scene.folder.path().join("gems")).unwrap();
    shell(scene.server.setup("gems", "bundler"));
    let project = project(scene, &format!("{}/", scene.host("gems")), "gem \"hay\"");
    scene.bundle(&project, &["install"]);
    assert!(scene.folder.path().join("gems/gems/hay-1.0").exists());
}

#[test]
fn installing_goes_on_while_others_push_and_after_a_kill() {
    scenes().for_each(install_meanwhile);
}

fn install_meanwhile(scene: Scene) {
    scene.push(&gem("hay", "1.0", "ruby"));
    let push = |count| {
        scene.server.upload("gems", gem("straw", &format!("0.{count}"), "ruby").build());
    };
    let (pushed, ()) = meanwhile(push, || {
        let project = project(&scene, &scene.source("gems"), "gem \"hay\"\ngem \"straw\"");
        for _ in 0..3 {
            let told = scene.install("gems", &["hay", "--force"]);
            assert!(told.contains("Successfully installed hay-1.0"), "{told}");
            scene.bundle(&project, &["lock", "--update"]);
            scene.bundle(&project, &["install"]);
        }
    });
    assert!(pushed > 3);
    let scene = Scene { server: scene.server.restart(), ..scene };
    let told = scene.install("gems", &["hay", "--force"]);
    assert!(told.contains("Successfully installed hay-1.0"), "{told}");
    scene.push(&gem("hay", "1.1", "ruby"));
    let told = scene.install("gems", &["hay"]);
    assert!(told.contains("Successfully installed hay-1.1"), "{told}");
    let project = project(&scene, &scene.source("gems"), "gem \"hay\"");
    scene.bundle(&project, &["update", "hay"]);
    let lock = fs_err::read_to_string(project.join("Gemfile.lock")).unwrap();
    assert!(lock.contains("hay (1.1)"), "{lock}");
}
