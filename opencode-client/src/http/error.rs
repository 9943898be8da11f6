use std::io;
use std::path::PathBuf;
use std::time::Duration;

use opencode_proto::Delivery;
use opencode_proto::api::ApiError;

use crate::runtime::describe::debug_as_chain;

/// Error of a call of the server's HTTP API.
///
/// `request` is the method and the URL, as in `GET http://127.0.0.1:4096/session/ses_1`, without
/// query and password.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server replied with an error, or with a reply that does not fit the request.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The connection to the server cannot be established.
    #[error("{request}: cannot connect")]
    Connect {
        /// Method and URL of the request.
        request: String,
        /// The cause: [`io::ErrorKind::TimedOut`] when [`HttpLimits::connect`](crate::server::HttpLimits)
        /// has passed.
        source: io::Error,
    },
    /// OpenCode cannot work in the requested directory, or works in another one. No session is left.
    #[error("cannot work in {}", directory.display())]
    Directory {
        /// The requested directory; else the one that OpenCode reported.
        directory: PathBuf,
        /// The error of the operating system, or a
        /// [`DirectoryError`](crate::server::DirectoryError).
        source: io::Error,
    },
    /// The connection was lost before the reply was complete.
    #[error("{request}: the connection was lost")]
    Lost {
        /// Method and URL of the request.
        request: String,
        /// Delivery of the request.
        delivery: Delivery,
        /// The error of the connection.
        source: io::Error,
    },
    /// The reply was not complete within the limit.
    #[error("{request}: no complete reply in {limit:?}")]
    TimedOut {
        /// Method and URL of the request.
        request: String,
        /// Delivery of the request.
        delivery: Delivery,
        /// Limit of the time.
        limit: Duration,
    },
    /// The reply exceeds the limit.
    #[error("{request}: the reply has more than {limit} bytes")]
    TooLarge {
        /// Method and URL of the request.
        request: String,
        /// Limit of the size, in bytes.
        limit: usize,
    },
}

debug_as_chain!(CallError);

impl CallError {
    /// Returns the delivery of the request: whether the server has received the request.
    pub fn delivery(&self) -> Delivery {
        match self {
            Self::Api(_) | Self::TooLarge { .. } => Delivery::Received,
            Self::Connect { .. } | Self::Directory { .. } => Delivery::NotSent,
            Self::Lost { delivery, .. } | Self::TimedOut { delivery, .. } => *delivery,
        }
    }

    /// Returns whether nothing listens at the address of the server.
    pub(crate) fn is_refused_connection(&self) -> bool {
        match self {
            Self::Connect { source, .. } => source.kind() == io::ErrorKind::ConnectionRefused,
            Self::Api(_)
            | Self::Directory { .. }
            | Self::Lost { .. }
            | Self::TimedOut { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// Returns the error reply of the server, if there is one.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            Self::Connect { .. }
            | Self::Directory { .. }
            | Self::Lost { .. }
            | Self::TimedOut { .. }
            | Self::TooLarge { .. } => None,
        }
    }
}
