//! Stopping a turn before the answer is complete.

use super::core::{Purpose, TurnExtent, TurnInput};
use super::course::{Course, StopCause};
use super::outcome::TurnEnd;
use super::posted::{PostedTurn, Posting};
use super::record::Place;
use super::settings::TurnSettings;
use crate::AgentError;
use crate::ask::refusals::Refusals;
use crate::guard::{Repetition, RepetitionGuard};

impl PostedTurn {
    pub(super) fn cancel(&mut self, input: &mut TurnInput<'_>) {
        if input.core.extent == TurnExtent::Post {
            return input.finish(TurnEnd::Cancelled);
        }
        if self.is_unfound() {
            // An abort could end the turn of another prompt.
            let limit = input.now.checked_add(input.core.settings.abort_limit);
            self.cancelling = self.cancelling.or(limit);
            return;
        }
        self.stop(StopCause::Cancelled, input);
    }

    /// Returns whether the turn to follow is not known to be there.
    pub(super) fn is_unfound(&self) -> bool {
        matches!(self.posting, Posting::Followed) && !self.record.chain.is_seen()
    }

    /// Aborts a turn that was cancelled before it was found.
    pub(super) fn resume_cancel(&mut self, input: &mut TurnInput<'_>) {
        if self.cancelling.is_some() && self.record.chain.is_seen() {
            self.cancelling = None;
            self.stop(StopCause::Cancelled, input);
        }
    }

    pub(super) fn stop(&mut self, why: StopCause, input: &mut TurnInput<'_>) {
        if input.is_over() || self.course.is_stopping() || self.stop_rest(input) {
            return;
        }
        self.course = Course::Stopping { why, since: input.now };
        // The abort ends the asks.
        self.refusals = Refusals::default();
        if input.core.take_unsent_post() {
            input.core.calls.retain(|purpose| *purpose != Purpose::Post);
            return self.finish_stopped(input);
        }
        input.abort();
    }

    /// Notes a failure of a session. Returns whether the session reported the failure before:
    /// OpenCode reports some failures twice.
    pub(super) fn is_repeated_failure(&mut self, place: Place, error: &AgentError) -> bool {
        let transcript = self.record.at(place);
        let report = (error.detach(), transcript.messages().len());
        let last = self.faults.reported.insert(transcript.id().clone(), report);
        last.is_some_and(|(last, messages)| {
            messages == transcript.messages().len() && last.is_same_failure(error)
        })
    }

    /// Counts repetitions that OpenCode does not limit, and stops a turn that exceeds them.
    pub(super) fn guard(
        &mut self,
        place: Place,
        input: &mut TurnInput<'_>,
        count: impl FnOnce(&mut RepetitionGuard) -> Option<Repetition>,
    ) {
        let session = self.record.at(place).id();
        let guards = &mut self.faults.guards;
        if !guards.contains_key(session) {
            let limits = TurnSettings::guard_limits(&input.core.settings);
            guards.insert(session.clone(), RepetitionGuard::new(limits));
        }
        let repetition = guards.get_mut(session).and_then(count);
        if let Some(repetition) = repetition {
            self.stop(StopCause::Repeated(repetition), input);
        }
    }
}
