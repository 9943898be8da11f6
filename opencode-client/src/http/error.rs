use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use opencode_proto::api::ApiError;
use opencode_proto::{Delivery, Unsupported};

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
    /// The request cannot be sent: the path, a header or the body is invalid.
    #[error("{request}: cannot send the request")]
    Invalid {
        /// Method and path of the request.
        request: String,
        /// The error of the part.
        source: Box<dyn Error + Send + Sync>,
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
    /// The version of the server lacks a feature that the request needs. Nothing was sent.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
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
            Self::Connect { .. }
            | Self::Directory { .. }
            | Self::Invalid { .. }
            | Self::Unsupported(_) => Delivery::NotSent,
            Self::Lost { delivery, .. } | Self::TimedOut { delivery, .. } => *delivery,
        }
    }

    /// Returns whether the server refused the credentials, or does not permit the request.
    pub fn is_auth(&self) -> bool {
        self.api().is_some_and(ApiError::is_auth)
    }

    /// Returns whether the request contradicts the state of the server, for example because a
    /// session works on a prompt.
    pub fn is_conflict(&self) -> bool {
        self.api().is_some_and(ApiError::is_conflict)
    }

    /// Returns whether the object of the request does not exist on the server.
    pub fn is_not_found(&self) -> bool {
        self.api().is_some_and(ApiError::is_not_found)
    }

    /// Returns whether the server asks for fewer requests.
    pub fn is_rate_limited(&self) -> bool {
        self.api().is_some_and(ApiError::is_rate_limited)
    }

    /// Returns whether the server is at fault: status 500 and above.
    pub fn is_server_fault(&self) -> bool {
        self.api().is_some_and(ApiError::is_server_fault)
    }

    /// Returns whether a limit of time has passed, on the connection or on the reply.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::TimedOut { .. } => true,
            Self::Connect { source, .. } => source.kind() == io::ErrorKind::TimedOut,
            Self::Api(_)
            | Self::Directory { .. }
            | Self::Invalid { .. }
            | Self::Lost { .. }
            | Self::TooLarge { .. }
            | Self::Unsupported(_) => false,
        }
    }

    /// Returns whether the connection is at fault: none was established, or one was lost.
    pub fn is_connection(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Lost { .. })
    }

    /// Returns whether nothing listens at the address of the server.
    pub(crate) fn is_refused_connection(&self) -> bool {
        match self {
            Self::Connect { source, .. } => source.kind() == io::ErrorKind::ConnectionRefused,
            Self::Api(_)
            | Self::Directory { .. }
            | Self::Invalid { .. }
            | Self::Lost { .. }
            | Self::TimedOut { .. }
            | Self::TooLarge { .. }
            | Self::Unsupported(_) => false,
        }
    }

    /// Returns the error reply of the server, if there is one.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            Self::Connect { .. }
            | Self::Directory { .. }
            | Self::Invalid { .. }
            | Self::Lost { .. }
            | Self::TimedOut { .. }
            | Self::TooLarge { .. }
            | Self::Unsupported(_) => None,
        }
    }
}

/// Encryption cannot be set up for a server at an `https://` URL.
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A root certificate of the request contains no certificate.
    #[error("the root certificates contain no certificate in PEM")]
    NoCertificate,
    /// The system has no certificates, and the request has none.
    #[error(
        "the system has no root certificates: add some with \
         `AttachRequest::with_root_certificates`"
    )]
    NoRoots,
    /// The built-in cryptography needs instructions that this processor does not have.
    #[error(
        "the built-in cryptography does not work on this processor: install another one with \
         rustls' `CryptoProvider::install_default`"
    )]
    Processor,
    /// A root certificate of the request is malformed.
    #[error("cannot use a root certificate")]
    Root(#[source] Box<dyn Error + Send + Sync>),
    /// The cryptography that the program installed does not suffice.
    #[error("cannot use the installed cryptography")]
    Setup(#[source] Box<dyn Error + Send + Sync>),
}

#[cfg(feature = "tls")]
debug_as_chain!(TlsError);
