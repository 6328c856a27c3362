//! A feed type from outside the tree: crates, with the protocol of `cargo` itself.
//!
//! One type, one protocol and one line that registers them; store, server and command know neither.
//! Run it with a directory, and ask it for a feed of type `cargo`.

use std::io::{self, Write};

use hayloft::feed_type::prelude::*;
use hayloft::feed_type::semver::SemVer;
use hayloft_archive::{Compression, read_in_folder, retarget_packed_tar};
use hayloft_http::{App, LocalUser, router, serve_at};
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
        let found = read_in_folder(upload.content, Compression::Gzip, limits, "Cargo.toml");
        let (directory, text) = found.map_err(|error| error.refusal(TAG))?;
        let Manifest { package, rest } = toml::from_str(&text).map_err(refused)?;
        let version = package.version.get_ref();
        if directory != format!("{}-{version}", package.name) {
            let text = format!("`{directory}` is not the directory of {} {version}", package.name);
            return Err(refused(text));
        }
        let mut deps = Vec::new();
        dependencies(&rest, None, &mut deps);
        let targets = rest.get("target").and_then(toml::Value::as_table).into_iter().flatten();
        let tables = targets.filter_map(|(target, table)| Some((target, table.as_table()?)));
        tables.for_each(|(target, table)| dependencies(table, Some(target), &mut deps));
        let line = json!({
            "name": package.name, "vers": version, "deps": deps, "v": 2, "links": package.links,
            "features2": rest.get("features").cloned().unwrap_or(toml::Table::new().into()),
            "features": {}, "rust_version": package.rust_version,
            "description": package.description,
            "cksum": data_encoding::HEXLOWER.encode(&upload.digests.sha256),
        });
        let line = line.to_string();
        let package_name = self.package_name("", &package.name)?;
        let identity = Identity::of(package_name, self.version(version)?);
        // What may change later closes the line.
        let open = Fragment { kind: LINE, bytes: line.trim_end_matches('}').into() };
        let inspected = Inspected::new(identity, line).with_fragments(vec![open]);
        let kept =
            package.metadata.as_ref().and_then(|all| all.get("repackage-history")?.as_array());
        let texts = kept.into_iter().flatten().filter_map(|entry| entry.get("entry")?.as_str());
        let list = format!("[{}]", texts.collect::<Vec<_>>().join(","));
        let history = HistoryEntry::parse_list(&list).map_err(refused)?;
        Ok(inspected.with_history(history))
    }

    fn repackage(
        &self,
        order: Repackage<'_>,
        limits: &Limits,
    ) -> Result<Repackaged, FeedTypeError> {
        let found = read_in_folder(order.source, Compression::Gzip, limits, "Cargo.toml");
        let (directory, mut text) = found.map_err(|error| error.refusal(TAG))?;
        let span = toml::from_str::<Manifest>(&text).map_err(refused)?.package.version.span();
        let entry = serde_json::to_string(order.entry).map_err(refused)?;
        text.replace_range(span, &format!("\"{}\"", order.to.version));
        let text = format!("{}{HISTORY}{}\n", text.trim_end(), json!(entry));
        let target = format!("{}-{}", order.to.package.name(), order.to.version);
        let (folders, file) = ((&*directory, &*target), ("Cargo.toml", &*text));
        retarget_packed_tar(order.source, Compression::Gzip, order.out, limits, folders, file)
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

/// A line of the index.
fn line(entry: &VersionEntry<'_>, out: &mut dyn Write) -> io::Result<()> {
    let line = entry.fragment(LINE).filter(|_| !entry.status.is_blocked());
    let Some(line) = line else { return Ok(()) };
    out.write_all(line)?;
    writeln!(out, ",\"yanked\":{}}}", !entry.status.is_listed())
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
                let dl = format!("{url}/api/v1/crates");
                Answer::json(&json!({ "dl": dl, "api": url, "auth-required": known }))
            }
            ["index", .., name] => Answer::found(
                find_package(view, self, name)?
                    .map(|head| Resource::of_versions(view, head, "text/plain", &[LINE], line)),
            ),
            ["api", "v1", "crates", name, version, "download"] => {
                Answer::file(find_file(view, self, name, version)?.as_ref())
            }
            ["api", "v1", "crates"] => {
                let (words, most) = (request.words("q"), request.number("per_page", 10, 100));
                let found = view.search(&SearchQuery::new(&words, most))?;
                let hit = |head: &PackageHead| json!({ "name": head.name.name(), "max_version": head.latest });
                let crates: Vec<_> = found.packages.iter().map(hit).collect();
                Answer::json(&json!({ "crates": crates, "meta": { "total": found.total } }))
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
        let publish = || HeadThenFile::field_then_file(1 << 20, "crate").into();
        Ok(match (request.method, request.path.rsplit('/').next()) {
            ("PUT", Some("new")) => Some(Intake::new(publish(), ActionKind::Upload)),
            ("DELETE", Some("yank")) | ("PUT", Some("unyank")) => {
                Some(Intake::bodiless(ActionKind::SetStatus))
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
        let [_, _, _, name, version, _] = request.parts()?;
        let listing = ListingChange::of(request.method != "DELETE");
        let change = Change::List(self.version(&version)?, listing);
        Ok(Action::Edit(Edit::new(self.package_name("", &name)?, vec![change])))
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
        view.each_version(head.name.key(), &Want::nothing(), &mut |entry| {
            visit(&format!("/api/v1/crates/{name}/{}/download", entry.text));
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
    let app = App::builder(store).gatekeeper(LocalUser::new("example")).build();
    Ok(serve_at("127.0.0.1:8625", router(app)).await?)
}
