//! Commands on a store that a server holds: the server's process carries them out, and the
//! command's own shows what they say.
//!
//! Both meet at a socket in the store's directory, which nobody but its owner may enter: whoever
//! can connect could open the store if it were free.
//!
//! The command sends one line of JSON, [`Asked`]. What comes back are pieces, each after a line
//! with its kind and its length in bytes, and in the end how the command ended.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hayloft::Store;
use hayloft::engine::CONTROL_SOCKET;
use serde::{Deserialize, Serialize};

use crate::arguments::{Mistake, Outcome, parse};
use crate::carry_out;
use crate::commands::ROOT;
use crate::connection::user_of_the_system;
use crate::console::{Console, Lent, Look};
use crate::failure::Failure;
use crate::manner::Ending;

/// Commands that work on a store itself, and do so for others.
const LENDABLE: [&str; 5] = ["backup", "bundle", "export", "import", "verify"];
/// Commands that are carried out at the same time.
const AT_ONCE: usize = 8;
/// The longest line that asks for something, and that announces a piece.
const ASKED: u64 = 1 << 20;
const ANNOUNCED: u64 = 64;
/// How long a connection may take to ask.
const ASKING: Duration = Duration::from_secs(10);
/// How long the end of a server waits for commands to say that the store was closed.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a command wants a server to do.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    /// The words behind the program's name.
    words: Vec<String>,
    /// Where names of files begin.
    directory: PathBuf,
    /// Whom records name.
    user: String,
    look: Look,
}

/// The socket of a server, which is gone with this value.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    stopping: Arc<AtomicBool>,
    running: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    /// Listens in the directory of a store that this process holds.
    pub(crate) fn listen(store: &Store, directory: &Path) -> io::Result<Self> {
        let path = std::path::absolute(directory)?.join(CONTROL_SOCKET);
        // Whoever left it is gone: the store is held by this process.
        match fs_err::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = at_short(&path, |short| UnixListener::bind(short))?;
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let stopping = Arc::new(AtomicBool::new(false));
        let running = Arc::new(AtomicUsize::new(0));
        let host =
            Host { store: store.clone(), stopping: stopping.clone(), running: running.clone() };
        let thread = thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || host.accept(&listener))?;
        Ok(Self { path, stopping, running, thread: Some(thread) })
    }

    /// Takes no more commands, and lets those that are running tell that the store is closed.
    pub(crate) fn end(mut self) {
        self.stop();
        let start = Instant::now();
        while self.running.load(Ordering::Acquire) > 0 && start.elapsed() < FAREWELL {
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.stopping.store(true, Ordering::Release);
        // The thread waits for a connection.
        let woken = at_short(&self.path, |short| UnixStream::connect(short)).is_ok();
        let _ = fs_err::remove_file(&self.path);
        if woken {
            let _ = thread.join();
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Names of sockets have room for about a hundred bytes; the name of an open directory is short.
fn at_short<T>(path: &Path, work: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    const ROOM: usize = 100;
    if !cfg!(target_os = "linux") || path.as_os_str().len() <= ROOM {
        return work(path);
    }
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return work(path);
    };
    let directory = fs_err::File::open(directory)?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&directory);
    work(&Path::new("/proc/self/fd").join(number.to_string()).join(name))
}

/// What the connections of a server share.
#[derive(Debug, Clone)]
struct Host {
    store: Store,
    stopping: Arc<AtomicBool>,
    running: Arc<AtomicUsize>,
}

/// A command that is counted as running.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Host {
    fn accept(&self, listener: &UnixListener) {
        for stream in listener.incoming() {
            if self.stopping.load(Ordering::Acquire) {
                return;
            }
            let stream = match stream {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a command could not reach the server");
                    thread::sleep(Duration::from_millis(100));
                    continue;
                }
            };
            let host = self.clone();
            let before = self.running.fetch_add(1, Ordering::AcqRel);
            let running = Running(self.running.clone());
            let spawned = thread::Builder::new().name("command".to_owned()).spawn(move || {
                let _running = running;
                if let Err(error) = host.answer(stream, before >= AT_ONCE) {
                    tracing::debug!(%error, "a command went away");
                }
            });
            if let Err(error) = spawned {
                tracing::warn!(%error, "a command could not be begun");
            }
        }
    }

    fn answer(&self, stream: UnixStream, busy: bool) -> io::Result<()> {
        stream.set_read_timeout(Some(ASKING))?;
        let mut line = String::new();
        BufReader::new((&stream).take(ASKED)).read_line(&mut line)?;
        let asked: Asked = serde_json::from_str(&line)?;
        let pieces = Pieces::new(stream);
        let ending = if busy {
            let text = format!("error: the server does {AT_ONCE} such commands already\n");
            pieces.of(Kind::Error).write_all(text.as_bytes())?;
            Ending::Unchecked
        } else {
            self.carry_out(asked, &pieces)
        };
        pieces.write(Kind::Ended, &serde_json::to_vec(&ending)?)
    }

    fn carry_out(&self, asked: Asked, pieces: &Pieces) -> Ending {
        tracing::info!(user = asked.user, command = asked.words.first(), "a command began");
        let outcome = match parse(&ROOT, asked.words.iter().map(Into::into)) {
            Outcome::Run(invocation, _) if !is_lendable(&invocation) => {
                let path = invocation.path().to_vec();
                let text = "a server that holds the store does not do this for others";
                Outcome::Mistakes { path, mistakes: vec![Mistake::new(text)], json: false }
            }
            outcome => outcome,
        };
        let lent = Lent {
            store: self.store.clone(),
            directory: asked.directory,
            user: asked.user,
            gone: pieces.gone(),
        };
        let (out, errors) = (pieces.of(Kind::Out), pieces.of(Kind::Error));
        let mut console = Console::for_another(out, errors, asked.look, lent);
        carry_out(outcome, &mut console)
    }
}

fn is_lendable(invocation: &crate::arguments::Invocation) -> bool {
    let names: Vec<&str> = invocation.path().iter().skip(1).map(|word| word.name).collect();
    match *names {
        // Who has lost the key has none to show to the server.
        ["apikeys", name] => name == "reset-admin",
        [name, ..] => LENDABLE.contains(&name),
        [] => false,
    }
}

/// Has the server that holds a store do what this process was started for, and shows what it says;
/// `None` if no server listens there. Always a failure: nothing is left to be done here.
pub(crate) fn ask(directory: &Path, console: &mut Console) -> Option<Failure> {
    let path = std::path::absolute(directory).ok()?.join(CONTROL_SOCKET);
    let stream = at_short(&path, |short| UnixStream::connect(short)).ok()?;
    Some(match converse(stream, console) {
        Ok(ending) => Failure::Elsewhere(ending),
        Err(Talk::Failure(failure)) => failure,
        Err(Talk::Io(error)) => {
            let failure = Failure::io("hear from the server that holds the store")(error);
            failure.advise("its log may tell what happened")
        }
    })
}

/// Why nothing more is heard.
enum Talk {
    Io(io::Error),
    Failure(Failure),
}

impl From<io::Error> for Talk {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn converse(stream: UnixStream, console: &mut Console) -> Result<Ending, Talk> {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let asked = Asked {
        words: words.collect(),
        directory: std::env::current_dir()?,
        user: user_of_the_system(),
        look: console.look(),
    };
    let mut line = serde_json::to_vec(&asked).map_err(io::Error::from)?;
    line.push(b'\n');
    (&stream).write_all(&line)?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        stream.by_ref().take(ANNOUNCED).read_line(&mut head)?;
        let (kind, length) = head.trim_end().split_once(' ').ok_or_else(broken_off)?;
        let length: u64 = length.parse().map_err(|_| broken_off())?;
        let mut piece = Vec::new();
        io::copy(&mut stream.by_ref().take(length.min(PIECE as u64)), &mut piece)?;
        if piece.len() as u64 != length {
            return Err(broken_off().into());
        }
        match Kind::named(kind) {
            Some(Kind::Out) => console.pass_on(&piece).map_err(Talk::Failure)?,
            Some(Kind::Error) => console.pass_on_error(&piece),
            Some(Kind::Ended) => {
                return Ok(serde_json::from_slice(&piece).map_err(io::Error::from)?);
            }
            None => return Err(broken_off().into()),
        }
    }
}

fn broken_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it broke off before the command had ended")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Out,
    Error,
    Ended,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Out, Self::Error, Self::Ended];

    fn name(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Error => "error",
            Self::Ended => "ended",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Bytes of a piece, at most.
const PIECE: usize = 64 << 10;

/// What is said to the one who asked.
#[derive(Debug, Clone)]
struct Pieces(Arc<Mutex<UnixStream>>);

impl Pieces {
    fn new(stream: UnixStream) -> Self {
        Self(Arc::new(Mutex::new(stream)))
    }

    fn of(&self, kind: Kind) -> Speaker {
        Speaker { pieces: self.clone(), kind }
    }

    fn write(&self, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.chunks(PIECE) {
            writeln!(stream, "{} {}", kind.name(), piece.len())?;
            stream.write_all(piece)?;
        }
        Ok(())
    }

    /// Set once the one who asked has gone.
    fn gone(&self) -> Arc<AtomicBool> {
        let gone = Arc::new(AtomicBool::new(false));
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner).try_clone();
        let told = gone.clone();
        let watching = stream.and_then(|stream| {
            stream.set_read_timeout(None)?;
            thread::Builder::new().name("command-watch".to_owned()).spawn(move || {
                // Nothing is sent after the question, so this is ready when the other side closes,
                // or when this side does.
                let _ = (&stream).read(&mut [0]);
                told.store(true, Ordering::Release);
            })
        });
        if let Err(error) = watching {
            tracing::debug!(%error, "nobody will notice that a command goes away");
        }
        gone
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        // Two more may be in the console; the last ends the one who watches.
        if Arc::strong_count(&self.0) == 1 {
            let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// One of the two outputs of a command.
#[derive(Debug)]
struct Speaker {
    pieces: Pieces,
    kind: Kind,
}

impl Write for Speaker {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pieces.write(self.kind, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
