use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use hayloft_feed::native::{Action, Change, Edit, FeedView, Fields, Refusal, Reply, Want};
use hayloft_feed::{Deprecation, PackageHead, Version};

use super::packument::{is_shown, version};
use super::request::Name;
use super::tags::{check, head, object, shown, unavailable};
use super::version_object::version_of_file;

/// A packument that comes back changed is never stored: what differs in it from what is shown is
/// applied. The client may have made it of an old or abbreviated copy.
///
/// Here only texts of deprecation count.
pub(super) fn deprecate(
    view: &dyn FeedView,
    name: &Name,
    fields: &Fields,
) -> Result<Action, Refusal> {
    let head = head(view, name)?;
    let given = given(fields);
    if given.is_empty() {
        refuse_people(fields)?;
        let text = "the body holds neither a file to publish nor versions that changed";
        return Err(Refusal::Invalid(text.to_owned()));
    }
    let texts = deprecations(fields);
    let mut changes = Vec::new();
    let mut named: Vec<Version> = texts.keys().filter_map(|text| version(text)).collect();
    named.sort_by(|one, other| one.sort_key().cmp(other.sort_key()));
    if let (Some(lowest), Some(highest)) = (named.first(), named.last()) {
        let (lowest, highest) = (lowest.sort_key().as_bytes(), highest.sort_key().as_bytes());
        let named = Want::nothing().between(lowest, highest);
        each_shown(view, &head, &named, &mut |found, present| {
            let Some(text) = texts.get(found.identity()).cloned() else { return };
            let present = present.unwrap_or_default();
            if text != present {
                let deprecation = Deprecation { reason: Some(text.clone()), details: None };
                changes.push(Change::Deprecate(found, (!text.is_empty()).then_some(deprecation)));
            }
        })?;
    }
    let expect = fields.json_text(&["_rev"]).map(|text| revision(&text)).transpose()?;
    Ok(Action::Edit(Edit::new(head.name, changes).expect(expect)))
}

/// What is missing in the document is removed, and tags become as they are in it.
pub(super) fn unpublish_some(
    view: &dyn FeedView,
    name: &Name,
    stated: &str,
    fields: &Fields,
) -> Result<Action, Refusal> {
    let head = head(view, name)?;
    let expect = revision(stated)?;
    let given = given(fields);
    if given.is_empty() {
        refuse_people(fields)?;
        let text = "the document holds no versions; to remove all, delete the package";
        return Err(Refusal::Invalid(text.to_owned()));
    }
    let mut changes = Vec::new();
    let mut gone = BTreeSet::new();
    each_shown(view, &head, &Want::nothing(), &mut |found, _| {
        if !given.contains(found.identity()) {
            gone.insert(found.identity().to_owned());
            changes.push(Change::Remove(found, None));
        }
    })?;
    tags(view, &head, fields, &gone, &mut changes)?;
    Ok(Action::Edit(Edit::new(head.name, changes).expect(Some(expect))))
}

pub(super) fn unpublish_all(
    view: &dyn FeedView,
    name: &Name,
    stated: &str,
) -> Result<Action, Refusal> {
    let head = head(view, name)?;
    let expect = revision(stated)?;
    let edit = Edit::new(head.name, vec![Change::RemoveAll]);
    Ok(Action::Edit(edit.expect(Some(expect))))
}

/// The last of the requests that remove a version: the first has done it as a rule.
pub(super) fn unpublish_tarball(
    view: &dyn FeedView,
    name: &Name,
    file: &str,
) -> Result<Action, Refusal> {
    let gone = || Action::Reply(Reply::json(200, r#"{"ok":true}"#));
    let found = view.package(name.key()).map_err(|error| unavailable(&error))?;
    let (Some(head), Some(version)) = (found, version_of_file(name, file)) else {
        return Ok(gone());
    };
    let there = view
        .version(name.key(), &version, &Want::nothing(), &mut |_| {})
        .map_err(|error| unavailable(&error))?;
    if !there {
        return Ok(gone());
    }
    Ok(Action::Edit(Edit::new(head.name, vec![Change::Remove(version, None)])))
}

/// The identities of the versions that a document holds.
fn given(fields: &Fields) -> BTreeSet<String> {
    fields
        .below(&["versions"])
        .filter_map(|field| version(field.path.get(1)?))
        .map(|version| version.identity().to_owned())
        .collect()
}

/// The texts of deprecation that a document states, by identity of the version.
fn deprecations(fields: &Fields) -> BTreeMap<String, String> {
    let stated = fields.below(&["versions"]).filter_map(|field| {
        let [_, text, member] = field.path.as_slice() else { return None };
        let found = version(text).filter(|_| member == "deprecated")?;
        let text = match serde_json::from_str(&field.value) {
            Ok(text) => text,
            // Old clients send `false`, or nothing but the flag.
            Err(_) if field.value == "true" => "this version is deprecated".to_owned(),
            Err(_) => String::new(),
        };
        Some((found.identity().to_owned(), text))
    });
    stated.collect()
}

/// Shows the versions that clients see, with their texts of deprecation. Those that no document
/// shows are missing in every client's copy, and no client means them.
fn each_shown(
    view: &dyn FeedView,
    head: &PackageHead,
    want: &Want<'_>,
    see: &mut dyn FnMut(Version, Option<String>),
) -> Result<(), Refusal> {
    view.versions(head.name.key(), want, &mut |entry| {
        if is_shown(entry.status) {
            let deprecated = entry.status.deprecated.as_ref();
            let text = deprecated.map(|found| found.reason.clone().unwrap_or_default());
            see(entry.version(), text);
        }
        ControlFlow::Continue(())
    })
    .map_err(|error| unavailable(&error))
}

fn tags(
    view: &dyn FeedView,
    head: &PackageHead,
    fields: &Fields,
    gone: &BTreeSet<String>,
    changes: &mut Vec<Change>,
) -> Result<(), Refusal> {
    let Some(raw) = fields.at(&["dist-tags"]) else { return Ok(()) };
    let given = object(raw)?;
    for (tag, text) in &given {
        if head.tags.get(tag).is_some_and(|present| present == text) {
            continue;
        }
        check(tag)?;
        let found = shown(view, head, text)?;
        if !gone.contains(found.identity()) {
            changes.push(Change::SetTag(tag.clone(), found));
        }
    }
    let dropped = head.tags.iter().filter(|(tag, text)| {
        let stays = version(text).is_some_and(|version| !gone.contains(version.identity()));
        *tag != "latest" && stays && !given.contains_key(*tag)
    });
    changes.extend(dropped.map(|(tag, _)| Change::RemoveTag(tag.clone())));
    Ok(())
}

/// The number in a revision that was shown here.
fn revision(text: &str) -> Result<u64, Refusal> {
    let number = text.split('-').next().and_then(|number| number.parse().ok());
    number.ok_or_else(|| {
        Refusal::Conflict("the revision is not one of this package; read it again".to_owned())
    })
}

/// Stars and owners are sent in the same way.
fn refuse_people(fields: &Fields) -> Result<(), Refusal> {
    if fields.at(&["maintainers"]).is_some() {
        let text = "owners are not kept here: who may publish is a matter of keys and their rights";
        return Err(Refusal::Forbidden(text.to_owned()));
    }
    if fields.at(&["users"]).is_some() {
        return Err(Refusal::Forbidden("stars are not kept here".to_owned()));
    }
    Ok(())
}
