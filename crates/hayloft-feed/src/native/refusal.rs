use std::borrow::Cow;

/// Why a request gets no answer of its own kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// No credential was shown where one is needed.
    NoCredential,
    /// The credential is not known.
    UnknownKey,
    /// The caller may not, or a policy forbids; with a reason for people.
    Forbidden(String),
    /// There is no such thing.
    NotFound(Option<String>),
    /// None of the media types that the client accepts is on offer.
    NotAcceptable(String),
    /// The request is malformed, or its package is.
    Invalid(String),
    /// It is there already with other bytes, or someone else changed it first.
    Conflict(String),
    /// The path exists, the method does not.
    Method {
        /// Methods that do, for the header `Allow`.
        allowed: &'static str,
    },
    /// The body is larger than allowed.
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// The body is of a kind that is not taken.
    Unsupported(String),
    /// Too much is asked at once; try again in so many seconds.
    Busy {
        /// Seconds.
        after: u32,
    },
    /// The server cannot do it now: full, stopped, rebuilding.
    Unavailable(String),
    /// The server failed; the number finds the reason in its log.
    Failed {
        /// Of the request.
        id: String,
    },
}

impl From<crate::FeedTypeError> for Refusal {
    /// What a request names is not one of the ecosystem, and why.
    fn from(error: crate::FeedTypeError) -> Self {
        Self::Invalid(match std::error::Error::source(&error) {
            Some(detail) => format!("{error}: {detail}"),
            None => error.to_string(),
        })
    }
}

impl Refusal {
    /// The status code that fits where the ecosystem has no other wish.
    pub fn status(&self) -> u16 {
        match self {
            Self::NoCredential => 401,
            Self::UnknownKey | Self::Forbidden(_) => 403,
            Self::NotFound(_) => 404,
            Self::Method { .. } => 405,
            Self::NotAcceptable(_) => 406,
            Self::Invalid(_) => 400,
            Self::Conflict(_) => 409,
            Self::TooLarge { .. } => 413,
            Self::Unsupported(_) => 415,
            Self::Busy { .. } => 429,
            Self::Unavailable(_) => 503,
            Self::Failed { .. } => 500,
        }
    }

    /// A sentence for people.
    pub fn text(&self) -> String {
        match self {
            Self::NoCredential => "a credential is needed".to_owned(),
            Self::UnknownKey => "the credential is not known".to_owned(),
            Self::Forbidden(text)
            | Self::NotAcceptable(text)
            | Self::Invalid(text)
            | Self::Conflict(text)
            | Self::Unsupported(text)
            | Self::Unavailable(text)
            | Self::NotFound(Some(text)) => text.clone(),
            Self::NotFound(None) => "not found".to_owned(),
            Self::Method { allowed } => format!("only {allowed} is answered here"),
            Self::TooLarge { limit } => format!("the body is over the limit of {limit} bytes"),
            Self::Busy { after } => format!("too many requests; try again in {after} seconds"),
            Self::Failed { id } => format!("the server failed; its log has the reason under {id}"),
        }
    }
}

/// A complete answer with its body in memory.
///
/// The executor adds what HTTP asks for: `WWW-Authenticate` to 401, `Allow` to 405, `Retry-After`
/// to 429 and 503, the length.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Reason phrase, where the client prints it.
    pub reason: Option<String>,
    /// Media type of the body.
    pub media_type: Cow<'static, str>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Reply {
    /// An answer with this body.
    pub fn new(status: u16, media_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            reason: None,
            media_type: Cow::Borrowed(media_type),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// Plain text.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text.into())
    }

    /// JSON text.
    pub fn json(status: u16, text: impl Into<String>) -> Self {
        Self::new(status, "application/json", text.into())
    }

    /// A refusal with its usual status and its sentence as plain text.
    pub fn plain(refusal: &Refusal) -> Self {
        Self::text(refusal.status(), refusal.text())
    }

    /// With a reason phrase.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}
