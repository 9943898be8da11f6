//! Transcripts of a server's sessions, gathered event by event.

mod content;
mod message;
mod transcripts;
mod update;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Add;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::answer::join;
use crate::ask::AskId;
use crate::part::{Tokens, ToolPart};
use crate::server_event::{MessageInfo, Role, Todo};
use crate::{AgentError, MessageId, PartId, SessionId, StepRole};

pub use content::TextKind;
pub(crate) use content::{Before, Told};
pub use message::Message;
pub(crate) use message::PartChange;
pub use transcripts::Transcripts;

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
