use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use hayloft_testkit::streamed_upack;
use serde_json::{Deserializer, Value};

use crate::Scale;
use crate::clients::at_once;
use crate::measure::{Contest, Unit};
use crate::stores::{Stores, package_name};

/// The commit that the old program is built from, before rows were borrowed and trees were merged.
pub(crate) const COMMIT: &str = "acf9236";
const DEEP: &str = "deep";
const WIDE: &str = "wide";
const KEY: &str = "bench-key-of-both-programs-0123456789";
const FILLERS: u32 = 16;
/// A unit of `/proc/PID/stat`, in seconds.
const TICK: f64 = 0.01;
/// Bytes of a page, of which a write dirties whole ones.
const PAGE: f64 = 4_096.0;
/// Bytes of a package that is published.
const PAYLOAD: u32 = 10_000;

/// Lists and publishes of two releases of the program, each behind a server of its own: what the
/// server's process used of the processor and wrote by its own counters.
pub(crate) fn contests(
    scale: Scale,
    stores: &mut Stores,
    old: &Path,
    new: &Path,
) -> Result<Vec<Contest>> {
    let size = if scale.quick { 50 } else { 1_000 };
    let mut served =
        [Served::start(new, &stores.directory()?)?, Served::start(old, &stores.directory()?)?];
    for server in &served {
        server.fill(size)?;
    }
    let times = if scale.quick { 20 } else { 100 };
    let mut found = Vec::new();
    let lists = [
        (format!("list of {size} versions over HTTP"), format!("{DEEP}/versions?name=deep"), times),
        (format!("latest of {size} packages over HTTP"), format!("{WIDE}/latest"), times),
        (
            format!("versions of one package of {size} over HTTP"),
            format!("{WIDE}/versions?name={}", package_name(size / 2)),
            times * 20,
        ),
    ];
    for (row, target, times) in lists {
        let target = format!("/api/packages/{target}");
        found.extend(rounds(scale, &mut served, [(row, Unit::Seconds("list"))], |server| {
            let before = server.processor_time()?;
            for _ in 0..times {
                server.ask("GET", &target, &[])?;
            }
            Ok([(server.processor_time()? - before) / f64::from(times)])
        })?);
    }
    let publishes = if scale.quick { 50 } else { 1_000 };
    let rows = [
        ("publish of 10 KB over HTTP, processor".to_owned(), Unit::Seconds("publish")),
        ("publish of 10 KB over HTTP, written".to_owned(), Unit::Count("bytes")),
        ("publish of 10 KB over HTTP, dirtied".to_owned(), Unit::Count("pages")),
    ];
    found.extend(rounds(scale, &mut served, rows, |server| {
        let (time, written) = (server.processor_time()?, server.written()?);
        for _ in 0..publishes {
            server.published += 1;
            let version = format!("2.{}.0", server.published);
            server.upload(WIDE, "published", &version, PAYLOAD)?;
        }
        let of = f64::from(publishes);
        let bytes = (server.written()? - written) / of;
        Ok([(server.processor_time()? - time) / of, bytes, bytes / PAGE])
    })?);
    Ok(found)
}

/// Lets both do the same in turn, each round in another order; a round more goes first.
fn rounds<const N: usize>(
    scale: Scale,
    served: &mut [Served; 2],
    rows: [(String, Unit); N],
    mut work: impl FnMut(&mut Served) -> Result<[f64; N]>,
) -> Result<Vec<Contest>> {
    let mut contests = Vec::new();
    for (row, unit) in rows {
        eprintln!("measuring {row}");
        contests.push(Contest {
            row,
            unit,
            ours: Vec::new(),
            baselines: vec![(COMMIT, Vec::new())],
        });
    }
    for round in 0..=scale.rounds {
        let mut values = [[0.0; N]; 2];
        for at in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            if let (Some(server), Some(value)) = (served.get_mut(at), values.get_mut(at)) {
                *value = work(server)?;
            }
        }
        let [ours, theirs] = values;
        for ((contest, ours), theirs) in contests.iter_mut().zip(ours).zip(theirs) {
            if round > 0 {
                contest.ours.push(ours);
                contest.baselines.iter_mut().for_each(|(_, values)| values.push(theirs));
            }
        }
    }
    Ok(contests)
}

/// A server with a store of its own, until it is dropped.
struct Served {
    child: Child,
    address: SocketAddr,
    key: String,
    published: u32,
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    fn start(program: &Path, directory: &Path) -> Result<Self> {
        let program = program.canonicalize().unwrap_or_else(|_| program.to_owned());
        let mut child = Command::new(&program)
            .args(["serve", "--address=127.0.0.1:0", "--log=error", "--json"])
            .arg(format!("--store={}", directory.join("store").display()))
            .env("HAYLOFT_ADMIN_KEY", KEY)
            .env("HOME", directory)
            .env("XDG_CONFIG_HOME", directory)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("`{}` could not be started", program.display()))?;
        let stdout = BufReader::new(child.stdout.take().context("a server has no output")?);
        let told = Deserializer::from_reader(stdout).into_iter::<Value>().next();
        let told = told.context("a server did not start")??;
        let text = |name: &str| told.get(name).and_then(Value::as_str);
        let address = text("url").and_then(|url| url.strip_prefix("http://")?.parse().ok());
        // The old one makes a key up.
        let key = text("adminKey").unwrap_or(KEY).to_owned();
        Ok(Self { child, address: address.context("a server has no address")?, key, published: 0 })
    }

    fn fill(&self, size: u32) -> Result<()> {
        eprintln!("filling a store over HTTP");
        for name in [DEEP, WIDE] {
            let feed = format!(r#"{{"name":"{name}","feedType":"universal"}}"#);
            self.ask("POST", "/api/management/feeds/create", feed.as_bytes())?;
        }
        at_once((0..FILLERS).collect(), |client| {
            for number in (client..size).step_by(usize::try_from(FILLERS)?) {
                self.upload(DEEP, "deep", &format!("1.{number}.0"), 64)?;
                self.upload(WIDE, &package_name(number), "1.0.0", 64)?;
            }
            Ok(())
        })?;
        Ok(())
    }

    fn upload(&self, feed: &str, name: &str, version: &str, payload: u32) -> Result<()> {
        let mut package = Vec::new();
        io::copy(&mut streamed_upack(name, version, payload), &mut package)?;
        self.ask("PUT", &format!("/api/packages/{feed}/upload"), &package)
    }

    /// Sends a request; all of the answer, which must be 200, is read.
    fn ask(&self, method: &str, target: &str, body: &[u8]) -> Result<()> {
        let mut stream = TcpStream::connect(self.address)?;
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nX-ApiKey: {}\r\nContent-Length: {}\r\n\
             Content-Type: application/json\r\nConnection: close\r\n\r\n",
            self.address,
            self.key,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat())?;
        let mut answer = Vec::new();
        io::copy(&mut stream, &mut answer)?;
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            let shown = answer.get(..answer.len().min(500)).unwrap_or_default();
            bail!("{method} {target}: {}", String::from_utf8_lossy(shown));
        }
        Ok(())
    }

    /// Seconds that the process was on a processor since its start.
    fn processor_time(&self) -> Result<f64> {
        let line = fs_err::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = line.rsplit_once(')').context("the time of a process has no name")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
        let ticks = ticks.sum::<Result<u32, _>>()?;
        Ok(f64::from(ticks) * TICK)
    }

    /// Bytes that the process has caused to be written since its start.
    fn written(&self) -> Result<f64> {
        let told = fs_err::read_to_string(format!("/proc/{}/io", self.child.id()))?;
        let line = told.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        Ok(line.context("the system counts no bytes written")?.parse()?)
    }
}
