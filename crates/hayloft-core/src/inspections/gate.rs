use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Lets as many through at one time as there is room for, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: u64,
    waiting: VecDeque<u64>,
    next: u64,
}

/// A place behind a [`Gate`]; dropping makes room for others.
#[derive(Debug)]
#[must_use = "dropping gives the place up"]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    room: u64,
}

impl Gate {
    pub(crate) fn new(room: u64) -> Arc<Self> {
        let state = State { free: room, waiting: VecDeque::new(), next: 0 };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Waits for `room`, which must not be more than the gate has in all; `None` if `most_waiting`
    /// wait already.
    pub(crate) fn enter(self: &Arc<Self>, room: u64, most_waiting: usize) -> Option<Pass> {
        let mut state = self.state();
        if state.waiting.is_empty() && state.free >= room {
            state.free -= room;
            return Some(Pass { gate: self.clone(), room });
        }
        if state.waiting.len() >= most_waiting {
            return None;
        }
        let ticket = state.next;
        state.next += 1;
        state.waiting.push_back(ticket);
        while state.waiting.front() != Some(&ticket) || state.free < room {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.pop_front();
        state.free -= room;
        // There may be room for the next one, too.
        self.changed.notify_all();
        Some(Pass { gate: self.clone(), room })
    }

    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.state().free += self.room;
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn no_more_than_the_room_is_given_and_all_come_through() {
        const ROOM: u64 = 10;
        let gate = Gate::new(ROOM);
        let (inside, most) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for thread in 0..8_u64 {
                let (gate, inside, most) = (&gate, &inside, &most);
                scope.spawn(move || {
                    for round in 0..200 {
                        let room = 1 + (thread * 7 + round) % ROOM;
                        let pass = gate.enter(room, usize::MAX).unwrap();
                        let now = inside.fetch_add(room, Ordering::SeqCst) + room;
                        most.fetch_max(now, Ordering::SeqCst);
                        thread::yield_now();
                        inside.fetch_sub(room, Ordering::SeqCst);
                        drop(pass);
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= ROOM);
        assert_eq!(gate.state().free, ROOM);
    }

    #[test]
    fn who_needs_much_is_not_passed_by_those_who_need_little() {
        let gate = Gate::new(10);
        let first = gate.enter(1, 2).unwrap();
        thread::scope(|scope| {
            let much = scope.spawn(|| gate.enter(10, 2).unwrap());
            while gate.waiting() < 1 {
                thread::yield_now();
            }
            let little = scope.spawn(|| gate.enter(1, 2).unwrap());
            while gate.waiting() < 2 {
                thread::yield_now();
            }
            assert!(gate.enter(1, 2).is_none(), "two may wait, not three");
            drop(first);
            let much = much.join().unwrap();
            assert_eq!(gate.waiting(), 1);
            drop(much);
            drop(little.join().unwrap());
        });
    }
}
