use hayloft_feed::{
    Document, FeedTypeError, FileRole, Identity, Inspected, Limits, Qualifiers, Upload, shorten,
};

use crate::nuspec::{self, Nuspec};
use crate::package::{self, Package, PackageError};
use crate::xml::XmlText;
use crate::{EmbeddedFile, License, Manifest, NuspecError, native, signature, symbols};

/// Extensions of license files that the public gallery takes.
const LICENSE_EXTENSIONS: [&str; 2] = ["txt", "md"];

/// The hint that says which of the two kinds of package is expected: `package` or `symbols`.
/// Publish protocols have an address for each.
const ROLE_HINT: &str = "role";

/// Reads identity, manifest, documents and history of a package.
pub(crate) fn inspect(upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
    let expected = upload.hints.get(ROLE_HINT).map(String::as_str);
    let content = upload.content;
    let (mut inspected, mut manifest, signed) = {
        let mut package = Package::open(&mut *content, limits)?;
        let signed = match package.signature() {
            Some((index, layout)) => {
                if let Some(entry) = package.zip.entries().get(index) {
                    signature::check_entry(entry).map_err(PackageError::Signature)?;
                }
                Some((index, layout, package.read(index)?))
            }
            None => None,
        };
        let (inspected, manifest) = read(&mut package, limits)?;
        match (expected, inspected.role) {
            (Some("package"), FileRole::Companion) => {
                return Err(PackageError::UnexpectedSymbols.refused());
            }
            (Some("symbols"), FileRole::Package) => {
                return Err(PackageError::NoSymbolPackage.refused());
            }
            _ => {}
        }
        (inspected, manifest, signed)
    };
    if let Some((index, layout, message)) = signed {
        manifest.signature = Some(signature::check(content, &layout, index, &message)?);
    }
    if inspected.role == FileRole::Package {
        inspected.fragments = native::fragments(&manifest).map_err(package::detail)?;
    }
    inspected.manifest = serde_json::to_string(&manifest).map_err(package::detail)?;
    Ok(inspected)
}

fn read(
    package: &mut Package<'_>,
    limits: &Limits,
) -> Result<(Inspected, Manifest), FeedTypeError> {
    let bytes = package.read_nuspec()?;
    let fault = |source: NuspecError, package: &Package<'_>| {
        PackageError::Nuspec {
            entry: package.entry_name(package.nuspec()),
            source: Box::new(source),
        }
        .refused()
    };
    let text = XmlText::decode(&bytes).map_err(|error| fault(NuspecError::Xml(error), package))?;
    let nuspec = nuspec::read(&text, limits).map_err(|error| fault(error, package))?;
    let Nuspec { id, version, mut manifest, mut warnings, .. } = nuspec;
    let mut documents = vec![Document::new("nuspec", bytes)];

    let is_symbol_package = manifest.is_symbol_package();
    if is_symbol_package {
        manifest.symbols = symbols::read(package)?;
        symbols::judge(&manifest, &mut warnings);
    } else {
        documents.extend(license(package, &manifest, &mut warnings)?);
        let readme = manifest.readme.take();
        manifest.readme = embedded(package, "readme", readme, &mut documents, &mut warnings)?;
        let icon = manifest.icon.take();
        manifest.icon = embedded(package, "icon", icon, &mut documents, &mut warnings)?;
    }
    let nuspecs =
        package.paths().filter(|(_, path)| path.to_ascii_lowercase().ends_with(".nuspec")).count();
    if nuspecs > 1 {
        warnings
            .push("there are more .nuspec files below the root, which count for nothing".into());
    }
    let history = package.history()?;
    if let Some(fault) = history.fault {
        warnings.push(fault.to_string());
    }
    let qualifiers =
        if is_symbol_package { crate::symbol_qualifiers() } else { Qualifiers::none() };
    let identity = Identity {
        package: id.package_name().map_err(package::detail)?,
        version: version.version().map_err(package::detail)?,
        qualifiers,
    };
    let role = if is_symbol_package { FileRole::Companion } else { FileRole::Package };
    let inspected = Inspected::new(identity, String::new())
        .with_documents(documents)
        .with_history(history.entries)
        .with_role(role)
        .with_warnings(warnings);
    Ok((inspected, manifest))
}

fn license(
    package: &mut Package<'_>,
    manifest: &Manifest,
    warnings: &mut Vec<String>,
) -> Result<Option<Document>, FeedTypeError> {
    let Some(License::File(path)) = &manifest.license else { return Ok(None) };
    let index = package
        .find(path)
        .ok_or_else(|| PackageError::NoLicense { path: path.to_owned() }.refused())?;
    let extension = path.rsplit('/').next().and_then(|file| file.rsplit_once('.'));
    if let Some((_, extension)) = extension
        && !LICENSE_EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension))
    {
        warnings.push(format!("the license file `{}` is neither .txt nor .md", shorten(path)));
    }
    Ok(Some(Document::new("license", package.read(index)?)))
}

/// Keeps the icon or readme as a document if a browser may be given it.
fn embedded(
    package: &mut Package<'_>,
    what: &'static str,
    named: Option<EmbeddedFile>,
    documents: &mut Vec<Document>,
    warnings: &mut Vec<String>,
) -> Result<Option<EmbeddedFile>, FeedTypeError> {
    let Some(EmbeddedFile { path, .. }) = named else { return Ok(None) };
    let Some(index) = package.find(&path) else {
        warnings.push(format!("the {what} `{}` is not in the package", shorten(&path)));
        return Ok(None);
    };
    let bytes = package.read(index)?;
    let media_type = match what {
        "icon" => icon_type(&bytes),
        _ => Some("text/markdown").filter(|_| {
            path.to_ascii_lowercase().ends_with(".md") && !bytes.trim_ascii().is_empty()
        }),
    };
    let Some(media_type) = media_type else {
        let expected = if what == "icon" { "a PNG or JPEG image" } else { "an .md file with text" };
        warnings.push(format!(
            "the {what} `{}` is left out, since it is not {expected}",
            shorten(&path)
        ));
        return Ok(None);
    };
    documents.push(Document::new(what, bytes));
    Ok(Some(EmbeddedFile { path, media_type: media_type.to_owned() }))
}

/// By content, since the extension is the package author's to choose.
fn icon_type(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else {
        None
    }
}
