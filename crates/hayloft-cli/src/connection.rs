//! Requests of the Packages API, to a server or to a store on this machine.

mod answer;
mod choose;
mod explain;
mod local;
mod remote;
mod request;
#[cfg(unix)]
mod socket_file;

use hayloft::Create;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use answer::{Answer, parse};
pub(crate) use choose::{Held, Place, StorePlace, is_url, open_store, place, user_of_the_system};
pub(crate) use request::{Method, Payload, Request, Target, escape};

use crate::arguments::Invocation;
use crate::console::Console;
use crate::failure::Failure;

/// Carries one request and brings back its answer, whatever its status.
pub(crate) trait Transport {
    fn send(&self, request: Request) -> Result<Answer, Failure>;
}

/// Where a command's requests go.
pub(crate) struct Connection {
    transport: Box<dyn Transport>,
    default_feed: Option<String>,
    /// The address to show people: a URL or a directory.
    place: String,
    user: Option<String>,
    credential: Credential,
    key: Option<String>,
}

/// Whether requests show who sends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credential {
    Shown,
    None,
    /// Whoever can open the store may do everything in it.
    NotNeeded,
}

impl Connection {
    /// To where the common options say. A store that is not there is not made: a mistyped name
    /// would pass for an empty store.
    pub(crate) fn open(invocation: &Invocation, console: &Console) -> Result<Self, Failure> {
        choose::connect(choose::place(invocation)?, Create::Never, console)
    }

    /// The same for commands that begin a store where there is none.
    pub(crate) fn open_or_create(
        invocation: &Invocation,
        console: &Console,
    ) -> Result<Self, Failure> {
        choose::connect(choose::place(invocation)?, Create::IfMissing, console)
    }

    /// To a place already known.
    pub(crate) fn to(place: Place, console: &Console) -> Result<Self, Failure> {
        choose::connect(place, Create::Never, console)
    }

    /// The feed of a command: the option's, else the source's own.
    pub(crate) fn feed(&self, invocation: &Invocation) -> Result<String, Failure> {
        let asked = invocation.text("feed").map(str::to_owned);
        asked.or_else(|| self.default_feed.clone()).ok_or_else(|| {
            Failure::option(
                "feed",
                "Feed must be specified if there is no default feed configured.",
            )
        })
    }

    /// A URL or a directory.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// The API key that requests show; not a user and password.
    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref().filter(|key| !key.contains(':'))
    }

    /// The name of the user, if one is known.
    pub(crate) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Sends a request whose status must say success.
    pub(crate) fn send(&self, request: Request) -> Result<Answer, Failure> {
        let sent = self.transport.send(request).and_then(Answer::success);
        sent.map_err(|failure| self.explained(failure))
    }

    /// Sends a request, whatever its status will be.
    pub(crate) fn send_unchecked(&self, request: Request) -> Result<Answer, Failure> {
        self.transport.send(request)
    }

    /// GET, with an answer of any kind.
    pub(crate) fn fetch(&self, target: Target) -> Result<Answer, Failure> {
        self.send(Request { method: Method::Get, target, payload: Payload::Nothing })
    }

    /// GET of one JSON value.
    pub(crate) fn get<T: DeserializeOwned>(&self, target: Target) -> Result<T, Failure> {
        self.fetch(target)?.json()
    }

    /// POST without a body.
    pub(crate) fn post(&self, target: Target) -> Result<Answer, Failure> {
        self.send(Request { method: Method::Post, target, payload: Payload::Nothing })
    }

    /// POST of one JSON value.
    pub(crate) fn post_json(
        &self,
        target: Target,
        body: &impl Serialize,
    ) -> Result<Answer, Failure> {
        let body = serde_json::to_vec(body).map_err(anyhow::Error::new)?;
        self.send(Request { method: Method::Post, target, payload: Payload::Json(body) })
    }
}
