use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::Value;

use crate::Response;

/// An answer whose body is still on its way: what is not read stays with the server.
#[derive(Debug)]
pub struct Answer {
    /// Status and headers; its body is empty.
    pub head: Response,
    stream: BufReader<TcpStream>,
    framing: Framing,
}

#[derive(Debug)]
enum Framing {
    /// So many bytes are left.
    Sized(u64),
    /// So many bytes of this chunk are left.
    Chunked(u64),
    AtEnd,
}

impl Answer {
    /// Writes a whole request and reads the head of its answer.
    pub fn to(request: &[u8], server: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect(server)?;
        stream.write_all(request)?;
        Self::read(stream)
    }

    /// Reads the head of the answer to what was written.
    pub fn read(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut stream = BufReader::new(stream);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if (&mut stream).take(10_000).read_until(b'\n', &mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let head = Response::head(&head[..head.len() - 4]);
        let length = head.header("content-length").map(|text| text.parse().unwrap());
        let framing = match length {
            Some(length) => Framing::Sized(length),
            None if head.header("transfer-encoding") == Some("chunked") => Framing::Chunked(0),
            None => Framing::AtEnd,
        };
        Ok(Self { head, stream, framing })
    }

    /// Itself, if the status is this one; else panics with the text of the error.
    #[must_use]
    pub fn expect(mut self, status: u16) -> Self {
        if self.head.status != status {
            let mut text = Vec::new();
            io::copy(&mut (&mut self).take(1_000), &mut text).unwrap();
            let text = String::from_utf8_lossy(&text);
            panic!("{} instead of {status}: {text}", self.head.status);
        }
        self
    }

    /// Reads the rest of an answer with a length; gives the connection for another request.
    pub fn finish(mut self) -> io::Result<TcpStream> {
        io::copy(&mut self, &mut io::sink())?;
        assert!(self.stream.buffer().is_empty(), "more came than was announced");
        Ok(self.stream.into_inner())
    }

    /// Calls `visit` for each entry of a JSON array as it comes in, whose first bytes `read` were
    /// read before; gives how many there were.
    pub fn each_row(self, read: &[u8], visit: impl FnMut(&Value)) -> usize {
        struct Rows<V>(V);
        impl<'de, V: FnMut(&Value)> Visitor<'de> for Rows<V> {
            type Value = usize;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a list")
            }
            fn visit_seq<S: SeqAccess<'de>>(mut self, mut rows: S) -> Result<usize, S::Error> {
                let mut count = 0;
                while let Some(row) = rows.next_element()? {
                    (self.0)(&row);
                    count += 1;
                }
                Ok(count)
            }
        }
        let mut json = serde_json::Deserializer::from_reader(read.chain(BufReader::new(self)));
        let count = json.deserialize_seq(Rows(visit)).unwrap();
        json.end().unwrap();
        count
    }

    /// The length of the next chunk; none after the last.
    fn next_chunk(&mut self) -> io::Result<Framing> {
        let mut line = String::new();
        while line.trim().is_empty() {
            // The end of the last chunk is a line of its own.
            line.clear();
            if (&mut self.stream).take(100).read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        match u64::from_str_radix(line.trim(), 16) {
            Ok(0) => Ok(Framing::AtEnd),
            Ok(length) => Ok(Framing::Chunked(length)),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

impl Read for Answer {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Framing::Chunked(0) = self.framing {
            self.framing = self.next_chunk()?;
        }
        let (Framing::Sized(left) | Framing::Chunked(left)) = &mut self.framing else {
            return Ok(0);
        };
        let read = (&mut self.stream).take(*left).read(into)?;
        if read == 0 && *left > 0 && !into.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *left -= u64::try_from(read).unwrap();
        Ok(read)
    }
}
