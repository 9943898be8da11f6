use super::{Activity, Message, PartChange, TextKind, Told, Transcript};
use crate::ask::AskId;
use crate::json::RawText;
use crate::part::Part;
use crate::run_event::AttemptAbandoned;
use crate::server_event::{
    MessageInfo, PermissionRequest, QuestionRequest, ServerEvent, ServerEventKind, SessionInfo,
    SessionStatus,
};
use crate::{AgentError, MessageId, PartId};

impl Transcript {
    /// Adds an event of this session.
    pub fn apply(&mut self, event: &ServerEvent) {
        match &event.kind {
            ServerEventKind::MessageRemoved { message } => self.remove_message(message),
            ServerEventKind::MessageUpdated(info) => drop(self.update_message(info, Told::Event)),
            ServerEventKind::PartDelta { message, part, field, delta } if *field == "text" => {
                self.append(message.as_ref(), part, delta);
            }
            ServerEventKind::PartRemoved { part, .. } => self.remove_part(part),
            ServerEventKind::PartUpdated(part) => drop(self.update_part(part, Told::Event)),
            ServerEventKind::PermissionAsked(request) => self.ask_permission(request),
            ServerEventKind::QuestionAsked(request) => self.ask_question(request),
            ServerEventKind::SessionCreated(info) | ServerEventKind::SessionUpdated(info) => {
                self.update_session(info);
            }
            ServerEventKind::SessionDeleted(_) => self.activity = Activity::Settled,
            ServerEventKind::SessionError(Some(error)) => self.report(error),
            ServerEventKind::SessionIdle => {
                self.idle_count += 1;
                self.activity = Activity::Settled;
            }
            ServerEventKind::SessionStatus(status) => {
                self.activity = match status {
                    SessionStatus::Idle => Activity::Settled,
                    SessionStatus::Busy | SessionStatus::Other { .. } => Activity::Working,
                    SessionStatus::Retry { next_ms, .. } => {
                        self.abandon_attempt(*next_ms);
                        Activity::Working
                    }
                };
            }
            ServerEventKind::TodoUpdated(todos) => self.todos.clone_from(todos),
            ServerEventKind::CommandExecuted { .. }
            | ServerEventKind::Connected
            | ServerEventKind::GlobalDisposed
            | ServerEventKind::Heartbeat
            | ServerEventKind::InstanceDisposed
            | ServerEventKind::Malformed { .. }
            | ServerEventKind::McpToolsChanged { .. }
            | ServerEventKind::Other { .. }
            | ServerEventKind::PartDelta { .. }
            | ServerEventKind::PermissionReplied { .. }
            | ServerEventKind::QuestionRejected { .. }
            | ServerEventKind::QuestionReplied { .. }
            | ServerEventKind::SessionCompacted
            | ServerEventKind::SessionDiff { .. }
            | ServerEventKind::SessionError(None)
            | ServerEventKind::Sync
            | ServerEventKind::Unknown { .. } => {}
        }
    }

    fn update_session(&mut self, info: &SessionInfo) {
        self.parent.clone_from(&info.parent);
        self.title = Some(info.title.clone());
    }

    /// Updates a message. Returns whether the update is new.
    pub(crate) fn update_message(&mut self, info: &MessageInfo, how: Told) -> bool {
        let is_known = |error: &&AgentError| {
            self.errors
                .iter()
                .any(|known| known.name == error.name && known.message == error.message)
        };
        let new = info.error.as_deref().filter(|error| !is_known(error)).map(AgentError::detach);
        if let Some(error) = new {
            self.unreported.push(self.errors.len());
            self.errors.push(error);
        }
        let place = self.message(&info.id);
        self.messages[place].update(info, how)
    }

    fn report(&mut self, error: &AgentError) {
        let known = self.unreported.iter().position(|place| {
            let known = &self.errors[*place];
            known.name == error.name && known.message == error.message
        });
        match known {
            Some(known) => drop(self.unreported.remove(known)),
            None => self.errors.push(error.detach()),
        }
    }

    fn remove_message(&mut self, id: &MessageId) {
        if let Some(place) = self.place_of_message.get(id) {
            self.messages[*place].clear();
        }
    }

    /// Updates a part. Returns the change; `None` for a part without ids.
    pub(crate) fn update_part(&mut self, part: &Part, how: Told) -> Option<PartChange> {
        let key = part.key();
        let (id, message) = (key.part.as_ref()?, key.message.as_ref()?);
        let (message, place, abandoned) = self.part(message, id, Some(part));
        let mut change = self.messages[message].update_part(place, part, how);
        change.abandoned.extend(abandoned);
        Some(change)
    }

    /// Appends a delta. Returns the kind of the part; `None` while the part has not come, and for a
    /// delta that comes late or belongs to an abandoned attempt.
    pub(crate) fn append(
        &mut self,
        message: Option<&MessageId>,
        part: &PartId,
        delta: &RawText,
    ) -> Option<TextKind> {
        let known = self.place_of_part.get(part).copied();
        let (message, place) = match known {
            Some(place) => place,
            None if self.is_torn => return None,
            None => {
                let (message, place, _) = self.part(message?, part, None);
                (message, place)
            }
        };
        self.messages[message].append(place, &delta.to_str())
    }

    /// Sorts the messages by this order; messages that are not in it came later.
    pub(crate) fn reorder(&mut self, order: &[MessageId]) {
        let place = |id: &MessageId| order.iter().position(|known| known == id);
        let key = |message: &Message| place(message.id()).unwrap_or(usize::MAX);
        if self.messages.is_sorted_by_key(key) {
            return;
        }
        let before: Vec<_> = self.messages.iter().map(|message| message.id().clone()).collect();
        self.messages.sort_by_key(key);
        let ids = self.messages.iter().enumerate();
        self.place_of_message = ids.map(|(place, message)| (message.id().clone(), place)).collect();
        for (message, _) in self.place_of_part.values_mut() {
            *message = self.place_of_message[&before[*message]];
        }
    }

    /// Marks that events were missed: a growing text is incomplete until the whole part comes.
    pub(crate) fn interrupt(&mut self) {
        self.is_torn = true;
        self.messages.iter_mut().for_each(Message::interrupt);
    }

    /// Marks that deltas of one part were missed.
    pub(crate) fn interrupt_part(&mut self, part: &PartId) {
        if let Some((message, place)) = self.place_of_part.get(part) {
            self.messages[*message].interrupt_part(*place);
        }
    }

    fn remove_part(&mut self, part: &PartId) {
        if let Some((message, place)) = self.place_of_part.get(part) {
            self.messages[*message].remove_part(*place);
        }
    }

    fn ask_permission(&mut self, request: &PermissionRequest) {
        self.ask(AskId::Permission(request.id.clone()));
    }

    fn ask_question(&mut self, request: &QuestionRequest) {
        self.ask(AskId::Question(request.id.clone()));
    }

    /// Adds a request once. Old versions send a request again when it changes.
    fn ask(&mut self, ask: AskId) {
        if !self.asks.contains(&ask) {
            self.asks.push(ask);
        }
    }

    fn message(&mut self, id: &MessageId) -> usize {
        *self.place_of_message.entry(id.clone()).or_insert_with(|| {
            self.messages.push(Message::new(id.clone()));
            self.messages.len() - 1
        })
    }

    /// Returns the place of a part, and the parts that are abandoned by the arrival of a new one.
    fn part(
        &mut self,
        message: &MessageId,
        id: &PartId,
        part: Option<&Part>,
    ) -> (usize, usize, Vec<PartId>) {
        if let Some((message, place)) = self.place_of_part.get(id) {
            return (*message, *place, Vec::new());
        }
        let message = self.message(message);
        let (place, abandoned) = match part {
            Some(part @ (Part::StepFinish(_) | Part::StepStart(_))) => {
                self.messages[message].add_boundary(id, part)
            }
            Some(Part::Other { .. } | Part::Reasoning(_) | Part::Text(_) | Part::Tool(_))
            | None => (self.messages[message].add_part(id), Vec::new()),
        };
        self.place_of_part.insert(id.clone(), (message, place));
        (message, place, abandoned)
    }

    /// Abandons the last attempt of a completed message if a text of the attempt has no end.
    /// Returns the parts.
    ///
    /// This finds an attempt whose `retry` status was missed. Without missed events there is none.
    pub(crate) fn abandon_unended(&mut self, message: &MessageId) -> Option<AttemptAbandoned> {
        if !self.is_torn {
            return None;
        }
        let place = *self.place_of_message.get(message)?;
        let parts = self.messages[place].abandon_unended();
        let message = Some(message.clone());
        (!parts.is_empty()).then_some(AttemptAbandoned { message, parts })
    }

    /// Abandons the attempt of the model that is under way, for OpenCode is going to repeat the
    /// call at `next_ms`. Returns the parts; `None` for an attempt without text and reasoning.
    pub(crate) fn abandon_attempt(&mut self, next_ms: u64) -> Option<AttemptAbandoned> {
        let message = self.messages.iter_mut().rfind(|message| message.is_of_assistant())?;
        let parts = message.abandon_attempt(next_ms);
        let message = Some(message.id().clone());
        (!parts.is_empty()).then_some(AttemptAbandoned { message, parts })
    }

    /// Forgets the errors that only report an abort of our own.
    pub(crate) fn forget_aborts(&mut self) {
        self.errors.retain(|error| !error.is_abort());
        self.unreported.clear();
    }
}
