//! Real clients read what `hayloft use` writes.

use std::process::{Command, Stdio};

use fs_err as fs;

use crate::bench::Bench;
use crate::remote::Server;

fn has(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        eprintln!("skipped: `{program}` does not run on this machine");
    }
    found
}

/// What a client prints, with the bench's home.
fn ask(bench: &Bench, program: &str, words: &[&str]) -> String {
    let output = Command::new(program)
        .args(words)
        .env("HOME", bench.path("home"))
        .env("XDG_CONFIG_HOME", bench.path("home/config"))
        .env_remove("PIP_CONFIG_FILE")
        .env_remove("PIP_INDEX_URL")
        .env_remove("PIP_TRUSTED_HOST")
        .env_remove("NPM_CONFIG_REGISTRY")
        .env_remove("npm_config_registry")
        .current_dir(bench.path("home"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A store with feeds of three types behind a socket, a key, and a bench that uses it.
fn served() -> (Server, Bench, String) {
    let store = Bench::new();
    for (name, kind) in [("js", "npm"), ("py", "pypi"), ("dot.net", "nuget"), ("more", "nuget")] {
        store.ok(&["feeds", "create", name, kind]);
    }
    let key = store.ok(&["apikeys", "create", "system", "--apis=feeds"]).trim().to_owned();
    let server = Server::over(&store);
    let url = server.url();
    let bench = Bench::new().always(&["--source", &url, "--api-key", &key]);
    (server, bench, key)
}

fn mode(path: &std::path::Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
}

#[test]
fn npm_reads_what_is_written_until_it_is_undone() {
    let (server, bench, key) = served();
    let file = bench.path("home/.npmrc");
    fs::write(&file, "registry=https://old.example/\nfund=false\n").unwrap();
    let said = bench.ok(&["use", "js", "--client=npm"]);
    let registry = format!("{}/npm/js/", server.url());
    assert!(said.starts_with(&format!("npm uses {}", registry.trim_end_matches('/'))), "{said}");
    assert_eq!(mode(&file), 0o600);
    assert!(fs::read_to_string(&file).unwrap().contains(&key));
    if has("npm") {
        assert_eq!(ask(&bench, "npm", &["config", "get", "registry"]).trim(), registry);
    }
    let once = fs::read_to_string(&file).unwrap();
    bench.ok(&["use", "js", "--client=npm"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), once, "a second time changes nothing");
    assert_eq!(bench.ok(&["use", "other", "--undo"]), "There was nothing to undo.\n");
    bench.ok(&["use", "js", "--client=npm", "--undo"]);
    let back = fs::read_to_string(&file).unwrap();
    assert_eq!(back, "registry=https://old.example/\nfund=false\n");
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn pip_reads_what_is_written_until_it_is_undone() {
    let (server, bench, key) = served();
    let file = bench.path("home/config/pip/pip.conf");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mine =
        "[global]\nindex-url = https://old.example/simple\ntimeout = 7\n[install]\nuser = no\n";
    fs::write(&file, mine).unwrap();
    bench.ok(&["use", "py", "--client=pip"]);
    let simple =
        format!("{}/pypi/py/simple/", server.url()).replace("://", &format!("://api:{key}@"));
    if has("pip") {
        let pip = |name: &str| ask(&bench, "pip", &["config", "get", name]).trim().to_owned();
        assert_eq!(pip("global.index-url"), simple);
        assert_eq!(pip("global.timeout"), "7");
    }
    bench.ok(&["use", "--client=pip", "--undo"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), mine);
    fs::remove_file(&file).unwrap();
    bench.ok(&["use", "py", "--client=pip"]);
    assert!(fs::read_to_string(&file).unwrap().starts_with("[global]\n"));
    let said = bench.ok(&["use", "py", "--client=flit"]);
    assert!(said.contains("FLIT_INDEX_URL"), "a client without a file is told lines: {said}");
}

#[test]
fn nuget_has_sources_side_by_side() {
    let (server, bench, key) = served();
    for feed in ["dot.net", "more", "more"] {
        bench.ok(&["use", feed, "--client=nuget"]);
        bench.ok(&["use", feed, "--client=dotnet"]);
    }
    let file = bench.path("home/config/NuGet/NuGet.Config");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches("<packageSources>").count(), 1, "{text}");
    assert_eq!(text.matches(&key).count(), 2, "{text}");
    let same = fs::read_to_string(bench.path("home/.nuget/NuGet/NuGet.Config")).unwrap();
    assert_eq!(same, text);
    let client = std::env::var_os("HAYLOFT_NUGET_EXE").map(|path| path.into_string().unwrap());
    match &client {
        Some(client) if has("mono") => {
            let listed = ask(&bench, "mono", &[client, "sources", "list", "-NonInteractive"]);
            for feed in ["dot.net", "more"] {
                let index = format!("{}/nuget/{feed}/v3/index.json", server.url());
                assert!(listed.contains(&index), "{listed}");
            }
        }
        _ => eprintln!("skipped: HAYLOFT_NUGET_EXE does not name a nuget.exe"),
    }
    bench.ok(&["use", "dot.net", "--undo"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("dot.net") && text.contains("/nuget/more/"), "{text}");
    bench.ok(&["use", "--undo"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("hayloft") && text.contains("<packageSources>"), "{text}");
}

#[test]
fn lines_are_shown_and_mistakes_told() {
    let (server, bench, key) = served();
    let said = bench.ok(&["use", "js"]);
    assert!(said.contains("npm\n  npm config set registry "), "{said}");
    assert!(said.contains(&key) && said.contains(&server.url()), "{said}");
    let said = bench.misused(&["use", "js", "--client=nmp"]);
    assert!(said.starts_with("--client error: `nmp` is not one of npm, "), "{said}");
    assert!(bench.hints(&["use", "js", "--client=nmp"]).starts_with("did you mean npm?"));
    let said = bench.misused(&["use", "--client=cobol", "--undo"]);
    assert!(said.starts_with("--client error: "), "{said}");
    let local = Bench::with_feeds();
    let said = local.fails(&["use", "dev", "--client=npm"]);
    assert_eq!(said, "clients need a server, and this is a store on this machine");
}
