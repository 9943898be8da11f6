//! Answers to the asks of a turn.

use super::action::TurnAction;
use super::asks::{AskProgress, Asks};
use super::core::{Purpose, TurnInput};
use super::event::TurnEventKind;
use super::posted::PostedTurn;
use crate::api::{ListPermissions, Operation, PermissionReply};
use crate::ask::refusals::{Deciding, ListingDemand};
use crate::ask::{Ask, AskKind, PermissionAsk, PermissionKind, QuestionKind};
use crate::call::{ApiReply, read_reply};
use crate::session::Session;
use crate::{PermissionId, SessionId};

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
    pub(super) fn answer_permission(
        &mut self,
        ask: PermissionAsk,
        reply: PermissionReply,
        input: &mut TurnInput<'_>,
    ) {
        match reply {
            PermissionReply::Reject { .. } => self.hold_refusal(ask, reply, input),
            PermissionReply::Always | PermissionReply::Once => {
                let is_overruling = self.holds_refusal_of(&ask.session, &ask.request.permission);
                let reply = if is_overruling { PermissionReply::Once } else { reply };
                self.refusals.allow(ask.request.id.clone(), input.now);
                self.answer(ask, reply, input);
            }
        }
        self.advance_refusals(input);
    }

    /// Holds back a refusal, which would take the other requests of the session along.
    fn hold_refusal(
        &mut self,
        ask: PermissionAsk,
        reply: PermissionReply,
        input: &mut TurnInput<'_>,
    ) {
        let (id, session) = (ask.request.id.clone(), ask.session.clone());
        if self.permissions.hold_back(ask, reply) {
            input.shared.refuse(id.clone().into(), input.core.number);
            self.refusals.hold(id, session);
        }
        self.watch_asks(input);
    }

    fn holds_refusal_of(&self, session: &SessionId, permission: &str) -> bool {
        let mut held = self.refusals.held().filter(|(_, of)| *of == session);
        held.any(|(id, _)| {
            self.permissions.held_back(id).is_some_and(|ask| ask.request.permission == permission)
        })
    }

    /// Lists the permission requests of the server when a refusal needs the list.
    pub(super) fn advance_refusals(&mut self, input: &mut TurnInput<'_>) {
        if !self.refusals.is_holding() {
            return;
        }
        let is_over = |id: &&PermissionId| self.permissions.held_back(id).is_none();
        let held: Vec<_> =
            self.refusals.held().map(|(id, _)| id).filter(is_over).cloned().collect();
        held.iter().for_each(|id| self.refusals.forget(id));
        let deciding = self.deciding(input.shared);
        match self.refusals.demand(&deciding, input.now) {
            ListingDemand::List => input.call(&ListPermissions, Purpose::Listing),
            ListingDemand::Nothing => {}
        }
        input.shared.wait(input.core.number);
    }

    pub(super) fn permissions_listed(&mut self, reply: ApiReply, input: &mut TurnInput<'_>) {
        let listed = read_reply(&ListPermissions, reply).ok();
        let deciding = self.deciding(input.shared);
        for id in self.refusals.take(listed.as_deref(), &deciding, input.now) {
            let Some(ask) = self.permissions.held_back(&id) else { continue };
            if ask.session == input.core.session {
                self.refused = Some(PermissionKind::subject(&ask.request));
            }
            if let Some(operation) = self.permissions.release(&id) {
                send_reply::<PermissionKind>(&*operation, &id, input);
            }
        }
    }

    /// Returns the permission requests that may still be allowed, by any turn of the session.
    fn deciding(&self, session: &Session) -> Deciding {
        self.permissions.undecided(|id| session.is_undecided(&id.clone().into()))
    }

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
