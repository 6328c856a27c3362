use axum::http::request::Parts;
use hayloft::feed_type::native::{Request, decoded, encoded};

/// What a request asks of a feed, taken out of HTTP.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    /// Name of the feed.
    pub(super) feed: String,
    /// Below the feed, as it was sent.
    pub(super) path: String,
    query: String,
    headers: Vec<(String, String)>,
    /// The feed's URL, as the client knows it.
    pub(super) feed_url: String,
}

impl Asked {
    /// `None` for a path that names no feed. `base` is the URL of the server, without a slash at
    /// its end.
    pub(super) fn of(parts: &Parts, prefix: &str, base: &str) -> Option<Self> {
        let path = parts.uri.path();
        let rest = path.strip_prefix('/')?.strip_prefix(prefix)?.strip_prefix('/')?;
        let (name, path) = match rest.find('/') {
            Some(at) => rest.split_at_checked(at)?,
            None => (rest, ""),
        };
        // Keys of feeds lie beside the feeds, too.
        let (feed, path) = match path.strip_prefix('/') {
            Some(file) if name == "keys" && !file.contains('/') => {
                let (feed, _) = file.rsplit_once('.')?;
                (decoded(feed)?, format!("/keys/{file}"))
            }
            _ => (decoded(name)?, path.to_owned()),
        };
        if feed.is_empty() {
            return None;
        }
        let headers = parts
            .headers
            .iter()
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect();
        Some(Self {
            method: parts.method.as_str().to_owned(),
            feed_url: format!("{base}/{prefix}/{}", encoded(&feed)),
            feed,
            path,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers,
        })
    }

    /// As the feed type sees it.
    pub(super) fn request(&self) -> Request<'_> {
        Request::get(&self.path, &self.feed_url)
            .method(&self.method)
            .query(&self.query)
            .headers(&self.headers)
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uri: &str) -> Option<Asked> {
        let (parts, ()) = axum::http::Request::get(uri).body(()).unwrap().into_parts();
        Asked::of(&parts, "npm", "http://h")
    }

    #[test]
    fn paths_below_a_feed_stay_as_they_were_sent() {
        for (uri, feed, path, query) in [
            ("/npm/f", "f", "", ""),
            ("/npm/f/", "f", "/", ""),
            ("/npm/f//a/", "f", "//a/", ""),
            ("/npm/f/@a%2fb?write=true", "f", "/@a%2fb", "write=true"),
            ("/npm/my%20feed/x", "my feed", "/x", ""),
            ("/npm/keys/f.asc", "f", "/keys/f.asc", ""),
            ("/npm/keys/a.b.gpg", "a.b", "/keys/a.b.gpg", ""),
        ] {
            let asked = asked(uri).unwrap();
            let request = asked.request();
            assert_eq!((asked.feed.as_str(), request.path, request.query), (feed, path, query));
        }
        assert!(asked("/npm//x").is_none());
        assert!(asked("/other/f/x").is_none());
    }
}
