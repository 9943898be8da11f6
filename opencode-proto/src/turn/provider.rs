//! Failures of the provider that OpenCode retries, and when a retry is due.

use std::time::{Duration, Instant};

use super::core::TurnInput;
use super::posted::{PostedTurn, StopCause};
use crate::ProviderFailure;
use crate::server_event::{MessageInfo, SessionStatus};

/// Knowledge of a turn about the model's provider.
#[derive(Debug, Default)]
pub(super) struct ProviderState {
    clock: ServerClock,
    /// The last failure, until a call of the model succeeds.
    failure: Option<ProviderFailure>,
    /// Time of the last failure by the clock of the server, in milliseconds since 1970.
    failed_ms: u64,
    /// Due time of the retry that OpenCode waits for.
    retry_at: Option<Instant>,
}

/// Clock of the server, estimated from the times in messages.
///
/// A message arrives after the time that the message names, so the latest estimate is the best one.
#[derive(Clone, Copy, Debug, Default)]
struct ServerClock(Option<(Instant, u64)>);

impl ServerClock {
    fn observe(&mut self, ms: u64, now: Instant) {
        if self.at(now).is_none_or(|known| ms > known) {
            self.0 = Some((now, ms));
        }
    }

    /// Returns the time of the server in milliseconds since 1970.
    fn at(&self, now: Instant) -> Option<u64> {
        let (then, ms) = self.0?;
        let elapsed = now.saturating_duration_since(then).as_millis();
        ms.checked_add(u64::try_from(elapsed).ok()?)
    }

    /// Returns when the server's clock shows this time.
    fn instant_of(&self, ms: u64, now: Instant) -> Option<Instant> {
        now.checked_add(Duration::from_millis(ms.saturating_sub(self.at(now)?)))
    }
}

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
