use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What stays as it is in a path segment that a server writes.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'@');

/// The segments of a raw path, decoded; empty ones are left out, so that `//a/` is `a`. `None` if
/// one is no UTF-8 or holds a NUL.
///
/// A segment may hold a slash that was sent encoded, as npm's `@scope%2fname`.
pub fn segments(path: &str) -> Option<Vec<String>> {
    path.split('/').filter(|segment| !segment.is_empty()).map(decoded).collect()
}

/// One text with its percent escapes decoded; `+` stays. `None` if that is no UTF-8 or holds a NUL.
pub fn decoded(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    (!text.contains('\0')).then(|| text.into_owned())
}

/// A text as one segment of a path.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// Names and values of a query or form, decoded, where `+` is a blank; malformed pairs are left
/// out.
pub fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(&name.replace('+', " "))?, decoded(&value.replace('+', " "))?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_slashes_vanish_and_encoded_ones_stay() {
        assert_eq!(segments("//api/v1//gems/").unwrap(), ["api", "v1", "gems"]);
        assert_eq!(segments("/@a%2fb/-/b-1.0.0.tgz").unwrap(), ["@a/b", "-", "b-1.0.0.tgz"]);
        assert_eq!(segments("").unwrap(), Vec::<String>::new());
        assert_eq!(segments("/%ff"), None);
        assert_eq!(segments("/a%00"), None);
    }

    #[test]
    fn what_is_encoded_reads_back() {
        for text in ["@a/b", "1.0.0+x", "a b", "ä", "%2f", "..", "a?b#c"] {
            assert_eq!(decoded(&encoded(text)).as_deref(), Some(text));
            assert!(!encoded(text).contains('/'));
        }
    }

    #[test]
    fn pairs_are_decoded_as_forms_are() {
        let pairs: Vec<_> = query_pairs("a=1+2&b&c=%2B&=x&%ff=1").collect();
        let expected = [("a", "1 2"), ("b", ""), ("c", "+"), ("", "x")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
