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
        let response = response.map_err(|error| match advice(&error, &self.base) {
            Some(advice) => told(error).advise(advice),
            None => told(error),
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

fn told(error: ureq::Error) -> Failure {
    Failure::Other(anyhow::Error::new(error).context("the server cannot be asked"))
}

const UNKNOWN_HOST: &str = "no computer of this name is known here; is the URL spelled right?";

/// What people can do about it. Libraries tell how a connection failed, not what that means.
fn advice(error: &ureq::Error, base: &str) -> Option<&'static str> {
    use std::io::ErrorKind;

    let tls = match error {
        ureq::Error::Rustls(error) => error,
        ureq::Error::Io(error) => {
            let kind = error.kind();
            match error.get_ref().and_then(|cause| cause.downcast_ref()) {
                Some(error) => error,
                None if kind == ErrorKind::ConnectionRefused => {
                    return Some("nothing listens there; is the server running?");
                }
                None if matches!(kind, ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => {
                    return Some(other_protocol(base));
                }
                // The library of the system has no kind of error for it.
                None if error.to_string().starts_with("failed to lookup address") => {
                    return Some(UNKNOWN_HOST);
                }
                None => return None,
            }
        }
        ureq::Error::Protocol(_) => return Some(other_protocol(base)),
        ureq::Error::HostNotFound => return Some(UNKNOWN_HOST),
        ureq::Error::Timeout(_) => {
            return Some("the server is too slow, or something on the way drops packets");
        }
        _ => return None,
    };
    match tls {
        rustls::Error::InvalidCertificate(fault) => Some(of_certificate(fault)),
        rustls::Error::InvalidMessage(_) => Some(other_protocol(base)),
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

fn of_certificate(fault: &CertificateError) -> &'static str {
    match fault {
        CertificateError::UnknownIssuer => {
            "nobody whom this machine trusts has signed the server's certificate; if it is your \
             own, name its file in SSL_CERT_FILE"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired, or the clock of this machine is wrong"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet, or the clock of this machine is wrong"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name than that in the URL"
        }
        // As an authority, but shown by a server: what openssl makes without options.
        CertificateError::Other(_) => {
            "the server's certificate may be one of an authority, which no server may show"
        }
        _ => "the server's certificate is not valid",
    }
}
