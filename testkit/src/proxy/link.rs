use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use socket2::SockRef;

use super::Cut;

/// Connection of a client, and the connection to the server on the behalf.
#[derive(Debug)]
pub(super) struct ProxyLink {
    pub(super) client: TcpStream,
    /// Opened for the first request that is forwarded.
    pub(super) upstream: OnceLock<TcpStream>,
    ended: OnceLock<Cut>,
}

impl ProxyLink {
    pub(super) fn new(client: TcpStream) -> io::Result<Self> {
        client.set_nodelay(true)?;
        // A blocked write returns now and then, to check whether the link has ended.
        client.set_write_timeout(Some(Duration::from_millis(100)))?;
        Ok(Self { client, upstream: OnceLock::new(), ended: OnceLock::new() })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.get().is_some()
    }

    /// Ends the link, which wakes the threads. Only the first call has an effect.
    pub(super) fn end(&self, cut: Cut) {
        if self.ended.set(cut).is_err() {
            return;
        }
        // An error means that the connection is closed already.
        if let Some(upstream) = self.upstream.get() {
            let _ = upstream.shutdown(Shutdown::Both);
        }
        match cut {
            Cut::Close => {
                let _ = self.client.shutdown(Shutdown::Both);
            }
            Cut::Reset => {
                // A linger time of zero makes close send RST, provided that no FIN was sent before.
                let _ = SockRef::from(&self.client).set_linger(Some(Duration::ZERO));
                let _ = self.client.shutdown(Shutdown::Read);
            }
        }
    }

    /// Writes to the client until the link ends.
    pub(super) fn reply(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.has_ended() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            match (&self.client).write(bytes) {
                Ok(size) => bytes = &bytes[size..],
                Err(error) if is_temporary(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_temporary(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    [Interrupted, TimedOut, WouldBlock].contains(&error.kind())
}
