use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::response::Response;
use hayloft::feed_type::native::{Action, ActionKind, Intake, Outcome, Refusal, StagedCard};
use hayloft::{ActError, EditError, Feed, Overwrite, Staged, UploadError};

use super::wording::{self, Worded};
use super::{Asked, Served, no_feed};
use crate::access::Credential;
use crate::native::intake::{Received, receive};
use crate::{ApiError, App, Right, Session, Visitor};

/// Does what a request asks for, and words the outcome.
pub(super) async fn act(
    app: &App,
    served: &Served,
    asked: Arc<Asked>,
    visitor: Visitor,
    intake: Intake,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Worded> {
    let least = intake.least;
    // yarn 1 shows any name and the key by `Basic`, too.
    let visitor = if intake.logs_in { visitor.showing_none() } else { visitor };
    // Before the body: who may not has not to send it.
    let found = {
        let (served, asked) = (served.clone(), asked.clone());
        app.run(visitor.clone(), move |session| {
            Ok(feed(session, &served, &asked).and_then(|feed| {
                demand(session, &feed, least)?;
                Ok(feed)
            }))
        })
        .await?
    };
    found?;
    let Received { fields, file } = receive(app, &visitor, intake.framing, headers, body).await?;
    let work = {
        let (served, asked) = (served.clone(), asked.clone());
        move |session: &Session| {
            let order = Order { session, served: &served, asked: &asked };
            Ok(order.run(&fields, file))
        }
    };
    let done = match least {
        ActionKind::Upload => app.take_in(visitor.clone(), work).await?,
        _ => app.run(visitor.clone(), work).await?,
    };
    match done? {
        Done::Response(response) => Ok(*response),
        Done::LogIn(action, key) => log_in(app, served, &asked, visitor, &action, key).await,
    }
}

fn feed(session: &Session, served: &Served, asked: &Asked) -> Result<Feed, Worded> {
    let feed = session.feed(&asked.feed, &[])?;
    if served.is_of(&feed) { Ok(feed) } else { Err(Worded::Refused(no_feed(&asked.feed))) }
}

/// The rights that a kind of action takes. What asks has its rights demanded by what it is told.
fn rights(kind: ActionKind) -> &'static [Right] {
    match kind {
        ActionKind::Ask => &[],
        ActionKind::Upload => &[Right::View, Right::Add],
        ActionKind::Tag | ActionKind::SetStatus => &[Right::View, Right::SetStatus],
        ActionKind::Delete => &[Right::View, Right::Delete],
        // A kind that this release does not know.
        _ => &[Right::Administer],
    }
}

fn demand(session: &Session, feed: &Feed, kind: ActionKind) -> Result<(), Worded> {
    for right in rights(kind) {
        session.demand(*right, Some(feed))?;
    }
    Ok(())
}

enum Done {
    Response(Box<Response>),
    /// A key is to be looked up, for which this caller's session is of no use.
    LogIn(Action, String),
}

async fn log_in(
    app: &App,
    served: &Served,
    asked: &Asked,
    visitor: Visitor,
    action: &Action,
    key: String,
) -> Result<Response, Worded> {
    let shown = visitor.showing(Credential::Key(key.clone()));
    let found = app.run(shown, |session| Ok(session.caller().clone())).await;
    let caller = found.map_err(|error| match Worded::from(error) {
        Worded::Refused(Refusal::Forbidden(_) | Refusal::NoCredential) => {
            Worded::Refused(Refusal::UnknownKey)
        }
        other => other,
    })?;
    let outcome = Outcome::LoggedIn { key, user: caller.name.clone() };
    let native = served.0.native().ok_or(Worded::Refused(Refusal::NotFound(None)))?;
    Ok(wording::response(&native.answer(&asked.request(), action, &outcome), asked))
}

struct Order<'a> {
    session: &'a Session,
    served: &'a Served,
    asked: &'a Asked,
}

impl Order<'_> {
    fn run(
        &self,
        fields: &hayloft::feed_type::native::Fields,
        file: Option<(Staged, Option<String>)>,
    ) -> Result<Done, Worded> {
        let feed = feed(self.session, self.served, self.asked)?;
        let store = self.session.store();
        let native = self.served.0.native().ok_or(Worded::Refused(Refusal::NotFound(None)))?;
        let caller = self.session.caller();
        let user = (!caller.anonymous).then_some(caller.name.as_str());
        let request = self.asked.request().user(user);
        let card = file
            .as_ref()
            .map(|(staged, name)| StagedCard::new(staged.size(), *staged.digests(), name.clone()));
        let action = {
            let native_view = store.native_view(&feed.name)?;
            native.decide(&native_view.view(), &request, fields, card.as_ref())?
        };
        demand(self.session, &feed, action.kind())?;
        let overwrite = match &action {
            Action::LogIn { key, .. } => {
                let key = key.clone();
                return Ok(Done::LogIn(action, key));
            }
            Action::Reply(reply) => {
                self.session.demand(Right::View, Some(&feed))?;
                return Ok(Done::Response(Box::new(wording::response(reply, self.asked))));
            }
            Action::Upload(_) => self.session.overwrite(&feed)?,
            _ => Overwrite::Refuse,
        };
        let file = file.map(|(staged, _)| staged);
        let actor = self.session.actor();
        let outcome = store.act(&feed.name, &action, file, overwrite, &actor)?;
        let reply = native.answer(&request, &action, &outcome);
        Ok(Done::Response(Box::new(wording::response(&reply, self.asked))))
    }
}

impl From<ActError> for Worded {
    fn from(error: ActError) -> Self {
        let text = error.to_string();
        match error {
            ActError::NoFile => Refusal::Invalid(text).into(),
            ActError::Exists { .. }
            | ActError::Upload(UploadError::Conflict { .. })
            | ActError::Edit(EditError::Conflict { .. }) => Refusal::Conflict(text).into(),
            ActError::Upload(UploadError::NoVersion { .. }) => Refusal::NotFound(Some(text)).into(),
            ActError::Upload(error) => ApiError::from(error).into(),
            ActError::Edit(EditError::Feed(error)) => Self::Refused(no_feed(&error.name)),
            ActError::Edit(EditError::Select(error)) | ActError::Lookup(error) => error.into(),
            ActError::Edit(EditError::Tag(error)) => ApiError::from(error).into(),
            ActError::Edit(EditError::Store(error)) => error.into(),
            ActError::Edit(other) => Refusal::Invalid(crate::error::chain(&other)).into(),
            ActError::Feed(error) => error.into(),
            ActError::NotHere => Refusal::NotFound(None).into(),
            other => Self::Failed(ApiError::internal(other)),
        }
    }
}
