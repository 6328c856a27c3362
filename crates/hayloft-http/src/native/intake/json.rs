use data_encoding::BASE64;
use hayloft::feed_type::native::JsonFile;

use super::{Found, KEPT, Parser};

/// Deepest nesting.
const DEPTH: usize = 128;
/// Longest name of a member on the way to what is wanted.
const LONGEST_NAME: usize = 16 << 10;

/// Takes a JSON object apart as it comes: keeps the members that are wanted as raw text, decodes
/// one base64 text as the file, and skips everything else unread.
///
/// What is skipped is not checked beyond its nesting; what is kept is checked by who reads it.
pub(super) struct JsonParser {
    wanted: Vec<Vec<&'static str>>,
    file: Option<(Vec<&'static str>, &'static str)>,
    /// Names that lead to the object that is being read.
    path: Vec<String>,
    state: State,
    /// Characters of base64 that wait for the rest of their four.
    base64: Vec<u8>,
    padded: bool,
}

enum State {
    /// Before a value.
    Value,
    /// Behind the brace of an object: a name or its end.
    First,
    /// Behind a comma: a name.
    Next,
    Name(Vec<u8>, Escape),
    Colon,
    /// Behind a value.
    Behind,
    Skipping(Shape),
    Keeping(Shape, Vec<u8>),
    File(Escape),
    Ended,
}

/// How far a value has come.
#[derive(Default)]
struct Shape {
    depth: usize,
    text: bool,
    escaped: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    No,
    Begun,
    /// Digits of `\u` so far, and their value.
    Digits(u8, u32),
}

/// What a byte did to a value.
#[derive(PartialEq, Eq)]
enum Step {
    Inside,
    /// The byte was the last one.
    Ended,
    /// The value, a number or word, ended before the byte.
    EndedBefore,
}

impl Shape {
    fn step(&mut self, byte: u8, begun: bool) -> Result<Step, String> {
        if self.text {
            if self.escaped {
                self.escaped = false;
            } else if byte == b'\\' {
                self.escaped = true;
            } else if byte == b'"' {
                self.text = false;
                return Ok(if self.depth == 0 { Step::Ended } else { Step::Inside });
            }
            return Ok(Step::Inside);
        }
        match byte {
            b'"' => self.text = true,
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth > DEPTH {
                    return Err("the JSON body is nested too deeply".to_owned());
                }
            }
            b'}' | b']' if self.depth > 0 => {
                self.depth -= 1;
                if self.depth == 0 {
                    return Ok(Step::Ended);
                }
            }
            b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 && begun => {
                return Ok(Step::EndedBefore);
            }
            _ => {}
        }
        Ok(Step::Inside)
    }
}

fn path_of(text: &'static str) -> Vec<&'static str> {
    if text.is_empty() { Vec::new() } else { text.split('.').collect() }
}

fn fits(pattern: &[&str], path: &[String]) -> bool {
    pattern.len() == path.len() && leads(pattern, path)
}

/// True if the path is the beginning of what the pattern names.
fn leads(pattern: &[&str], path: &[String]) -> bool {
    pattern.len() >= path.len()
        && pattern.iter().zip(path).all(|(wanted, name)| *wanted == "*" || *wanted == name)
}

impl JsonParser {
    pub(super) fn new(wanted: &[&'static str], file: Option<JsonFile>) -> Self {
        Self {
            wanted: wanted.iter().map(|text| path_of(text)).collect(),
            file: file.map(|file| (path_of(file.path), file.suffix)),
            path: Vec::new(),
            state: State::Value,
            base64: Vec::new(),
            padded: false,
        }
    }

    /// Decides what becomes of the value that begins with this byte.
    fn value(&mut self, byte: u8, found: &mut Found) -> Result<(), String> {
        if self.wanted.iter().any(|pattern| fits(pattern, &self.path)) {
            self.state = State::Keeping(Shape::default(), Vec::new());
            return self.inside(byte, false, found);
        }
        if let Some((pattern, suffix)) = &self.file
            && byte == b'"'
            && !found.begun
            && fits(pattern, &self.path)
        {
            let star = pattern.iter().position(|part| *part == "*");
            let name = star.and_then(|at| self.path.get(at)).cloned().unwrap_or_default();
            if name.ends_with(suffix) {
                found.begun = true;
                found.file_name = Some(name);
                self.state = State::File(Escape::No);
                return Ok(());
            }
        }
        let on_the_way = self.wanted.iter().any(|pattern| leads(pattern, &self.path))
            || self.file.as_ref().is_some_and(|(pattern, _)| leads(pattern, &self.path));
        if byte == b'{' && on_the_way {
            self.state = State::First;
            return Ok(());
        }
        self.state = State::Skipping(Shape::default());
        self.inside(byte, false, found)
    }

    /// A byte of a value that is kept or skipped.
    fn inside(&mut self, byte: u8, begun: bool, found: &mut Found) -> Result<(), String> {
        let step = match &mut self.state {
            State::Skipping(shape) => shape.step(byte, begun)?,
            State::Keeping(shape, kept) => {
                let step = shape.step(byte, begun)?;
                if step != Step::EndedBefore {
                    kept.push(byte);
                }
                if kept.len() > KEPT {
                    return Err(format!("the fields of the body have more than {KEPT} bytes"));
                }
                step
            }
            _ => return Ok(()),
        };
        if step == Step::Inside {
            return Ok(());
        }
        if let State::Keeping(_, kept) = std::mem::replace(&mut self.state, State::Behind) {
            let text = String::from_utf8(kept).map_err(|_| "the body is not UTF-8 text")?;
            found.field(self.path.clone(), text)?;
        }
        self.left();
        if step == Step::EndedBefore { self.step(byte, found) } else { Ok(()) }
    }

    /// A value has ended.
    fn left(&mut self) {
        self.state = if self.path.pop().is_some() { State::Behind } else { State::Ended };
    }

    fn step(&mut self, byte: u8, found: &mut Found) -> Result<(), String> {
        let blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let unexpected =
            || format!("`{}` is not expected there in the JSON body", byte.escape_ascii());
        match &mut self.state {
            State::Skipping(_) | State::Keeping(..) => return self.inside(byte, true, found),
            State::File(escape) => {
                let escape = *escape;
                return self.file_byte(byte, escape, found);
            }
            State::Name(name, escape) => {
                if *escape == Escape::No && byte == b'"' {
                    name.push(byte);
                    let text = serde_json::from_slice::<String>(name);
                    let text = text.map_err(|_| "a name in the JSON body is malformed")?;
                    if self.path.len() >= DEPTH {
                        return Err("the JSON body is nested too deeply".to_owned());
                    }
                    self.path.push(text);
                    self.state = State::Colon;
                    return Ok(());
                }
                *escape = match (*escape, byte) {
                    (Escape::No, b'\\') => Escape::Begun,
                    _ => Escape::No,
                };
                name.push(byte);
                if name.len() > LONGEST_NAME {
                    return Err("a name in the JSON body is too long".to_owned());
                }
            }
            _ if blank => {}
            State::Value => return self.value(byte, found),
            State::First | State::Next if byte == b'"' => {
                self.state = State::Name(vec![byte], Escape::No);
            }
            State::Colon if byte == b':' => self.state = State::Value,
            State::Behind if byte == b',' => self.state = State::Next,
            State::First | State::Behind if byte == b'}' => self.left(),
            _ => return Err(unexpected()),
        }
        Ok(())
    }

    /// A byte of the text that is the file, between its quotes.
    fn file_byte(&mut self, byte: u8, escape: Escape, found: &mut Found) -> Result<(), String> {
        let malformed = || "the file in the JSON body is not base64".to_owned();
        let next = match (escape, byte) {
            (Escape::No, b'"') => {
                if !self.base64.is_empty() {
                    return Err(malformed());
                }
                self.left();
                return Ok(());
            }
            (Escape::No, b'\\') => Escape::Begun,
            (Escape::No, byte) => {
                self.decode(&[byte], found)?;
                Escape::No
            }
            (Escape::Begun, b'/') => {
                self.decode(b"/", found)?;
                Escape::No
            }
            (Escape::Begun, b'u') => Escape::Digits(0, 0),
            (Escape::Begun, _) => return Err(malformed()),
            (Escape::Digits(count, value), digit) => {
                let digit = char::from(digit).to_digit(16).ok_or_else(malformed)?;
                let value = value * 16 + digit;
                if count < 3 {
                    Escape::Digits(count + 1, value)
                } else {
                    self.decode(&[u8::try_from(value).map_err(|_| malformed())?], found)?;
                    Escape::No
                }
            }
        };
        self.state = State::File(next);
        Ok(())
    }

    fn decode(&mut self, bytes: &[u8], found: &mut Found) -> Result<(), String> {
        let malformed = || "the file in the JSON body is not base64".to_owned();
        self.base64.extend_from_slice(bytes);
        let whole = self.base64.len() / 4 * 4;
        if whole == 0 {
            return Ok(());
        }
        let rest = self.base64.split_off(whole);
        let four = std::mem::replace(&mut self.base64, rest);
        if self.padded {
            return Err(malformed());
        }
        // Padding ends the text: in between it would begin another one.
        let (body, last) = four.split_at_checked(four.len() - 4).ok_or_else(malformed)?;
        if body.contains(&b'=') {
            return Err(malformed());
        }
        self.padded = last.contains(&b'=');
        found.file.extend(BASE64.decode(&four).map_err(|_| malformed())?);
        Ok(())
    }
}

impl Parser for JsonParser {
    fn kept(&self) -> usize {
        match &self.state {
            State::Keeping(_, kept) => kept.len(),
            _ => 0,
        }
    }

    fn push(&mut self, bytes: &[u8], found: &mut Found) -> Result<(), String> {
        let mut rest = bytes;
        while let Some((byte, after)) = rest.split_first() {
            // Nearly all of a large body is the file: it is taken in runs.
            if let State::File(Escape::No) = self.state {
                let run = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
                let (run, after) =
                    rest.split_at_checked(run.unwrap_or(rest.len())).unwrap_or((rest, &[]));
                if !run.is_empty() {
                    self.decode(run, found)?;
                    rest = after;
                    continue;
                }
            }
            self.step(*byte, found)?;
            rest = after;
        }
        Ok(())
    }

    fn finish(&mut self, found: &mut Found) -> Result<(), String> {
        // A number or word at the top ends with the body.
        if self.path.is_empty() && matches!(self.state, State::Skipping(_) | State::Keeping(..)) {
            self.inside(b' ', true, found)?;
        }
        match self.state {
            State::Ended => Ok(()),
            _ => Err("the JSON body does not end".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: JsonFile = JsonFile { path: "_attachments.*.data", suffix: ".tgz" };

    fn parsed(text: &str, step: usize, wanted: &[&'static str]) -> Result<Found, String> {
        let mut parser = JsonParser::new(wanted, Some(FILE));
        let mut found = Found::default();
        for piece in text.as_bytes().chunks(step) {
            parser.push(piece, &mut found)?;
        }
        parser.finish(&mut found)?;
        Ok(found)
    }

    fn shown(found: &Found) -> Vec<String> {
        let shown = found.fields.iter().map(|f| format!("{}={}", f.path.join("/"), f.value));
        shown.collect()
    }

    const BODY: &str = r#" {"_id":"a","readme":"{\"x\":[","_attachments":
        {"@a/b.sigstore":{"data":"{}"},"@a/b-1.tgz":{"content_type":"x","data":"aGVsbG8g\/\u002Bo="},
         "later.tgz":{"data":"AAAA"}},
        "versions":{"1.0.0":{"deprecated":"","deep":{"deprecated":1}},"2.0.0":{"deprecated":"no \" }"}},
        "dist-tags" : {"latest":"1.0.0"} , "other":[{"_id":[1,2]},null],"number": -1.5e3,"last":true} "#;

    #[test]
    fn wanted_members_and_the_file_are_found_however_the_body_is_cut() {
        let wanted = ["versions.*.deprecated", "dist-tags", "_id", "number"];
        for step in 1..BODY.len() {
            let found = parsed(BODY, step, &wanted).unwrap();
            let expected = [
                "_id=\"a\"",
                "versions/1.0.0/deprecated=\"\"",
                "versions/2.0.0/deprecated=\"no \\\" }\"",
                "dist-tags={\"latest\":\"1.0.0\"}",
                "number=-1.5e3",
            ];
            assert_eq!(shown(&found), expected, "{step}");
            assert_eq!(found.file, b"hello \xff\xea");
            assert_eq!(found.file_name.as_deref(), Some("@a/b-1.tgz"));
        }
    }

    #[test]
    fn the_whole_body_may_be_wanted_whatever_it_is() {
        for text in ["\"1.0.0\"", "17", "true", "{\"a\":[1,{}]}", "[]"] {
            let found = parsed(&format!(" {text}\n"), 1, &[""]).unwrap();
            assert_eq!(shown(&found), [format!("={text}")]);
            assert!(found.fields[0].path.is_empty());
            assert_eq!(shown(&parsed(text, 9, &[""]).unwrap()), [format!("={text}")]);
        }
    }

    #[test]
    fn what_is_no_such_body_is_refused() {
        for text in [
            "",
            "{",
            "{\"a\"",
            "{\"a\":1",
            "{\"a\":1}}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            r#"{"_attachments":{"x.tgz":{"data":"AAA"}}}"#,
            r#"{"_attachments":{"x.tgz":{"data":"AA==AAAA"}}}"#,
            r#"{"_attachments":{"x.tgz":{"data":"A\nAAA"}}}"#,
            r#"{"_attachments":{"x.tgz":{"data":"AAAA"#,
        ] {
            assert!(parsed(text, 3, &["b.c"]).is_err(), "{text}");
        }
        assert!(parsed(&"[".repeat(10_000), 99, &["a"]).is_err());
        assert!(parsed(&"{\"a\":".repeat(10_000), 99, &["a.a.a"]).is_err());
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(2 << 20));
        assert!(parsed(&large, 4_096, &["a"]).is_err());
        assert!(parsed(&large, 4_096, &["b"]).is_ok());
    }
}
