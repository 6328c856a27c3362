use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// How long one goes on waiting for the other side of a connection.
///
/// Waiting uses up patience, and bytes that move give it back at the least rate. So a side that
/// keeps to that rate may take for ever, one that stops is given up once the patience is used up,
/// and one that sends a byte now and then wins nothing by it. What happens while nobody waits does
/// not count.
#[derive(Debug)]
pub(crate) struct Pace {
    patience: Duration,
    /// Bytes in a second.
    least_rate: u64,
    /// Patience that is left.
    left: Duration,
    /// Since when somebody waits.
    waiting: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    /// When all ends, however fast it goes.
    end: Option<Instant>,
}

/// The other side kept one waiting for too long.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the bytes came too slowly")]
pub(crate) struct TooSlow;

impl Pace {
    pub(crate) fn new(patience: Duration, least_rate: u64, end: Option<Instant>) -> Self {
        let least_rate = least_rate.max(1);
        Self { patience, least_rate, left: patience, waiting: None, timer: None, end }
    }

    /// Bytes have moved.
    pub(crate) fn moved(&mut self, bytes: usize) -> Result<(), TooSlow> {
        let now = self.waiting.take().map(|since| {
            let now = Instant::now();
            self.left = self.left.saturating_sub(now.duration_since(since));
            now
        });
        let micros = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(1_000_000);
        let earned = Duration::from_micros(micros / self.least_rate);
        self.left = self.left.saturating_add(earned).min(self.patience);
        match self.end {
            Some(end) if now.unwrap_or_else(Instant::now) >= end => Err(TooSlow),
            _ => Ok(()),
        }
    }

    /// Ready once the other side has kept one waiting for too long.
    pub(crate) fn wait(&mut self, context: &mut Context<'_>) -> Poll<TooSlow> {
        let now = Instant::now();
        let since = *self.waiting.get_or_insert(now);
        let mut over = since + self.left;
        if let Some(end) = self.end {
            over = over.min(end);
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(over)));
        if timer.deadline() != over {
            timer.as_mut().reset(over);
        }
        timer.as_mut().poll(context).map(|()| TooSlow)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{advance, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Whether the other side is given up within so many seconds of silence.
    async fn ends(pace: &mut Pace, seconds: u32) -> bool {
        timeout(SECOND * seconds, poll_fn(|context| pace.wait(context))).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_when_the_patience_does() {
        let mut pace = Pace::new(10 * SECOND, 100, None);
        assert!(!ends(&mut pace, 9).await);
        assert!(ends(&mut pace, 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_steady_side_may_take_for_ever_and_a_trickle_may_not() {
        let mut steady = Pace::new(10 * SECOND, 100, None);
        for _ in 0..1_000 {
            assert!(!ends(&mut steady, 5).await);
            steady.moved(500).unwrap();
        }
        let mut trickle = Pace::new(10 * SECOND, 100, None);
        let mut seconds = 0;
        while !ends(&mut trickle, 1).await {
            trickle.moved(1).unwrap();
            seconds += 1;
            assert!(seconds < 12, "a byte a second wins nothing");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_waits_does_not_count() {
        let mut pace = Pace::new(10 * SECOND, 100, None);
        for _ in 0..100 {
            assert!(!ends(&mut pace, 1).await);
            pace.moved(100).unwrap();
            advance(60 * SECOND).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn even_the_fastest_has_an_end() {
        let end = Instant::now() + 20 * SECOND;
        let mut pace = Pace::new(10 * SECOND, 100, Some(end));
        for _ in 0..19 {
            advance(SECOND).await;
            pace.moved(1 << 20).unwrap();
        }
        advance(SECOND).await;
        assert!(pace.moved(1 << 20).is_err());
        let mut silent = Pace::new(60 * SECOND, 100, Some(Instant::now() + 3 * SECOND));
        assert!(ends(&mut silent, 4).await);
    }
}
