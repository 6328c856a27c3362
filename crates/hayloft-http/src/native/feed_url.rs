use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;

use crate::base_url::BaseUrl;
use crate::{ApiError, App};

/// The absolute URL of the feed that a request is about, without the final slash; for handlers
/// below `/{path}/{feed}`.
#[derive(Debug, Clone)]
pub(super) struct FeedUrl(String);

impl FeedUrl {
    /// The URL of something below the feed; `path` begins with a slash.
    pub(super) fn to(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl FromRequestParts<App> for FeedUrl {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let inner = parts.uri.path();
        let original = parts.extensions.get::<OriginalUri>().map_or(inner, |uri| uri.0.path());
        let feed = feed_path(original.strip_suffix(inner).unwrap_or_default());
        let below = format!("{feed}{inner}");
        let BaseUrl(base) = BaseUrl::above(app, parts, &below).await?;
        Ok(Self(format!("{base}{feed}")))
    }
}

/// The last two segments of a path, with a slash before each.
fn feed_path(path: &str) -> &str {
    let slashes = path.rmatch_indices('/').map(|(at, _)| at);
    slashes.take(2).last().and_then(|at| path.get(at..)).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::at_the_root("/nuget/f", "/nuget/f")]
    #[case::mounted("/a/b/nuget/f", "/nuget/f")]
    #[case::nothing("", "")]
    fn a_feed_has_two_segments(#[case] path: &str, #[case] feed: &str) {
        assert_eq!(feed_path(path), feed);
    }
}
