use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::EXPECT;
use http_body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::App;
use crate::pace::Pace;
use crate::transfer::discard;

/// The body of a request, which has to come at the least rate. What nobody reads of it is thrown
/// away as it comes, within bounds: many clients send all of a body before they look at the answer,
/// and a connection with bytes that nobody took is reset, so that they see that instead.
#[derive(Debug)]
pub(super) struct Unread {
    app: App,
    body: Body,
    pace: Pace,
    /// Whether the client sends nothing before somebody begins to read.
    awaited: bool,
    ended: bool,
}

impl Unread {
    pub(super) fn new(app: App, headers: &HeaderMap, body: Body, end: Instant) -> Self {
        let expected = headers.get(EXPECT).map(|expected| expected.as_bytes().trim_ascii());
        let awaited =
            expected.is_some_and(|expected| expected.eq_ignore_ascii_case(b"100-continue"));
        let limits = app.limits();
        let pace = Pace::new(limits.patience, limits.least_rate, Some(end));
        Self { app, body, pace, awaited, ended: false }
    }
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        this.awaited = false;
        let paced = match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                this.pace.moved(length).map(|()| frame)
            }
            Poll::Ready(other) => {
                this.ended = true;
                return Poll::Ready(other);
            }
            Poll::Pending => match this.pace.wait(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(slow) => Err(slow),
            },
        };
        this.ended |= paced.is_err();
        Poll::Ready(Some(paced.map_err(axum::Error::new)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let ended = self.ended || self.body.is_end_stream();
        // Without a runtime there is no connection to keep alive either.
        if !ended && !self.awaited && Handle::try_current().is_ok() {
            discard(&self.app, mem::take(&mut self.body));
        }
    }
}
