//! The real program on real stores.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests panic to fail"
)]

mod arguments;
mod backup;
mod bench;
mod bundle;
#[cfg(unix)]
mod clients;
mod config;
#[cfg(unix)]
mod control;
mod demo;
mod fake;
mod feeds;
mod hostile;
#[cfg(unix)]
mod operator;
mod packages;
mod remote;
mod serve;
mod shells;
mod sources;
mod upack;
mod verify;
