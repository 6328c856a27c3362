use hayloft_archive::{ExtraFields, ZipEdit, ZipOutput};
use hayloft_feed::{FeedTypeError, HistoryEntry, Limits, Repackage, Repackaged, json};
use roxmltree::Node;

use crate::content_types::{self, CONTENT_TYPES};
use crate::nuspec::{self, Nuspec};
use crate::package::{self, HISTORY, Package, PackageError, SIGNATURE};
use crate::xml::{self, XmlError, XmlText};
use crate::{NuGetVersion, NuspecError};

/// Folder of the properties that clients before version 3 read.
const PROPERTIES: &str = "package/services/metadata/core-properties/";

/// Writes a package again under another version.
///
/// Changed are the version in the nuspec and in the core properties, the content types if JSON has
/// none, and the history; the signature is left out. All other entries keep their compressed
/// bytes, times and places.
pub(crate) fn repackage(
    order: Repackage<'_>,
    limits: &Limits,
) -> Result<Repackaged, FeedTypeError> {
    let Repackage { source, from, to, entry, out, .. } = order;
    let mut package = Package::open(source, limits)?;
    let version: NuGetVersion = to.version.text().parse().map_err(package::detail)?;
    let mut edits = Vec::new();
    let mut done = Repackaged::plain();

    let (edit, nuspec) = nuspec_edit(&mut package, &version, limits)?;
    edits.push(edit);
    check_identity(&nuspec, from)?;
    done.sibling_pins = sibling_pins(&nuspec);

    if let Some(index) = package.zip.find(SIGNATURE) {
        edits.push(ZipEdit::Remove { index });
        done.signatures_removed.push(SIGNATURE.to_owned());
    }
    edits.extend(property_edits(&mut package, &version, limits)?);
    edits.extend(content_types_edit(&mut package, limits)?);
    let entry = if done.signatures_removed.is_empty() {
        entry.clone()
    } else {
        entry.with_signature_removed()
    };
    edits.extend(history_edits(&mut package, &entry)?);

    // Extra fields of local headers alone are leftovers, such as room to grow.
    let output = ZipOutput { extra_fields: ExtraFields::OfDirectory, ..ZipOutput::default() };
    package.zip.rewrite_with(&edits, output, out).map_err(package::refused)?;
    Ok(done)
}

fn nuspec_edit(
    package: &mut Package<'_>,
    version: &NuGetVersion,
    limits: &Limits,
) -> Result<(ZipEdit, Nuspec), FeedTypeError> {
    let index = package.nuspec();
    let entry = package.entry_name(index);
    let bytes = package.read_nuspec()?;
    let changed = || -> Result<(Vec<u8>, Nuspec), NuspecError> {
        let text = XmlText::decode(&bytes).map_err(NuspecError::Xml)?;
        let nuspec = nuspec::read(&text, limits)?;
        let changed = nuspec::with_version(&text, version.original(), limits)?;
        Ok((text.encode(&changed), nuspec))
    };
    let (bytes, nuspec) = changed()
        .map_err(|source| PackageError::Nuspec { entry, source: Box::new(source) }.refused())?;
    Ok((ZipEdit::Replace { index, bytes }, nuspec))
}

fn check_identity(nuspec: &Nuspec, from: &hayloft_feed::Identity) -> Result<(), FeedTypeError> {
    if nuspec.id.key().as_str() == from.package.name().to_ascii_lowercase()
        && nuspec.version.key() == from.version.identity()
    {
        return Ok(());
    }
    Err(PackageError::Stranger {
        found: format!("{} {}", nuspec.id, nuspec.version),
        stored: format!("{} {}", from.package.name(), from.version),
    }
    .not_repackageable())
}

/// Exact dependencies on the version that the package had.
fn sibling_pins(nuspec: &Nuspec) -> Vec<String> {
    let mut pins: Vec<String> = nuspec
        .pins
        .iter()
        .filter(|(_, version)| *version == nuspec.version)
        .map(|(id, version)| format!("{id} [{version}]"))
        .collect();
    pins.sort_unstable();
    pins.dedup();
    pins
}

fn property_edits(
    package: &mut Package<'_>,
    version: &NuGetVersion,
    limits: &Limits,
) -> Result<Vec<ZipEdit>, FeedTypeError> {
    let parts: Vec<usize> = package
        .paths()
        .filter(|(_, path)| {
            let path = path.to_ascii_lowercase();
            path.strip_prefix(PROPERTIES)
                .is_some_and(|name| name.ends_with(".psmdcp") && !name.contains('/'))
        })
        .map(|(index, _)| index)
        .collect();
    let mut edits = Vec::new();
    for index in parts {
        let bytes = read(package, index)?;
        let changed = with_property_version(&bytes, &version.normalized(), limits)
            .map_err(|source| not_changed(package, index, source))?;
        edits.extend(changed.map(|bytes| ZipEdit::Replace { index, bytes }));
    }
    Ok(edits)
}

/// Core properties with another version; `None` if they have none.
fn with_property_version(
    bytes: &[u8],
    version: &str,
    limits: &Limits,
) -> Result<Option<Vec<u8>>, XmlError> {
    let text = XmlText::decode(bytes)?;
    let document = text.parse(limits)?;
    let element = document
        .root_element()
        .children()
        .filter(Node::is_element)
        .find(|child| child.tag_name().name() == "version");
    let Some(span) = element.and_then(|element| xml::content_span(text.text(), element)) else {
        return Ok(None);
    };
    let content = text.text().get(span.clone()).unwrap_or_default();
    let content = xml::with_value(content, version);
    Ok(Some(text.encode(&json::replaced(text.text(), &span, &content))))
}

fn content_types_edit(
    package: &mut Package<'_>,
    limits: &Limits,
) -> Result<Option<ZipEdit>, FeedTypeError> {
    let Some(index) = package.find(CONTENT_TYPES) else { return Ok(None) };
    let bytes = read(package, index)?;
    let changed = || -> Result<Option<Vec<u8>>, XmlError> {
        let text = XmlText::decode(&bytes)?;
        Ok(content_types::with_json(&text, limits)?.map(|changed| text.encode(&changed)))
    };
    let changed = changed().map_err(|source| not_changed(package, index, source))?;
    Ok(changed.map(|bytes| ZipEdit::Replace { index, bytes }))
}

fn read(package: &mut Package<'_>, index: usize) -> Result<Vec<u8>, FeedTypeError> {
    package.read(index).map_err(stopped)
}

/// Parts that only repackaging reads may be damaged in a package that was accepted.
fn stopped(error: FeedTypeError) -> FeedTypeError {
    match error {
        FeedTypeError::Refused { detail, .. } => FeedTypeError::NotRepackageable { detail },
        other => other,
    }
}

fn not_changed(package: &Package<'_>, index: usize, source: XmlError) -> FeedTypeError {
    PackageError::Part { entry: package.entry_name(index), source }.not_repackageable()
}

/// Continues the history in its own file; that of older tools is moved there first.
fn history_edits(
    package: &mut Package<'_>,
    entry: &HistoryEntry,
) -> Result<Vec<ZipEdit>, FeedTypeError> {
    let history = package.history().map_err(stopped)?;
    if let Some(fault) = history.fault {
        return Err(fault.not_repackageable());
    }
    let fault =
        |source| PackageError::History { entry: HISTORY.to_owned(), source }.not_repackageable();
    let mut files = history.files.into_iter();
    let first = files.next();
    let mut text = first.as_ref().map(|file| file.text.clone());
    let mut indexes: Vec<usize> = first.iter().map(|file| file.index).collect();
    for file in files {
        for earlier in HistoryEntry::parse_list(&file.text).map_err(fault)? {
            text = Some(earlier.append_to_list(text.as_deref()).map_err(fault)?);
        }
        indexes.push(file.index);
    }
    let bytes = entry.append_to_list(text.as_deref()).map_err(fault)?.into_bytes();
    let mut edits = Vec::new();
    let mut bytes = Some(bytes);
    for index in indexes {
        let is_current = package.entry_name(index).eq_ignore_ascii_case(HISTORY);
        edits.push(match bytes.take_if(|_| is_current) {
            Some(bytes) => ZipEdit::Replace { index, bytes },
            None => ZipEdit::Remove { index },
        });
    }
    edits.extend(bytes.map(|bytes| ZipEdit::Append { name: HISTORY.to_owned(), bytes }));
    Ok(edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_properties_without_a_version_stay() {
        let limits = Limits::default();
        let with = |text: &str| {
            with_property_version(text.as_bytes(), "2.0.0", &limits)
                .map(|changed| changed.map(|bytes| String::from_utf8(bytes).unwrap()))
        };
        assert_eq!(with("<coreProperties/>"), Ok(None));
        let text = "\u{feff}<p xmlns='u'><a><version>9</version></a><version>1.0a</version></p>";
        assert_eq!(with(text), Ok(Some(text.replace("1.0a", "2.0.0"))));
        assert!(with("<p>").is_err());
    }
}
