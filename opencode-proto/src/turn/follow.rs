//! What events and looks add to a turn.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use super::chain::Belongs;
use super::{
    Duty, LookState, Origin, PermissionAsk, QuestionAsk, Snapshot, Stop, Turn, TurnAction, TurnEnd,
    TurnEvent, TurnEventKind, describe_permission, describe_question,
};
use crate::api::MessageWithParts;
use crate::error::ErrorName;
use crate::hub::child_of;
use crate::part::{Part, PartKey};
use crate::server_event::{
    MessageInfo, PermissionRequest, QuestionRequest, ServerEvent, ServerEventKind, SessionInfo,
    SessionStatus, ToolRef,
};
use crate::transcript::{AskId, Before, Told, Transcript};
use crate::{AgentError, MessageId, RawText, Role, SessionId, StepRole, TextKind};

type Source<'a> = Option<&'a Arc<ServerEvent>>;

/// Where something happened: in the turn's own session, or in that of a subagent.
#[derive(Clone, Copy, Debug)]
enum Place {
    Child(usize),
    Own,
}

impl Turn {
    pub(super) fn follow(&mut self, event: &Arc<ServerEvent>, duty: Duty, now: Instant) {
        let Some(session) = event.session.as_ref() else { return };
        if let ServerEventKind::SessionCreated(info) = &event.kind {
            self.child_created(info, event);
        }
        // A subagent may ask before anything else was heard of it.
        if let ServerEventKind::PermissionAsked(request) = &event.kind {
            return self.permission_asked(session, request, duty, Some(event), now);
        }
        if let ServerEventKind::QuestionAsked(request) = &event.kind {
            return self.question_asked(session, request, duty, Some(event), now);
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
                if self.asks.close(&id) && &**reply == "reject" {
                    self.refused(&id, "a permission");
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
                if self.asks.close(&id) {
                    self.refused(&id, "a question");
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
        for MessageWithParts { info, parts, .. } in &snapshot.messages {
            self.message_updated(Place::Own, info, None, now);
            for part in parts {
                self.part_updated(Place::Own, part, None);
            }
        }
        for child in &snapshot.children {
            // Others are of earlier turns: what starts one of this turn's says so.
            let Some(place) = self.place_of_child.get(&child.session) else { continue };
            let place = Place::Child(*place);
            for MessageWithParts { info, parts, .. } in &child.messages {
                self.message_updated(place, info, None, now);
                for part in parts {
                    self.part_updated(place, part, None);
                }
            }
        }
        self.chain.mend();
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
                self.permission_asked(&ask.session, &ask.request, Duty::Own, None, now);
            }
        }
        for ask in &snapshot.questions {
            pending.push(AskId::Question(ask.request.id.clone()));
            if self.is_of_turn(&ask.session) {
                self.question_asked(&ask.session, &ask.request, Duty::Own, None, now);
            }
        }
        for id in self.asks.missing(&pending) {
            self.asks.close(&id);
        }
        self.watch_asks(now);
    }

    fn is_of_turn(&self, session: &SessionId) -> bool {
        *session == self.session || self.place_of_child.contains_key(session)
    }

    fn message_updated(
        &mut self,
        place: Place,
        info: &MessageInfo,
        source: Source<'_>,
        now: Instant,
    ) {
        if let Place::Own = place {
            let was_seen = self.chain.is_seen();
            let belongs = self.chain.message(info);
            if !was_seen && self.chain.is_seen() {
                self.activity += 1;
                self.emit_own(TurnEventKind::Posted(self.message.clone()), source);
            }
            match belongs {
                Belongs::No => return self.waiting.forget(&info.id),
                Belongs::Unknown => return self.wait_for(&info.id, source, now),
                Belongs::Yes => {}
            }
        }
        if self.transcript_at(place).update_message(info, how(source)) {
            self.activity += 1;
            self.recovered(place, info);
            let kind = TurnEventKind::MessageUpdated(Box::new(info.clone()));
            self.emit(place, kind, source);
        }
        if let Place::Own = place {
            self.resume_waiting(&info.id, now);
        }
    }

    fn part_updated(&mut self, place: Place, part: &Part, source: Source<'_>) {
        let Some(message) = part.key().message.clone() else { return };
        if let Place::Own = place {
            let was_undecided = self.chain.part(&message, None) == Belongs::Unknown;
            match self.chain.part(&message, Some(part)) {
                Belongs::No => return self.waiting.forget(&message),
                Belongs::Unknown => return self.wait_for(&message, source, self.heard),
                Belongs::Yes if was_undecided => self.resume_waiting(&message, self.heard),
                Belongs::Yes => {}
            }
        }
        // What the user said, or the task that a subagent was given, is not what the model answers.
        if self.is_prompt(place, &message) {
            drop(self.transcript_at(place).update_part(part, how(source)));
            return;
        }
        self.has_begun = true;
        if let Part::Tool(tool) = part
            && let Some(child) = child_of(tool)
        {
            self.child(&child);
        }
        self.activity += 1;
        let Some(change) = self.transcript_at(place).update_part(part, how(source)) else { return };
        let told = match change.before {
            Before::Known => return,
            Before::New { text } => {
                let told = self.part_added(place, part, &text, source);
                if !change.is_final {
                    // What was looked up may be older than the next delta.
                    if let (None, Some(id)) = (source, &part.key().part) {
                        self.transcript_at(place).interrupt_part(id);
                    }
                    return;
                }
                told
            }
            Before::Part { told } => told,
        };
        let kind = match part {
            Part::Tool(tool) if !change.is_final => TurnEventKind::ToolProgressed(tool.clone()),
            Part::Reasoning(_) | Part::Text(_) if !change.is_final => match grown(part, told) {
                Some(kind) => kind,
                None => return,
            },
            Part::Reasoning(_) | Part::Text(_) | Part::Tool(_) => {
                TurnEventKind::PartFinal { part: part.clone(), told }
            }
            Part::Other { .. } | Part::StepFinish(_) | Part::StepStart(_) => return,
        };
        self.emit(place, kind, source);
    }

    /// How many bytes of its text are told by that.
    fn part_added(&mut self, place: Place, part: &Part, held: &str, source: Source<'_>) -> usize {
        let kind = match part {
            Part::StepStart(step) => TurnEventKind::StepStarted(step.clone()),
            Part::StepFinish(step) => TurnEventKind::StepFinished(step.clone()),
            Part::Other { .. } | Part::Reasoning(_) | Part::Text(_) | Part::Tool(_) => {
                TurnEventKind::PartAdded(part.clone())
            }
        };
        self.emit(place, kind, source);
        let Some((kind, text)) = text_of(part) else { return 0 };
        // Deltas that overtook the part.
        if let Some(rest) = held.strip_prefix(&*text)
            && let Some(kind) = delta(part, kind, rest)
        {
            self.emit(place, kind, source);
        }
        text.len()
    }

    fn part_delta(&mut self, place: Place, event: &Arc<ServerEvent>) {
        let ServerEventKind::PartDelta { message, part, field, delta } = &event.kind else {
            return;
        };
        if *field != "text" {
            return self.emit(place, TurnEventKind::Other, Some(event));
        }
        if let (Place::Own, Some(message)) = (place, message) {
            match self.chain.part(message, None) {
                Belongs::No => return,
                Belongs::Unknown => return self.wait_for(message, Some(event), self.heard),
                Belongs::Yes => {}
            }
        }
        self.activity += 1;
        if let Some(kind) = self.transcript_at(place).append(message.as_ref(), part, delta) {
            let (message, part, delta) = (message.clone(), part.clone(), delta.clone());
            let kind = TurnEventKind::PartDelta { message, part, kind, delta };
            self.emit(place, kind, Some(event));
        }
    }

    fn session_error(
        &mut self,
        place: Place,
        error: Option<&AgentError>,
        event: &Arc<ServerEvent>,
        now: Instant,
    ) {
        let Some(error) = error else { return };
        if matches!(place, Place::Own) && self.is_of_earlier_turn(error) {
            return;
        }
        self.transcript_at(place).apply(event);
        if let Place::Own = place {
            self.activity += 1;
            self.errors.push(error.detach());
        }
        let kind = TurnEventKind::Failed(Box::new(error.clone()));
        self.emit(place, kind, Some(event));
        if error.name == ErrorName::CONTEXT_OVERFLOW && matches!(place, Place::Own) {
            self.overflows += 1;
            if self.overflows > self.settings.overflows_max {
                self.stop(Stop::Overflowed, now);
            }
        }
    }

    /// A turn that was aborted tells of it late, and does not say whose error it is. The turn's own is also told with its
    /// answer.
    fn is_of_earlier_turn(&self, error: &AgentError) -> bool {
        error.name == ErrorName::MESSAGE_ABORTED && self.chain.last_answer().is_none()
    }

    /// An answer ends the row of overflows. (One that overflowed is completed as well, but the model never finished it.)
    fn recovered(&mut self, place: Place, info: &MessageInfo) {
        let is_answer = info.step == StepRole::Answer
            && info.error.is_none()
            && info.finish.is_some()
            && info.completed_ms.is_some()
            && info.role == Role::Assistant;
        if is_answer && matches!(place, Place::Own) {
            self.overflows = 0;
        }
    }

    fn status(
        &mut self,
        place: Place,
        status: &SessionStatus,
        event: &Arc<ServerEvent>,
        now: Instant,
    ) {
        if let Place::Own = place {
            // Until the prompt is told, what is told is about an earlier turn.
            if !self.chain.is_seen() {
                // Unless the prompt was missed: then a look that is under way is older than this.
                if self.chain.is_torn() && *status == SessionStatus::Idle {
                    self.look = LookState::Due { at: now, failures: 0 };
                }
                return;
            }
            self.activity += 1;
            self.idle = (*status == SessionStatus::Idle).then_some(self.idle.unwrap_or(now));
            if self.idle.is_none() {
                self.quiet = None;
            }
            if self.status.as_ref() == Some(status) {
                return;
            }
            self.status = Some(status.clone());
        } else if matches!(event.kind, ServerEventKind::SessionIdle) {
            // `session.status` has told it.
            return;
        }
        let kind = match status {
            SessionStatus::Retry { attempt, message, next_ms } => TurnEventKind::Retrying {
                attempt: *attempt,
                message: message.clone(),
                next_ms: *next_ms,
            },
            SessionStatus::Busy | SessionStatus::Idle | SessionStatus::Other { .. } => {
                TurnEventKind::StatusChanged(status.clone())
            }
        };
        self.emit(place, kind, Some(event));
    }

    fn session_updated(&mut self, place: Place, info: &SessionInfo, event: &Arc<ServerEvent>) {
        let transcript = self.transcript_at(place);
        let is_new = transcript.title().is_some_and(|title| title != info.title);
        transcript.apply(event);
        if is_new {
            self.emit(place, TurnEventKind::TitleChanged(info.title.clone()), Some(event));
        }
    }

    fn session_deleted(&mut self, place: Place, event: &Arc<ServerEvent>, now: Instant) {
        self.emit(place, TurnEventKind::Other, Some(event));
        if let Place::Own = place {
            // It would go on writing into nowhere, and pay for it.
            self.actions.push_back(TurnAction::Abort);
            self.finish(TurnEnd::SessionDeleted, now);
        }
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

    fn permission_asked(
        &mut self,
        session: &SessionId,
        request: &PermissionRequest,
        duty: Duty,
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
        if duty == Duty::Own {
            let (session, request) = (session.clone(), request.clone());
            let ask = PermissionAsk { session, request };
            self.actions.push_back(TurnAction::AskPermission(ask));
        }
        self.emit_in(session, TurnEventKind::PermissionAsked(request), source);
        self.watch_asks(now);
    }

    fn question_asked(
        &mut self,
        session: &SessionId,
        request: &QuestionRequest,
        duty: Duty,
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
        if duty == Duty::Own {
            let (session, request) = (session.clone(), request.clone());
            let ask = QuestionAsk { session, request };
            self.actions.push_back(TurnAction::AskQuestion(ask));
        }
        self.emit_in(session, TurnEventKind::QuestionAsked(request), source);
        self.watch_asks(now);
    }

    /// Something was refused. What was refused before led to it.
    fn refused(&mut self, id: &AskId, unknown: &str) {
        if self.refused.is_none() {
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

    /// Keeps an event until what was missed before it is looked up.
    fn hold(&mut self, event: &Arc<ServerEvent>, now: Instant) {
        self.activity += 1;
        if self.waiting.size() + event.raw.len() <= self.settings.waiting_size_max {
            return self.waiting.hold(event);
        }
        // Too much: it is missed as well, and looked up.
        self.waiting.clear();
        self.interrupt();
        self.look = LookState::Due { at: now, failures: 0 };
    }

    /// Keeps an event until its message is known.
    fn wait_for(&mut self, message: &MessageId, source: Source<'_>, now: Instant) {
        let Some(event) = source else { return };
        if !self.chain.is_seen() && !self.chain.is_torn() {
            return;
        }
        if self.waiting.size() + event.raw.len() > self.settings.waiting_size_max {
            // Whatever it was can be looked up.
            self.waiting.clear();
            return self.look_at(now);
        }
        self.waiting.push(message, event);
    }

    fn resume_waiting(&mut self, message: &MessageId, now: Instant) {
        for event in self.waiting.take(message) {
            self.told(Place::Own, &event, now);
        }
        // Answers to what has just turned out to be a prompt.
        for event in self.waiting.answers_to(message) {
            self.told(Place::Own, &event, now);
        }
    }

    fn is_prompt(&self, place: Place, message: &MessageId) -> bool {
        match place {
            Place::Child(place) => self.children[place].is_of_user(message),
            Place::Own => self.chain.is_prompt(message),
        }
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

    fn emit(&mut self, place: Place, kind: TurnEventKind, source: Source<'_>) {
        let session = match place {
            Place::Child(place) => self.children[place].id().clone(),
            Place::Own => self.session.clone(),
        };
        self.emit_in(&session, kind, source);
    }

    fn emit_in(&mut self, session: &SessionId, kind: TurnEventKind, source: Source<'_>) {
        let origin = if *session == self.session { Origin::Session } else { Origin::Subagent };
        let session = session.clone();
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

fn how(source: Source<'_>) -> Told {
    if source.is_some() { Told::Event } else { Told::Look }
}

/// What a text that is not final grew by, if it did.
fn grown(part: &Part, told: usize) -> Option<TurnEventKind> {
    let (kind, text) = text_of(part)?;
    delta(part, kind, text.get(told..)?)
}

fn delta(part: &Part, kind: TextKind, text: &str) -> Option<TurnEventKind> {
    if text.is_empty() {
        return None;
    }
    let PartKey { part, message, .. } = part.key().clone();
    let delta = RawText::from_text(text);
    Some(TurnEventKind::PartDelta { message, part: part?, kind, delta })
}

fn text_of(part: &Part) -> Option<(TextKind, Cow<'_, str>)> {
    match part {
        Part::Reasoning(part) => Some((TextKind::Reasoning, part.text.to_str())),
        Part::Text(part) => Some((TextKind::Text, part.text.to_str())),
        Part::Other { .. } | Part::StepFinish(_) | Part::StepStart(_) | Part::Tool(_) => None,
    }
}
