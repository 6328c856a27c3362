use axum::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hayloft::feed_type::native::{Native, Refusal, Reply};
use hyper::ext::ReasonPhrase;

use super::{Asked, set};
use crate::ApiError;

/// Longest reason phrase, in bytes.
const LONGEST: usize = 512;

/// Why there is no answer of the request's own kind.
#[derive(Debug)]
pub(in crate::native) enum Worded {
    /// The feed type words it.
    Refused(Refusal),
    /// The server is to blame; the text is the server's own.
    Failed(ApiError),
}

impl From<Refusal> for Worded {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ApiError> for Worded {
    fn from(error: ApiError) -> Self {
        let text = error.text().to_owned();
        Self::Refused(match error.status() {
            StatusCode::UNAUTHORIZED => Refusal::NoCredential,
            StatusCode::FORBIDDEN if error.is_unknown_key() => Refusal::UnknownKey,
            StatusCode::FORBIDDEN => Refusal::Forbidden(text),
            StatusCode::NOT_FOUND => Refusal::NotFound(Some(text)),
            StatusCode::NOT_ACCEPTABLE => Refusal::NotAcceptable(text),
            StatusCode::CONFLICT => Refusal::Conflict(text),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Refusal::Unsupported(text),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => {
                Refusal::Unavailable(text)
            }
            StatusCode::BAD_REQUEST => Refusal::Invalid(text),
            _ => return Self::Failed(error),
        })
    }
}

impl From<hayloft::StoreError> for Worded {
    fn from(error: hayloft::StoreError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<hayloft::SelectError> for Worded {
    fn from(error: hayloft::SelectError) -> Self {
        ApiError::from(error).into()
    }
}

impl Worded {
    pub(super) fn into_response(self, native: &dyn Native, asked: &Asked) -> Response {
        let refusal = match self {
            Self::Failed(error) => return error.into_response(),
            Self::Refused(refusal) => refusal,
        };
        let mut response = response(&native.refuse(&asked.request(), &refusal), asked);
        let status = response.status();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED && !headers.contains_key(WWW_AUTHENTICATE) {
            set(headers, WWW_AUTHENTICATE, "Basic realm=\"Hayloft\", charset=\"UTF-8\"");
        }
        match refusal {
            Refusal::Method { allowed } => set(headers, ALLOW, allowed),
            Refusal::Busy { after } => set(headers, RETRY_AFTER, &after.to_string()),
            Refusal::Unavailable(_) => set(headers, RETRY_AFTER, "5"),
            _ => {}
        }
        response
    }
}

/// A reply as a response; without its body to a HEAD.
pub(super) fn response(reply: &Reply, asked: &Asked) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let length = reply.body.len();
    let body = if asked.is_head() { Vec::new() } else { reply.body.clone() };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.remove(CONTENT_TYPE);
    if length > 0 {
        set(headers, CONTENT_TYPE, &reply.media_type);
    }
    if asked.is_head() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    for (name, value) in &reply.headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::try_from(*name), HeaderValue::from_str(&one_line(value)))
        {
            headers.append(name, value);
        }
    }
    if let Some(reason) = &reply.reason
        && let Ok(phrase) = ReasonPhrase::try_from(one_line(reason).into_bytes())
    {
        response.extensions_mut().insert(phrase);
    }
    response
}

/// A text as a reason phrase or header can carry it: one line of ASCII.
fn one_line(text: &str) -> String {
    text.chars()
        .take(LONGEST)
        .map(|letter| match letter {
            ' '..='~' => letter,
            letter if letter.is_whitespace() => ' ',
            '…' => '~',
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_phrases_are_one_line() {
        assert_eq!(one_line("a\r\nSet-Cookie: b\u{7f}ä…"), "a  Set-Cookie: b??~");
        assert_eq!(one_line(&"a".repeat(600)).len(), 512);
    }
}
