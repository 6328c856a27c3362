use std::collections::BTreeMap;

use hayloft_feed::native::{
    Action, ActionKind, Framing, Intake, Refusal, Request, StagedCard, UploadOrder,
};

use super::download::parameter;
use super::package_path::PackagePath;

/// The body is the package, whatever its type says: curl gives binary data the type of a form.
pub(super) fn intake(request: &Request<'_>) -> Result<Intake, Refusal> {
    let media_type = request.header("content-type").unwrap_or_default();
    if media_type.trim_start().to_ascii_lowercase().starts_with("multipart/") {
        return Err(Refusal::Unsupported(
            "send the package file as the body itself, not as a part of multipart data".to_owned(),
        ));
    }
    Ok(Intake::new(Framing::Raw, ActionKind::Upload))
}

/// A group, name or version in path or query has to be that of the package.
pub(super) fn decide(
    request: &Request<'_>,
    rest: &str,
    staged: &StagedCard,
) -> Result<Action, Refusal> {
    Ok(Action::Upload(UploadOrder {
        file_name: staged.file_name.clone(),
        hints: hints(request, rest)?,
        ..UploadOrder::default()
    }))
}

fn hints(request: &Request<'_>, rest: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let mut hints = BTreeMap::new();
    if !rest.is_empty() {
        let path = PackagePath::parse(rest, false)
            .ok_or_else(|| Refusal::Invalid("name a version behind the package".to_owned()))?;
        hints.insert("group".to_owned(), path.group);
        hints.insert("name".to_owned(), path.name);
        hints.extend(path.version.map(|version| ("version".to_owned(), version)));
    }
    for name in ["group", "name", "version"] {
        let Some(text) = parameter(request, name) else { continue };
        let known = hints.entry(name.to_owned()).or_insert_with(|| text.clone());
        if *known != text {
            let text = format!("path and query give different values for `{name}`");
            return Err(Refusal::Invalid(text));
        }
    }
    Ok(hints)
}
