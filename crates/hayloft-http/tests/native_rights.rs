//! Who may do what through the protocols of all types, one from outside among them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests panic to fail and read what they have made"
)]

#[path = "server/crates.rs"]
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod crates;
#[path = "../examples/cargo_feed.rs"]
#[allow(dead_code, unreachable_pub, clippy::pedantic, reason = "an example has a main of its own")]
mod example;
#[path = "server/listed.rs"]
mod listed;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use hayloft::feed_type::native::{
    Access, ActionKind, Answer, FeedView, Native, Request, SampleRequest,
};
use hayloft::{Actor, KeyGrant, Store};
use hayloft_http::{Gatekeeper, KeyGatekeeper, Right};
use hayloft_testkit::{deb, gem, npm_tgz, nupkg, snupkg, upack, vpack, wheel};
use listed::Listed;
use server::{Answer as Response, Server};

/// A key, and what it may do in the feed `mine`.
struct Kind {
    name: &'static str,
    key: Option<String>,
    rights: &'static [Right],
}

const ALL: &[Right] = &[
    Right::View,
    Right::Download,
    Right::Add,
    Right::Overwrite,
    Right::Delete,
    Right::SetStatus,
    Right::AcceptPromotion,
    Right::ManageFeed,
    Right::Administer,
];

fn listed(rights: &[Right], feed: &str) -> String {
    let rights: Vec<_> = rights
        .iter()
        .map(|right| format!("{}:{feed}", format!("{right:?}").to_lowercase()))
        .collect();
    rights.join("+")
}

/// One key for each combination that matters.
fn listed_kinds() -> Vec<Kind> {
    let one =
        |name, rights: &'static [Right]| Kind { name, key: Some(listed(rights, "mine")), rights };
    vec![
        Kind { name: "no key", key: None, rights: &[] },
        Kind { name: "a wrong key", key: Some("bad".to_owned()), rights: &[] },
        Kind { name: "another feed's", key: Some(listed(ALL, "other")), rights: &[] },
        one("view", &[Right::View]),
        one("download", &[Right::Download]),
        one("view and download", &[Right::View, Right::Download]),
        one("add alone", &[Right::Add]),
        one("publish", &[Right::View, Right::Add]),
        one("overwrite", &[Right::View, Right::Add, Right::Overwrite]),
        one("delete", &[Right::View, Right::Delete]),
        one("delete alone", &[Right::Delete]),
        one("status", &[Right::View, Right::SetStatus]),
        one("administer alone", &[Right::Administer]),
        one("all", ALL),
    ]
}

/// The kinds of keys that a store makes.
fn stored_kinds(store: &Store) -> Vec<Kind> {
    use Right::{Add, Delete, Download, Overwrite, SetStatus, View};

    let text = |grant: KeyGrant| {
        let (_, text) = store.create_key(grant, None, &Actor::system()).unwrap();
        Some(text.reveal().to_owned())
    };
    let of_feed = |feed: &str, permissions: &[&str]| {
        text(KeyGrant {
            kind: "feed".to_owned(),
            feed: Some(store.feed(feed).unwrap().id),
            package_permissions: permissions.iter().map(|word| (*word).to_owned()).collect(),
            ..KeyGrant::default()
        })
    };
    let system = |word: &str| {
        text(KeyGrant {
            kind: "system".to_owned(),
            system_apis: vec![word.to_owned()],
            ..KeyGrant::default()
        })
    };
    let one = |name, permissions: &[&str], rights| Kind {
        name,
        key: of_feed("mine", permissions),
        rights,
    };
    let every = ["view", "add", "delete", "promote"];
    vec![
        Kind { name: "no key", key: None, rights: &[] },
        Kind { name: "a wrong key", key: Some("hl_wrong".to_owned()), rights: &[] },
        Kind { name: "another feed's", key: of_feed("other", &every), rights: &[] },
        one("view", &["view"], &[View, Download]),
        one("publish", &["view", "add"], &[View, Download, Add, SetStatus]),
        one("delete", &["view", "delete"], &[View, Download, Overwrite, Delete, SetStatus]),
        one("promote", &["view", "promote"], &[View, Download]),
        Kind { name: "feeds", key: system("feeds"), rights: ALL },
        Kind { name: "full control", key: system("full-control"), rights: ALL },
    ]
}

/// Packages that the requests of a type's samples are about, as their clients publish them; the
/// second set holds the first package with other bytes.
fn packages(tag: &str) -> (Vec<SampleRequest>, SampleRequest) {
    let member = r#"["sample:1.0.0"]"#;
    let (packages, other) = match tag {
        "npm" => (
            vec![npm_tgz("sample", "1.0.0"), npm_tgz("@scope/sample", "1.0.0")],
            npm_tgz("sample", "1.0.0"),
        ),
        "pypi" => (vec![wheel("hay", "1.0")], wheel("hay", "1.0")),
        "debian" => (vec![deb("sample", "1.0.0", "all")], deb("sample", "1.0.0", "all")),
        "rubygems" => (vec![gem("hay", "1.0", "ruby")], gem("hay", "1.0", "ruby")),
        "nuget" => (vec![nupkg("a", "1.0.0"), snupkg("a", "1.0.0")], nupkg("a", "1.0.0")),
        "universal" => (
            vec![upack("", "sample", "1.0.0"), vpack("", "virtual", "1.0.0", member)],
            upack("", "sample", "1.0.0"),
        ),
        "cargo" => {
            let one = |description| crates::publish("a", "1.0.0", description);
            return (vec![one("")], one("other"));
        }
        other => panic!("say here what packages the samples of {other} are about"),
    };
    let publish = packages.iter().map(hayloft_testkit::Package::publish).collect();
    (publish, other.payload(100).publish())
}

/// What an action takes at least; `Ask` is decided by what is asked.
fn needed(kind: ActionKind) -> &'static [Right] {
    match kind {
        ActionKind::Upload => &[Right::View, Right::Add],
        ActionKind::Tag | ActionKind::SetStatus => &[Right::View, Right::SetStatus],
        ActionKind::Delete => &[Right::View, Right::Delete],
        ActionKind::Ask => &[],
        other => panic!("say here what {other:?} needs"),
    }
}

struct Fixture {
    server: Server,
    tag: &'static str,
    prefix: &'static str,
    key_of_all: String,
}

impl Fixture {
    fn new(tag: &'static str, gatekeeper: impl Gatekeeper) -> Self {
        let types = hayloft::feed_types().with(example::Cargo);
        let server = Server::with_types(types, |app| app.gatekeeper(gatekeeper));
        server.feed("mine", tag);
        server.feed("other", tag);
        let feed_type = server.store.types().get(tag).unwrap().clone();
        let prefix = feed_type.native().unwrap_or_else(|| panic!("{tag} speaks nothing")).prefix();
        Self { server, tag, prefix, key_of_all: String::new() }
    }

    fn with_native<R>(&self, run: impl FnOnce(&dyn Native, &dyn FeedView) -> R) -> R {
        let view = self.server.store.native_view("mine").unwrap();
        run(view.native().unwrap(), &view.view())
    }

    fn ask(&self, sample: &SampleRequest, method: &str, key: Option<&str>) -> Response {
        // Keys of feeds lie beside the feeds.
        let path = match sample.path.strip_prefix("/keys/").and_then(|file| file.rsplit_once('.')) {
            Some((_, ending)) => format!("/{}/keys/mine.{ending}", self.prefix),
            None => format!("/{}/mine{}", self.prefix, sample.path),
        };
        let mut headers = Vec::new();
        headers.extend(key.map(|key| ("x-apikey", key)));
        headers.extend(&sample.headers);
        headers.extend(sample.media_type.map(|media_type| ("content-type", media_type)));
        self.server.send(method, &path, &headers, &sample.body)
    }

    fn send(&self, sample: &SampleRequest, key: Option<&str>) -> Response {
        self.ask(sample, sample.method, key)
    }

    /// Stores what the samples are about.
    fn publish(&self) -> Vec<u16> {
        let (requests, _) = packages(self.tag);
        let all = Some(self.key_of_all.as_str());
        requests.iter().map(|request| self.send(request, all).status).collect()
    }

    fn revision(&self) -> u64 {
        self.server.store.feed_revision("mine").unwrap()
    }

    /// Paths of the static export.
    fn paths(&self) -> Vec<String> {
        self.with_native(|native, view| {
            let mut heads = Vec::new();
            view.packages(None, &mut |head| {
                heads.push(head.clone());
                ControlFlow::Continue(())
            })
            .unwrap();
            let mut found = Vec::new();
            for head in std::iter::once(None).chain(heads.iter().map(Some)) {
                native.paths(view, head, &mut |path| found.push(path.to_owned())).unwrap();
            }
            found
        })
    }

    /// What a GET needs, by what the type answers.
    fn access(&self, path: &str) -> Access {
        self.with_native(|native, view| {
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let request = Request::get(path, "http://localhost/x/mine").query(query).refreshed();
            match native.resolve(view, &request).unwrap() {
                Answer::Resource(resource) => resource.access,
                _ => Access::View,
            }
        })
    }
}

fn is_refused(status: u16) -> bool {
    matches!(status, 401 | 403)
}

fn has(kind: &Kind, needed: &[Right]) -> bool {
    needed.iter().all(|right| kind.rights.contains(right))
}

/// Kinds of actions that the sources of a built-in type speak of beside its samples: no request can
/// be made up for what is taken in at an address of its own.
fn kinds_named_in_the_sources_of(tag: &str) -> BTreeSet<String> {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![source.join(format!("../hayloft-{tag}/src"))];
    let mut kinds = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs_err::read_to_string(path).unwrap();
            let beside =
                |line: &&str| !line.contains("SampleRequest::") && !line.contains("write(");
            for line in text.lines().filter(beside) {
                let named = line.split("ActionKind::").skip(1);
                let word = |rest: &str| {
                    rest.chars().take_while(char::is_ascii_alphabetic).collect::<String>()
                };
                kinds.extend(named.map(word));
            }
        }
    }
    kinds
}

/// Each form of request that the type takes in stands among its samples.
fn samples_are_complete(fixture: &Fixture, samples: &[SampleRequest]) {
    let tag = fixture.tag;
    let paths: BTreeSet<String> =
        samples.iter().map(|sample| sample.path.clone()).chain(fixture.paths()).collect();
    fixture.with_native(|native, _| {
        let taken_in = |method, path: &str, headers: &[(&str, &str)]| {
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let request = Request::get(path, "http://localhost/x/mine").method(method).query(query);
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            let request = request.headers(&headers);
            let intake = native.route(&request).ok().flatten()?;
            Some((method, format!("{:?}", intake.framing), intake.least))
        };
        let known: BTreeSet<_> = samples
            .iter()
            .filter_map(|sample| taken_in(sample.method, &sample.path, &sample.headers))
            .collect();
        // What is taken in at one address, whatever it stands for.
        for (method, path) in ["GET", "PUT", "POST", "DELETE", "PATCH"]
            .iter()
            .flat_map(|method| paths.iter().map(move |path| (*method, path)))
        {
            if let Some(found) = taken_in(method, path, &[]) {
                assert!(known.contains(&found), "{tag} has no sample of {found:?}, as {path}");
            }
        }
    });
    let kinds: BTreeSet<_> = samples.iter().map(|sample| sample.action).collect();
    let shown: BTreeSet<_> = kinds.iter().flatten().map(|kind| format!("{kind:?}")).collect();
    for named in kinds_named_in_the_sources_of(tag) {
        assert!(shown.contains(&named), "{tag} takes in what is {named}, and has no sample of it");
    }
    assert!(kinds.contains(&None), "{tag} has no sample that reads");
    assert!(kinds.contains(&Some(ActionKind::Upload)), "{tag} has no sample that publishes");
    assert!(
        paths.iter().any(|path| fixture.access(path) == Access::Download),
        "{tag} has no sample or path of a package that is there"
    );
}

fn reads_need_their_rights(fixture: &Fixture, kinds: &[Kind], samples: &[SampleRequest]) {
    let tag = fixture.tag;
    let paths = fixture.paths();
    assert!(!paths.is_empty(), "{tag} has no path of an export");
    let reads = samples.iter().filter(|sample| sample.action.is_none()).cloned();
    let exported = paths.iter().map(SampleRequest::read);
    for read in reads.chain(exported) {
        let access = fixture.access(&read.path);
        let rights: &[Right] = match access {
            Access::Open => &[],
            Access::View => &[Right::View],
            Access::Download => &[Right::View, Right::Download],
            other => panic!("say here what {other:?} needs"),
        };
        for (kind, method) in kinds.iter().flat_map(|kind| [(kind, "GET"), (kind, "HEAD")]) {
            let answer = fixture.ask(&read, method, kind.key.as_deref());
            let context = format!("{tag}: {method} {} with {}", read.path, kind.name);
            // A wrong key is told so even where none is needed.
            let refused = !has(kind, rights) || kind.name == "a wrong key";
            assert_eq!(is_refused(answer.status), refused, "{context}: {access:?}");
            assert!(answer.status < 500, "{context}: {}", answer.status);
            if has(kind, ALL) && paths.contains(&read.path) {
                assert_eq!(answer.status, 200, "{context}");
            }
        }
    }
}

fn actions_need_their_rights(fixture: &Fixture, kinds: &[Kind], samples: &[SampleRequest]) {
    let tag = fixture.tag;
    let mut done: BTreeMap<ActionKind, bool> = BTreeMap::new();
    for sample in samples {
        let Some(action) = sample.action else { continue };
        let needed = needed(action);
        for kind in kinds {
            fixture.publish();
            let before = fixture.revision();
            let answer = fixture.send(sample, kind.key.as_deref());
            let context = format!("{tag}: {} {} with {}", sample.method, sample.path, kind.name);
            assert!(answer.status < 500, "{context}: {}", answer.status);
            if action == ActionKind::Ask {
                assert_eq!(fixture.revision(), before, "{context} changed the feed");
                continue;
            }
            assert_eq!(is_refused(answer.status), !has(kind, needed), "{context}: {action:?}");
            if has(kind, needed) {
                *done.entry(action).or_default() |= answer.status < 300;
            } else {
                assert_eq!(fixture.revision(), before, "{context} changed the feed");
            }
        }
    }
    for (action, done) in done {
        // What is uploaded in samples is no package.
        assert!(done || action == ActionKind::Upload, "{tag}: no sample does {action:?}");
    }
}

/// Other bytes in the place of those that are there.
fn replacing_needs_the_right_to_overwrite(fixture: &Fixture, kinds: &[Kind]) {
    let (requests, other) = packages(fixture.tag);
    for kind in kinds {
        let tag = fixture.tag;
        let all = Some(fixture.key_of_all.as_str());
        fixture.server.store.delete_feed("mine", &Actor::system()).unwrap();
        fixture.server.feed("mine", tag);
        let first = requests.first().unwrap();
        assert!(fixture.send(first, all).status < 300, "{tag} is not published");
        let before = fixture.revision();
        let answer = fixture.send(&other, kind.key.as_deref());
        let context = format!("{tag}: overwriting with {}: {}", kind.name, answer.status);
        if !has(kind, &[Right::View, Right::Add, Right::Overwrite]) {
            assert!(matches!(answer.status, 401 | 403 | 409), "{context}");
            assert_eq!(fixture.revision(), before, "{context}");
        }
    }
}

fn check(tag: &'static str) {
    let mut fixture = Fixture::new(tag, Listed);
    fixture.key_of_all = listed(ALL, "mine");
    let samples = fixture.with_native(|native, _| native.samples());
    let published = fixture.publish();
    assert!(published.iter().all(|status| *status < 300), "{tag}: {published:?}");
    let kinds = listed_kinds();
    samples_are_complete(&fixture, &samples);
    reads_need_their_rights(&fixture, &kinds, &samples);
    actions_need_their_rights(&fixture, &kinds, &samples);
    replacing_needs_the_right_to_overwrite(&fixture, &kinds);

    let mut fixture = Fixture::new(tag, KeyGatekeeper::default());
    let kinds = stored_kinds(&fixture.server.store);
    fixture.key_of_all = kinds.last().unwrap().key.clone().unwrap();
    fixture.publish();
    reads_need_their_rights(&fixture, &kinds, &samples);
    actions_need_their_rights(&fixture, &kinds, &samples);
}

#[test]
fn every_request_of_every_type_needs_its_rights() {
    let types = hayloft::feed_types().with(example::Cargo);
    let mut tags: Vec<&'static str> = types.iter().map(|each| each.tag()).collect();
    tags.sort_unstable();
    assert!(tags.len() >= 7, "{tags:?}");
    let running: Vec<_> =
        tags.into_iter().map(|tag| (tag, std::thread::spawn(move || check(tag)))).collect();
    let failed: Vec<_> =
        running.into_iter().filter_map(|(tag, run)| run.join().is_err().then_some(tag)).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
