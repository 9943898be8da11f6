use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use crate::SessionId;
use crate::api::ApiError;
use crate::server_event::ServerEvent;

/// Action for the driver of a [`Hub`](super::Hub).
///
/// Exhaustive on purpose: a driver that does not know an action must not compile.
#[derive(Debug)]
#[must_use]
pub enum HubAction {
    /// Open this stream, and report the head, the chunks and the end.
    Connect(EventStream),
    /// Hand the event to the followers of the root session, if the event belongs to one, and to the
    /// listeners of all events.
    Deliver {
        /// The event.
        event: Arc<ServerEvent>,
        /// The followed session that is the session of the event, or an ancestor of that session.
        root: Option<SessionId>,
    },
    /// Drop the connection, and ignore input from the connection.
    Disconnect,
    /// The hub has ended: no action follows.
    Finished(HubEnd),
    /// Events are missed from here on, until [`Opened`](Self::Opened).
    Interrupted(Interruption),
    /// The stream is open, and no event is missed from here on. After an interruption, followers
    /// look up the missed state.
    Opened,
    /// Nothing to do until there is another input, or until the wake: then call
    /// [`handle_timeout`](super::Hub::handle_timeout).
    Wait(Option<Instant>),
}

/// Choice of the event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventStream {
    /// `GET /event`: the events of one directory.
    Directory,
    /// `GET /global/event`: the events of all directories. The stream survives the closing of a
    /// directory. OpenCode 1.18.33 subscribes the stream some time after `server.connected`, and
    /// drops events in between.
    Global,
}

impl EventStream {
    /// Returns the path of the stream.
    pub fn path(self) -> &'static str {
        match self {
            Self::Directory => "/event",
            Self::Global => "/global/event",
        }
    }
}

/// Cause of a gap in the events. `Serialize` writes the message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interruption {
    /// The events were not read, and too many waited.
    #[non_exhaustive]
    Behind {
        /// Limit on the waiting events, in bytes.
        limit: usize,
    },
    /// The server closed the stream.
    Closed,
    /// The server closed the directory, which ends all work there.
    Disposed,
    /// The connection broke or failed.
    #[non_exhaustive]
    Lost {
        /// Why.
        reason: String,
    },
    /// The server did not open the stream within the limit.
    #[non_exhaustive]
    NotOpened {
        /// The limit.
        limit: Duration,
    },
    /// The server answered with a transient error.
    #[non_exhaustive]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// Neither an event nor a heartbeat arrived.
    #[non_exhaustive]
    Silent {
        /// Length of the silence.
        limit: Duration,
    },
    /// An event exceeded the size limit.
    #[non_exhaustive]
    TooLong {
        /// Size of the event, in bytes.
        size: u64,
        /// Size limit, in bytes.
        limit: usize,
    },
}

impl Interruption {
    /// Creates the gap of a reader that left more than this many bytes of events waiting.
    pub fn behind(limit: usize) -> Self {
        Self::Behind { limit }
    }
}

impl Serialize for Interruption {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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

/// End of the event stream of a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HubEnd {
    /// The server process exited.
    Exited,
    /// Reconnecting failed for longer than the limit.
    #[non_exhaustive]
    GivenUp {
        /// The last failure.
        last: Interruption,
    },
    /// The server refused the stream permanently, for example for a wrong password.
    Refused(Box<ApiError>),
}

impl std::error::Error for HubEnd {}

impl HubEnd {
    /// Returns the reason alone, for messages that name the loss of the server already.
    pub(crate) fn reason(&self) -> String {
        if let Self::GivenUp { last: Interruption::Lost { reason } } = self {
            return reason.clone();
        }
        self.to_string()
    }
}

impl fmt::Display for HubEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited => f.write_str("the server has ended"),
            Self::GivenUp { last: Interruption::Lost { reason } } => {
                write!(f, "the server does not come back: {reason}")
            }
            Self::GivenUp { last } => write!(f, "the server does not come back: {last}"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}
