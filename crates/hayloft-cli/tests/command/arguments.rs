use crate::bench::Bench;

#[test]
fn a_command_that_lacks_a_word_prints_its_usage_and_one() {
    let run = Bench::new().run(&["packages"]);
    assert_eq!(run.status, 1);
    assert!(run.text().contains("hayloft packages [command] [options]"), "{run:?}");
    assert!(run.text().contains("  repackage  Writes a package again"), "{run:?}");
    assert_eq!(run.errors, "");
}

#[test]
fn help_is_usage() {
    let run = Bench::new().run(&["packages", "repackage", "--help"]);
    assert_eq!(run.status, 0);
    for part in [
        "Description:\n",
        "Usage:\n  hayloft packages repackage [<feed>] <package@version> <new-version> [options]\n",
        "--new-version=<new-version> (REQUIRED)",
        "Common Options (packages):",
        "-?, --help",
        "Examples:\n",
    ] {
        assert!(run.text().contains(part), "{part}: {}", run.text());
    }
    assert!(!run.text().contains("--arch"), "hidden options are hidden");
}

#[test]
fn all_mistakes_are_told_alone_with_the_next_step() {
    let run = Bench::new().run(&["packages", "delete", "--bogus", "-x", "--versio=1"]);
    assert_eq!((run.status, run.text().as_str()), (2, ""));
    assert_eq!(
        run.errors,
        "unexpected argument: -x\nunexpected argument: --bogus\nunexpected argument: --versio\n\
         missing required argument: --package\nmissing required argument: --version\n\
         hint: did you mean --version?\nhint: see hayloft packages delete --help\n"
    );
    let hints = Bench::new().hints(&["pakcages"]);
    assert_eq!(hints, "did you mean packages?\nsee hayloft --help");
}

#[test]
fn failures_are_json_where_results_are() {
    let bench = Bench::with_feeds();
    for (words, status, part) in [
        (&["packages", "list", "dex", "--json"][..], 1, "Feed dex not found."),
        (&["packages", "lst", "--format=json"], 2, "unexpected argument: lst"),
        (&["packages", "delete", "dev", "a", "--json"], 2, "missing required argument: --version"),
        (&["verify", "none", "--json"], 2, "there is no store in "),
        (&["packages", "list", "--json"], 2, "Feed must be specified"),
    ] {
        let run = bench.run(words);
        assert_eq!((run.status, run.text().as_str()), (status, ""), "{run:?}");
        let told: serde_json::Value = serde_json::from_str(&run.errors).unwrap();
        let error = &told["error"];
        assert!(error["message"].as_str().unwrap().contains(part), "{told}");
        assert!(!error["hints"].as_array().unwrap().is_empty(), "{told}");
    }
    let run = bench.run(&["packages", "list", "dex", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&run.errors).unwrap();
    assert_eq!(told["error"]["status"], 404);
}

/// Under its own name the original's scripts go on to work.
#[cfg(unix)]
#[test]
fn called_as_pgutil_it_ends_as_pgutil_does() {
    use std::os::unix::process::CommandExt;

    let bench = Bench::with_feeds();
    let run = |words: &[&str]| {
        let output = bench.command(words).arg0("/usr/bin/pgutil").output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), errors)
    };
    assert_eq!(run(&["packages", "--help"]).0, 255);
    assert_eq!(run(&["packages"]).0, 1);
    let (status, _, errors) = run(&["packages", "list", "--feed=dex"]);
    assert_eq!((status, errors.as_str()), (255, "Feed dex not found.\n"));
    let (status, said, errors) = run(&["packages", "delete", "--bogus"]);
    assert_eq!((status, said.as_str()), (255, ""));
    let (mistakes, usage) = errors.split_once("\n\n").unwrap();
    assert!(mistakes.starts_with("unexpected argument: --bogus\n"), "{errors}");
    assert!(usage.starts_with("Description:"), "{errors}");
    assert_eq!(
        run(&["feeds", "list"]),
        (0, "dev (universal)\nprod (universal)\n".into(), String::new())
    );
}

#[test]
fn help_and_release_are_no_failures() {
    let bench = Bench::new();
    for words in [&["--help"][..], &["help"], &["help", "packages"], &["-?"], &["serve", "-h"]] {
        assert!(bench.ok(words).starts_with("Description:\n"), "{words:?}");
    }
    for words in [&["-V"][..], &["--version"]] {
        assert_eq!(bench.ok(words), concat!("hayloft ", env!("CARGO_PKG_VERSION"), "\n"));
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_command_ends_with_130() {
    use std::os::unix::process::CommandExt;

    use crate::fake::Fake;

    for (name, status) in [("hayloft", 130), ("pgutil", 255)] {
        let (sender, receiver) = std::sync::mpsc::channel();
        // Answers when the command is gone.
        let fake = Fake::new(move |_, out| {
            sender.send(()).unwrap();
            std::io::Read::read(out, &mut [0]).map(drop)
        });
        let url = fake.url();
        let bench = Bench::new();
        let mut child = bench
            .command(&["feeds", "list", "--source", &url])
            .arg0(name)
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        receiver.recv().unwrap();
        let id = child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(status));
    }
}

#[test]
fn words_and_quiet_and_tables() {
    let bench = Bench::with_feeds();
    bench.upload("dev", "initrode/tools", "1.0.0-rc.1");
    let said =
        bench.ok(&["packages", "repackage", "dev", "initrode/tools@1.0.0-rc.1", "1.0.0", "-q"]);
    assert_eq!(said, "");
    let said = bench.ok(&["packages", "promote", "dev", "initrode/tools@1.0.0", "prod", "--quiet"]);
    assert_eq!(said, "");
    assert_eq!(bench.ok(&["packages", "list", "prod"]), "initrode/tools 1.0.0\n");
    let versions = ["packages", "versions", "dev", "initrode/tools"];
    assert_eq!(bench.ok(&versions), "tools 1.0.0\ntools 1.0.0-rc.1\n");
    let table = bench.ok(&[&versions[..], &["--format=table"]].concat());
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("PACKAGE         VERSION     SIZE "), "{table}");
    assert!(lines[1].starts_with("initrode/tools  1.0.0       "), "{table}");
    assert!(lines[2].starts_with("initrode/tools  1.0.0-rc.1  "), "{table}");
    let table = bench.ok(&["feeds", "list", "--format=table"]);
    assert_eq!(table, "FEED  TYPE       OTHER NAMES\ndev   universal\nprod  universal\n");
    assert_eq!(bench.ok(&["packages", "list", "prod", "none", "--format=table"]), "");
    let json = bench.ok(&["packages", "list", "prod", "--format=json"]);
    assert_eq!(json, bench.ok(&["packages", "list", "prod", "--json"]));
}

#[test]
fn a_feed_that_is_not_there_has_neighbours() {
    let bench = Bench::with_feeds();
    let hints = bench.hints(&["packages", "list", "prdo"]);
    assert_eq!(hints, "hayloft-data has a feed prod: did you mean that?");
    let hints = bench.hints(&["packages", "list", "elsewhere"]);
    assert_eq!(hints, "hayloft-data has the feeds dev, prod");
}

#[test]
fn latest_tells_of_prereleases() {
    let bench = Bench::with_feeds();
    bench.upload("dev", "initrode/tools", "1.0.0-rc.1");
    let hints = bench.hints(&["packages", "download", "dev", "initrode/tools@latest"]);
    assert_eq!(
        hints,
        "initrode/tools has prereleases only; the newest is 1.0.0-rc.1, which latest-unstable finds"
    );
    let hints = bench.hints(&["upack", "install", "dev", "initrode/tools", "opt"]);
    assert!(hints.contains("1.0.0-rc.1"), "{hints}");
}

#[test]
fn read_verbs_make_no_store() {
    let bench = Bench::new();
    for words in [
        &["feeds", "list"][..],
        &["packages", "list", "dev"],
        &["packages", "delete", "dev", "a@1"],
        &["apikeys", "create", "system", "--apis=feeds"],
        &["settings", "list"],
        &["health"],
        &["apikeys", "reset-admin"],
    ] {
        let said = bench.fails(words);
        let here = std::fs::canonicalize(bench.path("")).unwrap();
        let expected =
            format!("there is no store in `{}/hayloft-data`, the default", here.display());
        assert_eq!(said, expected);
        let hints = bench.hints(words);
        assert!(hints.contains("hayloft feeds create"), "{hints}");
        assert_eq!(crate::bench::names(&bench.path("")), ["home"], "{words:?}");
    }
    let mistyped =
        bench.command(&["feeds", "list"]).env("HAYLOFT_STORE", "stoer").output().unwrap();
    assert_eq!(mistyped.status.code(), Some(1));
    let errors = String::from_utf8(mistyped.stderr).unwrap();
    assert!(errors.contains("/stoer`, which HAYLOFT_STORE names"), "{errors}");
    assert!(!bench.path("stoer").exists());
}

#[test]
fn without_a_feed_the_command_says_so() {
    let said = Bench::with_feeds().misused(&["packages", "list"]);
    assert_eq!(
        said,
        "--feed error: Feed must be specified if there is no default feed configured."
    );
}

#[test]
fn a_new_store_is_announced_once() {
    let bench = Bench::new();
    let words = ["feeds", "create", "dev", "npm"];
    assert_eq!(bench.run(&words).errors, "Created a new store in hayloft-data.\n");
    assert_eq!(bench.run(&["feeds", "list"]).errors, "");
    let elsewhere = ["feeds", "create", "dev", "npm", "--store=a"];
    assert_eq!(bench.run(&elsewhere).errors, "Created a new store in a.\n");
    let output = bench.command(&words).env("HAYLOFT_STORE", "b").output().unwrap();
    assert_eq!(output.stderr, b"Created a new store in b.\n");
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let bench = Bench::with_feeds();
    let mut child = bench
        .command(&["packages", "--help"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
