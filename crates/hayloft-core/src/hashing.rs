//! Five digests in one pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};

use hayloft_feed::Digests;
use md5::Md5;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha256, Sha512};

use crate::groups::{GroupHasher, Groups};

/// Bytes that are hashed and written at a time.
pub(crate) const CHUNK: usize = 256 << 10;
/// From how many bytes on a second thread pays.
const HELPER_FROM: u64 = 4 << 20;

/// How many more hashing threads the machine has room for.
#[derive(Debug)]
pub(crate) struct Helpers(AtomicUsize);

impl Helpers {
    /// One less than there are cores.
    pub(crate) fn of_machine() -> Arc<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self(AtomicUsize::new(cores.saturating_sub(1))))
    }

    fn take(self: &Arc<Self>) -> Option<Permit> {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(1))
            .ok()
            .map(|_| Permit(self.clone()))
    }
}

#[derive(Debug)]
struct Permit(Arc<Helpers>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// The half of the work that a second thread can take over.
#[derive(Debug, Default, Clone)]
struct Second {
    sha512: Sha512,
    sha1: Sha1,
}

impl Second {
    fn update(&mut self, bytes: &[u8]) {
        self.sha512.update(bytes);
        self.sha1.update(bytes);
    }
}

#[derive(Debug)]
enum SecondHalf {
    Here(Box<Second>),
    Helper { chunks: SyncSender<Arc<Vec<u8>>>, thread: JoinHandle<Second>, _permit: Permit },
}

/// Hashes a file as it passes.
#[derive(Debug)]
pub(crate) struct FiveHashes {
    blake3: GroupHasher,
    md5: Md5,
    sha256: Sha256,
    second: SecondHalf,
    size: u64,
    helpers: Arc<Helpers>,
}

/// The hashing thread ended without its digests.
#[derive(Debug, thiserror::Error)]
#[error("a hashing thread failed")]
pub(crate) struct HelperFailed;

impl FiveHashes {
    pub(crate) fn new(helpers: Arc<Helpers>) -> Self {
        Self {
            blake3: GroupHasher::default(),
            md5: Md5::default(),
            sha256: Sha256::default(),
            second: SecondHalf::Here(Box::default()),
            size: 0,
            helpers,
        }
    }

    /// Takes in the next bytes of the file.
    pub(crate) fn update(&mut self, chunk: &Arc<Vec<u8>>) -> Result<(), HelperFailed> {
        if self.size >= HELPER_FROM && chunk.len() >= CHUNK {
            self.find_help();
        }
        self.size += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        match &mut self.second {
            SecondHalf::Here(second) => second.update(chunk),
            SecondHalf::Helper { chunks, .. } => {
                chunks.send(chunk.clone()).map_err(|_| HelperFailed)?;
            }
        }
        self.blake3.update(chunk);
        self.md5.update(chunk.as_slice());
        self.sha256.update(chunk.as_slice());
        Ok(())
    }

    /// Bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn finish(self) -> Result<(Digests, Groups), HelperFailed> {
        let second = match self.second {
            SecondHalf::Here(second) => *second,
            SecondHalf::Helper { chunks, thread, _permit } => {
                drop(chunks);
                thread.join().map_err(|_| HelperFailed)?
            }
        };
        let (blake3, groups) = self.blake3.finish();
        let digests = Digests {
            md5: self.md5.finalize().into(),
            sha1: second.sha1.finalize().into(),
            sha256: self.sha256.finalize().into(),
            sha512: second.sha512.finalize().into(),
            blake3,
        };
        Ok((digests, groups))
    }

    fn find_help(&mut self) {
        let SecondHalf::Here(second) = &self.second else { return };
        let Some(permit) = self.helpers.take() else { return };
        let mut work = second.as_ref().clone();
        let (chunks, incoming) = mpsc::sync_channel::<Arc<Vec<u8>>>(2);
        let spawned = thread::Builder::new().name("hayloft-hash".to_owned()).spawn(move || {
            for chunk in incoming {
                work.update(&chunk);
            }
            work
        });
        // Without a thread the work stays here.
        if let Ok(thread) = spawned {
            self.second = SecondHalf::Helper { chunks, thread, _permit: permit };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(pieces: &[Vec<u8>], helpers: usize) -> Digests {
        let helpers = Arc::new(Helpers(AtomicUsize::new(helpers)));
        let mut hashes = FiveHashes::new(helpers);
        for piece in pieces {
            hashes.update(&Arc::new(piece.clone())).unwrap();
        }
        hashes.finish().unwrap().0
    }

    #[test]
    fn digests_of_a_known_text_are_right() {
        let found = digests(&[b"a".to_vec(), b"bc".to_vec()], 0);
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        assert_eq!(hex(&found.md5), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hex(&found.sha1), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            hex(&found.sha256),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(hex(&found.sha512).starts_with("ddaf35a193617abacc417349ae204131"));
        assert_eq!(found.blake3, *blake3::hash(b"abc").as_bytes());
    }

    #[test]
    fn a_helper_changes_nothing_about_the_digests() {
        let pieces: Vec<_> = (0..24_u8).map(|fill| vec![fill; CHUNK]).collect();
        assert_eq!(digests(&pieces, 1), digests(&pieces, 0));
    }

    #[test]
    fn a_permit_comes_back() {
        let helpers = Arc::new(Helpers(AtomicUsize::new(1)));
        let permit = helpers.take();
        assert!(permit.is_some());
        assert!(helpers.take().is_none());
        drop(permit);
        assert!(helpers.take().is_some());
    }
}
