//! A feed type from outside the tree: crates, with the protocol of `cargo` itself.
//!
//! One type, one protocol and one line that registers them; store, server and command know neither.
//! Run it with a directory, make a feed of type `cargo`, and follow the lines it prints.
#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use std::io::SeekFrom;
use std::ops::ControlFlow;

use hayloft::feed_type::native::{
    Action, ActionKind, Answer, Change, ClientSetup, Deframe, DeframeError, Edit, FeedCard,
    FeedView, Fields, Framing, Intake, ListingChange, Native, Outcome, Piece, Refusal, Reply,
    Request, Resource, SampleRequest, SearchQuery, StagedCard, UploadOrder, ViewError, Want,
    segments,
};
use hayloft::feed_type::{
    Detail, Fragment, Identity, IndexChange, IndexError, IndexWriter, Inspected, NameKey,
    PackageName, ReadSeek, Repackage, Repackaged, SearchRecord, SortKey, Upload, Version,
};
use hayloft::{FeedType, FeedTypeError, Limits, Qualifiers, Stability};
use hayloft_archive::{
    ArchiveError, Compression, TarAction, TarReader, decoder, encoder, rewrite_tar,
};
use serde::Deserialize;
use serde_json::{Value, json};

const TAG: &str = "cargo";
/// The kind of fragment that is a line of the index, up to what may change.
const LINE: u8 = 1;
/// Where `Cargo.toml` keeps the history; tables at the end of a file stand for themselves.
const HISTORY: &str = "\n[[package.metadata.repackage-history]]\nentry = ";

/// Crates.
#[derive(Debug)]
pub struct Cargo;

/// What `cargo package` writes into `Cargo.toml`, as far as an index tells it.
#[derive(Deserialize)]
struct CargoToml {
    package: Package,
    #[serde(flatten)]
    rest: toml::Table,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: toml::Spanned<String>,
    description: Option<String>,
    #[serde(rename = "rust-version")]
    rust_version: Option<String>,
    links: Option<String>,
}

fn refused(detail: impl Into<Detail>) -> FeedTypeError {
    FeedTypeError::Refused { feed_type: TAG, detail: detail.into() }
}

fn archive(error: ArchiveError) -> FeedTypeError {
    match error {
        ArchiveError::Io(error) => FeedTypeError::Io(error),
        other => refused(other),
    }
}

/// The text of `NAME-VERSION/Cargo.toml`, and that directory.
fn manifest(
    content: &mut dyn ReadSeek,
    limits: &Limits,
) -> Result<(String, String), FeedTypeError> {
    content.seek(SeekFrom::Start(0)).map_err(FeedTypeError::Io)?;
    let plain = decoder(Compression::Gzip, Box::new(content), limits).map_err(archive)?;
    let mut tar = TarReader::new(plain, limits);
    let mut found = None;
    while let Some(mut member) = tar.next().map_err(archive)? {
        let path = member.entry().path_text().map_err(archive)?.to_owned();
        if let Some(("Cargo.toml", directory)) = path.split_once('/').map(|(a, b)| (b, a)) {
            let bytes = member.read(limits.manifest).map_err(archive)?;
            let text = String::from_utf8(bytes).map_err(refused)?;
            if found.replace((text, directory.to_owned())).is_some() {
                return Err(refused("there are two manifests"));
            }
        }
    }
    found.ok_or_else(|| refused("there is no NAME-VERSION/Cargo.toml"))
}

/// The dependencies of one table, as lines of the index tell them.
fn dependencies(table: &toml::Table, target: Option<&str>, into: &mut Vec<Value>) {
    let kinds =
        [("dependencies", "normal"), ("dev-dependencies", "dev"), ("build-dependencies", "build")];
    for (key, kind) in kinds {
        for (name, told) in table.get(key).and_then(toml::Value::as_table).into_iter().flatten() {
            let text = |member: &str| told.get(member).and_then(toml::Value::as_str);
            let flag = |member: &str| told.get(member).and_then(toml::Value::as_bool);
            into.push(json!({
                "name": name, "kind": kind, "target": target, "package": text("package"),
                "req": told.as_str().or_else(|| text("version")).unwrap_or("*"),
                "registry": text("registry-index"),
                "optional": flag("optional").unwrap_or(false),
                "default_features": flag("default-features").unwrap_or(true),
                "features": told.get("features").cloned().unwrap_or(toml::Value::Array(vec![])),
            }));
        }
    }
}

impl FeedType for Cargo {
    fn tag(&self) -> &'static str {
        TAG
    }

    fn package_name(&self, group: &str, name: &str) -> Result<PackageName, FeedTypeError> {
        let bad =
            |detail: Detail| FeedTypeError::Name { feed_type: TAG, text: name.to_owned(), detail };
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        if !group.is_empty()
            || name.len() > 64
            || !name.starts_with(|c: char| c.is_ascii_alphabetic())
            || !name.chars().all(plain)
        {
            return Err(bad("use at most 64 letters, digits, `-` and `_`, and no group".into()));
        }
        let key = name.to_ascii_lowercase().replace('-', "_");
        Ok(PackageName::new("", name, NameKey::new("", &key).map_err(|error| bad(error.into()))?))
    }

    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        let bad = |detail: Detail| FeedTypeError::Version {
            feed_type: TAG,
            text: text.to_owned(),
            detail,
        };
        let version = semver::Version::parse(text).map_err(|error| bad(error.into()))?;
        let mut key = SortKey::builder();
        for number in [version.major, version.minor, version.patch] {
            key = key.number(&number.to_string()).map_err(|error| bad(error.into()))?;
        }
        key = if version.pre.is_empty() { key.mark(2) } else { key.mark(1) };
        for field in version.pre.split('.').filter(|field| !field.is_empty()) {
            let digits = field.bytes().all(|byte| byte.is_ascii_digit());
            key = if digits { key.mark(1).number(field) } else { key.mark(2).text(field) }
                .map_err(|error| bad(error.into()))?;
        }
        let key = if version.pre.is_empty() { key } else { key.mark(0) };
        let identity = text.split('+').next().unwrap_or(text);
        let stable = if version.pre.is_empty() { Stability::Stable } else { Stability::Prerelease };
        Ok(Version::new(text, identity, key.finish(), stable))
    }

    fn qualifiers(&self, _: &Qualifiers) -> Result<Qualifiers, FeedTypeError> {
        Ok(Qualifiers::none())
    }

    fn file_name(&self, identity: &Identity) -> String {
        format!("{}-{}.crate", identity.package.name(), identity.version)
    }

    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        let (text, directory) = manifest(upload.content, limits)?;
        let found: CargoToml = toml::from_str(&text).map_err(refused)?;
        let (package, version) = (&found.package, found.package.version.get_ref());
        if directory != format!("{}-{version}", package.name) {
            return Err(refused(format!(
                "`{directory}` is not the directory of {} {version}",
                package.name
            )));
        }
        let mut deps = Vec::new();
        dependencies(&found.rest, None, &mut deps);
        let targets = found.rest.get("target").and_then(toml::Value::as_table);
        for (target, table) in targets.into_iter().flatten() {
            table
                .as_table()
                .into_iter()
                .for_each(|table| dependencies(table, Some(target), &mut deps));
        }
        let line = json!({
            "name": package.name, "vers": version, "deps": deps, "v": 2, "links": package.links,
            "features2": found.rest.get("features").cloned().unwrap_or(toml::Table::new().into()),
            "features": {}, "rust_version": package.rust_version,
            "cksum": data_encoding::HEXLOWER.encode(&upload.digests.sha256),
        });
        let history = found.rest.get("package").is_none().then(|| entries(&text)).transpose()?;
        Ok(Inspected::new(
            Identity {
                package: self.package_name("", &package.name)?,
                version: self.version(version)?,
                qualifiers: Qualifiers::none(),
            },
            json!({ "name": package.name, "version": version, "description": package.description })
                .to_string(),
        )
        .with_fragments(vec![Fragment {
            kind: LINE,
            bytes: line.to_string().trim_end_matches('}').into(),
        }])
        .with_history(history.unwrap_or_default()))
    }

    fn repackage(
        &self,
        order: Repackage<'_>,
        limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        let (text, directory) = manifest(order.source, limits)?;
        let span = toml::from_str::<CargoToml>(&text).map_err(refused)?.package.version.span();
        let entry = serde_json::to_string(order.entry).map_err(refused)?;
        let (before, after) =
            (text.get(..span.start).unwrap_or_default(), text.get(span.end..).unwrap_or_default());
        let quoted = json!(entry).to_string();
        let changed =
            format!("{before}\"{}\"{}{HISTORY}{quoted}\n", order.to.version, after.trim_end());
        let target = format!("{}-{}", order.to.package.name(), order.to.version);
        order.source.seek(SeekFrom::Start(0)).map_err(FeedTypeError::Io)?;
        let plain = decoder(Compression::Gzip, Box::new(order.source), limits).map_err(archive)?;
        let mut packed = encoder(Compression::Gzip, Box::new(order.out)).map_err(archive)?;
        rewrite_tar(plain, &mut packed, limits, &[], &mut |member| {
            let path =
                member.path_text()?.strip_prefix(&directory).map(|rest| format!("{target}{rest}"));
            let path = path.map(String::into_bytes);
            if path.as_deref() != Some(format!("{target}/Cargo.toml").as_bytes()) {
                return Ok(TarAction::Rename { path, link: None });
            }
            let bytes = changed.clone().into_bytes();
            Ok(TarAction::RenameAndEdit {
                path,
                link: None,
                max: limits.manifest,
                edit: Box::new(move |_| Ok(bytes)),
            })
        })
        .map_err(archive)?;
        packed.finish().map_err(archive)?;
        Ok(Repackaged::plain())
    }

    fn index_revision(&self) -> u32 {
        1
    }

    fn index(
        &self,
        change: &IndexChange<'_>,
        _: &dyn FeedView,
        out: &mut dyn IndexWriter,
    ) -> Result<(), IndexError> {
        let words = change.name.name().to_ascii_lowercase();
        let terms = words.split(['-', '_']).map(str::to_owned).chain([words.clone()]).collect();
        out.search(change.after.map(|_| SearchRecord { terms, flags: 0 }).as_ref())
    }

    fn native(&self) -> Option<&dyn Native> {
        Some(self)
    }
}

/// The history in a manifest, oldest first.
fn entries(text: &str) -> Result<Vec<hayloft::HistoryEntry>, FeedTypeError> {
    let all: toml::Table = toml::from_str(text).map_err(refused)?;
    let kept =
        all.get("package").and_then(|package| package.get("metadata")?.get("repackage-history"));
    let kept = kept.and_then(toml::Value::as_array).into_iter().flatten();
    let texts = kept.filter_map(|entry| entry.get("entry")?.as_str());
    texts.map(|text| serde_json::from_str(text).map_err(refused)).collect()
}

/// `u32 JSON u32 FILE`, as `cargo publish` sends it.
#[derive(Default)]
struct Publish(Vec<u8>, Option<u64>);

impl Deframe for Publish {
    fn push(
        &mut self,
        bytes: &[u8],
        give: &mut dyn FnMut(Piece<'_>) -> Result<(), DeframeError>,
    ) -> Result<(), DeframeError> {
        let bad = |text: &str| DeframeError(text.to_owned());
        if let Some(left) = &mut self.1 {
            *left = left
                .checked_sub(bytes.len() as u64)
                .ok_or_else(|| bad("the body goes on behind its crate"))?;
            return give(Piece::File(bytes));
        }
        self.0.extend_from_slice(bytes);
        let Some((length, rest)) = self.0.split_first_chunk::<4>() else { return Ok(()) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > 1 << 20 {
            return Err(bad("the description of the crate has more than 1 MiB"));
        }
        let Some((told, rest)) = rest.split_at_checked(length) else { return Ok(()) };
        let Some((size, rest)) = rest.split_first_chunk::<4>() else { return Ok(()) };
        give(Piece::Field {
            name: "crate",
            value: std::str::from_utf8(told).map_err(|_| bad("the description is no text"))?,
        })?;
        self.1 = Some(u32::from_le_bytes(*size).into());
        let rest = rest.to_vec();
        self.push(&rest, give)
    }

    fn finish(&mut self) -> Result<(), DeframeError> {
        if self.1 == Some(0) { Ok(()) } else { Err(DeframeError("the body ends early".to_owned())) }
    }
}

impl Native for Cargo {
    fn prefix(&self) -> &'static str {
        TAG
    }

    fn resolve<'a>(
        &'a self,
        view: &'a dyn FeedView,
        request: &'a Request<'a>,
    ) -> Result<Answer<'a>, ViewError> {
        let path = segments(request.path).unwrap_or_default();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let head = |name: &str| match self.package_name("", name) {
            Ok(name) => view.package(name.key()),
            Err(_) => Ok(None),
        };
        Ok(match path.as_slice() {
            ["index", "config.json"] => {
                let url = request.feed_url;
                let known = request.header("authorization").is_some();
                let config = json!({ "dl": format!("{url}/api/v1/crates"), "api": url, "auth-required": known });
                Answer::Reply(Reply::json(200, config.to_string()))
            }
            ["index", .., name] => {
                let Some(head) = head(name)? else { return Ok(Answer::not_found()) };
                let validator = view.validator(head.revision, &["index"]);
                Answer::Resource(Resource::document(validator, "text/plain", move |out| {
                    let mut written = Ok(());
                    view.versions(head.name.key(), &Want::fragments(&[LINE]), &mut |entry| {
                        let line = entry.fragment(LINE).filter(|_| !entry.status.is_blocked());
                        let Some(line) = line else { return ControlFlow::Continue(()) };
                        let yanked = !entry.status.is_listed();
                        written = out
                            .write_all(line)
                            .and_then(|()| writeln!(out, ",\"yanked\":{yanked}}}"));
                        if written.is_ok() {
                            ControlFlow::Continue(())
                        } else {
                            ControlFlow::Break(())
                        }
                    })?;
                    Ok(written?)
                }))
            }
            ["api", "v1", "crates", name, version, "download"] => {
                let (Some(head), Ok(version)) = (head(name)?, self.version(version)) else {
                    return Ok(Answer::not_found());
                };
                let mut file = None;
                view.version(head.name.key(), &version, &Want::nothing().files(), &mut |entry| {
                    file = entry.files.first().cloned();
                })?;
                file.map_or_else(Answer::not_found, |file| {
                    Answer::Resource(Resource::file(file.id, &file.digests.sha256))
                })
            }
            ["api", "v1", "crates"] => {
                let words: Vec<String> = request
                    .parameter("q")
                    .unwrap_or_default()
                    .to_lowercase()
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect();
                let take =
                    request.parameter("per_page").and_then(|text| text.parse().ok()).unwrap_or(10);
                let found = view.search(&SearchQuery::new(&words, std::cmp::min(take, 100)))?;
                let crates: Vec<_> = found.packages.iter().map(|head| json!({ "name": head.name.name(), "max_version": head.latest, "description": null })).collect();
                Answer::Reply(Reply::json(
                    200,
                    json!({ "crates": crates, "meta": { "total": found.total } }).to_string(),
                ))
            }
            _ => Answer::not_found(),
        })
    }

    fn refuse(&self, _: &Request<'_>, refusal: &Refusal) -> Reply {
        Reply::json(
            refusal.status(),
            json!({ "errors": [{ "detail": refusal.text() }] }).to_string(),
        )
    }

    fn route(&self, request: &Request<'_>) -> Result<Option<Intake>, Refusal> {
        Ok(match (request.method, request.path) {
            ("PUT", "/api/v1/crates/new") => {
                Some(Intake::new(Framing::Custom(Box::new(Publish::default())), ActionKind::Upload))
            }
            ("DELETE" | "PUT", _) => Some(Intake::new(Framing::None, ActionKind::SetStatus)),
            _ => None,
        })
    }

    fn decide(
        &self,
        _: &dyn FeedView,
        request: &Request<'_>,
        fields: &Fields,
        staged: Option<&StagedCard>,
    ) -> Result<Action, Refusal> {
        let invalid = |error: FeedTypeError| Refusal::Invalid(error.to_string());
        if staged.is_some() {
            let told: Value = serde_json::from_str(fields.text("crate").unwrap_or_default())
                .map_err(|error| Refusal::Invalid(error.to_string()))?;
            let text = |member: &str| told.get(member).and_then(Value::as_str).unwrap_or_default();
            let expect = (
                self.package_name("", text("name")).map_err(invalid)?,
                self.version(text("vers")).map_err(invalid)?,
            );
            return Ok(Action::Upload(UploadOrder {
                expect: Some(expect),
                ..UploadOrder::default()
            }));
        }
        let path = segments(request.path).unwrap_or_default();
        let [_, _, _, name, version, what] = path.as_slice() else {
            return Err(Refusal::NotFound(None));
        };
        let listing = if what == "unyank" { ListingChange::List } else { ListingChange::Unlist };
        let change = Change::List(self.version(version).map_err(invalid)?, listing);
        Ok(Action::Edit(Edit::new(self.package_name("", name).map_err(invalid)?, vec![change])))
    }

    fn answer(&self, _: &Request<'_>, _: &Action, _: &Outcome) -> Reply {
        Reply::json(
            200,
            r#"{"ok":true,"warnings":{"invalid_categories":[],"invalid_badges":[],"other":[]}}"#,
        )
    }

    fn samples(&self) -> Vec<SampleRequest> {
        let publish = SampleRequest::action("PUT", "/api/v1/crates/new", ActionKind::Upload)
            .body("application/octet-stream", *b"\x02\0\0\0{}\0\0\0\0");
        let yank =
            SampleRequest::action("DELETE", "/api/v1/crates/a/1.0.0/yank", ActionKind::SetStatus);
        let reads = [
            "/index/config.json",
            "/index/1/a",
            "/api/v1/crates/a/1.0.0/download",
            "/api/v1/crates?q=a",
        ];
        reads.map(SampleRequest::read).into_iter().chain([publish, yank]).collect()
    }

    fn setup(&self, feed: &FeedCard, url: &str, key: Option<&str>) -> Vec<ClientSetup> {
        let name = feed.name.to_ascii_uppercase().replace('-', "_");
        let lines = vec![
            format!("export CARGO_REGISTRIES_{name}_INDEX=sparse+{url}/index/"),
            format!("export CARGO_REGISTRIES_{name}_TOKEN={}", key.unwrap_or("KEY")),
            format!("cargo publish --registry {}", feed.name),
        ];
        vec![ClientSetup { client: "cargo", lines }]
    }
}

/// Serves the store in a directory, with crates beside the types that are built in.
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "crates-data".to_owned());
    let types = hayloft::feed_types().with(Cargo);
    let store = hayloft::Store::open(directory, types, hayloft::OpenOptions::default())?;
    let app = hayloft_http::App::builder(store)
        .gatekeeper(hayloft_http::LocalUser::new("example"))
        .build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8625").await?;
    println!("http://{}", listener.local_addr()?);
    let options = hayloft_http::ServeOptions::default();
    hayloft_http::serve(listener, hayloft_http::router(app), options, std::future::pending()).await;
    Ok(())
}
