use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use hayloft::Feed;

use super::{Right, Session};
use crate::{ApiError, App};

/// An endpoint of the API and what it demands. Routes, documents and tests come from these.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// Unique; the operation's name in the API's description.
    pub id: &'static str,
    /// Methods in upper case, the documented one first.
    pub methods: &'static [&'static str],
    /// Path with parameters in braces.
    pub path: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Who may call it.
    pub guard: Guard,
}

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy)]
pub enum Guard {
    /// Everybody; a credential is not looked at.
    Open,
    /// Who has all of these rights.
    Rights(&'static [Demand]),
    /// Everybody; the answer has only what they may view. An unknown credential counts as none.
    Visible,
    /// The same, but an unknown credential is refused, and so is none if nothing may be viewed.
    VisibleToKnown,
    /// Who administers, and users for their own personal keys.
    OwnKeys,
}

/// A right that an endpoint demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Where.
    pub place: Place,
    /// Which.
    pub right: Right,
}

/// Where a right is demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the whole store.
    Store,
    /// In the feed that the path, or `feed` or `fromFeed`, names.
    Feed,
    /// In the feed that `toFeed` names, else in that one.
    Target,
}

const fn feed(right: Right) -> Demand {
    Demand { place: Place::Feed, right }
}

const fn target(right: Right) -> Demand {
    Demand { place: Place::Target, right }
}

const fn store(right: Right) -> Demand {
    Demand { place: Place::Store, right }
}

const VIEW: Guard = Guard::Rights(&[feed(Right::View)]);
const ADMINISTER: Guard = Guard::Rights(&[store(Right::Administer)]);
const MANAGE_FEEDS: Guard = Guard::Rights(&[store(Right::ManageFeeds)]);
const MANAGE_FEED: Guard = Guard::Rights(&[feed(Right::ManageFeed)]);

macro_rules! endpoints {
    ($($(#[$when:meta])? $name:ident = $id:literal $methods:expr, $path:literal, $guard:expr, $summary:literal;)*) => {
        $($(#[$when])? #[doc = $summary] pub(crate) const $name: Endpoint = Endpoint {
            id: $id,
            methods: &$methods,
            path: $path,
            summary: $summary,
            guard: $guard,
        };)*

        /// All endpoints but those of native protocols.
        pub const ENDPOINTS: &[Endpoint] = &[$($(#[$when])? $name),*];
    };
}

endpoints! {
    PACKAGES_FEED = "getFeedInfo" ["GET"], "/api/packages/{feed}", VIEW,
        "Tells what type a feed has.";
    PACKAGES_LATEST = "listLatestPackages" ["GET"], "/api/packages/{feed}/latest", VIEW,
        "Lists the latest version of each package.";
    PACKAGES_VERSIONS = "listPackageVersions" ["GET"], "/api/packages/{feed}/versions", VIEW,
        "Lists versions.";
    PACKAGES_METADATA = "getPackageMetadata" ["GET"], "/api/packages/{feed}/metadata", VIEW,
        "Tells about one version.";
    PACKAGES_HISTORY = "getPackageHistory" ["GET"], "/api/packages/{feed}/history", VIEW,
        "Tells how one version came to be.";
    PACKAGES_AUDIT = "auditPackage" ["POST"], "/api/packages/{feed}/audit", VIEW,
        "Checks one version against policies.";
    PACKAGES_DOWNLOAD = "downloadPackage" ["GET"], "/api/packages/{feed}/download",
        Guard::Rights(&[feed(Right::View), feed(Right::Download)]),
        "Gives one file.";
    PACKAGES_UPLOAD = "uploadPackage" ["PUT", "POST"], "/api/packages/{feed}/upload",
        Guard::Rights(&[feed(Right::View), feed(Right::Add)]),
        "Adds a file; replacing one needs the right to overwrite.";
    PACKAGES_UPLOAD_NAMED = "uploadNamedPackage" ["PUT", "POST"],
        "/api/packages/{feed}/upload/{file}",
        Guard::Rights(&[feed(Right::View), feed(Right::Add)]),
        "Adds a file of this name; replacing one needs the right to overwrite.";
    PACKAGES_DELETE = "deletePackage" ["POST", "DELETE"], "/api/packages/{feed}/delete",
        Guard::Rights(&[feed(Right::View), feed(Right::Delete)]),
        "Removes one file.";
    PACKAGES_STATUS = "setPackageStatus" ["POST", "PUT"], "/api/packages/{feed}/status",
        Guard::Rights(&[feed(Right::SetStatus)]),
        "Lists, unlists, blocks, allows or deprecates a version.";
    PROMOTE = "promotePackage" ["POST"], "/api/promotions/promote",
        Guard::Rights(&[
            feed(Right::View), feed(Right::Download), target(Right::AcceptPromotion)
        ]),
        "Brings a version into another feed.";
    PROMOTIONS = "listPromotions" ["GET"], "/api/promotions/list", Guard::VisibleToKnown,
        "Lists promotions.";
    REPACKAGE = "repackagePackage" ["POST"], "/api/repackaging/repackage",
        Guard::Rights(&[feed(Right::View), target(Right::Add)]),
        "Writes a version again under another.";
    FEEDS_LIST = "listFeeds" ["GET"], "/api/management/feeds/list", Guard::Visible,
        "Lists feeds.";
    FEEDS_GET = "getFeed" ["GET", "POST"], "/api/management/feeds/get/{feed}", VIEW,
        "Gives a feed with its settings.";
    FEEDS_CREATE = "createFeed" ["POST", "PUT"], "/api/management/feeds/create", MANAGE_FEEDS,
        "Makes a feed.";
    FEEDS_UPDATE = "updateFeed" ["POST", "PATCH"], "/api/management/feeds/update/{feed}",
        MANAGE_FEED,
        "Changes settings of a feed.";
    FEEDS_DELETE = "deleteFeed" ["DELETE", "POST"], "/api/management/feeds/delete/{feed}",
        MANAGE_FEEDS,
        "Removes a feed with its packages.";
    FEEDS_SECRET_GET = "getFeedSecret" ["GET"], "/api/management/feeds/secret/{feed}", ADMINISTER,
        "Gives the secret of a feed, such as the key that it signs with, to be kept elsewhere.";
    FEEDS_SECRET_SET = "setFeedSecret" ["PUT", "POST"], "/api/management/feeds/secret/{feed}",
        ADMINISTER,
        "Puts another secret into the place of the feed's; what it signs is signed anew.";
    STORAGE_GET = "getStorage" ["GET"], "/api/storage", VIEW,
        "Tells how a feed is stored; without a feed, what kinds of storage there are.";
    STORAGE_SET = "setStorage" ["POST"], "/api/storage", MANAGE_FEED,
        "Changes how a feed is stored.";
    CONNECTORS_LIST = "listConnectors" ["GET"], "/api/management/connectors/list", MANAGE_FEEDS,
        "Lists connectors: there are none.";
    CONNECTORS_GET = "getConnector" ["GET", "POST"],
        "/api/management/connectors/get/{connector}", MANAGE_FEEDS,
        "Refused: there are no connectors.";
    CONNECTORS_CREATE = "createConnector" ["POST", "PUT"], "/api/management/connectors/create",
        MANAGE_FEEDS,
        "Refused: there are no connectors.";
    CONNECTORS_UPDATE = "updateConnector" ["POST", "PATCH"],
        "/api/management/connectors/update/{connector}", MANAGE_FEEDS,
        "Refused: there are no connectors.";
    CONNECTORS_DELETE = "deleteConnector" ["POST", "DELETE"],
        "/api/management/connectors/delete/{connector}", MANAGE_FEEDS,
        "Refused: there are no connectors.";
    KEYS_LIST = "listApiKeys" ["GET"], "/api/api-keys/list", Guard::OwnKeys,
        "Lists API keys without their texts.";
    KEYS_CREATE = "createApiKey" ["POST"], "/api/api-keys/create", Guard::OwnKeys,
        "Makes an API key and gives its text, once.";
    KEYS_DELETE = "deleteApiKey" ["POST", "DELETE"], "/api/api-keys/delete", ADMINISTER,
        "Removes an API key.";
    SETTINGS_LIST = "listSettings" ["GET"], "/api/settings/list", ADMINISTER,
        "Lists the settings of the server.";
    SETTINGS_SET = "setSetting" ["POST"], "/api/settings/set", ADMINISTER,
        "Changes a setting of the server.";
    HEALTH = "getHealth" ["GET"], "/health", Guard::Open,
        "Tells whether the server works.";
    HEALTH_JSON = "getHealthAsJson" ["GET"], "/health/json", Guard::Open,
        "Tells whether the server works, always as JSON.";
    LIVE = "getLiveness" ["GET"], "/livez", Guard::Open,
        "Tells that the program answers; else it is to be started anew.";
    READY = "getReadiness" ["GET"], "/readyz", Guard::Open,
        "Tells whether requests are welcome: not while draining, stopped or with a full disk.";
    AUDIT = "listAuditLog" ["GET"], "/api/audit", ADMINISTER,
        "Gives a page of the audit log, newest first unless it says `after`.";
    AUDIT_VERIFY = "verifyAuditLog" ["GET"], "/api/audit/verify", ADMINISTER,
        "Checks that every row of the audit log follows from the one before.";
    #[cfg(feature = "openapi")]
    OPENAPI = "getOpenApiDocument" ["GET"], "/api/openapi.json", Guard::Open,
        "Gives the description of this API.";
    METRICS = "getMetrics" ["GET"], "/metrics", ADMINISTER,
        "Gives counters for Prometheus; without a credential only to this machine.";
}

impl Endpoint {
    /// Adds the endpoint to a router.
    pub(crate) fn mount<H, T>(&self, router: Router<App>, handler: H) -> Router<App>
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let filters = self.methods.iter().filter_map(|method| {
            Some(match *method {
                "GET" => MethodFilter::GET,
                "POST" => MethodFilter::POST,
                "PUT" => MethodFilter::PUT,
                "PATCH" => MethodFilter::PATCH,
                "DELETE" => MethodFilter::DELETE,
                _ => return None,
            })
        });
        match filters.reduce(MethodFilter::or) {
            Some(filter) => router.route(self.path, on(filter, handler)),
            None => router,
        }
    }

    /// Rights that it demands in a place.
    pub fn rights(&self, place: Place) -> Vec<Right> {
        let demands = match self.guard {
            Guard::Rights(demands) => demands,
            _ => &[],
        };
        demands.iter().filter(|each| each.place == place).map(|each| each.right).collect()
    }

    /// The feed with this name, if the caller has the rights that it demands in its target.
    pub(crate) fn target(&self, session: &Session, name: &str) -> Result<Feed, ApiError> {
        session.feed(name, &self.rights(Place::Target))
    }

    /// Fails unless the caller has the rights that it demands in the whole store.
    pub(crate) fn demand(&self, session: &Session) -> Result<(), ApiError> {
        self.rights(Place::Store).into_iter().try_for_each(|right| session.demand(right, None))
    }

    /// The feed with this name, if the caller has the rights that it demands in it.
    pub(crate) fn feed(&self, session: &Session, name: &str) -> Result<Feed, ApiError> {
        session.feed(name, &self.rights(Place::Feed))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_methods_known() {
        let ids: HashSet<_> = ENDPOINTS.iter().map(|endpoint| endpoint.id).collect();
        assert_eq!(ids.len(), ENDPOINTS.len());
        for endpoint in ENDPOINTS {
            for method in endpoint.methods {
                let known = ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(method);
                assert!(known, "{} {method}", endpoint.id);
            }
        }
    }
}
