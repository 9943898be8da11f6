use std::mem;

use serde::Serialize;

use crate::part::{Part, TextOrigin, TextPart, ToolPart};

/// Content of a part that has come, or of which deltas came.
#[derive(Clone, Debug)]
pub(super) enum PartContent {
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
pub(super) enum TextStage {
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

impl TextStage {
    fn of(is_final: bool) -> Self {
        if is_final { Self::Final } else { Self::Growing }
    }
}

impl PartContent {
    pub(super) fn is_unended(&self) -> bool {
        match self {
            Self::Reasoning { stage, .. } | Self::Text { stage, .. } => *stage != TextStage::Final,
            Self::Other | Self::Tool(_) | Self::Unknown(_) => false,
        }
    }

    pub(super) fn interrupt(&mut self) {
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

    /// Replaces the content by an update. Returns the knowledge before, and whether nothing follows
    /// for the part.
    pub(super) fn update(&mut self, part: &Part, how: Told) -> (Before, bool) {
        match part {
            Part::Reasoning(part) => {
                let stage = TextStage::of(part.time.end_ms.is_some());
                let (before, text) = self.take_text(&part.text.to_str(), stage);
                if before != Before::Known {
                    *self = Self::Reasoning { text, stage };
                }
                (before, stage == TextStage::Final)
            }
            Part::Text(part) => {
                let stage = TextStage::of(is_final(part));
                let (before, text) = self.take_text(&part.text.to_str(), stage);
                if before != Before::Known {
                    *self = Self::Text { text, origin: part.origin, stage };
                }
                (before, stage == TextStage::Final)
            }
            Part::Tool(part) => {
                let before = match self {
                    Self::Tool(known) if !is_news(known, part, how) => Before::Known,
                    Self::Unknown(_) => Before::New { text: String::new() },
                    Self::Other | Self::Reasoning { .. } | Self::Text { .. } | Self::Tool(_) => {
                        Before::Part { told: 0 }
                    }
                };
                if before != Before::Known {
                    *self = Self::Tool(Box::new(part.detach()));
                }
                (before, part.state.is_over())
            }
            Part::Other { .. } | Part::StepFinish(_) | Part::StepStart(_) => {
                let before = match self {
                    Self::Unknown(_) => Before::New { text: String::new() },
                    Self::Other | Self::Reasoning { .. } | Self::Text { .. } | Self::Tool(_) => {
                        Before::Known
                    }
                };
                *self = Self::Other;
                (before, true)
            }
        }
    }

    /// Appends a delta. Returns the kind of the part; `None` while the part has not come, and when
    /// the delta cannot be appended.
    pub(super) fn append(&mut self, delta: &str) -> Option<TextKind> {
        match self {
            Self::Reasoning { text, stage: TextStage::Growing } => {
                text.push_str(delta);
                Some(TextKind::Reasoning)
            }
            Self::Text { text, stage: TextStage::Growing, .. } => {
                text.push_str(delta);
                Some(TextKind::Text)
            }
            Self::Unknown(text) => {
                text.push_str(delta);
                None
            }
            Self::Other | Self::Reasoning { .. } | Self::Text { .. } | Self::Tool(_) => None,
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
