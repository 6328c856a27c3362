use std::collections::BTreeSet;
use std::io::Write;
use std::ops::ControlFlow;

use hayloft_feed::json::quoted;
use hayloft_feed::native::{Answer, FeedView, RenderError, Request, Resource, ViewError, Want};
use hayloft_feed::{Fragment, PackageHead, Stability, Status, Version};

use super::ABBREVIATED;
use super::request::Name;
use super::version_object::{self, Place};
use crate::NpmVersion;
use crate::value::Object;

const ABBREVIATED_TYPE: &str = "application/vnd.npm.install-v1+json";

/// What the packument itself says of its newest version.
const OF_LATEST: [&str; 8] = [
    "description",
    "homepage",
    "keywords",
    "repository",
    "bugs",
    "license",
    "author",
    "contributors",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Full,
    Abbreviated,
}

pub(super) fn resolve<'a>(
    view: &'a dyn FeedView,
    request: &'a Request<'a>,
    name: &Name,
) -> Result<Answer<'a>, ViewError> {
    let Some(head) = view.package(name.key())? else { return Ok(Answer::not_found()) };
    let Some(latest) = latest(view, &head)? else { return Ok(Answer::not_found()) };
    // What is sent back changed must be whole: npm asks for it by the short form, too.
    let writes = request.parameter("write").is_some_and(|value| value == "true");
    let form = if writes { Form::Full } else { form(request.accept()) };
    let (form, media_type) = match form {
        Form::Full => (Form::Full, "application/json"),
        Form::Abbreviated => (Form::Abbreviated, ABBREVIATED_TYPE),
    };
    let variant = if form == Form::Full { "full" } else { "abbreviated" };
    let exported = if request.exported { "exported" } else { "" };
    let validator = view.validator(head.revision, &[variant, exported, request.feed_url]);
    let place = Place::of(name, request.feed_url);
    // Clients send it back with what they changed.
    let revision = (!request.exported).then_some(head.revision);
    let resource = Resource::document(validator, media_type, move |out| {
        render(view, &head, revision, &latest, &place, form, out)
    });
    let resource = resource.vary(&["accept"]);
    Ok(Answer::Resource(if writes { resource.unkept() } else { resource }))
}

/// The form that the header asks for. What stands for anything does not count: npm's usual header
/// ends in a bare `*/*`, which would outweigh all before it.
fn form(accept: &str) -> Form {
    let quality = |wanted: &str| {
        accept.split(',').find_map(|part| {
            let mut parameters = part.split(';').map(str::trim);
            if !parameters.next()?.eq_ignore_ascii_case(wanted) {
                return None;
            }
            let quality = parameters.find_map(|parameter| parameter.strip_prefix("q="));
            Some(quality.and_then(|quality| quality.trim().parse().ok()).unwrap_or(1.0_f32))
        })
    };
    match (quality(ABBREVIATED_TYPE), quality("application/json")) {
        (Some(short), Some(full)) if short >= full && short > 0.0 => Form::Abbreviated,
        (Some(short), None) if short > 0.0 => Form::Abbreviated,
        _ => Form::Full,
    }
}

/// Whether documents show a version at all.
pub(super) fn is_shown(status: &Status) -> bool {
    status.is_listed() && !status.is_blocked()
}

/// The version that `latest` names, else the highest shown one, a stable one if there is one;
/// `None` if no version is shown. A point read as a rule.
pub(super) fn latest(
    view: &dyn FeedView,
    head: &PackageHead,
) -> Result<Option<Version>, ViewError> {
    if let Some(tagged) = head.tags.get("latest").and_then(|text| version(text)) {
        let mut shown = false;
        let want = Want::nothing();
        view.version(head.name.key(), &tagged, &want, &mut |entry| shown = is_shown(entry.status))?;
        if shown {
            return Ok(Some(tagged));
        }
    }
    let (mut stable, mut any) = (None, None);
    view.versions(head.name.key(), &Want::nothing(), &mut |entry| {
        if is_shown(entry.status) {
            let is_stable = entry.stability == Stability::Stable;
            *(if is_stable { &mut stable } else { &mut any }) = Some(entry.version());
        }
        ControlFlow::Continue(())
    })?;
    Ok(stable.or(any))
}

/// A version as it may stand in a URL, a tag or a client's document.
pub(super) fn version(text: &str) -> Option<Version> {
    Some(NpmVersion::loose(text).ok()?.version())
}

/// A revision as clients send it back.
pub(super) fn revision_text(revision: u64) -> String {
    format!("{revision}-{revision:016x}")
}

fn render(
    view: &dyn FeedView,
    head: &PackageHead,
    revision: Option<u64>,
    latest: &Version,
    place: &Place,
    form: Form,
    out: &mut dyn Write,
) -> Result<(), RenderError> {
    let name = quoted(&head.name.spelled());
    match form {
        Form::Full => {
            write!(out, r#"{{"_id":{name},"#)?;
            if let Some(revision) = revision {
                write!(out, r#""_rev":"{}","#, revision_text(revision))?;
            }
            write!(out, r#""name":{name},"#)?;
        }
        Form::Abbreviated => write!(out, r#"{{"name":{name},"modified":"{}","#, head.changed)?,
    }
    out.write_all(br#""versions":{"#)?;
    let Shown { times, tagged } = versions(view, head, place, form, out)?;
    write!(
        out,
        r#"}},"dist-tags":{},"time":{{"created":"{}","modified":"{}"{times}}}"#,
        tags(head, latest, &tagged),
        head.created,
        head.changed
    )?;
    if form == Form::Full {
        of_latest(view, head, latest, out)?;
    }
    out.write_all(b"}")?;
    Ok(())
}

/// What the scan of the versions leaves for the rest of the document.
struct Shown {
    /// Members of `time`.
    times: String,
    /// Those of the versions that tags name.
    tagged: BTreeSet<String>,
}

/// Writes the shown versions.
fn versions(
    view: &dyn FeedView,
    head: &PackageHead,
    place: &Place,
    form: Form,
    out: &mut dyn Write,
) -> Result<Shown, RenderError> {
    let kind = if form == Form::Full { Fragment::MANIFEST } else { ABBREVIATED };
    let targets: BTreeSet<&str> = head.tags.values().map(String::as_str).collect();
    let mut shown = Shown { times: String::new(), tagged: BTreeSet::new() };
    let mut written = Ok(());
    let mut first = true;
    view.versions(head.name.key(), &Want::fragments(&[kind]), &mut |entry| {
        if !is_shown(entry.status) {
            return ControlFlow::Continue(());
        }
        let text = quoted(entry.text);
        shown.times.extend([",", &text, ":\"", &entry.published.to_string(), "\""]);
        if targets.contains(entry.text) {
            shown.tagged.insert(entry.text.to_owned());
        }
        let comma = if first { "" } else { "," };
        first = false;
        written = write!(out, "{comma}{text}:")
            .map_err(RenderError::from)
            .and_then(|()| version_object::write(entry, kind, place, out));
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written.map(|()| shown)
}

/// The tags whose versions are shown, `latest` always among them: without it a bare install fails.
fn tags(head: &PackageHead, latest: &Version, tagged: &BTreeSet<String>) -> String {
    let mut json = String::from("{\"latest\":");
    json.push_str(&quoted(latest.text()));
    for (tag, text) in head.tags.iter().filter(|(_, text)| tagged.contains(*text)) {
        if tag != "latest" {
            json.extend([",", &quoted(tag), ":", &quoted(text)]);
        }
    }
    json.push('}');
    json
}

/// The tags alone.
pub(super) fn all_tags(
    view: &dyn FeedView,
    head: &PackageHead,
    latest: &Version,
) -> Result<String, ViewError> {
    let targets: BTreeSet<&str> = head.tags.values().map(String::as_str).collect();
    let mut tagged = BTreeSet::new();
    view.versions(head.name.key(), &Want::nothing(), &mut |entry| {
        if is_shown(entry.status) && targets.contains(entry.text) {
            tagged.insert(entry.text.to_owned());
        }
        ControlFlow::Continue(())
    })?;
    Ok(tags(head, latest, &tagged))
}

fn of_latest(
    view: &dyn FeedView,
    head: &PackageHead,
    latest: &Version,
    out: &mut dyn Write,
) -> Result<(), RenderError> {
    let mut manifest = Vec::new();
    let (mut file, mut publisher) = (None, String::new());
    let want = Want::fragments(&[Fragment::MANIFEST]).files();
    view.version(head.name.key(), latest, &want, &mut |entry| {
        manifest = entry.fragment(Fragment::MANIFEST).unwrap_or_default().to_vec();
        file = entry.files.first().map(|file| file.id);
        entry.published_by.clone_into(&mut publisher);
    })?;
    let manifest = String::from_utf8_lossy(&manifest);
    let object = Object::parse(&manifest).map_err(|error| {
        ViewError::damaged(format!("a manifest of {}: {error}", head.name.spelled()))
    })?;
    for key in OF_LATEST {
        if let Some(value) = object.get(key) {
            write!(out, ",{}:{}", quoted(key), value.0)?;
        }
    }
    if !publisher.is_empty() {
        write!(out, r#","maintainers":[{}]"#, version_object::person(&publisher))?;
    }
    let readme = file.map(|file| view.document(file, crate::README)).transpose()?.flatten();
    if let Some(readme) = readme {
        write!(out, r#","readme":{}"#, quoted(&String::from_utf8_lossy(&readme)))?;
        if let Some(file_name) = object.get("readmeFilename") {
            write!(out, r#","readmeFilename":{}"#, file_name.0)?;
        }
    }
    Ok(())
}

/// The packument and the tarballs of a package, for a static export.
pub(super) fn paths(
    view: &dyn FeedView,
    head: &PackageHead,
    visit: &mut dyn FnMut(&str),
) -> Result<(), ViewError> {
    let name = head.name.spelled();
    visit(&format!("/{name}"));
    view.each_version(head.name.key(), &Want::nothing(), &mut |entry| {
        if !entry.status.is_blocked() {
            visit(&format!("/{name}/-/{}-{}.tgz", head.name.name(), entry.text));
        }
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::npm(
        "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*",
        Form::Abbreviated
    )]
    #[case::pnpm(
        "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*",
        Form::Abbreviated
    )]
    #[case::alone("application/vnd.npm.install-v1+json", Form::Abbreviated)]
    #[case::equal("application/json, application/vnd.npm.install-v1+json", Form::Abbreviated)]
    #[case::lower("application/json, application/vnd.npm.install-v1+json;q=0.5", Form::Full)]
    #[case::not_at_all("application/vnd.npm.install-v1+json;q=0", Form::Full)]
    #[case::full("application/json", Form::Full)]
    #[case::anything("*/*", Form::Full)]
    #[case::yarn_4("", Form::Full)]
    fn the_form_follows_the_header(#[case] accept: &str, #[case] expected: Form) {
        assert_eq!(form(accept), expected);
    }
}
