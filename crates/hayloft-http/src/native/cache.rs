//! Rendered answers, kept for the next who asks.

mod addresses;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use hayloft::feed_type::native::Validator;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use self::addresses::Addresses;
use super::pack::{Packed, Pieces};

/// Renders that may be under way at once: each has up to [`LARGEST`](super::spill::LARGEST) bytes
/// of memory.
const RENDERS: usize = 16;
/// A body below this length gains nothing from compression.
pub(super) const WORTH_PACKING: usize = 1_024;
/// What an answer costs beside its bytes.
const BESIDE: usize = 512;

/// Answers by what they depend on, in a bounded piece of memory.
///
/// Bytes under a key never change, so nothing here is ever wrong; what is not asked for any more
/// goes when room is needed. One request at a time renders an answer. Others for the same wait
/// without a thread and without the place of a call; if the render fails, one of them tries.
#[derive(Debug)]
pub(crate) struct Cache {
    budget: usize,
    renders: Arc<Semaphore>,
    state: Mutex<State>,
}

/// What the bytes of an answer depend on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) feed: u32,
    pub(super) validator: Validator,
    /// Prescribed tags need not differ from one document to the next.
    pub(super) path: Option<String>,
}

/// An answer in memory.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) plain: Bytes,
    /// Once somebody wanted it.
    pub(super) packed: Option<Arc<Packed>>,
}

#[derive(Debug, Default)]
struct State {
    kept: HashMap<Key, (u64, Kept)>,
    /// Keys by when they were last asked for.
    order: BTreeMap<u64, Key>,
    tick: u64,
    bytes: usize,
    turns: HashMap<Key, Arc<tokio::sync::Mutex<()>>>,
    pieces: Pieces,
    addresses: HashMap<u32, Addresses>,
}

/// The right to render an answer, or a place in the queue for it, until it is dropped: clients that
/// wait may go away.
#[derive(Debug)]
pub(super) struct Turn {
    cache: Arc<Cache>,
    key: Key,
    queue: Arc<tokio::sync::Mutex<()>>,
    guard: Option<OwnedMutexGuard<()>>,
    render: Option<OwnedSemaphorePermit>,
}

impl Cache {
    pub(crate) fn new(budget: usize) -> Arc<Self> {
        Arc::new(Self {
            budget,
            renders: Arc::new(Semaphore::new(RENDERS)),
            state: Mutex::default(),
        })
    }

    /// An answer that is there, packed if it is to be.
    pub(super) fn get(&self, key: &Key, packed: bool) -> Option<Kept> {
        let fits =
            |kept: &Kept| !packed || kept.packed.is_some() || kept.plain.len() < WORTH_PACKING;
        self.lock().get(key).filter(fits)
    }

    /// The same, packed or not, for who is about to pack it.
    pub(super) fn plain(&self, key: &Key) -> Option<Bytes> {
        self.lock().get(key).map(|kept| kept.plain)
    }

    /// Keeps an answer, and packs it if it is to be.
    pub(super) fn keep(&self, key: Key, plain: Bytes, packed: bool) -> std::io::Result<Kept> {
        let packed = if packed { Some(Arc::new(self.pack(&plain)?)) } else { None };
        let kept = Kept { plain, packed };
        self.lock().insert(key, kept.clone(), self.budget);
        Ok(kept)
    }

    /// Packs an answer, with the pieces of others that are the same.
    pub(super) fn pack(&self, plain: &[u8]) -> std::io::Result<Packed> {
        Packed::of(plain, |digest, make| {
            if let Some(piece) = self.lock().pieces.get(digest) {
                return Ok(piece);
            }
            // Without the lock: this is what takes the time.
            let piece = Arc::new(make()?);
            self.lock().pieces.insert(*digest, &piece);
            Ok(piece)
        })
    }

    /// Whether answers for this address of the server are kept; asked for each answer, by somebody
    /// with a known key or not.
    pub(super) fn keeps(&self, feed: u32, address: &str, known: bool) -> bool {
        self.lock().addresses.entry(feed).or_default().keep(address, known)
    }

    /// Waits until nobody else renders this answer; `None` if it is there then.
    pub(super) async fn turn(self: &Arc<Self>, key: &Key, packed: bool) -> Option<Turn> {
        let queue = self.lock().turns.entry(key.clone()).or_default().clone();
        let mut turn =
            Turn { cache: self.clone(), key: key.clone(), queue, guard: None, render: None };
        turn.guard = Some(turn.queue.clone().lock_owned().await);
        // A semaphore that is never closed.
        turn.render = Some(self.renders.clone().acquire_owned().await.ok()?);
        self.get(key, packed).is_none().then_some(turn)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn get(&mut self, key: &Key) -> Option<Kept> {
        let (asked, kept) = self.kept.get_mut(key)?;
        self.tick += 1;
        let before = std::mem::replace(asked, self.tick);
        let kept = kept.clone();
        if let Some(key) = self.order.remove(&before) {
            self.order.insert(self.tick, key);
        }
        Some(kept)
    }

    fn insert(&mut self, key: Key, kept: Kept, budget: usize) {
        self.remove(&key);
        self.bytes += kept.size();
        self.tick += 1;
        self.order.insert(self.tick, key.clone());
        self.kept.insert(key, (self.tick, kept));
        while self.bytes > budget {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.remove(&oldest);
        }
        self.pieces.forget_unused();
    }

    fn remove(&mut self, key: &Key) {
        if let Some((asked, kept)) = self.kept.remove(key) {
            self.order.remove(&asked);
            self.bytes = self.bytes.saturating_sub(kept.size());
        }
    }
}

impl Kept {
    fn size(&self) -> usize {
        self.plain.len() + self.packed.as_ref().map_or(0, |packed| packed.length()) + BESIDE
    }
}

impl Turn {
    pub(super) fn is_for(&self, key: &Key) -> bool {
        self.key == *key
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.render.take();
        self.guard.take();
        let mut state = self.cache.lock();
        // The map has one, too, and so has everybody who waits.
        if Arc::strong_count(&self.queue) == 2 {
            state.turns.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> Key {
        Key { feed: 1, validator: Validator::Derived([number; 16]), path: None }
    }

    fn keep(cache: &Cache, number: u8, bytes: usize) {
        cache.keep(key(number), vec![number; bytes].into(), false).unwrap();
    }

    #[test]
    fn what_was_not_asked_for_goes_first() {
        let cache = Cache::new(4 * (1_000 + BESIDE));
        for number in 0..4 {
            keep(&cache, number, 1_000);
        }
        assert!(cache.get(&key(0), false).is_some());
        keep(&cache, 9, 1_000);
        let there: Vec<bool> =
            [0, 1, 2, 3, 9].iter().map(|number| cache.plain(&key(*number)).is_some()).collect();
        assert_eq!(there, [true, false, true, true, true]);
        keep(&cache, 7, 100_000);
        let state = cache.lock();
        assert!(state.bytes <= cache.budget && state.order.len() == state.kept.len());
    }

    #[test]
    fn a_packed_answer_is_there_once_it_was_packed() {
        let cache = Cache::new(1 << 20);
        keep(&cache, 2, WORTH_PACKING - 1);
        assert!(cache.get(&key(2), true).is_some());
        cache.lock().remove(&key(2));
        keep(&cache, 1, WORTH_PACKING);
        assert!(cache.get(&key(1), false).is_some() && cache.get(&key(1), true).is_none());
        let plain = cache.plain(&key(1)).unwrap();
        assert!(cache.keep(key(1), plain, true).unwrap().packed.is_some());
        assert!(cache.get(&key(1), true).is_some());
        assert_eq!(cache.lock().kept.len(), 1);
    }

    #[tokio::test]
    async fn one_renders_and_the_others_find_it_or_try_when_it_fails() {
        let cache = Cache::new(1 << 20);
        let first = cache.turn(&key(1), false).await.unwrap();
        assert!(first.is_for(&key(1)));
        let wait = || {
            let cache = cache.clone();
            tokio::spawn(async move { cache.turn(&key(1), false).await })
        };
        let waiting = wait();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        // It failed: nothing is there.
        drop(first);
        let second = waiting.await.unwrap().unwrap();
        let others = [wait(), wait()];
        keep(&cache, 1, 10);
        drop(second);
        for other in others {
            assert!(other.await.unwrap().is_none());
        }
        assert!(cache.lock().turns.is_empty());
    }

    #[tokio::test]
    async fn who_stops_waiting_leaves_nothing_behind() {
        let cache = Cache::new(1 << 20);
        let first = cache.turn(&key(1), false).await.unwrap();
        let waiting = tokio::spawn({
            let cache = cache.clone();
            async move { cache.turn(&key(1), false).await }
        });
        while Arc::strong_count(&first.queue) < 3 {
            tokio::task::yield_now().await;
        }
        drop(first);
        waiting.abort();
        assert!(waiting.await.is_err());
        assert!(cache.lock().turns.is_empty());
    }
}
