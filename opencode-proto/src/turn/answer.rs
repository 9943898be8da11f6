//! Answers to the asks of a turn.

use super::action::TurnAction;
use super::asks::{AskProgress, Asks};
use super::core::{Purpose, TurnInput};
use super::event::TurnEventKind;
use super::posted::PostedTurn;
use crate::api::Operation;
use crate::ask::{Ask, AskKind, PermissionKind, QuestionKind};
use crate::call::ApiReply;

/// A kind of ask, as a turn has it.
pub(super) trait TurnAsk: AskKind {
    fn asks(turn: &mut PostedTurn) -> &mut Asks<Self>;
    fn purpose(id: Self::Id) -> Purpose;
    fn action(ask: Ask<Self>) -> TurnAction;
    fn event(request: Box<Self::Request>) -> TurnEventKind;
}

impl TurnAsk for PermissionKind {
    fn asks(turn: &mut PostedTurn) -> &mut Asks<Self> {
        &mut turn.permissions
    }

    fn purpose(id: Self::Id) -> Purpose {
        Purpose::Permission(id)
    }

    fn action(ask: Ask<Self>) -> TurnAction {
        TurnAction::AskPermission(ask)
    }

    fn event(request: Box<Self::Request>) -> TurnEventKind {
        TurnEventKind::PermissionAsked(request)
    }
}

impl TurnAsk for QuestionKind {
    fn asks(turn: &mut PostedTurn) -> &mut Asks<Self> {
        &mut turn.questions
    }

    fn purpose(id: Self::Id) -> Purpose {
        Purpose::Question(id)
    }

    fn action(ask: Ask<Self>) -> TurnAction {
        TurnAction::AskQuestion(ask)
    }

    fn event(request: Box<Self::Request>) -> TurnEventKind {
        TurnEventKind::QuestionAsked(request)
    }
}

impl PostedTurn {
    pub(super) fn answer<K: TurnAsk>(
        &mut self,
        ask: Ask<K>,
        reply: K::Reply,
        input: &mut TurnInput<'_>,
    ) {
        if K::is_refusal(&reply) && ask.session == input.core.session {
            self.refused = Some(K::subject(&ask.request));
        }
        let id = K::id(&ask.request);
        if let Some(operation) = K::asks(self).answer(ask.session, id, reply) {
            send_reply::<K>(&*operation, id, input);
        }
        self.watch_asks(input);
    }

    pub(super) fn ask_replied<K: TurnAsk>(
        &mut self,
        id: &K::Id,
        reply: ApiReply,
        input: &mut TurnInput<'_>,
    ) {
        match K::asks(self).handle_reply(id, reply, input.now) {
            AskProgress::Arrived => input.shared.settle(id.clone().into()),
            AskProgress::NextRoute => self.send_again::<K>(id, input),
            AskProgress::Unknown => {}
        }
    }

    fn send_again<K: TurnAsk>(&mut self, id: &K::Id, input: &mut TurnInput<'_>) {
        if let Some(operation) = K::asks(self).operation(id) {
            send_reply::<K>(&*operation, id, input);
        }
    }

    /// Sends replies that are due again, and takes asks that other turns have given up.
    pub(super) fn resume_asks<K: TurnAsk>(&mut self, input: &mut TurnInput<'_>) {
        for id in K::asks(self).due(input.now) {
            self.send_again::<K>(&id, input);
        }
        if !K::asks(self).has_left() {
            return;
        }
        let number = input.core.number;
        let claim = |id: &K::Id| input.shared.claim(id.clone().into(), number);
        let taken = K::asks(self).take_left(claim);
        input.core.actions.extend(taken.into_iter().map(K::action));
        if K::asks(self).has_left() {
            input.shared.wait(number);
        }
    }

    /// Suspends the deadlines while the application decides.
    pub(super) fn watch_asks(&self, input: &mut TurnInput<'_>) {
        if self.permissions.is_waiting() || self.questions.is_waiting() {
            input.core.watchdog.suspend(input.now);
        } else {
            input.core.watchdog.resume(input.now);
        }
    }
}

fn send_reply<K: TurnAsk>(
    operation: &dyn Operation<Output = ()>,
    id: &K::Id,
    input: &mut TurnInput<'_>,
) {
    input.call(operation, K::purpose(id.clone()));
}
