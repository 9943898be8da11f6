//! The server's HTTP API as values: an operation creates a request and decodes the reply, and sends
//! neither.
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
//! // The caller sends the request over a connection of its own, and gets this back.
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
//! The operations by subject:
//!
//! - The server: [`Health`], [`NextVersion`], [`ConfiguredModel`], [`ReadPaths`],
//!   [`CheckDirectory`], [`ListAgents`], [`ListToolIds`].
//! - Sessions: [`CreateSession`], [`ListSessions`], [`ReadSession`], [`UpdateSession`],
//!   [`DeleteSession`], [`ListChildren`], [`SessionStatuses`], [`SessionTodos`], [`SessionDiff`],
//!   [`ForkSession`], [`RevertSession`], [`UnrevertSession`], [`ShareSession`], [`UnshareSession`].
//! - Turns: [`PromptAsync`], [`SendMessage`], [`Command`], [`Shell`], [`Summarize`], [`Init`],
//!   [`AbortSession`].
//! - Messages: [`ListMessages`], [`ReadMessage`], [`DeleteMessage`], [`DeletePart`].
//! - Requests that turns wait for: [`ListPermissions`], [`ReplyPermission`], [`RespondPermission`],
//!   [`ListQuestions`], [`ReplyQuestion`], [`RejectQuestion`].
//!
//! Every operation has a `new` with the required values and a `with_*` for each optional one.
//!
//! A path that names a session needs no directory: the session's own applies. All other requests
//! need one, and the lists of open requests and of session statuses are those of one directory.

mod agent;
mod ask;
mod call;
mod caller;
mod diff;
mod directory;
mod error;
mod mcp;
mod message;
mod page;
mod prompt;
mod route;
mod server;
mod session;
mod turn;

use bytes::Bytes;
use http::{Request, Response};

// Requests and replies are types of this crate.
pub use http;

pub use crate::surroundings::{McpServer, McpStatus};
pub use agent::{AgentInfo, ListAgents, ListToolIds, ServerRule};
pub use ask::{
    ListPermissions, ListQuestions, Pending, PermissionReply, QuestionAnswer, RejectQuestion,
    ReplyPermission, ReplyQuestion, RespondPermission,
};
pub use caller::Caller;
pub use diff::{FileDiff, SessionDiff};
pub use directory::{CheckDirectory, ReadPaths, ServerPaths};
pub use error::{ApiError, ApiErrorKind};
pub use mcp::{ConfiguredExtensions, Extensions, ListMcpServers};
pub use message::{
    DeleteMessage, DeletePart, ListMessages, MessageCursor, MessagePage, MessageWithParts,
    ReadMessage,
};
pub use page::{Page, Paged, ReadPage};
pub use prompt::{
    AttachmentError, AttachmentFault, FileContent, OutputFormat, Prompt, PromptFile, PromptPart,
    PromptReply, Subtask,
};
pub use route::RouteTemplate;
pub use server::{ConfiguredModel, ConfiguredShell, Health, NextVersion, ServerHealth};
pub use session::{
    AbortSession, CreateSession, DeleteSession, ForkSession, ListChildren, ListSessions,
    ReadSession, RevertSession, SessionRoots, SessionStatuses, SessionTodos, ShareSession,
    UnrevertSession, UnshareSession, UpdateSession,
};
pub use turn::{
    Command, CommandRequest, Init, InitRequest, PromptAsync, SendMessage, Shell, ShellRequest,
    Summarize, SummarizeRequest,
};

/// One operation of the server's HTTP API.
///
/// ```text
/// operation.request()  --sent by the caller-->  response
/// operation.decode(response)  -->  Output or ApiError
/// ```
///
/// An application can define operations of its own:
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use opencode_proto::api::{ApiError, Health, Operation, Repeat};
///
/// /// Reads the server's version alone.
/// struct Version;
///
/// impl Operation for Version {
///     type Output = String;
///
///     fn request(&self) -> Request<Bytes> {
///         Health::new().request()
///     }
///
///     fn decode(&self, response: Response<Bytes>) -> Result<String, ApiError> {
///         Health::new().decode(response).map(|health| health.version.into())
///     }
///
///     fn repeat(&self) -> Repeat {
///         Repeat::Safe
///     }
/// }
///
/// let reply = Response::new(r#"{"healthy":true,"version":"1.18.33"}"#.into());
/// assert_eq!(Version.decode(reply)?, "1.18.33");
/// # Ok::<(), ApiError>(())
/// ```
pub trait Operation {
    /// Decoded content of a successful reply.
    type Output;

    /// Creates the request, with the URI in origin form (`/session/ses_1/abort`).
    ///
    /// The sender adds the headers that depend on the connection: `host`, `authorization`, and the
    /// directory (`x-opencode-directory`).
    fn request(&self) -> Request<Bytes>;

    /// Decodes the reply to [`request`](Self::request), of any status.
    ///
    /// # Errors
    ///
    /// The server refused the request, or the reply cannot be read.
    fn decode(&self, response: Response<Bytes>) -> Result<Self::Output, ApiError>;

    /// Returns the repeat policy of the request, for a connection that breaks on the way.
    fn repeat(&self) -> Repeat {
        Repeat::Never
    }

    /// Returns the time class of the reply.
    fn pace(&self) -> Pace {
        Pace::Quick
    }
}

/// Repeat policy of a request whose arrival is unknown.
///
/// Exhaustive on purpose: a sender has to know every policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// A second request would act again.
    Never,
    /// A second request changes nothing.
    Safe,
}

/// Time class of the reply to a request.
///
/// Exhaustive on purpose: a sender has to know every class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The reply may wait for the start of a directory: the server reads the project, and installs
    /// the packages of plugins, before the first reply about a directory.
    Boot,
    /// The server replies at once.
    Quick,
    /// The server replies after the model: within minutes or hours.
    Turn,
}

#[cfg(test)]
mod tests;
