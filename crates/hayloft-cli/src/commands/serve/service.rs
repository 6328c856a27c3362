//! What a service manager and a server tell each other. Without a manager nothing is told.

use std::net::TcpListener;

use crate::failure::Failure;

/// A socket that the manager opened before it started the server: ports below 1024 need no rights
/// then, and no client is refused while a server starts anew.
#[cfg(unix)]
pub(super) fn listener() -> Result<Option<TcpListener>, Failure> {
    let taken = listenfd::ListenFd::from_env().take_tcp_listener(0);
    taken.map_err(Failure::io("take over the socket of the service manager"))
}

#[cfg(not(unix))]
pub(super) fn listener() -> Result<Option<TcpListener>, Failure> {
    Ok(None)
}

/// What a server is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Requests are answered.
    Ready,
    /// Files are read again; [`State::Ready`] follows.
    Reloading,
    /// Running requests are finished.
    Stopping,
}

#[cfg(unix)]
pub(super) fn tell(state: State) {
    use sd_notify::NotifyState;

    let told = match state {
        State::Ready => sd_notify::notify(&[NotifyState::Ready]),
        State::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        State::Reloading => NotifyState::monotonic_usec_now()
            .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
    };
    if let Err(error) = told {
        tracing::warn!(%error, "the service manager could not be told: {state:?}");
    }
}

#[cfg(not(unix))]
pub(super) fn tell(_: State) {}
