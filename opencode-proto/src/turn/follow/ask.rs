//! What a session asks.

use std::time::Instant;

use super::{Place, Source};
use crate::SessionId;
use crate::server_event::{PermissionRequest, QuestionRequest, ToolRef};
use crate::transcript::AskId;
use crate::turn::chain::Belongs;
use crate::turn::{
    PermissionAsk, QuestionAsk, Turn, TurnAction, TurnEventKind, describe_permission,
    describe_question,
};

impl Turn {
    pub(super) fn permission_asked(
        &mut self,
        session: &SessionId,
        request: &PermissionRequest,
        source: Source<'_>,
        now: Instant,
    ) {
        let id = AskId::Permission(request.id.clone());
        if !self.is_asked(session, request.tool.as_ref(), source)
            || !self.asks.open(&id, describe_permission(request))
        {
            return;
        }
        let request = Box::new(request.clone());
        let ask = PermissionAsk { session: session.clone(), request: request.clone() };
        self.actions.push_back(TurnAction::AskPermission(ask));
        self.emit_in(session.clone(), TurnEventKind::PermissionAsked(request), source);
        self.watch_asks(now);
    }

    pub(super) fn question_asked(
        &mut self,
        session: &SessionId,
        request: &QuestionRequest,
        source: Source<'_>,
        now: Instant,
    ) {
        let id = AskId::Question(request.id.clone());
        if !self.is_asked(session, request.tool.as_ref(), source)
            || !self.asks.open(&id, describe_question(request))
        {
            return;
        }
        let request = Box::new(request.clone());
        let ask = QuestionAsk { session: session.clone(), request: request.clone() };
        self.actions.push_back(TurnAction::AskQuestion(ask));
        self.emit_in(session.clone(), TurnEventKind::QuestionAsked(request), source);
        self.watch_asks(now);
    }

    /// Something was refused. What was refused before led to it.
    pub(super) fn refused(&mut self, place: Place, id: &AskId, unknown: &str) {
        if self.refused.is_none() && matches!(place, Place::Own) {
            self.refused = Some(self.asks.subject(id).unwrap_or(unknown).to_owned());
        }
    }

    /// Whether the turn has to do with an ask: not when it is one that an earlier turn left, nor when it is aborted.
    fn is_asked(
        &mut self,
        session: &SessionId,
        tool: Option<&ToolRef>,
        source: Source<'_>,
    ) -> bool {
        if self.stop.is_some() {
            return false;
        }
        if *session != self.session {
            return true;
        }
        let Some(message) = tool.and_then(|tool| tool.message.as_ref()) else {
            return self.chain.is_seen();
        };
        match (self.chain.part(message, None), source) {
            (Belongs::Yes, _) => true,
            // It is told before the answer that asks. What is found by looking may be older than the turn.
            (Belongs::Unknown, Some(_)) => self.chain.is_seen(),
            (Belongs::Unknown, None) | (Belongs::No, _) => false,
        }
    }
}
