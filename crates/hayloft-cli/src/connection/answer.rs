use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::failure::Failure;

/// Bytes of one JSON value, or of one element of a list. In memory it may take sixteen times as
/// much: an array of small numbers.
const LARGEST_VALUE: u64 = 4 << 20;
/// Bytes of an error's text.
const LARGEST_ERROR: u64 = 16 << 10;

/// What came back.
pub(crate) struct Answer {
    pub(crate) from: Origin,
    pub(crate) status: u16,
    /// The header `Content-Disposition`.
    pub(crate) disposition: Option<String>,
    /// The text of the header `Warning`.
    pub(crate) warning: Option<String>,
    /// The header `Date`.
    pub(crate) date: Option<String>,
    /// A server of this API answered, not something in front of it.
    pub(crate) is_of_this_api: bool,
    /// Bytes of the body, if the answer says so.
    pub(crate) length: Option<u64>,
    pub(crate) body: Box<dyn Read + Send>,
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Server,
    Store,
}

/// The text in `299 - "text"`.
pub(super) fn warning(header: &str) -> Option<String> {
    let (_, text) = header.split_once('"')?;
    Some(text.strip_suffix('"')?.to_owned())
}

impl Answer {
    /// Itself, if its status says success.
    pub(crate) fn success(mut self) -> Result<Self, Failure> {
        let status = self.status;
        if (200..300).contains(&status) {
            return Ok(self);
        }
        let mut body = Vec::new();
        // What is said about the failure matters less than the failure.
        let _ = io::copy(&mut (&mut self.body).take(LARGEST_ERROR), &mut body);
        let body = String::from_utf8_lossy(&body).trim().to_owned();
        Err(match self.from {
            Origin::Server => Failure::Server { status, body },
            Origin::Store => Failure::Store { status, body },
        })
    }

    /// The text of one JSON value.
    pub(crate) fn text(self) -> Result<String, Failure> {
        let mut bytes = Vec::new();
        let mut body = self.body.take(LARGEST_VALUE + 1);
        io::copy(&mut body, &mut bytes).map_err(Failure::io("read the answer"))?;
        if bytes.len() as u64 > LARGEST_VALUE {
            let text = format!("the answer is too large: it has more than {LARGEST_VALUE} bytes");
            return Err(Failure::text(text));
        }
        String::from_utf8(bytes).map_err(|_| Failure::text("the answer is not UTF-8"))
    }

    /// One JSON value.
    pub(crate) fn json<T: DeserializeOwned>(self) -> Result<T, Failure> {
        parse(&self.text()?)
    }

    /// Hands each element of a JSON array to `take` as it arrives; memory is that of one element,
    /// which has a limit.
    pub(crate) fn each(
        self,
        take: &mut dyn FnMut(&RawValue) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.each_up_to(LARGEST_VALUE, take)
    }

    /// The same where elements may have this many bytes, of which the caller keeps little.
    pub(crate) fn each_up_to(
        self,
        limit: u64,
        take: &mut dyn FnMut(&RawValue) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut stopped = None;
        let left = Cell::new(limit);
        let body = io::BufReader::with_capacity(64 << 10, self.body);
        let reader = Metered { body, limit, left: &left };
        let mut deserializer = serde_json::Deserializer::from_reader(reader);
        let elements = Elements { take, stopped: &mut stopped, limit, left: &left };
        let outcome = deserializer.deserialize_seq(elements).and_then(|()| deserializer.end());
        match (stopped, outcome) {
            (Some(failure), _) => Err(failure),
            (None, Err(error)) => Err(unreadable(error)),
            (None, Ok(())) => Ok(()),
        }
    }
}

/// Reads one JSON value out of what a server said.
pub(crate) fn parse<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Failure {
    Failure::Other(anyhow::Error::new(error).context("the answer cannot be read"))
}

/// Bytes that may still be read until the present element ends.
struct Metered<'a, R> {
    body: R,
    limit: u64,
    left: &'a Cell<u64>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.body.read(out)?;
        let limit = self.limit;
        let left = self.left.get().checked_sub(read as u64).ok_or_else(|| {
            io::Error::other(format!("one element is too large: it has more than {limit} bytes"))
        })?;
        self.left.set(left);
        Ok(read)
    }
}

struct Elements<'a> {
    take: &'a mut dyn FnMut(&RawValue) -> Result<(), Failure>,
    stopped: &'a mut Option<Failure>,
    limit: u64,
    left: &'a Cell<u64>,
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<Box<RawValue>>()? {
            if let Err(failure) = (self.take)(&element) {
                *self.stopped = Some(failure);
                return Err(de::Error::custom("stopped"));
            }
            self.left.set(self.limit);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer {
            from: Origin::Server,
            status,
            disposition: None,
            warning: None,
            date: None,
            is_of_this_api: true,
            length: None,
            body: Box::new(body.as_bytes()),
        }
    }

    #[test]
    fn elements_arrive_one_by_one_as_written() {
        let mut seen = Vec::new();
        let taken = answer(200, r#"[{"b": 1,"a":2}, 3 ,"x"]"#).each(&mut |element| {
            seen.push(element.get().to_owned());
            Ok(())
        });
        taken.unwrap();
        assert_eq!(seen, [r#"{"b": 1,"a":2}"#, "3", "\"x\""]);
    }

    #[rstest]
    #[case::object("{}", "the answer cannot be read: invalid type: map, expected an array")]
    #[case::cut("[1", "the answer cannot be read: EOF while parsing a list")]
    #[case::more("[1] x", "the answer cannot be read: trailing characters")]
    #[case::nothing("", "the answer cannot be read: EOF while parsing a value")]
    fn other_than_an_array_is_an_error(#[case] body: &'static str, #[case] expected: &str) {
        let failure = answer(200, body).each(&mut |_| Ok(())).unwrap_err();
        assert!(failure.to_string().starts_with(expected), "{failure}");
    }

    #[test]
    fn a_failure_in_between_ends_the_list() {
        let mut seen = 0;
        let failure = answer(200, "[1,2,3]").each(&mut |_| {
            seen += 1;
            if seen == 2 { Err(Failure::Closed) } else { Ok(()) }
        });
        assert!(matches!(failure, Err(Failure::Closed)));
        assert_eq!(seen, 2);
    }

    #[test]
    fn errors_are_told_as_the_original_does() {
        let Err(failure) = answer(404, "Feed x not found.\n").success() else { panic!() };
        assert_eq!(failure.to_string(), "Server responded with NotFound (404): Feed x not found.");
    }
}
