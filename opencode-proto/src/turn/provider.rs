//! Failures of the provider that OpenCode retries, and when a retry is due.

use std::time::{Duration, Instant};

use crate::ProviderFailure;

/// Knowledge of a turn about the model's provider.
#[derive(Debug, Default)]
pub(super) struct ProviderState {
    pub(super) clock: ServerClock,
    /// The last failure, until a call of the model succeeds.
    pub(super) failure: Option<ProviderFailure>,
    /// Time of the last failure by the clock of the server, in milliseconds since 1970.
    pub(super) failed_ms: u64,
    /// Due time of the retry that OpenCode waits for.
    pub(super) retry_at: Option<Instant>,
}

/// Clock of the server, estimated from the times in messages.
///
/// A message arrives after the time that the message names, so the latest estimate is the best one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ServerClock(Option<(Instant, u64)>);

impl ServerClock {
    pub(super) fn observe(&mut self, ms: u64, now: Instant) {
        if self.at(now).is_none_or(|known| ms > known) {
            self.0 = Some((now, ms));
        }
    }

    /// Returns the time of the server in milliseconds since 1970.
    pub(super) fn at(&self, now: Instant) -> Option<u64> {
        let (then, ms) = self.0?;
        let elapsed = now.saturating_duration_since(then).as_millis();
        ms.checked_add(u64::try_from(elapsed).ok()?)
    }

    /// Returns when the server's clock shows this time.
    pub(super) fn instant_of(&self, ms: u64, now: Instant) -> Option<Instant> {
        now.checked_add(Duration::from_millis(ms.saturating_sub(self.at(now)?)))
    }
}
