//! Prompts that are posted and left.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, ready};

use opencode_proto::{
    ApiError, AttachmentError, Deadline, MessageId, Prompt, SessionId, ToolSwitchError, Turn,
    TurnAction, TurnEnd, TurnOutcome, TurnPost, TurnSettings,
};
use serde::{Deserialize, Serialize, Serializer};

use super::agent::{self, UnknownAgent};
use super::driven::DrivenTurn;
use crate::http::Calls;
use crate::runtime::describe::{debug_as_chain, describe};
use crate::server::files::check;
use crate::session::core::SessionCore;

/// A prompt that was posted, by the ids with which any program can follow the turn.
///
/// `Serialize` writes `{sessionID, messageID}`.
///
/// ```no_run
/// # async fn example(server: opencode_tokio::Server) -> Result<(), Box<dyn std::error::Error>> {
/// use opencode_tokio::serde_json;
/// use opencode_tokio::turn::PostedPrompt;
///
/// let session = server.create_session(Default::default()).await?;
/// let posted = session.post("Tidy up.").await?;
/// std::fs::write("posted.json", serde_json::to_string(&posted)?)?;
///
/// // Later, perhaps in another program:
/// let posted: PostedPrompt = serde_json::from_str(&std::fs::read_to_string("posted.json")?)?;
/// let session = server.session(posted.session.clone()).await?;
/// println!("{}", session.follow(posted).outcome().await?.text());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PostedPrompt {
    /// The session of the prompt.
    #[serde(rename = "sessionID")]
    pub session: SessionId,
    /// Message of the prompt.
    #[serde(rename = "messageID")]
    pub message: MessageId,
}

impl PostedPrompt {
    /// Creates the description of a prompt from ids that were kept.
    pub fn new(session: impl Into<SessionId>, message: impl Into<MessageId>) -> Self {
        Self { session: session.into(), message: message.into() }
    }
}

/// Error of a prompt that was to be posted and left.
///
/// `Serialize` writes `{message, posted}`: the message with its causes, and the
/// [`posted`](Self::posted) prompt or `null`.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// An attached file cannot be used. Nothing was posted.
    #[error(transparent)]
    Attachment(AttachmentError),
    /// The server did not receive the prompt, and never will.
    #[error("the prompt was not posted: {reason}")]
    #[non_exhaustive]
    NotSent {
        /// The error of the connection.
        reason: String,
    },
    /// The server refused the prompt.
    #[error("the server refused the prompt")]
    Refused(#[source] Box<ApiError>),
    /// The session was deleted.
    #[error("cannot post the prompt: the session was deleted")]
    SessionDeleted,
    /// The prompt waited too long for an abort of the session, or for the reply.
    #[error("the prompt was not posted in time ({deadline}), or the reply did not arrive")]
    #[non_exhaustive]
    TimedOut {
        /// The deadline.
        deadline: Deadline,
        /// The prompt, which the server may have.
        posted: PostedPrompt,
    },
    /// Tool switches cannot hold for one prompt of this session. Nothing was posted.
    #[error("the prompt was not posted")]
    ToolSwitches(#[source] ToolSwitchError),
    /// The server has no such agent. Nothing was posted. Only servers before 1.14.34 are asked for
    /// their agents; later ones end the turn with an error that names the agent.
    #[error(transparent)]
    UnknownAgent(#[from] UnknownAgent),
    /// The reply was lost, and the server did not list the prompt. The prompt was not sent again.
    #[error("the reply of the server to the prompt was lost: {reason}")]
    #[non_exhaustive]
    Unknown {
        /// The error of the connection.
        reason: String,
        /// The prompt, which the server may have.
        posted: PostedPrompt,
    },
}

debug_as_chain!(PostError);

impl PostError {
    /// Returns the prompt when the server may have it; [`Session::follow`](crate::Session::follow)
    /// finds out.
    pub fn posted(&self) -> Option<&PostedPrompt> {
        match self {
            Self::TimedOut { posted, .. } | Self::Unknown { posted, .. } => Some(posted),
            Self::Attachment(_)
            | Self::NotSent { .. }
            | Self::Refused(_)
            | Self::SessionDeleted
            | Self::ToolSwitches(_)
            | Self::UnknownAgent(_) => None,
        }
    }
}

impl Serialize for PostError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct PostErrorFields<'a> {
            message: String,
            posted: Option<&'a PostedPrompt>,
        }
        let fields = PostErrorFields { message: describe(self), posted: self.posted() };
        fields.serialize(serializer)
    }
}

/// Posts a prompt, and waits until the server has it.
pub(crate) async fn post(core: SessionCore, prompt: Prompt) -> Result<PostedPrompt, PostError> {
    let (server, state) = (&core.server, &core.state);
    let runtime = Arc::clone(&server.host.runtime);
    let post = TurnPost::from(prompt.clone());
    agent::check(&core, agent::unreported(&core, &post)).await?;
    let checked = check(&runtime, post, server.machine()).await;
    checked.map_err(PostError::Attachment)?;
    let calls = Calls::new(core.http.clone(), state.directory.clone());
    // The id for a prompt that is not posted.
    let unposted = server.next_message_id();
    let mut driven = DrivenTurn::new(calls, Arc::clone(state), runtime, |session, now| {
        Turn::post_only(prompt, TurnSettings::default(), unposted, session, now)
    });
    let mut timer = None;
    let outcome = poll_fn(|cx| {
        driven.poll_session(cx);
        loop {
            match driven.poll_action() {
                TurnAction::Finished(outcome) => return Poll::Ready(outcome),
                TurnAction::Ready => {
                    let message = core.server.next_message_id();
                    driven.input(|turn, session, now| turn.post(message, session, now));
                }
                TurnAction::Wait(wake) => {
                    ready!(driven.poll_wait(wake, &mut timer, cx));
                }
                // A post alone has no event stream, and is asked nothing.
                TurnAction::AskPermission(_)
                | TurnAction::AskQuestion(_)
                | TurnAction::Call(_)
                | TurnAction::Event(_)
                | TurnAction::Link { .. } => {}
            }
        }
    })
    .await;
    conclude(*outcome)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a post alone has no other ends")]
fn conclude(outcome: TurnOutcome) -> Result<PostedPrompt, PostError> {
    let posted = PostedPrompt::new(outcome.transcript.id().clone(), outcome.message);
    match outcome.end {
        TurnEnd::Completed => Ok(posted),
        TurnEnd::NotPosted { reason, is_certain: true, .. } => Err(PostError::NotSent { reason }),
        TurnEnd::NotPosted { reason, .. } => Err(PostError::Unknown { reason, posted }),
        TurnEnd::Refused(error) => Err(PostError::Refused(error)),
        TurnEnd::SessionDeleted => Err(PostError::SessionDeleted),
        TurnEnd::TimedOut { deadline, .. } => Err(PostError::TimedOut { deadline, posted }),
        TurnEnd::ToolSwitches(error) => Err(PostError::ToolSwitches(error)),
        end => Err(PostError::Unknown { reason: end.to_string(), posted }),
    }
}
