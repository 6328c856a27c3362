use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// A request as bytes on a socket: nothing is added that is not asked for but `Host`, the body's
/// framing and `Connection: close`.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Body,
}

/// How a body is framed.
#[derive(Debug, Clone)]
pub enum Body {
    /// Neither a body nor a header about one.
    None,
    /// With `Content-Length`.
    Sized(Vec<u8>),
    /// With `Transfer-Encoding: chunked`, in pieces of this many bytes.
    Chunked(Vec<u8>, usize),
}

impl Request {
    /// A request without headers or body; `target` is sent as it is.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Body::None,
        }
    }

    /// GET.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// POST with `Content-Length: 0` and no `Content-Type`, as pgutil sends it.
    pub fn post(target: &str) -> Self {
        Self::new("POST", target).body(Body::Sized(Vec::new()))
    }

    /// PUT of a package: no `Content-Type`.
    pub fn put(target: &str, package: impl Into<Vec<u8>>) -> Self {
        Self::new("PUT", target).body(Body::Sized(package.into()))
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends this key as pgutil does.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("X-ApiKey", key)
    }

    /// This body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// A JSON body as pgutil sends it: chunked, with the charset in the type.
    #[must_use]
    pub fn json(self, text: &str) -> Self {
        self.header("Content-Type", "application/json; charset=utf-8")
            .body(Body::Chunked(text.as_bytes().to_vec(), 16))
    }

    /// A form.
    #[must_use]
    pub fn form(self, text: &str) -> Self {
        self.header("Content-Type", "application/x-www-form-urlencoded")
            .body(Body::Sized(text.as_bytes().to_vec()))
    }

    /// As it goes over the wire.
    pub fn bytes(&self, host: SocketAddr) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        match &self.body {
            Body::None => {}
            Body::Sized(bytes) => write!(head, "Content-Length: {}\r\n", bytes.len()).unwrap(),
            Body::Chunked(..) => head.push_str("Transfer-Encoding: chunked\r\n"),
        }
        head.push_str("Connection: close\r\n\r\n");
        let mut wire = head.into_bytes();
        match &self.body {
            Body::None => {}
            Body::Sized(bytes) => wire.extend_from_slice(bytes),
            Body::Chunked(bytes, size) => {
                for chunk in bytes.chunks(*size) {
                    wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    wire.extend_from_slice(chunk);
                    wire.extend_from_slice(b"\r\n");
                }
                wire.extend_from_slice(b"0\r\n\r\n");
            }
        }
        wire
    }

    /// Sends it to a server that must answer.
    pub fn send(&self, to: SocketAddr) -> Response {
        self.try_send(to).unwrap_or_else(|error| panic!("{} {}: {error}", self.method, self.target))
    }

    /// Sends it to a server that may be gone at any moment.
    pub fn try_send(&self, to: SocketAddr) -> io::Result<Response> {
        converse(to, &self.bytes(to))
    }
}

/// Bytes of the largest answer.
const ANSWER: u64 = 256 << 20;

/// Writes bytes to a server and reads its answer.
pub fn converse(to: SocketAddr, bytes: &[u8]) -> io::Result<Response> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    // A server may answer, and close, before it has read everything.
    let wrote = stream.write_all(bytes);
    let mut answer = Vec::new();
    match io::copy(&mut stream.take(ANSWER), &mut answer) {
        Err(error) if answer.is_empty() => return Err(error),
        _ if answer.is_empty() => wrote?,
        _ => {}
    }
    Response::parse(&answer)
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Reason phrase.
    pub reason: String,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// Without framing.
    pub body: Vec<u8>,
}

impl Response {
    fn parse(answer: &[u8]) -> io::Result<Self> {
        let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is cut off");
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or_else(cut)?;
        let mut response = Self::head(&answer[..end]);
        let rest = &answer[end + 4..];
        let length = response.header("content-length").map(|text| text.parse::<usize>().unwrap());
        response.body = if response.header("transfer-encoding") == Some("chunked") {
            unchunk(rest).ok_or_else(cut)?
        } else {
            // An answer to HEAD tells the length of what it does not send.
            if length.is_some_and(|length| length != rest.len() && !rest.is_empty()) {
                return Err(cut());
            }
            rest.to_vec()
        };
        Ok(response)
    }

    /// Status and headers, without the empty line behind them.
    pub(crate) fn head(head: &[u8]) -> Self {
        let head = String::from_utf8(head.to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap();
        let mut words = first.splitn(3, ' ');
        assert_eq!(words.next(), Some("HTTP/1.1"), "{first}");
        let status = words.next().unwrap().parse().unwrap();
        let reason = words.next().unwrap_or_default().to_owned();
        let headers = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Self { status, reason, headers, body: Vec::new() }
    }

    /// The first header of this name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Itself, if the status is this one.
    #[expect(clippy::return_self_not_must_use, reason = "often called for its panic alone")]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// Panics unless this is a download of these bytes with all headers that pgutil needs.
    pub fn assert_download(&self, file_name: &str, bytes: &[u8]) {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.header("content-type"), Some("application/octet-stream"));
        assert_eq!(self.header("content-length"), Some(bytes.len().to_string().as_str()));
        let disposition = format!("attachment; filename=\"{file_name}\"");
        assert_eq!(self.header("content-disposition"), Some(disposition.as_str()));
        assert_eq!(self.header("content-encoding"), None);
        assert!(self.body == bytes, "{file_name}");
    }

    /// The text of an error: panics unless it is one short line of plain text with this status.
    pub fn error(&self, status: u16) -> &str {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        assert_eq!(self.status, status, "{text}");
        let kind = self.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/plain"), "{kind}: {text}");
        assert!(!text.is_empty() && text.lines().count() == 1 && text.len() < 1000, "{text}");
        assert!(!text.starts_with(['{', '<']), "{text}");
        self.text()
    }
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|bytes| bytes == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        rest = rest.get(end + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}
