use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tokio::runtime::Handle;

use crate::App;
use crate::transfer::discard;

/// The body of a request. If nobody begins to read it, it is read and thrown away: a connection
/// with bytes that nobody took is reset, and then many clients do not get to see the answer.
///
/// Whoever reads some of it decides on the rest.
#[derive(Debug)]
pub(super) struct Unread {
    app: App,
    body: Body,
    is_read: bool,
}

impl Unread {
    pub(super) fn new(app: App, body: Body) -> Self {
        Self { app, body, is_read: false }
    }
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_read = true;
        Pin::new(&mut self.body).poll_frame(context)
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
        // Without a runtime there is no connection to keep alive either.
        if !self.is_read && !self.body.is_end_stream() && Handle::try_current().is_ok() {
            discard(&self.app, mem::take(&mut self.body));
        }
    }
}
