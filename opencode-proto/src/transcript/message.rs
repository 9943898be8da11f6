use std::borrow::Cow;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::content::{Before, PartContent, TextKind, Told};
use crate::answer::{AbandonedAttempt, AttemptNo, Attempts, join};
use crate::json::RawJson;
use crate::part::{Part, ReasoningPart, TextOrigin, TextPart, ToolPart};
use crate::server_event::{MessageInfo, Role};
use crate::{MessageId, PartId, StepRole};

/// A message of a transcript.
///
/// `Serialize` writes `{id, info, text, reasoning, tools, abandoned}`.
#[derive(Clone, Debug)]
pub struct Message {
    id: MessageId,
    info: Option<MessageInfo>,
    /// The message by the server's last reply, until the event with the same content comes.
    found: Option<RawJson>,
    attempts: Attempts,
    parts: Vec<PartSlot>,
}

#[derive(Clone, Debug)]
struct PartSlot {
    id: PartId,
    attempt: AttemptNo,
    /// When the model began a text, in milliseconds since 1970.
    start_ms: Option<u64>,
    content: PartContent,
}

/// Change by an update of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartChange {
    pub(crate) before: Before,
    /// Nothing follows for the part.
    pub(crate) is_final: bool,
    /// The text and reasoning parts that this update makes void.
    pub(crate) abandoned: Vec<PartId>,
}

impl Message {
    pub(super) fn new(id: MessageId) -> Self {
        Self { id, info: None, found: None, attempts: Attempts::default(), parts: Vec::new() }
    }

    /// Returns the id of the message.
    pub fn id(&self) -> &MessageId {
        &self.id
    }

    /// Returns the message without parts; `None` while only parts have come.
    pub fn info(&self) -> Option<&MessageInfo> {
        self.info.as_ref()
    }

    /// Returns the text, without that of OpenCode itself and of abandoned attempts.
    pub fn text(&self) -> Cow<'_, str> {
        self.text_where(|attempt| !self.attempts.is_abandoned(attempt))
    }

    /// Returns the reasoning, without that of abandoned attempts.
    pub fn reasoning(&self) -> Cow<'_, str> {
        self.reasoning_where(|attempt| !self.attempts.is_abandoned(attempt))
    }

    /// Returns the attempts with text or reasoning that the provider broke off and OpenCode
    /// repeated, in order.
    pub fn abandoned(&self) -> Vec<AbandonedAttempt> {
        let attempt = |number| AbandonedAttempt {
            text: self.text_where(|attempt| attempt == number).into_owned(),
            reasoning: self.reasoning_where(|attempt| attempt == number).into_owned(),
        };
        self.attempts.abandoned().map(attempt).filter(|attempt| !attempt.is_empty()).collect()
    }

    /// Returns the tool calls, each in the last state. Calls of abandoned attempts are included,
    /// for OpenCode runs them.
    pub fn tools(&self) -> impl Iterator<Item = &ToolPart> {
        self.parts.iter().filter_map(|part| match &part.content {
            PartContent::Tool(part) => Some(&**part),
            PartContent::Other
            | PartContent::Reasoning { .. }
            | PartContent::Text { .. }
            | PartContent::Unknown(_) => None,
        })
    }

    fn text_where(&self, is_wanted: impl Fn(AttemptNo) -> bool) -> Cow<'_, str> {
        let parts = self.parts.iter().filter(|part| is_wanted(part.attempt));
        join(parts.filter_map(|part| match &part.content {
            PartContent::Text { text, origin: TextOrigin::Model, .. } => {
                Some(Cow::Borrowed(text.as_str()))
            }
            PartContent::Other
            | PartContent::Reasoning { .. }
            | PartContent::Text { .. }
            | PartContent::Tool(_)
            | PartContent::Unknown(_) => None,
        }))
    }

    fn reasoning_where(&self, is_wanted: impl Fn(AttemptNo) -> bool) -> Cow<'_, str> {
        let parts = self.parts.iter().filter(|part| is_wanted(part.attempt));
        join(parts.filter_map(|part| match &part.content {
            PartContent::Reasoning { text, .. } => Some(Cow::Borrowed(text.as_str())),
            PartContent::Other
            | PartContent::Text { .. }
            | PartContent::Tool(_)
            | PartContent::Unknown(_) => None,
        }))
    }

    /// Returns whether the message answers the user, whose own messages have text too.
    pub(super) fn is_answer(&self) -> bool {
        self.is_of_assistant()
            && self.info.as_ref().is_some_and(|info| info.step == StepRole::Answer)
    }

    pub(super) fn is_of_assistant(&self) -> bool {
        self.info.as_ref().is_some_and(|info| info.role == Role::Assistant)
    }

    /// Updates the message. Returns whether the update is new.
    pub(super) fn update(&mut self, info: &MessageInfo, how: Told) -> bool {
        if let Some(known) = &self.info {
            let is_late = match how {
                Told::Event => info.completed_ms.is_none() && known.completed_ms.is_some(),
                Told::Look => info.completed_ms.is_none() || known.completed_ms.is_some(),
            };
            if is_late || known.raw == info.raw {
                return false;
            }
        }
        let known = self.info.insert(info.detach());
        match how {
            Told::Look => self.found = Some(known.raw.clone()),
            // A look may find a message in the state of a later event, after older
            // ones.
            Told::Event => return self.found.take_if(|found| *found == info.raw).is_none(),
        }
        true
    }

    pub(super) fn clear(&mut self) {
        self.info = None;
        self.parts.iter_mut().for_each(|part| part.content = PartContent::Other);
    }

    pub(super) fn add_part(&mut self, id: &PartId) -> usize {
        let (id, attempt) = (id.clone(), self.attempts.current());
        let content = PartContent::Unknown(String::new());
        self.parts.push(PartSlot { id, attempt, start_ms: None, content });
        self.parts.len() - 1
    }

    /// Adds the part that a `step-start` or `step-finish` is.
    pub(super) fn add_boundary(&mut self, id: &PartId, part: &Part) -> (usize, Vec<PartId>) {
        let mut abandoned = Vec::new();
        if let Part::StepStart(_) = part {
            let attempt = self.attempts.start();
            abandoned = attempt.map(|attempt| self.texts_of(attempt)).unwrap_or_default();
        }
        let place = self.add_part(id);
        if let Part::StepFinish(_) = part {
            self.attempts.finish();
        }
        (place, abandoned)
    }

    pub(super) fn remove_part(&mut self, place: usize) {
        self.parts[place].content = PartContent::Other;
    }

    /// Abandons the attempt under way of an assistant's message, unless it began when the next
    /// attempt was due: a look may find an attempt before the failure of the last one is reported.
    /// Returns the parts.
    pub(super) fn abandon_attempt(&mut self, next_ms: u64) -> Vec<PartId> {
        let is_open = self.is_of_assistant()
            && self.info.as_ref().is_some_and(|info| info.completed_ms.is_none());
        let attempt =
            if is_open && !self.is_begun_at(next_ms) { self.attempts.abandon() } else { None };
        attempt.map(|attempt| self.texts_of(attempt)).unwrap_or_default()
    }

    /// Returns whether the attempt under way began at this time or later.
    fn is_begun_at(&self, ms: u64) -> bool {
        let attempt = self.attempts.unfinished();
        let of_attempt = self.parts.iter().filter(|part| Some(part.attempt) == attempt);
        let created = self.info.as_ref().and_then(|info| info.created_ms);
        of_attempt.filter_map(|part| part.start_ms).chain(created).any(|start| start >= ms)
    }

    /// Abandons the last attempt of a completed message if it has neither an end nor the end of a
    /// text. Returns the parts.
    ///
    /// OpenCode ends every text before it completes the message, except for the attempts that it
    /// gave up.
    pub(super) fn abandon_unended(&mut self) -> Vec<PartId> {
        let is_complete = self.is_of_assistant()
            && self.info.as_ref().is_some_and(|info| info.completed_ms.is_some());
        let Some(attempt) = self.attempts.unfinished().filter(|_| is_complete) else {
            return Vec::new();
        };
        let is_unended = |part: &PartSlot| part.attempt == attempt && part.content.is_unended();
        if !self.parts.iter().any(is_unended) {
            return Vec::new();
        }
        self.attempts.abandon();
        self.texts_of(attempt)
    }

    fn texts_of(&self, attempt: AttemptNo) -> Vec<PartId> {
        let texts = self.parts.iter().filter(|part| {
            part.attempt == attempt
                && matches!(part.content, PartContent::Reasoning { .. } | PartContent::Text { .. })
        });
        texts.map(|part| part.id.clone()).collect()
    }

    pub(super) fn update_part(&mut self, place: usize, part: &Part, how: Told) -> PartChange {
        let PartSlot { attempt, content, start_ms, .. } = &mut self.parts[place];
        if let Part::Reasoning(ReasoningPart { time, .. }) | Part::Text(TextPart { time, .. }) =
            part
        {
            *start_ms = time.start_ms;
        }
        let (before, is_final) = content.update(part, how);
        let is_text = matches!(part, Part::Reasoning(_) | Part::Text(_));
        let is_void = is_text && self.attempts.is_abandoned(*attempt);
        let before = if is_void { Before::Known } else { before };
        PartChange { before, is_final, abandoned: Vec::new() }
    }

    /// Breaks all texts that grow: deltas were missed, and later ones do not follow.
    pub(super) fn interrupt(&mut self) {
        self.parts.iter_mut().for_each(|part| part.content.interrupt());
    }

    pub(super) fn interrupt_part(&mut self, place: usize) {
        self.parts[place].content.interrupt();
    }

    /// Appends a delta. Returns the kind of the part; `None` while the part has not come, when the
    /// delta cannot be appended, and for a part that is void.
    pub(super) fn append(&mut self, place: usize, delta: &str) -> Option<TextKind> {
        let PartSlot { attempt, content, .. } = &mut self.parts[place];
        let kind = content.append(delta)?;
        (!self.attempts.is_abandoned(*attempt)).then_some(kind)
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut message = serializer.serialize_struct("Message", 6)?;
        message.serialize_field("id", &self.id)?;
        message.serialize_field("info", &self.info)?;
        message.serialize_field("text", &self.text())?;
        message.serialize_field("reasoning", &self.reasoning())?;
        message.serialize_field("tools", &self.tools().collect::<Vec<_>>())?;
        message.serialize_field("abandoned", &self.abandoned())?;
        message.end()
    }
}
