//! Asks of a session and of the subagents.

use super::Source;
use crate::SessionId;
use crate::api::Pending;
use crate::ask::Ask;
use crate::server_event::ToolRef;
use crate::turn::answer::TurnAsk;
use crate::turn::chain::Belongs;
use crate::turn::core::TurnInput;
use crate::turn::look::ChildSnapshot;
use crate::turn::posted::PostedTurn;
use crate::turn::record::Place;

/// Reply to an ask, as the server reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyKind {
    Answer,
    Refusal,
}

impl PostedTurn {
    pub(super) fn asked<K: TurnAsk>(
        &mut self,
        session: &SessionId,
        request: &K::Request,
        source: Source<'_>,
        input: &mut TurnInput<'_>,
    ) {
        let id = K::id(request);
        if !self.is_asked(session, K::tool(request), source, input) || K::asks(self).is_known(id) {
            return;
        }
        let request = Box::new(request.clone());
        let ask = Ask::<K>::new(session.clone(), request.clone());
        if input.shared.claim(id.clone().into(), input.core.number) {
            K::asks(self).open(session.clone(), &request);
            input.core.actions.push_back(K::action(ask));
        } else {
            K::asks(self).leave(ask);
            input.shared.wait(input.core.number);
        }
        self.emit_in(session.clone(), K::event(request), source, input);
        self.watch_asks(input);
    }

    /// The server reports a reply to an ask.
    pub(super) fn replied<K: TurnAsk>(
        &mut self,
        place: Place,
        id: &K::Id,
        reply: ReplyKind,
        input: &mut TurnInput<'_>,
    ) {
        input.shared.settle(id.clone().into());
        let is_by_others = K::asks(self).close_by_others(id);
        // An earlier refusal led to later refusals.
        if is_by_others
            && reply == ReplyKind::Refusal
            && self.refused.is_none()
            && matches!(place, Place::Own)
        {
            self.refused = Some(K::asks(self).subject(id).to_owned());
        }
        self.watch_asks(input);
    }

    /// Adds the asks that a look found, and closes those that it did not find any more. `strangers`
    /// are subagents that may belong to the turn.
    pub(super) fn apply_asks<K: TurnAsk>(
        &mut self,
        found: &[Pending<K::Request>],
        strangers: &[ChildSnapshot],
        input: &mut TurnInput<'_>,
    ) {
        for ask in found {
            let is_stranger = strangers.iter().any(|child| child.session == ask.session);
            if is_stranger || self.is_of_turn(&ask.session) {
                self.asked::<K>(&ask.session, &ask.request, None, input);
            }
        }
        let pending: Vec<_> = found.iter().map(|ask| K::id(&ask.request)).collect();
        for id in K::asks(self).close_missing(&pending) {
            input.shared.settle(id.into());
        }
    }

    /// Returns whether the turn has to do with an ask: not when an earlier turn left the ask, nor
    /// when the turn is being aborted.
    fn is_asked(
        &mut self,
        session: &SessionId,
        tool: Option<&ToolRef>,
        source: Source<'_>,
        input: &TurnInput<'_>,
    ) -> bool {
        if self.course.is_stopping() {
            return false;
        }
        if *session != input.core.session {
            return true;
        }
        let chain = &mut self.record.chain;
        let Some(message) = tool.and_then(|tool| tool.message.as_ref()) else {
            return chain.is_seen();
        };
        match (chain.part(message, None), source) {
            (Belongs::Yes, _) => true,
            // The event precedes the answer that asks; or an answer to an earlier prompt asks, and
            // holds up the turn's own prompt, which is queued behind it.
            (Belongs::No | Belongs::Unknown, Some(_)) => chain.is_seen() || chain.is_hidden(),
            // A look may find asks older than the turn. Without a list of messages there is no
            // telling.
            (Belongs::Unknown, None) => !self.record.is_listed,
            (Belongs::No, None) => false,
        }
    }
}
