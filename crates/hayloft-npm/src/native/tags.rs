use std::collections::BTreeMap;

use hayloft_feed::json::Object;
use hayloft_feed::native::{
    Action, Answer, Change, Edit, FeedView, Fields, Refusal, Resource, VersionEntry, ViewError,
    Want,
};
use hayloft_feed::{PackageHead, Version, shorten};

use super::packument::{all_tags, is_shown, latest, version};
use super::request::Name;
use crate::NpmVersion;

/// Most bytes of a tag.
const LONGEST: usize = 214;
/// Most tags in one request.
const MOST: usize = 1_000;

pub(super) fn resolve<'a>(view: &'a dyn FeedView, name: &Name) -> Result<Answer<'a>, ViewError> {
    let Some(head) = view.package(name.key())? else { return Ok(Answer::not_found()) };
    let Some(latest) = latest(view, &head)? else { return Ok(Answer::not_found()) };
    let validator = view.validator(head.revision, &["dist-tags"]);
    Ok(Answer::Resource(Resource::document(validator, "application/json", move |out| {
        out.write_all(all_tags(view, &head, &latest)?.as_bytes())?;
        Ok(())
    })))
}

/// Points a tag at a version; the body is a JSON text.
pub(super) fn set(
    view: &dyn FeedView,
    name: &Name,
    tag: &str,
    fields: &Fields,
) -> Result<Action, Refusal> {
    let head = head(view, name)?;
    let text: String = fields
        .at(&[])
        .and_then(|body| serde_json::from_str(body).ok())
        .ok_or_else(|| Refusal::Invalid("the body must be a version as JSON text".to_owned()))?;
    let change = change(view, &head, tag, &text)?;
    Ok(Action::Edit(Edit::new(head.name, vec![change])))
}

/// Points several tags at once; where all are replaced, those that are not named go.
pub(super) fn set_all(
    view: &dyn FeedView,
    name: &Name,
    fields: &Fields,
    replace: bool,
) -> Result<Action, Refusal> {
    let head = head(view, name)?;
    let given = object(fields.at(&[]).unwrap_or_default())?;
    let mut changes = Vec::new();
    for (tag, text) in &given {
        changes.push(change(view, &head, tag, text)?);
    }
    if replace {
        let gone = head.tags.keys().filter(|tag| *tag != "latest" && !given.contains_key(*tag));
        changes.extend(gone.map(|tag| Change::RemoveTag(tag.clone())));
    }
    Ok(Action::Edit(Edit::new(head.name, changes)))
}

pub(super) fn remove(view: &dyn FeedView, name: &Name, tag: &str) -> Result<Action, Refusal> {
    if tag == "latest" {
        return Err(Refusal::Invalid(
            "`latest` cannot be removed; point it at another version".to_owned(),
        ));
    }
    let head = head(view, name)?;
    if !head.tags.contains_key(tag) {
        return Err(Refusal::NotFound(Some(format!("there is no tag `{}`", shorten(tag)))));
    }
    Ok(Action::Edit(Edit::new(head.name, vec![Change::RemoveTag(tag.to_owned())])))
}

/// Tags by name, with the texts of their versions.
pub(super) fn object(raw: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let invalid = || Refusal::Invalid("tags must be an object of names and versions".to_owned());
    let object = Object::parse(raw).map_err(|_| invalid())?;
    if object.members().len() > MOST {
        return Err(Refusal::Invalid(format!("there are more than {MOST} tags in one request")));
    }
    let members = object.members().iter();
    members
        .map(|member| {
            let text = serde_json::from_str(member.raw).map_err(|_| invalid())?;
            Ok((member.key.clone().into_owned(), text))
        })
        .collect()
}

fn change(
    view: &dyn FeedView,
    head: &PackageHead,
    tag: &str,
    text: &str,
) -> Result<Change, Refusal> {
    check(tag)?;
    let found = shown(view, head, text)?;
    Ok(Change::SetTag(tag.to_owned(), found))
}

/// The shown version of this text.
pub(super) fn shown(
    view: &dyn FeedView,
    head: &PackageHead,
    text: &str,
) -> Result<Version, Refusal> {
    let mut found = None;
    if let Some(version) = version(text) {
        let mut see = |entry: &VersionEntry<'_>| {
            found = is_shown(entry.status).then(|| entry.version());
        };
        view.version(head.name.key(), &version, &Want::nothing(), &mut see)
            .map_err(|error| unavailable(&error))?;
    }
    found.ok_or_else(|| Refusal::NotFound(Some(format!("there is no version `{}`", shorten(text)))))
}

pub(super) fn head(view: &dyn FeedView, name: &Name) -> Result<PackageHead, Refusal> {
    view.package(name.key())
        .map_err(|error| unavailable(&error))?
        .ok_or_else(|| Refusal::NotFound(Some(format!("there is no package `{}`", name.npm))))
}

/// A feed that cannot be read while an action is decided.
pub(super) fn unavailable(error: &ViewError) -> Refusal {
    Refusal::Unavailable(error.to_string())
}

/// Refuses what clients would take for a range of versions.
pub(super) fn check(tag: &str) -> Result<(), Refusal> {
    let bare = tag.trim_start_matches(['v', 'V']);
    let part = |part: &str| {
        matches!(part, "x" | "X" | "*")
            || !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_range = bare.split('.').all(part)
        || NpmVersion::loose(tag).is_ok()
        || tag.contains(['<', '>', '=', '~', '^', '*', '|'])
        || tag.chars().any(char::is_whitespace);
    if tag.is_empty() || is_range {
        let tag = shorten(tag);
        return Err(Refusal::Invalid(format!(
            "`{tag}` is no tag: it could be a range of versions"
        )));
    }
    if tag.len() > LONGEST || tag.chars().any(char::is_control) {
        return Err(Refusal::Invalid(format!("`{}` is no tag", shorten(tag))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("latest", true)]
    #[case("next-1", true)]
    #[case("stable/x", true)]
    #[case("version-2", true)]
    #[case("", false)]
    #[case("1", false)]
    #[case("1.x", false)]
    #[case("v1", false)]
    #[case("1.0.0-rc.1", false)]
    #[case("x", false)]
    #[case("*", false)]
    #[case("^1", false)]
    #[case(">=1", false)]
    #[case("a b", false)]
    #[case("a\u{7}", false)]
    fn what_could_be_a_range_is_no_tag(#[case] tag: &str, #[case] accepted: bool) {
        assert_eq!(check(tag).is_ok(), accepted, "{tag}");
    }
}
