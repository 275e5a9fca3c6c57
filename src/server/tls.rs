//! Certificate and key files into what a listener speaks TLS with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::model::{Classify, Kind};

const CERTIFICATE: &str = "server.tls_certificate";
const KEY: &str = "server.tls_key";

/// Why TLS cannot be spoken; every message names the setting and the file. The key's content is in none of them.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read the file of `{setting}`, `{}`: {source}", .path.display())]
    Read { setting: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the file of `{setting}`, `{}`, is not valid PEM: {reason}", .path.display())]
    Pem { setting: &'static str, path: PathBuf, reason: &'static str },
    #[error("the file of `{setting}`, `{}`, holds no {wanted}", .path.display())]
    Missing { setting: &'static str, path: PathBuf, wanted: &'static str },
    #[error("the certificate in the file of `server.tls_certificate`, `{}`, cannot be used: {source}", .path.display())]
    Certificate { path: PathBuf, source: rustls::Error },
    #[error("the private key in the file of `server.tls_key`, `{}`, cannot be used: {source}", .path.display())]
    Key { path: PathBuf, source: rustls::Error },
    #[error(
        "the private key of `server.tls_key`, `{}`, does not belong to the first certificate of `server.tls_certificate`, `{}`",
        .key.display(), .certificate.display()
    )]
    Mismatch { certificate: PathBuf, key: PathBuf },
}

impl Classify for TlsError {
    fn kind(&self) -> Kind {
        match self {
            TlsError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Kind::NotFound,
            TlsError::Read { .. } => Kind::Unavailable,
            _ => Kind::Invalid,
        }
    }
}

/// Reads a certificate chain (the server's own certificate first) and its private key, both PEM.
///
/// Clients are not asked for certificates; HTTP/1.1 is the only protocol on offer; TLS 1.2 and 1.3.
pub fn server_config(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let chain = read_chain(certificate)?;
    let private_key = read_key(key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider offers suites for the default versions")
        .with_no_client_auth()
        .with_single_cert(chain, private_key)
        .map_err(|source| refusal(certificate, key, source))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(CERTIFICATE, path)?;
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| not_pem(CERTIFICATE, path, &error))?;
    if chain.is_empty() {
        return Err(TlsError::Missing { setting: CERTIFICATE, path: path.into(), wanted: "certificate" });
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(KEY, path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let encrypted = text.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED);
            let wanted = if encrypted { "private key but an encrypted one; decrypt it first" } else { "private key" };
            TlsError::Missing { setting: KEY, path: path.into(), wanted }
        }
        error => not_pem(KEY, path, &error),
    })
}

const ENCRYPTED: &[u8] = b"BEGIN ENCRYPTED PRIVATE KEY";

fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { setting, path: path.into(), source })
}

/// The library's own messages quote the broken line, which may be a piece of the key.
fn not_pem(setting: &'static str, path: &Path, error: &pem::Error) -> TlsError {
    let reason = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "a section is not base64",
        pem::Error::SectionTooLarge => "a section is too large",
        _ => "it cannot be decoded",
    };
    TlsError::Pem { setting, path: path.into(), reason }
}

fn refusal(certificate: &Path, key: &Path, error: rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => TlsError::Mismatch { certificate: certificate.into(), key: key.into() },
        source @ rustls::Error::InvalidCertificate(_) => TlsError::Certificate { path: certificate.into(), source },
        source => TlsError::Key { path: key.into(), source },
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};
    use tempfile::TempDir;

    use super::*;

    /// A certificate for `localhost` and its key, as PEM.
    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn load(certificate: &str, key: &str) -> Result<ServerConfig, TlsError> {
        let folder = TempDir::new().unwrap();
        let path = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        server_config(&path("c.pem", certificate), &path("k.pem", key))
    }

    #[test]
    fn a_client_that_trusts_the_certificate_gets_through() {
        let (certificate, key) = pair();
        let server = load(&certificate, &key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
        let mut client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        client.writer().write_all(b"ping").unwrap();
        for _ in 0..4 {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets().unwrap();
        }
        let mut received = [0; 4];
        server.reader().read_exact(&mut received).unwrap();
        assert_eq!(&received, b"ping");
        assert_eq!(server.alpn_protocol(), Some(&b"http/1.1"[..]));
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said() {
        let (certificate, key) = pair();
        let (_, other_key) = pair();
        let check = |certificate: &str, key: &str, expected: &[&str]| {
            let message = load(certificate, key).expect_err(&format!("should be refused: {expected:?}")).to_string();
            for part in expected {
                assert!(message.contains(part), "no `{part}` in: {message}");
            }
        };
        check(&certificate, &other_key, &["`server.tls_key`", "k.pem", "does not belong", "c.pem"]);
        check(&key, &key, &["`server.tls_certificate`", "c.pem", "holds no certificate"]);
        check("", &key, &["`server.tls_certificate`", "holds no certificate"]);
        check(&certificate, &certificate, &["`server.tls_key`", "k.pem", "holds no private key"]);
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        check(&certificate, &encrypted, &["`server.tls_key`", "decrypt it first"]);
        let cut = &certificate[..certificate.len() / 2];
        check(cut, &key, &["`server.tls_certificate`", "no END line"]);
        check(&certificate, &key.replace("MI", "M!"), &["`server.tls_key`", "not base64"]);
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        check(nonsense, &key, &["`server.tls_certificate`", "cannot be used"]);
        let nonsense = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        check(&certificate, nonsense, &["`server.tls_key`", "cannot be used"]);
    }

    #[test]
    fn a_missing_file_is_named_with_its_setting() {
        let error = server_config(Path::new("/nowhere/c.pem"), Path::new("/nowhere/k.pem")).unwrap_err();
        assert!(error.to_string().starts_with("cannot read the file of `server.tls_certificate`, `/nowhere/c.pem`"));
        assert_eq!(error.kind(), Kind::NotFound);
    }
}
