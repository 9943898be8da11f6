use std::io;
use std::path::PathBuf;

use crate::http::CallError;
use crate::runtime::describe::debug_as_chain;

/// Failure to put a session under a policy. The session may have got the rules of the policy by
/// then.
///
/// ```
/// use opencode_tokio::PolicyError;
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
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The server does not list the rights of agents. Servers before 1.1 cannot.
    #[error("cannot read the rights of the server's agents, which takes OpenCode 1.1 or later")]
    Call(#[from] CallError),
    /// A directory of the policy does not exist, or cannot be resolved.
    #[error("cannot confine the session to {}: create the directory, or name another", .path.display())]
    Directory {
        /// The directory, as an absolute path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The policy confines to directories, and the directory of the session is not on this machine.
    #[error(
        "cannot look up paths for the policy, since the directory of the session, {}, is not on this \
         machine: run where the server runs, or name no directories",
        .directory.display()
    )]
    Elsewhere {
        /// The directory, as the server names it.
        directory: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The server would allow a use without a permission request that the policy does not allow as
    /// it is.
    #[error(
        "agent `{agent}` of the server may use `{permission}` on `{pattern}` without asking the policy: \
         start a server with `Policy::server_config`, remove the rule from the agent, allow the use \
         in the policy, or use a policy without subagents"
    )]
    Unasked {
        /// Name of the agent.
        agent: String,
        /// Permission key, or the name of a tool that asks for no permission; perhaps a pattern.
        permission: String,
        /// Pattern of the subjects.
        pattern: String,
    },
    /// The policy allows some commands, and the server runs command lines without a permission
    /// request in which OpenCode finds no command.
    #[error(
        "the server runs some command lines without asking the policy: start a server on this \
         machine with `Policy::server_config`, allow all commands or none, or accept the risk with \
         `Policy::with_unasked_commands`"
    )]
    UnaskedCommands,
    /// The rules of the session cannot be read.
    #[error("cannot read the rules of the session: create another session")]
    Unreadable,
}

debug_as_chain!(PolicyError);
