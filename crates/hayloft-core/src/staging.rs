//! Files on their way into the store.

use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hayloft_feed::{Digests, ReadSeek};

use crate::groups::Groups;
use crate::hashing::{CHUNK, FiveHashes, HelperFailed, Helpers};
use crate::space::Space;
use crate::{BlobKey, Fs, FsFile, StagedFile, StoreError};

/// How many bytes are written between looks at the free space.
const SPACE_CHECK: u64 = 64 << 20;

/// Where staged files lie.
#[derive(Debug)]
pub(crate) struct StagingArea {
    pub(crate) fs: Arc<dyn Fs>,
    /// `tmp/<epoch>`.
    pub(crate) directory: PathBuf,
    pub(crate) inline_limit: u64,
    pub(crate) space: Arc<Space>,
    pub(crate) max_file_size: u64,
    pub(crate) helpers: Arc<Helpers>,
    pub(crate) next: AtomicU64,
}

/// A file could not be staged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StagingError {
    /// More bytes than allowed.
    #[error("the file is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<StagingError> for io::Error {
    fn from(error: StagingError) -> Self {
        let kind = match &error {
            StagingError::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            StagingError::Store(StoreError::NoSpace { .. }) => io::ErrorKind::StorageFull,
            StagingError::Store(_) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// A file in `tmp`, removed when dropped.
#[derive(Debug)]
pub(crate) struct TempFile {
    fs: Arc<dyn Fs>,
    pub(crate) path: PathBuf,
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // Published files are no longer here; what cannot be removed goes at the next open.
        if let Err(error) = self.fs.remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.path.display(), "a staged file was not removed");
        }
    }
}

impl StagingArea {
    /// A new empty file.
    pub(crate) fn create(&self) -> Result<(TempFile, Box<dyn FsFile>), StoreError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(number.to_string());
        let mut created = self.fs.create(&path);
        // Made with the first file in it: a store opens on a full disk, too.
        if created.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            created =
                self.fs.create_directory(&self.directory).and_then(|()| self.fs.create(&path));
        }
        let file = created.map_err(StoreError::io("create", &path))?;
        Ok((TempFile { fs: self.fs.clone(), path }, file))
    }

    /// Begins a file of at most `limit` bytes.
    pub(crate) fn begin(self: &Arc<Self>, limit: Option<u64>) -> Result<Staging, StoreError> {
        self.space.check()?;
        Ok(Staging {
            limit: limit.unwrap_or(u64::MAX).min(self.max_file_size),
            inline_limit: self.inline_limit,
            hashes: FiveHashes::new(self.helpers.clone()),
            chunk: Vec::new(),
            held: Vec::new(),
            file: None,
            next_check: SPACE_CHECK,
            area: self.clone(),
        })
    }

    /// Hashes a file that was written at will, such as a repackaged one.
    pub(crate) fn adopt(
        self: &Arc<Self>,
        temp: TempFile,
        mut file: Box<dyn FsFile>,
    ) -> Result<Staged, StagingError> {
        let read = |error| StoreError::io("read", temp.path.clone())(error);
        let size = file.len().map_err(read)?;
        if size > self.max_file_size {
            return Err(StagingError::TooLarge { limit: self.max_file_size });
        }
        file.seek(SeekFrom::Start(0)).map_err(read)?;
        let mut hashes = FiveHashes::new(self.helpers.clone());
        let mut held = Vec::new();
        let in_memory = size <= self.inline_limit;
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            let bound = u64::try_from(CHUNK).unwrap_or(u64::MAX);
            io::copy(&mut (&mut file).take(bound), &mut chunk).map_err(read)?;
            if chunk.is_empty() {
                break;
            }
            if in_memory {
                held.extend_from_slice(&chunk);
            }
            hashes.update(&Arc::new(chunk)).map_err(helper_failed)?;
        }
        let (digests, groups) = hashes.finish().map_err(helper_failed)?;
        let content = if in_memory {
            Content::Memory(Arc::new(held))
        } else {
            Content::File(temp, file.into())
        };
        Ok(Staged { size, digests, groups, content, area: self.clone() })
    }
}

fn helper_failed(error: HelperFailed) -> StoreError {
    StoreError::io("hash", "the staged file")(io::Error::other(error))
}

/// A file on its way into a store: write the bytes, then [`Staging::finish`].
///
/// Hashes while it writes, in one pass. Nothing refers to it yet; dropping it removes it. Errors of
/// `write` hold a [`StagingError`]; their kind is `FileTooLarge` if there are more bytes than
/// allowed.
#[derive(Debug)]
pub struct Staging {
    area: Arc<StagingArea>,
    limit: u64,
    inline_limit: u64,
    hashes: FiveHashes,
    /// Bytes that were neither hashed nor stored yet.
    chunk: Vec<u8>,
    /// The whole file, while it is small.
    held: Vec<u8>,
    file: Option<(TempFile, Box<dyn FsFile>)>,
    next_check: u64,
}

impl Write for Staging {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.take(bytes)?)
    }

    /// Does nothing: bytes are durable only once they are part of a package.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Staging {
    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        let pending = u64::try_from(self.chunk.len()).unwrap_or(u64::MAX);
        self.hashes.size().saturating_add(pending)
    }

    /// Takes in all of `bytes`.
    pub(crate) fn append(&mut self, mut bytes: &[u8]) -> Result<(), StagingError> {
        while !bytes.is_empty() {
            bytes = bytes.get(self.take(bytes)?..).unwrap_or_default();
        }
        Ok(())
    }

    /// Takes in as many bytes as fit into the current chunk.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, StagingError> {
        let room = CHUNK.saturating_sub(self.chunk.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.check_limit(taken.len())?;
        self.chunk.extend_from_slice(taken);
        if self.chunk.len() >= CHUNK {
            self.drain()?;
        }
        Ok(taken.len())
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<Staged, StagingError> {
        if !self.chunk.is_empty() {
            self.drain()?;
        }
        let size = self.hashes.size();
        let (digests, groups) = self.hashes.finish().map_err(helper_failed)?;
        let file = match self.file {
            None if size <= self.inline_limit => None,
            // An empty file where nothing lies inline.
            None => Some(self.area.create()?),
            file => file,
        };
        let content = match file {
            Some((temp, file)) => Content::File(temp, file.into()),
            None => Content::Memory(Arc::new(self.held)),
        };
        Ok(Staged { size, digests, groups, content, area: self.area })
    }

    fn check_limit(&self, more: usize) -> Result<(), StagingError> {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        if self.size().saturating_add(more) > self.limit {
            return Err(StagingError::TooLarge { limit: self.limit });
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), StoreError> {
        let chunk = Arc::new(std::mem::take(&mut self.chunk));
        self.hashes.update(&chunk).map_err(helper_failed)?;
        let stays_in_memory = self.file.is_none() && self.hashes.size() <= self.inline_limit;
        if stays_in_memory {
            self.held.extend_from_slice(&chunk);
        } else {
            self.store(&chunk)?;
        }
        // The buffer is used again unless the hashing thread still reads it.
        self.chunk = Arc::try_unwrap(chunk).unwrap_or_default();
        self.chunk.clear();
        Ok(())
    }

    fn store(&mut self, chunk: &[u8]) -> Result<(), StoreError> {
        if self.hashes.size() >= self.next_check {
            self.area.space.check()?;
            self.next_check = self.hashes.size().saturating_add(SPACE_CHECK);
        }
        if self.file.is_none() {
            self.file = Some(self.area.create()?);
        }
        let Some((temp, file)) = &mut self.file else { return Ok(()) };
        let held = std::mem::take(&mut self.held);
        file.write_all(&held)
            .and_then(|()| file.write_all(chunk))
            .map_err(StoreError::io("write", &temp.path))
    }
}

#[derive(Debug)]
pub(crate) enum Content {
    Memory(Arc<Vec<u8>>),
    /// With the descriptor that wrote it, which is also the one to flush: another might not be told
    /// of bytes that could not be written.
    File(TempFile, Arc<dyn FsFile>),
}

/// A complete file in staging; dropping it removes it.
#[derive(Debug)]
pub struct Staged {
    size: u64,
    digests: Digests,
    groups: Groups,
    content: Content,
    area: Arc<StagingArea>,
}

impl Staged {
    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Digests of the whole file.
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// Opens the file for reading, from its start.
    pub fn read(&self) -> Result<Box<dyn ReadSeek + Send>, StoreError> {
        match &self.content {
            Content::Memory(bytes) => Ok(Box::new(Cursor::new(SharedBytes(bytes.clone())))),
            Content::File(temp, _) => {
                let file =
                    self.area.fs.open(&temp.path).map_err(StoreError::io("open", &temp.path))?;
                Ok(Box::new(BufReader::with_capacity(64 << 10, file)))
            }
        }
    }

    /// Reads the file from its start; it goes away with the reader.
    pub fn into_reader(self) -> Result<Box<dyn ReadSeek + Send>, StoreError> {
        let content = self.read()?;
        Ok(Box::new(Kept { content, _staged: self }))
    }

    /// True if it lies where this store stages files.
    pub(crate) fn is_of(&self, area: &Arc<StagingArea>) -> bool {
        Arc::ptr_eq(&self.area, area)
    }

    pub(crate) fn key(&self) -> BlobKey {
        BlobKey(self.digests.blake3)
    }

    /// Hashes of its groups.
    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    /// The file to publish, if it lies in one.
    pub(crate) fn staged_file(&self) -> Option<StagedFile> {
        match &self.content {
            Content::Memory(_) => None,
            Content::File(temp, file) => {
                Some(StagedFile { path: temp.path.clone(), size: self.size, file: file.clone() })
            }
        }
    }
}

/// Bytes of a small file that several may read.
#[derive(Debug, Clone)]
struct SharedBytes(Arc<Vec<u8>>);

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A reader that keeps its file from being removed.
struct Kept {
    content: Box<dyn ReadSeek + Send>,
    _staged: Staged,
}

impl Read for Kept {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.content.read(into)
    }
}

impl Seek for Kept {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.content.seek(to)
    }
}
