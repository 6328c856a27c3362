//! The file of the log: a page that names it, and two halves that take turns.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::record::{self, PAGE, Salt};
use crate::{Fs, FsFile};

const MAGIC: [u8; 8] = *b"hayloft\x01";
/// Magic, size of a half, identity, secret, checksum.
const HEAD: usize = 8 + 8 + 16 + 32 + 4;
/// The largest half that is ever read: every number from a file meets a limit.
const LARGEST_HALF: u64 = 64 << 20;
/// Zeros written at a time.
const ZEROS: usize = 1 << 20;

/// What tells one log from all others, and its records from all that looks like one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: [u8; 16],
    pub(super) secret: [u8; 32],
}

impl Identity {
    /// Of a new log.
    pub(super) fn random() -> io::Result<Self> {
        let (mut id, mut secret) = ([0; 16], [0; 32]);
        getrandom::fill(&mut id).map_err(io::Error::other)?;
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        Ok(Self { id, secret })
    }

    /// What the records of a generation have in their headers.
    pub(super) fn salt(&self, generation: u64) -> Salt {
        let whole = blake3::keyed_hash(&self.secret, &generation.to_be_bytes());
        let mut salt = Salt::default();
        for (into, from) in salt.iter_mut().zip(whole.as_bytes()) {
            *into = *from;
        }
        salt
    }
}

/// An open log.
#[derive(Debug)]
pub(super) struct LogFile {
    file: Box<dyn FsFile>,
    pub(super) identity: Identity,
    /// Bytes of each half.
    pub(super) half: u64,
}

/// The name that a log has until it is complete.
pub(super) fn draft(path: &Path) -> PathBuf {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    draft.into()
}

impl LogFile {
    /// Makes a log, in place of any that is there. Every byte of it is written once: a commit then
    /// changes neither its length nor where it lies, and one flush is enough.
    pub(super) fn create(
        fs: &dyn Fs,
        path: &Path,
        half: u64,
        identity: Identity,
    ) -> io::Result<Self> {
        let draft = draft(path);
        match fs.remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs.create(&draft)?;
        file.write_all(&head(&identity, half))?;
        let zeros = vec![0; ZEROS];
        let mut left = half.saturating_mul(2);
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(ZEROS).min(ZEROS);
            file.write_all(zeros.get(..piece).unwrap_or_default())?;
            left -= piece as u64;
        }
        file.sync_data()?;
        drop(file);
        fs.rename(&draft, path)?;
        if let Some(parent) = path.parent() {
            fs.sync_directory(parent)?;
        }
        small_pages(fs, path);
        Ok(Self { file: fs.modify(path)?, identity, half })
    }

    /// Opens a log; `None` if the file does not begin as one does, or has not its length.
    pub(super) fn open(fs: &dyn Fs, path: &Path) -> io::Result<Option<Self>> {
        let mut file = fs.modify(path)?;
        let mut page = vec![0; PAGE];
        match file.read_exact(&mut page) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let Some((identity, half)) = read_head(&page) else { return Ok(None) };
        if file.len()? != half * 2 + PAGE as u64 {
            return Ok(None);
        }
        Ok(Some(Self { file, identity, half }))
    }

    fn position(&self, generation: u64, at: u64) -> u64 {
        PAGE as u64 + (generation & 1) * self.half + at
    }

    /// All bytes of the half of a generation.
    pub(super) fn read_half(&mut self, generation: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.half).map_err(io::Error::other)?];
        let start = self.position(generation, 0);
        self.file.seek(SeekFrom::Start(start))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes a record where it belongs.
    pub(super) fn write(&mut self, generation: u64, at: u64, record: &[u8]) -> io::Result<()> {
        let start = self.position(generation, at);
        self.file.seek(SeekFrom::Start(start))?;
        self.file.write_all(record)
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Has the system forget the log after it was written or read in large pieces: it keeps such a piece
/// as one large page, of which a record would count as written whole. That it could not costs
/// nothing else.
pub(super) fn small_pages(fs: &dyn Fs, path: &Path) {
    let _ = fs.forget_cached(path);
}

fn head(identity: &Identity, half: u64) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE);
    page.extend_from_slice(&MAGIC);
    page.extend_from_slice(&half.to_be_bytes());
    page.extend_from_slice(&identity.id);
    page.extend_from_slice(&identity.secret);
    let sum = crc32c::crc32c(&page);
    page.extend_from_slice(&sum.to_be_bytes());
    page.resize(PAGE, 0);
    page
}

fn read_head(page: &[u8]) -> Option<(Identity, u64)> {
    let head = page.get(..HEAD)?;
    let (covered, sum) = head.split_at_checked(HEAD - 4)?;
    if !head.starts_with(&MAGIC) || crc32c::crc32c(covered).to_be_bytes() != *sum {
        return None;
    }
    let half = u64::from_be_bytes(head.get(8..16)?.try_into().ok()?);
    if half == 0 || half > LARGEST_HALF || !half.is_multiple_of(PAGE as u64) {
        return None;
    }
    let id = head.get(16..32)?.try_into().ok()?;
    let secret = head.get(32..64)?.try_into().ok()?;
    Some((Identity { id, secret }, half))
}

/// The size of a half, as it is made: whole pages, within limits.
pub(super) fn sound_half(wanted: u64) -> u64 {
    let page = PAGE as u64;
    wanted.clamp(2 * page, LARGEST_HALF).next_multiple_of(page)
}

/// Records are found at multiples of this many bytes.
pub(super) const ALIGN: usize = record::PAGE;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RealFs;

    #[test]
    fn a_log_is_found_again_and_another_file_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let identity = Identity::random().unwrap();
        let mut made = LogFile::create(&RealFs, &path, 64 << 10, identity).unwrap();
        made.write(3, 4096, b"a record").unwrap();
        made.sync().unwrap();
        drop(made);
        let mut found = LogFile::open(&RealFs, &path).unwrap().unwrap();
        assert_eq!((found.identity, found.half), (identity, 64 << 10));
        assert!(found.read_half(1).unwrap()[4096..].starts_with(b"a record"));
        assert!(found.read_half(0).unwrap().iter().all(|byte| *byte == 0));
        drop(found);
        let whole = std::fs::read(&path).unwrap();
        for (at, what) in [(0, "magic"), (9, "size"), (20, "identity"), (40, "secret")] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            assert!(LogFile::open(&RealFs, &path).unwrap().is_none(), "{what}");
        }
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(LogFile::open(&RealFs, &path).unwrap().is_none());
        std::fs::write(&path, b"").unwrap();
        assert!(LogFile::open(&RealFs, &path).unwrap().is_none());
    }

    #[test]
    fn generations_and_logs_have_salts_of_their_own() {
        let (one, other) = (Identity::random().unwrap(), Identity::random().unwrap());
        assert_eq!(one.salt(1), one.salt(1));
        assert_ne!(one.salt(1), one.salt(3));
        assert_ne!(one.salt(1), other.salt(1));
    }
}
