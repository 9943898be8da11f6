use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opencode_proto::api::{Pending, PermissionReply};
use opencode_proto::policy::Approvals;
use opencode_proto::{PermissionRequest, QuestionReply, QuestionRequest};

use crate::runtime::wait::BoxFuture;

/// What decides about a permission, or answers questions.
pub(crate) type Handler<Request, Reply> =
    Arc<dyn Fn(Pending<Request>) -> BoxFuture<Reply> + Send + Sync>;

/// Who answers what a turn asks.
#[derive(Clone, Default)]
pub(crate) struct Answerers {
    pub(super) permission: Option<Handler<PermissionRequest, PermissionReply>>,
    pub(super) question: Option<Handler<QuestionRequest, QuestionReply>>,
    pub(super) taker: Taker,
}

/// Whether asks are handed to who reads the stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Taker {
    #[default]
    Nobody,
    Reader,
}

impl Answerers {
    pub(crate) fn set_permission<R>(
        &mut self,
        handler: impl Fn(Pending<PermissionRequest>) -> R + Send + Sync + 'static,
    ) where
        R: Future<Output = PermissionReply> + Send + 'static,
    {
        self.permission = Some(Arc::new(move |ask| Box::pin(handler(ask))));
    }

    pub(crate) fn set_question<R>(
        &mut self,
        handler: impl Fn(Pending<QuestionRequest>) -> R + Send + Sync + 'static,
    ) where
        R: Future<Output = QuestionReply> + Send + 'static,
    {
        self.question = Some(Arc::new(move |ask| Box::pin(handler(ask))));
    }

    /// Has all permissions decided by this, whoever would be asked else.
    pub(crate) fn decide_by(&mut self, decider: &Handler<PermissionRequest, PermissionReply>) {
        self.permission = Some(Arc::clone(decider));
    }

    /// Remembers the permissions that the handler grants with `Always`, and answers `once`: the
    /// server would grant the same to all sessions of the directory. All turns that use the handler
    /// from here on share the memory: those of one session and its subagents should.
    pub(crate) fn remember_always(&mut self) {
        let Some(handler) = self.permission.take() else { return };
        let approvals = Arc::new(Mutex::new(Approvals::new()));
        self.set_permission(move |ask| {
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

    /// Those of the session, where the turn has none of its own.
    pub(crate) fn or(&mut self, others: &Self) {
        if self.taker == Taker::Reader {
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
