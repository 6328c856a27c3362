//! The Packages API and the publish protocols of package ecosystems over a Hayloft store.
//!
//! [`router`] is an axum router that any server can mount. The edge is async, the store is not:
//! bodies stream between sockets and files, and every call of the store runs on a thread that may
//! block.

mod access;
mod app;
mod error;
pub mod native;
mod package_query;
mod parameters;
mod routes;
mod transfer;
mod visible;
pub mod wire;

pub use access::{
    Caller, Credential, Gatekeeper, KeyGatekeeper, LocalUser, Refusal, Right, Session, Visitor,
};
pub use app::{App, AppBuilder, router};
pub use error::ApiError;
