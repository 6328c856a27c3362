use std::sync::Arc;
use std::time::Duration;

use axum::middleware::from_fn_with_state;
use axum::{Extension, Router};
use hayloft::Store;
use tokio::sync::Semaphore;

use crate::access::{Gatekeeper, KeyGatekeeper, Native, Session, Visitor};
use crate::edge::{edge, unknown_path, wrong_method};
use crate::native::Protocol;
use crate::traffic::Traffic;
use crate::{ApiError, routes};

/// A store with everything that serves it: who may do what, which protocols, how many calls at
/// once.
///
/// A cheap handle; [`router`] mounts it.
#[derive(Debug, Clone)]
pub struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    gatekeeper: Arc<dyn Gatekeeper>,
    protocols: Vec<Arc<dyn Protocol>>,
    /// Bounds the threads that wait for the disk.
    calls: Arc<Semaphore>,
    max_upload: Option<u64>,
    idle: Duration,
    traffic: Arc<Traffic>,
}

/// Puts an [`App`] together.
#[derive(Debug)]
pub struct AppBuilder {
    store: Store,
    gatekeeper: Arc<dyn Gatekeeper>,
    protocols: Vec<Arc<dyn Protocol>>,
    calls: usize,
    max_upload: Option<u64>,
    idle: Duration,
}

impl App {
    /// Serves `store` with its own API keys, without a native protocol and with 64 calls at once.
    pub fn builder(store: Store) -> AppBuilder {
        AppBuilder {
            store,
            gatekeeper: Arc::new(KeyGatekeeper),
            protocols: Vec::new(),
            calls: 64,
            max_upload: None,
            idle: Duration::from_secs(60),
        }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Largest upload in bytes; `None` is the store's own limit.
    pub fn max_upload(&self) -> Option<u64> {
        self.0.max_upload
    }

    /// How long a client may send nothing of a body that it has begun.
    pub fn idle(&self) -> Duration {
        self.0.idle
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
        let app = self.clone();
        self.block(move || {
            let session = Session::begin(&app.0.store, app.0.gatekeeper.clone(), visitor)?;
            work(&session)
        })
        .await?
    }

    /// Runs `work` on a thread that may block, once a place is free.
    pub async fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = self.0.calls.clone().acquire_owned().await.map_err(ApiError::internal)?;
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || {
            let _place = place;
            span.in_scope(work)
        })
        .await
        .map_err(ApiError::internal)
    }
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

    /// Serves all protocols that this crate has.
    #[must_use]
    pub fn built_in_protocols(mut self) -> Self {
        self.protocols.extend(crate::native::built_in());
        self
    }

    /// At most this many calls wait for the disk at once; others queue.
    #[must_use]
    pub fn calls(mut self, calls: usize) -> Self {
        self.calls = calls.max(1);
        self
    }

    /// Refuses uploads of more bytes with 413.
    #[must_use]
    pub fn max_upload(mut self, bytes: u64) -> Self {
        self.max_upload = Some(bytes);
        self
    }

    /// Gives up on a body of which nothing has come for this long; 60 seconds unless set.
    #[must_use]
    pub fn idle(mut self, longest: Duration) -> Self {
        self.idle = longest;
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
            max_upload: self.max_upload,
            idle: self.idle,
            traffic,
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
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app.clone());
    // Around a fallback, so that it sees the path before it is matched.
    Router::new().fallback_service(router).layer(from_fn_with_state(app, edge))
}
