//! Feeds below `/packages` of a program that has routes and accounts of its own.
//!
//! A layer of the program makes out who asks and names the caller; the program's own rights decide;
//! a route of its own hands out a file. Run it with a directory.
#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use axum::extract::{Path, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn};
use axum::response::{Html, Response};
use axum::routing::get;
use axum::{Router, response::IntoResponse};
use hayloft::{Feed, Selector, Store, StoreError};
use hayloft_http::{
    ApiError, App, Caller, FileRequest, Gatekeeper, OuterCaller, Outgoing, Refusal, Right, Visitor,
};

/// Who may do what in the program; whom no layer names may nothing.
#[derive(Debug)]
struct Staff;

impl Gatekeeper for Staff {
    fn identify(&self, _: &Store, visitor: &Visitor) -> Result<Caller, Refusal> {
        match visitor.credential() {
            None => Ok(Caller { name: "nobody".to_owned(), key: None, anonymous: true }),
            Some(_) => Err(Refusal::Unknown),
        }
    }

    fn may(
        &self,
        _: &Store,
        caller: &Caller,
        right: Right,
        _: Option<&Feed>,
    ) -> Result<bool, StoreError> {
        Ok(match caller.name.as_str() {
            "alice" => true,
            "bob" => matches!(right, Right::View | Right::Download),
            _ => false,
        })
    }
}

/// The program's own way to know people; a real one asks its sessions.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let name = match shown {
        Some("Session a1") => "alice",
        Some("Session b2") => "bob",
        _ => return next.run(request).await,
    };
    let caller = Caller { name: name.to_owned(), key: None, anonymous: false };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// `/tools/{name}`: the newest version of a tool, whatever it is called.
async fn tool(
    State(app): State<App>,
    Path(name): Path<String>,
    visitor: Visitor,
    request: FileRequest,
) -> Result<Response, ApiError> {
    let (inner, selector) = (app.clone(), Selector::ungrouped(name, hayloft::Wanted::Latest));
    let open = move |session: &hayloft_http::Session| {
        session.feed("tools", &[Right::Download])?;
        let file = session.store().download("tools", &selector)?;
        Outgoing::open(&inner, file, &request)
    };
    Ok(app.run(visitor, open).await?.into_response(&app))
}

/// The program: its own pages, and the feeds.
pub fn program(store: Store) -> Router {
    let app = App::builder(store).gatekeeper(OuterCaller::or(Staff)).build();
    Router::new()
        .route("/", get(|| async { Html("<h1>Our intranet</h1>").into_response() }))
        .route("/tools/{name}", get(tool).with_state(app.clone()))
        .nest("/packages", hayloft_http::router(app))
        .layer(from_fn(authenticate))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "packages".to_owned());
    let store = hayloft::open(directory)?;
    println!("http://127.0.0.1:8626/packages");
    // `axum::serve` does as well; this one has limits against slow and greedy clients.
    Ok(hayloft_http::serve_at("127.0.0.1:8626", program(store)).await?)
}
