use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hayloft::Actor;

use crate::Scale;
use crate::clients::at_once;
use crate::measure::{Contest, Unit, alternate};
use crate::server::{Connection, Server, processor_time};
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
    let hayloft = Server::start(program, &directory, &stores.directory()?)?;
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

fn measure(read: &Asked, scale: Scale, hayloft: &Server, nginx: &Nginx) -> Result<Vec<Contest>> {
    let static_target = format!("/{}", read.file);
    let mut sides = [
        (hayloft.address, read.target.as_str(), vec![hayloft.process()]),
        (nginx.address, static_target.as_str(), nginx.processes()?),
    ];
    let row = |what: &str| (format!("{}, {what}", read.name), Unit::Seconds("request"));
    let rows = [row("processor time"), row("time")];
    alternate(scale, &mut sides, "nginx, same bytes", rows, |(address, target, processes)| {
        let before = of_all(processes)?;
        let took = ask(read, *address, target)?;
        let requests = f64::from(read.requests);
        Ok([(of_all(processes)? - before) / requests, took.as_secs_f64() / requests])
    })
}

/// Seconds on a processor of some processes together.
fn of_all(processes: &[u32]) -> Result<f64> {
    processes.iter().map(|process| processor_time(*process)).sum()
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
        while TcpStream::connect(address).is_err() || nginx.processes()?.len() < 2 {
            if start.elapsed() > Duration::from_secs(10) {
                bail!("nginx does not listen; see {here}/error.log");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(nginx)
    }

    /// It and its workers.
    fn processes(&self) -> Result<Vec<u32>> {
        let own = self.child.id();
        let children = fs_err::read_to_string(format!("/proc/{own}/task/{own}/children"))?;
        let workers = children.split_whitespace().map(|child| Ok(child.parse()?));
        std::iter::once(Ok(own)).chain(workers).collect()
    }
}

fn is_root() -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(fs_err::metadata("/proc/self")?.uid() == 0)
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it only if it is asked to stop.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Where `cargo build --release` puts the command.
pub(crate) fn default_program() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.parent().unwrap_or(Path::new("")).join("hayloft")
}
