use std::io;
use std::time::Duration;

use opencode_proto::api::ApiError;

/// Why a call of the server's HTTP API has no result.
///
/// `request` is what was asked of whom, as in `GET http://127.0.0.1:4096/session/ses_1`; it shows neither query nor
/// password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server answered, with an error or with something that is not an answer to this.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// There is no connection to the server.
    #[error("{request}: cannot connect")]
    Connect {
        /// What was asked.
        request: String,
        /// Why not. [`io::ErrorKind::TimedOut`] when the limit is over.
        source: io::Error,
    },
    /// The connection was lost before the reply was complete.
    #[error("{request}: the connection was lost")]
    Lost {
        /// What was asked.
        request: String,
        /// How far it came.
        reached: Reached,
        /// How it was lost.
        source: io::Error,
    },
    /// The reply was not complete in time.
    #[error("{request}: no complete reply in {limit:?}")]
    TimedOut {
        /// What was asked.
        request: String,
        /// How far it came.
        reached: Reached,
        /// The time it had.
        limit: Duration,
    },
    /// The reply is longer than it may be.
    #[error("{request}: the reply has more than {limit} bytes")]
    TooLarge {
        /// What was asked.
        request: String,
        /// The bytes it may have.
        limit: usize,
    },
}

impl CallError {
    /// Whether the server got the request.
    pub fn reached(&self) -> Reached {
        match self {
            Self::Api(_) | Self::TooLarge { .. } => Reached::Yes,
            Self::Connect { .. } => Reached::No,
            Self::Lost { reached, .. } | Self::TimedOut { reached, .. } => *reached,
        }
    }

    /// What the server answered.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            Self::Connect { .. }
            | Self::Lost { .. }
            | Self::TimedOut { .. }
            | Self::TooLarge { .. } => None,
        }
    }
}

/// Whether the server got a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It did not: nothing was done.
    No,
    /// Nobody knows.
    Perhaps,
    /// It did, for it began to answer.
    Yes,
}
