use std::error::Error;

use hayloft_feed::{
    Document, FeedTypeError, Fragment, HistoryEntry, Identity, Inspected, Limits, Upload,
};

use crate::container::{Container, ContainerError};
use crate::control::Control;
use crate::manifest::Manifest;
use crate::native::entry::Entry;
use crate::placement::Placement;
use crate::{TAG, package_name, version};

/// Reads identity, manifest and history out of a package.
pub(crate) fn inspect(upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
    let content = upload.content;
    let container =
        Container::open(content, limits).map_err(ContainerError::into_feed_type_error)?;
    let text = container.control_text(content, limits);
    let (text, _) = text.map_err(ContainerError::into_feed_type_error)?;
    container.check_names(content, limits).map_err(ContainerError::into_feed_type_error)?;
    let history = container.history_text(content, limits);
    let history = history.map_err(ContainerError::into_feed_type_error)?;

    let control = Control::parse(&text)
        .map_err(|error| FeedTypeError::Refused { feed_type: TAG, detail: Box::new(error) })?;
    let architecture = control.variant.as_ref().unwrap_or(&control.architecture).clone();
    let placement = Placement::of_upload(architecture, upload.hints, upload.remembered)?;
    let identity = Identity {
        package: package_name(&control.name)?,
        version: version(&control.version),
        qualifiers: placement.qualifiers(),
    };
    let mut warnings = control.warnings.clone();
    let history = match history {
        Some(Ok(text)) => HistoryEntry::parse_list(&text).unwrap_or_default(),
        Some(Err(error)) => {
            warnings.push(chain(&error));
            Vec::new()
        }
        None => Vec::new(),
    };
    let manifest = Manifest::of(&control, upload.file_name);
    let entry = Fragment { kind: Entry::FRAGMENT, bytes: Entry::encode(&control, &manifest) };
    let manifest = serde_json::to_string(&manifest)
        .map_err(|error| FeedTypeError::Refused { feed_type: TAG, detail: Box::new(error) })?;
    Ok(Inspected::new(identity, manifest)
        .with_fragments(vec![entry])
        .with_documents(vec![Document::new("control", text)])
        .with_history(history)
        .with_warnings(warnings))
}

fn chain(error: &dyn Error) -> String {
    let next = error.source().map(|source| format!(": {}", chain(source)));
    format!("{error}{}", next.unwrap_or_default())
}
