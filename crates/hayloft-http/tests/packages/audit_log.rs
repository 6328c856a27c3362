//! The audit log over the API.

use serde_json::Value;

use crate::server::Server;

fn busy() -> Server {
    let server = crate::nuget(&["1.0.0", "2.0.0"]);
    server.feed("nu2", "nuget");
    let promote =
        r#"{"fromFeed":"nu1","toFeed":"nu2","name":"A","version":"1.0.0","comments":"go"}"#;
    server.post("/api/promotions/promote", promote).done();
    server.post("/api/settings/set?name=anonymous.access&value=read", "").done();
    server
}

fn actions(page: &Value) -> Vec<&str> {
    let entries = page["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

#[test]
fn entries_are_complete_and_stable() {
    let server = busy();
    let page = server.get("/api/audit?action=promote").json();
    assert_eq!(page["next"], Value::Null);
    let entry = page["entries"][0].as_object().unwrap();
    let text = |name: &str| entry[name].as_str().unwrap_or_else(|| panic!("{name}: {entry:?}"));
    assert_eq!(
        ["user", "feed", "toFeed", "package", "version", "comments", "address"].map(text),
        ["tester", "nu1", "nu2", "A", "1.0.0", "go", "127.0.0.1"]
    );
    assert!(text("date").ends_with('Z') && text("newSha256").len() == 64);
    assert_eq!(text("chain").len(), 64);
    // Every key is there, nulls included.
    assert_eq!(entry.len(), 17);
    assert_eq!((&entry["group"], &entry["newVersion"]), (&Value::Null, &Value::Null));
}

#[test]
fn filters_and_pages_go_together() {
    let server = busy();
    let all = ["setting", "promote", "feed-create", "upload", "upload", "feed-create"];
    assert_eq!(actions(&server.get("/api/audit").json()), all);
    for (filter, expected) in [
        ("feed=NU2", &["promote", "feed-create"][..]),
        ("package=a", &["promote", "upload", "upload"]),
        ("actor=TESTER&action=upload", &["upload", "upload"]),
        ("actor=nobody", &[]),
        ("since=2999-01-01", &[]),
        ("until=2000-01-01T00:00:00Z", &[]),
        ("since=2000-01-01&feed=nu1&package=A&after=0", &["upload", "upload", "promote"]),
    ] {
        assert_eq!(
            actions(&server.get(&format!("/api/audit?{filter}")).json()),
            expected,
            "{filter}"
        );
    }
    let mut found = Vec::new();
    let mut before = String::new();
    loop {
        let page = server.get(&format!("/api/audit?count=4{before}")).json();
        found.extend(actions(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_u64() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(found, all);
    for (query, words) in [
        ("count=0", "`count` must be"),
        ("count=1001", "`count` must be"),
        ("before=x", "`before` is no number"),
        ("since=then", "since is not a date"),
        ("action=eat", "There is no action eat; there are upload, "),
    ] {
        server.get(&format!("/api/audit?{query}")).refused(400, &[words]);
    }
}

#[test]
fn a_check_gives_what_a_later_one_is_held_against() {
    let server = busy();
    let check = server.get("/api/audit/verify").json();
    assert_eq!((&check["intact"], &check["entries"]), (&true.into(), &check["last"]));
    let (row, chain) = (check["last"].as_u64().unwrap(), check["chain"].as_str().unwrap());
    server.post("/api/settings/set?name=anonymous.access&value=", "").done();
    let anchored = server.get(&format!("/api/audit/verify?row={row}&chain={chain}")).json();
    assert_eq!(anchored["intact"], true);
    let other = "0".repeat(64);
    let anchored = server.get(&format!("/api/audit/verify?row={row}&chain={other}")).json();
    assert_eq!((&anchored["intact"], &anchored["faultCount"]), (&false.into(), &1.into()));
    server.get("/api/audit/verify?row=1").refused(400, &["`row` and `chain` together"]);
    server.get("/api/audit/verify?row=1&chain=xy").refused(400, &["64 hexadecimal digits"]);
}
