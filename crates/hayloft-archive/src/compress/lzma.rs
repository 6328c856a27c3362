use std::io::{self, BufRead, Read};

use lzma_rust2::LzmaReader;

use super::gzip::{only_zeros, trailing_data};

/// Reads one stream of the format before xz, behind which nothing but zeros may be.
pub(crate) struct SingleLzmaReader<R>(State<R>);

enum State<R> {
    Start { input: R, kibibytes: u32 },
    Inside(Box<LzmaReader<R>>),
    Ended,
}

impl<R: BufRead> SingleLzmaReader<R> {
    pub(crate) fn new(input: R, kibibytes: u32) -> Self {
        Self(State::Start { input, kibibytes })
    }
}

impl<R: BufRead> Read for SingleLzmaReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let mut reader = match std::mem::replace(&mut self.0, State::Ended) {
            State::Ended => return Ok(0),
            State::Inside(reader) => reader,
            State::Start { input, kibibytes } => {
                let mut reader = LzmaReader::new_mem_limit(input, kibibytes, None)?;
                // Also of a stream whose length is known the end has to be there.
                reader.set_relaxed_end_condition(false);
                Box::new(reader)
            }
        };
        let read = reader.read(into)?;
        if read > 0 {
            self.0 = State::Inside(reader);
            return Ok(read);
        }
        let (mut input, ahead) = reader.into_parts();
        if ahead.iter().any(|byte| *byte != 0) {
            return Err(trailing_data());
        }
        only_zeros(&mut input)?;
        Ok(0)
    }
}
