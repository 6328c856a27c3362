use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::crowd::Member;
use super::places::{Seat, Standing};

/// Bytes of a body after which a client counts as active again; a trickle has fewer.
const SIGN_OF_LIFE: usize = 16 << 10;

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
#[expect(clippy::struct_excessive_bools, reason = "each ends by itself, in any order")]
struct Progress {
    /// Which request the rest is about.
    request: u64,
    /// It came with a known key.
    known: bool,
    /// The server waits for the client to send more, or to take more.
    awaited: [bool; 2],
    /// Bytes of bodies that moved since that counted last.
    moved: usize,
    /// Nobody wants more of the request.
    received: bool,
    /// The answer has ended.
    answered: bool,
    /// All of it has left.
    sent: bool,
    /// The place that its client has behind a proxy until then.
    member: Option<Member>,
}

impl Progress {
    fn awaits(&self) -> bool {
        self.awaited.contains(&true)
    }
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
        let progress = Progress {
            request: 0,
            known: false,
            awaited: [false; 2],
            moved: 0,
            received: true,
            answered: true,
            sent: true,
            member: None,
        };
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
        let mut progress = self.lock();
        let standing = self.0.seat.begin();
        self.0.phase.send_replace(Phase::Busy);
        let request = progress.request + 1;
        *progress = Progress {
            request,
            known: false,
            awaited: [false; 2],
            moved: 0,
            received: false,
            answered: false,
            sent: false,
            member: None,
        };
        (standing, request)
    }

    /// The server waits for the client to go on with a body.
    pub(super) fn stall(&self, side: Side) {
        let mut progress = self.lock();
        let waits = progress.awaits();
        let [request, answer] = &mut progress.awaited;
        match side {
            Side::Request => *request = true,
            Side::Answer => *answer = true,
        }
        if progress.known || progress.sent || waits {
            return;
        }
        let moved = progress.moved >= SIGN_OF_LIFE;
        if moved {
            progress.moved = 0;
        }
        self.0.seat.stall(moved);
    }

    /// The client has sent or taken so many bytes of a body.
    pub(super) fn moved(&self, side: Side, bytes: usize) {
        let mut progress = self.lock();
        progress.moved = progress.moved.saturating_add(bytes);
        let waited = progress.awaits();
        let [request, answer] = &mut progress.awaited;
        match side {
            Side::Request => *request = false,
            Side::Answer => *answer = false,
        }
        if waited && !progress.awaits() && !progress.known && !progress.sent {
            self.0.seat.resume();
        }
    }

    /// Keeps the place of a client until the present answer has left.
    pub(super) fn hold(&self, member: Member) {
        self.lock().member = Some(member);
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
        if progress.sent && !before {
            progress.member = None;
            self.0.seat.rest();
        }
    }

    fn is_at(&self, request: u64) -> bool {
        self.lock().request == request
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request on a connection, told to who finds out whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    visit: Visit,
    request: u64,
}

impl Guest {
    pub(super) fn new(visit: Visit, request: u64) -> Self {
        Self { visit, request }
    }

    /// The key of the request is known: it keeps its place whatever strangers do.
    pub(crate) fn is_known(&self) {
        let mut progress = self.visit.lock();
        if progress.request == self.request && !progress.sent && !progress.known {
            progress.known = true;
            self.visit.0.seat.know();
        }
    }
}

/// Which of the two bodies of a request is meant.
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

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(context);
        // Answers are waited for by the server alone; their client is met when they are written.
        if matches!(this.side, Side::Request) && this.visit.is_at(this.request) {
            match &polled {
                Poll::Pending => this.visit.stall(Side::Request),
                Poll::Ready(Some(Ok(frame))) => {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    this.visit.moved(Side::Request, bytes);
                }
                Poll::Ready(_) => this.visit.moved(Side::Request, 0),
            }
        }
        polled
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
