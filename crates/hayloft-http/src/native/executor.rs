//! The one executor of all native protocols: rights, conditions, ranges, encodings and bodies.
//!
//! What is answered and done is said by the feed type, without HTTP; here it meets the wire.

mod absent;
mod act;
mod asked;
mod bodies;
mod conditions;
mod wording;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{CACHE_CONTROL, ETAG, LAST_MODIFIED, LOCATION, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use hayloft::feed_type::FeedType;
use hayloft::feed_type::native::{
    Access, Answer, Body, Caching, Encoding, Refusal, Render, RenderError, Resource, Validator,
    ViewError,
};
use hayloft::{ContentError, Feed, NativeContent, SelectError};

use self::absent::Absent;
use self::asked::Asked;
use self::bodies::{Outbound, Source};
use self::conditions::{Conditions, Outlook};
pub(super) use self::wording::Worded;
use super::cache::{Key, Turn};
use crate::access::Native as NativeMark;
use crate::base_url::BaseUrl;
use crate::http_date::http_date_rounded_up;
use crate::{ApiError, App, Right, Session, Visitor};

/// Routes of all types that speak a protocol of their own.
pub(crate) fn routes(app: &App) -> Router<App> {
    let mut router = Router::new();
    for feed_type in app.store().types().iter() {
        let Some(native) = feed_type.native() else { continue };
        let served = Served(feed_type.clone());
        let handle = any(move |State(app): State<App>, request: Request| {
            execute(app, served.clone(), request)
        });
        let prefix = native.prefix();
        router = router
            .route(&format!("/{prefix}/{{feed}}"), handle.clone())
            .route(&format!("/{prefix}/{{feed}}/"), handle.clone())
            .route(&format!("/{prefix}/{{feed}}/{{*rest}}"), handle);
    }
    router
}

/// A type whose protocol is spoken under a prefix.
#[derive(Debug, Clone)]
struct Served(Arc<dyn FeedType>);

impl Served {
    fn is_of(&self, feed: &Feed) -> bool {
        feed.feed_type == self.0.tag()
    }
}

async fn execute(app: App, served: Served, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(NativeMark);
    let Ok(base) = BaseUrl::above(&app, &parts, parts.uri.path()).await else {
        return ApiError::internal(NoBase).into_response();
    };
    let Some(native) = served.0.native() else {
        return ApiError::not_found("There is nothing at this path.").into_response();
    };
    let Some(asked) = Asked::of(&parts, native.prefix(), &base.0) else {
        return ApiError::not_found("There is nothing at this path.").into_response();
    };
    let Ok(visitor) = Visitor::from_request_parts(&mut parts, &app).await;
    let visitor = visitor.or_key_of_type(native.credential(&asked.request()));
    let asked = Arc::new(asked);
    let intake = match asked.method.as_str() {
        "HEAD" => Ok(None),
        _ => native.route(&asked.request()),
    };
    let answer = match intake {
        Err(refusal) => Err(Worded::Refused(refusal)),
        Ok(Some(intake)) => {
            act::act(&app, &served, asked.clone(), visitor.clone(), intake, &parts.headers, body)
                .await
        }
        Ok(None) if matches!(asked.method.as_str(), "GET" | "HEAD") => {
            let conditions = Conditions::of(&parts.headers, &asked.method);
            read(&app, &served, asked.clone(), visitor.clone(), conditions).await
        }
        Ok(None) => Err(Worded::Refused(Refusal::Method { allowed: "GET, HEAD" })),
    };
    match answer {
        Ok(response) => response,
        Err(worded) => worded.into_response(native, &asked),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the address of this server could not be read")]
struct NoBase;

/// Answers a GET or HEAD.
async fn read(
    app: &App,
    served: &Served,
    asked: Arc<Asked>,
    visitor: Visitor,
    conditions: Conditions,
) -> Result<Response, Worded> {
    let mut turn = None;
    for attempt in 0.. {
        let work = Reading {
            app: app.clone(),
            served: served.clone(),
            asked: asked.clone(),
            conditions: conditions.clone(),
            private: visitor.may_be_known(),
            turn: turn.take(),
            patient: attempt < ATTEMPTS,
        };
        let made = app.run(visitor.clone(), move |session| Ok(work.run(session))).await??;
        match made {
            // Without a thread and without the place of a call.
            Outbound::Unrendered { key, packed } => turn = app.cache().turn(&key, packed).await,
            made => return Ok(made.into_response(app)),
        }
    }
    Err(Worded::Failed(ApiError::internal(NoBase)))
}

/// How often an answer may have changed while its turn came.
const ATTEMPTS: u32 = 8;

struct Reading {
    app: App,
    served: Served,
    asked: Arc<Asked>,
    conditions: Conditions,
    private: bool,
    /// The right to render an answer.
    turn: Option<Turn>,
    /// Whether to wait for the turn of what is to be rendered.
    patient: bool,
}

impl Reading {
    fn run(&self, session: &Session) -> Result<Outbound, Worded> {
        let feed = match session.feed(&self.asked.feed, &[Right::View]) {
            Ok(feed) => feed,
            Err(denied) => return self.open_to_all(denied),
        };
        if !self.served.is_of(&feed) {
            return Err(Worded::Refused(no_feed(&self.asked.feed)));
        }
        let user = (!session.caller().anonymous).then(|| session.caller().name.as_str());
        let request = self.asked.request().user(user);
        session.store().native(&feed.name, &request, |shown, answer| {
            self.answered(shown.feed(), answer, session, &feed)
        })?
    }

    /// What everybody gets, whether there is such a feed or not.
    fn open_to_all(&self, denied: ApiError) -> Result<Outbound, Worded> {
        let absent = Absent::named(&self.asked.feed);
        let request = self.asked.request();
        let answer = self.served.0.native().map(|native| native.resolve(&absent, &request));
        match answer {
            Some(Ok(Answer::Resource(resource))) if resource.access == Access::Open => {
                self.resource(None, resource)
            }
            _ => Err(denied.into()),
        }
    }

    fn answered(
        &self,
        number: u32,
        answer: Answer<'_>,
        session: &Session,
        feed: &Feed,
    ) -> Result<Outbound, Worded> {
        Ok(match answer {
            Answer::Resource(resource) => {
                if resource.access == Access::Download {
                    session.demand(Right::Download, Some(feed))?;
                }
                self.resource(Some(number), resource)?
            }
            Answer::Reply(reply) => Outbound::from(wording::response(&reply, &self.asked)),
            Answer::Refused(refusal) => return Err(Worded::Refused(refusal)),
            Answer::Redirect(redirect) => {
                let status = StatusCode::from_u16(redirect.status);
                let mut response = status.unwrap_or(StatusCode::FOUND).into_response();
                set(response.headers_mut(), LOCATION, &redirect.location);
                Outbound::from(response)
            }
            Answer::Refresh(_) => {
                let text = "the index of the feed is not ready yet".to_owned();
                return Err(Worded::Refused(Refusal::Unavailable(text)));
            }
            _ => return Err(Worded::Refused(Refusal::NotFound(None))),
        })
    }

    fn resource(&self, feed: Option<u32>, resource: Resource<'_>) -> Result<Outbound, Worded> {
        let mut headers = HeaderMap::new();
        let packed = resource.encoding == Encoding::Negotiated
            && self.conditions.takes_gzip()
            && bodies::can_be_packed(&resource.body);
        let tag = tag(&resource.validator, packed);
        set(&mut headers, ETAG, &tag);
        let now = self.app.store().now();
        if let Some(changed) = resource.changed {
            set(&mut headers, LAST_MODIFIED, &http_date_rounded_up(changed));
        }
        let privacy = if self.private { "private" } else { "public" };
        let caching = match resource.caching {
            Caching::Revalidate => format!("{privacy}, no-cache"),
            Caching::Immutable => format!("{privacy}, max-age=31536000, immutable"),
            Caching::Never => "no-store".to_owned(),
        };
        set(&mut headers, CACHE_CONTROL, &caching);
        let mut vary: Vec<&str> = resource.vary.to_vec();
        if resource.encoding == Encoding::Negotiated {
            vary.push("Accept-Encoding");
        }
        if self.private {
            vary.push("Authorization");
        }
        if !vary.is_empty() {
            set(&mut headers, VARY, &vary.join(", "));
        }
        for (name, value) in &resource.headers {
            if let Ok(name) = HeaderName::try_from(*name) {
                set(&mut headers, name, value);
            }
        }
        if self.conditions.outlook(&resource.validator, resource.changed, now) == Outlook::Same {
            return Ok(Outbound::not_modified(headers));
        }
        let media_type = resource.media_type;
        let source = match (feed, resource.body) {
            (Some(feed), Body::Render(render)) => {
                let path = matches!(resource.validator, Validator::Exact(_));
                let path = path.then(|| self.asked.path.clone());
                let key = Key { feed, validator: resource.validator, path };
                match self.rendered(render, key, packed)? {
                    Ok(source) => source,
                    Err(key) => return Ok(Outbound::Unrendered { key, packed }),
                }
            }
            (None, Body::Render(render)) => bodies::rendered(&self.app, render, None, packed)?,
            (None, Body::Bytes(bytes)) => Source::Whole(bytes.into()),
            (None, _) => return Err(Worded::Refused(Refusal::NotFound(None))),
            (Some(feed), body) => match self.app.store().native_content(feed, body)? {
                NativeContent::File(download) => return self.file(*download, &media_type, headers),
                content => bodies::source(feed, content)?,
            },
        };
        bodies::send(&self.conditions, source, &media_type, headers, &tag, packed, resource.access)
    }

    /// A document from the cache, or rendered; its key if another has to be waited for.
    fn rendered(
        &self,
        render: Render<'_>,
        key: Key,
        packed: bool,
    ) -> Result<Result<Source, Key>, Worded> {
        let cache = self.app.cache();
        let keep = cache.keeps(key.feed, &self.asked.feed_url, self.private);
        if let Some(kept) = cache.get(&key, packed) {
            return Ok(Ok(Source::Kept(kept)));
        }
        let has_turn = self.turn.as_ref().is_some_and(|turn| turn.is_for(&key));
        if !has_turn && self.patient {
            return Ok(Err(key));
        }
        if let Some(plain) = cache.plain(&key) {
            let kept = cache.keep(key, plain, packed).map_err(ApiError::internal)?;
            return Ok(Ok(Source::Kept(kept)));
        }
        bodies::rendered(&self.app, render, keep.then_some(key), packed).map(Ok)
    }

    fn file(
        &self,
        download: hayloft::Download,
        media_type: &str,
        headers: HeaderMap,
    ) -> Result<Outbound, Worded> {
        let outgoing =
            crate::transfer::Outgoing::open(&self.app, download, self.conditions.file_request())?;
        Ok(Outbound::file(outgoing, media_type, headers))
    }
}

fn no_feed(name: &str) -> Refusal {
    Refusal::NotFound(Some(format!("Feed {} not found.", hayloft::feed_type::shorten(name))))
}

/// The entity tag of a representation. A derived one differs by encoding; a prescribed one must
/// not: clients compare it with a digest of the plain bytes.
fn tag(validator: &Validator, packed: bool) -> String {
    match validator {
        Validator::Derived(bytes) => {
            let hex = data_encoding::HEXLOWER.encode(bytes);
            if packed { format!("\"{hex}-gzip\"") } else { format!("\"{hex}\"") }
        }
        Validator::Exact(text) => format!("\"{text}\""),
    }
}

/// Headers that cannot be written are left out.
fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

impl From<ViewError> for Worded {
    fn from(error: ViewError) -> Self {
        match &error {
            ViewError::Rebuilding { .. } => Self::Refused(Refusal::Unavailable(error.to_string())),
            ViewError::Unavailable(_) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a feed cannot be read");
                Self::Refused(Refusal::Unavailable(error.to_string()))
            }
            _ => Self::Failed(ApiError::internal(error)),
        }
    }
}

impl From<hayloft::NativeError> for Worded {
    fn from(error: hayloft::NativeError) -> Self {
        match error {
            hayloft::NativeError::Feed(missing) => Self::Refused(no_feed(&missing.name)),
            hayloft::NativeError::UnknownType(unknown) => {
                Self::Refused(Refusal::Unavailable(unknown.to_string()))
            }
            hayloft::NativeError::NoProtocol => Self::Refused(Refusal::NotFound(None)),
            hayloft::NativeError::View(error) => error.into(),
            hayloft::NativeError::Store(error) => Self::from(ApiError::from(error)),
            other => Self::Failed(ApiError::internal(other)),
        }
    }
}

impl From<ContentError> for Worded {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::NotFound => Self::Refused(Refusal::NotFound(None)),
            ContentError::Select(error @ SelectError::Blocked { .. }) => {
                Self::Refused(Refusal::Forbidden(error.to_string()))
            }
            ContentError::Select(error) => error.into(),
            ContentError::Staging(error) => ApiError::from(error).into(),
            ContentError::Render(RenderError::View(error)) => error.into(),
            ContentError::Store(error) => error.into(),
            other => Self::Failed(ApiError::internal(other)),
        }
    }
}
