//! Fuzzed text as a request: a line with method and URL, lines of fields, each a path and a value.

use hayloft_feed::native::{Request, segments};

pub struct Parts<'t> {
    method: &'t str,
    path: &'t str,
    query: &'t str,
    fields: Vec<(&'t str, &'t str)>,
}

impl<'t> Parts<'t> {
    pub fn of(text: &'t str) -> Option<Self> {
        let mut lines = text.lines();
        let (method, url) = lines.next()?.split_once(' ')?;
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let fields = lines.filter_map(|line| line.split_once(' ')).collect();
        Some(Self { method, path, query, fields })
    }

    pub fn request(&self) -> Request<'_> {
        Request::get(self.path, "http://host/prefix/f").method(self.method).query(self.query)
    }

    #[allow(dead_code, reason = "not every protocol reads fields")]
    pub fn fields(&self) -> impl Iterator<Item = (&'t str, &'t str)> + '_ {
        self.fields.iter().copied()
    }

    /// Whether the path holds this name, in some case.
    pub fn names(&self, name: &str) -> bool {
        let segments = segments(self.path).unwrap_or_default();
        let parts: Vec<&str> = segments.iter().flat_map(|segment| segment.split('/')).collect();
        parts.iter().any(|part| part.eq_ignore_ascii_case(name))
    }
}
