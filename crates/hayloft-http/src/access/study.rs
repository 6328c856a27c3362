use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{ApiError, RequestLimits};

/// Addresses that are told apart; with more all begin anew, for the threads are few anyway.
const ADDRESSES: usize = 16_384;

/// Bounds what making out slow credentials costs: few threads, a queue of a fixed length, and for
/// each address so many in vain.
#[derive(Debug)]
pub(crate) struct Study {
    threads: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    burst: u32,
    /// Until an address has one more.
    pause: Duration,
    spent: Mutex<HashMap<IpAddr, Spent>>,
}

/// What an address has used up of its burst.
#[derive(Debug, Clone, Copy)]
struct Spent {
    tries: u32,
    /// When the first of them comes back.
    since: Instant,
}

/// A place on the threads.
#[derive(Debug)]
pub(crate) struct StudyPlace {
    _thread: OwnedSemaphorePermit,
    _queue: OwnedSemaphorePermit,
}

impl Study {
    pub(crate) fn new(limits: &RequestLimits) -> Self {
        let waiting = limits.key_threads.saturating_add(limits.key_queue);
        Self {
            threads: Arc::new(Semaphore::new(limits.key_threads)),
            queue: Arc::new(Semaphore::new(waiting)),
            burst: limits.wrong_keys,
            pause: limits.wrong_key_pause,
            spent: Mutex::default(),
        }
    }

    /// Waits for a thread: 429 for an address that has tried in vain too often, 503 if too many
    /// wait already.
    pub(crate) async fn begin(&self, address: Option<IpAddr>) -> Result<StudyPlace, ApiError> {
        let queue = self.queue.clone().try_acquire_owned().map_err(|_| {
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many keys are being checked; send the request again",
            )
        })?;
        if !address.is_none_or(|address| self.spend(address, Instant::now())) {
            return Err(ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too many wrong keys came from this address; wait a minute",
            ));
        }
        let thread = self.threads.clone().acquire_owned().await.map_err(ApiError::internal)?;
        Ok(StudyPlace { _thread: thread, _queue: queue })
    }

    /// The try of an address was not in vain.
    pub(crate) fn give_back(&self, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spent) = spent.get_mut(&network(address)) {
            spent.tries = spent.tries.saturating_sub(1);
        }
    }

    fn spend(&self, address: IpAddr, now: Instant) -> bool {
        let mut all = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network(address);
        if all.len() >= ADDRESSES && !all.contains_key(&address) {
            all.clear();
        }
        let spent = all.entry(address).or_insert(Spent { tries: 0, since: now });
        while spent.tries > 0 && now.saturating_duration_since(spent.since) >= self.pause {
            spent.tries -= 1;
            spent.since += self.pause;
        }
        if spent.tries == 0 {
            spent.since = now;
        }
        if spent.tries >= self.burst {
            return false;
        }
        spent.tries += 1;
        true
    }
}

/// What one holder of addresses has at least: of version 6 that is a network.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn study() -> Study {
        Study::new(&RequestLimits {
            wrong_keys: 3,
            wrong_key_pause: Duration::from_secs(2),
            ..RequestLimits::default()
        })
    }

    #[test]
    fn tries_come_back_one_by_one() {
        let study = study();
        let start = Instant::now();
        let spend =
            |seconds| study.spend([192, 0, 2, 1].into(), start + Duration::from_secs(seconds));
        assert_eq!([0, 0, 1, 1].map(spend), [true, true, true, false]);
        assert_eq!([2, 3, 4, 4].map(spend), [true, false, true, false]);
        assert_eq!([100, 100, 100, 100].map(spend), [true, true, true, false]);
        assert!(study.spend([192, 0, 2, 2].into(), start), "another address");
        study.give_back(Some([192, 0, 2, 1].into()));
        assert_eq!([100, 100].map(spend), [true, false]);
    }

    #[test]
    fn addresses_of_a_network_count_as_one() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }

    #[tokio::test]
    async fn the_queue_has_an_end() {
        let limits = RequestLimits { key_threads: 1, key_queue: 1, ..RequestLimits::default() };
        let study = Arc::new(Study::new(&limits));
        let first = study.begin(None).await.unwrap();
        let second = tokio::spawn({
            let study = study.clone();
            async move { study.begin(None).await.map(drop) }
        });
        while study.queue.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(study.begin(None).await.unwrap_err().status(), 503);
        drop(first);
        second.await.unwrap().unwrap();
    }
}
