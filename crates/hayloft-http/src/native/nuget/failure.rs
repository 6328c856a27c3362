use axum::response::{IntoResponse, Response};
use hyper::ext::ReasonPhrase;

use crate::ApiError;

/// Longest reason phrase, in bytes.
const LONGEST: usize = 512;

/// A failed request whose reason phrase is the text of the error: NuGet clients show that and no
/// body.
#[derive(Debug)]
pub(super) struct Failure(ApiError);

impl<E: Into<ApiError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let phrase = ReasonPhrase::try_from(one_line(self.0.text()).into_bytes());
        let mut response = self.0.into_response();
        if let Ok(phrase) = phrase {
            response.extensions_mut().insert(phrase);
        }
        response
    }
}

/// A text as a reason phrase or header can carry it: one line of ASCII.
pub(super) fn one_line(text: &str) -> String {
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
        let response = Failure::from(ApiError::conflict("a\nb")).into_response();
        assert_eq!(response.status(), 409);
        assert_eq!(response.extensions().get::<ReasonPhrase>().unwrap().as_bytes(), b"a b");
    }
}
