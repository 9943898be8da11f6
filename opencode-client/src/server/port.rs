//! Port of a server. Without a port, OpenCode takes the well-known 4096.

use std::io;
use std::net::TcpListener;

use opencode_config::ServeFlags;

const LOCALHOST: &str = "127.0.0.1";

/// Returns the port that the caller requested. Port 0 counts as none: OpenCode would use 4096.
pub(super) fn wanted(flags: &ServeFlags) -> Option<u16> {
    flags.port().filter(|port| *port != 0)
}

/// Returns a port that is free now. Blocks.
pub(super) fn free(flags: &ServeFlags) -> io::Result<u16> {
    Ok(TcpListener::bind((hostname(flags), 0))?.local_addr()?.port())
}

/// Returns the reason of a failed listen on this port, as far as can be found afterwards. Blocks.
pub(super) fn fault(flags: &ServeFlags, port: u16) -> io::Error {
    match TcpListener::bind((hostname(flags), port)) {
        Err(error) => error,
        // The process that used the port has released the port by now.
        Ok(_) => io::ErrorKind::AddrInUse.into(),
    }
}

pub(super) fn hostname(flags: &ServeFlags) -> &str {
    flags.hostname().unwrap_or(LOCALHOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_told() {
        let flags = ServeFlags::new().with_port(0);
        assert_eq!(wanted(&flags), None);
        let listener = TcpListener::bind((LOCALHOST, free(&flags).unwrap())).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(fault(&flags, port).kind(), io::ErrorKind::AddrInUse);
        let elsewhere = ServeFlags::new().with_hostname("192.0.2.1");
        assert_eq!(fault(&elsewhere, port).kind(), io::ErrorKind::AddrNotAvailable);
        assert_eq!(free(&elsewhere).unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }
}
