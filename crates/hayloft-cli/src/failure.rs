use std::io;

/// Why a command did not succeed. Each ends the process with status 255.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The arguments do not fit together; told with the usage.
    #[error("{}", .0.join("\n"))]
    Arguments(Vec<String>),
    /// A server said no.
    #[error("Server responded with {} ({status}): {body}", status_name(*.status))]
    Server { status: u16, body: String },
    /// A server sent the request elsewhere. It is not followed: the key goes to nobody but the
    /// server it was given for.
    #[error(
        "Server responded with {} ({status}): it redirects to {}, where your key is not sent; \
         if that is where the server is, name it with --source",
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
        Self::Arguments(vec![format!("--{name} error: {text}")])
    }

    /// A failure to read or write, with what was being done.
    pub(crate) fn io(doing: impl std::fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Other(anyhow::Error::new(error).context(format!("cannot {doing}")))
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
