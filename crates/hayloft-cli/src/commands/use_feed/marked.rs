//! Lines of ours in a file of others, between marks by which they are found again.

use std::fmt::Write;

use hayloft::feed_type::native::{Anchor, ClientChange, CommentStyle};

/// Writes the change into the text of its file, in place of an earlier one for the same feed; `None`
/// if the file has no place for it.
pub(super) fn apply(text: &str, change: &ClientChange, feed: &str) -> Option<String> {
    let marks = Marks { style: change.comment, feed };
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            if change.replaces.iter().any(|name| says(line, name)) {
                marks.comment(&format!("was {line}"))
            } else {
                line.to_owned()
            }
        })
        .collect();
    let (at, place) = change.places.iter().find_map(|place| {
        let at = match place.anchor {
            Anchor::Start => Some(0),
            Anchor::End => Some(lines.len()),
            Anchor::Empty => text.trim().is_empty().then_some(lines.len()),
            Anchor::After(wanted) => {
                lines.iter().position(|line| line.trim() == wanted).map(|at| at + 1)
            }
        };
        Some((at?, place))
    })?;
    let (head, tail) = lines.split_at(at);
    let mut out = String::new();
    let mut put = |lines: &[String]| lines.iter().for_each(|line| out = format!("{out}{line}\n"));
    put(head);
    let block = format!(
        "{}{}\n{}{}\n{}",
        place.before,
        marks.comment("begin"),
        change.lines,
        marks.comment("end"),
        place.after
    );
    put(&block.lines().map(str::to_owned).collect::<Vec<_>>());
    put(tail);
    Some(out)
}

/// Takes all changes for a feed out again, or without a feed those for any, and puts back what they
/// replaced.
pub(super) fn undo(text: &str, style: CommentStyle, feed: Option<&str>) -> String {
    let mut out = String::new();
    let mut inside = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let found = mark(line, style).filter(|(of, _)| feed.is_none_or(|feed| *of == feed));
        match (&inside, found) {
            // A block that somebody cut the end off is theirs now.
            (None, Some((of, "begin"))) if lines.clone().any(|line| ends(line, style, of)) => {
                inside = Some(of.to_owned());
            }
            (Some(begun), Some((of, "end"))) if begun == of => inside = None,
            (None, Some((_, what))) if what.starts_with("was ") => {
                // A text takes all that is written into it.
                let _ = writeln!(out, "{}", what.get(4..).unwrap_or_default());
            }
            (None, _) => {
                let _ = writeln!(out, "{line}");
            }
            (Some(_), _) => {}
        }
    }
    out
}

struct Marks<'a> {
    style: CommentStyle,
    feed: &'a str,
}

impl Marks<'_> {
    fn comment(&self, text: &str) -> String {
        let feed = self.feed;
        match self.style {
            CommentStyle::Hash => format!("# hayloft use {feed}: {text}"),
            CommentStyle::Xml => format!("<!-- hayloft use {feed}: {text} -->"),
        }
    }
}

/// The feed and the text of one of our comments.
fn mark(line: &str, style: CommentStyle) -> Option<(&str, &str)> {
    let text = match style {
        CommentStyle::Hash => line.trim().strip_prefix("# "),
        CommentStyle::Xml => {
            line.trim().strip_prefix("<!-- ").and_then(|text| text.strip_suffix(" -->"))
        }
    };
    text?.strip_prefix("hayloft use ")?.split_once(": ")
}

fn ends(line: &str, style: CommentStyle, feed: &str) -> bool {
    mark(line, style) == Some((feed, "end"))
}

/// Whether a line gives a value to this name.
fn says(line: &str, name: &str) -> bool {
    let rest = line.trim_start().strip_prefix(name);
    rest.is_some_and(|rest| rest.trim_start().starts_with(['=', ':']))
}

#[cfg(test)]
mod tests {
    use hayloft::feed_type::native::{ClientBase, ClientPlace};
    use rstest::rstest;

    use super::*;

    fn change() -> ClientChange {
        ClientChange {
            variable: None,
            base: ClientBase::Home,
            path: "x".to_owned(),
            comment: CommentStyle::Hash,
            lines: "url = new\n".to_owned(),
            document: None,
            secret: false,
            places: vec![
                ClientPlace::plain(Anchor::After("[a]")),
                ClientPlace { anchor: Anchor::End, before: "[a]\n", after: "" },
            ],
            replaces: vec!["url".to_owned()],
        }
    }

    #[rstest]
    #[case::empty("", "[a]\n# hayloft use f: begin\nurl = new\n# hayloft use f: end\n", "[a]\n")]
    #[case::section(
        "[b]\nx=1\n[a]\nurl: old\nurlish = 2",
        "[b]\nx=1\n[a]\n# hayloft use f: begin\nurl = new\n# hayloft use f: end\n\
         # hayloft use f: was url: old\nurlish = 2\n",
        "[b]\nx=1\n[a]\nurl: old\nurlish = 2\n"
    )]
    fn lines_come_and_go(#[case] text: &str, #[case] with: &str, #[case] without: &str) {
        let applied = apply(text, &change(), "f").unwrap();
        assert_eq!(applied, with);
        assert_eq!(undo(&applied, CommentStyle::Hash, Some("other")), with);
        for feed in [Some("f"), None] {
            assert_eq!(undo(&applied, CommentStyle::Hash, feed), without);
        }
    }

    #[test]
    fn a_block_without_its_end_stays() {
        let text = "# hayloft use f: begin\nurl = new\nmine = 1\n";
        assert_eq!(undo(text, CommentStyle::Hash, None), text);
    }

    #[test]
    fn a_file_without_the_place_is_left_alone() {
        let mut change = change();
        change.comment = CommentStyle::Xml;
        change.places =
            vec![ClientPlace::plain(Anchor::After("<a>")), ClientPlace::plain(Anchor::Empty)];
        assert!(apply("<b/>\n", &change, "f").is_none());
        let applied = apply("\n", &change, "f").unwrap();
        assert_eq!(
            applied,
            "\n<!-- hayloft use f: begin -->\nurl = new\n<!-- hayloft use f: end -->\n"
        );
    }
}
