//! Who may do what: every endpoint with every kind of credential, over real sockets.

use crate::server::{Answer, Server};
use hayloft::{Actor, KeyGrant, Timestamp};
use hayloft_http::{ENDPOINTS, Endpoint, Guard, Place, Right};
use rstest::rstest;
use serde_json::Value;

const FORBIDDEN: &str =
    "The specified API key does not have the proper permissions to perform this action.";

/// A way to ask, and what it opens.
struct Asker {
    name: &'static str,
    /// Value of `X-ApiKey`.
    key: Option<String>,
    standing: Standing,
    /// Rights in the feed `source`.
    source: Vec<Right>,
    /// Rights in the feed `target`.
    target: Vec<Right>,
    /// Rights in the whole store.
    store: Vec<Right>,
}

#[derive(Clone, Copy, PartialEq)]
enum Standing {
    /// Shows nothing.
    Stranger,
    /// Shows what is of no use.
    Suspect,
    /// Shows a key.
    Known,
    /// Shows a personal key.
    Person,
}

const ALL: [Right; 10] = [
    Right::View,
    Right::Download,
    Right::Add,
    Right::Overwrite,
    Right::Delete,
    Right::SetStatus,
    Right::AcceptPromotion,
    Right::ManageFeed,
    Right::ManageFeeds,
    Right::Administer,
];
const READ: [Right; 2] = [Right::View, Right::Download];

/// Rights in a feed that a feed key with these permissions has.
fn rights(permissions: &[&str]) -> Vec<Right> {
    let mut rights = Vec::new();
    for permission in permissions {
        rights.extend(match *permission {
            "view" => READ.to_vec(),
            "add" => vec![Right::Add, Right::SetStatus],
            "promote" => vec![Right::AcceptPromotion],
            "delete" => vec![Right::Delete, Right::Overwrite, Right::SetStatus],
            other => panic!("{other}"),
        });
    }
    rights
}

fn key(server: &Server, grant: KeyGrant) -> String {
    let (_, text) = server.store.create_key(grant, None, &Actor::system()).unwrap();
    text.reveal().to_owned()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn system(server: &Server, apis: &[&str]) -> String {
    let kind = "system".to_owned();
    key(server, KeyGrant { kind, system_apis: words(apis), ..KeyGrant::default() })
}

fn feed_key(server: &Server, feed: &str, permissions: &[&str]) -> String {
    key(
        server,
        KeyGrant {
            kind: "feed".to_owned(),
            feed: Some(server.store.feed(feed).unwrap().id),
            package_permissions: words(permissions),
            ..KeyGrant::default()
        },
    )
}

fn group_key(server: &Server, group: &str, permissions: &[&str]) -> String {
    key(
        server,
        KeyGrant {
            kind: "feed".to_owned(),
            feed_group: Some(group.to_owned()),
            package_permissions: words(permissions),
            ..KeyGrant::default()
        },
    )
}

fn personal(server: &Server, user: &str) -> String {
    let kind = "personal".to_owned();
    key(server, KeyGrant { kind, user: Some(user.to_owned()), ..KeyGrant::default() })
}

const RULES: &str = r#"[
    {"principal": "boss", "task": "Administer"},
    {"principal": "keeper", "task": "Manage Feed", "feed": "source"},
    {"principal": "author", "task": "Publish Packages", "feedGroup": "both"},
    {"principal": "promoter", "task": "Promote Packages"},
    {"principal": "reader", "task": "View & Download Packages", "feed": "source"}
]"#;

fn serve() -> Server {
    let server = Server::start_with(|app| app);
    server.feed("source", "universal");
    server.feed("target", "universal");
    let admin = system(&server, &["full-control"]);
    let set = |name: &str, value: &str| set_setting(&server, &admin, name, value);
    set("feed.groups", r#"{"both": ["source", "target"], "targets": ["target"]}"#);
    set("access.rules", RULES);
    server
}

fn set_setting(server: &Server, admin: &str, name: &str, value: &str) {
    let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
    let path = format!("/api/settings/set?name={name}&value={value}&key={admin}");
    server.post(&path, "").done();
}

fn askers(server: &Server) -> Vec<Asker> {
    use Standing::{Known, Person, Stranger, Suspect};
    let every = ["view", "add", "promote", "delete"];
    let but_administration = &ALL[..9];
    let in_feed = &ALL[..8];
    let mut askers = Vec::new();
    let mut add = |name, key, standing, source: &[Right], target: &[Right], store: &[Right]| {
        let (source, target, store) = (source.to_vec(), target.to_vec(), store.to_vec());
        askers.push(Asker { name, key, standing, source, target, store });
    };
    add("nothing", None, Stranger, &[], &[], &[]);
    add("unknown key", Some("hl_unknown".repeat(3)), Suspect, &[], &[], &[]);
    let expired = KeyGrant {
        kind: "system".to_owned(),
        system_apis: words(&["full-control"]),
        expires: Some(Timestamp::from_millis(1)),
        ..KeyGrant::default()
    };
    add("expired key", Some(key(server, expired)), Suspect, &[], &[], &[]);
    add("wrong password", Some("boss:wrong-password-of-boss".into()), Suspect, &[], &[], &[]);

    let of_system = |apis: &[&str]| Some(system(server, apis));
    add("full control", of_system(&["full-control"]), Known, &ALL, &ALL, &ALL);
    let feeds = but_administration;
    add("feeds", of_system(&["feeds", "sca"]), Known, feeds, feeds, feeds);
    add("other systems", of_system(&["sca", "sbom-upload"]), Known, &[], &[], &[]);

    for (name, permissions) in [
        ("view", &["view"][..]),
        ("add", &["add"]),
        ("delete", &["delete"]),
        ("promote", &["promote"]),
        ("view and add", &["view", "add"]),
        ("view and delete", &["view", "delete"]),
        ("every permission", &every),
    ] {
        let key = Some(feed_key(server, "SOURCE", permissions));
        add(name, key, Known, &rights(permissions), &[], &[]);
    }
    let other = Some(feed_key(server, "target", &every));
    add("every permission elsewhere", other, Known, &[], &rights(&every), &[]);
    let group = Some(group_key(server, "Both", &every));
    add("every permission in the group", group, Known, &rights(&every), &rights(&every), &[]);
    let group = Some(group_key(server, "targets", &every));
    add("every permission in another group", group, Known, &[], &rights(&every), &[]);
    let group = Some(group_key(server, "no-such-group", &every));
    add("an unknown group", group, Known, &[], &[], &[]);

    let of = |user| Some(personal(server, user));
    let publish = [Right::View, Right::Download, Right::Add];
    let promote = [Right::View, Right::Download, Right::AcceptPromotion];
    add("boss", of("boss"), Person, &ALL, &ALL, &ALL);
    add("keeper", of("Keeper"), Person, in_feed, &[], &[]);
    add("author", of("author"), Person, &publish, &publish, &[]);
    add("promoter", of("promoter"), Person, &promote, &promote, &READ);
    add("reader", of("reader"), Person, &READ, &[], &[]);
    add("nobody", of("nobody"), Person, &[], &[], &[]);
    let boss = personal(server, "boss");
    add("boss by password", Some(format!("BOSS:{boss}")), Person, &ALL, &ALL, &ALL);
    add("another's password", Some(format!("eva:{boss}")), Suspect, &[], &[], &[]);
    let view = feed_key(server, "source", &["view"]);
    add("pseudo key", Some(format!("api:{view}")), Known, &READ, &[], &[]);
    askers
}

/// What an asker should get.
#[derive(Debug, PartialEq)]
enum Verdict {
    Admitted,
    Forbidden,
    Challenged,
}

fn verdict(asker: &Asker, endpoint: &Endpoint) -> Verdict {
    let has =
        |rights: &[Right], place| endpoint.rights(place).iter().all(|right| rights.contains(right));
    let admitted = match endpoint.guard {
        Guard::Open | Guard::Visible => true,
        Guard::VisibleToKnown => match asker.standing {
            Standing::Stranger => return Verdict::Challenged,
            Standing::Suspect => false,
            _ => true,
        },
        Guard::OwnKeys => {
            asker.standing == Standing::Person || asker.store.contains(&Right::Administer)
        }
        Guard::Rights(_) => {
            has(&asker.source, Place::Feed)
                && has(&asker.target, Place::Target)
                && has(&asker.store, Place::Store)
        }
    };
    if admitted { Verdict::Admitted } else { Verdict::Forbidden }
}

/// A request that changes nothing even if it is admitted.
fn ask(server: &Server, asker: &Asker, endpoint: &Endpoint, method: &str, slash: &str) -> Answer {
    let feed = match endpoint.guard {
        Guard::Rights(_) if endpoint.rights(Place::Feed).is_empty() => "missing",
        _ => "source",
    };
    let path = endpoint.path.replace("{feed}", feed);
    let path = path.replace("{connector}", "missing").replace("{file}", "missing.upack");
    let (query, body) = match endpoint.id {
        "promotePackage" => {
            ("", r#"{"fromFeed":"source","toFeed":"target","name":"missing","version":"1.0.0"}"#)
        }
        "repackagePackage" => (
            "",
            r#"{"feed":"source","toFeed":"target","name":"missing","version":"1.0.0-a",
                "newVersion":"1.0.0"}"#,
        ),
        "getStorage" => ("?feed=source", ""),
        "setStorage" => ("?feed=source", r#"{"id":"tape","properties":{}}"#),
        "deleteApiKey" => ("?id=999", ""),
        "setSetting" => ("?name=missing&value=1", ""),
        "createFeed" | "createApiKey" | "updateFeed" => ("", "{}"),
        _ if method == "GET" => ("?name=missing&version=1.0.0", ""),
        _ => ("?name=missing&version=1.0.0", "{}"),
    };
    let key = asker.key.clone().unwrap_or_default();
    let headers = [("X-ApiKey", key.as_str()), ("X-Forwarded-For", "192.0.2.1")];
    server.send(method, &format!("{path}{slash}{query}"), &headers, body.as_bytes())
}

#[test]
fn every_endpoint_admits_whom_the_table_says() {
    let server = serve();
    let (mut checked, mut wrong) = (0, Vec::new());
    for asker in askers(&server) {
        for endpoint in ENDPOINTS {
            let expected = verdict(&asker, endpoint);
            for (at, method) in endpoint.methods.iter().enumerate() {
                let slash = if at == 0 { "" } else { "/" };
                let answer = ask(&server, &asker, endpoint, method, slash);
                let text = answer.text();
                let is_as_expected = match expected {
                    Verdict::Admitted => {
                        ![401, 403, 405].contains(&answer.status)
                            && text != "There is nothing at this path."
                    }
                    Verdict::Forbidden => answer.status == 403 && text == FORBIDDEN,
                    Verdict::Challenged => {
                        answer.status == 401
                            && answer.header("www-authenticate").starts_with("Basic ")
                    }
                };
                if !is_as_expected || answer.status >= 500 {
                    let id = endpoint.id;
                    let status = answer.status;
                    wrong.push(format!(
                        "{} on {method} {id}: {status} {text}; expected {expected:?}",
                        asker.name
                    ));
                }
                checked += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong.join("\n"));
    println!("checked {checked} pairs of credential and endpoint");
}

#[test]
fn lists_have_only_what_may_be_viewed() {
    let server = serve();
    for asker in askers(&server) {
        let key = asker.key.clone().unwrap_or_default();
        let answer =
            server.send("GET", "/api/management/feeds/list", &[("X-ApiKey", &key)], b"").json();
        let names: Vec<&str> =
            answer.as_array().unwrap().iter().map(|feed| feed["name"].as_str().unwrap()).collect();
        let mut expected = Vec::new();
        for (name, rights) in [("source", &asker.source), ("target", &asker.target)] {
            if rights.contains(&Right::View) {
                expected.push(name);
            }
        }
        assert_eq!(names, expected, "{}", asker.name);
    }
}

#[rstest]
#[case::header(&[("X-ApiKey", "KEY")], "", true)]
#[case::query(&[], "?key=KEY", true)]
#[case::query_by_another_name(&[], "?ApiKey=KEY", true)]
#[case::basic(&[("Authorization", "Basic api:KEY")], "", true)]
#[case::bearer(&[("Authorization", "Bearer KEY")], "", true)]
#[case::negotiate(&[("Authorization", "Negotiate KEY")], "", false)]
#[case::the_header_comes_first(&[("X-ApiKey", "wrong")], "?key=KEY", false)]
fn keys_are_found_where_clients_put_them(
    #[case] headers: &[(&str, &str)],
    #[case] query: &str,
    #[case] admitted: bool,
) {
    let server = serve();
    let key = feed_key(&server, "source", &["view"]);
    let filled = |text: &str| {
        let text = text.replace("KEY", &key);
        match text.strip_prefix("Basic ") {
            Some(plain) => {
                format!("Basic {}", data_encoding::BASE64.encode(plain.as_bytes()))
            }
            None => text,
        }
    };
    let headers: Vec<(&str, String)> =
        headers.iter().map(|(name, value)| (*name, filled(value))).collect();
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let path = format!("/api/packages/source{}", filled(query));
    let answer = server.send("GET", &path, &headers, b"");
    assert_eq!(answer.status, if admitted { 200 } else { 403 }, "{}", answer.text());
}

#[test]
fn a_json_body_may_carry_the_key() {
    let server = serve();
    let key = system(&server, &["feeds"]);
    let body = format!(r#"{{"API_Key":"{key}","name":"made","feedType":"npm"}}"#);
    server.post("/api/management/feeds/create", &body).done();
    let body = r#"{"API_Key":"wrong","name":"made2","feedType":"npm"}"#;
    server.post("/api/management/feeds/create", body).refused(403, &[FORBIDDEN]);
}

#[test]
fn anonymous_reading_is_a_setting() {
    let server = serve();
    let admin = system(&server, &["full-control"]);
    let latest = "/api/packages/source/latest";
    server.get(latest).refused(403, &[FORBIDDEN]);
    let set = |value: &str| {
        let path = format!("/api/settings/set?name=anonymous.access&value={value}&key={admin}");
        server.post(&path, "").done();
    };
    set("read");
    assert_eq!(server.get(latest).text(), "[]");
    server.get("/api/promotions/list").done();
    server.put("/api/packages/source/upload", b"x").refused(403, &[FORBIDDEN]);
    // A bad key is not taken for none.
    server.send("GET", latest, &[("X-ApiKey", "wrong")], b"").refused(403, &[FORBIDDEN]);
    set("");
    server.get(latest).refused(403, &[FORBIDDEN]);
}

#[test]
fn strangers_do_not_learn_which_feeds_there_are() {
    let server = serve();
    for feed in ["source", "no-such-feed"] {
        server.get(&format!("/api/packages/{feed}")).refused(403, &[FORBIDDEN]);
    }
    let key = feed_key(&server, "source", &["view"]);
    let answer = server.get(&format!("/api/packages/no-such-feed?key={key}"));
    answer.refused(404, &["Feed no-such-feed not found."]);
}

#[test]
fn nothing_that_was_bound_to_a_deleted_feed_opens_another_of_its_name() {
    let server = serve();
    let admin = system(&server, &["full-control"]);
    let opening = [
        feed_key(&server, "source", &["view", "add", "promote", "delete"]),
        group_key(&server, "both", &["view", "add", "promote", "delete"]),
        personal(&server, "keeper"),
        personal(&server, "author"),
        personal(&server, "reader"),
    ];
    let statuses = || {
        let ask = |key: &String| {
            server.send("GET", "/api/packages/source", &[("X-ApiKey", key)], b"").status
        };
        opening.each_ref().map(ask)
    };
    assert_eq!(statuses(), [200; 5]);
    server.store.delete_feed("source", &Actor::system()).unwrap();
    server.feed("source", "universal");
    assert_eq!(statuses(), [403; 5]);
    server.store.run_maintenance().unwrap();
    assert_eq!(statuses(), [403; 5]);

    let keys = server.get(&format!("/api/api-keys/list?key={admin}")).json();
    let feeds: Vec<&Value> = keys.as_array().unwrap().iter().map(|key| &key["feed"]).collect();
    assert!(feeds.contains(&&Value::from("(deleted feed 1)")), "{feeds:?}");
    let shown = |name: &str| {
        let settings = server.get(&format!("/api/settings/list?key={admin}")).json();
        let settings = settings.as_array().unwrap().iter();
        let mut settings = settings.filter(|setting| setting["name"] == name);
        settings.next().unwrap()["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(shown("feed.groups"), r#"{"both":["target"],"targets":["target"]}"#);
    assert!(!shown("access.rules").contains("source"), "{}", shown("access.rules"));
    // Who sends back what was shown binds nothing to the new feed.
    for name in ["feed.groups", "access.rules"] {
        set_setting(&server, &admin, name, &shown(name));
    }
    assert_eq!(statuses(), [403; 5]);
    // A name that is given up leaves what was bound to its feed where it is.
    let rename = |draft: &mut hayloft::FeedDraft| {
        "elsewhere".clone_into(&mut draft.name);
        Ok(())
    };
    let target = feed_key(&server, "target", &["view"]);
    server.store.update_feed("target", rename, &Actor::system()).unwrap();
    server.feed("target", "universal");
    let ask = |feed: &str| server.get(&format!("/api/packages/{feed}?key={target}")).status;
    assert_eq!((ask("elsewhere"), ask("target")), (200, 403));
    assert_eq!(shown("feed.groups"), r#"{"both":["elsewhere"],"targets":["elsewhere"]}"#);
}

#[test]
fn overwriting_needs_a_right_of_its_own() {
    let server = serve();
    let package = |filling: &str| {
        let field = format!("\"{filling}\"");
        hayloft_testkit::upack("", "tools", "1.0.0").field("description", &field).build()
    };
    let put = |key: &str, bytes: &[u8]| {
        server.send("PUT", "/api/packages/source/upload", &[("X-ApiKey", key)], bytes)
    };
    let add = feed_key(&server, "source", &["view", "add"]);
    put(&add, &package("a")).done();
    put(&add, &package("a")).done();
    put(&add, &package("b")).refused(403, &["already exists and cannot be overwritten"]);
    put(&feed_key(&server, "source", &["view", "add", "delete"]), &package("b")).done();
}

#[test]
fn pseudo_keys_can_be_switched_off() {
    let server = serve();
    let key = feed_key(&server, "source", &["view"]);
    let ask = || {
        let key = format!("api:{key}");
        server.send("GET", "/api/packages/source", &[("X-ApiKey", &key)], b"").status
    };
    assert_eq!(ask(), 200);
    server.store.set_setting("keys.pseudo", Some("false"), &Actor::system()).unwrap();
    assert_eq!(ask(), 403);
}
