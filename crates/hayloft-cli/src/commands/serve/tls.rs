use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use hayloft::Timestamp;
use hayloft_http::App;

use super::validity;
use crate::failure::Failure;

/// A certificate chain and its key, both files in PEM, which can be read again while a server
/// serves: certificates are renewed every few weeks.
#[derive(Debug)]
pub(super) struct Certificate {
    chain_file: PathBuf,
    key_file: PathBuf,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    pub(super) fn load(certificate: &Path, key: &Path) -> Result<Arc<Self>, Failure> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let current = RwLock::new(Arc::new(read(certificate, key, &provider)?));
        let (chain_file, key_file) = (certificate.to_owned(), key.to_owned());
        Ok(Arc::new(Self { chain_file, key_file, provider, current }))
    }

    /// Reads the files again; connections from now on get what they hold.
    pub(super) fn reload(&self) -> Result<(), Failure> {
        let read = read(&self.chain_file, &self.key_file, &self.provider)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(())
    }

    /// Tells monitors when the certificate ends.
    pub(super) fn tell(&self, app: &App) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let end = current.cert.first().and_then(|certificate| validity::end(certificate));
        if let Some(end) = end {
            app.certificate_ends(Timestamp::from_millis(end.as_millisecond()));
        } else {
            tracing::warn!("when the certificate ends cannot be told");
        }
    }

    /// What a server needs to speak TLS.
    pub(super) fn configuration(self: &Arc<Self>) -> Result<Arc<ServerConfig>, Failure> {
        let mut configuration = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(anyhow::Error::new)?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(configuration))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn read(
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Failure> {
    let unusable = |path: &Path| format!("`{}` cannot be used for TLS", path.display());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| anyhow::Error::new(error).context(unusable(certificate)))?;
    if chain.is_empty() {
        let text = format!("{}: there is no certificate in PEM in it", unusable(certificate));
        return Err(Failure::text(text));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| anyhow::Error::new(error).context(unusable(key)))?;
    let signing = provider
        .key_provider
        .load_private_key(private)
        .map_err(|error| anyhow::Error::new(error).context(unusable(key)))?;
    let read = CertifiedKey::new(chain, signing);
    match read.keys_match() {
        // The key does not tell its public half; a client will find out.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(read)
        }
        Err(error) => Err(Failure::Other(anyhow::Error::new(error).context(unusable(certificate)))),
    }
}
