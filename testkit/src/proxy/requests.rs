//! Forwarding from the client to the server.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::Arc;
use std::thread::{self, Scope};
use std::time::Duration;

use socket2::SockRef;

use crate::http::{ReadError, Requests};
use crate::request::Request;
use crate::watched::Watched;

use super::link::ProxyLink;
use super::replies;
use super::state::{Carries, Fault, ProxyState};
use super::{Cut, CutAt};

/// Serves one connection of a client until the end.
pub(super) fn serve(client: TcpStream, upstream_port: u16, state: &Watched<ProxyState>) {
    // An error means that the connection is closed already.
    let Ok(link) = ProxyLink::new(client).map(Arc::new) else { return };
    let Some(number) = state.update(|state| state.enter(Arc::clone(&link))) else {
        // An error means that the client is gone; closing sends RST.
        let _ = SockRef::from(&link.client).set_linger(Some(Duration::ZERO));
        return;
    };
    thread::scope(|scope| {
        let forward = Forward { number, link: &link, upstream_port, state };
        let ending = forward.requests(scope);
        if let Some(cut) = ending {
            state.update(|_| link.end(cut));
        }
    });
    state.update(|state| {
        state.links.remove(&number);
        // Whoever waits for the end of this connection finds it closed.
        drop(link);
    });
}

#[derive(Clone, Copy)]
struct Forward<'a> {
    number: u64,
    link: &'a ProxyLink,
    upstream_port: u16,
    state: &'a Watched<ProxyState>,
}

impl<'a> Forward<'a> {
    /// Returns how the link ends; `None` leaves that to the replies.
    fn requests<'scope>(self, scope: &'scope Scope<'scope, 'a>) -> Option<Cut> {
        let mut requests = Requests::new(Tee { stream: &self.link.client, read: Vec::new() });
        loop {
            let (head, body) = match requests.next() {
                Ok(Some(request)) => request,
                Ok(None) => return self.pass_on_end(),
                Err(ReadError::Gone(_)) => return Some(Cut::Close),
                Err(ReadError::Malformed | ReadError::TooLarge { .. }) => return Some(Cut::Reset),
            };
            let (tee, later) = requests.source();
            let bytes = tee.take(later);
            let request = Request::new(head, body);
            match self.state.update(|state| state.admit(self.number, request)) {
                Some(Fault::Cut(CutAt::Before)) => return Some(Cut::Close),
                Some(Fault::Answer(reply)) => {
                    if self.link.reply(&reply).is_err() {
                        return Some(Cut::Close);
                    }
                }
                Some(Fault::Cut(CutAt::AfterRequest | CutAt::InsideReply)) | None => {
                    if self.pass_on(&bytes, scope).is_err() {
                        return Some(Cut::Reset);
                    }
                }
            }
        }
    }

    fn pass_on<'scope>(self, bytes: &[u8], scope: &'scope Scope<'scope, 'a>) -> io::Result<()> {
        if self.link.upstream.get().is_none() {
            let upstream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.upstream_port))?;
            upstream.set_nodelay(true)?;
            // Under the lock, so that a concurrent `ProxyLink::end` sees the new connection.
            self.state.update(|_| self.link.upstream.get_or_init(|| upstream));
            if self.link.has_ended() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let name = thread::current().name().unwrap_or_default().to_owned();
            thread::Builder::new().name(name).spawn_scoped(scope, move || {
                replies::forward(self.number, self.link, self.state)
            })?;
        }
        match self.link.upstream.get() {
            Some(mut upstream) => upstream.write_all(bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Handles the end of the requests: the client may still read a reply, unless it reads events.
    fn pass_on_end(self) -> Option<Cut> {
        if self.state.read(|state| state.carries(self.number)) != Carries::Replies {
            return Some(Cut::Close);
        }
        let upstream = self.link.upstream.get();
        match upstream.map(|upstream| upstream.shutdown(Shutdown::Write)) {
            Some(Ok(())) => None,
            Some(Err(_)) | None => Some(Cut::Close),
        }
    }
}

/// A reader that keeps a copy of everything, to forward it unchanged.
#[derive(Debug)]
struct Tee<'a> {
    stream: &'a TcpStream,
    read: Vec<u8>,
}

impl Tee<'_> {
    /// Takes all bytes but the last `later`.
    fn take(&mut self, later: usize) -> Vec<u8> {
        let later = self.read.split_off(self.read.len() - later);
        std::mem::replace(&mut self.read, later)
    }
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.stream.read(buffer)?;
        self.read.extend_from_slice(&buffer[..size]);
        Ok(size)
    }
}
