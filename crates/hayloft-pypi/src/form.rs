use std::collections::BTreeMap;
use std::io::{self, SeekFrom};

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use data_encoding::HEXLOWER_PERMISSIVE;
use hayloft_feed::{Digests, FeedTypeError, ReadSeek, shorten};

use crate::inspect::UploadError;
use crate::manifest::PackageType;
use crate::metadata::ReadMetadata;
use crate::name::normalize;
use crate::{PypiVersion, refused};

/// A field of the upload form says something else than the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// One of `name`, `version` and `filetype`.
    #[error("`{field}` is `{}`, but the file has `{}`", shorten(given), shorten(found))]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What the form says.
        given: String,
        /// What the file says.
        found: String,
    },
    /// A digest of the file.
    #[error("`{field}` is not the digest of the file; upload it again")]
    Digest {
        /// Name of the field.
        field: &'static str,
    },
}

/// Compares what clients send beside a file; empty fields count as absent.
pub(crate) fn check(
    form: &BTreeMap<String, String>,
    digests: &Digests,
    package_type: PackageType,
    metadata: &ReadMetadata,
) -> Result<(), FormError> {
    let same_name = |given: &str| normalize(given) == metadata.name.normalized();
    let same_version =
        |given: &str| given.parse::<PypiVersion>().is_ok_and(|given| given == metadata.version);
    let same_type = |given: &str| given == package_type.word();
    field(form, "name", &metadata.fields.name, same_name)?;
    field(form, "version", &metadata.fields.version, same_version)?;
    field(form, "filetype", package_type.word(), same_type)?;
    digest(form, "md5_digest", &digests.md5)?;
    digest(form, "sha256_digest", &digests.sha256)
}

/// Compares the digest that no store computes, at the price of one pass, if a client sent it.
pub(crate) fn check_blake2(
    form: &BTreeMap<String, String>,
    content: &mut dyn ReadSeek,
) -> Result<(), FeedTypeError> {
    const FIELD: &str = "blake2_256_digest";
    if given(form, FIELD).is_none() {
        return Ok(());
    }
    let mut hasher = Hasher(Blake2b::new());
    content.seek(SeekFrom::Start(0)).map_err(FeedTypeError::Io)?;
    io::copy(content, &mut hasher).map_err(FeedTypeError::Io)?;
    digest(form, FIELD, &hasher.0.finalize()).map_err(|error| refused(UploadError::Form(error)))
}

struct Hasher(Blake2b<U32>);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn given<'f>(form: &'f BTreeMap<String, String>, field: &str) -> Option<&'f str> {
    form.get(field).map(|value| value.trim()).filter(|value| !value.is_empty())
}

fn field(
    form: &BTreeMap<String, String>,
    field: &'static str,
    found: &str,
    agrees: impl Fn(&str) -> bool,
) -> Result<(), FormError> {
    match given(form, field) {
        Some(given) if !agrees(given) => {
            Err(FormError::Field { field, given: given.to_owned(), found: found.to_owned() })
        }
        _ => Ok(()),
    }
}

fn digest(
    form: &BTreeMap<String, String>,
    field: &'static str,
    expected: &[u8],
) -> Result<(), FormError> {
    let Some(given) = given(form, field) else { return Ok(()) };
    match HEXLOWER_PERMISSIVE.decode(given.as_bytes()) {
        Ok(digest) if digest == expected => Ok(()),
        _ => Err(FormError::Digest { field }),
    }
}
