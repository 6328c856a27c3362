use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes connections on to a server and keeps the heads of the requests that clients send.
///
/// Bodies are kept, too, so that only small ones should go through it.
#[derive(Debug)]
pub struct Wiretap {
    /// Where clients are to connect.
    pub address: SocketAddr,
    server: Arc<Mutex<SocketAddr>>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Wiretap {
    /// In front of a server; it ends with the process.
    pub fn before(server: SocketAddr) -> Self {
        Self::changing(server, "", "")
    }

    /// The same; what clients send has another text of the same length in place of one.
    pub fn changing(server: SocketAddr, from: &'static str, to: &'static str) -> Self {
        assert_eq!(from.len(), to.len(), "lengths are told elsewhere, too");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let server = Arc::new(Mutex::new(server));
        let leads_to = Arc::clone(&server);
        thread::spawn(move || {
            for client in listener.incoming() {
                let server = TcpStream::connect(*leads_to.lock().unwrap());
                let (Ok(client), Ok(server)) = (client, server) else { return };
                let (back, forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let ear = Arc::clone(&ear);
                thread::spawn(move || {
                    pass(client, server, |bytes| {
                        // Clients send the head of a request at once.
                        while let Some(at) = position(bytes, from) {
                            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
                        }
                        ear.lock().unwrap().extend_from_slice(bytes);
                    });
                });
                thread::spawn(move || pass(back, forth, |_| {}));
            }
        });
        Self { address, server, heard }
    }

    /// New connections go to another server from now on.
    pub fn lead_to(&self, server: SocketAddr) {
        *self.server.lock().unwrap() = server;
    }

    /// All that clients sent since the last call.
    pub fn take(&self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut *self.heard.lock().unwrap())).into_owned()
    }
}

fn position(bytes: &[u8], text: &str) -> Option<usize> {
    let mut windows = bytes.windows(text.len().max(1));
    windows.position(|window| window == text.as_bytes())
}

fn pass(mut from: TcpStream, mut to: TcpStream, hear: impl Fn(&mut [u8])) {
    let mut buffer = [0; 16 << 10];
    while let Ok(read) = from.read(&mut buffer) {
        let bytes = &mut buffer[..read];
        hear(bytes);
        if read == 0 || to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
