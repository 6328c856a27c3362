use std::io::{self, Write};
use std::ops::ControlFlow;

use hayloft_feed::native::{Answer, Body, Native, Render, RenderError, Request};
use hayloft_feed::{FeedTypeError, FileId, ReadSeek};

use super::{NativeError, NativeView};
use crate::{Download, SelectError, Staged, StagingError, Store, StoreError};

/// What the bytes of an answer are read from.
#[derive(Debug)]
#[non_exhaustive]
pub enum NativeContent<'a> {
    /// They are here.
    Bytes(Vec<u8>),
    /// They are written over the view that the answer is from.
    Render(Render<'a>),
    /// The beginning of a log: [`Store::read_index_log`].
    Log {
        /// Name of the log.
        log: Vec<u8>,
        /// Its generation.
        generation: u64,
        /// Bytes.
        length: u64,
    },
    /// Values of rows, one after the other: [`Store::index_row`].
    Rows {
        /// Keys of the rows.
        keys: Vec<Vec<u8>>,
        /// Bytes of all values together.
        length: u64,
    },
    /// A package file.
    File(Box<Download>),
    /// Something made of package files, in staging.
    Made(Box<Staged>),
}

/// The bytes of an answer cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// There is nothing of the kind after all.
    #[error("there is no such thing")]
    NotFound,
    /// The package file is gone, or blocked.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// A document could not be written.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Something could not be made of package files.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The bytes could not be read or taken.
    #[error("the answer could not be copied")]
    Copy(#[from] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Shows what a feed's own protocol answers to a GET: the server, and who embeds a store, ask
    /// by this call.
    ///
    /// An answer that needs a refresh first, such as a release that is to be signed, is refreshed
    /// and asked for again; if that cannot be done the last state is shown. The answer borrows from
    /// the view: take what you need of it, or write its body by [`Store::write_native`], inside
    /// `show`. Rights are the caller's business: [`Resource::access`] says which are needed.
    ///
    /// [`Resource::access`]: hayloft_feed::native::Resource::access
    pub fn native<T>(
        &self,
        feed: &str,
        request: &Request<'_>,
        show: impl FnOnce(&NativeView, Answer<'_>) -> T,
    ) -> Result<T, NativeError> {
        let subject = {
            let shown = self.native_view(feed)?;
            let view = shown.view();
            match protocol(&shown)?.resolve(&view, request)? {
                Answer::Refresh(subject) if !request.refreshed => subject,
                answer => return Ok(show(&shown, answer)),
            }
        };
        if let Err(error) = self.refresh(feed, &subject) {
            tracing::warn!(%error, feed, "an index could not be refreshed; the last is served");
        }
        let request = request.refreshed();
        let shown = self.native_view(feed)?;
        let view = shown.view();
        let answer = protocol(&shown)?.resolve(&view, &request)?;
        Ok(show(&shown, answer))
    }

    /// Finds what the body of an answer is read from, and makes what is made on request. `feed` is
    /// [`NativeView::feed`] of the view that the answer is from.
    pub fn native_content<'a>(
        &self,
        feed: u32,
        body: Body<'a>,
    ) -> Result<NativeContent<'a>, ContentError> {
        Ok(match body {
            Body::Bytes(bytes) => NativeContent::Bytes(bytes),
            Body::Render(render) => NativeContent::Render(render),
            Body::Log { log, generation, length } => NativeContent::Log { log, generation, length },
            Body::Rows { keys, length } => NativeContent::Rows { keys, length },
            Body::File(file) => NativeContent::File(Box::new(self.download_file(file)?)),
            Body::Content { sha256, file_name, .. } => {
                let file = self.file_with_content(feed, &sha256)?.ok_or(ContentError::NotFound)?;
                let download = self.download_file(file)?.called(file_name);
                NativeContent::File(Box::new(download))
            }
            Body::Document { file, name } => {
                let document = self.document(file, &name)?;
                NativeContent::Bytes(document.ok_or(ContentError::NotFound)?)
            }
            Body::Extract(order) => self.made(&[order.file], |files, out| match files {
                [file] => (order.extract)(*file, out),
                _ => Ok(()),
            })?,
            Body::Assemble(order) => self.made(&order.files, order.assemble)?,
            _ => return Err(ContentError::NotFound),
        })
    }

    /// Writes the whole body of an answer, and tells its length.
    pub fn write_native(
        &self,
        feed: u32,
        body: Body<'_>,
        out: &mut dyn Write,
    ) -> Result<u64, ContentError> {
        let mut out = Counted { out, written: 0 };
        match self.native_content(feed, body)? {
            NativeContent::Bytes(bytes) => out.write_all(&bytes)?,
            NativeContent::Render(render) => (render.0)(&mut out)?,
            NativeContent::Log { log, generation, length } => {
                let mut taken = Ok(());
                self.read_index_log(feed, &log, generation, 0..length, &mut |bytes| {
                    taken = out.write_all(bytes);
                    if taken.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                })?;
                taken?;
            }
            NativeContent::Rows { keys, .. } => {
                for key in keys {
                    let row = self.index_row(feed, &key)?;
                    out.write_all(&row.ok_or(ContentError::NotFound)?)?;
                }
            }
            NativeContent::File(mut download) => {
                io::copy(&mut download, &mut out)?;
            }
            NativeContent::Made(staged) => {
                io::copy(&mut staged.into_reader()?, &mut out)?;
            }
        }
        Ok(out.written)
    }

    fn made(
        &self,
        files: &[FileId],
        make: impl FnOnce(&mut [&mut dyn ReadSeek], &mut dyn Write) -> Result<(), FeedTypeError>,
    ) -> Result<NativeContent<'static>, ContentError> {
        let opened = files.iter().map(|file| self.download_file(*file));
        let mut opened = opened.collect::<Result<Vec<_>, _>>()?;
        let mut files: Vec<&mut dyn ReadSeek> =
            opened.iter_mut().map(|download| download as &mut dyn ReadSeek).collect();
        let mut staging = self.stage(None)?;
        make(&mut files, &mut staging).map_err(|error| match error {
            FeedTypeError::Io(error) => ContentError::Copy(error),
            _ => ContentError::NotFound,
        })?;
        Ok(NativeContent::Made(Box::new(staging.finish()?)))
    }
}

fn protocol(shown: &NativeView) -> Result<&dyn Native, NativeError> {
    shown.native().ok_or(NativeError::NoProtocol)
}

struct Counted<'a> {
    out: &'a mut dyn Write,
    written: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.out.write(bytes)?;
        self.written = self.written.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
