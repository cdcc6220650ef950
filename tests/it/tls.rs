//! An API behind a company's own authority that asks for a client certificate (mutual TLS).

use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::support::Fixture;

/// A certificate and its private key, in PEM.
struct Pair {
    certificate: String,
    key: String,
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> Pair {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

/// Serves one answer per connection, to clients whose certificate the authority has issued. Counts them.
fn serve(authority: &Authority) -> (u16, Arc<Mutex<usize>>) {
    let pair = authority.issue("localhost", ExtendedKeyUsagePurpose::ServerAuth);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap(),
        )
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let answered = Arc::new(Mutex::new(0));
    let count = Arc::clone(&answered);
    std::thread::spawn(move || {
        crate::support::block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.ok()?;
                    let mut seen = [0; 4096];
                    if stream.read(&mut seen).await.ok()? == 0 {
                        return None;
                    }
                    *count.lock().unwrap() += 1;
                    let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\nsecure";
                    stream.write_all(answer).await.ok()?;
                    stream.shutdown().await.ok()
                });
            }
        });
    });
    (port, answered)
}

#[test]
fn a_client_certificate_lets_in_and_nothing_else_does() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (port, answered) = serve(&authority);
    let ours = authority.issue("bridge", ExtendedKeyUsagePurpose::ClientAuth);
    let foreign = stranger.issue("bridge", ExtendedKeyUsagePurpose::ClientAuth);
    let call = |tls: &str, pair: &Pair| {
        let yaml = format!(
            "bridge: a\nupstream:\n  url: https://localhost:{port}\n  credentials: none\n  tls: {tls}\n\
             tools: {{ t: {{ description: T., endpoint: GET /t }} }}\n"
        );
        let mut fixture = Fixture::new().bridge(&yaml);
        fixture.write("bridges/ca.pem", &authority.pem());
        fixture.write("bridges/client.pem", &pair.certificate);
        fixture.write("bridges/client.key", &pair.key);
        let server = fixture.serve();
        let result = server.call("t", &json!({}));
        assert!(!server.log().contains("PRIVATE KEY") && !result.text().contains("localhost"));
        result.text().to_owned()
    };
    let whole = r#"{ ca: "${file:ca.pem}", cert: "${file:client.pem}", key: "${file:client.key}" }"#;
    assert_eq!(call(whole, &ours), "secure");
    assert_eq!(*answered.lock().unwrap(), 1);
    // No certificate, somebody else's, and an authority that is not trusted.
    for (tls, pair) in [
        (r#"{ ca: "${file:ca.pem}" }"#, &ours),
        (whole, &foreign),
        (r#"{ cert: "${file:client.pem}", key: "${file:client.key}" }"#, &ours),
    ] {
        let said = call(tls, pair);
        assert!(said.contains("secure connection") || said.contains("broke"), "{said}");
    }
    assert_eq!(*answered.lock().unwrap(), 1, "somebody else got in");
}
