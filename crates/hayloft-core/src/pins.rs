//! Which contents are in use by something that no row tells of yet.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::BlobKey;

/// Contents that must not be removed, and those being removed.
///
/// An upload pins its content before it looks for the row and until the row is durable; whoever
/// removes a content claims it first. Neither begins while the other is at it.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    held: Mutex<HashMap<BlobKey, Hold>>,
    freed: Condvar,
    /// Tests prove by this that they would notice if pins did not hold.
    #[cfg(feature = "sim")]
    ignored: std::sync::atomic::AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Pinned(usize),
    Claimed,
}

impl Pins {
    fn lock(&self) -> MutexGuard<'_, HashMap<BlobKey, Hold>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a content from being removed; waits while it is.
    pub(crate) fn pin(self: &Arc<Self>, key: BlobKey) -> Pin {
        let mut held = self.lock();
        loop {
            match held.get(&key).copied() {
                Some(Hold::Claimed) => {
                    held = self.freed.wait(held).unwrap_or_else(PoisonError::into_inner);
                }
                Some(Hold::Pinned(count)) => {
                    held.insert(key, Hold::Pinned(count + 1));
                    break;
                }
                None => {
                    held.insert(key, Hold::Pinned(1));
                    break;
                }
            }
        }
        Pin { pins: self.clone(), key }
    }

    #[cfg(feature = "sim")]
    pub(crate) fn ignore(&self) {
        self.ignored.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    #[cfg(feature = "sim")]
    fn are_ignored(&self) -> bool {
        self.ignored.load(std::sync::atomic::Ordering::SeqCst)
    }

    #[cfg(not(feature = "sim"))]
    #[expect(clippy::unused_self, reason = "the simulator's build looks at a switch")]
    fn are_ignored(&self) -> bool {
        false
    }

    /// Reserves a content for removal; `None` if it is in use.
    pub(crate) fn claim(self: &Arc<Self>, key: BlobKey) -> Option<Claim> {
        let mut held = self.lock();
        if held.contains_key(&key) && !self.are_ignored() {
            return None;
        }
        held.insert(key, Hold::Claimed);
        Some(Claim { pins: self.clone(), key })
    }
}

/// Dropped when a row tells of the content, or nothing needs it any more.
#[derive(Debug)]
pub(crate) struct Pin {
    pins: Arc<Pins>,
    key: BlobKey,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut held = self.pins.lock();
        match held.get(&self.key).copied() {
            Some(Hold::Pinned(count)) if count > 1 => {
                held.insert(self.key, Hold::Pinned(count - 1));
            }
            _ => {
                held.remove(&self.key);
            }
        }
    }
}

/// Dropped when the removal is over.
#[derive(Debug)]
pub(crate) struct Claim {
    pins: Arc<Pins>,
    key: BlobKey,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.pins.lock().remove(&self.key);
        self.pins.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: BlobKey = BlobKey([1; 32]);

    #[test]
    fn a_pinned_content_cannot_be_claimed_until_the_last_pin_goes() {
        let pins = Arc::new(Pins::default());
        let first = pins.pin(KEY);
        let second = pins.pin(KEY);
        assert!(pins.claim(KEY).is_none());
        drop(first);
        assert!(pins.claim(KEY).is_none());
        drop(second);
        let claim = pins.claim(KEY);
        assert!(claim.is_some());
        assert!(pins.claim(KEY).is_none());
        drop(claim);
        assert!(pins.lock().is_empty());
    }

    #[test]
    fn a_pin_waits_for_the_end_of_a_claim() {
        let pins = Arc::new(Pins::default());
        let claim = pins.claim(KEY);
        let (begun, started) = std::sync::mpsc::channel();
        let other = pins.clone();
        let waiting = std::thread::spawn(move || {
            begun.send(()).unwrap();
            drop(other.pin(KEY));
        });
        started.recv().unwrap();
        assert!(!waiting.is_finished() || claim.is_none());
        drop(claim);
        waiting.join().unwrap();
        assert!(pins.lock().is_empty());
    }
}
