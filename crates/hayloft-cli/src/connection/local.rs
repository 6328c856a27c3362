use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, WARNING};
use axum::http::{self, HeaderMap, HeaderName};
use futures_core::Stream;
use hayloft::Store;
use hayloft_http::{App, LocalUser};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tower::ServiceExt;

use super::answer::{self, Origin};
use super::{Answer, Payload, Request, Transport};
use crate::failure::Failure;

/// Chunks on their way into the router, and bytes of each.
const CHUNKS: usize = 4;
const CHUNK: usize = 64 << 10;

/// The server's own router in this process, over a store on this machine.
pub(crate) struct Local {
    store: Store,
    router: Router,
    runtime: Arc<Runtime>,
}

impl Local {
    /// Over this store; `user` goes into records.
    pub(crate) fn new(store: Store, user: &str) -> Result<Self, Failure> {
        let app = App::builder(store.clone()).gatekeeper(LocalUser::new(user)).build();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(Failure::io("start threads"))?;
        Ok(Self { store, router: hayloft_http::router(app), runtime: Arc::new(runtime) })
    }
}

impl Drop for Local {
    /// Saves download counters and gives the directory free at once: whoever drops the last handle
    /// of a store may be one of its own threads.
    fn drop(&mut self) {
        if let Err(error) = self.store.close() {
            tracing::error!(%error, "the store could not be closed");
        }
    }
}

impl Transport for Local {
    fn send(&self, request: Request) -> Result<Answer, Failure> {
        let mut head = http::Request::builder()
            .method(request.method.name())
            .uri(format!("/{}", request.target.as_str()));
        let body = match request.payload {
            Payload::Nothing => Body::empty(),
            Payload::Json(bytes) => {
                head = head.header(CONTENT_TYPE, "application/json; charset=utf-8");
                Body::from(bytes)
            }
            Payload::File { content, length } => {
                if let Some(length) = length {
                    head = head.header(CONTENT_LENGTH, length);
                }
                self.streamed(content)
            }
        };
        let request = head.body(body).map_err(anyhow::Error::new)?;
        let answered = self.runtime.block_on(self.router.clone().oneshot(request));
        let (head, body) = match answered {
            Ok(response) => response.into_parts(),
            Err(never) => match never {},
        };
        Ok(Answer {
            from: Origin::Store,
            status: head.status.as_u16(),
            disposition: header(&head.headers, &CONTENT_DISPOSITION),
            warning: header(&head.headers, &WARNING).and_then(|text| answer::warning(&text)),
            date: None,
            is_of_this_api: true,
            length: header(&head.headers, &CONTENT_LENGTH).and_then(|text| text.parse().ok()),
            body: Box::new(Received {
                runtime: self.runtime.clone(),
                stream: body.into_data_stream(),
                chunk: Bytes::new(),
            }),
        })
    }
}

impl Local {
    /// A body that a thread fills as the router takes it.
    fn streamed(&self, mut content: Box<dyn Read + Send>) -> Body {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        self.runtime.spawn_blocking(move || {
            let mut buffer = vec![0; CHUNK];
            loop {
                let chunk = match content.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(read) => Ok(Bytes::copy_from_slice(buffer.get(..read).unwrap_or_default())),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = chunk.is_err();
                // The router has answered without reading all of it.
                if sender.blocking_send(chunk).is_err() || failed {
                    return;
                }
            }
        });
        Body::from_stream(Sent(receiver))
    }
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// What the thread reads, for the router.
struct Sent(mpsc::Receiver<io::Result<Bytes>>);

impl Stream for Sent {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// What the router writes, for a command.
struct Received {
    runtime: Arc<Runtime>,
    stream: BodyDataStream,
    chunk: Bytes,
}

impl Read for Received {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            let stream = &mut self.stream;
            let next = std::future::poll_fn(|context| Pin::new(&mut *stream).poll_next(context));
            match self.runtime.block_on(next) {
                Some(chunk) => self.chunk = chunk.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let some = self.chunk.split_to(self.chunk.len().min(out.len()));
        out.get_mut(..some.len()).unwrap_or_default().copy_from_slice(&some);
        Ok(some.len())
    }
}
