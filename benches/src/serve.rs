use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hayloft::Actor;

use crate::Scale;
use crate::clients::at_once;
use crate::measure::{Contest, Unit};
use crate::stores::{DEEP, Stores, VERSIONS_DEEP, create_feed, open, upload};

/// Connections that ask one after the other without a pause.
const CONNECTIONS: u32 = 4;
const FILES: &str = "files";

struct Asked {
    name: &'static str,
    /// What Hayloft is asked for, and the file that nginx answers with the same bytes.
    target: String,
    file: &'static str,
    /// The client has it already.
    known: bool,
    requests: u32,
}

/// Reads from `hayloft serve` against nginx that sends the same bytes: processor time of the server
/// for each, and how long each takes beside the clients on the same machine. Without nginx there is
/// nothing to measure against.
pub(crate) fn contests(scale: Scale, stores: &mut Stores, program: &Path) -> Result<Vec<Contest>> {
    if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
        eprintln!("reads of a server are left out: nginx is not installed");
        return Ok(Vec::new());
    }
    let directory = stores.filled(1_000)?;
    prepare(&directory)?;
    let reads = reads(scale.quick);
    let hayloft = Hayloft::start(program, &directory)?;
    let files = stores.directory()?;
    for read in &reads {
        let answer = Connection::to(hayloft.address)?.get(&read.target, None)?;
        ensure!(answer.status == 200, "`{}` was answered with {}", read.target, answer.status);
        fs_err::write(files.join(read.file), answer.body)?;
    }
    let nginx = Nginx::start(&stores.directory()?, &files)?;
    let mut found = Vec::new();
    for read in &reads {
        found.extend(measure(read, scale, &hayloft, &nginx)?);
    }
    Ok(found)
}

fn reads(quick: bool) -> Vec<Asked> {
    let of = |name, target: String, file, known, requests: u32| Asked {
        name,
        target,
        file,
        known,
        requests: if quick { 8 } else { requests },
    };
    let download = |version| format!("/api/packages/{FILES}/download?name=file&version={version}");
    let list = format!("/api/packages/{DEEP}/versions?name=deep");
    vec![
        of("GET /health", "/health".to_owned(), "health", false, 8_000),
        of("GET file of 10 KB", download("1.0.1"), "small", false, 8_000),
        of("GET file of 10 KB, 304", download("1.0.1"), "small", true, 8_000),
        of("GET file of 1 MiB", download("1.0.2"), "middle", false, 800),
        of("GET file of 5 MiB", download("1.0.3"), "large", false, 160),
        of("GET list of 1,000 versions", list, "list", false, 400),
    ]
}

fn prepare(directory: &Path) -> Result<()> {
    let store = open(directory)?;
    if store.feed(FILES).is_err() {
        create_feed(&store, FILES)?;
        for (version, bytes) in [("1.0.1", 10_000), ("1.0.2", 1 << 20), ("1.0.3", 5 << 20)] {
            upload(&store, FILES, "file", version, bytes)?;
        }
        store.set_setting("anonymous.access", Some("read"), &Actor::named("bench"))?;
    }
    ensure!(store.feed_stats(DEEP)?.versions == u64::from(VERSIONS_DEEP), "the list is no longer");
    store.close()?;
    Ok(())
}

fn measure(read: &Asked, scale: Scale, hayloft: &Hayloft, nginx: &Nginx) -> Result<[Contest; 2]> {
    eprintln!("measuring {}", read.name);
    let static_target = format!("/{}", read.file);
    let sides = [
        (hayloft.address, read.target.as_str(), hayloft.child.id(), false),
        (nginx.address, static_target.as_str(), nginx.child.id(), true),
    ];
    let mut times = [Vec::new(), Vec::new()];
    let mut wall = [Vec::new(), Vec::new()];
    for round in 0..=scale.rounds {
        for at in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            let (Some(side), Some(times), Some(wall)) =
                (sides.get(at), times.get_mut(at), wall.get_mut(at))
            else {
                continue;
            };
            let (address, target, process, family) = *side;
            let before = processor_time(process, family)?;
            let took = ask(read, address, target)?;
            let spent = processor_time(process, family)?.saturating_sub(before);
            // The first fills caches.
            if round > 0 {
                let requests = f64::from(read.requests);
                times.push(spent.as_secs_f64() / requests);
                wall.push(took.as_secs_f64() / requests);
            }
        }
    }
    let contest = |what: &str, [ours, theirs]: [Vec<f64>; 2]| Contest {
        row: format!("{}, {what}", read.name),
        unit: Unit::Seconds("request"),
        ours,
        baselines: vec![("nginx, same bytes", theirs)],
    };
    Ok([contest("processor time", times), contest("time", wall)])
}

/// Asks `read.requests` times on several connections; how long all took.
fn ask(read: &Asked, address: SocketAddr, target: &str) -> Result<Duration> {
    let tag = if read.known { Some(Connection::to(address)?.get(target, None)?.tag) } else { None };
    let expected = if read.known { 304 } else { 200 };
    let each = read.requests / CONNECTIONS;
    let connections: Vec<Connection> =
        (0..CONNECTIONS).map(|_| Connection::to(address)).collect::<Result<_>>()?;
    at_once(connections, |mut connection| {
        for _ in 0..each {
            let answer = connection.get(target, tag.as_deref())?;
            ensure!(answer.status == expected, "{target}: answered with {}", answer.status);
        }
        Ok(())
    })
}

/// Time that a process spent on processors, with its children if asked for.
fn processor_time(process: u32, family: bool) -> Result<Duration> {
    let mut ticks = of_process(process)?;
    if family {
        let children = fs_err::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
        for child in children.split_whitespace() {
            ticks += of_process(child.parse()?)?;
        }
    }
    Ok(Duration::from_nanos(ticks))
}

/// In nanoseconds: the scheduler counts finer than the hundredths of a second of `stat`.
fn of_process(process: u32) -> Result<u64> {
    let mut all = 0;
    for thread in fs_err::read_dir(format!("/proc/{process}/task"))? {
        // A thread may have ended meanwhile; what it took is lost, which is little.
        let Ok(text) = fs_err::read_to_string(thread?.path().join("schedstat")) else { continue };
        let spent = text.split_whitespace().next().context("an empty schedstat")?;
        all += spent.parse::<u64>()?;
    }
    Ok(all)
}

struct Hayloft {
    child: Child,
    address: SocketAddr,
}

impl Hayloft {
    fn start(program: &Path, store: &Path) -> Result<Self> {
        let mut child = Command::new(program)
            .args(["serve", "--address=127.0.0.1:0", "--log=warn", "--json"])
            .arg(format!("--store={}", store.display()))
            .arg(format!("--admin-key-file={}", store.join("admin-key").display()))
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!("`{}` could not be started; build it with --release", program.display())
            })?;
        let output = child.stdout.take().context("the server has no output")?;
        let told = serde_json::Deserializer::from_reader(BufReader::new(output));
        let told = told.into_iter::<serde_json::Value>().next();
        let told = told.context("the server ended at once")??;
        let url = told.get("url").and_then(|url| url.as_str()).context("no URL is told")?;
        let address = url.trim_start_matches("http://").trim_end_matches('/').parse()?;
        Ok(Self { child, address })
    }
}

struct Nginx {
    child: Child,
    address: SocketAddr,
}

impl Nginx {
    fn start(directory: &Path, files: &Path) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let configuration = directory.join("nginx.conf");
        let here = directory.display();
        let mut text = String::new();
        writeln!(text, "daemon off; pid {here}/pid; error_log {here}/error.log;")?;
        writeln!(text, "worker_processes 1; events {{ worker_connections 64; }}")?;
        writeln!(text, "http {{ access_log off; sendfile on; keepalive_requests 1000000;")?;
        writeln!(text, "client_body_temp_path {here}/a; proxy_temp_path {here}/b;")?;
        writeln!(text, "fastcgi_temp_path {here}/c; uwsgi_temp_path {here}/d;")?;
        writeln!(text, "scgi_temp_path {here}/e; default_type application/octet-stream;")?;
        writeln!(text, "server {{ listen {address}; root {}; }} }}", files.display())?;
        fs_err::write(&configuration, text)?;
        // Its workers may have another user than the one who made the files.
        let user = if is_root()? { "user root;" } else { "" };
        let child = Command::new("nginx")
            .arg("-c")
            .arg(&configuration)
            .args(["-g", user])
            .stderr(Stdio::null())
            .spawn()
            .context("`nginx` could not be started; it is what reads are measured against")?;
        let nginx = Self { child, address };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if start.elapsed() > Duration::from_secs(10) {
                bail!("nginx does not listen; see {here}/error.log");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(nginx)
    }
}

fn is_root() -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(fs_err::metadata("/proc/self")?.uid() == 0)
}

impl Drop for Hayloft {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it only if it is asked to stop.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// A connection that is kept for the next request.
struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
    buffer: Vec<u8>,
}

struct Answer {
    status: u16,
    tag: String,
    body: Vec<u8>,
}

impl Connection {
    fn to(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let stream = BufReader::with_capacity(256 << 10, stream);
        Ok(Self { stream, host: address.to_string(), buffer: Vec::new() })
    }

    fn get(&mut self, target: &str, known: Option<&str>) -> Result<Answer> {
        let mut head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n", self.host);
        if let Some(tag) = known {
            write!(head, "If-None-Match: {tag}\r\n")?;
        }
        head.push_str("\r\n");
        self.stream.get_mut().write_all(head.as_bytes())?;
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

/// Where `cargo build --release` puts the command.
pub(crate) fn default_program() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.parent().unwrap_or(Path::new("")).join("hayloft")
}
