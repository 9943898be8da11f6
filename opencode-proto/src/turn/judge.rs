//! Whether a turn is over, and how it ended.

use std::mem;
use std::time::{Duration, Instant};

use super::{Posting, Stop, Turn, TurnEnd, TurnKind, TurnOutcome};
use crate::error::ErrorName;
use crate::part::{FinishReason, ToolPart};
use crate::server_event::{MessageInfo, SessionStatus};
use crate::turn::TurnAction;
use crate::{AgentError, MessageId, StepRole};

/// How long nothing may go on at the server before an unfinished answer is taken for the end: after the errors of a
/// prompt that came to nothing, and otherwise.
const QUIET_AFTER_FAILURE: Duration = Duration::from_secs(1);
const QUIET: Duration = Duration::from_secs(10);

/// What the answer says about the end of the turn, given that the session is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is the end.
    Ended,
    /// It may be the end; the server knows.
    Likely,
    /// Something is missing.
    Unfinished,
}

impl Turn {
    /// Ends the turn if it is over, and looks at the server if only that can tell.
    pub(super) fn judge(&mut self, now: Instant) {
        // What was missed is a part of it, and is being looked up.
        if self.is_over || self.chain.is_torn() {
            return;
        }
        if self.settings.kind == TurnKind::NoReply {
            return if self.is_stored() {
                self.finish(TurnEnd::Completed, now);
            } else {
                self.look_after_errors(now);
            };
        }
        if self.chain.is_superseded() {
            return self.conclude(now);
        }
        if self.idle.is_none() {
            return self.look_after_errors(now);
        }
        match self.verdict() {
            Verdict::Ended => self.conclude(now),
            Verdict::Likely => self.look_at(now),
            Verdict::Unfinished => self.look_at(now + self.settings.settle_delay),
        }
    }

    /// The server was looked at. `is_current`: nothing was heard since it was asked.
    pub(super) fn looked(&mut self, status: &SessionStatus, is_current: bool, now: Instant) {
        if self.is_over {
            return;
        }
        if !is_current {
            // What it said about the session is older than what was heard.
            let may_be_over = self.idle.is_some() || *status == SessionStatus::Idle;
            if may_be_over || self.needs_looks() {
                self.look_at(now + self.settings.settle_delay);
            }
            return self.judge(now);
        }
        if *status != SessionStatus::Idle {
            // OpenCode tells that it is idle a moment before it says so when it is asked.
            if self.idle.take().is_some() {
                self.look_at(now + self.settings.settle_delay);
            }
            self.quiet = None;
            self.status = Some(status.clone());
            return;
        }
        if self.stop.as_ref().is_some_and(|stop| stop.is_aborted) {
            // A prompt that is still on its way is to be aborted when it is there.
            if !self.is_coming() {
                self.finish_stopped(now);
            }
            return;
        }
        if self.settings.kind == TurnKind::NoReply {
            return if self.is_stored() { self.judge(now) } else { self.judge_quiet(now) };
        }
        match self.verdict() {
            Verdict::Ended | Verdict::Likely => self.conclude(now),
            Verdict::Unfinished => self.judge_quiet(now),
        }
    }

    /// An error without an idle may be the end: a prompt for an unknown agent is never told to be idle.
    fn look_after_errors(&mut self, now: Instant) {
        if self.needs_looks() {
            self.look_at(now + self.settings.settle_delay);
        }
    }

    /// Whether the prompt is still on its way.
    fn is_coming(&self) -> bool {
        matches!(self.posting, Posting::Sent) && !self.chain.is_seen()
    }

    fn is_stored(&self) -> bool {
        self.chain.is_seen() && matches!(self.posting, Posting::Accepted)
    }

    fn needs_looks(&self) -> bool {
        let is_lost = !self.chain.is_seen()
            && (!self.errors.is_empty() || matches!(self.posting, Posting::Doubtful { .. }));
        is_lost || self.quiet.is_some()
    }

    /// The server does nothing, and the answer is not complete.
    fn judge_quiet(&mut self, now: Instant) {
        // It cannot have been worked on. What becomes of the request will be told.
        if self.is_coming() {
            return;
        }
        let since = *self.quiet.get_or_insert(now);
        // One error says that something of the prompt failed; the second that the prompt did.
        let has_failed = self.errors.len() > 1 || self.idle.is_some() && !self.errors.is_empty();
        let is_doubtful = matches!(self.posting, Posting::Doubtful { .. }) && !self.chain.is_seen();
        let is_refused = has_failed || is_doubtful;
        let limit = if is_refused { QUIET_AFTER_FAILURE } else { QUIET };
        if now.saturating_duration_since(since) < limit {
            return self.look_at(now + self.settings.settle_delay);
        }
        let end = match (mem::take(&mut self.errors), &self.posting) {
            (errors, _) if !errors.is_empty() => failed(&errors),
            (_, Posting::Doubtful { reason }) if !self.chain.is_seen() => {
                TurnEnd::NotPosted { reason: reason.clone(), is_certain: false }
            }
            _ => TurnEnd::Torn,
        };
        // In case something of it is still to come.
        self.actions.push_back(TurnAction::Abort);
        self.finish(end, now);
    }

    fn verdict(&self) -> Verdict {
        let Some(answer) = self.chain.last_answer() else { return Verdict::Unfinished };
        if let Some(error) = &answer.error {
            // OpenCode goes on after this one, if it can.
            let goes_on = error.name == ErrorName::CONTEXT_OVERFLOW;
            return if goes_on { Verdict::Likely } else { Verdict::Ended };
        }
        if answer.completed_ms.is_none() {
            return Verdict::Unfinished;
        }
        let is_over = match &answer.finish {
            // OpenCode stops there.
            Some(finish) if finish.expects_more() => self.refused.is_some(),
            Some(finish) => *finish != FinishReason::UNKNOWN,
            None => self.settings.kind == TurnKind::Shell,
        };
        if is_over && answer.step == StepRole::Answer || answer.structured.is_some() {
            Verdict::Ended
        } else {
            Verdict::Likely
        }
    }

    /// Ends a turn whose answer is what it is.
    fn conclude(&mut self, now: Instant) {
        let end = match self.chain.last_answer() {
            Some(answer) => self.end_of(answer),
            None => TurnEnd::Torn,
        };
        // It may have finished by itself before the abort reached it.
        // A shell command has no end that tells the one from the other.
        let is_certain = end.is_completed() && self.settings.kind != TurnKind::Shell;
        if self.stop.is_some() && !is_certain {
            self.finish_stopped(now);
        } else {
            self.finish(end, now);
        }
    }

    fn end_of(&self, answer: &MessageInfo) -> TurnEnd {
        if let Some(error) = &answer.error {
            return if error.name == ErrorName::MESSAGE_ABORTED {
                TurnEnd::Aborted
            } else {
                TurnEnd::AgentError(error.clone())
            };
        }
        if answer.structured.is_some() || self.settings.kind == TurnKind::Shell {
            return TurnEnd::Completed;
        }
        match (&answer.finish, &self.refused) {
            (Some(finish), Some(refused)) if finish.expects_more() => {
                TurnEnd::Rejected { refused: refused.clone() }
            }
            (Some(finish), None) if finish.expects_more() => match self.refused_tool(&answer.id) {
                Some(refused) => TurnEnd::Rejected { refused },
                None => TurnEnd::Torn,
            },
            (Some(_), _) => TurnEnd::Completed,
            // An abort between two tries of the model leaves neither a reason nor an error.
            (None, _) => TurnEnd::Aborted,
        }
    }

    /// A tool of this message that was refused by somebody else, so that the turn ended there.
    fn refused_tool(&self, message: &MessageId) -> Option<String> {
        let message = self.transcript.messages().iter().find(|it| it.id() == message)?;
        let stops = |tool: &&ToolPart| tool.state.is_rejected() && !tool.state.is_corrected();
        message.tools().filter(stops).last().map(|tool| tool.tool.to_string())
    }

    /// Ends a turn that was aborted by us.
    pub(super) fn finish_stopped(&mut self, now: Instant) {
        let why = self.stop.as_ref().map_or(Stop::Cancelled, |stop| stop.why);
        let end = match why {
            Stop::Cancelled => TurnEnd::Cancelled,
            Stop::Endless => TurnEnd::Endless,
            Stop::Overflowed => failed(&self.errors),
            Stop::TimedOut(deadline) => TurnEnd::TimedOut(deadline),
        };
        self.finish(end, now);
    }

    pub(super) fn finish(&mut self, end: TurnEnd, now: Instant) {
        self.is_over = true;
        let empty = crate::Transcript::new(self.session.clone());
        let outcome = TurnOutcome {
            end,
            message: self.message.clone(),
            transcript: mem::replace(&mut self.transcript, empty),
            children: mem::take(&mut self.children),
            gaps: self.gaps,
            elapsed: now.saturating_duration_since(self.started),
        };
        self.actions.push_back(TurnAction::Finished(Box::new(outcome)));
    }
}

/// The first error says what happened; those after it say what that led to.
fn failed(errors: &[AgentError]) -> TurnEnd {
    match errors.first() {
        Some(error) => TurnEnd::AgentError(Box::new(error.clone())),
        None => TurnEnd::Torn,
    }
}
