//! Making the content of a staged file durable before any row names it.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::PoisonError;

use crate::blob_rows::Source;
use crate::codec::shown;
use crate::metrics::Meter;
use crate::records::{BlobRecord, BlobState, DigestsValue, Health, Place};
use crate::staging::Content;
use crate::store::Inner;
use crate::{
    BlobKey, BlobRead, Staged, StagedFile, StoreError, VerifyOnRead, inline_rows, rows, tables,
};

/// How many verified contents are remembered.
const VERIFIED: usize = 1 << 16;

/// Whether a content that seems to be there is published all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Publish {
    IfMissing,
    Again,
}

/// How a content comes with an operation, and the file that has to be published for that.
pub(crate) struct Way {
    pub(crate) source: Source,
    pub(crate) file: Option<StagedFile>,
}

impl Way {
    /// By what its row says now.
    pub(crate) fn of(staged: &Staged, row: Option<&BlobRecord>, publish: Publish) -> Self {
        let good = row.is_some_and(|row| row.health == Health::Good);
        let file = match staged.content() {
            Content::Memory(bytes) => {
                return Self { source: Source::Inline(bytes.clone()), file: None };
            }
            Content::File(_) if good && publish == Publish::IfMissing => None,
            Content::File(_) => staged.staged_file(),
        };
        let source = if file.is_some() { Source::Published } else { Source::Present };
        Self { source, file }
    }
}

impl Inner {
    /// Makes a staged file durable under its digest.
    pub(crate) fn put(&self, key: &BlobKey, file: &StagedFile) -> Result<(), StoreError> {
        if self.writer.is_stopped() {
            return Err(StoreError::Stopped);
        }
        let put = self.blobs.put(key, file);
        if self.blobs.must_reopen() {
            self.writer.stop();
        }
        put.map_err(StoreError::io("publish", &file.path))?;
        Meter::count(&self.meter.blobs_published);
        Ok(())
    }

    /// Opens a content that a file's row names.
    pub(crate) fn open_blob(
        self: &Arc<Self>,
        digests: &DigestsValue,
        size: u64,
    ) -> Result<Opening, StoreError> {
        let key = digests.key();
        let snapshot = self.snapshot()?;
        let Some(row) = rows::get::<BlobRecord>(snapshot.as_ref(), tables::BLOB, &key.0)? else {
            return Ok(Opening::Gone);
        };
        let damaged = || StoreError::damaged(format!("content {}", shown(&key.0)));
        if row.health == Health::Damaged || row.size != size {
            return Err(damaged());
        }
        match row.place {
            Place::Inline(inline) => {
                let bytes = inline_rows::read(snapshot.as_ref(), inline, size)?;
                if *blake3::hash(&bytes).as_bytes() != key.0 {
                    self.mark_damaged(key);
                    return Err(damaged());
                }
                Ok(Opening::Open(BlobReader::Memory(io::Cursor::new(bytes))))
            }
            Place::File => {
                drop(snapshot);
                self.open_file(key, size)
            }
        }
    }

    fn open_file(self: &Arc<Self>, key: BlobKey, size: u64) -> Result<Opening, StoreError> {
        let name = || format!("content {}", shown(&key.0));
        let mut opened = self.blobs.open(&key);
        if is_missing(&opened) {
            // It may have been deleted since its row was read, and even have come back.
            let row: Option<BlobRecord> =
                rows::get(self.snapshot()?.as_ref(), tables::BLOB, &key.0)?;
            if row.is_none_or(|row| row.state != BlobState::Live) {
                return Ok(Opening::Gone);
            }
            opened = self.blobs.open(&key);
            if is_missing(&opened) {
                self.mark_damaged(key);
                return Err(StoreError::damaged(name()));
            }
        }
        let mut file = opened.map_err(StoreError::io("open", name()))?;
        let length = file
            .seek(SeekFrom::End(0))
            .and_then(|length| file.seek(SeekFrom::Start(0)).map(|_| length))
            .map_err(StoreError::io("read", name()))?;
        if length != size {
            self.mark_damaged(key);
            return Err(StoreError::damaged(name()));
        }
        Ok(Opening::Open(match self.options.verify_on_read {
            VerifyOnRead::No => BlobReader::File(file),
            VerifyOnRead::Yes => BlobReader::Verified(Verified {
                file,
                key,
                size,
                position: 0,
                hasher: Some(Box::default()),
                inner: self.clone(),
            }),
        }))
    }

    /// Notes that a content is not what it should be; uploading it again heals it.
    pub(crate) fn mark_damaged(&self, key: BlobKey) {
        tracing::error!(content = %shown(&key.0), "a stored content is damaged");
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let marked = self.writer.change::<(), StoreError>(512, move |plan| {
            if let Some(mut row) = plan.get::<BlobRecord>(tables::BLOB, &key.0)?
                && row.health != Health::Damaged
            {
                row.health = Health::Damaged;
                plan.put(tables::BLOB, key.0.to_vec(), &row)?;
            }
            Ok(())
        });
        if let Err(error) = marked {
            tracing::warn!(%error, "the damage could not be recorded");
        }
    }

    fn is_verified(&self, key: &BlobKey) -> bool {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    fn set_verified(&self, key: BlobKey) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= VERIFIED {
            verified.clear();
        }
        verified.insert(key);
    }
}

fn is_missing<T>(opened: &io::Result<T>) -> bool {
    opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// What opening a content found.
#[derive(Debug)]
pub(crate) enum Opening {
    Open(BlobReader),
    /// It has been deleted meanwhile.
    Gone,
}

/// A content being read.
pub(crate) enum BlobReader {
    Memory(io::Cursor<Vec<u8>>),
    File(Box<dyn BlobRead>),
    Verified(Verified),
}

impl std::fmt::Debug for BlobReader {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Memory(_) => "Memory",
            Self::File(_) => "File",
            Self::Verified(_) => "Verified",
        })
    }
}

impl Read for BlobReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Memory(bytes) => bytes.read(into),
            Self::File(file) => file.read(into),
            Self::Verified(file) => file.read(into),
        }
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Memory(bytes) => bytes.seek(to),
            Self::File(file) => file.seek(to),
            Self::Verified(file) => file.seek(to),
        }
    }
}

/// A file whose reader gets an error in place of its last bytes if it is not what it should be.
///
/// Read from start to end it is hashed on the way. A jump elsewhere first reads the whole file,
/// once in the life of the store's handle.
pub(crate) struct Verified {
    file: Box<dyn BlobRead>,
    key: BlobKey,
    size: u64,
    position: u64,
    /// Over all bytes before `position`; `None` once the content is known to be good.
    hasher: Option<Box<blake3::Hasher>>,
    inner: Arc<Inner>,
}

impl Verified {
    fn check(&mut self) -> io::Result<()> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        if *hasher.finalize().as_bytes() == self.key.0 {
            self.inner.set_verified(self.key);
            return Ok(());
        }
        self.inner.mark_damaged(self.key);
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            StoreError::damaged(format!("content {}", shown(&self.key.0))),
        ))
    }

    /// Reads the whole file and leaves it at its start.
    fn check_all(&mut self) -> io::Result<()> {
        let mut hasher = blake3::Hasher::new();
        self.file.seek(SeekFrom::Start(0))?;
        io::copy(&mut self.file, &mut hasher)?;
        self.hasher = Some(Box::new(hasher));
        self.check()?;
        self.file.seek(SeekFrom::Start(0))?;
        Ok(())
    }
}

impl Read for Verified {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.position += u64::try_from(read).unwrap_or(u64::MAX);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(into.get(..read).unwrap_or_default());
            let short = read == 0 && !into.is_empty();
            if self.position >= self.size || short {
                self.check()?;
            }
        }
        Ok(read)
    }
}

impl Seek for Verified {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        let target = target.ok_or(io::ErrorKind::InvalidInput)?;
        if target == self.position {
            return Ok(target);
        }
        if self.hasher.is_some() {
            if target == 0 {
                self.hasher = Some(Box::default());
            } else {
                if !self.inner.is_verified(&self.key) {
                    self.check_all()?;
                }
                self.hasher = None;
            }
        }
        self.position = self.file.seek(SeekFrom::Start(target))?;
        Ok(target)
    }
}
