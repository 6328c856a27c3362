//! The real server, reached by the real commands.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use fs_err as fs;
use serde_json::Value;

use crate::bench::Bench;

/// A running server; killed if a test fails.
pub(crate) struct Serving {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Serving {
    fn start(bench: &Bench, options: &[&str]) -> Self {
        let elsewhere = options.iter().any(|option| option.starts_with("--address="));
        let address: &[&str] = if elsewhere { &[] } else { &["--address=127.0.0.1:0"] };
        let words = [&["serve"], address, options].concat();
        Self::spawn(&mut bench.command(&words))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// Starts with `--json` and returns its URL; the key goes to the file `key`.
    pub(crate) fn told(bench: &Bench, options: &[&str]) -> (Self, Value) {
        let fixed = ["--json", "--admin-key-file=key"];
        let mut serving = Self::start(bench, &[options, &fixed].concat());
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

    /// Sends a signal that asks for the end.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// The same, and returns status and standard error.
    pub(crate) fn stop(mut self) -> (i32, String) {
        self.terminate();
        let errors = BufReader::new(self.child.stderr.take().unwrap());
        let errors: Vec<String> = errors.lines().map(Result::unwrap).collect();
        (self.child.wait().unwrap().code().unwrap(), errors.join("\n"))
    }
}

/// The key that a server of the bench wrote.
pub(crate) fn key(bench: &Bench) -> String {
    fs::read_to_string(bench.path("key")).unwrap().trim().to_owned()
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already if the test passed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_writes_its_key_once_and_serves_until_it_is_stopped() {
    let bench = Bench::new();
    let (serving, told) = Serving::told(&bench, &[]);
    let (url, key) = (told["url"].as_str().unwrap(), &key(&bench));
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
    assert_eq!(told["adminKeyFile"], Value::Null, "the key is made once");
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
    for part in ["Hayloft serves ", "\nat http://127.0.0.1:", "There are no feeds yet."] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (status, errors) = serving.stop();
    assert_eq!(status, 0);
    // Standard output is the log of a service.
    assert!(!said.contains("hl_") && !errors.contains("hl_"), "{said}{errors}");
    assert!(errors.contains("hayloft apikeys reset-admin"), "{errors}");
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
    let (url, key) = (told["url"].as_str().unwrap(), &key(&bench));
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
    let words = "the server cannot be asked: nobody whom this machine trusts has signed ";
    assert!(said.starts_with(words), "{said}");
    assert!(bench.hints(&health).contains("name its file in SSL_CERT_FILE"));
    let other_name = ["health", "--source", told["url"].as_str().unwrap()];
    let other = bench.command(&other_name).env("SSL_CERT_FILE", bench.path("a.pem")).output();
    let errors = String::from_utf8(other.unwrap().stderr).unwrap();
    assert!(errors.contains("is for another name than that in the URL"), "{errors}");
    let plain = bench.fails(&["health", "--source", &url.replace("https:", "http:")]);
    assert!(plain.contains("the URL of this server begins with https://"), "{plain}");
    let metrics = bench.path("a.pem");
    let agent = ureq::Agent::config_builder().tls_config(
        ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::new_with_certs(&[ureq::tls::Certificate::from_pem(
                &fs::read(metrics).unwrap(),
            )
            .unwrap()]))
            .build(),
    );
    let agent: ureq::Agent = agent.build().into();
    let text = agent.get(format!("{url}/metrics")).call().unwrap().body_mut().read_to_string();
    let line = "hayloft_tls_certificate_expiry_timestamp_seconds ";
    let text = text.unwrap();
    let expiry = text.lines().find_map(|each| each.strip_prefix(line)).unwrap();
    // What rcgen gives if nothing is said: the year 4096.
    assert_eq!(expiry, "67090118400", "{text}");
    assert_eq!(serving.stop().0, 0);
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let bench = Bench::new();
    let said = bench.misused(&["serve", "--address=here:there"]);
    assert!(said.starts_with("--address error: "), "{said}");
    let said = bench.misused(&["serve", "--tls-cert=a.pem"]);
    assert_eq!(said, "--tls-key error: the certificate needs its key");
    let said = bench.fails(&["serve", "--tls-cert=a.pem", "--tls-key=a.key"]);
    assert!(said.starts_with("`a.pem` cannot be used for TLS: "), "{said}");
    fs::write(bench.path("a.pem"), "no certificate").unwrap();
    let said = bench.fails(&["serve", "--tls-cert=a.pem", "--tls-key=a.key"]);
    assert!(said.ends_with(": there is no certificate in PEM in it"), "{said}");
    assert!(!bench.path("hayloft-data").exists());
}

#[test]
fn the_key_of_a_server_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let bench = Bench::new();
    let (serving, told) = Serving::told(&bench, &[]);
    assert_eq!(told["adminKey"], Value::Null);
    assert_eq!(told["adminKeyFile"], "key");
    let mode = fs::metadata(bench.path("key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (_, errors) = serving.stop();
    assert!(!errors.contains(&key(&bench)), "{errors}");
    // Where the file cannot be written there is no key that nobody knows.
    let other = Bench::new();
    let words = ["serve", "--address=127.0.0.1:0", "--admin-key-file=no/such/key"];
    let said = other.fails(&words);
    assert!(said.contains("\ncannot write the key to `no/such/key`: "), "{said}");
    assert_eq!(other.ok(&["apikeys", "list"]), "No API keys are defined.\n");
}

#[test]
fn a_key_comes_from_the_environment_and_goes_with_it() {
    let bench = Bench::new();
    let serve = |key: &str| {
        let mut command = bench.command(&["serve", "--address=127.0.0.1:0", "--json"]);
        let mut serving = Serving::spawn(command.env("HAYLOFT_ADMIN_KEY", key));
        let mut line = String::new();
        serving.out.read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        (serving, told["url"].as_str().unwrap().to_owned())
    };
    let list = |url: &str, key: &str| {
        Bench::new().run(&["apikeys", "list", "--source", url, "--api-key", key]).status
    };
    let (one, other) = ("first-key-of-the-operator", "second-key-of-the-operator");
    for _ in 0..2 {
        let (serving, url) = serve(one);
        assert_eq!((list(&url, one), list(&url, other)), (0, 1));
        assert_eq!(serving.stop().0, 0);
    }
    let (serving, url) = serve(other);
    assert_eq!((list(&url, one), list(&url, other)), (1, 0), "the old one is gone");
    let keys = bench.path("keys");
    let listed = Bench::new().json(&["apikeys", "list", "--source", &url, "--api-key", other]);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed} {}", keys.display());
    assert_eq!(serving.stop().0, 0);
    let weak = bench
        .command(&["serve", "--address=127.0.0.1:0"])
        .env("HAYLOFT_ADMIN_KEY", "weak")
        .output();
    let weak = weak.unwrap();
    assert_eq!(weak.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&weak.stderr).starts_with("HAYLOFT_ADMIN_KEY holds no key"),
        "{weak:?}"
    );
}

#[test]
fn a_lost_key_is_replaced_on_the_machine_itself() {
    let bench = Bench::new();
    let (serving, told) = Serving::told(&bench, &[]);
    let lost = key(&bench);
    let url = told["url"].as_str().unwrap();
    let said = bench.misused(&["apikeys", "reset-admin", "--source", url]);
    assert!(said.starts_with("--source error: "), "{said}");
    // The server that holds the store does it, and knows the new key at once.
    let lists = |key: &str| {
        Bench::new().run(&["apikeys", "list", "--source", url, "--api-key", key]).status
    };
    assert_eq!(lists(&lost), 0);
    let served = bench.ok(&["apikeys", "reset-admin"]);
    assert_eq!((lists(&lost), lists(served.trim())), (1, 0));
    bench.ok(&["apikeys", "reset-admin", "--admin-key-file=key"]);
    assert_eq!((lists(served.trim()), lists(&key(&bench))), (1, 0));
    assert_eq!(serving.stop().0, 0);
    let new = bench.ok(&["apikeys", "reset-admin"]);
    assert_eq!(new.lines().count(), 1, "only the text of the key: {new}");
    bench.ok(&["apikeys", "reset-admin", "--admin-key-file=key"]);
    assert_eq!(bench.json(&["apikeys", "list"]).as_array().unwrap().len(), 1);
    let (serving, told) = Serving::told(&bench, &[]);
    let url = told["url"].as_str().unwrap();
    let status = |key: &str| {
        Bench::new().run(&["apikeys", "list", "--source", url, "--api-key", key]).status
    };
    assert_eq!((status(&lost), status(new.trim()), status(&key(&bench))), (1, 1, 0));
    assert_eq!(serving.stop().0, 0);
}

#[test]
fn a_terminal_is_told_the_key() {
    let bench = Bench::new();
    // The signal comes from the terminal, as Ctrl-C.
    let words = ["serve", "--address=127.0.0.1:0"];
    let Some((status, said)) = bench.on_terminal_until(&words, "Stop with Ctrl-C.", "\u{3}") else {
        return;
    };
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("Key for administration, shown this once:\n  hl_"), "{said}");
    assert!(said.contains("  hayloft sources add http://127.0.0.1:"), "{said}");
}

#[test]
fn a_hang_up_reads_the_certificate_again_and_ends_nothing() {
    let bench = Bench::new();
    let issue = || {
        let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(bench.path("a.pem"), issued.cert.pem()).unwrap();
        fs::write(bench.path("a.key"), issued.signing_key.serialize_pem()).unwrap();
    };
    issue();
    let (mut serving, told) = Serving::told(&bench, &["--tls-cert=a.pem", "--tls-key=a.key"]);
    let url = told["url"].as_str().unwrap().replace("127.0.0.1", "localhost");
    let trusts = |file: &str| {
        let health = bench
            .command(&["health", "--source", &url])
            .env("SSL_CERT_FILE", bench.path(file))
            .output();
        health.unwrap().status.success()
    };
    fs::copy(bench.path("a.pem"), bench.path("old.pem")).unwrap();
    let hang_up = |serving: &Serving| {
        let id = serving.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    };
    // Half of a new pair: the old certificate stays.
    fs::write(bench.path("a.key"), "no key").unwrap();
    hang_up(&serving);
    assert!(trusts("old.pem"));
    issue();
    hang_up(&serving);
    for _ in 0..100 {
        if trusts("a.pem") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(trusts("a.pem") && !trusts("old.pem"));
    assert!(serving.child.try_wait().unwrap().is_none());
    let (status, errors) = serving.stop();
    assert_eq!(status, 0, "{errors}");
    assert!(errors.contains("the certificate was not read again"), "{errors}");

    let (mut serving, _) = Serving::told(&Bench::new(), &[]);
    hang_up(&serving);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(serving.child.try_wait().unwrap().is_none(), "a hang-up ends no server");
    assert_eq!(serving.stop().0, 0);
}

#[test]
fn no_store_is_made_where_nothing_can_be_served() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let bench = Bench::new();
    let words = ["serve", "--address", &address];
    let said = bench.fails(&words);
    assert!(said.starts_with(&format!("cannot listen on {address}: ")), "{said}");
    assert!(bench.hints(&words).contains("another program has this port"));
    assert!(!bench.path("hayloft-data").exists());
}

#[test]
fn ports_and_names_are_addresses() {
    for address in ["0", "localhost:0", ":0", "[::1]:0"] {
        let bench = Bench::new();
        let mut command = bench.command(&["serve", "--json", "--address", address]);
        let mut serving = Serving::spawn(&mut command);
        let mut line = String::new();
        serving.out.read_line(&mut line).unwrap();
        if line.is_empty() && address.starts_with('[') {
            eprintln!("skipped: this machine has no IPv6");
            continue;
        }
        let told: Value = serde_json::from_str(&line).unwrap();
        let url = told["url"].as_str().unwrap();
        assert!(Bench::new().ok(&["health", "--source", url]).contains("all OK"), "{url}");
        assert_eq!(serving.stop().0, 0);
    }
}

#[test]
fn files_of_a_store_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    fn walk(path: &std::path::Path, seen: &mut usize) {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} {mode:o}", path.display());
        *seen += 1;
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                walk(&entry.unwrap().path(), seen);
            }
        }
    }
    let bench = Bench::with_feeds();
    let package = hayloft_testkit::upack("", "big", "1.0.0").payload(100_000);
    fs::write(bench.path("big.upack"), package.build()).unwrap();
    bench.ok(&["packages", "upload", "dev", "big.upack"]);
    let (serving, _) = Serving::told(&bench, &[]);
    let mut seen = 0;
    walk(&bench.path("hayloft-data"), &mut seen);
    assert!(seen > 8, "{seen}");
    assert_eq!(serving.stop().0, 0);
    walk(&bench.path("hayloft-data"), &mut seen);
}

/// What service managers of the kind of systemd hear.
#[cfg(target_os = "linux")]
#[test]
fn a_service_manager_is_told_what_the_server_does() {
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    let bench = Bench::new();
    let path = bench.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let hear = || {
        let mut text = [0; 1000];
        let length = manager.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    let words = ["serve", "--address=127.0.0.1:0", "--json"];
    let serving = Serving::spawn(bench.command(&words).env("NOTIFY_SOCKET", &path));
    assert_eq!(hear(), "READY=1\n");
    let id = serving.child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    let said = hear();
    assert!(said.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{said}");
    assert_eq!(hear(), "READY=1\n");
    assert_eq!(serving.stop().0, 0);
    assert_eq!(hear(), "STOPPING=1\n");
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_of_the_service_manager_is_served() {
    let found =
        Command::new("systemd-socket-activate").arg("--version").stdout(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no `systemd-socket-activate` on this machine");
        return;
    }
    let bench = Bench::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hayloft = bench.command(&["serve", "--json", "--address=127.0.0.1:1"]);
    let mut command = Command::new("systemd-socket-activate");
    command.arg(format!("--listen={free}")).arg(hayloft.get_program()).args(hayloft.get_args());
    command.current_dir(bench.path("")).env_remove("HAYLOFT_STORE");
    let mut serving = Serving::spawn(&mut command);
    // It starts the server when the first client comes, who waits meanwhile.
    let url = format!("http://{free}");
    let health = || Bench::new().run(&["health", "--source", &url]);
    let mut run = health();
    for _ in 0..100 {
        if run.status == 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        run = health();
    }
    assert!(run.text().contains("all OK"), "{run:?}");
    let mut line = String::new();
    serving.out.read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(told["url"], url, "the socket wins over the address");
    assert_eq!(serving.stop().0, 0);
}

/// The README's way: a server in one terminal, commands in another.
#[test]
fn a_server_can_be_kept_as_the_default_source() {
    let bench = Bench::new();
    let (serving, _) = Serving::told(&bench, &["--save-source", "--store=elsewhere"]);
    bench.ok(&["feeds", "create", "dev", "universal"]);
    bench.upload("dev", "tools", "1.0.0");
    assert_eq!(bench.ok(&["packages", "list", "dev"]), "tools 1.0.0\n");
    assert!(!bench.path("hayloft-data").exists(), "commands went to the server");
    assert_eq!(serving.stop().0, 0);
    let sources = bench.ok(&["sources", "list"]);
    // A second one is not put in its place.
    let (serving, _) = Serving::told(&bench, &["--save-source", "--store=another"]);
    assert_eq!(bench.ok(&["sources", "list"]), sources);
    assert!(serving.stop().1.contains("No source was saved: Default is http://127.0.0.1"));
}

/// A service has no terminal; its first key is in the source alone, and nowhere in its log.
#[test]
fn without_a_terminal_the_default_source_is_where_the_first_key_is() {
    let bench = Bench::new();
    let mut serving = Serving::start(&bench, &["--save-source"]);
    let said = serving.until("Stop with Ctrl-C");
    assert!(said.contains("it is the source Default now"), "{said}");
    bench.ok(&["feeds", "create", "dev", "universal"]);
    let list = bench.ok(&["apikeys", "list"]);
    assert!(list.starts_with("admin\n"), "{list}");
    let (status, errors) = serving.stop();
    assert_eq!(status, 0, "{errors}");
    assert!(!errors.contains("No source was saved"), "{errors}");
    for text in [said, errors] {
        assert!(!text.contains("hl_"), "a key is in the log: {text}");
    }
    // The store has a key now, of which another person knows nothing.
    bench.ok(&["sources", "remove", "Default"]);
    let mut serving = Serving::start(&bench, &["--save-source"]);
    serving.until("Stop with Ctrl-C");
    let (_, errors) = serving.stop();
    assert!(errors.contains("hayloft sources add http://127.0.0.1"), "{errors}");
    assert_eq!(bench.ok(&["sources", "list"]), "No sources configured.\n");
}

/// The variable holds a key that a source can use.
#[test]
fn a_given_key_is_kept_in_the_default_source() {
    let bench = Bench::new();
    let mut command = bench.command(&["serve", "--address=127.0.0.1:0", "--save-source"]);
    command.env("HAYLOFT_ADMIN_KEY", "a-key-of-the-operator-0123456789");
    let mut serving = Serving::spawn(&mut command);
    serving.until("Stop with Ctrl-C");
    bench.ok(&["feeds", "create", "dev", "universal"]);
    assert_eq!(serving.stop().0, 0);
}
