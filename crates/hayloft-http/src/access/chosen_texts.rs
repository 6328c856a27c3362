use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hayloft::{ApiKey, KeyDigest, Store, StoreError};

use super::Refusal;

/// Texts that are remembered at least: those that were a key's when they were studied, and others.
const KNOWN: usize = 1_024;
const UNKNOWN: usize = 8_192;

/// Digests of texts that people may have chosen, by a fast hash of the text.
///
/// A digest only tells where to look, so nothing here grows old: a text that becomes a key's is
/// found from then on, and one whose key is deleted is not. Texts that open nothing cannot drive
/// out those that do.
#[derive(Debug)]
pub(super) struct ChosenTexts {
    /// Keys the fast hash; of this process alone.
    secret: Option<[u8; 32]>,
    digests: Mutex<Digests>,
}

#[derive(Debug)]
struct Digests {
    known: Generations,
    unknown: Generations,
}

type Hash = [u8; 32];

impl Default for ChosenTexts {
    fn default() -> Self {
        let mut secret = [0; 32];
        // Without random numbers nothing is remembered: who knew the secret could look for texts
        // that share a hash.
        let secret = getrandom::fill(&mut secret).is_ok().then_some(secret);
        let digests = Digests { known: Generations::of(KNOWN), unknown: Generations::of(UNKNOWN) };
        Self { secret, digests: Mutex::new(digests) }
    }
}

impl ChosenTexts {
    /// The key with this text; [`Refusal::Slow`] for a text that was not studied lately.
    pub(super) fn find(&self, store: &Store, text: &str) -> Result<Option<ApiKey>, Refusal> {
        let Some(hash) = self.hash(text) else { return Ok(store.find_key(text)?) };
        let remembered = self.lock().get(&hash);
        let digest = remembered.ok_or(Refusal::Slow)?;
        Ok(store.find_key_by_digest(&digest)?)
    }

    /// Finds out the digest of a text; true if it is a key's.
    pub(super) fn study(&self, store: &Store, text: &str) -> Result<bool, StoreError> {
        let Some(hash) = self.hash(text) else { return Ok(false) };
        let remembered = self.lock().get(&hash);
        let digest = remembered.unwrap_or_else(|| store.key_digest(text));
        let known = store.find_key_by_digest(&digest)?.is_some();
        let mut digests = self.lock();
        if known { &mut digests.known } else { &mut digests.unknown }.insert(hash, digest);
        Ok(known)
    }

    fn hash(&self, text: &str) -> Option<Hash> {
        let secret = self.secret.as_ref()?;
        Some(blake3::keyed_hash(secret, text.as_bytes()).into())
    }

    fn lock(&self) -> MutexGuard<'_, Digests> {
        // Whatever a panic left is still a set of true digests.
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Digests {
    fn get(&mut self, hash: &Hash) -> Option<KeyDigest> {
        self.known.get(hash).or_else(|| self.unknown.get(hash))
    }
}

/// A map that forgets what was not used for as many insertions as it holds.
#[derive(Debug)]
struct Generations {
    most: usize,
    young: HashMap<Hash, KeyDigest>,
    old: HashMap<Hash, KeyDigest>,
}

impl Generations {
    fn of(most: usize) -> Self {
        Self { most, young: HashMap::new(), old: HashMap::new() }
    }

    fn get(&mut self, hash: &Hash) -> Option<KeyDigest> {
        if let Some(digest) = self.young.get(hash) {
            return Some(*digest);
        }
        let digest = self.old.remove(hash)?;
        self.insert(*hash, digest);
        Some(digest)
    }

    fn insert(&mut self, hash: Hash, digest: KeyDigest) {
        if self.young.len() >= self.most {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, digest);
    }
}

#[cfg(test)]
mod tests {
    use hayloft::{Actor, KeyGrant};

    use super::*;

    #[test]
    fn what_is_used_is_not_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let store = hayloft::open(directory.path()).unwrap();
        let digest = store.key_digest("hl_");
        let mut map = Generations::of(4);
        for number in 0..100_u8 {
            map.insert([number; 32], digest);
            assert!(map.get(&[0; 32]).is_some());
            assert!(map.young.len() + map.old.len() <= 8);
        }
        assert!(map.get(&[1; 32]).is_none());
    }

    #[test]
    fn a_text_is_found_once_studied_for_as_long_as_it_is_a_keys() {
        const TEXT: &str = "correct-horse-battery";
        let directory = tempfile::tempdir().unwrap();
        let store = hayloft::open(directory.path()).unwrap();
        let texts = ChosenTexts::default();
        assert!(matches!(texts.find(&store, TEXT), Err(Refusal::Slow)));
        assert!(!texts.study(&store, TEXT).unwrap());
        assert!(texts.find(&store, TEXT).unwrap().is_none());

        let actor = Actor::system();
        let (key, _) = store.create_key(KeyGrant::default(), Some(TEXT), &actor).unwrap();
        assert_eq!(texts.find(&store, TEXT).unwrap().map(|found| found.id), Some(key.id));
        store.delete_key(key.id, &actor).unwrap();
        assert!(texts.find(&store, TEXT).unwrap().is_none());
    }
}
