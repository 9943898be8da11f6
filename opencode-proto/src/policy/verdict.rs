use std::fmt;
use std::path::PathBuf;

use super::command::line;
use crate::api::PermissionReply;
use crate::{PermissionRequest, SessionId};

/// Decision of a policy about one permission request, with the reason.
///
/// ```
/// use opencode_proto::policy::PolicyVerdict;
///
/// fn log(verdict: &PolicyVerdict) -> String {
///     let PolicyVerdict { request, reply, reason, .. } = verdict;
///     format!("{} {}: {reason}", request.permission, reply.as_str())
/// }
/// # let _ = log;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PolicyVerdict {
    /// The session that asked: the session under the policy, or a subagent.
    pub session: SessionId,
    /// The permission request.
    pub request: PermissionRequest,
    /// The reply for the server.
    pub reply: PermissionReply,
    /// The reason of the decision.
    pub reason: PolicyReason,
}

impl PolicyVerdict {
    /// Returns the command line that the verdict allows to run, as the shell gets the line; `None`
    /// for a refusal, and for every other permission than `bash`.
    pub fn allowed_command_line(&self) -> Option<String> {
        let is_allowed = matches!(self.reply, PermissionReply::Always | PermissionReply::Once);
        (is_allowed && self.request.permission == "bash").then(|| line(&self.request)).flatten()
    }
}

/// Reason of a policy's decision.
///
/// ```
/// use opencode_proto::policy::PolicyReason;
///
/// let reason = PolicyReason::Outside { path: "/etc/passwd".into() };
/// assert_eq!(reason.to_string(), "/etc/passwd is not in the allowed directories");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyReason {
    /// The application confirmed or refused the request.
    Confirm,
    /// The file would change the programs that OpenCode or git run next: `.git`, `.opencode` or
    /// `opencode.json`.
    Guarded {
        /// The file that the request would write.
        path: PathBuf,
    },
    /// The files are in the directories of the policy, and the request asked for nothing else.
    Inside,
    /// A confirmation is required, and the policy has no confirm function.
    NoConfirm,
    /// The file is outside the directories of the policy.
    Outside {
        /// The file that the request would use.
        path: PathBuf,
    },
    /// An earlier confirmation allowed the same for good.
    Remembered,
    /// The model made the same call several times in a row; each call is decided by itself.
    Repeated,
    /// A rule of the policy decided.
    Rule,
    /// A subagent asked, and the policy refuses subagents.
    Subagent,
    /// The maximum number of tool calls was reached.
    ToolCalls {
        /// The maximum.
        max: usize,
    },
    /// Commands cannot be confined to directories, and no rule allows them all the same.
    Unconfined,
    /// The files that the call would use cannot be determined.
    Unclear,
}

impl fmt::Display for PolicyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Confirm => f.write_str("decided by confirmation"),
            Self::Guarded { path } => write!(f, "{} must not be changed", path.display()),
            Self::Inside => f.write_str("the files are in the allowed directories"),
            Self::NoConfirm => f.write_str("a confirmation is required and not available"),
            Self::Outside { path } => {
                write!(f, "{} is not in the allowed directories", path.display())
            }
            Self::Remembered => f.write_str("allowed for good before"),
            Self::Repeated => f.write_str("each of the repeated calls is decided by itself"),
            Self::Rule => f.write_str("decided by a rule"),
            Self::Subagent => f.write_str("subagents are not allowed"),
            Self::ToolCalls { max } => write!(f, "no more than {max} tool calls are allowed"),
            Self::Unconfined => {
                f.write_str("commands cannot be confined to the allowed directories")
            }
            Self::Unclear => f.write_str("the files of the call cannot be determined"),
        }
    }
}

/// Reply and reason of a decision.
pub(super) type Decision = (PermissionReply, PolicyReason);

pub(super) fn allowed(reason: PolicyReason) -> Decision {
    (PermissionReply::Once, reason)
}

/// The message of the refusal reaches the model, so that the turn goes on.
pub(super) fn refused(reason: PolicyReason) -> Decision {
    let message = format!("Refused by the policy of this session: {reason}.");
    (PermissionReply::reject_with(message), reason)
}
