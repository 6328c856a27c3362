//! A feed type from outside the tree: crates, with the protocol of `cargo` itself.
//!
//! One type, one protocol and one line that registers them; store, server and command know neither.
//! Run it with a directory, make a feed of type `cargo`, and follow the lines it prints.
#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use std::io::{self, Write};
use std::ops::ControlFlow;

use hayloft::feed_type::prelude::*;
use hayloft::feed_type::semver::SemVer;
use hayloft_archive::{Compression, TarAction, read_from_tar, rewrite_packed_tar};
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
#[derive(serde::Deserialize)]
struct Manifest {
    package: Package,
    #[serde(flatten)]
    rest: toml::Table,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Package {
    name: String,
    version: toml::Spanned<String>,
    description: Option<String>,
    rust_version: Option<String>,
    links: Option<String>,
    metadata: Option<toml::Table>,
}

fn refused(detail: impl Into<Detail>) -> FeedTypeError {
    FeedTypeError::refused(TAG, detail)
}

/// The text of `NAME-VERSION/Cargo.toml`, and that directory.
fn manifest(
    content: &mut dyn ReadSeek,
    limits: &Limits,
) -> Result<(String, String), FeedTypeError> {
    let is_manifest = |path: &str| path.split_once('/').is_some_and(|(_, at)| at == "Cargo.toml");
    let (path, bytes) =
        read_from_tar(content, Compression::Gzip, limits, limits.manifest, is_manifest)
            .map_err(|error| error.refusal(TAG))?
            .ok_or_else(|| refused("there is no NAME-VERSION/Cargo.toml"))?;
    let directory = path.trim_end_matches("/Cargo.toml").to_owned();
    Ok((String::from_utf8(bytes).map_err(refused)?, directory))
}

/// The dependencies of one table, as lines of the index tell them.
fn dependencies(table: &toml::Table, target: Option<&str>, into: &mut Vec<Value>) {
    for kind in ["normal", "dev", "build"] {
        let key = if kind == "normal" { "dependencies" } else { &format!("{kind}-dependencies") };
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
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        let begins = name.starts_with(|letter: char| letter.is_ascii_alphabetic());
        if !group.is_empty() || name.len() > 64 || !begins || !name.chars().all(is_plain) {
            let rule = "use at most 64 letters, digits, `-` and `_`, and no group";
            return Err(FeedTypeError::name(TAG, name, rule));
        }
        let key = NameKey::new("", &name.to_ascii_lowercase().replace('-', "_"));
        let key = key.map_err(|error| FeedTypeError::name(TAG, name, error))?;
        Ok(PackageName::new("", name, key))
    }

    fn version(&self, text: &str) -> Result<Version, FeedTypeError> {
        let version: SemVer =
            text.parse().map_err(|error| FeedTypeError::version(TAG, text, error))?;
        // `cargo` holds numbers of 64 bits.
        if version.core().iter().any(|digits| digits.parse::<u64>().is_err()) {
            return Err(FeedTypeError::version(TAG, text, "a number is too great"));
        }
        Ok(version.version())
    }

    fn file_name(&self, identity: &Identity) -> String {
        format!("{}-{}.crate", identity.package.name(), identity.version)
    }

    fn inspect(&self, upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
        let (text, directory) = manifest(upload.content, limits)?;
        let Manifest { package, rest } = toml::from_str(&text).map_err(refused)?;
        let version = package.version.get_ref();
        if directory != format!("{}-{version}", package.name) {
            let text = format!("`{directory}` is not the directory of {} {version}", package.name);
            return Err(refused(text));
        }
        let mut deps = Vec::new();
        dependencies(&rest, None, &mut deps);
        let targets = rest.get("target").and_then(toml::Value::as_table);
        for (target, table) in targets.into_iter().flatten() {
            if let Some(table) = table.as_table() {
                dependencies(table, Some(target), &mut deps);
            }
        }
        let line = json!({
            "name": package.name, "vers": version, "deps": deps, "v": 2, "links": package.links,
            "features2": rest.get("features").cloned().unwrap_or(toml::Table::new().into()),
            "features": {}, "rust_version": package.rust_version,
            "cksum": data_encoding::HEXLOWER.encode(&upload.digests.sha256),
        });
        let told = json!({
            "name": package.name, "version": version, "description": package.description,
        });
        let identity = Identity {
            package: self.package_name("", &package.name)?,
            version: self.version(version)?,
            qualifiers: hayloft::Qualifiers::none(),
        };
        let mut inspected = Inspected::new(identity, told.to_string());
        // What may change later closes the line.
        let line = line.to_string().trim_end_matches('}').into();
        inspected.fragments.push(Fragment { kind: LINE, bytes: line });
        inspected.history = history(package.metadata.as_ref())?;
        Ok(inspected)
    }

    fn repackage(
        &self,
        order: Repackage<'_>,
        limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        let (mut text, directory) = manifest(order.source, limits)?;
        let span = toml::from_str::<Manifest>(&text).map_err(refused)?.package.version.span();
        let entry = serde_json::to_string(order.entry).map_err(refused)?;
        text.replace_range(span, &format!("\"{}\"", order.to.version));
        let text = format!("{}{HISTORY}{}\n", text.trim_end(), json!(entry));
        let target = format!("{}-{}", order.to.package.name(), order.to.version);
        rewrite_packed_tar(order.source, Compression::Gzip, order.out, limits, &mut |member| {
            let rest = member.path_text()?.strip_prefix(&directory);
            let path = rest.map(|rest| format!("{target}{rest}").into_bytes());
            if rest != Some("/Cargo.toml") {
                return Ok(TarAction::Rename { path, link: None });
            }
            let (bytes, max) = (text.clone().into_bytes(), limits.manifest);
            let edit = Box::new(move |_| Ok(bytes));
            Ok(TarAction::RenameAndEdit { path, link: None, max, edit })
        })
        .map_err(|error| error.refusal(TAG))?;
        Ok(Repackaged::plain())
    }

    fn index_revision(&self) -> u32 {
        1
    }

    fn native(&self) -> Option<&dyn Native> {
        Some(self)
    }
}

/// The history in a manifest, oldest first.
fn history(metadata: Option<&toml::Table>) -> Result<Vec<HistoryEntry>, FeedTypeError> {
    let kept = metadata.and_then(|metadata| metadata.get("repackage-history")?.as_array());
    let texts = kept.into_iter().flatten().filter_map(|entry| entry.get("entry")?.as_str());
    texts.map(|text| serde_json::from_str(text).map_err(refused)).collect()
}

/// `u32 JSON u32 FILE`, as `cargo publish` sends it.
fn publish_head(bytes: &[u8]) -> Result<Option<BodyHead>, DeframeError> {
    let Some((length, rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let Some((told, rest)) = rest.split_at_checked(length) else { return Ok(None) };
    let Some((file, _)) = rest.split_first_chunk() else { return Ok(None) };
    let told = std::str::from_utf8(told).map_err(|error| DeframeError(error.to_string()))?;
    let fields = vec![("crate", told.to_owned())];
    Ok(Some(BodyHead { fields, length: length + 8, file: u32::from_le_bytes(*file).into() }))
}

/// A line of the index.
fn line(entry: &VersionEntry<'_>, out: &mut dyn Write) -> io::Result<()> {
    let line = entry.fragment(LINE).filter(|_| !entry.status.is_blocked());
    let Some(line) = line else { return Ok(()) };
    out.write_all(line)?;
    writeln!(out, ",\"yanked\":{}}}", !entry.status.is_listed())
}

impl Cargo {
    fn head(&self, view: &dyn FeedView, name: &str) -> Result<Option<PackageHead>, ViewError> {
        self.package_name("", name).map_or(Ok(None), |name| view.package(name.key()))
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
        let path = request.segments();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        Ok(match path.as_slice() {
            ["index", "config.json"] => {
                let (url, known) = (request.feed_url, request.header("authorization").is_some());
                let files = format!("{url}/api/v1/crates");
                Answer::json(&json!({ "dl": files, "api": url, "auth-required": known }))
            }
            ["index", .., name] => match self.head(view, name)? {
                Some(head) => {
                    let lines = Resource::of_versions(view, head, "text/plain", &[LINE], line);
                    Answer::Resource(lines)
                }
                None => Answer::not_found(),
            },
            ["api", "v1", "crates", name, version, "download"] => {
                match (self.head(view, name)?, self.version(version)) {
                    (Some(head), Ok(version)) => {
                        Answer::file(view.file_of(head.name.key(), &version)?.as_ref())
                    }
                    _ => Answer::not_found(),
                }
            }
            ["api", "v1", "crates"] => {
                let (words, most) = (request.words("q"), request.number("per_page", 10, 100));
                let found = view.search(&SearchQuery::new(&words, most))?;
                let packages = found.packages.iter();
                let crates: Vec<_> = packages
                    .map(|head| json!({ "name": head.name.name(), "max_version": head.latest }))
                    .collect();
                Answer::json(&json!({ "crates": crates, "meta": { "total": found.total } }))
            }
            _ => Answer::not_found(),
        })
    }

    fn refuse(&self, _: &Request<'_>, refusal: &Refusal) -> Reply {
        let errors = json!({ "errors": [{ "detail": refusal.text() }] });
        Reply::json(refusal.status(), errors.to_string())
    }

    fn route(&self, request: &Request<'_>) -> Result<Option<Intake>, Refusal> {
        let publish = || Framing::Custom(Box::new(HeadThenFile::new(1 << 20, publish_head)));
        Ok(match (request.method, request.path.rsplit('/').next()) {
            ("PUT", Some("new")) => Some(Intake::new(publish(), ActionKind::Upload)),
            ("DELETE", Some("yank")) | ("PUT", Some("unyank")) => {
                Some(Intake::new(Framing::None, ActionKind::SetStatus))
            }
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
        if staged.is_some() {
            let told: Value = fields.json("crate")?;
            let text = |member: &str| told.get(member).and_then(Value::as_str).unwrap_or_default();
            let name = self.package_name("", text("name"))?;
            return Ok(Action::Upload(UploadOrder::of(name, self.version(text("vers"))?)));
        }
        let path = request.segments();
        let [_, _, _, name, version, _] = path.as_slice() else {
            return Err(Refusal::NotFound(None));
        };
        let yanks = request.method == "DELETE";
        let listing = if yanks { ListingChange::Unlist } else { ListingChange::List };
        let change = Change::List(self.version(version)?, listing);
        Ok(Action::Edit(Edit::new(self.package_name("", name)?, vec![change])))
    }

    fn answer(&self, _: &Request<'_>, _: &Action, _: &Outcome) -> Reply {
        Reply::json(200, r#"{"ok":true}"#)
    }

    fn paths(
        &self,
        view: &dyn FeedView,
        package: Option<&PackageHead>,
        visit: &mut dyn FnMut(&str),
    ) -> Result<(), ViewError> {
        let Some(head) = package else {
            visit("/index/config.json");
            return Ok(());
        };
        let name = head.name.name().to_ascii_lowercase();
        let part = |from, to| name.get(from..to).unwrap_or_default();
        visit(&match name.len() {
            length @ 1..=2 => format!("/index/{length}/{name}"),
            3 => format!("/index/3/{}/{name}", part(0, 1)),
            _ => format!("/index/{}/{}/{name}", part(0, 2), part(2, 4)),
        });
        view.versions(head.name.key(), &Want::nothing(), &mut |entry| {
            visit(&format!("/api/v1/crates/{name}/{}/download", entry.text));
            ControlFlow::Continue(())
        })
    }

    fn samples(&self) -> Vec<SampleRequest> {
        let publish = SampleRequest::action("PUT", "/api/v1/crates/new", ActionKind::Upload);
        let yank = |method, what| {
            let path = format!("/api/v1/crates/a/1.0.0/{what}");
            SampleRequest::action(method, path, ActionKind::SetStatus)
        };
        let reads = ["/index/config.json", "/index/1/a", "/api/v1/crates?q=a"];
        let mut samples: Vec<_> = reads.map(SampleRequest::read).into();
        samples.push(SampleRequest::read("/api/v1/crates/a/1.0.0/download"));
        samples.push(publish.body("application/octet-stream", *b"\x02\0\0\0{}\0\0\0\0"));
        samples.extend([yank("DELETE", "yank"), yank("PUT", "unyank")]);
        samples
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
