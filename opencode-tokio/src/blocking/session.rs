use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;

use opencode_client::log::EventLogConfig;
use opencode_client::turn::{
    FollowRequest, Pending, PermissionRequest, PostError, PostedPrompt, QuestionRequest,
};
use opencode_client::{
    PermissionReply, Policy, PolicyError, Prompt, QuestionReply, SessionId, TurnError, TurnRequest,
};

use super::TurnStream;
use super::worker::Held;

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

    /// Blocking form of [`Session::post`](crate::Session::post).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn post(&self, prompt: impl Into<Prompt>) -> Result<PostedPrompt, PostError> {
        self.0.wait(self.0.post(prompt))
    }

    /// Blocking form of [`Session::follow`](crate::Session::follow). The turn is joined with the
    /// first call of `next`.
    pub fn follow(&self, request: impl Into<FollowRequest>) -> TurnStream {
        TurnStream(self.0.beside(self.0.follow(request)))
    }

    /// Blocking form of [`Session::ask`](crate::Session::ask).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn ask(&self, request: impl Into<TurnRequest>) -> Result<String, TurnError> {
        self.0.wait(self.0.ask(request))
    }

    /// Returns the async handle, which has every other operation of a session.
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
