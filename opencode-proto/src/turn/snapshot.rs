use crate::SessionId;
use crate::api::{ApiError, MessageWithParts, Pending};
use crate::server_event::{PermissionRequest, QuestionRequest, SessionStatus};

/// What a server was found to know about a turn's session: the answer to a [`Look`](super::Look).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// What the session does. The server lists those only that do something, so a missing one is idle.
    pub status: SessionStatus,
    /// Its messages from the turn's own on, in order; fewer when the server cannot list them.
    pub messages: Vec<MessageWithParts>,
    /// The sessions of its subagents, and of theirs.
    pub children: Vec<ChildSnapshot>,
    /// The permissions that wait for an answer, of any session of the directory.
    pub permissions: Vec<Pending<PermissionRequest>>,
    /// The questions that wait for an answer, of any session of the directory.
    pub questions: Vec<Pending<QuestionRequest>>,
}

/// A subagent's session in a [`Snapshot`].
#[derive(Clone, Debug)]
pub struct ChildSnapshot {
    /// The session.
    pub session: SessionId,
    /// All its messages.
    pub messages: Vec<MessageWithParts>,
}

impl Snapshot {
    /// A session that does this, and nothing else known.
    pub fn new(status: SessionStatus) -> Self {
        Self {
            status,
            messages: Vec::new(),
            children: Vec::new(),
            permissions: Vec::new(),
            questions: Vec::new(),
        }
    }
}

/// Why a look failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookError {
    /// The session does not exist any more.
    SessionGone,
    /// The server could not be asked, or did not answer; another try may help.
    #[non_exhaustive]
    Unavailable {
        /// Why.
        reason: String,
    },
}

impl LookError {
    /// The server could not be asked, and this is why.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into() }
    }
}

/// What became of posting the prompt.
#[derive(Clone, Debug)]
pub enum Posted {
    /// The server took it.
    Accepted,
    /// It did not reach the server.
    Failed {
        /// Why.
        reason: String,
    },
    /// The server refused it.
    Refused(Box<ApiError>),
    /// It was sent, and no reply came: the server may have it.
    Unknown {
        /// Why.
        reason: String,
    },
}
