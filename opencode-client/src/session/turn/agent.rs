//! Agents of prompts on servers that do not report an agent that does not exist.

use opencode_proto::api::ListAgents;
use opencode_proto::{TurnPost, Version};

use crate::session::core::SessionCore;

/// First version that was seen to refuse a prompt for an agent that does not exist. OpenCode 1.3.0
/// accepts such a prompt, and the server exits after a minute.
const REPORTED_SINCE: Version = Version::new(1, 14, 34);

/// Error of a prompt for an agent that the server does not have. Nothing was posted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server has no agent `{agent}`")]
#[non_exhaustive]
pub struct UnknownAgent {
    /// Name of the agent.
    pub agent: String,
}

/// Returns the agent to look up before the request is posted.
pub(super) fn unreported(core: &SessionCore, post: &TurnPost) -> Option<String> {
    let version = core.server.version()?;
    let is_unreported = *version < REPORTED_SINCE && !version.is_snapshot();
    post.agent().filter(|_| is_unreported).map(str::to_owned)
}

/// Looks up the agent of a request.
pub(super) async fn check(core: &SessionCore, agent: Option<String>) -> Result<(), UnknownAgent> {
    let Some(agent) = agent else { return Ok(()) };
    let directory = core.state.directory.clone();
    match core.http.call(&ListAgents::new(), directory.as_deref()).await {
        Ok(agents) if !agents.iter().any(|known| known.name == agent) => {
            Err(UnknownAgent { agent })
        }
        // A server that does not list the agents does not take the prompt either.
        Ok(_) | Err(_) => Ok(()),
    }
}
