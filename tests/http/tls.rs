//! TLS: on the listeners that are told to, with the files that were named, or no start at all.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use tempfile::TempDir;
use tidegate::config::Listener;

use super::wire::{Wire, get, post};
use crate::http_gate::{Gate, refused_start};

/// An authority, and a certificate for `localhost` that it signed, as files.
struct Papers {
    folder: TempDir,
    authority: CertificateDer<'static>,
}

impl Papers {
    fn new() -> Papers {
        let folder = TempDir::new().unwrap();
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = rcgen::Issuer::new(params, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["localhost".to_string()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        fs::write(folder.path().join("certificate.pem"), certificate.pem()).unwrap();
        fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        Papers { folder, authority: authority.der().clone() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn gate(&self) -> Gate {
        Gate::with(&[
            ("server.tls_certificate", &self.path("certificate.pem")),
            ("server.tls_key", &self.path("key.pem")),
            ("server.tls_listeners", "cnosdb,elasticsearch"),
        ])
    }

    fn client(
        &self,
        gate: &Gate,
        listener: Listener,
        name: &'static str,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connection = ClientConnection::new(Arc::new(config), ServerName::try_from(name).unwrap()).unwrap();
        Client(StreamOwned::new(connection, gate.connect(listener)))
    }
}

struct Client(StreamOwned<ClientConnection, TcpStream>);

#[test]
fn requests_are_served_over_both_versions_of_tls() {
    let papers = Papers::new();
    let gate = papers.gate();
    gate.create_database("d");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let Client(stream) = papers.client(&gate, Listener::Cnosdb, "localhost", &[version]);
        let mut wire = Wire::over(stream);
        wire.send(post("/write?db=d", &[], "m f=1 1"));
        wire.answer().expect(204);
        let wide = format!("select '{}' as x", "y".repeat(100_000));
        wire.send(post("/api/v1/sql?db=d", &[], &wide));
        assert_eq!(wire.answer().expect(200).body.len(), 100_003);
        wire.send(get("/nowhere", &[]));
        wire.answer().expect(404);
    }
}

#[test]
fn a_client_that_expects_someone_else_does_not_come_through() {
    let papers = Papers::new();
    let gate = papers.gate();
    let Client(mut stream) = papers.client(&gate, Listener::Cnosdb, "other.example", &[&rustls::version::TLS13]);
    let error = stream.conn.complete_io(&mut stream.sock).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    let stranger = Papers::new();
    let Client(mut stream) = stranger.client(&gate, Listener::Cnosdb, "localhost", &[&rustls::version::TLS13]);
    stream.conn.complete_io(&mut stream.sock).unwrap_err();
}

#[test]
fn plain_listeners_stay_plain_and_tls_listeners_take_nothing_plain() {
    let papers = Papers::new();
    let gate = papers.gate();
    gate.get("/ping").send().expect(204);
    let mut wire = Wire::to(&gate, Listener::Cnosdb);
    wire.send(get("/ping", &[]));
    let (said, _) = wire.read_until_closed();
    assert!(!String::from_utf8_lossy(&said).contains("204"), "{said:?}");
    let Client(stream) = papers.client(&gate, Listener::Elasticsearch, "localhost", &[&rustls::version::TLS13]);
    let mut wire = Wire::over(stream);
    wire.send(get("/ping", &[]));
    wire.answer().expect(204);
}

#[test]
fn files_that_cannot_be_used_refuse_the_start_by_the_settings_name() {
    let (papers, others) = (Papers::new(), Papers::new());
    let check = |certificate: &str, key: &str, expected: &[&str]| {
        let certificate = format!("server.tls_certificate={certificate}");
        let key = format!("server.tls_key={key}");
        let mut arguments = vec!["serve", "--storage", "memory:///", "--wal", "{folder}/wal"];
        let settings =
            ["listen.influxdb=127.0.0.1:0", "listen.opentsdb=off", "listen.tdengine=off", "listen.cnosdb=off"];
        for setting in settings.iter().chain(&["listen.elasticsearch=off", &*certificate, &*key]) {
            arguments.extend(["--set", setting]);
        }
        let refused = refused_start(&arguments);
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        for part in expected {
            assert!(refused.stderr.contains(part), "no {part:?} in {}", refused.stderr);
        }
        let secret = fs::read_to_string(papers.path("key.pem")).unwrap();
        assert!(!refused.stderr.contains(secret.lines().nth(1).unwrap()));
    };
    let certificate = papers.path("certificate.pem");
    check(&certificate, &others.path("key.pem"), &["`server.tls_key`", "does not belong"]);
    check(&certificate, &certificate, &["`server.tls_key`", "holds no private key"]);
    check(&papers.path("key.pem"), &papers.path("key.pem"), &["`server.tls_certificate`", "holds no certificate"]);
    let missing = Path::new("/nowhere/certificate.pem").display().to_string();
    check(&missing, &papers.path("key.pem"), &["`server.tls_certificate`", "/nowhere/certificate.pem"]);
    check(&certificate, "", &["`server.tls_key`", "expected a file"]);
}
