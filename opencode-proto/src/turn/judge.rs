//! The end of a turn: whether the end has come, and which kind of end.

use std::time::Duration;

use super::core::{TurnExtent, TurnInput};
use super::disposal::Disposal;
use super::event::TurnEventKind;
use super::look::Freshness;
use super::others::{AnswerShare, Takeover};
use super::outcome::{NothingToFollow, TurnEnd};
use super::post::TurnKind;
use super::posted::{Course, Faults, PostedTurn, Posting, StopCause};
use crate::error::ErrorName;
use crate::guard::Repetition;
use crate::part::{FinishReason, ToolPart};
use crate::server_event::{MessageInfo, SessionStatus};
use crate::{AgentError, MessageId, StepRole};

/// Time in which nothing goes on at the server before an unfinished answer counts as the end: after
/// the errors of a prompt that failed, and otherwise.
const QUIET_AFTER_FAILURE: Duration = Duration::from_secs(1);
const QUIET: Duration = Duration::from_secs(10);
/// Time in which a server that works stores a prompt.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(60);

/// Statement of the answer about the end of the turn, given that the session is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The answer is the end.
    Ended,
    /// The answer may be the end; the server knows.
    Likely,
    /// Something is missing.
    Unfinished,
}

impl PostedTurn {
    /// Ends the turn if the events prove the end, and begins a look where only a look can decide.
    pub(super) fn judge(&mut self, input: &mut TurnInput<'_>) {
        // Missed events belong to the turn, and are being looked up.
        if input.is_over() || self.record.chain.is_torn() {
            return;
        }
        if self.rest.is_some() {
            return self.judge_rest(input);
        }
        if self.awaits_disposal(input) {
            return;
        }
        if self.ends_when_stored(input) {
            return if self.is_stored(input) {
                input.finish(TurnEnd::Completed);
            } else {
                self.look_after_errors(input);
            };
        }
        if self.record.chain.is_superseded() {
            return self.conclude(input);
        }
        if !self.pulse.is_idle() {
            return self.look_after_errors(input);
        }
        match self.verdict(input) {
            Verdict::Ended => self.conclude(input),
            Verdict::Likely => self.look_at(input.now),
            Verdict::Unfinished => self.look_settled(input),
        }
    }

    /// Judges by the status that a look found.
    pub(super) fn looked(
        &mut self,
        status: &SessionStatus,
        freshness: Freshness,
        input: &mut TurnInput<'_>,
    ) {
        if input.is_over() {
            return;
        }
        if self.record.chain.is_superseded() && !self.ends_when_stored(input) {
            return self.conclude(input);
        }
        if freshness == Freshness::Outdated {
            let may_be_over = self.pulse.is_idle() || *status == SessionStatus::Idle;
            if may_be_over || self.needs_looks() {
                self.look_settled(input);
            }
            return self.judge(input);
        }
        if input.core.extent == TurnExtent::Post {
            // The work of other turns decides nothing.
            return if self.is_stored(input) { self.judge(input) } else { self.judge_quiet(input) };
        }
        if *status != SessionStatus::Idle {
            // The event of an idle session comes a moment before the list of statuses shows the
            // same.
            if self.pulse.is_idle() {
                self.look_settled(input);
            }
            self.pulse.quiet = None;
            self.pulse.status = Some(status.clone());
            self.note_retry(status, input);
            return;
        }
        if self.course.is_stopping() && !input.core.is_aborting() {
            // A prompt that is still in flight is to be aborted on arrival.
            if !self.is_coming() {
                self.finish_stopped(input);
            }
            return;
        }
        if self.ends_when_stored(input) {
            return if self.is_stored(input) { self.judge(input) } else { self.judge_quiet(input) };
        }
        match self.verdict(input) {
            Verdict::Ended | Verdict::Likely => self.conclude(input),
            Verdict::Unfinished => self.judge_quiet(input),
        }
    }

    /// An error without an idle may be the end: a session is not reported as idle after a prompt
    /// for an unknown agent.
    fn look_after_errors(&mut self, input: &mut TurnInput<'_>) {
        if self.needs_looks() {
            self.look_settled(input);
        }
    }

    /// Returns whether the prompt is still in flight.
    fn is_coming(&self) -> bool {
        matches!(self.posting, Posting::Sent(_)) && !self.record.chain.is_seen()
    }

    /// Returns whether the prompt should have been there long ago. A command is replied to at its
    /// end, which never comes when the request was lost.
    fn is_overdue(&self, input: &TurnInput<'_>) -> bool {
        let Posting::Sent(post) = &self.posting else { return false };
        let since = input.now.saturating_duration_since(self.posted);
        post.has_late_reply() && since >= ARRIVAL_LIMIT
    }

    /// Returns whether the turn is over as soon as the server has the prompt.
    fn ends_when_stored(&self, input: &TurnInput<'_>) -> bool {
        input.core.kind == TurnKind::NoReply || input.core.extent == TurnExtent::Post
    }

    fn is_stored(&self, input: &TurnInput<'_>) -> bool {
        let (is_seen, is_accepted) =
            (self.record.chain.is_seen(), matches!(self.posting, Posting::Accepted));
        match input.core.extent {
            TurnExtent::Post => is_seen || is_accepted,
            TurnExtent::Followed(_) | TurnExtent::Whole => is_seen && is_accepted,
        }
    }

    fn is_doubtful(&self) -> bool {
        matches!(self.posting, Posting::Doubtful { .. }) && !self.record.chain.is_seen()
    }

    fn needs_looks(&self) -> bool {
        let has_errors = !self.record.chain.is_seen() && !self.faults.errors.is_empty();
        has_errors || self.is_doubtful() || self.pulse.quiet.is_some()
    }

    /// The server does nothing, and the answer is not complete.
    fn judge_quiet(&mut self, input: &mut TurnInput<'_>) {
        // The prompt cannot have been worked on. The reply to the post decides.
        if self.is_coming() {
            if !self.is_overdue(input) {
                return;
            }
            let reason = "the server has not got the prompt in time".to_owned();
            self.posting = Posting::Doubtful { reason };
        }
        let since = *self.pulse.quiet.get_or_insert(input.now);
        let errors = self.unrecovered();
        // The first error reports a failure within the prompt; the second, of the prompt.
        let has_failed = errors.len() > 1 || self.pulse.is_idle() && !errors.is_empty();
        let is_unknown = matches!(self.posting, Posting::Followed) && !self.record.chain.is_seen();
        let is_refused = has_failed && !is_unknown || self.is_doubtful();
        let limit = if is_refused { QUIET_AFTER_FAILURE } else { QUIET };
        if input.now.saturating_duration_since(since) < limit {
            return self.look_settled(input);
        }
        let end = match (errors, &self.posting) {
            (_, Posting::Followed) if is_unknown => {
                TurnEnd::NothingToFollow(match self.record.is_listed {
                    true => NothingToFollow::UnknownPrompt,
                    false => NothingToFollow::Unlisted,
                })
            }
            (errors, _) if !errors.is_empty() => failed(&errors),
            (_, Posting::Doubtful { reason }) if self.is_doubtful() => {
                TurnEnd::NotPosted { reason: reason.clone(), is_certain: false }
            }
            _ => TurnEnd::Torn,
        };
        // In case something of the turn is still to come.
        input.abort_rest();
        input.finish(match (end, self.disposal) {
            (TurnEnd::Aborted | TurnEnd::Torn, Disposal::Reported) => TurnEnd::Disposed,
            (end, _) => end,
        });
    }

    fn verdict(&self, input: &TurnInput<'_>) -> Verdict {
        let Some(answer) = self.record.chain.last_answer() else { return Verdict::Unfinished };
        if let Some(error) = &answer.error {
            // OpenCode goes on after this error, if possible.
            let goes_on = error.name == ErrorName::CONTEXT_OVERFLOW;
            return if goes_on { Verdict::Likely } else { Verdict::Ended };
        }
        if answer.completed_ms.is_none() {
            return Verdict::Unfinished;
        }
        let is_over = match &answer.finish {
            // OpenCode stops at a refusal.
            Some(finish) if finish.expects_more() => self.refused.is_some(),
            Some(finish) => *finish != FinishReason::UNKNOWN,
            None => input.core.kind == TurnKind::Shell,
        };
        let step = match input.core.kind {
            TurnKind::Summary => StepRole::Summary,
            TurnKind::NoReply | TurnKind::Prompt | TurnKind::Shell => StepRole::Answer,
        };
        if is_over && answer.step == step || answer.structured.is_some() {
            Verdict::Ended
        } else {
            Verdict::Likely
        }
    }

    /// Ends a turn by the answer.
    pub(super) fn conclude(&mut self, input: &mut TurnInput<'_>) {
        let end = match self.record.chain.last_answer() {
            Some(answer) => self.end_of(answer, input),
            None => TurnEnd::Torn,
        };
        let end = match (end, self.record.chain.replaced_by()) {
            (TurnEnd::Torn, Some(_)) => TurnEnd::ReplacedBySummary,
            (TurnEnd::Completed, _) => self.end_among_others(input),
            (end, _) => end,
        };
        // The turn may have finished by itself before the abort arrived. A command line has no end
        // that tells the one from the other.
        let is_certain = end.is_completed() && input.core.kind != TurnKind::Shell;
        if self.course.is_stopping() && !is_certain {
            return self.finish_stopped(input);
        }
        if end.is_completed() && input.core.kind == TurnKind::Prompt && self.is_empty_answer() {
            self.emit_own(TurnEventKind::AnswerEmpty, None, input);
        }
        if let (TurnEnd::ReplacedBySummary, Some(by)) = (&end, self.record.chain.replaced_by()) {
            let by = by.clone();
            self.emit_own(TurnEventKind::ReplacedBySummary(by), None, input);
        }
        self.finish(end, input);
    }

    /// Returns the end of a turn whose answer is complete: another prompt may have got the answer.
    fn end_among_others(&self, input: &TurnInput<'_>) -> TurnEnd {
        let Some(Takeover { prompt, share }) = self.record.chain.others.takeover() else {
            return TurnEnd::Completed;
        };
        if self.record.chain.has_aborted() {
            // The other prompt came while the abort was on its way.
            return TurnEnd::Aborted;
        }
        match share {
            AnswerShare::Whole => TurnEnd::Completed,
            AnswerShare::Begun if input.shared.is_own_prompt(prompt) => TurnEnd::Completed,
            AnswerShare::Begun | AnswerShare::Unknown => {
                TurnEnd::AnsweredByAnother { prompt: prompt.clone() }
            }
        }
    }

    /// Returns whether the last message of the answer has neither a text nor a structured answer.
    fn is_empty_answer(&self) -> bool {
        let Some(answer) = self.record.chain.last_answer() else { return true };
        let messages = self.record.own.messages();
        let message = messages.iter().rfind(|message| *message.id() == answer.id);
        answer.structured.is_none() && message.is_none_or(|message| message.text().is_empty())
    }

    fn end_of(&self, answer: &MessageInfo, input: &TurnInput<'_>) -> TurnEnd {
        if let Some(error) = &answer.error {
            return if error.name == ErrorName::MESSAGE_ABORTED {
                TurnEnd::Aborted
            } else {
                TurnEnd::AgentError(error.clone())
            };
        }
        if input.core.kind == TurnKind::Shell {
            return if self.is_aborted_command(&answer.id) {
                TurnEnd::Aborted
            } else {
                TurnEnd::Completed
            };
        }
        if answer.structured.is_some() {
            return TurnEnd::Completed;
        }
        if answer.completed_ms.is_none() {
            // Another prompt has taken over: what was reported of this one has to do.
            return failed(&self.unrecovered());
        }
        if self.record.chain.is_compacting() {
            // The answer after the summary is missing.
            return failed(&self.unrecovered());
        }
        match (&answer.finish, &self.refused) {
            (Some(finish), Some(refused)) if finish.expects_more() => {
                TurnEnd::Rejected { refused: refused.clone() }
            }
            (Some(finish), None) if finish.expects_more() => match self.refused_tool(&answer.id) {
                Some(refused) => TurnEnd::Rejected { refused },
                None => TurnEnd::Torn,
            },
            (Some(_), _) => match (answer.step, input.core.kind) {
                (StepRole::Summary, TurnKind::NoReply | TurnKind::Prompt | TurnKind::Shell) => {
                    TurnEnd::ReplacedBySummary
                }
                (StepRole::Answer, _) | (StepRole::Summary, TurnKind::Summary) => {
                    TurnEnd::Completed
                }
            },
            // Nor does an input that is too long, until OpenCode goes on.
            (None, _)
                if self.is_blind() || self.faults.errors.iter().any(|it| is_overflow(&it)) =>
            {
                TurnEnd::Torn
            }
            // An abort between two tries of the model leaves neither a reason nor an error.
            (None, _) => TurnEnd::Aborted,
        }
    }

    /// Returns whether the end may be in messages that were missed, and cannot be listed.
    fn is_blind(&self) -> bool {
        !self.record.is_listed && self.gaps > 0
    }

    /// Returns the errors, without the overflows after which OpenCode went on, or may have, and
    /// without those that an answer to a prompt has which the server does not know.
    fn unrecovered(&self) -> Vec<AgentError> {
        let Faults { errors, recovered, .. } = &self.faults;
        if !self.record.chain.is_seen() {
            return errors.iter().filter(|error| !error.is_of_answer()).cloned().collect();
        }
        let goes_on = self.record.chain.is_compacting() || self.is_blind();
        let (recovered, last) = errors.split_at(if goes_on { errors.len() } else { *recovered });
        let others = recovered.iter().filter(|error| !is_overflow(error));
        others.chain(last).cloned().collect()
    }

    fn is_aborted_command(&self, message: &MessageId) -> bool {
        let message = self.record.own.messages().iter().find(|it| it.id() == message);
        let mut tools = message.into_iter().flat_map(|message| message.tools());
        tools.any(|tool| tool.state.is_aborted_command())
    }

    /// Returns a tool of this message that another client refused, so that the turn ended there.
    fn refused_tool(&self, message: &MessageId) -> Option<String> {
        let message = self.record.own.messages().iter().find(|it| it.id() == message)?;
        let stops = |tool: &&ToolPart| tool.state.is_rejected() && !tool.state.is_corrected();
        message.tools().filter(stops).last().map(|tool| tool.tool.to_string())
    }

    /// Returns the end of a turn that overflows again and again, perhaps in a subagent.
    fn overflowed(&self) -> TurnEnd {
        let of_children = self.record.children.iter().flat_map(|child| child.errors());
        match of_children.filter(is_overflow).last() {
            Some(error) if self.faults.errors.is_empty() => {
                TurnEnd::AgentError(Box::new(error.clone()))
            }
            Some(_) | None => failed(&self.faults.errors),
        }
    }

    /// Ends a turn that was stopped.
    pub(super) fn finish_stopped(&mut self, input: &mut TurnInput<'_>) {
        let why = match &self.course {
            Course::Stopping { why, .. } => why,
            Course::Working => &StopCause::Cancelled,
        };
        input.finish(match why {
            StopCause::Cancelled => TurnEnd::Cancelled,
            StopCause::Repeated(Repetition::Overflows) => self.overflowed(),
            StopCause::Repeated(Repetition::RepeatedCalls { tool }) => {
                TurnEnd::RepeatedCalls { tool: tool.to_string() }
            }
            StopCause::Repeated(Repetition::Unfinished) => TurnEnd::Endless,
            StopCause::Repeated(Repetition::EmptyReplies) => TurnEnd::EmptyReplies,
            StopCause::RetryTooLate => TurnEnd::RetryTooLate { failure: self.last_failure() },
            StopCause::TimedOut(deadline) => {
                TurnEnd::TimedOut { deadline: *deadline, failure: self.last_failure() }
            }
        });
    }
}

/// Returns whether OpenCode compacts the conversation after this error.
fn is_overflow(error: &&AgentError) -> bool {
    error.name == ErrorName::CONTEXT_OVERFLOW
}

/// Returns the end by the first error, which led to the others.
fn failed(errors: &[AgentError]) -> TurnEnd {
    match errors.first() {
        Some(error) if error.name == ErrorName::MESSAGE_ABORTED => TurnEnd::Aborted,
        Some(error) => TurnEnd::AgentError(Box::new(error.clone())),
        None => TurnEnd::Torn,
    }
}
