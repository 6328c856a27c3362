/// A request of a native client, apart from any HTTP library.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Request<'a> {
    /// Method in upper case.
    pub method: &'a str,
    /// Raw path below the feed's URL: undecoded, doubled slashes included. Empty, or begins with a
    /// slash.
    pub path: &'a str,
    /// Raw query without its question mark; empty if there is none.
    pub query: &'a str,
    /// Headers with names in lower case, as sent; a repeated one stands there repeatedly.
    pub headers: &'a [(String, String)],
    /// Public URL of the feed, without a final slash. Chosen by the client where the server has no
    /// fixed one: a document that holds it must have it in its validator.
    pub feed_url: &'a str,
    /// Who asks, if a credential said so.
    pub user: Option<&'a str>,
    /// True once a refresh that an answer asked for was tried: serve what is there.
    pub refreshed: bool,
    /// True if the answer becomes a file that others read who cannot write: it leaves out what only
    /// helps to change the feed, so that equal feeds of two stores give equal files.
    pub exported: bool,
}

impl<'a> Request<'a> {
    /// A GET of a path, without query and headers.
    pub fn get(path: &'a str, feed_url: &'a str) -> Self {
        Self {
            method: "GET",
            path,
            query: "",
            headers: &[],
            feed_url,
            user: None,
            refreshed: false,
            exported: false,
        }
    }

    /// With another method.
    #[must_use]
    pub fn method(mut self, method: &'a str) -> Self {
        self.method = method;
        self
    }

    /// With a raw query.
    #[must_use]
    pub fn query(mut self, query: &'a str) -> Self {
        self.query = query;
        self
    }

    /// With headers, whose names are in lower case.
    #[must_use]
    pub fn headers(mut self, headers: &'a [(String, String)]) -> Self {
        self.headers = headers;
        self
    }

    /// By a caller of this name.
    #[must_use]
    pub fn user(mut self, user: Option<&'a str>) -> Self {
        self.user = user;
        self
    }

    /// After a refresh was tried.
    #[must_use]
    pub fn refreshed(mut self) -> Self {
        self.refreshed = true;
        self
    }

    /// For a file of a static export, which takes what is there.
    #[must_use]
    pub fn exported(mut self) -> Self {
        self.exported = true;
        self.refreshed()
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut headers = self.headers.iter();
        headers.find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The media types that the client accepts; empty if it does not say.
    pub fn accept(&self) -> &'a str {
        self.header("accept").unwrap_or_default()
    }

    /// The first parameter of the query with this name, decoded; a name without a value gives an
    /// empty text. Malformed escapes give `None`.
    pub fn parameter(&self, name: &str) -> Option<String> {
        super::query_pairs(self.query).find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// The decoded segments of the path, without empty ones; none if one does not decode.
    pub fn segments(&self) -> Vec<String> {
        super::segments(self.path).unwrap_or_default()
    }

    /// The same for a path of so many; any other is that of nothing.
    pub fn parts<const N: usize>(&self) -> Result<[String; N], super::Refusal> {
        self.segments().try_into().map_err(|_| super::Refusal::NotFound(None))
    }

    /// A parameter of the query as the words to search for: in lower case, no more of them than a
    /// package has terms.
    pub fn words(&self, name: &str) -> Vec<String> {
        let text = self.parameter(name).unwrap_or_default().to_lowercase();
        text.split_whitespace().take(crate::SearchRecord::TERMS).map(str::to_owned).collect()
    }

    /// A parameter of the query that is a number, such as the size of a page: `usual` without it,
    /// and never more than `most`.
    pub fn number(&self, name: &str, usual: usize, most: usize) -> usize {
        self.parameter(name).and_then(|text| text.parse().ok()).unwrap_or(usual).min(most)
    }
}

impl std::fmt::Debug for Request<'_> {
    /// Without headers, which may hold a credential.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &self.query)
            .finish_non_exhaustive()
    }
}
