//! A connection in memory, with what can happen to it.

mod direction;
mod ends;

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::core::{Core, lock};
use direction::{Accident, Direction, Item};

pub(super) use direction::Troubles;
pub(super) use ends::{ClientEnd, ServerEnd};

/// Who writes more than this has to wait until it is read.
const QUEUED_SIZE_MAX: usize = 256 << 10;

/// A connection: two directions, each with its own troubles.
struct Link {
    core: Arc<Core>,
    number: u64,
    state: Mutex<State>,
}

struct State {
    /// To the client, to the server.
    directions: [Direction; 2],
    is_reset: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Server,
}

impl State {
    /// Whether both directions fall silent.
    fn write(&mut self, core: &Core, number: u64, from: End, mut bytes: Bytes) {
        let now = core.now();
        let to = &mut self.directions[from.other().index()];
        let accident =
            to.troubles.accident.filter(|(after, _)| *after < to.written + bytes.len() as u64);
        let Some((after, accident)) = accident else { return to.push(now, Item::Bytes(bytes)) };
        to.troubles.accident = None;
        let before = usize::try_from(after.saturating_sub(to.written)).unwrap_or(0);
        to.push(now, Item::Bytes(bytes.split_to(before)));
        core.trace(format_args!("connection {number}: {accident:?} of what the {from:?} writes"));
        match accident {
            Accident::Cut => to.push(now, Item::End),
            Accident::Reset => to.push(now, Item::Reset),
            Accident::Silence => {
                for direction in &mut self.directions {
                    direction.is_silent = true;
                }
            }
            Accident::Stall(time) => {
                to.last = to.last.max(now) + time;
                to.push(now, Item::Bytes(bytes));
            }
        }
    }
}

impl End {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// Of the direction to this end.
    fn index(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Server => 1,
        }
    }
}

impl Link {
    fn poll_read(&self, end: End, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
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
                Item::Bytes(bytes) => {
                    direction.queue.pop_front();
                    direction.queued -= bytes.len();
                    if let Some(writer) = direction.writer.take() {
                        writer.wake();
                    }
                    Poll::Ready(Ok(Some(bytes)))
                }
                Item::End => Poll::Ready(Ok(None)),
                Item::Reset => {
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

    fn poll_write(&self, end: End, cx: &mut Context<'_>, bytes: Bytes) -> Poll<io::Result<()>> {
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

    fn wake_reader(&self, state: &mut State, end: End) {
        // It sets its timer itself.
        state.directions[end.index()].reader.take().into_iter().for_each(Waker::wake);
    }

    fn close(&self, end: End, item: Item) {
        let now = self.core.now();
        let mut state = lock(&self.state);
        state.directions[end.other().index()].push(now, item);
        self.wake_reader(&mut state, end.other());
    }

    /// Nobody is at this end any more.
    fn leave(&self, end: End, item: Item) {
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

/// Makes a connection.
pub(super) fn connection(
    core: &Arc<Core>,
    number: u64,
    to_client: Troubles,
    to_server: Troubles,
) -> (ClientEnd, ServerEnd) {
    let state = State {
        directions: [Direction::new(to_client), Direction::new(to_server)],
        is_reset: false,
    };
    let link = Arc::new(Link { core: Arc::clone(core), number, state: Mutex::new(state) });
    let open = core.counts.connections.fetch_add(1, Ordering::Relaxed) + 1;
    core.counts.connections_most.fetch_max(open, Ordering::Relaxed);
    let client = ClientEnd { link: Arc::clone(&link), rest: Bytes::new(), has_ended: false };
    (client, ServerEnd { link, unread: Vec::new() })
}
