use std::fmt;
use std::path::PathBuf;

use opencode_proto::{PermissionReply, PermissionRequest, SessionId};

/// What a policy decided, and why.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// The session that asked: the policy's, or a subagent's.
    pub session: SessionId,
    /// What was asked.
    pub request: PermissionRequest,
    /// What the server is told.
    pub reply: PermissionReply,
    /// Why.
    pub reason: PolicyReason,
}

/// Why a policy decided as it did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyReason {
    /// The confirm function said so.
    Confirm,
    /// It is written there what OpenCode or git run next time: `.git`, `.opencode` or `opencode.json`.
    Guarded {
        /// What was to be written.
        path: PathBuf,
    },
    /// It is in the directories of the policy, and nothing more was asked.
    Inside,
    /// There is no confirm function.
    NobodyToAsk,
    /// It is not in the directories of the policy.
    Outside {
        /// What was to be used.
        path: PathBuf,
    },
    /// The confirm function said so before, for good.
    Remembered,
    /// The model made the same call several times at once, each of which is decided by itself.
    Repeated,
    /// A rule says so.
    Rule,
    /// A subagent asked, and there shall be none.
    Subagent,
    /// There were as many tool calls as there may be.
    ToolCalls {
        /// How many.
        max: usize,
    },
    /// Commands cannot be confined, and no rule says that they may run all the same.
    Unconfined,
    /// It cannot be found out what it would use.
    Unclear,
}

impl fmt::Display for PolicyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Confirm => f.write_str("somebody was asked"),
            Self::Guarded { path } => write!(f, "{} must not be changed", path.display()),
            Self::Inside => f.write_str("it is in the allowed directories"),
            Self::NobodyToAsk => f.write_str("it would have to be confirmed, and nobody is there"),
            Self::Outside { path } => {
                write!(f, "{} is not in the allowed directories", path.display())
            }
            Self::Remembered => f.write_str("it was allowed for good"),
            Self::Repeated => f.write_str("each of the calls is decided by itself"),
            Self::Rule => f.write_str("a rule says so"),
            Self::Subagent => f.write_str("subagents may do nothing"),
            Self::ToolCalls { max } => write!(f, "no more than {max} tool calls are allowed"),
            Self::Unconfined => {
                f.write_str("commands cannot be confined to the allowed directories")
            }
            Self::Unclear => f.write_str("it is not clear what it would use"),
        }
    }
}
