use serde_json::{Value, json};

use crate::bench::Bench;

#[test]
fn feeds_are_created_listed_and_deleted() {
    let bench = Bench::new();
    let said = bench.ok(&["feeds", "create", "--name", "dev", "--type", "NuGet"]);
    assert_eq!(said, "Creating NuGet feed: dev...\nFeed created.\n");
    bench.ok(&["feeds", "create", "--name=apps", "--type=Universal"]);
    assert_eq!(bench.ok(&["feeds", "list"]), "apps (universal)\ndev (nuget)\n");
    let listed = bench.json(&["feeds", "list"]);
    assert_eq!(listed[1]["name"], "dev");
    assert_eq!(listed[1]["feedType"], "nuget");
    assert_eq!(listed[1]["active"], true);
    let said = bench.ok(&["feeds", "delete", "--name=dev"]);
    assert_eq!(said, "Deleting dev...\nFeed deleted.\n");
    assert_eq!(bench.ok(&["feeds", "list"]), "apps (universal)\n");
    assert_eq!(bench.fails(&["feeds", "delete", "--name=dev"]), "Feed dev not found.");
}

#[test]
fn what_would_go_is_shown_and_stays() {
    let bench = Bench::with_feeds();
    bench.upload("dev", "initrode/tools", "1.0.0");
    bench.upload("dev", "tools", "2.0.0");
    let said = bench.ok(&["feeds", "delete", "dev", "--dry-run"]);
    assert!(
        said.starts_with(
            "Would delete feed dev:\n  tools 2.0.0\n  initrode/tools 1.0.0\n  2 files, "
        ),
        "{said}"
    );
    let said = bench.ok(&["packages", "delete", "dev", "initrode/tools@1.0.0", "--dry-run"]);
    let expected =
        "Would delete initrode/tools 1.0.0 from dev:\n  initrode/tools 1.0.0\n  1 file, ";
    assert!(said.starts_with(expected), "{said}");
    assert_eq!(bench.ok(&["packages", "list", "dev"]), "tools 2.0.0\ninitrode/tools 1.0.0\n");
    let dry = bench.json(&["feeds", "delete", "dev", "--dry-run"]);
    assert_eq!(dry, json!({ "name": "dev", "deleted": false }));
    let said = bench.fails(&["feeds", "delete", "dex", "--dry-run"]);
    assert_eq!(said, "Feed dex not found.");
}

#[test]
fn a_person_is_asked_before_anything_goes() {
    let bench = Bench::with_feeds();
    bench.upload("dev", "tools", "1.0.0");
    for words in [&["feeds", "delete", "dev"][..], &["packages", "delete", "dev", "tools@1.0.0"]] {
        for answer in ["n\n", "\n", "what\n"] {
            let Some((status, said)) = bench.on_terminal(words, answer) else { return };
            assert_eq!(status, 1, "{said}");
            assert!(said.contains("To delete ") && said.contains("1 file, "), "{said}");
            assert!(said.contains("? [y/N] ") && said.contains("nothing was deleted"), "{said}");
        }
    }
    assert_eq!(bench.ok(&["packages", "list", "dev"]), "tools 1.0.0\n");
    let (status, said) =
        bench.on_terminal(&["packages", "delete", "dev", "tools@1.0.0"], "y\n").unwrap();
    assert_eq!(status, 0, "{said}");
    assert_eq!(bench.ok(&["packages", "list", "dev"]), "");
    let (status, said) = bench.on_terminal(&["feeds", "delete", "dev", "--yes"], "").unwrap();
    assert_eq!((status, said.contains("[y/N]")), (0, false), "{said}");
}

#[test]
fn properties_are_shown_and_set() {
    let bench = Bench::with_feeds();
    let set = |property: &str, value: &str| {
        let words = ["feeds", "properties", "set", "--feed=dev", "--property", property, "--value"];
        assert_eq!(bench.ok(&[&words[..], &[value]].concat()), "Property updated.\n");
    };
    set("alternateNames", "ci, build");
    set("active", "false");
    let shown = bench.ok(&["feeds", "properties", "list", "--feed=ci"]);
    for line in
        ["alternateNames=ci,build", "feedType=universal", "active=false", "dropPath=*not set*"]
    {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    assert_eq!(bench.ok(&["feeds", "list"]), "prod (universal)\n");
    assert_eq!(bench.ok(&["feeds", "list", "--inactive"]), "dev (universal)\nprod (universal)\n");
}

#[test]
fn retention_rules_are_kept_with_the_feed() {
    let bench = Bench::with_feeds();
    let retention =
        |words: &[&str]| bench.ok(&[&["feeds", "retention", "--feed=dev"], words].concat());
    assert_eq!(retention(&["list"]), "* no rules defined *\n");
    let said =
        retention(&["create", "--deletePrereleaseVersions=true", "--keepVersionsCount", "5"]);
    assert_eq!(said, "Rule #1 created.\n");
    let words = ["feeds", "retention", "create", "prod", "--keepVersionsCount=1"];
    let run = bench.run(&words);
    assert_eq!(run.status, 0, "{run:?}");
    assert!(
        run.errors
            .starts_with("Warning: retention rules are kept, but this release does not run them"),
        "{run:?}"
    );
    let said = retention(&["create", "--deletePackageIds=a*,b", "--sizeTrigger=100"]);
    assert_eq!(said, "Rule #2 created.\n");
    let said =
        retention(&["update", "--rule=1", "--keepVersionsCount=", "--keepUsedWithinDays=30"]);
    assert_eq!(said, "Rule #1 updated.\n");
    let rules = bench.json(&["feeds", "retention", "list", "--feed=dev"]);
    assert_eq!(rules[0]["keepUsedWithinDays"], 30);
    assert_eq!(rules[0]["deletePrereleaseVersions"], true);
    assert_eq!(rules[0].get("keepVersionsCount").cloned().unwrap_or_default(), Value::Null);
    assert_eq!(rules[1]["deletePackageIds"], json!(["a*", "b"]));
    assert_eq!(rules[1]["sizeTriggerKb"], 100);
    assert!(retention(&["list"]).contains(" sizeTrigger=100\n"));
    retention(&["delete", "--rule=1"]);
    assert_eq!(
        bench.json(&["feeds", "retention", "list", "--feed=dev"]).as_array().unwrap().len(),
        1
    );
    let said = bench.misused(&["feeds", "retention", "delete", "--feed=dev", "--rule=7"]);
    assert_eq!(said, "--rule error: there is no rule 7");
}

#[test]
fn storage_is_told() {
    let bench = Bench::with_feeds();
    assert!(bench.ok(&["feeds", "storage", "types"]).starts_with("Type: disk\n"));
    assert!(bench.ok(&["feeds", "storage", "info", "--feed=dev"]).starts_with("Type: disk\n"));
    let words = ["feeds", "storage", "change", "--feed=dev", "--type=disk", "--Bogus=1"];
    assert_eq!(bench.misused(&words), "unexpected argument: --Bogus");
}

#[test]
fn keys_are_created_listed_and_deleted() {
    let bench = Bench::with_feeds();
    assert_eq!(bench.ok(&["apikeys", "list"]), "No API keys are defined.\n");
    let words = ["apikeys", "create", "feed", "--feed=dev", "--permissions=view,add", "--name=ci"];
    let key = bench.ok(&words);
    assert!(key.trim().len() > 20 && key.lines().count() == 1, "only the text of the key: {key}");
    let listed = bench.ok(&["apikeys", "list"]);
    for line in
        ["ci", "  Type: feed", "  Feed: dev", "  Permissions: view, add", "  Expiration: None"]
    {
        assert!(listed.lines().any(|shown| shown == line), "{line}: {listed}");
    }
    assert!(!listed.contains(key.trim()));
    let id = bench.json(&["apikeys", "list"])[0]["id"].to_string();
    let said = bench.ok(&["apikeys", "delete", "--id", &id]);
    assert_eq!(said, format!("Deleting API key (id={id})...\nAPI key deleted.\n"));
    assert_eq!(bench.ok(&["apikeys", "list"]), "No API keys are defined.\n");
}

#[test]
fn a_sound_store_is_healthy() {
    let bench = Bench::with_feeds();
    let said = bench.ok(&["health"]);
    assert!(said.starts_with("Checking hayloft-data...all OK\nVersion: "), "{said}");
    assert!(said.contains("\n\nDatabase: OK\nLicense:  OK\nService:  OK\n"), "{said}");
}

#[test]
fn settings_are_listed_and_set() {
    let bench = Bench::with_feeds();
    let listed = bench.json(&["settings", "list", "--show-all"]);
    let listed = listed.as_array().unwrap();
    assert!(!listed.is_empty());
    let boolean = listed.iter().find(|setting| setting["valueType"] == "boolean").unwrap();
    let name = boolean["name"].as_str().unwrap();
    assert_eq!(bench.ok(&["settings", "set", "--name", name, "--value=true"]), "");
    let shown = bench.ok(&["settings", "list"]);
    let line = format!("{name}=true");
    assert!(shown.lines().any(|shown| shown.eq_ignore_ascii_case(&line)), "{shown}");
    assert!(bench.ok(&["settings", "list", "--expanded"]).contains("  Type: boolean\n"));
}
