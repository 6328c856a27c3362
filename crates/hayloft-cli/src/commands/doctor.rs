//! `hayloft doctor`: whether this machine gets at a server, and what to do if not.

mod clients;
mod download;

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use hayloft_http::wire::FeedObject;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde::Serialize;

use super::{API_KEY, FEED, PASSWORD, SOURCE, USERNAME};
use crate::arguments::{Command, Invocation, Word};
use crate::connection::{Answer, Connection, Method, Payload, Place, Request, Target, parse};
use crate::console::{Color, Console};
use crate::failure::Failure;
use crate::kinds;

pub(super) const COMMAND: Command = Command::action(
    "doctor",
    "Checks from here whether a server can be used, and tells what to do",
    &[SOURCE, API_KEY, USERNAME, PASSWORD, FEED],
    doctor,
)
.words(&[Word::Value("source")])
.examples(&["hayloft doctor", "hayloft doctor https://packages.example.com --api-key=KEY"]);

/// Feeds out of which a package is fetched, if none is named.
const DOWNLOADS: usize = 5;
/// Clocks further apart than this break signatures and certificates.
const SKEW: i64 = 60;
const CONNECT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Good,
    /// Worth knowing, and nobody has to do anything.
    Note,
    Bad,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    outcome: Outcome,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// What was found so far; told at once, for some checks take their time.
struct Findings<'a> {
    console: &'a mut Console,
    all: Vec<Finding>,
}

impl Findings<'_> {
    fn tell(
        &mut self,
        check: &'static str,
        outcome: Outcome,
        text: impl Into<String>,
        advice: Option<String>,
    ) -> Result<(), Failure> {
        let text = text.into();
        let (mark, color) = match outcome {
            Outcome::Good => ("ok  ", Color::Green),
            Outcome::Note => ("note", Color::Yellow),
            Outcome::Bad => ("BAD ", Color::Red),
        };
        self.console.colored(color, format_args!("{mark} {check}: {text}"))?;
        if let Some(advice) = &advice {
            self.console.line(format_args!("     {advice}"))?;
        }
        self.all.push(Finding { check, outcome, text, advice });
        Ok(())
    }

    fn good(&mut self, check: &'static str, text: impl Into<String>) -> Result<(), Failure> {
        self.tell(check, Outcome::Good, text, None)
    }

    fn note(&mut self, check: &'static str, text: impl Into<String>) -> Result<(), Failure> {
        self.tell(check, Outcome::Note, text, None)
    }

    fn bad(
        &mut self,
        check: &'static str,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) -> Result<(), Failure> {
        self.tell(check, Outcome::Bad, text, Some(advice.into()))
    }

    fn failed(&mut self, check: &'static str, failure: &Failure) -> Result<(), Failure> {
        let advice = failure.advice().join("; ");
        let advice = (!advice.is_empty()).then_some(advice);
        self.tell(check, Outcome::Bad, failure.to_string(), advice)
    }
}

fn doctor(invocation: &Invocation, console: &mut Console) -> Result<(), Failure> {
    let place = crate::connection::place(invocation)?;
    let Place::Server { url, key, .. } = &place else {
        let failure =
            Failure::option("source", "no server is named, and there is no source Default");
        return Err(failure.advise("name a URL, or keep one with hayloft sources add"));
    };
    let (url, has_key) = (url.trim_end_matches('/').to_owned(), key.is_some());
    let connection = Connection::to(place, console)?;
    let mut findings = Findings { console, all: Vec::new() };
    examine(&mut findings, &connection, invocation, &url, has_key)?;
    let Findings { console, all } = findings;
    let bad = all.iter().filter(|finding| finding.outcome == Outcome::Bad).count();
    console.value(&serde_json::json!({ "source": url, "healthy": bad == 0, "checks": all }))?;
    if bad == 0 {
        return console.say(format_args!("{url} can be used from here."));
    }
    console.error(format_args!("{bad} checks failed."));
    Err(Failure::Told)
}

/// From the outside in; what needs a server that answers is left out where none does.
fn examine(
    findings: &mut Findings<'_>,
    connection: &Connection,
    invocation: &Invocation,
    url: &str,
    has_key: bool,
) -> Result<(), Failure> {
    proxy(findings, url)?;
    if !reach(findings, url)? {
        return Ok(());
    }
    let Some(answer) = ask(findings, "http", connection, Target::new(&["health"]))? else {
        return Ok(());
    };
    let date = answer.date.clone();
    encryption(findings, url)?;
    clock(findings, date.as_deref())?;
    if !health(findings, answer)? {
        return Ok(());
    }
    ready(findings, connection)?;
    let Some(feeds) = rights(findings, connection, has_key)? else { return Ok(()) };
    let feeds: Vec<(String, String)> = feeds
        .into_iter()
        .map(|feed| (feed.name.unwrap_or_default(), feed.feed_type.unwrap_or_default()))
        .collect();
    let wanted = invocation.text("feed");
    let mut found = 0;
    for (name, tag) in &feeds {
        if wanted.is_some_and(|wanted| !wanted.eq_ignore_ascii_case(name)) {
            continue;
        }
        found += 1;
        protocol(findings, connection, name, tag)?;
        if found <= DOWNLOADS {
            download::check(findings, connection, name)?;
        }
    }
    clients::check(findings, url, &feeds)?;
    match wanted {
        Some(wanted) if found == 0 => findings.bad(
            "feed",
            format!("there is no feed {wanted} that may be seen"),
            "hayloft feeds list shows those that may; is the key one for this feed?",
        ),
        _ => Ok(()),
    }
}

/// Sends a request; a failure to get any answer is told under `check`.
fn ask(
    findings: &mut Findings<'_>,
    check: &'static str,
    connection: &Connection,
    target: Target,
) -> Result<Option<Answer>, Failure> {
    let request = Request { method: Method::Get, target, payload: Payload::Nothing };
    match connection.send_unchecked(request) {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) => {
            findings.failed(check, &failure)?;
            Ok(None)
        }
    }
}

fn proxy(findings: &mut Findings<'_>, url: &str) -> Result<(), Failure> {
    let scheme = url.split("://").next().unwrap_or_default().to_ascii_lowercase();
    let names = [format!("{scheme}_proxy"), "all_proxy".to_owned()];
    let spelled = names.iter().flat_map(|name| [name.clone(), name.to_ascii_uppercase()]);
    for name in spelled {
        if let Some(value) = std::env::var_os(&name).filter(|value| !value.is_empty()) {
            // It may hold a password.
            let value = value.to_string_lossy().into_owned();
            let place = value.rsplit_once('@').map_or(value.as_str(), |(_, place)| place);
            let text = format!("{name} sends requests by {place}, unless NO_PROXY names the host");
            return findings.note("proxy", text);
        }
    }
    findings.good("proxy", "no variable names one")
}

/// Whether the name is known and something listens; not where a proxy stands between.
fn reach(findings: &mut Findings<'_>, url: &str) -> Result<bool, Failure> {
    const CHECK: &str = "network";
    if url.starts_with("unix:") || findings.all.iter().any(|it| it.outcome == Outcome::Note) {
        return Ok(true);
    }
    let Ok(uri) = url.parse::<axum::http::Uri>() else {
        findings.bad(CHECK, "the URL cannot be read", "is it spelled right?")?;
        return Ok(false);
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let addresses: Vec<_> = match (host.as_str(), port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            let advice = "is the URL spelled right, and does this machine have a name server?";
            findings.bad(CHECK, format!("the name {host} is not known: {error}"), advice)?;
            return Ok(false);
        }
    };
    let mut last = None;
    for address in &addresses {
        match TcpStream::connect_timeout(address, CONNECT) {
            Ok(_) => {
                findings.good(CHECK, format!("{host} is {address}, which answers"))?;
                return Ok(true);
            }
            Err(error) => last = Some((address, error)),
        }
    }
    let (address, error) = match last {
        Some((address, error)) => (address.to_string(), error.to_string()),
        None => (host, "it has no address".to_owned()),
    };
    let advice = "is the server running, is this its port, and does a firewall let you through?";
    findings.bad(CHECK, format!("{address} does not answer: {error}"), advice)?;
    Ok(false)
}

fn encryption(findings: &mut Findings<'_>, url: &str) -> Result<(), Failure> {
    let host = url.split("://").nth(1).unwrap_or_default();
    let near = ["localhost", "127.", "[::1]"].iter().any(|start| host.starts_with(start));
    match url.split("://").next() {
        Some("https") => findings.good("encryption", "TLS, with a certificate this machine trusts"),
        Some("http") if !near => {
            findings.note("encryption", "none: keys and packages travel in the clear")
        }
        _ => findings.good("encryption", "not needed, the server is on this machine"),
    }
}

fn clock(findings: &mut Findings<'_>, date: Option<&str>) -> Result<(), Failure> {
    let server = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
    let Some(server) = server else {
        return findings.note("clock", "the server does not tell its time");
    };
    let apart = server.as_second() - Timestamp::now().as_second();
    if apart.abs() <= SKEW {
        return findings.good("clock", "as the server's");
    }
    let (seconds, how) = (apart.abs(), if apart > 0 { "behind" } else { "ahead of" });
    findings.bad(
        "clock",
        format!("this machine is {seconds} s {how} the server"),
        "set the wrong one: certificates, signatures and keys end by the clock",
    )
}

fn health(findings: &mut Findings<'_>, answer: Answer) -> Result<bool, Failure> {
    const CHECK: &str = "server";
    let (status, text) = (answer.status, answer.text());
    let info: Option<hayloft_http::wire::HealthInfo> = text.ok().and_then(|text| parse(&text).ok());
    let Some(info) = info else {
        let advice = "the URL may be that of another program, or a path such as /packages is \
                      missing at its end";
        findings.bad(CHECK, format!("what answers with {status} is no such server"), advice)?;
        return Ok(false);
    };
    let own = env!("CARGO_PKG_VERSION");
    match &info.hayloft_version {
        Some(version) if version == own => findings.good(CHECK, format!("Hayloft {version}"))?,
        Some(version) => {
            findings.note(CHECK, format!("Hayloft {version}, and this command is {own}"))?;
        }
        None => {
            let name = info.application_name.as_deref().unwrap_or("unknown");
            findings.note(CHECK, format!("{name} {}, not Hayloft", info.release_number))?;
        }
    }
    for (what, status, detail) in [
        ("the store", &info.database_status, &info.database_status_details),
        ("the service", &info.service_status, &info.service_status_detail),
    ] {
        if status != "OK" {
            let detail = detail.as_deref().unwrap_or("it does not say why");
            let advice = "tell whoever operates the server; its log has the cause";
            findings.bad(CHECK, format!("{what} is not well: {detail}"), advice)?;
        }
    }
    Ok(true)
}

fn ready(findings: &mut Findings<'_>, connection: &Connection) -> Result<(), Failure> {
    let Some(answer) = ask(findings, "ready", connection, Target::new(&["readyz"]))? else {
        return Ok(());
    };
    match answer.status {
        200 => findings.good("ready", "requests are welcome"),
        503 => {
            let reason = answer.text().unwrap_or_default();
            findings.bad("ready", reason, "tell whoever operates the server, or wait")
        }
        // Servers that have no such question.
        _ => Ok(()),
    }
}

/// What the key opens; the feeds that may be seen.
fn rights(
    findings: &mut Findings<'_>,
    connection: &Connection,
    has_key: bool,
) -> Result<Option<Vec<FeedObject>>, Failure> {
    const CHECK: &str = "key";
    // Refused with a wrong key, while lists of feeds take that for none.
    let known = ask(findings, CHECK, connection, Target::new(&["api", "promotions", "list"]))?;
    let Some(known) = known else { return Ok(None) };
    if has_key && matches!(known.status, 401 | 403) {
        let advice = "it may have ended or been deleted; ask for another, and keep it with \
                      hayloft sources add";
        findings.bad(CHECK, "the server does not know it", advice)?;
        return Ok(None);
    }
    let target = Target::new(&["api", "management", "feeds", "list"]);
    let Some(answer) = ask(findings, CHECK, connection, target)? else { return Ok(None) };
    let feeds: Vec<FeedObject> = match answer.success().and_then(Answer::json) {
        Ok(feeds) => feeds,
        Err(failure) => {
            findings.failed(CHECK, &failure)?;
            return Ok(None);
        }
    };
    let mut may = Vec::new();
    for (path, right) in [
        (["api", "settings", "list"].as_slice(), "administer"),
        (&["api", "management", "connectors", "list"], "manage feeds"),
    ] {
        let answer = ask(findings, CHECK, connection, Target::new(path))?;
        if answer.is_some_and(|answer| answer.status == 200) {
            may.push(right.to_owned());
        }
    }
    may.push(match feeds.len() {
        1 => "see 1 feed".to_owned(),
        count => format!("see {count} feeds"),
    });
    let who = if has_key { "it may" } else { "there is none; without one you may" };
    let text = format!("{who} {}", may.join(", "));
    if feeds.is_empty() && may.len() == 1 {
        let advice = if has_key {
            "ask for a key with the permission view, or make a feed"
        } else {
            "name a key with --api-key"
        };
        findings.bad(CHECK, text, advice)?;
    } else {
        findings.good(CHECK, text)?;
    }
    Ok(Some(feeds))
}

/// Whether the feed's own clients get answers.
fn protocol(
    findings: &mut Findings<'_>,
    connection: &Connection,
    feed: &str,
    tag: &str,
) -> Result<(), Failure> {
    const CHECK: &str = "feed";
    let types = kinds::types();
    let Some(native) = types.get(tag).and_then(|feed_type| feed_type.native()) else {
        return findings.note(CHECK, format!("{feed}: nothing is known of clients for {tag}"));
    };
    let mut statuses = Vec::new();
    let mut ours = false;
    for sample in native.samples().iter().filter(|sample| sample.action.is_none()) {
        let target = Target::new(&[native.prefix(), feed]).below(&sample.path);
        let Some(answer) = ask(findings, CHECK, connection, target)? else { return Ok(()) };
        ours |= answer.is_of_this_api;
        statuses.push(answer.status);
        if answer.status == 200 {
            break;
        }
    }
    let refused = |status: &u16| matches!(status, 401 | 403);
    if statuses.contains(&200) {
        findings.good(CHECK, format!("{feed}: answers {tag} clients"))?;
    } else if !statuses.is_empty() && statuses.iter().all(refused) {
        let advice = "ask for a key that may view and download in it";
        findings.bad(CHECK, format!("{feed}: refuses {tag} clients"), advice)?;
    } else if ours {
        findings
            .good(CHECK, format!("{feed}: answers {tag} clients, and has nothing for them yet"))?;
    } else {
        let path = format!("/{}/{feed}", native.prefix());
        let advice = "a proxy in front of the server has to pass on all paths";
        findings.bad(CHECK, format!("{feed}: something else answers at {path}"), advice)?;
    }
    Ok(())
}
