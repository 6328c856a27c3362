use std::ffi::OsString;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Answer, Hayloft, Process, Request, Response, finish};

/// A running `hayloft serve` with a store of its own; it is killed in the end.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// A key that may do everything.
    pub key: String,
    directory: PathBuf,
    environment: Vec<(&'static str, OsString)>,
    child: Child,
}

/// How long a server may take to end by itself: it gives running requests a minute.
const END: Duration = Duration::from_secs(180);

impl Server {
    /// Starts a server on a new store in this directory.
    pub fn start(directory: &Path) -> Self {
        Self::start_with(directory, &[])
    }

    /// The same with more options.
    pub fn start_with(directory: &Path, options: &[&str]) -> Self {
        Self::start_in(directory, options, &[])
    }

    /// The same in an environment, in which it is started again as well.
    pub fn start_in(
        directory: &Path,
        options: &[&str],
        environment: &[(&'static str, OsString)],
    ) -> Self {
        let (child, told) = serve(directory, options, environment);
        let key = told["adminKeyFile"].as_str().expect("the first start makes a key");
        let key = fs_err::read_to_string(key).unwrap().trim().to_owned();
        let (directory, environment) = (directory.to_owned(), environment.to_owned());
        Self { address: address(&told), key, directory, environment, child }
    }

    /// Starts a server on a store that has this key; what it logs goes to a file.
    pub fn open(directory: &Path, key: &str, log: &Path) -> Self {
        let mut command = Hayloft::on_store(directory).command([
            "serve",
            "--address=127.0.0.1:0",
            "--log=warn",
            "--json",
        ]);
        let log = fs_err::File::create(log).unwrap().into_parts().0;
        let (child, told) = begin(command.stderr(log));
        let (key, directory) = (key.to_owned(), directory.to_owned());
        let environment = Vec::new();
        Self { address: address(&told), key, directory, environment, child }
    }

    /// Starts it again after its end, on the same store.
    #[must_use]
    pub fn restart(mut self) -> Self {
        self.kill();
        let (child, told) = serve(&self.directory, &[], &self.environment);
        assert_eq!(told["adminKeyFile"], Value::Null, "a key is made once only");
        self.address = address(&told);
        self.child = child;
        self
    }

    /// Ends the process as an operator does, and waits until it has.
    pub fn stop(&mut self) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(told.success());
        let start = Instant::now();
        while start.elapsed() < END {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the server did not end within {END:?}");
    }

    /// Its process.
    pub fn process(&self) -> Process {
        Process::new(self.child.id())
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a request with the key.
    pub fn send(&self, request: Request) -> Response {
        request.key(&self.key).send(self.address)
    }

    /// Sends a request with the key; the body of the answer is read as the caller takes it.
    pub fn begin(&self, request: Request) -> Answer {
        Answer::to(&request.key(&self.key).bytes(self.address), self.address).unwrap()
    }

    /// Sends GET with the key; the answer must be 200.
    pub fn get(&self, target: &str) -> Response {
        self.send(Request::get(target)).expect(200)
    }

    /// The entries of a list, which must be an array.
    pub fn list(&self, target: &str) -> Vec<Value> {
        self.get(target).json().as_array().expect("lists are arrays").clone()
    }

    /// Makes a feed.
    pub fn create_feed(&self, name: &str, feed_type: &str) {
        let feed = serde_json::json!({ "name": name, "feedType": feed_type }).to_string();
        let made = self.send(Request::new("POST", "/api/management/feeds/create").json(&feed));
        assert_eq!(made.expect(200).json()["name"], name);
    }

    /// The shell lines that `hayloft use` prints for one client of a feed.
    pub fn setup(&self, feed: &str, client: &str) -> String {
        let source = format!("--source=http://{}", self.address);
        let key = format!("--api-key={}", self.key);
        let program = Hayloft::on_store(&self.directory);
        let told = finish(&mut program.free_command(["use", feed, &source, &key, "--json"]));
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        let told: Value = serde_json::from_slice(&told.stdout).unwrap();
        let clients = told.as_array().unwrap();
        let found = clients.iter().find(|told| told["client"] == client);
        let lines = found.unwrap_or_else(|| panic!("no {client} in {told}"))["lines"].clone();
        let lines: Vec<String> = serde_json::from_value(lines).unwrap();
        lines.join("\n") + "\n"
    }

    /// Uploads a package: no file name and no type, as pgutil does when its output goes nowhere.
    pub fn upload(&self, feed: &str, package: impl Into<Vec<u8>>) {
        self.put(&format!("/api/packages/{feed}/upload"), package);
    }

    /// The same to an address of the caller's.
    pub fn put(&self, target: &str, package: impl Into<Vec<u8>>) {
        self.send(Request::put(target, package)).expect(200);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(
    directory: &Path,
    options: &[&str],
    environment: &[(&'static str, OsString)],
) -> (Child, Value) {
    let key = format!("--admin-key-file={}", directory.with_extension("key").display());
    let words = ["serve", "--address=127.0.0.1:0", "--log=error", "--json", &key];
    let mut command = Hayloft::on_store(directory).command(words.iter().chain(options));
    begin(command.envs(environment.iter().map(|(name, value)| (name, value))))
}

fn begin(command: &mut Command) -> (Child, Value) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let mut told = serde_json::Deserializer::from_reader(stdout).into_iter();
    let told = told.next().expect("a server tells where it is").unwrap();
    (child, told)
}

fn address(told: &Value) -> SocketAddr {
    told["url"].as_str().unwrap().trim_start_matches("http://").parse().unwrap()
}
