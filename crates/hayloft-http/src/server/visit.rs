use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::places::{Seat, Standing};

/// What a connection is doing, known to its socket and to the bodies on it.
#[derive(Debug, Clone)]
pub(super) struct Visit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    seat: Seat,
    progress: Mutex<Progress>,
    phase: watch::Sender<Phase>,
}

#[derive(Debug)]
struct Progress {
    /// Which request the rest is about.
    request: u64,
    /// Nobody wants more of the request.
    received: bool,
    /// The answer has ended.
    answered: bool,
    /// All of it has left.
    sent: bool,
}

/// What the client is expected to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// To send the head of a request, since then.
    Head(Instant),
    /// Nothing, since then; another request may come.
    Resting(Instant),
    /// To send and take bodies.
    Busy,
}

impl Visit {
    pub(super) fn new(seat: Seat) -> Self {
        let progress = Progress { request: 0, received: true, answered: true, sent: true };
        let (phase, _) = watch::channel(Phase::Head(Instant::now()));
        Self(Arc::new(Shared { seat, progress: Mutex::new(progress), phase }))
    }

    pub(super) fn seat(&self) -> &Seat {
        &self.0.seat
    }

    /// Ready when the client has kept one waiting for too long: for the head of a request, or for
    /// another request. Bodies have limits of their own.
    pub(super) async fn overdue(&self, head: Duration, rest: Duration) {
        let mut changes = self.0.phase.subscribe();
        loop {
            let phase = *changes.borrow_and_update();
            let end = match phase {
                Phase::Head(since) => since + head,
                Phase::Resting(since) => since + rest,
                Phase::Busy => {
                    // The sender is in `self`.
                    let _ = changes.changed().await;
                    continue;
                }
            };
            if timeout_at(end, changes.changed()).await.is_err() {
                return;
            }
        }
    }

    /// Bytes have come from the client.
    pub(super) fn heard(&self) {
        self.0.phase.send_if_modified(|phase| {
            let rests = matches!(phase, Phase::Resting(_));
            if rests {
                *phase = Phase::Head(Instant::now());
            }
            rests
        });
    }

    /// The head of a request is complete; gives its number, too.
    pub(super) fn begin(&self) -> (Standing, u64) {
        let standing = self.0.seat.begin();
        let mut progress = self.lock();
        progress.request += 1;
        self.0.phase.send_replace(Phase::Busy);
        (progress.received, progress.answered, progress.sent) = (false, false, false);
        (standing, progress.request)
    }

    /// All that was written has left.
    pub(super) fn flushed(&self) {
        self.advance(None, |progress| progress.sent |= progress.answered);
    }

    fn advance(&self, request: Option<u64>, step: impl FnOnce(&mut Progress)) {
        let mut progress = self.lock();
        let current = request.is_none_or(|request| request == progress.request);
        if !current || (progress.sent && progress.received) {
            return;
        }
        let before = progress.sent;
        step(&mut progress);
        let rests = progress.sent && progress.received;
        if rests {
            self.0.phase.send_replace(Phase::Resting(Instant::now()));
        }
        // What is still thrown away of a body does not keep a place from others.
        let free = progress.sent && !before;
        drop(progress);
        if free {
            self.0.seat.rest();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of the two bodies of a request ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Request,
    Answer,
}

/// A body that tells the connection when nobody wants more of it.
#[derive(Debug)]
pub(super) struct Watched<B> {
    body: B,
    side: Side,
    request: u64,
    visit: Visit,
}

impl<B> Watched<B> {
    pub(super) fn new(body: B, side: Side, request: u64, visit: Visit) -> Self {
        Self { body, side, request, visit }
    }
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Watched<B> {
    fn drop(&mut self) {
        self.visit.advance(Some(self.request), |progress| match self.side {
            Side::Request => progress.received = true,
            Side::Answer => progress.answered = true,
        });
    }
}
