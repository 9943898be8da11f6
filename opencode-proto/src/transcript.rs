//! Transcripts of a server's sessions, gathered event by event.

mod message;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Add;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::answer::join;
use crate::json::RawText;
use crate::part::{Part, Tokens, ToolPart};
use crate::run_event::AttemptAbandoned;
use crate::server_event::{
    MessageInfo, PermissionRequest, QuestionRequest, Role, ServerEvent, ServerEventKind,
    SessionInfo, SessionStatus, Todo,
};
use crate::{AgentError, MessageId, PartId, PermissionId, QuestionId, SessionId, StepRole};

pub(crate) use message::{Before, PartChange, Told};
pub use message::{Message, TextKind};

/// The transcripts of all sessions in a server's events, in order of appearance.
///
/// The cost of an event depends neither on the number of sessions nor on the events before.
///
/// ```
/// use opencode_proto::{ServerEvent, Transcripts};
///
/// let events = [
///     r#"{"type":"message.updated","properties":{"sessionID":"ses_1","info":
///         {"id":"msg_2","role":"assistant","parentID":"msg_1"}}}"#,
///     r#"{"type":"message.part.updated","properties":{"sessionID":"ses_1","part":
///         {"type":"text","id":"prt_1","messageID":"msg_2","text":"","time":{"start":5}}}}"#,
///     r#"{"type":"message.part.delta","properties":{"sessionID":"ses_1","messageID":"msg_2",
///         "partID":"prt_1","field":"text","delta":"Hello!"}}"#,
/// ];
/// let mut transcripts = Transcripts::new();
/// for event in events {
///     transcripts.apply(&ServerEvent::decode(event.into()));
/// }
/// let session = transcripts.session(&"ses_1".into()).unwrap();
/// assert_eq!(session.text(), "Hello!");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Transcripts {
    sessions: Vec<Transcript>,
    places: BTreeMap<SessionId, usize>,
}

impl Transcripts {
    /// Creates transcripts of no session.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event. Events are to come in the order of the stream; copies (`sync`) change
    /// nothing.
    pub fn apply(&mut self, event: &ServerEvent) {
        if let Some(session) = &event.session {
            let place = *self.places.entry(session.clone()).or_insert_with(|| {
                self.sessions.push(Transcript::new(session.clone()));
                self.sessions.len() - 1
            });
            self.sessions[place].apply(event);
        }
    }

    /// Returns all transcripts in order of appearance.
    pub fn iter(&self) -> impl Iterator<Item = &Transcript> {
        self.sessions.iter()
    }

    /// Returns the transcript of one session.
    pub fn session(&self, id: &SessionId) -> Option<&Transcript> {
        self.places.get(id).map(|place| &self.sessions[*place])
    }
}

impl Serialize for Transcripts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.sessions.serialize(serializer)
    }
}

/// The transcript of one session.
///
/// Messages and parts come several times; the last time counts. Deltas may come before the part
/// that they belong to. Text and reasoning of an attempt that the provider broke off and OpenCode
/// repeated are kept apart ([`Message::abandoned`]). No value keeps a chunk of the stream alive.
///
/// `Serialize` writes `{id, parentID, title, text, reasoning, tokens, cost, messages, todos,
/// errors}`.
#[derive(Clone, Debug)]
pub struct Transcript {
    id: SessionId,
    parent: Option<SessionId>,
    title: Option<String>,
    messages: Vec<Message>,
    todos: Vec<Todo>,
    errors: Vec<AgentError>,
    /// Places of the errors that are known from messages only. Their `session.error` may follow.
    unreported: Vec<usize>,
    asks: Vec<AskId>,
    idle_count: u64,
    activity: Activity,
    /// Events were missed: deltas of an unknown part do not begin at the start of the text.
    is_torn: bool,
    place_of_message: BTreeMap<MessageId, usize>,
    place_of_part: BTreeMap<PartId, (usize, usize)>,
}

/// Id of a request of a session to the user.
///
/// Exhaustive on purpose: code that answers has to know every kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum AskId {
    /// Id of a permission request.
    Permission(PermissionId),
    /// Id of a question request.
    Question(QuestionId),
}

impl From<PermissionId> for AskId {
    fn from(id: PermissionId) -> Self {
        Self::Permission(id)
    }
}

impl From<QuestionId> for AskId {
    fn from(id: QuestionId) -> Self {
        Self::Question(id)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Activity {
    #[default]
    Settled,
    Working,
}

impl Transcript {
    /// Creates the transcript of a session without events.
    pub fn new(id: SessionId) -> Self {
        Self {
            id,
            parent: None,
            title: None,
            messages: Vec::new(),
            todos: Vec::new(),
            errors: Vec::new(),
            unreported: Vec::new(),
            asks: Vec::new(),
            idle_count: 0,
            activity: Activity::Settled,
            is_torn: false,
            place_of_message: BTreeMap::new(),
            place_of_part: BTreeMap::new(),
        }
    }

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
                    SessionStatus::Retry { .. } => {
                        self.abandon_attempt();
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

    /// Returns the id of the session.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Returns the session whose agent started this one as a subagent.
    pub fn parent(&self) -> Option<&SessionId> {
        self.parent.as_ref()
    }

    /// Returns the title of the session.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Returns the messages in order of appearance.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Returns the text of the last assistant message that has any.
    ///
    /// Text that OpenCode wrote itself, summaries of a compaction and abandoned attempts are left
    /// out.
    pub fn text(&self) -> Cow<'_, str> {
        self.answers().rev().map(Message::text).find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// Returns the text of all assistant messages in order, joined without a separator, with the
    /// exceptions of [`text`](Self::text).
    pub fn full_text(&self) -> Cow<'_, str> {
        join(self.answers().map(Message::text))
    }

    /// Returns the reasoning of all assistant messages in order, joined without a separator.
    pub fn reasoning(&self) -> Cow<'_, str> {
        join(self.answers().map(Message::reasoning))
    }

    /// Returns the tool calls in the order of their starts, each in the last state.
    pub fn tools(&self) -> impl Iterator<Item = &ToolPart> {
        self.messages.iter().flat_map(Message::tools)
    }

    /// Returns the to-do list.
    pub fn todos(&self) -> &[Todo] {
        &self.todos
    }

    /// Returns the tokens of all assistant messages.
    pub fn tokens(&self) -> Tokens {
        self.assistant_infos().map(|info| info.tokens).sum()
    }

    /// Returns the price of all assistant messages, in US dollars.
    pub fn cost(&self) -> f64 {
        self.assistant_infos().map(|info| info.cost).fold(0.0, Add::add)
    }

    /// Returns the number of steps: assistant messages.
    pub fn steps(&self) -> usize {
        self.assistant_infos().count()
    }

    /// Returns the number of `session.idle` events. OpenCode sends several for one turn after
    /// errors.
    pub fn idle_count(&self) -> u64 {
        self.idle_count
    }

    /// Returns the reported errors of the session, and those of messages that were not reported.
    pub fn errors(&self) -> &[AgentError] {
        &self.errors
    }

    /// Returns the requests to the user in order, answered or not.
    pub fn asks(&self) -> &[AskId] {
        &self.asks
    }

    /// Returns whether the session works, by the last event.
    pub fn is_open(&self) -> bool {
        self.activity == Activity::Working
    }

    /// Returns the errors that are known from messages, and that `session.error` has not reported
    /// yet.
    pub(crate) fn unreported_errors(&self) -> impl Iterator<Item = &AgentError> {
        self.unreported.iter().map(|place| &self.errors[*place])
    }

    /// Forgets the errors that only report an abort of our own.
    pub(crate) fn forget_aborts(&mut self) {
        self.errors.retain(|error| !error.is_abort());
        self.unreported.clear();
    }

    /// Returns the known properties of a message besides parts.
    pub(crate) fn info(&self, message: &MessageId) -> Option<&MessageInfo> {
        let place = self.place_of_message.get(message)?;
        self.messages[*place].info()
    }

    pub(crate) fn is_of_user(&self, message: &MessageId) -> bool {
        self.info(message).is_some_and(|info| info.role == Role::User)
    }

    pub(crate) fn assistant_infos(&self) -> impl DoubleEndedIterator<Item = &MessageInfo> {
        self.messages.iter().filter_map(Message::info).filter(|info| info.role == Role::Assistant)
    }

    /// Returns the role of a message, as far as known.
    pub(crate) fn step_of(&self, message: &MessageId) -> StepRole {
        self.info(message).map_or(StepRole::Answer, |info| info.step)
    }

    fn answers(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages.iter().filter(|message| message.is_answer())
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
    /// call. Returns the parts; `None` for an attempt without text and reasoning.
    pub(crate) fn abandon_attempt(&mut self) -> Option<AttemptAbandoned> {
        let message = self.messages.iter_mut().rfind(|message| message.is_of_assistant())?;
        let parts = message.abandon_attempt();
        let message = Some(message.id().clone());
        (!parts.is_empty()).then_some(AttemptAbandoned { message, parts })
    }
}

impl Serialize for Transcript {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut transcript = serializer.serialize_struct("Transcript", 10)?;
        transcript.serialize_field("id", &self.id)?;
        transcript.serialize_field("parentID", &self.parent)?;
        transcript.serialize_field("title", &self.title)?;
        transcript.serialize_field("text", &self.text())?;
        transcript.serialize_field("reasoning", &self.reasoning())?;
        transcript.serialize_field("tokens", &self.tokens())?;
        transcript.serialize_field("cost", &self.cost())?;
        transcript.serialize_field("messages", &self.messages)?;
        transcript.serialize_field("todos", &self.todos)?;
        transcript.serialize_field("errors", &self.errors)?;
        transcript.end()
    }
}

#[cfg(test)]
mod tests;
