use std::io::{self, Write};
use std::ops::ControlFlow;

use hayloft_feed::native::{
    Answer, FeedView, RenderError, Request, Resource, VersionEntry, ViewError, Want,
};
use hayloft_feed::{Deprecation, NameKey, json};

use super::accept::Form;
use super::fragments::{self, escaped};
use super::index::{PROJECT_ROWS, PROJECTS, is_shown};
use super::key_of;
use crate::name::normalize;

/// Of the simple index that is written here.
const API_VERSION: &str = "1.4";

/// The list of all projects.
pub(crate) fn projects<'a>(
    view: &'a dyn FeedView,
    request: &Request<'_>,
) -> Result<Answer<'a>, ViewError> {
    let form = match Form::of(request) {
        Ok(form) => form,
        Err(refusal) => return Ok(Answer::Refused(refusal)),
    };
    let subject = view.subject(PROJECTS)?;
    let validator = view.validator(subject.revision, &["projects", form.word()]);
    let resource = Resource::document(validator, form.media_type(), move |out| match form {
        Form::Json => projects_as_json(view, out),
        Form::Html | Form::Text => projects_as_html(view, out),
    });
    Ok(Answer::resource(resource.vary(&["Accept"])))
}

fn each_project(
    view: &dyn FeedView,
    write: &mut dyn FnMut(&str, &str) -> io::Result<()>,
) -> Result<(), RenderError> {
    let mut written = Ok(());
    view.rows(PROJECT_ROWS, None, &mut |key, name| {
        let normalized = key.strip_prefix(PROJECT_ROWS).unwrap_or(key);
        let texts = std::str::from_utf8(normalized).ok().zip(std::str::from_utf8(name).ok());
        written = texts.map_or(Ok(()), |(normalized, name)| write(normalized, name));
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(written?)
}

fn projects_as_json(view: &dyn FeedView, out: &mut dyn Write) -> Result<(), RenderError> {
    write!(out, "{{\"meta\":{{\"api-version\":\"{API_VERSION}\"}},\"projects\":[")?;
    let mut is_first = true;
    each_project(view, &mut |_, name| {
        let comma = if std::mem::take(&mut is_first) { "" } else { "," };
        write!(out, "{comma}{{\"name\":{}}}", json::quoted(name))
    })?;
    Ok(out.write_all(b"]}")?)
}

fn projects_as_html(view: &dyn FeedView, out: &mut dyn Write) -> Result<(), RenderError> {
    begin_html(out, "Simple index")?;
    each_project(view, &mut |normalized, name| {
        writeln!(out, "<a href=\"{}/\">{}</a><br>", escaped(normalized), escaped(name))
    })?;
    Ok(end_html(out)?)
}

/// The files of one project.
pub(crate) fn project<'a>(
    view: &'a dyn FeedView,
    request: &Request<'_>,
    name: String,
) -> Result<Answer<'a>, ViewError> {
    let form = match Form::of(request) {
        Ok(form) => form,
        Err(refusal) => return Ok(Answer::Refused(refusal)),
    };
    let Some(key) = key_of(&normalize(&name)) else { return Ok(Answer::not_found()) };
    let Some(head) = view.package(&key)? else { return Ok(Answer::not_found()) };
    let validator = view.validator(head.revision, &["project", form.word()]);
    let resource = Resource::document(validator, form.media_type(), move |out| match form {
        Form::Json => project_as_json(view, &key, &normalize(&name), out),
        Form::Html | Form::Text => project_as_html(view, &key, &normalize(&name), out),
    });
    Ok(Answer::resource(resource.vary(&["Accept"])))
}

/// Writes the files of a version that is shown in the order of their names.
fn each_file(
    version: &VersionEntry<'_>,
    kind: u8,
    write: &mut dyn FnMut(&[u8], hayloft_feed::Timestamp) -> io::Result<()>,
) -> io::Result<()> {
    let mut files: Vec<_> = version.files.iter().collect();
    files.sort_by(|one, other| one.file_name.cmp(&other.file_name));
    for file in files {
        if let Some(fragment) = version.fragment_of(file.id.number, kind) {
            write(fragment, file.published)?;
        }
    }
    Ok(())
}

fn project_as_json(
    view: &dyn FeedView,
    key: &NameKey,
    name: &str,
    out: &mut dyn Write,
) -> Result<(), RenderError> {
    write!(
        out,
        "{{\"meta\":{{\"api-version\":\"{API_VERSION}\"}},\"name\":{},\"files\":[",
        json::quoted(name)
    )?;
    let mut texts: Vec<String> = Vec::new();
    let mut is_first = true;
    let mut written = Ok(());
    view.versions(key, &Want::fragments(&[fragments::JSON]).files(), &mut |version| {
        if !is_shown(version.status) {
            return ControlFlow::Continue(());
        }
        let yanked = match &version.status.deprecated {
            None => "false".to_owned(),
            Some(Deprecation { reason, .. }) => match reason.as_deref() {
                None | Some("") => "true".to_owned(),
                Some(reason) => json::quoted(reason),
            },
        };
        let before = texts.len();
        written = each_file(version, fragments::JSON, &mut |fragment, arrived| {
            if texts.len() == before {
                texts.push(json::quoted(version.text));
            }
            out.write_all(if std::mem::take(&mut is_first) { b"" } else { b"," })?;
            out.write_all(fragment)?;
            write!(out, ",\"upload-time\":\"{arrived}\",\"yanked\":{yanked}}}")
        });
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written?;
    write!(out, "],\"versions\":[{}]}}", texts.join(","))?;
    Ok(())
}

fn project_as_html(
    view: &dyn FeedView,
    key: &NameKey,
    name: &str,
    out: &mut dyn Write,
) -> Result<(), RenderError> {
    begin_html(out, &format!("Links for {name}"))?;
    let mut written = Ok(());
    view.versions(key, &Want::fragments(&[fragments::HTML]).files(), &mut |version| {
        if !is_shown(version.status) {
            return ControlFlow::Continue(());
        }
        // pip takes the attribute without a value for no attribute.
        let yanked = version.status.deprecated.as_ref().map(|deprecation| {
            let reason = deprecation.reason.as_deref().unwrap_or_default();
            format!(" data-yanked=\"{}\"", escaped(reason))
        });
        written = each_file(version, fragments::HTML, &mut |fragment, _| {
            write!(out, "<a{}", yanked.as_deref().unwrap_or_default())?;
            out.write_all(fragment)
        });
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written?;
    Ok(end_html(out)?)
}

fn begin_html(out: &mut dyn Write, title: &str) -> io::Result<()> {
    let title = escaped(title);
    write!(
        out,
        "<!DOCTYPE html>\n<html>\n<head>\n\
         <meta name=\"pypi:repository-version\" content=\"{API_VERSION}\">\n\
         <title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n"
    )
}

fn end_html(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"</body>\n</html>\n")
}
