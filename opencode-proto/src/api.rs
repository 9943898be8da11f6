//! The HTTP API of a server as values: an operation makes a request and reads the reply, and sends neither.
//!
//! ```
//! use http::Response;
//! use opencode_proto::api::{ApiErrorKind, CreateSession, Operation};
//!
//! let create = CreateSession::new().with_title("review");
//! let request = create.request();
//! assert_eq!(request.uri(), "/session");
//! assert_eq!(request.body(), r#"{"title":"review"}"#);
//!
//! // Whoever has a connection sends it. This is what came back.
//! let reply = Response::new(r#"{"id":"ses_1","title":"review"}"#.into());
//! let session = create.decode(reply)?;
//! assert_eq!(session.id, "ses_1");
//!
//! let reply = Response::builder().status(401).body("".into())?;
//! let error = create.decode(reply).unwrap_err();
//! assert_eq!(error.kind, ApiErrorKind::Unauthorized);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The operations, by what they are about:
//!
//! - The server: [`Health`], [`ConfiguredModel`], [`ReadPaths`], [`ListAgents`], [`ListToolIds`].
//! - Sessions: [`CreateSession`], [`ListSessions`], [`ReadSession`], [`UpdateSession`], [`DeleteSession`],
//!   [`ListChildren`], [`SessionStatuses`], [`SessionTodos`], [`SessionDiff`], [`ForkSession`], [`RevertSession`],
//!   [`UnrevertSession`], [`ShareSession`], [`UnshareSession`].
//! - Turns: [`PromptAsync`], [`SendMessage`], [`Command`], [`Shell`], [`Summarize`], [`Init`], [`AbortSession`].
//! - Messages: [`ListMessages`], [`ReadMessage`], [`DeleteMessage`], [`DeletePart`].
//! - What turns wait for: [`ListPermissions`], [`ReplyPermission`], [`RespondPermission`], [`ListQuestions`],
//!   [`ReplyQuestion`], [`RejectQuestion`].
//!
//! Paths that name a session need no directory: the session's own holds there. All others do, and the lists of what
//! turns wait for and of what sessions do are those of one directory.

mod agent;
mod ask;
mod call;
mod diff;
mod error;
mod message;
mod no_stream;
mod prompt;
mod server;
mod session;
mod turn;

use bytes::Bytes;
use http::{Request, Response};

pub use agent::{AgentInfo, ListAgents, ListToolIds, ReadPaths, ServerPaths, ServerRule};
pub use ask::{
    ListPermissions, ListQuestions, Pending, PermissionReply, QuestionAnswer, RejectQuestion,
    ReplyPermission, ReplyQuestion, RespondPermission,
};
pub use diff::{FileDiff, SessionDiff};
pub use error::{ApiError, ApiErrorKind};
pub use message::{
    DeleteMessage, DeletePart, ListMessages, MessageCursor, MessagePage, MessageWithParts,
    ReadMessage,
};
pub use prompt::{OutputFormat, Prompt, PromptFile, PromptPart, PromptReply, Subtask};
pub use server::{ConfiguredModel, Health, ServerHealth};
pub use session::{
    AbortSession, CreateSession, DeleteSession, ForkSession, ListChildren, ListSessions,
    ReadSession, RevertSession, SessionRoots, SessionStatuses, SessionTodos, ShareSession,
    UnrevertSession, UnshareSession, UpdateSession,
};
pub use turn::{Command, Init, PromptAsync, SendMessage, Shell, Summarize};

/// One operation of the server's HTTP API.
///
/// ```text
/// operation.request()  --sent by whoever has a connection-->  response
/// operation.decode(response)  -->  Output or ApiError
/// ```
pub trait Operation {
    /// What a reply says.
    type Output;

    /// The request, its URI in origin form (`/session/ses_1/abort`). Whoever sends it adds what depends on the
    /// connection: `host`, `authorization`, and the directory (`x-opencode-directory`).
    fn request(&self) -> Request<Bytes>;

    /// Reads the reply to [`request`](Self::request), whatever its status.
    ///
    /// # Errors
    ///
    /// What the server refused, or a reply that cannot be read.
    fn decode(&self, response: Response<Bytes>) -> Result<Self::Output, ApiError>;

    /// Whether the request may be sent again when nobody knows if the server got it.
    fn repeat(&self) -> Repeat {
        Repeat::Never
    }

    /// How long a reply may take.
    fn pace(&self) -> Pace {
        Pace::Quick
    }
}

/// Whether a request may be sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The second would do something again.
    Never,
    /// The second changes nothing.
    Safe,
}

/// How long the reply to a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The first word about a directory, perhaps: the server reads the project, and installs what its plugins need, before
    /// it answers.
    Boot,
    /// The server answers at once.
    Quick,
    /// The server answers when the model has: minutes, or hours.
    Turn,
}

#[cfg(test)]
mod tests;
