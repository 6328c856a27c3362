use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::access::network;

/// Who may be connected: so many in all and so many of each address.
///
/// Whoever comes later takes the place of the connection that has rested for longest, of the same
/// address if that has too many. A connection rests without a request, and also while it lets the
/// server wait, for more of a body or for room for an answer, unless a known key came with the
/// request: strangers cannot use up what others need. Those whose last request had a known key go
/// last. Only if all are at work does a newcomer go to the reserve, where the health of the server
/// is told at once and everything else waits for a place.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_of_address: usize,
    most_in_reserve: usize,
    state: Mutex<State>,
    /// Told when a place may have become free.
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    taken: HashMap<u64, Taken>,
    /// Connections with a place.
    full: usize,
    of_address: HashMap<IpAddr, usize>,
    /// Connections with a place that rest, in the order in which they lose it.
    resting: BTreeMap<Rank, u64>,
    /// Connections in the reserve, the oldest first.
    reserve: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Taken {
    /// `None` for one that is not counted by its address.
    address: Option<IpAddr>,
    kind: Kind,
    rank: Rank,
    /// Whether it is in `resting`; in the reserve all are.
    rests: bool,
    evicted: Arc<Notify>,
}

/// Who loses a place first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Whether its last request had a known key.
    known: bool,
    /// Since when it has sent or taken nothing to speak of.
    since: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Place,
    Reserve,
}

/// What a connection has until it is dropped or evicted.
#[derive(Debug)]
pub(super) struct Seat {
    places: Arc<Places>,
    number: u64,
    evicted: Arc<Notify>,
}

/// What a connection may do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Have it answered.
    Placed,
    /// Have it answered if it asks for the health, else wait.
    InReserve,
    /// Nothing: another connection has its place.
    Evicted,
}

impl Places {
    pub(super) fn new(most: usize, most_of_address: usize, most_in_reserve: usize) -> Arc<Self> {
        Arc::new(Self {
            most: most.max(1),
            most_of_address: most_of_address.max(1),
            most_in_reserve: most_in_reserve.max(1),
            state: Mutex::default(),
            freed: Notify::new(),
        })
    }

    /// A seat for a new connection, which rests until it has sent a request.
    pub(super) fn seat(self: &Arc<Self>, address: Option<IpAddr>) -> Seat {
        let address = address.map(network);
        let mut state = self.lock();
        let kind = if self.make_room(&mut state, address) { Kind::Place } else { Kind::Reserve };
        if kind == Kind::Reserve && state.reserve.len() >= self.most_in_reserve {
            let oldest = state.reserve.values().next().copied();
            state.evict(oldest);
        }
        let number = state.tick();
        let evicted = Arc::new(Notify::new());
        state.take(number, address, kind, evicted.clone());
        Seat { places: self.clone(), number, evicted }
    }

    /// True if another connection of this address may have a place, perhaps that of one that rests.
    fn make_room(&self, state: &mut State, address: Option<IpAddr>) -> bool {
        let of_address = address.and_then(|address| state.of_address.get(&address).copied());
        let of_address = of_address.unwrap_or_default();
        if of_address >= self.most_of_address {
            let same = |number: &&u64| {
                state.taken.get(number).is_some_and(|taken| taken.address == address)
            };
            let oldest = state.resting.values().find(same).copied();
            return state.evict(oldest);
        }
        if state.full >= self.most {
            let oldest = state.resting.values().next().copied();
            return state.evict(oldest);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tick(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn take(&mut self, number: u64, address: Option<IpAddr>, kind: Kind, evicted: Arc<Notify>) {
        let rank = Rank { known: false, since: self.tick() };
        match kind {
            Kind::Place => {
                self.full += 1;
                if let Some(address) = address {
                    *self.of_address.entry(address).or_default() += 1;
                }
                self.resting.insert(rank, number);
            }
            Kind::Reserve => {
                self.reserve.insert(rank.since, number);
            }
        }
        self.taken.insert(number, Taken { address, kind, rank, rests: true, evicted });
    }

    /// Changes a connection with a place and whether it rests.
    fn change(&mut self, number: u64, step: impl FnOnce(&mut Taken, u64)) {
        let now = self.tick();
        let Some(taken) = self.taken.get_mut(&number) else { return };
        if taken.kind != Kind::Place {
            return;
        }
        if taken.rests {
            self.resting.remove(&taken.rank);
        }
        step(taken, now);
        if taken.rests {
            self.resting.insert(taken.rank, number);
        }
    }

    /// True if there was one to evict.
    fn evict(&mut self, number: Option<u64>) -> bool {
        let Some(taken) = number.and_then(|number| self.give_up(number)) else { return false };
        taken.evicted.notify_one();
        true
    }

    fn give_up(&mut self, number: u64) -> Option<Taken> {
        let taken = self.taken.remove(&number)?;
        match taken.kind {
            Kind::Place => {
                self.full = self.full.saturating_sub(1);
                if let Some(address) = taken.address
                    && let Some(count) = self.of_address.get_mut(&address)
                {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.of_address.remove(&address);
                    }
                }
                if taken.rests {
                    self.resting.remove(&taken.rank);
                }
            }
            Kind::Reserve => {
                self.reserve.remove(&taken.rank.since);
            }
        }
        Some(taken)
    }
}

impl Seat {
    /// Ready when another connection has got the place.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// A request has come, of whose key nothing is known: what rests no longer is not evicted.
    pub(super) fn begin(&self) -> Standing {
        let mut state = self.places.lock();
        match state.taken.get(&self.number).map(|taken| taken.kind) {
            None => Standing::Evicted,
            Some(Kind::Reserve) => Standing::InReserve,
            Some(Kind::Place) => {
                state.change(self.number, |taken, now| {
                    taken.rank = Rank { known: false, since: now };
                    taken.rests = false;
                });
                Standing::Placed
            }
        }
    }

    /// The request came with a known key, so that its place is its own.
    pub(super) fn know(&self) {
        self.places.lock().change(self.number, |taken, _| {
            taken.rank.known = true;
            taken.rests = false;
        });
    }

    /// The server waits for the client, whose key it does not know. What has `moved` counts from
    /// now on, anything else from when it last did.
    pub(super) fn stall(&self, moved: bool) {
        self.change_resting(|taken, now| {
            if moved {
                taken.rank.since = now;
            }
            taken.rests = true;
        });
    }

    /// The server is at work for the client again.
    pub(super) fn resume(&self) {
        self.places.lock().change(self.number, |taken, _| taken.rests = false);
    }

    /// The connection has nothing to do.
    pub(super) fn rest(&self) {
        self.change_resting(|taken, now| {
            taken.rank.since = now;
            taken.rests = true;
        });
    }

    fn change_resting(&self, step: impl FnOnce(&mut Taken, u64)) {
        self.places.lock().change(self.number, step);
        self.places.freed.notify_waiters();
    }

    /// Waits in the reserve for a place; true with one.
    pub(super) async fn wait(&self, longest: Duration) -> bool {
        let waiting = async {
            loop {
                let freed = self.places.freed.notified();
                let mut freed = std::pin::pin!(freed);
                freed.as_mut().enable();
                if self.promote() {
                    return;
                }
                freed.await;
            }
        };
        timeout(longest, waiting).await.is_ok()
    }

    fn promote(&self) -> bool {
        let mut state = self.places.lock();
        let Some(taken) = state.taken.get(&self.number) else { return false };
        let address = taken.address;
        if !self.places.make_room(&mut state, address) {
            return false;
        }
        let Some(taken) = state.give_up(self.number) else { return false };
        state.take(self.number, address, Kind::Place, taken.evicted);
        drop(state);
        self.begin() == Standing::Placed
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let had = self.places.lock().give_up(self.number);
        if had.is_some_and(|taken| taken.kind == Kind::Place) {
            self.places.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    fn from(host: u8) -> IpAddr {
        [192, 0, 2, host].into()
    }

    #[tokio::test]
    async fn newcomers_take_the_place_of_who_rests_longest() {
        let places = Places::new(2, 2, 2);
        let (first, second) = (places.seat(Some(from(1))), places.seat(Some(from(2))));
        assert_eq!(first.begin(), Standing::Placed);
        first.rest();
        // The second has rested since it came.
        let third = places.seat(Some(from(3)));
        assert_eq!(
            [&first, &second, &third].map(Seat::begin),
            [Standing::Placed, Standing::Evicted, Standing::Placed]
        );
        timeout(SHORT, second.evicted()).await.unwrap();
        assert!(timeout(SHORT, first.evicted()).await.is_err());
    }

    #[tokio::test]
    async fn an_address_with_too_many_takes_from_itself() {
        let places = Places::new(10, 2, 2);
        let other = places.seat(Some(from(9)));
        let mine = [places.seat(Some(from(1))), places.seat(Some(from(1)))];
        let third = places.seat(Some(from(1)));
        assert_eq!(
            [&other, &mine[0], &mine[1], &third].map(Seat::begin),
            [Standing::Placed, Standing::Evicted, Standing::Placed, Standing::Placed]
        );
        assert_eq!(places.seat(Some(from(1))).begin(), Standing::InReserve);
        assert_eq!(places.seat(Some(from(2))).begin(), Standing::Placed);
    }

    #[test]
    fn what_is_not_counted_by_address_has_all_places() {
        let places = Places::new(3, 1, 2);
        let seats: Vec<Seat> = (0..3).map(|_| places.seat(None)).collect();
        assert!(seats.iter().all(|seat| seat.begin() == Standing::Placed));
        assert_eq!(places.seat(None).begin(), Standing::InReserve);
    }

    #[tokio::test]
    async fn who_is_in_reserve_gets_a_place_once_there_is_one() {
        let places = Places::new(1, 9, 2);
        let first = places.seat(Some(from(1)));
        assert_eq!(first.begin(), Standing::Placed);
        let second = places.seat(Some(from(2)));
        assert_eq!(second.begin(), Standing::InReserve);
        assert!(!second.wait(SHORT).await);
        let waiting = tokio::spawn(async move {
            let got = second.wait(Duration::from_secs(60)).await;
            (got, second)
        });
        tokio::task::yield_now().await;
        first.rest();
        let (got, second) = waiting.await.unwrap();
        assert!(got && second.begin() == Standing::Placed);
        assert_eq!(first.begin(), Standing::Evicted);
        drop(second);
        assert_eq!(places.seat(Some(from(3))).begin(), Standing::Placed);
    }

    #[test]
    fn who_lets_the_server_wait_keeps_a_place_only_with_a_known_key() {
        let places = Places::new(2, 2, 2);
        let (stranger, client) = (places.seat(Some(from(1))), places.seat(Some(from(1))));
        for seat in [&stranger, &client] {
            assert_eq!(seat.begin(), Standing::Placed);
        }
        client.know();
        stranger.stall(false);
        let other = places.seat(Some(from(1)));
        assert_eq!(
            [&stranger, &client, &other].map(Seat::begin),
            [Standing::Evicted, Standing::Placed, Standing::Placed]
        );
    }

    #[test]
    fn a_trickle_does_not_make_a_stranger_younger() {
        let places = Places::new(2, 2, 2);
        let (trickle, stream) = (places.seat(Some(from(1))), places.seat(Some(from(1))));
        for seat in [&stream, &trickle] {
            seat.begin();
            seat.stall(true);
            seat.resume();
        }
        stream.stall(true);
        trickle.stall(false);
        let other = places.seat(Some(from(1)));
        assert_eq!(
            [&trickle, &stream, &other].map(Seat::begin),
            [Standing::Evicted, Standing::Placed, Standing::Placed]
        );
    }

    #[test]
    fn connections_of_strangers_go_before_those_of_clients() {
        let places = Places::new(2, 2, 2);
        let (client, stranger) = (places.seat(Some(from(1))), places.seat(Some(from(1))));
        client.begin();
        client.know();
        client.rest();
        let other = places.seat(Some(from(1)));
        assert_eq!(
            [&client, &stranger, &other].map(Seat::begin),
            [Standing::Placed, Standing::Evicted, Standing::Placed]
        );
    }

    #[test]
    fn the_reserve_is_for_who_came_last() {
        let places = Places::new(1, 9, 2);
        let first = places.seat(Some(from(1)));
        first.begin();
        let waiting: Vec<Seat> = (0..4).map(|_| places.seat(Some(from(1)))).collect();
        let standings: Vec<_> = waiting.iter().map(Seat::begin).collect();
        let [gone, left] = [Standing::Evicted, Standing::InReserve];
        assert_eq!(standings, [gone, gone, left, left]);
    }

    #[test]
    fn nothing_is_kept_of_who_has_gone() {
        let places = Places::new(3, 2, 2);
        let seats: Vec<Seat> = (0..9).map(|host| places.seat(Some(from(host)))).collect();
        drop(seats);
        let state = places.lock();
        assert!(state.taken.is_empty() && state.of_address.is_empty() && state.full == 0);
        assert!(state.resting.is_empty() && state.reserve.is_empty());
    }
}
