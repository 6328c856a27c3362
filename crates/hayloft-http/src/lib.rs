//! The Packages API and the publish protocols of package ecosystems over a Hayloft store.

pub mod wire;
