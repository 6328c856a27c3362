//! The real server, reached by the real commands.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use fs_err as fs;
use serde_json::Value;

use crate::bench::Bench;

/// A running server; killed if a test fails.
struct Serving {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Serving {
    fn start(bench: &Bench, options: &[&str]) -> Self {
        let words = [&["serve", "--address=127.0.0.1:0"], options].concat();
        let mut child =
            bench.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// Starts with `--json` and returns what it tells.
    fn told(bench: &Bench, options: &[&str]) -> (Self, Value) {
        let mut serving = Self::start(bench, &[options, &["--json"]].concat());
        let mut line = String::new();
        serving.out.read_line(&mut line).unwrap();
        let told = serde_json::from_str(&line).unwrap();
        (serving, told)
    }

    /// Reads lines up to one that has `text`.
    fn until(&mut self, text: &str) -> String {
        let mut said = String::new();
        while !said.contains(text) {
            assert_ne!(self.out.read_line(&mut said).unwrap(), 0, "{said}");
        }
        said
    }

    /// Sends a signal that asks for the end, and returns status and standard error.
    fn stop(mut self) -> (i32, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let errors = BufReader::new(self.child.stderr.take().unwrap());
        let errors: Vec<String> = errors.lines().map(Result::unwrap).collect();
        (self.child.wait().unwrap().code().unwrap(), errors.join("\n"))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already if the test passed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_tells_its_key_once_and_serves_until_it_is_stopped() {
    let bench = Bench::new();
    let (serving, told) = Serving::told(&bench, &[]);
    let (url, key) = (told["url"].as_str().unwrap(), told["adminKey"].as_str().unwrap());
    let store = fs::canonicalize(bench.path("hayloft-data")).unwrap();
    assert_eq!(told["store"].as_str(), store.to_str());
    let remote = Bench::new().always(&["--source", url, "--api-key", key]);
    remote.ok(&["feeds", "create", "--name=dev", "--type=Universal"]);
    let bytes = remote.upload("dev", "tools", "1.0.0");
    let download = ["packages", "download", "--feed=dev", "--package=tools", "--version=1.0.0"];
    assert_eq!(remote.run(&[&download[..], &["--stdout"]].concat()).bytes, bytes);
    let said = bench.fails(&["feeds", "list"]);
    assert!(said.contains("is in use by another process"), "{said}");
    let (status, errors) = serving.stop();
    assert_eq!(status, 0, "{errors}");
    assert!(errors.contains("Finishing what is running"), "{errors}");

    let (serving, told) = Serving::told(&bench, &["--store=hayloft-data"]);
    assert_eq!(told["adminKey"], Value::Null, "the key is told once");
    let url = told["url"].as_str().unwrap();
    let list = ["packages", "list", "--feed=dev", "--source", url, "--api-key", key];
    assert_eq!(Bench::new().ok(&list), "tools 1.0.0\n");
    assert_eq!(serving.stop().0, 0);
}

#[test]
fn people_read_where_everything_is() {
    let bench = Bench::new();
    let mut serving = Serving::start(&bench, &[]);
    let said = serving.until("Stop with Ctrl-C.");
    for part in [
        "Hayloft serves ",
        "\nat http://127.0.0.1:",
        "Key for administration, shown this once:\n",
        "  hayloft sources add --url=http://127.0.0.1:",
        "There are no feeds yet.",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(serving.stop().0, 0);
    bench.ok(&["feeds", "create", "--name=dev", "--type=NuGet"]);
    let mut serving = Serving::start(&bench, &[]);
    let said = serving.until("Stop with Ctrl-C.");
    assert!(said.contains("\ndev (nuget)\n  "), "{said}");
    assert!(!said.contains("Key for administration"), "{said}");
    assert_eq!(serving.stop().0, 0);
}

#[test]
fn a_log_that_is_no_terminal_has_neither_colours_nor_keys() {
    let bench = Bench::new();
    let (serving, told) = Serving::told(&bench, &["--log=info"]);
    let (url, key) = (told["url"].as_str().unwrap(), told["adminKey"].as_str().unwrap());
    assert_eq!(Bench::new().ok(&["feeds", "list", "--source", url, "--api-key", key]), "");
    let log = serving.stop().1;
    assert!(log.contains("/api/management/feeds/list"), "{log}");
    assert!(!log.contains('\u{1b}') && !log.contains(key), "{log}");
}

#[test]
fn a_server_with_a_certificate_speaks_tls() {
    let bench = Bench::new();
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(bench.path("a.pem"), issued.cert.pem()).unwrap();
    fs::write(bench.path("a.key"), issued.signing_key.serialize_pem()).unwrap();
    let (serving, told) = Serving::told(&bench, &["--tls-cert=a.pem", "--tls-key=a.key"]);
    let url = told["url"].as_str().unwrap().replace("127.0.0.1", "localhost");
    assert!(url.starts_with("https://"), "{url}");
    let health = ["health", "--source", &url];
    let trusting = bench.command(&health).env("SSL_CERT_FILE", bench.path("a.pem")).output();
    let trusting = trusting.unwrap();
    assert!(trusting.status.success(), "{trusting:?}");
    let said = bench.fails(&health);
    assert!(said.starts_with("the server cannot be asked: "), "{said}");
    assert_eq!(serving.stop().0, 0);
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let bench = Bench::new();
    let said = bench.fails(&["serve", "--address=here"]);
    assert!(said.starts_with("--address error: "), "{said}");
    let said = bench.fails(&["serve", "--tls-cert=a.pem"]);
    assert_eq!(said, "--tls-key error: the certificate needs its key");
    let said = bench.fails(&["serve", "--tls-cert=a.pem", "--tls-key=a.key"]);
    assert!(said.starts_with("`a.pem` cannot be used for TLS: "), "{said}");
    assert!(!bench.path("hayloft-data").exists());
}
