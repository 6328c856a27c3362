use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use fs_err as fs;
use serde_json::Value;

use crate::bench::Bench;

#[test]
fn the_first_place_that_has_a_value_counts() {
    let bench = Bench::new();
    fs::write(
        bench.path("a.toml"),
        "address = \"1.1.1.1:1\"\nlog = \"warn\"\ninspection-memory = 64\n",
    )
    .unwrap();
    let output = bench
        .command(&["config", "show", "--config=a.toml", "--address=3.3.3.3:3", "--json"])
        .env("HAYLOFT_ADDRESS", "2.2.2.2:2")
        .env("HAYLOFT_LOG", "debug")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let setting = |name: &str| (shown[name]["value"].clone(), shown[name]["from"].clone());
    assert_eq!(setting("address"), ("3.3.3.3:3".into(), "command line".into()));
    assert_eq!(setting("log"), ("debug".into(), "HAYLOFT_LOG".into()));
    assert_eq!(setting("inspection-memory"), ("64".into(), "a.toml".into()));
    assert_eq!(setting("store"), ("hayloft-data".into(), "default".into()));
    assert_eq!(setting("tls-cert"), (Value::Null, "default".into()));

    let lines =
        bench.command(&["config", "show"]).env("HAYLOFT_CONFIG", "a.toml").output().unwrap();
    let lines = String::from_utf8(lines.stdout).unwrap();
    assert!(lines.contains("address = \"1.1.1.1:1\"  # a.toml\n"), "{lines}");
    assert!(lines.contains("# tls-cert is not set\n"), "{lines}");
    // What is shown is a file.
    fs::write(bench.path("b.toml"), &lines).unwrap();
    assert_eq!(bench.ok(&["config", "check", "--config=b.toml"]), "The configuration is good.\n");
}

#[test]
fn mistakes_are_found_before_a_server_starts() {
    let bench = Bench::new();
    let check = |text: &str| {
        fs::write(bench.path("a.toml"), text).unwrap();
        let words = ["config", "check", "--config=a.toml"];
        let run = bench.run(&words);
        assert_ne!(run.status, 0, "{run:?}");
        let serve = bench.run(&["serve", "--config=a.toml"]);
        let first = |errors: &str| errors.lines().next().unwrap().to_owned();
        assert_eq!(first(&serve.errors), first(&run.errors), "serve says the same");
        run.errors
    };
    let said = check("adress = \"x\"");
    assert_eq!(
        said,
        "the configuration file `a.toml` cannot be used: `adress` is no setting\n\
         hint: did you mean address?\n"
    );
    assert!(check("address = \"here:there\"").starts_with("--address error: "));
    assert!(check("address =").contains("line 1: "));
    assert!(check("tls-cert = \"none.pem\"").starts_with("--tls-key error: "));
    assert!(
        check("tls-cert = \"none.pem\"\ntls-key = \"none.key\"")
            .contains("`none.pem` cannot be used for TLS")
    );
    assert!(check("inspection-memory = 1").starts_with("--inspection-memory error: "));
    assert!(check("log = \"[\"").starts_with("--log error: "));
    let said = bench.fails(&["config", "check", "--config=none.toml"]);
    assert!(said.starts_with("the configuration file `none.toml` cannot be used: "), "{said}");
    assert!(!bench.path("hayloft-data").exists());
}

#[test]
fn a_server_does_as_its_file_says() {
    let bench = Bench::new();
    fs::write(
        bench.path("a.toml"),
        "store = \"packages\"\naddress = 0\nadmin-key-file = \"key\"\nlog = \"error\"\n",
    )
    .unwrap();
    let mut child = bench
        .command(&["serve", "--config=a.toml", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(told["adminKeyFile"], "key");
    assert!(bench.path("packages/FORMAT").exists() && bench.path("key").exists());
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
