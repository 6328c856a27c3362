use std::io::Write;

use hayloft_archive::{
    ArchiveError, Comments, Compression, ExtraFields, TarWriter, ZipEdit, ZipOutput, encoder,
};
use hayloft_feed::native::Extract;
use hayloft_feed::{Account, FeedTypeError, FileId, Limits, ReadSeek, Terms};

use crate::inspect::blamed;
use crate::package::{Container, Package};
use crate::{MANIFEST, TAG, content_path, refused};

/// The archive that the content of a package is put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Zip,
    Tgz,
}

impl Form {
    pub(super) fn of(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "zip" => Some(Self::Zip),
            "tgz" => Some(Self::Tgz),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Tgz => "tgz",
        }
    }

    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Zip => "application/zip",
            Self::Tgz => "application/gzip",
        }
    }
}

/// What may be unfolded of a package that somebody asks for: a few bytes must not make a disk full
/// of zeros.
pub(super) fn limits() -> Limits {
    let mut terms = Terms::default();
    terms.unfolded = 256 << 20;
    terms.ratio = 100;
    let mut limits = Limits::default();
    limits.account = Account::new(terms);
    limits
}

/// What lies under `package/`, with paths from there.
pub(super) fn of_package(file: FileId, form: Form) -> Extract {
    let extract = move |content: &mut dyn ReadSeek, out: &mut dyn Write| match form {
        Form::Zip => as_zip(content, out),
        Form::Tgz => as_tgz(content, out),
    };
    Extract { file, extract: Box::new(extract) }
}

fn as_zip(content: &mut dyn ReadSeek, out: &mut dyn Write) -> Result<(), FeedTypeError> {
    let limits = limits();
    let mut package = Package::open(content, &limits).map_err(blamed)?;
    let Container::Archive { zip, .. } = package.container() else {
        return empty_zip(out).map_err(|error| error.into_feed_type_error(TAG));
    };
    let edits: Vec<ZipEdit> = zip
        .entries()
        .iter()
        .map(|entry| match content_path(entry.path()) {
            Some(path) => ZipEdit::Rename { index: entry.index(), name: path.to_owned() },
            None => ZipEdit::Remove { index: entry.index() },
        })
        .collect();
    let output = ZipOutput { extra_fields: ExtraFields::Kept, comments: Comments::Dropped };
    zip.rewrite_with(&edits, output, out).map_err(|error| error.into_feed_type_error(TAG))
}

/// A bare manifest has no content.
fn empty_zip(out: &mut dyn Write) -> Result<(), ArchiveError> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    hayloft_archive::ZipWriter::new(&mut bytes)?.finish()?;
    out.write_all(bytes.get_ref()).map_err(ArchiveError::Io)
}

fn as_tgz(content: &mut dyn ReadSeek, out: &mut dyn Write) -> Result<(), FeedTypeError> {
    let limits = limits();
    let mut package = Package::open(content, &limits).map_err(blamed)?;
    let files: Vec<(usize, u64, String)> = package
        .entries()
        .filter_map(|entry| Some((entry.index(), entry.size(), entry.content_path()?.to_owned())))
        .collect();
    let mut write = || -> Result<(), ArchiveError> {
        let encoder = encoder(Compression::Gzip, Box::new(&mut *out))?;
        let mut tar = TarWriter::new(encoder, &limits);
        for (index, size, path) in &files {
            tar.add(path, 0o644, 0, *size, |out| package.copy_to(*index, *size, out).map(drop))?;
        }
        tar.finish()?.finish()
    };
    write().map_err(|error| error.into_feed_type_error(TAG))
}

/// The file at a path of the archive.
pub(super) fn file_of_package(file: FileId, path: String) -> Extract {
    let extract = move |content: &mut dyn ReadSeek, out: &mut dyn Write| {
        let limits = limits();
        let mut package = Package::open(content, &limits).map_err(blamed)?;
        if let Container::Bare(written) = package.container() {
            let is_manifest = path.trim_start_matches(['/', '\\']).eq_ignore_ascii_case(MANIFEST);
            return if is_manifest {
                out.write_all(written).map_err(FeedTypeError::Io)
            } else {
                Err(no_such_file())
            };
        }
        let found = package.find(&path).map(|entry| (entry.index(), entry.size()));
        let (index, size) = found.ok_or_else(no_such_file)?;
        let copied = package.copy_to(index, size, out);
        copied.map(drop).map_err(|error| error.into_feed_type_error(TAG))
    };
    Extract { file, extract: Box::new(extract) }
}

fn no_such_file() -> FeedTypeError {
    refused("the package has no such file")
}
