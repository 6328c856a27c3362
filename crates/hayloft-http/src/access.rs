//! Who asks, and what they may do.

mod gatekeeper;
mod key_gatekeeper;
mod local_user;
mod rules;
mod session;
mod table;
mod visitor;

pub use gatekeeper::{Caller, Gatekeeper, Refusal, Right};
pub use key_gatekeeper::KeyGatekeeper;
pub use local_user::LocalUser;
pub(crate) use rules::{FeedGroups, Rules};
pub use session::Session;
pub(crate) use table::*;
pub use table::{Demand, ENDPOINTS, Endpoint, Guard, Place};
pub use visitor::{Credential, Visitor};
pub(crate) use visitor::{Native, is_key_name};
