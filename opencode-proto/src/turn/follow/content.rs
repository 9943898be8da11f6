//! What messages hold.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use super::{Place, Source};
use crate::hub::child_of;
use crate::part::{FinishReason, Part, PartKey, TextOrigin};
use crate::server_event::{MessageInfo, ServerEvent, ServerEventKind};
use crate::transcript::{Before, Message, Told};
use crate::turn::chain::Belongs;
use crate::turn::{LookState, Stop, Turn, TurnEventKind};
use crate::{MessageId, RawText, Role, StepRole, TextKind};

impl Turn {
    pub(super) fn message_updated(
        &mut self,
        place: Place,
        info: &MessageInfo,
        source: Source<'_>,
        now: Instant,
    ) {
        if let Place::Own = place {
            let was_seen = self.chain.is_seen();
            let answers = self.chain.answer_count();
            let belongs = self.chain.message(info);
            if self.chain.answer_count() > answers {
                // It went on after that.
                self.refused = None;
            }
            if !was_seen && self.chain.is_seen() {
                // What was found before it was there says nothing about it.
                self.quiet = None;
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
            self.count_calls(place, info, now);
            let kind = TurnEventKind::MessageUpdated(Box::new(info.clone()));
            self.emit(place, kind, source);
        }
        if let Place::Own = place {
            self.resume_waiting(&info.id, now);
        }
    }

    pub(super) fn part_updated(&mut self, place: Place, part: &Part, source: Source<'_>) {
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
            let change = self.transcript_at(place).update_part(part, how(source));
            if let Part::Text(text) = part
                && text.origin == TextOrigin::Continuation
                && change.is_some_and(|change| change.before != Before::Known)
            {
                self.emit(place, TurnEventKind::Continued(text.clone()), source);
            }
            return;
        }
        self.has_begun = true;
        if let Part::Tool(tool) = part {
            if let Some(child) = child_of(tool) {
                self.child(&child);
            }
            if tool.state.is_corrected() {
                self.refused = None;
            }
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

    pub(super) fn part_delta(&mut self, place: Place, event: &Arc<ServerEvent>) {
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

    /// Counts what OpenCode would repeat for ever. An answer ends the row of overflows. (One that overflowed is completed
    /// as well, but the model never finished it.)
    fn count_calls(&mut self, place: Place, info: &MessageInfo, now: Instant) {
        let is_answer = info.step == StepRole::Answer
            && info.error.is_none()
            && info.completed_ms.is_some()
            && info.role == Role::Assistant;
        let (true, Place::Own, Some(finish)) = (is_answer, place, &info.finish) else { return };
        self.overflows = 0;
        let has_tools = |message: &Message| message.tools().next().is_some();
        let message = self.transcript.messages().iter().rfind(|message| *message.id() == info.id);
        if *finish != FinishReason::UNKNOWN || message.is_some_and(has_tools) {
            self.unfinished.clear();
        } else {
            self.unfinished.insert(info.id.clone());
            if self.unfinished.len() > self.settings.unfinished_max {
                self.stop(Stop::Endless, now);
            }
        }
    }

    /// Keeps an event until what was missed before it is looked up.
    pub(super) fn hold(&mut self, event: &Arc<ServerEvent>, now: Instant) {
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

    pub(super) fn resume_waiting(&mut self, message: &MessageId, now: Instant) {
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
