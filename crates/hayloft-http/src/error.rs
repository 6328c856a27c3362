use std::error::Error;
use std::fmt;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hayloft::{
    DeleteError, FeedError, FeedTypeError, FindError, KeyError, LookupError, NativeError,
    NoSuchFeed, PromoteError, RefreshError, RepackageError, SecretError, SelectError, SettingError,
    StagingError, StatusError, StoreError, TagError, UnknownFeedType, UploadError,
};

use crate::edge::Failed;

/// The body of every 403 for want of a right; clients compare it.
const FORBIDDEN: &str =
    "The specified API key does not have the proper permissions to perform this action.";

/// Characters of an error's text: what a client sent is not sent back whole.
const LONGEST: usize = 1_000;

/// A request failed: a status and one line of plain text, which clients print as it is.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    text: String,
    /// The log has the cause.
    logged: bool,
    unknown_key: bool,
    /// Seconds until the same request may succeed.
    retry_after: Option<u64>,
}

impl ApiError {
    /// An answer with this status and text; breaks of lines in it become blanks, and a text that is
    /// too long for a line is cut.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.contains(char::is_control) {
            let lines = text.split(char::is_control).filter(|line| !line.trim().is_empty());
            text = lines.collect::<Vec<_>>().join(" ");
        }
        if let Some((end, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(end);
            text.push('…');
        }
        Self { status, text, logged: false, unknown_key: false, retry_after: None }
    }

    /// 400: the request is malformed or ambiguous.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 404.
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 409.
    pub fn conflict(text: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, text)
    }

    /// 403 with the text that clients expect.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, FORBIDDEN)
    }

    /// The same for a credential that nobody has, which some protocols tell apart.
    pub(crate) fn unknown_key() -> Self {
        Self { unknown_key: true, ..Self::forbidden() }
    }

    /// Whether the credential is one that nobody has.
    pub(crate) fn is_unknown_key(&self) -> bool {
        self.unknown_key
    }

    /// 401 with a Basic challenge, which makes clients ask for a credential.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Authentication is required.")
    }

    /// 500 for a failure of this program or its store; the log has the cause, the client does not.
    pub fn internal(error: impl Error) -> Self {
        tracing::error!(error = %Chain(&error), "a request failed");
        let text = "The server failed; its log has the cause.";
        Self { logged: true, ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, text) }
    }

    /// The same, which tells the client to ask again after so many seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong and what to do.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A failure that the request is to blame for, with all its causes.
    fn of(status: StatusCode, error: &dyn Error) -> Self {
        Self::new(status, Chain(error).to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        let mut response = (self.status, [(CONTENT_TYPE, text)], self.text).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"Hayloft\", charset=\"UTF-8\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        if self.logged {
            response.extensions_mut().insert(Failed);
        }
        response
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    Chain(error).to_string()
}

/// An error and its causes in one line.
struct Chain<'a>(&'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(formatter, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NoSpace { .. } => Self::of(StatusCode::INSUFFICIENT_STORAGE, &error),
            StoreError::Busy | StoreError::ReadOnly => {
                Self::of(StatusCode::SERVICE_UNAVAILABLE, &error)
            }
            // The texts of one request are too long together.
            StoreError::TooLarge { .. } => Self::of(StatusCode::BAD_REQUEST, &error),
            _ => Self::internal(error),
        }
    }
}

impl From<NoSuchFeed> for ApiError {
    fn from(error: NoSuchFeed) -> Self {
        Self::not_found(format!("Feed {} not found.", hayloft::feed_type::shorten(&error.name)))
    }
}

impl From<LookupError> for ApiError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Feed(error) => error.into(),
            LookupError::Store(error) => error.into(),
            other => Self::internal(other),
        }
    }
}

impl From<UnknownFeedType> for ApiError {
    fn from(error: UnknownFeedType) -> Self {
        Self::of(StatusCode::BAD_REQUEST, &error)
    }
}

impl From<FeedTypeError> for ApiError {
    fn from(error: FeedTypeError) -> Self {
        Self::of(StatusCode::BAD_REQUEST, &error)
    }
}

impl From<SelectError> for ApiError {
    fn from(error: SelectError) -> Self {
        match error {
            SelectError::Feed(error) => error.into(),
            SelectError::Store(error) => error.into(),
            SelectError::NotFound { .. } => Self::of(StatusCode::NOT_FOUND, &error),
            SelectError::Blocked { .. } => Self::of(StatusCode::FORBIDDEN, &error),
            _ => Self::of(StatusCode::BAD_REQUEST, &error),
        }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Feed(error) => error.into(),
            UploadError::Store(error) => error.into(),
            UploadError::TooLarge { .. } => Self::of(StatusCode::PAYLOAD_TOO_LARGE, &error),
            UploadError::Conflict { .. } => Self::of(StatusCode::FORBIDDEN, &error),
            _ => Self::of(StatusCode::BAD_REQUEST, &error),
        }
    }
}

impl From<StagingError> for ApiError {
    fn from(error: StagingError) -> Self {
        match error {
            StagingError::Store(error) => error.into(),
            StagingError::TooLarge { .. } => Self::of(StatusCode::PAYLOAD_TOO_LARGE, &error),
            other => Self::internal(other),
        }
    }
}

impl From<PromoteError> for ApiError {
    fn from(error: PromoteError) -> Self {
        match error {
            PromoteError::Select(error) => error.into(),
            PromoteError::Feed(error) => error.into(),
            PromoteError::Store(error) => error.into(),
            PromoteError::Conflict { .. } | PromoteError::Pipeline { .. } => {
                Self::of(StatusCode::FORBIDDEN, &error)
            }
            _ => Self::of(StatusCode::BAD_REQUEST, &error),
        }
    }
}

impl From<RepackageError> for ApiError {
    fn from(error: RepackageError) -> Self {
        match error {
            RepackageError::Select(error) => error.into(),
            RepackageError::Feed(error) => error.into(),
            RepackageError::Store(error) => error.into(),
            RepackageError::Mismatch { .. } => Self::internal(error),
            RepackageError::Pipeline { .. } => Self::of(StatusCode::FORBIDDEN, &error),
            _ => Self::of(StatusCode::BAD_REQUEST, &error),
        }
    }
}

impl From<DeleteError> for ApiError {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Select(error) => error.into(),
            DeleteError::Store(error) => error.into(),
            _ => Self::of(StatusCode::BAD_REQUEST, &error),
        }
    }
}

impl From<StatusError> for ApiError {
    fn from(error: StatusError) -> Self {
        match error {
            StatusError::Select(error) => error.into(),
            StatusError::Store(error) => error.into(),
            _ => Self::of(StatusCode::BAD_REQUEST, &error),
        }
    }
}

impl From<TagError> for ApiError {
    fn from(error: TagError) -> Self {
        match error {
            TagError::Select(error) => error.into(),
            TagError::Store(error) => error.into(),
            TagError::NotFound { .. } => Self::of(StatusCode::NOT_FOUND, &error),
            _ => Self::of(StatusCode::BAD_REQUEST, &error),
        }
    }
}

impl From<FeedError> for ApiError {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::NotFound(error) => error.into(),
            FeedError::Store(error) => error.into(),
            _ => Self::of(StatusCode::BAD_REQUEST, &error),
        }
    }
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Store(error) => error.into(),
            KeyError::NotFound { .. } => Self::of(StatusCode::NOT_FOUND, &error),
            _ => Self::of(StatusCode::BAD_REQUEST, &error),
        }
    }
}

impl From<SettingError> for ApiError {
    fn from(error: SettingError) -> Self {
        match error {
            SettingError::Store(error) => error.into(),
            _ => Self::of(StatusCode::BAD_REQUEST, &error),
        }
    }
}

impl From<NativeError> for ApiError {
    fn from(error: NativeError) -> Self {
        match error {
            NativeError::Feed(error) => error.into(),
            NativeError::Store(error) => error.into(),
            _ => Self::of(StatusCode::BAD_REQUEST, &error),
        }
    }
}

impl From<SecretError> for ApiError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Feed(error) | SecretError::Refresh(RefreshError::Feed(error)) => {
                error.into()
            }
            SecretError::Store(error) | SecretError::Refresh(RefreshError::Store(error)) => {
                error.into()
            }
            SecretError::None { .. } => Self::of(StatusCode::NOT_FOUND, &error),
            SecretError::Refresh(_) => Self::of(StatusCode::INTERNAL_SERVER_ERROR, &error),
            _ => Self::of(StatusCode::BAD_REQUEST, &error),
        }
    }
}

impl From<FindError> for ApiError {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Store(error) => error.into(),
            _ => Self::of(StatusCode::BAD_REQUEST, &error),
        }
    }
}
