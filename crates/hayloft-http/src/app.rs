use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use hayloft::{Store, StoreError, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::{Begun, Gatekeeper, KeyGatekeeper, Native, Session, Study, Visitor, network};
use crate::client::TrustedProxies;
use crate::edge::{edge, unknown_path, wrong_method};
use crate::native::{Cache, Protocol};
use crate::rates::Rate;
use crate::routes::Health;
use crate::traffic::Traffic;
use crate::transfer::SendMemory;
use crate::{ApiError, RequestLimits, routes};

/// A store with everything that serves it: who may do what, which protocols, how many calls at
/// once.
///
/// A cheap handle; [`router`] mounts it.
#[derive(Clone)]
pub struct App(Arc<Shared>);

impl fmt::Debug for App {
    /// Short, and without what gatekeepers and caches hold.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("App").field("store", &self.0.store).finish_non_exhaustive()
    }
}

struct Shared {
    store: Store,
    gatekeeper: Arc<dyn Gatekeeper>,
    protocols: Vec<Arc<dyn Protocol>>,
    /// Bounds the threads that wait for the disk.
    calls: Arc<Semaphore>,
    /// The same for calls that read package files, which wait for each other's memory.
    intakes: Arc<Semaphore>,
    /// The same for what must be answered when those are all taken.
    reserve: Arc<Semaphore>,
    study: Study,
    /// Bounds the bodies in memory.
    large_texts: Arc<Semaphore>,
    /// The same for those of whom no key is known.
    strange_texts: Arc<Semaphore>,
    send_memory: SendMemory,
    cache: Arc<Cache>,
    health: Health,
    limits: RequestLimits,
    base_url: Option<String>,
    traffic: Arc<Traffic>,
    proxies: TrustedProxies,
    address_rate: Rate<IpAddr>,
    key_rate: Rate<u64>,
    /// No more requests are wanted.
    draining: AtomicBool,
    /// When the certificate ends, in milliseconds; `i64::MIN` without one.
    certificate_expiry: AtomicI64,
}

/// Puts an [`App`] together.
#[derive(Debug)]
pub struct AppBuilder {
    store: Store,
    gatekeeper: Arc<dyn Gatekeeper>,
    protocols: Vec<Arc<dyn Protocol>>,
    calls: usize,
    limits: RequestLimits,
    base_url: Option<String>,
    proxies: TrustedProxies,
}

/// Calls at once that are kept for [`App::block_apart`].
const RESERVE: usize = 2;
/// Bodies of up to 1 MiB that are received into memory at once.
const LARGE_TEXTS: usize = 16;
/// The same for strangers.
const STRANGE_TEXTS: usize = 4;

impl App {
    /// Serves `store` with its own API keys, without a native protocol and with 64 calls at once.
    pub fn builder(store: Store) -> AppBuilder {
        AppBuilder {
            store,
            gatekeeper: Arc::new(KeyGatekeeper::default()),
            protocols: Vec::new(),
            calls: 64,
            limits: RequestLimits::default(),
            base_url: None,
            proxies: TrustedProxies::default(),
        }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// What one request may cost.
    pub fn limits(&self) -> &RequestLimits {
        &self.0.limits
    }

    pub(crate) fn base_url(&self) -> Option<&str> {
        self.0.base_url.as_deref()
    }

    /// A place for a body of some size in memory. Strangers have few of their own and do not wait
    /// for them, for nobody could tell how long.
    pub(crate) async fn large_text(&self, known: bool) -> Result<OwnedSemaphorePermit, ApiError> {
        if known {
            return self.0.large_texts.clone().acquire_owned().await.map_err(ApiError::internal);
        }
        self.0.strange_texts.clone().try_acquire_owned().map_err(|_| {
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many large bodies come from callers without a key; send the key in a header",
            )
        })
    }

    /// Whether the visitor is somebody; fails if a credential opens nothing.
    ///
    /// Asked before a body is read: from then on the connection keeps its place, and who shows a
    /// wrong key is not listened to.
    pub(crate) async fn knows(&self, visitor: &Visitor) -> Result<bool, ApiError> {
        if !visitor.may_be_known() {
            return Ok(false);
        }
        self.run(visitor.clone(), |session| Ok(!session.caller().anonymous)).await
    }

    pub(crate) fn proxies(&self) -> &TrustedProxies {
        &self.0.proxies
    }

    /// Tells monitors that no more requests are wanted, while those that come are answered still.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Tells monitors when the certificate of the server ends.
    pub fn certificate_ends(&self, at: Timestamp) {
        self.0.certificate_expiry.store(at.millis(), Ordering::Relaxed);
    }

    pub(crate) fn certificate_expiry(&self) -> Option<Timestamp> {
        let millis = self.0.certificate_expiry.load(Ordering::Relaxed);
        (millis != i64::MIN).then(|| Timestamp::from_millis(millis))
    }

    /// Why requests had better go to another server; asks the disk.
    pub(crate) fn unready(&self) -> Option<&'static str> {
        if self.0.draining.load(Ordering::Relaxed) {
            return Some("draining");
        }
        match self.0.store.check_space() {
            Ok(()) => None,
            Err(StoreError::NoSpace { .. }) => Some("disk full"),
            Err(StoreError::Closed | StoreError::Stopped) => Some("stopped"),
            Err(error) => {
                tracing::error!(%error, "the store is not ready");
                Some("the store cannot be read")
            }
        }
    }

    /// Counts a request of an address.
    pub(crate) fn admit(&self, address: Option<IpAddr>) -> Result<(), ApiError> {
        address.map_or(Ok(()), |address| self.0.address_rate.spend(network(address)))
    }

    /// Notes who asks, and counts a request of their key.
    fn made_out(&self, session: &Session) -> Result<(), ApiError> {
        let caller = session.caller();
        match &caller.key {
            Some(key) if session.noted().actor(&caller.name) => self.0.key_rate.spend(key.id),
            Some(_) => Ok(()),
            None => {
                session.noted().actor(&caller.name);
                Ok(())
            }
        }
    }

    pub(crate) fn send_memory(&self) -> &SendMemory {
        &self.0.send_memory
    }

    pub(crate) fn cache(&self) -> &Arc<Cache> {
        &self.0.cache
    }

    pub(crate) fn health(&self) -> &Health {
        &self.0.health
    }

    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
        &self.0.traffic
    }

    /// The native protocols, in the order they were given.
    pub fn protocols(&self) -> impl Iterator<Item = &Arc<dyn Protocol>> {
        self.0.protocols.iter()
    }

    /// Runs `work` for a visitor on a thread that may block, once a place is free.
    ///
    /// The visitor's credential is checked first; what it allows is up to `work`, by
    /// [`Session::feed`] and [`Session::demand`].
    pub async fn run<T: Send + 'static>(
        &self,
        visitor: Visitor,
        work: impl FnOnce(&Session) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.run_with(&self.0.calls, visitor, work).await
    }

    /// As [`App::run`], for `work` that reads package files: it may wait long for others that do,
    /// and must not hold up what does not.
    pub async fn take_in<T: Send + 'static>(
        &self,
        visitor: Visitor,
        work: impl FnOnce(&Session) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        self.run_with(&self.0.intakes, visitor, work).await
    }

    async fn run_with<T: Send + 'static>(
        &self,
        places: &Arc<Semaphore>,
        visitor: Visitor,
        work: impl FnOnce(&Session) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let work = match self.attempt(places, visitor.clone(), work).await? {
            Attempt::Done(value) => return Ok(value),
            Attempt::Slow(work) => work,
        };
        // Without the place of a call: what is slow must not hold up what is not.
        self.study(&visitor).await?;
        self.attempt(places, visitor, work).await?.done()
    }

    async fn attempt<T: Send + 'static, W>(
        &self,
        places: &Arc<Semaphore>,
        visitor: Visitor,
        work: W,
    ) -> Result<Attempt<T, W>, ApiError>
    where
        W: FnOnce(&Session) -> Result<T, ApiError> + Send + 'static,
    {
        let app = self.clone();
        let begin = move || match Session::begin(&app.0.store, app.0.gatekeeper.clone(), visitor)? {
            Begun::Session(session) => {
                app.made_out(&session)?;
                work(&session).map(Attempt::Done)
            }
            Begun::Slow => Ok(Attempt::Slow(work)),
        };
        Self::block_with(places, begin).await?
    }

    /// Makes out a slow credential, on threads of its own.
    async fn study(&self, visitor: &Visitor) -> Result<(), ApiError> {
        let Some(credential) = visitor.credential.clone() else { return Ok(()) };
        let place = self.0.study.begin(visitor.address).await?;
        let app = self.clone();
        let known = on_a_thread(move || {
            let _place = place;
            app.0.gatekeeper.study(&app.0.store, &credential)
        });
        if known.await?? {
            self.0.study.give_back(visitor.address);
        }
        Ok(())
    }

    /// As [`App::run`] for one who was found allowed to, on the threads that hash chosen keys.
    pub(crate) async fn run_slowly<T: Send + 'static>(
        &self,
        visitor: Visitor,
        work: impl FnOnce(&Session) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = self.0.study.begin(None).await?;
        let attempt = self.attempt(&self.0.calls, visitor, move |session| {
            let _place = place;
            work(session)
        });
        attempt.await?.done()
    }

    /// Runs `work` on a thread that may block, once a place is free.
    pub async fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        Self::block_with(&self.0.calls, work).await
    }

    /// The same with places of its own, for what must be answered under any load.
    pub(crate) async fn block_apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        Self::block_with(&self.0.reserve, work).await
    }

    async fn block_with<T: Send + 'static>(
        places: &Arc<Semaphore>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = places.clone().acquire_owned().await.map_err(ApiError::internal)?;
        on_a_thread(move || {
            let _place = place;
            work()
        })
        .await
    }
}

/// What came of a call for a visitor.
enum Attempt<T, W> {
    Done(T),
    /// Nothing: the credential takes long to make out.
    Slow(W),
}

impl<T, W> Attempt<T, W> {
    /// 503 if what was just found out has been forgotten since.
    fn done(self) -> Result<T, ApiError> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Slow(_) => Err(ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many keys are being checked; send the request again",
            )),
        }
    }
}

async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work)).await.map_err(ApiError::internal)
}

impl AppBuilder {
    /// Asks this gatekeeper instead of the store's API keys.
    #[must_use]
    pub fn gatekeeper(mut self, gatekeeper: impl Gatekeeper) -> Self {
        self.gatekeeper = Arc::new(gatekeeper);
        self
    }

    /// Serves one more protocol of an ecosystem.
    #[must_use]
    pub fn protocol(mut self, protocol: impl Protocol) -> Self {
        self.protocols.push(Arc::new(protocol));
        self
    }

    /// At most this many calls wait for the disk at once, and as many read package files; others
    /// queue.
    #[must_use]
    pub fn calls(mut self, calls: usize) -> Self {
        self.calls = calls.max(1);
        self
    }

    /// Refuses uploads of more bytes with 413.
    #[must_use]
    pub fn max_upload(mut self, bytes: u64) -> Self {
        self.limits.max_upload = Some(bytes);
        self
    }

    /// Gives up on a body of which nothing has come for this long; 60 seconds unless set.
    #[must_use]
    pub fn idle(mut self, longest: Duration) -> Self {
        self.limits.patience = longest;
        self
    }

    /// Bytes of answers to native clients that are kept for the next who asks; 32 MiB unless set.
    #[must_use]
    pub fn cache(mut self, bytes: usize) -> Self {
        self.limits.cache_memory = bytes;
        self
    }

    /// Believes these proxies when they tell for whom they pass a request on.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Sets all limits of requests.
    #[must_use]
    pub fn limits(mut self, limits: RequestLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The URL under which clients reach the router, for all documents that name one. Unless set,
    /// it is the setting `web.base-url`, else what each request tells.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into().trim_end_matches('/').to_owned());
        self
    }

    /// Ready to be mounted.
    pub fn build(self) -> App {
        let traffic = Arc::new(Traffic::since(self.store.now()));
        App(Arc::new(Shared {
            store: self.store,
            gatekeeper: self.gatekeeper,
            protocols: self.protocols,
            calls: Arc::new(Semaphore::new(self.calls)),
            intakes: Arc::new(Semaphore::new(self.calls)),
            reserve: Arc::new(Semaphore::new(RESERVE)),
            study: Study::new(&self.limits),
            large_texts: Arc::new(Semaphore::new(LARGE_TEXTS)),
            strange_texts: Arc::new(Semaphore::new(STRANGE_TEXTS)),
            send_memory: SendMemory::new(self.limits.send_memory),
            cache: Cache::new(self.limits.cache_memory),
            address_rate: Rate::new(self.limits.address_rate, self.limits.rate_burst),
            key_rate: Rate::new(self.limits.key_rate, self.limits.rate_burst),
            health: Health::default(),
            limits: self.limits,
            base_url: self.base_url,
            traffic,
            proxies: self.proxies,
            draining: AtomicBool::new(false),
            certificate_expiry: AtomicI64::new(i64::MIN),
        }))
    }
}

/// All routes of an app. Any axum server can mount them under a path of its own with
/// [`Router::nest`].
pub fn router(app: App) -> Router {
    let mut router = routes::router();
    for protocol in &app.0.protocols {
        router = router.nest(
            &format!("/{}/{{feed}}", protocol.path()),
            protocol.routes().layer(Extension(Native)),
        );
    }
    let router = router
        .merge(crate::native::routes(&app))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app.clone());
    // Around a fallback, so that it sees the path before it is matched.
    Router::new().fallback_service(router).layer(from_fn_with_state(app, edge))
}
