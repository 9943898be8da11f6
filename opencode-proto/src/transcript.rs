//! What was said in the sessions of a server, gathered event by event.

mod message;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Add;

use crate::answer::join;
use crate::json::RawText;
use crate::part::{Part, Tokens, ToolPart};
use crate::server_event::{
    MessageInfo, PermissionRequest, QuestionRequest, Role, ServerEvent, ServerEventKind,
    SessionInfo, SessionStatus, Todo,
};
use crate::{AgentError, MessageId, PartId, PermissionId, QuestionId, SessionId, StepRole};

pub(crate) use message::{Before, PartChange, Told};
pub use message::{Message, TextKind};

/// The transcripts of all sessions that a server told of, in the order in which it did.
///
/// The cost of an event does not grow with the number of sessions or with what came before.
#[derive(Clone, Debug, Default)]
pub struct Transcripts {
    sessions: Vec<Transcript>,
    places: BTreeMap<SessionId, usize>,
}

impl Transcripts {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what an event says. The order is that of the stream; copies (`sync`) change nothing.
    pub fn apply(&mut self, event: &ServerEvent) {
        if let Some(session) = &event.session {
            let place = *self.places.entry(session.clone()).or_insert_with(|| {
                self.sessions.push(Transcript::new(session.clone()));
                self.sessions.len() - 1
            });
            self.sessions[place].apply(event);
        }
    }

    /// All of them, in the order in which they appeared.
    pub fn iter(&self) -> impl Iterator<Item = &Transcript> {
        self.sessions.iter()
    }

    /// The transcript of one session.
    pub fn session(&self, id: &SessionId) -> Option<&Transcript> {
        self.places.get(id).map(|place| &self.sessions[*place])
    }
}

/// What was said in one session.
///
/// Messages and parts are told several times; the last time counts. Deltas may come before the part they belong to.
/// Nothing in here keeps a chunk of the stream alive.
#[derive(Clone, Debug)]
pub struct Transcript {
    id: SessionId,
    parent: Option<SessionId>,
    title: Option<String>,
    messages: Vec<Message>,
    todos: Vec<Todo>,
    errors: Vec<AgentError>,
    /// Where the errors are that are known from messages only. Their report may follow.
    unreported: Vec<usize>,
    asks: Vec<AskId>,
    idle_count: u64,
    activity: Activity,
    /// Whether events were missed: then deltas of a part that is not known are the middle of something.
    is_torn: bool,
    place_of_message: BTreeMap<MessageId, usize>,
    place_of_part: BTreeMap<PartId, (usize, usize)>,
}

/// Id of something that a session asked its user.
///
/// Exhaustive on purpose: code that answers has to know every kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AskId {
    /// A permission.
    Permission(PermissionId),
    /// Answers to questions.
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
    /// The transcript of a session of which nothing was told yet.
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

    /// Adds what an event of this session says.
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
                    SessionStatus::Busy
                    | SessionStatus::Other { .. }
                    | SessionStatus::Retry { .. } => Activity::Working,
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

    /// The session.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// The session whose agent started this one as a subagent.
    pub fn parent(&self) -> Option<&SessionId> {
        self.parent.as_ref()
    }

    /// What it is called.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Its messages, in the order in which they appeared.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The text of the last assistant message that has any. Text that OpenCode wrote itself and summaries of a
    /// compaction are not part of it.
    pub fn text(&self) -> Cow<'_, str> {
        self.answers().rev().map(Message::text).find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// All text of all assistant messages in order, joined without a separator. Otherwise as [`text`](Self::text).
    pub fn full_text(&self) -> Cow<'_, str> {
        join(self.answers().map(Message::text))
    }

    /// All reasoning of all assistant messages in order, joined without a separator.
    pub fn reasoning(&self) -> Cow<'_, str> {
        join(self.answers().map(Message::reasoning))
    }

    /// The tool calls in the order in which they began, each as it was told last.
    pub fn tools(&self) -> impl Iterator<Item = &ToolPart> {
        self.messages.iter().flat_map(Message::tools)
    }

    /// The list of things to do, as it was told last.
    pub fn todos(&self) -> &[Todo] {
        &self.todos
    }

    /// What all assistant messages used together.
    pub fn tokens(&self) -> Tokens {
        self.assistant_infos().map(|info| info.tokens).sum()
    }

    /// What all assistant messages cost together, in US dollars.
    pub fn cost(&self) -> f64 {
        self.assistant_infos().map(|info| info.cost).fold(0.0, Add::add)
    }

    /// How many calls of the model there were: assistant messages.
    pub fn steps(&self) -> usize {
        self.assistant_infos().count()
    }

    /// How often the session was told to be idle: more than once for one turn after errors.
    pub fn idle_count(&self) -> u64 {
        self.idle_count
    }

    /// The errors that were reported for the session, and those of messages that were not.
    pub fn errors(&self) -> &[AgentError] {
        &self.errors
    }

    /// What was asked, in order, answered or not.
    pub fn asks(&self) -> &[AskId] {
        &self.asks
    }

    /// Whether the session was at work when the last event came.
    pub fn is_open(&self) -> bool {
        self.activity == Activity::Working
    }

    /// Returns the errors that are known from messages, and that `session.error` has not reported
    /// yet.
    pub(crate) fn unreported_errors(&self) -> impl Iterator<Item = &AgentError> {
        self.unreported.iter().map(|place| &self.errors[*place])
    }

    /// Returns what is known about a message besides its parts.
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

    /// Returns the role of a message, as far as that is known.
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

    /// Says whether it was news.
    pub(crate) fn update_message(&mut self, info: &MessageInfo, how: Told) -> bool {
        let told = |error: &&AgentError| {
            self.errors
                .iter()
                .any(|known| known.name == error.name && known.message == error.message)
        };
        let new = info.error.as_deref().filter(|error| !told(error)).map(AgentError::detach);
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

    /// What that changed; `None` for a part that does not say where it belongs.
    pub(crate) fn update_part(&mut self, part: &Part, how: Told) -> Option<PartChange> {
        let key = part.key();
        let (id, message) = (key.part.as_ref()?, key.message.as_ref()?);
        let (message, place) = self.part(message, id);
        Some(self.messages[message].update_part(place, part, how))
    }

    /// What the delta belongs to; `None` while that is not known, or when it comes late.
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
            None => self.part(message?, part),
        };
        self.messages[message].append(place, &delta.to_str())
    }

    /// Puts the messages into this order; those that are not in it came later.
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

    /// Events were missed: text that was growing is known again when it is told as a whole.
    pub(crate) fn interrupt(&mut self) {
        self.is_torn = true;
        self.messages.iter_mut().for_each(Message::interrupt);
    }

    /// The same for one part.
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

    /// Old versions tell of a request again when it changes.
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

    fn part(&mut self, message: &MessageId, part: &PartId) -> (usize, usize) {
        if let Some(place) = self.place_of_part.get(part) {
            return *place;
        }
        let message = self.message(message);
        let place = (message, self.messages[message].add_part());
        self.place_of_part.insert(part.clone(), place);
        place
    }
}

#[cfg(test)]
mod tests;
