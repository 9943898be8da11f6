//! What events and looks add to a turn.

mod ask;
mod content;
mod session;

use std::sync::Arc;
use std::time::Instant;

use super::{Origin, Snapshot, Turn, TurnAction, TurnEvent, TurnEventKind};
use crate::api::MessageWithParts;
use crate::server_event::{ServerEvent, ServerEventKind, SessionInfo, SessionStatus};
use crate::transcript::{AskId, Transcript};
use crate::{SessionId, StepRole};

type Source<'a> = Option<&'a Arc<ServerEvent>>;

/// Where something happened: in the turn's own session, or in that of a subagent.
#[derive(Clone, Copy, Debug)]
enum Place {
    Child(usize),
    Own,
}

impl Turn {
    pub(super) fn follow(&mut self, event: &Arc<ServerEvent>, now: Instant) {
        let Some(session) = event.session.as_ref() else { return };
        if let ServerEventKind::SessionCreated(info) = &event.kind {
            self.child_created(info, event);
        }
        // A subagent may ask before anything else was heard of it.
        if let ServerEventKind::PermissionAsked(request) = &event.kind {
            return self.permission_asked(session, request, Some(event), now);
        }
        if let ServerEventKind::QuestionAsked(request) = &event.kind {
            return self.question_asked(session, request, Some(event), now);
        }
        if self.chain.is_torn() && is_content(&event.kind) {
            return self.hold(event, now);
        }
        self.follow_now(session, event, now);
    }

    fn follow_now(&mut self, session: &SessionId, event: &Arc<ServerEvent>, now: Instant) {
        let place = if *session == self.session {
            Place::Own
        } else if let Some(place) = self.place_of_child.get(session) {
            Place::Child(*place)
        } else {
            return;
        };
        self.told(place, event, now);
    }

    fn told(&mut self, place: Place, event: &Arc<ServerEvent>, now: Instant) {
        let source = Some(event);
        match &event.kind {
            ServerEventKind::MessageUpdated(info) => self.message_updated(place, info, source, now),
            ServerEventKind::PartUpdated(part) => self.part_updated(place, part, source),
            ServerEventKind::PartDelta { .. } => self.part_delta(place, event),
            ServerEventKind::PartRemoved { part, .. } => {
                self.transcript_at(place).apply(event);
                self.emit(place, TurnEventKind::PartRemoved(part.clone()), source);
            }
            ServerEventKind::MessageRemoved { .. } => {
                self.transcript_at(place).apply(event);
                self.emit(place, TurnEventKind::Other, source);
            }
            ServerEventKind::SessionError(error) => {
                self.session_error(place, error.as_deref(), event, now);
            }
            ServerEventKind::SessionIdle => self.status(place, &SessionStatus::Idle, event, now),
            ServerEventKind::SessionStatus(status) => self.status(place, status, event, now),
            ServerEventKind::SessionUpdated(info) => self.session_updated(place, info, event),
            ServerEventKind::SessionDeleted(_) => self.session_deleted(place, event, now),
            ServerEventKind::SessionCompacted => {
                self.emit(place, TurnEventKind::Compacted, source);
            }
            ServerEventKind::TodoUpdated(todos) => {
                self.transcript_at(place).apply(event);
                self.emit(place, TurnEventKind::TodosChanged(todos.clone()), source);
            }
            ServerEventKind::PermissionReplied { request, reply } => {
                let id = AskId::Permission(request.clone());
                if self.asks.close_by_others(&id) && &**reply == "reject" {
                    self.refused(place, &id, "a permission");
                }
                let kind = TurnEventKind::PermissionReplied {
                    request: request.clone(),
                    reply: reply.clone(),
                };
                self.emit(place, kind, source);
                self.watch_asks(now);
            }
            ServerEventKind::QuestionReplied { request, .. } => {
                self.asks.close(&AskId::Question(request.clone()));
                self.emit(place, TurnEventKind::QuestionReplied(request.clone()), source);
                self.watch_asks(now);
            }
            ServerEventKind::QuestionRejected { request } => {
                let id = AskId::Question(request.clone());
                if self.asks.close_by_others(&id) {
                    self.refused(place, &id, "a question");
                }
                self.emit(place, TurnEventKind::QuestionRejected(request.clone()), source);
                self.watch_asks(now);
            }
            // Asks are followed before, and the rest is not about the turn of a session.
            ServerEventKind::PermissionAsked(_)
            | ServerEventKind::QuestionAsked(_)
            | ServerEventKind::SessionCreated(_)
            | ServerEventKind::Connected
            | ServerEventKind::GlobalDisposed
            | ServerEventKind::Heartbeat
            | ServerEventKind::InstanceDisposed
            | ServerEventKind::Sync => {}
            ServerEventKind::CommandExecuted { .. }
            | ServerEventKind::Malformed { .. }
            | ServerEventKind::Other { .. }
            | ServerEventKind::SessionDiff { .. }
            | ServerEventKind::Unknown { .. } => self.emit(place, TurnEventKind::Other, source),
        }
    }

    /// What a look found, as if it had been told.
    pub(super) fn apply(&mut self, snapshot: &Snapshot, now: Instant) {
        // Its messages are all there are, from the turn's own on: none of them has to wait for another.
        self.chain.mend();
        self.apply_messages(Place::Own, &snapshot.messages, now);
        for child in &snapshot.children {
            // Others are of earlier turns: what starts one of this turn's says so.
            let Some(place) = self.place_of_child.get(&child.session) else { continue };
            self.apply_messages(Place::Child(*place), &child.messages, now);
        }
        let order: Vec<_> =
            snapshot.messages.iter().map(|message| message.info.id.clone()).collect();
        self.chain.reorder(&order);
        self.transcript.reorder(&order);
        for event in self.waiting.take_all() {
            if let Some(session) = &event.session {
                self.follow_now(session, &event, now);
            }
        }
        let mut pending = Vec::new();
        for ask in &snapshot.permissions {
            pending.push(AskId::Permission(ask.request.id.clone()));
            if self.is_of_turn(&ask.session) {
                self.permission_asked(&ask.session, &ask.request, None, now);
            }
        }
        for ask in &snapshot.questions {
            pending.push(AskId::Question(ask.request.id.clone()));
            if self.is_of_turn(&ask.session) {
                self.question_asked(&ask.session, &ask.request, None, now);
            }
        }
        for id in self.asks.missing(&pending) {
            self.asks.close(&id);
        }
        self.watch_asks(now);
    }

    fn apply_messages(&mut self, place: Place, messages: &[MessageWithParts], now: Instant) {
        for MessageWithParts { info, parts, .. } in messages {
            self.message_updated(place, info, None, now);
            for part in parts {
                self.part_updated(place, part, None);
            }
        }
    }

    fn is_of_turn(&self, session: &SessionId) -> bool {
        *session == self.session || self.place_of_child.contains_key(session)
    }

    fn child_created(&mut self, info: &SessionInfo, event: &Arc<ServerEvent>) {
        let Some(parent) = &info.parent else { return };
        if self.chain.is_seen() && self.is_of_turn(parent) {
            let place = Place::Child(self.child(&info.id));
            self.transcript_at(place).apply(event);
            self.emit(place, TurnEventKind::ChildStarted(Box::new(info.clone())), Some(event));
        }
    }

    fn child(&mut self, session: &SessionId) -> usize {
        let next = self.children.len();
        let place = *self.place_of_child.entry(session.clone()).or_insert(next);
        if place == next {
            let mut transcript = Transcript::new(session.clone());
            if self.gaps > 0 {
                transcript.interrupt();
            }
            self.children.push(transcript);
        }
        place
    }

    /// What the message is for that an event is about.
    fn step_of(&self, session: &SessionId, kind: &TurnEventKind) -> StepRole {
        let message = match kind {
            TurnEventKind::PartAdded(part) | TurnEventKind::PartFinal { part, .. } => {
                part.key().message.as_ref()
            }
            TurnEventKind::PartDelta { message, .. } => message.as_ref(),
            TurnEventKind::MessageUpdated(info) => return info.step,
            TurnEventKind::StepStarted(step) => step.key.message.as_ref(),
            TurnEventKind::StepFinished(step) => step.key.message.as_ref(),
            TurnEventKind::ToolProgressed(_)
            | TurnEventKind::ChildStarted(_)
            | TurnEventKind::Compacted
            | TurnEventKind::ConnectionLost(_)
            | TurnEventKind::Continued(_)
            | TurnEventKind::Failed(_)
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
        let transcript = match self.place_of_child.get(session) {
            Some(place) => &self.children[*place],
            None => &self.transcript,
        };
        message.map_or(StepRole::Answer, |message| transcript.step_of(message))
    }

    fn transcript_at(&mut self, place: Place) -> &mut Transcript {
        match place {
            Place::Child(place) => &mut self.children[place],
            Place::Own => &mut self.transcript,
        }
    }

    pub(super) fn emit_own(&mut self, kind: TurnEventKind, source: Source<'_>) {
        self.emit(Place::Own, kind, source);
    }

    fn emit(&mut self, place: Place, kind: TurnEventKind, source: Source<'_>) {
        let session = match place {
            Place::Child(place) => self.children[place].id().clone(),
            Place::Own => self.session.clone(),
        };
        self.emit_in(session, kind, source);
    }

    fn emit_in(&mut self, session: SessionId, kind: TurnEventKind, source: Source<'_>) {
        let origin = if session == self.session { Origin::Session } else { Origin::Subagent };
        let step = self.step_of(&session, &kind);
        let event = TurnEvent { session, origin, step, kind, source: source.cloned() };
        self.actions.push_back(TurnAction::Event(Box::new(event)));
    }
}

/// Whether an event is about what messages hold.
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
