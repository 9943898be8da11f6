use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use socket2::SockRef;

use super::Cut;

/// A client's connection and the one that the proxy has to the server for it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: TcpStream,
    /// Made for the first request that is passed on.
    pub(super) upstream: OnceLock<TcpStream>,
    ended: OnceLock<Cut>,
}

impl Link {
    pub(super) fn new(client: TcpStream) -> io::Result<Self> {
        client.set_nodelay(true)?;
        // A write to a client that does not read looks now and then whether the link has ended.
        client.set_write_timeout(Some(Duration::from_millis(100)))?;
        Ok(Self { client, upstream: OnceLock::new(), ended: OnceLock::new() })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.get().is_some()
    }

    /// Wakes the threads of the link, which close it. Only the first end counts.
    pub(super) fn end(&self, cut: Cut) {
        if self.ended.set(cut).is_err() {
            return;
        }
        // Errors say that a connection is closed already.
        if let Some(upstream) = self.upstream.get() {
            let _ = upstream.shutdown(Shutdown::Both);
        }
        match cut {
            Cut::Close => {
                let _ = self.client.shutdown(Shutdown::Both);
            }
            Cut::Reset => {
                // With nothing to linger for, closing sends RST; a FIN must not come before it.
                let _ = SockRef::from(&self.client).set_linger(Some(Duration::ZERO));
                let _ = self.client.shutdown(Shutdown::Read);
            }
        }
    }

    /// Writes to the client, unless the link ends.
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
