//! The protocol of an ecosystem's own client, without HTTP: documents as pure functions over one
//! view of a feed, and requests that change something as named actions.

mod action;
mod answer;
mod client;
mod head_then_file;
mod intake;
mod lookup;
mod path;
mod refusal;
mod request;
mod search_card;
mod secret;
mod view;

use std::fmt;

use crate::{PackageHead, Timestamp};

pub use action::{Action, ActionKind, Change, Edit, Existing, ListingChange, Outcome, UploadOrder};
pub use answer::{
    Access, Answer, Assemble, Body, Caching, Encoding, Extract, Redirect, Render, RenderError,
    Resource, Validator,
};
pub use client::{
    Anchor, ClientBase, ClientChange, ClientConfiguration, ClientDocument, ClientPlace,
    ClientSetup, CommentStyle,
};
pub use head_then_file::{BodyHead, HeadThenFile, ReadHead};
pub use intake::{
    Deframe, DeframeError, Field, Fields, FilePart, Framing, Intake, JsonFile, Piece, StagedCard,
};
pub use lookup::{find_file, find_package};
pub use path::{decoded, encoded, query_pairs, segments};
pub use refusal::{Refusal, Reply};
pub use request::Request;
pub use search_card::{Terms, card_key, index_card};
pub use secret::FeedSecret;
pub use view::{
    FeedCard, FeedView, FragmentEntry, SearchOrder, SearchPage, SearchQuery, Subject, VersionEntry,
    ViewError, Want,
};

/// What the clients of one ecosystem speak, under `/{prefix}/{feed}`.
///
/// Methods are pure: no clock, network or store but what is passed in. One value serves HTTP, an
/// embedder and a static export alike.
pub trait Native: fmt::Debug + Send + Sync {
    /// First segment of its URLs, such as `nuget`.
    fn prefix(&self) -> &'static str;

    /// Raised by a release that renders the same rows differently; part of every validator.
    fn answer_revision(&self) -> u32 {
        1
    }

    /// Answers a GET or HEAD over one snapshot of the feed.
    ///
    /// Names validator and kind first; a body is rendered only if it has to be sent. Costs point
    /// reads until then.
    fn resolve<'a>(
        &'a self,
        view: &'a dyn FeedView,
        request: &'a Request<'a>,
    ) -> Result<Answer<'a>, ViewError>;

    /// Words a refusal as the ecosystem's client expects it.
    fn refuse(&self, request: &Request<'_>, refusal: &Refusal) -> Reply {
        let _ = request;
        Reply::plain(refusal)
    }

    /// A key that the request carries in a way that only this ecosystem knows, such as a bare
    /// `Authorization` header, or beside a user name that stands for none. Bearer, Basic with the
    /// user `api`, `X-ApiKey` and the like are read already, and keys in them count first.
    fn credential(&self, request: &Request<'_>) -> Option<String> {
        let _ = request;
        None
    }

    /// Says whether a request asks for an action and how its body is to be taken apart; `None`
    /// means that a GET goes to [`Native::resolve`] and everything else does not exist.
    ///
    /// Sees method, path, query and headers only.
    fn route(&self, request: &Request<'_>) -> Result<Option<Intake>, Refusal> {
        let _ = request;
        Ok(None)
    }

    /// Names the action, once the body was read: `staged` is the file that came along.
    fn decide(
        &self,
        view: &dyn FeedView,
        request: &Request<'_>,
        fields: &Fields,
        staged: Option<&StagedCard>,
    ) -> Result<Action, Refusal> {
        let _ = (view, fields, staged);
        Err(Refusal::NotFound(Some(format!("there is nothing at {}", request.path))))
    }

    /// Words the success of an action.
    fn answer(&self, request: &Request<'_>, action: &Action, outcome: &Outcome) -> Reply {
        let _ = (request, action, outcome);
        Reply::text(200, "")
    }

    /// Brings up to date what [`IndexWriter::stale`](crate::IndexWriter::stale) named, such as a
    /// signed release of a suite; `None` if there is nothing to do.
    ///
    /// The engine calls it once at a time for each subject, on the first read that asks for it
    /// ([`Answer::Refresh`]) or in the background, and commits what it returns if the row of
    /// [`Refresh::expect`] still is what it was.
    fn refresh(
        &self,
        view: &dyn FeedView,
        subject: &[u8],
        order: &RefreshOrder<'_>,
    ) -> Result<Option<Refresh>, ViewError> {
        let _ = (view, subject, order);
        Ok(None)
    }

    /// The secret that each feed of this type has, if it has one.
    fn secret(&self) -> Option<&dyn FeedSecret> {
        None
    }

    /// Lists the paths of a static export: of one package, or of the feed as a whole. Each is one
    /// that [`Native::resolve`] answers, now or with not found. What names others by their digests
    /// comes after them.
    fn paths(
        &self,
        view: &dyn FeedView,
        package: Option<&PackageHead>,
        visit: &mut dyn FnMut(&str),
    ) -> Result<(), ViewError> {
        let _ = (view, package, visit);
        Ok(())
    }

    /// Where a static export keeps the answer to one of [`Native::paths`], so that a plain web
    /// server finds it under that path: a path below the feed, encoded as that one is. What ends in
    /// a slash is a folder with a page, everything else a file of its own name.
    fn exported_as(&self, path: &str) -> String {
        if path.ends_with('/') { format!("{path}index.html") } else { path.to_owned() }
    }

    /// One request of each kind that the protocol knows, reads and writes, for tests of rights and
    /// hostile input. Must not be empty.
    fn samples(&self) -> Vec<SampleRequest>;

    /// Shell lines that make each client use a feed at `url`, which has no final slash. They work
    /// as printed where `key` is given.
    fn setup(&self, feed: &FeedCard, url: &str, key: Option<&str>) -> Vec<ClientSetup>;

    /// The same as changes to the files of clients, for those that have such files. One entry for
    /// each client; the same `feed`, `url` and `key` make the same changes.
    fn configurations(
        &self,
        feed: &FeedCard,
        url: &str,
        key: Option<&str>,
    ) -> Vec<ClientConfiguration> {
        let _ = (feed, url, key);
        Vec::new()
    }
}

/// A request that a protocol knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SampleRequest {
    /// Method in upper case.
    pub method: &'static str,
    /// Path below the feed, with a query if need be.
    pub path: String,
    /// Headers that matter, with names in lower case.
    pub headers: Vec<(&'static str, &'static str)>,
    /// Media type of the body, if there is one.
    pub media_type: Option<&'static str>,
    /// Body.
    pub body: Vec<u8>,
    /// `None` for a read, else what it does.
    pub action: Option<ActionKind>,
}

impl SampleRequest {
    /// A GET.
    pub fn read(path: impl Into<String>) -> Self {
        Self::new("GET", path.into(), None)
    }

    /// A request that does something.
    pub fn action(method: &'static str, path: impl Into<String>, action: ActionKind) -> Self {
        Self::new(method, path.into(), Some(action))
    }

    fn new(method: &'static str, path: String, action: Option<ActionKind>) -> Self {
        let (headers, body) = (Vec::new(), Vec::new());
        Self { method, path, headers, media_type: None, body, action }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, media_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        self.media_type = Some(media_type);
        self.body = body.into();
        self
    }
}

/// What [`Native::refresh`] may use beside the view.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct RefreshOrder<'a> {
    /// The time to stamp.
    pub now: Timestamp,
    /// The feed's secret, once one was made; in no answer, log or export.
    pub secret: Option<&'a [u8]>,
    /// Fresh random bytes to make one of.
    pub seed: [u8; 32],
}

impl<'a> RefreshOrder<'a> {
    /// An order at this time.
    pub fn new(now: Timestamp, secret: Option<&'a [u8]>, seed: [u8; 32]) -> Self {
        Self { now, secret, seed }
    }
}

impl fmt::Debug for RefreshOrder<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("RefreshOrder").field("now", &self.now).finish_non_exhaustive()
    }
}

/// What a refresh changes, in one commit.
#[derive(Default)]
pub struct Refresh {
    /// A row and the value that it must still have for the rest to count.
    pub expect: Option<(Vec<u8>, Option<Vec<u8>>)>,
    /// Rows to insert or replace.
    pub put: Vec<(Vec<u8>, Vec<u8>)>,
    /// Rows to remove.
    pub remove: Vec<Vec<u8>>,
    /// Subjects to bump.
    pub bump: Vec<Vec<u8>>,
    /// A secret that was made.
    pub secret: Option<Vec<u8>>,
    /// Files whose contents stay readable by [`Body::Content`] until the moment given, though no
    /// version of the feed has them any more.
    pub keep: Vec<([u8; 32], Timestamp)>,
}

impl Refresh {
    /// True if it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty()
            && self.remove.is_empty()
            && self.bump.is_empty()
            && self.secret.is_none()
            && self.keep.is_empty()
    }
}

impl fmt::Debug for Refresh {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Refresh")
            .field("put", &self.put.len())
            .field("remove", &self.remove.len())
            .finish_non_exhaustive()
    }
}
