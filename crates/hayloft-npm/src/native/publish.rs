use data_encoding::{BASE64, HEXLOWER};
use hayloft_feed::native::{
    Action, ActionKind, FeedView, Fields, Framing, JsonFile, Refusal, Request, StagedCard,
    UploadOrder,
};
use hayloft_feed::shorten;

use super::request::Name;
use super::tags::{check, object, unavailable};
use crate::NpmVersion;

/// A publish, or a packument that was changed: both are sent to the same URL.
pub(super) fn framing() -> Framing {
    Framing::Json {
        wanted: &[
            "_id",
            "_rev",
            "name",
            "dist-tags",
            "maintainers",
            "users",
            "versions.*.name",
            "versions.*.version",
            "versions.*.deprecated",
            "versions.*.dist.integrity",
            "versions.*.dist.shasum",
            "_attachments.*.length",
        ],
        file: Some(JsonFile { path: "_attachments.*.data", suffix: ".tgz" }),
    }
}

/// npm says which command it runs; who may only deprecate need not be allowed to publish.
pub(super) fn least(request: &Request<'_>) -> ActionKind {
    match request.header("npm-command") {
        Some("deprecate" | "undeprecate") => ActionKind::SetStatus,
        _ => ActionKind::Upload,
    }
}

pub(super) fn decide(
    view: &dyn FeedView,
    name: &Name,
    fields: &Fields,
    staged: &StagedCard,
) -> Result<Action, Refusal> {
    let invalid = |text: String| Refusal::Invalid(text);
    for path in [["_id"], ["name"]] {
        if let Some(given) = fields.json_text(&path).filter(|given| *given != name.npm.to_string())
        {
            let given = shorten(&given);
            return Err(invalid(format!("the URL names `{}`, the body `{given}`", name.npm)));
        }
    }
    let key = only_version(fields)?;
    let at = |member: &str| fields.json_text(&["versions", &key, member]);
    if let Some(given) = at("name").filter(|given| *given != name.npm.to_string()) {
        let given = shorten(&given);
        return Err(invalid(format!("the URL names `{}`, its version `{given}`", name.npm)));
    }
    let version = NpmVersion::clean(&key)
        .map(|version| version.version())
        .map_err(|error| invalid(format!("`{}` is not a version: it {error}", shorten(&key))))?;
    if let Some(given) = at("version")
        && NpmVersion::clean(&given).is_ok_and(|given| given.to_string() != version.text())
    {
        let (key, given) = (shorten(&key), shorten(&given));
        return Err(invalid(format!("the version `{key}` says that it is `{given}`")));
    }
    if let Some(why) = name.npm.legacy() {
        let known = view.package(name.key()).map_err(|error| unavailable(&error))?;
        if known.is_none() {
            return Err(invalid(format!(
                "a new package may not be called `{}`: it {why}",
                name.npm
            )));
        }
    }
    check_digests(fields, &key, staged)?;
    Ok(Action::Upload(UploadOrder {
        file_name: staged.file_name.clone(),
        tags: tags(fields, version.text())?,
        expect: Some((name.package.clone(), version)),
        ..UploadOrder::default()
    }))
}

fn only_version(fields: &Fields) -> Result<String, Refusal> {
    let mut keys: Vec<&String> =
        fields.below(&["versions"]).filter_map(|field| field.path.get(1)).collect();
    keys.dedup();
    match keys.as_slice() {
        [key] => Ok((*key).clone()),
        _ => Err(Refusal::Invalid("`versions` must hold the one version to publish".to_owned())),
    }
}

/// What the client thinks it sent; the URL and name that it gives its file are its own.
fn check_digests(fields: &Fields, key: &str, staged: &StagedCard) -> Result<(), Refusal> {
    let differs = |what: &str| {
        Err(Refusal::Invalid(format!("the file does not have the {what} that the body states")))
    };
    let dist = |member: &str| fields.json_text(&["versions", key, "dist", member]);
    let sha512 = format!("sha512-{}", BASE64.encode(&staged.digests.sha512));
    let integrity = dist("integrity").unwrap_or_default();
    // Of several digests the strongest counts.
    let mut strong = integrity.split_ascii_whitespace().filter(|one| one.starts_with("sha512-"));
    if strong.any(|one| one.split('?').next() != Some(&sha512)) {
        return differs("integrity");
    }
    let sha1 = HEXLOWER.encode(&staged.digests.sha1);
    if dist("shasum").is_some_and(|given| !given.eq_ignore_ascii_case(&sha1)) {
        return differs("shasum");
    }
    let name = staged.file_name.as_deref().unwrap_or_default();
    let length = fields.at(&["_attachments", name, "length"]);
    if length
        .and_then(|length| length.parse().ok())
        .is_some_and(|length: u64| length != staged.size)
    {
        return differs("length");
    }
    Ok(())
}

/// The tags that are to point at the version.
fn tags(fields: &Fields, version: &str) -> Result<Vec<String>, Refusal> {
    let Some(given) = fields.at(&["dist-tags"]).filter(|given| *given != "null") else {
        return Ok(Vec::new());
    };
    let mut tags = Vec::new();
    for (tag, text) in object(given)? {
        if NpmVersion::clean(&text).map_or(true, |text| text.to_string() != version) {
            let (tag, text) = (shorten(&tag), shorten(&text));
            let text = format!("the tag `{tag}` points at `{text}`, not at what is published");
            return Err(Refusal::Invalid(text));
        }
        check(&tag)?;
        tags.push(tag);
    }
    Ok(tags)
}
