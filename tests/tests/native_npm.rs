//! npm, pnpm and both yarns against a running server: they publish, install and maintain, and find
//! what was repackaged and promoted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use hayloft_testkit::npm_tgz;
use hayloft_tests::{Request, Server, has_program, javascript, python, run};
use serde_json::{Value, json};

/// A server with the feeds `dev` and `prod`, and a home for the clients.
struct Registry {
    server: Server,
    home: tempfile::TempDir,
}

impl Registry {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let server = Server::start(&home.path().join("store"));
        for feed in ["dev", "prod"] {
            server.create_feed(feed, "npm");
        }
        let registry = Self { server, home };
        registry.write_settings("dev", &registry.server.key);
        registry
    }

    fn url(&self, feed: &str) -> String {
        format!("http://{}/npm/{feed}", self.server.address)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Tells npm, and with it pnpm and yarn 1, about a feed.
    fn write_settings(&self, feed: &str, key: &str) {
        let url = self.url(feed);
        let place = url.strip_prefix("http:").unwrap();
        let settings = format!("registry={url}/\n{place}/:_authToken={key}\n");
        fs_err::write(self.path(".npmrc"), settings).unwrap();
        fs_err::write(self.path(".yarnrc"), format!("registry \"{url}/\"\n")).unwrap();
    }

    /// A client in a folder, with settings and caches of this registry alone.
    fn client(&self, mut client: Command, folder: &Path) -> Command {
        for name in std::env::vars().map(|(name, _)| name) {
            if name.to_ascii_lowercase().starts_with("npm_config_") || name == "CI" {
                client.env_remove(name);
            }
        }
        let cache = self.path("cache");
        for variable in [
            "XDG_CACHE_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME",
            "YARN_CACHE_FOLDER",
            "YARN_GLOBAL_FOLDER",
        ] {
            client.env(variable, &cache);
        }
        client
            .current_dir(folder)
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("npm_config_userconfig", self.path(".npmrc"))
            .env("npm_config_cache", &cache)
            .env("npm_config_update_notifier", "false")
            .env("npm_config_fund", "false")
            .env("npm_config_ignore_scripts", "true");
        client
    }

    fn npm(&self, folder: &Path, arguments: &[&str]) -> String {
        run(self.client(Command::new("npm"), folder).args(arguments))
    }

    /// What npm says to a command that fails.
    fn npm_fails(&self, folder: &Path, arguments: &[&str]) -> String {
        let output = self.client(Command::new("npm"), folder).args(arguments).output().unwrap();
        assert!(!output.status.success(), "npm {arguments:?} succeeds");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// A folder with a package to publish.
    fn package(&self, name: &str, version: &str, dependencies: &Value) -> PathBuf {
        let folder = self.path(&format!("{}-{version}", name.replace('/', "-")));
        fs_err::create_dir_all(&folder).unwrap();
        let manifest = json!({
            "name": name,
            "version": version,
            "description": format!("describes {name}"),
            "license": "MIT",
            "bin": "cli.js",
            "dependencies": dependencies,
        });
        fs_err::write(folder.join("package.json"), manifest.to_string()).unwrap();
        fs_err::write(folder.join("cli.js"), "#!/usr/bin/env node\n").unwrap();
        fs_err::write(folder.join("README.md"), format!("# {name}\n")).unwrap();
        folder
    }

    fn publish(&self, name: &str, version: &str, dependencies: &Value, options: &[&str]) {
        let folder = self.package(name, version, dependencies);
        self.npm(&folder, &[&["publish", "--access=public"], options].concat());
    }

    /// An empty project.
    fn project(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        fs_err::create_dir_all(&folder).unwrap();
        let manifest = json!({"name": "app", "version": "1.0.0", "license": "MIT"});
        fs_err::write(folder.join("package.json"), manifest.to_string()).unwrap();
        folder
    }

    fn post(&self, target: &str, body: &Value) {
        self.server.send(Request::new("POST", target).json(&body.to_string())).expect(200);
    }
}

fn installed(project: &Path, name: &str) -> Value {
    let path = project.join("node_modules").join(name).join("package.json");
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn npm_publishes_installs_and_maintains() {
    if !has_program("npm") {
        return;
    }
    let registry = Registry::start();
    let here = registry.home.path().to_owned();
    registry.npm(&here, &["ping"]);
    assert!(!registry.npm(&here, &["whoami"]).trim().is_empty());
    registry.publish("dep", "1.0.0", &json!({}), &[]);
    registry.publish("dep", "1.1.0", &json!({}), &[]);
    registry.publish("dep", "2.0.0-rc.1", &json!({}), &["--tag=next"]);
    registry.publish("@acme/tool", "1.0.0", &json!({"dep": "^1.0.0"}), &[]);
    let again = registry.package("dep", "1.1.0", &json!({}));
    assert!(registry.npm_fails(&again, &["publish"]).contains("1.1.0"));

    let shown: Value = serde_json::from_str(
        &registry.npm(&here, &["view", "dep", "versions", "dist-tags", "--json"]),
    )
    .unwrap();
    assert_eq!(shown["versions"], json!(["1.0.0", "1.1.0", "2.0.0-rc.1"]));
    assert_eq!(shown["dist-tags"], json!({"latest": "1.1.0", "next": "2.0.0-rc.1"}));
    assert!(registry.npm(&here, &["search", "tool"]).contains("@acme/tool"));
    assert!(registry.npm(&here, &["owner", "ls", "dep"]).lines().next().is_some());

    let app = registry.project("app");
    registry.npm(&app, &["install", "@acme/tool", "dep@1.0.0"]);
    assert_eq!(installed(&app, "dep")["version"], "1.0.0");
    assert!(app.join("node_modules/.bin/tool").exists());
    let lock = fs_err::read_to_string(app.join("package-lock.json")).unwrap();
    for line in lock.lines().filter(|line| line.contains("\"resolved\"")) {
        assert!(line.contains(&format!("{}/", registry.url("dev"))), "{line}");
        assert!(line.contains("/-/"), "{line}");
    }
    assert!(lock.contains("\"integrity\": \"sha512-"));
    fs_err::remove_dir_all(app.join("node_modules")).unwrap();
    fs_err::remove_dir_all(registry.path("cache")).unwrap();
    registry.npm(&app, &["ci"]);
    assert_eq!(installed(&app, "@acme/tool")["version"], "1.0.0");
    assert!(registry.npm(&app, &["audit"]).contains("found 0 vulnerabilities"));
    // npm exits with 1 when something is out of date.
    let outdated = registry.client(Command::new("npm"), &app).arg("outdated").output().unwrap();
    assert!(String::from_utf8_lossy(&outdated.stdout).contains("1.1.0"));

    registry.npm(&here, &["dist-tag", "add", "dep@1.0.0", "stable/x"]);
    assert!(registry.npm(&here, &["dist-tag", "ls", "dep"]).contains("stable/x: 1.0.0"));
    registry.npm(&here, &["dist-tag", "rm", "dep", "stable/x"]);
    registry.npm(&here, &["deprecate", "dep@<1.1", "too old"]);
    assert_eq!(registry.npm(&here, &["view", "dep@1.0.0", "deprecated"]).trim(), "too old");
    registry.npm(&here, &["deprecate", "dep@1.0.0", ""]);
    assert_eq!(registry.npm(&here, &["view", "dep@1.0.0", "deprecated"]).trim(), "");
    registry.npm(&here, &["unpublish", "dep@1.0.0", "--force"]);
    let versions = registry.npm(&here, &["view", "dep", "versions", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&versions).unwrap(), json!(["1.1.0", "2.0.0-rc.1"]));
    registry.npm(&here, &["unpublish", "@acme/tool", "--force"]);
    assert!(registry.npm_fails(&here, &["view", "@acme/tool"]).contains("404"));
    assert!(registry.npm_fails(&here, &["star", "dep"]).contains("403"));
}

#[test]
fn a_login_gives_the_key_back_and_others_are_refused() {
    if !has_program("npm") {
        return;
    }
    let registry = Registry::start();
    let here = registry.home.path().to_owned();
    let login = |key: &str| {
        let body = json!({"_id": "org.couchdb.user:me", "name": "me", "password": key}).to_string();
        let target = "/npm/dev/-/user/org.couchdb.user:me";
        Request::new("PUT", target).json(&body).send(registry.server.address)
    };
    assert_eq!(
        login(&registry.server.key).expect(201).json()["token"],
        registry.server.key.as_str()
    );
    assert!(login("hayloft_wrong").expect(401).json()["error"].is_string());
    registry.write_settings("dev", "wrong");
    assert!(registry.npm_fails(&here, &["whoami"]).contains("401"));
    let package = registry.package("a", "1.0.0", &json!({}));
    let refused = registry.npm_fails(&package, &["publish"]);
    assert!(refused.contains("401") || refused.contains("E403"), "{refused}");
}

/// Runs a command at a terminal of its own and answers what it asks: after the seconds it may take
/// come pairs of a word that is waited for and the answer to it, then the command.
const AT_A_TERMINAL: &str = r#"
import os, pty, select, sys, time
end = time.time() + float(sys.argv[1])
split = sys.argv.index("--")
answers = list(zip(sys.argv[2:split:2], sys.argv[3:split:2]))
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[split + 1], sys.argv[split + 1:])
told = ""
while time.time() < end:
    if not select.select([terminal], [], [], 1)[0]:
        continue
    try:
        piece = os.read(terminal, 4096)
    except OSError:
        break
    told += piece.decode(errors="replace")
    if answers and answers[0][0] in told:
        os.write(terminal, answers.pop(0)[1].encode() + b"\n")
else:
    os.kill(pid, 9)
status = os.waitpid(pid, 0)[1]
print(told)
sys.exit(1 if status else 0)
"#;

#[test]
fn npm_logs_in_at_a_terminal() {
    if !has_program("npm") {
        return;
    }
    let Some(python) = python(&["pty"]) else { return };
    let registry = Registry::start();
    let here = registry.home.path().to_owned();
    fs_err::write(registry.path(".npmrc"), format!("registry={}/\n", registry.url("dev"))).unwrap();
    assert!(registry.npm_fails(&here, &["whoami"]).contains("ENEEDAUTH"));
    let told = run(registry
        .client(python, &here)
        .args(["-c", AT_A_TERMINAL, "60", "Username", "me", "Password", &registry.server.key])
        .args(["Email", "me@example.org", "--", "npm", "login"]));
    assert!(told.contains("Logged in on"), "{told}");
    assert!(!registry.npm(&here, &["whoami"]).trim().is_empty());
    let package = registry.package("a", "1.0.0", &json!({}));
    registry.npm(&package, &["publish"]);
    registry.npm(&here, &["logout"]);
    assert!(registry.npm_fails(&here, &["whoami"]).contains("ENEEDAUTH"));
}

#[test]
fn npm_installs_what_was_repackaged_and_promoted() {
    if !has_program("npm") {
        return;
    }
    let registry = Registry::start();
    registry.publish("dep", "1.0.0", &json!({}), &[]);
    registry.publish("@acme/tool", "2.0.0-rc.1", &json!({"dep": "^1.0.0"}), &["--tag=next"]);
    registry.post("/api/repackaging/repackage", &json!({
        "feed": "dev", "group": "@acme", "name": "tool", "version": "2.0.0-rc.1", "newVersion": "2.0.0",
    }));
    for (group, name, version) in [("@acme", "tool", "2.0.0"), ("", "dep", "1.0.0")] {
        registry.post("/api/promotions/promote", &json!({
            "packageName": name, "groupName": group, "version": version, "fromFeed": "dev", "toFeed": "prod",
        }));
    }
    registry.write_settings("prod", &registry.server.key);
    let app = registry.project("app");
    registry.npm(&app, &["install", "@acme/tool"]);
    let manifest = installed(&app, "@acme/tool");
    assert_eq!(manifest["version"], "2.0.0");
    assert_eq!(manifest["repackageHistory"].as_array().unwrap().len(), 1);
    fs_err::remove_dir_all(app.join("node_modules")).unwrap();
    fs_err::remove_dir_all(registry.path("cache")).unwrap();
    registry.npm(&app, &["ci"]);
    let tags = registry.npm(&app, &["dist-tag", "ls", "@acme/tool"]);
    assert_eq!(tags.trim(), "latest: 2.0.0");
}

#[test]
fn npm_publishes_forty_megabytes() {
    if !has_program("npm") {
        return;
    }
    let registry = Registry::start();
    let folder = registry.package("big", "1.0.0", &json!({}));
    let mut seed = 7_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed.to_be_bytes()[0]
    })
    .take(40 << 20)
    .collect();
    fs_err::write(folder.join("noise.bin"), noise).unwrap();
    registry.npm(&folder, &["publish"]);
    let app = registry.project("app");
    registry.npm(&app, &["install", "big"]);
    let size = fs_err::metadata(app.join("node_modules/big/noise.bin")).unwrap().len();
    assert_eq!(size, 40 << 20);
}

#[test]
fn npm_goes_on_while_others_publish_and_after_a_kill() {
    if !has_program("npm") {
        return;
    }
    let mut registry = Registry::start();
    registry.publish("dep", "1.0.0", &json!({}), &[]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let server = &registry.server;
        let publisher = scope.spawn(|| {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) {
                number += 1;
                server.upload("dev", npm_tgz("dep", &format!("1.{number}.0")).build());
            }
            number
        });
        for round in 0..5 {
            let app = registry.project(&format!("app-{round}"));
            registry.npm(&app, &["install", "dep"]);
            fs_err::remove_dir_all(app.join("node_modules")).unwrap();
            registry.npm(&app, &["ci"]);
        }
        done.store(true, Ordering::Relaxed);
        assert!(publisher.join().unwrap() > 5);
    });
    let last = registry.server.get("/npm/dev/dep").json()["dist-tags"]["latest"].clone();
    registry.server = registry.server.restart();
    registry.write_settings("dev", &registry.server.key);
    let app = registry.project("app");
    registry.npm(&app, &["install", "dep"]);
    assert_eq!(installed(&app, "dep")["version"], last);
}

#[test]
fn pnpm_publishes_and_installs() {
    let Some(_) = javascript("HAYLOFT_PNPM") else { return };
    let registry = Registry::start();
    let pnpm = |folder: &Path, arguments: &[&str]| {
        let client = javascript("HAYLOFT_PNPM").unwrap();
        run(registry.client(client, folder).args(arguments))
    };
    for (name, version, dependencies) in
        [("dep", "1.0.0", json!({})), ("@acme/tool", "1.0.0", json!({"dep": "^1.0.0"}))]
    {
        let folder = registry.package(name, version, &dependencies);
        pnpm(&folder, &["publish", "--no-git-checks", "--access=public"]);
    }
    let app = registry.project("app");
    pnpm(&app, &["add", "@acme/tool"]);
    let lock = fs_err::read_to_string(app.join("pnpm-lock.yaml")).unwrap();
    assert!(!lock.contains("tarball:"), "{lock}");
    fs_err::remove_dir_all(app.join("node_modules")).unwrap();
    pnpm(&app, &["install", "--frozen-lockfile"]);
    assert_eq!(installed(&app, "@acme/tool")["version"], "1.0.0");
    assert!(pnpm(&app, &["view", "dep", "versions"]).contains("1.0.0"));
    pnpm(&app, &["audit"]);
    // pnpm holds what is in a package against its name and version.
    registry.post("/api/repackaging/repackage", &json!({
        "feed": "dev", "group": "@acme", "name": "tool", "version": "1.0.0", "newVersion": "1.1.0",
    }));
    pnpm(&app, &["update", "@acme/tool"]);
    pnpm(&app, &["install", "--force"]);
    assert_eq!(installed(&app, "@acme/tool")["version"], "1.1.0");
}

#[test]
fn yarn_1_publishes_and_installs() {
    let Some(_) = javascript("HAYLOFT_YARN1") else { return };
    let registry = Registry::start();
    // Else it shows the token for scoped packages only.
    let settings = fs_err::read_to_string(registry.path(".npmrc")).unwrap();
    let place = registry.url("dev").replace("http:", "");
    fs_err::write(registry.path(".npmrc"), format!("{settings}{place}/:always-auth=true\n"))
        .unwrap();
    let yarn = |folder: &Path, arguments: &[&str]| {
        let client = javascript("HAYLOFT_YARN1").unwrap();
        run(registry.client(client, folder).args(arguments))
    };
    for (name, dependencies) in [("dep", json!({})), ("@acme/tool", json!({"dep": "^1.0.0"}))] {
        let folder = registry.package(name, "1.0.0", &dependencies);
        let version = ["publish", "--non-interactive", "--new-version=1.0.0", "--access=public"];
        yarn(&folder, &version);
    }
    let app = registry.project("app");
    yarn(&app, &["add", "@acme/tool"]);
    let lock = fs_err::read_to_string(app.join("yarn.lock")).unwrap();
    let tarball = format!("{}/@acme/tool/-/tool-1.0.0.tgz#", registry.url("dev"));
    assert!(lock.contains(&tarball), "{lock}");
    fs_err::remove_dir_all(app.join("node_modules")).unwrap();
    yarn(&app, &["install", "--frozen-lockfile"]);
    assert_eq!(installed(&app, "dep")["version"], "1.0.0");
    yarn(&app, &["tag", "add", "dep@1.0.0", "old"]);
    assert!(yarn(&app, &["tag", "list", "dep"]).contains("old: 1.0.0"));
}

#[test]
fn yarn_4_publishes_and_installs_from_two_feeds_of_one_host() {
    let Some(_) = javascript("HAYLOFT_YARN") else { return };
    let registry = Registry::start();
    let yarn = |folder: &Path, feed: &str, arguments: &[&str]| {
        let settings = format!(
            "npmRegistryServer: \"{}\"\nnpmAuthToken: \"{}\"\nnpmAlwaysAuth: true\n\
             unsafeHttpWhitelist: [\"127.0.0.1\"]\nenableTelemetry: false\nnodeLinker: node-modules\n",
            registry.url(feed),
            registry.server.key,
        );
        fs_err::write(folder.join(".yarnrc.yml"), settings).unwrap();
        if !folder.join("yarn.lock").exists() {
            fs_err::write(folder.join("yarn.lock"), "").unwrap();
        }
        let client = javascript("HAYLOFT_YARN").unwrap();
        run(registry.client(client, folder).args(arguments))
    };
    // Its gate against packages of the last day leaves out what has no time of publication, and
    // lets what is older than the gate through; here it has to be off.
    let publish = |feed: &str, name: &str, version: &str| {
        let folder = registry.package(name, version, &json!({}));
        yarn(&folder, feed, &["config", "set", "-H", "npmMinimalAgeGate", "0"]);
        yarn(&folder, feed, &["install"]);
        yarn(&folder, feed, &["npm", "publish", "--access=public"]);
    };
    publish("dev", "dep", "1.0.0");
    publish("dev", "@acme/tool", "1.0.0");
    publish("prod", "dep", "3.0.0");
    let app = registry.project("app");
    yarn(&app, "dev", &["add", "@acme/tool", "dep"]);
    let lock = fs_err::read_to_string(app.join("yarn.lock")).unwrap();
    assert!(!lock.contains("__archiveUrl"), "{lock}");
    fs_err::remove_dir_all(app.join("node_modules")).unwrap();
    yarn(&app, "dev", &["install", "--immutable"]);
    assert_eq!(installed(&app, "dep")["version"], "1.0.0");
    // Its cache of documents knows hosts, not feeds.
    let other = registry.project("other");
    yarn(&other, "prod", &["add", "dep"]);
    assert_eq!(installed(&other, "dep")["version"], "3.0.0");
    assert!(yarn(&app, "dev", &["npm", "tag", "list", "dep"]).contains("1.0.0"));
    assert!(!yarn(&app, "dev", &["npm", "whoami"]).is_empty());
    yarn(&app, "dev", &["npm", "audit"]);
}
