use std::fmt::{self, Display, Write};

/// A text that strangers may have had a hand in, on its way to a terminal: what would control that
/// is shown as its number.
pub(super) struct Tame<T> {
    pub(super) text: T,
    pub(super) lines: Lines,
}

/// Whether a text may part lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    One,
    Many,
}

impl<T: Display> Display for Tame<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Filter { out, lines: self.lines, escape: shown }, "{}", self.text)
    }
}

/// JSON text, whose strings may hold anything: what would control a terminal is written as its
/// escape.
pub(super) struct TameJson<'t>(pub(super) &'t str);

impl Display for TameJson<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Filter { out, lines: Lines::Many, escape: json }.write_str(self.0)
    }
}

struct Filter<'a, 'f> {
    out: &'a mut fmt::Formatter<'f>,
    lines: Lines,
    escape: fn(&mut fmt::Formatter<'_>, char) -> fmt::Result,
}

impl Write for Filter<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let lines = self.lines;
        for part in text.split_inclusive(|each| controls(each, lines)) {
            match part.char_indices().next_back() {
                Some((at, last)) if controls(last, lines) => {
                    self.out.write_str(part.get(..at).unwrap_or_default())?;
                    (self.escape)(self.out, last)?;
                }
                _ => self.out.write_str(part)?,
            }
        }
        Ok(())
    }
}

/// Whether a terminal obeys the character in place of showing it: control characters of both sets,
/// and those that turn the direction of what stands around them.
fn controls(each: char, lines: Lines) -> bool {
    match each {
        '\t' => false,
        '\n' => lines == Lines::One,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            true
        }
        _ => each.is_control(),
    }
}

fn shown(out: &mut fmt::Formatter<'_>, each: char) -> fmt::Result {
    match each {
        '\n' | '\r' => write!(out, "{}", each.escape_default()),
        _ => write!(out, "{}", each.escape_unicode()),
    }
}

/// All of these lie in the first plane. A carriage return between values is white space.
fn json(out: &mut fmt::Formatter<'_>, each: char) -> fmt::Result {
    match each {
        '\r' => out.write_char(' '),
        _ => write!(out, "\\u{:04x}", u32::from(each)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("a b\tc ä 日", "a b\tc ä 日")]
    #[case::escape("\u{1b}[31m", "\\u{1b}[31m")]
    #[case::other_set("\u{9b}31m", "\\u{9b}31m")]
    #[case::back("a\u{8}\u{7f}", "a\\u{8}\\u{7f}")]
    #[case::overwrite("safe\rfalse", "safe\\rfalse")]
    #[case::lines("a\nb", "a\\nb")]
    #[case::reversed("\u{202e}cba", "\\u{202e}cba")]
    fn texts_are_tamed(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(Tame { text, lines: Lines::One }.to_string(), expected);
    }

    #[test]
    fn lines_stay_where_they_are_allowed() {
        assert_eq!(Tame { text: "a\nb\r", lines: Lines::Many }.to_string(), "a\nb\\r");
    }

    #[test]
    fn json_keeps_its_value() {
        let text = "{\r\n \"a\": \"\u{9b}\u{7f}\u{202e}\" }";
        let tamed = TameJson(text).to_string();
        assert_eq!(tamed, "{ \n \"a\": \"\\u009b\\u007f\\u202e\" }");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&tamed), value(text));
    }
}
