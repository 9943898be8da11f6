use std::borrow::Cow;

use crate::answer::join;
use crate::json::RawJson;
use crate::part::{Part, TextOrigin, TextPart, ToolPart};
use crate::server_event::{MessageInfo, Role};
use crate::{MessageId, StepRole};

/// A message with its parts.
#[derive(Clone, Debug)]
pub struct Message {
    id: MessageId,
    info: Option<MessageInfo>,
    /// The message as a look found it, until the event comes that tells the same.
    found: Option<RawJson>,
    parts: Vec<Content>,
}

#[derive(Clone, Debug)]
enum Content {
    /// Nothing of the answer: a step, a file, a part that was removed.
    Other,
    Reasoning {
        text: String,
        stage: Stage,
    },
    Text {
        text: String,
        origin: TextOrigin,
        stage: Stage,
    },
    Tool(Box<ToolPart>),
    /// Text of which it is not known yet whether it is reasoning.
    Untold(String),
}

/// Whether more is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Some of it was missed: what is added to it does not follow what is known.
    Broken,
    Final,
    Growing,
}

/// What the text of a delta belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextKind {
    /// A reasoning part.
    Reasoning,
    /// A text part.
    Text,
}

/// How something came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// By an event, in order.
    Event,
    /// By looking at the server, which may have been before the last event: only a step forward is news.
    Look,
}

/// What an update of a part changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartChange {
    pub(crate) before: Before,
    /// Whether nothing follows for the part.
    pub(crate) is_final: bool,
}

/// What was known of a part before an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// All of it, or something newer.
    Known,
    /// Nothing but this text, by deltas that overtook it.
    New { text: String },
    /// Less. Of its text, the first `told` bytes stay as they are told now.
    Part { told: usize },
}

impl Message {
    pub(super) fn new(id: MessageId) -> Self {
        Self { id, info: None, found: None, parts: Vec::new() }
    }

    /// The message.
    pub fn id(&self) -> &MessageId {
        &self.id
    }

    /// What is known about it; `None` while only parts of it were told.
    pub fn info(&self) -> Option<&MessageInfo> {
        self.info.as_ref()
    }

    /// Its text, without what OpenCode wrote itself.
    pub fn text(&self) -> Cow<'_, str> {
        join(self.parts.iter().filter_map(|part| match part {
            Content::Text { text, origin: TextOrigin::Model, .. } => {
                Some(Cow::Borrowed(text.as_str()))
            }
            Content::Other
            | Content::Reasoning { .. }
            | Content::Text { .. }
            | Content::Tool(_)
            | Content::Untold(_) => None,
        }))
    }

    /// Its reasoning.
    pub fn reasoning(&self) -> Cow<'_, str> {
        join(self.parts.iter().filter_map(|part| match part {
            Content::Reasoning { text, .. } => Some(Cow::Borrowed(text.as_str())),
            Content::Other | Content::Text { .. } | Content::Tool(_) | Content::Untold(_) => None,
        }))
    }

    /// Its tool calls, each as it was told last.
    pub fn tools(&self) -> impl Iterator<Item = &ToolPart> {
        self.parts.iter().filter_map(|part| match part {
            Content::Tool(part) => Some(&**part),
            Content::Other
            | Content::Reasoning { .. }
            | Content::Text { .. }
            | Content::Untold(_) => None,
        })
    }

    /// Whether it answers the user. (The user's own messages have text too.)
    pub(super) fn is_answer(&self) -> bool {
        self.info
            .as_ref()
            .is_some_and(|info| info.role == Role::Assistant && info.step == StepRole::Answer)
    }

    /// Says whether it was news.
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
            // A look may find a message as an event will tell it that comes later, after older ones.
            Told::Event => return self.found.take_if(|found| *found == info.raw).is_none(),
        }
        true
    }

    pub(super) fn clear(&mut self) {
        self.info = None;
        self.parts.fill(Content::Other);
    }

    pub(super) fn add_part(&mut self) -> usize {
        self.parts.push(Content::Untold(String::new()));
        self.parts.len() - 1
    }

    pub(super) fn remove_part(&mut self, place: usize) {
        self.parts[place] = Content::Other;
    }

    pub(super) fn update_part(&mut self, place: usize, part: &Part, how: Told) -> PartChange {
        let slot = &mut self.parts[place];
        match part {
            Part::Reasoning(part) => {
                let stage = Stage::of(part.time.end_ms.is_some());
                let (before, text) = slot.told(&part.text.to_str(), stage);
                if before != Before::Known {
                    *slot = Content::Reasoning { text, stage };
                }
                PartChange { before, is_final: stage == Stage::Final }
            }
            Part::Text(part) => {
                let stage = Stage::of(is_final(part));
                let (before, text) = slot.told(&part.text.to_str(), stage);
                if before != Before::Known {
                    *slot = Content::Text { text, origin: part.origin, stage };
                }
                PartChange { before, is_final: stage == Stage::Final }
            }
            Part::Tool(part) => {
                let before = match slot {
                    Content::Tool(known) if !is_news(known, part, how) => Before::Known,
                    Content::Untold(_) => Before::New { text: String::new() },
                    Content::Other
                    | Content::Reasoning { .. }
                    | Content::Text { .. }
                    | Content::Tool(_) => Before::Part { told: 0 },
                };
                if before != Before::Known {
                    *slot = Content::Tool(Box::new(part.detach()));
                }
                PartChange { before, is_final: part.state.is_over() }
            }
            Part::Other { .. } | Part::StepFinish(_) | Part::StepStart(_) => {
                let before = match slot {
                    Content::Untold(_) => Before::New { text: String::new() },
                    Content::Other
                    | Content::Reasoning { .. }
                    | Content::Text { .. }
                    | Content::Tool(_) => Before::Known,
                };
                *slot = Content::Other;
                PartChange { before, is_final: true }
            }
        }
    }

    /// Deltas were missed: what follows cannot be added to what is known.
    pub(super) fn interrupt(&mut self) {
        self.parts.iter_mut().for_each(Content::interrupt);
    }

    pub(super) fn interrupt_part(&mut self, place: usize) {
        self.parts[place].interrupt();
    }

    /// What the delta belongs to; `None` while that is not known, or when it cannot be added.
    pub(super) fn append(&mut self, place: usize, delta: &str) -> Option<TextKind> {
        match &mut self.parts[place] {
            Content::Reasoning { text, stage: Stage::Growing } => {
                text.push_str(delta);
                Some(TextKind::Reasoning)
            }
            Content::Text { text, stage: Stage::Growing, .. } => {
                text.push_str(delta);
                Some(TextKind::Text)
            }
            Content::Untold(text) => {
                text.push_str(delta);
                None
            }
            Content::Other
            | Content::Reasoning { .. }
            | Content::Text { .. }
            | Content::Tool(_) => None,
        }
    }
}

impl Stage {
    fn of(is_final: bool) -> Self {
        if is_final { Self::Final } else { Self::Growing }
    }
}

impl Content {
    fn interrupt(&mut self) {
        match self {
            Self::Reasoning { stage, .. } | Self::Text { stage, .. } => {
                if *stage == Stage::Growing {
                    *stage = Stage::Broken;
                }
            }
            Self::Untold(text) => text.clear(),
            Self::Other | Self::Tool(_) => {}
        }
    }

    /// What was known of a text before it was told like this, and what it is now. A final one wins; one that is only
    /// the beginning of what the deltas have already told came late.
    fn told(&mut self, told: &str, stage: Stage) -> (Before, String) {
        let (known, known_stage, is_new) = match self {
            Self::Reasoning { text, stage } | Self::Text { text, stage, .. } => {
                (text, *stage, false)
            }
            Self::Untold(text) => (text, Stage::Growing, true),
            Self::Other | Self::Tool(_) => return (Before::Part { told: 0 }, told.to_owned()),
        };
        let is_late = stage == Stage::Growing && known.starts_with(told);
        if is_new {
            let before = Before::New { text: known.clone() };
            let text = if is_late { std::mem::take(known) } else { told.to_owned() };
            return (before, text);
        }
        if known_stage == Stage::Final && (stage == Stage::Growing || known == told) || is_late {
            return (Before::Known, String::new());
        }
        // What was told differently cannot be taken back: it counts as told to the end.
        let kept = if told.starts_with(known.as_str()) { known.len() } else { told.len() };
        (Before::Part { told: kept }, told.to_owned())
    }
}

fn is_news(known: &ToolPart, part: &ToolPart, how: Told) -> bool {
    match (known.state.is_over(), part.state.is_over()) {
        (true, false) => false,
        (false, true) => true,
        (true, true) | (false, false) => how == Told::Event && known != part,
    }
}

/// A user's text has no time at all, and is final.
fn is_final(part: &TextPart) -> bool {
    part.time.end_ms.is_some() || part.time.start_ms.is_none()
}
