use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::SessionId;
use crate::api::ApiError;
use crate::server_event::ServerEvent;

/// What the driver of a [`Hub`](super::Hub) must do next.
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
#[derive(Debug)]
#[must_use]
pub enum HubAction {
    /// Open this stream, and tell of its head, its chunks and its end.
    Connect(EventStream),
    /// Hand the event to whoever follows the root session, if it belongs to one, and to whoever wants all events.
    Deliver {
        /// The event.
        event: Arc<ServerEvent>,
        /// The session that is followed and is, or is an ancestor of, the event's.
        root: Option<SessionId>,
    },
    /// Drop the connection, and what it might still say.
    Disconnect,
    /// Over. Nothing follows.
    Finished(HubEnd),
    /// Events are being missed from here on, until [`Opened`](Self::Opened).
    Interrupted(Interruption),
    /// The stream is open: nothing is missed from here on. After an interruption, look at what was missed.
    Opened,
    /// Nothing to do until there is another input, or until the wake: then call
    /// [`handle_timeout`](super::Hub::handle_timeout).
    Wait(Option<Instant>),
}

/// An event stream of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventStream {
    /// `GET /event`: one directory.
    Directory,
    /// `GET /global/event`: all directories. It outlives the closing of a directory. OpenCode 1.18.33 listens for it
    /// only some time after it has said `server.connected`: what happens in between is not told.
    Global,
}

impl EventStream {
    /// The path to open it at.
    pub fn path(self) -> &'static str {
        match self {
            Self::Directory => "/event",
            Self::Global => "/global/event",
        }
    }
}

/// Why events were missed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interruption {
    /// Nobody took the events, and too many waited.
    #[non_exhaustive]
    Behind {
        /// How many bytes of events may wait.
        limit: usize,
    },
    /// The server closed the stream.
    Closed,
    /// The server closed the directory: what was going on in it is over.
    Disposed,
    /// The connection broke, or could not be made.
    #[non_exhaustive]
    Lost {
        /// Why.
        reason: String,
    },
    /// The server did not open the stream in time.
    #[non_exhaustive]
    NotOpened {
        /// How long it had.
        limit: Duration,
    },
    /// The server answered with an error that may pass.
    #[non_exhaustive]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// Not even a heartbeat came.
    #[non_exhaustive]
    Silent {
        /// For how long.
        limit: Duration,
    },
    /// An event was over the limit.
    #[non_exhaustive]
    TooLong {
        /// How long its lines were, in bytes.
        size: u64,
        /// How long they may be, in bytes.
        limit: usize,
    },
}

impl Interruption {
    /// Nobody took the events, and more than this many bytes of them waited.
    pub fn behind(limit: usize) -> Self {
        Self::Behind { limit }
    }
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind { limit } => {
                write!(f, "more than {limit} bytes of events waited to be read")
            }
            Self::Closed => f.write_str("the server closed the event stream"),
            Self::Disposed => f.write_str("the server closed the directory"),
            Self::Lost { reason } => write!(f, "the event stream was lost: {reason}"),
            Self::NotOpened { limit } => {
                write!(f, "the event stream did not open within {} s", limit.as_secs_f64())
            }
            Self::Refused { status } => write!(f, "the event stream was refused: status {status}"),
            Self::Silent { limit } => {
                write!(f, "no event, not even a heartbeat, for {} s", limit.as_secs_f64())
            }
            Self::TooLong { size, limit } => {
                write!(f, "an event of {size} bytes is over the limit of {limit}")
            }
        }
    }
}

/// Why the event stream of a server is over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HubEnd {
    /// The server's process has ended.
    Exited,
    /// It did not come back for too long.
    #[non_exhaustive]
    GivenUp {
        /// What went wrong last.
        last: Interruption,
    },
    /// The server refused it for good, as with a wrong password.
    Refused(Box<ApiError>),
}

impl std::error::Error for HubEnd {}

impl fmt::Display for HubEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited => f.write_str("the server has ended"),
            Self::GivenUp { last } => write!(f, "the server does not come back: {last}"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}
