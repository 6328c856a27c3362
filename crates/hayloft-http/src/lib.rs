//! The Packages API and the publish protocols of package ecosystems over a Hayloft store.
//!
//! [`router`] is an axum router that any server can mount. The edge is async, the store is not:
//! bodies stream between sockets and files, and every call of the store runs on a thread that may
//! block.

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
mod json_body;
mod limits;
pub mod native;
mod openapi;
mod pace;
mod package_query;
mod parameters;
mod process;
mod rates;
mod routes;
mod server;
mod settings;
mod text_limits;
mod traffic;
mod transfer;
mod visible;
pub mod wire;

pub use access::{
    Caller, Credential, Demand, ENDPOINTS, Endpoint, Gatekeeper, Guard, KeyGatekeeper, LocalUser,
    Place, Refusal, Right, Session, Visitor,
};
pub use app::{App, AppBuilder, router};
pub use client::{NoProxy, ProxyHeader, TrustedProxies};
pub use error::ApiError;
pub use limits::RequestLimits;
pub use openapi::openapi;
pub use server::{Listener, ServeOptions, serve};
