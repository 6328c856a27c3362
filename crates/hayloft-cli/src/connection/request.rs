use std::io::Read;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the characters that never need an escape.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request of the API.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) payload: Payload,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// The body of a request.
pub(crate) enum Payload {
    Nothing,
    Json(Vec<u8>),
    /// A package file; `length` in bytes, if it is known.
    File {
        content: Box<dyn Read + Send>,
        length: Option<u64>,
    },
}

/// Path and query below the server's base URL, escaped, without a slash at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    text: String,
    has_query: bool,
}

impl Target {
    /// A path of these segments; a slash inside of one is escaped.
    pub(crate) fn new(segments: &[&str]) -> Self {
        let segments: Vec<String> = segments.iter().map(|segment| escape(segment)).collect();
        Self { text: segments.join("/"), has_query: false }
    }

    /// One more segment.
    pub(crate) fn segment(mut self, segment: &str) -> Self {
        self.text.push('/');
        self.text.push_str(&escape(segment));
        self
    }

    /// A path below, and perhaps a query, both escaped already.
    pub(crate) fn below(mut self, path: &str) -> Self {
        self.text.push_str(path);
        self.has_query |= path.contains('?');
        self
    }

    /// One more parameter, if it has a value.
    pub(crate) fn query(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.text.push(if self.has_query { '&' } else { '?' });
            self.text.push_str(name);
            self.text.push('=');
            self.text.push_str(&escape(value));
            self.has_query = true;
        }
        self
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// Percent-escapes all but letters, digits and `-._~`.
pub(crate) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_values_are_escaped() {
        let target = Target::new(&["api", "packages", "a b", "download"])
            .query("name", Some("runtime"))
            .query("version", None)
            .query("group", Some("@babel"))
            .query("qualifier", Some("arch=amd64&component=main"));
        assert_eq!(
            target.as_str(),
            "api/packages/a%20b/download?name=runtime&group=%40babel\
             &qualifier=arch%3Damd64%26component%3Dmain"
        );
        assert_eq!(Target::new(&["upack"]).segment("a/b").as_str(), "upack/a%2Fb");
    }
}
