use hayloft_feed::{Limits, json};
use roxmltree::Node;

use crate::XmlError;
use crate::package::HISTORY;
use crate::xml::{self, XmlText};

/// Entry that gives every part of a package a content type.
pub(crate) const CONTENT_TYPES: &str = "[Content_Types].xml";

/// The list of content types with one for JSON; `None` if the history has a type already.
///
/// Clients before version 3 do not see parts whose extension has no content type.
pub(crate) fn with_json(text: &XmlText, limits: &Limits) -> Result<Option<String>, XmlError> {
    let document = text.parse(limits)?;
    let root = document.root_element();
    let children = || root.children().filter(Node::is_element);
    let covered = children().any(|child| match child.tag_name().name() {
        "Default" => is(child.attribute("Extension"), "json"),
        "Override" => {
            is(child.attribute("PartName").map(|name| name.trim_start_matches('/')), HISTORY)
        }
        _ => false,
    });
    if covered {
        return Ok(None);
    }
    let text = text.text();
    let of = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    let tag = of(root.range()).trim_start_matches('<');
    let tag = tag.split(|letter: char| letter.is_whitespace() || "/>".contains(letter));
    let tag = tag.into_iter().next().unwrap_or_default();
    let prefix = tag.strip_suffix(root.tag_name().name()).unwrap_or_default();
    let element =
        format!("<{prefix}Default Extension=\"json\" ContentType=\"application/octet\" />");
    let Some(content) = xml::content_span(text, root) else {
        let whole = of(root.range());
        let open = whole.trim_end_matches("/>").trim_end();
        let changed = format!("{open}>{element}</{tag}>");
        return Ok(Some(json::replaced(text, &root.range(), &changed)));
    };
    let last = children().rfind(|child| child.tag_name().name() == "Default");
    let (at, lead) = match last {
        Some(last) => {
            let before = of(content.start..last.range().start);
            (last.range().end, before.get(before.trim_end().len()..).unwrap_or_default())
        }
        None => (content.start, ""),
    };
    Ok(Some(json::replaced(text, &(at..at), &format!("{lead}{element}"))))
}

fn is(value: Option<&str>, expected: &str) -> bool {
    value.is_some_and(|value| value.eq_ignore_ascii_case(expected))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const JSON: &str = "<Default Extension=\"json\" ContentType=\"application/octet\" />";

    fn changed(text: &str) -> Option<String> {
        with_json(&XmlText::decode(text.as_bytes()).unwrap(), &Limits::default()).unwrap()
    }

    #[rstest]
    #[case::one_line(
        "<Types><Default Extension='dll'/><Override PartName='/a'/></Types>",
        format!("<Types><Default Extension='dll'/>{JSON}<Override PartName='/a'/></Types>")
    )]
    #[case::lines(
        "<?xml version=\"1.0\"?>\r\n<Types>\r\n  <Default Extension='a' />\r\n</Types>",
        format!("<?xml version=\"1.0\"?>\r\n<Types>\r\n  <Default Extension='a' />\r\n  {JSON}\r\n</Types>")
    )]
    #[case::no_default("<Types><Override PartName='/a'/></Types>",
        format!("<Types>{JSON}<Override PartName='/a'/></Types>"))]
    #[case::empty("<Types a='/>' />", format!("<Types a='/>'>{JSON}</Types>"))]
    #[case::prefixed(
        "<t:Types xmlns:t='u'><t:Default Extension='a'></t:Default></t:Types>",
        "<t:Types xmlns:t='u'><t:Default Extension='a'></t:Default>\
         <t:Default Extension=\"json\" ContentType=\"application/octet\" /></t:Types>".to_owned()
    )]
    fn json_gets_a_content_type_in_the_style_of_the_list(
        #[case] text: &str,
        #[case] expected: String,
    ) {
        assert_eq!(changed(text).unwrap(), expected);
        assert_eq!(changed(&expected), None);
    }

    #[rstest]
    #[case::default_of_other_case("<Types><Default Extension='JSON'/></Types>")]
    #[case::single_part("<Types><Override PartName='/.progetRepackageHistory.json'/></Types>")]
    fn a_list_that_covers_the_history_stays(#[case] text: &str) {
        assert_eq!(changed(text), None);
    }
}
