use std::io;
use std::path::PathBuf;

use crate::http::CallError;

/// Why a session cannot be put under a policy. Nothing was changed but, maybe, rules that the session has besides.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The server does not tell what its agents may do. (Those before 1.1 cannot.)
    #[error("the server does not say what its agents may do")]
    Call(#[from] CallError),
    /// A directory of the policy is not there.
    #[error("{} cannot be confined to", .path.display())]
    Directory {
        /// As it was looked for.
        path: PathBuf,
        /// Why it cannot be found.
        source: io::Error,
    },
    /// The policy confines to directories, and the session's is not on this machine.
    #[error("the directory of the session, {}, is not on this machine", .directory.display())]
    Elsewhere {
        /// As the server names it.
        directory: PathBuf,
        /// Why it cannot be found.
        source: io::Error,
    },
    /// The server would do something without asking that the policy does not allow as it is.
    #[error("with agent `{agent}`, the server allows `{permission}` on `{pattern}` without asking")]
    Unasked {
        /// Of which agent.
        agent: String,
        /// Which permission, or which tool that asks for none; maybe a pattern.
        permission: String,
        /// On what.
        pattern: String,
    },
    /// The session has rules that cannot be read.
    #[error("the rules of the session cannot be read")]
    Unreadable,
}
