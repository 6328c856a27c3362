use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use fs_err as fs;
use rustls::CertificateError;
use ureq::http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, DATE, LOCATION, WARNING,
};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, SendBody, http};

use super::answer::{self, Origin};
use super::{Answer, Payload, Request, Transport};
use crate::failure::Failure;

/// Until a connection stands, and until an answer begins; bodies may take as long as they move.
const CONNECT: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(100);

/// A server.
pub(crate) struct Remote {
    agent: Agent,
    /// Ends in a slash.
    base: String,
    key: Option<String>,
}

impl Remote {
    /// `base` may have a path, that of a socket file behind a colon; the key goes into the header that all servers of this API know.
    pub(crate) fn new(base: &str, key: Option<String>) -> Result<Self, Failure> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // The key is for this server, and a redirect may name any other.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .user_agent(concat!("hayloft/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .tls_config(TlsConfig::builder().root_certs(authorities()?).build())
            .build();
        if let Some(path) = base.strip_prefix("unix:") {
            let (path, below) = path.rsplit_once(":/").unwrap_or((path, ""));
            let below = below.trim_end_matches('/');
            let slash = if below.is_empty() { "" } else { "/" };
            let base = format!("{LOCAL}{below}{slash}");
            return Ok(Self { agent: to_file(config, path)?, base, key });
        }
        let base = format!("{}/", base.trim_end_matches('/'));
        Ok(Self { agent: config.new_agent(), base, key })
    }
}

/// What a server behind a socket file is called in requests; its base path follows.
const LOCAL: &str = "http://127.0.0.1/";

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have no socket files")]
fn to_file(config: ureq::config::Config, path: &str) -> Result<Agent, Failure> {
    let resolver = ureq::unversioned::resolver::DefaultResolver::default();
    Ok(Agent::with_parts(config, super::socket_file::ToFile(path.into()), resolver))
}

#[cfg(not(unix))]
fn to_file(_: ureq::config::Config, _: &str) -> Result<Agent, Failure> {
    Err(Failure::option("source", "this system has no socket files"))
}

/// Mozilla's list; the file that `SSL_CERT_FILE` names takes its place, for servers with a
/// certificate of their own.
fn authorities() -> Result<RootCerts, Failure> {
    let Some(path) = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) else {
        return Ok(RootCerts::WebPki);
    };
    let text = fs::read(&path).map_err(Failure::io("read the certificates of SSL_CERT_FILE"))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(told)? {
            certificates.push(certificate);
        }
    }
    Ok(RootCerts::Specific(Arc::new(certificates)))
}

impl Transport for Remote {
    fn send(&self, request: Request) -> Result<Answer, Failure> {
        let url = format!("{}{}", self.base, request.target.as_str());
        let mut head = http::Request::builder().method(request.method.name()).uri(&url);
        if let Some(key) = &self.key {
            head = head.header("X-ApiKey", key);
        }
        let response = match request.payload {
            Payload::Nothing => self.agent.run(head.body(()).map_err(invalid(&url))?),
            Payload::Json(bytes) => {
                head = head.header(CONTENT_TYPE, "application/json; charset=utf-8");
                self.agent.run(head.body(bytes).map_err(invalid(&url))?)
            }
            Payload::File { content, length } => {
                if let Some(length) = length {
                    head = head.header(CONTENT_LENGTH, length);
                }
                let body = SendBody::from_owned_reader(content);
                self.agent.run(head.body(body).map_err(invalid(&url))?)
            }
        };
        let response = response.map_err(|error| {
            let advice = advice(&error, &self.base);
            let failure = match tls(&error).and_then(fault) {
                Some(fault) => in_words(error, fault),
                None => told(error),
            };
            match advice {
                Some(advice) => failure.advise(advice),
                None => failure,
            }
        })?;
        let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let status = response.status();
        if status.is_redirection() && status != http::StatusCode::NOT_MODIFIED {
            return Err(Failure::Redirect { status: status.as_u16(), to: header(LOCATION) });
        }
        Ok(Answer {
            from: Origin::Server,
            status: status.as_u16(),
            disposition: header(CONTENT_DISPOSITION),
            warning: header(WARNING).and_then(|text| answer::warning(&text)),
            date: header(DATE),
            is_of_this_api: response.headers().contains_key("x-proget-version"),
            length: header(CONTENT_LENGTH).and_then(|text| text.parse().ok()),
            body: Box::new(unlimited(response)),
        })
    }
}

/// Lists and packages may be of any size; what is read into memory has limits of its own.
fn unlimited(response: http::Response<ureq::Body>) -> impl Read + Send {
    response.into_body().into_with_config().limit(u64::MAX).reader()
}

fn invalid(url: &str) -> impl FnOnce(http::Error) -> Failure {
    let context = format!("`{}` or its key cannot be sent", hayloft::feed_type::shorten(url));
    move |error| Failure::Other(anyhow::Error::new(error).context(context))
}

const NOT_ASKED: &str = "the server cannot be asked";

fn told(error: ureq::Error) -> Failure {
    Failure::Other(anyhow::Error::new(error).context(NOT_ASKED))
}

/// What is wrong as people say it, before what the library says.
fn in_words(error: ureq::Error, fault: &'static str) -> Failure {
    Failure::Other(anyhow::Error::new(error).context(fault).context(NOT_ASKED))
}

const UNKNOWN_HOST: &str = "no computer of this name is known here; is the URL spelled right?";

/// What TLS says of a connection that failed.
fn tls(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// What people can do about it. Libraries tell how a connection failed, not what that means.
fn advice(error: &ureq::Error, base: &str) -> Option<&'static str> {
    use std::io::ErrorKind;

    match tls(error) {
        Some(rustls::Error::InvalidCertificate(fault)) => return of_certificate(fault),
        Some(rustls::Error::InvalidMessage(_)) => return Some(other_protocol(base)),
        Some(_) => return None,
        None => {}
    }
    match error {
        ureq::Error::Io(error) => match error.kind() {
            // Without the file of a socket, too.
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => {
                Some("nothing listens there; is the server running?")
            }
            ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => Some(other_protocol(base)),
            // The library of the system has no kind of error for it.
            _ if error.to_string().starts_with("failed to lookup address") => Some(UNKNOWN_HOST),
            _ => None,
        },
        ureq::Error::Protocol(_) => Some(other_protocol(base)),
        ureq::Error::HostNotFound => Some(UNKNOWN_HOST),
        ureq::Error::Timeout(_) => {
            Some("the server is too slow, or something on the way drops packets")
        }
        _ => None,
    }
}

/// What answers does not speak the protocol of the URL.
fn other_protocol(base: &str) -> &'static str {
    if base.starts_with("https") {
        "the server does not seem to speak TLS there; does its URL begin with http://?"
    } else {
        "the server does not seem to speak plain HTTP there; does its URL begin with https://?"
    }
}

fn fault(error: &rustls::Error) -> Option<&'static str> {
    Some(match error {
        rustls::Error::InvalidMessage(_) => "what answers there does not speak TLS",
        rustls::Error::InvalidCertificate(fault) => match fault {
            CertificateError::UnknownIssuer => {
                "nobody whom this machine trusts has signed the server's certificate"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another name than that in the URL"
            }
            _ => "the server's certificate is not valid",
        },
        _ => return None,
    })
}

fn of_certificate(fault: &CertificateError) -> Option<&'static str> {
    match fault {
        CertificateError::UnknownIssuer => {
            Some("if it is your own, name its file in SSL_CERT_FILE")
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            Some("if it is in order, the clock of this machine is wrong")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some("name the server as its certificate does")
        }
        // As an authority, but shown by a server: what openssl makes without options.
        CertificateError::Other(_) => {
            Some("it may be one of an authority, which no server may show")
        }
        _ => None,
    }
}
