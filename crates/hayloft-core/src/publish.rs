//! Making the content of a staged file durable before any row names it.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use crate::blob_rows::Source;
use crate::codec::shown;
use crate::groups::{self, GROUP, GroupHash, GroupHasher, Groups};
use crate::hashing::CHUNK;
use crate::metrics::Meter;
use crate::records::{BlobRecord, BlobState, DigestsValue, Health, Place};
use crate::staging::Content;
use crate::store::Inner;
use crate::{
    BlobKey, BlobRead, MetaRead, Staged, StagedFile, StoreError, VerifyOnRead, inline_rows, rows,
    tables,
};

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
            Content::File(..) if good && publish == Publish::IfMissing => None,
            Content::File(..) => staged.staged_file(),
        };
        let source = match file {
            Some(_) => Source::Published(staged.groups().clone()),
            None => Source::Present,
        };
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
            VerifyOnRead::Yes => BlobReader::Verified(Verified::new(self.clone(), file, key, size)),
        }))
    }

    /// Notes that a content is not what it should be; uploading it again heals it.
    pub(crate) fn mark_damaged(&self, key: BlobKey) {
        tracing::error!(content = %shown(&key.0), "a stored content is damaged");
        let marked = self.writer.change_freeing::<(), StoreError>(512, move |plan| {
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

    /// Reads the stored copy of a content whose row says that it is good.
    pub(crate) fn is_stored_well(
        &self,
        read: &dyn MetaRead,
        key: &BlobKey,
        row: &BlobRecord,
    ) -> Result<bool, StoreError> {
        let digest = match row.place {
            Place::Inline(inline) => {
                blake3::hash(&inline_rows::read(read, inline, row.size)?).into()
            }
            Place::File => {
                let mut opened = self.blobs.open(key);
                if is_missing(&opened) {
                    return Ok(false);
                }
                let failed = || StoreError::io("read", format!("content {}", shown(&key.0)));
                let file = opened.as_mut().map_err(|error| failed()(error.kind().into()))?;
                hash_of(file.as_mut()).map_err(failed())?.0
            }
        };
        Ok(digest == key.0)
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

impl BlobReader {
    /// Fills `into` without holding anything for the next read.
    pub(crate) fn read_piece(&mut self, into: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => bytes.read_exact(into),
            Self::File(file) => file.read_exact(into),
            Self::Verified(file) => file.read_piece(into),
        }
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

/// Bytes of a group that are read at a time where they are not wanted.
const PIECE: usize = 32 << 10;

/// A file of which no byte is handed out before the group that holds it was found right.
pub(crate) struct Verified {
    file: Box<dyn BlobRead>,
    key: BlobKey,
    size: u64,
    position: u64,
    /// The group that was read last, and its bytes.
    group: Option<u64>,
    bytes: Vec<u8>,
    hashes: Hashes,
    inner: Arc<Inner>,
}

/// Where the hashes of groups come from.
enum Hashes {
    /// From rows, the last of which is at hand.
    Rows { row: u32, held: Vec<GroupHash> },
    /// From the file itself, which as a whole was found right.
    File(Groups),
}

impl Verified {
    fn new(inner: Arc<Inner>, file: Box<dyn BlobRead>, key: BlobKey, size: u64) -> Self {
        Self {
            file,
            key,
            size,
            position: 0,
            group: None,
            bytes: Vec::new(),
            hashes: Hashes::Rows { row: 0, held: Vec::new() },
            inner,
        }
    }

    fn damaged(&self) -> io::Error {
        self.inner.mark_damaged(self.key);
        let what = format!("content {}", shown(&self.key.0));
        io::Error::new(io::ErrorKind::InvalidData, StoreError::damaged(what))
    }

    /// Fills `into`, and holds nothing of the groups that it touches for the next read.
    fn read_piece(&mut self, mut into: &mut [u8]) -> io::Result<()> {
        while !into.is_empty() {
            if self.position >= self.size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let group = self.position / GROUP;
            let before = self.position % GROUP;
            let left = self.length_of(group) - before;
            let left = usize::try_from(left).map_err(io::Error::other)?;
            let (now, rest) = into.split_at_mut(left.min(into.len()));
            self.read_in_group(group, before, now)?;
            self.position += now.len() as u64;
            into = rest;
        }
        Ok(())
    }

    /// Reads a group and holds it against its hash.
    fn load(&mut self, group: u64) -> io::Result<()> {
        if self.group == Some(group) {
            return Ok(());
        }
        self.group = None;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.resize(usize::try_from(self.length_of(group)).map_err(io::Error::other)?, 0);
        self.read_in_group(group, 0, &mut bytes)?;
        self.bytes = bytes;
        self.group = Some(group);
        Ok(())
    }

    fn length_of(&self, group: u64) -> u64 {
        GROUP.min(self.size - group * GROUP)
    }

    /// Reads what lies behind so many bytes of a group, and holds the whole group against its hash.
    fn read_in_group(&mut self, group: u64, before: u64, into: &mut [u8]) -> io::Result<()> {
        let behind = self.length_of(group) - before - into.len() as u64;
        self.file.seek(SeekFrom::Start(group * GROUP))?;
        let mut hasher = groups::hasher(group);
        let read = pass(self.file.as_mut(), before, &mut hasher).and_then(|()| {
            self.file.read_exact(into)?;
            hasher.update(into);
            pass(self.file.as_mut(), behind, &mut hasher)
        });
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.damaged());
            }
            read => read?,
        }
        let same = if groups::count(self.size) == 0 {
            *hasher.finalize().as_bytes() == self.key.0
        } else {
            self.expected(group)? == groups::of_group(&hasher)
        };
        if same || self.inner.options.switches().skip_group_hashes() {
            Ok(())
        } else {
            Err(self.damaged())
        }
    }

    fn expected(&mut self, group: u64) -> io::Result<GroupHash> {
        let (wanted, at) = groups::place(group);
        loop {
            match &mut self.hashes {
                Hashes::File(all) => {
                    let at = usize::try_from(group).map_err(io::Error::other)?;
                    return all.get(at).copied().ok_or_else(|| self.damaged());
                }
                Hashes::Rows { row, held } => {
                    if *row == wanted
                        && let Some(hash) = held.get(at)
                    {
                        return Ok(*hash);
                    }
                    let snapshot = self.inner.snapshot().map_err(io::Error::other)?;
                    let found = groups::row(snapshot.as_ref(), &self.key, wanted);
                    drop(snapshot);
                    match found.map_err(io::Error::other)? {
                        Some(found) if found.get(at).is_some() => {
                            (*row, *held) = (wanted, found);
                        }
                        // The content was deleted while it is read, or verification has to make
                        // the row anew.
                        _ => self.hashes = Hashes::File(self.all_hashes()?),
                    }
                }
            }
        }
    }

    /// Reads the whole file.
    fn all_hashes(&mut self) -> io::Result<Groups> {
        let (digest, groups) = hash_of(&mut self.file)?;
        if digest != self.key.0 {
            return Err(self.damaged());
        }
        Ok(groups)
    }
}

/// Reads and hashes so many bytes.
fn pass(file: &mut dyn BlobRead, length: u64, hasher: &mut blake3::Hasher) -> io::Result<()> {
    let mut left = usize::try_from(length).map_err(io::Error::other)?;
    let mut piece = vec![0; left.min(PIECE)];
    while left > 0 {
        piece.truncate(left);
        file.read_exact(&mut piece)?;
        hasher.update(&piece);
        left -= piece.len();
    }
    Ok(())
}

/// The BLAKE3 of a file from its start, and the hashes of its groups.
pub(crate) fn hash_of(file: &mut dyn BlobRead) -> io::Result<([u8; 32], Groups)> {
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = GroupHasher::default();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => hasher.update(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Read for Verified {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size {
            // Also of what has no bytes somebody has to see that this is right.
            if self.size == 0 && self.group.is_none() {
                self.load(0)?;
            }
            return Ok(0);
        }
        self.load(self.position / GROUP)?;
        let at = usize::try_from(self.position % GROUP).map_err(io::Error::other)?;
        let length = self.bytes.get(at..).unwrap_or_default().read(into)?;
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for Verified {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
