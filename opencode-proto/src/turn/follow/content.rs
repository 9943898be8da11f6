//! Content of messages.

use std::borrow::Cow;
use std::sync::Arc;

use super::Source;
use crate::guard::{ReplyContent, calls_again};
use crate::hub::child_of;
use crate::part::{Part, PartKey, TextOrigin};
use crate::run_event::AttemptAbandoned;
use crate::server_event::{MessageInfo, ServerEvent, ServerEventKind};
use crate::transcript::{Before, Told};
use crate::turn::chain::Belongs;
use crate::turn::core::TurnInput;
use crate::turn::event::TurnEventKind;
use crate::turn::posted::PostedTurn;
use crate::turn::record::{Place, Record};
use crate::{MessageId, RawText, Role, StepRole, TextKind};

impl PostedTurn {
    pub(super) fn message_updated(
        &mut self,
        place: Place,
        info: &MessageInfo,
        source: Source<'_>,
        input: &mut TurnInput<'_>,
    ) {
        if let Place::Own = place {
            let was_seen = self.record.chain.is_seen();
            let answers = self.record.chain.answer_count();
            let others = self.record.chain.others.answered_with().len();
            self.note_stop(info);
            let belongs = self.record.chain.message(info);
            if self.record.chain.answer_count() > answers {
                // The agent went on after the refusal, or the error.
                self.refused = None;
                self.faults.recovered = self.faults.errors.len();
            }
            let is_answer = belongs == Belongs::Yes && info.role == Role::Assistant;
            if is_answer && source.is_some() && !self.faults.heard.contains(&info.id) {
                self.faults.heard.insert(info.id.clone());
                self.faults.recovered = self.faults.errors.len();
            }
            if !was_seen && self.record.chain.is_seen() {
                self.prompt_seen(source, input);
            }
            self.tell_of_others(others, source, input);
            match belongs {
                Belongs::No => {
                    self.note_other(info, source);
                    return self.record.held.forget(&info.id);
                }
                Belongs::Unknown => {
                    self.note_other(info, source);
                    return self.wait_for(&info.id, source, input);
                }
                Belongs::Yes => {}
            }
        }
        self.read_message_time(info, input.now);
        if self.record.at_mut(place).update_message(info, how(source)) {
            self.pulse.activity += 1;
            self.count_calls(place, info, input);
            let kind = TurnEventKind::MessageUpdated(Box::new(info.clone()));
            self.emit(place, kind, source, input);
            // The parts of a listed message follow.
            if source.is_some() {
                self.abandon_unended(place, &info.id, source, input);
            }
        }
        if let Place::Own = place {
            self.resume_held(&info.id, input);
        }
    }

    /// Notes that the agent stopped at a refusal which was missed, when the answer to a later prompt
    /// begins.
    fn note_stop(&mut self, info: &MessageInfo) {
        let chain = &self.record.chain;
        if chain.has_gaps() && chain.is_of_later_prompt(info) && self.has_refused_tool() {
            self.record.chain.stop();
        }
    }

    /// Notes a message that does not belong to the turn.
    fn note_other(&mut self, info: &MessageInfo, source: Source<'_>) {
        if self.record.chain.is_of_later_prompt(info) {
            if let Some(error) = &info.error {
                self.faults.forget(error);
            }
            self.faults.are_complete |= source.is_some() && self.record.chain.is_superseded();
        } else if source.is_some()
            && is_aborted(info)
            && self.record.chain.is_of_earlier_prompt(info)
        {
            self.pulse.await_earlier_idle();
        }
    }

    /// Reports the prompts that the answer covers as well, from this number on.
    fn tell_of_others(&mut self, from: usize, source: Source<'_>, input: &mut TurnInput<'_>) {
        let others = &self.record.chain.others;
        let told: Vec<_> = others.answered_with()[from..].to_vec();
        for prompt in told {
            self.emit_own(TurnEventKind::AnsweredWith(prompt), source, input);
        }
    }

    /// The server has the prompt.
    fn prompt_seen(&mut self, source: Source<'_>, input: &mut TurnInput<'_>) {
        // Earlier looks say nothing about the prompt.
        self.pulse.quiet = None;
        self.pulse.activity += 1;
        if let Some(own) = self.record.chain.own() {
            input.core.message = own.clone();
        }
        let message = input.core.message.clone();
        self.emit_own(TurnEventKind::Posted(message), source, input);
        self.stop_late_prompt(input);
    }

    /// Tells of an attempt that a completed message shows to be abandoned.
    pub(super) fn abandon_unended(
        &mut self,
        place: Place,
        message: &MessageId,
        source: Source<'_>,
        input: &mut TurnInput<'_>,
    ) {
        if let Some(abandoned) = self.record.at_mut(place).abandon_unended(message) {
            let kind = TurnEventKind::AttemptAbandoned(abandoned);
            self.emit(place, kind, source, input);
        }
    }

    pub(super) fn part_updated(
        &mut self,
        place: Place,
        part: &Part,
        source: Source<'_>,
        input: &mut TurnInput<'_>,
    ) {
        let Some(message) = part.key().message.clone() else { return };
        if let Place::Own = place {
            let was_undecided = self.record.chain.part(&message, None) == Belongs::Unknown;
            let was_seen = self.record.chain.is_seen();
            let others = self.record.chain.others.answered_with().len();
            let belongs = self.record.chain.part(&message, Some(part));
            self.tell_of_others(others, source, input);
            if !was_seen && self.record.chain.is_seen() {
                self.prompt_seen(source, input);
            }
            match belongs {
                Belongs::No => return self.record.held.forget(&message),
                Belongs::Unknown => return self.wait_for(&message, source, input),
                Belongs::Yes if was_undecided => self.resume_held(&message, input),
                Belongs::Yes => {}
            }
        }
        // The user's words, and the task of a subagent, are no answer of the model.
        if self.record.is_prompt(place, &message) {
            let change = self.record.at_mut(place).update_part(part, how(source));
            if let Part::Text(text) = part
                && text.origin == TextOrigin::Continuation
                && change.is_some_and(|change| change.before != Before::Known)
            {
                self.emit(place, TurnEventKind::Continued(text.clone()), source, input);
            }
            return;
        }
        self.pulse.has_begun = true;
        if let Part::Tool(tool) = part {
            if let Some(child) = child_of(tool) {
                self.record.child(&child);
            }
            if tool.state.is_corrected() {
                self.refused = None;
            }
        }
        self.pulse.activity += 1;
        let Some(change) = self.record.at_mut(place).update_part(part, how(source)) else { return };
        if !change.abandoned.is_empty() {
            let abandoned = AttemptAbandoned { message: Some(message), parts: change.abandoned };
            self.emit(place, TurnEventKind::AttemptAbandoned(abandoned), source, input);
        }
        let told = match change.before {
            Before::Known => return,
            Before::New { text } => {
                let told = self.part_added(place, part, &text, source, input);
                if !change.is_final {
                    // The next delta may not follow the text that was found.
                    if let (None, Some(id)) = (source, &part.key().part) {
                        self.record.at_mut(place).interrupt_part(id);
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
        self.emit(place, kind, source, input);
        // OpenCode publishes a result again when it hides the result from the model.
        if let Part::Tool(tool) = part
            && change.is_final
            && tool.state.time().compacted_ms.is_none()
        {
            self.guard(place, input, |guard| guard.handle_call(tool));
        }
    }

    /// Reports a new part. Returns the number of bytes of text in the event.
    fn part_added(
        &mut self,
        place: Place,
        part: &Part,
        held: &str,
        source: Source<'_>,
        input: &mut TurnInput<'_>,
    ) -> usize {
        let kind = match part {
            Part::StepStart(step) => TurnEventKind::StepStarted(step.clone()),
            Part::StepFinish(step) => TurnEventKind::StepFinished(step.clone()),
            Part::Other { .. } | Part::Reasoning(_) | Part::Text(_) | Part::Tool(_) => {
                TurnEventKind::PartAdded(part.clone())
            }
        };
        self.emit(place, kind, source, input);
        let Some((kind, text)) = text_of(part) else { return 0 };
        // Deltas that overtook the part.
        if let Some(rest) = held.strip_prefix(&*text)
            && let Some(kind) = delta(part, kind, rest)
        {
            self.emit(place, kind, source, input);
        }
        text.len()
    }

    pub(super) fn part_delta(
        &mut self,
        place: Place,
        event: &Arc<ServerEvent>,
        input: &mut TurnInput<'_>,
    ) {
        let ServerEventKind::PartDelta { message, part, field, delta } = &event.kind else {
            return;
        };
        if *field != "text" {
            return self.emit(place, TurnEventKind::Other, Some(event), input);
        }
        if let (Place::Own, Some(message)) = (place, message) {
            match self.record.chain.part(message, None) {
                Belongs::No => return,
                Belongs::Unknown => return self.wait_for(message, Some(event), input),
                Belongs::Yes => {}
            }
        }
        self.pulse.activity += 1;
        if let Some(kind) = self.record.at_mut(place).append(message.as_ref(), part, delta) {
            let (message, part, delta) = (message.clone(), part.clone(), delta.clone());
            let kind = TurnEventKind::PartDelta { message, part, kind, delta };
            self.emit(place, kind, Some(event), input);
        }
    }

    /// Counts calls that OpenCode would repeat without end. An answer ends the row of overflows.
    /// (One that overflowed is completed as well, but the model never finished it.)
    fn count_calls(&mut self, place: Place, info: &MessageInfo, input: &mut TurnInput<'_>) {
        let is_answer = info.step == StepRole::Answer
            && info.error.is_none()
            && info.completed_ms.is_some()
            && info.role == Role::Assistant;
        let (true, Some(finish)) = (is_answer, &info.finish) else { return };
        let messages = self.record.at(place).messages();
        let message = messages.iter().rfind(|message| *message.id() == info.id);
        let has_tools = message.is_some_and(|message| message.tools().next().is_some());
        let has_text = message
            .is_some_and(|message| !message.text().is_empty() || !message.reasoning().is_empty());
        let content = ReplyContent::of(info.tokens.total, has_text);
        let goes_on = info.structured.is_none() && calls_again(finish);
        self.guard(place, input, |guard| {
            guard.handle_answer();
            if goes_on && !has_tools {
                return guard.handle_unfinished(Some(&info.id), content);
            }
            guard.handle_progress();
            None
        });
    }

    /// Keeps an event until the gap before the event is looked up.
    pub(super) fn hold(&mut self, event: &Arc<ServerEvent>, input: &mut TurnInput<'_>) {
        self.pulse.activity += 1;
        let held = &mut self.record.held;
        if held.size() + event.raw.len() <= input.core.settings.held_size_max {
            return held.hold(event);
        }
        // Too much: the events count as missed as well, and are looked up.
        held.clear();
        self.record.interrupt();
        self.look_now(input);
    }

    /// Keeps an event until the message is known.
    fn wait_for(&mut self, message: &MessageId, source: Source<'_>, input: &TurnInput<'_>) {
        let Some(event) = source else { return };
        let Record { chain, held, .. } = &mut self.record;
        if !chain.is_seen() && !chain.is_torn() && !chain.awaits_compaction() {
            return;
        }
        if held.size() + event.raw.len() > input.core.settings.held_size_max {
            // A look finds the content.
            held.clear();
            return self.look_at(input.now);
        }
        held.push(message, event);
    }

    fn resume_held(&mut self, message: &MessageId, input: &mut TurnInput<'_>) {
        for event in self.record.held.take(message) {
            self.told(Place::Own, &event, input);
        }
        // Answers to a message that has just turned out to be a prompt.
        for event in self.record.held.answers_to(message) {
            self.told(Place::Own, &event, input);
        }
    }
}

fn is_aborted(info: &MessageInfo) -> bool {
    let is_abort = info.error.as_ref().is_some_and(|error| error.is_abort());
    is_abort && info.completed_ms.is_some()
}

fn how(source: Source<'_>) -> Told {
    if source.is_some() { Told::Event } else { Told::Look }
}

/// Returns the growth of a text that is not final.
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
