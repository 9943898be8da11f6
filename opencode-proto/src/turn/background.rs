//! Work that goes on after the answer: subagents in the background, and prompts of plugins.

use std::time::{Duration, Instant};

use super::core::TurnInput;
use super::outcome::TurnEnd;
use super::post::TurnKind;
use super::posted::PostedTurn;
use super::rest::RestOfWork;
use super::settings::{BackgroundWork, TurnSettings};
use crate::SessionId;
use crate::server_event::SessionStatus;

impl PostedTurn {
    /// Takes the status of a subagent's session.
    pub(super) fn note_child_status(&mut self, child: &SessionId, status: &SessionStatus) {
        let working = &mut self.record.working;
        let has_changed = match status {
            SessionStatus::Idle => working.remove(child),
            SessionStatus::Busy | SessionStatus::Other { .. } | SessionStatus::Retry { .. } => {
                working.insert(child.clone())
            }
        };
        self.pulse.activity += u64::from(has_changed);
    }

    /// Ends a turn whose answer is complete, or waits for the rest of the work.
    pub(super) fn finish_answered(&mut self, end: TurnEnd, input: &mut TurnInput<'_>) {
        let may_wait = input.core.kind == TurnKind::Prompt && !self.course.is_stopping();
        let waits = match input.core.settings.background {
            BackgroundWork::Leave => false,
            BackgroundWork::AwaitSubagents => !self.record.working.is_empty(),
            BackgroundWork::AwaitQuiet(_) => true,
        };
        if !may_wait || !waits {
            return input.finish(end);
        }
        if !self.record.chain.is_superseded() {
            // As the event or the look says that brought the end of the answer.
            self.pulse.status = Some(SessionStatus::Idle);
        }
        if let BackgroundWork::AwaitQuiet(_) = input.core.settings.background {
            self.record.chain.others.adopt();
        }
        if self.gaps > 0 {
            // The end of a subagent may have been missed.
            self.look_settled(input);
        }
        self.rest = Some(Box::new(RestOfWork { end, quiet_since: None }));
        self.judge_rest(input);
    }

    /// Ends the turn when nothing works any more.
    pub(super) fn judge_rest(&mut self, input: &mut TurnInput<'_>) {
        let Some(rest) = &mut self.rest else { return };
        let quiet = quiet_of(&input.core.settings);
        let is_own_idle = self.pulse.is_idle() && self.record.chain.answer_open().is_none()
            || self.record.chain.is_superseded();
        if !self.record.working.is_empty() || !is_own_idle {
            rest.quiet_since = None;
            return;
        }
        let since = *rest.quiet_since.get_or_insert(input.now);
        if input.now.saturating_duration_since(since) >= quiet {
            self.end_rest(input);
        }
    }

    /// Ends the turn as the answer did, whatever still works.
    fn end_rest(&mut self, input: &mut TurnInput<'_>) {
        if let Some(rest) = self.rest.take() {
            input.finish(rest.end);
        }
    }

    /// Stops the work after the answer. Returns `false` when there is none.
    pub(super) fn stop_rest(&mut self, input: &mut TurnInput<'_>) -> bool {
        let is_resting = self.rest.is_some();
        if is_resting {
            input.abort_rest();
            self.end_rest(input);
        }
        is_resting
    }

    pub(super) fn rest_wake(&self, settings: &TurnSettings) -> Option<Instant> {
        self.rest.as_ref()?.quiet_since?.checked_add(quiet_of(settings))
    }
}

/// Returns the time without work after which the rest of a turn is over.
fn quiet_of(settings: &TurnSettings) -> Duration {
    match settings.background {
        BackgroundWork::AwaitQuiet(quiet) => quiet,
        BackgroundWork::AwaitSubagents | BackgroundWork::Leave => settings.settle_delay,
    }
}
