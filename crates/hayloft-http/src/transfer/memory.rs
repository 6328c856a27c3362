use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::RequestLimits;

/// Bytes that a body begins with, and the most that it grows to.
const FIRST: usize = 128 << 10;
const MOST: usize = 1 << 20;
/// Bytes of one permit.
const UNIT: usize = 1 << 10;
/// A client that takes a chunk within this time may get a larger one next.
const BRISK: Duration = Duration::from_millis(200);

/// Buffers that are kept for the next chunk: fresh memory has to be cleared first, page by page.
const SPARE: usize = 8;

/// The memory for what is on its way to clients, of all answers together.
#[derive(Debug, Clone)]
pub(crate) struct SendMemory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    permits: Arc<Semaphore>,
    spare: Mutex<Vec<Vec<u8>>>,
}

/// Room for one chunk.
#[derive(Debug)]
pub(crate) struct Room {
    bytes: usize,
    /// `None` for what everybody may have.
    permit: Option<OwnedSemaphorePermit>,
    memory: SendMemory,
}

/// How large the next chunk of a body is: it grows while the client takes what it gets. The second
/// is as large as the first, so that each ends where a group that is verified as one does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appetite {
    wanted: usize,
    /// When the last chunk was handed over.
    fed: Option<Instant>,
}

impl SendMemory {
    pub(crate) fn new(bytes: usize) -> Self {
        let permits = Semaphore::new((bytes / UNIT).min(Semaphore::MAX_PERMITS));
        Self(Arc::new(Shared { permits: Arc::new(permits), spare: Mutex::default() }))
    }

    /// Room for as many of the wanted bytes as there are, but never less than everybody may have.
    pub(crate) fn room(&self, wanted: usize) -> Room {
        let mut bytes = wanted;
        while bytes > RequestLimits::LEAST_CHUNK {
            let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
            if let Ok(permit) = self.0.permits.clone().try_acquire_many_owned(units) {
                return Room { bytes, permit: Some(permit), memory: self.clone() };
            }
            bytes /= 2;
        }
        let bytes = wanted.min(RequestLimits::LEAST_CHUNK);
        Room { bytes, permit: None, memory: self.clone() }
    }

    /// So many bytes of no particular value.
    fn buffer(&self, bytes: usize) -> Vec<u8> {
        let mut spare = self.spare();
        // A larger one would be more memory than there is room for.
        match spare.iter().position(|buffer| buffer.len() == bytes) {
            Some(at) => spare.swap_remove(at),
            None => vec![0; bytes],
        }
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let of_use = buffer.len() >= FIRST && buffer.len() == buffer.capacity();
        let mut spare = self.spare();
        if of_use && buffer.len().is_power_of_two() && spare.len() < SPARE {
            spare.push(buffer);
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    pub(crate) fn bytes(&self) -> usize {
        debug_assert!(self.permit.is_some() || self.bytes <= RequestLimits::LEAST_CHUNK);
        self.bytes
    }

    /// What fits in, of no particular value yet.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.memory.buffer(self.bytes())
    }

    /// These bytes, which hold the room for as long as anybody has them.
    pub(crate) fn filled(self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Filled { bytes, room: self })
    }
}

struct Filled {
    bytes: Vec<u8>,
    room: Room,
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.room.memory.give_back(std::mem::take(&mut self.bytes));
    }
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Appetite {
    pub(crate) fn new() -> Self {
        Self { wanted: FIRST / 2, fed: None }
    }

    /// Bytes to hand over next, to a client that has taken the last chunk.
    pub(crate) fn next(&mut self) -> usize {
        let now = Instant::now();
        if let Some(fed) = self.fed.replace(now) {
            let brisk = now.duration_since(fed) < BRISK;
            self.wanted = if brisk { (self.wanted * 2).min(MOST) } else { FIRST / 2 };
        }
        self.wanted.max(FIRST)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[test]
    fn what_is_on_its_way_is_bounded_but_for_a_little_each() {
        let memory = SendMemory::new(1 << 20);
        let rooms: Vec<Room> = (0..100).map(|_| memory.room(FIRST)).collect();
        let beyond = rooms.iter().filter(|room| room.permit.is_none());
        assert!(beyond.clone().all(|room| room.bytes() == RequestLimits::LEAST_CHUNK));
        let within = rooms.iter().filter(|room| room.permit.is_some());
        assert_eq!(within.map(Room::bytes).sum::<usize>(), 1 << 20);
        assert!(beyond.count() > 80);
        drop(rooms);
        let bytes = memory.room(MOST).filled(vec![1; MOST]);
        assert_eq!(memory.room(MOST).bytes(), RequestLimits::LEAST_CHUNK);
        let part = bytes.slice(..1);
        drop(bytes);
        assert_eq!(memory.room(MOST).bytes(), RequestLimits::LEAST_CHUNK, "a part is still there");
        drop(part);
        assert_eq!(memory.room(MOST).bytes(), MOST);
        assert_eq!(memory.room(10).bytes(), 10);
    }

    #[test]
    fn a_few_buffers_are_used_again() {
        let memory = SendMemory::new(64 << 20);
        let sent: Vec<Bytes> = (0..3 * SPARE)
            .map(|_| {
                let room = memory.room(2 * FIRST);
                let buffer = room.buffer();
                room.filled(buffer)
            })
            .collect();
        let known: Vec<*const u8> = sent.iter().map(|bytes| bytes.as_ptr()).collect();
        drop(sent);
        assert_eq!(memory.spare().len(), SPARE);
        let again = memory.room(2 * FIRST).buffer();
        assert!(known.contains(&again.as_ptr()) && again.len() == 2 * FIRST);
        assert_eq!(memory.room(FIRST).buffer().len(), FIRST);
        assert_eq!(memory.spare().len(), SPARE - 1, "the others have more than that");
    }

    #[tokio::test(start_paused = true)]
    async fn chunks_grow_while_they_are_taken() {
        let mut appetite = Appetite::new();
        let sizes: Vec<usize> = (0..7).map(|_| appetite.next()).collect();
        assert_eq!(sizes, [FIRST, FIRST, 2 * FIRST, 4 * FIRST, MOST, MOST, MOST]);
        advance(BRISK).await;
        let sizes: Vec<usize> = (0..3).map(|_| appetite.next()).collect();
        assert_eq!(sizes, [FIRST, FIRST, 2 * FIRST]);
    }
}
