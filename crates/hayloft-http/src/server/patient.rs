use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::visit::{Side, Visit};
use crate::pace::Pace;

/// A stream whose writes fail once the other side takes too little, and that tells what happens on
/// it: a client that stops reading an answer must not hold a file and a connection for ever.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    visit: Visit,
    pace: Pace,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, visit: Visit, pace: Pace) -> Self {
        Self { stream, visit, pace }
    }

    fn paced<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
        moved: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        let slow = match &polled {
            Poll::Ready(Ok(value)) => {
                let bytes = moved(value);
                self.visit.moved(Side::Answer, bytes);
                self.pace.moved(bytes).is_err()
            }
            Poll::Ready(Err(_)) => false,
            Poll::Pending => {
                self.visit.stall(Side::Answer);
                self.pace.wait(context).is_ready()
            }
        };
        if slow { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { polled }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.visit.heard();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.paced(context, polled, |written| *written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.paced(context, polled, |written| *written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        let paced = self.paced(context, polled, |()| 0);
        if let Poll::Ready(Ok(())) = paced {
            self.visit.flushed();
        }
        paced
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.paced(context, polled, |()| 0)
    }
}
