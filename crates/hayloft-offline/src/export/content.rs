//! The bytes of an answer, on their way into a target.

use std::io::{self, Write};
use std::ops::ControlFlow;

use data_encoding::HEXLOWER;
use hayloft_core::{Download, SelectError, Store};
use hayloft_feed::native::{
    Assemble, Body, Extract, FeedView, RenderError, Resource, Validator, ViewError,
};
use hayloft_feed::{FeedTypeError, FileId, ReadSeek};
use sha2::{Digest, Sha256};

use super::ExportError;
use super::ledger::FileRecord;
use super::run::Interrupted;
use crate::{Draft, Target};

/// An address that no server has: documents that hold it need a real one.
pub(super) const NOWHERE: &str = "https://base-url-of-this-export.invalid";

/// What the bytes of an answer follow from, as it is written down.
pub(super) fn validator(resource: &Resource<'_>) -> String {
    match &resource.validator {
        Validator::Derived(bytes) => format!("derived:{}", HEXLOWER.encode(bytes)),
        Validator::Exact(text) => format!("exact:{text}"),
    }
}

/// Whether this is, or comes out of, a package: what documents name.
pub(super) fn is_of_package(body: &Body<'_>) -> bool {
    matches!(
        body,
        Body::File(_)
            | Body::Content { .. }
            | Body::Document { .. }
            | Body::Extract(_)
            | Body::Assemble(_)
    )
}

/// Whether this is a package file itself.
pub(super) fn is_package(body: &Body<'_>) -> bool {
    matches!(body, Body::File(_) | Body::Content { .. })
}

/// A file that is written but not seen yet.
pub(super) struct Written {
    pub(super) draft: Box<dyn Draft>,
    pub(super) record: FileRecord,
}

/// Everything that a body is made of.
pub(super) struct Source<'a> {
    pub(super) store: &'a Store,
    pub(super) feed: u32,
    pub(super) view: &'a dyn FeedView,
    pub(super) target: &'a dyn Target,
    pub(super) path: &'a str,
    /// Whether to look for the address that is none.
    pub(super) looks: bool,
}

impl Source<'_> {
    /// Opens the package file of an answer, if it is one, with its length and SHA-256.
    pub(super) fn file(&self, body: &Body<'_>) -> Result<Option<Download>, Interrupted> {
        match body {
            Body::File(file) => self.open(*file).map(Some),
            Body::Content { sha256, .. } => {
                let file = self.store.file_with_content(self.feed, sha256)?;
                self.open(file.ok_or(Interrupted::Changed)?).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn open(&self, file: FileId) -> Result<Download, Interrupted> {
        self.store.download_file(file).map_err(|error| match error {
            // It was deleted or blocked after the view was taken.
            SelectError::NotFound { .. } | SelectError::Blocked { .. } => Interrupted::Changed,
            SelectError::Store(error) => error.into(),
            other => ExportError::Package(other).into(),
        })
    }

    /// Copies a package file.
    pub(super) fn copy(
        &self,
        mut download: Download,
        validator: String,
    ) -> Result<Written, Interrupted> {
        let mut out = self.begin()?;
        io::copy(&mut download, &mut out).map_err(ExportError::Target)?;
        let digest = download.file().digests.sha256;
        let written = out.end(validator, true)?;
        if written.record.sha256 != HEXLOWER.encode(&digest) {
            let file = download.file().file_name.clone();
            return Err(ExportError::Damaged { file }.into());
        }
        Ok(written)
    }

    /// Makes any other answer; `None` if there is nothing after all.
    pub(super) fn make(
        &self,
        body: Body<'_>,
        validator: String,
    ) -> Result<Option<Written>, Interrupted> {
        let mut out = self.begin()?;
        let failed = ExportError::Target;
        match body {
            Body::Bytes(bytes) => out.write_all(&bytes).map_err(failed)?,
            Body::Render(render) => (render.0)(&mut out).map_err(|error| match error {
                RenderError::View(error) => ExportError::View(error),
                RenderError::Output(error) => ExportError::Target(error),
                other => ExportError::Target(io::Error::other(other)),
            })?,
            Body::Log { log, length, .. } => {
                let mut left = length;
                let mut written = Ok(());
                self.view.read_log(&log, &mut |bytes| {
                    let some = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    written = out.write_all(bytes.get(..some).unwrap_or_default());
                    left -= some as u64;
                    if left == 0 || written.is_err() {
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                })?;
                written.map_err(failed)?;
            }
            Body::Rows { keys, .. } => {
                for key in keys {
                    let row = self.view.row(&key)?.ok_or_else(|| ViewError::damaged("a row"))?;
                    out.write_all(&row).map_err(failed)?;
                }
            }
            Body::Document { file, name } => {
                let Some(bytes) = self.store.document(file, &name)? else {
                    return Err(Interrupted::Changed);
                };
                out.write_all(&bytes).map_err(failed)?;
            }
            Body::Extract(Extract { file, extract }) => {
                let mut download = self.open(file)?;
                if !self.is_there(extract(&mut download, &mut out))? {
                    return Ok(None);
                }
            }
            Body::Assemble(Assemble { files, assemble }) => {
                let opened = files.into_iter().map(|file| self.open(file));
                let mut opened = opened.collect::<Result<Vec<_>, _>>()?;
                let mut files: Vec<&mut dyn ReadSeek> =
                    opened.iter_mut().map(|file| file as &mut dyn ReadSeek).collect();
                if !self.is_there(assemble(&mut files, &mut out))? {
                    return Ok(None);
                }
            }
            _ => return Ok(None),
        }
        out.end(validator, false).map(Some)
    }

    fn is_there(&self, made: Result<(), FeedTypeError>) -> Result<bool, Interrupted> {
        match made {
            Ok(()) => Ok(true),
            Err(source @ FeedTypeError::Io(_)) => {
                Err(ExportError::Content { path: self.path.to_owned(), source }.into())
            }
            Err(_) => Ok(false),
        }
    }

    fn begin(&self) -> Result<Out, Interrupted> {
        let draft = self.target.draft().map_err(ExportError::Target)?;
        Ok(Out {
            draft,
            sha256: Sha256::new(),
            size: 0,
            tail: Vec::new(),
            looks: self.looks,
            holds_address: false,
        })
    }
}

/// Writes, counts, digests, and looks out for the address that is none.
struct Out {
    draft: Box<dyn Draft>,
    sha256: Sha256,
    size: u64,
    /// The end of what was written, where the address may begin.
    tail: Vec<u8>,
    looks: bool,
    holds_address: bool,
}

impl Out {
    fn end(self, validator: String, package: bool) -> Result<Written, Interrupted> {
        if self.holds_address {
            return Err(ExportError::NeedsBaseUrl.into());
        }
        let sha256 = HEXLOWER.encode(&self.sha256.finalize());
        let record = FileRecord { validator, sha256, size: self.size, package };
        Ok(Written { draft: self.draft, record })
    }

    fn look(&mut self, bytes: &[u8]) {
        let needle = NOWHERE.as_bytes();
        let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        // A document names its feed where it names it at all: no need to look on and on.
        let keep = needle.len() - 1;
        let head = bytes.get(..bytes.len().min(keep)).unwrap_or_default();
        self.tail.extend_from_slice(head);
        self.holds_address = holds(&self.tail) || holds(bytes);
        if bytes.len() >= keep {
            self.tail = bytes.get(bytes.len() - keep..).unwrap_or_default().to_vec();
        } else if self.tail.len() > keep {
            self.tail.drain(..self.tail.len() - keep);
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.draft.write(bytes)?;
        let bytes = bytes.get(..written).unwrap_or_default();
        self.sha256.update(bytes);
        self.size += written as u64;
        if self.looks && !self.holds_address {
            self.look(bytes);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.draft.flush()
    }
}
