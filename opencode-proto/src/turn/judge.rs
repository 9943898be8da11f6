//! The end of a turn: whether the end has come.

mod ending;

use std::time::Duration;

use super::core::{TurnExtent, TurnInput};
use super::look::Freshness;
use super::outcome::{NothingToFollow, TurnEnd};
use super::post::TurnKind;
use super::posted::{PostedTurn, Posting};
use crate::error::ErrorName;
use crate::part::FinishReason;
use crate::server_event::SessionStatus;
use ending::failed;

/// Time in which nothing goes on at the server before an unfinished answer counts as the end: after
/// the errors of a prompt that failed, and otherwise.
const QUIET_AFTER_FAILURE: Duration = Duration::from_secs(1);
const QUIET: Duration = Duration::from_secs(10);
/// The same while the session may be listed as idle because of an earlier turn: events would report
/// the work, unless a tool takes longer.
const QUIET_OUTDATED: Duration = Duration::from_secs(5 * 60);
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
            return match self.record.chain.cut_short() {
                Some(_) => self.look_settled(input),
                None => self.conclude(input),
            };
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
        if self.record.chain.has_gaps() && !self.pulse.outdates_statuses() {
            // The end of the work may have been missed.
            self.record.chain.set_status(status);
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
            Verdict::Ended => self.conclude(input),
            Verdict::Likely if !self.pulse.outdates_statuses() => self.conclude(input),
            Verdict::Likely | Verdict::Unfinished => self.judge_quiet(input),
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
        let limit = match (is_refused, self.pulse.outdates_statuses()) {
            (true, _) => QUIET_AFTER_FAILURE,
            (false, true) => QUIET_OUTDATED,
            (false, false) => QUIET,
        };
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
            _ => self.unanswered(),
        };
        // In case something of the turn is still to come.
        input.abort_rest();
        input.finish(if self.is_disposed(&end) { TurnEnd::Disposed } else { end });
    }

    fn verdict(&self, input: &TurnInput<'_>) -> Verdict {
        let Some(answer) = self.record.chain.last_answer() else {
            return match self.record.chain.replaced_by() {
                Some(_) => Verdict::Likely,
                None => Verdict::Unfinished,
            };
        };
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
        let is_last = answer.step == input.core.kind.last_step();
        if is_over && is_last || answer.structured.is_some() {
            Verdict::Ended
        } else {
            Verdict::Likely
        }
    }
}
