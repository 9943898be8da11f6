//! API calls as outputs and inputs of machines.
//!
//! A machine that needs the server emits an [`ApiCall`]; the driver sends the request and hands the
//! [`ApiReply`] back under the same [`ApiCallId`]. One executor serves every machine.

use std::collections::BTreeMap;
use std::error::Error;

use bytes::Bytes;
use http::{Request, Response};

use crate::api::{ApiError, Operation, Pace, Repeat};

/// Number of an [`ApiCall`], unique within the machine that issued the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiCallId(u64);

/// One call of the server's HTTP API that a machine asks the driver for.
///
/// The driver completes [`request`](Self::request) with the parts that depend on the connection
/// (`host`, `authorization`, and the directory where [`scope`](Self::scope) wants one), sends the
/// request within the limits of [`pace`](Self::pace), and answers with the machine's
/// `handle_reply`. Every call has exactly one reply, also when the machine is over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ApiCall {
    /// Correlates the reply.
    pub id: ApiCallId,
    /// The request, with the URI in origin form (`/session/ses_1/abort`).
    pub request: Request<Bytes>,
    /// Repeat policy of the request.
    pub repeat: Repeat,
    /// Time class of the reply.
    pub pace: Pace,
    /// Directory header of the request.
    pub scope: CallScope,
}

/// Directory header (`x-opencode-directory`) of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallScope {
    /// The request concerns the session's directory and has to name the directory.
    Directory,
    /// The path of the request names a session, whose own directory holds.
    Session,
}

/// Reply to an [`ApiCall`]: a response of any status, or the failure to obtain one.
pub type ApiReply = Result<Response<Bytes>, CallFailure>;

/// Failure of a call that has no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct CallFailure {
    /// Progress of the request before the failure.
    pub delivery: Delivery,
    /// The error of the connection or the limit, with all causes, on one line.
    pub reason: String,
}

impl CallFailure {
    /// Creates a failure at this point of the delivery.
    pub fn new(delivery: Delivery, reason: impl Into<String>) -> Self {
        Self { delivery, reason: reason.into() }
    }
}

/// Progress of a request whose call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// The request did not reach the server, which has done nothing.
    NotSent,
    /// The connection broke after the request was begun: the server may have received the
    /// request.
    Unknown,
    /// The server received the request, for it began to answer.
    Received,
}

/// Calls of one machine that have no reply yet, each with a purpose.
#[derive(Debug)]
pub(crate) struct OpenCalls<P> {
    next: u64,
    open: BTreeMap<ApiCallId, P>,
}

impl<P> Default for OpenCalls<P> {
    fn default() -> Self {
        Self { next: 0, open: BTreeMap::new() }
    }
}

impl<P> OpenCalls<P> {
    /// Makes a call of `operation`, and remembers the purpose until the reply.
    pub(crate) fn begin<O: Operation + ?Sized>(
        &mut self,
        operation: &O,
        scope: CallScope,
        purpose: P,
    ) -> ApiCall {
        let id = ApiCallId(self.next);
        self.next += 1;
        self.open.insert(id, purpose);
        ApiCall {
            id,
            request: operation.request(),
            repeat: operation.repeat(),
            pace: operation.pace(),
            scope,
        }
    }

    /// Ends a call, and returns the purpose; `None` for a call that is not open.
    pub(crate) fn end(&mut self, id: ApiCallId) -> Option<P> {
        self.open.remove(&id)
    }

    /// Returns the purpose of an open call.
    pub(crate) fn purpose(&self, id: ApiCallId) -> Option<&P> {
        self.open.get(&id)
    }

    /// Returns whether the call is open.
    pub(crate) fn contains(&self, id: ApiCallId) -> bool {
        self.open.contains_key(&id)
    }

    /// Returns whether a call of such a purpose is open.
    pub(crate) fn any(&self, is_meant: impl Fn(&P) -> bool) -> bool {
        self.open.values().any(is_meant)
    }

    /// Forgets the calls of other purposes. Their replies will be ignored.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(&P) -> bool) {
        self.open.retain(|_, purpose| is_kept(purpose));
    }

    /// Returns the purposes of all calls that wait for their replies.
    pub(crate) fn into_purposes(self) -> impl Iterator<Item = P> {
        self.open.into_values()
    }
}

/// Error of a call as a machine sees it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallFault {
    /// The server answered with an error, or with something the operation cannot read.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// No response arrived.
    #[error(transparent)]
    Failed(CallFailure),
}

impl CallFault {
    /// Returns the server's error, if the server answered.
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            Self::Failed(_) => None,
        }
    }

    /// Returns the error with all causes, on one line.
    pub(crate) fn describe(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}

/// Reads the reply to a call of `operation`.
pub(crate) fn read_reply<O: Operation + ?Sized>(
    operation: &O,
    reply: ApiReply,
) -> Result<O::Output, CallFault> {
    let response = reply.map_err(CallFault::Failed)?;
    operation.decode(response).map_err(|error| CallFault::Api(Box::new(error)))
}
