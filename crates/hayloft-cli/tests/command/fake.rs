//! A server that answers whatever a test wants, for what no real one may do.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// Answers one request, whose head is given, on its connection.
type Script = dyn Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync;

pub(crate) struct Fake {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    pub(crate) fn new(
        script: impl Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let thread = {
            let (heads, stopped) = (heads.clone(), stopped.clone());
            let script: Box<Script> = Box::new(script);
            thread::spawn(move || {
                for connection in listener.incoming() {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    // Clients that hang up are what some tests are about.
                    let _ = converse(&mut connection.unwrap(), &heads, &*script);
                }
            })
        };
        Self { address, heads, stopped, thread: Some(thread) }
    }

    /// Answers every request with this status, these header lines and this body.
    pub(crate) fn always(status: u16, headers: &str, body: impl Into<Vec<u8>>) -> Self {
        let (headers, body) = (headers.to_owned(), body.into());
        Self::new(move |_, out| answer(out, status, &headers, &body))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread, so that it sees that it is stopped.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Writes an answer with a length.
pub(crate) fn answer(
    out: &mut TcpStream,
    status: u16,
    headers: &str,
    body: &[u8],
) -> io::Result<()> {
    let length = body.len();
    write!(
        out,
        "HTTP/1.1 {status} Fake\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
    )?;
    out.write_all(body)
}

fn converse(
    connection: &mut TcpStream,
    heads: &Mutex<Vec<String>>,
    script: &Script,
) -> io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    heads.lock().unwrap().push(head.clone());
    let lower = head.to_ascii_lowercase();
    if let Some((_, rest)) = lower.split_once("content-length:") {
        let length = rest.lines().next().unwrap().trim().parse().unwrap();
        io::copy(&mut reader.take(length), &mut io::sink())?;
    }
    script(&head, connection)
}
