//! The Packages API and the publish protocols of package ecosystems over a Hayloft store.
//!
//! [`router`] is an axum router that any server can mount. The edge is async, the store is not:
//! bodies stream between sockets and files, and every call of the store runs on a thread that may
//! block.
//!
//! Feeds below a path of a program that knows people by a layer of its own:
//!
//! ```
//! use axum::extract::Request;
//! use axum::middleware::{Next, from_fn};
//! use hayloft_http::{App, Caller, KeyGatekeeper, OuterCaller};
//!
//! async fn authenticate(mut request: Request, next: Next) -> axum::response::Response {
//!     // A real program asks its sessions. Whoever it names has the rights of `access.rules`.
//!     let caller = Caller { name: "alice".to_owned(), key: None, anonymous: false };
//!     request.extensions_mut().insert(caller);
//!     next.run(request).await
//! }
//!
//! # let directory = tempfile::tempdir()?;
//! let store = hayloft::open(directory.path())?;
//! // Whom the layer does not name needs a key of the store.
//! let gatekeeper = OuterCaller::or(KeyGatekeeper::default());
//! let feeds = hayloft_http::router(App::builder(store).gatekeeper(gatekeeper).build());
//! let program: axum::Router =
//!     axum::Router::new().nest("/packages", feeds).layer(from_fn(authenticate));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Handlers of one's own take a [`Visitor`], do their work in [`App::run`], receive files with
//! [`receive`] and send them with [`Outgoing`]: see `examples/embedded_server.rs`.
//!
//! # Cargo features
//!
//! All are on by default. With `default-features = false` there is the router alone, for a program
//! that has a server already; feed types are features of the crate `hayloft`.
//!
//! | feature | adds |
//! |---|---|
//! | `serve` | `serve`: HTTP/1.1 with limits for connections, heads and trickling bodies, and a drain |
//! | `tls` | `ServeOptions::tls`, with `rustls` and `ring`; implies `serve` |
//! | `openapi` | `openapi`: the description of the API, also at `/api/openapi.json`, with `utoipa` |

mod access;
mod app;
mod base_url;
mod client;
mod edge;
mod error;
mod feed_object;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http_date;
mod json_body;
mod limits;
pub mod native;
#[cfg(feature = "openapi")]
mod openapi;
mod pace;
mod package_query;
mod parameters;
mod process;
mod rates;
mod routes;
#[cfg(feature = "serve")]
mod server;
mod settings;
mod text_limits;
mod traffic;
mod transfer;
mod visible;
pub mod wire;

pub use access::{
    Caller, Credential, Demand, ENDPOINTS, Endpoint, Gatekeeper, Guard, KeyGatekeeper, LocalUser,
    OuterCaller, Place, Refusal, Right, Session, Visitor,
};
pub use app::{App, AppBuilder, router};
pub use client::{NoProxy, ProxyHeader, TrustedProxies};
pub use error::ApiError;
pub use limits::RequestLimits;
#[cfg(feature = "openapi")]
pub use openapi::openapi;
#[cfg(feature = "serve")]
pub use server::{Listener, ServeOptions, serve, serve_at};
pub use transfer::{FileRequest, Outgoing, receive};
