use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;

use crate::ApiError;

/// Callers that are told apart; with more, those go that have used up nothing.
const CALLERS: usize = 16_384;

/// So many requests in a second of each caller, of which some may come at once.
#[derive(Debug)]
pub(crate) struct Rate<K> {
    /// Between two requests that come evenly; `None` is no limit.
    interval: Option<Duration>,
    /// By how much a caller may be ahead of that.
    ahead: Duration,
    /// When each caller would be even again.
    even: Mutex<HashMap<K, Instant>>,
}

impl<K: Hash + Eq> Rate<K> {
    /// None of `per_second` is no limit; `burst` is how long one may save up.
    pub(crate) fn new(per_second: u32, burst: Duration) -> Self {
        let interval = (per_second > 0).then(|| Duration::from_secs(1) / per_second.max(1));
        Self { interval, ahead: burst, even: Mutex::default() }
    }

    /// Counts a request; 429 if there were too many.
    pub(crate) fn spend(&self, caller: K) -> Result<(), ApiError> {
        self.spend_at(caller, Instant::now()).map_err(|wait| {
            // Clients wait for whole seconds.
            let seconds = wait.as_secs() + 1;
            let text =
                format!("too many requests came from you; send this one again in {seconds} s");
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, text).retry_after(seconds)
        })
    }

    /// The error is how long to wait.
    fn spend_at(&self, caller: K, now: Instant) -> Result<(), Duration> {
        let Some(interval) = self.interval else { return Ok(()) };
        let mut even = self.even.lock().unwrap_or_else(PoisonError::into_inner);
        if even.len() >= CALLERS && !even.contains_key(&caller) {
            even.retain(|_, even| *even > now);
            if even.len() >= CALLERS {
                even.clear();
            }
        }
        let before = even.get(&caller).map_or(now, |even| (*even).max(now));
        // One request is always possible.
        let lead = before.saturating_duration_since(now);
        if lead > self.ahead {
            return Err(lead.saturating_sub(self.ahead));
        }
        even.insert(caller, before + interval);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(rate: &Rate<u8>, caller: u8, now: Instant) -> bool {
        rate.spend_at(caller, now).is_ok()
    }

    #[test]
    fn what_was_saved_up_may_come_at_once_and_then_an_even_stream() {
        let rate = Rate::new(10, Duration::from_secs(2));
        let start = Instant::now();
        let at_once = (0..100).filter(|_| spend(&rate, 1, start)).count();
        assert_eq!(at_once, 21);
        assert!(spend(&rate, 2, start), "another caller");
        let wait = rate.spend_at(1, start).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        let later = start + wait;
        assert!(spend(&rate, 1, later) && !spend(&rate, 1, later));
        let rested = start + Duration::from_secs(60);
        assert_eq!((0..100).filter(|_| spend(&rate, 1, rested)).count(), 21);
    }

    #[test]
    fn without_a_rate_nothing_is_kept() {
        let rate = Rate::new(0, Duration::ZERO);
        assert!((0..1_000).all(|_| spend(&rate, 1, Instant::now())));
        assert!(rate.even.lock().unwrap().is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let rate = Rate::new(1, Duration::ZERO);
        let start = Instant::now();
        for caller in 0..CALLERS * 3 {
            rate.spend_at(caller, start).unwrap();
        }
        assert!(rate.even.lock().unwrap().len() <= CALLERS);
    }
}
