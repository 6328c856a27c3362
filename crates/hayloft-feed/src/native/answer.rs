use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::ops::ControlFlow;

use super::{FeedView, Refusal, Reply, VersionEntry, ViewError, Want};
use crate::{FeedTypeError, FileCard, FileId, PackageHead, ReadSeek, Timestamp};

/// The answer to a read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer<'a> {
    /// A document or a file.
    Resource(Resource<'a>),
    /// A short answer of its own, such as to a ping; never cached, no validator.
    Reply(Reply),
    /// Nothing of the kind; [`Native::refuse`](super::Native::refuse) words it.
    Refused(Refusal),
    /// It is elsewhere.
    Redirect(Redirect),
    /// This subject has to be refreshed first; then the request is resolved again with
    /// [`Request::refreshed`](super::Request) set.
    Refresh(Vec<u8>),
}

impl<'a> Answer<'a> {
    /// There is no such thing.
    pub fn not_found() -> Self {
        Self::Refused(Refusal::NotFound(None))
    }

    /// A package file, if there is one.
    pub fn file(file: Option<&FileCard>) -> Self {
        file.map_or_else(Self::not_found, |file| {
            Self::Resource(Resource::file(file.id, &file.digests.sha256))
        })
    }

    /// A resource, if there is one.
    pub fn found(resource: Option<Resource<'a>>) -> Self {
        resource.map_or_else(Self::not_found, Self::Resource)
    }

    /// A short answer in JSON; never cached, no validator.
    pub fn json(value: &serde_json::Value) -> Self {
        Self::Reply(Reply::json(200, value.to_string()))
    }

    /// A resource.
    pub fn resource(resource: Resource<'a>) -> Self {
        Self::Resource(resource)
    }
}

/// Where a redirect leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Status: 301, 302, 307 or 308.
    pub status: u16,
    /// Absolute URL, or relative to the one asked for.
    pub location: String,
}

/// Something that can be sent, described before it is made.
#[derive(Debug)]
#[non_exhaustive]
pub struct Resource<'a> {
    /// What changes when the bytes may.
    pub validator: Validator,
    /// When it last changed: declare it only if clients send `If-Modified-Since` for it.
    pub changed: Option<Timestamp>,
    /// Media type.
    pub media_type: Cow<'static, str>,
    /// Request headers that the choice depended on, such as `Accept`.
    pub vary: &'static [&'static str],
    /// How long it holds.
    pub caching: Caching,
    /// What a caller must be allowed to.
    pub access: Access,
    /// Whether it may be sent compressed.
    pub encoding: Encoding,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The bytes.
    pub body: Body<'a>,
}

impl<'a> Resource<'a> {
    /// A document that is rendered when it has to be sent: to be viewed, revalidated each time,
    /// compressed if the client likes.
    pub fn document(
        validator: Validator,
        media_type: impl Into<Cow<'static, str>>,
        render: impl FnOnce(&mut dyn Write) -> Result<(), RenderError> + 'a,
    ) -> Self {
        Self::new(validator, media_type, Body::Render(Render(Box::new(render))))
    }

    /// A document that is one piece for each version of a package, in ascending order: `write`
    /// is shown each with its fragments of these kinds. Two such documents of a package differ in
    /// their media type or kinds.
    pub fn of_versions(
        view: &'a dyn FeedView,
        package: PackageHead,
        media_type: &'static str,
        kinds: &'static [u8],
        write: impl Fn(&VersionEntry<'_>, &mut dyn Write) -> io::Result<()> + 'a,
    ) -> Self {
        let form = data_encoding::HEXLOWER.encode(kinds);
        let validator = view.validator(package.revision, &["versions", media_type, &form]);
        Self::document(validator, media_type, move |out| {
            let mut written = Ok(());
            view.versions(package.name.key(), &Want::fragments(kinds), &mut |entry| {
                written = write(entry, out);
                if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            Ok(written?)
        })
    }

    /// A package file: to be downloaded, never compressed on the way, the same for ever under this
    /// validator.
    pub fn file(id: FileId, sha256: &[u8; 32]) -> Self {
        Self {
            caching: Caching::Immutable,
            access: Access::Download,
            encoding: Encoding::Identity,
            ..Self::new(
                Validator::exact(data_encoding::HEXLOWER.encode(sha256)),
                "application/octet-stream",
                Body::File(id),
            )
        }
    }

    /// Any body: to be viewed, revalidated, compressed if the client likes.
    pub fn new(
        validator: Validator,
        media_type: impl Into<Cow<'static, str>>,
        body: Body<'a>,
    ) -> Self {
        Self {
            validator,
            changed: None,
            media_type: media_type.into(),
            vary: &[],
            caching: Caching::Revalidate,
            access: Access::View,
            encoding: Encoding::Negotiated,
            headers: Vec::new(),
            body,
        }
    }

    /// Chosen by these request headers.
    #[must_use]
    pub fn vary(mut self, headers: &'static [&'static str]) -> Self {
        self.vary = headers;
        self
    }

    /// Changed at this time, for clients that send `If-Modified-Since`.
    #[must_use]
    pub fn changed(mut self, changed: Timestamp) -> Self {
        self.changed = Some(changed);
        self
    }

    /// The same for ever under its URL.
    #[must_use]
    pub fn immutable(mut self) -> Self {
        self.caching = Caching::Immutable;
        self
    }

    /// Never kept by anybody.
    #[must_use]
    pub fn unkept(mut self) -> Self {
        self.caching = Caching::Never;
        self
    }

    /// For those only who may download: it is, or comes out of, a package.
    #[must_use]
    pub fn download(mut self) -> Self {
        self.access = Access::Download;
        self
    }

    /// For everybody: it tells nothing.
    #[must_use]
    pub fn open(mut self) -> Self {
        self.access = Access::Open;
        self
    }

    /// Never compressed on the way.
    #[must_use]
    pub fn identity(mut self) -> Self {
        self.encoding = Encoding::Identity;
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What changes when the bytes of a resource may have changed; becomes its `ETag`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Validator {
    /// Of everything the bytes depend on: [`FeedView::validator`](super::FeedView::validator). The
    /// tag differs by content encoding.
    Derived([u8; 16]),
    /// A tag that the ecosystem prescribes, without quotes, the same for all encodings.
    Exact(String),
}

impl Validator {
    /// A prescribed tag.
    pub fn exact(text: impl Into<String>) -> Self {
        Self::Exact(text.into())
    }
}

/// How long an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caching {
    /// Ask again each time with its validator.
    Revalidate,
    /// As long as anybody likes: the URL names these bytes.
    Immutable,
    /// Not at all.
    Never,
}

/// What a caller must be allowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Access {
    /// Nothing, not even to see the feed: the bytes say nothing but what the URL says already.
    /// NuGet clients fetch the index of a feed without the key that they then push with.
    Open,
    /// See what there is.
    View,
    /// Get package files and what lies in them, too.
    Download,
}

/// Whether a body may be sent under a content encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// If the client accepts one.
    Negotiated,
    /// Never: the client unpacks by the file's own name, or compares bytes.
    Identity,
}

/// Where the bytes of a resource come from.
#[derive(Debug)]
#[non_exhaustive]
pub enum Body<'a> {
    /// Here.
    Bytes(Vec<u8>),
    /// Rendered over the view; kept by the cache under the validator.
    Render(Render<'a>),
    /// The beginning of a log's generation, as its head told.
    Log {
        /// Name of the log.
        log: Vec<u8>,
        /// Generation.
        generation: u64,
        /// Bytes.
        length: u64,
    },
    /// Values of index rows, one after the other; rows that stay as long as they can be asked for.
    Rows {
        /// Keys of the rows.
        keys: Vec<Vec<u8>>,
        /// Bytes of all values together.
        length: u64,
    },
    /// A package file.
    File(FileId),
    /// A content by its SHA-256 that a file of this feed has, or that a refresh keeps.
    Content {
        /// Which.
        sha256: [u8; 32],
        /// Bytes.
        size: u64,
        /// What the file is called.
        file_name: String,
    },
    /// A document that was kept with a file.
    Document {
        /// The file.
        file: FileId,
        /// Name of the document.
        name: String,
    },
    /// Something taken out of a package file when it is asked for.
    Extract(Extract),
    /// Something put together out of several package files when it is asked for.
    Assemble(Assemble),
}

/// Writes a document.
#[expect(clippy::type_complexity, reason = "it is written out in this one place")]
pub struct Render<'a>(pub Box<dyn FnOnce(&mut dyn Write) -> Result<(), RenderError> + 'a>);

impl fmt::Debug for Render<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Render")
    }
}

/// Reads something out of a package file.
pub struct Extract {
    /// The file.
    pub file: FileId,
    /// Reads the file and writes what is wanted; `Refused` and the like mean not found.
    #[expect(clippy::type_complexity, reason = "it is written out in this one place")]
    pub extract: Box<
        dyn FnOnce(&mut dyn ReadSeek, &mut dyn Write) -> Result<(), FeedTypeError> + Send + 'static,
    >,
}

impl fmt::Debug for Extract {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Extract").field("file", &self.file).finish_non_exhaustive()
    }
}

/// A document could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// What it is made of could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The bytes could not be taken.
    #[error("the document could not be written")]
    Output(#[from] io::Error),
}

/// Puts something together out of several package files.
pub struct Assemble {
    /// The files; a blocked one is refused.
    pub files: Vec<FileId>,
    /// Is shown the files in this order and writes what is wanted; `Refused` and the like mean not
    /// found.
    #[expect(clippy::type_complexity, reason = "it is written out in this one place")]
    pub assemble: Box<
        dyn FnOnce(&mut [&mut dyn ReadSeek], &mut dyn Write) -> Result<(), FeedTypeError>
            + Send
            + 'static,
    >,
}

impl fmt::Debug for Assemble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Assemble").field("files", &self.files).finish_non_exhaustive()
    }
}
