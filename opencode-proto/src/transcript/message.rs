use std::borrow::Cow;
use std::mem;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::answer::{AbandonedAttempt, AttemptNo, Attempts, join};
use crate::json::RawJson;
use crate::part::{Part, TextOrigin, TextPart, ToolPart};
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
    content: PartContent,
}

#[derive(Clone, Debug)]
enum PartContent {
    /// No part of the answer: a step, a file, a removed part.
    Other,
    Reasoning {
        text: String,
        stage: TextStage,
    },
    Text {
        text: String,
        origin: TextOrigin,
        stage: TextStage,
    },
    Tool(Box<ToolPart>),
    /// Text of a part that has not come yet, which may be reasoning.
    Unknown(String),
}

/// Progress of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextStage {
    /// Some deltas were missed: later ones do not follow the known text.
    Broken,
    Final,
    Growing,
}

/// Kind of the part that a delta belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TextKind {
    /// A reasoning part.
    Reasoning,
    /// A text part.
    Text,
}

/// Source of a message or part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// An event, in order.
    Event,
    /// A reply of the server, which may be older than the last event: only a step forward is new.
    Look,
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

/// Knowledge of a part before an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// All of the part, or something newer.
    Known,
    /// Only this text, by deltas that overtook the part.
    New { text: String },
    /// Less. The first `told` bytes of the text stay as they are.
    Part { told: usize },
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
        self.parts.push(PartSlot { id, attempt, content: PartContent::Unknown(String::new()) });
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

    /// Abandons the attempt under way of an assistant's message. Returns the parts.
    pub(super) fn abandon_attempt(&mut self) -> Vec<PartId> {
        let is_open = self.is_of_assistant()
            && self.info.as_ref().is_some_and(|info| info.completed_ms.is_none());
        let attempt = if is_open { self.attempts.abandon() } else { None };
        attempt.map(|attempt| self.texts_of(attempt)).unwrap_or_default()
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
        let PartSlot { attempt, content, .. } = &mut self.parts[place];
        let is_void = self.attempts.is_abandoned(*attempt);
        match part {
            Part::Reasoning(part) => {
                let stage = TextStage::of(part.time.end_ms.is_some());
                let (before, text) = content.take_text(&part.text.to_str(), stage);
                if before != Before::Known {
                    *content = PartContent::Reasoning { text, stage };
                }
                let before = if is_void { Before::Known } else { before };
                PartChange { before, is_final: stage == TextStage::Final, abandoned: Vec::new() }
            }
            Part::Text(part) => {
                let stage = TextStage::of(is_final(part));
                let (before, text) = content.take_text(&part.text.to_str(), stage);
                if before != Before::Known {
                    *content = PartContent::Text { text, origin: part.origin, stage };
                }
                let before = if is_void { Before::Known } else { before };
                PartChange { before, is_final: stage == TextStage::Final, abandoned: Vec::new() }
            }
            Part::Tool(part) => {
                let before = match content {
                    PartContent::Tool(known) if !is_news(known, part, how) => Before::Known,
                    PartContent::Unknown(_) => Before::New { text: String::new() },
                    PartContent::Other
                    | PartContent::Reasoning { .. }
                    | PartContent::Text { .. }
                    | PartContent::Tool(_) => Before::Part { told: 0 },
                };
                if before != Before::Known {
                    *content = PartContent::Tool(Box::new(part.detach()));
                }
                PartChange { before, is_final: part.state.is_over(), abandoned: Vec::new() }
            }
            Part::Other { .. } | Part::StepFinish(_) | Part::StepStart(_) => {
                let before = match content {
                    PartContent::Unknown(_) => Before::New { text: String::new() },
                    PartContent::Other
                    | PartContent::Reasoning { .. }
                    | PartContent::Text { .. }
                    | PartContent::Tool(_) => Before::Known,
                };
                *content = PartContent::Other;
                PartChange { before, is_final: true, abandoned: Vec::new() }
            }
        }
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
        let kind = match content {
            PartContent::Reasoning { text, stage: TextStage::Growing } => {
                text.push_str(delta);
                TextKind::Reasoning
            }
            PartContent::Text { text, stage: TextStage::Growing, .. } => {
                text.push_str(delta);
                TextKind::Text
            }
            PartContent::Unknown(text) => {
                text.push_str(delta);
                return None;
            }
            PartContent::Other
            | PartContent::Reasoning { .. }
            | PartContent::Text { .. }
            | PartContent::Tool(_) => return None,
        };
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

impl TextStage {
    fn of(is_final: bool) -> Self {
        if is_final { Self::Final } else { Self::Growing }
    }
}

impl PartContent {
    fn is_unended(&self) -> bool {
        match self {
            Self::Reasoning { stage, .. } | Self::Text { stage, .. } => *stage != TextStage::Final,
            Self::Other | Self::Tool(_) | Self::Unknown(_) => false,
        }
    }

    fn interrupt(&mut self) {
        match self {
            Self::Reasoning { stage, .. } | Self::Text { stage, .. } => {
                if *stage == TextStage::Growing {
                    *stage = TextStage::Broken;
                }
            }
            Self::Unknown(text) => text.clear(),
            Self::Other | Self::Tool(_) => {}
        }
    }

    /// Returns the knowledge of a text before this update, and the text after it. A final text
    /// wins; a text that is only the beginning of the deltas so far came late.
    fn take_text(&mut self, update: &str, stage: TextStage) -> (Before, String) {
        let (known, known_stage, is_new) = match self {
            Self::Reasoning { text, stage } | Self::Text { text, stage, .. } => {
                (text, *stage, false)
            }
            Self::Unknown(text) => (text, TextStage::Growing, true),
            Self::Other | Self::Tool(_) => return (Before::Part { told: 0 }, update.to_owned()),
        };
        let is_late = stage == TextStage::Growing && known.starts_with(update);
        if is_new {
            let before = Before::New { text: known.clone() };
            let text = if is_late { mem::take(known) } else { update.to_owned() };
            return (before, text);
        }
        let is_known =
            known_stage == TextStage::Final && (stage == TextStage::Growing || known == update);
        if is_known || is_late {
            return (Before::Known, String::new());
        }
        // Text that was reported differently cannot be taken back: all of it counts as reported.
        let kept = if update.starts_with(known.as_str()) { known.len() } else { update.len() };
        (Before::Part { told: kept }, update.to_owned())
    }
}

fn is_news(known: &ToolPart, part: &ToolPart, how: Told) -> bool {
    match (known.state.is_over(), part.state.is_over()) {
        (true, false) => false,
        (false, true) => true,
        (true, true) | (false, false) => how == Told::Event && known != part,
    }
}

/// Returns whether a text is final. A user's text has no time at all, and is final.
fn is_final(part: &TextPart) -> bool {
    part.time.end_ms.is_some() || part.time.start_ms.is_none()
}
