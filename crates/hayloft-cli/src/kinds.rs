//! What this command is made of: the feed types it knows, and protocols of its server beside those
//! of the types.

use std::sync::{Arc, OnceLock};

use hayloft::FeedTypes;
use hayloft_http::native::Protocol;

static KINDS: OnceLock<Kinds> = OnceLock::new();

struct Kinds {
    types: FeedTypes,
    protocols: Vec<Arc<dyn Protocol>>,
}

/// Says it, before anything asks. The first word counts: a process is one command.
pub(crate) fn are(types: FeedTypes, protocols: Vec<Arc<dyn Protocol>>) {
    let _ = KINDS.set(Kinds { types, protocols });
}

/// The feed types.
pub(crate) fn types() -> FeedTypes {
    KINDS.get().map(|kinds| kinds.types.clone()).unwrap_or_default()
}

/// Protocols beside those of the types.
pub(crate) fn protocols() -> impl Iterator<Item = Arc<dyn Protocol>> {
    KINDS.get().into_iter().flat_map(|kinds| kinds.protocols.iter().cloned())
}
