//! TLS in front of a server, and the cases of clients that speak TLS (feature `tls`).
//!
//! The certificate is that of `localhost`, valid until 2119, and signed by [`ROOT`].

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use crate::listener::Listener;

/// Certificate that signs the one of the [`TlsFront`], in PEM.
pub const ROOT: &[u8] = include_bytes!("tls/root.pem");

const CERTIFICATE: &[u8] = include_bytes!("tls/certificate.pem");
const KEY: &[u8] = include_bytes!("tls/key.pem");

/// Decrypts connections and passes them on to a server.
#[derive(Debug)]
pub struct TlsFront {
    listener: Listener,
    links: Arc<Mutex<Vec<TcpStream>>>,
}

impl TlsFront {
    /// Starts a front of the server at this address.
    ///
    /// # Errors
    ///
    /// No port can be opened, or the certificate is not usable.
    pub fn start(server: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let certificates = vec![CertificateDer::from_pem_slice(CERTIFICATE)?];
        let key = PrivateKeyDer::from_pem_slice(KEY)?;
        let provider = Arc::new(rustls_graviola::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certificates, key)?;
        let (config, links) = (Arc::new(config), Arc::<Mutex<Vec<TcpStream>>>::default());
        let opened = Arc::clone(&links);
        let listener = Listener::start("tls", move |client| {
            // A link that breaks is seen by the client.
            let _ = pass_on(&client, server, Arc::clone(&config), &opened);
        })?;
        Ok(Self { listener, links })
    }

    /// Returns the URL of the front, with the name in the certificate.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.listener.address().port())
    }

    /// Returns the URL with the address, which is not in the certificate.
    pub fn url_of_address(&self) -> String {
        format!("https://{}", self.listener.address())
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        for link in self.links.lock().unwrap_or_else(std::sync::PoisonError::into_inner).drain(..) {
            // An error means that the connection is closed already.
            let _ = link.shutdown(Shutdown::Both);
        }
        self.listener.stop();
    }
}

/// Passes the bytes of one connection on, in both directions, until either side closes.
fn pass_on(
    client: &TcpStream,
    server: SocketAddr,
    config: Arc<ServerConfig>,
    links: &Mutex<Vec<TcpStream>>,
) -> Result<(), Box<dyn Error>> {
    let server = TcpStream::connect(server)?;
    for link in [client, &server] {
        link.set_nodelay(true)?;
        links.lock().map_err(|_| "a thread panicked")?.push(link.try_clone()?);
    }
    let tls = Mutex::new(ServerConnection::new(config)?);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = encrypt(&server, client, &tls);
            let _ = client.shutdown(Shutdown::Both);
        });
        let decrypted = decrypt(client, &server, &tls);
        let _ = server.shutdown(Shutdown::Both);
        let _ = client.shutdown(Shutdown::Both);
        decrypted
    })
}

fn decrypt(
    mut client: &TcpStream,
    mut server: &TcpStream,
    tls: &Mutex<ServerConnection>,
) -> Result<(), Box<dyn Error>> {
    let mut encrypted = [0; 8 << 10];
    loop {
        let size = client.read(&mut encrypted)?;
        if size == 0 {
            return Ok(());
        }
        let mut unread = &encrypted[..size];
        while !unread.is_empty() {
            let mut plain = Vec::new();
            let mut tls = tls.lock().map_err(|_| "a thread panicked")?;
            tls.read_tls(&mut unread)?;
            let processed = tls.process_new_packets();
            send(&mut tls, client)?;
            let state = processed?;
            plain.resize(state.plaintext_bytes_to_read(), 0);
            tls.reader().read_exact(&mut plain)?;
            drop(tls);
            server.write_all(&plain)?;
            if state.peer_has_closed() {
                return Ok(());
            }
        }
    }
}

fn encrypt(
    mut server: &TcpStream,
    client: &TcpStream,
    tls: &Mutex<ServerConnection>,
) -> Result<(), Box<dyn Error>> {
    let mut plain = [0; 8 << 10];
    loop {
        let size = server.read(&mut plain)?;
        let mut tls = tls.lock().map_err(|_| "a thread panicked")?;
        if size == 0 {
            tls.send_close_notify();
            return Ok(send(&mut tls, client)?);
        }
        tls.writer().write_all(&plain[..size])?;
        send(&mut tls, client)?;
    }
}

fn send(tls: &mut ServerConnection, mut client: &TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(&mut client)?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
/// Makes a test of each of the [`cases`], with this adapter.
#[macro_export]
macro_rules! tls_tests {
    ($adapter:ty: $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                let host = $crate::conformance!(host: $adapter);
                host.block_on(async { $crate::tls::cases::$case(&host).await });
            }
        )*
    };
    ($adapter:ty) => {
        $crate::tls_tests!($adapter:
            an_encrypted_server_is_used_like_any_other
            a_server_that_is_not_trusted_gets_no_request
            a_root_certificate_that_is_none_is_an_error
        );
    };
}

pub mod cases {
    //! Cases for every adapter, as those of `conformance`.
    #![allow(clippy::unwrap_used, reason = "a panic fails the test")]

    use std::time::Duration;

    use opencode_client::api::http::Method;
    use opencode_client::server::{ApiEvent, HttpLimits, RetryPolicy, TlsError};
    use opencode_client::{AttachError, AttachRequest};
    use serde_json::{Value, json};

    use super::{ROOT, TlsFront};
    use crate::conformance::Host;
    use crate::server::{FakeServer, ServerReply, ServerScript};

    /// Requests, large bodies and streams work as on a connection that is not encrypted.
    pub async fn an_encrypted_server_is_used_like_any_other(on: &Host) {
        let large = "x".repeat(300_000);
        let script = ServerScript::new()
            .on("GET", "/large", [ServerReply::json(json!(large))])
            .on("POST", "/log", [ServerReply::json(json!(true))])
            .with_password("ann", "secret");
        let server = FakeServer::start(script).unwrap();
        let front = TlsFront::start(server.address()).unwrap();
        let url = front.url().replace("https://", "https://ann:secret@");
        let request = AttachRequest::new(url).with_root_certificates(ROOT);
        let attached = on.opencode().attach(request).await.unwrap();
        assert_eq!(attached.url(), front.url());

        for _ in 0..3 {
            let reply = attached.request(Method::GET, "/large").await.unwrap();
            assert!(reply.json::<String>().unwrap() == large);
        }
        let body = "y".repeat(300_000);
        let posted = attached.request(Method::POST, "/log").json(&body).await.unwrap();
        assert!(posted.json::<bool>().unwrap());
        assert!(server.requests_to("POST", "/log")[0].json() == json!(body));

        let mut events = attached.request(Method::GET, "/event").events::<Value>().await.unwrap();
        for number in 0..3 {
            server.send_event(&json!({ "type": "tick", "number": number }).to_string());
        }
        let mut numbers = Vec::new();
        while numbers.len() < 3 {
            if let ApiEvent::Event(event) = events.next_event().await.unwrap().unwrap() {
                numbers.extend(event["number"].as_u64());
            }
        }
        assert_eq!(numbers, [0, 1, 2]);
        server.close_events();
        assert!(events.next_event().await.is_none());
    }

    /// A certificate of another signer, or for another name, ends the attempt at once.
    pub async fn a_server_that_is_not_trusted_gets_no_request(on: &Host) {
        let server = FakeServer::start(ServerScript::new()).unwrap();
        let front = TlsFront::start(server.address()).unwrap();
        let untrusted = AttachRequest::new(front.url());
        // The root is that of others.
        let error = on.opencode().attach(untrusted).await.unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("UnknownIssuer") || text.contains("root certificates"), "{text}");

        let misnamed = AttachRequest::new(front.url_of_address()).with_root_certificates(ROOT);
        let error = on.opencode().attach(misnamed).await.unwrap_err();
        assert!(matches!(error, AttachError::Unhealthy { .. }), "{error:?}");
        assert!(format!("{error:?}").contains("not valid for name"), "{error:?}");

        // A server that does not encrypt.
        let plain = format!("https://localhost:{}", server.address().port());
        let limits = HttpLimits::default().with_retry(RetryPolicy::NONE);
        let limits = limits.with_connect(Duration::from_millis(200));
        let plain = AttachRequest::new(plain).with_root_certificates(ROOT).with_limits(limits);
        let error = on.opencode().attach(plain).await.unwrap_err();
        assert!(matches!(error, AttachError::Unhealthy { .. }), "{error:?}");
        assert!(server.requests().is_empty());
    }

    /// Root certificates that cannot be used are an error before any connection.
    pub async fn a_root_certificate_that_is_none_is_an_error(on: &Host) {
        let request = |pem: &[u8]| {
            AttachRequest::new("https://localhost:9").with_root_certificates(pem.to_vec())
        };
        let error = on.opencode().attach(request(b"no PEM")).await.unwrap_err();
        let AttachError::Tls { url, source } = &error else { panic!("{error:?}") };
        assert!(matches!(source, TlsError::NoCertificate), "{source:?}");
        assert_eq!(url, "https://localhost:9");
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = on.opencode().attach(request(broken)).await.unwrap_err();
        let is_root = matches!(&error, AttachError::Tls { source: TlsError::Root(_), .. });
        assert!(is_root, "{error:?}");
    }
}
