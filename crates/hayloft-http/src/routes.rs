//! The Packages API and what belongs to the server itself, one file per group of endpoints.

mod audit;
mod connectors;
mod feeds;
mod files;
mod health;
mod keys;
mod metrics;
#[cfg(feature = "openapi")]
mod openapi;
mod packages;
mod promotions;
mod repackaging;
mod settings;
mod status;
mod storage;

use axum::Router;
use hayloft::{Feed, Selector};

pub(crate) use self::health::Health;
use crate::access::Endpoint;
use crate::package_query::{Keywords, PackageQuery};
use crate::parameters::Parameters;
use crate::transfer::{TextBody, receive_text};
use crate::{ApiError, App, Session, Visitor};

pub(crate) fn router() -> Router<App> {
    let router = Router::new();
    #[cfg(feature = "openapi")]
    let router = router.merge(openapi::routes());
    router
        .merge(packages::routes())
        .merge(files::routes())
        .merge(status::routes())
        .merge(promotions::routes())
        .merge(repackaging::routes())
        .merge(audit::routes())
        .merge(connectors::routes())
        .merge(feeds::routes())
        .merge(health::routes())
        .merge(keys::routes())
        .merge(metrics::routes())
        .merge(settings::routes())
        .merge(storage::routes())
}

/// Bodies that have readers of their own, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing {
    /// Each reads a text and says nothing.
    pub(crate) const BODIES: [fn(&str); 2] = [super::status::read_any, super::keys::read_any];
}

/// A feed in which the caller has the rights that an endpoint demands, and the version in it that
/// the parameters mean.
fn select(
    session: &Session,
    endpoint: &Endpoint,
    feed: &str,
    parameters: &Parameters,
    keywords: Keywords,
) -> Result<(Feed, Selector), ApiError> {
    let feed = endpoint.feed(session, feed)?;
    let selector = PackageQuery::read(parameters)?.selector(session.store(), &feed, keywords)?;
    Ok((feed, selector))
}

/// What a body says, then the query, and the visitor with the key that the body may carry.
async fn receive_parameters(
    app: &App,
    visitor: Visitor,
    query: Parameters,
    body: TextBody,
) -> Result<(Parameters, Visitor), ApiError> {
    let asked = Parameters::of_body(&receive_text(app, &visitor, body).await?)?;
    let visitor = visitor.or_key(asked.key());
    Ok((asked.or(query), visitor))
}
