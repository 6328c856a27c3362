use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::failure::Failure;

/// What rustls needs of a certificate chain and its key, both files in PEM.
pub(super) fn configuration(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, Failure> {
    let unreadable = |path: &Path| format!("`{}` cannot be used for TLS", path.display());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| anyhow::Error::new(error).context(unreadable(certificate)))?;
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| anyhow::Error::new(error).context(unreadable(key)))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut configuration = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(anyhow::Error::new)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| anyhow::Error::new(error).context(unreadable(certificate)))?;
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(configuration))
}
