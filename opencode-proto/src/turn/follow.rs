//! Additions of events and looks to a turn.

mod ask;
mod content;
mod session;

use std::sync::Arc;

use ask::ReplyKind;

use super::action::TurnAction;
use super::core::TurnInput;
use super::event::{Origin, TurnEvent, TurnEventKind};
use super::join::kind_of;
use super::look::Snapshot;
use super::posted::{PostedTurn, Posting};
use super::record::Place;
use crate::api::MessageWithParts;
use crate::ask::{PermissionKind, QuestionKind};
use crate::server_event::{ServerEvent, ServerEventKind, SessionInfo, SessionStatus};
use crate::{MessageId, SessionId, StepRole};

type Source<'a> = Option<&'a Arc<ServerEvent>>;

impl PostedTurn {
    pub(super) fn follow(&mut self, event: &Arc<ServerEvent>, input: &mut TurnInput<'_>) {
        let Some(session) = event.session.as_ref() else { return };
        if let ServerEventKind::SessionCreated(info) = &event.kind {
            self.child_created(info, event, input);
        }
        // A subagent may ask before the session of the subagent is known.
        if let ServerEventKind::PermissionAsked(request) = &event.kind {
            return self.asked::<PermissionKind>(session, request, Some(event), input);
        }
        if let ServerEventKind::QuestionAsked(request) = &event.kind {
            return self.asked::<QuestionKind>(session, request, Some(event), input);
        }
        let is_held =
            is_content(&event.kind) || *session == input.core.session && is_of_session(&event.kind);
        if self.record.chain.is_torn() && is_held {
            return self.hold(event, input);
        }
        self.follow_now(session, event, input);
    }

    fn follow_now(
        &mut self,
        session: &SessionId,
        event: &Arc<ServerEvent>,
        input: &mut TurnInput<'_>,
    ) {
        let Some(place) = self.record.place(session) else { return };
        self.told(place, event, input);
        if let Some(message) = message_of(&event.kind)
            && self.record.chain.report(message)
        {
            self.forget_earlier_errors(input);
        }
    }

    fn told(&mut self, place: Place, event: &Arc<ServerEvent>, input: &mut TurnInput<'_>) {
        let source = Some(event);
        match &event.kind {
            ServerEventKind::MessageUpdated(info) => {
                self.message_updated(place, info, source, input);
            }
            ServerEventKind::PartUpdated(part) => self.part_updated(place, part, source, input),
            ServerEventKind::PartDelta { .. } => self.part_delta(place, event, input),
            ServerEventKind::PartRemoved { part, .. } => {
                self.record.at_mut(place).apply(event);
                self.emit(place, TurnEventKind::PartRemoved(part.clone()), source, input);
            }
            ServerEventKind::MessageRemoved { .. } => {
                self.record.at_mut(place).apply(event);
                self.emit(place, TurnEventKind::Other, source, input);
            }
            ServerEventKind::SessionError(error) => {
                self.session_error(place, error.as_deref(), event, input);
            }
            ServerEventKind::SessionIdle => {
                self.status(place, &SessionStatus::Idle, event, input);
            }
            ServerEventKind::SessionStatus(status) => self.status(place, status, event, input),
            ServerEventKind::SessionUpdated(info) => {
                self.session_updated(place, info, event, input);
            }
            ServerEventKind::SessionDeleted(_) => self.session_deleted(place, event, input),
            ServerEventKind::SessionCompacted => {
                // The compaction of an earlier turn may be reported late.
                if matches!(place, Place::Child(_)) || self.record.chain.take_compaction() {
                    self.emit(place, TurnEventKind::Compacted, source, input);
                }
            }
            ServerEventKind::TodoUpdated(todos) => {
                self.record.at_mut(place).apply(event);
                self.emit(place, TurnEventKind::TodosChanged(todos.clone()), source, input);
            }
            ServerEventKind::PermissionReplied { request, reply } => {
                let kind = match &**reply {
                    "reject" => ReplyKind::Refusal,
                    _ => ReplyKind::Answer,
                };
                self.replied::<PermissionKind>(place, request, kind, input);
                let (request, reply) = (request.clone(), reply.clone());
                let kind = TurnEventKind::PermissionReplied { request, reply };
                self.emit(place, kind, source, input);
            }
            ServerEventKind::QuestionReplied { request, .. } => {
                self.replied::<QuestionKind>(place, request, ReplyKind::Answer, input);
                let kind = TurnEventKind::QuestionReplied(request.clone());
                self.emit(place, kind, source, input);
            }
            ServerEventKind::QuestionRejected { request } => {
                self.replied::<QuestionKind>(place, request, ReplyKind::Refusal, input);
                let kind = TurnEventKind::QuestionRejected(request.clone());
                self.emit(place, kind, source, input);
            }
            // Asks are followed before, and the rest is not about the turn of a session.
            ServerEventKind::PermissionAsked(_)
            | ServerEventKind::QuestionAsked(_)
            | ServerEventKind::SessionCreated(_)
            | ServerEventKind::Connected
            | ServerEventKind::GlobalDisposed
            | ServerEventKind::Heartbeat
            | ServerEventKind::InstanceDisposed
            | ServerEventKind::McpToolsChanged { .. }
            | ServerEventKind::Sync => {}
            ServerEventKind::CommandExecuted { .. }
            | ServerEventKind::Malformed { .. }
            | ServerEventKind::Other { .. }
            | ServerEventKind::SessionDiff { .. }
            | ServerEventKind::Unknown { .. } => {
                self.emit(place, TurnEventKind::Other, source, input);
            }
        }
    }

    /// Adds the findings of a look, as if they had come as events.
    pub(super) fn apply(&mut self, found: &Snapshot, input: &mut TurnInput<'_>) {
        // The messages are all there are, from the turn's own on: none has to wait for another.
        self.record.chain.mend();
        self.set_kind(&found.messages, input);
        if matches!(self.posting, Posting::Followed) && !found.is_listed {
            self.record.chain.hide();
        }
        self.record.chain.set_earlier(&found.earlier);
        self.apply_messages(Place::Own, &found.messages, input);
        for child in &found.children {
            if self.record.has_earlier_subagents && found.working.contains(&child.session) {
                self.record.child(&child.session);
            }
            // Others are of earlier turns: a message that starts one of this turn's names it.
            let Some(place) = self.record.place(&child.session) else { continue };
            self.apply_messages(place, &child.messages, input);
        }
        let order: Vec<_> = found.messages.iter().map(|message| message.info.id.clone()).collect();
        // Without a list of the messages, the order of the messages is unknown.
        if found.is_listed {
            self.record.chain.reorder(&order);
            self.record.own.reorder(&order);
        }
        for event in self.record.held.take_all() {
            if let Some(session) = &event.session {
                self.follow_now(session, &event, input);
            }
        }
        if self.record.chain.is_at_work() {
            // The answers that were found came after the errors that were held.
            self.faults.recovered = self.faults.errors.len();
        }
        self.record.is_listed = found.is_listed;
        // Without a list of messages, nothing names the subagents that were started in a gap.
        let strangers = if found.is_listed { &[][..] } else { &found.children };
        self.apply_asks::<PermissionKind>(&found.permissions, strangers, input);
        self.apply_asks::<QuestionKind>(&found.questions, strangers, input);
        self.watch_asks(input);
    }

    fn apply_messages(
        &mut self,
        place: Place,
        messages: &[MessageWithParts],
        input: &mut TurnInput<'_>,
    ) {
        for MessageWithParts { info, parts, .. } in messages {
            self.message_updated(place, info, None, input);
            for part in parts {
                self.part_updated(place, part, None, input);
            }
            self.abandon_unended(place, &info.id, None, input);
        }
    }

    /// Sets the kind of a turn that began before this client joined.
    fn set_kind(&mut self, messages: &[MessageWithParts], input: &mut TurnInput<'_>) {
        if !matches!(self.posting, Posting::Followed) || self.record.chain.is_seen() {
            return;
        }
        let own = messages.iter().find(|message| Some(&message.info.id) == self.record.chain.own());
        if let Some(own) = own {
            input.core.kind = kind_of(own);
            self.record.chain.set_kind(input.core.kind);
        }
    }

    fn is_of_turn(&self, session: &SessionId) -> bool {
        self.record.place(session).is_some()
    }

    fn child_created(
        &mut self,
        info: &SessionInfo,
        event: &Arc<ServerEvent>,
        input: &mut TurnInput<'_>,
    ) {
        let Some(parent) = &info.parent else { return };
        if self.record.chain.is_seen() && self.is_of_turn(parent) {
            let place = self.record.child(&info.id);
            self.record.at_mut(place).apply(event);
            let kind = TurnEventKind::ChildStarted(Box::new(info.clone()));
            self.emit(place, kind, Some(event), input);
        }
    }

    /// Returns the role of the message that an event is about.
    fn step_of(&self, session: &SessionId, kind: &TurnEventKind) -> StepRole {
        let message = match kind {
            TurnEventKind::PartAdded(part) | TurnEventKind::PartFinal { part, .. } => {
                part.key().message.as_ref()
            }
            TurnEventKind::PartDelta { message, .. } => message.as_ref(),
            TurnEventKind::AttemptAbandoned(abandoned) => abandoned.message.as_ref(),
            TurnEventKind::MessageUpdated(info) => return info.step,
            TurnEventKind::StepStarted(step) => step.key.message.as_ref(),
            TurnEventKind::StepFinished(step) => step.key.message.as_ref(),
            TurnEventKind::AnswerEmpty
            | TurnEventKind::AnsweredWith(_)
            | TurnEventKind::ReplacedBySummary(_)
            | TurnEventKind::ToolProgressed(_)
            | TurnEventKind::ChildStarted(_)
            | TurnEventKind::Compacted
            | TurnEventKind::ConnectionLost(_)
            | TurnEventKind::Continued(_)
            | TurnEventKind::Failed(_)
            | TurnEventKind::McpLost(_)
            | TurnEventKind::Other
            | TurnEventKind::PartRemoved(_)
            | TurnEventKind::PermissionAsked(_)
            | TurnEventKind::PermissionReplied { .. }
            | TurnEventKind::Posted(_)
            | TurnEventKind::QuestionAsked(_)
            | TurnEventKind::QuestionRejected(_)
            | TurnEventKind::QuestionReplied(_)
            | TurnEventKind::Reconnected
            | TurnEventKind::Retrying { .. }
            | TurnEventKind::StatusChanged(_)
            | TurnEventKind::TitleChanged(_)
            | TurnEventKind::TodosChanged(_) => return StepRole::Answer,
        };
        let place = self.record.place(session).unwrap_or(Place::Own);
        let transcript = self.record.at(place);
        message.map_or(StepRole::Answer, |message| transcript.step_of(message))
    }

    pub(super) fn emit_own(
        &mut self,
        kind: TurnEventKind,
        source: Source<'_>,
        input: &mut TurnInput<'_>,
    ) {
        self.emit(Place::Own, kind, source, input);
    }

    fn emit(
        &mut self,
        place: Place,
        kind: TurnEventKind,
        source: Source<'_>,
        input: &mut TurnInput<'_>,
    ) {
        let session = self.record.at(place).id().clone();
        self.emit_in(session, kind, source, input);
    }

    fn emit_in(
        &mut self,
        session: SessionId,
        kind: TurnEventKind,
        source: Source<'_>,
        input: &mut TurnInput<'_>,
    ) {
        let is_own = session == input.core.session;
        let origin = if is_own { Origin::Session } else { Origin::Subagent };
        let step = self.step_of(&session, &kind);
        let event = TurnEvent { session, origin, step, kind, source: source.cloned() };
        input.core.actions.push_back(TurnAction::Event(Box::new(event)));
    }
}

/// Returns the message that an event describes.
fn message_of(kind: &ServerEventKind) -> Option<&MessageId> {
    if let ServerEventKind::MessageUpdated(info) = kind {
        return Some(&info.id);
    }
    let ServerEventKind::PartUpdated(part) = kind else { return None };
    part.key().message.as_ref()
}

/// Returns whether an event is about a session as a whole, and depends on the messages before.
fn is_of_session(kind: &ServerEventKind) -> bool {
    matches!(
        kind,
        ServerEventKind::SessionCompacted
            | ServerEventKind::SessionError(_)
            | ServerEventKind::SessionIdle
            | ServerEventKind::SessionStatus(_)
    )
}

/// Returns whether an event is about the content of messages.
fn is_content(kind: &ServerEventKind) -> bool {
    matches!(
        kind,
        ServerEventKind::MessageRemoved { .. }
            | ServerEventKind::MessageUpdated(_)
            | ServerEventKind::PartDelta { .. }
            | ServerEventKind::PartRemoved { .. }
            | ServerEventKind::PartUpdated(_)
            | ServerEventKind::TodoUpdated(_)
    )
}
