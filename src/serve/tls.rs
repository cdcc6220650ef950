//! The certificate that we serve with, read again when its files change.

use std::fs;
use std::sync::Arc;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tracing::{error, info};

use super::settings::TlsFiles;

/// The certificate in use.
pub(super) struct Certificate {
    files: TlsFiles,
    config: RustlsConfig,
    /// What the files held when they were last looked at.
    held: Option<(Vec<u8>, Vec<u8>)>,
}

/// Reads certificate and key.
///
/// # Errors
/// Returns in words what is wrong, without what the files hold.
pub(super) fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>, String> {
    let (cert, key) = bytes(files)?;
    config(&cert, &key)
}

fn bytes(files: &TlsFiles) -> Result<(Vec<u8>, Vec<u8>), String> {
    let read = |path: &std::path::Path, what| {
        fs::read(path).map_err(|error| format!("the file of `{what}` can't be read: {error}"))
    };
    Ok((read(&files.cert, "cert")?, read(&files.key, "key")?))
}

fn config(cert: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, String> {
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(cert).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or("`cert` holds no certificate in PEM")?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "`key` holds no private key in PEM")?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|_| "`key` is not the private key of `cert`")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

// === impl Certificate ===

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// Returns in words what is wrong.
    pub(super) fn new(files: TlsFiles) -> Result<Self, String> {
        let held = bytes(&files)?;
        let config = RustlsConfig::from_config(config(&held.0, &held.1)?);
        Ok(Self { files, config, held: Some(held) })
    }

    pub(super) fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    pub(super) fn files(&self) -> [std::path::PathBuf; 2] {
        [self.files.cert.clone(), self.files.key.clone()]
    }

    /// Reads the files again; new connections get what they hold. What can't be used changes nothing.
    pub(super) fn refresh(&mut self) {
        let found = bytes(&self.files).ok();
        if found == self.held {
            return;
        }
        let made = bytes(&self.files).and_then(|(cert, key)| config(&cert, &key));
        match made {
            Ok(config) => {
                self.config.reload_from_config(config);
                info!("The certificate was read again; new connections get it.");
            }
            Err(why) => error!(why, "The new certificate can't be used; the previous one stays."),
        }
        self.held = found;
    }
}
