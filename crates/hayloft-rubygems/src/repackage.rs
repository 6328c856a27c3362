use std::collections::BTreeMap;
use std::io::{SeekFrom, Write};

use hayloft_archive::{ArchiveError, Compression, TarAction, TarAppend, encoder, rewrite_tar};
use hayloft_feed::{FeedTypeError, Limits, Repackage, Repackaged};

use crate::checksums::{self, MemberDigests, MemberHasher};
use crate::gem::{self, CHECKSUMS, Contents, DATA, HISTORY, damaged};
use crate::specification_edit::{SpecificationEditError, with_version};
use crate::{DependencyKind, GemVersion, Gemspec};

/// Writes a gem again under the version of `order.to`.
pub(crate) fn repackage(
    order: Repackage<'_>,
    limits: &Limits,
) -> Result<Repackaged, FeedTypeError> {
    let contents = gem::read(order.source, limits)?;
    let parsed = gem::specification(&contents, limits)?;
    gem::history(&contents, limits)?;
    let version: GemVersion = order.to.version.text().parse().map_err(not_repackageable)?;
    let metadata = with_version(&contents.metadata, &parsed.root, &version)
        .map_err(|error: SpecificationEditError| not_repackageable(error))?;
    let metadata = match contents.metadata_member.as_str() {
        "metadata" => metadata,
        _ => gzip(&metadata)?,
    };
    let checksums = new_checksums(&contents, &metadata)?;
    let entry = if contents.signatures.is_empty() {
        order.entry.clone()
    } else {
        order.entry.with_signature_removed()
    };
    let history =
        entry.append_to_list(contents.history.as_deref()).map_err(not_repackageable)?.into_bytes();
    let mut replacements: BTreeMap<&str, Vec<u8>> = BTreeMap::from([
        (contents.metadata_member.as_str(), metadata),
        (CHECKSUMS, checksums),
        (HISTORY, history),
    ]);
    let mut append = Vec::new();
    for name in [CHECKSUMS, HISTORY] {
        if !contents.digests.contains_key(name)
            && let Some(bytes) = replacements.remove(name)
        {
            append.push(TarAppend { path: name.into(), mode: 0o444, mtime: 0, bytes });
        }
    }
    order.source.seek(SeekFrom::Start(0)).map_err(FeedTypeError::Io)?;
    rewrite_tar(order.source, order.out, limits, &append, &mut |member| {
        let name = String::from_utf8_lossy(member.path());
        if contents.signatures.iter().any(|signature| *signature == name) {
            return Ok(TarAction::Remove);
        }
        Ok(match replacements.remove(name.as_ref()) {
            Some(bytes) => {
                TarAction::Edit { max: limits.metadata, edit: Box::new(move |_| Ok(bytes)) }
            }
            None => TarAction::Keep,
        })
    })
    .map_err(damaged)?;
    let mut done = Repackaged::plain();
    done.sibling_pins = sibling_pins(&parsed.gemspec);
    done.signatures_removed.clone_from(&contents.signatures);
    Ok(done)
}

fn not_repackageable(error: impl std::error::Error + Send + Sync + 'static) -> FeedTypeError {
    FeedTypeError::NotRepackageable { detail: Box::new(error) }
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>, FeedTypeError> {
    let mut packed = Vec::new();
    let mut encoder = encoder(Compression::Gzip, Box::new(&mut packed)).map_err(damaged)?;
    encoder.write_all(bytes).map_err(|e| damaged(ArchiveError::from_io(e)))?;
    encoder.finish().map_err(damaged)?;
    Ok(packed)
}

fn new_checksums(contents: &Contents, metadata: &[u8]) -> Result<Vec<u8>, FeedTypeError> {
    let metadata_digests = MemberHasher::of(metadata);
    let listed: Vec<(&str, &MemberDigests)> = [
        (contents.metadata_member.as_str(), Some(&metadata_digests)),
        (DATA, contents.digests.get(DATA)),
    ]
    .into_iter()
    .filter_map(|(name, digests)| Some((name, digests?)))
    .collect();
    gzip(checksums::render(&listed).as_bytes())
}

/// Dependencies on exactly the version that is being left, which gems of one family use.
fn sibling_pins(gemspec: &Gemspec) -> Vec<String> {
    let pin = format!("= {}", gemspec.version);
    gemspec
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Runtime)
        .filter(|dependency| dependency.requirements.contains(&pin))
        .map(|dependency| format!("{} {pin}", dependency.name))
        .collect()
}
