//! TLS over a connection of any runtime.

use std::future::poll_fn;
use std::io::{self, Read as _, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::TlsError;
use crate::runtime::Connection;

/// Size of one read of encrypted bytes, at least a whole TLS record.
const READ_SIZE: usize = 17 << 10;

/// Certificates that a client trusts, and the cryptography.
#[derive(Clone)]
pub(crate) struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    /// Creates a client that trusts the certificates of the system, and those in `roots` (PEM).
    /// Blocks.
    pub(crate) fn load(roots: &[Vec<u8>]) -> Result<Self, TlsError> {
        let provider = match CryptoProvider::get_default() {
            Some(provider) => Arc::clone(provider),
            None => Arc::new(built_in().ok_or(TlsError::Processor)?),
        };
        let mut store = RootCertStore::empty();
        for pem in roots {
            let mut certificates = CertificateDer::pem_slice_iter(pem).peekable();
            if certificates.peek().is_none() {
                return Err(TlsError::NoCertificate);
            }
            for certificate in certificates {
                let certificate = certificate.map_err(|error| TlsError::Root(error.into()))?;
                store.add(certificate).map_err(|error| TlsError::Root(error.into()))?;
            }
        }
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::debug!(%error, "certificates of the system were not read");
        }
        // Systems have certificates that rustls does not take.
        store.add_parsable_certificates(system.certs);
        if store.is_empty() {
            return Err(TlsError::NoRoots);
        }
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Setup(error.into()))?;
        let mut config = config.with_root_certificates(store).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// Encrypts a connection and checks the certificate of the server, which has to be that of
    /// `host`.
    pub(super) async fn connect(
        &self,
        host: &str,
        connection: Box<dyn Connection>,
    ) -> io::Result<Box<dyn Connection>> {
        let name = ServerName::try_from(host.to_owned()).map_err(invalid)?;
        let tls = ClientConnection::new(Arc::clone(&self.0), name).map_err(invalid)?;
        let mut stream = TlsStream { connection, tls, encrypted: vec![0; READ_SIZE], unread: 0..0 };
        poll_fn(|cx| stream.poll_handshake(cx)).await?;
        Ok(Box::new(stream))
    }
}

/// Returns the cryptography that needs no C compiler, if the processor has the instructions.
fn built_in() -> Option<CryptoProvider> {
    #[cfg(target_arch = "x86_64")]
    let is_able = {
        use std::arch::is_x86_feature_detected;
        is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("avx")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("adx")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
    };
    #[cfg(target_arch = "aarch64")]
    let is_able = {
        use std::arch::is_aarch64_feature_detected;
        is_aarch64_feature_detected!("neon")
            && is_aarch64_feature_detected!("aes")
            && is_aarch64_feature_detected!("pmull")
            && is_aarch64_feature_detected!("sha2")
    };
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    return is_able.then(rustls_graviola::default_provider);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    None
}

/// An encrypted connection.
struct TlsStream {
    connection: Box<dyn Connection>,
    tls: ClientConnection,
    /// Bytes from the server, of which `unread` were not decrypted yet.
    encrypted: Vec<u8>,
    unread: std::ops::Range<usize>,
}

impl TlsStream {
    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_send(cx))?;
            if !self.tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_receive(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Sends the encrypted bytes that wait.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tls.wants_write() {
            let mut sink = Sink { connection: &mut *self.connection, cx };
            match self.tls.write_tls(&mut sink) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Pin::new(&mut *self.connection).poll_flush(cx)
    }

    /// Receives encrypted bytes and decrypts some; 0 is the end of the connection.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.unread.is_empty() {
            let mut free = ReadBuf::new(&mut self.encrypted);
            ready!(Pin::new(&mut *self.connection).poll_read(cx, free.unfilled()))?;
            self.unread = 0..free.filled().len();
        }
        let size = self.tls.read_tls(&mut &self.encrypted[self.unread.clone()])?;
        self.unread.start += size;
        if let Err(error) = self.tls.process_new_packets() {
            // The server is informed if the connection takes the alert at once.
            let _ = self.poll_send(cx);
            return Poll::Ready(Err(invalid(error)));
        }
        Poll::Ready(Ok(size))
    }
}

impl Read for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut plain = [0; 4096];
        let size_max = buffer.remaining().min(plain.len());
        loop {
            match this.tls.reader().read(&mut plain[..size_max]) {
                Ok(size) => {
                    buffer.put_slice(&plain[..size]);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            // Replies of the protocol itself, which a peer that does not read may hold up.
            if let Poll::Ready(sent) = this.poll_send(cx) {
                sent?;
            }
            ready!(this.poll_receive(cx))?;
        }
    }
}

impl Write for TlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        let size = this.tls.writer().write(bytes)?;
        if let Poll::Ready(sent) = this.poll_send(cx) {
            sent?;
        }
        Poll::Ready(Ok(size))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.tls.send_close_notify();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut *this.connection).poll_shutdown(cx)
    }
}

/// The connection as a blocking writer that never blocks.
struct Sink<'a, 'b> {
    connection: &'a mut dyn Connection,
    cx: &'a mut Context<'b>,
}

impl io::Write for Sink<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match Pin::new(&mut *self.connection).poll_write(self.cx, bytes) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A fault of the protocol or of the certificate, which another attempt does not mend.
fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
