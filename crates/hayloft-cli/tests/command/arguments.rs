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
fn help_is_usage_and_255_as_in_the_original() {
    let run = Bench::new().run(&["packages", "repackage", "--help"]);
    assert_eq!(run.status, 255);
    for part in [
        "Description:\n",
        "Usage:\n  hayloft packages repackage [options]\n",
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
fn all_mistakes_go_to_standard_error_before_the_usage() {
    let run = Bench::new().run(&["packages", "delete", "--bogus", "x"]);
    assert_eq!(run.status, 255);
    assert_eq!(run.text(), "");
    let (mistakes, usage) = run.errors.split_once("\n\n").unwrap();
    assert_eq!(
        mistakes,
        "unexpected argument: x\nunexpected argument: --bogus\n\
         missing required argument: --package\nmissing required argument: --version"
    );
    assert!(usage.starts_with("Description:"));
}

#[test]
fn without_a_feed_the_command_says_so() {
    let said = Bench::new().fails(&["packages", "list"]);
    assert!(
        said.ends_with(
            "--feed error: Feed must be specified if there is no default feed configured."
        ),
        "{said}"
    );
}

#[test]
fn a_new_store_is_announced_once() {
    let bench = Bench::new();
    let words = ["feeds", "list"];
    assert_eq!(bench.run(&words).errors, "Created a new store in hayloft-data.\n");
    assert_eq!(bench.run(&words).errors, "");
    let elsewhere = ["feeds", "list", "--store=a"];
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
