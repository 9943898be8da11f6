use std::borrow::Cow;

use crate::answer::join;
use crate::part::{Part, TextOrigin, TextPart, ToolPart};
use crate::server_event::{MessageInfo, Role};
use crate::{MessageId, StepRole};

/// A message with its parts.
#[derive(Clone, Debug)]
pub struct Message {
    id: MessageId,
    info: Option<MessageInfo>,
    parts: Vec<Content>,
}

#[derive(Clone, Debug)]
enum Content {
    /// Nothing of the answer: a step, a file, a part that was removed.
    Other,
    Reasoning(String),
    Text {
        text: String,
        origin: TextOrigin,
    },
    Tool(Box<ToolPart>),
    /// Text of which it is not known yet whether it is reasoning.
    Untold(String),
}

impl Message {
    pub(super) fn new(id: MessageId) -> Self {
        Self { id, info: None, parts: Vec::new() }
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
            Content::Text { text, origin: TextOrigin::Model } => Some(Cow::Borrowed(text.as_str())),
            Content::Other
            | Content::Reasoning(_)
            | Content::Text { .. }
            | Content::Tool(_)
            | Content::Untold(_) => None,
        }))
    }

    /// Its reasoning.
    pub fn reasoning(&self) -> Cow<'_, str> {
        join(self.parts.iter().filter_map(|part| match part {
            Content::Reasoning(text) => Some(Cow::Borrowed(text.as_str())),
            Content::Other | Content::Text { .. } | Content::Tool(_) | Content::Untold(_) => None,
        }))
    }

    /// Its tool calls, each as it was told last.
    pub fn tools(&self) -> impl Iterator<Item = &ToolPart> {
        self.parts.iter().filter_map(|part| match part {
            Content::Tool(part) => Some(&**part),
            Content::Other | Content::Reasoning(_) | Content::Text { .. } | Content::Untold(_) => {
                None
            }
        })
    }

    /// Whether it answers the user. (The user's own messages have text too.)
    pub(super) fn is_answer(&self) -> bool {
        self.info
            .as_ref()
            .is_some_and(|info| info.role == Role::Assistant && info.step == StepRole::Answer)
    }

    pub(super) fn update(&mut self, info: &MessageInfo) {
        self.info = Some(info.detach());
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

    pub(super) fn update_part(&mut self, place: usize, part: &Part) {
        let slot = &mut self.parts[place];
        *slot = match part {
            Part::Reasoning(part) => {
                let is_final = part.time.end_ms.is_some();
                Content::Reasoning(snapshot(slot, &part.text.to_str(), is_final))
            }
            Part::Text(part) => Content::Text {
                text: snapshot(slot, &part.text.to_str(), is_final(part)),
                origin: part.origin,
            },
            Part::Tool(part) => Content::Tool(Box::new(part.detach())),
            Part::Other { .. } | Part::StepFinish(_) | Part::StepStart(_) => Content::Other,
        };
    }

    pub(super) fn append(&mut self, place: usize, delta: &str) {
        match &mut self.parts[place] {
            Content::Reasoning(text) | Content::Text { text, .. } | Content::Untold(text) => {
                text.push_str(delta);
            }
            Content::Other | Content::Tool(_) => {}
        }
    }
}

/// A user's text has no time at all, and is final.
fn is_final(part: &TextPart) -> bool {
    part.time.end_ms.is_some() || part.time.start_ms.is_none()
}

/// What a snapshot leaves of a text. A final one wins; one that is only the beginning of what the deltas have already
/// told came late.
fn snapshot(slot: &mut Content, told: &str, is_final: bool) -> String {
    let known = match slot {
        Content::Reasoning(text) | Content::Text { text, .. } | Content::Untold(text) => {
            std::mem::take(text)
        }
        Content::Other | Content::Tool(_) => String::new(),
    };
    if !is_final && known.starts_with(told) { known } else { told.to_owned() }
}
