use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

use super::Trailing;

/// Reads concatenated gzip members as one stream.
pub(crate) struct GzipReader<R> {
    state: State<R>,
    trailing: Trailing,
    /// Whether a member has been read to its end.
    past_first: bool,
}

enum State<R> {
    /// At the start of a member, or at what follows the last one.
    Between(R),
    Within(Box<GzDecoder<R>>),
    Done,
}

impl<R: BufRead> GzipReader<R> {
    pub(crate) fn new(input: R, trailing: Trailing) -> Self {
        Self { state: State::Between(input), trailing, past_first: false }
    }

    /// Looks at the next byte of the file and enters the member that begins there, if one does.
    fn enter(&self, mut input: R) -> io::Result<State<R>> {
        if self.past_first {
            match (input.fill_buf()?.first(), self.trailing) {
                (Some(0), Trailing::Zeros | Trailing::OneMember) => {
                    only_zeros(&mut input)?;
                    return Ok(State::Done);
                }
                (Some(0x1f), Trailing::OneMember) => {
                    let fault = "a second gzip member follows, which some readers do not read";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
                }
                (Some(0x1f), _) => {}
                (None, _) | (Some(_), Trailing::Anything) => return Ok(State::Done),
                (Some(_), _) => return Err(trailing_data()),
            }
        }
        Ok(State::Within(Box::new(GzDecoder::new(input))))
    }
}

impl<R: BufRead> Read for GzipReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, State::Done) {
                State::Done => return Ok(0),
                State::Between(input) => self.state = self.enter(input)?,
                State::Within(mut member) => match member.read(into) {
                    Ok(0) => {
                        self.past_first = true;
                        self.state = State::Between(member.into_inner());
                    }
                    Ok(read) => {
                        self.state = State::Within(member);
                        return Ok(read);
                    }
                    // What only looked like a member: its header does not parse.
                    Err(_)
                        if self.past_first
                            && self.trailing == Trailing::Anything
                            && member.header().is_none() =>
                    {
                        return Ok(0);
                    }
                    Err(error) => return Err(error),
                },
            }
        }
    }
}

/// Reads to the end of the file, which must be zeros.
pub(crate) fn only_zeros(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(trailing_data());
        }
        let length = bytes.len();
        input.consume(length);
    }
}

pub(crate) fn trailing_data() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "other data follows the compressed data")
}
