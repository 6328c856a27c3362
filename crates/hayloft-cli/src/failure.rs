use std::io;

use crate::arguments::Mistake;
use crate::manner::Ending;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The arguments are wrong or do not fit together.
    #[error("{}", .0.iter().map(Mistake::text).collect::<Vec<_>>().join("\n"))]
    Arguments(Vec<Mistake>),
    /// A server said no.
    #[error("Server responded with {} ({status}): {body}", status_name(*.status))]
    Server { status: u16, body: String },
    /// A server sent the request elsewhere. It is not followed: the key goes to nobody but the
    /// server it was given for.
    #[error(
        "Server responded with {} ({status}): it redirects to {}, where your key is not sent",
        status_name(*status), to.as_deref().unwrap_or("another place")
    )]
    Redirect { status: u16, to: Option<String> },
    /// The store on this machine said no.
    #[error("{}", if body.is_empty() { status_name(*status) } else { body })]
    Store { status: u16, body: String },
    /// Nobody reads the output any more.
    #[error("nobody reads the output any more")]
    Closed,
    /// Everything has been said.
    #[error("failed")]
    Told,
    /// A server that holds the store has done the work and said everything.
    #[error("done by the server")]
    Elsewhere(Ending),
    /// A check could not be made, which says nothing about what it was to check.
    #[error(transparent)]
    Unchecked(Box<Failure>),
    /// The same, and what to do.
    #[error("{failure}")]
    Advised { failure: Box<Failure>, advice: String },
    /// Anything else, with its causes.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Failure {
    /// A text that says it all.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Other(anyhow::Error::msg(text.into()))
    }

    /// An option with a value that cannot be.
    pub(crate) fn option(name: &str, text: impl std::fmt::Display) -> Self {
        Self::Arguments(vec![Mistake::new(format!("--{name} error: {text}"))])
    }

    /// A failure to read or write, with what was being done.
    pub(crate) fn io(doing: impl std::fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Other(anyhow::Error::new(error).context(format!("cannot {doing}")))
    }

    /// The same failure, with the next step.
    pub(crate) fn advise(self, advice: impl Into<String>) -> Self {
        Self::Advised { failure: Box::new(self), advice: advice.into() }
    }

    /// Next steps, the first one first.
    pub(crate) fn advice(&self) -> Vec<String> {
        match self {
            Self::Advised { failure, advice } => {
                let mut all = failure.advice();
                all.push(advice.clone());
                all
            }
            Self::Unchecked(failure) => failure.advice(),
            Self::Arguments(mistakes) => {
                let meant = mistakes.iter().filter_map(Mistake::meant);
                meant.map(|meant| format!("did you mean {meant}?")).collect()
            }
            Self::Redirect { .. } => {
                vec!["if that is where the server is, name it with --source".to_owned()]
            }
            _ => Vec::new(),
        }
    }

    /// What a server or store said, if one did.
    pub(crate) fn answer(&self) -> Option<(u16, &str)> {
        match self {
            Self::Server { status, body } | Self::Store { status, body } => Some((*status, body)),
            Self::Advised { failure, .. } | Self::Unchecked(failure) => failure.answer(),
            _ => None,
        }
    }

    /// How the run ends with it.
    pub(crate) fn ending(&self) -> Ending {
        match self {
            Self::Closed => Ending::Success,
            Self::Elsewhere(ending) => *ending,
            Self::Arguments(_) => Ending::Misused,
            Self::Unchecked(_) => Ending::Unchecked,
            Self::Advised { failure, .. } => failure.ending(),
            _ => Ending::Failed,
        }
    }

    /// Whether all has been said about it.
    pub(crate) fn is_told(&self) -> bool {
        match self {
            Self::Closed | Self::Told | Self::Elsewhere(_) => true,
            Self::Advised { failure, .. } | Self::Unchecked(failure) => failure.is_told(),
            _ => false,
        }
    }
}

/// The names that the original prints: those of .NET.
fn status_name(status: u16) -> &'static str {
    match status {
        301 => "Moved",
        302 => "Found",
        303 => "SeeOther",
        304 => "NotModified",
        307 => "TemporaryRedirect",
        308 => "PermanentRedirect",
        400 => "BadRequest",
        401 => "Unauthorized",
        402 => "PaymentRequired",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        406 => "NotAcceptable",
        407 => "ProxyAuthenticationRequired",
        408 => "RequestTimeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "LengthRequired",
        412 => "PreconditionFailed",
        413 => "RequestEntityTooLarge",
        414 => "RequestUriTooLong",
        415 => "UnsupportedMediaType",
        416 => "RequestedRangeNotSatisfiable",
        422 => "UnprocessableEntity",
        429 => "TooManyRequests",
        431 => "RequestHeaderFieldsTooLarge",
        500 => "InternalServerError",
        501 => "NotImplemented",
        502 => "BadGateway",
        503 => "ServiceUnavailable",
        504 => "GatewayTimeout",
        507 => "InsufficientStorage",
        _ => "Status",
    }
}
