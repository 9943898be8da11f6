//! The request that begins a turn, and the call that carries the request.

use opencode_config::ModelRef;

use crate::api::{
    ApiErrorKind, Command, CommandRequest, Init, InitRequest, Prompt, PromptAsync, PromptFile,
    PromptPart, PromptReply, SendMessage, Shell, ShellRequest, Summarize, SummarizeRequest,
};
use crate::call::{ApiCall, ApiReply, CallFault, CallScope, Delivery, OpenCalls, read_reply};
use crate::session::ToolUse;
use crate::{ApiError, MessageId, SessionId, StepRole};

/// The request that begins a turn.
///
/// ```
/// use opencode_proto::{CommandRequest, TurnPost};
///
/// let post = TurnPost::from("Which licence does this project have?");
/// assert!(matches!(post, TurnPost::Prompt(_)));
/// let post = TurnPost::from(CommandRequest::new("review"));
/// assert!(matches!(post, TurnPost::Command(_)));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TurnPost {
    /// A command. `POST /session/{sessionID}/command`.
    Command(CommandRequest),
    /// A request for `AGENTS.md`. `POST /session/{sessionID}/init`.
    Init(InitRequest),
    /// A prompt. `POST /session/{sessionID}/prompt_async`, or `/message` on servers before 1.0.150.
    Prompt(Prompt),
    /// A command line. `POST /session/{sessionID}/shell`.
    Shell(ShellRequest),
    /// A summary in place of the conversation. `POST /session/{sessionID}/summarize`.
    ///
    /// OpenCode makes the message of the turn, which the outcome names.
    Summarize(SummarizeRequest),
}

/// Ways in which a turn ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnKind {
    /// A message that is stored and not answered (`noReply`).
    NoReply,
    /// A prompt or a command, which the model answers.
    Prompt,
    /// A command line, which no model answers.
    Shell,
    /// A summary of the conversation.
    Summary,
}

impl TurnKind {
    /// Returns the role of the message that ends such a turn.
    pub(super) fn last_step(self) -> StepRole {
        match self {
            Self::NoReply | Self::Prompt | Self::Shell => StepRole::Answer,
            Self::Summary => StepRole::Summary,
        }
    }
}

impl<P: Into<Prompt>> From<P> for TurnPost {
    fn from(prompt: P) -> Self {
        Self::Prompt(prompt.into())
    }
}

impl From<CommandRequest> for TurnPost {
    fn from(command: CommandRequest) -> Self {
        Self::Command(command)
    }
}

impl From<InitRequest> for TurnPost {
    fn from(init: InitRequest) -> Self {
        Self::Init(init)
    }
}

impl From<ShellRequest> for TurnPost {
    fn from(shell: ShellRequest) -> Self {
        Self::Shell(shell)
    }
}

impl From<SummarizeRequest> for TurnPost {
    fn from(request: SummarizeRequest) -> Self {
        Self::Summarize(request)
    }
}

impl TurnPost {
    /// Returns the files that the request attaches.
    pub fn files(&self) -> impl Iterator<Item = &PromptFile> {
        let (files, parts): (&[_], &[_]) = match self {
            Self::Command(command) => (&command.files, &[]),
            Self::Prompt(prompt) => (&[], &prompt.parts),
            Self::Init(_) | Self::Shell(_) | Self::Summarize(_) => (&[], &[]),
        };
        files.iter().chain(parts.iter().filter_map(PromptPart::file))
    }

    /// Returns the agent that the request names.
    pub fn agent(&self) -> Option<&str> {
        match self {
            Self::Command(command) => command.agent.as_deref(),
            Self::Prompt(prompt) => prompt.agent(),
            Self::Shell(shell) => Some(&shell.agent),
            Self::Init(_) | Self::Summarize(_) => None,
        }
    }

    /// Returns the model that the request names.
    pub fn model(&self) -> Option<&ModelRef> {
        match self {
            Self::Command(command) => command.model.as_ref(),
            Self::Init(init) => Some(&init.model),
            Self::Prompt(prompt) => prompt.model.as_ref(),
            Self::Shell(_) => None,
            Self::Summarize(request) => Some(&request.model),
        }
    }

    /// Returns the place for the model of a request that could name one and does not.
    pub(super) fn missing_model(&mut self) -> Option<&mut Option<ModelRef>> {
        let model = match self {
            Self::Command(command) => &mut command.model,
            Self::Prompt(prompt) => &mut prompt.model,
            Self::Init(_) | Self::Shell(_) | Self::Summarize(_) => return None,
        };
        model.is_none().then_some(model)
    }

    /// Returns the tools that a model may call in the turn.
    pub(super) fn tools(&mut self) -> ToolUse<'_> {
        match self {
            Self::Command(_) | Self::Init(_) => ToolUse::Fixed,
            Self::Prompt(prompt) => ToolUse::Prompt(prompt),
            Self::Shell(_) | Self::Summarize(_) => ToolUse::Nothing,
        }
    }

    pub(super) fn kind(&self) -> TurnKind {
        match self {
            Self::Prompt(prompt) if prompt.reply == PromptReply::NoReply => TurnKind::NoReply,
            Self::Command(_) | Self::Init(_) | Self::Prompt(_) => TurnKind::Prompt,
            Self::Shell(_) => TurnKind::Shell,
            Self::Summarize(_) => TurnKind::Summary,
        }
    }
}

/// A post in flight to the server.
#[derive(Debug)]
pub(super) enum PostCall {
    Command(Command),
    Init(Init),
    PromptAsync(PromptAsync),
    SendMessage(SendMessage),
    Shell(Shell),
    Summarize(Summarize),
}

/// Outcome of a post.
#[derive(Debug)]
pub(super) enum PostReply {
    Accepted,
    /// The server does not have the endpoint, and so has not seen the prompt. Another one may do.
    Again(PostCall),
    /// The server may have the prompt.
    Doubtful {
        reason: String,
    },
    /// The server has not got the prompt, and never will.
    NotSent {
        reason: String,
    },
    Refused(Box<ApiError>),
}

impl PostCall {
    pub(super) fn new(post: TurnPost, session: SessionId, message: MessageId) -> Self {
        match post {
            TurnPost::Command(request) => Self::Command(Command::new(session, message, request)),
            TurnPost::Init(request) => Self::Init(Init { session, message, request }),
            TurnPost::Prompt(prompt) => Self::PromptAsync(PromptAsync { session, message, prompt }),
            TurnPost::Shell(request) => Self::Shell(Shell::new(session, message, request)),
            TurnPost::Summarize(request) => Self::Summarize(Summarize::new(session, request.model)),
        }
    }

    pub(super) fn begin<P>(&self, calls: &mut OpenCalls<P>, purpose: P) -> ApiCall {
        // A path that names a session needs no directory.
        let scope = CallScope::Session;
        match self {
            Self::Command(operation) => calls.begin(operation, scope, purpose),
            Self::Init(operation) => calls.begin(operation, scope, purpose),
            Self::PromptAsync(operation) => calls.begin(operation, scope, purpose),
            Self::SendMessage(operation) => calls.begin(operation, scope, purpose),
            Self::Shell(operation) => calls.begin(operation, scope, purpose),
            Self::Summarize(operation) => calls.begin(operation, scope, purpose),
        }
    }

    /// Returns whether the server replies when the work on the prompt has ended.
    pub(super) fn has_late_reply(&self) -> bool {
        match self {
            Self::PromptAsync(_) => false,
            Self::Command(_)
            | Self::Init(_)
            | Self::SendMessage(_)
            | Self::Shell(_)
            | Self::Summarize(_) => true,
        }
    }

    pub(super) fn handle_reply(self, reply: ApiReply) -> PostReply {
        let replied = match &self {
            Self::Command(operation) => read_reply(operation, reply).map(drop),
            Self::Init(operation) => read_reply(operation, reply),
            Self::PromptAsync(operation) => read_reply(operation, reply),
            Self::SendMessage(operation) => read_reply(operation, reply).map(drop),
            Self::Shell(operation) => read_reply(operation, reply).map(drop),
            Self::Summarize(operation) => read_reply(operation, reply),
        };
        match replied {
            Ok(()) => PostReply::Accepted,
            Err(CallFault::Api(error)) => self.handle_error(error),
            Err(CallFault::Failed(failure)) => {
                let reason = failure.reason;
                match failure.delivery {
                    Delivery::NotSent => PostReply::NotSent { reason },
                    Delivery::Received | Delivery::Unknown => PostReply::Doubtful { reason },
                }
            }
        }
    }

    fn handle_error(self, error: Box<ApiError>) -> PostReply {
        match self {
            Self::PromptAsync(PromptAsync { session, message, prompt })
                if error.is_unknown_route() =>
            {
                PostReply::Again(Self::SendMessage(SendMessage { session, message, prompt }))
            }
            // The server has the prompt: the rest comes from the events and the messages.
            _ if matches!(error.kind, ApiErrorKind::Unreadable(_)) => PostReply::Accepted,
            Self::Command(_)
            | Self::Init(_)
            | Self::PromptAsync(_)
            | Self::SendMessage(_)
            | Self::Shell(_)
            | Self::Summarize(_) => PostReply::Refused(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Response;

    use super::*;
    use crate::call::CallFailure;

    fn post(post: impl Into<TurnPost>) -> PostCall {
        PostCall::new(post.into(), "ses_1".into(), "msg_1".into())
    }

    fn path(post: &PostCall) -> String {
        post.begin(&mut OpenCalls::default(), ()).request.uri().path().to_owned()
    }

    fn reply(status: u16, content_type: &str, body: &'static str) -> ApiReply {
        let reply = Response::builder().status(status).header("content-type", content_type);
        Ok(reply.body(Bytes::from_static(body.as_bytes())).unwrap())
    }

    fn failed(delivery: Delivery) -> ApiReply {
        Err(CallFailure::new(delivery, "reset"))
    }

    #[test]
    fn a_prompt_falls_back_to_the_endpoint_of_old_servers_once() {
        for unknown in [reply(404, "text/plain", "404 Not Found"), reply(200, "text/html", "<p>")] {
            let first = post("Hi.");
            assert_eq!(path(&first), "/session/ses_1/prompt_async");
            let PostReply::Again(second) = first.handle_reply(unknown.clone()) else {
                panic!("the server does not have the endpoint")
            };
            assert_eq!(path(&second), "/session/ses_1/message");
            assert!(matches!(second.handle_reply(unknown), PostReply::Refused(_)));
        }
    }

    #[test]
    fn a_session_that_does_not_exist_refuses_the_prompt() {
        let gone = r#"{"name":"NotFoundError","data":{"message":"Session not found: ses_1"}}"#;
        let replied = post("Hi.").handle_reply(reply(404, "application/json", gone));
        assert!(matches!(replied, PostReply::Refused(_)), "{replied:?}");
    }

    #[test]
    fn other_posts_have_one_endpoint() {
        let posts = [
            (post(CommandRequest::new("review")), "command"),
            (post(ShellRequest::new("build", "ls")), "shell"),
            (post(InitRequest::new("p/m".parse().unwrap())), "init"),
            (post(SummarizeRequest::new("p/m".parse().unwrap())), "summarize"),
        ];
        for (post, last) in posts {
            assert_eq!(path(&post), format!("/session/ses_1/{last}"));
            let replied = post.handle_reply(reply(404, "text/plain", ""));
            assert!(matches!(replied, PostReply::Refused(_)), "{last}: {replied:?}");
        }
    }

    #[test]
    fn the_delivery_decides_whether_the_server_may_have_the_prompt() {
        let replied = post("Hi.").handle_reply(failed(Delivery::NotSent));
        assert!(matches!(replied, PostReply::NotSent { reason } if reason == "reset"));
        for delivery in [Delivery::Unknown, Delivery::Received] {
            let replied = post("Hi.").handle_reply(failed(delivery));
            assert!(matches!(replied, PostReply::Doubtful { reason } if reason == "reset"));
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_was_given_all_the_same() {
        let replied = post(CommandRequest::new("review"));
        let replied = replied.handle_reply(reply(200, "application/json", "[]"));
        assert!(matches!(replied, PostReply::Accepted), "{replied:?}");
    }
}
