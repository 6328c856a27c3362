use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;

use data_encoding::HEXLOWER;
use hayloft_archive::{Compression, encoder};
use hayloft_feed::native::{
    Answer, Body, FeedView, Refusal, RenderError, Request, Resource, Validator, ViewError, Want,
};
use hayloft_feed::{FeedType, Stability, Version};
use serde_json::{Value, json};

use super::compact::VERSIONS;
use super::fragments::INFO;
use super::index::{Listing, gems, is_shown, number};
use super::place::Specs;
use super::{checked, full_name};
use crate::RubyGems;
use crate::marshal::Marshal;

const BINARY: &str = "application/octet-stream";

/// Gems that one request for dependencies may name.
const MOST_NAMES: usize = 200;

/// One of the three lists, rendered from the log of versions.
///
/// `gem` asks again with `If-Modified-Since`, and unpacks by the name of the file, so that no
/// content encoding may be added.
pub(crate) fn specs(view: &dyn FeedView, which: Specs) -> Result<Answer<'_>, ViewError> {
    let head = view.log(VERSIONS)?;
    let state = head.as_ref().map_or_else(String::new, |head| HEXLOWER.encode(&head.md5));
    let changed = head.map_or(view.feed().created, |head| head.changed);
    let validator = view.validator(0, &[which.path(), &state]);
    let resource = Resource::document(validator, BINARY, move |out| render(view, which, out));
    Ok(Answer::resource(resource.identity().changed(changed)))
}

/// Name, version and platform of a gem in a list.
struct Tuple {
    name: String,
    version: Version,
    platform: String,
}

fn tuples(listing: Listing, which: Specs) -> Vec<Tuple> {
    let mut tuples = Vec::new();
    for (name, gem) in listing.0 {
        let mut of_gem: Vec<Tuple> = gem
            .numbers
            .iter()
            .filter_map(|number| {
                let (version, platform) = number.split_once('-').unwrap_or((number, "ruby"));
                let version = RubyGems.version(version).ok()?;
                let stable = version.stability() == Stability::Stable;
                let wanted = stable != (which == Specs::Prereleases);
                let (name, platform) = (name.clone(), platform.to_owned());
                wanted.then_some(Tuple { name, version, platform })
            })
            .collect();
        of_gem.sort_by(|one, other| {
            let key = |tuple: &Tuple| tuple.version.sort_key().as_bytes().to_vec();
            (key(one), &one.platform).cmp(&(key(other), &other.platform))
        });
        if which == Specs::Latest {
            let mut latest: BTreeMap<String, Tuple> = BTreeMap::new();
            for tuple in of_gem {
                latest.insert(tuple.platform.clone(), tuple);
            }
            of_gem = latest.into_values().collect();
        }
        tuples.append(&mut of_gem);
    }
    tuples
}

/// One gzip member: clients read no second one.
fn render(view: &dyn FeedView, which: Specs, out: &mut dyn Write) -> Result<(), RenderError> {
    let archive = |error: hayloft_archive::ArchiveError| match error {
        hayloft_archive::ArchiveError::Io(error) => RenderError::from(error),
        other => RenderError::from(std::io::Error::other(other)),
    };
    let tuples = tuples(Listing::read(view)?, which);
    let mut packed = encoder(Compression::Gzip, Box::new(out)).map_err(archive)?;
    let mut marshal = Marshal::new();
    marshal.array(tuples.len());
    for tuple in tuples {
        marshal.array(3);
        marshal.text(&tuple.name);
        marshal.version(tuple.version.text());
        marshal.text(&tuple.platform);
        packed.write_all(&marshal.take())?;
    }
    packed.write_all(&marshal.take())?;
    packed.finish().map_err(archive)?;
    Ok(())
}

/// The specification of a gem without its lists of files.
pub(crate) fn quick<'a>(view: &dyn FeedView, full_name: &str) -> Result<Answer<'a>, ViewError> {
    let Some(found) = full_name::find_with_quick(view, full_name)? else {
        return Ok(Answer::not_found());
    };
    if found.status.is_blocked() {
        return Ok(Answer::Refused(Refusal::Forbidden(format!("{full_name} is blocked"))));
    }
    let Some(bytes) = found.quick else { return Ok(Answer::not_found()) };
    let tag = format!("{}.rz", HEXLOWER.encode(&found.card.digests.sha256));
    let resource = Resource::new(Validator::exact(tag), BINARY, Body::Bytes(bytes));
    Ok(Answer::resource(resource.identity()))
}

/// A gem as the old dependency API tells it.
struct Needs {
    name: String,
    number: String,
    platform: String,
    constraints: Vec<(String, String)>,
}

/// What Bundler asks where there is no compact index; without names, whether there is this API.
pub(crate) fn dependencies<'a>(
    view: &'a dyn FeedView,
    request: &Request<'_>,
    as_json: bool,
) -> Result<Answer<'a>, ViewError> {
    let asked = request.parameter("gems").unwrap_or_default();
    let mut names: Vec<_> = asked.split(',').filter_map(checked).take(MOST_NAMES).collect();
    names.sort_by(|one, other| one.key().cmp(other.key()));
    names.dedup();
    let (media_type, form) = if as_json { ("application/json", "json") } else { (BINARY, "rb") };
    if asked.is_empty() && !as_json {
        let body = Body::Bytes(Vec::new());
        return Ok(Answer::resource(Resource::new(
            view.validator(0, &["dependencies"]),
            media_type,
            body,
        )));
    }
    let mut found = Vec::new();
    let mut parts = vec!["dependencies".to_owned(), form.to_owned()];
    for name in names {
        let Some(head) = view.package(name.key())? else { continue };
        parts.push(format!("{} {}", head.name.name(), head.revision));
        found.push(head.name);
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let validator = view.validator(0, &parts);
    let resource = Resource::document(validator, media_type, move |out| {
        let mut all = Vec::new();
        for name in &found {
            needs(view, name, &mut all)?;
        }
        if as_json { needs_as_json(&all, out) } else { needs_as_marshal(&all, out) }
    });
    Ok(Answer::resource(resource))
}

fn needs(
    view: &dyn FeedView,
    name: &hayloft_feed::PackageName,
    all: &mut Vec<Needs>,
) -> Result<(), ViewError> {
    view.versions(name.key(), &Want::fragments(&[INFO]).files(), &mut |version| {
        if !is_shown(version.status) {
            return ControlFlow::Continue(());
        }
        for file in gems(version.files) {
            let info = version.fragment_of(file.id.number, INFO).unwrap_or_default();
            let info = String::from_utf8_lossy(info);
            let number = number(version.text, file);
            let (number, platform) = number.split_once('-').unwrap_or((&number, "ruby"));
            all.push(Needs {
                name: name.name().to_owned(),
                number: number.to_owned(),
                platform: platform.to_owned(),
                constraints: needs_of_line(&info),
            });
        }
        ControlFlow::Continue(())
    })
}

/// Names and constraints in `VERSION name:C&C,name:C|…`.
fn needs_of_line(line: &str) -> Vec<(String, String)> {
    let needs = line.split_once(' ').map_or("", |(_, rest)| rest);
    let needs = needs.split('|').next().unwrap_or_default();
    needs
        .split(',')
        .filter_map(|need| need.split_once(':'))
        .map(|(name, constraints)| (name.to_owned(), constraints.replace('&', ", ")))
        .collect()
}

fn needs_as_json(all: &[Needs], out: &mut dyn Write) -> Result<(), RenderError> {
    let all: Vec<Value> = all
        .iter()
        .map(|gem| {
            json!({
                "name": gem.name,
                "number": gem.number,
                "platform": gem.platform,
                "dependencies": gem.constraints,
            })
        })
        .collect();
    Ok(out.write_all(Value::Array(all).to_string().as_bytes())?)
}

fn needs_as_marshal(all: &[Needs], out: &mut dyn Write) -> Result<(), RenderError> {
    let mut marshal = Marshal::new();
    marshal.array(all.len());
    for gem in all {
        marshal.hash(4);
        for (key, value) in
            [("name", &gem.name), ("number", &gem.number), ("platform", &gem.platform)]
        {
            marshal.symbol(key);
            marshal.text(value);
        }
        marshal.symbol("dependencies");
        marshal.array(gem.constraints.len());
        for (name, constraints) in &gem.constraints {
            marshal.array(2);
            marshal.text(name);
            marshal.text(constraints);
        }
        out.write_all(&marshal.take())?;
    }
    Ok(out.write_all(&marshal.take())?)
}
