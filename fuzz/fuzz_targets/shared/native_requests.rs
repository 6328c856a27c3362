//! Fuzzed text as a request: a line with method and URL, lines of fields, each a path and a value.

use hayloft_feed::native::{Field, Fields, Request, segments};

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
    pub fn fields(&self) -> Fields {
        let field = |&(path, value): &(&str, &str)| Field {
            path: path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            value: value.to_owned(),
        };
        Fields(self.fields.iter().map(field).collect())
    }

    /// Whether the path holds this name, in some case.
    pub fn names(&self, name: &str) -> bool {
        let segments = segments(self.path).unwrap_or_default();
        let parts: Vec<&str> = segments.iter().flat_map(|segment| segment.split('/')).collect();
        parts.iter().any(|part| part.eq_ignore_ascii_case(name))
    }
}
