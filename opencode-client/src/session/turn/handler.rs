use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opencode_proto::policy::Approvals;
use opencode_proto::{AskKind, Pending, PermissionKind, PermissionReply, QuestionKind};

use super::token::{Ask, AskToken};
use crate::runtime::wait::BoxFuture;

/// Function of the application that answers asks of one kind.
pub(crate) type Handler<K> =
    Arc<dyn Fn(Pending<<K as AskKind>::Request>) -> BoxFuture<<K as AskKind>::Reply> + Send + Sync>;

/// Handlers of a turn's asks.
#[derive(Clone, Default)]
pub(crate) struct AskHandlers {
    permission: Option<Handler<PermissionKind>>,
    question: Option<Handler<QuestionKind>>,
    pub(super) unhandled: UnhandledAsks,
}

/// Policy for asks without a handler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum UnhandledAsks {
    /// They are refused.
    #[default]
    Reject,
    /// The reader of the stream may take them.
    Stream,
}

/// A kind of ask, as a client has it.
pub(crate) trait HandledAsk: AskKind {
    fn handler(handlers: &AskHandlers) -> Option<&Handler<Self>>;
    fn handler_mut(handlers: &mut AskHandlers) -> &mut Option<Handler<Self>>;
    fn offer(token: AskToken<Self>) -> Ask;
}

impl HandledAsk for PermissionKind {
    fn handler(handlers: &AskHandlers) -> Option<&Handler<Self>> {
        handlers.permission.as_ref()
    }

    fn handler_mut(handlers: &mut AskHandlers) -> &mut Option<Handler<Self>> {
        &mut handlers.permission
    }

    fn offer(token: AskToken<Self>) -> Ask {
        Ask::Permission(token)
    }
}

impl HandledAsk for QuestionKind {
    fn handler(handlers: &AskHandlers) -> Option<&Handler<Self>> {
        handlers.question.as_ref()
    }

    fn handler_mut(handlers: &mut AskHandlers) -> &mut Option<Handler<Self>> {
        &mut handlers.question
    }

    fn offer(token: AskToken<Self>) -> Ask {
        Ask::Question(token)
    }
}

/// Boxes the futures of a handler.
pub(crate) fn boxed<K: AskKind, R>(
    handler: impl Fn(Pending<K::Request>) -> R + Send + Sync + 'static,
) -> Handler<K>
where
    R: Future<Output = K::Reply> + Send + 'static,
{
    Arc::new(move |ask| Box::pin(handler(ask)))
}

impl AskHandlers {
    /// Sets the handler of a kind.
    pub(crate) fn set<K: HandledAsk, R>(
        &mut self,
        handler: impl Fn(Pending<K::Request>) -> R + Send + Sync + 'static,
    ) where
        R: Future<Output = K::Reply> + Send + 'static,
    {
        *K::handler_mut(self) = Some(boxed::<K, R>(handler));
    }

    /// Returns whether there is a handler of permission requests.
    pub(crate) fn has_permission_handler(&self) -> bool {
        self.permission.is_some()
    }

    /// Has all permissions decided by this, whatever handlers there are.
    pub(crate) fn decide_by(&mut self, decider: &Handler<PermissionKind>) {
        self.permission = Some(Arc::clone(decider));
    }

    /// Hands asks without a handler to the reader of the stream.
    pub(super) fn offer_unhandled(&mut self) {
        self.unhandled = UnhandledAsks::Stream;
    }

    /// Returns the handlers for work whose events have no reader.
    pub(super) fn without_reader(self) -> Self {
        Self { unhandled: UnhandledAsks::Reject, ..self }
    }

    /// Remembers the permissions that the handler grants with `Always`, and answers `once`: the
    /// server would grant the same to all sessions of the directory. All turns that use the handler
    /// from here on share the memory: those of one session and of the subagents should.
    pub(crate) fn remember_always(&mut self) {
        let Some(handler) = self.permission.take() else { return };
        let approvals = Arc::new(Mutex::new(Approvals::new()));
        self.set::<PermissionKind, _>(move |ask| {
            let (handler, approvals) = (Arc::clone(&handler), Arc::clone(&approvals));
            async move {
                if lock(&approvals).allows(&ask.request) {
                    return PermissionReply::Once;
                }
                let reply = handler(ask.clone()).await;
                if reply == PermissionReply::Always {
                    lock(&approvals).remember(&ask.request);
                    return PermissionReply::Once;
                }
                reply
            }
        });
    }

    /// Adds the handlers of the session where the turn has none.
    pub(crate) fn or(&mut self, others: &Self) {
        if self.unhandled == UnhandledAsks::Stream {
            return;
        }
        if self.permission.is_none() {
            self.permission.clone_from(&others.permission);
        }
        if self.question.is_none() {
            self.question.clone_from(&others.question);
        }
    }
}

fn lock(approvals: &Mutex<Approvals>) -> MutexGuard<'_, Approvals> {
    approvals.lock().unwrap_or_else(PoisonError::into_inner)
}
