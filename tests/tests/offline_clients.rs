//! The ecosystems' own clients over a static export, after a first and after a later run, served by
//! plain web servers; and exports that are killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests panic to fail and say what they skip"
)]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hayloft_testkit::{Package, deb, gem, npm_tgz, nupkg, wheel};
use hayloft_tests::{Hayloft, Request, has_program, meanwhile, nuget, python, run, tree};
use tempfile::TempDir;

/// A store without a server, and the folder that it is exported to.
struct Scene {
    folder: TempDir,
    feed_type: &'static str,
}

/// A web server that is ended with the test.
struct Web {
    child: Child,
    port: u16,
}

impl Drop for Web {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Scene {
    fn new(feed_type: &'static str) -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let scene = Self { folder, feed_type };
        scene.hayloft(&["feeds", "create", "dev", feed_type]);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn hayloft(&self, arguments: &[&str]) -> String {
        run(&mut Hayloft::on_store(&self.path("store")).command(arguments))
    }

    fn import(&self, packages: &[Package]) {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        for package in packages {
            fs_err::write(folder.path().join(package.file_name()), package.build()).unwrap();
        }
        let from = folder.path().to_str().unwrap();
        let place = ["--distribution=stable", "--component=main"];
        let place = if self.feed_type == "debian" { &place[..] } else { &[] };
        self.hayloft(&[&["import", "dev", from], place].concat());
    }

    fn export_command(&self, web: &Web) -> Command {
        let url = format!("--base-url=http://127.0.0.1:{}/feed", web.port);
        let to = self.path("www/feed");
        let to = to.to_str().unwrap();
        Hayloft::on_store(&self.path("store")).command(["export", "dev", to, &url])
    }

    fn export(&self, web: &Web) {
        run(&mut self.export_command(web));
    }

    /// Python's own server over the folder.
    fn python_server(&self) -> Option<Web> {
        let mut server = python(&["http.server"])?;
        let root = self.path("www");
        fs_err::create_dir_all(&root).unwrap();
        server.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]);
        let mut child =
            server.arg(root).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split(" port ").nth(1).unwrap().split(' ').next().unwrap();
        Some(Web { child, port: port.parse().unwrap() })
    }

    /// nginx with the lines that `hayloft export --snippet=nginx` prints.
    fn nginx(&self) -> Option<Web> {
        let runs = Command::new("nginx").arg("-v").stderr(Stdio::null()).status();
        if !runs.is_ok_and(|status| status.success()) {
            println!("skipped: `nginx` does not run on this machine");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = self.path("www/feed");
        let to = format!("--to-directory={}", folder.display());
        let url = format!("--base-url=http://127.0.0.1:{port}/feed");
        let lines = self.hayloft(&["export", "--snippet=nginx", &to, &url]);
        let home = self.path("nginx");
        fs_err::create_dir_all(&home).unwrap();
        let at = home.display();
        let user = if is_root() { "user root;" } else { "" };
        let configuration = format!(
            "daemon off; master_process off; {user} pid {at}/pid; error_log {at}/error;\nevents {{}}\nhttp {{\n\
             access_log off; client_body_temp_path {at}/b; proxy_temp_path {at}/p;\n\
             fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
             server {{ listen 127.0.0.1:{port};\n{lines}\n}}\n}}\n"
        );
        fs_err::write(home.join("conf"), configuration).unwrap();
        let child = Command::new("nginx")
            .arg("-e")
            .arg(home.join("error"))
            .arg("-c")
            .arg(home.join("conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let web = Web { child, port };
        for _ in 0..600 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(web);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("nginx does not listen: {:?}", fs_err::read_to_string(home.join("error")));
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|told| told.stdout.starts_with(b"0\n"))
}

/// A first export, a client in a loop, a second export meanwhile, and what is new then.
fn drive(
    scene: &Scene,
    web: &Web,
    first: &[Package],
    second: &[Package],
    client: &(dyn Fn(&str) + Sync),
    renewed: &dyn Fn(),
) {
    scene.import(first);
    scene.export(web);
    client("before");
    let install = |round| client(&format!("loop-{round}"));
    meanwhile(install, || {
        scene.import(second);
        // Python's server tells by the second whether a file has changed.
        std::thread::sleep(Duration::from_millis(1_100));
        scene.export(web);
    });
    renewed();
    assert!(!scene.path("www/feed/.hayloft-export/incomplete").exists());
}

#[test]
fn npm_installs_from_nginx() {
    let scene = Scene::new("npm");
    let Some(web) = has_program("npm").then(|| scene.nginx()).flatten() else { return };
    let registry = format!("--registry=http://127.0.0.1:{}/feed/", web.port);
    let install = |label: &str, what: &[&str]| {
        let project = scene.path(label);
        fs_err::create_dir_all(&project).unwrap();
        fs_err::write(project.join("package.json"), r#"{"name":"app","version":"1.0.0"}"#).unwrap();
        let mut npm = Command::new("npm");
        npm.current_dir(&project).env("HOME", &project).args(["install", &registry]);
        npm.args(["--no-audit", "--no-fund", "--no-update-notifier", "--userconfig=/dev/null"]);
        run(npm.arg(format!("--cache={}", project.join("cache").display())).args(what));
        project
    };
    drive(
        &scene,
        &web,
        &[npm_tgz("alpha", "1.0.0"), npm_tgz("@hay/beta", "1.0.0")],
        &[npm_tgz("alpha", "1.1.0"), npm_tgz("gamma", "1.0.0")],
        &|label| {
            let project = install(label, &["alpha@1.0.0", "@hay/beta"]);
            assert!(project.join("node_modules/@hay/beta/package.json").exists());
        },
        &|| {
            let project = install("after", &["alpha", "gamma"]);
            let manifest = project.join("node_modules/alpha/package.json");
            assert!(fs_err::read_to_string(manifest).unwrap().contains("1.1.0"));
        },
    );
    let hidden = Request::get("/feed/.hayloft-export/state.json");
    assert_eq!(hidden.send(([127, 0, 0, 1], web.port).into()).status, 404);
}

fn pip(scene: &Scene, web: &Web, label: &str, what: &[&str]) -> Vec<String> {
    let target = scene.path(label);
    let mut pip = python(&["pip"]).unwrap();
    pip.args(["-m", "pip", "--isolated", "--disable-pip-version-check", "install", "--no-deps"]);
    pip.args(["--no-cache-dir", "--no-compile", "--root-user-action=ignore", "--target"]);
    pip.arg(&target).arg("--index-url").arg(format!("http://127.0.0.1:{}/feed/simple/", web.port));
    run(pip.args(what).env("HOME", scene.path("home")));
    let names = fs_err::read_dir(target).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn pip_and_uv_install_from_pythons_own_server() {
    let scene = Scene::new("pypi");
    let Some(web) = python(&["pip"]).and_then(|_| scene.python_server()) else { return };
    drive(
        &scene,
        &web,
        &[wheel("alpha", "1.0.0"), wheel("beta", "1.0.0")],
        &[wheel("alpha", "1.1.0"), wheel("gamma", "1.0.0")],
        &|label| {
            let found = pip(&scene, &web, label, &["alpha==1.0.0", "beta"]);
            assert!(found.contains(&"alpha-1.0.0.dist-info".to_owned()), "{found:?}");
        },
        &|| {
            let found = pip(&scene, &web, "after", &["alpha", "gamma"]);
            assert!(found.contains(&"alpha-1.1.0.dist-info".to_owned()), "{found:?}");
        },
    );
    let Some(mut uv) = python(&["uv"]) else { return };
    uv.args(["-m", "uv", "pip", "install", "--no-cache", "--no-deps", "--no-config", "--target"]);
    uv.arg(scene.path("uv")).arg("--index-url");
    uv.arg(format!("http://127.0.0.1:{}/feed/simple/", web.port)).arg("alpha");
    run(uv.env("HOME", scene.path("home")));
    assert!(scene.path("uv/alpha-1.1.0.dist-info").exists());
}

#[test]
fn gem_installs_from_pythons_own_server() {
    let scene = Scene::new("rubygems");
    let Some(web) = has_program("gem").then(|| scene.python_server()).flatten() else { return };
    let install = |label: &str, what: &[&str]| {
        let home = scene.path(label);
        fs_err::create_dir_all(&home).unwrap();
        let mut gem = Command::new("gem");
        gem.env("HOME", &home)
            .env("GEM_HOME", home.join("gems"))
            .env("GEM_PATH", home.join("gems"));
        gem.env("GEM_SPEC_CACHE", home.join("specs")).env_remove("RUBYOPT").current_dir(&home);
        gem.args(["install", "--no-document", "--clear-sources", "--source"]);
        run(gem.arg(format!("http://127.0.0.1:{}/feed/", web.port)).args(what));
        home.join("gems/gems")
    };
    drive(
        &scene,
        &web,
        &[gem("alpha", "1.0.0", "ruby"), gem("beta", "1.0.0", "ruby")],
        &[gem("alpha", "1.1.0", "ruby"), gem("gamma", "1.0.0", "ruby")],
        &|label| {
            let gems = install(label, &["alpha:1.0.0", "beta"]);
            assert!(gems.join("alpha-1.0.0").exists() && gems.join("beta-1.0.0").exists());
        },
        &|| {
            let gems = install("after", &["alpha", "gamma"]);
            assert!(gems.join("alpha-1.1.0").exists() && gems.join("gamma-1.0.0").exists());
        },
    );
}

#[test]
fn bundler_installs_and_updates_from_nginx() {
    let scene = Scene::new("rubygems");
    let Some(web) = has_program("bundle").then(|| scene.nginx()).flatten() else { return };
    let bundle = |label: &str, gems: &str| {
        let project = scene.path(label);
        fs_err::create_dir_all(&project).unwrap();
        let source = format!("source \"http://127.0.0.1:{}/feed/\"\n{gems}\n", web.port);
        fs_err::write(project.join("Gemfile"), source).unwrap();
        let mut bundle = Command::new("bundle");
        bundle.current_dir(&project).env("HOME", &project).env("GEM_HOME", project.join("gems"));
        bundle
            .env("GEM_PATH", project.join("gems"))
            .env("BUNDLE_USER_HOME", project.join("bundle"));
        bundle.env("BUNDLE_SILENCE_ROOT_WARNING", "1").env_remove("RUBYOPT");
        run(bundle.arg("install"));
        fs_err::read_to_string(project.join("Gemfile.lock")).unwrap()
    };
    drive(
        &scene,
        &web,
        &[gem("alpha", "1.0.0", "ruby"), gem("beta", "1.0.0", "ruby")],
        &[gem("alpha", "1.1.0", "ruby"), gem("gamma", "1.0.0", "ruby")],
        &|label| {
            let lock = bundle(label, "gem \"alpha\", \"1.0.0\"\ngem \"beta\"");
            assert!(lock.contains("alpha (1.0.0)") && lock.contains("beta (1.0.0)"), "{lock}");
        },
        &|| {
            // With what it kept of the first export.
            fs_err::remove_file(scene.path("before/Gemfile.lock")).unwrap();
            let lock = bundle("before", "gem \"alpha\"\ngem \"gamma\"");
            assert!(lock.contains("alpha (1.1.0)") && lock.contains("gamma (1.0.0)"), "{lock}");
        },
    );
}

#[test]
fn nuget_exe_installs_from_pythons_own_server() {
    let scene = Scene::new("nuget");
    let Some(web) = nuget().and_then(|_| scene.python_server()) else { return };
    let install = |label: &str, id: &str, version: &str| {
        let home = scene.path(label);
        fs_err::create_dir_all(&home).unwrap();
        let mut nuget = nuget().unwrap();
        nuget.args(["install", id, "-Version", version, "-Source"]);
        nuget.arg(format!("http://127.0.0.1:{}/feed/v3/index.json", web.port));
        nuget.args(["-OutputDirectory", "out", "-NoCache", "-DirectDownload", "-NonInteractive"]);
        nuget.env("HOME", &home).env("NUGET_PACKAGES", home.join("packages"));
        nuget.env("NUGET_HTTP_CACHE_PATH", home.join("http")).current_dir(&home);
        let told = run(&mut nuget);
        assert!(told.contains("Successfully installed"), "{told}");
        assert!(home.join(format!("out/{id}.{version}/content/payload.bin")).exists());
    };
    let package = |id: &str, version: &str| nupkg(id, version).payload(5_000);
    drive(
        &scene,
        &web,
        &[package("Hay.Alpha", "1.0.0")],
        &[package("Hay.Alpha", "1.1.0"), package("Hay.Gamma", "1.0.0")],
        &|label| install(label, "Hay.Alpha", "1.0.0"),
        &|| {
            install("after", "Hay.Alpha", "1.1.0");
            install("after", "Hay.Gamma", "1.0.0");
        },
    );
}

#[test]
fn apt_updates_and_fetches_from_pythons_own_server() {
    let scene = Scene::new("debian");
    let programs = ["apt-get", "dpkg", "gpgv"].into_iter().all(has_program);
    let Some(web) = programs.then(|| scene.python_server()).flatten() else { return };
    let apt = |label: &str, arguments: &[&str]| {
        let home = scene.path(label);
        for part in ["lists/partial", "cache/archives/partial", "trusted"] {
            fs_err::create_dir_all(home.join(part)).unwrap();
        }
        let at = |part: &str| home.join(part).display().to_string();
        fs_err::write(home.join("status"), "").unwrap();
        let key = scene.path("www/feed/keys/dev.asc");
        let source = format!(
            "deb [signed-by={}] http://127.0.0.1:{}/feed stable main\n",
            key.display(),
            web.port
        );
        fs_err::write(home.join("sources"), source).unwrap();
        let mut apt = Command::new("apt-get");
        for option in [
            format!("Dir::Etc::sourcelist={}", at("sources")),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::Etc::trustedparts={}", at("trusted")),
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::State::status={}", at("status")),
            format!("Dir::Cache={}", at("cache")),
            "APT::Sandbox::User=root".to_owned(),
            "APT::Architecture=amd64".to_owned(),
            "APT::Architectures=amd64".to_owned(),
            "Acquire::http::Proxy=false".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ] {
            apt.args(["-o", &option]);
        }
        run(apt.args(arguments).current_dir(&home));
        home
    };
    let get = |label: &str, what: &str, file: &str| {
        apt(label, &["update", "-o", "APT::Update::Error-Mode=any"]);
        let home = apt(label, &["download", what]);
        assert!(home.join(file).exists(), "{file}");
    };
    drive(
        &scene,
        &web,
        &[deb("alpha", "1.0", "amd64"), deb("beta", "1:1.0", "all")],
        &[deb("alpha", "1.1", "amd64"), deb("gamma", "1.0", "amd64")],
        &|label| {
            get(label, "alpha=1.0", "alpha_1.0_amd64.deb");
            get(label, "beta", "beta_1%3a1.0_all.deb");
        },
        &|| get("before", "alpha", "alpha_1.1_amd64.deb"),
    );
}

/// Kills imports and applications of a bundle at random moments; the next one completes them.
#[test]
fn killed_imports_and_bundles_are_completed_by_the_next() {
    let scene = Scene::new("npm");
    let folder = scene.path("packages");
    fs_err::create_dir_all(&folder).unwrap();
    for at in 0..40 {
        let package = npm_tgz(&format!("p{at}"), "1.0.0").payload(30_000);
        fs_err::write(folder.join(package.file_name()), package.build()).unwrap();
    }
    let from = folder.to_str().unwrap();
    let bundle = scene.path("bundle");
    let bundle = bundle.to_str().unwrap();
    scene.hayloft(&["import", "dev", from]);
    scene.hayloft(&["bundle", "create", "dev", bundle]);
    for (store, arguments) in [
        ("imported", ["import", "dev", from].as_slice()),
        ("applied", &["bundle", "apply", "dev", bundle]),
    ] {
        let target = Hayloft::on_store(&scene.path(store));
        run(&mut target.command(["feeds", "create", "dev", "npm"]));
        for round in 0..20_u32 {
            let mut command = target.command(arguments);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(u64::from(round * 23 % 200)));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        run(&mut target.command(arguments));
        let again: serde_json::Value =
            serde_json::from_str(&run(target.command(arguments).arg("--json"))).unwrap();
        assert_eq!((&again["stored"], &again["unchanged"]), (&0.into(), &40.into()), "{store}");
        run(&mut target.command(["verify", "--level=deep"]));
    }
}

/// Kills exports at random moments; each time what the documents name is there.
#[test]
fn a_killed_export_is_whole_and_completed_by_the_next() {
    let scene = Scene::new("npm");
    let Some(web) = scene.python_server() else { return };
    let names = |folder: &Path| tree(folder);
    for round in 0..20_u32 {
        let package = |at: u32| npm_tgz(&format!("p{at}"), &format!("1.0.{round}")).payload(30_000);
        scene.import(&(0..5).map(package).collect::<Vec<_>>());
        let mut command = scene.export_command(&web);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(round * 37 % 400)));
        child.kill().unwrap();
        child.wait().unwrap();
        check(&scene.path("www/feed"), web.port);
    }
    scene.export(&web);
    check(&scene.path("www/feed"), web.port);
    let fresh = scene.path("fresh");
    let url = format!("--base-url=http://127.0.0.1:{}/feed", web.port);
    scene.hayloft(&["export", "dev", fresh.to_str().unwrap(), &url]);
    for folder in [&fresh, &scene.path("www/feed")] {
        fs_err::remove_dir_all(folder.join(".hayloft-export")).unwrap();
    }
    assert!(names(&fresh) == names(&scene.path("www/feed")));
}

fn check(folder: &Path, port: u16) {
    let url = format!("http://127.0.0.1:{port}/feed/");
    for at in 0..5 {
        let document = folder.join(format!("p{at}/index.json"));
        let Ok(text) = fs_err::read_to_string(document) else { continue };
        let _: serde_json::Value = serde_json::from_str(&text).unwrap();
        for rest in text.split(&url).skip(1) {
            let file = folder.join(rest.split('"').next().unwrap());
            assert!(file.exists(), "{} is named and absent", file.display());
        }
    }
}
