//! Forwarding from the server to the client.

use std::io::{self, Read};

use crate::http::response_status;
use crate::watched::Watched;

use super::link::ProxyLink;
use super::state::{Carries, EventFlow, ProxyState, ReplyFate};
use super::watch::Watch;
use super::{Cut, CutAt};

const READ_SIZE: usize = 64 * 1024;

/// Forwards the data of the server until the link ends, and ends the link when the server closes
/// the connection.
pub(super) fn forward(number: u64, link: &ProxyLink, state: &Watched<ProxyState>) {
    let replies = Replies { number, link, state, begun: Vec::new(), watch: Watch::default() };
    let cut = replies.forward();
    state.update(|_| link.end(cut));
}

struct Replies<'a> {
    number: u64,
    link: &'a ProxyLink,
    state: &'a Watched<ProxyState>,
    /// Bytes of a reply whose head is incomplete, or whose body has not begun.
    begun: Vec<u8>,
    watch: Watch,
}

impl Replies<'_> {
    fn forward(mut self) -> Cut {
        let Some(mut upstream) = self.link.upstream.get() else { return Cut::Close };
        let mut block = vec![0; READ_SIZE];
        loop {
            let size = match upstream.read(&mut block) {
                Ok(0) => return self.end(Cut::Close),
                Ok(size) => size,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return self.end(Cut::Reset),
            };
            if let Err(cut) = self.take(&block[..size]) {
                return cut;
            }
        }
    }

    /// Handles bytes from the server. Fails when the link has to end.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Cut> {
        // Without pipelining, the next reply begins only after the client has read the last one.
        let Some(fate) = self.state.read(|state| state.fate(self.number)) else {
            return self.pass(bytes);
        };
        self.begun.extend_from_slice(bytes);
        loop {
            let Ok(head) = response_status(&self.begun) else { return Err(Cut::Reset) };
            let Some((status, size)) = head else { return Ok(()) };
            if status / 100 == 1 {
                let interim: Vec<u8> = self.begun.drain(..size).collect();
                self.pass(&interim)?;
                continue;
            }
            return match fate {
                ReplyFate::Pass => {
                    self.state.update(|state| state.begin_reply(self.number, status));
                    let reply = std::mem::take(&mut self.begun);
                    self.pass(&reply)
                }
                ReplyFate::Cut(CutAt::InsideReply) => self.pass_half(status, size),
                ReplyFate::Cut(CutAt::Before | CutAt::AfterRequest) => Err(Cut::Close),
            };
        }
    }

    /// Forwards half of the bytes of a reply, when a part of the body has arrived.
    fn pass_half(&mut self, status: u16, head_size: usize) -> Result<(), Cut> {
        let head = String::from_utf8_lossy(&self.begun[..head_size]).to_ascii_lowercase();
        let has_body = status != 204 && status != 304 && !head.contains("content-length: 0\r\n");
        let body_size = self.begun.len() - head_size;
        let half = match (has_body, body_size) {
            (false, _) => head_size / 2,
            (true, 0) => return Ok(()),
            (true, _) => head_size + body_size / 2,
        };
        let reply = std::mem::take(&mut self.begun);
        self.pass(&reply[..half])?;
        Err(Cut::Close)
    }

    fn pass(&mut self, bytes: &[u8]) -> Result<(), Cut> {
        if self.state.read(|state| state.carries(self.number)) != Carries::Events {
            return self.link.reply(bytes).map_err(|_| Cut::Close);
        }
        self.wait_while_held();
        let end = self.state.update(|state| self.watch.end(&mut state.trigger, bytes));
        self.link.reply(&bytes[..end.unwrap_or(bytes.len())]).map_err(|_| Cut::Close)?;
        end.map_or(Ok(()), |_| Err(Cut::Close))
    }

    /// Handles the end of the server's connection, perhaps in the middle of a head.
    fn end(&mut self, cut: Cut) -> Cut {
        if self.state.read(|state| state.fate(self.number)) == Some(ReplyFate::Pass) {
            // An error means that the client is gone.
            let _ = self.link.reply(&self.begun);
        }
        if self.state.read(|state| state.carries(self.number)) == Carries::Events {
            self.wait_while_held();
        }
        cut
    }

    fn wait_while_held(&self) {
        self.state.wait(|state| {
            (state.flow == EventFlow::Passing || self.link.has_ended()).then_some(())
        });
    }
}
