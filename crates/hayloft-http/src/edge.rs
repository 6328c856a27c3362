//! What every request meets before the routes and every answer after them.

use std::any::Any;
use std::fmt::Write as _;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tracing::Instrument;

use self::unread::Unread;
use crate::access::{HEALTH, HEALTH_JSON, LIVE, Noted, READY, is_key_name};
use crate::client::{Client, peer};
use crate::pace::TooSlow;
use crate::traffic::{Answered, Kind, Running};
use crate::{ApiError, App};

mod browser;
mod unread;

/// The version of the API that is spoken; pgutil refuses servers before 24.0.3.
pub(crate) const API_VERSION: &str = "25.0.10";
/// With `Free` and `Basic` pgutil replaces errors by advice to buy another.
const EDITION: &str = "Enterprise";

/// Marks an answer whose request failed for no fault of the client's; the request's number goes
/// into its body, for the log has the cause under that number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed;

/// Gives each request a number and a line in the log, each answer the headers that clients look
/// for, and turns a panic into a 500.
pub(crate) async fn edge(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let (running, id) = app.traffic().begin();
    let noted = Noted::default();
    let client = request.extensions().get::<Client>().cloned();
    let client = client
        .unwrap_or_else(|| app.proxies().client(peer(request.extensions()), request.headers()));
    let line = Line {
        id: id.clone(),
        address: client.address,
        noted: noted.clone(),
        method: request.method().clone(),
        path: redacted(request.uri()),
        started: Instant::now(),
        status: StatusCode::INTERNAL_SERVER_ERROR,
        running,
    };
    trim_slash(request.uri_mut());
    let (mut parts, body) = request.into_parts();
    let admitted = if is_health(parts.uri.path()) { Ok(()) } else { app.admit(client.address) };
    parts.extensions.insert(noted);
    parts.extensions.insert(client);
    let refused = match admitted {
        Ok(()) => browser::refuse_other_sites(&app, &parts).await.err(),
        Err(error) => Some(error),
    };
    let end = Instant::now() + app.limits().deadline;
    let body = Body::new(Unread::new(app.clone(), &parts.headers, body, end));
    let request = Request::from_parts(parts, body);
    let span = tracing::info_span!("request", %id);
    let answering = async {
        match refused {
            // The body goes with the request: its client is to see the answer.
            Some(error) => {
                drop(request);
                error.into_response()
            }
            None => next.run(request).await,
        }
    };
    let answer = catch_panic(answering).instrument(span.clone()).await;
    let mut response = answer.unwrap_or_else(|panic| {
        let _entered = span.entered();
        ApiError::internal(Panicked(text_of(panic.as_ref()).to_owned())).into_response()
    });
    if response.extensions().get::<Failed>().is_some() {
        let text = format!("The server failed; its log has the cause under request {id}.");
        *response.body_mut() = Body::from(text);
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    let headers = response.headers_mut();
    browser::harden(headers);
    headers.insert("x-proget-version", HeaderValue::from_static(API_VERSION));
    headers.insert("x-proget-edition", HeaderValue::from_static(EDITION));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", id);
    }
    let line = Line { status: response.status(), ..line };
    response.map(|body| Body::new(Counted { body, bytes: 0, line, end }))
}

/// What monitors ask under any load; packages may have such names, too, so only these paths count.
pub(crate) fn is_health(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    [HEALTH, HEALTH_JSON, LIVE, READY].iter().any(|endpoint| path == endpoint.path)
}

/// 404 for what is at no path.
pub(crate) async fn unknown_path() -> ApiError {
    ApiError::not_found("There is nothing at this path.")
}

/// 405 for what is not done at a path.
pub(crate) async fn wrong_method(method: Method) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("The method {method} is not possible at this path."),
    )
}

#[derive(Debug, thiserror::Error)]
#[error("a panic: {0}")]
struct Panicked(String);

fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}

async fn catch_panic<T>(future: impl Future<Output = T>) -> Result<T, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    // After a panic the future is not polled again, so it does not matter what it left half done.
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Every endpoint of the API is also there with a slash at its end. Native protocols see their own
/// paths unchanged: the slash makes a difference for some of their clients.
fn trim_slash(uri: &mut Uri) {
    let path = uri.path();
    let trimmed = path.trim_end_matches('/');
    let own = ["/api/", "/health", "/livez", "/metrics", "/readyz"]
        .iter()
        .any(|start| trimmed.starts_with(start));
    if !own || trimmed.len() == path.len() {
        return;
    }
    let mut text = trimmed.to_owned();
    if let Some(query) = uri.query() {
        text.push('?');
        text.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    if let Ok(path) = text.parse::<PathAndQuery>() {
        parts.path_and_query = Some(path);
        if let Ok(changed) = Uri::from_parts(parts) {
            *uri = changed;
        }
    }
}

/// Path and query without the values of keys.
fn redacted(uri: &Uri) -> String {
    let mut text = uri.path().to_owned();
    for (at, pair) in uri.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
        text.push(if at == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, _)) if may_be_key(name) => {
                let _ = write!(text, "{name}=…");
            }
            _ => text.push_str(pair),
        }
    }
    text
}

fn may_be_key(name: &str) -> bool {
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    is_key_name(&name) || name.eq_ignore_ascii_case("api_key")
}

/// What the log says of a request, when its answer has gone out or its client has.
#[derive(Debug)]
struct Line {
    id: String,
    method: Method,
    path: String,
    started: Instant,
    status: StatusCode,
    /// Of the client.
    address: Option<IpAddr>,
    noted: Noted,
    running: Running,
}

/// The body of an answer, whose bytes are counted and whose time is limited.
#[derive(Debug)]
struct Counted {
    body: Body,
    bytes: u64,
    line: Line,
    end: Instant,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.bytes += u64::try_from(data.len()).unwrap_or(0);
            if Instant::now() >= self.end {
                return Poll::Ready(Some(Err(axum::Error::new(TooSlow))));
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

impl Drop for Counted {
    fn drop(&mut self) {
        let line = &self.line;
        let took = line.started.elapsed();
        let facts = line.noted.facts();
        line.running.answered(&Answered {
            kind: Kind::of(&line.method),
            status: line.status,
            bytes: self.bytes,
            took,
            feed: facts.feed.as_deref(),
        });
        tracing::info!(
            id = line.id,
            address = line.address.map(tracing::field::display),
            actor = facts.actor,
            method = %line.method,
            path = line.path,
            status = line.status.as_u16(),
            bytes = self.bytes,
            milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "answered"
        );
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::none("/api/packages/a/latest", "/api/packages/a/latest")]
    #[case::api("/api/packages/a/latest/?name=b/", "/api/packages/a/latest?name=b/")]
    #[case::several("/health//", "/health")]
    #[case::native("/pypi/a/simple/", "/pypi/a/simple/")]
    #[case::root("/", "/")]
    fn slashes_at_the_end_are_cut_from_own_paths(#[case] asked: &str, #[case] expected: &str) {
        let mut uri: Uri = asked.parse().unwrap();
        trim_slash(&mut uri);
        assert_eq!(uri.to_string(), expected);
    }

    #[rstest]
    #[case::health("/health", true)]
    #[case::slash("/health/json/", true)]
    #[case::package("/npm/apps/health", false)]
    #[case::beginning("/healthy", false)]
    #[case::nothing("", false)]
    fn health_is_asked_for_at_its_own_paths_alone(#[case] path: &str, #[case] expected: bool) {
        assert_eq!(is_health(path), expected);
    }

    #[rstest]
    #[case::no_query("/a", "/a")]
    #[case::harmless("/a?name=b&c", "/a?name=b&c")]
    #[case::key("/a?key=secret&name=b", "/a?key=…&name=b")]
    #[case::other_name("/a?name=b&ApiKey=secret", "/a?name=b&ApiKey=…")]
    #[case::encoded_name("/a?%6Bey=secret", "/a?%6Bey=…")]
    fn keys_do_not_reach_the_log(#[case] asked: &str, #[case] expected: &str) {
        assert_eq!(redacted(&asked.parse().unwrap()), expected);
    }

    #[tokio::test]
    async fn a_panic_is_caught() {
        let text = catch_panic(async {
            tokio::task::yield_now().await;
            assert!(std::env::args().count() == 0, "on purpose");
        })
        .await
        .unwrap_err();
        assert_eq!(text_of(text.as_ref()), "on purpose");
    }
}
