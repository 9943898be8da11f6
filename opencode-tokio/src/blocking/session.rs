use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use opencode_client::api::{FileDiff, MessageWithParts, UpdateSession};
use opencode_client::event::{MessageId, PartId};
use opencode_client::log::EventLogConfig;
#[cfg(feature = "schema")]
use opencode_client::serde::de::DeserializeOwned;
use opencode_client::session::{SessionInfo, SessionStatus, Todo};
#[cfg(feature = "schema")]
use opencode_client::session::{StructuredError, schemars};
use opencode_client::turn::{
    FollowRequest, Pending, PermissionRequest, PostError, PostedPrompt, QuestionRequest,
};
use opencode_client::{
    AnswerSchema, CallError, ModelRef, PermissionReply, Policy, PolicyError, Prompt, QuestionReply,
    SessionId, TurnError, TurnRequest,
};

use super::forward::forward;
use super::worker::Held;
use super::{StructuredStream, TurnStream};

/// Blocking form of [`Session`](crate::Session). Clones are cheap.
#[derive(Clone, Debug)]
pub struct Session(pub(super) Held<crate::Session>);

impl Session {
    /// Blocking form of [`Session::id`](crate::Session::id).
    pub fn id(&self) -> &SessionId {
        self.0.id()
    }

    /// Blocking form of [`Session::on_permission`](crate::Session::on_permission). The
    /// handler may block: each request is handled on a thread of its own, while the events of the
    /// turn continue.
    #[must_use]
    pub fn on_permission(
        self,
        handler: impl Fn(Pending<PermissionRequest>) -> PermissionReply + Send + Sync + 'static,
    ) -> Self {
        let handler = Arc::new(handler);
        Self(self.0.map(|session| {
            session.on_permission(move |ask| on_a_thread(Arc::clone(&handler), ask))
        }))
    }

    /// Blocking form of [`Session::on_question`](crate::Session::on_question), on a thread like
    /// [`on_permission`](Self::on_permission).
    #[must_use]
    pub fn on_question(
        self,
        handler: impl Fn(Pending<QuestionRequest>) -> QuestionReply + Send + Sync + 'static,
    ) -> Self {
        let handler = Arc::new(handler);
        Self(
            self.0.map(|session| {
                session.on_question(move |ask| on_a_thread(Arc::clone(&handler), ask))
            }),
        )
    }

    /// Blocking form of [`Session::with_policy`](crate::Session::with_policy).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn with_policy(self, policy: Policy) -> Result<Self, PolicyError> {
        let session = self.0.wait(crate::Session::clone(&self.0).with_policy(policy))?;
        Ok(Self(self.0.beside(session)))
    }

    /// Blocking form of [`Session::with_log`](crate::Session::with_log).
    #[must_use]
    pub fn with_log(self, log: EventLogConfig) -> Self {
        Self(self.0.map(|session| session.with_log(log)))
    }

    /// Blocking form of [`Session::send`](crate::Session::send). The turn starts
    /// with the first call of `next`.
    pub fn send(&self, request: impl Into<TurnRequest>) -> TurnStream {
        TurnStream(self.0.beside(self.0.send(request)))
    }

    forward! {
        "Session":
        get directory() -> Option<&str>;
        wait post(prompt: impl Into<Prompt>) -> Result<PostedPrompt, PostError>;
        wait ask(request: impl Into<TurnRequest>) -> Result<String, TurnError>;
        wait info() -> Result<SessionInfo, CallError>;
        wait status() -> Result<SessionStatus, CallError>;
        wait update(
            change: impl FnOnce(UpdateSession) -> UpdateSession
        ) -> Result<SessionInfo, CallError>;
        wait delete() -> Result<(), CallError>;
        wait abort() -> Result<(), CallError>;
        wait children() -> Result<Vec<SessionInfo>, CallError>;
        wait messages() -> Result<Vec<MessageWithParts>, CallError>;
        wait message(message: MessageId) -> Result<MessageWithParts, CallError>;
        wait delete_message(message: MessageId) -> Result<(), CallError>;
        wait delete_part(message: MessageId, part: PartId) -> Result<(), CallError>;
        wait revert(message: MessageId, part: Option<PartId>) -> Result<SessionInfo, CallError>;
        wait unrevert() -> Result<SessionInfo, CallError>;
        wait share() -> Result<SessionInfo, CallError>;
        wait unshare() -> Result<SessionInfo, CallError>;
        wait diff(message: Option<MessageId>) -> Result<Vec<FileDiff>, CallError>;
        wait todos() -> Result<Vec<Todo>, CallError>;
    }

    /// Blocking form of [`Session::summarize`](crate::Session::summarize). The turn starts with the
    /// first call of `next`.
    pub fn summarize(&self, model: ModelRef) -> TurnStream {
        TurnStream(self.0.beside(self.0.summarize(model)))
    }

    /// Blocking form of [`Session::fork`](crate::Session::fork).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn fork(&self, before: Option<MessageId>) -> Result<Self, CallError> {
        let session = self.0.wait(self.0.fork(before))?;
        Ok(Self(self.0.beside(session)))
    }

    /// Blocking form of [`Session::follow`](crate::Session::follow). The turn is joined with the
    /// first call of `next`.
    pub fn follow(&self, request: impl Into<FollowRequest>) -> TurnStream {
        TurnStream(self.0.beside(self.0.follow(request)))
    }

    /// Blocking form of [`Session::until_quiet`](crate::Session::until_quiet).
    pub fn until_quiet(&self, quiet: Duration) -> TurnStream {
        TurnStream(self.0.beside(self.0.until_quiet(quiet)))
    }

    /// Blocking form of [`Session::send_structured`](crate::Session::send_structured). The first
    /// turn starts with the first call of `next`.
    ///
    /// ```no_run
    /// # use opencode_tokio::blocking::Session;
    /// # fn example(session: Session) -> Result<(), Box<dyn std::error::Error>> {
    /// use opencode_tokio::AnswerSchema;
    /// use opencode_tokio::event::RawJson;
    ///
    /// let schema = AnswerSchema::of::<u32>(RawJson::parse(r#"{"type":"integer"}"#)?);
    /// let answer = session.send_structured("How many files are here?", &schema).outcome()?;
    /// println!("{}", answer.parse::<u32>()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_structured(
        &self,
        request: impl Into<TurnRequest>,
        schema: &AnswerSchema,
    ) -> StructuredStream {
        StructuredStream(self.0.beside(self.0.send_structured(request, schema)))
    }

    /// Blocking form of [`Session::answer`](crate::Session::answer).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    #[cfg(feature = "schema")]
    pub fn answer<T>(&self, request: impl Into<TurnRequest>) -> Result<T, StructuredError>
    where
        T: schemars::JsonSchema + DeserializeOwned,
    {
        self.0.wait(self.0.answer(request))
    }

    /// Returns the async handle.
    pub fn as_async(&self) -> &crate::Session {
        &self.0
    }
}

/// Calls a handler on a thread of its own, and passes a panic of the handler on.
async fn on_a_thread<A, R>(handler: Arc<impl Fn(A) -> R + Send + Sync + 'static>, ask: A) -> R
where
    A: Send + 'static,
    R: Send + 'static,
{
    match tokio::task::spawn_blocking(move || handler(ask)).await {
        Ok(reply) => reply,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The program is ending.
            Err(_) => pending().await,
        },
    }
}
