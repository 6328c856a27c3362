//! Who asks, and what they may do.

mod chosen_texts;
mod gatekeeper;
mod key_gatekeeper;
mod local_user;
mod noted;
mod outer_caller;
mod rules;
mod session;
mod study;
mod table;
mod visitor;

pub use gatekeeper::{Caller, Gatekeeper, Refusal, Right};
pub use key_gatekeeper::KeyGatekeeper;
pub use local_user::LocalUser;
pub(crate) use noted::Noted;
pub use outer_caller::OuterCaller;
pub(crate) use rules::{FeedGroups, Rules};
pub(crate) use session::Begun;
pub use session::Session;
pub(crate) use study::{Study, network};
pub(crate) use table::*;
pub use table::{Demand, ENDPOINTS, Endpoint, Guard, Place};
#[cfg(feature = "fuzzing")]
pub(crate) use visitor::credential;
pub use visitor::{Credential, Visitor};
pub(crate) use visitor::{Native, is_key_name, shows_key};
