use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_ENCODING, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use hayloft::Timestamp;
use hayloft::feed_type::native::Validator;

use crate::http_date::read_http_date;
use crate::transfer::FileRequest;

/// What a request says about the bytes that it wants.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    if_none_match: Vec<String>,
    if_modified_since: Option<String>,
    gzip: bool,
    file: FileRequest,
    head: bool,
}

/// Whether the client has what it would be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlook {
    Same,
    Other,
}

impl Conditions {
    pub(super) fn of(headers: &HeaderMap, method: &str) -> Self {
        let all = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        Self {
            if_none_match: all(IF_NONE_MATCH).map(str::to_owned).collect(),
            if_modified_since: all(IF_MODIFIED_SINCE).next().map(str::to_owned),
            gzip: all(ACCEPT_ENCODING).any(accepts_gzip),
            file: FileRequest::of(headers, method == "HEAD"),
            head: method == "HEAD",
        }
    }

    pub(super) fn is_head(&self) -> bool {
        self.head
    }

    /// Whether the body may come as gzip. A part of a body is one of its plain bytes.
    pub(super) fn takes_gzip(&self) -> bool {
        self.gzip && !self.file.has_range()
    }

    pub(super) fn file_request(&self) -> &FileRequest {
        &self.file
    }

    /// Decides by entity tag, else by time: a time in the future is void, and a change counts from
    /// the end of its second, for some clients send the time of their own copy.
    pub(super) fn outlook(
        &self,
        validator: &Validator,
        changed: Option<Timestamp>,
        now: Timestamp,
    ) -> Outlook {
        let same = if self.if_none_match.is_empty() {
            let since = self.if_modified_since.as_deref().and_then(read_http_date);
            match (since, changed) {
                (Some(since), Some(changed)) => {
                    let up = changed.millis().saturating_add(999).div_euclid(1000) * 1000;
                    up <= since && since <= now.millis().saturating_add(999)
                }
                _ => false,
            }
        } else {
            let plain = super::tag(validator, false);
            let packed = super::tag(validator, true);
            let tags = self.if_none_match.iter().flat_map(|list| list.split(','));
            tags.map(str::trim).any(|tag| {
                let strong = tag.strip_prefix("W/").unwrap_or(tag);
                // Old Bundlers send the tag without its quotes.
                let quoted = format!("\"{strong}\"");
                tag == "*" || [&plain, &packed].iter().any(|own| **own == strong || **own == quoted)
            })
        };
        if same { Outlook::Same } else { Outlook::Other }
    }
}

/// True if a list of encodings has gzip, or all, and does not rule it out.
fn accepts_gzip(list: &str) -> bool {
    let mut any = false;
    for item in list.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let out = weight.is_some_and(|weight| weight.parse::<f32>().is_ok_and(|q| q <= 0.0));
        if name.eq_ignore_ascii_case("gzip") {
            return !out;
        }
        any |= name == "*" && !out;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(headers: &[(&'static str, &str)]) -> Conditions {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Conditions::of(&map, "GET")
    }

    #[test]
    fn a_tag_counts_before_a_time_and_in_both_encodings() {
        let validator = Validator::Derived([7; 16]);
        let hex = "07".repeat(16);
        let changed = Some(Timestamp::from_millis(1_767_323_045_100));
        let now = Timestamp::from_millis(1_767_323_050_000);
        let outlook = |headers: &[(&'static str, &str)]| {
            conditions(headers).outlook(&validator, changed, now)
        };
        for tag in [format!("\"{hex}\""), format!("W/\"{hex}-gzip\""), "*".to_owned()] {
            assert_eq!(outlook(&[("if-none-match", &tag)]), Outlook::Same);
        }
        let later = "Fri, 02 Jan 2026 03:04:06 GMT";
        assert_eq!(outlook(&[("if-modified-since", later)]), Outlook::Same);
        // The second in which it changed is not over yet.
        let in_it = "Fri, 02 Jan 2026 03:04:05 GMT";
        assert_eq!(outlook(&[("if-modified-since", in_it)]), Outlook::Other);
        let future = "Fri, 02 Jan 2026 04:04:05 GMT";
        assert_eq!(outlook(&[("if-modified-since", future)]), Outlook::Other);
        let both = [("if-none-match", "\"x\""), ("if-modified-since", later)];
        assert_eq!(outlook(&both), Outlook::Other);
        assert_eq!(
            conditions(&[("if-modified-since", later)]).outlook(&validator, None, now),
            Outlook::Other
        );
    }

    #[test]
    fn gzip_is_taken_where_it_is_listed_and_no_part_is_asked_for() {
        assert!(conditions(&[("accept-encoding", "gzip, deflate")]).takes_gzip());
        assert!(conditions(&[("accept-encoding", "br;q=1.0, *;q=0.1")]).takes_gzip());
        assert!(!conditions(&[("accept-encoding", "gzip;q=0")]).takes_gzip());
        assert!(!conditions(&[]).takes_gzip());
        let part = [("accept-encoding", "gzip"), ("range", "bytes=5-")];
        assert!(!conditions(&part).takes_gzip());
    }
}
