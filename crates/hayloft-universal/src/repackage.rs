use hayloft_archive::ZipEdit;
use hayloft_feed::{FeedTypeError, Identity, Limits, Repackage, Repackaged, shorten};

use crate::inspect::blamed;
use crate::manifest::{ManifestError, repackaged};
use crate::package::{Container, Package, is_twin_of_the_manifest};
use crate::{TAG, refused};

/// The stored file is not the package it is said to be.
#[derive(Debug, thiserror::Error)]
#[error("upack.json says {}, but the package is {}", shorten(found), shorten(known))]
struct OtherIdentity {
    found: String,
    known: String,
}

pub(crate) fn repackage(
    order: Repackage<'_>,
    limits: &Limits,
) -> Result<Repackaged, FeedTypeError> {
    let Repackage { source, from, to, entry, out, .. } = order;
    let mut package = Package::open(source, limits).map_err(blamed)?;
    check_identity(&package, from)?;
    let edit = |written: &[u8]| {
        let text = std::str::from_utf8(written).map_err(|_| ManifestError::Encoding)?;
        repackaged(text, to.version.text(), entry)
    };
    match package.container() {
        Container::Archive { zip, manifest, written } => {
            let bytes = edit(written).map_err(unchangeable)?.into_bytes();
            let twins = zip.entries().iter().filter(|entry| is_twin_of_the_manifest(entry));
            let mut edits: Vec<ZipEdit> =
                twins.map(|entry| ZipEdit::Remove { index: entry.index() }).collect();
            edits.push(ZipEdit::Replace { index: *manifest, bytes });
            zip.rewrite(&edits, out).map_err(|error| error.into_feed_type_error(TAG))?;
        }
        Container::Bare(written) => {
            let text = edit(written).map_err(unchangeable)?;
            out.write_all(text.as_bytes()).map_err(FeedTypeError::Io)?;
        }
    }
    Ok(Repackaged::plain())
}

fn check_identity(package: &Package<'_>, from: &Identity) -> Result<(), FeedTypeError> {
    let manifest = package.manifest();
    let name = manifest.package().package_name().map_err(refused)?;
    let version = manifest.version().version();
    if name == from.package && version == from.version {
        return Ok(());
    }
    Err(refused(OtherIdentity {
        found: format!("{} {version}", name.spelled()),
        known: format!("{} {}", from.package.spelled(), from.version),
    }))
}

fn unchangeable(error: ManifestError) -> FeedTypeError {
    FeedTypeError::NotRepackageable { detail: Box::new(error) }
}
