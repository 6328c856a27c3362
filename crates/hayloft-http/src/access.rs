//! Who asks, and what they may do.

mod gatekeeper;
mod key_gatekeeper;
mod local_user;
mod session;
mod visitor;

pub use gatekeeper::{Caller, Gatekeeper, Refusal, Right};
pub use key_gatekeeper::KeyGatekeeper;
pub use local_user::LocalUser;
pub use session::Session;
pub(crate) use visitor::Native;
pub use visitor::{Credential, Visitor};
