use std::future::Future;
use std::sync::Arc;

use opencode_proto::api::{Pending, PermissionReply};
use opencode_proto::{PermissionRequest, QuestionReply, QuestionRequest};

use crate::policy::Memory;
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

    /// Remembers what the handler allows for good, and tells the server `once`: it would allow the same in all sessions of
    /// the directory. All that has the same handler from here on shares the memory: one session and its subagents should.
    pub(crate) fn remember_always(&mut self) {
        let Some(handler) = self.permission.take() else { return };
        let memory = Arc::new(Memory::default());
        self.set_permission(move |ask| {
            let (handler, memory) = (Arc::clone(&handler), Arc::clone(&memory));
            async move {
                if memory.allows(&ask.request) {
                    return PermissionReply::Once;
                }
                match handler(ask.clone()).await {
                    PermissionReply::Always => {
                        memory.remember(&ask.request);
                        PermissionReply::Once
                    }
                    reply @ (PermissionReply::Once | PermissionReply::Reject { .. } | _) => reply,
                }
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
