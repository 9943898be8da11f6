use std::io;
use std::path::PathBuf;

use crate::http::CallError;

/// Failure to put a session under a policy. The session may have got rules of its own by then.
///
/// ```
/// use opencode_client::PolicyError;
///
/// fn hint(error: &PolicyError) -> &'static str {
///     match error {
///         PolicyError::Unasked { .. } => "start a server with `Policy::server_config`",
///         PolicyError::Directory { .. } => "create the directory, or name another one",
///         _ => "see the error",
///     }
/// }
/// # let _ = hint;
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The server does not list the rights of its agents. Servers before 1.1 cannot.
    #[error("cannot read the rights of the server's agents")]
    Call(#[from] CallError),
    /// A directory of the policy does not exist, or cannot be resolved.
    #[error("cannot confine the session to {}", .path.display())]
    Directory {
        /// The directory, as an absolute path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The policy confines to directories, and the directory of the session is not on this machine.
    #[error("the directory of the session, {}, is not on this machine", .directory.display())]
    Elsewhere {
        /// The directory, as the server names it.
        directory: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The server would allow a use without a permission request that the policy does not allow as
    /// it is.
    #[error("agent `{agent}` of the server may use `{permission}` on `{pattern}` without asking")]
    Unasked {
        /// Name of the agent.
        agent: String,
        /// Permission key, or the name of a tool that asks for no permission; perhaps a pattern.
        permission: String,
        /// Pattern of the subjects.
        pattern: String,
    },
    /// The rules of the session cannot be read.
    #[error("cannot read the rules of the session")]
    Unreadable,
}
