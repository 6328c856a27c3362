//! `hayloft serve` in a process of its own, and how it is asked.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Deserializer, Value};

const KEY: &str = "bench-key-of-both-programs-0123456789";

/// A server over a store, until it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    key: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts a program over a store; its home is another directory.
    pub(crate) fn start(program: &Path, store: &Path, home: &Path) -> Result<Self> {
        let program = program.canonicalize().unwrap_or_else(|_| program.to_owned());
        let store = std::path::absolute(store)?;
        let mut child = Command::new(&program)
            .args(["serve", "--address=127.0.0.1:0", "--log=error", "--json"])
            .arg(format!("--store={}", store.display()))
            .env("HAYLOFT_ADMIN_KEY", KEY)
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| {
                format!("`{}` could not be started; build it with --release", program.display())
            })?;
        let stdout = BufReader::new(child.stdout.take().context("a server has no output")?);
        let told = Deserializer::from_reader(stdout).into_iter::<Value>().next();
        let told = told.context("a server did not start")??;
        let text = |name: &str| told.get(name).and_then(Value::as_str);
        let address = text("url").and_then(|url| url.strip_prefix("http://")?.parse().ok());
        // Old ones make a key up.
        let key = text("adminKey").unwrap_or(KEY).to_owned();
        Ok(Self { child, address: address.context("a server has no address")?, key })
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request with the key on a connection of its own; the answer must be 200.
    pub(crate) fn ask(&self, method: &str, target: &str, body: &[u8]) -> Result<()> {
        let headers = [("X-ApiKey", self.key.as_str()), ("Content-Type", "application/json")];
        let answer = Connection::to(self.address)?.send(method, target, &headers, body)?;
        if answer.status != 200 {
            let shown = answer.body.get(..answer.body.len().min(500)).unwrap_or_default();
            bail!("{method} {target}: {} {}", answer.status, String::from_utf8_lossy(shown));
        }
        Ok(())
    }

    /// Bytes that the process has caused to be written since its start.
    pub(crate) fn written(&self) -> Result<f64> {
        let told = fs_err::read_to_string(format!("/proc/{}/io", self.child.id()))?;
        let line = told.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        Ok(line.context("the system counts no bytes written")?.parse()?)
    }
}

/// Seconds that a process was on a processor since its start, with threads that have ended.
#[cfg(target_os = "linux")]
pub(crate) fn processor_time(process: u32) -> Result<f64> {
    use nix::time::{clock_getcpuclockid, clock_gettime};
    let clock = clock_getcpuclockid(nix::unistd::Pid::from_raw(i32::try_from(process)?))?;
    Ok(std::time::Duration::from(clock_gettime(clock)?).as_secs_f64())
}

/// Elsewhere no process tells.
#[cfg(not(target_os = "linux"))]
pub(crate) fn processor_time(_: u32) -> Result<f64> {
    bail!("the time of another process is told on Linux only")
}

/// A connection that is kept for the next request.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
    buffer: Vec<u8>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) tag: String,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let stream = BufReader::with_capacity(256 << 10, stream);
        Ok(Self { stream, host: address.to_string(), buffer: Vec::new() })
    }

    /// GET of what the client may have already.
    pub(crate) fn get(&mut self, target: &str, known: Option<&str>) -> Result<Answer> {
        let known = known.map(|tag| ("If-None-Match", tag));
        self.send("GET", target, known.as_slice(), &[])
    }

    /// Sends a request and reads all of the answer.
    pub(crate) fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n")?;
        }
        if method != "GET" {
            write!(head, "Content-Length: {}\r\n", body.len())?;
        }
        head.push_str("\r\n");
        self.stream.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        let first = self.line()?;
        let status = first.split(' ').nth(1).context("no status")?.parse()?;
        let (mut length, mut chunked, mut tag) = (0, false, String::new());
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').context("a header without a colon")?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse()?,
                "transfer-encoding" => chunked = value == "chunked",
                "etag" => value.clone_into(&mut tag),
                _ => {}
            }
        }
        self.buffer.clear();
        if chunked {
            loop {
                let length = usize::from_str_radix(self.line()?.trim(), 16)?;
                self.take(length)?;
                self.line()?;
                if length == 0 {
                    break;
                }
            }
        } else if status != 304 {
            self.take(length)?;
        }
        Ok(Answer { status, tag, body: std::mem::take(&mut self.buffer) })
    }

    fn take(&mut self, length: usize) -> Result<()> {
        let wanted = u64::try_from(length)?;
        let taken = io::copy(&mut self.stream.by_ref().take(wanted), &mut self.buffer)?;
        ensure!(taken == wanted, "the answer broke off");
        Ok(())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "the connection was closed");
        Ok(line.trim_end().to_owned())
    }
}
