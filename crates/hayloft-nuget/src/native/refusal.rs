use hayloft_feed::native::{Refusal, Reply};

/// Longest reason phrase, in bytes.
const LONGEST: usize = 512;

/// NuGet clients show the status and its reason phrase, and no body.
pub(crate) fn reply(refusal: &Refusal) -> Reply {
    let text = refusal.text();
    Reply::plain(refusal).reason(one_line(&text))
}

/// As much of a text as fits into a line of HTTP's own, in ASCII.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    for letter in text.chars() {
        if line.len() >= LONGEST {
            break;
        }
        line.push(match letter {
            ' '..='~' => letter,
            letter if letter.is_whitespace() => ' ',
            _ => '?',
        });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_one_line_of_ascii() {
        assert_eq!(one_line("a\r\nb \u{e4} c"), "a  b ? c");
        assert_eq!(one_line(&"x".repeat(1000)).len(), LONGEST);
        let reply = reply(&Refusal::UnknownKey);
        assert_eq!((reply.status, reply.reason.is_some()), (403, true));
    }
}
