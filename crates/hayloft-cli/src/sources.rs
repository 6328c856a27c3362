//! Named servers, in the config file that pgutil has.

mod cipher;
mod config;

pub(crate) use config::{Config, Secrets, Source};
