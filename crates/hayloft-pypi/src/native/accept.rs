use hayloft_feed::native::{Refusal, Request};

/// The forms in which the simple index can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    /// HTML under the media type of the simple index.
    Html,
    /// HTML as browsers call it.
    Text,
}

/// In the order in which they are preferred where a client likes them alike.
const OFFERS: [Form; 3] = [Form::Json, Form::Html, Form::Text];

/// Media ranges that are looked at; real clients send three.
const MOST_RANGES: usize = 32;

impl Form {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/vnd.pypi.simple.v1+json",
            Self::Html => "application/vnd.pypi.simple.v1+html",
            Self::Text => "text/html; charset=utf-8",
        }
    }

    /// How validators call it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Html => "v1+html",
            Self::Text => "html",
        }
    }

    fn named(media_type: &str) -> Option<Self> {
        let is = |name: &str| media_type.eq_ignore_ascii_case(name);
        if is("application/vnd.pypi.simple.v1+json")
            || is("application/vnd.pypi.simple.latest+json")
        {
            Some(Self::Json)
        } else if is("application/vnd.pypi.simple.v1+html")
            || is("application/vnd.pypi.simple.latest+html")
        {
            Some(Self::Html)
        } else {
            is("text/html").then_some(Self::Text)
        }
    }

    /// What the request asks for, by its query or by what it accepts.
    pub(crate) fn of(request: &Request<'_>) -> Result<Self, Refusal> {
        let found = match request.parameter("format") {
            Some(format) => Self::named(format.trim()),
            None => Self::accepted(request.accept()),
        };
        found.ok_or_else(|| {
            let text = "the simple index is offered as application/vnd.pypi.simple.v1+json, \
                application/vnd.pypi.simple.v1+html and text/html";
            Refusal::NotAcceptable(text.to_owned())
        })
    }

    /// A higher weight wins, then a range that names a type over one with a star, then the order
    /// of offers; who accepts everything alike is taken for a browser.
    fn accepted(accept: &str) -> Option<Self> {
        let ranges: Vec<Range> =
            accept.split(',').take(MOST_RANGES).filter_map(Range::parse).collect();
        if ranges.is_empty() {
            return Some(Self::Text);
        }
        let best = OFFERS
            .into_iter()
            .filter_map(|form| {
                let range = ranges
                    .iter()
                    .filter(|range| range.covers(form))
                    .max_by_key(|range| range.rank)?;
                (range.weight > 0).then_some((range.weight, range.rank, form))
            })
            .rev()
            .max_by_key(|(weight, rank, _)| (*weight, *rank))?;
        Some(match best {
            (_, Rank::Anything, _) => Self::Text,
            (_, _, form) => form,
        })
    }
}

/// How much a media range says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Anything,
    Kind,
    Type,
}

struct Range {
    form: Option<Form>,
    rank: Rank,
    /// In thousandths.
    weight: u16,
    /// The half before the slash of `kind/*`.
    kind: String,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let weight = parts
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
            .map_or(Some(1000), |(_, value)| weight(value.trim()))?;
        let (kind, rest) = name.split_once('/')?;
        let rank = match (kind, rest) {
            ("*", "*") => Rank::Anything,
            (_, "*") => Rank::Kind,
            _ => Rank::Type,
        };
        Some(Self { form: Form::named(name), rank, weight, kind: kind.to_ascii_lowercase() })
    }

    fn covers(&self, form: Form) -> bool {
        match self.rank {
            Rank::Anything => true,
            Rank::Kind => form.media_type().split('/').next() == Some(&self.kind),
            Rank::Type => self.form == Some(form),
        }
    }
}

/// A weight from 0 to 1 with up to three digits, in thousandths.
fn weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" | "" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const JSON: &str = "application/vnd.pypi.simple.v1+json";
    const HTML: &str = "application/vnd.pypi.simple.v1+html";

    #[rstest]
    #[case::nothing("", Some(Form::Text))]
    #[case::anything("*/*", Some(Form::Text))]
    #[case::pip(&format!("{JSON}, {HTML}; q=0.1, text/html; q=0.01"), Some(Form::Json))]
    #[case::uv(&format!("{JSON}, {HTML};q=0.2, text/html;q=0.01"), Some(Form::Json))]
    #[case::poetry(&format!("{JSON}, */*;q=0.1"), Some(Form::Json))]
    #[case::old_pip("text/html", Some(Form::Text))]
    #[case::browser(
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        Some(Form::Text)
    )]
    #[case::html_preferred(&format!("{JSON};q=0.5,{HTML}"), Some(Form::Html))]
    #[case::alike(&format!("text/html,{HTML},{JSON}"), Some(Form::Json))]
    #[case::latest("application/vnd.pypi.simple.latest+json", Some(Form::Json))]
    #[case::named_over_star(&format!("*/*, {HTML}"), Some(Form::Html))]
    #[case::kind("text/*", Some(Form::Text))]
    #[case::refused_one(&format!("{JSON};q=0, */*;q=0.1"), Some(Form::Text))]
    #[case::capitals("TEXT/HTML", Some(Form::Text))]
    #[case::other("application/json", None)]
    #[case::other_version("application/vnd.pypi.simple.v2+json", None)]
    #[case::all_refused("*/*;q=0", None)]
    #[case::malformed_weight("text/html;q=2", Some(Form::Text))]
    #[case::malformed_weight_among(&format!("{JSON};q=x, text/html"), Some(Form::Text))]
    fn forms_are_negotiated(#[case] accept: &str, #[case] expected: Option<Form>) {
        let headers = [("accept".to_owned(), accept.to_owned())];
        let request = Request::get("/simple/", "").headers(&headers);
        assert_eq!(Form::of(&request).ok(), expected);
    }

    #[test]
    fn the_query_overrides_what_is_accepted() {
        let headers = [("accept".to_owned(), JSON.to_owned())];
        let request = Request::get("/simple/", "").headers(&headers);
        assert_eq!(Form::of(&request.query("format=text/html")), Ok(Form::Text));
        assert!(matches!(Form::of(&request.query("format=x")), Err(Refusal::NotAcceptable(_))));
    }
}
