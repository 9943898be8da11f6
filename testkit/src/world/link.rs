//! Connections in memory, and their faults.

mod direction;
mod ends;

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::core::{Core, lock};
use direction::{Direction, InFlight, LinkAccident};

pub(super) use direction::LinkFaults;
pub(super) use ends::{ClientEnd, ServerEnd};

/// Size of the unread data above which a writer has to wait.
const QUEUED_SIZE_MAX: usize = 256 << 10;

/// A connection: two directions, each with faults of its own.
struct MemoryLink {
    core: Arc<Core>,
    number: u64,
    state: Mutex<LinkState>,
}

struct LinkState {
    /// The direction to the client, and the direction to the server.
    directions: [Direction; 2],
    is_reset: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkEnd {
    Client,
    Server,
}

impl LinkState {
    /// Queues bytes in the direction away from `from`, and applies the fault that is due.
    fn write(&mut self, core: &Core, number: u64, from: LinkEnd, mut bytes: Bytes) {
        let now = core.now();
        let to = &mut self.directions[from.other().index()];
        let accident =
            to.faults.accident.filter(|(after, _)| *after < to.written + bytes.len() as u64);
        let Some((after, accident)) = accident else { return to.push(now, InFlight::Bytes(bytes)) };
        to.faults.accident = None;
        let before = usize::try_from(after.saturating_sub(to.written)).unwrap_or(0);
        to.push(now, InFlight::Bytes(bytes.split_to(before)));
        core.trace(format_args!("connection {number}: {accident:?} of the data from the {from:?}"));
        core.count(match accident {
            LinkAccident::Cut => "connection: cut",
            LinkAccident::Reset => "connection: reset",
            LinkAccident::Silence => "connection: silent for good",
            LinkAccident::Stall(_) => "connection: silent for a while",
        });
        match accident {
            LinkAccident::Cut => to.push(now, InFlight::End),
            LinkAccident::Reset => to.push(now, InFlight::Reset),
            LinkAccident::Silence => {
                for direction in &mut self.directions {
                    direction.is_silent = true;
                }
            }
            LinkAccident::Stall(time) => {
                to.last = to.last.max(now) + time;
                to.push(now, InFlight::Bytes(bytes));
            }
        }
    }
}

impl LinkEnd {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// Index of the direction that leads to this end.
    fn index(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Server => 1,
        }
    }
}

impl MemoryLink {
    fn poll_read(&self, end: LinkEnd, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let now = self.core.now();
        let mut state = lock(&self.state);
        if state.is_reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let direction = &mut state.directions[end.index()];
        if let Some(key) = direction.timer.take() {
            self.core.cancel(key);
        }
        match direction.queue.front().cloned() {
            Some((at, item)) if at <= now => match item {
                InFlight::Bytes(bytes) => {
                    direction.queue.pop_front();
                    direction.queued -= bytes.len();
                    if let Some(writer) = direction.writer.take() {
                        writer.wake();
                    }
                    Poll::Ready(Ok(Some(bytes)))
                }
                InFlight::End => Poll::Ready(Ok(None)),
                InFlight::Reset => {
                    state.is_reset = true;
                    for direction in &mut state.directions {
                        direction.queue.clear();
                        direction.queued = 0;
                        direction.reader.take().into_iter().for_each(Waker::wake);
                        direction.writer.take().into_iter().for_each(Waker::wake);
                    }
                    Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
                }
            },
            Some((at, _)) => {
                direction.timer = Some(self.core.register(at, cx.waker()));
                Poll::Pending
            }
            None => {
                direction.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_write(&self, end: LinkEnd, cx: &mut Context<'_>, bytes: Bytes) -> Poll<io::Result<()>> {
        let mut state = lock(&self.state);
        if state.is_reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let to = &mut state.directions[end.other().index()];
        if to.is_reader_gone && !to.is_silent {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if to.queued > QUEUED_SIZE_MAX {
            to.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.write(&self.core, self.number, end, bytes);
        self.wake_reader(&mut state, end.other());
        Poll::Ready(Ok(()))
    }

    fn wake_reader(&self, state: &mut LinkState, end: LinkEnd) {
        // The reader registers a timer when it polls.
        state.directions[end.index()].reader.take().into_iter().for_each(Waker::wake);
    }

    fn close(&self, end: LinkEnd, item: InFlight) {
        let now = self.core.now();
        let mut state = lock(&self.state);
        state.directions[end.other().index()].push(now, item);
        self.wake_reader(&mut state, end.other());
    }

    /// Closes the connection at this end, because the program there has dropped it.
    fn leave(&self, end: LinkEnd, item: InFlight) {
        self.close(end, item);
        let mut state = lock(&self.state);
        let direction = &mut state.directions[end.index()];
        direction.is_reader_gone = true;
        direction.writer.take().into_iter().for_each(Waker::wake);
        if let Some(key) = direction.timer.take() {
            self.core.cancel(key);
        }
    }
}

/// Creates a connection and returns the two ends.
pub(super) fn connection(
    core: &Arc<Core>,
    number: u64,
    to_client: LinkFaults,
    to_server: LinkFaults,
) -> (ClientEnd, ServerEnd) {
    let state = LinkState {
        directions: [Direction::new(to_client), Direction::new(to_server)],
        is_reset: false,
    };
    let link = Arc::new(MemoryLink { core: Arc::clone(core), number, state: Mutex::new(state) });
    let open = core.counts.connections.fetch_add(1, Ordering::Relaxed) + 1;
    core.counts.open_connections_max.fetch_max(open, Ordering::Relaxed);
    let client = ClientEnd { link: Arc::clone(&link), rest: Bytes::new(), has_ended: false };
    (client, ServerEnd { link, unread: Vec::new() })
}
