//! Retries of the provider, as a posted turn learns of them.

use std::time::Instant;

use super::core::TurnInput;
use super::course::StopCause;
use super::posted::PostedTurn;
use crate::ProviderFailure;
use crate::server_event::{MessageInfo, SessionStatus};

impl PostedTurn {
    /// Reads the clock of the server, and whether the provider works again.
    pub(super) fn read_message_time(&mut self, info: &MessageInfo, now: Instant) {
        for ms in [info.created_ms, info.completed_ms].into_iter().flatten() {
            self.provider.clock.observe(ms, now);
        }
        // A look reads calls again that succeeded before the failure.
        let is_later = info.completed_ms.is_some_and(|ms| ms > self.provider.failed_ms);
        if is_later && info.finish.is_some() && info.error.is_none() {
            self.provider.failure = None;
            self.provider.retry_at = None;
        }
    }

    /// Takes the status of the session or of a subagent's. A retry that is due too late stops the
    /// turn.
    pub(super) fn note_retry(&mut self, status: &SessionStatus, input: &mut TurnInput<'_>) {
        let SessionStatus::Retry { attempt, message, next_ms } = status else {
            self.provider.retry_at = None;
            return;
        };
        self.provider.failure = Some(ProviderFailure {
            message: message.clone(),
            attempt: Some(*attempt),
            next_ms: Some(*next_ms),
        });
        self.provider.failed_ms = self.provider.clock.at(input.now).unwrap_or_default();
        self.provider.retry_at = self.provider.clock.instant_of(*next_ms, input.now);
        self.judge_retry(input);
    }

    /// Stops a turn that waits for a retry which the deadlines do not allow.
    pub(super) fn judge_retry(&mut self, input: &mut TurnInput<'_>) {
        if let Some(at) = self.provider.retry_at
            && input.core.watchdog.is_too_late(at)
        {
            self.stop(StopCause::RetryTooLate, input);
        }
    }

    /// Returns the last failure of the provider, or else the last error of the session.
    pub(super) fn last_failure(&self) -> Option<Box<ProviderFailure>> {
        let of_session = || {
            let error = self.faults.errors.last()?;
            Some(ProviderFailure::new(error.to_string()))
        };
        self.provider.failure.clone().or_else(of_session).map(Box::new)
    }
}
