use std::collections::BTreeMap;
use std::io::{self, Read, SeekFrom};

use data_encoding::HEXLOWER;
use hayloft_archive::{Compression, Zip};
use hayloft_feed::{
    Document, FeedTypeError, HistoryEntry, Identity, Inspected, Limits, Qualifiers, ReadSeek,
    Upload, shorten,
};
use sha2::{Digest as _, Sha256};

use crate::file_name::{FileName, FileNameError, SdistForm, split_name_and_version};
use crate::form::{self, FormError};
use crate::metadata::ReadMetadata;
use crate::name::normalize;
use crate::native::fragments_of_file;
use crate::qualifiers::{FILE, FILE_KEYS};
use crate::wheel::{self, Wheel};
use crate::{Manifest, PypiName, TAG, refused, sdist};

/// The file is not one that can be accepted under its name, or without one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// The name of the file.
    #[error("the file name `{}` is not that of a wheel or a source distribution", shorten(name))]
    FileName {
        /// As uploaded.
        name: String,
        /// Which rule it breaks.
        #[source]
        source: FileNameError,
    },
    /// Two names were given.
    #[error("the file is called `{}` and `{}` at once", shorten(first), shorten(second))]
    TwoNames {
        /// By the upload.
        first: String,
        /// By a parameter.
        second: String,
    },
    /// Name and content disagree.
    #[error(
        "the file name `{}` does not match Name `{}` and Version `{}` in the file",
        shorten(file),
        shorten(name),
        shorten(version)
    )]
    Mismatch {
        /// As uploaded.
        file: String,
        /// By the metadata.
        name: String,
        /// By the metadata.
        version: String,
    },
    /// Neither of the two archive formats.
    #[error("the file is neither a zip nor a gzip archive")]
    Format,
    /// What the request says beside the file.
    #[error("the upload form does not match the file")]
    Form(#[source] FormError),
}

/// What a file holds, of whatever kind.
struct Found {
    metadata: ReadMetadata,
    document: Document,
    history: Vec<HistoryEntry>,
    /// The name that the content makes, for a file without one.
    name: Option<String>,
    is_wheel: bool,
    about: Option<wheel::About>,
}

pub(crate) fn inspect(upload: Upload<'_>, limits: &Limits) -> Result<Inspected, FeedTypeError> {
    let Upload { content, size, digests, file_name, hints, .. } = upload;
    let stated = stated_name(file_name, hints)?;
    let parsed = stated.map(parse_name).transpose()?;
    let form = match &parsed {
        Some(FileName::Wheel(_)) => None,
        Some(FileName::Sdist(name)) => Some(name.form),
        None => sniffed(content, limits)?,
    };
    let found = match form {
        None => read_wheel(content, limits)?,
        Some(form) => read_sdist(content, form, limits)?,
    };
    let Found { metadata, document, history, name, is_wheel, about } = found;
    let Some(file_name) = stated.map(str::to_owned).or(name) else {
        return Err(FeedTypeError::Missing { parameter: FILE });
    };
    let parsed = match parsed {
        Some(parsed) => parsed,
        None => parse_name(&file_name)?,
    };
    if !belongs_to(&parsed, &metadata) {
        return Err(refused(UploadError::Mismatch {
            file: file_name,
            name: metadata.fields.name,
            version: metadata.fields.version,
        }));
    }
    let package_type =
        Manifest::new(&file_name, &parsed, None, metadata.fields.clone()).packagetype;
    form::check(hints, digests, package_type, &metadata)
        .map_err(|error| refused(UploadError::Form(error)))?;
    form::check_blake2(hints, content)?;
    let mut warnings = metadata.warnings;
    if let (Some(about), FileName::Wheel(wheel)) = (about, &parsed) {
        about.compare(wheel, &mut warnings);
    }
    let core_metadata = is_wheel.then(|| HEXLOWER.encode(&Sha256::digest(&document.bytes)));
    let package =
        PypiName::package("", &metadata.fields.name).map_err(|error| FeedTypeError::Name {
            feed_type: TAG,
            text: metadata.fields.name.clone(),
            detail: error.into(),
        })?;
    let manifest = Manifest::new(&file_name, &parsed, core_metadata, metadata.fields);
    let project = normalize(package.name());
    let fragments = fragments_of_file(&manifest, &project, &digests.sha256, size);
    Ok(Inspected::new(
        Identity {
            package,
            version: metadata.version.checked(),
            qualifiers: Qualifiers::from_pairs([(FILE, file_name)])
                .map_err(|error| refused_box(error.into()))?,
        },
        serde_json::to_string(&manifest).map_err(|error| refused_box(error.into()))?,
    )
    .with_fragments(fragments)
    .with_documents(vec![document])
    .with_history(history)
    .with_warnings(warnings))
}

fn refused_box(detail: hayloft_feed::Detail) -> FeedTypeError {
    FeedTypeError::Refused { feed_type: TAG, detail }
}

/// The name from the upload or from a parameter, which must agree.
fn stated_name<'u>(
    file_name: Option<&'u str>,
    hints: &'u BTreeMap<String, String>,
) -> Result<Option<&'u str>, FeedTypeError> {
    let mut stated = file_name;
    for key in FILE_KEYS {
        let Some(hint) = hints.get(key) else { continue };
        match stated {
            Some(first) if !first.eq_ignore_ascii_case(hint) => {
                let (first, second) = (first.to_owned(), hint.clone());
                return Err(refused(UploadError::TwoNames { first, second }));
            }
            Some(_) => {}
            None => stated = Some(hint),
        }
    }
    Ok(stated)
}

fn parse_name(name: &str) -> Result<FileName, FeedTypeError> {
    name.parse().map_err(|source| refused(UploadError::FileName { name: name.to_owned(), source }))
}

fn belongs_to(name: &FileName, metadata: &ReadMetadata) -> bool {
    match name {
        FileName::Wheel(wheel) => {
            normalize(&wheel.distribution) == metadata.name.normalized()
                && wheel.version == metadata.version
        }
        FileName::Sdist(sdist) => {
            split_name_and_version(&sdist.stem, &metadata.name, &metadata.version).is_some()
        }
    }
}

/// What an unnamed file is by its content: `None` for a wheel.
pub(crate) fn sniffed(
    content: &mut dyn ReadSeek,
    limits: &Limits,
) -> Result<Option<SdistForm>, FeedTypeError> {
    let mut first_bytes = Vec::new();
    content.seek(SeekFrom::Start(0)).map_err(FeedTypeError::Io)?;
    io::copy(&mut (&mut *content).take(4), &mut first_bytes).map_err(FeedTypeError::Io)?;
    if Compression::sniff(&first_bytes) == Some(Compression::Gzip) {
        return Ok(Some(SdistForm::TarGz));
    }
    if !first_bytes.starts_with(b"PK") {
        return Err(refused(UploadError::Format));
    }
    let zip = Zip::open(content, limits).map_err(|error| error.into_feed_type_error(TAG))?;
    Ok((!wheel::is_wheel(&zip)).then_some(SdistForm::Zip))
}

fn read_wheel(content: &mut dyn ReadSeek, limits: &Limits) -> Result<Found, FeedTypeError> {
    let read = Wheel::open(content, limits)?.inspect(limits)?;
    Ok(Found {
        name: read.about.file_name(&read.metadata),
        metadata: read.metadata,
        document: Document::new(wheel::METADATA, read.document),
        history: read.history,
        is_wheel: true,
        about: Some(read.about),
    })
}

fn read_sdist(
    content: &mut dyn ReadSeek,
    form: SdistForm,
    limits: &Limits,
) -> Result<Found, FeedTypeError> {
    let read = sdist::inspect(content, form, limits)?;
    Ok(Found {
        name: Some(format!("{}{}", read.top, form.extension())),
        metadata: read.metadata,
        document: Document::new(sdist::PKG_INFO, read.document),
        history: read.history,
        is_wheel: false,
        about: None,
    })
}
